//! What an operator says of a credential's token: how it is kept alive, and when it expires.

use bucketwheel::credential::{Credential, Entry, Kind};
use bucketwheel::ports::{Edge, Queue, Table, Write};
use bucketwheel::rotation::{Upkeep, Wish};
use bucketwheel::store::{credentials, tokens};
use bucketwheel::token::{NEVER, end_of};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use crate::Console;
use crate::guard::Who;
use crate::problem::ErrorAnswer;

/// The day on which a token expires that was made by hand. Bitbucket does not tell it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub(crate) enum ExpiresOn {
    /// At the end of this day, in UTC.
    Day(Date),
    /// On none.
    Never(Never),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Never {
    Never,
}

/// What an operator may choose, for a credential that has a choice.
pub(crate) fn chosen(kind: Kind, upkeep: Upkeep) -> Result<Upkeep, ErrorAnswer> {
    if !upkeep.spends() {
        return Err(ErrorAnswer::bad_request("bad_field", "upkeep is hot or lazy.", "Choose one of them."));
    }
    if kind.entry() != Entry::Consent {
        return Err(ErrorAnswer::conflict(
            "no_refresh_token",
            "A credential of this kind has no refresh token, so there is nothing to choose.",
            "Leave out upkeep.",
        ));
    }
    Ok(upkeep)
}

/// When a token of this kind expires then.
pub(crate) fn expiry(kind: Kind, on: ExpiresOn) -> Result<Timestamp, ErrorAnswer> {
    if kind.renews_itself() {
        return Err(ErrorAnswer::conflict(
            "renews_itself",
            "Bitbucket tells when a token of this kind expires, and it is renewed before.",
            "Leave out expires_on.",
        ));
    }
    Ok(match on {
        ExpiresOn::Day(day) => end_of(day),
        ExpiresOn::Never(Never::Never) => NEVER,
    })
}

impl<T: Table, Q: Queue, E: Edge> Console<T, Q, E> {
    /// Says how a chain is kept alive. One that must be `hot` from now on is refreshed at once.
    pub(crate) async fn keep_as(
        &self,
        who: &Who,
        known: &Credential,
        upkeep: Upkeep,
    ) -> Result<(), ErrorAnswer> {
        let change = |generation| tokens::keep_as(&known.id, generation, upkeep);
        self.amend(who, known, "upkeep_chosen", format!("{upkeep:?}").to_lowercase(), change).await?;
        match upkeep {
            Upkeep::Hot => self.nudge(known, Wish::Refresh).await,
            _ => Ok(()),
        }
    }

    /// Says when a token expires. It is tried at once, which shows what it is worth.
    pub(crate) async fn expires(
        &self,
        who: &Who,
        known: &Credential,
        at: Timestamp,
    ) -> Result<(), ErrorAnswer> {
        let note = if at < NEVER { at.to_string() } else { "never".to_owned() };
        let change = |generation| tokens::expires_at(&known.id, generation, at);
        self.amend(who, known, "expiry_set", note, change).await?;
        self.nudge(known, Wish::Refresh).await
    }

    async fn amend(
        &self,
        who: &Who,
        known: &Credential,
        action: &str,
        note: String,
        change: impl FnOnce(u64) -> Write,
    ) -> Result<(), ErrorAnswer> {
        let tokens =
            tokens::get(&self.table, &known.id).await?.ok_or_else(ErrorAnswer::no_such_credential)?;
        let changes = vec![credentials::touch(known), change(tokens.chain().generation)];
        self.commit_all(who, known, action, note, changes).await
    }
}
