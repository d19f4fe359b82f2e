//! Logs: one JSON line per event on standard output, which Lambda carries to CloudWatch. What is logged
//! is an allow-list: ids, sizes, event keys, durations, and an error with its [causes](crate::error::Causes).

use tracing::level_filters::LevelFilter;

/// Starts logging at `level` (`error`, `warn`, `info`, `debug`; anything else is `info`).
pub fn init(level: Option<&str>) {
    let level = level.and_then(|level| level.parse::<LevelFilter>().ok()).unwrap_or(LevelFilter::INFO);
    let _ = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level).try_init();
}
