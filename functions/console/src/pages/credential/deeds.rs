//! What an operator can do to a credential, each a form with one button.

use bucketwheel::credential::Credential;
use bucketwheel::rotation::{Chain, Upkeep};
use bucketwheel::store::tokens::Tokens;
use bucketwheel::token::NEVER;
use maud::{Markup, html};

/// The forms, the dangerous ones apart.
pub(super) fn show(credential: &Credential, tokens: Option<&Tokens>, label: Option<&str>) -> Markup {
    if credential.deleting_at.is_some() {
        let sure = html! { input type="hidden" name="sure" value="yes"; };
        return html! { section.card { (one(credential, "delete", "Ask for the deletion again", "quiet", &sure)) } };
    }
    let name = html! {
        div.field {
            label for="label" { "Label" }
            input #label name="label" value=(label.unwrap_or(&credential.label)) maxlength="100" required;
        }
    };
    html! {
        section.card {
            h2 { "Change" }
            div.deeds {
                (one(credential, "rename", "Rename", "quiet", &name))
                @if let Some(chain) = tokens.map(Tokens::chain) { (upkeep(credential, &chain)) }
                (reconnect(credential, true))
            }
        }
        section.card.danger {
            h2 { "Danger zone" }
            div.deeds {
                @if credential.disabled_at.is_some() {
                    div {
                        p { "It is switched off: calls are refused." }
                        (one(credential, "enable", "Switch on", "quiet", &html! {}))
                    }
                } @else {
                    div {
                        p { "Switched off, its calls are refused. Nothing is lost: tokens stay alive, webhooks are taken." }
                        (one(credential, "disable", "Switch off", "grave", &html! {}))
                    }
                }
                div {
                    p { "Deleted, its hooks at Bitbucket and its tokens are gone. The audit trail stays." }
                    (one(credential, "delete", "Delete", "grave", &html! {
                        label.choice { input type="checkbox" name="sure" value="yes" required; span { "Yes, delete " strong { (credential.label) } " for good" } }
                    }))
                }
            }
        }
    }
}

/// How the token is kept alive; or, if somebody made it by hand, when it expires.
fn upkeep(credential: &Credential, chain: &Chain) -> Markup {
    if credential.kind.renews_itself() {
        let choice = html! {
            div.field {
                label for="upkeep" { "Refresh its token" }
                select #upkeep name="upkeep" {
                    option value="hot" selected[chain.upkeep == Upkeep::Hot] { "before it expires (hot)" }
                    option value="lazy" selected[chain.upkeep == Upkeep::Lazy] { "when a call needs it (lazy)" }
                }
            }
        };
        // Without a refresh token there is nothing to choose.
        return html! { @if chain.upkeep.spends() { (one(credential, "upkeep", "Keep it so", "quiet", &choice)) } };
    }
    let known = Some(chain.expires_at).filter(|expiry| *expiry < NEVER);
    let day = known.map(|expiry| expiry.strftime("%Y-%m-%d").to_string()).unwrap_or_default();
    let field = html! {
        div.field {
            label for="expires_on" { "Its token expires on" }
            input #expires_on type="date" name="expires_on" value=(day) aria-describedby="expires-hint";
            span.hint #expires-hint { "Bitbucket does not tell. Empty: never, or nobody knows." }
        }
    };
    one(credential, "expiry", "Note it", "quiet", &field)
}

/// The button that makes a link to reconnect.
pub(super) fn reconnect(credential: &Credential, with_choice: bool) -> Markup {
    let choice = html! {
        @if with_choice {
            label.choice { input type="checkbox" name="allow_other_account" value="yes"; span { "Another account may take its place" } }
        }
    };
    let class = if with_choice { "quiet" } else { "" };
    one(credential, "reconnect", "Reconnect", class, &choice)
}

/// One form.
pub(super) fn one(credential: &Credential, deed: &str, title: &str, class: &str, more: &Markup) -> Markup {
    html! {
        form.form method="post" action={ "/credentials/" (credential.id) } {
            input type="hidden" name="deed" value=(deed);
            (more)
            div.buttons { button.(class) { (title) } }
        }
    }
}
