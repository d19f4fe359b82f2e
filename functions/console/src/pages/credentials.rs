//! `/credentials`: all of them at a glance.

use std::sync::Arc;

use axum::extract::State;
use bucketwheel::credential::Credential;
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::rotation::Chain;
use bucketwheel::store::tokens;
use http::Uri;
use maud::{Markup, html};
use tokio::task::JoinSet;
use url::form_urlencoded::Serializer;

use super::notice::Notice;
use super::{moment, page, state};
use crate::Console;
use crate::api::credentials::read;
use crate::problem::ErrorAnswer;
use crate::request::parameter;

/// The list.
pub(crate) async fn show<T, Q, E>(
    State(console): State<Arc<Console<T, Q, E>>>,
    uri: Uri,
) -> Result<Markup, ErrorAnswer>
where
    T: Table + 'static,
    Q: Queue + 'static,
    E: Edge + 'static,
{
    let listed = read(&console.table, uri.query()).await?;
    let first = parameter(uri.query(), "after").is_none();
    let empty = listed.values.is_empty();
    let filtered = FILTERS.iter().any(|name| given(uri.query(), name).is_some());
    let rows = with_chains(&console, listed.values).await?;
    let content = html! {
        @if let Some(notice) = Notice::from_query(uri.query()) { (notice.show()) }
        (filter(uri.query()))
        @if empty && first && !filtered {
            (beginning(&console))
        } @else if empty {
            p { @if first { "There is none." } @else { "That was all." } }
        } @else {
            (table(&rows))
        }
        nav.pages {
            @if !first { a href="/credentials" { "First page" } }
            @if let Some(next) = &listed.next {
                a href={ "/credentials?" (next_page(uri.query(), next)) } { "Next page" }
            }
        }
    };
    Ok(page("Credentials", content))
}

/// By what credentials are found.
const FILTERS: [&str; 2] = ["owner", "workspace"];

fn given(query: Option<&str>, name: &str) -> Option<String> {
    parameter(query, name).filter(|value| !value.is_empty())
}

fn next_page(query: Option<&str>, next: &str) -> String {
    let mut address = Serializer::new(String::new());
    for name in FILTERS {
        address.extend_pairs(given(query, name).map(|value| (name, value)));
    }
    address.append_pair("after", next).finish()
}

fn filter(query: Option<&str>) -> Markup {
    html! {
        form.filter method="get" action="/credentials" {
            @for (name, title) in FILTERS.into_iter().zip(["Owner", "Workspace"]) {
                label for=(name) { (title) }
                input id=(name) name=(name) value=(given(query, name).unwrap_or_default());
            }
            button.quiet { "Find" }
        }
    }
}

type Row = (Credential, Option<Chain>);

/// The chains lie in items of their own. They are read side by side: one after the other, a page would
/// take as many round trips as it has rows.
async fn with_chains<T, Q, E>(
    console: &Arc<Console<T, Q, E>>,
    credentials: Vec<Credential>,
) -> Result<Vec<Row>, TableError>
where
    T: Table + 'static,
    Q: Queue + 'static,
    E: Edge + 'static,
{
    let mut reads = JoinSet::new();
    for credential in credentials {
        let console = Arc::clone(console);
        reads.spawn(async move {
            let tokens = tokens::get(&console.table, &credential.id).await?;
            Ok((credential, tokens.map(|tokens| tokens.chain())))
        });
    }
    let mut rows = reads.join_all().await.into_iter().collect::<Result<Vec<Row>, TableError>>()?;
    rows.sort_by(|(one, _), (two, _)| one.id.cmp(&two.id));
    Ok(rows)
}

fn table(rows: &[Row]) -> Markup {
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th { "Credential" } th { "State" } th { "Kind" } th { "Account" } th { "Workspace" }
                        th { "Owner" } th { "Last refresh" } th { "Connected" }
                    }
                }
                tbody {
                    @for (credential, chain) in rows {
                        tr {
                            th scope="row" {
                                a href={ "/credentials/" (credential.id) } { (credential.label) }
                                br;
                                code { (credential.id) }
                            }
                            td {
                                (state(credential.status.health))
                                @if credential.deleting_at.is_some() { br; span.hint { "being deleted" } }
                                @if !credential.missing().is_empty() { br; span.hint { "scopes missing" } }
                                @if credential.sight.explanation().is_some() { br; span.hint { "sees no repositories" } }
                            }
                            td { (credential.kind.title()) }
                            td { (credential.account.display_name) }
                            td { (credential.workspace) }
                            td { @if credential.owner.is_empty() { "shared" } @else { (credential.owner) } }
                            td { @if let Some(chain) = chain { (moment(chain.refreshed_at)) } @else { "never" } }
                            td { (moment(credential.connected_at)) }
                        }
                    }
                }
            }
        }
    }
}

/// What to do when there is nothing yet.
fn beginning<T, Q, E>(console: &Console<T, Q, E>) -> Markup {
    let call = format!(
        "curl -X POST {} \\\n  -H 'Authorization: Bearer <operator token>' \\\n  -d '{}'",
        console.address("/api/connect-links"),
        r#"{"workspace": "your-workspace", "label": "Build bot"}"#,
    );
    html! {
        p { "There is no credential yet. To connect a Bitbucket account:" }
        ol {
            li {
                "Register an OAuth consumer in your Bitbucket workspace's settings, with exactly this callback URL: "
                code { (console.address("/oauth/callback")) }
            }
            li {
                a href="/credentials/new" { "Make a connect link" }
                ", also with the command " code { "bucketwheel connect" } " or this request:"
                pre { (call) }
            }
            li { "Open the link, or send it to whom the account belongs to, and choose Grant access." }
        }
    }
}
