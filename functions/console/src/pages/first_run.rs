//! What a newcomer does first: an OAuth consumer or an API token, then the connect link.

use bucketwheel::credential::purpose;
use maud::{Markup, html};

use super::parts::copyable;
use crate::Console;

/// The scopes that the project's own features use: of the OAuth consumer, and of an API token.
pub(super) const SCOPES: [(&str, &str); 8] = [
    ("account", "read:user:bitbucket"),
    ("repository", "read:repository:bitbucket"),
    ("repository:write", "write:repository:bitbucket"),
    ("pullrequest", "read:pullrequest:bitbucket"),
    ("pullrequest:write", "write:pullrequest:bitbucket"),
    ("webhook", "write:webhook:bitbucket"),
    ("pipeline:write", "write:pipeline:bitbucket"),
    ("project", "read:project:bitbucket"),
];

/// The page without a credential.
pub(super) fn show<T, Q, E>(console: &Console<T, Q, E>) -> Markup {
    html! {
        div.card {
            h2 { "Connect the first account" }
            p {
                "Bucketwheel needs to be allowed to do things at Bitbucket. There are two ways. "
                "With OAuth, tokens renew themselves; with an API token you are done in two minutes and replace it "
                "within a year."
            }
            p.hint { a href="/credentials/new" { "See all kinds side by side" } }
        }
        div.card {
            h2 { "With an OAuth consumer" }
            ol {
                li {
                    "In Bitbucket, open the settings of your workspace, then " strong { "OAuth consumers" } ", "
                    strong { "Add consumer" } "."
                }
                li {
                    "Enter exactly this as " strong { "Callback URL" } ", and tick " strong { "This is a private consumer" } ":"
                    (copyable(&console.address("/oauth/callback"), "the callback URL"))
                }
                li { "Tick these permissions:" (scopes()) }
                li {
                    "Save. Put the consumer's " strong { "Key" } " and " strong { "Secret" } " into the stack, as the parameters "
                    code { "BitbucketConsumerKey" } " and " code { "BitbucketConsumerSecret" } "."
                }
                li {
                    a href="/credentials/new?kind=oauth_user" { "Make a connect link" }
                    ". Open it yourself or send it to whom the account belongs to, and choose " strong { "Grant access" } "."
                }
            }
        }
        div.card {
            h2 { "With an API token" }
            ol {
                li {
                    "In your Atlassian account, open " strong { "Security" } ", then "
                    strong { "Create API token with scopes" } ", and choose the app " strong { "Bitbucket" } "."
                }
                li { "Choose the scopes from the right column above. None includes another." }
                li {
                    a href="/credentials/new?kind=api_token_shared" { "Make a connect link" }
                    ", open it, and enter your e-mail address and the token there. It is tried at once."
                }
            }
        }
        div.card {
            h2 { "On the command line" }
            (copyable("bucketwheel connect --workspace your-workspace --label \"Build bot\"", "the command"))
            p.hint { "Programs ask the same of " code { "POST /api/connect-links" } "." }
        }
    }
}

/// The scopes with what each is for.
pub(super) fn scopes() -> Markup {
    let rows = SCOPES.map(|(oauth, api)| {
        [html! { code { (oauth) } }, html! { (purpose(oauth)) }, html! { code { (api) } }]
    });
    super::parts::table("Scopes", ["OAuth consumer, access token", "For", "API token"], rows)
}
