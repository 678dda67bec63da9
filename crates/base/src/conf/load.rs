//! Reading the environment and the configuration file into a [`SparkConf`]. The only place that does; refuses to fail
//! here (what went wrong is kept for `validate`) and to read more than [`MOST_FILE_BYTES`].

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::nearest::nearest;
use super::spark_conf::Origin;
use super::{ConfError, SparkConf, properties, registry};

/// Names the configuration file.
const FILE: &str = "WINTERBOURNE_CONF";
/// Begins every variable that sets a key.
const SETTING: &str = "WINTERBOURNE_SPARK_";
/// The largest configuration file that is read.
const MOST_FILE_BYTES: u64 = 1 << 20;

impl SparkConf {
    /// The settings of the process's environment and of the file it names.
    ///
    /// The variable for a key is `WINTERBOURNE_` and the key in capitals with `_` for every dot, in any case:
    /// `WINTERBOURNE_SPARK_STREAMING_BLOCKINTERVAL`. The file is named by `WINTERBOURNE_CONF` and has one `key value`
    /// or `key=value` per line, `#` for comments. What cannot be read is reported by [`validate`](Self::validate).
    #[must_use]
    pub fn new() -> Self {
        let mut unreadable = Vec::new();
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            match value.into_string() {
                Ok(value) => Some((name, value)),
                Err(_) => {
                    unreadable.push(name);
                    None
                }
            }
        });
        let mut conf = Self::from_sources(variables);
        let ours = unreadable.into_iter().filter(|name| is_ours(name));
        conf.problems.extend(ours.map(|variable| ConfError::NotUnicode { variable }));
        conf
    }

    /// As [`new`](Self::new), with these variables for the process's environment.
    ///
    /// ```
    /// use winterbourne_base::SparkConf;
    /// use winterbourne_base::conf::Origin;
    ///
    /// let variable = ("WINTERBOURNE_SPARK_MASTER".to_owned(), "local[2]".to_owned());
    /// let conf = SparkConf::from_sources([variable]);
    /// assert_eq!(conf.get("spark.master"), Some("local[2]"));
    /// assert_eq!(conf.origin("spark.master"), Some(Origin::Environment));
    /// ```
    #[must_use]
    pub fn from_sources(env: impl IntoIterator<Item = (String, String)>) -> Self {
        // Sorted, so that two spellings of one variable give the same result every time.
        let mut variables: Vec<_> = env.into_iter().filter(|(name, _)| is_ours(name)).collect();
        variables.sort();
        let mut conf = Self::empty();
        if let Some((_, path)) = variables.iter().find(|(name, _)| name == FILE) {
            conf.load_file(Path::new(path));
        }
        for (name, value) in variables.into_iter().filter(|(name, _)| name != FILE) {
            conf.load_variable(&name, value);
        }
        conf
    }

    fn load_file(&mut self, path: &Path) {
        let text = match read_bounded(path) {
            Ok(text) => text,
            Err(error) => {
                self.problems.push(ConfError::Unreadable { path: path.to_owned(), source: Arc::new(error) });
                return;
            }
        };
        let (settings, bad) = properties::read(&text);
        for (key, value) in settings {
            self.put(&key, value, Origin::File);
        }
        let bad = bad.into_iter().map(|bad| ConfError::BadLine {
            path: path.to_owned(),
            line: bad.line,
            problem: bad.problem,
        });
        self.problems.extend(bad);
    }

    fn load_variable(&mut self, name: &str, value: String) {
        let upper = name.to_ascii_uppercase();
        match registry::names().find(|key| variable(key) == upper) {
            Some(key) => self.put(key, value, Origin::Environment),
            None => {
                let variables: Vec<String> = registry::names().map(variable).collect();
                let nearest = nearest(&upper, variables.iter().map(String::as_str)).map(str::to_owned);
                self.problems.push(ConfError::UnknownVariable { variable: name.to_owned(), nearest });
            }
        }
    }
}

/// The environment variable that sets `key`.
pub(super) fn variable(key: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    "WINTERBOURNE_".chars().chain(key.chars().map(letter)).collect()
}

fn is_ours(name: &str) -> bool {
    name == FILE || name.get(..SETTING.len()).is_some_and(|start| start.eq_ignore_ascii_case(SETTING))
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a configuration file has at most 1 MiB"));
    }
    Ok(text)
}
