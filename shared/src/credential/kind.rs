//! The ways to be authorised, and what each of them costs.

use serde::{Deserialize, Serialize};

/// How a credential is authorised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person's consent to our OAuth consumer (authorization code, RFC 6749 section 4.1).
    OauthUser,
    /// Our OAuth consumer itself (RFC 6749 section 4.4).
    OauthClientCredentials,
    /// One person's API token, used for everybody.
    ApiTokenShared,
    /// The API token of the end user whom the credential belongs to.
    ApiTokenUser,
    /// A repository's access token.
    RepositoryAccessToken,
    /// A project's access token.
    ProjectAccessToken,
    /// A workspace's access token.
    WorkspaceAccessToken,
}

/// What one gets with a kind, and what one gives up: shown where a kind is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Trade {
    /// Whom Bitbucket takes the caller for.
    pub acts_as: &'static str,
    /// What changes by itself, and what somebody must do in time.
    pub rotates: &'static str,
    /// What it cannot do.
    pub cannot: &'static str,
}

/// What has to be brought to a connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// A person's consent on Bitbucket's own page.
    Consent,
    /// Nothing but a confirmation: the consumer's key and secret are in the app secret.
    Consumer,
    /// An e-mail address and an API token.
    EmailAndToken,
    /// An access token.
    Token,
}

/// How a token stands in the header `Authorization`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer token` (RFC 6750).
    Bearer,
    /// `Basic`, from `email:token` (RFC 7617).
    Basic,
}

/// What a kind reaches besides its workspace, where that must be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A repository, by its slug.
    Repository,
    /// A project, by its key.
    Project,
}

impl Kind {
    /// Every kind, in the order in which they are offered.
    pub const ALL: [Kind; 7] = [
        Kind::OauthUser,
        Kind::OauthClientCredentials,
        Kind::ApiTokenUser,
        Kind::ApiTokenShared,
        Kind::RepositoryAccessToken,
        Kind::ProjectAccessToken,
        Kind::WorkspaceAccessToken,
    ];

    /// The word for machines.
    pub fn code(self) -> &'static str {
        match self {
            Kind::OauthUser => "oauth_user",
            Kind::OauthClientCredentials => "oauth_client_credentials",
            Kind::ApiTokenShared => "api_token_shared",
            Kind::ApiTokenUser => "api_token_user",
            Kind::RepositoryAccessToken => "repository_access_token",
            Kind::ProjectAccessToken => "project_access_token",
            Kind::WorkspaceAccessToken => "workspace_access_token",
        }
    }

    /// The name people see.
    pub fn title(self) -> &'static str {
        match self {
            Kind::OauthUser => "OAuth, per user",
            Kind::OauthClientCredentials => "OAuth, client credentials",
            Kind::ApiTokenShared => "API token, shared",
            Kind::ApiTokenUser => "API token, per user",
            Kind::RepositoryAccessToken => "Repository access token",
            Kind::ProjectAccessToken => "Project access token",
            Kind::WorkspaceAccessToken => "Workspace access token",
        }
    }

    /// What one gets and gives up
    /// (<https://developer.atlassian.com/cloud/bitbucket/oauth-2>,
    /// <https://support.atlassian.com/bitbucket-cloud/docs/api-tokens>,
    /// <https://support.atlassian.com/bitbucket-cloud/docs/access-tokens>).
    pub fn trade(self) -> Trade {
        match self {
            Kind::OauthUser => Trade {
                acts_as: "The person who consents, within the consumer's scopes and the person's own permissions.",
                rotates: "Everything, by itself: the access token every two hours, the refresh token with each use.",
                cannot: "It cannot outlive the consent: it ends when the person withdraws that or leaves the workspace.",
            },
            Kind::OauthClientCredentials => Trade {
                acts_as: "The OAuth consumer itself, as an app user of the consumer's workspace.",
                rotates: "The access token, by itself, every two hours. There is no refresh token to lose.",
                cannot: "It cannot act for a person, and it needs a private consumer.",
            },
            Kind::ApiTokenShared => Trade {
                acts_as: "The one person who made the token, whoever asks.",
                rotates: "Nothing by itself: the token must be replaced before it expires, after a year at most.",
                cannot: "It cannot show who asked: everything is done in one person's name.",
            },
            Kind::ApiTokenUser => Trade {
                acts_as: "The end user who enters the token.",
                rotates: "Nothing by itself: each end user must replace the token before it expires, after a year at most.",
                cannot: "It cannot do more than each scope says: none includes another, so reading and writing must both be chosen.",
            },
            Kind::RepositoryAccessToken => Trade {
                acts_as: "The repository itself, as an app user that is nobody's.",
                rotates: "Nothing by itself: the token must be replaced before the expiry that was chosen for it.",
                cannot: "It reaches this one repository, and no person's account.",
            },
            Kind::ProjectAccessToken => Trade {
                acts_as: "The project itself, as an app user that is nobody's.",
                rotates: "Nothing by itself: the token must be replaced before the expiry that was chosen for it.",
                cannot: "It reaches this project's repositories, needs a Premium plan, and reads no person's account.",
            },
            Kind::WorkspaceAccessToken => Trade {
                acts_as: "The workspace itself, as an app user that is nobody's.",
                rotates: "Nothing by itself: the token must be replaced before the expiry that was chosen for it.",
                cannot: "It needs a Premium plan, and reads no person's account.",
            },
        }
    }

    /// What has to be brought to a connect.
    pub fn entry(self) -> Entry {
        match self {
            Kind::OauthUser => Entry::Consent,
            Kind::OauthClientCredentials => Entry::Consumer,
            Kind::ApiTokenShared | Kind::ApiTokenUser => Entry::EmailAndToken,
            Kind::RepositoryAccessToken | Kind::ProjectAccessToken | Kind::WorkspaceAccessToken => {
                Entry::Token
            }
        }
    }

    /// How its token is presented. API tokens work reliably as `Basic` alone.
    pub fn scheme(self) -> Scheme {
        match self.entry() {
            Entry::EmailAndToken => Scheme::Basic,
            Entry::Consent | Entry::Consumer | Entry::Token => Scheme::Bearer,
        }
    }

    /// What besides the workspace must be named.
    pub fn resource(self) -> Option<Resource> {
        match self {
            Kind::RepositoryAccessToken => Some(Resource::Repository),
            Kind::ProjectAccessToken => Some(Resource::Project),
            _ => None,
        }
    }

    /// The path below `/2.0` of what it sees: the one repository of its token, or a workspace's list.
    pub fn repositories(self, workspace: &str, resource: &str) -> String {
        match self.resource() {
            Some(Resource::Repository) => format!("repositories/{workspace}/{resource}"),
            Some(Resource::Project) | None => format!("repositories/{workspace}"),
        }
    }

    /// The path of the API by which a token of this kind is tried: whom it acts as, or what it reaches.
    pub fn probe_path(self, workspace: &str, resource: &str) -> String {
        match (self.entry(), self.resource()) {
            (Entry::Consent | Entry::Consumer | Entry::EmailAndToken, _) => "user".to_owned(),
            (Entry::Token, Some(Resource::Repository)) => self.repositories(workspace, resource),
            (Entry::Token, Some(Resource::Project)) => format!("workspaces/{workspace}/projects/{resource}"),
            (Entry::Token, None) => format!("workspaces/{workspace}"),
        }
    }

    /// Whether the refresher can get a new access token by itself. A token that was entered by hand stays
    /// as it is.
    pub fn renews_itself(self) -> bool {
        matches!(self.entry(), Entry::Consent | Entry::Consumer)
    }
}

impl super::Credential {
    /// The place that it is meant for, as hooks name it: `workspace`, or `workspace/repository`.
    pub fn home(&self) -> String {
        match self.kind.resource() {
            Some(Resource::Repository) => format!("{}/{}", self.workspace, self.resource),
            Some(Resource::Project) | None => self.workspace.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_as_its_code_and_has_a_title_of_its_own() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_value(kind).expect("a text"), kind.code());
            assert!(Kind::ALL[..at].iter().all(|other| other.title() != kind.title()));
            assert!(Kind::ALL[..at].iter().all(|other| other.trade() != kind.trade()));
        }
    }

    #[test]
    fn only_api_tokens_are_sent_as_basic() {
        for kind in Kind::ALL {
            let basic = matches!(kind, Kind::ApiTokenShared | Kind::ApiTokenUser);
            assert_eq!(kind.scheme() == Scheme::Basic, basic, "{kind:?}");
        }
    }
}
