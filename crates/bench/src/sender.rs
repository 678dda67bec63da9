//! The sender: serves whole lines of a text to one TCP client, at the rates asked for, then closes.
//!
//! It says `port P` when it listens and, after each step, `sent RATE LINES SECONDS END` with END in epoch milliseconds.
use crate::{Out, Result, args::Args, corpus};
use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The most that is held in memory; longer texts are cut.
const MEMORY: u64 = 256 << 20;
/// Lines per write.
const PIECE: usize = 5000;
const TICK: Duration = Duration::from_millis(1);

pub(crate) fn run(args: &Args, _: Out) -> Result {
    let mut lines = Lines::of(corpus::head(&corpus::file(args, args.n)?, MEMORY)?);
    let listener = TcpListener::bind(("127.0.0.1", args.port.unwrap_or(0)))?;
    println!("port {}", listener.local_addr()?.port());
    let (mut client, _) = listener.accept()?;
    client.set_nodelay(true)?;
    for rate in args.rates(&[0]) {
        let begun = Instant::now();
        let sent = send(&mut client, &mut lines, rate, Duration::from_secs_f64(args.seconds(10.0)), args.stamp)?;
        println!("sent {rate} {sent} {:.4} {}", begun.elapsed().as_secs_f64(), epoch_ms());
    }
    Ok(())
}

/// One step; how many lines it was.
fn send(client: &mut TcpStream, lines: &mut Lines, rate: u64, lasts: Duration, stamp: bool) -> Result<u64> {
    let (begun, mut sent, mut stamped) = (Instant::now(), 0, Vec::new());
    while begun.elapsed() < lasts {
        let due = match rate {
            0 => sent + PIECE as u64,
            _ => (begun.elapsed().as_secs_f64() * rate as f64) as u64,
        };
        while sent < due && begun.elapsed() < lasts {
            let (text, ends) = lines.next((due - sent).min(PIECE as u64) as usize);
            if stamp {
                put_stamps(text, ends, &mut stamped);
                client.write_all(&stamped)?;
            } else {
                client.write_all(text)?;
            }
            sent += ends.len() as u64;
        }
        if rate > 0 {
            // The rate is the point: a sender that does not pause has none.
            thread::sleep(TICK);
        }
    }
    Ok(sent)
}

/// Copies lines, each behind the present time; `ends` are their ends, the first of them relative to nothing.
fn put_stamps(text: &[u8], ends: &[usize], out: &mut Vec<u8>) {
    let (stamp, first) = (format!("@{} ", epoch_ms()), ends[ends.len() - 1] - text.len());
    out.clear();
    let mut from = 0;
    for end in ends {
        out.extend_from_slice(stamp.as_bytes());
        out.extend_from_slice(&text[from..end - first]);
        from = end - first;
    }
}

pub(crate) fn epoch_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The lines of a text, round and round.
struct Lines {
    text: Vec<u8>,
    /// Where each line ends, its `\n` included.
    ends: Vec<usize>,
    at: usize,
}
impl Lines {
    /// Of a text that ends with a line's end.
    fn of(text: Vec<u8>) -> Self {
        let ends = text.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
        Lines { text, ends, at: 0 }
    }
    /// The next lines, at least one and at most `most`: their text, and where in the whole text each ends.
    fn next(&mut self, most: usize) -> (&[u8], &[usize]) {
        let (first, to) = (self.at, (self.at + most.max(1)).min(self.ends.len()));
        self.at = if to == self.ends.len() { 0 } else { to };
        let from = first.checked_sub(1).map_or(0, |before| self.ends[before]);
        (&self.text[from..self.ends[to - 1]], &self.ends[first..to])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_lines_round_and_round() {
        let mut lines = Lines::of(b"a\nbb\nccc\n".to_vec());
        let got: Vec<String> =
            [2, 5, 1, 1].iter().map(|n| String::from_utf8(lines.next(*n).0.to_vec()).unwrap()).collect();
        assert_eq!(got, ["a\nbb\n", "ccc\n", "a\n", "bb\n"]);
    }
    #[test]
    fn stamps_every_line() {
        let (mut lines, mut out) = (Lines::of(b"a\nbb\nccc\n".to_vec()), Vec::new());
        lines.next(1);
        let (text, ends) = lines.next(2);
        put_stamps(text, ends, &mut out);
        let text = String::from_utf8(out).unwrap();
        let plain: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(plain, ["bb", "ccc"]);
        assert!(text.lines().all(|line| line[1..].split(' ').next().unwrap().parse::<u64>().is_ok()), "{text}");
    }
}
