//! `/api/kinds`: the ways to connect, and what each of them costs.

use axum::Json;
use bucketwheel::credential::{Entry, Kind, Resource, Trade};
use serde::Serialize;

/// A kind with its trade.
#[derive(Debug, Serialize)]
pub(crate) struct Offered {
    kind: Kind,
    title: &'static str,
    #[serde(flatten)]
    trade: Trade,
    /// What has to be brought to the connect link.
    entry: Entry,
    /// What besides the workspace must be named in `resource`.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Resource>,
}

/// All kinds.
pub(crate) async fn list() -> Json<serde_json::Value> {
    let kinds: Vec<_> = Kind::ALL
        .into_iter()
        .map(|kind| Offered {
            kind,
            title: kind.title(),
            trade: kind.trade(),
            entry: kind.entry(),
            resource: kind.resource(),
        })
        .collect();
    Json(serde_json::json!({ "values": kinds }))
}
