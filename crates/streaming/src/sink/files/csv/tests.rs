//! Rows beside what they are to be, and read back.
use super::*;
use proptest::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;

fn text<T: Serialize>(f: fn(&T, char, &mut Vec<u8>) -> Result<(), NoRow>, x: &T, delimiter: char) -> String {
    let mut out = Vec::new();
    f(x, delimiter, &mut out).expect("a row");
    String::from_utf8(out).expect("text")
}
fn both<T: Serialize>(x: T) -> (String, String) {
    (text(header, &x, ','), text(row, &x, ','))
}
fn check<T: Serialize>(x: T, names: &str, values: &str) {
    assert_eq!(both(x), (format!("{names}\n"), format!("{values}\n")));
}

#[derive(Serialize)]
enum Kind {
    #[serde(rename = "new one")]
    New,
    Old(u8),
}
#[derive(Serialize)]
struct Order {
    id: u64,
    #[serde(rename = "Customer, full name")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    weight: f64,
    kind: Kind,
    paid: bool,
    #[serde(skip)]
    _own: u8,
}

#[test]
fn structs_have_columns_of_their_fields_names() {
    let order =
        |name: &str, note| Order { id: 7, name: name.into(), note, weight: 1.0, kind: Kind::New, paid: true, _own: 0 };
    let names = "id,\"Customer, full name\",note,weight,kind,paid";
    check(order("Ann", Some("x")), names, "7,Ann,x,1.0,new one,true");
    check(order("O\"Hara, \nJr.", None), names, "7,\"O\"\"Hara, \nJr.\",,1.0,new one,true");
    check(order("", Some("")), names, "7,\"\",\"\",1.0,new one,true");
}
#[test]
fn tuples_and_single_values_have_columns_too() {
    check(("a", 1, None::<u8>, Some(2.5e300)), "_1,_2,_3,_4", "a,1,,2.5E300");
    check("a,b", "value", "\"a,b\"");
    check(-5_i64, "value", "-5");
    check(f64::NAN, "value", "NaN");
    check('"', "value", "\"\"\"\"");
    check(None::<u8>, "value", "\"\"");
    check(Some(("x", 'y')), "_1,_2", "x,y");
    check(Kind::New, "value", "new one");
    #[derive(Serialize)]
    struct Wrapped((u8, i128));
    check(Wrapped((1, i128::MIN)), "_1,_2", "1,-170141183460469231731687303715884105728");
}
#[test]
fn what_is_nested_is_refused_and_named() {
    fn refused<T: Serialize>(x: T) -> String {
        row(&x, ',', &mut Vec::new()).expect_err("no row").to_string()
    }
    for (error, expect) in [
        (refused(("a", vec![1])), "column _2: a list"),
        (refused(("a", (1, 2))), "column _2: a tuple"),
        (refused((1, Kind::Old(3))), "column _2: a variant"),
        (refused((1, BTreeMap::from([(1, 2)]))), "column _2: a map"),
        (refused(Kind::Old(3)), "a variant"),
        (refused(vec![1, 2]), "a list"),
        (refused(BTreeMap::from([(1, 2)])), "a map"),
    ] {
        assert!(error.starts_with(&format!("the record is no row of CSV: {expect}")), "{error}");
    }
}
#[test]
fn other_delimiters_are_quoted_instead() {
    assert_eq!(text(row, &("a,b", "c;d", "e\tf"), ';'), "a,b;\"c;d\";e\tf\n");
    assert_eq!(text(row, &("a,b", "c;d", "e\tf"), '\t'), "a,b\tc;d\t\"e\tf\"\n");
}

/// Reads rows as RFC 4180 has them: none for an empty column without quotes.
fn read(text: &str, delimiter: char) -> Vec<Vec<Option<String>>> {
    let (mut rows, mut columns) = (Vec::new(), Vec::new());
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        let mut column = String::new();
        let quoted = rest.next_if_eq(&'"').is_some();
        let ended = loop {
            match rest.next().expect("it ends with a line") {
                '"' if quoted => match rest.next().expect("it ends with a line") {
                    '"' => column.push('"'),
                    after => break after,
                },
                c if !quoted && (c == delimiter || c == '\n') => break c,
                c => column.push(c),
            }
        };
        columns.push((quoted || !column.is_empty()).then_some(column));
        if ended == '\n' {
            rows.push(std::mem::take(&mut columns));
        }
    }
    rows
}
proptest! {
    #[test]
    fn what_is_written_is_read_again(
        all in prop::collection::vec(prop::array::uniform3(prop::option::of("[a,;\"\n\r\t ü]{0,5}")), 0..8),
        delimiter in prop::sample::select(vec![',', ';', '\t', '|'])
    ) {
        let written: String = all.iter().map(|x| text(row, x, delimiter)).collect();
        let expect: Vec<Vec<Option<String>>> = all.into_iter().map(|x| x.to_vec()).collect();
        prop_assert_eq!(read(&written, delimiter), expect);
    }
}
