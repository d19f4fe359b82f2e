//! `/api/budget`: how much of Bitbucket's hourly allowances is used, and when there is room again.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use bucketwheel::call::Allowance;
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::budget::{self, Used};
use jiff::Timestamp;
use serde::Serialize;

use super::credentials::known;
use crate::Console;
use crate::problem::ErrorAnswer;
use crate::request::parameter;

/// What is used of each allowance.
#[derive(Debug, Serialize)]
pub(crate) struct Budget {
    allowances: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    allowance: Allowance,
    requests_last_hour: u32,
    allowed_per_hour: u32,
    closed_until: Option<Timestamp>,
    near_limit_until: Option<Timestamp>,
    free_at: Option<Timestamp>,
}

/// What is used by all of the OAuth consumer, or by the credential that the query names.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Budget>, ErrorAnswer> {
    let credential = match parameter(query.as_deref(), "credential") {
        None => None,
        Some(id) => Some(known(&console.table, id.parse().ok()).await?),
    };
    let (limits, now) = (console.limits, console.edge.now());
    let mut allowances = Vec::new();
    for allowance in Allowance::ALL {
        let used = budget::used(&console.table, limits, credential.as_ref(), allowance, now).await?;
        let Used { requests, per_hour, closed_until, near_limit_until, free_at } = used;
        allowances.push(Line {
            allowance,
            requests_last_hour: requests,
            allowed_per_hour: per_hour,
            closed_until,
            near_limit_until,
            free_at,
        });
    }
    Ok(Json(Budget { allowances }))
}
