//! The hooks of a credential at Bitbucket, what is wanted of them, and their secrets.

use bucketwheel::call::Problem;
use bucketwheel::credential::Credential;
use bucketwheel::event::{Filter, Glob};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::deeds;
use crate::hooks::{HookSeen, SecretSeen, Seen, State, Wanted};
use crate::pages::parts::{Field, Tone, ago, badge, copyable, empty, table};

/// A hook as it is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    subject: String,
    events: String,
    repositories: String,
    branches: String,
}

impl Asked {
    /// What is wanted then. A filter of which nothing is said stays as it is.
    pub(super) fn wanted(&self) -> Wanted {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let lists = [("repositories", &self.repositories), ("branches", &self.branches)];
        let filter: Map<_, _> = lists
            .into_iter()
            .map(|(name, patterns)| (name.to_owned(), words(patterns)))
            .filter(|(_, patterns)| !patterns.is_empty())
            .map(|(name, patterns)| (name, Value::from(patterns)))
            .collect();
        Wanted {
            subject: self.subject.trim().to_owned(),
            events: words(&self.events),
            filter: (!filter.is_empty()).then_some(filter),
        }
    }
}

/// Their list, and what can be done.
pub(super) fn show(credential: &Credential, seen: &Seen, asked: Option<&Asked>, now: Timestamp) -> Markup {
    let Seen { webhook_url, hooks, filter, secrets, .. } = seen;
    let asked = asked.filter(|asked| !asked.subject.is_empty());
    html! {
        section.card.bare {
            div.head { h2 { "Webhooks" } }
            div.address { p.hint { "They send to" } (copyable(webhook_url, "the webhook address")) }
            @if hooks.is_empty() {
                (empty("No hooks yet", &html! { "Attach one below, and Bitbucket sends what happens to the webhook address." }))
            } @else {
                (table("Webhooks", ["Where", "State", "Events"], hooks.iter().map(row)))
            }
            @if *filter != Filter::default() {
                div.address { p.hint { "Of what all hooks send, this is taken" } (only(filter)) }
            }
            @if !secrets.is_empty() {
                (table("Secrets", ["Secret", "Made", "Last delivery signed with it"], secrets.iter().map(|one| secret(one, now))))
            }
            @if credential.deleting_at.is_none() {
                div.pager {
                    details open[asked.is_some()] {
                        summary { "Attach a hook" }
                        (deeds::one(credential, "attach_hook", "Attach", "", &attach(asked)))
                    }
                    @if !hooks.is_empty() {
                        div.buttons {
                            (deeds::one(credential, "repair_hooks", "Repair hooks", "quiet", &html! {}))
                            (deeds::one(credential, "rotate_hook", "Make a new secret", "quiet", &html! {}))
                        }
                    }
                }
            }
        }
    }
}

fn row(hook: &HookSeen) -> [Markup; 3] {
    let (tone, word, more) = match hook.state {
        State::Registered => (Tone::Good, "registered", ""),
        State::Waiting => (Tone::Warn, "waiting", "Bitbucket is going to be told."),
        State::Refused => (Tone::Bad, "refused", ""),
        State::ByHand => (Tone::Off, "by hand", "A person registers it at Bitbucket."),
    };
    [
        html! { (hook.subject) },
        html! {
            div {
                (badge(tone, word))
                @if !more.is_empty() { span.hint { (more) } }
                @if let Some(Problem { code, cause, resolution }) = &hook.problem {
                    span.hint { (cause) } span.hint { (resolution) " " code { (code) } }
                }
            }
        },
        html! { div { (tags(&hook.events)) (only(&hook.filter)) } },
    ]
}

fn tags<T: ToString>(all: &[T]) -> Markup {
    html! { ul.tags { @for one in all { li { code { (one.to_string()) } } } } }
}

/// What a filter lets through; nothing if that is everything.
fn only(Filter { events, repositories, branches }: &Filter) -> Markup {
    let lists: [(&str, &[Glob]); 3] =
        [("only events", events), ("only repositories", repositories), ("only branches", branches)];
    html! {
        @for (title, patterns) in lists {
            @if !patterns.is_empty() { span.hint { (title) } (tags(patterns)) }
        }
    }
}

fn secret(SecretSeen { version, made_at, last_match }: &SecretSeen, now: Timestamp) -> [Markup; 3] {
    [
        html! { "Version " (version) },
        html! { @if let Some(at) = made_at { (ago(*at, now)) } @else { span.faint { "the one before" } } },
        html! { @if let Some(at) = last_match { (ago(*at, now)) } @else { span.faint { "none yet" } } },
    ]
}

fn attach(asked: Option<&Asked>) -> Markup {
    let pushes = Asked { events: "repo:push".to_owned(), ..Asked::default() };
    let Asked { subject, events, repositories, branches } = asked.unwrap_or(&pushes);
    let field = |name, title, hint, value, required| Field { name, title, hint, value, required }.show();
    html! {
        (field("subject", "Workspace or repository", "Such as acme, or acme/website. One that has a hook gets these events instead.", subject, true))
        (field("events", "Events", "Parted by spaces, as Bitbucket names them.", events, true))
        (field("branches", "Only branches", "Patterns such as main or release/*. Empty: as it is, at first all.", branches, false))
        (field("repositories", "Only repositories", "Patterns such as acme/web-*, for the hook of a workspace.", repositories, false))
    }
}
