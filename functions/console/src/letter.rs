//! A dead letter as an operator sees it. What is sealed in it stays out of sight.

use bucketwheel::ports::DeadLetter;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// The longest line that says what a letter is about, in characters.
const LINE: usize = 160;

/// A dead letter in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) sent_at: Timestamp,
    /// How often it was received, looks of operators included.
    pub(crate) receives: u32,
    /// Why it lies there, if somebody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<String>,
    /// What it is ordered with, or shares the queue fairly with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<String>,
    /// The credential that it names, if it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) credential: Option<String>,
    /// One line.
    pub(crate) about: String,
    /// The length of its text.
    pub(crate) bytes: usize,
}

/// A dead letter with its text.
#[derive(Debug, Serialize)]
pub(crate) struct Whole {
    #[serde(flatten)]
    pub(crate) letter: Letter,
    pub(crate) body: String,
}

impl From<&DeadLetter> for Letter {
    fn from(dead: &DeadLetter) -> Self {
        let body = serde_json::from_str::<Value>(&dead.body).unwrap_or_default();
        let credential = body["credential"].as_str().or_else(|| body["credentialid"].as_str());
        Self {
            id: dead.id.clone(),
            sent_at: dead.sent_at,
            receives: dead.receives,
            cause: dead.cause.clone(),
            group: dead.group.clone(),
            credential: credential.map(|id| short(id, 64)),
            about: short(&about(&body).unwrap_or_else(|| without_seals(&dead.body)), LINE),
            bytes: dead.body.len(),
        }
    }
}

impl From<DeadLetter> for Whole {
    fn from(dead: DeadLetter) -> Self {
        Self { letter: Letter::from(&dead), body: without_seals(&dead.body) }
    }
}

/// What our own messages are about: an envelope, a call, an outcome, a nudge, a parked pair.
fn about(body: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let call = &body["call"];
    if let Some(event) = text(&body["type"]) {
        return Some(format!("{event} {}", text(&body["subject"]).unwrap_or_default()).trim_end().to_owned());
    }
    if let Some(action) = text(&call["action"]) {
        return Some(
            format!("{action} {}", text(&call["repository"]).unwrap_or_default()).trim_end().to_owned(),
        );
    }
    if let (Some(method), Some(path)) = (text(&call["method"]), text(&call["path"])) {
        return Some(format!("{method} {path}"));
    }
    if let (Some(state), Some(id)) = (text(&body["state"]), text(&body["id"])) {
        return Some(format!("outcome of {id}: {state}"));
    }
    body["credential"].as_str()?;
    Some(
        if body["pair"].is_object() { "a pair of tokens that was not stored" } else { "a wish to refresh" }
            .to_owned(),
    )
}

/// The text with each sealed value replaced. A box is nothing but letters, digits and `._-~`, so it ends
/// where something else stands, be the text JSON or not.
fn without_seals(text: &str) -> String {
    let boxed = |word: &str| word.starts_with("v1.k") && word.splitn(6, '.').count() == 6;
    let in_box = |c: char| c.is_ascii_alphanumeric() || "._-~".contains(c);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word = &rest[..rest.find(|c| !in_box(c)).unwrap_or(rest.len())];
        shown.push_str(if boxed(word) { "(sealed)" } else { word });
        rest = &rest[word.len()..];
        let between = &rest[..rest.find(in_box).unwrap_or(rest.len())];
        shown.push_str(between);
        rest = &rest[between.len()..];
    }
    shown
}

fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(body: &str) -> Letter {
        Letter::from(&DeadLetter {
            id: "m-1".to_owned(),
            body: body.to_owned(),
            cause: None,
            attributes: Vec::new(),
            group: None,
            sent_at: Timestamp::UNIX_EPOCH,
            receives: 1,
            receipt: String::new(),
        })
    }

    #[test]
    fn one_line_says_what_a_letter_is_about() {
        for (body, about, credential) in [
            (
                r#"{"type":"org.bitbucket.repo.push","subject":"a/b","credentialid":"c-1"}"#,
                "org.bitbucket.repo.push a/b",
                Some("c-1"),
            ),
            (r#"{"credential":"c-1","call":{"method":"GET","path":"user"}}"#, "GET user", Some("c-1")),
            (
                r#"{"credential":"c-1","call":{"action":"commit_files","repository":"a/b"}}"#,
                "commit_files a/b",
                Some("c-1"),
            ),
            (r#"{"id":"x","credential":"c-1","state":"failed"}"#, "outcome of x: failed", Some("c-1")),
            (r#"{"credential":"c-1"}"#, "a wish to refresh", Some("c-1")),
            (r#"{"credential":"c-1","pair":{}}"#, "a pair of tokens that was not stored", Some("c-1")),
            ("no <b>JSON</b>", "no <b>JSON</b>", None),
            ("[1]", "[1]", None),
        ] {
            let letter = letter(body);
            assert_eq!((letter.about.as_str(), letter.credential.as_deref()), (about, credential), "{body}");
        }
        assert_eq!(letter(&"ä".repeat(999)).about.chars().count(), LINE + 1);
    }

    #[test]
    fn what_is_sealed_stays_out_of_sight() {
        let sealed = "v1.k0001.c-1.refresh.3.aB3_-x";
        for text in [
            format!(r#"{{"credential":"c-1","pair":{{"access":"{sealed}","generation":3}}}}"#),
            format!("not JSON {sealed}"),
            sealed.to_owned(),
        ] {
            let shown = without_seals(&text);
            assert_eq!(shown, text.replace(sealed, "(sealed)"));
            assert!(!letter(&text).about.contains("aB3"));
        }
        for text in ["v1.2.3", "versions v1.k8s.io are not boxes", "", "a \"b\" ü"] {
            assert_eq!(without_seals(text), text);
        }
    }
}
