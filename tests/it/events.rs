//! The events as consumers in any language read them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bucketwheel::event::schema::documents;
use bucketwheel::event::{Event, EventKey};
use serde_json::{Value, json};

use crate::fixtures;

/// The documents as they are shipped.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/schemas");

#[test]
fn every_recorded_body_has_a_type_of_its_own_and_says_the_same_in_it() {
    let mut bodies = fixtures::recorded();
    bodies.extend(fixtures::bodies().into_iter().filter(|(key, body)| {
        serde_json::from_slice::<Value>(body).is_ok_and(|body| body.is_object())
            && key != "repo:not_known_yet"
    }));
    for (key, body) in bodies {
        let raw: Value = serde_json::from_slice(&body).expect("JSON");
        let event = Event::parse(&key, &body).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(event.key(), key);
        let name = |value: &Value| value["repository"]["full_name"].as_str().map(str::to_owned);
        match event {
            Event::Other(..) => panic!("{key} is not listed"),
            Event::RepoPush(push) => {
                let changes = raw["push"]["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
                assert_eq!(push.push.changes.len(), changes.len());
                for (change, raw) in push.push.changes.iter().zip(changes) {
                    let new = change.new.as_ref().and_then(|new| new.target.as_ref()?.hash.as_deref());
                    assert_eq!(new, raw["new"]["target"]["hash"].as_str());
                    assert_eq!(change.truncated, raw["truncated"].as_bool());
                }
                assert_eq!(push.repository.and_then(|r| r.full_name), name(&raw));
            }
            Event::PullRequestCreated(e) | Event::PullRequestFulfilled(e) | Event::PullRequestUpdated(e) => {
                assert_eq!(e.pullrequest.id, raw["pullrequest"]["id"].as_u64());
                let branch = e.pullrequest.source.and_then(|side| side.branch?.name);
                assert_eq!(branch.as_deref(), raw["pullrequest"]["source"]["branch"]["name"].as_str());
            }
            Event::PipelineSpanCreated(span) => {
                assert_eq!(span.resource_spans.len(), raw["resourceSpans"].as_array().map_or(0, Vec::len));
            }
            Event::RepoCommitStatusCreated(e) | Event::RepoCommitStatusUpdated(e) => {
                assert_eq!(e.commit_status.state.as_deref(), raw["commit_status"]["state"].as_str());
            }
            _ => {}
        }
    }
}

/// What is shipped: the documents of the types, and those of the calls and results queues, which are the
/// JSON API's.
fn shipped() -> BTreeMap<String, Value> {
    let api = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions/console/src/assets/openapi.json");
    let api = fs::read_to_string(api).expect("the API's description");
    let api: Value = serde_json::from_str(&api.replace("#/components/schemas/", "#/$defs/")).expect("JSON");
    let schemas = &api["components"]["schemas"];
    let document = |title: &str, of: &str, words: &str, parts: &[&str]| {
        let mut document = schemas[of].clone();
        document["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        document["title"] = json!(title);
        document["description"] = json!(words);
        document["$defs"] = parts.iter().map(|part| ((*part).to_owned(), schemas[*part].clone())).collect();
        document
    };
    let mut call =
        document("call", "NewCall", "A message of the calls queue.", &["Request", "FormField", "Action"]);
    call["required"].as_array_mut().expect("a list").insert(0, json!("id"));
    let outcome = document("outcome", "Outcome", "A message of the results queue.", &["Problem"]);
    let mut documents = documents();
    documents.extend([("call.json".to_owned(), call), ("outcome.json".to_owned(), outcome)]);
    documents
}

/// `WRITE_SCHEMAS=1 cargo test --test it schemas` writes them anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "whoever changes the types asks for the files")]
fn the_shipped_schemas_are_those_of_the_types() {
    let wanted: BTreeMap<_, _> =
        shipped().into_iter().map(|(name, document)| (name, format!("{document:#}\n"))).collect();
    assert_eq!(wanted.len(), EventKey::ALL.len() + 5);
    let folder = Path::new(FOLDER);
    if std::env::var("WRITE_SCHEMAS").is_ok() {
        fs::create_dir_all(folder).expect("a folder");
        for (name, text) in &wanted {
            fs::write(folder.join(name), text).expect("written");
        }
    }
    let there: BTreeMap<_, _> = fs::read_dir(folder)
        .expect("shared/schemas")
        .map(|file| file.expect("a file"))
        .map(|file| {
            (file.file_name().to_string_lossy().into_owned(), fs::read_to_string(file.path()).expect("text"))
        })
        .collect();
    let differs: Vec<_> =
        wanted.keys().chain(there.keys()).filter(|name| wanted.get(*name) != there.get(*name)).collect();
    assert!(differs.is_empty(), "WRITE_SCHEMAS=1 cargo test --test it schemas writes {differs:?} anew");
}

#[test]
fn every_reference_of_the_documents_leads_somewhere() {
    let documents = shipped();
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    for (name, document) in &documents {
        let mut found = Vec::new();
        references(document, &mut found);
        for reference in found {
            let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
            let target = if file.is_empty() { Some(document) } else { documents.get(file) };
            assert!(target.is_some_and(|target| target.pointer(pointer).is_some()), "{name}: {reference}");
        }
    }
}
