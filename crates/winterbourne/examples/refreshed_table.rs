//! Joins a stream with a table that changes while the program runs: orders as they come (`customer item`, one a line),
//! with the names of a file (`customer name`) that is read again when it was changed.
//!
//!     nc -lk 9999
//!     cargo run --example refreshed_table -- customers.txt [HOST PORT]
use std::{fs, path::PathBuf, time::SystemTime};
use winterbourne::prelude::*;

/// A table of names in a file, as it was when it was read last.
pub struct Table {
    path: PathBuf,
    read: Option<(Version, Rdd<(String, String)>)>,
}
/// When it was changed, and how long it is.
type Version = (SystemTime, u64);
impl Table {
    /// Nothing is read yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Table { path: path.into(), read: None }
    }
    /// The names, read again if the file was changed. They stay on the driver, spread by key and kept in memory, so that
    /// a batch shuffles the orders only.
    fn names(&mut self, sc: &SparkContext) -> Result<Rdd<(String, String)>, BoxError> {
        let state = fs::metadata(&self.path)?;
        let version = (state.modified()?, state.len());
        if let Some((read, names)) = &self.read
            && *read == version
        {
            return Ok(names.clone());
        }
        let text = fs::read_to_string(&self.path)?;
        let pairs: Vec<_> = text.lines().filter_map(|line| line.split_once(' ')).collect();
        let pairs = pairs.into_iter().map(|(customer, name)| (customer.to_owned(), name.to_owned()));
        let names = sc.parallelize(pairs, 2).partition_by(sc.default_parallelism()).cache();
        self.read = Some((version, names.clone()));
        Ok(names)
    }
}

/// The graph: who ordered what, with the names as they are when the batch begins. Customers without a name are left out.
pub fn build(orders: &DStream<Text>, mut table: Table) -> DStream<(String, String)> {
    let orders = orders.flat_map(|line| line.split_once(' ').map(|(who, what)| (who.to_string(), what.to_string())));
    orders.transform(move |batch, _time| {
        let names = table.names(batch.spark_context())?;
        Ok(batch.join(&names).map(|(_customer, (item, name))| (name, item)))
    })
}

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let mut args = std::env::args().skip(1);
    let table = args.next().ok_or("give the file with the names, and a host and a port if you like")?;
    let host = args.next().unwrap_or_else(|| "localhost".into());
    let port = args.next().map_or(Ok(9999), |p| p.parse())?;
    let conf = SparkConf::new().set_app_name("refreshed_table").set("spark.streaming.stopGracefullyOnShutdown", true);
    let ssc = StreamingContext::from_conf(conf, seconds(1))?;
    build(&ssc.socket_text_stream(host, port), Table::at(table)).print();
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}

#[test]
fn each_batch_sees_the_table_as_it_is_then() {
    let path = std::env::temp_dir().join(format!("winterbourne-refreshed-table-{}", std::process::id()));
    let mut tester = winterbourne_testkit::StreamTester::new(seconds(1));
    let (orders, stream) = tester.input();
    let named = tester.output(&build(&stream, Table::at(&path)));
    let mut step = |table: &str, batch: &[&str]| {
        fs::write(&path, table).unwrap();
        orders.push(batch.iter().map(|line| Text::from(*line)));
        tester.step().unwrap();
        let [names] = &named.take_sorted()[..] else { panic!("one batch") };
        names.iter().map(|(name, item)| format!("{name}: {item}")).collect::<Vec<_>>()
    };
    let (old, new) = ("1 Ann\n2 Ben\n", "1 Anna\n2 Ben\n3 Cleo\n");
    assert_eq!(step(old, &["1 tea", "2 bread", "3 figs"]), ["Ann: tea", "Ben: bread"]);
    assert_eq!(step(old, &["2 jam", "nonsense"]), ["Ben: jam"]);
    assert_eq!(step(new, &["1 milk", "3 figs"]), ["Anna: milk", "Cleo: figs"]);
    fs::remove_file(&path).unwrap();
    assert!(tester.step().is_err(), "a table that is gone fails the batch, which waits until it is there again");
}
