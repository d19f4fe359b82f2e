//! The page of a connect link where a token is entered.

use bucketwheel::connect::{Failure, Link, Ticket};
use bucketwheel::credential::{Entry, Resource};
use bucketwheel::web::document;
use maud::{Markup, html};

use crate::look::Unfit;

/// What the page says about the last try.
#[derive(Debug)]
pub(crate) struct Banner {
    pub(crate) code: &'static str,
    cause: String,
    resolution: &'static str,
    /// What was entered as the e-mail, so that nobody types it twice. The token is not repeated.
    email: String,
}

impl Banner {
    pub(crate) fn failure(failure: Failure) -> Self {
        let (cause, resolution) = (failure.cause().to_owned(), failure.resolution());
        Self { code: failure.code(), cause, resolution, email: String::new() }
    }

    pub(crate) fn with_email(self, email: Option<String>) -> Self {
        Self { email: email.unwrap_or_default(), ..self }
    }

    pub(crate) fn of(unfit: &Unfit) -> Self {
        let (code, cause, resolution) = match unfit {
            Unfit::NoEmail => (
                "wrong_email",
                "This is not an e-mail address.".to_owned(),
                "Enter the address of the Atlassian account that made the token.",
            ),
            Unfit::NoToken => {
                ("wrong_token", "This cannot be a token.".to_owned(), "Copy the whole token, without spaces.")
            }
            Unfit::EmailOrToken => (
                "wrong_email_or_token",
                "Bitbucket refuses this e-mail and token together. It does not say which of them is wrong."
                    .to_owned(),
                "Check that the e-mail is the one of the Atlassian account that made the token, that the token was \
                 copied whole and has not expired, and that it was created with scopes for the app Bitbucket.",
            ),
            Unfit::Token => (
                "wrong_token",
                "Bitbucket does not know this token.".to_owned(),
                "Check that it was copied whole, and that it was neither revoked nor has expired.",
            ),
            Unfit::Scopes(scopes) => {
                let names: Vec<_> = scopes.iter().collect();
                let cause = if names.is_empty() {
                    "The token lacks a scope.".to_owned()
                } else {
                    format!("The token lacks the scope {}.", names.join(", "))
                };
                ("missing_scope", cause, "Scopes cannot be added to a token: make a new one that has it.")
            }
            Unfit::Place => (
                "missing_workspace",
                "The token does not see what this link is for.".to_owned(),
                "Check the names below. If they are right, an admin must give the token's account access, or \
                 the token was made for something else.",
            ),
        };
        Self { code, cause, resolution, email: String::new() }
    }
}

/// The page.
pub(crate) fn page(link: &Link, ticket: &Ticket, banner: Option<&Banner>) -> Markup {
    let trade = link.kind.trade();
    let email = banner.map_or("", |banner| banner.email.as_str());
    let content = html! {
        @if let Some(Banner { code, cause, resolution, .. }) = banner {
            p.banner.bad role="alert" data-code=(code) { strong { (cause) } " " (resolution) }
        }
        p { "You were asked to connect Bitbucket for " strong { (link.label) } "." }
        dl.card {
            dt { "Workspace" } dd { (link.workspace) }
            @match link.kind.resource() {
                Some(Resource::Repository) => { dt { "Repository" } dd { (link.resource) } }
                Some(Resource::Project) => { dt { "Project" } dd { (link.resource) } }
                None => {}
            }
            dt { "Kind" } dd { (link.kind.title()) }
            dt { "Acts as" } dd { (trade.acts_as) }
            dt { "Rotates" } dd { (trade.rotates) }
            dt { "Cannot" } dd { (trade.cannot) }
            @if !link.wanted.is_empty() {
                dt { "Wanted scopes" } dd { @for scope in link.wanted.iter() { code { (scope) } " " } }
            }
        }
        form.card.form method="post" action={ "/connect/" (ticket.reveal()) } {
            @match link.kind.entry() {
                Entry::EmailAndToken => {
                    div.field {
                        label for="email" { "E-mail of the Atlassian account" }
                        input #email type="email" name="email" value=(email) autocomplete="email" required;
                    }
                    (token("API token, made with scopes for Bitbucket"))
                }
                Entry::Token => { (token("Access token")) }
                Entry::Consent | Entry::Consumer => {}
            }
            div.buttons { button { "Connect" } }
        }
        @if link.kind.entry() != Entry::Consumer {
            p.hint { "The token is tried at Bitbucket first, and then stored sealed. It is never shown again." }
        }
    };
    let content = html! { main #content .narrow { h1 { "Connect Bitbucket" } (content) } };
    document("Connect Bitbucket", &html! {}, &content)
}

fn token(title: &str) -> Markup {
    html! {
        div.field {
            label for="token" { (title) }
            input #token type="password" name="token" autocomplete="off" required;
        }
        div.field {
            label for="expires_on" { "Expires on " span.faint { "(if you chose a day)" } }
            input #expires_on type="date" name="expires_on";
        }
    }
}
