//! The leak hunt: every flow at debug level with secrets that can be recognised, and afterwards every log,
//! page, error, queue message, metric, item and crash is searched for each of them: plain, in base64 at every
//! alignment, in hex and percent-encoded. A part of 24 characters is enough to be found.

mod canaries;
mod ends;
mod flows;

use std::fs;

use canaries::{Canaries, Place};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn no_secret_is_in_any_log_page_error_message_metric_item_or_crash() {
    // Tokens die with their refresh, so that calls meet a 401 too.
    let behaviour = json!({
        "access_token_lifetime": 7200, "grace_window_seconds": 0, "old_access_token_dies": true,
        "rate_limit": 1_000_000, "hook_rate_limit": 1_000_000,
    });
    let world = World::apart(&[("LogLevel", "debug"), ("CallsPerHour", "1000000")], behaviour).await;
    let mut canaries = Canaries::default();
    let mut seen = flows::all(&world, &mut canaries).await;
    seen.extend(ends::crashes(&world, &mut canaries).await);

    for (queue, text) in world.heard() {
        seen.push((Place::Queue(queue), text));
    }
    for entry in fs::read_dir(world.local().logs()).expect("the logs").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // The stand-in's own log has the addresses that browsers asked for, as no log of AWS has.
        if name != "stand-in.log" {
            let log = fs::read(entry.path()).expect("a log");
            seen.push((Place::Log, String::from_utf8_lossy(&log).into_owned()));
        }
    }
    let table =
        bucketwheel_local::items(&world.local().aws_endpoint, &world.local().outputs.table_name).await;
    seen.push((Place::Table, table.expect("all items")));

    let bytes: usize = seen.iter().map(|(_, text)| text.len()).sum();
    println!("{} texts of {bytes} bytes were searched for {} secrets", seen.len(), canaries.len());
    assert!(bytes > 200_000 && canaries.len() > 25, "the hunt saw too little");
    for place in [Place::Log, Place::Page, Place::Error, Place::Table, Place::Crash] {
        assert!(seen.iter().any(|(at, _)| *at == place), "nothing was seen of {place:?}");
    }
    let found: Vec<_> = seen.iter().flat_map(|(place, text)| canaries.found(place, text)).collect();
    assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
    world.stop();
}
