//! [`Writable`]: the keys and values of sequence files.
use super::vint;
use crate::{Data, Text};

/// A key or a value of a sequence file: which of Hadoop's classes it is, and its bytes.
///
/// | Rust | `org.apache.hadoop.io.` |
/// |---|---|
/// | [`Text`], `String` | `Text` |
/// | `Vec<u8>` | `BytesWritable` |
/// | `i32`, `i64` | `IntWritable`, `LongWritable` |
/// | `f32`, `f64` | `FloatWritable`, `DoubleWritable` |
/// | `bool` | `BooleanWritable` |
/// | `()` | `NullWritable` |
///
/// For a class of your own implement it for a type of your own.
///
/// ```
/// use winterbourne_engine::Writable;
/// #[derive(Clone, Debug, PartialEq)]
/// struct Short(i16);
/// impl Writable for Short {
///     const CLASS: &str = "org.apache.hadoop.io.ShortWritable";
///     fn write_to(&self, out: &mut Vec<u8>) {
///         out.extend(self.0.to_be_bytes());
///     }
///     fn read_from(bytes: &[u8]) -> Option<Self> {
///         Some(Short(i16::from_be_bytes(bytes.try_into().ok()?)))
///     }
/// }
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
/// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-writable-{}", std::process::id()));
/// sc.parallelize([(Short(1), ())], 1).save_as_sequence_file(&dir)?;
/// assert_eq!(sc.sequence_file::<Short, ()>(dir.to_str().unwrap(), 1).collect()?, [(Short(1), ())]);
/// # std::fs::remove_dir_all(dir).unwrap();
/// # Ok::<(), winterbourne_engine::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key or a value of a sequence file",
    label = "needs one of Hadoop's classes",
    note = "there are `Text`, `String`, `Vec<u8>`, `i32`, `i64`, `f32`, `f64`, `bool` and `()`; or implement `Writable`"
)]
pub trait Writable: Data {
    /// The full name of the class, as the file has it.
    const CLASS: &'static str;
    /// Appends the bytes that the class writes.
    fn write_to(&self, out: &mut Vec<u8>);
    /// Reads them again, all of them; none if they are something else.
    fn read_from(bytes: &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($t:ty = $class:literal),*) => { $(
        impl Writable for $t {
            const CLASS: &'static str = concat!("org.apache.hadoop.io.", $class);
            fn write_to(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn read_from(bytes: &[u8]) -> Option<Self> {
                Some(<$t>::from_be_bytes(bytes.try_into().ok()?))
            }
        }
    )* };
}
numbers!(i32 = "IntWritable", i64 = "LongWritable", f32 = "FloatWritable", f64 = "DoubleWritable");

fn write_text(text: &str, out: &mut Vec<u8>) {
    vint::put(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}
fn read_text(bytes: &[u8]) -> Option<&str> {
    let (len, text) = vint::take(bytes)?;
    (usize::try_from(len) == Ok(text.len())).then(|| std::str::from_utf8(text).ok()).flatten()
}
const TEXT: &str = "org.apache.hadoop.io.Text";
impl Writable for Text {
    const CLASS: &'static str = TEXT;
    fn write_to(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }
    fn read_from(bytes: &[u8]) -> Option<Self> {
        read_text(bytes).map(Text::new)
    }
}
impl Writable for String {
    const CLASS: &'static str = TEXT;
    fn write_to(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }
    fn read_from(bytes: &[u8]) -> Option<Self> {
        read_text(bytes).map(str::to_owned)
    }
}
impl Writable for Vec<u8> {
    const CLASS: &'static str = "org.apache.hadoop.io.BytesWritable";
    fn write_to(&self, out: &mut Vec<u8>) {
        // One that is longer does not fit into a record, which is refused.
        out.extend_from_slice(&(self.len() as u32).to_be_bytes());
        out.extend_from_slice(self);
    }
    fn read_from(bytes: &[u8]) -> Option<Self> {
        let (len, bytes) = bytes.split_first_chunk()?;
        (u32::from_be_bytes(*len) as usize == bytes.len()).then(|| bytes.to_vec())
    }
}
impl Writable for bool {
    const CLASS: &'static str = "org.apache.hadoop.io.BooleanWritable";
    fn write_to(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }
    fn read_from(bytes: &[u8]) -> Option<Self> {
        if let [byte] = bytes { Some(*byte != 0) } else { None }
    }
}
impl Writable for () {
    const CLASS: &'static str = "org.apache.hadoop.io.NullWritable";
    fn write_to(&self, _: &mut Vec<u8>) {}
    fn read_from(bytes: &[u8]) -> Option<Self> {
        bytes.is_empty().then_some(())
    }
}
