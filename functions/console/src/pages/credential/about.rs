//! How a credential stands: its state with the remedy, its token chain, its scopes, its facts.

use bucketwheel::credential::{Credential, Health, purpose};
use bucketwheel::store::tokens::Tokens;
use jiff::Timestamp;
use maud::{Markup, html};

use super::deeds;
use crate::pages::parts::{ago, copyable_inline, empty, moment};
use crate::pages::timeline;

/// What is wrong, and what to do about it. Nothing if nothing is.
pub(super) fn status(credential: &Credential, tokens: Option<&Tokens>, now: Timestamp) -> Markup {
    let status = &credential.status;
    let works_until = tokens.and_then(|tokens| status.works_until(&tokens.chain()));
    let since = html! { " Since " (ago(status.since, now)) "." };
    html! {
        @if credential.deleting_at.is_some() {
            p.banner.warn {
                strong { "It is being deleted." } " Its hooks at Bitbucket are removed first. Nothing else can be done with it."
            }
        } @else if let Some(cause) = status.cause {
            div.banner.(if status.health == Health::Down { "bad" } else { "warn" }) {
                p { strong { (cause.sentence()) } " " (cause.resolution()) (since) " " code { (cause.code()) } }
                @if let Some(until) = works_until { p { "Calls go on to work until " (moment(until)) "." } }
                @if status.health == Health::Down { (deeds::reconnect(credential, false)) }
            }
        } @else if status.health == Health::Disabled {
            div.banner.note {
                p {
                    strong { "An operator switched it off." }
                    " Calls are refused. Its tokens are kept alive and webhooks are still taken, so that nothing is lost "
                    "when it is switched on again." (since)
                }
                (deeds::one(credential, "enable", "Switch on", "", &html! {}))
            }
        }
        @if let Some((cause, resolution)) = credential.sight.explanation() {
            p.banner.warn { strong { (cause) } " " (resolution) }
        }
    }
}

/// The token chain, as a picture and in words.
pub(super) fn chain(credential: &Credential, tokens: Option<&Tokens>, now: Timestamp) -> Markup {
    let chain = tokens.map(Tokens::chain);
    html! {
        section.card {
            div.head {
                h2 { "Tokens" }
                @if let Some(chain) = chain { span.hint { "generation " (chain.generation) } }
            }
            @if let (Some(tokens), Some(chain)) = (tokens, chain) {
                @if !credential.kind.renews_itself() {
                    p { "Entered " (ago(chain.refreshed_at, now)) ". It stays as it is until somebody replaces it." }
                }
                (timeline::show(&crate::outlook(tokens, now), credential.kind.renews_itself(), now))
                @if let Some(intent) = &chain.intent {
                    p.banner.warn {
                        "The refresh token was first spent " (ago(intent.first_spent_at, now)) ", spends without an answer: " (intent.attempts)
                        ". No new pair is stored yet."
                    }
                }
                @if chain.ended { p.banner.bad { "The chain has ended. Only a reconnect helps." } }
                @if credential.kind.renews_itself() && credential.deleting_at.is_none() {
                    (deeds::one(credential, "refresh", "Refresh now", "quiet", &html! {}))
                }
            } @else {
                (empty("There are no tokens", &html! { "Reconnect the credential." }))
            }
        }
    }
}

/// What was granted, and what was wanted and is missing.
pub(super) fn scopes(credential: &Credential) -> Markup {
    let missing = credential.missing();
    html! {
        section.card {
            h2 { "Scopes" }
            @if !missing.is_empty() {
                div.banner.warn {
                    p { strong { "Wanted and not granted:" } }
                    ul { @for one in &missing { li { code { (one.scope) } " What will not work: " (one.lost) "." } } }
                    p { "Add them to the consumer, or make a token that has them, then reconnect." }
                }
            }
            @if credential.granted.is_empty() { p.hint { "Bitbucket did not say which were granted." } } @else {
                ul.tags { @for scope in credential.granted.iter() { li title=(purpose(scope)) { code { (scope) } } } }
            }
        }
    }
}

/// What it is.
pub(super) fn facts(credential: &Credential, now: Timestamp) -> Markup {
    let Credential { id, kind, owner, workspace, resource, account, .. } = credential;
    html! {
        section.card {
            h2 { "About" }
            dl {
                dt { "Account" } dd { (account.display_name) p.hint { code { (account.uuid) } } }
                dt { "Kind" } dd { (kind.title()) p.hint { "Acts as: " (kind.trade().acts_as) } }
                dt { "Workspace" } dd { (workspace) @if !resource.is_empty() { "/" (resource) } }
                dt { "Owner" } dd { @if owner.is_empty() { "shared" } @else { (owner) } }
                dt { "Connected" } dd { (ago(credential.connected_at, now)) p.hint { "first " (moment(credential.created_at)) } }
                dt { "Id" } dd { (copyable_inline(id.as_str(), "the id")) }
            }
        }
    }
}
