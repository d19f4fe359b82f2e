//! `GET /connect/{link}`: from an invitation to Bitbucket's consent page.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bucketwheel::connect::{Begun, Failure, STATE_LIFETIME, Ticket};
use bucketwheel::ports::{Edge, Table};
use bucketwheel::store::connects;
use http::{HeaderMap, HeaderValue, header};

use crate::{COOKIE, Connect, Failed, cookie, redirect};

pub(crate) async fn begin<T: Table, E: Edge>(
    State(connect): State<Arc<Connect<T, E>>>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Response {
    connect.begin(&Ticket::presented(&link), &headers).await.unwrap_or_else(|failed| connect.fail(failed))
}

impl<T: Table, E: Edge> Connect<T, E> {
    async fn begin(&self, link: &Ticket, headers: &HeaderMap) -> Result<Response, Failed> {
        let now = self.edge.now();
        let try_again = |error| Failed::because(Failure::TryAgain, error);
        let digest = link.digest();
        connects::link(&self.table, &digest, now).await.map_err(try_again)?.ok_or(Failure::LinkUnusable)?;

        // A browser that already has the cookie keeps it, so that a second tab does not undo the first.
        let browser = cookie(headers).map_or_else(|| Ticket::new(self.edge.random()), Ticket::presented);
        let state = Ticket::new(self.edge.random());
        let verifier = Ticket::new(self.edge.random());
        let begun = Begun {
            link: digest,
            browser: browser.digest(),
            verifier: verifier.reveal().to_owned(),
            until: now.saturating_add(STATE_LIFETIME).unwrap_or(now),
        };
        connects::begin(&self.table, &state, &begun).await.map_err(try_again)?;

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
