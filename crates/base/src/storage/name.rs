//! Which names a storage accepts. Refuses to repair one.

use std::io;

/// Begins the name of a file that is not finished.
pub(super) const UNFINISHED: &str = ".tmp-";

/// The file that says who uses a directory; no object can have its name.
pub(super) const LOCK: &str = "lock";

/// Checks the name of an object.
pub(super) fn check(name: &str) -> io::Result<()> {
    let refuse = |why: &str| {
        let message = format!("{name:?} cannot name an object of a storage: {why}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    };
    if name == LOCK {
        return refuse("that file says who uses the directory");
    }
    for part in name.split('/') {
        match part {
            "" => return refuse("a part of it is empty (names are relative)"),
            "." | ".." => return refuse("it may not step through directories"),
            _ if part.contains(['\0', '\\']) => return refuse("it contains a NUL byte or a backslash"),
            _ if part.starts_with(UNFINISHED) => return refuse("such names are those of unfinished files"),
            _ => {}
        }
    }
    Ok(())
}

/// Checks the name of a directory; `""` is the root.
pub(super) fn check_dir(name: &str) -> io::Result<()> {
    if name.is_empty() { Ok(()) } else { check(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_inside_its_directory() {
        for (name, expect) in [
            ("a", true),
            ("log/0001.journal", true),
            ("a..b/...c", true),
            ("locks/lock", true),
            ("", false),
            ("/etc/passwd", false),
            ("a//b", false),
            ("a/", false),
            ("../a", false),
            ("a/../../b", false),
            ("./a", false),
            ("a\0b", false),
            ("a\\b", false),
            (".tmp-1-2", false),
            ("a/.tmp-1-2", false),
            ("lock", false),
        ] {
            let checked = check(name);
            assert_eq!(checked.is_ok(), expect, "{name:?}");
            if let Err(error) = checked {
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            }
        }
        assert!(check_dir("").is_ok() && check_dir("..").is_err());
    }
}
