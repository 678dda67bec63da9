//! What a program's configuration promises: precedence, checks, redaction, and values of every type.

use std::error::Error as _;
use std::path::PathBuf;

use winterbourne_base::SparkConf;
use winterbourne_base::conf::{Bytes, ConfError, Key, Origin, Value, groups, keys};
use winterbourne_base::time::{milliseconds, minutes, seconds};

/// A configuration file of this test.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("the directory for test files is writable");
    path
}

fn from_env(variables: &[(&str, &str)]) -> SparkConf {
    SparkConf::from_sources(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

/// The problems of a configuration, one text each.
fn problems(conf: &SparkConf) -> Vec<String> {
    match conf.validate() {
        Ok(()) => vec![],
        Err(ConfError::Several(problems)) => problems.iter().map(ToString::to_string).collect(),
        Err(problem) => vec![problem.to_string()],
    }
}

#[test]
fn code_wins_over_the_environment_and_that_over_the_file() {
    let path = file("precedence.conf", "spark.app.name file\nspark.master=local[1]\nspark.app.colour blue\n");
    let conf = from_env(&[
        ("WINTERBOURNE_CONF", path.to_str().unwrap()),
        ("WINTERBOURNE_SPARK_MASTER", "local[2]"),
        ("winterbourne_spark_app_name", "environment"),
        ("WINTERBOURNE_LOG", "not a key"),
        ("PATH", "/bin"),
    ])
    .set_app_name("code");
    conf.validate().unwrap();
    let expect = [
        ("spark.app.colour", "blue", Origin::File),
        ("spark.app.name", "code", Origin::Code),
        ("spark.master", "local[2]", Origin::Environment),
    ];
    let got = conf.get_all().map(|(key, value)| (key, value, conf.origin(key).unwrap()));
    assert_eq!(got.collect::<Vec<_>>(), expect);
    let kept = conf.clone().set_if_missing("spark.master", "local[3]").remove("spark.app.name");
    assert_eq!((kept.get("spark.master"), kept.get("spark.app.name")), (Some("local[2]"), None));
    assert_eq!(kept.origin("spark.app.name"), None);
}

#[test]
fn an_older_name_is_the_same_key() {
    let (old, new) = ("spark.streaming.minRememberDuration", "spark.streaming.fileStream.minRememberDuration");
    let conf = SparkConf::empty().set(new, "1s").set(old, "2min");
    assert_eq!(conf.get_all().collect::<Vec<_>>(), [(new, "2min")]);
    assert_eq!((conf.get(old), conf.contains(old), conf.origin(old)), (Some("2min"), true, Some(Origin::Code)));
    assert_eq!(conf.value(keys::FILE_MIN_REMEMBER_DURATION).unwrap(), minutes(2));
    assert_eq!(conf.remove(old).get(new), None);
    let conf = from_env(&[("WINTERBOURNE_SPARK_STREAMING_MINREMEMBERDURATION", "7")]);
    assert_eq!(conf.value(keys::FILE_MIN_REMEMBER_DURATION).unwrap(), seconds(7));
}

#[test]
fn reports_every_problem_at_once() {
    let path = file("problems.conf", "spark.master local\nhunter2\nspark.streaming.concurrentJob 2\n");
    let conf = from_env(&[
        ("WINTERBOURNE_CONF", path.to_str().unwrap()),
        ("WINTERBOURNE_SPARK_STREAMING_BLOCK_INTERVAL", "1s"),
        ("WINTERBOURNE_SPARK_UI_PORT", "many"),
    ])
    .set("spark.nothing.like.it.at.all", 1)
    .set("my.own.key", "anything");
    let expect = [
        format!("{}:2: expected `key value` or `key=value`", path.display()),
        "environment variable `WINTERBOURNE_SPARK_STREAMING_BLOCK_INTERVAL` names no configuration key; did you mean \
         `WINTERBOURNE_SPARK_STREAMING_BLOCKINTERVAL`?"
            .into(),
        "unknown configuration key `spark.nothing.like.it.at.all`".into(),
        "unknown configuration key `spark.streaming.concurrentJob`; did you mean `spark.streaming.concurrentJobs`?"
            .into(),
        "configuration key `spark.ui.port` is set to `many`, but expects a whole number".into(),
    ];
    assert_eq!(problems(&conf), expect);
    assert!(conf.validate().unwrap_err().to_string().starts_with("5 problems with the configuration:\n  "));
}

#[test]
fn an_unreadable_file_is_an_error_that_names_it() {
    let directory = env!("CARGO_TARGET_TMPDIR");
    let missing = format!("{directory}/missing.conf");
    let large = file("large.conf", &"# 0123456789\n".repeat(100_000));
    for path in [missing.as_str(), directory, large.to_str().unwrap()] {
        let error = from_env(&[("WINTERBOURNE_CONF", path)]).validate().unwrap_err();
        assert!(matches!(&error, ConfError::Unreadable { path: named, .. } if named.to_str() == Some(path)), "{error}");
        assert!(error.source().is_some());
    }
}

#[test]
fn accepts_open_prefixes_but_not_a_prefix_alone() {
    let cases = [
        ("spark.hadoop.fs.s3a.endpoint", true),
        ("spark.executorEnv.PATH", true),
        ("spark.app.anything.goes", true),
        ("spark.kubernetes.namespace", true),
        ("application.key", true),
        ("sparkling", true),
        ("spark.hadoop.", false),
        ("spark.executorEnv", false),
        ("spark.streaming.unheard", false),
    ];
    for (key, expect) in cases {
        assert_eq!(SparkConf::empty().set(key, 1).validate().is_ok(), expect, "{key}");
    }
}

#[test]
fn says_which_settings_change_nothing_and_why() {
    let conf = SparkConf::empty()
        .set("spark.serializer", "org.example.Fast")
        .set("spark.yarn.queue", "q")
        .set("spark.app.own", 1)
        .set("spark.streaming.blockInterval", "1s");
    let keys: Vec<_> = conf.without_effect().map(|(key, _)| key).collect();
    assert_eq!(keys, ["spark.serializer", "spark.yarn.queue"]);
}

#[test]
fn shows_a_secret_nowhere() {
    let secret = "hunter2";
    let conf = SparkConf::empty()
        .set("spark.authenticate.secret", secret)
        .set("my.PassWord", secret)
        .set("spark.hadoop.fs.s3a.access.key", secret)
        .set("my.api-token.ms", secret)
        .set("my.credentials", secret)
        .set("plain", "shown");
    let error = conf.get_int("my.api-token.ms", 0).unwrap_err();
    let texts = [format!("{conf:?}"), format!("{conf:#?}"), conf.to_debug_string(), error.to_string()];
    for text in &texts {
        assert!(!text.contains(secret) && text.contains("*********(redacted)"), "{text}");
    }
    assert!(texts[2].contains("plain=shown\n") && !format!("{error:?}").contains(secret));
    assert_eq!(conf.get("my.PassWord"), Some(secret), "the program itself can read it");
}

/// What a key reads from a text; none for an error.
fn read<T: Value>(key: Key<T>, text: &str) -> Option<T> {
    let conf = SparkConf::empty().set(key, text);
    let value = conf.value(key);
    assert_eq!(value.is_ok(), conf.validate().is_ok(), "`value` and `validate` agree on {key} = {text}");
    value.ok()
}

#[test]
fn reads_times_without_rounding_or_wrapping() {
    let millis = [
        ("50", Some(50)),
        (" 50ms ", Some(50)),
        ("50 ms", Some(50)),
        ("3S", Some(3_000)),
        ("2m", Some(120_000)),
        ("2min", Some(120_000)),
        ("1h", Some(3_600_000)),
        ("1d", Some(86_400_000)),
        ("5000us", Some(5)),
        ("1500us", None),
        ("1.5s", None),
        ("-1s", None),
        ("0", None),
        ("", None),
        ("s", None),
        ("1week", None),
        ("99999999999999999d", None),
    ];
    for (text, expect) in millis {
        assert_eq!(read(keys::BLOCK_INTERVAL, text), expect.map(|ms| Some(milliseconds(ms))), "{text}");
    }
    assert_eq!(read(keys::BLOCK_STORE_TIMEOUT, "30"), Some(seconds(30)), "a bare number in the key's own unit");
}

#[test]
fn reads_every_other_kind() {
    assert_eq!(read(keys::RECEIVER_BUFFER_SIZE, "64K"), Some(Bytes(64 << 10)));
    assert_eq!(read(keys::RECEIVER_BUFFER_SIZE, "1 gb"), Some(Bytes(1 << 30)));
    assert_eq!(read(keys::RECEIVER_BUFFER_SIZE, "100"), Some(Bytes(100)));
    assert_eq!(read(keys::RECEIVER_BUFFER_SIZE, "20000p"), None);
    assert_eq!(read(keys::RECEIVER_BUFFER_SIZE, "0"), None);
    assert_eq!(read(keys::SOCKET_RECONNECT, "FALSE"), Some(false));
    assert_eq!(read(keys::SOCKET_RECONNECT, "no"), None);
    assert_eq!(read(keys::BATCH_ON_FAILURE, "Skip").as_deref(), Some("skip"));
    assert_eq!(read(keys::BATCH_ON_FAILURE, "ignore"), None);
    assert_eq!(read(keys::SCHEDULER_MODE, "fair").as_deref(), Some("FAIR"));
    assert_eq!(read(keys::RECEIVER_MAX_RATE, "100"), Some(Some(100)));
    assert_eq!(read(keys::RECEIVER_MAX_RATE, "0"), Some(None));
    assert_eq!(read(keys::RECEIVER_MAX_RATE, "-1"), Some(None));
    assert_eq!(read(keys::CONCURRENT_JOBS, "0"), None);
    assert_eq!(read(keys::PID_PROPORTIONAL, "-0.1"), None);
    assert_eq!(read(keys::PID_PROPORTIONAL, "NaN"), None);
    assert_eq!(read(keys::MEMORY_FRACTION, "1.01"), None);
}

#[test]
fn has_the_promised_defaults() {
    let conf = SparkConf::empty();
    assert_eq!(conf.value(keys::MASTER).unwrap(), "local[*]");
    assert_eq!(conf.value(keys::APP_NAME).unwrap(), None);
    assert_eq!(conf.value(keys::BLOCK_INTERVAL).unwrap(), None);
    assert_eq!(conf.value(keys::RECEIVER_MAX_RATE).unwrap(), None);
    assert_eq!(conf.value(keys::RECEIVER_RESTART_DELAY).unwrap(), seconds(2));
    assert_eq!(conf.value(keys::RECEIVER_BUFFER_SIZE).unwrap(), Bytes(256 << 20));
    assert_eq!(conf.value(keys::KAFKA_MAX_RATE_PER_PARTITION).unwrap(), None);
    assert_eq!(conf.value(keys::PID_MIN_RATE).unwrap(), 1.0);
    assert_eq!(conf.value(keys::BATCH_ON_FAILURE).unwrap(), "hold");
    assert_eq!(conf.value(keys::BATCH_MAX_ATTEMPTS).unwrap(), 2);
}

#[test]
fn setting_every_default_by_hand_is_valid() {
    let entries = groups().flat_map(|group| group.entries.iter());
    let defaults = entries.filter_map(|entry| Some((entry.name, entry.default?)));
    SparkConf::empty().set_all(defaults).validate().unwrap();
}

#[test]
fn reads_own_keys_in_the_unit_asked_for() {
    let conf =
        SparkConf::empty().set_all([("pause", "90"), ("buffer", "1536k"), ("ratio", "0.5"), ("big", "-5000000000")]);
    assert_eq!(conf.get_time_as_ms("pause", "1s").unwrap(), 90);
    assert_eq!(conf.get_time_as_seconds("pause", "1s").unwrap(), 90);
    assert_eq!(conf.get_time_as_seconds("missing", "1500ms").unwrap(), 1);
    assert!(conf.get_time_as_ms("missing", "soon").is_err());
    assert_eq!(conf.get_size_as_bytes("buffer", "0").unwrap(), 1536 << 10);
    assert_eq!(conf.get_size_as_kb("buffer", "0").unwrap(), 1536);
    assert_eq!(conf.get_size_as_mb("buffer", "0").unwrap(), 1);
    assert_eq!(conf.get_size_as_gb("missing", "2").unwrap(), 2);
    assert_eq!(conf.get_double("ratio", 1.0).unwrap(), 0.5);
    assert_eq!(conf.get_long("big", 0).unwrap(), -5_000_000_000);
    assert!(conf.get_int("big", 0).is_err());
    assert_eq!(conf.get_or("missing", 7), "7");
}
