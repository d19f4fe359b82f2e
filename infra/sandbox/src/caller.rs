//! Who calls the API, and what it may do.

use axum::http::HeaderMap;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;

use crate::{
    errors::Problem,
    oauth,
    scope::{self, Scope},
    seed,
    world::{Actor, Project, Repository, Role, World},
};

/// The holder of valid credentials.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) actor: Actor,
    pub(crate) scopes: Vec<String>,
    /// `X-Credential-Type`.
    pub(crate) credential: &'static str,
    /// What its requests are counted under.
    pub(crate) limited_as: String,
    /// Whether it gets rate headers: only access tokens do.
    pub(crate) shows_limits: bool,
    reach: Reach,
}

/// How far credentials reach, besides what the person may.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    /// As far as the person.
    Person,
    /// One workspace, by uuid.
    Workspace(String),
    /// One project, by uuid.
    Project(String),
    /// One repository, by uuid.
    Repository(String),
}

/// What somebody may do with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Read,
    Write,
    Admin,
}

/// User name and password of HTTP's Basic scheme (RFC 7617).
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, value) = authorization(headers)?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(value.trim()).ok())??;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    headers.get("authorization")?.to_str().ok()?.split_once(' ')
}

/// The caller of a request; nobody if it brings no credentials.
pub(crate) fn identify(
    world: &World,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Option<Caller>, Problem> {
    if !headers.contains_key("authorization") {
        return Ok(None);
    }
    let caller = match authorization(headers) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => bearer(world, token.trim(), now),
        _ => basic(headers).and_then(|(email, token)| person(world, &email, &token)),
    };
    caller.map(Some).ok_or(Problem::Unauthorized)
}

fn person(world: &World, email: &str, token: &str) -> Option<Caller> {
    let known = world.api_tokens.iter().find(|known| known.email == email && known.token == token)?;
    let user = world.users.iter().find(|user| user.email == email)?;
    // A token made without Bitbucket scopes opens nothing.
    (!known.scopes.is_empty()).then(|| Caller {
        actor: Actor::User(user.uuid.clone()),
        scopes: known.scopes.clone(),
        credential: "apitoken",
        limited_as: user.uuid.clone(),
        shows_limits: false,
        reach: Reach::Person,
    })
}

fn bearer(world: &World, token: &str, now: Timestamp) -> Option<Caller> {
    if let Some(grant) = world.ledger.grant_of(token, &world.behaviour, now) {
        let consumer = world.ledger.consumers.get(&grant.consumer)?;
        let (actor, reach) = match &grant.subject {
            oauth::Subject::User(uuid) => (Actor::User(uuid.clone()), Reach::Person),
            oauth::Subject::App => {
                let (uuid, name) = (consumer.app_uuid.clone(), consumer.name.clone());
                (
                    Actor::App { uuid, name, kind: "oauth_consumer" },
                    Reach::Workspace(seed::WORKSPACE_UUID.to_owned()),
                )
            }
        };
        return Some(Caller {
            actor,
            scopes: grant.scopes.clone(),
            credential: "oauth2",
            // The consumer, regardless of the person: the worse of what the sources say.
            limited_as: consumer.key.clone(),
            shows_limits: false,
            reach,
        });
    }
    let known = world.access_tokens.iter().find(|known| known.token == token)?;
    let workspace = world.workspace(&known.workspace)?.uuid.clone();
    let (reach, kind) = match (&known.repository, &known.project) {
        (None, None) => (Reach::Workspace(workspace), "workspace_access_token"),
        (None, Some(key)) => {
            let project = world.project(&known.workspace, key)?;
            (Reach::Project(project.uuid.clone()), "project_access_token")
        }
        (Some(slug), _) => {
            let at = world.repository_named(&format!("{}/{slug}", known.workspace))?;
            (Reach::Repository(world.repositories[at].uuid.clone()), "repository_access_token")
        }
    };
    let digest = crate::random::fingerprint(token);
    let uuid = format!("{{{}-0000-4000-8000-{}}}", &digest[..8], &digest[8..20]);
    Some(Caller {
        actor: Actor::App { uuid, name: known.name.clone(), kind },
        scopes: known.scopes.clone(),
        credential: kind,
        limited_as: digest,
        shows_limits: true,
        reach,
    })
}

impl Caller {
    /// Checks scopes.
    ///
    /// # Errors
    /// Bitbucket's 403 that lists what is required and what is granted.
    pub(crate) fn must_have(&self, scope: &Scope) -> Result<(), Problem> {
        let of_person = self.credential == "apitoken";
        let required: Vec<String> = if of_person {
            scope.api_token.iter().map(|name| format!("{name}:bitbucket")).collect()
        } else {
            scope.oauth.iter().map(|name| (*name).to_owned()).collect()
        };
        let has = |name: &String| {
            // No scope of an API token implies another.
            if of_person { self.scopes.contains(name) } else { scope::oauth_includes(&self.scopes, name) }
        };
        if required.iter().all(has) {
            return Ok(());
        }
        Err(Problem::Scopes { required, granted: self.scopes.clone() })
    }

    /// What it may do with a repository; nothing if it cannot see it.
    pub(crate) fn level(&self, world: &World, repository: &Repository) -> Option<Level> {
        match &self.reach {
            Reach::Person => match self.role(world, &repository.workspace)? {
                Role::Owner => Some(Level::Admin),
                Role::Member => Some(Level::Write),
            },
            Reach::Workspace(uuid) => (*uuid == repository.workspace).then_some(Level::Admin),
            Reach::Project(uuid) => (*uuid == repository.project).then_some(Level::Admin),
            Reach::Repository(uuid) => (*uuid == repository.uuid).then_some(Level::Admin),
        }
    }

    /// Whether it sees a project.
    pub(crate) fn sees(&self, world: &World, project: &Project) -> bool {
        match &self.reach {
            Reach::Project(uuid) => *uuid == project.uuid,
            Reach::Person | Reach::Workspace(_) | Reach::Repository(_) => {
                self.role(world, &project.workspace).is_some()
            }
        }
    }

    /// Its role in a workspace, by uuid. A workspace's own credentials count as an owner's.
    pub(crate) fn role(&self, world: &World, workspace: &str) -> Option<Role> {
        match &self.reach {
            Reach::Person => {
                let workspace = world.workspace(workspace)?;
                workspace.members.iter().find(|(uuid, _)| uuid == self.actor.uuid()).map(|(_, role)| *role)
            }
            Reach::Workspace(uuid) => (uuid == workspace).then_some(Role::Owner),
            Reach::Project(_) | Reach::Repository(_) => None,
        }
    }

    /// A line for the journal.
    pub(crate) fn who(&self, world: &World) -> String {
        match &self.actor {
            Actor::User(uuid) => {
                let name = world.user(uuid).map_or("somebody", |user| user.display_name.as_str());
                format!("{name} ({})", self.credential)
            }
            Actor::App { name, .. } => format!("{name} ({})", self.credential),
        }
    }
}
