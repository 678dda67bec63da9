//! [`Value`]: the few kinds of JSON values a row is made of, as text.
use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Int(u64),
    Real(f64),
    Flag(bool),
    Text(String),
}
impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Value::Int(n)
    }
}
impl From<usize> for Value {
    fn from(n: usize) -> Self {
        Value::Int(n as u64)
    }
}
impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Value::Real(x)
    }
}
impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Value::Flag(yes)
    }
}
impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::Text(s.to_owned())
    }
}
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(n) => write!(f, "{n}"),
            // JSON has no infinity.
            Value::Real(x) if !x.is_finite() => f.write_str("null"),
            Value::Real(x) => write!(f, "{x:.4}"),
            Value::Flag(yes) => write!(f, "{yes}"),
            Value::Text(s) => write!(f, "\"{}\"", escaped(s)),
        }
    }
}

/// An object of these fields, in this order.
pub(crate) fn object<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|(key, value)| format!("\"{}\":{value}", escaped(key))).collect();
    format!("{{{}}}", fields.join(","))
}

/// The text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_json() {
        for (value, expect) in [
            (Value::from(7u64), "7"),
            (Value::from(0.5), "0.5000"),
            (Value::from(f64::INFINITY), "null"),
            (Value::from(true), "true"),
            (Value::from("a \"b\" \\ \n\r\t\u{1} ü"), r#""a \"b\" \\ \n\r\t\u0001 ü""#),
        ] {
            assert_eq!(value.to_string(), expect);
        }
        assert_eq!(object([("a", "1".into()), ("\"", "true".into())]), r#"{"a":1,"\"":true}"#);
        assert_eq!(object([]), "{}");
    }
}
