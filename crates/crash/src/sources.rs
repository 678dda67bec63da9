//! The sources that are not ready-made: a reliable receiver of numbered records, and a file read by position.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use winterbourne::engine::Rdd;
use winterbourne::{BoxError, Intake, Receiver, SparkContext};
use winterbourne_streaming::{Input, Planned, Supply, Tick};

/// Reads lines of records from the harness. A line is acknowledged, by repeating it, when its records are durable.
pub(crate) struct Numbered {
    pub(crate) port: u16,
}

impl Receiver<String> for Numbered {
    fn receive(&mut self, intake: &Intake<String>) -> Result<(), BoxError> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        let ending = connection.try_clone()?;
        intake.on_stop(move || {
            // Already closed is as good.
            let _ = ending.shutdown(Shutdown::Both);
        });
        let mut lines = BufReader::new(connection.try_clone()?);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            let records = line.split_whitespace().map(str::to_owned).collect();
            intake.store_reliably(records)?;
            connection.write_all(line.as_bytes())?;
            line.clear();
        }
        Err("the harness closed the connection".into())
    }
}

/// Records of a batch.
const STEP: usize = 5;

/// A file of records that can be read again: the batch of plan `(from, to)` is those lines.
pub(crate) struct Tape {
    records: Vec<String>,
    next: usize,
    stopped: bool,
}

impl Tape {
    pub(crate) fn open(path: &Path) -> Result<Self, BoxError> {
        let records = fs::read_to_string(path)?.lines().map(str::to_owned).collect();
        Ok(Tape { records, next: 0, stopped: false })
    }
}

impl Input<String> for Tape {
    type Plan = (usize, usize);

    fn plan(&mut self, _: &Tick) -> Result<Option<Planned<Self::Plan>>, BoxError> {
        let from = self.next;
        if self.stopped || from == self.records.len() {
            return Ok(None);
        }
        self.next = (from + STEP).min(self.records.len());
        let (plan, records) = ((from, self.next), (self.next - from) as u64);
        Ok(Some(Planned { plan, records: Some(records), description: format!("lines {from} to {}", self.next) }))
    }

    fn read(&mut self, sc: &SparkContext, &(from, to): &Self::Plan) -> Result<Rdd<String>, BoxError> {
        let records = self.records.get(from..to).ok_or("the tape is shorter than it was")?;
        Ok(sc.parallelize(records.to_vec(), 2))
    }

    fn restore(&mut self, plan: &Self::Plan) -> Result<(), BoxError> {
        self.next = plan.1;
        Ok(())
    }

    fn supply(&self) -> Supply {
        if self.stopped || self.next == self.records.len() { Supply::Open } else { Supply::Waiting }
    }

    fn stop(&mut self) {
        self.stopped = true;
    }
}
