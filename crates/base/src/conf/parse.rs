//! Reading values: text in, [`Parsed`] out, or nothing. Refuses to round, to wrap and to guess.

use super::{Bytes, Entry, Kind, Rule, Unit};
use crate::time::Duration;

/// A value as its kind reads it.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    Bool(bool),
    Integer(u64),
    Float(f64),
    Time(Duration),
    Size(Bytes),
    Text(String),
    /// A limit that was switched off.
    Off,
}

const TIMES: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZES: [(&str, u64); 11] = [
    ("b", 1),
    ("k", 1 << 10),
    ("kb", 1 << 10),
    ("m", 1 << 20),
    ("mb", 1 << 20),
    ("g", 1 << 30),
    ("gb", 1 << 30),
    ("t", 1 << 40),
    ("tb", 1 << 40),
    ("p", 1 << 50),
    ("pb", 1 << 50),
];

/// Reads `text` as a value of the key, if it is one.
pub(super) fn value(entry: &Entry, text: &str) -> Option<Parsed> {
    let text = text.trim();
    if entry.rule == Rule::Limit && is_zero_or_less(text) {
        return Some(Parsed::Off);
    }
    let parsed = match entry.kind {
        Kind::Bool => Parsed::Bool(boolean(text)?),
        Kind::Integer => Parsed::Integer(text.parse().ok()?),
        Kind::Float => Parsed::Float(float(text)?),
        Kind::Time => Parsed::Time(time(text, entry.unit)?),
        Kind::Size => Parsed::Size(size(text, entry.unit)?),
        Kind::Text => Parsed::Text(choice(entry.rule, text)?),
    };
    admits(entry.rule, &parsed).then_some(parsed)
}

/// What [`value`] accepts for the key, for messages.
pub(super) fn expected(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::Bool => "true or false",
        Kind::Integer if entry.rule == Rule::Positive => "a whole number above zero",
        Kind::Integer => "a whole number",
        Kind::Float => "a number",
        Kind::Time => "a time such as 200ms, 30s or 2min",
        Kind::Size => "a size such as 64k, 256m or 1g",
        Kind::Text => "text",
    };
    let plain = match entry.unit {
        Unit::Millis => " (a bare number is milliseconds)",
        Unit::Seconds => " (a bare number is seconds)",
        Unit::Bytes => " (a bare number is bytes)",
        Unit::KiB => " (a bare number is KiB)",
        Unit::MiB => " (a bare number is MiB)",
        Unit::GiB => " (a bare number is GiB)",
        Unit::None | Unit::Of(_) => "",
    };
    match entry.rule {
        Rule::OneOf(choices) => format!("one of {}", choices.join(", ")),
        Rule::Positive if entry.kind != Kind::Integer => format!("{kind} above zero{plain}"),
        Rule::NotNegative => format!("{kind}, zero or above{plain}"),
        Rule::Fraction => format!("{kind} from 0 to 1{plain}"),
        Rule::Limit => format!("{kind}, zero or less for no limit{plain}"),
        Rule::Any | Rule::Positive => format!("{kind}{plain}"),
    }
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A finite number.
pub(super) fn float(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A time; a bare number counts `plain` units.
pub(super) fn time(text: &str, plain: Unit) -> Option<Duration> {
    let plain = if plain == Unit::Seconds { 1_000 } else { 1 };
    let (number, unit) = number_and_unit(text)?;
    if unit.eq_ignore_ascii_case("us") {
        return number.is_multiple_of(1_000).then(|| Duration::from_millis(number / 1_000));
    }
    number.checked_mul(factor(unit, &TIMES, plain)?).map(Duration::from_millis)
}

/// A size; a bare number counts `plain` units.
pub(super) fn size(text: &str, plain: Unit) -> Option<Bytes> {
    let plain = match plain {
        Unit::KiB => 1 << 10,
        Unit::MiB => 1 << 20,
        Unit::GiB => 1 << 30,
        _ => 1,
    };
    let (number, unit) = number_and_unit(text)?;
    number.checked_mul(factor(unit, &SIZES, plain)?).map(Bytes)
}

fn factor(unit: &str, units: &[(&str, u64)], plain: u64) -> Option<u64> {
    if unit.is_empty() {
        return Some(plain);
    }
    units.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name)).map(|(_, factor)| *factor)
}

/// `"10 ms"` is 10 and `"ms"`.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

fn is_zero_or_less(text: &str) -> bool {
    text.parse::<i64>().is_ok_and(|number| number <= 0)
}

/// The text itself, or the spelling of the choice it names.
fn choice(rule: Rule, text: &str) -> Option<String> {
    match rule {
        Rule::OneOf(choices) => choices.iter().find(|choice| text.eq_ignore_ascii_case(choice)).map(|c| (*c).into()),
        _ => Some(text.to_owned()),
    }
}

fn admits(rule: Rule, parsed: &Parsed) -> bool {
    let number = match parsed {
        Parsed::Integer(number) => *number as f64,
        Parsed::Float(number) => *number,
        Parsed::Time(time) => time.as_millis() as f64,
        Parsed::Size(size) => size.0 as f64,
        Parsed::Bool(_) | Parsed::Text(_) | Parsed::Off => return true,
    };
    match rule {
        Rule::Any | Rule::Limit | Rule::OneOf(_) => true,
        Rule::Positive => number > 0.0,
        Rule::NotNegative => number >= 0.0,
        Rule::Fraction => (0.0..=1.0).contains(&number),
    }
}
