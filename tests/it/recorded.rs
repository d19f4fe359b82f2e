//! Bitbucket's real error bodies are classed as they should be. They lie beside this repository, where they
//! are; the shapes that matter are also in the tests of `judge` itself.

use std::fs;
use std::path::Path;

use bucketwheel::call::{Answer, Judgement, Method, judge};
use serde_json::Value;

fn class(judgement: &Judgement) -> (&'static str, String) {
    match judgement {
        Judgement::Succeeded => ("succeeded", String::new()),
        Judgement::Permanent(problem) => ("permanent", problem.cause.clone()),
        Judgement::Contested(problem) => ("contested", problem.cause.clone()),
        Judgement::Unauthorized => ("unauthorized", String::new()),
        Judgement::Transient { problem, .. } => ("transient", problem.cause.clone()),
        Judgement::Unknown(problem) => ("unknown", problem.cause.clone()),
    }
}

#[test]
fn recorded_answers_are_classed() {
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/bitbucket/api");
    if !api.exists() {
        return;
    }
    for (file, want, said) in [
        ("400-branch-not-found.json", "permanent", "source: branch not found: dummy"),
        ("400-required-key.json", "permanent", "links.avatar: required key not provided"),
        ("400-src-parent-not-found.json", "permanent", "parents: Commit not found"),
        ("401-oauth-expired-legacy.json", "unauthorized", ""),
        ("401-token-invalid.json", "unauthorized", ""),
        ("403-missing-scopes.json", "permanent", "required: project. granted: runner:write"),
        ("404-file.json", "permanent", "No such file or directory"),
        ("404-no-api-at-url.json", "permanent", "There is no API hosted at this URL"),
        ("404-repository.json", "permanent", "Repository dev/null not found"),
        ("410-change-2770.json", "permanent", "CHANGE-2770"),
        ("429-json.json", "transient", "Rate limit"),
        ("429-text.txt", "transient", "Rate limit"),
    ] {
        let body = fs::read(api.join("errors").join(file)).expect(file);
        let status = file[..3].parse().expect("a status");
        let (class, cause) = class(&judge(Method::Post, &Answer { status, body, ..Answer::default() }));
        assert_eq!(class, want, "{file}");
        assert!(cause.contains(said), "{file}: {cause}");
    }
    for (file, said) in [
        ("fork-name-taken-400.json", "You already have a repository with this name"),
        ("merge-already-closed-400.json", "This pull request is already closed"),
        ("merge-unknown-pr-404-text.json", "Not Found"),
    ] {
        let text = fs::read(api.join("exchanges").join(file)).expect(file);
        let exchange: Value = serde_json::from_slice(&text).expect(file);
        let status = exchange["response"]["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let body = exchange["response"]["body"].as_str().expect(file).as_bytes().to_vec();
        let answer = Answer { status: status.expect(file), body, ..Answer::default() };
        let (class, cause) = class(&judge(Method::Post, &answer));
        assert_eq!(class, "permanent", "{file}");
        assert!(cause.contains(said), "{file}: {cause}");
    }
}
