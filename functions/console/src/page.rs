//! Lists that come in pages.

use bucketwheel::ports::{Cursor, TableError};
use serde::Serialize;

use crate::api::credentials::from_outside;
use crate::problem::ErrorAnswer;
use crate::request::parameter;

/// How many values a page has, unless `limit` says otherwise.
const USUAL_LIMIT: u32 = 50;
const HIGHEST_LIMIT: u32 = 100;

/// A page of something.
#[derive(Debug, Serialize)]
pub(crate) struct Listed<V> {
    pub(crate) values: Vec<V>,
    /// What to send as `after` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// Which page is asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// How many values at most.
    pub(crate) limit: u32,
    /// Where the page before ended.
    pub(crate) after: Option<Cursor>,
}

impl Asked {
    /// Reads the parameters `limit` and `after`.
    pub(crate) fn read(query: Option<&str>) -> Result<Self, ErrorAnswer> {
        let limit = parameter(query, "limit").map_or(Ok(USUAL_LIMIT), |limit| limit.parse());
        match limit.ok().filter(|limit| (1..=HIGHEST_LIMIT).contains(limit)) {
            Some(limit) => Ok(Self { limit, after: parameter(query, "after").map(Cursor) }),
            None => Err(ErrorAnswer::bad_request(
                "bad_limit",
                format!("limit must be a number from 1 to {HIGHEST_LIMIT}."),
                "Correct it, or leave it out.",
            )),
        }
    }

    /// The page that the table gave.
    pub(crate) fn page<V>(
        &self,
        found: Result<(Vec<V>, Option<Cursor>), TableError>,
    ) -> Result<Listed<V>, ErrorAnswer> {
        let (values, next) = from_outside(found, self.after.as_ref())?;
        Ok(Listed { values, next: next.map(|cursor| cursor.0) })
    }
}
