//! Which files a path means, and where they are cut: a pure function of the listing.
//!
//! A path is a file, a directory (not recursive), a glob, or several of these between commas. Names that begin with `.`
//! or `_` are hidden. Cuts follow Hadoop's arithmetic, so that partition counts are the ones Spark's users know.
use crate::{Codec, Error, Result, Site, lineage::Count};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// The largest split; Spark's on a distributed file system.
const BLOCK: u64 = 128 << 20;
/// The last piece of a file may be this much longer than a split, in tenths.
const SLOP_TENTHS: u64 = 11;
/// What opening a file costs, as bytes that could be read meanwhile.
const OPENING: u64 = 32 << 10;
/// Less work than this is not worth a partition of its own.
const LEAST: u64 = 1 << 20;

/// A range of bytes of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Split {
    pub(crate) path: Arc<PathBuf>,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// How long the file was when it was listed, if that is all that may be read of it.
    pub(crate) size: Option<u64>,
}

/// What files are cut into, or put together in: a partition each, found when somebody asks how many there are.
pub(crate) struct Pieces<S> {
    found: Arc<OnceLock<Vec<S>>>,
    pub(crate) count: Count,
}
impl<S: Send + Sync + 'static> Pieces<S> {
    pub(crate) fn of(find: impl Fn() -> Result<Vec<S>> + Send + Sync + 'static) -> Self {
        let found = Arc::new(OnceLock::new());
        let kept = found.clone();
        let count = Count::later(move || {
            let pieces = find()?;
            Ok(kept.get_or_init(|| pieces).len())
        });
        Pieces { found, count }
    }
    /// Partition `p`. That they were found once is remembered, a failure to find them is not.
    pub(crate) fn get(&self, p: usize) -> Result<&S> {
        self.count.get()?;
        Ok(&self.found.get().expect("found by counting")[p])
    }
}
impl Pieces<Split> {
    /// The files of a path, cut so that about `min` splits come out, none of which need be smaller than `least`; packed
    /// ones are whole.
    pub(crate) fn cut(path: String, min: usize, least: u64, site: Site) -> Self {
        Pieces::of(move || Ok(cut(list(&path, site)?, min, least, |p| Codec::of(p).is_some())))
    }
}

/// The files a path means, with their sizes: directories and globs in the order of names.
pub(super) fn list(pattern: &str, site: Site) -> Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    let mut parts = pattern.split(',').map(str::trim).filter(|p| !p.is_empty()).peekable();
    if parts.peek().is_none() {
        return Err(Error::NoInput { path: format!("`{pattern}`"), site });
    }
    for part in parts {
        let part = part.strip_prefix("file://").unwrap_or(part);
        let mut found = false;
        let bad = |e: glob::PatternError| Error::BadPattern { path: part.to_owned(), why: e.msg, site };
        if part.contains(['*', '?', '[']) && !Path::new(part).exists() {
            for path in glob::glob(part).map_err(bad)? {
                let path = path.map_err(|e| {
                    let (path, source) = (e.path().to_owned(), e.into());
                    Error::Input { doing: "listing", path, site, source }
                })?;
                found = true;
                if !is_hidden(&path) {
                    add(&mut files, &path, site)?;
                }
            }
        } else {
            let path = Path::new(part);
            found = path.exists();
            if found {
                add(&mut files, path, site)?;
            }
        }
        if !found {
            return Err(Error::NoInput { path: part.to_owned(), site });
        }
    }
    Ok(files)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|n| matches!(n.as_encoded_bytes().first(), Some(b'.' | b'_')))
}

fn add(files: &mut Vec<(PathBuf, u64)>, path: &Path, site: Site) -> Result<()> {
    let failed = |doing, path: &Path, source: io::Error| Error::Input { doing, path: path.to_owned(), site, source };
    let meta = fs::metadata(path).map_err(|e| failed("looking at", path, e))?;
    if !meta.is_dir() {
        files.push((path.to_owned(), meta.len()));
        return Ok(());
    }
    let entries: io::Result<Vec<_>> = fs::read_dir(path).and_then(Iterator::collect);
    let mut entries: Vec<PathBuf> =
        entries.map_err(|e| failed("listing", path, e))?.into_iter().map(|e| e.path()).collect();
    entries.retain(|p| !is_hidden(p));
    entries.sort();
    for inner in entries {
        let meta = fs::metadata(&inner).map_err(|e| failed("looking at", &inner, e))?;
        if meta.is_dir() {
            return Err(Error::NestedDirectory { path: inner, site });
        }
        files.push((inner, meta.len()));
    }
    Ok(())
}

/// Cuts files so that about `min` splits come out, of at least `least` bytes; `whole` files are not cut. An empty file has
/// no split.
fn cut(files: Vec<(PathBuf, u64)>, min: usize, least: u64, whole: impl Fn(&Path) -> bool) -> Vec<Split> {
    let total: u64 = files.iter().map(|f| f.1).sum();
    let size = (total / min.max(1) as u64).clamp(least, BLOCK);
    let mut out = Vec::new();
    for (path, len) in files {
        let whole = whole(&path);
        cut_one(path, len, size, whole, None, |split| out.push(split));
    }
    out
}

fn cut_one(path: PathBuf, len: u64, by: u64, whole: bool, size: Option<u64>, mut take: impl FnMut(Split)) {
    let (path, mut from) = (Arc::new(path), 0);
    while !whole && u128::from(len - from) * 10 > u128::from(by) * u128::from(SLOP_TENTHS) {
        take(Split { path: path.clone(), from, to: from + by, size });
        from += by;
    }
    if from < len {
        take(Split { path, from, to: len, size });
    }
}

/// Cuts files at multiples of `unit`, into splits as large as they may be.
pub(super) fn cut_records(files: Vec<(PathBuf, u64)>, unit: u64, whole: impl Fn(&Path) -> bool) -> Vec<Split> {
    let (by, mut out) = ((BLOCK / unit * unit).max(unit), Vec::new());
    for (path, len) in files {
        let whole = whole(&path);
        cut_one(path, len, by, whole, None, |split| out.push(split));
    }
    out
}

/// Puts whole files together, in their order, until each group has `enough` bytes; empty files come along. With nothing
/// being enough, all are one group.
pub(super) fn gather(files: Vec<(PathBuf, u64)>, enough: u64) -> Vec<Vec<PathBuf>> {
    let (mut out, mut load) = (Vec::<Vec<PathBuf>>::new(), None::<u64>);
    for (path, len) in files {
        match (&mut load, out.last_mut()) {
            (Some(have), Some(open)) => {
                open.push(path);
                *have += len;
            }
            _ => {
                out.push(vec![path]);
                load = Some(len);
            }
        }
        load = load.filter(|have| enough == 0 || *have < enough);
    }
    out
}

/// Cuts files that were listed before, of these lengths, and packs the pieces in their order into partitions of about
/// the same work: a thousand tiny files are a few partitions, a large one is several.
pub(super) fn pack(files: Vec<(PathBuf, u64)>, parallelism: usize, whole: impl Fn(&Path) -> bool) -> Vec<Vec<Split>> {
    let total = files.iter().fold(0u64, |sum, f| sum.saturating_add(f.1).saturating_add(OPENING));
    let size = (total / parallelism.max(1) as u64).clamp(LEAST, BLOCK);
    let (mut out, mut load) = (Vec::<Vec<Split>>::new(), 0);
    for (path, len) in files {
        let whole = whole(&path);
        cut_one(path, len, size, whole, Some(len), |split| {
            let work = split.to - split.from + OPENING;
            match out.last_mut() {
                Some(open) if load + work <= size + size / 10 => {
                    open.push(split);
                    load += work;
                }
                _ => {
                    out.push(vec![split]);
                    load = work;
                }
            }
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_counts_are_hadoops() {
        let count = |lens: &[u64], min| cut(lens.iter().map(|&n| ("f".into(), n)).collect(), min, 1, |_| false).len();
        for (lens, min, expect) in [
            (&[9u64][..], 2, 3), // 4 + 4 + 1
            (&[9], 5, 9),
            (&[9], 1, 1),
            (&[0], 2, 0),
            (&[], 2, 0),
            (&[10, 10], 2, 2),
            (&[100_000_000], 2, 2),
            (&[1 << 30], 2, 8),
            (&[11], 1, 1),
        ] {
            assert_eq!(count(lens, min), expect, "{lens:?} in {min}");
        }
        assert_eq!(cut(vec![("f".into(), 1 << 30)], 4, 1, |_| true).len(), 1);
    }
    #[test]
    fn small_files_share_partitions_and_large_ones_are_cut() {
        let kib = 1u64 << 10;
        for (count, len, parallelism, expect) in [
            (0usize, 0, 2, vec![]),
            (3, 0, 2, vec![]), // nothing to read
            (3, kib, 2, vec![3]),
            (100, kib, 4, vec![34, 34, 32]),
            (1, 4096 * kib, 2, vec![1, 1]),
            (1, (1 << 20) * kib, 2, vec![1; 8]),
            (2, 1024 * kib, 8, vec![1, 1]),
        ] {
            let files = (0..count).map(|i| (format!("{i}").into(), len)).collect();
            let packed = pack(files, parallelism, |_| false);
            let counts: Vec<_> = packed.iter().map(Vec::len).collect();
            assert_eq!(counts, expect, "{count} of {len} for {parallelism}");
            assert!(packed.iter().flatten().all(|s| s.size == Some(len)));
        }
        let zipped = pack(vec![("a".into(), 1 << 30), ("b".into(), 1)], 2, |_| true);
        assert_eq!(zipped.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    }
    #[test]
    fn whole_files_are_put_together() {
        for (lens, enough, expect) in [
            (&[][..], 1, vec![]),
            (&[1u64, 1, 1], 2, vec![2, 1]),
            (&[5, 1, 1, 0, 0], 5, vec![1, 4]),
            (&[0, 0], 0, vec![2]),
            (&[3, 3], 0, vec![2]),
            (&[0, 9, 9], 9, vec![2, 1]),
        ] {
            let groups = gather(lens.iter().map(|n| ("f".into(), *n)).collect(), enough);
            assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), expect, "{lens:?} by {enough}");
        }
    }
    #[test]
    fn records_are_not_cut() {
        let splits = |len, unit| cut_records(vec![("f".into(), len)], unit, |_| false);
        for (len, unit, expect) in
            [(0, 3, 0), (9, 3, 1), (BLOCK * 2, 3, 2), (BLOCK * 5, BLOCK * 2, 3), (BLOCK * 3, 1 << 40, 1)]
        {
            let got = splits(len, unit);
            assert_eq!(got.len(), expect, "{len} of {unit}");
            assert!(got.iter().all(|s| s.from % unit == 0) && got.last().is_none_or(|s| s.to == len));
        }
    }
    #[test]
    fn splits_cover_the_file_without_overlap() {
        for len in [1u64, 7, 100, 12345] {
            for min in [1, 2, 3, 50] {
                let mut at = 0;
                for s in cut(vec![("f".into(), len)], min, 1, |_| false) {
                    assert_eq!(s.from, at);
                    at = s.to;
                }
                assert_eq!(at, len);
            }
        }
    }
}
