//! One hook of a credential.

use serde::{Deserialize, Serialize};

use crate::call::Problem;
use crate::event::Filter;

/// A workspace or repository that this credential has, or is to have, a hook at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// `workspace` or `workspace/repository`.
    pub subject: String,
    /// The event keys that are wanted.
    pub events: Vec<String>,
    /// The version of the secret that Bitbucket was told; 0 if none was.
    #[serde(default)]
    pub registered: u64,
    /// Whether a person registers it, because Bitbucket does not let the credential. Then nobody asks
    /// Bitbucket for it, and `registered` is what the person was told.
    #[serde(default)]
    pub by_hand: bool,
    /// The workspace whose hook Bitbucket refuses, so that those of its repositories stand in for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_in_for: Option<String>,
    /// The hook's uuid at Bitbucket, without braces, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Which of its deliveries are wanted.
    #[serde(default)]
    pub filter: Filter,
    /// Why it could not be set right, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

impl Attached {
    pub(super) fn new(subject: &str, events: &[String]) -> Self {
        Self {
            subject: subject.to_owned(),
            events: events.to_vec(),
            registered: 0,
            by_hand: false,
            stands_in_for: None,
            uuid: None,
            filter: Filter::default(),
            problem: None,
        }
    }
}
