//! With what a sandbox starts.

use serde::{Deserialize, Serialize};

use crate::{Behaviour, seed};

/// With what a sandbox starts. The default has one consumer, one API token and three access tokens,
/// all named in [`seed`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// The origin under which clients reach the sandbox, used in links, without a trailing slash.
    /// `None`: `http://` and the listener's address.
    pub base_url: Option<String>,
    /// The OAuth consumers.
    pub consumers: Vec<ConsumerSettings>,
    /// The API tokens of people.
    pub api_tokens: Vec<ApiTokenSettings>,
    /// The access tokens of repositories, projects and workspaces.
    pub access_tokens: Vec<AccessTokenSettings>,
    /// The switches.
    pub behaviour: Behaviour,
}

/// An OAuth consumer of the seeded workspace.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumerSettings {
    /// The key, OAuth's `client_id`. Empty: a new one is made.
    pub key: String,
    /// The secret. Empty: a new one is made.
    pub secret: String,
    /// The name shown to the people who are asked for consent.
    pub name: String,
    /// The registered callback URLs; the first is used if a request names none.
    pub callback_urls: Vec<String>,
    /// The scopes, which are fixed on the consumer.
    pub scopes: Vec<String>,
    /// Whether the consumer is private; only then `client_credentials` is allowed.
    pub private: bool,
}

/// A person's API token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTokenSettings {
    /// The person's e-mail address.
    pub email: String,
    /// The token. Empty: a new one is made.
    #[serde(default)]
    pub token: String,
    /// Scopes such as `read:repository:bitbucket`.
    #[serde(default = "seed::api_token_scopes")]
    pub scopes: Vec<String>,
}

/// An access token of a repository, a project or a workspace.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessTokenSettings {
    /// The token. Empty: a new one is made.
    #[serde(default)]
    pub token: String,
    /// The name shown as its user.
    pub name: String,
    /// The workspace's slug.
    pub workspace: String,
    /// The repository's slug, if it is a token of one.
    #[serde(default)]
    pub repository: Option<String>,
    /// The project's key, if it is a token of one. With neither it is a token of the whole workspace.
    #[serde(default)]
    pub project: Option<String>,
    /// OAuth scope names.
    #[serde(default = "oauth_scopes")]
    pub scopes: Vec<String>,
}

fn oauth_scopes() -> Vec<String> {
    seed::SCOPES.iter().map(|scope| (*scope).to_owned()).collect()
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            key: String::new(),
            secret: String::new(),
            name: "Consumer".to_owned(),
            callback_urls: Vec::new(),
            scopes: oauth_scopes(),
            private: true,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let access_token = |token: &str, name: &str| AccessTokenSettings {
            token: token.to_owned(),
            name: name.to_owned(),
            workspace: seed::WORKSPACE.to_owned(),
            repository: None,
            project: None,
            scopes: oauth_scopes(),
        };
        Self {
            base_url: None,
            consumers: vec![ConsumerSettings {
                key: seed::CONSUMER_KEY.to_owned(),
                secret: seed::CONSUMER_SECRET.to_owned(),
                name: "Bucketwheel".to_owned(),
                callback_urls: vec![seed::CALLBACK_URL.to_owned()],
                ..ConsumerSettings::default()
            }],
            api_tokens: vec![ApiTokenSettings {
                email: seed::ADA_EMAIL.to_owned(),
                token: seed::ADA_API_TOKEN.to_owned(),
                scopes: seed::api_token_scopes(),
            }],
            access_tokens: vec![
                AccessTokenSettings {
                    repository: Some("infrastructure".to_owned()),
                    ..access_token(seed::REPOSITORY_ACCESS_TOKEN, "deploy")
                },
                AccessTokenSettings {
                    project: Some(seed::WEB_PROJECT.to_owned()),
                    ..access_token(seed::PROJECT_ACCESS_TOKEN, "publish")
                },
                access_token(seed::WORKSPACE_ACCESS_TOKEN, "platform"),
            ],
            behaviour: Behaviour::default(),
        }
    }
}
