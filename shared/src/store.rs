//! How the nouns lie in the one table.
//!
//! | pk | sk | what |
//! |---|---|---|
//! | `CRED#id` | `META` | the [`Credential`](crate::credential::Credential); listed by the index `listing` |
//! | `CRED#id` | `TOKENS` | the sealed pair, its generation, intent and lease; found by the index `due` |
//! | `CRED#id` | `OWNER`, `WORKSPACE` | nothing: the index `listing` finds the credential by them |
//! | `CRED#id` | `HOOK` | its hooks, what is wanted of them, and the sealed secrets that deliveries are signed with |
//! | `CRED#id` | `DELIVERIES` | what became of its deliveries |
//! | `CRED#id` | `REPO#uuid`, `REPOS` | the repositories that the credential sees, and when they were listed |
//! | `CRED#id` | `STALE` | that an event said that these have changed; listed by `listing` |
//! | `CRED#id` | `CAME#uuid#digest`, `HEADS#uuid`, `MISSED` | where missed events are searched for: a delivery that came, how a repository stood, what was found |
//! | `CRED#id` | `AUDIT#ulid` | who changed what, and when |
//! | `PARKED#group` | `HEAD` | that deliveries of this group wait, and their next number; listed by `listing` |
//! | `PARKED#group` | `D#number#part` | one of them, sealed |
//! | `LINK#digest` | `LINK` | a connect link |
//! | `STATE#digest` | `STATE` | a connect that has begun |
//! | `CRED#id` | `TOLD` | which state of the credential the events queue was last told |
//! | `ROUND` | `ROUND` | how far the worker's round through the credentials has come |
//! | `CONSUMER` | `REFUSALS` | the last refresh token that Bitbucket may have refused |
//! | `CALL#id` | `CALL` | a call: sent, and then its outcome; listed by `recent` |
//! | `CALL#id` | `PART#number`, `PROGRESS` | the pages of a paginated call, and how far it or a walk through the repositories has come |
//! | `GITOPS#id` | `STATE` | a cluster attached to a folder, and how far it has come; listed by `listing`, found by `due` |
//! | `GITOPS#id` | `FILE#digest`, `PUT#ulid`, `READ#turn#number`, `LINE#number` | a known file, a commit to make, files to read, the history |
//! | `CRED#id`, `GITOPS-FOLDER#…` | `GITOPS#id`, the folder | which attachments a credential has; that a folder is taken |
//! | `BUDGET#who#allowance` | `HOUR#hour`, `PART#hour`, `STATE` | how much of an hourly allowance is used, and what Bitbucket said of it |
//!
//! Unrelated writes never touch the tokens. Every write that depends on a read carries a condition.
//! DynamoDB removes items some time after their `expires_at`, so an expired item counts as absent here.

pub mod beats;
pub mod budget;
pub mod calls;
pub mod connects;
pub mod credentials;
pub mod deliveries;
pub mod gitops;
pub mod history;
pub mod hooks;
pub mod keys;
pub mod missed;
pub mod refusals;
pub mod repositories;
mod revised;
pub mod rounds;
pub mod tokens;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::credential::CredentialId;
use crate::ports::{Attributes, TableError};

/// The attribute that DynamoDB's time to live looks at, in seconds since 1970.
const EXPIRES_AT: &str = "expires_at";

fn credential_pk(id: &CredentialId) -> String {
    format!("CRED#{id}")
}

fn to_attributes(noun: &impl Serialize) -> Attributes {
    match serde_json::to_value(noun) {
        Ok(Value::Object(attributes)) => attributes,
        _ => unreachable!("every noun of the table is a struct of texts, numbers and lists"),
    }
}

fn from_attributes<T: DeserializeOwned>(attributes: Attributes) -> Result<T, TableError> {
    serde_json::from_value(Value::Object(attributes))
        .map_err(|error| TableError::Unreadable(error.to_string()))
}

fn live(attributes: Option<Attributes>, now: Timestamp) -> Option<Attributes> {
    attributes.filter(|found| {
        found.get(EXPIRES_AT).and_then(Value::as_i64).is_none_or(|expiry| expiry > now.as_second())
    })
}
