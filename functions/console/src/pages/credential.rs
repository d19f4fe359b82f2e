//! `/credentials/{id}`: one of them, in full, and what can be done to it.

mod about;
mod deeds;
mod deliveries;
mod history;
mod hooks;
mod recent;
mod repositories;

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use bucketwheel::call::{CallId, Problem};
use bucketwheel::credential::{Credential, CredentialId};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::rotation::Upkeep;
use bucketwheel::store::{credentials, tokens};
use http::{StatusCode, Uri};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(crate) use history::show as history;
pub(crate) use repositories::show as repositories;

use super::notice::Notice;
use super::parts::{heading, state, trouble};
use super::{Place, allowances, connect, page};
use crate::Console;
use crate::api::calls::{answer, enqueue};
use crate::api::credentials::known;
use crate::guard::Who;
use crate::invite::Wanted;
use crate::problem::ErrorAnswer;
use crate::request::{Id, bad_form};
use crate::upkeep::{ExpiresOn, Never, chosen, expiry};

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
    RepairHooks,
    RotateHook,
    AttachHook,
    Upkeep,
    Expiry,
}

/// A form of the page as it is sent.
#[derive(Deserialize)]
pub(crate) struct Act {
    deed: Deed,
    label: Option<String>,
    #[serde(flatten)]
    hook: hooks::Asked,
    allow_other_account: Option<String>,
    sure: Option<String>,
    upkeep: Option<Upkeep>,
    expires_on: Option<String>,
}

/// Does it; or shows the page again with what is wrong.
pub(crate) async fn act<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    who: Who,
    act: Result<Form<Act>, FormRejection>,
) -> Result<Response, ErrorAnswer> {
    let Form(act) = act.map_err(|rejection| bad_form(&rejection))?;
    let credential = known(&console.table, id).await?;
    match console.act(&who, &credential, &act).await {
        Err(ErrorAnswer { status, problem })
            if status.is_client_error() && status != StatusCode::NOT_FOUND =>
        {
            let shown = console.page_of(&credential, Some(&problem), Some(&act), None).await?;
            Ok((status, shown).into_response())
        }
        done => done,
    }
}

/// The page.
pub(crate) async fn show<T: Table, Q: Queue, E: Edge>(
    State(console): State<Arc<Console<T, Q, E>>>,
    Id(id): Id<CredentialId>,
    uri: Uri,
) -> Result<Markup, ErrorAnswer> {
    let credential = known(&console.table, id).await?;
    let notice = Notice::from_query(uri.query()).map(|notice| notice.show());
    console.page_of(&credential, None, None, notice).await
}

impl<T: Table, Q: Queue, E: Edge> Console<T, Q, E> {
    async fn act(&self, who: &Who, credential: &Credential, act: &Act) -> Result<Response, ErrorAnswer> {
        let back = format!("/credentials/{}", credential.id);
        match act.deed {
            Deed::Rename => self.rename(who, credential, act.label.as_deref().unwrap_or_default()).await?,
            Deed::Reconnect => {
                let wanted = Wanted {
                    credential: Some(credential.id.clone()),
                    allow_other_account: act.allow_other_account.is_some(),
                    ..Wanted::default()
                };
                let made = self.invite(who, wanted).await?;
                return Ok(connect::link(&made, credential.kind, self.edge.now()).into_response());
            }
            Deed::Upkeep => {
                let upkeep = chosen(credential.kind, act.upkeep.unwrap_or(Upkeep::Hot))?;
                self.keep_as(who, credential, upkeep).await?;
            }
            Deed::Expiry => {
                let day = act.expires_on.as_deref().filter(|day| !day.is_empty());
                let on = match day.map(str::parse) {
                    None => ExpiresOn::Never(Never::Never),
                    Some(Ok(day)) => ExpiresOn::Day(day),
                    Some(Err(_)) => {
                        return Err(ErrorAnswer::bad_request(
                            "bad_field",
                            "That is no day.",
                            "Choose a day, or none.",
                        ));
                    }
                };
                self.expires(who, credential, expiry(credential.kind, on)?).await?;
            }
            Deed::Refresh => self.refresh(credential).await?,
            Deed::Disable => self.disable(who, credential).await?,
            Deed::Enable => self.enable(who, credential).await?,
            Deed::Delete if act.sure.is_some() => {
                self.delete(who, credential).await?;
                return Ok(Redirect::to("/credentials").into_response());
            }
            Deed::Delete => {
                return Err(ErrorAnswer::bad_request(
                    "not_sure",
                    "Deleting cannot be undone.",
                    "Tick the box that says so, then press the button again.",
                ));
            }
            Deed::RepairHooks => return self.action(credential, json!({ "action": "repair_hooks" })).await,
            Deed::RotateHook => return self.action(credential, json!({ "action": "rotate_hook" })).await,
            Deed::AttachHook => {
                let usable = self.known(&credential.id).await?;
                let call = self.attach(who, &usable, act.hook.wanted()).await?;
                return self.led_to(&call).await;
            }
        }
        Ok(Redirect::to(&back).into_response())
    }

    /// Hands in an action, and leads to what became of it.
    async fn action(&self, credential: &Credential, call: Value) -> Result<Response, ErrorAnswer> {
        let mut fields = Map::new();
        fields.insert("credential".to_owned(), json!(credential.id));
        fields.insert("call".to_owned(), call);
        fields.insert("reply".to_owned(), "store".into());
        fields.insert("priority".to_owned(), "interactive".into());
        self.led_to(&enqueue(self, fields).await?).await
    }

    /// Leads to what became of a call, which may take a moment.
    async fn led_to(&self, call: &CallId) -> Result<Response, ErrorAnswer> {
        answer(self, call).await?;
        Ok(Redirect::to(&format!("/calls/{call}")).into_response())
    }

    async fn page_of(
        &self,
        credential: &Credential,
        problem: Option<&Problem>,
        typed: Option<&Act>,
        notice: Option<Markup>,
    ) -> Result<Markup, ErrorAnswer> {
        let (table, id, now) = (&self.table, &credential.id, self.edge.now());
        let (seen, tokens, lines, repositories, recent, allowances) = tokio::join!(
            self.hooks(credential),
            tokens::get(table, id),
            credentials::audit(table, id),
            repositories::first(table, id, now),
            recent::show(table, id, now),
            self.allowances(Some(credential)),
        );
        let (seen, tokens, allowances) = (seen?, tokens?, allowances?);
        let label = typed.and_then(|act| act.label.as_deref());
        let title = html! { h1 { (credential.label) } (state(credential.status.health)) };
        let does = html! {
            @if credential.deleting_at.is_none() {
                a.button.quiet href={ "/calls?credential=" (id) } { "Try a call" }
            }
        };
        let content = html! {
            (heading(Some(("/credentials", "Credentials")), &title, &does))
            @if let Some(problem) = problem { (trouble(problem)) }
            @if let Some(notice) = notice { (notice) }
            (about::status(credential, tokens.as_ref(), now))
            div.columns {
                div {
                    (about::chain(credential, tokens.as_ref(), now))
                    (about::scopes(credential))
                    (hooks::show(credential, &seen, typed.map(|act| &act.hook), now))
                    (deliveries::show(&seen, now))
                    (repositories?)
                    (recent?)
                    (history::newest(id, &lines?, now))
                }
                div {
                    (about::facts(credential, now))
                    (allowances::show(credential, &allowances, now))
                    (deeds::show(credential, tokens.as_ref(), label))
                }
            }
        };
        Ok(page(Place::Credentials, &credential.label, &content))
    }
}
