//! The fixed names and secrets with which every sandbox starts. They guard nothing outside it.

/// The workspace's slug.
pub const WORKSPACE: &str = "seilbahn";
/// The workspace's uuid.
pub const WORKSPACE_UUID: &str = "{5e11ba47-0000-4000-8000-000000000001}";
/// The key of the project that repositories belong to unless something else is said.
pub const PROJECT: &str = "PROJ";
/// The key of the project of `seilbahn/website`.
pub const WEB_PROJECT: &str = "WEB";
/// `seilbahn/infrastructure`: a few files on `main`.
pub const INFRASTRUCTURE_UUID: &str = "{5e11ba47-0000-4000-8000-0000000000a1}";
/// `seilbahn/website`: a few files on `main`.
pub const WEBSITE_UUID: &str = "{5e11ba47-0000-4000-8000-0000000000a2}";
/// `seilbahn/leer`: no commit yet.
pub const LEER_UUID: &str = "{5e11ba47-0000-4000-8000-0000000000a3}";
/// Ada Lindt, an owner of the workspace.
pub const ADA_UUID: &str = "{ada00000-0000-4000-8000-000000000001}";
/// Ada's e-mail address.
pub const ADA_EMAIL: &str = "ada@example.com";
/// Ada's API token, with every scope that the sandbox knows.
pub const ADA_API_TOKEN: &str = "ATATT-sandbox-ada-lindt";
/// Bo Okafor, a member of the workspace who may write to its repositories.
pub const BO_UUID: &str = "{b0000000-0000-4000-8000-000000000002}";
/// Bo's e-mail address.
pub const BO_EMAIL: &str = "bo@example.com";
/// The key (client id) of the first OAuth consumer; 32 characters, as new ones have.
pub const CONSUMER_KEY: &str = "SandboxConsumerKey00000000000001";
/// The secret of the first OAuth consumer; 76 characters, as new ones have.
pub const CONSUMER_SECRET: &str =
    "sandbox-consumer-secret-that-is-seventy-six-characters-long-0123456789abcdef";
/// The callback URL of the first OAuth consumer.
pub const CALLBACK_URL: &str = "http://localhost:8080/oauth/callback";
/// An access token of the repository `seilbahn/infrastructure`.
pub const REPOSITORY_ACCESS_TOKEN: &str = "ATCTT-sandbox-repository-infrastructure";
/// An access token of the project `WEB` of `seilbahn`.
pub const PROJECT_ACCESS_TOKEN: &str = "ATCTT-sandbox-project-web";
/// An access token of the workspace `seilbahn`.
pub const WORKSPACE_ACCESS_TOKEN: &str = "ATCTT-sandbox-workspace-seilbahn";

/// The OAuth scopes of the first consumer and of the access tokens.
pub const SCOPES: &[&str] = &[
    "account",
    "email",
    "repository",
    "repository:write",
    "repository:admin",
    "repository:delete",
    "pipeline",
    "pipeline:write",
    "project",
    "pullrequest",
    "pullrequest:write",
    "webhook",
];

/// The things an API token's scopes speak about, where the sandbox has them.
const API_TOKEN_THINGS: &[&str] =
    &["pipeline", "project", "pullrequest", "repository", "user", "webhook", "workspace"];

/// Every API-token scope that the sandbox knows, `read:repository:bitbucket` and the like.
pub fn api_token_scopes() -> Vec<String> {
    let verbs = ["read", "write", "admin", "delete"];
    API_TOKEN_THINGS.iter().flat_map(|thing| verbs.map(|verb| format!("{verb}:{thing}:bitbucket"))).collect()
}

/// The files of the seeded repositories: (repository, path, text).
pub(crate) const FILES: &[(&str, &str, &str)] = &[
    ("infrastructure", "README.md", "# Infrastructure\n\nWhat keeps the cable cars running.\n"),
    ("infrastructure", "clusters/berg/app.yaml", "image: registry.example.com/lift:1.0.0\nreplicas: 2\n"),
    ("infrastructure", "clusters/tal/app.yaml", "image: registry.example.com/lift:1.0.0\nreplicas: 3\n"),
    ("infrastructure", "scripts/deploy.sh", "#!/bin/sh\nset -eu\necho deploying \"$1\"\n"),
    ("website", "README.md", "# Website\n\nTimetables and tickets.\n"),
    ("website", "public/index.html", "<!doctype html>\n<title>Seilbahn</title>\n<h1>Seilbahn</h1>\n"),
];

#[cfg(test)]
mod tests {
    #[test]
    fn the_consumer_has_the_lengths_of_a_new_one() {
        assert_eq!((super::CONSUMER_KEY.len(), super::CONSUMER_SECRET.len()), (32, 76));
    }
}
