//! The public items of our crates, found by a simple scan of the sources: enough to tell that a path in the matrix
//! still exists. It knows no modules, re-exports or macro expansions: an item is named by its defining crate.

use std::collections::BTreeSet;

use crate::code::{self, close, identifier, is_word, words};
use crate::repo::File;

/// What may be named by a path.
const KEYWORDS: &[&str] = &["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "union"];

/// Items as `crate::Name`, members as `crate::Type::name`.
#[derive(Default)]
pub(crate) struct Index(BTreeSet<String>);

impl Index {
    /// All public items of the crates in `files`.
    pub(crate) fn of(files: &[File]) -> Index {
        let mut index = Index::default();
        for file in files.iter().filter(|file| file.is_rust()) {
            let mut parts = file.path.split('/');
            if let (Some("crates"), Some(folder), Some("src")) = (parts.next(), parts.next(), parts.next()) {
                let name = if folder == "winterbourne" { folder.to_owned() } else { format!("winterbourne_{folder}") };
                index.add(&name, &code::blank(&file.text));
            }
        }
        index
    }

    /// Whether `path` names an item: modules between the crate and the item may be left out.
    pub(crate) fn has(&self, path: &str) -> bool {
        let segments: Vec<&str> = path.split("::").collect();
        match segments.as_slice() {
            [krate, .., owner, name] if owner.starts_with(char::is_uppercase) => {
                self.0.contains(&format!("{krate}::{owner}::{name}"))
            }
            [krate, .., name] => self.0.contains(&format!("{krate}::{name}")),
            _ => false,
        }
    }

    fn add(&mut self, krate: &str, code: &str) {
        for name in definitions(code).filter(|(_, public)| *public).map(|(name, _)| name) {
            self.0.insert(format!("{krate}::{name}"));
        }
        for at in words(code, "macro_rules") {
            let name = identifier(code[at + "macro_rules".len()..].trim_start_matches(['!', ' ']));
            self.0.insert(format!("{krate}::{name}"));
        }
        for block in blocks(code) {
            let mut members: Vec<&str> = match block.kind {
                Kind::Enum => variants(block.body).collect(),
                _ => Vec::new(),
            };
            // What a trait promises is as public as the trait.
            let all = block.kind == Kind::Trait;
            members.extend(own_definitions(block.body).filter(|(_, public)| *public || all).map(|(name, _)| name));
            self.0.extend(members.into_iter().map(|member| format!("{krate}::{}::{member}", block.owner)));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inherent,
    Trait,
    Enum,
}

/// The body of an `impl`, `trait` or `enum`.
struct Block<'a> {
    kind: Kind,
    owner: &'a str,
    body: &'a str,
}

fn blocks(code: &str) -> impl Iterator<Item = Block<'_>> {
    ["impl", "trait", "enum"].into_iter().flat_map(move |keyword| {
        words(code, keyword).filter_map(move |at| {
            // Elsewhere `impl` stands for a type.
            let before = code[..at].trim_end();
            if keyword == "impl"
                && !(before.is_empty() || before.ends_with([';', '{', '}', ']']) || before.ends_with("unsafe"))
            {
                return None;
            }
            let open = at + code[at..].find(['{', ';']).filter(|length| code[at + length..].starts_with('{'))?;
            let header = &code[at + keyword.len()..open];
            let (kind, owner) = match keyword {
                "impl" => implemented(header),
                "trait" => (Kind::Trait, identifier(header)),
                _ => (Kind::Enum, identifier(header)),
            };
            Some(Block { kind, owner, body: &code[open + 1..close(code, open)] })
        })
    })
}

/// The type an `impl` header is about, and whether it implements a trait.
fn implemented(header: &str) -> (Kind, &str) {
    let header = header.trim_start();
    let header = if header.starts_with('<') { &header[angle_end(header)..] } else { header };
    let header = words(header, "where").next().map_or(header, |at| &header[..at]);
    let for_type = words(header, "for").find(|at| angle_depth(&header[..*at]) == 0);
    let (kind, target) = match for_type {
        Some(at) => (Kind::Trait, &header[at + "for".len()..]),
        None => (Kind::Inherent, header),
    };
    let target = target.trim_start().trim_start_matches(['&', '*']).trim_start_matches("dyn ").trim_start();
    let path = &target[..target.find(|c| !is_word(c) && c != ':').unwrap_or(target.len())];
    (kind, path.rsplit("::").next().unwrap_or(path))
}

/// How deep inside `<..>` the end of `text` is; the arrow `->` closes nothing.
fn angle_depth(text: &str) -> usize {
    text.char_indices().fold(0, |depth: usize, (at, c)| match c {
        '<' => depth + 1,
        '>' if !text[..at].ends_with(['-', '=']) => depth.saturating_sub(1),
        _ => depth,
    })
}

/// Behind the bracket that closes the one `text` starts with.
fn angle_end(text: &str) -> usize {
    text.match_indices('>').map(|(at, _)| at + 1).find(|end| angle_depth(&text[..*end]) == 0).unwrap_or(text.len())
}

/// Each definition's name and whether it is public.
fn definitions(code: &str) -> impl Iterator<Item = (&str, bool)> {
    KEYWORDS.iter().flat_map(move |keyword| {
        words(code, keyword).map(move |at| (identifier(&code[at + keyword.len()..]), is_public(&code[..at])))
    })
}

/// The definitions directly in `body`, not in blocks inside it.
fn own_definitions(body: &str) -> impl Iterator<Item = (&str, bool)> {
    KEYWORDS.iter().flat_map(move |keyword| {
        words(body, keyword)
            .filter(|at| depth(&body[..*at]) == 0)
            .map(move |at| (identifier(&body[at + keyword.len()..]), is_public(&body[..at])))
    })
}

fn depth(text: &str) -> usize {
    text.matches('{').count().saturating_sub(text.matches('}').count())
}

/// Whether the item whose keyword follows `before` is `pub` without restriction.
fn is_public(before: &str) -> bool {
    let start = before.rfind([';', '{', '}', ']']).map_or(0, |at| at + 1);
    let item = &before[start..];
    words(item, "pub").any(|at| !item[at + "pub".len()..].trim_start().starts_with('('))
}

/// The names that open the comma-separated parts of an enum's body.
fn variants(body: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (at, c) in body.char_indices() {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&body[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&body[start..]);
    parts.into_iter().map(|part| {
        let mut part = part.trim_start();
        while part.starts_with("#[") {
            part = part.split_once(']').map_or("", |(_, rest)| rest.trim_start());
        }
        identifier(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
        pub struct Rdd<T>(T);
        impl<T: Data, F: Fn(T) -> U> Rdd<T> where T: Send {
            #[doc(alias = "mapValues")]
            pub fn map(&self) { fn inner() {} }
            fn hidden(&self) {}
            pub(crate) fn half_hidden(&self) {}
        }
        impl<K, V> Rdd<(K, V)> { pub fn reduce_by_key(self, f: impl Fn(V) -> V) { struct Local; } }
        impl fmt::Display for state::Spec<'_> { fn fmt(&self) {} }
        pub trait Receiver: Send { fn on_start(&self); const LIMIT: usize; }
        pub enum Level { #[default] Memory, Disk(Option<(u8, u8)>), Both { a: u8 } }
        pub fn taking(x: impl Iterator<Item = u8>) { }
        macro_rules! table { () => {} }
        // pub fn commented() {}
        pub mod prelude {}
    "#;

    #[test]
    fn finds_public_items_and_nothing_else() {
        let file = File { path: "crates/engine/src/deep/rdd.rs".to_owned(), text: SOURCE.to_owned() };
        let index = Index::of(&[file]);
        for (path, expect) in [
            ("winterbourne_engine::Rdd", true),
            ("winterbourne_engine::Rdd::map", true),
            ("winterbourne_engine::deep::rdd::Rdd::map", true),
            ("winterbourne_engine::Rdd::reduce_by_key", true),
            ("winterbourne_engine::Spec::fmt", true),
            ("winterbourne_engine::Receiver::on_start", true),
            ("winterbourne_engine::Receiver::LIMIT", true),
            ("winterbourne_engine::Level::Memory", true),
            ("winterbourne_engine::Level::Disk", true),
            ("winterbourne_engine::Level::Both", true),
            ("winterbourne_engine::taking", true),
            ("winterbourne_engine::table", true),
            ("winterbourne_engine::prelude", true),
            ("winterbourne_engine::Rdd::hidden", false),
            ("winterbourne_engine::Rdd::half_hidden", false),
            ("winterbourne_engine::Rdd::inner", false),
            ("winterbourne_engine::Rdd::taking", false),
            ("winterbourne_engine::Level::Missing", false),
            ("winterbourne_engine::commented", false),
            ("winterbourne_streaming::Rdd", false),
            ("Rdd", false),
        ] {
            assert_eq!(index.has(path), expect, "{path}");
        }
    }
}
