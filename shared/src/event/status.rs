//! A credential's change of state, as the consumer of the events queue reads it.

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Announcement, Enveloped};
use crate::credential::{Cause, Credential, Health, Status};
use crate::rotation::Forecast;

/// A change to announce.
#[derive(Debug, Clone, Copy)]
pub struct StatusChange<'a> {
    /// Whose.
    pub credential: &'a Credential,
    /// What it is now.
    pub status: &'a Status,
    /// The generation of the chain that it was found at.
    pub generation: u64,
    /// How long calls go on to work although something is wrong, if that is known.
    pub works_until: Option<Timestamp>,
    /// What is to be expected of the chain.
    pub forecast: &'a Forecast,
    /// The credential's page in the console, where it is reconnected.
    pub page: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    label: &'a str,
    owner: &'a str,
    workspace: &'a str,
    health: Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Reason>,
    since: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    works_until: Option<Timestamp>,
    forecast: &'a Forecast,
    reconnect: &'a str,
}

#[derive(Serialize)]
struct Reason {
    code: &'static str,
    sentence: &'static str,
    resolution: &'static str,
}

impl StatusChange<'_> {
    /// Wraps the change. Its type is `org.bucketwheel.credential.` and `up`, `degraded`, `down` or
    /// `disabled`. The id follows from what changed, so an announcement that is repeated has the same.
    pub fn envelope(&self) -> Enveloped {
        let Credential { id: credential, label, owner, workspace, .. } = self.credential;
        let Status { health, cause, since } = *self.status;
        let word = health.word();
        let code = cause.map(Cause::code).unwrap_or_default();
        let what = format!("{credential} {} {word} {code} {since}", self.generation);
        let id = hex::encode(Sha256::digest(what));
        let cause = cause.map(|cause| Reason {
            code: cause.code(),
            sentence: cause.sentence(),
            resolution: cause.resolution(),
        });
        let (forecast, works_until) = (self.forecast, self.works_until);
        let reconnect = self.page;
        let data = Data { label, owner, workspace, health, cause, since, works_until, forecast, reconnect };
        let Ok(data) = serde_json::to_string(&data) else {
            unreachable!("a change of state is texts and numbers")
        };
        Announcement {
            id: &id,
            kind: &format!("credential.{word}"),
            subject: credential.as_str(),
            time: since,
            credential,
            partition: credential.as_str(),
        }
        .wrap(&data)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::event::Envelope;
    use crate::rotation::Outlook;

    #[test]
    fn a_chain_that_is_down_is_told_with_cause_remedy_and_page() {
        let now = Timestamp::from_second(1_000).expect("a time");
        let status = Status { health: Health::Down, cause: Some(Cause::RotationLost), since: now };
        let credential = Credential::sample("c1".parse().expect("an id"), now);
        let forecast = Forecast {
            outlook: Outlook::Ended,
            rotated_at: now,
            access_expires_at: Some(now),
            due_at: Some(now),
            idle_days_left: Some(3),
            window_ends_at: None,
        };
        let change = StatusChange {
            credential: &credential,
            status: &status,
            generation: 4,
            works_until: None,
            forecast: &forecast,
            page: "https://bw/credentials/c1",
        };
        let told = change.envelope();
        let envelope = Envelope::parse(&told.text).expect("an envelope");
        assert_eq!(envelope.r#type, "org.bucketwheel.credential.down");
        let data: Value = serde_json::from_slice(&envelope.body().expect("data")).expect("JSON");
        assert_eq!(data["cause"]["code"], "rotation_lost");
        assert_eq!(data["cause"]["resolution"], Cause::RotationLost.resolution());
        assert_eq!(
            (&data["reconnect"], &data["forecast"]["idle_days_left"]),
            (&json!(change.page), &json!(3))
        );
        assert_eq!((told.group.as_str(), told.id), ("c1", change.envelope().id));
    }
}
