//! All changes of a file in one text, each behind a switch; and leaving out those that do not compile.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::{Mutant, builds, put};
use crate::Result;
use crate::repo::Repo;

/// The switch, put at the end of the crate's root.
const SWITCH: &str = r#"
#[allow(warnings)]
mod mutation {
    use std::{fs::File, io::Write, sync::{LazyLock, atomic::{AtomicBool, Ordering::Relaxed}}};
    static ON: LazyLock<usize> = LazyLock::new(|| std::env::var("MUTANT").map_or(0, |id| id.parse().unwrap()));
    static REACHED: LazyLock<Option<File>> = LazyLock::new(|| {
        let path = std::env::var_os("MUTANTS_REACHED")?;
        Some(File::options().create(true).append(true).open(path).unwrap())
    });
    static SEEN: [AtomicBool; 1 << 16] = [const { AtomicBool::new(false) }; 1 << 16];
    pub(crate) fn on(id: usize) -> bool {
        if let Some(mut file) = REACHED.as_ref() && !SEEN[id].swap(true, Relaxed) {
            file.write_all(format!("{id}\n").as_bytes()).unwrap();
        }
        *ON == id
    }
}
"#;

/// Writes the files of `mutants` into `tree` until it compiles; whether each is in there.
pub(super) fn settle(repo: &Repo, tree: &Path, package: &str, mutants: &[Mutant]) -> Result<Vec<bool>> {
    let root = format!("{package}/src/lib.rs");
    let mut viable = vec![true; mutants.len()];
    loop {
        let mut files: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
        let some = |mutant: &&Mutant| viable[mutant.id - 1];
        mutants.iter().filter(some).for_each(|m| files.entry(&m.file).or_default().push(m));
        let mut places = BTreeMap::new();
        for file in mutants.iter().map(|m| m.file.as_str()).chain([root.as_str()]).collect::<BTreeSet<_>>() {
            let text = repo.text(file).ok_or(format!("there is no {file}"))?;
            let (mut text, at) = embedded(text, files.get(file).map_or(&[], Vec::as_slice))?;
            let held: BTreeSet<usize> = at.iter().map(|(id, _)| *id).collect();
            let lost = mutants.iter().filter(|m| m.file == file && !held.contains(&m.id));
            lost.for_each(|m| viable[m.id - 1] = false);
            if file == root {
                text.push_str(SWITCH);
            }
            put(&tree.join(file), text.as_bytes())?;
            places.insert(file.to_owned(), at);
        }
        let errors = errors(repo, tree, package)?;
        if errors.is_empty() {
            return Ok(viable);
        }
        let mut found = false;
        for (file, at) in &errors {
            let meets = |place: &Range<usize>| place.start < at.end && at.start < place.end;
            let hit = places.get(file).into_iter().flatten().filter(|(_, place)| meets(place));
            // The narrowest: what is written instead lies inside of the whole, and operators lie inside of others.
            if let Some((id, _)) = hit.min_by_key(|(_, place)| place.len()) {
                found |= std::mem::replace(&mut viable[id - 1], false);
            }
        }
        if !found {
            return Err(format!("what does not compile is no change: {errors:?}").into());
        }
    }
}

/// Where rustc finds errors: every place it points to.
fn errors(repo: &Repo, tree: &Path, package: &str) -> Result<Vec<(String, Range<usize>)>> {
    #[derive(Deserialize)]
    struct Line {
        message: Option<Message>,
    }
    #[derive(Deserialize)]
    struct Message {
        level: String,
        spans: Vec<Place>,
    }
    #[derive(Deserialize)]
    struct Place {
        file_name: String,
        byte_start: usize,
        byte_end: usize,
        is_primary: bool,
    }
    let mut command = Command::new("cargo");
    command.args(["check", "--message-format=json", "--lib"]).current_dir(tree.join(package));
    let output = command.env("CARGO_TARGET_DIR", builds(repo)).output()?;
    let mut places = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let Ok(Line { message: Some(Message { level, spans }) }) = serde_json::from_str(line) else { continue };
        if level == "error" {
            let primary = spans.iter().filter(|span| span.is_primary);
            places.extend(primary.map(|p| (p.file_name.replace("./", ""), p.byte_start..p.byte_end)));
        }
    }
    if places.is_empty() && !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(places)
}

/// Where changes are: twice each, the narrower place first.
type Places = Vec<(usize, Range<usize>)>;

/// What to write instead of a range of the text.
#[derive(Default)]
struct Edit {
    before: String,
    after: String,
    /// The changes in `before`, with their place in it.
    ids: Vec<(usize, Range<usize>)>,
}

/// The text with its changes, and where each is.
fn embedded(text: &str, mutants: &[&Mutant]) -> Result<(String, Places)> {
    let mut nodes = Nodes::default();
    nodes.visit_file(&syn::parse_file(text)?);
    let mut edits: BTreeMap<(usize, std::cmp::Reverse<usize>), Edit> = BTreeMap::new();
    for mutant in mutants {
        let Some((range, change)) = nodes.change(text, mutant) else { continue };
        let edit = edits.entry((range.start, std::cmp::Reverse(range.end))).or_default();
        let on = format!("crate::mutation::on({})", mutant.id);
        let start = edit.before.len();
        match change {
            Change::Return(value) => edit.before += &format!("if {on} {{ return {value}; }} "),
            Change::Instead(other) => {
                edit.before += &format!("(if {on} {{ {other} }} else {{ ");
                edit.after.insert_str(0, " })");
            }
            Change::Never => edit.before += &format!(" if !{on}"),
        }
        edit.ids.push((mutant.id, start..edit.before.len()));
    }
    let mut out = Out { text, ..Out::default() };
    for ((start, end), edit) in &edits {
        out.close(*start);
        out.copy(*start);
        let here = out.written.len();
        out.places.extend(edit.ids.iter().map(|(id, range)| (*id, here + range.start..here + range.end)));
        out.written.push_str(&edit.before);
        out.open.push((end.0, here, edit));
    }
    out.close(text.len());
    out.copy(text.len());
    Ok((out.written, out.places))
}

/// The text so far.
#[derive(Default)]
struct Out<'a> {
    text: &'a str,
    at: usize,
    written: String,
    places: Places,
    /// Edits that have begun: where they end, and where in what is written they began.
    open: Vec<(usize, usize, &'a Edit)>,
}

impl<'a> Out<'a> {
    fn copy(&mut self, to: usize) {
        self.written.push_str(&self.text[self.at..to]);
        self.at = to;
    }
    /// Ends the edits that do not reach beyond `at`; a second, wider place of each change is all of its edit.
    fn close(&mut self, at: usize) {
        while let Some((end, start, edit)) = self.open.pop_if(|(end, ..)| *end <= at) {
            self.copy(end);
            self.written.push_str(&edit.after);
            let whole = start..self.written.len();
            self.places.extend(edit.ids.iter().map(|(id, _)| (*id, whole.clone())));
        }
    }
}

enum Change {
    /// Return this value at once.
    Return(String),
    /// This expression for the one that is there.
    Instead(String),
    /// A guard that says so.
    Never,
}

/// What changes are about, by where they begin.
#[derive(Default)]
struct Nodes {
    /// The operator, the whole, and what is left of it without the operator.
    operators: BTreeMap<usize, (Range<usize>, Range<usize>)>,
    /// The first statement of a function.
    bodies: BTreeSet<usize>,
    /// The end of the pattern, of an arm without a guard.
    arms: BTreeMap<usize, usize>,
    guards: BTreeMap<usize, Range<usize>>,
    /// The field, and the struct around it.
    fields: BTreeMap<usize, (Range<usize>, Range<usize>)>,
}

impl Nodes {
    fn change(&self, text: &str, mutant: &Mutant) -> Option<(Range<usize>, Change)> {
        let start = mutant.at.start;
        match mutant.genre.as_str() {
            "FnValue" => {
                self.bodies.get(&start).map(|_| (mutant.at.clone(), Change::Return(mutant.replacement.clone())))
            }
            "BinaryOperator" | "UnaryOperator" => {
                let (operator, whole) = self.operators.get(&start)?;
                let other = [&text[whole.start..operator.start], &mutant.replacement, &text[operator.end..whole.end]];
                Some((whole.clone(), Change::Instead(other.concat())))
            }
            "MatchArmGuard" => {
                let guard = self.guards.get(&start)?;
                Some((guard.clone(), Change::Instead(mutant.replacement.clone())))
            }
            "MatchArm" => self.arms.get(&start).map(|end| (*end..*end, Change::Never)),
            "StructField" => {
                let (field, whole) = self.fields.get(&start)?;
                let end = field.end + text[field.end..].starts_with(',') as usize;
                let other = [&text[whole.start..field.start], &text[end..whole.end]].concat();
                Some((whole.clone(), Change::Instead(other)))
            }
            _ => None,
        }
    }
    fn body(&mut self, block: &syn::Block) {
        if let Some(first) = block.stmts.first() {
            self.bodies.insert(first.span().byte_range().start);
        }
    }
}

impl<'ast> Visit<'ast> for Nodes {
    fn visit_expr_binary(&mut self, node: &'ast syn::ExprBinary) {
        let op = node.op.span().byte_range();
        self.operators.insert(op.start, (op, node.span().byte_range()));
        visit::visit_expr_binary(self, node);
    }
    fn visit_expr_unary(&mut self, node: &'ast syn::ExprUnary) {
        let op = node.op.span().byte_range();
        self.operators.insert(op.start, (op, node.span().byte_range()));
        visit::visit_expr_unary(self, node);
    }
    fn visit_expr_match(&mut self, node: &'ast syn::ExprMatch) {
        // A guard leaves what it refuses to other arms; without one that takes all, that does not compile.
        let catches_all = node.arms.iter().any(|arm| matches!(arm.pat, syn::Pat::Wild(_)));
        for arm in &node.arms {
            if let syn::Pat::Guard(guarded) = &arm.pat {
                let guard = guarded.guard.span().byte_range();
                self.guards.insert(guard.start, guard);
            } else if catches_all {
                self.arms.insert(arm.span().byte_range().start, arm.pat.span().byte_range().end);
            }
        }
        visit::visit_expr_match(self, node);
    }
    fn visit_expr_struct(&mut self, node: &'ast syn::ExprStruct) {
        for field in &node.fields {
            self.fields.insert(field.span().byte_range().start, (field.span().byte_range(), node.span().byte_range()));
        }
        visit::visit_expr_struct(self, node);
    }
    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.body(&node.block);
        visit::visit_item_fn(self, node);
    }
    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.body(&node.block);
        visit::visit_impl_item_fn(self, node);
    }
    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        node.default.iter().for_each(|block| self.body(block));
        visit::visit_trait_item_fn(self, node);
    }
}
