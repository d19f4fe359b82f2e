//! `/api/gitops`: clusters and the folders that they are attached to.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use bucketwheel::call::{Action, CallId, File, Message, Problem};
use bucketwheel::credential::{CredentialId, ulid};
use bucketwheel::error::Causes;
use bucketwheel::gitops::{Attachment, AttachmentId, Cluster, Line, Put, Side, State, Step, What};
use bucketwheel::ports::{Edge, Outgoing, Queue, Table, TableError};
use bucketwheel::store::gitops::{self, Held};
use bucketwheel::store::hooks;
use http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Console;
use crate::api::credentials::usable;
use crate::page::{Asked, Listed};
use crate::problem::ErrorAnswer;
use crate::request::{Body, Id};

/// The event by which people's changes are heard of.
const PUSH: &str = "repo:push";

/// What is to be attached.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    credential: CredentialId,
    repository: String,
    branch: String,
    cluster: Cluster,
    #[serde(default)]
    files: Vec<File>,
}

/// An attachment as outsiders see it.
#[derive(Debug, Serialize)]
pub(crate) struct Seen {
    #[serde(flatten)]
    attachment: Attachment,
    /// The commit up to which the folder is known.
    head: Option<String>,
    /// What is under way.
    doing: &'static str,
    branch_deleted: bool,
    detaching: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<Timestamp>,
}

impl From<Held> for Seen {
    fn from(Held { attachment, state }: Held) -> Self {
        let doing = match state.step {
            Step::Idle => "nothing",
            Step::Looking => "looking",
            Step::Comparing { .. } => "comparing",
            Step::Listing { .. } => "listing",
            Step::Reading { .. } => "reading",
            Step::Committing { .. } => "committing",
        };
        let State { head, branch_gone, detaching, trouble, settled_at, .. } = state;
        Self { attachment, head, doing, branch_deleted: branch_gone, detaching, trouble, settled_at }
    }
}

/// Attaches a cluster. Its folder is written with the first sync, by one commit.
pub(crate) async fn attach<T: Table, Q: Queue, E: Edge>(
    Shared(console): Shared<Arc<Console<T, Q, E>>>,
    Body(wish): Body<Wish>,
) -> Result<(StatusCode, Json<Seen>), ErrorAnswer> {
    if console.gitops.is_none() {
        return Err(switched_off());
    }
    let folder = wish.cluster.folder().map_err(refused)?;
    let slashes = wish.repository.matches('/').count();
    if slashes != 1 || wish.repository.split('/').any(str::is_empty) || wish.branch.is_empty() {
        let problem = Problem::new(
            "bad_repository",
            "The repository or the branch is missing.",
            "Write workspace/repository, and the branch's name.",
        );
        return Err(refused(problem));
    }
    let mut put =
        Put { files: wish.files, message: Some(format!("Attach {}", wish.cluster.name)), author: None };
    if put.files.iter().all(|file| file.path != "cluster.json") {
        let text = format!("{:#}\n", json!(wish.cluster));
        put.files.push(File { path: "cluster.json".to_owned(), text: Some(text), ..File::default() });
    }
    put.check().map_err(refused)?;
    let credential = usable(&console, Some(wish.credential)).await?;
    let (now, random) = (console.edge.now(), console.edge.random());
    let Ok(id) = ulid(now, random).parse::<AttachmentId>() else { unreachable!("a ULID is an id") };
    let attachment = Attachment {
        id: id.clone(),
        credential: credential.id,
        repository: wish.repository,
        branch: wish.branch,
        cluster: wish.cluster,
        folder,
        attached_at: now,
    };
    let state = State { revision: 1, lines: 1, due_at: now, ..State::default() };
    let line = Line {
        at: now,
        what: What::Attached,
        side: Side::Us,
        path: String::new(),
        commit: None,
        note: String::new(),
    };
    let name = ulid(now, console.edge.random());
    match gitops::attach(&console.table, &attachment, &state, (&name, &put), &line).await {
        Err(TableError::Refused) => {
            return Err(ErrorAnswer::conflict(
                "already_attached",
                format!("{} on {} is attached already.", attachment.folder, attachment.branch),
                "Detach it first, or use another cluster id.",
            ));
        }
        written => written?,
    }
    console.hear_pushes(&attachment).await?;
    console.call_gitops(&id).await;
    Ok((StatusCode::CREATED, Json(Seen::from(Held { attachment, state }))))
}

/// A page of attachments.
pub(crate) async fn list<T: Table, Q: Queue, E: Edge>(
    Shared(console): Shared<Arc<Console<T, Q, E>>>,
    uri: Uri,
) -> Result<Json<Listed<Seen>>, ErrorAnswer> {
    let asked = Asked::read(uri.query())?;
    let read = gitops::list(&console.table, asked.limit, asked.after.as_ref()).await;
    let Listed { values, next } = asked.page(read)?;
    Ok(Json(Listed { values: values.into_iter().map(Seen::from).collect(), next }))
}

/// One of them.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    Shared(console): Shared<Arc<Console<T, Q, E>>>,
    Id(id): Id<AttachmentId>,
) -> Result<Json<Seen>, ErrorAnswer> {
    let found = gitops::get(&console.table, &id.ok_or_else(unknown)?).await?;
    found.map(|held| Json(held.into())).ok_or_else(unknown)
}

/// Forgets one. Its folder in the repository and its history stay.
pub(crate) async fn detach<T: Table, Q: Queue, E: Edge>(
    Shared(console): Shared<Arc<Console<T, Q, E>>>,
    Id(id): Id<AttachmentId>,
) -> Result<(StatusCode, Json<Value>), ErrorAnswer> {
    let id = id.ok_or_else(unknown)?;
    if !gitops::detach(&console.table, &id, console.edge.now()).await? {
        return Err(unknown());
    }
    console.call_gitops(&id).await;
    Ok((StatusCode::ACCEPTED, Json(json!({ "id": id }))))
}

/// Takes files that are to be in the folder: they become one commit.
pub(crate) async fn put<T: Table, Q: Queue, E: Edge>(
    Shared(console): Shared<Arc<Console<T, Q, E>>>,
    Id(id): Id<AttachmentId>,
    Body(put): Body<Put>,
) -> Result<(StatusCode, Json<Value>), ErrorAnswer> {
    let id = id.ok_or_else(unknown)?;
    put.check().map_err(refused)?;
    let now = console.edge.now();
    let name = ulid(now, console.edge.random());
    if !gitops::add_put(&console.table, &id, &name, &put, now).await? {
        return Err(unknown());
    }
    console.call_gitops(&id).await;
    Ok((StatusCode::ACCEPTED, Json(json!({ "put": name }))))
}

/// Who changed what, and when: the oldest line first. It outlives the attachment.
pub(crate) async fn history<T: Table, Q: Queue, E: Edge>(
    Shared(console): Shared<Arc<Console<T, Q, E>>>,
    Id(id): Id<AttachmentId>,
    uri: Uri,
) -> Result<Json<Listed<Line>>, ErrorAnswer> {
    let id = id.ok_or_else(unknown)?;
    let asked = Asked::read(uri.query())?;
    let read = gitops::history(&console.table, &id, asked.limit, asked.after.as_ref()).await;
    let listed = asked.page(read)?;
    if listed.values.is_empty() && asked.after.is_none() { Err(unknown()) } else { Ok(Json(listed)) }
}

impl<T: Table, Q: Queue, E: Edge> Console<T, Q, E> {
    /// Has Bitbucket send the repository's pushes, unless a hook of the credential does so already.
    async fn hear_pushes(&self, attachment: &Attachment) -> Result<(), ErrorAnswer> {
        let repository = attachment.repository.as_str();
        let workspace = repository.split('/').next().unwrap_or_default();
        let attached = hooks::get(&self.table, &attachment.credential).await?.map(|stored| stored.hooks);
        let attached = attached.unwrap_or_default();
        let hears = |subject: &str| {
            let hook = attached.iter().find(|hook| hook.subject.eq_ignore_ascii_case(subject));
            hook.is_some_and(|hook| hook.events.iter().any(|event| event == PUSH))
        };
        if hears(repository) || hears(workspace) {
            return Ok(());
        }
        // What the hook is told already stays.
        let own = attached.into_iter().find(|hook| hook.subject.eq_ignore_ascii_case(repository));
        let (subject, mut events) =
            own.map_or((repository.to_owned(), Vec::new()), |hook| (hook.subject, hook.events));
        events.push(PUSH.to_owned());
        let id = CallId::own("gitops-hook", &attachment.credential, &attachment.id);
        let hook = Action::EnsureHook { repository: subject, events };
        Ok(self.calls.send(Outgoing::call(&Message::own(id, attachment.credential.clone(), hook))).await?)
    }

    /// Calls gitops-sync. A call that is lost is made up for by its schedule, for the table says it too.
    async fn call_gitops(&self, id: &AttachmentId) {
        let Some(queue) = &self.gitops else { return };
        let dedup = Some(ulid(self.edge.now(), self.edge.random()));
        let body = json!({ "attachment": id }).to_string();
        let call = Outgoing { group: Some(id.to_string()), dedup, ..Outgoing::plain(body) };
        if let Err(error) = queue.send(call).await {
            tracing::warn!(error = %Causes(&error), "gitops-sync was not called");
        }
    }
}

fn refused(Problem { code, cause, resolution }: Problem) -> ErrorAnswer {
    ErrorAnswer::bad_request(&code, cause, &resolution)
}

fn unknown() -> ErrorAnswer {
    ErrorAnswer::not_found(
        "no_such_attachment",
        "There is no attachment of this id.",
        "Look up its id in the list of attachments.",
    )
}

fn switched_off() -> ErrorAnswer {
    ErrorAnswer::conflict(
        "gitops_off",
        "gitops-sync is not part of this installation.",
        "Deploy it: set the template's parameter GitopsSync to on.",
    )
}
