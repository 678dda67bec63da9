//! [`Feed`]: a sender in a process of its own, so that what it takes is not charged to what is measured.
use crate::{Result, args::Args, corpus, helper::Helper};

pub(crate) struct Feed {
    helper: Helper,
    /// Where it listens.
    pub(crate) port: u16,
}
/// What a sender has done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) lines: u64,
    pub(crate) seconds: f64,
    /// When it was done.
    pub(crate) end_ms: u64,
}

impl Feed {
    /// Serves the text of `args` at `rate` lines a second, for `seconds` from the moment a client connects.
    pub(crate) fn start(args: &Args, rate: u64, seconds: f64, stamp: bool) -> Result<Self> {
        let file = corpus::file(args, None)?;
        let file = file.to_str().ok_or("the text's path is not UTF-8")?;
        let mut arguments = vec!["sender".to_owned(), "--input".into(), file.into()];
        arguments.extend(["--rates".into(), rate.to_string(), "--seconds".into(), seconds.to_string()]);
        arguments.extend(stamp.then(|| "--stamp".into()));
        let mut helper = Helper::start(arguments)?;
        let port = helper.hear("port ")?.parse()?;
        Ok(Feed { helper, port })
    }
    /// Waits until it is done.
    pub(crate) fn finish(mut self) -> Result<Sent> {
        parse(&self.helper.hear("sent ")?)
    }
}

fn parse(said: &str) -> Result<Sent> {
    let fields: Vec<&str> = said.split(' ').collect();
    let [_, lines, seconds, end_ms] = fields[..] else { return Err(format!("the sender said `{said}`").into()) };
    Ok(Sent { lines: lines.parse()?, seconds: seconds.parse()?, end_ms: end_ms.parse()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_the_sender() {
        assert_eq!(parse("0 12 0.5 99").unwrap(), Sent { lines: 12, seconds: 0.5, end_ms: 99 });
        assert!(parse("0 12 0.5").is_err() && parse("0 x 0.5 9").is_err());
    }
}
