//! Which scopes open what
//! (<https://developer.atlassian.com/cloud/bitbucket/bitbucket-cloud-rest-api-scopes>).

/// The scopes that an operation needs: all of one list, by the kind of the credentials.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) oauth: &'static [&'static str],
    /// Without the `:bitbucket` at their end.
    pub(crate) api_token: &'static [&'static str],
}

pub(crate) const ACCOUNT: Scope = Scope { oauth: &["account"], api_token: &["read:user"] };
pub(crate) const EMAIL: Scope = Scope { oauth: &["email"], api_token: &["read:user"] };
pub(crate) const WORKSPACE: Scope = Scope { oauth: &["account"], api_token: &["read:workspace"] };
pub(crate) const PROJECT: Scope = Scope { oauth: &["project"], api_token: &["read:project"] };
pub(crate) const REPOSITORY: Scope = Scope { oauth: &["repository"], api_token: &["read:repository"] };
pub(crate) const REPOSITORY_ADMIN: Scope =
    Scope { oauth: &["repository:admin"], api_token: &["admin:repository"] };
pub(crate) const REPOSITORY_DELETE: Scope =
    Scope { oauth: &["repository:delete"], api_token: &["delete:repository"] };
pub(crate) const SOURCE_WRITE: Scope =
    Scope { oauth: &["repository:write"], api_token: &["write:repository"] };
pub(crate) const BRANCH_WRITE: Scope =
    Scope { oauth: &["repository:write"], api_token: &["read:repository", "write:repository"] };
pub(crate) const PULL_REQUEST: Scope = Scope { oauth: &["pullrequest"], api_token: &["read:pullrequest"] };
pub(crate) const PULL_REQUEST_WRITE: Scope =
    Scope { oauth: &["pullrequest:write"], api_token: &["read:pullrequest", "write:pullrequest"] };
pub(crate) const PIPELINE: Scope = Scope { oauth: &["pipeline"], api_token: &["read:pipeline"] };
pub(crate) const PIPELINE_RUN: Scope =
    Scope { oauth: &["pipeline"], api_token: &["read:pipeline", "write:pipeline"] };
pub(crate) const PIPELINE_STOP: Scope = Scope { oauth: &["pipeline:write"], api_token: &["write:pipeline"] };
pub(crate) const WEBHOOK: Scope = Scope { oauth: &["webhook"], api_token: &["read:webhook"] };
pub(crate) const WEBHOOK_WRITE: Scope =
    Scope { oauth: &["webhook"], api_token: &["read:webhook", "write:webhook"] };
pub(crate) const WEBHOOK_DELETE: Scope = Scope { oauth: &["webhook"], api_token: &["delete:webhook"] };

/// Whether OAuth scopes include another one, directly or by what they imply.
pub(crate) fn oauth_includes(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|scope| scope == wanted || implied(scope).contains(&wanted))
}

/// What a scope implies. `repository:admin` and `repository:delete` imply nothing.
fn implied(scope: &str) -> &'static [&'static str] {
    match scope {
        "repository:write" => &["repository"],
        "pullrequest" => &["repository"],
        "pullrequest:write" => &["pullrequest", "repository"],
        "account:write" => &["account"],
        "pipeline:write" => &["pipeline"],
        "project:admin" => &["project"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_implies_reading_but_administration_implies_nothing() {
        let has = |scope: &str, wanted| oauth_includes(&[scope.to_owned()], wanted);
        assert!(has("repository:write", "repository"));
        assert!(has("pullrequest:write", "pullrequest") && has("pullrequest:write", "repository"));
        assert!(!has("repository:admin", "repository") && !has("repository", "pullrequest"));
    }
}
