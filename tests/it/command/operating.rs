//! What an operator does with the command, on a system of its own: things are broken here that other
//! tests need.

use std::time::{Duration, Instant};

use bucketwheel::aws::{Account, Secrets, SqsQueue};
use bucketwheel::ports::{Outgoing, Queue as _};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Running, text};

/// How long a test waits for something that happens elsewhere.
const PATIENCE: Duration = Duration::from_secs(120);

impl Running {
    fn profile(&self) -> Value {
        let text = std::fs::read_to_string(&self.profile).expect("the profile");
        serde_json::from_str(&text).expect("JSON")
    }

    fn account(&self) -> Account {
        proof::account(self.profile()["aws_endpoint"].as_str().expect("an address"))
    }

    /// Runs a command; gives the number it ended with and what it said.
    async fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(arguments).output().await.expect("it runs");
        (output.status.code().expect("a number"), text(&output))
    }

    /// Runs a command that succeeds, for programs.
    async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(&[arguments, &["--json"]].concat()).output().await.expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {}", text(&output)))
    }

    /// Somebody pushes.
    async fn push(&self, push: &Value) {
        let sandbox = self.profile()["sandbox_url"].as_str().expect("an address").to_owned();
        #[expect(clippy::disallowed_methods, reason = "a test asks the sandbox's own controls")]
        let client = reqwest::Client::new();
        let pushed = client.post(format!("{sandbox}/_sandbox/push")).json(push).send().await.expect("pushed");
        assert!(pushed.status().is_success());
    }

    /// Runs a command until what it says is `enough`.
    async fn until(&self, arguments: &[&str], enough: impl Fn(i32, &str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let (code, said) = self.run(arguments).await;
            if enough(code, &said) {
                return said;
            }
            assert!(begun.elapsed() < PATIENCE, "{arguments:?} ends with {code}: {said}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

pub(super) async fn every_verb(running: &Running) {
    the_doctor_finds_a_healthy_system(running).await;
    events_are_seen_and_left_or_taken(running).await;
    credentials_are_told_in_tables_and_in_json(running).await;
    a_dead_letter_is_found_shown_and_sent_again(running).await;
    a_cluster_has_a_folder_and_its_history_is_one_command(running).await;
    what_a_shell_wants_is_text_and_json(running).await;
    what_goes_wrong_is_told_with_its_remedy(running).await;
    the_demo_is_four_lines_for_programs(running).await;
    a_consumer_that_bitbucket_does_not_know_is_found(running).await;
    a_new_operator_token_takes_the_place_of_the_old_one(running).await;
}

async fn the_doctor_finds_a_healthy_system(running: &Running) {
    let said = running.until(&["doctor"], |code, _| code == 0).await;
    for check in ["routes", "operator token", "clocks", "calls", "dead letters", "secrets", "consumer"] {
        let well = said.lines().any(|line| line.starts_with("ok ") && line.contains(check));
        assert!(well, "{check}: {said}");
    }
}

async fn events_are_seen_and_left_or_taken(running: &Running) {
    let push = json!({"repository": "seilbahn/infrastructure", "branch": "main", "message": "For the tail",
                      "author": "Ada Lindt <ada@example.com>", "files": {"tail.txt": "x"}});
    running.push(&push).await;
    let look = ["events", "tail", "--count", "1"];
    let (code, said) = running.run(&look).await;
    assert!(code == 0 && said.contains("repo:push") && said.contains("seilbahn/infrastructure"), "{said}");
    // It was left where it is; now it is taken, whole.
    let envelope = running.json(&[&look[..], &["--take"]].concat()).await;
    assert_eq!(envelope["type"], "org.bitbucket.repo.push", "{envelope:#}");
    assert_eq!(envelope["data"]["push"]["changes"][0]["new"]["name"], "main");
}

async fn credentials_are_told_in_tables_and_in_json(running: &Running) {
    let all = running.json(&["credentials"]).await;
    let id = all[0]["id"].as_str().expect("an id").to_owned();
    let (_, table) = running.run(&["credentials"]).await;
    assert!(table.starts_with("CREDENTIAL  ") && table.contains(&id), "{table}");
    let (_, shown) = running.run(&["credentials", "show", &id]).await;
    assert!(shown.contains("Acts as         Ada Lindt") && shown.contains("Webhooks "), "{shown}");
    assert_eq!(running.json(&["credentials", "show", &id]).await["id"], id.as_str());
    let (_, trail) = running.run(&["credentials", "audit", &id]).await;
    assert!(trail.starts_with("WHEN ") && trail.contains("connected"), "{trail}");
    assert_eq!(running.json(&["credentials", "disable", &id]).await["status"]["health"], "disabled");
    assert_eq!(running.json(&["credentials", "enable", &id]).await["status"]["health"], "up");
    let paged =
        ["call", "GET", "repositories/seilbahn", "--paginate", "--items", "2", "--query", "pagelen=1"];
    assert_eq!(running.json(&paged).await["values"].as_array().map(Vec::len), Some(2));
    // Nothing is deleted by accident.
    let (code, said) = running.run(&["credentials", "delete", &id]).await;
    assert!(code == 0 && said.contains("would be deleted") && said.contains("--yes"), "{said}");
    assert_eq!(running.json(&["credentials", "show", &id]).await["status"]["health"], "up");
    assert_eq!(running.json(&["rotate", "keys"]).await[0]["state"], "seals");
    let (code, said) = running.run(&["rotate", "keys", "drop", "access", "k0001"]).await;
    assert!(code == 1 && said.contains("k0001 seals"), "{said}");
}

async fn a_dead_letter_is_found_shown_and_sent_again(running: &Running) {
    let named = running.welcome.iter().find(|line| line.contains("Calls queue")).expect("its name");
    let events = running.profile()["events_queue"].as_str().expect("an address").to_owned();
    let (place, _) = events.rsplit_once('/').expect("a place");
    let calls = format!("{place}/{}", named.split_whitespace().last().expect("a name"));
    let queue = SqsQueue::new(&running.account(), calls);
    queue.send(Outgoing::plain("not a call at all".to_owned())).await.expect("sent");
    let list = ["dlq", "list", "calls"];
    let listed = running.until(&list, |_, said| said.starts_with("QUEUE ")).await;
    assert!(listed.contains("calls"), "{listed}");
    let (code, said) = running.run(&["doctor"]).await;
    assert!(code == 3 && said.contains("dlq list calls"), "{said}");

    let letters = running.json(&list).await;
    let id = letters[0]["id"].as_str().expect("an id").to_owned();
    let (_, shown) = running.run(&["dlq", "show", "calls", &id]).await;
    assert!(shown.contains("not a call at all"), "{shown}");
    assert_eq!(running.json(&["dlq", "list", "calls", "--about", "nothing like it"]).await, json!([]));
    // A dry run, unless somebody says yes.
    let (_, said) = running.run(&["dlq", "redrive", "calls"]).await;
    assert!(said.contains("Would be sent again") && said.contains("--yes"), "{said}");
    assert_eq!(running.json(&list).await[0]["id"], id.as_str(), "it still lies there");
    let (_, said) = running.run(&["dlq", "redrive", "calls", &id, "--yes"]).await;
    assert!(said.contains("Sent again to the calls queue: 1."), "{said}");
    // It is no better than before, and comes back as another letter.
    running.until(&list, |_, said| said.starts_with("QUEUE ") && !said.contains(&id)).await;
}

async fn a_cluster_has_a_folder_and_its_history_is_one_command(running: &Running) {
    let file = running.profile.with_extension("yaml");
    std::fs::write(&file, "replicas: 1\n").expect("a file");
    let given = format!("app/web.yaml={}", file.display());
    let attach = ["gitops", "attach", "--repository", "seilbahn/infrastructure", "--cluster", "blue"];
    let rest = ["--cluster-id", "0f3c5a7e-1b2d", given.as_str()];
    let attached = running.json(&[&attach[..], &rest].concat()).await;
    let id = attached["id"].as_str().expect("an id").to_owned();
    assert_eq!(attached["folder"], "clusters/blue-0f3c5a7e");
    let (code, again) = running.run(&[&attach[..], &rest].concat()).await;
    assert!(code == 1 && again.contains("attached already"), "{again}");
    let history = ["gitops", "history", id.as_str()];
    running.until(&history, |_, said| said.contains("app/web.yaml")).await;

    running
        .push(&json!({"repository": "seilbahn/infrastructure", "branch": "main", "message": "Three replicas",
            "author": "Bo Okafor <bo@example.com>",
            "files": {"clusters/blue-0f3c5a7e/app/web.yaml": "replicas: 3\n"}}))
        .await;
    let told = running.until(&history, |_, said| said.contains("Bo Okafor")).await;
    let line = told.lines().find(|line| line.contains("Bo Okafor")).expect("a line");
    for wanted in ["2026-", "Bo Okafor <bo@example.com>", "modified", "app/web.yaml", "Three replicas"] {
        assert!(line.contains(wanted) || wanted == "2026-" && line.starts_with("20"), "{wanted}: {line}");
    }
    std::fs::write(&file, "size: 1\n").expect("a file");
    let given = format!("db.yaml={}", file.display());
    let put =
        ["gitops", "put", id.as_str(), given.as_str(), "--delete", "app/web.yaml", "--message", "A database"];
    let (code, said) = running.run(&put).await;
    assert!(code == 0 && said.contains("Queued"), "{said}");
    running.until(&history, |_, said| said.contains("db.yaml") && said.contains("removed")).await;
    std::fs::remove_file(&file).expect("removed");
    let listed = running.until(&["gitops", "list"], |_, said| said.contains("in step")).await;
    assert!(listed.contains(&id) && listed.contains("seilbahn/infrastructure:main"), "{listed}");
    for queue in ["gitops", "changes"] {
        assert_eq!(running.json(&["dlq", "list", queue]).await, json!([]));
    }
    assert_eq!(running.json(&["gitops", "detach", &id]).await["detached"], id.as_str());
    running.until(&["gitops", "list"], |_, said| !said.contains(&id)).await;
    let (code, kept) = running.run(&history).await;
    assert!(code == 0 && kept.contains("Bo Okafor"), "{kept}");
}

async fn what_a_shell_wants_is_text_and_json(running: &Running) {
    let (code, script) = running.run(&["completion", "bash"]).await;
    assert!(code == 0 && script.contains("complete -F _bucketwheel"), "{script}");
    let told = running.json(&["completion", "zsh"]).await;
    assert!(told["script"].as_str().is_some_and(|script| script.starts_with("#compdef")), "{told}");
    let (_, page) = running.run(&["man"]).await;
    assert!(page.contains(".TH bucketwheel"), "{page}");
    assert!(running.json(&["man"]).await["page"].is_string());
    let (code, _) = running.run(&["no-such-verb"]).await;
    assert_eq!(code, 2, "a wrong command line");
}

async fn what_goes_wrong_is_told_with_its_remedy(running: &Running) {
    let by_hand = ["hooks", "by-hand", "seilbahn", "--credential", "nobody"];
    let wrong: [(&[&str], i32, &str); 7] = [
        (&["no-such-verb"], 2, "misused"),
        (&["credentials", "expires", "nobody", "someday"], 2, "misused"),
        (&["dlq", "redrive", "calls", "no-such", "--cause", "x"], 2, "misused"),
        (&["credentials", "show", "nobody"], 1, "no_such_credential"),
        (&by_hand, 1, "no_such_credential"),
        (&["dlq", "redrive", "calls", "no-such", "--yes"], 1, "failed"),
        (&["call", "POST", "user", "--credential", "nobody", "--body", "{"], 1, "failed"),
    ];
    for (arguments, number, code) in wrong {
        let said = running.command(arguments).output().await.expect("it runs");
        assert_eq!(said.status.code(), Some(number), "{arguments:?}: {}", text(&said));
        let said = running.command(&[arguments, &["--json"]].concat()).output().await.expect("it runs");
        complained(&said, number, code);
        // Nobody may be listening.
        let mut deaf =
            running.command(arguments).stderr(std::process::Stdio::piped()).spawn().expect("it runs");
        drop(deaf.stderr.take());
        assert_eq!(deaf.wait().await.expect("it ends").code(), Some(number), "{arguments:?}");
    }
    let mut nowhere = super::bucketwheel();
    let said = nowhere.args(["credentials", "--json", "--profile", "/nonexistent"]).output().await;
    complained(&said.expect("it runs"), 4, "no_profile");
}

/// That a command ended with this number and one line of JSON that says why and what to do.
fn complained(said: &std::process::Output, number: i32, code: &str) {
    assert_eq!(said.status.code(), Some(number), "{}", text(said));
    let error: Value = serde_json::from_slice(&said.stderr).unwrap_or_else(|_| panic!("{}", text(said)));
    let of = |name: &str| error["error"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(of("code"), code, "{error}");
    assert!(!of("cause").is_empty() && !of("resolution").is_empty(), "{error}");
}

async fn the_demo_is_four_lines_for_programs(running: &Running) {
    let (code, said) = running.run(&["demo", "--json"]).await;
    assert_eq!(code, 0, "{said}");
    let parts: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let named: Vec<_> = parts.iter().map(|part| part["part"].as_str().expect("a name")).collect();
    assert_eq!(named, ["connect", "webhook", "refresh", "call"], "{said}");
    assert_eq!((&parts[1]["forged"], &parts[2]["old_token"]["status"]), (&json!(401), &json!(400)));
    assert_eq!((&parts[3]["state"], &parts[3]["commit"]), (&json!("succeeded"), &parts[1]["commit"]));
}

async fn a_consumer_that_bitbucket_does_not_know_is_found(running: &Running) {
    let name = running.profile()["app_secret"].as_str().expect("a name").to_owned();
    let wrong = SecretString::from(json!({"key": "made-up", "secret": "made-up"}).to_string());
    Secrets::new(&running.account()).put(&name, &wrong).await.expect("written");
    let (code, said) = running.run(&["doctor"]).await;
    assert!(code == 3 && said.contains("WRONG     consumer"), "{said}");
}

async fn a_new_operator_token_takes_the_place_of_the_old_one(running: &Running) {
    let old = running.profile();
    let (_, said) = running.run(&["rotate", "operator"]).await;
    assert!(said.contains("--yes") && running.profile() == old, "{said}");
    let (code, said) = running.run(&["rotate", "operator", "--yes"]).await;
    assert!(code == 0, "{said}");
    let new = running.profile();
    assert_ne!(old["operator_token"], new["operator_token"]);
    assert!(!said.contains(new["operator_token"].as_str().expect("a token")), "the token is shown: {said}");
    running.until(&["credentials"], |code, _| code == 0).await;
}
