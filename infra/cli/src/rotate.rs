//! `bucketwheel rotate keys`: a new key for a keyring, and an end for the old one.
//!
//! This works with the operator's own AWS credentials: no function may write a keyring.

use std::fmt;

use bucketwheel::aws::{DynamoTable, Host, SecretError, Secrets};
use bucketwheel::keyring;
use bucketwheel::ports::{Cursor, Edge as _, TableError};
use bucketwheel::seal::Keyring;
use bucketwheel::store::credentials::{self, Which};
use bucketwheel::store::keys::{self, Counts, Usage};
use bucketwheel::store::tokens::Rings;
use clap::{Subcommand, ValueEnum};
use secrecy::SecretString;

use crate::profile::Profile;
use crate::verbs::say;

#[derive(Debug, Subcommand)]
pub(crate) enum Rotate {
    /// The keys that seal tokens and hook secrets: add, wait, reseal, drop
    Keys {
        #[command(subcommand)]
        step: Option<Step>,
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
    #[error("{0}; do your AWS credentials allow it?")]
    Secret(#[from] SecretError),
    #[error("the table cannot be read: {0}")]
    Table(#[from] TableError),
    #[error(transparent)]
    Refused(#[from] keyring::Refused),
    #[error("{credential} was not sealed anew: {source}")]
    Reseal { credential: String, source: keys::ResealError },
}

struct Keys<'a> {
    profile: &'a Profile,
    secrets: Secrets,
    table: DynamoTable,
}

pub(crate) async fn keys(profile: &Profile, step: Step) -> Result<(), Error> {
    let account = profile.account();
    let table = DynamoTable::new(&account, profile.table.clone());
    let keys = Keys { profile, secrets: Secrets::new(&account), table };
    match step {
        Step::Report => keys.report().await,
        Step::Add { ring } => keys.add(ring).await,
        Step::Reseal => keys.reseal().await,
        Step::Drop { ring, key } => keys.drop(ring, &key).await,
    }
}

impl Keys<'_> {
    async fn report(&self) -> Result<(), Error> {
        let usage = keys::usage(&self.table).await?;
        say(&format!("{:<8}  {:<12}  {:>7}  {}", "RING", "KEY", "VALUES", "STATE"));
        for ring in [Ring::Hook, Ring::Access, Ring::Refresh] {
            let keyring = self.secrets.keyring(self.name(ring)).await?;
            let (ids, sealing) = (keyring.ids(), keyring.sealing());
            for id in &ids {
                let state = match id.cmp(&sealing) {
                    std::cmp::Ordering::Less => "opens only",
                    std::cmp::Ordering::Equal => "seals",
                    std::cmp::Ordering::Greater => "waits",
                };
                let values = counts(&usage, ring).get(id).copied().unwrap_or_default();
                say(&format!("{ring:<8}  {id:<12}  {values:>7}  {state}"));
            }
            for (id, values) in counts(&usage, ring).iter().filter(|(id, _)| !ids.contains(id)) {
                say(&format!("{ring:<8}  {id:<12}  {values:>7}  is gone: these values cannot be opened"));
            }
        }
        Ok(())
    }

    async fn add(&self, ring: Ring) -> Result<(), Error> {
        let name = self.name(ring);
        let text = Host.random::<32>().map(|byte| format!("{byte:02x}")).concat();
        let (secret, id) = keyring::add(&self.secrets.text(name).await?, &text, Host.now())?;
        self.secrets.put(name, &secret).await?;
        let minutes = keyring::WAIT.as_mins();
        say(&format!("Key {id} is on the {ring} ring. It opens at once and seals in {minutes} minutes."));
        say("Then run `bucketwheel rotate keys reseal`, and drop the old key.");
        Ok(())
    }

    async fn reseal(&self) -> Result<(), Error> {
        let [hook, access, refresh] = self.rings().await?;
        let rings = Rings { access: &access, refresh: &refresh };
        let (mut values, mut after): (usize, Option<Cursor>) = (0, None);
        loop {
            let (page, next) = credentials::list(&self.table, Which::All, 100, after.as_ref()).await?;
            for credential in page {
                let id = &credential.id;
                let done = keys::reseal(&self.table, id, rings, &hook, || Host.random()).await;
                values += done.map_err(|source| Error::Reseal { credential: id.to_string(), source })?;
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        say(&format!("{values} values are sealed anew."));
        Ok(())
    }

    async fn drop(&self, ring: Ring, key: &str) -> Result<(), Error> {
        let name = self.name(ring);
        let usage = keys::usage(&self.table).await?;
        let values = counts(&usage, ring).get(key).copied().unwrap_or_default();
        let secret: SecretString = keyring::drop(&self.secrets.text(name).await?, key, values, Host.now())?;
        self.secrets.put(name, &secret).await?;
        say(&format!("Key {key} is off the {ring} ring."));
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
