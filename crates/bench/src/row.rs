//! [`Row`]: one measured run, as JSON or for people.
use crate::{
    json::{Value, object},
    meter::Spent,
};

type Fields = Vec<(&'static str, Value)>;

pub(crate) struct Row {
    workload: &'static str,
    variant: String,
    threads: usize,
    records: u64,
    bytes: Option<u64>,
    spent: Spent,
    result: Fields,
    more: Fields,
}

impl Row {
    pub(crate) fn new(
        workload: &'static str,
        variant: impl Into<String>,
        threads: usize,
        records: u64,
        spent: Spent,
    ) -> Self {
        let variant = variant.into();
        Row { workload, variant, threads, records, bytes: None, spent, result: Vec::new(), more: Vec::new() }
    }
    pub(crate) fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }
    /// What proves that the work was done, or, ending in `_p50` or `_p99`, how long a part of it took.
    pub(crate) fn result(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.result.push((key, value.into()));
        self
    }
    /// A field of this workload only.
    pub(crate) fn more(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.more.push((key, value.into()));
        self
    }
    fn per_second(&self) -> f64 {
        (self.records as f64 / self.spent.wall_s).round()
    }
    /// One JSON object.
    pub(crate) fn json(&self) -> String {
        let text = |s: &str| Value::from(s).to_string();
        let mut fields = vec![
            ("workload", text(self.workload)),
            ("variant", text(&self.variant)),
            ("threads", self.threads.to_string()),
            ("records", self.records.to_string()),
        ];
        fields.extend(self.bytes.map(|n| ("bytes", n.to_string())));
        fields.extend([
            ("wall_s", format!("{:.4}", self.spent.wall_s)),
            ("cpu_s", format!("{:.4}", self.spent.cpu_s)),
            ("peak_rss_mb", format!("{:.1}", self.spent.peak_rss_mb)),
            ("records_per_s", Value::from(self.per_second()).to_string()),
            ("result", object(self.result.iter().map(|(k, v)| (*k, v.to_string())))),
        ]);
        fields.extend(self.more.iter().map(|(k, v)| (*k, v.to_string())));
        object(fields)
    }
    /// One line for people.
    pub(crate) fn readable(&self) -> String {
        let Spent { wall_s, cpu_s, peak_rss_mb } = self.spent;
        let fields: Vec<String> = self.result.iter().chain(&self.more).map(|(k, v)| format!("{k} {v}")).collect();
        let each = |s: f64| s * 1e6 / self.records.max(1) as f64;
        format!(
            "{} {} on {} thread(s): {} records in {wall_s:.3} s, CPU {cpu_s:.3} s, peak {peak_rss_mb:.0} MB, \
             {:.0} records/s ({:.3} us, CPU {:.3} us a record); {}",
            self.workload,
            self.variant,
            self.threads,
            self.records,
            self.per_second(),
            each(wall_s),
            each(cpu_s),
            fields.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_agreed_fields_in_order() {
        let spent = Spent { wall_s: 0.5, cpu_s: 0.75, peak_rss_mb: 3.25 };
        let row = Row::new("W1", "count", 2, 10, spent).bytes(99).result("distinct", 4u64).more("batch_ms_p50", 1.5);
        let expect = concat!(
            r#"{"workload":"W1","variant":"count","threads":2,"records":10,"bytes":99,"wall_s":0.5000,"#,
            r#""cpu_s":0.7500,"peak_rss_mb":3.2,"records_per_s":20.0000,"result":{"distinct":4},"batch_ms_p50":1.5000}"#
        );
        assert_eq!(row.json(), expect);
        assert!(
            row.readable().starts_with("W1 count on 2 thread(s): 10 records in 0.500 s, CPU 0.750 s, peak 3 MB, 20 ")
        );
    }
}
