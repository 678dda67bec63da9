//! What a web server's access log says: top pages, bytes for each host, and hits for each team that owns a page.
//!
//!     cargo run --example access_log                     a few lines of a log that never was
//!     cargo run --example access_log -- LOG OWNERS       LOG in the common log format; OWNERS: lines "prefix,team"
//!
//! LOG may be a directory, a glob or compressed. Lines that are no log lines are left out and counted.
use winterbourne::prelude::*;

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Who asked.
    pub host: Text,
    /// For what, without its query.
    pub path: Text,
    /// What came of it: 200 is well.
    pub status: u16,
    /// How much was sent.
    pub bytes: u64,
}
impl Hit {
    /// `host ident user [date] "method path protocol" status bytes`; the bytes may be `-`.
    pub fn parse(line: &str) -> Result<Hit, &'static str> {
        let (head, rest) = line.split_once('"').ok_or("no request")?;
        let (request, tail) = rest.split_once('"').ok_or("no end of the request")?;
        let host = head.split(' ').next().filter(|h| !h.is_empty()).ok_or("no host")?;
        let path = request.split(' ').nth(1).ok_or("no path")?;
        let mut numbers = tail.split_ascii_whitespace();
        let status = numbers.next().and_then(|s| s.parse().ok()).ok_or("no status")?;
        let bytes = match numbers.next().ok_or("no size")? {
            "-" => 0,
            n => n.parse().map_err(|_| "no size")?,
        };
        let path = path.split(['?', '#']).next().unwrap_or(path);
        Ok(Hit { host: Text::from(host), path: Text::from(path), status, bytes })
    }
    /// What a page belongs to: its path up to the second slash.
    fn section(&self) -> Text {
        let end = self.path[1.min(self.path.len())..].find('/').map_or(self.path.len(), |i| i + 1);
        Text::from(&self.path[..end])
    }
}

/// The hits of a log.
pub fn hits(lines: &Rdd<Text>) -> Rdd<Hit> {
    lines.try_map(OnBadRecord::Skip, |line| Hit::parse(&line))
}
/// The n pages that were served most often, the most popular first.
pub fn top_pages(hits: &Rdd<Hit>, n: usize) -> Result<Vec<(u64, Text)>, BoxError> {
    let counts = hits.filter(|hit| hit.status < 400).map(|hit| (hit.path, 1)).reduce_by_key(|a, b| a + b);
    Ok(counts.map(|(path, n)| (n, path)).top(n)?)
}
/// What each host has fetched, in bytes, the greediest first.
pub fn bytes_by_host(hits: &Rdd<Hit>) -> Rdd<(Text, u64)> {
    hits.map(|hit| (hit.host, hit.bytes)).reduce_by_key(|a, b| a + b).sort_by(|(_, bytes)| std::cmp::Reverse(*bytes))
}
/// Hits for each team that owns a section; what nobody owns belongs to nobody.
pub fn hits_by_team(hits: &Rdd<Hit>, owners: &Rdd<(Text, Text)>) -> Rdd<(Text, u64)> {
    let sections = hits.map(|hit| (hit.section(), 1)).reduce_by_key(|a, b| a + b);
    let teams = sections.left_outer_join(owners).values();
    teams.map(|(n, team)| (team.unwrap_or("nobody".into()), n)).reduce_by_key(|a, b| a + b).sort_by_key()
}
/// Lines "prefix,team"; blank ones are left out.
pub fn owners(lines: &Rdd<Text>) -> Rdd<(Text, Text)> {
    let fields = |line: Text| -> Result<(Text, Text), String> {
        let (prefix, team) = line.split_once(',').ok_or_else(|| format!("`{line}` is not prefix,team"))?;
        Ok((Text::from(prefix.trim()), Text::from(team.trim())))
    };
    lines.filter(|line| !line.trim().is_empty()).try_map(OnBadRecord::Fail, fields)
}

const LOG: &str = r#"oak.example - - [22/Nov/2026:10:00:01 +0000] "GET /shop/tea HTTP/1.1" 200 2326
elm.example - - [22/Nov/2026:10:00:01 +0000] "GET /shop/tea?size=big HTTP/1.1" 200 2326
oak.example - - [22/Nov/2026:10:00:02 +0000] "GET /blog/rain HTTP/1.1" 200 9120
this line is no log line
ash.example - - [22/Nov/2026:10:00:04 +0000] "GET /shop/cup HTTP/1.1" 304 -
elm.example - - [22/Nov/2026:10:00:05 +0000] "GET /lost HTTP/1.1" 404 209
oak.example - - [22/Nov/2026:10:00:09 +0000] "GET /shop/tea HTTP/1.1" 200 2326
"#;
const OWNERS: &str = "/shop,sales\n/blog,press\n";

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let sc = SparkContext::new(SparkConf::new().set_app_name("access_log"))?;
    let (log, table) = match &std::env::args().skip(1).collect::<Vec<_>>()[..] {
        [] => (sc.parallelize(LOG.lines().map(Text::from), 2), sc.parallelize(OWNERS.lines().map(Text::from), 1)),
        [log, owners] => (sc.text_file(log, sc.default_parallelism()), sc.text_file(owners, 1)),
        _ => return Err("give LOG and OWNERS, or neither".into()),
    };
    let hits = hits(&log).cache(); // three questions to one parsed log
    println!("top pages");
    for (n, path) in top_pages(&hits, 10)? {
        println!("{n:>8} {path}");
    }
    println!("bytes by host");
    for (host, bytes) in bytes_by_host(&hits).take(10)? {
        println!("{bytes:>8} {host}");
    }
    println!("hits by team");
    for (team, n) in hits_by_team(&hits, &owners(&table)).collect()? {
        println!("{n:>8} {team}");
    }
    match sc.counts().skipped_records {
        0 => {}
        n => eprintln!("{n} line(s) were no log lines and were left out"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(sc: &SparkContext) -> Rdd<Hit> {
        hits(&sc.parallelize(LOG.lines().map(Text::from), 3))
    }
    fn context() -> SparkContext {
        SparkContext::new(SparkConf::empty().set_app_name("test").set_master("local[2]")).unwrap()
    }
    #[test]
    fn pages_hosts_and_teams() {
        let sc = context();
        let hits = sample(&sc);
        let text = |s: &str| Text::from(s);
        assert_eq!(top_pages(&hits, 2).unwrap(), [(3, text("/shop/tea")), (1, text("/shop/cup"))]);
        let bytes = bytes_by_host(&hits).collect().unwrap();
        assert_eq!(bytes, [(text("oak.example"), 13_772), (text("elm.example"), 2_535), (text("ash.example"), 0)]);
        let table = owners(&sc.parallelize(OWNERS.lines().map(Text::from), 1));
        let teams = hits_by_team(&hits, &table).collect().unwrap();
        assert_eq!(teams, [(text("nobody"), 1), (text("press"), 1), (text("sales"), 4)]);
    }
    #[test]
    fn a_bad_line_is_counted_and_a_bad_table_is_refused() {
        let sc = context();
        assert_eq!(sample(&sc).count().unwrap(), 6);
        assert_eq!(sc.counts().skipped_records, 1);
        let table = owners(&sc.parallelize(["/shop sales"].map(Text::from), 1));
        assert!(table.count().unwrap_err().to_string().contains("`/shop sales` is not prefix,team"));
    }
}
