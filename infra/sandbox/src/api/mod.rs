//! The REST API 2.0 as one function: a request and the world in, an answer and events out.
//!
//! Pure but for the world it changes; the edge reads the clock, the randomness and the network. This
//! file is long because all URLs of the API stand in one table.

mod comments;
mod commits;
mod hooks;
mod merge;
mod page;
mod pipelines;
mod projects;
mod pullrequests;
mod query;
mod refs;
mod repositories;
mod source;
mod statuses;
mod users;

#[cfg(test)]
mod tests;

use axum::http::HeaderMap;
use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::{
    caller::{Caller, Level},
    errors::Problem,
    git::Mode,
    limit::Resource,
    random::Seed,
    scope::Scope,
    world::{Repository, World},
};

/// A request to the API.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As it came, percent-encoded, with `/2.0`.
    pub(crate) path: String,
    /// The decoded segments after `/2.0`.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
}

impl Request {
    /// The last value of a query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a query parameter.
    pub(crate) fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The body of a request.
#[derive(Debug)]
pub(crate) enum Content {
    Raw(Bytes),
    /// A form, in whichever encoding.
    Form(Vec<Part>),
}

/// A field of a form.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// Whether it came with a file name, which tells a file from a field of the same name.
    pub(crate) is_file: bool,
    pub(crate) mode: Mode,
    pub(crate) content: Bytes,
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Body,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Json(Value),
    Bytes(&'static str, Bytes),
    Empty,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, body: Body::Json(body), headers: Vec::new() }
    }

    fn empty(status: u16) -> Self {
        Self { status, body: Body::Empty, headers: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

type Answer = Result<Reply, Problem>;

/// One call under way.
pub(crate) struct Call<'a> {
    pub(crate) world: &'a mut World,
    request: &'a Request,
    pub(crate) caller: Option<&'a Caller>,
    /// The scopes which the endpoint accepts, for the header that tells them.
    accepted: Vec<String>,
    pub(crate) now: Timestamp,
    seed: &'a Seed,
}

/// Answers a request.
pub(crate) fn answer(
    world: &mut World,
    request: &Request,
    caller: Result<Option<Caller>, Problem>,
    now: Timestamp,
    seed: &Seed,
) -> Reply {
    let (caller, refused) = match caller {
        Ok(caller) => (caller, None),
        Err(problem) => (None, Some(problem)),
    };
    let mut call = Call { world, request, caller: caller.as_ref(), accepted: Vec::new(), now, seed };
    let mut limit_headers = Vec::new();
    let outcome = match refused {
        Some(problem) => Err(problem),
        None => call.count(&mut limit_headers).and_then(|()| call.dispatch()),
    };
    let accepted = std::mem::take(&mut call.accepted);
    let mut reply = outcome.map(|reply| finished(reply, request)).unwrap_or_else(|problem| refusal(&problem));
    if let Some(caller) = &caller {
        reply.headers.push(("x-oauth-scopes", caller.scopes.join(", ")));
        reply.headers.push(("x-credential-type", caller.credential.to_owned()));
        reply.headers.append(&mut limit_headers);
    }
    if !accepted.is_empty() {
        reply.headers.push(("x-accepted-oauth-scopes", accepted.join(", ")));
    }
    reply
}

/// Shapes the body as `fields` asks, and answers 304 if the client has it already.
fn finished(mut reply: Reply, request: &Request) -> Reply {
    if let (Body::Json(body), Some(fields)) = (&mut reply.body, request.parameter("fields")) {
        *body = query::selected(body, fields);
    }
    if request.method != "GET" || reply.status != 200 {
        return reply;
    }
    let digest = match &reply.body {
        Body::Json(body) => Sha1::digest(body.to_string().as_bytes()),
        Body::Bytes(_, bytes) => Sha1::digest(bytes),
        Body::Empty => return reply,
    };
    let tag = format!("\"{}\"", hex::encode(digest));
    let known = request.headers.get("if-none-match").and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag || known.trim() == "*")) {
        reply = Reply::empty(304);
    }
    reply.with("etag", tag)
}

fn refusal(problem: &Problem) -> Reply {
    let body = match problem.body() {
        Ok(json) => Body::Json(json),
        Err((kind, text)) => Body::Bytes(kind, text.into()),
    };
    let mut reply = Reply { status: problem.status(), body, headers: Vec::new() };
    match problem {
        Problem::Moved(location) => reply.headers.push(("location", location.clone())),
        Problem::RateLimited { retry_after: Some(seconds), .. } => {
            reply.headers.push(("retry-after", seconds.to_string()));
        }
        _ => {}
    }
    reply
}

impl Call<'_> {
    /// Every URL of the API, in one place. The segments follow `/2.0`.
    fn dispatch(&mut self) -> Answer {
        let request = self.request;
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["user"]) => users::me(self),
            ("GET", ["user", "emails"]) => users::emails(self),
            ("GET", ["user", "workspaces"]) => users::workspaces(self),
            ("GET", ["user", "workspaces", ws, "permission"]) => users::permission(self, ws),
            ("GET", ["user", "permissions", "workspaces" | "repositories"])
            | ("GET", ["repositories" | "workspaces"]) => Err(Problem::Gone("CHANGE-2770")),
            ("GET", ["workspaces", ws]) => users::workspace(self, ws),
            ("GET", ["workspaces", ws, "members"]) => users::members(self, ws),
            ("GET", ["workspaces", ws, "projects"]) => projects::list(self, ws),
            ("GET", ["workspaces", ws, "projects", key]) => projects::get(self, ws, key),

            ("GET", ["hook_events"]) => hooks::subjects(self),
            ("GET", ["hook_events", subject]) => hooks::events(self, subject),
            (_, ["workspaces", ws, "hooks", rest @ ..]) => hooks::of_workspace(self, ws, rest),

            ("GET", ["repositories", ws]) => repositories::list(self, ws),
            ("GET", ["repositories", ws, slug]) => repositories::get(self, ws, slug),
            ("POST", ["repositories", ws, slug]) => repositories::create(self, ws, slug),
            ("PUT", ["repositories", ws, slug]) => repositories::put(self, ws, slug),
            ("DELETE", ["repositories", ws, slug]) => repositories::delete(self, ws, slug),
            (_, ["repositories", _, _, "issues" | "wiki", ..]) => Err(Problem::Gone("CHANGE-3401")),
            (_, ["repositories", ws, slug, "hooks", rest @ ..]) => hooks::of_repository(self, ws, slug, rest),

            (_, ["repositories", ws, slug, "pipelines", rest @ ..]) => {
                pipelines::of_repository(self, ws, slug, rest)
            }

            ("GET", ["repositories", ws, slug, "refs"]) => refs::all(self, ws, slug),
            ("GET", ["repositories", ws, slug, "refs", "branches"]) => refs::branches(self, ws, slug),
            ("POST", ["repositories", ws, slug, "refs", "branches"]) => refs::create(self, ws, slug, false),
            ("GET", ["repositories", ws, slug, "refs", "branches", name @ ..]) => {
                refs::branch(self, ws, slug, &name.join("/"))
            }
            ("DELETE", ["repositories", ws, slug, "refs", "branches", name @ ..]) => {
                refs::delete(self, ws, slug, &name.join("/"), false)
            }
            ("GET", ["repositories", ws, slug, "refs", "tags"]) => refs::tags(self, ws, slug),
            ("POST", ["repositories", ws, slug, "refs", "tags"]) => refs::create(self, ws, slug, true),
            ("DELETE", ["repositories", ws, slug, "refs", "tags", name @ ..]) => {
                refs::delete(self, ws, slug, &name.join("/"), true)
            }

            ("GET", ["repositories", ws, slug, "commits", revision @ ..]) => {
                commits::list(self, ws, slug, &revision.join("/"))
            }
            ("GET", ["repositories", ws, slug, "commit", hash]) => commits::get(self, ws, slug, hash),
            ("GET", ["repositories", ws, slug, "diffstat", spec @ ..]) => {
                commits::diffstat(self, ws, slug, &spec.join("/"))
            }
            ("GET", ["repositories", ws, slug, "merge-base", spec @ ..]) => {
                commits::merge_base(self, ws, slug, &spec.join("/"))
            }
            ("GET", ["repositories", ws, slug, "commit", hash, "statuses"]) => {
                statuses::list(self, ws, slug, hash)
            }
            ("POST", ["repositories", ws, slug, "commit", hash, "statuses", "build"]) => {
                statuses::post(self, ws, slug, hash, None)
            }
            ("GET", ["repositories", ws, slug, "commit", hash, "statuses", "build", key]) => {
                statuses::get(self, ws, slug, hash, key)
            }
            ("PUT", ["repositories", ws, slug, "commit", hash, "statuses", "build", key]) => {
                statuses::post(self, ws, slug, hash, Some(key))
            }

            ("GET", ["repositories", ws, slug, "src", rest @ ..]) => source::get(self, ws, slug, rest),
            ("POST", ["repositories", ws, slug, "src"]) => source::post(self, ws, slug),

            (_, ["repositories", ws, slug, "pullrequests", rest @ ..]) => {
                pullrequests::dispatch(self, ws, slug, rest)
            }
            _ => Err(Problem::NoSuchApi),
        }
    }

    /// Counts the request against its rate limit.
    fn count(&mut self, headers: &mut Vec<(&'static str, String)>) -> Result<(), Problem> {
        let segments: Vec<&str> = self.request.segments.iter().map(String::as_str).collect();
        let Some((caller, resource)) = self.caller.zip(Resource::of(&self.request.method, &segments)) else {
            return Ok(());
        };
        let behaviour = &self.world.behaviour;
        let limit = resource.limit(behaviour);
        let problem = Problem::RateLimited {
            text: behaviour.rate_limit_text,
            retry_after: behaviour.retry_after_seconds,
        };
        let left = self.world.limits.take(&caller.limited_as, resource, limit, self.now);
        if caller.shows_limits {
            headers.push(("x-ratelimit-limit", limit.to_string()));
            headers.push(("x-ratelimit-resource", resource.name().to_owned()));
            headers.push(("x-ratelimit-nearlimit", (left.unwrap_or(0) * 5 < limit).to_string()));
        }
        left.map(|_| ()).ok_or(problem)
    }

    /// The caller, if its scopes suffice.
    fn needs(&mut self, scope: &Scope) -> Result<&Caller, Problem> {
        self.accepted = scope.oauth.iter().map(|name| (*name).to_owned()).collect();
        let caller = self.caller.ok_or(Problem::Unauthorized)?;
        caller.must_have(scope)?;
        Ok(caller)
    }

    /// The index of a repository that the caller may use at this level. What it may not see does
    /// not exist for it.
    fn repository(&mut self, ws: &str, slug: &str, level: Level) -> Result<usize, Problem> {
        let missing = || Problem::NotFound(format!("Repository {ws}/{slug} not found"));
        let workspace = self.world.workspace(ws).ok_or_else(missing)?.uuid.clone();
        let repositories = &self.world.repositories;
        let named = |repository: &Repository| {
            repository.workspace == workspace && (repository.slug == slug || repository.uuid == slug)
        };
        let Some(at) = repositories.iter().position(named) else {
            let renamed = repositories.iter().find(|repository| {
                repository.workspace == workspace
                    && repository.former_slugs.iter().any(|former| former == slug)
            });
            return Err(renamed.map_or_else(missing, |repository| self.moved(repository)));
        };
        let repository = &repositories[at];
        let granted = self.caller.and_then(|caller| caller.level(self.world, repository));
        match granted {
            None if repository.is_private => Err(missing()),
            None if level == Level::Read => Ok(at),
            Some(granted) if granted >= level => Ok(at),
            _ => Err(forbidden(level)),
        }
    }

    /// The same URL with the repository's new slug.
    fn moved(&self, repository: &Repository) -> Problem {
        let mut parts: Vec<&str> = self.request.path.split('/').collect();
        // `/2.0/repositories/{workspace}/{slug}`, with an empty part before the first slash.
        if let Some(slug) = parts.get_mut(4) {
            *slug = &repository.slug;
        }
        Problem::Moved(format!("{}{}", self.world.base, parts.join("/")))
    }

    /// The JSON body.
    fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let bytes: &[u8] = match &self.request.content {
            Content::Raw(bytes) if bytes.is_empty() => b"{}",
            Content::Raw(bytes) => bytes,
            Content::Form(_) => return Err(Problem::bad("Bad request")),
        };
        serde_json::from_slice(bytes).map_err(|error| Problem::Bad {
            message: "Bad request".to_owned(),
            fields: Some(serde_json::json!({"body": error.to_string()})),
        })
    }
}

fn forbidden(level: Level) -> Problem {
    Problem::Forbidden(match level {
        Level::Admin => "Access denied. You must have admin access.".to_owned(),
        _ => "Access denied. You must have write or admin access.".to_owned(),
    })
}
