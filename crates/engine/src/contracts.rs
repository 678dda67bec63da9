//! What rustc must refuse. Nothing but documentation tests: each that must not compile stands beside its like that does.

/// A record closure cannot capture an RDD; Spark finds that at run time.
///
/// ```compile_fail,E0277
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// let (numbers, other) = (sc.range(0..10, 2), sc.range(0..10, 2));
/// let _ = numbers.map(move |x| x + other.count().unwrap());
/// ```
///
/// ```
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// let (numbers, other) = (sc.range(0..10, 2), sc.range(0..10, 2));
/// let count = other.count().unwrap();
/// let _ = numbers.map(move |x| x + count);
/// ```
///
/// Nor a context.
///
/// ```compile_fail,E0277
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// let numbers = sc.range(0..10, 2);
/// let _ = numbers.map(move |x| x + sc.counts().jobs);
/// ```
struct CapturedRdd;

/// A record crosses threads.
///
/// ```compile_fail,E0277
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// let _ = sc.range(0..10, 2).map(|x| std::rc::Rc::new(x));
/// ```
///
/// ```
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// let _ = sc.range(0..10, 2).map(|x| std::sync::Arc::new(x));
/// ```
struct RcRecord;

/// A key has a total equality.
///
/// ```compile_fail,E0277
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// let _ = sc.range(0..10, 2).map(|x| (x as f64, x)).reduce_by_key(|a, b| a + b);
/// ```
///
/// ```
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// let _ = sc.range(0..10, 2).map(|x| (x, x as f64)).reduce_by_key(|a, b| a + b);
/// ```
struct FloatKey;

/// A key, and a value that is shuffled, can be serialised.
///
/// ```compile_fail,E0277
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct User(u64);
/// let _ = sc.range(0..10, 2).map(|x| (User(x), x)).group_by_key();
/// ```
///
/// ```compile_fail,E0277
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct User(u64);
/// let _ = sc.range(0..10, 2).map(|x| (x, User(x))).partition_by(2);
/// ```
///
/// ```
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// #[derive(Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
/// struct User(u64);
/// let _ = sc.range(0..10, 2).map(|x| (User(x), User(x))).group_by_key().partition_by(2);
/// ```
struct PlainKey;

/// An RDD that nobody runs is a mistake.
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// sc.range(0..10, 2).map(|x| x);
/// ```
///
/// ```
/// #![deny(unused_must_use)]
/// # use winterbourne_engine::{SparkConf, SparkContext};
/// # let sc = SparkContext::new(SparkConf::empty().set_app_name("doc")).unwrap();
/// let _ = sc.range(0..10, 2).map(|x| x);
/// ```
struct Unused;
