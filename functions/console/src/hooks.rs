//! A credential's hooks, for the API and for the pages. What is wanted is written into the table, in one
//! transaction with its audit line; the worker then makes Bitbucket so.

use std::collections::BTreeMap;

use bucketwheel::call::{Action, CallId, Message, Problem};
use bucketwheel::credential::Credential;
use bucketwheel::event::Filter;
use bucketwheel::ports::{Edge, Outgoing, Queue, Table};
use bucketwheel::store::calls;
use bucketwheel::store::history::{self, OfHook, Rejection};
use bucketwheel::store::hooks::{self, Attached, HookSecrets};
use bucketwheel::store::missed::{self, Found};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Console;
use crate::guard::Who;
use crate::invite::{bad_field, place};
use crate::problem::ErrorAnswer;
use crate::request::unreadable;

/// What one filter or one hook may list of a kind.
const MOST: usize = 100;

/// A credential's hooks and what became of their deliveries. Holds no secret.
#[derive(Debug, Serialize)]
pub(crate) struct Seen {
    /// Where Bitbucket sends deliveries.
    pub(crate) webhook_url: String,
    pub(crate) hooks: Vec<HookSeen>,
    /// The credential's own filter.
    pub(crate) filter: Filter,
    /// The newest first.
    pub(crate) secrets: Vec<SecretSeen>,
    /// Deliveries with the right signature from hooks that are not ours any more, or never were, by uuid.
    pub(crate) others: BTreeMap<String, OfHook>,
    /// How many deliveries were rejected.
    pub(crate) rejected: u64,
    /// The last of those, the newest first.
    pub(crate) rejections: Vec<Rejection>,
    /// What the search for missed events has found, where it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missed: Option<Found>,
}

/// One hook.
#[derive(Debug, Serialize)]
pub(crate) struct HookSeen {
    pub(crate) subject: String,
    pub(crate) state: State,
    pub(crate) events: Vec<String>,
    pub(crate) filter: Filter,
    /// Its uuid at Bitbucket, without braces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uuid: Option<String>,
    /// Why Bitbucket does not have it as it should be, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<Problem>,
    /// What became of its deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deliveries: Option<OfHook>,
}

/// How a hook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Bitbucket has it, with the newest secret.
    Registered,
    /// Bitbucket does not know it, or not its newest secret yet; the worker is going to tell it.
    Waiting,
    /// Bitbucket refuses it.
    Refused,
    /// A person registers it.
    ByHand,
}

/// One version of the secret.
#[derive(Debug, Serialize)]
pub(crate) struct SecretSeen {
    pub(crate) version: u64,
    /// When it was made, if it is the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) made_at: Option<Timestamp>,
    /// When a delivery was last signed with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_match: Option<Timestamp>,
}

/// A workspace or repository whose events are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) subject: String,
    #[serde(default = "pushes")]
    pub(crate) events: Vec<String>,
    /// Which of its deliveries; left out, as it is.
    pub(crate) filter: Option<Map<String, Value>>,
}

fn pushes() -> Vec<String> {
    vec!["repo:push".to_owned()]
}

impl<T: Table, Q: Queue, E: Edge> Console<T, Q, E> {
    /// The hooks of a credential.
    pub(crate) async fn hooks(&self, known: &Credential) -> Result<Seen, ErrorAnswer> {
        let stored = hooks::get(&self.table, &known.id).await?.unwrap_or_else(HookSecrets::unmade);
        let mut history = history::get(&self.table, &known.id, self.edge.now()).await?;
        let newest = stored.newest();
        let secret = |version| SecretSeen {
            version,
            made_at: (version == newest).then_some(stored.made_at),
            last_match: history.matched.get(&version).copied(),
        };
        let secrets = stored.secrets.iter().map(|sealed| secret(sealed.version)).collect();
        let mut of_hook = |uuid: &Option<String>| history.hooks.remove(uuid.as_deref()?);
        let hook = |hook: Attached| HookSeen {
            state: match &hook.problem {
                Some(_) => State::Refused,
                None if hook.by_hand => State::ByHand,
                None if newest > 0 && hook.registered == newest => State::Registered,
                None => State::Waiting,
            },
            deliveries: of_hook(&hook.uuid),
            subject: hook.subject,
            events: hook.events,
            filter: hook.filter,
            uuid: hook.uuid,
            problem: hook.problem,
        };
        Ok(Seen {
            webhook_url: self.webhook_url(&known.id),
            hooks: stored.hooks.into_iter().map(hook).collect(),
            filter: stored.filter,
            secrets,
            others: history.hooks,
            rejected: history.rejected,
            rejections: history.rejections,
            missed: missed::found(&self.table, &known.id, self.edge.now()).await?,
        })
    }

    /// Wants the events of a workspace or repository; gives the call that registers its hook.
    pub(crate) async fn attach(
        &self,
        who: &Who,
        known: &Credential,
        wanted: Wanted,
    ) -> Result<CallId, ErrorAnswer> {
        let Wanted { subject, events, filter } = wanted;
        let subject = checked_subject(&subject)?;
        let events = checked_events(events)?;
        let filter = filter.map(checked_filter).transpose()?;
        let note = format!("{subject}: {}", events.join(", "));
        let change = |stored: &mut HookSecrets| {
            stored.attach(&subject, &events);
            if let Some(hook) = stored.hooks.iter_mut().find(|hook| hook.subject == subject) {
                hook.filter = filter.unwrap_or_else(|| std::mem::take(&mut hook.filter));
            }
        };
        self.change_hooks(who, known, "hook_wanted", note, change).await?;
        let now = self.edge.now();
        let id = CallId::own("hooks", &known.id, now.as_millisecond());
        calls::about_to_queue(&self.table, &id, now).await?;
        let message = Message::own(id.clone(), known.id.clone(), Action::RepairHooks {});
        self.calls.send(Outgoing::call(&message)).await?;
        Ok(id)
    }

    /// Sets the credential's own filter.
    pub(crate) async fn set_filter(
        &self,
        who: &Who,
        known: &Credential,
        filter: Map<String, Value>,
    ) -> Result<(), ErrorAnswer> {
        let filter = checked_filter(filter)?;
        let note = json!(filter).to_string();
        let note = note.chars().take(500).collect();
        self.change_hooks(who, known, "filter_set", note, |stored| stored.filter = filter).await
    }

    async fn change_hooks(
        &self,
        who: &Who,
        known: &Credential,
        action: &str,
        note: String,
        change: impl FnOnce(&mut HookSecrets),
    ) -> Result<(), ErrorAnswer> {
        let mut stored = hooks::get(&self.table, &known.id).await?.unwrap_or_else(HookSecrets::unmade);
        change(&mut stored);
        self.commit(who, known, action, note, hooks::replacing(&known.id, &mut stored)).await
    }
}

fn checked_subject(subject: &str) -> Result<String, ErrorAnswer> {
    let mut parts = subject.split('/');
    let workspace = place("subject", parts.next().unwrap_or_default().to_owned())?;
    match (parts.next(), parts.next()) {
        (None, _) => Ok(workspace),
        (Some(repository), None) => Ok(format!("{workspace}/{}", place("subject", repository.to_owned())?)),
        _ => Err(bad_field("subject must be workspace, or workspace/repository.")),
    }
}

/// Event keys that Bitbucket might have.
pub(crate) fn checked_events(events: Vec<String>) -> Result<Vec<String>, ErrorAnswer> {
    let is_key = |key: &String| {
        (1..=64).contains(&key.len())
            && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_:-".contains(&b))
    };
    if (1..=MOST).contains(&events.len()) && events.iter().all(is_key) {
        return Ok(events);
    }
    Err(bad_field("events must be 1 to 100 event keys, such as repo:push."))
}

/// Read from an object: serde would take a list for one, too.
fn checked_filter(filter: Map<String, Value>) -> Result<Filter, ErrorAnswer> {
    let filter: Filter = serde_json::from_value(Value::Object(filter)).map_err(|error| unreadable(&error))?;
    let lists = [&filter.events, &filter.repositories, &filter.branches];
    if lists.iter().all(|list| list.len() <= MOST) {
        return Ok(filter);
    }
    Err(bad_field("a filter lists at most 100 patterns of a kind."))
}
