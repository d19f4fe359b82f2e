//! `bucketwheel hooks by-hand`: for a hook that Bitbucket does not let the credential register. A person
//! registers it, with a secret that is shown once.
//!
//! This works with the operator's own AWS credentials: no function and no page ever gives a secret away.

use bucketwheel::aws::{Account, DynamoTable, Host, SecretError, Secrets};
use bucketwheel::credential::{BadCredentialId, CredentialId};
use bucketwheel::ports::{Edge as _, Table as _, TableError};
use bucketwheel::store::credentials::{self, Audit};
use bucketwheel::store::hooks::{self, HookSecrets, UnderWay};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::profile::Profile;
use crate::screen::Screen;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Secret(#[from] SecretError),
    #[error("the table did not take it: {0}")]
    Table(#[from] TableError),
    #[error(transparent)]
    Credential(#[from] BadCredentialId),
    #[error(transparent)]
    UnderWay(#[from] UnderWay),
}

impl Error {
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Secret(_) | Self::Table(_) => "do your AWS credentials allow it, and does the system run?",
            Self::Credential(_) => "see `bucketwheel credentials` for the ids",
            Self::UnderWay(_) => "run it again when that is done",
        }
    }
}

pub(crate) async fn show(
    profile: &Profile,
    screen: Screen,
    credential: &str,
    subject: &str,
    events: &[String],
) -> Result<(), crate::Error> {
    let account = profile.account()?;
    let (url, secret) = made(profile, &account, credential, subject, events).await?;
    let of = if subject.contains('/') { "Repository" } else { "Workspace" };
    let words = format!(
        "{of} settings of {subject}, Webhooks, Add webhook (or the one that has this URL):\n  URL       {url}\n  \
         Secret    {secret}\n  Triggers  {}\nThe secret is shown this once. The one before is accepted too, until you \
         make the next.",
        events.join(", "),
        secret = secret.expose_secret(),
    );
    let told = json!({ "subject": subject, "url": url, "secret": secret.expose_secret(), "events": events });
    screen.tell(&told, &words);
    Ok(())
}

/// Makes and stores a secret; gives the address to register with it.
async fn made(
    profile: &Profile,
    account: &Account,
    credential: &str,
    subject: &str,
    events: &[String],
) -> Result<(String, SecretString), Error> {
    let id: CredentialId = credential.parse()?;
    let table = DynamoTable::new(account, profile.table.clone());
    let ring = Secrets::new(account).keyring(&profile.hook_keyring).await?;
    let now = Host.now();
    let secret = SecretString::from(Host.random::<64>().map(|byte| format!("{byte:02x}")).concat());
    let mut stored = hooks::get(&table, &id).await?.unwrap_or_else(HookSecrets::unmade);
    let seal = |version| hooks::sealed(&ring, &id, version, &secret, Host.random());
    stored.attach_by_hand(subject, events, seal, now)?;
    let line = Audit {
        actor: "operator, by AWS credentials".to_owned(),
        action: "hook_secret_shown".to_owned(),
        note: format!("{subject}, version {}", stored.newest()),
        at: now,
        request: String::new(),
    };
    let audit = credentials::audit_line(&id, &line, Host.random());
    table.write(vec![hooks::replacing(&id, &mut stored), audit]).await?;
    Ok((format!("{}/webhooks/bitbucket-cloud/{id}", profile.public_url), secret))
}
