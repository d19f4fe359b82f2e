//! Logs: one JSON line per event on standard output, which Lambda carries to CloudWatch. What is logged
//! is an allow-list: ids, sizes, event keys, durations, and an error with its [causes](crate::error::Causes).
//! [Metrics](crate::metric) go the same way.

use std::io::Write as _;

use tracing::level_filters::LevelFilter;

use crate::metric::{self, Tally};

/// Starts logging at `level` (`error`, `warn`, `info`, `debug`; anything else is `info`).
pub fn init(level: Option<&str>) {
    let level = level.and_then(|level| level.parse::<LevelFilter>().ok()).unwrap_or(LevelFilter::INFO);
    let _ = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level).try_init();
}

/// Writes what this invocation has counted. No log level holds it back.
#[expect(
    clippy::disallowed_methods,
    reason = "Lambda names the function; a metric's time is when it is written"
)]
pub fn write(tally: &Tally) {
    let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    if let Some(line) = metric::line(&function, &tally.take(), jiff::Timestamp::now()) {
        // A metric that cannot be written must not fail what it measures.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}
