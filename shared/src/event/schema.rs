//! The events described for programs in other languages: a JSON Schema for each, and an AsyncAPI document
//! of the queue (<https://www.asyncapi.com/docs/reference/specification/v3.0.0>).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{ENVELOPE_VERSION, EventKey};

/// The files, by name: one schema per event key, the envelope's, that of a change, and `asyncapi.json`. The
/// last also names `call.json` and `outcome.json`, which are those of the JSON API.
pub fn documents() -> BTreeMap<String, Value> {
    let mut documents = BTreeMap::from([
        ("envelope.json".to_owned(), envelope()),
        ("change.json".to_owned(), change()),
        ("asyncapi.json".to_owned(), asyncapi()),
    ]);
    for key in EventKey::ALL {
        let mut schema = json!(key.schema());
        schema["title"] = json!(key.as_str());
        schema["description"] = json!(key.words());
        documents.insert(file(key), schema);
    }
    documents
}

fn file(key: EventKey) -> String {
    format!("{}.json", dotted(key))
}

fn dotted(key: EventKey) -> String {
    key.as_str().replace(':', ".")
}

fn envelope() -> Value {
    let text = |words: &str| json!({"type": "string", "description": words});
    let number = |words: &str| json!({"type": "integer", "description": words});
    let constant = |value: &str| json!({"const": value});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "envelope",
        "description": "A message of the events queue: CloudEvents 1.0 in structured JSON.",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "datacontenttype", "envelopeversion",
                     "credentialid", "secretversion", "partitionkey"],
        "oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
        "properties": {
            "specversion": constant("1.0"),
            "id": text("Digest of credential and body. Handle each id once."),
            "source": text("https://bitbucket.org/{workspace uuid}/{repository uuid}, as far as the body names them."),
            "type": text("org.bitbucket. and the event key with . for :."),
            "subject": text("The repository's full name, if the body names one."),
            "time": {"type": "string", "format": "date-time", "description": "When it was received."},
            "datacontenttype": {"enum": ["application/json", "application/octet-stream"]},
            "datacontentencoding": {"const": "gzip", "description": "data_base64 is compressed: the body was too large for a queue."},
            "envelopeversion": {"const": ENVELOPE_VERSION},
            "credentialid": text("The credential whose address it came to."),
            "hookid": text("X-Hook-UUID, without braces."),
            "requestid": text("X-Request-UUID: Bitbucket's id of the delivery, the same on each attempt."),
            "attempt": number("X-Attempt-Number, from 1."),
            "secretversion": number("Which of the hook's secrets it was signed with; 0 if synthetic."),
            "synthetic": {"const": true, "description": "Only there where Bitbucket's own delivery never came, and the \
                          event was made up from how the repository stands. Should that one come after all, it has \
                          another id and is not synthetic."},
            "partitionkey": text("What keeps its order: the repository's uuid, else the credential."),
            "traceparent": text("The W3C trace context. Give it to the calls that come of this event."),
            "data": {"description": "The body, byte for byte as Bitbucket sent it. The last member."},
            "data_base64": text("The body in base64, if it is not JSON or was compressed."),
        },
    })
}

fn change() -> Value {
    let text = |words: &str| json!({"type": "string", "description": words});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "change",
        "description": "A message of the changes queue: CloudEvents 1.0 in structured JSON.",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "envelopeversion",
                     "credentialid", "partitionkey", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": text("The same for a change that is told twice. Handle each id once."),
            "source": text("https://bitbucket.org/"),
            "type": {"enum": ["org.bucketwheel.gitops.changed", "org.bucketwheel.gitops.branch_deleted",
                              "org.bucketwheel.gitops.branch_back"]},
            "subject": text("The file, from the folder on; or the branch."),
            "time": {"type": "string", "format": "date-time", "description": "When it was told."},
            "datacontenttype": {"const": "application/json"},
            "envelopeversion": {"const": ENVELOPE_VERSION},
            "credentialid": text("The credential that the cluster was attached with."),
            "partitionkey": text("The attachment, which is also what keeps the order."),
            "data": {
                "type": "object",
                "required": ["cluster", "repository", "branch", "folder", "commit", "tip"],
                "properties": {
                    "cluster": {"type": "object", "required": ["name", "id"],
                                "properties": {"name": text("Its name."), "id": text("Its id.")}},
                    "repository": text("workspace/repository, as it was called when it was attached."),
                    "branch": text("The branch."),
                    "folder": text("The folder, from the repository's root."),
                    "operation": {"enum": ["added", "modified", "removed"]},
                    "path": text("The file, from the folder on."),
                    "content": text("Its content, if it is text."),
                    "content_base64": text("Its content, if it is not."),
                    "content_omitted": {"enum": ["too_large", "unreadable"], "description": "Why there is no content."},
                    "commit": text("The commit that changed it last."),
                    "author": {"type": "object", "required": ["raw"], "properties": {
                        "raw": text("Name <mail>."), "account": text("The name of the account, if it has one.")}},
                    "committed_at": text("When the commit was made."),
                    "message": text("The first line of its message."),
                    "tip": text("The branch's tip at which it was read."),
                },
            },
        },
    })
}

/// A channel with one message, and the operation on it.
fn channel(title: &str, output: &str, message: &str, file: &str) -> Value {
    json!({
        "address": "{queue}",
        "title": title,
        "description": format!("An SQS queue; its URL is the stack's output {output}."),
        "parameters": {"queue": {"description": "The queue's URL."}},
        "messages": {message: {"name": message, "contentType": "application/json", "payload": {"$ref": file}}},
    })
}

fn asyncapi() -> Value {
    let mut messages = serde_json::Map::new();
    let mut components = serde_json::Map::new();
    for key in EventKey::ALL {
        let name = dotted(key);
        messages.insert(name.clone(), json!({"$ref": format!("#/components/messages/{name}")}));
        let message = json!({
            "name": name,
            "title": key.as_str(),
            "summary": key.words(),
            "contentType": "application/cloudevents+json",
            "payload": {"allOf": [
                {"$ref": "envelope.json"},
                {"properties": {
                    "type": {"const": format!("org.bitbucket.{name}")},
                    "data": {"$ref": file(key)},
                }},
            ]},
        });
        components.insert(name, message);
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Bucketwheel's events",
            "version": ENVELOPE_VERSION.to_string(),
            "description": "What Bitbucket Cloud reports, in order per repository. Keys that are not listed here come \
                            too, as org.bitbucket.<key with . for :>.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {
            "calls": channel("The calls queue", "CallsQueueUrl", "call", "call.json"),
            "results": channel("The results queue", "ResultsQueueUrl", "outcome", "outcome.json"),
            "changes": channel("The changes queue (FIFO)", "ChangesQueueUrl", "change", "change.json"),
            "events": {
                "address": "{queue}",
                "title": "The events queue",
                "description": "An SQS FIFO queue; its URL is the stack's output EventsQueueUrl. The message group is \
                                partitionkey, the deduplication id is id.",
                "parameters": {"queue": {"description": "The queue's URL."}},
                "messages": messages,
            },
        },
        "operations": {
            "receive": {
                "action": "receive",
                "channel": {"$ref": "#/channels/events"},
                "summary": "Take an event off the queue. The same id may come again: handle it once.",
            },
            "call": {
                "action": "send",
                "channel": {"$ref": "#/channels/calls"},
                "summary": "Ask for a request to Bitbucket. A second message with the same id is the same call.",
            },
            "outcome": {
                "action": "receive",
                "channel": {"$ref": "#/channels/results"},
                "summary": "Take the outcome of a call off the queue. It may come twice.",
            },
            "change": {
                "action": "receive",
                "channel": {"$ref": "#/channels/changes"},
                "summary": "Take a change of a cluster's folder off the queue, in order per attachment.",
            },
        },
        "components": {"messages": components},
    })
}
