//! [`build_id`]: which build of the program this is.

use std::sync::OnceLock;
use std::time::UNIX_EPOCH;
use std::{env, fs};

/// A number that two builds of a program hardly ever share: made of the length and the modification time of the
/// executable. A copy made later counts as another build. 0 where the system does not tell.
///
/// ```
/// assert_eq!(winterbourne_base::build_id(), winterbourne_base::build_id());
/// ```
#[must_use]
pub fn build_id() -> u64 {
    static ID: OnceLock<u64> = OnceLock::new();
    *ID.get_or_init(|| {
        let found = env::current_exe().and_then(fs::metadata).and_then(|file| Ok((file.len(), file.modified()?)));
        let Ok((len, modified)) = found else { return 0 };
        let nanos = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        nanos.rotate_left(20) ^ len.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}
