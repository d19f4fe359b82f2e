//! `/api/budget`: how much of Bitbucket's hourly allowances is used, and when there is room again.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use bucketwheel::call::Allowance;
use bucketwheel::credential::Credential;
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::store::budget::{self, Used};
use futures_util::future::try_join_all;
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
    let line = |(allowance, used)| {
        let Used { requests, per_hour, closed_until, near_limit_until, free_at } = used;
        Line {
            allowance,
            requests_last_hour: requests,
            allowed_per_hour: per_hour,
            closed_until,
            near_limit_until,
            free_at,
        }
    };
    let allowances = console.allowances(credential.as_ref()).await?.into_iter().map(line).collect();
    Ok(Json(Budget { allowances }))
}

impl<T: Table, Q, E: Edge> Console<T, Q, E> {
    /// What is used of each allowance, by all of the OAuth consumer or by one credential.
    pub(crate) async fn allowances(
        &self,
        credential: Option<&Credential>,
    ) -> Result<Vec<(Allowance, Used)>, TableError> {
        let (limits, now) = (self.limits, self.edge.now());
        let one = async |allowance| {
            let used = budget::used(&self.table, limits, credential, allowance, now).await?;
            Ok((allowance, used))
        };
        try_join_all(Allowance::ALL.map(one)).await
    }
}
