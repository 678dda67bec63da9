//! Which package each test program belongs to: cargo's own messages, of which two fields are read.

use std::collections::BTreeMap;

/// The package of each test program, by file name.
#[derive(Default)]
pub(crate) struct Targets(BTreeMap<String, String>);

impl Targets {
    /// From the lines of `cargo test --no-run --message-format=json`.
    pub(crate) fn parse(messages: &str) -> Targets {
        let named = messages.lines().filter_map(|line| {
            let program = field(line, "executable")?;
            let package = package(field(line, "package_id")?);
            Some((file_name(program).to_owned(), package.to_owned()))
        });
        Targets(named.collect())
    }

    /// The package that built the program at `path`.
    pub(crate) fn package(&self, path: &str) -> Option<&str> {
        self.0.get(file_name(path)).map(String::as_str)
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// A string field; the fields we read hold no escapes but those of a path.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let start = line.find(&format!("\"{name}\":\""))? + name.len() + "\"\":\"".len();
    line[start..].split('"').next()
}

/// The name in a package id: `path+file:///folder/name#version` or `path+file:///folder#name@version`.
fn package(id: &str) -> &str {
    let (source, fragment) = id.split_once('#').unwrap_or((id, ""));
    fragment.split_once('@').map_or_else(|| file_name(source), |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_package_of_a_program() {
        let targets = Targets::parse(concat!(
            r#"{"reason":"compiler-artifact","package_id":"path+file:///x/crates/engine#winterbourne-engine@0.1.0","executable":"/x/target/debug/deps/operators-1a"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","package_id":"path+file:///x/xtask#0.1.0","executable":"/x/target/debug/deps/xtask-2b"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","package_id":"path+file:///x/lib#0.1.0","executable":null}"#,
            "\nnot json\n",
        ));
        for (path, expect) in [
            ("target/debug/deps/operators-1a", Some("winterbourne-engine")),
            ("target/debug/deps/xtask-2b", Some("xtask")),
            ("target/debug/deps/other-3c", None),
        ] {
            assert_eq!(targets.package(path), expect, "{path}");
        }
    }
}
