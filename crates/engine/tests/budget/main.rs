//! Data at least four times as large as the memory budget, each operator in a process of its own: the process stays below
//! the budget and 128 MB, what comes out is what plain loops say, something was spilled, and no file is left, whether it
//! succeeds, fails, panics or is killed.
//!
//! `WINTERBOURNE_BUDGET` and `WINTERBOURNE_RECORDS` (about 120 bytes each) make it larger: `./wb test-memory` does.
mod child;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Command, ExitCode, Output, Stdio},
};

/// The megabytes that a process may take beside its budget.
const BESIDE: u64 = 128;

pub(crate) struct Size {
    /// Of the budget, in megabytes.
    pub(crate) budget: u64,
    pub(crate) records: u64,
}
impl Size {
    fn get() -> Self {
        let number = |name, default| env::var(name).map_or(default, |v: String| v.parse().expect("a number"));
        Size { budget: number("WINTERBOURNE_BUDGET", 24), records: number("WINTERBOURNE_RECORDS", 900_000) }
    }
}

/// A place for the files of one child.
struct Place(PathBuf);
impl Place {
    fn new() -> Self {
        let path = env::temp_dir().join(winterbourne_base::scratch::unique());
        fs::create_dir(&path).expect("a new directory");
        Place(path)
    }
    fn child(&self, what: &str) -> Command {
        let mut child = Command::new(env::current_exe().expect("this program"));
        child.env("WINTERBOURNE_CHILD", what).env("WINTERBOURNE_PLACE", &self.0);
        child
    }
    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).expect("readable").next().is_none()
    }
}
impl Drop for Place {
    fn drop(&mut self) {
        // What a failing test leaves may be in use.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a child said at its end: `peak` in megabytes, `spilled` in bytes.
fn said(output: &Output, what: &str) -> u64 {
    let text = String::from_utf8_lossy(&output.stdout);
    let words = text.split_whitespace();
    let value = words.skip_while(|w| *w != what).nth(1);
    let complaint = || format!("no {what} from the child:\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    value.and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{}", complaint()))
}
fn stays_below_the_budget(what: &str) {
    let (place, size) = (Place::new(), Size::get());
    let output = place.child(what).output().expect("a process");
    let (peak, spilled) = (said(&output, "peak"), said(&output, "spilled"));
    println!("{what}: peak {peak} MB of {} and {BESIDE}, spilled {} MB", size.budget, spilled >> 20);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said(&output, "weight") >= 4 * size.budget, "the data is too small: {} MB", said(&output, "weight"));
    assert!(peak < size.budget + BESIDE, "{what} took {peak} MB");
    assert!(spilled > 0);
    assert!(place.is_empty(), "files are left");
}

fn killed_in_the_middle_its_files_go_at_the_next_start() {
    let place = Place::new();
    let mut child = place.child("wait");
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says when it has spilled");
    assert_eq!(line, "spilled\n");
    child.kill().expect("it runs");
    assert_eq!(child.wait().expect("it was started").signal(), Some(9));
    assert!(!place.is_empty(), "it had no time to remove anything");
    let output = place.child("little").output().expect("a process");
    assert!(output.status.success() && said(&output, "spilled") > 0);
    assert!(place.is_empty(), "files are left");
}
fn a_panic_leaves_no_files() {
    let place = Place::new();
    let output = place.child("panic").output().expect("a process");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("the driver panics"));
    assert!(place.is_empty(), "files are left");
}
/// A limit on the size of files stands for a full disk: writing fails in the middle.
fn a_full_disk_fails_the_job_and_not_the_context() {
    let place = Place::new();
    let output = place.child("full").output().expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let place_text = place.0.to_str().expect("plain");
    assert!(
        text.contains("spilling to") && text.contains(place_text) && text.contains("bytes: File too large"),
        "{text}"
    );
    assert!(text.contains("spark.local.dir") && text.contains("the context lives: 10"), "{text}");
    assert!(place.is_empty(), "files are left");
}

fn main() -> ExitCode {
    if let Ok(what) = env::var("WINTERBOURNE_CHILD") {
        return child::run(&what, &Size::get());
    }
    let mut tests: Vec<(String, Box<dyn Fn() + std::panic::UnwindSafe>)> = Vec::new();
    for what in child::OPERATORS {
        tests.push((format!("{what}_stays_below_the_budget"), Box::new(move || stays_below_the_budget(what))));
    }
    tests.push((
        "killed_in_the_middle_its_files_go_at_the_next_start".into(),
        Box::new(killed_in_the_middle_its_files_go_at_the_next_start),
    ));
    tests.push(("a_panic_leaves_no_files".into(), Box::new(a_panic_leaves_no_files)));
    tests.push((
        "a_full_disk_fails_the_job_and_not_the_context".into(),
        Box::new(a_full_disk_fails_the_job_and_not_the_context),
    ));
    // The names given to `cargo test` choose, as everywhere; a child for each, one after another: they are large.
    let wanted: Vec<String> = env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let (mut passed, mut failed, mut left_out) = (0, 0, 0);
    println!("\nrunning {} tests", tests.len());
    for (name, test) in tests {
        if !wanted.is_empty() && !wanted.iter().any(|w| name.contains(w.as_str())) {
            left_out += 1;
        } else if std::panic::catch_unwind(test).is_ok() {
            passed += 1;
            println!("test {name} ... ok");
        } else {
            failed += 1;
            println!("test {name} ... FAILED");
        }
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {left_out} filtered out; finished in 0.00s\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
