//! Storage levels: as types, which say what a record must be able to do, and as a value, which can be read and printed.
use crate::{Data, HeapSize, Wire, blocks::Keeping};
use std::{fmt, str::FromStr};

/// Where computed partitions are kept, and in which form. A value of what the level types ([`MemoryOnly`] and the
/// others) say; for records that serialise it is itself a [`Level`], so that a setting can choose one.
///
/// There is one machine, so a level with replicas (`MEMORY_ONLY_2`) keeps one copy, and off the heap is memory in
/// serialised form, as there is no heap to be off.
///
/// ```
/// use winterbourne_engine::StorageLevel;
/// let level: StorageLevel = "MEMORY_AND_DISK".parse()?;
/// assert_eq!(level, StorageLevel::MEMORY_AND_DISK);
/// assert_eq!(level.to_string(), "StorageLevel(disk, memory, deserialized, 1 replicas)");
/// assert_eq!(level.description(), "Disk Memory Deserialized 1x Replicated");
/// assert_eq!("DISK".parse::<StorageLevel>().unwrap_err().to_string(), "Invalid StorageLevel: DISK");
/// # Ok::<(), winterbourne_engine::InvalidStorageLevel>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StorageLevel {
    disk: bool,
    memory: bool,
    off_heap: bool,
    deserialized: bool,
    replicas: u8,
}

/// A name that no storage level has.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("Invalid StorageLevel: {0}")]
pub struct InvalidStorageLevel(pub String);

/// What it means to keep partitions of records `T` so: implemented by [`MemoryOnly`] for all records, and by the levels
/// that serialise for those that can be. A level of one's own forwards to one of these.
#[diagnostic::on_unimplemented(
    message = "partitions of `{T}` cannot be kept as `{Self}`",
    label = "a level that serialises needs `serde::Serialize + serde::de::DeserializeOwned`",
    note = "add `#[derive(Clone, serde::Serialize, serde::Deserialize)]` to the record, or use `MemoryOnly`"
)]
pub trait Level<T: Data> {
    /// What to do with a partition.
    fn keeping(self) -> Keeping<T>;
}

/// A level under which the sizes of records are asked of [`HeapSize`] instead of estimated.
///
/// ```
/// use winterbourne_engine::{Measured, MemoryOnly, SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// let long = sc.range(0..10, 1).map(|_| vec![0u8; 1000]).persist(Measured(MemoryOnly));
/// long.count()?;
/// assert!(sc.rdd_storage_info()[0].memory_bytes > 10_000);
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Measured<L>(pub L);
impl<T: Data + HeapSize, L: Level<T>> Level<T> for Measured<L> {
    fn keeping(self) -> Keeping<T> {
        Keeping { heap: |x| x.heap_size() as u64, ..self.0.keeping() }
    }
}

impl StorageLevel {
    const fn of(disk: bool, memory: bool, deserialized: bool, replicas: u8) -> Self {
        StorageLevel { disk, memory, off_heap: false, deserialized, replicas }
    }
    /// Whether blocks may lie on disk.
    ///
    /// ```
    /// use winterbourne_engine::StorageLevel;
    /// let level = StorageLevel::MEMORY_AND_DISK_2;
    /// assert!(level.use_disk() && level.use_memory() && !level.use_off_heap() && level.is_deserialized());
    /// assert_eq!(level.replication(), 2);
    /// assert!(!StorageLevel::NONE.is_kept());
    /// ```
    pub const fn use_disk(self) -> bool {
        self.disk
    }
    /// Whether blocks may lie in memory.
    pub const fn use_memory(self) -> bool {
        self.memory
    }
    /// Whether Spark would keep them outside of its heap.
    pub const fn use_off_heap(self) -> bool {
        self.off_heap
    }
    /// Whether what lies in memory are records, not bytes.
    pub const fn is_deserialized(self) -> bool {
        self.deserialized
    }
    /// How many copies Spark would keep.
    pub const fn replication(self) -> u8 {
        self.replicas
    }
    /// Whether anything is kept.
    pub const fn is_kept(self) -> bool {
        self.disk || self.memory
    }
    /// The same level, with the disk.
    pub(crate) const fn on_disk_too(self) -> Self {
        StorageLevel { disk: true, ..self }
    }
    /// In words, as Spark's UI shows it.
    pub fn description(self) -> String {
        let disk = if self.disk { "Disk " } else { "" };
        let memory = match (self.memory, self.off_heap) {
            (true, true) => "Memory (off heap) ",
            (true, false) => "Memory ",
            _ => "",
        };
        let form = if self.deserialized { "Deserialized" } else { "Serialized" };
        format!("{disk}{memory}{form} {}x Replicated", self.replicas)
    }
}
impl fmt::Display for StorageLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.disk, "disk"),
            (self.memory, "memory"),
            (self.off_heap, "offheap"),
            (self.deserialized, "deserialized"),
        ];
        f.write_str("StorageLevel(")?;
        parts.iter().filter(|(is, _)| *is).try_for_each(|(_, name)| write!(f, "{name}, "))?;
        write!(f, "{} replicas)", self.replicas)
    }
}
impl fmt::Debug for StorageLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! levels {
    ($($bound:ident: $name:ident $constant:ident $text:literal = $level:expr, $keeping:ident, $doc:literal;)*) => {
        impl StorageLevel {
            $(#[doc = $doc] pub const $constant: StorageLevel = $level;)*
        }
        impl FromStr for StorageLevel {
            type Err = InvalidStorageLevel;
            fn from_str(name: &str) -> Result<Self, InvalidStorageLevel> {
                match name {
                    "NONE" => Ok(StorageLevel::NONE),
                    $($text => Ok(StorageLevel::$constant),)*
                    _ => Err(InvalidStorageLevel(name.to_owned())),
                }
            }
        }
        $(
            #[doc = $doc]
            #[doc = concat!("\n\nSpark's `", $text, "`.")]
            #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
            pub struct $name;
            impl From<$name> for StorageLevel {
                fn from(_: $name) -> Self {
                    StorageLevel::$constant
                }
            }
            impl<T: $bound> Level<T> for $name {
                fn keeping(self) -> Keeping<T> {
                    Keeping::$keeping(StorageLevel::$constant)
                }
            }
        )*
    };
}
levels! {
    Data: MemoryOnly MEMORY_ONLY "MEMORY_ONLY" = StorageLevel::of(false, true, true, 1), plain,
        "Records in memory; a partition that does not fit is computed again when it is wanted. What `cache` means.";
    Data: MemoryOnly2 MEMORY_ONLY_2 "MEMORY_ONLY_2" = StorageLevel::of(false, true, true, 2), plain,
        "As `MemoryOnly`: on one machine there is one copy.";
    Wire: MemoryOnlySer MEMORY_ONLY_SER "MEMORY_ONLY_SER" = StorageLevel::of(false, true, false, 1), serial,
        "Bytes in memory: smaller than records, and decoded at every reading.";
    Wire: MemoryOnlySer2 MEMORY_ONLY_SER_2 "MEMORY_ONLY_SER_2" = StorageLevel::of(false, true, false, 2), serial,
        "As `MemoryOnlySer`: on one machine there is one copy.";
    Wire: MemoryAndDisk MEMORY_AND_DISK "MEMORY_AND_DISK" = StorageLevel::of(true, true, true, 1), serial,
        "Records in memory; what does not fit goes to disk.";
    Wire: MemoryAndDisk2 MEMORY_AND_DISK_2 "MEMORY_AND_DISK_2" = StorageLevel::of(true, true, true, 2), serial,
        "As `MemoryAndDisk`: on one machine there is one copy.";
    Wire: MemoryAndDiskSer MEMORY_AND_DISK_SER "MEMORY_AND_DISK_SER" = StorageLevel::of(true, true, false, 1), serial,
        "Bytes in memory; what does not fit goes to disk as it is.";
    Wire: MemoryAndDiskSer2 MEMORY_AND_DISK_SER_2 "MEMORY_AND_DISK_SER_2" = StorageLevel::of(true, true, false, 2), serial,
        "As `MemoryAndDiskSer`: on one machine there is one copy.";
    Wire: DiskOnly DISK_ONLY "DISK_ONLY" = StorageLevel::of(true, false, false, 1), serial,
        "Bytes on disk.";
    Wire: DiskOnly2 DISK_ONLY_2 "DISK_ONLY_2" = StorageLevel::of(true, false, false, 2), serial,
        "As `DiskOnly`: on one machine there is one copy.";
    Wire: DiskOnly3 DISK_ONLY_3 "DISK_ONLY_3" = StorageLevel::of(true, false, false, 3), serial,
        "As `DiskOnly`: on one machine there is one copy.";
    Wire: OffHeap OFF_HEAP "OFF_HEAP" = StorageLevel { off_heap: true, ..StorageLevel::MEMORY_AND_DISK_SER }, serial,
        "As `MemoryAndDiskSer`: there is no heap to be off.";
}
impl StorageLevel {
    /// Nothing is kept.
    pub const NONE: StorageLevel = StorageLevel::of(false, false, false, 1);
}
impl<T: Wire> Level<T> for StorageLevel {
    fn keeping(self) -> Keeping<T> {
        Keeping::serial(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_values_and_words_are_sparks() {
        for (name, value, text, words) in [
            ("NONE", StorageLevel::NONE, "1 replicas", "Serialized 1x Replicated"),
            ("DISK_ONLY_3", DiskOnly3.into(), "disk, 3 replicas", "Disk Serialized 3x Replicated"),
            ("MEMORY_ONLY", MemoryOnly.into(), "memory, deserialized, 1 replicas", "Memory Deserialized 1x Replicated"),
            ("MEMORY_ONLY_SER_2", MemoryOnlySer2.into(), "memory, 2 replicas", "Memory Serialized 2x Replicated"),
            (
                "MEMORY_AND_DISK_SER",
                MemoryAndDiskSer.into(),
                "disk, memory, 1 replicas",
                "Disk Memory Serialized 1x Replicated",
            ),
            (
                "OFF_HEAP",
                OffHeap.into(),
                "disk, memory, offheap, 1 replicas",
                "Disk Memory (off heap) Serialized 1x Replicated",
            ),
        ] {
            assert_eq!(name.parse(), Ok(value));
            assert_eq!((value.to_string(), value.description()), (format!("StorageLevel({text})"), words.to_owned()));
        }
        for wrong in ["", "memory_only", "MEMORY_ONLY_3", "OFF_HEAP_2"] {
            assert_eq!(wrong.parse::<StorageLevel>(), Err(InvalidStorageLevel(wrong.to_owned())));
        }
    }
}
