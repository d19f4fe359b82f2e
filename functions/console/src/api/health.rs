//! `/api/health`: what `bucketwheel doctor` can only learn from inside.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::beats::{self, Schedule};
use jiff::Timestamp;
use serde::Serialize;

use crate::Console;
use crate::problem::ErrorAnswer;

/// Facts; what they mean is for the reader to say.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    /// The time as this function has it.
    now: Timestamp,
    schedules: Vec<Seen>,
}

#[derive(Debug, Serialize)]
struct Seen {
    name: &'static str,
    /// The function that it wakes.
    function: &'static str,
    /// When its work was last done to the end.
    last_run: Option<Timestamp>,
    /// After so long without it something is wrong.
    late_after_seconds: i64,
}

/// How the deployment is.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
) -> Result<Json<Health>, ErrorAnswer> {
    let mut schedules = Vec::new();
    for schedule in Schedule::ALL {
        let last_run = beats::last(&console.table, schedule).await?;
        schedules.push(Seen {
            name: schedule.name(),
            function: schedule.function(),
            last_run,
            late_after_seconds: schedule.late_after().as_secs(),
        });
    }
    Ok(Json(Health { now: console.edge.now(), schedules }))
}
