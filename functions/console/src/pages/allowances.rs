//! How much of Bitbucket's hourly allowances a credential uses.

use bucketwheel::call::Allowance;
use bucketwheel::credential::Credential;
use bucketwheel::store::budget::{Used, Who};
use jiff::Timestamp;
use maud::{Markup, html};

use super::parts::{Tone, ago, badge, table};

/// What is used of one allowance; if an automation's next call finds no room, when there is some again.
pub(super) fn used(used: &Used, now: Timestamp) -> Markup {
    let Used { requests, per_hour, closed_until, near_limit_until, free_at } = used;
    html! {
        div {
            span.number { (requests) " of " (per_hour) }
            @if let Some(at) = free_at {
                span.hint {
                    (badge(Tone::Warn, if closed_until.is_some() { "closed by Bitbucket" } else { "no room" }))
                    " free " (ago(*at, now))
                }
            } @else if near_limit_until.is_some() {
                span.hint { "little is left, Bitbucket says" }
            }
        }
    }
}

/// All of them, and whom they are shared with.
pub(super) fn show(credential: &Credential, allowances: &[(Allowance, Used)], now: Timestamp) -> Markup {
    let rows = allowances.iter().map(|(allowance, one)| [html! { (title(*allowance)) }, used(one, now)]);
    html! {
        section.card.bare {
            div.head { h2 { "Calls this hour" } span.hint { (shared(credential)) } }
            (table("Calls this hour", ["Allowance", "Used"], rows))
        }
    }
}

fn title(allowance: Allowance) -> &'static str {
    match allowance {
        Allowance::Repositories => "Repositories",
        Allowance::Hooks => "Webhooks",
        Allowance::RawFiles => "Contents of files",
        Allowance::Properties => "Properties",
    }
}

fn shared(credential: &Credential) -> &'static str {
    match Who::counted(credential) {
        Who::Consumer => "Shared with all credentials of the OAuth consumer: theirs count too.",
        Who::Account(_) => "Shared with all API tokens of the account: theirs count too.",
        Who::Credential(_) => "Shared with nobody.",
    }
}
