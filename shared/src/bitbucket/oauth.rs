//! The token endpoint, `POST {site}/site/oauth2/access_token`
//! (<https://developer.atlassian.com/cloud/bitbucket/oauth-2>).

use jiff::Timestamp;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::{NoClient, Trust, client};
use crate::connect::Ticket;
use crate::ports::TokenEndpoint;
use crate::rotation::SPEND;
use crate::token::{ExchangeError, RefreshToken, TokenSet, read_answer};

/// The OAuth consumer: who we are to Bitbucket. Its key and secret have no fixed length.
#[derive(Debug, Clone, Deserialize)]
pub struct Consumer {
    /// The client id.
    pub key: String,
    /// The client secret.
    pub secret: SecretString,
}

/// The token endpoint with our consumer.
#[derive(Debug, Clone)]
pub struct Oauth {
    client: reqwest::Client,
    site: Url,
    consumer: Consumer,
}

impl Oauth {
    /// The endpoint at `site` (<https://bitbucket.org>). Redirects are not followed and nothing is
    /// retried: a refresh token is spent by one request, or by none.
    pub fn new(site: Url, consumer: Consumer, trust: &Trust) -> Result<Self, NoClient> {
        // A kept connection may be closed by the peer just as it is used again, which the HTTP library
        // answers by sending once more.
        let client = client(Policy::none(), trust)?.pool_max_idle_per_host(0).timeout(SPEND.unsigned_abs());
        let client = client.build().map_err(NoClient)?;
        Ok(Self { client, site, consumer })
    }

    /// The address that a browser is sent to for consent (RFC 6749 section 4.1.1). The PKCE challenge
    /// is sent because Bitbucket tolerates it; nothing rests on it.
    pub fn authorize_url(&self, state: &Ticket, redirect_uri: &str, verifier: &Ticket) -> Url {
        let mut url = self.endpoint("authorize");
        url.query_pairs_mut()
            .append_pair("client_id", &self.consumer.key)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("state", state.reveal())
            .append_pair("code_challenge", &verifier.challenge())
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// Exchanges a code for a pair (RFC 6749 section 4.1.3).
    pub async fn exchange(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        now: Timestamp,
    ) -> Result<TokenSet, ExchangeError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        self.post(&form, now).await
    }

    async fn post(&self, form: &[(&str, &str)], now: Timestamp) -> Result<TokenSet, ExchangeError> {
        let request = self
            .client
            .post(self.endpoint("access_token"))
            .basic_auth(&self.consumer.key, Some(self.consumer.secret.expose_secret()))
            .form(form);
        let answer = request.send().await.map_err(|error| {
            let error = error.without_url();
            let unsent = error.is_connect();
            if unsent { ExchangeError::Unsent(error.into()) } else { ExchangeError::Lost(error.into()) }
        })?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(|error| ExchangeError::Lost(error.without_url().into()))?;
        Ok(read_answer(status, &body, now)?)
    }

    fn endpoint(&self, name: &str) -> Url {
        let mut url = self.site.clone();
        url.set_path(&format!("site/oauth2/{name}"));
        url
    }
}

impl TokenEndpoint for Oauth {
    async fn refresh(&self, token: &RefreshToken, now: Timestamp) -> Result<TokenSet, ExchangeError> {
        self.post(&[("grant_type", "refresh_token"), ("refresh_token", token.reveal())], now).await
    }

    async fn renew(&self, now: Timestamp) -> Result<TokenSet, ExchangeError> {
        self.post(&[("grant_type", "client_credentials")], now).await
    }
}
