//! Logs: one JSON line per event on standard output, which Lambda carries to CloudWatch. What is logged
//! is an allow-list: ids, sizes, event keys, durations, and an error with its [causes](crate::error::Causes).

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

/// Starts logging at `level` (`error`, `warn`, `info`, `debug`; anything else is `info`).
pub fn init(level: Option<&str>) {
    let level = level.and_then(|level| level.parse::<LevelFilter>().ok()).unwrap_or(LevelFilter::INFO);
    let _ = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level).try_init();
}

/// Counts something in CloudWatch metrics of the namespace `Bucketwheel`: one line in the embedded metric
/// format, which CloudWatch reads out of the log
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
pub fn count(function: &str, counts: &BTreeMap<String, u32>) {
    #[expect(clippy::disallowed_methods, reason = "a metric's time is when it is written")]
    let line = line(function, counts, jiff::Timestamp::now().as_millisecond());
    // A metric that cannot be written must not fail what it measures.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn line(function: &str, counts: &BTreeMap<String, u32>, millisecond: i64) -> Value {
    let metrics: Vec<_> = counts.keys().map(|name| json!({ "Name": name, "Unit": "Count" })).collect();
    let mut line = json!({
        "_aws": {
            "Timestamp": millisecond,
            "CloudWatchMetrics": [
                { "Namespace": "Bucketwheel", "Dimensions": [["function"]], "Metrics": metrics }
            ],
        },
        "function": function,
    });
    for (name, count) in counts {
        line[name] = json!(count);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_named_in_the_directive_and_stands_at_the_root() {
        let line = line("f", &BTreeMap::from([("down".to_owned(), 2)]), 1_000);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Metrics"], json!([{ "Name": "down", "Unit": "Count" }]));
        assert_eq!(directive["Dimensions"], json!([["function"]]));
        assert_eq!((&line["function"], &line["down"]), (&json!("f"), &json!(2)));
    }
}
