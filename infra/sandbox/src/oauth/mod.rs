//! The token state machine: codes, grants and chains of rotating refresh tokens.
//!
//! Pure: the time and the random bytes come as arguments, the switches as [`Behaviour`].

mod chain;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub(crate) use chain::Standing;

use crate::{
    behaviour::{Behaviour, RedirectMatch},
    clock::after,
    random::{self, Seed},
    settings::ConsumerSettings,
};

/// What a decision is made with besides its own arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) behaviour: &'a Behaviour,
    pub(crate) now: Timestamp,
    pub(crate) seed: &'a Seed,
}

/// Everything the token endpoint remembers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) consumers: BTreeMap<String, Consumer>,
    codes: HashMap<String, Code>,
    grants: BTreeMap<String, Grant>,
    refresh: HashMap<String, chain::Refresh>,
    access: HashMap<String, chain::Access>,
    lockouts: HashMap<String, Timestamp>,
}

/// A registered OAuth client.
#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) name: String,
    pub(crate) callback_urls: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) private: bool,
    /// The uuid of the `app_user` as which `client_credentials` calls act.
    pub(crate) app_uuid: String,
}

/// For whom a grant acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// A person, by uuid.
    User(String),
    /// The consumer itself.
    App,
}

/// One authorisation of one consumer: the family of all tokens that came from it.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) id: String,
    pub(crate) consumer: String,
    pub(crate) subject: Subject,
    pub(crate) scopes: Vec<String>,
    pub(crate) created: Timestamp,
    /// How many pairs were issued: 1 after the exchange, one more with each rotation.
    pub(crate) generation: u32,
    pub(crate) revoked: bool,
}

#[derive(Debug)]
struct Code {
    consumer: String,
    subject: Subject,
    redirect_uri: Option<String>,
    challenge: Option<Challenge>,
    expires: Timestamp,
}

/// A PKCE challenge (RFC 7636, section 4.3).
#[derive(Debug, Clone)]
pub(crate) struct Challenge {
    pub(crate) value: String,
    pub(crate) hashed: bool,
}

/// What a client asks of the token endpoint.
#[derive(Debug)]
pub(crate) enum Ask {
    Code {
        code: String,
        redirect_uri: Option<String>,
        verifier: Option<String>,
    },
    Refresh(String),
    ClientCredentials,
    /// Anything else, with the name it gave.
    Unknown(Option<String>),
}

/// The tokens of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) expires_in: i64,
    pub(crate) scopes: Vec<String>,
    pub(crate) grant: String,
}

/// Why the token endpoint refuses; the texts are Bitbucket's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Wrong client, or a dead refresh token, or a lockout: Bitbucket does not tell them apart.
    InvalidClient,
    InvalidCode,
    UnknownRefreshToken,
    PublicConsumer,
    UnsupportedGrant(Option<String>),
}

impl Refusal {
    /// `error` and `error_description`.
    pub(crate) fn texts(&self) -> (&'static str, String) {
        match self {
            Self::InvalidClient => ("unauthorized_client", "Invalid OAuth client credentials".to_owned()),
            Self::InvalidCode => ("invalid_grant", "The specified code is not valid.".to_owned()),
            Self::UnknownRefreshToken => ("invalid_grant", "Invalid refresh_token".to_owned()),
            Self::PublicConsumer => (
                "invalid_grant",
                "Cannot use client_credentials with a consumer marked as \"public\".".to_owned(),
            ),
            Self::UnsupportedGrant(name) => {
                ("invalid_grant", format!("Unsupported grant type: {}", name.as_deref().unwrap_or("None")))
            }
        }
    }
}

impl Ledger {
    /// Registers a consumer, making up what its settings leave empty.
    pub(crate) fn register(&mut self, settings: ConsumerSettings, seed: &Seed) -> &Consumer {
        let made_up = |given: String, label: &str, length: usize| {
            if given.is_empty() {
                random::text(seed, label, length).chars().take(length).collect()
            } else {
                given
            }
        };
        let key = made_up(settings.key, "consumer key", 32);
        let consumer = Consumer {
            secret: made_up(settings.secret, "consumer secret", 76),
            name: settings.name,
            callback_urls: settings.callback_urls,
            scopes: settings.scopes,
            private: settings.private,
            app_uuid: format!("{{{}}}", random::uuid(seed, &format!("app user {key}"))),
            key: key.clone(),
        };
        self.consumers.entry(key).insert_entry(consumer).into_mut()
    }

    /// The callback to use for an authorisation request, or `None` if it must not be answered with
    /// a redirect.
    pub(crate) fn callback(&self, client: &str, asked: Option<&str>, how: RedirectMatch) -> Option<String> {
        let registered = &self.consumers.get(client)?.callback_urls;
        let Some(asked) = asked else { return registered.first().cloned() };
        let fits = |url: &String| match how {
            RedirectMatch::Exact => asked == url,
            RedirectMatch::Prefix => asked.starts_with(url.as_str()),
        };
        registered.iter().any(fits).then(|| asked.to_owned())
    }

    /// Records a consent and makes the code that stands for it.
    pub(crate) fn consent(
        &mut self,
        client: &str,
        subject: Subject,
        redirect_uri: Option<String>,
        challenge: Option<Challenge>,
        moment: Moment<'_>,
    ) -> String {
        let code: String = random::text(moment.seed, "code", 24);
        let expires = after(moment.now, moment.behaviour.code_lifetime_seconds.into());
        let consumer = client.to_owned();
        self.codes.insert(code.clone(), Code { consumer, subject, redirect_uri, challenge, expires });
        code
    }

    /// Whether key and secret fit.
    pub(crate) fn client_is_valid(&self, key: &str, secret: &str) -> bool {
        self.consumers.get(key).is_some_and(|consumer| consumer.secret == secret)
    }

    /// Answers a token request of an authenticated client.
    pub(crate) fn answer(&mut self, client: &str, ask: &Ask, moment: Moment<'_>) -> Result<Issued, Refusal> {
        match ask {
            Ask::Code { code, redirect_uri, verifier } => {
                let redirect_uri = redirect_uri.as_deref();
                self.exchange(client, code, redirect_uri, verifier.as_deref(), moment)
            }
            Ask::Refresh(token) => self.rotate(client, token, moment),
            Ask::ClientCredentials => self.client_credentials(client, moment),
            Ask::Unknown(name) => Err(Refusal::UnsupportedGrant(name.clone())),
        }
    }

    fn exchange(
        &mut self,
        client: &str,
        code: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
        moment: Moment<'_>,
    ) -> Result<Issued, Refusal> {
        // A code of another client stays: a stranger must not be able to spend it.
        let of_client = self.codes.get(code).is_some_and(|code| code.consumer == client);
        let code = if of_client { self.codes.remove(code) } else { None }.ok_or(Refusal::InvalidCode)?;
        let redirect_fits = code.redirect_uri.is_none() || code.redirect_uri.as_deref() == redirect_uri;
        let verified = !moment.behaviour.check_pkce || proves(verifier, code.challenge.as_ref());
        if code.expires <= moment.now || !redirect_fits || !verified {
            return Err(Refusal::InvalidCode);
        }
        let grant = self.open_grant(client, code.subject, moment.now, moment.seed)?;
        Ok(self.issue_pair(&grant, None, moment))
    }

    fn client_credentials(&mut self, client: &str, moment: Moment<'_>) -> Result<Issued, Refusal> {
        if !self.consumers.get(client).is_some_and(|consumer| consumer.private) {
            return Err(Refusal::PublicConsumer);
        }
        let open = self
            .grants
            .values()
            .find(|grant| grant.consumer == client && grant.subject == Subject::App && !grant.revoked);
        let grant = match open {
            Some(grant) => grant.id.clone(),
            None => self.open_grant(client, Subject::App, moment.now, moment.seed)?,
        };
        Ok(self.issue_access(&grant, None, moment))
    }

    fn open_grant(
        &mut self,
        client: &str,
        subject: Subject,
        now: Timestamp,
        seed: &Seed,
    ) -> Result<String, Refusal> {
        let scopes = self.consumers.get(client).ok_or(Refusal::InvalidClient)?.scopes.clone();
        let id = random::uuid(seed, "grant");
        let grant = Grant {
            id: id.clone(),
            consumer: client.to_owned(),
            subject,
            scopes,
            created: now,
            generation: 0,
            revoked: false,
        };
        self.grants.insert(id.clone(), grant);
        Ok(id)
    }

    /// Withdraws a grant, as a person does under "App authorizations". False: there is no such grant.
    pub(crate) fn revoke(&mut self, grant: &str) -> bool {
        self.grants.get_mut(grant).map(|grant| grant.revoked = true).is_some()
    }

    /// All grants, by id.
    pub(crate) fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.values()
    }
}

/// Whether a PKCE verifier fits its challenge (RFC 7636, section 4.6).
fn proves(verifier: Option<&str>, challenge: Option<&Challenge>) -> bool {
    match (verifier, challenge) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(verifier), Some(challenge)) if challenge.hashed => {
            URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) == challenge.value
        }
        (Some(verifier), Some(challenge)) => verifier == challenge.value,
    }
}
