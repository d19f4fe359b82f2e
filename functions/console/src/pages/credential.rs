//! `/credentials/{id}`: one of them, in full, and what can be done to it.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use bucketwheel::credential::{Credential, CredentialId, Health, purpose};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::rotation::Chain;
use bucketwheel::store::credentials::{Audit, audit};
use bucketwheel::store::tokens;
use bucketwheel::token::NEVER;
use maud::{Markup, html};
use serde::Deserialize;

use super::{moment, new, page, state};
use crate::Console;
use crate::api::credentials::known;
use crate::guard::Who;
use crate::invite::Wanted;
use crate::problem::ErrorAnswer;
use crate::request::{Id, bad_form};

/// What a button of the page asks for.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Deed {
    Rename,
    Reconnect,
    Refresh,
    Disable,
    Enable,
    Delete,
}

/// A form of the page as it is sent.
#[derive(Deserialize)]
pub(crate) struct Act {
    deed: Deed,
    label: Option<String>,
    allow_other_account: Option<String>,
    sure: Option<String>,
}

/// Does it.
pub(crate) async fn act<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    who: Who,
    act: Result<Form<Act>, FormRejection>,
) -> Result<Response, ErrorAnswer> {
    let Form(act) = act.map_err(|rejection| bad_form(&rejection))?;
    let credential = known(&console.table, id).await?;
    match act.deed {
        Deed::Rename => console.rename(&who, &credential, act.label.as_deref().unwrap_or_default()).await?,
        Deed::Reconnect => {
            let wanted = Wanted {
                credential: Some(credential.id.clone()),
                allow_other_account: act.allow_other_account.is_some(),
                ..Wanted::default()
            };
            let made = console.invite(&who, wanted).await?;
            return Ok(new::link(&made, credential.kind).into_response());
        }
        Deed::Refresh => console.refresh(&credential).await?,
        Deed::Disable => console.disable(&who, &credential).await?,
        Deed::Enable => console.enable(&who, &credential).await?,
        Deed::Delete if act.sure.is_some() => {
            console.delete(&who, &credential).await?;
            return Ok(Redirect::to("/credentials").into_response());
        }
        Deed::Delete => {
            return Err(ErrorAnswer::bad_request(
                "not_sure",
                "Deleting cannot be undone.",
                "Go back and tick the box that says so.",
            ));
        }
    }
    Ok(Redirect::to(&format!("/credentials/{}", credential.id)).into_response())
}

/// The page.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
) -> Result<Markup, ErrorAnswer> {
    let credential = known(&console.table, id).await?;
    let chain = tokens::get(&console.table, &credential.id).await?.map(|tokens| tokens.chain());
    let lines = audit(&console.table, &credential.id).await?;
    let content = html! {
        (about(&credential))
        h2 { "What you can do" }
        @if credential.deleting_at.is_some() {
            p { "It is being deleted: its hooks at Bitbucket are removed first. Nothing else can be done." }
            (button(&credential, "delete", "Ask for the deletion again", html! { input type="hidden" name="sure" value="yes"; }))
        } @else {
            (deeds(&credential))
        }
        h2 { "Webhook address" }
        p { code { (console.webhook_url(&credential.id)) } }
        h2 { "Token chain" }
        @if let Some(chain) = &chain { (links(chain)) } @else { p { "There are no tokens." } }
        h2 { "What happened" }
        (history(&lines))
    };
    Ok(page(&credential.label, content))
}

fn about(credential: &Credential) -> Markup {
    let Credential { id, kind, owner, workspace, resource, account, granted, status, .. } = credential;
    let missing = credential.missing();
    html! {
        dl {
            dt { "State" }
            dd {
                (state(status.health)) " since " (moment(status.since))
                @if let Some(cause) = status.cause {
                    p { strong { (cause.sentence()) } " " (cause.resolution()) " " code { (cause.code()) } }
                } @else if status.health == Health::Disabled {
                    p {
                        "An operator switched it off. Calls are refused. Its tokens are kept alive and webhooks are "
                        "still taken, so that nothing is lost when it is switched on again."
                    }
                }
            }
            dt { "Id" } dd { code { (id) } }
            dt { "Kind" } dd { (kind.title()) }
            dt { "Account" } dd { (account.display_name) " " code { (account.uuid) } }
            dt { "Acts as" } dd { (kind.trade().acts_as) }
            dt { "Workspace" } dd { (workspace) @if !resource.is_empty() { " / " (resource) } }
            @if let Some((cause, resolution)) = credential.sight.explanation() {
                dt { "Repositories" } dd { strong { (cause) } " " (resolution) }
            }
            dt { "Owner" } dd { @if owner.is_empty() { "shared" } @else { (owner) } }
            dt { "Granted scopes" }
            dd {
                @if granted.is_empty() { "Bitbucket did not say." }
                @for scope in granted.iter() { code { (scope) } " " }
            }
            @if !missing.is_empty() {
                dt { "Missing scopes" }
                dd {
                    @for missing in &missing {
                        p { code { (missing.scope) } " What will not work: " (purpose(&missing.scope)) "." }
                    }
                    p { "Add them to the consumer, or make a token that has them, then reconnect." }
                }
            }
            dt { "First connected" } dd { (moment(credential.created_at)) }
            dt { "Newest consent" } dd { (moment(credential.connected_at)) }
        }
    }
}

fn deeds(credential: &Credential) -> Markup {
    html! {
        div.deeds {
            (button(credential, "rename", "Rename", html! {
                input name="label" value=(credential.label) aria-label="New label" maxlength="100" required;
            }))
            (button(credential, "reconnect", "Make a link to reconnect", html! {
                label { input type="checkbox" name="allow_other_account" value="yes"; " Another account may take its place" }
            }))
            @if credential.kind.renews_itself() { (button(credential, "refresh", "Refresh the token now", html! {})) }
            @if credential.disabled_at.is_some() {
                (button(credential, "enable", "Switch on", html! {}))
            } @else {
                (button(credential, "disable", "Switch off", html! {}))
            }
            (button(credential, "delete", "Delete", html! {
                label { input type="checkbox" name="sure" value="yes" required; " For good: its hooks, its tokens" }
            }))
        }
    }
}

fn button(credential: &Credential, deed: &str, title: &str, more: Markup) -> Markup {
    html! {
        form method="post" action={ "/credentials/" (credential.id) } {
            input type="hidden" name="deed" value=(deed);
            (more)
            button.quiet { (title) }
        }
    }
}

fn links(chain: &Chain) -> Markup {
    html! {
        dl {
            dt { "Generation" } dd { (chain.generation) }
            dt { "Refreshed" } dd { (moment(chain.refreshed_at)) }
            dt { "Access token expires" }
            dd { @if chain.expires_at < NEVER { (moment(chain.expires_at)) } @else { "Bitbucket does not tell." } }
            dt { "Open intent" }
            dd {
                @if let Some(intent) = &chain.intent {
                    "The refresh token was first spent " (moment(intent.first_spent_at))
                    ", runs so far: " (intent.attempts) ". No new pair is stored yet."
                } @else {
                    "none"
                }
            }
            @if chain.ended { dt { "Ended" } dd { "Only a reconnect helps." } }
        }
    }
}

fn history(lines: &[Audit]) -> Markup {
    html! {
        @if lines.is_empty() { p { "Nothing is written down." } } @else {
            div.wide {
                table {
                    thead { tr { th { "When" } th { "What" } th { "Who" } th { "Request" } } }
                    tbody {
                        @for line in lines.iter().rev() {
                            tr {
                                td { (moment(line.at)) }
                                td { (line.action) @if !line.note.is_empty() { br; span.hint { (line.note) } } }
                                td { (line.actor) }
                                td { code { (line.request) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
