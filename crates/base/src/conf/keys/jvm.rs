//! Keys that a Spark program may carry along and that change nothing here, each with the reason. Typed loosely where
//! the value is never looked at; without constants, because no code may read them.

use crate::conf::{Bytes, Entry, Group, Rule, Unit, Value};
use crate::time::Duration;

const HEAP: &str = "there is no JVM to size";
const FLAGS: &str = "there is no JVM to pass this to";
const ONE_PROCESS: &str = "the program is one process";
const CLASSES: &str = "class names cannot be loaded here";
const SERIAL: &str = "records are serialised with serde";
const LISTENER: &str = "class names cannot be loaded here: register the listener in code";
const CLOCK: &str = "the clock is given to the context in code";
const EXECUTORS: &str = "there are no executors to add or remove";
const KINESIS: &str = "there is no Kinesis source here";
const STATE: &str = "state is kept in place, not in chains of deltas";
const PER_JOB: &str = "the system sets this for each job itself";
const SHUFFLE: &str = "shuffles stay inside the process";
const CACHE: &str = "the table of consumers grows as needed";
const LOG: &str = "logs go to the program's own `tracing` subscriber";
const EVENTS: &str = "there is no Spark history server to write for";
const UI: &str = "the UI here does not have this";
const REDACT: &str = "keys that look like secrets are always redacted";
const CLOSURES: &str = "closures are never serialised";

/// A key whose value must read as a `T` and changes nothing.
const fn key<T: Value>(
    name: &'static str,
    default: Option<&'static str>,
    summary: &'static str,
    reason: &'static str,
) -> Entry {
    Entry { default, summary, no_effect: Some(reason), ..Entry::new::<T>(name) }
}

/// The same for a size whose bare numbers are MiB.
const fn mib(name: &'static str, default: Option<&'static str>, summary: &'static str) -> Entry {
    Entry { unit: Unit::MiB, ..key::<Bytes>(name, default, summary, HEAP) }
}

const ENTRIES: &[Entry] = &[
    key::<String>("spark.home", None, "Where Spark is installed.", ONE_PROCESS),
    key::<String>("spark.app.id", None, "Identifier of the application.", PER_JOB),
    key::<String>("spark.submit.deployMode", Some("client"), "Where the driver runs.", ONE_PROCESS),
    key::<String>("spark.jars", None, "Archives of classes for driver and executors.", CLASSES),
    key::<String>("spark.jars.packages", None, "Maven coordinates of such archives.", CLASSES),
    key::<String>("spark.jars.excludes", None, "Maven coordinates that are left out.", CLASSES),
    key::<String>("spark.jars.repositories", None, "Further Maven repositories.", CLASSES),
    key::<String>("spark.jars.ivy", None, "Directory of the Ivy cache.", CLASSES),
    key::<String>("spark.files", None, "Files copied to each executor.", ONE_PROCESS),
    key::<String>("spark.archives", None, "Archives unpacked on each executor.", ONE_PROCESS),
    key::<String>("spark.submit.pyFiles", None, "Python files for executors.", ONE_PROCESS),
    key::<String>("spark.pyspark.python", None, "Python interpreter of executors.", ONE_PROCESS),
    key::<String>("spark.pyspark.driver.python", None, "Python interpreter of the driver.", ONE_PROCESS),
    key::<String>("spark.extraListeners", None, "Classes of listeners for core events.", LISTENER),
    key::<String>("spark.streaming.extraListeners", None, "Classes of listeners for streaming events.", LISTENER),
    key::<String>("spark.plugins", None, "Classes of plug-ins.", CLASSES),
    key::<String>("spark.log.level", None, "Level of the JVM's logs.", LOG),
    key::<bool>("spark.logConf", Some("false"), "Whether the configuration is logged at the start.", LOG),
    key::<String>("spark.redaction.regex", None, "Which keys are redacted.", REDACT),
    // Heaps and JVM flags.
    mib("spark.driver.memory", Some("1g"), "Heap of the driver."),
    mib("spark.driver.memoryOverhead", None, "Memory of the driver beside its heap."),
    mib("spark.executor.memory", Some("1g"), "Heap of one executor."),
    mib("spark.executor.memoryOverhead", None, "Memory of one executor beside its heap."),
    key::<bool>("spark.memory.offHeap.enabled", Some("false"), "Whether memory off the heap is used.", HEAP),
    key::<Bytes>("spark.memory.offHeap.size", Some("0"), "How much memory off the heap is used.", HEAP),
    key::<String>("spark.driver.extraJavaOptions", None, "JVM flags of the driver.", FLAGS),
    key::<String>("spark.driver.defaultJavaOptions", None, "JVM flags put before those of the driver.", FLAGS),
    key::<String>("spark.executor.extraJavaOptions", None, "JVM flags of executors.", FLAGS),
    key::<String>("spark.executor.defaultJavaOptions", None, "JVM flags put before those of executors.", FLAGS),
    key::<String>("spark.driver.extraClassPath", None, "Class path of the driver.", CLASSES),
    key::<String>("spark.executor.extraClassPath", None, "Class path of executors.", CLASSES),
    key::<String>("spark.driver.extraLibraryPath", None, "Native library path of the driver.", FLAGS),
    key::<String>("spark.executor.extraLibraryPath", None, "Native library path of executors.", FLAGS),
    key::<bool>("spark.driver.userClassPathFirst", Some("false"), "Whose classes win in the driver.", CLASSES),
    key::<bool>("spark.executor.userClassPathFirst", Some("false"), "Whose classes win in executors.", CLASSES),
    // Executors and the network between them.
    key::<u64>("spark.driver.cores", Some("1"), "Cores of the driver.", ONE_PROCESS),
    key::<u64>("spark.executor.cores", Some("1"), "Cores of one executor.", ONE_PROCESS),
    key::<u64>("spark.executor.instances", None, "Number of executors.", ONE_PROCESS),
    key::<u64>("spark.cores.max", None, "Cores of the whole application.", ONE_PROCESS),
    key::<u64>("spark.task.cpus", Some("1"), "Cores of one task.", ONE_PROCESS),
    key::<Duration>("spark.executor.heartbeatInterval", Some("10s"), "How often executors report.", ONE_PROCESS),
    key::<String>("spark.driver.host", None, "Address executors reach the driver at.", ONE_PROCESS),
    key::<u64>("spark.driver.port", None, "Port executors reach the driver at.", ONE_PROCESS),
    key::<String>("spark.driver.bindAddress", None, "Address the driver listens on.", ONE_PROCESS),
    key::<u64>("spark.blockManager.port", None, "Port of the block managers.", ONE_PROCESS),
    key::<u64>("spark.port.maxRetries", Some("16"), "Ports tried before giving up.", ONE_PROCESS),
    Entry {
        unit: Unit::Seconds,
        ..key::<Duration>("spark.network.timeout", Some("120s"), "Time-out of all network exchanges.", ONE_PROCESS)
    },
    key::<Duration>("spark.locality.wait", Some("3s"), "How long a task waits for a near executor.", ONE_PROCESS),
    key::<bool>("spark.speculation", Some("false"), "Whether slow tasks are started twice.", ONE_PROCESS),
    key::<bool>("spark.dynamicAllocation.enabled", Some("false"), "Whether executors come and go.", EXECUTORS),
    key::<u64>("spark.dynamicAllocation.minExecutors", Some("0"), "The fewest executors.", EXECUTORS),
    key::<u64>("spark.dynamicAllocation.maxExecutors", None, "The most executors.", EXECUTORS),
    key::<u64>("spark.dynamicAllocation.initialExecutors", None, "Executors at the start.", EXECUTORS),
    key::<bool>("spark.authenticate", Some("false"), "Whether executors prove who they are.", ONE_PROCESS),
    key::<String>("spark.authenticate.secret", None, "What they prove it with.", ONE_PROCESS),
    // Serialisers, shuffles, broadcasts.
    key::<String>("spark.serializer", None, "Class of the serialiser.", SERIAL),
    key::<String>("spark.closure.serializer", None, "Class of the serialiser of closures.", CLOSURES),
    key::<String>("spark.serializer.objectStreamReset", Some("100"), "When Java's serialiser forgets.", SERIAL),
    key::<String>("spark.kryo.classesToRegister", None, "Classes known to Kryo.", SERIAL),
    key::<String>("spark.kryo.registrator", None, "Class that registers classes with Kryo.", SERIAL),
    key::<bool>("spark.kryo.registrationRequired", Some("false"), "Whether Kryo refuses other classes.", SERIAL),
    key::<bool>("spark.kryo.referenceTracking", Some("true"), "Whether Kryo tracks shared references.", SERIAL),
    key::<bool>("spark.kryo.unsafe", Some("true"), "Whether Kryo writes memory directly.", SERIAL),
    Entry {
        unit: Unit::KiB,
        ..key::<Bytes>("spark.kryoserializer.buffer", Some("64k"), "First size of Kryo's buffer.", SERIAL)
    },
    Entry {
        unit: Unit::MiB,
        ..key::<Bytes>("spark.kryoserializer.buffer.max", Some("64m"), "Largest size of Kryo's buffer.", SERIAL)
    },
    key::<String>("spark.io.compression.codec", Some("lz4"), "Codec of blocks and shuffles.", SERIAL),
    key::<bool>("spark.shuffle.compress", Some("true"), "Whether shuffle files are compressed.", SHUFFLE),
    key::<bool>("spark.shuffle.service.enabled", Some("false"), "Whether a service keeps shuffle files.", SHUFFLE),
    key::<String>("spark.shuffle.manager", Some("sort"), "How shuffles are done.", SHUFFLE),
    Entry {
        unit: Unit::KiB,
        ..key::<Bytes>("spark.shuffle.file.buffer", Some("32k"), "Buffer of each shuffle file.", SHUFFLE)
    },
    Entry {
        unit: Unit::MiB,
        ..key::<Bytes>("spark.reducer.maxSizeInFlight", Some("48m"), "Shuffle data fetched at once.", SHUFFLE)
    },
    key::<bool>("spark.broadcast.compress", Some("true"), "Whether broadcasts are compressed.", ONE_PROCESS),
    Entry {
        unit: Unit::KiB,
        ..key::<Bytes>("spark.broadcast.blockSize", Some("4m"), "Size of a broadcast's pieces.", ONE_PROCESS)
    },
    key::<bool>("spark.cleaner.referenceTracking", Some("true"), "Whether unreferenced data is cleaned.", HEAP),
    key::<Duration>("spark.cleaner.periodicGC.interval", Some("30min"), "How often a collection is forced.", HEAP),
    // Logs and pages of the UI.
    key::<bool>("spark.eventLog.enabled", Some("false"), "Whether events are written to a file.", EVENTS),
    key::<String>("spark.eventLog.dir", None, "Where events are written.", EVENTS),
    key::<bool>("spark.eventLog.compress", Some("true"), "Whether that file is compressed.", EVENTS),
    key::<bool>("spark.ui.killEnabled", Some("true"), "Whether jobs can be killed from the UI.", UI),
    key::<String>("spark.ui.filters", None, "Classes of servlet filters.", CLASSES),
    key::<bool>("spark.ui.reverseProxy", Some("false"), "Whether a master stands before the UI.", UI),
    key::<String>("spark.ui.reverseProxyUrl", None, "Address of such a master.", UI),
    key::<bool>("spark.ui.prometheus.enabled", Some("true"), "Whether executor metrics are exposed.", UI),
    key::<u64>("spark.ui.retainedDeadExecutors", Some("100"), "Dead executors that are remembered.", ONE_PROCESS),
    key::<bool>("spark.acls.enable", Some("false"), "Whether the UI checks who looks.", UI),
    // Streaming.
    key::<String>("spark.streaming.clock", None, "Class of the clock.", CLOCK),
    key::<Duration>("spark.streaming.manualClock.jump", Some("0"), "Jump of a test's clock at recovery.", CLOCK),
    key::<u64>("spark.streaming.sessionByKey.deltaChainThreshold", Some("20"), "Longest chain of deltas.", STATE),
    key::<String>("spark.streaming.receiver.writeAheadLog.class", None, "Class of the receivers' log.", CLASSES),
    key::<String>("spark.streaming.driver.writeAheadLog.class", None, "Class of the driver's log.", CLASSES),
    key::<bool>("spark.streaming.dynamicAllocation.enabled", Some("false"), "Whether executors adapt.", EXECUTORS),
    key::<u64>("spark.streaming.dynamicAllocation.minExecutors", None, "The fewest executors.", EXECUTORS),
    key::<u64>("spark.streaming.dynamicAllocation.maxExecutors", None, "The most executors.", EXECUTORS),
    Entry {
        unit: Unit::Seconds,
        ..key::<Duration>(
            "spark.streaming.dynamicAllocation.scalingInterval",
            Some("60s"),
            "How often the number of executors is reconsidered.",
            EXECUTORS,
        )
    },
    key::<f64>(
        "spark.streaming.dynamicAllocation.scalingUpRatio",
        Some("0.9"),
        "Share of the interval above which an executor is added.",
        EXECUTORS,
    ),
    key::<f64>(
        "spark.streaming.dynamicAllocation.scalingDownRatio",
        Some("0.3"),
        "Share of the interval below which an executor is removed.",
        EXECUTORS,
    ),
    key::<bool>("spark.streaming.dynamicAllocation.testing", Some("false"), "A switch of Spark's tests.", EXECUTORS),
    key::<u64>("spark.streaming.kafka.consumer.cache.initialCapacity", Some("16"), "First size of a table.", CACHE),
    Entry {
        rule: Rule::Fraction,
        ..key::<f64>("spark.streaming.kafka.consumer.cache.loadFactor", Some("0.75"), "When that table grows.", CACHE)
    },
    key::<u64>(
        "spark.streaming.kafka.maxRetries",
        Some("1"),
        "Attempts of the Kafka 0.8 stream.",
        "that stream is gone from Spark too",
    ),
    key::<Duration>("spark.streaming.kinesis.retry.waitTime", Some("100ms"), "Pause between attempts.", KINESIS),
    key::<u64>("spark.streaming.kinesis.retry.maxAttempts", Some("3"), "Attempts of one read.", KINESIS),
    key::<String>("spark.streaming.internal.batchTime", None, "The batch a job belongs to.", PER_JOB),
    key::<String>("spark.streaming.internal.outputOpId", None, "The output a job belongs to.", PER_JOB),
];

pub(in crate::conf) static GROUP: Group = Group { title: "Accepted without effect", entries: &REFERENCES };

static REFERENCES: [&Entry; ENTRIES.len()] = {
    let mut references = [&ENTRIES[0]; ENTRIES.len()];
    let mut i = 0;
    while i < references.len() {
        references[i] = &ENTRIES[i];
        i += 1;
    }
    references
};
