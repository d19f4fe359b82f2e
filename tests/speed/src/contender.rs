//! Who is measured: the functions, the floor below them, and what others would write in their place.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::aws::Endpoints;
use crate::event;
use crate::program::Program;
use crate::settings::Variables;

/// A program with the events that it is woken with, each under a name. The first is the one it meets cold.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) program: Program,
    pub(crate) events: Vec<(&'static str, Arc<[u8]>)>,
}

/// Where things are.
#[derive(Debug)]
pub(crate) struct Places {
    /// The project.
    pub(crate) project: PathBuf,
    /// The release binaries.
    pub(crate) binaries: PathBuf,
    /// What is made for a measurement.
    pub(crate) scratch: PathBuf,
    /// What the template gives each function.
    pub(crate) settings: BTreeMap<String, Variables>,
}

const REGION: &str = "eu-central-1";
/// The bodies that webhooks are measured with, in bytes.
const SMALL: usize = 5 * 1024;
const LARGE: usize = 200 * 1024;

pub(crate) const INGEST: &str = "webhook-ingest";
pub(crate) const FLOOR: &str = "floor";
pub(crate) const NODE: &str = "Node 20";
pub(crate) const PYTHON: &str = "Python 3.11";
pub(crate) const WARM_SMALL: &str = "5 KB";
pub(crate) const WARM_LARGE: &str = "200 KB";
const ACCEPTED: &str = "\"statusCode\":202";

/// The receivers of webhooks: ours, the floor, and those peers that this machine can run.
pub(crate) fn receivers(places: &Places, aws: &Endpoints, asked: impl Fn(&str) -> bool) -> Vec<Contender> {
    let receiver = |name, command: Vec<PathBuf>, more: Vec<(&str, String)>, deployed| Contender {
        program: Program {
            name,
            command,
            environment: environment(places, aws, name)
                .into_iter()
                .chain(more.into_iter().map(|(name, value)| (name.to_owned(), value)))
                .collect(),
            proof: ACCEPTED,
            deployed,
        },
        events: deliveries(),
    };
    let ours = [FLOOR, INGEST].map(|name| function(places, aws, name, deliveries(), ACCEPTED));
    let node = asked(NODE).then(|| {
        prepared(NODE, || {
            let folder = places.scratch.join("node");
            copied(&places.project.join("tests/speed/peers/node"), &folder)?;
            if !folder.join("node_modules").exists() {
                run(Command::new("npm").args(["ci", "--no-fund", "--no-audit"]).current_dir(&folder))?;
            }
            run(Command::new("npm").args(["run", "build"]).current_dir(&folder))?;
            let ric = folder.join("node_modules/aws-lambda-ric/bin/index.mjs");
            let root = folder.join("dist");
            // The client looks for the handler where it is started.
            let started: [PathBuf; 4] = ["/usr/bin/env".into(), "-C".into(), root.clone(), "node".into()];
            let command = started.into_iter().chain([ric, "index.handler".into()]).collect();
            let more = vec![
                ("LAMBDA_TASK_ROOT", text(&root)),
                ("NODE_EXTRA_CA_CERTS", text(&aws.authority)),
                (
                    "PATH",
                    std::env::var_os("PATH")
                        .map(|path| path.to_string_lossy().into_owned())
                        .unwrap_or_default(),
                ),
            ];
            Ok(receiver(NODE, command, more, Some(root.join("index.mjs"))))
        })
    });
    let python = asked(PYTHON).then(|| {
        prepared(PYTHON, || {
            let (folder, source) =
                (places.scratch.join("python"), places.project.join("tests/speed/peers/python"));
            let interpreter = folder.join("bin/python");
            if !interpreter.exists() {
                run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
                let pip = ["-m", "pip", "install", "--quiet", "-r"];
                run(Command::new(&interpreter).args(pip).arg(source.join("requirements.txt")))?;
            }
            let command = vec![interpreter, "-m".into(), "awslambdaric".into(), "app.handler".into()];
            let more = vec![("PYTHONPATH", text(&source)), ("PYTHONDONTWRITEBYTECODE", String::new())];
            Ok(receiver(PYTHON, command, more, None))
        })
    });
    ours.into_iter().chain(node.flatten()).chain(python.flatten()).collect()
}

/// webhook-ingest alone.
pub(crate) fn ingest(places: &Places, aws: &Endpoints) -> Contender {
    function(places, aws, INGEST, deliveries(), ACCEPTED)
}

/// The other functions, each with its typical event.
pub(crate) fn others(places: &Places, aws: &Endpoints) -> Vec<Contender> {
    [
        ("oauth-callback", ("a connect link", event::open_link()), "\"statusCode\":302"),
        ("token-refresh", ("an idle sweep", event::sweep()), "{"),
        ("api-worker", ("one call", event::call()), "\"batchItemFailures\":[]"),
        ("gitops-sync", ("no message", event::nothing()), "\"batchItemFailures\":[]"),
        ("console", ("one credential", event::show_credential()), "\"statusCode\":200"),
    ]
    .map(|(name, event, proof)| function(places, aws, name, vec![event], proof))
    .into()
}

fn function(
    places: &Places,
    aws: &Endpoints,
    name: &'static str,
    events: Vec<(&'static str, Arc<[u8]>)>,
    proof: &'static str,
) -> Contender {
    let binary = places.binaries.join(name);
    let environment = environment(places, aws, name);
    let program = Program { name, command: vec![binary.clone()], environment, proof, deployed: Some(binary) };
    Contender { program, events }
}

fn deliveries() -> Vec<(&'static str, Arc<[u8]>)> {
    vec![(WARM_SMALL, event::push(SMALL)), (WARM_LARGE, event::push(LARGE))]
}

fn prepared(name: &str, prepare: impl FnOnce() -> Result<Contender, Box<dyn Error>>) -> Option<Contender> {
    prepare().map_err(|error| eprintln!("{name} is left out: {error}")).ok()
}

/// What Lambda and the template give a function, but for where things are. A peer gets what webhook-ingest gets.
fn environment(places: &Places, aws: &Endpoints, name: &str) -> Variables {
    let settings = places.settings.get(name).or_else(|| places.settings.get(INGEST));
    let here = [
        ("AWS_LAMBDA_FUNCTION_NAME", name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "measured"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "measured"),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        ("AWS_ENDPOINT_URL", &aws.aws),
        ("AWS_CA_BUNDLE", &text(&aws.authority)),
        ("BUCKETWHEEL_BITBUCKET_URL", &aws.bitbucket),
        ("BUCKETWHEEL_BITBUCKET_API_URL", &aws.bitbucket),
        ("BUCKETWHEEL_PUBLIC_URL", "https://bucketwheel.example.com"),
        ("BUCKETWHEEL_CALLS_PER_HOUR", "1000000"),
    ];
    let here = here.map(|(name, value)| (name.to_owned(), value.to_owned()));
    settings.into_iter().flatten().cloned().chain(here).collect()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn copied(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

pub(crate) fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let done = command.stdout(std::process::Stdio::null()).status();
    let done = done.map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
    if done.success() { Ok(()) } else { Err(format!("{command:?} ended with {done}").into()) }
}
