//! `bucketwheel rotate keys` and `rotate operator`: a new key for a keyring and an end for the old one, and
//! a new operator token.
//!
//! This works with the operator's own AWS credentials: no function may write a secret.

use std::cmp::Ordering;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use bucketwheel::aws::{DynamoTable, Host, SecretError, Secrets};
use bucketwheel::keyring;
use bucketwheel::ports::{Cursor, Edge as _, TableError};
use bucketwheel::seal::Keyring;
use bucketwheel::store::credentials::{self, Which};
use bucketwheel::store::keys::{self, Counts, Usage};
use bucketwheel::store::tokens::Rings;
use clap::{Subcommand, ValueEnum};
use secrecy::SecretString;
use serde_json::json;

use crate::console::Console;
use crate::profile::Profile;
use crate::screen::{Screen, waiting};

#[derive(Debug, Subcommand)]
pub(crate) enum Rotate {
    /// The keys that seal tokens and hook secrets: add, wait, reseal, drop
    Keys {
        #[command(subcommand)]
        step: Option<Step>,
    },
    /// The operator token: the old one stops working within a minute, and sessions that began with it end
    Operator {
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// The secret of a credential's hooks; a rotation that stopped half-way goes on
    Hook {
        /// The credential to use; not needed if there is only one
        #[arg(long)]
        credential: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Step {
    /// Say which keys there are and how much each of them seals (the default)
    Report,
    /// Add a key to a ring; it begins to seal when every function has read it
    Add {
        /// Which ring
        #[arg(value_enum)]
        ring: Ring,
    },
    /// Seal anew what is still sealed by old keys
    Reseal,
    /// Drop a key, if nothing is sealed by it
    Drop {
        /// Which ring
        #[arg(value_enum)]
        ring: Ring,
        /// The key's id, such as k0001
        key: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ring {
    /// Webhook secrets
    Hook,
    /// Access tokens and API tokens
    Access,
    /// Refresh tokens
    Refresh,
}

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Ring::Hook => "hook",
            Ring::Access => "access",
            Ring::Refresh => "refresh",
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Secret(#[from] SecretError),
    #[error("the table cannot be read: {0}")]
    Table(#[from] TableError),
    #[error(transparent)]
    Refused(#[from] keyring::Refused),
    #[error(
        "the refresh queue and its dead letters hold {0} messages, and a pair of tokens sealed by this key may be among \
         them"
    )]
    Parked(u64),
    #[error("{credential} was not sealed anew: {source}")]
    Reseal { credential: String, source: keys::ResealError },
}

impl Error {
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Secret(_) | Self::Table(_) => "do your AWS credentials allow it, and does the system run?",
            Self::Refused(keyring::Refused::NoSuchKey(_)) => {
                "see `bucketwheel rotate keys` for those that are"
            }
            Self::Refused(keyring::Refused::Unreadable(_)) => "put the secret's version before this one back",
            Self::Refused(_) => "see `bucketwheel rotate keys` how far it has come",
            Self::Parked(_) => "let the queue run empty, and look at `bucketwheel dlq list refresh`",
            Self::Reseal { .. } => "mend that, then run it again: what is done stays done",
        }
    }
}

const LOOKS: u32 = 6;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// Puts a new operator token into Secrets Manager, and into the profile if that has one.
pub(crate) async fn operator(
    mut profile: Profile,
    path: &Path,
    screen: Screen,
    yes: bool,
) -> Result<(), crate::Error> {
    let name = profile.operator_secret.clone();
    if !yes {
        let words = "Everybody who signed on would have to do so again, with a new operator token. Add --yes to do it.";
        screen.tell(&json!({ "dry_run": true, "secret": name }), words);
        return Ok(());
    }
    let token = Host.random::<32>().map(|byte| format!("{byte:02x}")).concat();
    let secret = SecretString::from(json!({ "token": token }).to_string());
    Secrets::new(&profile.account()?).put(&name, &secret).await.map_err(Error::from)?;
    if profile.operator_token.is_some() {
        profile.operator_token = Some(token);
        profile.save(path)?;
    }
    let words = format!(
        "A new operator token is in the secret {name}. It works within a minute, and then the old one no longer does."
    );
    screen.tell(&json!({ "secret": name }), &words);
    Ok(())
}

struct Keys<'a> {
    profile: &'a Profile,
    screen: Screen,
    secrets: Secrets,
    table: DynamoTable,
}

pub(crate) async fn keys(profile: &Profile, screen: Screen, step: Step) -> Result<(), crate::Error> {
    let account = profile.account()?;
    let table = DynamoTable::new(&account, profile.table.clone());
    let keys = Keys { profile, screen, secrets: Secrets::new(&account), table };
    match step {
        Step::Report => Ok(keys.report().await?),
        Step::Add { ring } => Ok(keys.add(ring).await?),
        Step::Reseal => Ok(keys.reseal().await?),
        Step::Drop { ring, key } => {
            if ring != Ring::Hook {
                nothing_parked(&Console::new(profile).await?).await?;
            }
            Ok(keys.drop(ring, &key).await?)
        }
    }
}

/// That the refresh queue and its dead letters hold nothing: a pair of tokens may be parked there, sealed
/// by the key that is to go, where no count of the table sees it. Nudges come and go, so it is looked at
/// several times. A key is dropped minutes after it last sealed, and by then these numbers are settled
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html>).
async fn nothing_parked(console: &Console) -> Result<(), crate::Error> {
    let _bar = waiting("Looking whether tokens are parked");
    let mut held = 0;
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let queues = console.queues().await?;
        let refresh = queues.iter().find(|queue| queue["name"] == "refresh");
        let count = |field: &str| refresh.and_then(|queue| queue[field].as_u64()).unwrap_or(1);
        held = ["waiting", "hidden", "delayed", "dead"].map(count).iter().sum();
        if held == 0 {
            return Ok(());
        }
    }
    Err(Error::Parked(held).into())
}

impl Keys<'_> {
    async fn report(&self) -> Result<(), Error> {
        let usage = keys::usage(&self.table).await?;
        let mut rows = Vec::new();
        for ring in [Ring::Hook, Ring::Access, Ring::Refresh] {
            let keyring = self.secrets.keyring(self.name(ring)).await?;
            let (ids, sealing) = (keyring.ids(), keyring.sealing());
            let mut row = |id: &String, values: usize, state: &str| {
                rows.push(json!({ "ring": ring.to_string(), "key": id, "values": values, "state": state }));
            };
            for id in &ids {
                let state = match id.cmp(&sealing) {
                    Ordering::Less => "opens only",
                    Ordering::Equal => "seals",
                    Ordering::Greater => "waits",
                };
                row(id, counts(&usage, ring).get(id).copied().unwrap_or_default(), state);
            }
            for (id, values) in counts(&usage, ring).iter().filter(|(id, _)| !ids.contains(id)) {
                row(id, *values, "is gone: these values cannot be opened");
            }
        }
        let columns = [("RING", "/ring"), ("KEY", "/key"), ("VALUES", "/values"), ("STATE", "/state")];
        self.screen.table(&rows, &columns, "");
        Ok(())
    }

    async fn add(&self, ring: Ring) -> Result<(), Error> {
        let name = self.name(ring);
        let text = Host.random::<32>().map(|byte| format!("{byte:02x}")).concat();
        let now = Host.now();
        let (secret, id) = keyring::add(&self.secrets.text(name).await?, &text, now)?;
        self.secrets.put(name, &secret).await?;
        let minutes = keyring::WAIT.as_mins();
        let words = format!(
            "Key {id} is on the {ring} ring. It opens at once and seals in {minutes} minutes.\nThen run `bucketwheel \
             rotate keys reseal`, and drop the old key."
        );
        let seals_from = now.saturating_add(keyring::WAIT).unwrap_or(now);
        self.screen.tell(&json!({ "ring": ring.to_string(), "key": id, "seals_from": seals_from }), &words);
        Ok(())
    }

    async fn reseal(&self) -> Result<(), Error> {
        let [hook, access, refresh] = self.rings().await?;
        let rings = Rings { access: &access, refresh: &refresh };
        let bar = waiting("Sealing anew");
        let (mut values, mut after): (usize, Option<Cursor>) = (0, None);
        loop {
            let (page, next) = credentials::list(&self.table, Which::All, 100, after.as_ref()).await?;
            for credential in page {
                let id = &credential.id;
                let done = keys::reseal(&self.table, id, rings, &hook, || Host.random()).await;
                values += done.map_err(|source| Error::Reseal { credential: id.to_string(), source })?;
                bar.inc(1);
                bar.set_message(format!("{} credentials, {values} values sealed anew", bar.position()));
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        drop(bar);
        self.screen.tell(&json!({ "values": values }), &format!("{values} values are sealed anew."));
        Ok(())
    }

    async fn drop(&self, ring: Ring, key: &str) -> Result<(), Error> {
        let name = self.name(ring);
        let usage = keys::usage(&self.table).await?;
        let values = counts(&usage, ring).get(key).copied().unwrap_or_default();
        let secret: SecretString = keyring::drop(&self.secrets.text(name).await?, key, values, Host.now())?;
        self.secrets.put(name, &secret).await?;
        let words = format!("Key {key} is off the {ring} ring.");
        self.screen.tell(&json!({ "ring": ring.to_string(), "key": key, "dropped": true }), &words);
        Ok(())
    }

    async fn rings(&self) -> Result<[Keyring; 3], Error> {
        let read = |ring| self.secrets.keyring(self.name(ring));
        Ok([read(Ring::Hook).await?, read(Ring::Access).await?, read(Ring::Refresh).await?])
    }

    fn name(&self, ring: Ring) -> &str {
        match ring {
            Ring::Hook => &self.profile.hook_keyring,
            Ring::Access => &self.profile.access_keyring,
            Ring::Refresh => &self.profile.refresh_keyring,
        }
    }
}

fn counts(usage: &Usage, ring: Ring) -> &Counts {
    match ring {
        Ring::Hook => &usage.hook,
        Ring::Access => &usage.access,
        Ring::Refresh => &usage.refresh,
    }
}
