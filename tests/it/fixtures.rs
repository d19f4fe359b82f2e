//! Webhook bodies in Bitbucket's shapes, and some that nobody expects.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Bodies with their event keys. No two are alike.
pub(crate) fn bodies() -> Vec<(String, Vec<u8>)> {
    let shaped = [
        ("repo:push", push()),
        ("pullrequest:created", pull_request()),
        (
            "repo:push",
            json!({"actor": {"display_name": "Anonymous"}, "repository": repository(), "push": {"changes": []}}),
        ),
        ("pipeline:span_created", json!({"resourceSpans": [{"scopeSpans": []}]})),
        ("repo:not_known_yet", json!({"something": "new"})),
    ];
    let texts = [
        (
            "repo:push",
            "{\n  \"escaped\": \"\\u00e4 \\\\ \\\"\", \"plain\": \"ä 😀\",\n  \"number\": 1.50e2\n}\n",
        ),
        ("repo:push", "  {\"data\":{\"data\":\"nested\"}}  "),
        ("repo:push", "{\"twice\":1,\"twice\":2}"),
        ("repo:push", "this is not JSON"),
        ("repo:push", "[]"),
        ("repo:push", "null"),
    ];
    let large = json!({"repository": repository(), "padding": "x".repeat(250 * 1024)});
    shaped
        .into_iter()
        .chain([("repo:push", large)])
        .map(|(key, body)| (key.to_owned(), body.to_string().into_bytes()))
        .chain(texts.map(|(key, text)| (key.to_owned(), text.as_bytes().to_vec())))
        .collect()
}

fn repository() -> Value {
    json!({
        "type": "repository",
        "uuid": "{0a3c1f2e-7d55-4a38-9b1e-3f7f5a1c2b01}",
        "full_name": "seilbahn/website",
        "workspace": {"type": "workspace", "uuid": "{5d2f8c11-9e07-4c64-8a43-61d1b7f0e902}", "slug": "seilbahn"},
    })
}

fn push() -> Value {
    let commit = "6b1f0d2c9a7e4f5b8c3d2e1f0a9b8c7d6e5f4a3b";
    json!({
        "actor": {"type": "user", "uuid": "{b7a8d1c4-2f36-4e0c-a7c5-90cf6be1d203}", "display_name": "Ada Lindt"},
        "repository": repository(),
        "push": {"changes": [{
            "old": null,
            "new": {"type": "branch", "name": "feature/x", "target": {"type": "commit", "hash": commit}},
            "created": true, "closed": false, "forced": false, "truncated": false,
            "commits": [{"type": "commit", "hash": commit, "message": "Naïve «quotes» and \"escapes\"\n"}],
        }]},
    })
}

fn pull_request() -> Value {
    json!({
        "repository": repository(),
        "pullrequest": {"type": "pullrequest", "id": 7, "state": "OPEN", "source": {"repository": null}},
    })
}

/// Bodies that Bitbucket really sent, where a folder of recordings lies beside the project. The file
/// names begin with the event key.
pub(crate) fn recorded() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/bitbucket/webhooks"));
    let Ok(files) = fs::read_dir(folder) else {
        println!("no recorded bodies beside the project; only the project's own are sent");
        return Vec::new();
    };
    let paths = files.map(|file| file.expect("a file").path());
    let json = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let bodies: Vec<_> = json
        .map(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            let key = name.split("--").next().expect("an event key").replacen('-', ":", 1);
            (key, fs::read(&path).expect("a body"))
        })
        .collect();
    println!("{} recorded bodies", bodies.len());
    bodies
}
