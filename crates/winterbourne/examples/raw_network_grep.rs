//! Counts the lines with a word in them that come over several connections in frames: Spark Streaming's `RawNetworkGrep`.
//! A frame is four bytes of length, the highest first, and so many bytes of text with any number of lines.
//!
//!     cargo run --release --example raw_network_grep -- HOST PORT CONNECTIONS WORD
use winterbourne::prelude::*;

/// The graph: how many lines of each batch hold the word. Frames are split on the threads of the receivers, and their lines
/// are slices of them: nothing is copied.
pub fn build(ssc: &StreamingContext, servers: &[(String, u16)], word: &str) -> DStream<String> {
    let lines = |(host, port): &(String, u16)| {
        ssc.raw_socket_stream_with(host.clone(), *port, |frame| {
            Ok(Text::from(String::from_utf8(frame)?).split_owned('\n'))
        })
    };
    let streams: Vec<DStream<Text>> = servers.iter().map(lines).collect();
    let word = word.to_owned();
    ssc.union(&streams).filter(move |line| line.contains(&*word)).count().map(|n| format!("Grep count: {n}"))
}

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, connections, word] = &args[..] else { return Err("give HOST, PORT, CONNECTIONS and WORD".into()) };
    let servers = vec![(host.clone(), port.parse()?); connections.parse()?];
    let conf = SparkConf::new().set_app_name("raw_network_grep").set("spark.streaming.stopGracefullyOnShutdown", true);
    let ssc = StreamingContext::from_conf(conf, seconds(1))?;
    build(&ssc, &servers, word).print();
    ssc.start()?;
    ssc.await_termination()?;
    Ok(())
}

#[test]
fn lines_of_all_connections_are_counted() {
    use std::io::Write;
    let conf =
        SparkConf::empty().set_app_name("test").set_master("local[2]").set("spark.streaming.socket.reconnect", "false");
    let ssc = StreamingContext::from_conf(conf, milliseconds(5)).unwrap();
    let servers = [0; 2].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let places = servers.each_ref().map(|s| ("127.0.0.1".to_owned(), s.local_addr().unwrap().port()));
    let (tell, heard) = std::sync::mpsc::channel();
    build(&ssc, &places, "the").foreach_rdd(move |rdd, _| Ok(tell.send(rdd.first()?)?));
    ssc.start().unwrap();
    for (server, text) in servers.iter().zip(["the cat\na dog\nthe bird", "on the mat"]) {
        let mut client = server.accept().unwrap().0;
        client.write_all(&(text.len() as u32).to_be_bytes()).unwrap();
        client.write_all(text.as_bytes()).unwrap();
    }
    ssc.await_termination().unwrap();
    let counts = heard.try_iter().map(|text| text.strip_prefix("Grep count: ").unwrap().parse::<u64>().unwrap());
    assert_eq!(counts.sum::<u64>(), 3);
}
