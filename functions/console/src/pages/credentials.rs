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
use url::form_urlencoded::byte_serialize;

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
    let rows = with_chains(&console, listed.values).await?;
    let content = html! {
        @if let Some(notice) = Notice::from_query(uri.query()) { (notice.show()) }
        @if empty && first {
            (beginning(&console))
        } @else if empty {
            p { "That was all." }
        } @else {
            (table(&rows))
        }
        nav.pages {
            @if !first { a href="/credentials" { "First page" } }
            @if let Some(next) = &listed.next {
                a href={ "/credentials?after=" (byte_serialize(next.as_bytes()).collect::<String>()) } {
                    "Next page"
                }
            }
        }
    };
    Ok(page("Credentials", content))
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
                            td { (state(credential.status.health)) }
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
                "Make a connect link, with the command " code { "bucketwheel connect" } " or this request:"
                pre { (call) }
            }
            li { "Open the link, or send it to whom the account belongs to, and choose Grant access." }
        }
    }
}
