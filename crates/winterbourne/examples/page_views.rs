//! Statistics of a clickstream, after Spark Streaming's `PageViewStream`: views come as lines
//! `URL STATUS ZIP USER`, and one of four statistics is printed.
//!
//!     cargo run --example page_views -- STATISTIC [HOST PORT]
//!
//! STATISTIC is `page-counts` (views of each page since the last second), `error-rates` (by ZIP code, over half a minute),
//! `active-users` (how many there were in the last 15 seconds) or `popular-users` (names of the users seen, once each).
use winterbourne::prelude::*;

/// Somebody looked at a page.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PageView {
    /// Which page.
    pub url: String,
    /// How the server answered.
    pub status: u16,
    /// Where from.
    pub zip: u32,
    /// Who.
    pub user: u32,
}
impl std::str::FromStr for PageView {
    type Err = BoxError;
    fn from_str(line: &str) -> Result<Self, BoxError> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [url, status, zip, user] = fields[..] else { return Err(format!("{} fields, not 4", fields.len()).into()) };
        Ok(PageView { url: url.to_owned(), status: status.parse()?, zip: zip.parse()?, user: user.parse()? })
    }
}

/// The views of the lines; those that are none are left out and counted.
pub fn views(lines: &DStream<Text>) -> DStream<PageView> {
    lines.try_map(OnBadRecord::Skip, |line| line.parse())
}
/// How often each page was viewed in each batch.
pub fn page_counts(views: &DStream<PageView>) -> DStream<(String, u64)> {
    views.map(|view| view.url).count_by_value()
}
/// Which part of the views was an error, in thousandths, by ZIP code over a sliding window.
pub fn error_rates(views: &DStream<PageView>) -> DStream<(u32, u64)> {
    let counts = views.map(|view| (view.zip, (u64::from(view.status != 200), 1u64)));
    let window = counts.reduce_by_key_and_window_by(|a, b| (a.0 + b.0, a.1 + b.1), seconds(30), seconds(2));
    window.map_values(|(errors, all)| errors * 1000 / all)
}
/// How many users there were in the last 15 seconds.
pub fn active_users(views: &DStream<PageView>) -> DStream<u64> {
    views.map(|view| (view.user, ())).reduce_by_key_and_window_by(|(), ()| (), seconds(15), seconds(2)).count()
}
/// The users of each batch whose names are known, once each.
pub fn popular_users(views: &DStream<PageView>) -> DStream<String> {
    let names = [(1, "Patrick Wendell"), (2, "Reynold Xin"), (3, "Matei Zaharia")];
    let known = views.streaming_context().spark_context().parallelize(names.map(|(id, n)| (id, n.to_owned())), 1);
    views
        .map(|view| (view.user, ()))
        .reduce_by_key(|(), ()| ())
        .transform(move |users, _| Ok(users.join(&known).map(|(_, ((), name))| name)))
}

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let mut args = std::env::args().skip(1);
    let statistic = args.next().ok_or("give a statistic: page-counts, error-rates, active-users or popular-users")?;
    let host = args.next().unwrap_or_else(|| "localhost".into());
    let port = args.next().map_or(Ok(9999), |p| p.parse())?;
    let conf = SparkConf::new().set_app_name("page_views").set("spark.streaming.stopGracefullyOnShutdown", true);
    let ssc = StreamingContext::from_conf(conf, seconds(1))?;
    let views = views(&ssc.socket_text_stream(host, port));
    match &*statistic {
        "page-counts" => page_counts(&views).print(),
        "error-rates" => error_rates(&views).map_values(|thousandths| thousandths as f64 / 1000.0).print(),
        "active-users" => active_users(&views).print(),
        "popular-users" => popular_users(&views).print(),
        other => return Err(format!("`{other}` is no statistic").into()),
    }
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}

#[test]
fn the_statistics_of_two_seconds() {
    let mut tester = winterbourne_testkit::StreamTester::new(seconds(1));
    let (lines, stream) = tester.input();
    let views = views(&stream);
    let (pages, users) = (tester.output(&page_counts(&views)), tester.output(&popular_users(&views)));
    let (errors, active) = (tester.output(&error_rates(&views)), tester.output(&active_users(&views)));
    lines.push(["/a 200 94103 1", "/b 404 94103 1", "/a 200 94117 9", "gibberish"].map(Text::from));
    lines.push(["/b 200 94103 2", "/b 500 94117 1"].map(Text::from));
    tester.steps(2).unwrap();
    let count = |url: &str, n| (url.to_owned(), n);
    assert_eq!(pages.take_sorted(), [vec![count("/a", 2), count("/b", 1)], vec![count("/b", 2)]]);
    assert_eq!(users.take_sorted(), [vec!["Patrick Wendell"], vec!["Patrick Wendell", "Reynold Xin"]]);
    assert_eq!(errors.take_sorted(), [[(94103, 333), (94117, 500)]]);
    assert_eq!(active.take(), [[3]]);
    assert_eq!(tester.context().status().skipped_records, 1);
}
