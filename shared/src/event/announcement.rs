//! Something that we say ourselves, in an envelope like a delivery's.

use jiff::Timestamp;
use serde_json::json;

use super::{ENVELOPE_VERSION, Enveloped, queue_name};
use crate::credential::CredentialId;

/// An envelope without its data.
#[derive(Debug, Clone, Copy)]
pub struct Announcement<'a> {
    /// The same for a thing that is said twice.
    pub id: &'a str,
    /// What it is: the type is `org.bucketwheel.` and this.
    pub kind: &'a str,
    /// What it is about.
    pub subject: &'a str,
    /// When it happened.
    pub time: Timestamp,
    /// Whose it is.
    pub credential: &'a CredentialId,
    /// What orders it.
    pub partition: &'a str,
}

impl Announcement<'_> {
    /// The envelope with its data, which is the last member of every envelope.
    pub fn wrap(&self, data: &str) -> Enveloped {
        let head = json!({
            "specversion": "1.0",
            "id": self.id,
            "source": "https://bitbucket.org/",
            "type": format!("org.bucketwheel.{}", self.kind),
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": "application/json",
            "envelopeversion": ENVELOPE_VERSION,
            "credentialid": self.credential,
            "partitionkey": self.partition,
        });
        let mut text = head.to_string();
        text.pop();
        text.push_str(r#","data":"#);
        text.push_str(data);
        text.push('}');
        Enveloped { group: queue_name(self.partition), text, id: self.id.to_owned() }
    }
}
