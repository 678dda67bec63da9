//! More than memory: a text sorted and grouped within a budget, beside `sort` of the system with as much memory.
use crate::{
    Out, Result,
    args::Args,
    corpus,
    meter::{Spent, measure},
    row::Row,
    scratch::Scratch,
    words::conf,
};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};
use winterbourne::{SparkContext, Text};

pub(crate) fn run(args: &Args, out: Out) -> Result {
    let (n, budget, threads) = (args.n.unwrap_or(400_000_000), args.budget_mb.unwrap_or(64), args.threads());
    let (file, scratch) = (corpus::file(args, Some(n))?, Scratch::new(args)?);
    let bytes = fs::metadata(&file)?.len();
    let path = file.to_str().ok_or("the text's path is not UTF-8")?;
    let spill = scratch.path().join("spill");
    fs::create_dir(&spill)?;
    let conf = conf(threads).set("spark.memory.size", format!("{budget}m"));
    let sc = SparkContext::new(conf.set("spark.local.dir", spill.to_str().ok_or("not UTF-8")?))?;
    let partitions = 4 * threads;
    // Brings the file into the page cache as well.
    let lines = sc.text_file(path, partitions).count()?;
    let row = |variant: &str, spent| Row::new("spill", variant, threads, lines, spent).bytes(bytes);
    for round in 0..args.rounds(1) {
        if args.wants("sort") {
            let to = scratch.path().join(format!("sorted-{round}"));
            let name = to.to_str().ok_or("not UTF-8")?;
            let before = sc.memory_status().spilled_bytes;
            let (done, spent) = measure(|| sc.text_file(path, partitions).sort_by(Text::clone).save_as_text_file(name));
            done?;
            let spilled = sc.memory_status().spilled_bytes - before;
            out(row("sort", spent).result("hash", hash_of_parts(&to)?).more("spilled", spilled));
            fs::remove_dir_all(to)?;
        }
        if args.wants("sort, limit") {
            let to = scratch.path().join("sorted.txt");
            let (done, spent) = child(|| sort(&file, &spill, budget, threads).arg("-o").arg(&to).status());
            if !done?.success() {
                return Err("sort failed".into());
            }
            out(row("sort, limit", spent).result("hash", hash(File::open(&to)?)?));
            fs::remove_file(to)?;
        }
        if args.wants("group") {
            let before = sc.memory_status().spilled_bytes;
            let (found, spent) = measure(|| {
                let pairs = sc.text_file(path, partitions).map(|line| (Text::from(first_word(&line)), line));
                let counts = pairs.flat_map_groups_in(|_, lines| Some(lines.count() as u64), partitions);
                counts.aggregate((0u64, 0u64), |all, n| (all.0 + 1, all.1.max(n)), |a, b| (a.0 + b.0, a.1.max(b.1)))
            });
            let (groups, largest) = found?;
            let spilled = sc.memory_status().spilled_bytes - before;
            out(row("group", spent).result("groups", groups).result("largest", largest).more("spilled", spilled));
        }
        if args.wants("group, limit") {
            let (found, spent) = child(|| -> Result<(u64, u64)> {
                let mut child =
                    sort(&file, &spill, budget, threads).args(["-s", "-k1,1"]).stdout(Stdio::piped()).spawn()?;
                let found = groups_in(BufReader::with_capacity(1 << 16, child.stdout.take().ok_or("piped")?))?;
                if child.wait()?.success() { Ok(found) } else { Err("sort failed".into()) }
            });
            let (groups, largest) = found?;
            out(row("group, limit", spent).result("groups", groups).result("largest", largest));
        }
    }
    Ok(())
}

/// The system's `sort`, by bytes, with as much memory and as many threads.
fn sort(file: &Path, spill: &Path, budget: u64, threads: usize) -> Command {
    let mut sort = Command::new("sort");
    sort.env("LC_ALL", "C").arg(format!("--buffer-size={budget}M")).arg(format!("--parallel={threads}"));
    sort.arg("--temporary-directory").arg(spill).arg(file);
    sort
}
fn first_word(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}
/// How many groups of lines there are in sorted ones, and how large the largest is.
fn groups_in(mut lines: impl BufRead) -> Result<(u64, u64)> {
    let (mut line, mut key, mut groups, mut own, mut largest) = (String::new(), None::<String>, 0, 0u64, 0);
    while lines.read_line(&mut line)? > 0 {
        let word = first_word(line.trim_end_matches('\n'));
        if key.as_deref() != Some(word) {
            (key, own) = (Some(word.to_owned()), 0);
            groups += 1;
        }
        own += 1;
        largest = largest.max(own);
        line.clear();
    }
    Ok((groups, largest))
}

/// What a text is, whoever wrote it: in one file or in several, in the order of their names.
fn hash(mut text: impl Read) -> Result<u64> {
    let (mut hash, mut buffer) = (0xcbf2_9ce4_8422_2325u64, vec![0; 1 << 16]);
    loop {
        match text.read(&mut buffer)? {
            0 => return Ok(hash),
            n => hash = buffer[..n].iter().fold(hash, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3)),
        }
    }
}
fn hash_of_parts(dir: &Path) -> Result<u64> {
    let mut parts: Vec<_> = fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<std::io::Result<_>>()?;
    parts.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("part-")));
    parts.sort();
    let empty: Box<dyn Read> = Box::new(std::io::empty());
    let all = parts
        .iter()
        .try_fold(empty, |all, part| -> Result<Box<dyn Read>> { Ok(Box::new(all.chain(File::open(part)?))) });
    hash(all?)
}

/// What children took while this was done; their peak is that of the largest there ever was.
fn child<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    let (begun, before) = (Instant::now(), children());
    let done = work();
    let (wall_s, after) = (begun.elapsed().as_secs_f64(), children());
    (done, Spent { wall_s, cpu_s: after.0 - before.0, peak_rss_mb: after.1 })
}
/// Processor seconds, and megabytes.
fn children() -> (f64, f64) {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a whole `rusage`, which the call fills or, failing, leaves zero: a valid value of it.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss as f64 / 1024.0)
}
