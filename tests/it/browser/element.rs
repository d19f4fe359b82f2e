//! One element of the page.

use serde_json::{Value, json};

use super::Browser;

/// An element of the page.
pub(crate) struct Element<'a> {
    browser: &'a Browser,
    id: String,
}

impl<'a> Element<'a> {
    pub(super) fn new(browser: &'a Browser, id: String) -> Self {
        Self { browser, id }
    }

    async fn ask(&self, method: &str, what: &str, body: Option<Value>) -> Value {
        let path = format!("/element/{}/{what}", self.id);
        self.browser
            .ask(method, &path, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error:#}"))
    }

    pub(crate) async fn click(&self) {
        self.ask("POST", "click", Some(json!({}))).await;
    }

    /// Types a text in place of what is there.
    pub(crate) async fn fill(&self, text: &str) {
        self.ask("POST", "clear", Some(json!({}))).await;
        self.ask("POST", "value", Some(json!({"text": text}))).await;
    }

    pub(crate) async fn text(&self) -> String {
        self.ask("GET", "text", None).await.as_str().expect("a text").to_owned()
    }

    /// A property, such as the `value` of a field.
    pub(crate) async fn property(&self, name: &str) -> String {
        let value = self.ask("GET", &format!("property/{name}"), None).await;
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }
}
