//! What an operator can do to a credential, each a form with one button.

use bucketwheel::credential::Credential;
use maud::{Markup, html};

/// The forms, the dangerous ones apart.
pub(super) fn show(credential: &Credential, label: Option<&str>) -> Markup {
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
