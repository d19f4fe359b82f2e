//! What somebody typed when their session had ended. The login page carries it on, and after the login it
//! stands in its form again. Nothing is done by the login itself: a person looks at it and presses the button.
//!
//! Only what a page of ours sent is carried, so that no other site can put words into a form here. The forms
//! of the console hold no secrets, but for the login itself, which is never carried.

use bucketwheel::ports::{Edge, Queue, Table};
use maud::{Markup, html};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::form_urlencoded::parse;

use super::{Place, call, connect, page};
use crate::Console;

/// A form as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Typed {
    path: String,
    body: String,
}

impl Typed {
    /// What was sent to a path; none if it is nothing that a form sends.
    pub(crate) fn read(path: &str, body: &[u8]) -> Option<Self> {
        let body = str::from_utf8(body).ok()?.to_owned();
        let local = path == "/calls" || path.starts_with("/credentials/") || path.starts_with("/queues/");
        (local && !body.is_empty()).then(|| Self { path: path.to_owned(), body })
    }

    /// The hidden fields that carry it through the login.
    pub(super) fn carry(&self) -> Markup {
        html! {
            input type="hidden" name="typed_path" value=(self.path);
            input type="hidden" name="typed" value=(self.body);
        }
    }

    /// Its form, as it was left.
    pub(super) async fn restore<T: Table, Q: Queue, E: Edge>(&self, console: &Console<T, Q, E>) -> Markup {
        match self.path.as_str() {
            "/credentials/new" => connect::form(console, &self.fields(), Some(&again())),
            "/calls" => call::form(console, &self.fields(), Some(&again())).await,
            _ => self.list(),
        }
    }

    fn fields<F: DeserializeOwned + Default>(&self) -> F {
        let fields: Map<_, _> = parse(self.body.as_bytes())
            .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())))
            .collect();
        serde_json::from_value(Value::Object(fields)).unwrap_or_default()
    }

    /// A form of buttons, such as a rename: what was typed, and the button.
    fn list(&self) -> Markup {
        let content = html! {
            div.title { h1 { "Go on where you left off" } }
            (again())
            form.card.form method="post" action=(self.path) {
                @for (at, (name, value)) in parse(self.body.as_bytes()).enumerate() {
                    div.field {
                        label for={ "typed-" (at) } { (name) }
                        input id={ "typed-" (at) } name=(name) value=(value);
                    }
                }
                div.buttons {
                    button { "Send it" }
                    a.button.quiet href="/credentials" { "Leave it" }
                }
            }
        };
        page(Place::Credentials, "Go on where you left off", &content)
    }
}

fn again() -> Markup {
    html! {
        p.banner.note role="status" {
            "Your session had ended, and you are signed in again. Nothing was sent yet: what you had typed is below."
        }
    }
}
