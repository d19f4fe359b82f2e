//! `GET /connect/{link}`: from an invitation to Bitbucket's consent page, or to the form where a token is
//! entered.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bucketwheel::connect::{Begun, STATE_LIFETIME, Ticket};
use bucketwheel::credential::Entry;
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::connects;
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;

use crate::{COOKIE, Connect, Failed, cookie, form, redirect};

pub(crate) async fn begin<T: Table, Q: Queue, E: Edge>(
    State(connect): State<Arc<Connect<T, Q, E>>>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Response {
    connect.begin(&Ticket::presented(&link), &headers).await.unwrap_or_else(|failed| connect.fail(failed))
}

impl<T: Table, Q: Queue, E: Edge> Connect<T, Q, E> {
    async fn begin(&self, ticket: &Ticket, headers: &HeaderMap) -> Result<Response, Failed> {
        let now = self.edge.now();
        let digest = ticket.digest();
        let link = self.link(&digest, now).await?;
        match link.kind.entry() {
            Entry::Consent => self.ask_for_consent(digest, headers, now).await,
            Entry::Consumer | Entry::EmailAndToken | Entry::Token => {
                Ok(form::page(&link, ticket, None).into_response())
            }
        }
    }

    async fn ask_for_consent(
        &self,
        link: String,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Response, Failed> {
        // A browser that already has the cookie keeps it, so that a second tab does not undo the first.
        let browser = cookie(headers).map_or_else(|| Ticket::new(self.edge.random()), Ticket::presented);
        let state = Ticket::new(self.edge.random());
        let verifier = Ticket::new(self.edge.random());
        let begun = Begun {
            link,
            browser: browser.digest(),
            verifier: verifier.reveal().to_owned(),
            until: now.saturating_add(STATE_LIFETIME).unwrap_or(now),
        };
        connects::begin(&self.table, &state, &begun).await?;

        let mut response = redirect(&self.oauth.authorize_url(&state, &self.redirect_uri(), &verifier));
        let seconds = STATE_LIFETIME.as_secs();
        let value = browser.reveal();
        let set = format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
        if let Ok(set) = HeaderValue::from_str(&set) {
            response.headers_mut().insert(header::SET_COOKIE, set);
        }
        tracing::info!("connect begun");
        Ok(response)
    }
}
