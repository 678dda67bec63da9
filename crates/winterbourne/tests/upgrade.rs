//! A program is changed, built again and started on the directory of its first build: what it kept is there, or it is
//! refused and the directory is as it was. Two programs, `upgrade_v1` and `upgrade_v2`, are run one after the other.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::{
    collections::BTreeMap,
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

/// The two programs. `cargo test` builds examples as tests only, so the first to ask builds them as what they are.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let mut path = env::current_exe().unwrap();
        path.pop();
        path.pop();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--example", "upgrade_v1", "--example", "upgrade_v2"]);
        build.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", path.parent().unwrap());
        if path.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the programs do not build");
        path.join("examples")
    })
}
fn run(program: &str, args: &[&str]) -> Output {
    Command::new(programs().join(program)).args(args).output().unwrap()
}
fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A directory that the first build left, after four batches.
struct Left {
    path: PathBuf,
    ids: Vec<String>,
}
impl Left {
    fn by_the_first_build(how: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("winterbourne-upgrade-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = env::temp_dir().join(name);
        let output = run("upgrade_v1", &[&[path.to_str().unwrap()], how].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.success(), how.is_empty(), "{said}");
        let ids = said.lines().next().unwrap().split(' ').map(String::from).collect();
        Left { path, ids }
    }
    fn id(&self, kind: &str) -> &str {
        self.ids.iter().find(|id| id.starts_with(kind)).unwrap()
    }
    fn goes_on(&self, args: &[&str]) -> Vec<String> {
        let output = run("upgrade_v2", &[&[self.path.to_str().unwrap()], args].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(String::from).collect()
    }
    /// What it says; nothing but the lock was touched.
    fn is_refused(&self, args: &[&str]) -> String {
        let before = self.content();
        let output = run("upgrade_v2", &[&[self.path.to_str().unwrap()], args].concat());
        assert!(!output.status.success(), "it was not refused");
        assert_eq!(text(&output.stdout), "", "no batch ran");
        assert_eq!(self.content(), before, "the directory was touched");
        text(&output.stderr)
    }
    /// Each file with its length and a hash of its content.
    fn content(&self) -> BTreeMap<PathBuf, (usize, u64)> {
        let (mut all, mut todo) = (BTreeMap::new(), vec![self.path.clone()]);
        while let Some(directory) = todo.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    todo.push(path);
                } else if !path.ends_with("lock") {
                    let bytes = fs::read(&path).unwrap();
                    let mut hasher = DefaultHasher::new();
                    bytes.hash(&mut hasher);
                    all.insert(path, (bytes.len(), hasher.finish()));
                }
            }
        }
        assert!(all.len() >= 3, "a log, a state file and a manifest: {all:?}");
        all
    }
}
impl Drop for Left {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// What both operators should have after so many batches.
fn seen(batches: u64) -> String {
    let mut keys: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    (0..batches * 3).for_each(|x| {
        let (times, last) = keys.entry(x % 4).or_default();
        (*times, *last) = (*times + 1, x);
    });
    format!("seen {batches} {:?}", keys.into_iter().collect::<Vec<_>>())
}
fn sums(batches: u64) -> String {
    let mut keys: BTreeMap<u64, u64> = BTreeMap::new();
    (0..batches * 3).for_each(|x| *keys.entry(x % 4).or_default() += x);
    format!("sums {batches} {:?}", keys.into_iter().collect::<Vec<_>>())
}
fn as_ever() -> Vec<String> {
    vec![seen(5), sums(5), seen(6), sums(6)]
}

#[test]
fn added_reordered_and_wider_fields_need_nothing() {
    assert_eq!(Left::by_the_first_build(&[]).goes_on(&["fields"]), as_ever());
}
#[test]
fn a_changed_program_goes_on_where_the_first_build_was_killed() {
    let left = Left::by_the_first_build(&["kill"]);
    let lines = left.goes_on(&["fields"]);
    // Whether the completion of the fourth batch was durable when the process died is open; its effect on state is not.
    let new: Vec<String> = lines.iter().filter(|l| !l.contains(" 4 ")).cloned().collect();
    assert_eq!(new, as_ever());
    assert!(lines.len() == 4 || lines[..2] == [seen(4), sums(4)], "{lines:?}");
}
#[test]
fn an_incompatible_state_is_refused_before_anything_is_touched_and_a_migration_leads_through() {
    let left = Left::by_the_first_build(&[]);
    let said = left.is_refused(&["incompatible"]);
    for part in ["`times`: was u32, is str", ".migrate(", left.id("map_with_state"), "spark.streaming.recovery.drop="] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!(left.goes_on(&["migrated"]), as_ever());
}
#[test]
fn an_operator_that_was_renamed_by_a_change_upstream_keeps_its_state_under_its_old_name() {
    let left = Left::by_the_first_build(&[]);
    let id = left.id("map_with_state");
    let said = left.is_refused(&["renamed"]);
    assert!(said.contains(&format!(".uid(\"{id}\")")), "{said}");
    assert_eq!(left.goes_on(&["renamed", id]), as_ever());
}
#[test]
fn branches_in_another_order_keep_their_state() {
    assert_eq!(Left::by_the_first_build(&[]).goes_on(&["reordered"]), [sums(5), seen(5), sums(6), seen(6)]);
}
#[test]
fn a_new_branch_disturbs_nobody_and_begins_anew() {
    let lines = Left::by_the_first_build(&[]).goes_on(&["unrelated"]);
    let new = ["new 5 [(0, 2), (1, 1)]", "new 6 [(0, 6), (1, 9)]"].map(String::from);
    assert_eq!(lines, [&new[..1], &as_ever()[..2], &new[1..], &as_ever()[2..]].concat());
}
#[test]
fn state_that_is_gone_needs_consent() {
    let left = Left::by_the_first_build(&[]);
    let id = left.id("update_state_by_key");
    let said = left.is_refused(&["dropped"]);
    assert!(said.contains(&format!("spark.streaming.recovery.drop={id}")), "{said}");
    assert_eq!(left.goes_on(&["dropped", id]), [seen(5), seen(6)]);
}
