//! Records into files: an action writes a directory, one file for each partition, all of them or none.
//!
//! [`Directory`] is the one mechanism (begin, stage, commit, abort); what the bytes of a file are belongs to the caller:
//! text here, records of our own in `object`, Hadoop's sequence files in `sequence`, anything in
//! [`save_as_files`](Rdd::save_as_files).
mod directory;
mod part;
mod target;

pub(crate) use part::Part;
pub use target::Output;

use crate::{BoxError, Data, Error, Flow, Rdd, Records, Result, Show, Site, at, job::Action, show::show_to};
use directory::Directory;
use std::{io, sync::Arc};
use winterbourne_base::conf::keys;

/// Text that waits before it is packed and written.
const BUFFER: usize = 64 << 10;

impl<T: Data> Rdd<T> {
    /// Writes the text form of each record ([`show`](crate::show)) as a line, a file for each partition: `part-00000`,
    /// `part-00001`, … in a new directory, also for partitions without records. An RDD without partitions makes a
    /// directory that holds only `_SUCCESS`.
    ///
    /// The files appear together when all are whole and on the disk, and `_SUCCESS` after them. A task that fails and is
    /// tried again leaves nothing of its first attempt; a job that fails leaves no directory. Strings are written as they
    /// are: one that holds a line end becomes several lines.
    ///
    /// With a codec the files are packed and end accordingly ([`Output`]).
    ///
    /// ```
    /// use winterbourne_engine::{Codec, Output};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-save-{}", std::process::id()));
    /// let counts = sc.parallelize([("to", 2), ("be", 2)], 2);
    /// counts.save_as_text_file(dir.join("plain"))?;
    /// assert_eq!(std::fs::read_to_string(dir.join("plain/part-00000")).unwrap(), "(to,2)\n");
    /// counts.save_as_text_file(Output::to(dir.join("packed")).codec(Codec::Gzip))?;
    /// let lines = sc.text_file(dir.join("packed/part-*.gz").to_str().unwrap(), 1);
    /// assert_eq!(lines.collect()?, ["(to,2)", "(be,2)"]);
    /// # std::fs::remove_dir_all(dir).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutputExists`] if the directory is there, unless `spark.hadoop.validateOutputSpecs` is false: then files
    /// are replaced one by one, and others stay. [`Error::Output`] with the path if something cannot be written. And as
    /// [`SparkContext::run_job`](crate::SparkContext::run_job).
    #[doc(alias = "saveAsTextFile")]
    #[track_caller]
    pub fn save_as_text_file(&self, output: impl Into<Output>) -> Result<()>
    where
        T: Show,
    {
        self.save_as_text_file_at(Site::caller(), output)
    }
    /// [`save_as_text_file`](Rdd::save_as_text_file) on behalf of `site`.
    ///
    /// # Errors
    /// As there.
    pub fn save_as_text_file_at(&self, site: Site, output: impl Into<Output>) -> Result<()>
    where
        T: Show,
    {
        self.save_at(Action { name: "save_as_text_file", site }, output.into(), move |flow, part| {
            let mut text = String::new();
            flow.each(|c| {
                at(site);
                for record in c.as_slice() {
                    show_to(&mut text, record).map_err(|e| Error::Unwritable { site, why: e.to_string() })?;
                    text.push('\n');
                    if text.len() >= BUFFER {
                        part.put(text.as_bytes())?;
                        text.clear();
                    }
                }
                Ok(())
            })?;
            part.put(text.as_bytes())
        })
    }
    /// Writes a file for each partition in a format of your own: `write` gets the records of a partition and where to
    /// write them. Names, packing, and what happens if something fails are as for
    /// [`save_as_text_file`](Rdd::save_as_text_file). It is what Spark's `saveAsHadoopFile` is for.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-files-{}", std::process::id()));
    /// sc.range(0..3, 1).save_as_files(&dir, |numbers, file| {
    ///     for n in numbers {
    ///         file.write_all(&n.to_le_bytes())?;
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(std::fs::read(dir.join("part-00000")).unwrap().len(), 24);
    /// # std::fs::remove_dir_all(dir).unwrap();
    /// # Ok::<(), winterbourne_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`save_as_text_file`](Rdd::save_as_text_file); what `write` returns fails its task.
    #[doc(alias = "saveAsHadoopFile")]
    #[doc(alias = "saveAsNewAPIHadoopFile")]
    #[track_caller]
    pub fn save_as_files(
        &self,
        output: impl Into<Output>,
        write: impl Fn(Records<T>, &mut dyn io::Write) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Result<()> {
        let site = Site::caller();
        self.save_at(Action { name: "save_as_files", site }, output.into(), move |flow, part| {
            at(site);
            // What writing itself met is told with the path.
            write(flow.records(), part).map_err(|e| match e.downcast::<io::Error>() {
                Ok(e) => part.failed(*e),
                Err(e) => Error::from(e),
            })
        })
    }
    /// Writes a directory, on behalf of an action.
    pub(crate) fn save_at(
        &self,
        action: Action,
        output: Output,
        write: impl Fn(Flow<T>, &mut Part) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        let (sc, site) = (&self.sc, action.site);
        sc.may_run(action)?;
        let (partitions, codec) = (self.num_partitions()?, output.codec);
        let overwrite = !sc.conf().value(keys::VALIDATE_OUTPUT_SPECS)?;
        // Of several lanes the first has it. Dropped before it is committed, it takes back what it did.
        let mut directory = None;
        let staging = sc.once(action, || {
            let begun = Directory::begin(output, overwrite, site)?;
            let staging = begun.staging().to_owned();
            directory = Some(begun);
            Ok(Arc::new(staging))
        })?;
        sc.run_action(action, self, (0..partitions).collect(), move |p, flow, task| {
            let mut part = Part::create(&staging, p, task.attempt, codec, site)?;
            write(flow, &mut part)?;
            part.stage()
        })?;
        sc.once(action, || match directory {
            Some(directory) => directory.commit(partitions, codec),
            None => Ok(()),
        })
    }
}
