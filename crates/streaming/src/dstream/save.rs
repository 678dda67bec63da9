//! Outputs that write a directory for each batch.
use super::DStream;
use winterbourne_base::Time;
use winterbourne_engine::{Data, Output, Rdd, Result, Show, Site, Wire};

impl<T: Data> DStream<T> {
    /// Writes every batch as text, in a directory of its own: `prefix-<ms>`, or `prefix-<ms>.suffix` unless `suffix` is
    /// empty, where `<ms>` is the batch time; without a prefix it is `<ms>` or `<ms>.suffix`. What is in it is as
    /// [`Rdd::save_as_text_file`] makes it, also for an empty batch: a file for each partition, and `_SUCCESS` last.
    ///
    /// A batch that is run again replaces the directory that it wrote before, with nothing left of the first time; while it
    /// does there is no `_SUCCESS`. So what is there in the end is each batch once, also after a kill, if readers wait for
    /// `_SUCCESS`. A directory of the same name that is not this application's output of this batch fails the batch:
    /// nothing of anybody else is written over.
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..5, 1)].into_iter().collect();
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-batches-{}", std::process::id()));
    /// # let dir = dir.to_str().unwrap();
    /// ssc.queue_stream(&batches).map(|x| (x, x * x)).save_as_text_files(format!("{dir}/squares"), "txt");
    /// let time = ssc.start_stepped()?.step()?;
    /// let first = format!("{dir}/squares-{}.txt/part-00000", time.as_millis());
    /// assert!(std::fs::read_to_string(first)?.starts_with("(0,0)\n(1,1)\n"));
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Two outputs of one program with the same prefix and suffix are an error of `start`.
    #[doc(alias = "saveAsTextFiles")]
    #[track_caller]
    pub fn save_as_text_files(&self, prefix: impl Into<String>, suffix: impl Into<String>)
    where
        T: Show,
    {
        let site = Site::caller();
        let save = move |rdd: &Rdd<T>, output| rdd.save_as_text_file_at(site, output);
        self.save("save_as_text_files", site, prefix.into(), suffix.into(), save);
    }
    /// Writes every batch so that [`object_file`](winterbourne_engine::SparkContext::object_file) reads it again, in a
    /// directory of its own. Names, and what happens when a batch is run again, are as for
    /// [`save_as_text_files`](DStream::save_as_text_files).
    ///
    /// ```
    /// # use winterbourne_streaming::{RddQueue, StreamingContext, seconds};
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// # let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let batches: RddQueue<u64> = [sc.range(0..5, 2)].into_iter().collect();
    /// # let dir = std::env::temp_dir().join(format!("winterbourne-doc-objects-{}", std::process::id()));
    /// # let dir = dir.to_str().unwrap();
    /// ssc.queue_stream(&batches).map(|x| (x, x as f64)).save_as_object_files(format!("{dir}/halves"), "");
    /// ssc.start_stepped()?.step()?;
    /// let all = sc.object_file::<(u64, f64)>(&format!("{dir}/halves-*"), 1);
    /// assert_eq!(all.count()?, 5);
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As `save_as_text_files`.
    #[doc(alias = "saveAsObjectFiles")]
    #[track_caller]
    pub fn save_as_object_files(&self, prefix: impl Into<String>, suffix: impl Into<String>)
    where
        T: Wire,
    {
        let site = Site::caller();
        let save = move |rdd: &Rdd<T>, output| rdd.save_as_object_file_at(site, output);
        self.save("save_as_object_files", site, prefix.into(), suffix.into(), save);
    }
    fn save(
        &self,
        kind: &'static str,
        site: Site,
        prefix: String,
        suffix: String,
        save: impl Fn(&Rdd<T>, Output) -> Result<()> + Send + 'static,
    ) {
        let pattern = directory(&prefix, &suffix, "<ms>");
        if !self.ssc.may_add(kind, site) {
            return;
        }
        if let Err(first) = self.ssc.graph().claim(&pattern, site) {
            let what =
                format!("it writes to {pattern}, as the output at {first} does: give it another prefix or suffix");
            return self.wrong(site, what);
        }
        let application = self.ssc.spark_context().app_name().to_owned();
        self.output(kind, site, move |rdd, time, _| {
            let path = directory(&prefix, &suffix, &time.as_millis().to_string());
            save(rdd, Output::to(path).replacing(owner(&application, time)))?;
            Ok(())
        });
    }
}

fn directory(prefix: &str, suffix: &str, ms: &str) -> String {
    let front = if prefix.is_empty() { ms.to_owned() } else { format!("{prefix}-{ms}") };
    if suffix.is_empty() { front } else { format!("{front}.{suffix}") }
}
/// Who may replace what is there: this batch of this application, also after its program was changed.
fn owner(application: &str, time: Time) -> String {
    format!("{application}, batch {}", time.as_millis())
}
