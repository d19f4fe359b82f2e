//! `CONSUMER/REFUSALS`: the last time that a token was sent which Bitbucket may have refused.
//!
//! After a bad refresh token Bitbucket may refuse every token of the same consumer for some minutes. So
//! who sends one that may be bad writes it down first, and the refusal that would end a chain counts only
//! if nothing else can explain it.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::from_attributes;
use crate::ports::{Condition, Key, Table, TableError, Write};
use crate::rotation::{Claim, RunId, Terms};
use serde::Deserialize;

#[derive(Deserialize)]
struct Last {
    run: RunId,
}

/// Writes down that a token will be sent which may be refused. If the answer decides over a chain, it is
/// sent only when no other was sent for as long as a lockout may last; who says that Bitbucket locks nobody
/// out has nothing to wait for.
pub async fn ask(table: &impl Table, claim: &Claim, now: Timestamp, terms: &Terms) -> Result<(), TableError> {
    let Value::Object(attributes) = json!({ "run": claim.intent.id, "at_ms": now.as_millisecond() }) else {
        unreachable!("attributes are an object")
    };
    let quiet = now.as_millisecond().saturating_sub(i64::try_from(terms.lockout.as_millis()).unwrap_or(0));
    let condition = if claim.decides && !terms.lockout.is_zero() {
        Condition::Any(vec![Condition::Lacks("at_ms"), Condition::AtMost("at_ms", quiet)])
    } else {
        Condition::Always
    };
    table.write(vec![Write::Put { key: key(), attributes, condition }]).await
}

/// Whether nobody else has sent such a token since `claim` did.
pub async fn last_is(table: &impl Table, claim: &Claim) -> Result<bool, TableError> {
    let last = table.get(&key()).await?.map(from_attributes::<Last>).transpose()?;
    Ok(last.is_some_and(|last| last.run == claim.intent.id))
}

fn key() -> Key {
    Key::new("CONSUMER", "REFUSALS")
}
