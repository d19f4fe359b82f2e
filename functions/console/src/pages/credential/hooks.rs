//! The hooks of a credential at Bitbucket, and their secret.

use bucketwheel::credential::Credential;
use bucketwheel::store::hooks::{Attached, HookSecrets};
use jiff::Timestamp;
use maud::{Markup, html};

use super::deeds;
use crate::pages::parts::{Tone, ago, badge, copyable, empty, table};

/// Their list, and what can be done.
pub(super) fn show(
    credential: &Credential,
    hooks: Option<&HookSecrets>,
    address: &str,
    now: Timestamp,
) -> Markup {
    let attached = hooks.map(|hooks| hooks.hooks.as_slice()).unwrap_or_default();
    let newest = hooks.map(HookSecrets::newest).unwrap_or_default();
    html! {
        section.card.bare {
            div.head {
                h2 { "Webhooks" }
                @if let Some(at) = hooks.map(|hooks| hooks.made_at).filter(|at| *at > Timestamp::UNIX_EPOCH) {
                    span.hint { "secret made " (ago(at, now)) }
                }
            }
            div.address { p.hint { "They send to" } (copyable(address, "the webhook address")) }
            @if attached.is_empty() {
                (empty("No hooks yet", &html! { "Attach one below, and Bitbucket sends what happens to the webhook address." }))
            } @else {
                (table("Webhooks", ["Where", "State", "Events"], attached.iter().map(|hook| row(hook, newest))))
            }
            @if credential.deleting_at.is_none() {
                div.pager {
                    details {
                        summary { "Attach a hook" }
                        (deeds::one(credential, "attach_hook", "Attach", "", &attach()))
                    }
                    @if !attached.is_empty() {
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

fn row(hook: &Attached, newest: u64) -> [Markup; 3] {
    let (tone, word) = match &hook.problem {
        Some(_) => (Tone::Bad, "not right"),
        None if hook.registered == 0 => (Tone::Warn, "not registered"),
        None if hook.registered < newest => (Tone::Warn, "old secret"),
        None => (Tone::Good, "registered"),
    };
    [
        html! { (hook.subject) },
        html! { div { (badge(tone, word)) @if let Some(problem) = &hook.problem { span.hint title=(problem.resolution) { code { (problem.code) } } } } },
        html! { ul.tags { @for event in &hook.events { li { code { (event) } } } } },
    ]
}

fn attach() -> Markup {
    html! {
        div.field {
            label for="subject" { "Repository or workspace" }
            input #subject name="subject" required maxlength="200" autocomplete="off" placeholder="acme/website";
        }
        div.field {
            label for="events" { "Events" }
            input #events name="events" required maxlength="2000" value="repo:push" autocomplete="off" aria-describedby="events-hint";
            span.hint #events-hint { "Parted by spaces, as Bitbucket names them." }
        }
    }
}
