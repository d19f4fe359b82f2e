//! What wakes the function: messages of its queue, or the schedule.

use bucketwheel::credential::CredentialId;
use bucketwheel::event::{Envelope, Event};
use bucketwheel::gitops::AttachmentId;
use bucketwheel::store::gitops::Held;
use serde::Deserialize;
use serde_json::Value;

/// What a message says.
pub(crate) enum Wish {
    /// Look at this attachment.
    Attachment(AttachmentId),
    /// Somebody pushed.
    Push(Push),
    /// Nothing of interest.
    Nothing,
}

/// A push, as far as it says whom it concerns.
pub(crate) struct Push {
    pub(crate) credential: CredentialId,
    uuid: Option<String>,
    name: Option<String>,
    /// The branches that were moved; none if it does not tell.
    branches: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nudge {
    attachment: AttachmentId,
}

/// The ids and texts of an event's messages; none if it is not from a queue.
pub(crate) fn messages(event: &Value) -> Option<Vec<(&str, &str)>> {
    let records = event["Records"].as_array()?;
    Some(records.iter().map(|record| (text(&record["messageId"]), text(&record["body"]))).collect())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(crate) fn wish(text: &str) -> Wish {
    if let Ok(Nudge { attachment }) = serde_json::from_str(text) {
        return Wish::Attachment(attachment);
    }
    let Ok(envelope) = Envelope::parse(text) else { return Wish::Nothing };
    let Ok(Event::RepoPush(push)) = envelope.event() else { return Wish::Nothing };
    let repository = push.repository.unwrap_or_default();
    let sides = push.push.changes.into_iter().flat_map(|change| [change.old, change.new]).flatten();
    Wish::Push(Push {
        credential: envelope.credentialid,
        uuid: repository.uuid,
        name: repository.full_name,
        branches: sides.filter_map(|side| side.name).collect(),
    })
}

impl Push {
    /// Whether an attachment should look. A push that names no branch may concern all of them.
    pub(crate) fn concerns(&self, held: &Held) -> bool {
        let same = match (&held.state.repository, &self.uuid) {
            (Some(known), Some(uuid)) => known == uuid,
            _ => {
                self.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&held.attachment.repository))
            }
        };
        same && (self.branches.is_empty() || self.branches.contains(&held.attachment.branch))
    }
}
