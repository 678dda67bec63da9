//! Where records come from: the methods of [`StreamingContext`] that make an input stream. File streams have theirs with
//! their code.
use super::StreamingContext;
use crate::{
    DStream, Receiver,
    input::{ConstantInput, Input, QueueInput, QueueOptions, RateInput, RddQueue, ReceiverInput, add_input},
    receive::{
        self, BytesReceiver, ChannelReceiver, FrameReceiver, IteratorReceiver, ReceiverStream, SocketBytes,
        SocketReceiver, StdinReceiver,
    },
};
use std::sync::{Arc, atomic::Ordering::Relaxed, mpsc::Receiver as Channel};
use winterbourne_base::SparkConf;
use winterbourne_engine::{BoxError, Data, MemoryUse, Rdd, Site, Text, Wire};

impl StreamingContext {
    /// Lines of UTF-8 text from a TCP server, which this connects to as a client. Lines end at `\n`, `\r\n` or `\r`; bytes
    /// that are not UTF-8 are replaced and counted; a line longer than `spark.streaming.receiver.maxLineLength` is
    /// dropped and counted. When the server cannot be reached or ends the connection, it is tried again after
    /// `spark.streaming.receiverRestartDelay`; with `spark.streaming.socket.reconnect` false the end of the connection is
    /// the end of the stream.
    #[doc(alias = "socketTextStream")]
    #[track_caller]
    pub fn socket_text_stream(&self, host: impl Into<String>, port: u16) -> DStream<Text> {
        let host = host.into();
        let param = format!("{host}:{port}");
        self.receive_at("socket_text_stream", Site::caller(), param, SocketReceiver::text(host, port))
    }
    /// The records of a receiver of your own; see [`Receiver`]. Where there is a checkpoint directory they are written to a
    /// log first, so they must be serialisable.
    #[doc(alias = "receiverStream")]
    #[track_caller]
    pub fn receiver_stream<T: Wire>(&self, receiver: impl Receiver<T>) -> DStream<T> {
        let param = receiver.name();
        self.receive_at("receiver_stream", Site::caller(), param, receiver)
    }
    fn receive_at<T: Wire>(
        &self,
        kind: &'static str,
        site: Site,
        param: String,
        receiver: impl Receiver<T>,
    ) -> DStream<T> {
        self.receive_as(kind, site, param, receiver, Ok(()))
    }
    /// `again`: why its records would not come back after a restart as they were.
    fn receive_as<T: Wire>(
        &self,
        kind: &'static str,
        site: Site,
        param: String,
        receiver: impl Receiver<T>,
        again: Result<(), &'static str>,
    ) -> DStream<T> {
        let control = &self.inner.control;
        let mut settings = receive::Settings::of(self.sc.conf(), self.inner.batch).unwrap_or_else(|e| {
            self.graph().wrong(site, e.to_string());
            receive::Settings::of(&SparkConf::empty(), self.inner.batch).expect("the defaults are good")
        });
        // A buffer larger than what all parts of the program have together would bound nothing.
        settings.buffer_bytes = settings.buffer_bytes.min(self.sc.memory_status().budget / 4).max(1);
        let bus = control.bus.clone();
        let setup = receive::Setup {
            id: self.inner.receivers.fetch_add(1, Relaxed),
            batch: self.inner.batch,
            clock: control.clock.clone(),
            settings,
            events: Arc::new(move |e| bus.post(|| e.into())),
            bell: control.bell.clone(),
        };
        let stream = ReceiverStream::new(setup, Box::new(receiver));
        stream.counts_for(self.sc.hold_memory(MemoryUse::Received));
        add_input(self, kind, site, param, ReceiverInput { stream, site, again })
    }
    /// The RDDs of a queue, one per batch; nothing while it is empty, or if the batch may take nothing in. The stream ends
    /// when the queue is closed and empty. For tests: the records exist only in memory.
    #[doc(alias = "queueStream")]
    #[track_caller]
    pub fn queue_stream<T: Data>(&self, queue: &RddQueue<T>) -> DStream<T> {
        self.queue_at(Site::caller(), queue, QueueOptions::default())
    }
    /// [`queue_stream`](StreamingContext::queue_stream) with options: all at once, a default RDD.
    #[track_caller]
    pub fn queue_stream_with<T: Data>(&self, queue: &RddQueue<T>, options: QueueOptions<T>) -> DStream<T> {
        self.queue_at(Site::caller(), queue, options)
    }
    fn queue_at<T: Data>(&self, site: Site, queue: &RddQueue<T>, options: QueueOptions<T>) -> DStream<T> {
        let input = QueueInput::new(queue.clone(), options, site, self.inner.control.bell.clone());
        add_input(self, "queue_stream", site, String::new(), input)
    }
    /// A source of your own that plans on the driver; see [`Input`]. `name` tells it from its like and is part of its
    /// durable id.
    #[track_caller]
    pub fn input_stream<T: Data>(&self, name: impl Into<String>, input: impl Input<T>) -> DStream<T> {
        add_input(self, "input_stream", Site::caller(), name.into(), input)
    }
    /// Records that `convert` makes of the bytes of a TCP server, which this connects to as a client. `convert` is called
    /// with each new connection, on the thread of the receiver, and gives an iterator; when that ends, the connection is
    /// over. An error among the records, and a panic, end the connection: what came before is kept, the error is shown in
    /// [`ReceiverInfo`](crate::ReceiverInfo), and the server is connected to again after
    /// `spark.streaming.receiverRestartDelay`. That is also what happens when the server cannot be reached or closes, as
    /// for [`socket_text_stream`](StreamingContext::socket_text_stream). A source like this is not reliable: what was on
    /// its way when a connection broke, or the process ended, is lost. What was received comes back after a restart
    /// where there is a checkpoint directory.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{SocketBytes, StreamingContext, milliseconds};
    /// # let conf = SparkConf::empty().set_app_name("doc").set("spark.streaming.socket.reconnect", "false");
    /// # let ssc = StreamingContext::new(&SparkContext::new(conf)?, milliseconds(10))?;
    /// use std::io::{BufRead, Write};
    /// let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let port = server.local_addr()?.port();
    /// let fields = ssc.socket_stream("127.0.0.1", port, |bytes: SocketBytes| {
    ///     bytes.split(b';').map(|field| Ok(String::from_utf8(field?)?))
    /// });
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// fields.foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// ssc.start()?;
    /// server.accept()?.0.write_all(b"a;b;c")?;
    /// ssc.await_termination()?; // the server closed, and is not to be connected to again
    /// assert_eq!(seen.try_iter().collect::<Vec<_>>().concat(), ["a", "b", "c"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "socketStream")]
    #[track_caller]
    pub fn socket_stream<T: Wire, R>(
        &self,
        host: impl Into<String>,
        port: u16,
        convert: impl FnMut(SocketBytes) -> R + Send + 'static,
    ) -> DStream<T>
    where
        R: IntoIterator<Item = Result<T, BoxError>> + 'static,
    {
        let host = host.into();
        let param = format!("{host}:{port}");
        self.receive_at("socket_stream", Site::caller(), param, BytesReceiver::new(host, port, convert))
    }
    /// Frames of bytes from a TCP server, which this connects to as a client: a length of four bytes, the highest first,
    /// and that many bytes, which are one record. A length below 0 or above `spark.streaming.raw.maxBlockSizeBytes` ends
    /// the connection with an error, as nothing after it can be trusted; memory is taken as the bytes come, not as they
    /// are announced. A connection that ends within a frame loses that frame, which the error says. When the server
    /// closes, is reset or cannot be reached, and after an error, it goes on as for
    /// [`socket_stream`](StreamingContext::socket_stream).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, milliseconds};
    /// # let conf = SparkConf::empty().set_app_name("doc").set("spark.streaming.socket.reconnect", "false");
    /// # let ssc = StreamingContext::new(&SparkContext::new(conf)?, milliseconds(10))?;
    /// # use std::io::Write;
    /// let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let frames = ssc.raw_socket_stream("127.0.0.1", server.local_addr()?.port());
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// frames.foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// ssc.start()?;
    /// server.accept()?.0.write_all(b"\0\0\0\x02ab\0\0\0\x01c")?;
    /// ssc.await_termination()?;
    /// assert_eq!(seen.try_iter().collect::<Vec<_>>().concat(), [b"ab".to_vec(), b"c".to_vec()]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "rawSocketStream")]
    #[track_caller]
    pub fn raw_socket_stream(&self, host: impl Into<String>, port: u16) -> DStream<Vec<u8>> {
        self.frames_at(Site::caller(), "raw_socket_stream", host.into(), port, |frame| Ok([frame]))
    }
    /// [`raw_socket_stream`](StreamingContext::raw_socket_stream) with a function that makes the records of a frame, on
    /// the thread of the receiver; they stay in one block. A frame for which it fails is dropped, counted
    /// ([`ReceiverInfo::undecodable`](crate::ReceiverInfo)) and reported, and the connection goes on.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, seconds};
    /// # let ssc = StreamingContext::new(&SparkContext::new(SparkConf::empty().set_app_name("doc"))?, seconds(1))?;
    /// let words = ssc.raw_socket_stream_with("localhost", 9999, |frame| {
    ///     Ok(String::from_utf8(frame)?.split(' ').map(str::to_owned).collect::<Vec<_>>())
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn raw_socket_stream_with<T: Wire, R>(
        &self,
        host: impl Into<String>,
        port: u16,
        decode: impl FnMut(Vec<u8>) -> Result<R, BoxError> + Send + 'static,
    ) -> DStream<T>
    where
        R: IntoIterator<Item = T> + 'static,
    {
        self.frames_at(Site::caller(), "raw_socket_stream_with", host.into(), port, decode)
    }
    fn frames_at<T: Wire, R: IntoIterator<Item = T> + 'static>(
        &self,
        site: Site,
        kind: &'static str,
        host: String,
        port: u16,
        decode: impl FnMut(Vec<u8>) -> Result<R, BoxError> + Send + 'static,
    ) -> DStream<T> {
        let param = format!("{host}:{port}");
        self.receive_at(kind, site, param, FrameReceiver::new(host, port, decode))
    }
    /// The records of an iterator, which is asked on a thread of its own from the start of the stream on, as fast as
    /// batches are done with them. Its end is the end of the stream's input. One that blocks holds nobody up: a stop does
    /// not wait for it, and its thread ends when it gives the next record. One that panics does not end: the stream waits,
    /// and its receiver says why. An iterator begins anew in a program that is restarted, so its records would come twice:
    /// `start` refuses it where there is a checkpoint directory.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, milliseconds};
    /// # let ssc = StreamingContext::new(&SparkContext::new(SparkConf::empty().set_app_name("doc"))?, milliseconds(10))?;
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// ssc.iterator_stream((1..=3).map(|n| n * n)).foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// ssc.start()?;
    /// ssc.await_termination()?;
    /// assert_eq!(seen.try_iter().collect::<Vec<_>>().concat(), [1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn iterator_stream<T: Wire, I>(&self, records: I) -> DStream<T>
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: Send + 'static,
    {
        let why = "an iterator begins anew in the next process, so its records would come twice";
        let receiver = IteratorReceiver::new(records.into_iter());
        self.receive_as("iterator_stream", Site::caller(), String::new(), receiver, Err(why))
    }
    /// The records that other threads of the program send into a channel. It ends when all senders are dropped. While the
    /// receiver's buffer is full, records stay in the channel: make it with
    /// [`sync_channel`](std::sync::mpsc::sync_channel), so that senders wait too. After the stream was stopped, what is
    /// sent next is taken once more and dropped; then the channel is closed, and sending fails.
    ///
    /// Records in the channel are in memory only: they are lost with the process, and so are those that were received,
    /// unless there is a checkpoint directory. Whoever must know uses a [`Receiver`] with
    /// [`store_reliably`](crate::Intake::store_reliably).
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, milliseconds};
    /// # let ssc = StreamingContext::new(&SparkContext::new(SparkConf::empty().set_app_name("doc"))?, milliseconds(10))?;
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// let (sender, records) = std::sync::mpsc::sync_channel(1000);
    /// ssc.channel_stream(records).foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// ssc.start()?;
    /// sender.send("hello".to_owned())?;
    /// drop(sender);
    /// ssc.await_termination()?;
    /// assert_eq!(seen.try_iter().collect::<Vec<_>>().concat(), ["hello"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn channel_stream<T: Wire>(&self, records: Channel<T>) -> DStream<T> {
        self.receive_at("channel_stream", Site::caller(), String::new(), ChannelReceiver::new(records))
    }
    /// The lines of the program's standard input, until it ends; what a line is, and what becomes of bytes that are no
    /// text and of long lines, is as for [`socket_text_stream`](StreamingContext::socket_text_stream). A stop does not wait
    /// for the next line. What was read comes back after a restart where there is a checkpoint directory; what was not
    /// is lost with the pipe. Of several such streams only one has each line.
    ///
    /// ```no_run
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, seconds};
    /// # let ssc = StreamingContext::new(&SparkContext::new(SparkConf::empty().set_app_name("doc"))?, seconds(1))?;
    /// ssc.stdin_stream().print(); // tail -f log | program
    /// # ssc.start()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn stdin_stream(&self) -> DStream<Text> {
        self.receive_at("stdin_stream", Site::caller(), String::new(), StdinReceiver)
    }
    /// The same RDD in every batch. It is computed in each of them, unless it is cached. It never ends. A restarted
    /// program defines it anew.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, seconds};
    /// let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let ssc = StreamingContext::new(&sc, seconds(1))?;
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// ssc.constant_stream(&sc.range(0..3, 1)).foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// let mut stream = ssc.start_stepped()?;
    /// stream.step()?;
    /// stream.step()?;
    /// assert_eq!(seen.try_iter().collect::<Vec<_>>(), [[0, 1, 2], [0, 1, 2]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ConstantInputDStream")]
    #[track_caller]
    pub fn constant_stream<T: Data>(&self, rdd: &Rdd<T>) -> DStream<T> {
        add_input(self, "constant_stream", Site::caller(), String::new(), ConstantInput(rdd.clone()))
    }
    /// The numbers 0, 1, 2, …, `per_second` of them in a second of batch time: the batch of t gets those that are due until
    /// t, or as many as it may have ([`Tick::limit`](crate::Tick::limit)); the others come later. For trying programs out,
    /// and for measuring. It never ends. A restart continues with the next number, and gives those that were due
    /// meanwhile; under another rate, it counts on from where it was.
    ///
    /// ```
    /// # use winterbourne_engine::{SparkConf, SparkContext};
    /// # use winterbourne_streaming::{StreamingContext, milliseconds};
    /// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc"))?;
    /// let ssc = StreamingContext::new(&sc, milliseconds(500))?;
    /// # let (told, seen) = std::sync::mpsc::channel();
    /// ssc.rate_stream(5).foreach_rdd(move |rdd, _| Ok(told.send(rdd.collect()?)?));
    /// let mut stream = ssc.start_stepped()?;
    /// stream.step()?;
    /// stream.step()?;
    /// assert_eq!(seen.try_iter().collect::<Vec<_>>(), [vec![0, 1], vec![2, 3, 4]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn rate_stream(&self, per_second: u64) -> DStream<u64> {
        add_input(self, "rate_stream", Site::caller(), String::new(), RateInput::new(per_second))
    }
}
