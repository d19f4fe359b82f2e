//! The API's rules, each as a sentence, without a network.

use axum::http::HeaderValue;
use serde_json::json;

use super::*;
use crate::{Behaviour, Settings, behaviour::UnchangedCommit, caller, clock::after, random, seed};

struct Bench {
    world: World,
    now: Timestamp,
    count: u64,
    bearer: String,
}

fn bench() -> Bench {
    let settings = Settings::default();
    let world = World::new("http://sandbox".into(), settings, &Seed::default()).unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    Bench { world, now, count: 0, bearer: seed::WORKSPACE_ACCESS_TOKEN.into() }
}

impl Bench {
    fn send(&mut self, method: &str, path: &str, content: Content) -> Reply {
        let mut headers = HeaderMap::new();
        if !self.bearer.is_empty() {
            headers
                .insert("authorization", HeaderValue::from_str(&format!("Bearer {}", self.bearer)).unwrap());
        }
        self.send_with(method, path, content, headers)
    }

    fn send_with(&mut self, method: &str, path: &str, content: Content, headers: HeaderMap) -> Reply {
        self.count += 1;
        self.now = after(self.now, 1);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let segments = path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let path = format!("/2.0{path}");
        let request = Request { method: method.into(), path, segments, query, headers, content };
        let seed = random::derived(&Seed::default(), &self.count.to_string());
        let caller = caller::identify(&self.world, &request.headers, self.now);
        answer(&mut self.world, &request, caller, self.now, &seed)
    }

    fn get(&mut self, path: &str) -> (u16, Value) {
        shown(&self.send("GET", path, Content::Raw(Bytes::new())))
    }

    fn json(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        shown(&self.send(method, path, Content::Raw(body.to_string().into())))
    }

    /// `POST src`; the status, and the commit of its `Location`.
    fn src(&mut self, slug: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let part = |(name, content): &(&str, &str)| Part {
            name: (*name).into(),
            is_file: false,
            mode: Mode::File,
            content: Bytes::from((*content).to_owned()),
        };
        let path = format!("/repositories/seilbahn/{slug}/src");
        let reply = self.send("POST", &path, Content::Form(fields.iter().map(part).collect()));
        let location = reply.headers.iter().find(|(name, _)| *name == "location");
        let commit = location.and_then(|(_, url)| url.rsplit('/').next()).unwrap_or_default().to_owned();
        (reply.status, commit)
    }

    fn tip(&self, slug: &str, branch: &str) -> String {
        let at = self.world.repository_named(&format!("seilbahn/{slug}")).unwrap();
        self.world.repositories[at].git.branches.get(branch).cloned().unwrap_or_default()
    }

    /// The event keys that waited in the outbox.
    fn events(&mut self) -> Vec<String> {
        self.world.outbox.drain(..).map(|event| event.key).collect()
    }

    fn open_pull_request(&mut self) -> Value {
        self.src("website", &[("a", "1"), ("branch", "feature")]);
        let wish = json!({"title": "One", "source": {"branch": {"name": "feature"}}});
        let (status, pull) = self.json("POST", "/repositories/seilbahn/website/pullrequests", wish);
        assert_eq!(status, 201);
        self.events();
        pull
    }
}

fn shown(reply: &Reply) -> (u16, Value) {
    let body = match &reply.body {
        Body::Json(json) => json.clone(),
        Body::Bytes(_, bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        Body::Empty => Value::Null,
    };
    (reply.status, body)
}

#[test]
fn a_commit_without_branch_and_parent_goes_on_top_of_main() {
    let mut bench = bench();
    let before = bench.tip("website", "main");
    let (status, commit) = bench.src("website", &[("/new.txt", "new"), ("message", "Add")]);
    assert_eq!((status, commit.as_str()), (201, bench.tip("website", "main").as_str()));
    let (_, json) = bench.get(&format!("/repositories/seilbahn/website/commit/{commit}"));
    assert_eq!(json["parents"][0]["hash"], before);
    assert_eq!(json["message"], "Add");
    let (_, text) = bench.get("/repositories/seilbahn/website/src/main/new.txt");
    assert_eq!(text, "new");
}

#[test]
fn a_parent_that_is_not_the_tip_is_a_conflict() {
    let mut bench = bench();
    let old = bench.tip("website", "main");
    assert_eq!(bench.src("website", &[("a", "1"), ("parents", &old)]).0, 201);
    assert_eq!(bench.src("website", &[("a", "2"), ("parents", &old)]).0, 409);
    assert_eq!(bench.src("website", &[("a", "2"), ("parents", &old), ("branch", "main")]).0, 409);
}

#[test]
fn an_existing_branch_grows_from_its_own_tip() {
    let mut bench = bench();
    bench.src("website", &[("a", "1"), ("branch", "side")]);
    let side = bench.tip("website", "side");
    assert_eq!(bench.src("website", &[("a", "2"), ("branch", "side"), ("parents", &side)]).0, 201);
    assert_eq!(bench.src("website", &[("a", "3"), ("branch", "side")]).0, 201);
    assert_ne!(bench.tip("website", "side"), side);
}

#[test]
fn a_new_branch_begins_at_main_or_at_the_parent() {
    let mut bench = bench();
    let old = bench.tip("website", "main");
    bench.src("website", &[("a", "1")]);
    let main = bench.tip("website", "main");
    let (_, one) = bench.src("website", &[("b", "1"), ("branch", "one")]);
    let (_, two) = bench.src("website", &[("b", "1"), ("branch", "two"), ("parents", &old)]);
    let git = &bench.world.repositories[bench.world.repository_named("seilbahn/website").unwrap()].git;
    assert_eq!(git.commit(&one).unwrap().parents, [main]);
    assert_eq!(git.commit(&two).unwrap().parents, [old]);
}

#[test]
fn an_unknown_parent_is_refused_with_an_empty_list_of_fields() {
    let mut bench = bench();
    let path = "/repositories/seilbahn/website/src";
    let part = |name: &str, content: &str| Part {
        name: name.into(),
        is_file: false,
        mode: Mode::File,
        content: Bytes::from(content.to_owned()),
    };
    let form = Content::Form(vec![part("a", "1"), part("parents", "1a7eba6c")]);
    let (status, body) = shown(&bench.send("POST", path, form));
    assert_eq!(status, 400);
    assert_eq!(
        body["error"],
        json!({"fields": {"parents": []}, "message": "parents: Commit not found: 1a7eba6c"})
    );
}

#[test]
fn the_first_commit_makes_the_main_branch() {
    let mut bench = bench();
    assert_eq!(bench.src("leer", &[("a", "1")]).0, 201);
    assert_eq!(bench.get("/repositories/seilbahn/leer").1["mainbranch"]["name"], "main");
    let mut refusing = self::bench();
    refusing.world.behaviour.first_commit_with_branch = false;
    assert_eq!(refusing.src("leer", &[("a", "1"), ("branch", "trunk")]).0, 400);
    refusing.world.behaviour.first_commit_with_branch = true;
    assert_eq!(refusing.src("leer", &[("a", "1"), ("branch", "trunk")]).0, 201);
    assert_eq!(refusing.get("/repositories/seilbahn/leer").1["mainbranch"]["name"], "trunk");
}

#[test]
fn a_path_named_without_content_is_deleted() {
    let mut bench = bench();
    assert_eq!(bench.src("website", &[("files", "/README.md"), ("b.txt", "b")]).0, 201);
    assert_eq!(bench.get("/repositories/seilbahn/website/src/main/README.md").0, 404);
    assert_eq!(bench.src("website", &[("files", "/README.md")]).0, 400);
}

#[test]
fn a_slash_tells_a_file_from_a_field_of_the_same_name() {
    let mut bench = bench();
    bench.src("website", &[("/message", "a file"), ("message", "the message")]);
    assert_eq!(bench.get("/repositories/seilbahn/website/src/main/message").1, "a file");
}

#[test]
fn a_commit_that_changes_nothing_is_made_or_not_as_switched() {
    let mut bench = bench();
    let before = bench.tip("website", "main");
    bench.world.behaviour.unchanged_commit = UnchangedCommit::Kept;
    assert_eq!(bench.src("website", &[("message", "nothing")]), (201, before.clone()));
    bench.world.behaviour.unchanged_commit = UnchangedCommit::Created;
    let (_, commit) = bench.src("website", &[("message", "nothing")]);
    assert_ne!(commit, before);
}

#[test]
fn a_folder_lists_its_folders_and_files() {
    let mut bench = bench();
    let (status, body) = bench.get("/repositories/seilbahn/infrastructure/src/main/clusters/");
    let paths: Vec<_> =
        body["values"].as_array().unwrap().iter().map(|value| value["path"].clone()).collect();
    assert_eq!((status, paths), (200, vec![json!("clusters/berg"), json!("clusters/tal")]));
    let (status, body) = bench.get("/repositories/seilbahn/infrastructure/src/main/nowhere");
    assert_eq!((status, &body["error"]["message"]), (404, &json!("No such file or directory: nowhere")));
}

#[test]
fn the_same_pull_request_again_silently_changes_the_first() {
    let mut bench = bench();
    let first = bench.open_pull_request();
    let wish = json!({"title": "Two", "source": {"branch": {"name": "feature"}}});
    let (status, second) = bench.json("POST", "/repositories/seilbahn/website/pullrequests", wish);
    assert_eq!((status, &second["id"], &second["title"]), (201, &first["id"], &json!("Two")));
    assert_eq!(second["created_on"], first["created_on"]);
    assert_eq!(bench.events(), ["pullrequest:updated"]);
}

#[test]
fn a_pull_request_needs_a_branch_and_a_difference() {
    let mut bench = bench();
    let path = "/repositories/seilbahn/website/pullrequests";
    let wish = |name: &str| json!({"title": "One", "source": {"branch": {"name": name}}});
    let (status, body) = bench.json("POST", path, wish("dummy"));
    assert_eq!(status, 400);
    assert_eq!(body["error"]["fields"], json!({"source": ["branch not found: dummy"]}));
    assert_eq!(bench.json("POST", path, wish("main")).0, 400);
}

#[test]
fn a_merge_pushes_closes_the_source_and_fulfils() {
    let mut bench = bench();
    bench.open_pull_request();
    let path = "/repositories/seilbahn/website/pullrequests/1/merge";
    let (status, body) = bench.json("POST", path, json!({"close_source_branch": true}));
    assert_eq!((status, &body["state"]), (200, &json!("MERGED")));
    assert_eq!(bench.events(), ["repo:push", "repo:push", "pullrequest:fulfilled"]);
    assert_eq!(bench.tip("website", "feature"), "");
    let (status, body) = bench.json("POST", path, json!({}));
    assert_eq!(
        (status, &body["error"]["message"]),
        (400, &json!("newstatus: This pull request is already closed."))
    );
}

#[test]
fn a_slow_merge_is_a_task_that_only_its_starter_may_poll() {
    let mut bench = bench();
    bench.open_pull_request();
    let merge = "/repositories/seilbahn/website/pullrequests/1/merge";
    let reply = bench.send("POST", &format!("{merge}?async=true"), Content::Raw(Bytes::new()));
    let location = &reply.headers.iter().find(|(name, _)| *name == "location").unwrap().1;
    let task = location.strip_prefix("http://sandbox/2.0").unwrap().to_owned();
    assert_eq!(reply.status, 202);
    assert_eq!(bench.get(&task).1["task_status"], "PENDING");
    assert_eq!(bench.get(&task).1["task_status"], "PENDING");
    let starter = std::mem::replace(&mut bench.bearer, oauth_token(&mut bench.world, seed::BO_UUID));
    assert_eq!(bench.get(&task).0, 403);
    bench.bearer = starter;
    let (_, done) = bench.get(&task);
    assert_eq!((&done["task_status"], &done["merge_result"]["state"]), (&json!("SUCCESS"), &json!("MERGED")));
    assert_eq!(bench.get(&format!("{merge}/task-status/unknown")).1["task_status"], "PENDING");
}

/// An access token of a person, by way of a code.
fn oauth_token(world: &mut World, user: &str) -> String {
    let behaviour = Behaviour::default();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let seed = random::derived(&Seed::default(), user);
    let moment = crate::oauth::Moment { behaviour: &behaviour, now, seed: &seed };
    let subject = crate::oauth::Subject::User(user.into());
    let code = world.ledger.consent(seed::CONSUMER_KEY, subject, None, None, moment);
    let ask = crate::oauth::Ask::Code { code, redirect_uri: None, verifier: None };
    world.ledger.answer(seed::CONSUMER_KEY, &ask, moment).unwrap().access_token
}

#[test]
fn a_member_may_write_but_not_administer() {
    let mut bench = bench();
    bench.bearer = oauth_token(&mut bench.world, seed::BO_UUID);
    assert_eq!(bench.get("/user").1["uuid"], seed::BO_UUID);
    assert_eq!(bench.src("website", &[("a", "1")]).0, 201);
    assert_eq!(bench.get("/repositories/seilbahn/website/hooks").0, 403);
    assert_eq!(bench.get("/workspaces/seilbahn/hooks").0, 403);
    let (_, mine) = bench.get("/user/workspaces");
    assert_eq!(mine["values"][0]["administrator"], false);
    assert_eq!(bench.get("/user/workspaces/seilbahn/permission").1["permission"], "member");
}

#[test]
fn missing_scopes_are_named() {
    let mut bench = bench();
    bench.world.access_tokens[2].scopes = vec!["account".into()];
    let reply = bench.send("GET", "/repositories/seilbahn/website", Content::Raw(Bytes::new()));
    let (status, body) = shown(&reply);
    assert_eq!(
        (status, &body["error"]["detail"]),
        (403, &json!({"required": ["repository"], "granted": ["account"]}))
    );
    assert!(reply.headers.contains(&("x-oauth-scopes", "account".into())));
    assert!(reply.headers.contains(&("x-accepted-oauth-scopes", "repository".into())));
    assert!(reply.headers.contains(&("x-credential-type", "workspace_access_token".into())));
}

#[test]
fn no_token_and_a_wrong_token_are_unauthorized() {
    let mut bench = bench();
    for bearer in ["", "wrong"] {
        bench.bearer = bearer.into();
        let (status, body) = bench.get("/user");
        assert_eq!(status, 401);
        assert_eq!(
            body["error"]["message"],
            "Token is invalid, expired, or not supported for this endpoint."
        );
    }
    assert_eq!(
        bench.get("/hook_events/repository").0,
        401,
        "a wrong token is refused even where none is needed"
    );
    bench.bearer.clear();
    assert_eq!(bench.get("/hook_events/workspace?pagelen=100").1["size"], 29);
}

#[test]
fn what_was_removed_is_gone_and_what_never_was_is_not_found() {
    let mut bench = bench();
    let (status, body) = bench.get("/repositories");
    assert_eq!(
        (status, &body["error"]["message"]),
        (410, &json!("CHANGE-2770 - Functionality has been deprecated"))
    );
    assert_eq!(body["data"], body["error"]["data"]);
    assert_eq!(bench.get("/repositories/seilbahn/website/issues").0, 410);
    let (status, body) = bench.get("/nothing/here");
    assert_eq!((status, &body["error"]["detail"]), (404, &json!("There is no API hosted at this URL")));
    let (status, body) = bench.get("/repositories/dev/null");
    assert_eq!((status, &body["error"]["message"]), (404, &json!("Repository dev/null not found")));
}

#[test]
fn a_repository_token_reaches_its_repository_alone() {
    let mut bench = bench();
    bench.bearer = seed::REPOSITORY_ACCESS_TOKEN.into();
    assert_eq!(bench.get("/repositories/seilbahn/infrastructure").0, 200);
    assert_eq!(
        bench.get(&format!("/repositories/{}/{}", seed::WORKSPACE_UUID, seed::INFRASTRUCTURE_UUID)).0,
        200
    );
    assert_eq!(bench.get("/repositories/seilbahn/website").0, 404);
}

#[test]
fn a_project_token_reaches_its_project_and_the_repositories_in_it() {
    let mut bench = bench();
    bench.bearer = seed::PROJECT_ACCESS_TOKEN.into();
    let (status, project) = bench.get("/workspaces/seilbahn/projects/WEB");
    assert_eq!((status, &project["key"], &project["type"]), (200, &json!("WEB"), &json!("project")));
    assert_eq!(bench.get("/workspaces/seilbahn/projects/PROJ").0, 404);
    assert_eq!(bench.get("/workspaces/seilbahn/projects").1["size"], 1);
    let (_, repositories) = bench.get("/repositories/seilbahn");
    assert_eq!(
        (
            &repositories["size"],
            &repositories["values"][0]["slug"],
            &repositories["values"][0]["project"]["key"]
        ),
        (&json!(1), &json!("website"), &json!("WEB"))
    );
    assert_eq!(bench.get("/repositories/seilbahn/infrastructure").0, 404);
    bench.bearer = seed::WORKSPACE_ACCESS_TOKEN.into();
    assert_eq!(bench.get("/workspaces/seilbahn/projects").1["size"], 2);
}

#[test]
fn lists_are_paged_and_next_is_followed_as_it_is() {
    let mut bench = bench();
    let (_, first) = bench.get("/repositories/seilbahn?pagelen=2");
    assert_eq!((&first["size"], first["values"].as_array().unwrap().len()), (&json!(3), 2));
    let next = first["next"].as_str().unwrap().strip_prefix("http://sandbox/2.0").unwrap().to_owned();
    let (_, second) = bench.get(&next);
    assert_eq!((second["values"].as_array().unwrap().len(), second.get("next")), (1, None));
    assert_eq!(bench.get("/repositories/seilbahn?pagelen=101").0, 400);
    assert_eq!(bench.get("/repositories/seilbahn/website/pullrequests?pagelen=51").0, 400);
}

#[test]
fn an_answer_that_the_client_has_is_not_sent_again() {
    let mut bench = bench();
    let reply = bench.send("GET", "/repositories/seilbahn/website", Content::Raw(Bytes::new()));
    let tag = reply.headers.iter().find(|(name, _)| *name == "etag").unwrap().1.clone();
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {}", bench.bearer)).unwrap());
    headers.insert("if-none-match", HeaderValue::from_str(&tag).unwrap());
    let again = bench.send_with("GET", "/repositories/seilbahn/website", Content::Raw(Bytes::new()), headers);
    assert_eq!(again.status, 304);
}

#[test]
fn hooks_are_checked_and_never_show_their_secret() {
    let mut bench = bench();
    let path = "/repositories/seilbahn/website/hooks";
    let hook = |events: Value, secret: &str| json!({"description": "x", "url": "http://localhost:1/x", "active": true, "events": events, "secret": secret});
    assert_eq!(bench.json("POST", path, hook(json!([]), "s")).0, 400);
    assert_eq!(bench.json("POST", path, hook(json!(["repo:push", "repo:push"]), "s")).0, 400);
    assert_eq!(bench.json("POST", path, hook(json!(["repo:push"]), &"s".repeat(129))).0, 400);
    let (status, made) = bench.json("POST", path, hook(json!(["repo:push"]), "s"));
    assert_eq!((status, &made["secret_set"], made.get("secret")), (201, &json!(true), None));
    let own = format!("{path}/{}", made["uuid"].as_str().unwrap());
    assert_eq!(bench.json("PUT", &own, json!({"active": false})).1["secret_set"], true);
    assert_eq!(bench.json("PUT", &own, json!({"secret": null})).1["secret_set"], false);
    assert_eq!(bench.json("DELETE", &own, json!({})).0, 204);
    assert_eq!(bench.get(&own).0, 404);
    for _ in 0..50 {
        assert_eq!(bench.json("POST", path, hook(json!(["repo:push"]), "s")).0, 201);
    }
    assert_eq!(bench.json("POST", path, hook(json!(["repo:push"]), "s")).0, 400);
}

#[test]
fn a_build_status_with_the_same_key_is_overwritten() {
    let mut bench = bench();
    let commit = bench.tip("website", "main");
    let path = format!("/repositories/seilbahn/website/commit/{commit}/statuses");
    let status = |state: &str| json!({"key": "ci", "state": state, "url": "https://ci.example.com/1"});
    assert_eq!(bench.json("POST", &format!("{path}/build"), status("INPROGRESS")).0, 201);
    assert_eq!(bench.json("POST", &format!("{path}/build"), status("SUCCESSFUL")).0, 201);
    let (_, list) = bench.get(&path);
    assert_eq!((&list["size"], &list["values"][0]["state"]), (&json!(1), &json!("SUCCESSFUL")));
    assert_eq!(bench.events(), ["repo:commit_status_created", "repo:commit_status_updated"]);
    assert_eq!(
        bench
            .json(
                "POST",
                &format!("{path}/build"),
                json!({"key": "x".repeat(41), "state": "FAILED", "url": "https://ci.example.com/1"})
            )
            .0,
        400
    );
}

#[test]
fn over_the_limit_the_answer_is_429_in_either_form() {
    let mut bench = bench();
    bench.world.behaviour.rate_limit = 1;
    assert_eq!(bench.get("/repositories/seilbahn/website").0, 200);
    let (status, body) = bench.get("/repositories/seilbahn/website");
    assert_eq!(
        (status, &body["error"]["message"]),
        (429, &json!("Rate limit for this resource has been exceeded"))
    );
    bench.world.behaviour.rate_limit_text = true;
    assert_eq!(
        bench.get("/repositories/seilbahn/website").1,
        "Rate limit for this resource has been exceeded"
    );
    bench.now = after(bench.now, 3600);
    assert_eq!(bench.get("/repositories/seilbahn/website").0, 200);
}

#[test]
fn a_push_lists_at_most_five_commits_and_says_so() {
    let mut bench = bench();
    let before = bench.tip("website", "main");
    for number in 0..6 {
        bench.src("website", &[("a", &number.to_string()), ("branch", "many")]);
    }
    let tip = bench.tip("website", "many");
    bench.json("DELETE", "/repositories/seilbahn/website/refs/branches/many", json!({}));
    bench.events();
    bench.json(
        "POST",
        "/repositories/seilbahn/website/refs/branches",
        json!({"name": "again", "target": {"hash": tip}}),
    );
    let body: Value = serde_json::from_slice(&bench.world.outbox[0].body).unwrap();
    let change = &body["push"]["changes"][0];
    assert_eq!(change["commits"].as_array().unwrap().len(), 5);
    assert_eq!(
        (&change["truncated"], &change["created"], &change["old"]),
        (&json!(true), &json!(true), &Value::Null)
    );
    assert_eq!(change["new"]["target"]["hash"], tip);
    assert_eq!(body["repository"].get("slug"), None);
    assert_ne!(before, tip);
}

#[test]
fn a_diffstat_compares_the_first_commit_with_the_second() {
    let mut bench = bench();
    let old = bench.tip("website", "main");
    let (_, new) = bench.src("website", &[("a.txt", "1\n2\n")]);
    let (_, body) = bench.get(&format!("/repositories/seilbahn/website/diffstat/{new}..{old}"));
    assert_eq!(body["size"], 1);
    let change = &body["values"][0];
    assert_eq!((&change["status"], &change["lines_added"]), (&json!("added"), &json!(2)));
    assert_eq!((&change["old"], &change["new"]["path"]), (&Value::Null, &json!("a.txt")));
}

#[test]
fn a_renamed_repository_answers_with_its_new_place() {
    let mut bench = bench();
    let (status, body) = bench.json("PUT", "/repositories/seilbahn/website", json!({"name": "Web Site"}));
    assert_eq!((status, &body["slug"]), (200, &json!("web-site")));
    let reply = bench.send("GET", "/repositories/seilbahn/website/refs", Content::Raw(Bytes::new()));
    assert_eq!(reply.status, 301);
    assert!(
        reply
            .headers
            .contains(&("location", "http://sandbox/2.0/repositories/seilbahn/web-site/refs".into()))
    );
}
