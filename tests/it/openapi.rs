//! The description of the JSON API is true: of the running system, of the router, and of the command line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::world::World;

/// Reads a file of the project.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `GET /api/kinds`, and so on, as the description has them.
fn described() -> BTreeSet<String> {
    let document: Value =
        serde_json::from_str(&read("functions/console/src/assets/openapi.json")).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("operations").keys().filter(|name| *name != "parameters");
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}

#[test]
fn what_is_described_is_what_the_router_serves() {
    let router: String = read("functions/console/src/lib.rs").split_whitespace().collect();
    let mut served = BTreeSet::new();
    for route in router.split(".route(").skip(1).filter(|route| route.starts_with("\"/api/")) {
        let path = route.split('"').nth(1).expect("a path");
        let handlers = route.split("\",").nth(1).expect("handlers");
        for method in ["get", "post", "put", "patch", "delete"] {
            if handlers.starts_with(&format!("{method}(")) || handlers.contains(&format!(").{method}(")) {
                served.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    assert_eq!(described(), served);
}

#[test]
fn the_command_line_asks_only_for_what_is_described() {
    let client: String = read("infra/cli/src/console.rs").split_whitespace().collect();
    let mut asked = BTreeSet::new();
    for call in client.split("self.client.").skip(1) {
        let Some((method, rest)) = call.split_once("(self.url(") else { continue };
        let path = rest.split('"').nth(1).expect("a path");
        // The command line switches with one function: `credentials/{id}/{to}`.
        for to in ["disable", "enable"] {
            let path = path.replace("{to}", to);
            asked.insert(format!("{} /api/{path}", method.to_uppercase()));
        }
    }
    assert!(asked.len() >= 8, "{asked:?}");
    let unknown: Vec<_> = asked.difference(&described()).cloned().collect();
    assert!(unknown.is_empty(), "not described: {unknown:?}");
}

#[tokio::test]
async fn the_running_system_does_not_contradict_its_description() {
    let Some(program) = schemathesis().await else {
        println!("skipped: schemathesis needs Python 3.11");
        return;
    };
    let world = World::running().await;
    let credential = world.connect("Described").await;
    let everything =
        compare(&world, &program, &["--phases", "coverage,fuzzing", "--max-examples", "5"], None);
    // With the id of a credential that is there, answers are seen and not only refusals.
    let there = "showCredential,changeCredential,disableCredential,enableCredential,auditCredential";
    let there: Vec<_> = there.split(',').flat_map(|name| ["--include-operation-id", name]).collect();
    let mut arguments = vec!["--phases", "fuzzing", "--max-examples", "5"];
    arguments.extend(there);
    let answers = compare(&world, &program, &arguments, Some(&credential));
    let (everything, answers) = tokio::join!(everything, answers);
    for output in [everything, answers] {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("passed"), "{said}");
    }
}

/// One run of schemathesis.
async fn compare(world: &World, program: &Path, arguments: &[&str], credential: Option<&str>) -> Output {
    let folder = root().join("target/bucketwheel");
    let mut config = read("tests/openapi/schemathesis.toml");
    if let Some(id) = credential {
        config = format!("{config}\n[parameters]\n\"path.id\" = \"{id}\"\n");
    }
    let config_file = folder.join(format!("schemathesis-{}.toml", credential.unwrap_or("any")));
    fs::write(&config_file, config).expect("written");
    let mut command = Command::new(program);
    command
        .arg("--no-color")
        .arg("--config-file")
        .arg(&config_file)
        .args(["run", &format!("{}/api/openapi.json", world.local().public_url)])
        .args(["--workers", "1", "--seed", "1", "--continue-on-failure", "--generation-database", "none"])
        .args(arguments)
        .env("BUCKETWHEEL_TOKEN", &world.local().outputs.operator_token)
        .current_dir(&folder)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(900), command.output()).await;
    output.expect("schemathesis ends in time").expect("schemathesis runs")
}

/// Installs schemathesis once, in a private environment below the target folder.
async fn schemathesis() -> Option<PathBuf> {
    let requirements = root().join("tests/openapi/requirements.txt");
    let home = root().join("target/bucketwheel/schemathesis");
    let (program, complete) = (home.join("bin/st"), home.join("requirements.txt"));
    if fs::read(&complete).ok() == fs::read(&requirements).ok() && program.exists() {
        return Some(program);
    }
    let modern = ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"];
    if !Command::new("python3").args(modern).status().await.is_ok_and(|status| status.success()) {
        return None;
    }
    let _ = fs::remove_dir_all(&home);
    run(Command::new("python3").args(["-m", "venv"]).arg(&home)).await;
    let quiet = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
    let pinned = ["--no-deps", "--require-hashes", "-r"];
    run(Command::new(home.join("bin/python")).args(quiet).args(pinned).arg(&requirements)).await;
    fs::copy(&requirements, &complete).expect("copied");
    Some(program)
}

async fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
