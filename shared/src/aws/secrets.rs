//! Secrets Manager.

use std::error::Error;
use std::pin::Pin;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::api::{self, Api};
use super::{Account, Host};
use crate::error::Causes;
use crate::ports::{Edge as _, Keys, KeysError};
use crate::seal::{Keyring, KeyringError};

/// The secrets of this deployment.
#[derive(Debug, Clone)]
pub struct Secrets {
    api: Api,
}

/// One look at a secret.
pub type Reading<T> = Pin<Box<dyn Future<Output = Result<T, Box<dyn Error + Send + Sync>>> + Send>>;

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager did not give it.
    #[error("secret {name} could not be read or written")]
    Unavailable {
        /// The secret's name.
        name: String,
        /// What Secrets Manager said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It has no text.
    #[error("secret {0} holds no text")]
    NoText(String),
    /// Its text is not a keyring.
    #[error("secret {name} is not a keyring")]
    NotAKeyring {
        /// The secret's name.
        name: String,
        /// What is wrong with it.
        #[source]
        source: KeyringError,
    },
    /// Its text is not the JSON that was expected. The text itself is not repeated.
    #[error("secret {0} does not have the expected form")]
    Malformed(String),
}

impl Secrets {
    /// The secrets that `account` may read.
    pub fn new(account: &Account) -> Self {
        Self { api: Api::new(account, api::SECRETS) }
    }

    /// The text of one secret.
    pub async fn text(&self, name: &str) -> Result<SecretString, SecretError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Found {
            secret_string: Option<SecretString>,
        }
        let found: Found = self
            .api
            .ask("GetSecretValue", &json!({ "SecretId": name }))
            .await
            .map_err(|error| SecretError::Unavailable { name: name.to_owned(), source: error.into() })?;
        found.secret_string.ok_or_else(|| SecretError::NoText(name.to_owned()))
    }

    /// A keyring.
    pub async fn keyring(&self, name: &str) -> Result<Keyring, SecretError> {
        let text = self.text(name).await?;
        Keyring::read(name, &text, Host.now())
            .map_err(|source| SecretError::NotAKeyring { name: name.to_owned(), source })
    }

    /// Reads those keyrings again that are old. A process lives for hours; so it learns of new keys before
    /// they seal. While Secrets Manager does not answer, the keys stay as they are.
    pub async fn renew(&self, rings: &[&Keyring]) {
        let now = Host.now();
        for ring in rings.iter().filter(|ring| ring.is_old(now)) {
            let name = ring.name();
            ring.tried(now);
            let renewed = match self.text(name).await {
                Ok(text) => ring
                    .renew(&text, now)
                    .map_err(|source| SecretError::NotAKeyring { name: name.to_owned(), source }),
                Err(error) => Err(error),
            };
            if let Err(error) = renewed {
                tracing::warn!(error = %Causes(&error), "the keyring stays as it was");
            }
        }
    }

    /// Replaces the text of a secret. No function may do this; an operator's own AWS credentials may.
    pub async fn put(&self, name: &str, text: &SecretString) -> Result<(), SecretError> {
        // SDKs draw this too: a second try then makes no second version.
        let token = hex::encode(Host.random::<16>());
        let put =
            json!({ "SecretId": name, "SecretString": text.expose_secret(), "ClientRequestToken": token });
        self.api
            .tell("PutSecretValue", &put)
            .await
            .map_err(|error| SecretError::Unavailable { name: name.to_owned(), source: error.into() })
    }

    /// A way to read one secret, whose text is JSON, again and again.
    pub fn reader<T: serde::de::DeserializeOwned + 'static>(self, name: String) -> impl Fn() -> Reading<T> {
        move || {
            let (secrets, name) = (self.clone(), name.clone());
            Box::pin(async move { Ok(secrets.json(&name).await?) })
        }
    }

    /// A secret whose text is JSON.
    pub async fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, SecretError> {
        let text = self.text(name).await?;
        serde_json::from_str(text.expose_secret()).map_err(|_| SecretError::Malformed(name.to_owned()))
    }
}

/// One keyring, read when it is asked for.
#[derive(Debug, Clone)]
pub struct SecretKeyring {
    secrets: Secrets,
    name: String,
}

impl SecretKeyring {
    /// The keyring in the secret called `name`.
    pub fn new(account: &Account, name: String) -> Self {
        Self { secrets: Secrets::new(account), name }
    }
}

impl Keys for SecretKeyring {
    async fn ring(&self) -> Result<Keyring, KeysError> {
        self.secrets.keyring(&self.name).await.map_err(|error| KeysError(Box::new(error)))
    }
}
