//! Recipes: after an answer was lost, where to look at Bitbucket for what became of a request.
//!
//! A request without a recipe stays `unknown`. A recipe sends again only what cannot be done twice: the
//! second request would overwrite the same thing or be refused.

use serde_json::Value;

use super::{Answer, ApiPath, Method, Request, Wire};

/// Where to look, and how to read what is seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// What to read.
    pub wire: Wire,
    sign: Sign,
}

/// What a look showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It was done.
    Done(&'static str),
    /// It was not done, and a second request could not do it twice.
    NotDone(&'static str),
    /// It cannot be told.
    Unclear(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
enum Sign {
    /// The list has a value.
    Listed,
    /// The answer has these values at these pointers (RFC 6901); else it was not done.
    Has(Vec<(&'static str, Value)>),
    /// As `Has`, but what is different may still become so.
    Became(&'static str, Value),
    /// There is no such thing any more.
    Gone,
}

/// The recipe for a request, if there is one.
pub fn look(request: &Request) -> Option<Look> {
    let body = request.body.as_ref().unwrap_or(&Value::Null);
    let segments: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    let get = |path: &str, query: &[(&str, &str)], sign| {
        Some(Look { wire: Wire::get(ApiPath::parse(path).ok()?, query), sign })
    };
    match (request.method, segments.as_slice()) {
        // An open pull request of the same branches is updated, not doubled.
        (Method::Post, ["repositories", _, _, "pullrequests"]) => {
            let source = body.pointer("/source/branch/name")?.as_str()?;
            let mut q = format!("state = \"OPEN\" AND source.branch.name = {}", text(source));
            if let Some(name) = body.pointer("/destination/branch/name").and_then(Value::as_str) {
                q.push_str(&format!(" AND destination.branch.name = {}", text(name)));
            }
            if let Some(title) = body.get("title").and_then(Value::as_str) {
                q.push_str(&format!(" AND title = {}", text(title)));
            }
            get(&request.path, &[("q", &q)], Sign::Listed)
        }
        // The same key on the same commit overwrites.
        (Method::Post, ["repositories", _, _, "commit", _, "statuses", "build"]) => {
            let (key, state, url) = (body.get("key")?.as_str()?, body.get("state")?, body.get("url")?);
            let wanted = vec![("/state", state.clone()), ("/url", url.clone())];
            get(&format!("{}/{key}", request.path), &[], Sign::Has(wanted))
        }
        // A second branch of the same name is refused.
        (Method::Post, ["repositories", _, _, "refs", "branches"]) => {
            let (name, hash) = (body.get("name")?.as_str()?, body.pointer("/target/hash")?);
            get(&format!("{}/{name}", request.path), &[], Sign::Has(vec![("/target/hash", hash.clone())]))
        }
        (Method::Post, [.., "pullrequests", _, verb @ ("merge" | "decline")]) => {
            let pull = request.path.trim_end_matches('/').strip_suffix(verb)?;
            let state = if *verb == "merge" { "MERGED" } else { "DECLINED" };
            get(pull, &[], Sign::Became("/state", state.into()))
        }
        (Method::Delete, [.., _, _]) if request.body.is_none() => get(&request.path, &[], Sign::Gone),
        _ => None,
    }
}

impl Look {
    /// Reads what a look has shown: the answer's status and body.
    pub fn read(&self, answer: &Answer) -> Seen {
        let found = answer.status == 200;
        let (found, body) = match answer.json() {
            Some(body) => (found, body),
            None if found => return Seen::Unclear("Bitbucket's answer could not be read"),
            None => (found, Value::Null),
        };
        let value = |pointer: &str| body.pointer(pointer).cloned().unwrap_or_default();
        match (&self.sign, answer.status) {
            (Sign::Gone, 404) => Seen::Done("it is gone"),
            (Sign::Gone, _) if found => Seen::Unclear("it is still there"),
            (Sign::Listed, _) if found => match body["values"].as_array() {
                Some(values) if !values.is_empty() => Seen::Done("there is one like it"),
                Some(_) => Seen::NotDone("there is none like it"),
                None => Seen::Unclear("the list could not be read"),
            },
            (Sign::Has(wanted), _) if found => {
                if wanted.iter().all(|(pointer, wanted)| value(pointer) == *wanted) {
                    Seen::Done("it is there as wanted")
                } else if matches!(wanted.as_slice(), [_, _, ..]) {
                    Seen::NotDone("it is there with other values")
                } else {
                    Seen::Unclear("there is another of the same name")
                }
            }
            (Sign::Has(_), 404) => Seen::NotDone("it is not there"),
            (Sign::Became(pointer, wanted), _) if found && value(pointer) == *wanted => {
                Seen::Done("it is in the wanted state")
            }
            (Sign::Became(..), _) if found => Seen::Unclear("it is not in the wanted state"),
            _ => Seen::Unclear("Bitbucket did not show it"),
        }
    }

    /// Of a list, the value that was looked for; else the answer itself.
    pub fn shown(&self, mut answer: Answer) -> Answer {
        if self.sign == Sign::Listed
            && let Some(first) = answer.json().and_then(|body| body["values"].get(0).cloned())
        {
            answer.body = first.to_string().into_bytes();
        }
        if self.sign == Sign::Gone {
            answer.body.clear();
        }
        answer
    }
}

/// A text in Bitbucket's query language.
fn text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &Value) -> Answer {
        Answer { status, body: body.to_string().into_bytes(), ..Answer::default() }
    }

    fn recipe(method: Method, path: &str, body: Value) -> Look {
        look(&Request::new(method, path).with(body)).expect("a recipe")
    }

    #[test]
    fn a_page_in_the_place_of_an_answer_shows_nothing() {
        let page = Answer { status: 200, body: b"<html>an outage</html>".to_vec(), ..Answer::default() };
        let branch = json!({"name": "b", "target": {"hash": "a1"}});
        for (path, body) in [
            ("repositories/w/r/refs/branches", branch),
            ("repositories/w/r/pullrequests", json!({"title": "t", "source": {"branch": {"name": "b"}}})),
            ("repositories/w/r/pullrequests/7/merge", json!({})),
        ] {
            let shown = recipe(Method::Post, path, body).read(&page);
            assert_eq!(shown, Seen::Unclear("Bitbucket's answer could not be read"), "{path}");
        }
    }

    #[test]
    fn a_pull_request_is_looked_for_by_its_branches() {
        let body = json!({"title": "A \"b\"", "source": {"branch": {"name": "x"}}});
        let look = recipe(Method::Post, "repositories/w/r/pullrequests", body);
        let (name, q) = &look.wire.query[0];
        assert_eq!(name, "q");
        assert_eq!(q, r#"state = "OPEN" AND source.branch.name = "x" AND title = "A \"b\"""#);
        assert!(matches!(look.read(&answer(200, &json!({"values": []}))), Seen::NotDone(_)));
        assert!(matches!(look.read(&answer(503, &json!({}))), Seen::Unclear(_)));
        let found = answer(200, &json!({"values": [{"id": 7}]}));
        assert!(matches!(look.read(&found), Seen::Done(_)));
        assert_eq!(look.shown(found).json(), Some(json!({"id": 7})));
    }

    #[test]
    fn a_status_with_other_values_may_be_written_again_and_a_branch_elsewhere_may_not() {
        let path = "repositories/w/r/commit/abc/statuses/build";
        let status = recipe(Method::Post, path, json!({"key": "k", "state": "FAILED", "url": "u"}));
        let seen = |state| status.read(&answer(200, &json!({"state": state, "url": "u"})));
        assert!(matches!((seen("FAILED"), seen("SUCCESSFUL")), (Seen::Done(_), Seen::NotDone(_))));
        let path = "repositories/w/r/refs/branches";
        let branch = recipe(Method::Post, path, json!({"name": "b", "target": {"hash": "1"}}));
        let seen = |hash| branch.read(&answer(200, &json!({"target": {"hash": hash}})));
        assert!(matches!((seen("1"), seen("2")), (Seen::Done(_), Seen::Unclear(_))));
        assert!(matches!(branch.read(&answer(404, &json!({}))), Seen::NotDone(_)));
    }

    #[test]
    fn what_could_be_done_twice_is_never_sent_again() {
        let merge = look(&Request::new(Method::Post, "repositories/w/r/pullrequests/7/merge")).expect("one");
        assert!(matches!(merge.read(&answer(200, &json!({"state": "OPEN"}))), Seen::Unclear(_)));
        let delete = look(&Request::new(Method::Delete, "repositories/w/r")).expect("a recipe");
        assert!(matches!(delete.read(&answer(200, &json!({}))), Seen::Unclear(_)));
        assert!(matches!(delete.read(&answer(404, &json!({}))), Seen::Done(_)));
        assert_eq!(look(&Request::new(Method::Post, "repositories/w/r/pullrequests/7/comments")), None);
    }
}
