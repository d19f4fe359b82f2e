//! The last requests to the token endpoint and the API, without any token.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

/// How many requests are remembered.
const KEPT: usize = 2_000;

/// The last requests, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Journal(VecDeque<Line>);

/// One request and its answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub(crate) when: Timestamp,
    pub(crate) method: String,
    pub(crate) path: String,
    /// The query of an API request; for the token endpoint, the grant type.
    pub(crate) query: String,
    /// 0 if the connection was closed without an answer.
    pub(crate) status: u16,
    /// Whose credentials came with it.
    pub(crate) who: Option<String>,
    /// Whether the answer was lost on purpose.
    pub(crate) lost: bool,
}

impl Journal {
    pub(crate) fn note(&mut self, line: Line) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    pub(crate) fn lines(&self) -> &VecDeque<Line> {
        &self.0
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
