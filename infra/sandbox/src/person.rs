//! A person with a browser: opens a connect link, chooses on the consent page, and lands somewhere. For
//! demonstrations and tests that want to go the way people go.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, redirect};
use url::Url;

/// A browser without script: it follows redirects and keeps cookies by origin.
#[derive(Debug, Clone)]
pub struct Person {
    client: Client,
    account: String,
    cookies: BTreeMap<(String, String), String>,
}

/// Where the browser has come to.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The address of the page.
    pub url: Url,
    /// Its HTTP status.
    pub status: u16,
    /// Its text.
    pub text: String,
}

/// What a person chooses on the consent page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Grant access.
    Grant,
    /// Deny it.
    Deny,
}

/// Why the browser came nowhere.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The address is none.
    #[error("{0} is not an address")]
    Address(String),
    /// Nobody answered.
    #[error("the page could not be opened")]
    Unreachable(#[from] reqwest::Error),
    /// The pages send the browser in a circle.
    #[error("more than ten redirects")]
    Circle,
}

impl Person {
    /// A person with a new browser, signed in at Bitbucket as the account with this uuid.
    ///
    /// # Errors
    /// Only if no HTTP client can be made.
    pub fn new(account: &str) -> Result<Self, Lost> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        #[expect(clippy::disallowed_methods, reason = "a browser is not a client of Bitbucket's API")]
        let client = Client::builder().redirect(redirect::Policy::none()).build()?;
        Ok(Self { client, account: account.to_owned(), cookies: BTreeMap::new() })
    }

    /// Opens an address and follows redirects to a page.
    ///
    /// # Errors
    /// See [`Lost`].
    pub async fn open(&mut self, address: &str) -> Result<Visit, Lost> {
        let url = Url::parse(address).map_err(|_| Lost::Address(address.to_owned()))?;
        self.go(Method::GET, url, &[]).await
    }

    /// Chooses on the consent page that the browser shows.
    ///
    /// # Errors
    /// See [`Lost`].
    pub async fn decide(&mut self, page: &Visit, decision: Decision) -> Result<Visit, Lost> {
        // The form's hidden fields repeat the address's parameters.
        let mut form: Vec<(String, String)> = page.url.query_pairs().into_owned().collect();
        let word = match decision {
            Decision::Grant => "grant",
            Decision::Deny => "deny",
        };
        form.push(("user".to_owned(), self.account.clone()));
        form.push(("decision".to_owned(), word.to_owned()));
        let mut url = page.url.clone();
        url.set_query(None);
        self.go(Method::POST, url, &form).await
    }

    /// Sends a form.
    ///
    /// # Errors
    /// See [`Lost`].
    pub async fn submit(&mut self, address: &str, form: &[(&str, &str)]) -> Result<Visit, Lost> {
        let url = Url::parse(address).map_err(|_| Lost::Address(address.to_owned()))?;
        let form: Vec<_> =
            form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.go(Method::POST, url, &form).await
    }

    async fn go(
        &mut self,
        mut method: Method,
        mut url: Url,
        form: &[(String, String)],
    ) -> Result<Visit, Lost> {
        for _ in 0..10 {
            let mut request =
                self.client.request(method.clone(), url.clone()).header(COOKIE, self.cookies_for(&url));
            if method == Method::POST {
                request = request.header(ORIGIN, url.origin().ascii_serialization()).form(form);
            }
            let answer = request.send().await?;
            for cookie in answer.headers().get_all(SET_COOKIE) {
                self.keep(&url, cookie.to_str().unwrap_or_default());
            }
            let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            match location.and_then(|location| url.join(location).ok()) {
                Some(next) if answer.status().is_redirection() => (method, url) = (Method::GET, next),
                _ => {
                    let status = answer.status().as_u16();
                    return Ok(Visit { url, status, text: answer.text().await? });
                }
            }
        }
        Err(Lost::Circle)
    }

    /// Forgets all cookies, as a browser does that was told to.
    pub fn forget(&mut self) {
        self.cookies.clear();
    }

    fn keep(&mut self, url: &Url, cookie: &str) {
        let Some((name, value)) = cookie.split(';').next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let key = (url.origin().ascii_serialization(), name.trim().to_owned());
        if value.is_empty() || cookie.to_ascii_lowercase().contains("max-age=0") {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.trim().to_owned());
        }
    }

    fn cookies_for(&self, url: &Url) -> String {
        let origin = url.origin().ascii_serialization();
        let ours = self.cookies.iter().filter(|((from, _), _)| *from == origin);
        ours.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }
}

impl Visit {
    /// A parameter of the page's address.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}
