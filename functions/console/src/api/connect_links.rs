//! `/api/connect-links`: invite somebody to connect a Bitbucket account.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bucketwheel::ports::{Edge, Queue, Table};
use http::StatusCode;

use crate::Console;
use crate::guard::Who;
use crate::invite::{Made, Wanted};
use crate::problem::ErrorAnswer;
use crate::request::Body;

/// Makes a connect link.
pub(crate) async fn make<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    who: Who,
    Body(wanted): Body<Wanted>,
) -> Result<(StatusCode, Json<Made>), ErrorAnswer> {
    Ok((StatusCode::CREATED, Json(console.invite(&who, wanted).await?)))
}
