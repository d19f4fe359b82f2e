//! `/credentials/{id}`: one of them, in full.

use std::sync::Arc;

use axum::extract::State;
use bucketwheel::credential::{Credential, CredentialId, Health};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::rotation::Chain;
use bucketwheel::store::credentials::{Audit, audit};
use bucketwheel::store::tokens;
use maud::{Markup, html};

use super::{moment, page, state};
use crate::Console;
use crate::api::credentials::known;
use crate::problem::ErrorAnswer;
use crate::request::Id;

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
    let Credential { id, kind, owner, workspace, account, granted, status, .. } = credential;
    html! {
        dl {
            dt { "State" }
            dd {
                (state(status.health)) " since " (moment(status.since))
                @if let Some(cause) = status.cause {
                    p { strong { (cause.sentence()) } " " (cause.resolution()) " " code { (cause.code()) } }
                } @else if status.health == Health::Disabled {
                    p { "An operator switched it off." }
                }
            }
            dt { "Id" } dd { code { (id) } }
            dt { "Kind" } dd { (kind.title()) }
            dt { "Account" } dd { (account.display_name) " " code { (account.uuid) } }
            dt { "Workspace" } dd { (workspace) }
            dt { "Owner" } dd { @if owner.is_empty() { "shared" } @else { (owner) } }
            dt { "Granted scopes" }
            dd { @for scope in granted.iter() { code { (scope) } " " } }
            dt { "First connected" } dd { (moment(credential.created_at)) }
            dt { "Newest consent" } dd { (moment(credential.connected_at)) }
        }
    }
}

fn links(chain: &Chain) -> Markup {
    html! {
        dl {
            dt { "Generation" } dd { (chain.generation) }
            dt { "Refreshed" } dd { (moment(chain.refreshed_at)) }
            dt { "Access token expires" } dd { (moment(chain.expires_at)) }
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
                    thead { tr { th { "When" } th { "What" } th { "Who" } } }
                    tbody {
                        @for line in lines.iter().rev() {
                            tr { td { (moment(line.at)) } td { (line.action) } td { (line.actor) } }
                        }
                    }
                }
            }
        }
    }
}
