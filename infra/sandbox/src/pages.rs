//! The pages that people see. Self-contained, without scripts; everything shown is escaped.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{oauth::Consumer, world::User};

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #172b4d; --soft: #505f79; --paper: #fff; --ground: #f4f5f7; --line: #c1c7d0; --act: #0c56c9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #a5afbf; --paper: #22272b; --ground: #161a1d; --line: #596773; --act: #579dff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 32rem; margin: 3rem auto; padding: 2rem; background: var(--paper); border: 1px solid var(--line); border-radius: .5rem; }
h1 { margin: 0 0 1rem; font-size: 1.4rem; line-height: 1.25; }
p { margin: 0 0 1rem; } .note { color: var(--soft); font-size: .875rem; }
ul { margin: 0 0 1.5rem; padding-left: 1.25rem; } code { overflow-wrap: anywhere; }
fieldset { margin: 0 0 1.5rem; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .375rem; }
legend { padding: 0 .375rem; font-weight: 600; }
label { display: flex; gap: .625rem; align-items: baseline; padding: .375rem 0; cursor: pointer; }
.buttons { display: flex; gap: .75rem; }
button { padding: .5rem 1.25rem; border: 1px solid var(--act); border-radius: .375rem; background: var(--paper); color: var(--act); font: inherit; font-weight: 600; cursor: pointer; }
button.grant { background: var(--act); color: var(--paper); }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
";

fn page(title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Bitbucket sandbox" }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
        }
    }
}

/// Asks a person for consent. `fields` come back unchanged with the form.
pub(crate) fn consent(
    consumer: &Consumer,
    people: &[User],
    callback: &str,
    fields: &[(&str, &str)],
) -> Markup {
    page(
        "Confirm access to your account",
        html! {
            h1 { (consumer.name) " is requesting access" }
            p { "It would like to do the following in your name:" }
            ul { @for scope in &consumer.scopes { li { code { (scope) } " – " (meaning(scope)) } } }
            form method="post" action="/site/oauth2/authorize" {
                @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
                fieldset {
                    legend { "Who are you?" }
                    @for (at, person) in people.iter().enumerate() {
                        label {
                            input type="radio" name="user" value=(person.uuid) required checked[at == 0];
                            span { (person.display_name) " " span.note { (person.email) } }
                        }
                    }
                }
                div.buttons {
                    button.grant type="submit" name="decision" value="grant" { "Grant access" }
                    button type="submit" name="decision" value="deny" { "Deny" }
                }
            }
            p.note style="margin:1.5rem 0 0" {
                "You will be taken back to " code { (callback) } ". This is a sandbox: no real account is touched."
            }
        },
    )
}

/// Says that something is wrong, without leading anywhere.
pub(crate) fn error(title: &str, text: &str) -> Markup {
    page(title, html! { h1 { (title) } p { (text) } })
}

/// The page of an outage.
pub(crate) fn outage(status: u16) -> Markup {
    let text = "We are having trouble reaching this service. Check the status page and try again.";
    page("Something went wrong", html! { h1 { "Something went wrong (" (status) ")" } p { (text) } })
}

fn meaning(scope: &str) -> &'static str {
    match scope {
        "account" => "Read your account information",
        "email" => "Read your e-mail addresses",
        "repository" => "Read your repositories",
        "repository:write" => "Read and modify your repositories",
        "repository:admin" => "Administer your repositories",
        "repository:delete" => "Delete your repositories",
        "project" => "Read your workspace's projects",
        "pullrequest" => "Read your repositories and their pull requests",
        "pullrequest:write" => "Read and modify your pull requests",
        "webhook" => "Read and modify your repositories' webhooks",
        "pipeline" => "Access your repositories' build pipelines",
        _ => "Other access",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_shown_is_escaped() {
        let page = error("<b>", "<script>alert(1)</script>").into_string();
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
    }
}
