//! The `bucketwheel` command as a newcomer meets it: a process with a terminal, ports and signals.

mod operating;

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::world::World;

/// A system that the command runs, with a profile of its own.
struct Running {
    child: Child,
    ports: [u16; 3],
    profile: PathBuf,
    welcome: Vec<String>,
}

#[tokio::test]
async fn the_demo_goes_the_whole_circle_and_ctrl_c_frees_every_port() {
    let running = start().await;
    for wanted in ["Credentials page", "Webhook address", "Events queue", "Calls queue", "Results queue"] {
        assert!(running.welcome.iter().any(|line| line.contains(wanted)), "{:?}", running.welcome);
    }
    let tried = running.welcome.iter().filter(|line| line.trim().starts_with("cargo run -- ")).count();
    assert_eq!(tried, 3, "three commands to try: {:?}", running.welcome);

    let demo = running.command(&["demo"]).output().await.expect("the demo runs");
    let shown = text(&demo);
    assert!(demo.status.success(), "{shown}");
    for wanted in
        ["is up", "org.bitbucket.repo.push", "401", "generation 1 became 2", "400 Bad Request", "Succeeded"]
    {
        assert!(shown.contains(wanted), "{wanted} is not in:\n{shown}");
    }
    let listed = running.command(&["credentials"]).output().await.expect("the list runs");
    assert!(text(&listed).contains("Ada Lindt"), "{}", text(&listed));

    let listed = text(&listed);
    let id = listed.lines().find(|line| line.contains("Ada Lindt")).and_then(|line| line.split(' ').next());
    let seen = ["credentials", "repositories", id.expect("an id")];
    crate::world::until("the repositories are listed", async || {
        let seen = text(&running.command(&seen).output().await.expect("the list runs"));
        seen.contains("seilbahn/website").then_some(())
    })
    .await;
    let shown = running.command(&["hooks", "list"]).output().await.expect("the list runs");
    assert!(text(&shown).contains("registered"), "{}", text(&shown));
    let shown = running.command(&["hooks", "by-hand", "seilbahn"]).output().await.expect("it runs");
    let shown = text(&shown);
    let secret = shown.lines().find_map(|line| line.trim().strip_prefix("Secret")).map(str::trim);
    assert_eq!(secret.map(str::len), Some(128), "{shown}");
    let seen = running.command(&["hooks", "show"]).output().await.expect("it runs");
    let seen = text(&seen);
    assert!(seen.contains("by_hand") && !seen.contains(secret.unwrap_or_default()), "{seen}");

    let query = ["--query", "pagelen=2", "--query", "fields=values.slug", "--paginate", "--items", "3"];
    let paged =
        running.command(&[&["call", "GET", "repositories/seilbahn"][..], &query].concat()).output().await;
    let paged = text(&paged.expect("the call runs"));
    assert_eq!(paged.matches("\"slug\"").count(), 3, "{paged}");
    let gone =
        running.command(&["call", "GET", "workspaces", "--json"]).output().await.expect("the call runs");
    assert!(!gone.status.success() && text(&gone).contains("\"state\": \"failed\""), "{}", text(&gone));

    operating::every_verb(&running).await;
    running.end("INT").await;
}

#[tokio::test]
async fn sigterm_frees_every_port_and_the_other_commands_then_say_that_nothing_runs() {
    let running = start().await;
    let list = running.command(&["credentials"]);
    running.end("TERM").await;
    let said = refused(list).await;
    assert!(said.contains("nothing is running here") && said.contains("cargo run"), "{said}");
}

#[tokio::test]
async fn a_killed_run_leaves_no_process_behind() {
    let mut running = start().await;
    running.child.start_kill().expect("SIGKILL");
    running.child.wait().await.expect("it ends");
    running.all_free().await;
}

#[tokio::test]
async fn a_taken_port_is_one_line_with_a_remedy() {
    World::running().await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for option in ["--port", "--sandbox-port", "--aws-port"] {
        let [a, b, c] = free_ports().map(|port| port.to_string());
        let mut command = bucketwheel();
        command.args(["--port", &a, "--sandbox-port", &b, "--aws-port", &c]);
        let said = refused(overriding(command, option, &port)).await;
        assert!(said.contains(&port) && said.contains(option) && said.lines().count() == 1, "{said}");
    }
}

#[tokio::test]
async fn a_machine_without_python_gets_one_line_with_a_remedy() {
    World::running().await;
    let mut command = bucketwheel();
    // No Python on the path; cargo is found through the variable that cargo itself sets.
    command.args(["--port", "0", "--sandbox-port", "0", "--aws-port", "0"]).env("PATH", "/nonexistent");
    let said = refused(command).await;
    assert!(said.contains("Python 3.10 or newer was not found") && said.contains("install it"), "{said}");
}

/// The command that cargo has built beside this test.
pub(crate) fn bucketwheel() -> Command {
    let test = std::env::current_exe().expect("this test's path");
    let folder = test.ancestors().nth(2).expect("target/debug");
    let mut command = Command::new(folder.join("bucketwheel"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Repeats an option that was given before; the last one counts.
fn overriding(command: Command, option: &str, value: &str) -> Command {
    let arguments: Vec<_> = command.as_std().get_args().map(|a| a.to_string_lossy().into_owned()).collect();
    let at = arguments.iter().position(|argument| argument == option).expect("the option");
    let mut again = bucketwheel();
    again.args(&arguments[..=at]).arg(value).args(&arguments[at + 2..]);
    again
}

/// Runs a command that must fail, and gives what it said. Cargo's own lines are left out.
async fn refused(mut command: Command) -> String {
    let output = command.output().await.expect("it runs");
    assert!(!output.status.success(), "{}", text(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.lines().filter(|line| line.starts_with("bucketwheel: ")).collect::<Vec<_>>().join("\n")
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn free_ports() -> [u16; 3] {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    held.map(|listener| listener.local_addr().expect("an address").port())
}

async fn start() -> Running {
    // The binaries are there once the tests' own system runs.
    World::running().await;
    let ports = free_ports();
    let profile = std::env::temp_dir().join(format!("bucketwheel-{}-{}.json", std::process::id(), ports[0]));
    let mut command = bucketwheel();
    for (option, port) in ["--port", "--sandbox-port", "--aws-port"].iter().zip(ports) {
        command.arg(option).arg(port.to_string());
    }
    let mut child = command.arg("--profile").arg(&profile).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut welcome = Vec::new();
    let ready = async {
        while let Some(line) = lines.next_line().await.expect("a line") {
            let last = line.starts_with("Ctrl-C");
            welcome.push(line);
            if last {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), ready).await.expect("it is ready within two minutes");
    assert!(welcome.iter().any(|line| line == "Bucketwheel is running."), "{welcome:?}");
    // What it says from now on must not fill the pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Running { child, ports, profile, welcome }
}

impl Running {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bucketwheel();
        command.args(arguments).arg("--profile").arg(&self.profile);
        command
    }

    async fn end(mut self, signal: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status().await;
        assert!(sent.expect("kill runs").success());
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        assert!(ended.expect("it ends within thirty seconds").expect("a status").success());
        assert!(!self.profile.exists(), "the profile is left behind");
        self.all_free().await;
    }

    async fn all_free(&self) {
        let patience = Instant::now() + Duration::from_secs(30);
        for port in self.ports {
            while TcpStream::connect(("127.0.0.1", port)).is_ok() {
                assert!(Instant::now() < patience, "port {port} is still taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
