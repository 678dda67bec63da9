//! Master strings: `local`, `local[N]`, `local[*]`, `local[N,F]`, `local[*,F]`.
use std::{fmt, str::FromStr};
use winterbourne_base::thread::available_parallelism;

/// Where and with how many threads a context runs its tasks, and how often it tries each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Master {
    /// Tasks that run at once: the thread that calls an action and `threads - 1` helpers.
    pub threads: usize,
    /// How often a task is tried before its job fails. `local[N]` never tries again, as in Spark.
    pub attempts: u32,
}

/// A master string that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MasterError {
    /// Not of any known form.
    #[error(
        "could not parse master URL: `{given}`; use `local`, `local[N]`, `local[*]`, `local[N,F]` or `local[*,F]` (N threads, F attempts a task)"
    )]
    Unknown {
        /// The string.
        given: String,
    },
    /// A number that must be positive is not.
    #[error("master `{given}`: {what} must be a number from 1 to {most}")]
    Number {
        /// The string.
        given: String,
        /// Which number.
        what: &'static str,
        /// Its largest value.
        most: u32,
    },
    /// A cluster this build knows nothing of.
    #[error(
        "master `{given}` names a cluster, and this program is built without one; use `local[N]` for N threads of this machine"
    )]
    Cluster {
        /// The string.
        given: String,
    },
}

const MOST_THREADS: u32 = 4096;
const MOST_ATTEMPTS: u32 = 1000;

impl FromStr for Master {
    type Err = MasterError;
    fn from_str(given: &str) -> Result<Self, MasterError> {
        let unknown = || MasterError::Unknown { given: given.to_owned() };
        if given == "local" {
            return Ok(Master { threads: 1, attempts: 1 });
        }
        if ["spark://", "yarn", "k8s://", "mesos://", "local-cluster["].iter().any(|c| given.starts_with(c)) {
            return Err(MasterError::Cluster { given: given.to_owned() });
        }
        let inside = given.strip_prefix("local[").and_then(|r| r.strip_suffix(']')).ok_or_else(unknown)?;
        let (threads, attempts) = match inside.split_once(',') {
            Some((n, f)) => (n.trim(), Some(f.trim())),
            None => (inside.trim(), None),
        };
        let number = |text: &str, what, most| match text.parse::<u32>() {
            Ok(n) if (1..=most).contains(&n) => Ok(n),
            Ok(_) => Err(MasterError::Number { given: given.to_owned(), what, most }),
            Err(_) if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() => {
                Err(MasterError::Number { given: given.to_owned(), what, most })
            }
            Err(_) => Err(unknown()),
        };
        let threads = match threads {
            "*" => available_parallelism(),
            n => number(n, "the number of threads", MOST_THREADS)? as usize,
        };
        let attempts = attempts.map_or(Ok(1), |f| number(f, "the number of attempts", MOST_ATTEMPTS))?;
        Ok(Master { threads, attempts })
    }
}
impl fmt::Display for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempts {
            1 => write!(f, "local[{}]", self.threads),
            n => write!(f, "local[{},{n}]", self.threads),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn master_strings() {
        let all = available_parallelism();
        let ok = |s: &str, threads, attempts| assert_eq!(s.parse(), Ok(Master { threads, attempts }), "{s}");
        ok("local", 1, 1);
        ok("local[3]", 3, 1);
        ok("local[*]", all, 1);
        ok("local[2,3]", 2, 3);
        ok("local[2, 3]", 2, 3);
        ok("local[*,4]", all, 4);
        for bad in ["", "foo", "local[", "local[]", "local[x]", "local[2,]", "local[-1]", "Local[2]", "local[1,2,3]"] {
            assert!(matches!(bad.parse::<Master>(), Err(MasterError::Unknown { .. })), "{bad}");
        }
        for bad in ["local[0]", "local[2,0]", "local[99999999999]"] {
            assert!(matches!(bad.parse::<Master>(), Err(MasterError::Number { .. })), "{bad}");
        }
        for far in ["spark://h:7077", "yarn", "k8s://https://x", "local-cluster[2,1,1024]"] {
            assert!(matches!(far.parse::<Master>(), Err(MasterError::Cluster { .. })), "{far}");
        }
    }
}
