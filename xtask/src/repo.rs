//! The working tree: where it is and the text files in it. Knows nothing of what the files should say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// Build output and version control are no part of the tree.
const SKIPPED: &[&str] = &[".git", "target"];

/// One text file; `path` is relative to the root, with forward slashes.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// A Rust source file.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// A Markdown document.
    pub(crate) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// The manifest of a member under `crates/`.
    pub(crate) fn is_member_manifest(&self) -> bool {
        self.path.starts_with("crates/") && self.path.ends_with("/Cargo.toml")
    }
}

/// The repository, read once.
pub(crate) struct Repo {
    root: PathBuf,
    files: Vec<File>,
    paths: BTreeSet<String>,
}

impl Repo {
    /// The repository this program was built from.
    pub(crate) fn here() -> Result<Repo> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("xtask has no parent folder")?.to_owned();
        let mut repo = Repo { root, files: Vec::new(), paths: BTreeSet::new() };
        repo.read("")?;
        Ok(repo)
    }

    /// All text files, in the order of their paths.
    pub(crate) fn files(&self) -> &[File] {
        &self.files
    }

    /// The text of one file, if it is there.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Whether a file or folder exists, by its path from the root.
    pub(crate) fn has(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path.trim_end_matches('/'))
    }

    /// The root folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where builds go, and our own reports beside them.
    pub(crate) fn target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), |dir| self.root.join(dir))
    }

    fn read(&mut self, folder: &str) -> Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.root.join(folder))? {
            let entry = entry?;
            if let Some(name) = entry.file_name().to_str() {
                names.push((name.to_owned(), entry.file_type()?.is_dir()));
            }
        }
        names.sort();
        for (name, is_folder) in names {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            self.paths.insert(path.clone());
            if is_folder {
                self.read(&path)?;
            } else if let Ok(text) = String::from_utf8(fs::read(self.root.join(&path))?) {
                self.files.push(File { path, text });
            }
        }
        Ok(())
    }
}

/// `base` joined with the relative `link`, without `.` and `..`; `None` if it leaves the repository.
pub(crate) fn resolve(base: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The folder of a path.
pub(crate) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_links_inside_the_repository_only() {
        for (base, link, expect) in [
            ("docs", "guide.md", Some("docs/guide.md")),
            ("docs", "../README.md", Some("README.md")),
            ("", "./wb", Some("wb")),
            ("docs", "../..", None),
        ] {
            assert_eq!(resolve(base, link).as_deref(), expect, "{base} {link}");
        }
    }
}
