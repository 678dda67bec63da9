//! What a process holds, sampled, and whether that has grown.
use std::{fmt, fs, io, path::Path};
use winterbourne::BoxError;

/// What a process holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) resident_kb: u64,
    pub(crate) files: u64,
    pub(crate) disk_kb: u64,
}

impl Sample {
    /// Of this process, and of its directory.
    pub(crate) fn take(directory: Option<&Path>) -> io::Result<Self> {
        let disk = directory.map_or(Ok(0), size)?;
        let files = fs::read_dir("/proc/self/fd")?.count() as u64;
        Ok(Sample { resident_kb: status_kb("VmRSS:")?, files, disk_kb: disk / 1024 })
    }

    fn max(self, other: Self) -> Self {
        Sample {
            resident_kb: self.resident_kb.max(other.resident_kb),
            files: self.files.max(other.files),
            disk_kb: self.disk_kb.max(other.disk_kb),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |kb: u64| kb as f64 / 1024.0;
        let Sample { resident_kb, files, disk_kb } = *self;
        write!(f, "{:.1} MB resident, {files} open files, {:.1} MB on disk", mb(resident_kb), mb(disk_kb))
    }
}

/// A line of `/proc/self/status`, in KB.
pub(crate) fn status_kb(name: &str) -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/self/status has no {name}")))
}

/// Bytes of the files below.
fn size(directory: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        sum += match entry.metadata() {
            Ok(about) if about.is_dir() => size(&entry.path())?,
            Ok(about) => about.len(),
            // It was removed just now.
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            Err(e) => return Err(e),
        };
    }
    Ok(sum)
}

/// The samples of a run. The first fifth is warm-up; then the most of the first quarter of the rest is what the last quarter
/// is compared with.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Sample>);

impl Samples {
    pub(crate) fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// What it held at first, and in the end.
    ///
    /// # Errors
    /// What has grown: memory by an eighth and 8 MB, open files by 8, disk by a half and 8 MB, or more than that.
    pub(crate) fn judge(&self) -> Result<(Sample, Sample), BoxError> {
        let after = &self.0[self.0.len() / 5..];
        let quarter = after.len() / 4;
        if quarter == 0 {
            return Err(format!("{} sample(s) are too few to judge", self.0.len()).into());
        }
        let most = |samples: &[Sample]| samples.iter().copied().fold(Sample::default(), Sample::max);
        let (first, last) = (most(&after[..quarter]), most(&after[after.len() - quarter..]));
        let margin = 8 << 10;
        let mut grown = Vec::new();
        if last.resident_kb > first.resident_kb + first.resident_kb / 8 + margin {
            grown.push("memory");
        }
        if last.files > first.files + 8 {
            grown.push("open files");
        }
        if last.disk_kb > first.disk_kb + first.disk_kb / 2 + margin {
            grown.push("disk");
        }
        match grown.is_empty() {
            true => Ok((first, last)),
            false => Err(format!("{} grew: at first {first}; in the end {last}", grown.join(" and ")).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(of: impl Fn(u64) -> Sample) -> Result<(), String> {
        let mut samples = Samples::default();
        (0..100).for_each(|i| samples.push(of(i)));
        samples.judge().map(drop).map_err(|e| e.to_string())
    }

    #[test]
    fn what_grows_is_named_and_what_only_swings_is_not() {
        let flat = |i: u64| Sample { resident_kb: 100_000 + i % 7 * 1_000, files: 20 + i % 3, disk_kb: i % 10 * 9_000 };
        assert_eq!(judged(flat), Ok(()));
        let warm = |i: u64| Sample { resident_kb: i.min(18) * 10_000, ..flat(i) };
        assert_eq!(judged(warm), Ok(()), "warm-up");
        for (name, grows) in [
            ("memory", Sample { resident_kb: 600, ..Sample::default() }),
            ("open files", Sample { files: 1, ..Sample::default() }),
            ("disk", Sample { disk_kb: 1_500, ..Sample::default() }),
        ] {
            let error = judged(|i| Sample {
                resident_kb: 50_000 + grows.resident_kb * i,
                files: 20 + grows.files * i,
                disk_kb: 20_000 + grows.disk_kb * i,
            });
            assert!(error.as_ref().is_err_and(|e| e.starts_with(&format!("{name} grew: at first "))), "{error:?}");
        }
        assert!(Samples::default().judge().is_err());
    }

    #[test]
    fn this_process_holds_something() {
        let directory = std::env::temp_dir().join(format!("winterbourne-soak-size-{}", std::process::id()));
        fs::create_dir_all(directory.join("inside")).unwrap();
        fs::write(directory.join("inside/file"), vec![0; 5 << 10]).unwrap();
        let sample = Sample::take(Some(&directory)).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        assert!(sample.resident_kb > 0 && sample.files >= 3, "{sample}");
        assert_eq!(sample.disk_kb, 5);
        assert!(status_kb("VmHWM:").unwrap() >= sample.resident_kb);
    }
}
