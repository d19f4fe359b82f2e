//! The process of the local AWS stand-in, and that it ends whenever we do.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time,
};

use crate::{
    Error, Local,
    aws::{self, KEY, REGION},
    stack::STACK,
};

const WRAPPER: &str = include_str!("stand_in.py");
const LOG: &str = "stand-in.log";
const PATIENCE: Duration = Duration::from_secs(30);
/// What of our environment reaches the stand-in, and through it every function: a setting of the
/// person's shell must not change what a function does, but the way to the internet stays.
const INHERITED: [&str; 11] = [
    "PATH",
    "HOME",
    "LANG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];

/// A running stand-in with its own folder: `logs` in it stays, `tmp` goes when it ends.
#[derive(Debug)]
pub(crate) struct StandIn {
    /// Dropping it closes its standard input, at which the whole process group ends. It must not be
    /// killed otherwise: then nobody would end the functions.
    child: Child,
    folder: PathBuf,
    _in_use: File,
    python: PathBuf,
    /// Where functions look for AWS.
    endpoint: String,
    pub authority: String,
}

impl StandIn {
    /// Starts it on a port, or with port 0 on a free one, and waits until it answers. Functions look for AWS
    /// at `endpoint`, or at the stand-in itself.
    pub(crate) async fn start(
        python: &Path,
        state: &Path,
        port: u16,
        endpoint: Option<String>,
    ) -> Result<Self, Error> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let taken = Error::PortTaken { port, purpose: "the local AWS", option: "--aws-port" };
        let port = listener.and_then(|listener| listener.local_addr()).map_err(|_| taken)?.port();
        let authority = format!("127.0.0.1:{port}");

        let runs = state.join("runs");
        clean(&runs);
        let folder = runs.join(port.to_string());
        let (logs, tmp) = (folder.join("logs"), folder.join("tmp"));
        let prepare = || {
            // A port that is free now may have been an earlier run's.
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder)?;
            // Locked before there is anything that `clean` of another process could take for a ruin.
            let in_use = File::create(folder.join("in-use"))?;
            in_use.lock()?;
            fs::create_dir_all(&logs)?;
            fs::create_dir_all(&tmp)?;
            Ok(in_use)
        };
        let in_use = prepare().map_err(Error::io(format!("prepare the folder {}", folder.display())))?;

        let endpoint = endpoint.unwrap_or_else(|| format!("http://{authority}"));
        let child = spawn(python, &folder, &authority, &endpoint)?;
        let python = python.to_owned();
        let mut stand_in = Self { child, folder, _in_use: in_use, python, endpoint, authority };
        stand_in.answering().await?;
        Ok(stand_in)
    }

    /// Its process, and the parent of every function's.
    pub(crate) fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it, waits for `pause` and starts it again with all that it held. The functions die with it.
    pub(crate) async fn restart(&mut self, pause: Duration) -> Result<(), Error> {
        if let Some(process) = self.process() {
            let asked = Command::new("sh").args(["-c", &format!("kill -USR1 {process}")]).status().await;
            asked.map_err(Error::io("ask the stand-in to end"))?;
        }
        // Waiting closes its standard input, at which it would end before it has written anything down.
        let input = self.child.stdin.take();
        let ended = time::timeout(PATIENCE, self.child.wait()).await;
        drop(input);
        if ended.is_err() {
            let log = self.logs().join(LOG);
            return Err(Error::StandIn { detail: "it does not end".into(), log });
        }
        time::sleep(pause).await;
        self.child = spawn(&self.python, &self.folder, &self.authority, &self.endpoint)?;
        self.answering().await
    }

    async fn answering(&mut self) -> Result<(), Error> {
        let log = self.logs().join(LOG);
        let begun = time::Instant::now();
        while !aws::answers(&self.authority).await {
            if let Some(status) = self.child.try_wait().map_err(Error::io("watch the stand-in"))? {
                return Err(Error::StandIn { detail: format!("it ended, {status}"), log });
            }
            if begun.elapsed() > PATIENCE {
                return Err(Error::StandIn { detail: "it does not answer".into(), log });
            }
            time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }

    /// The folder with its log and one of each function.
    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Ends it and every function, and waits until they are gone.
    pub(crate) async fn stop(mut self) {
        drop(self.child.stdin.take());
        let _ = time::timeout(Duration::from_secs(5), self.child.wait()).await;
        let _ = fs::remove_dir_all(self.folder.join("tmp"));
    }
}

/// What is seen of the stand-in of a running stack, and done to it.
impl Local {
    /// The folder with logs: `stand-in.log`, and of each function `bucketwheel-NAME.log`.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.stand_in.as_ref().map(StandIn::logs).unwrap_or_default()
    }

    /// What a function, such as `token-refresh`, has written to its log so far.
    #[must_use]
    pub fn log(&self, function: &str) -> String {
        let log = fs::read(self.logs().join(format!("{STACK}-{function}.log")));
        String::from_utf8_lossy(&log.unwrap_or_default()).into_owned()
    }

    /// The process of the stand-in, and the parent of every function's.
    #[must_use]
    pub fn aws_process(&self) -> Option<u32> {
        self.stand_in.as_ref().and_then(StandIn::process)
    }

    /// Ends the stand-in and every function, waits for `pause`, and starts it again with all that it held:
    /// the table, the queues and what lies in them, the schedules.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn restart_aws(&mut self, pause: Duration) -> Result<(), Error> {
        match &mut self.stand_in {
            Some(stand_in) => stand_in.restart(pause).await,
            None => Ok(()),
        }
    }
}

/// Starts its process in a folder that is prepared.
fn spawn(python: &Path, folder: &Path, authority: &str, endpoint: &str) -> Result<Child, Error> {
    let log = folder.join("logs").join(LOG);
    let opened = File::options().create(true).append(true).open(&log);
    let opened = opened.and_then(|log| Ok((log.try_clone()?, log)));
    let (output, errors) = opened.map_err(Error::io(format!("write {}", log.display())))?;
    let port = authority.rsplit(':').next().unwrap_or_default();
    let inherited = INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    Command::new(python)
        .args(["-c", WRAPPER])
        .arg(folder.join("logs"))
        .env_clear()
        .envs(inherited)
        .envs([("NO_PROXY", "localhost,127.0.0.1"), ("no_proxy", "localhost,127.0.0.1")])
        .envs([("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", KEY), ("AWS_DEFAULT_REGION", REGION)])
        .envs([("AUTH", "true"), ("BIND_HOST", "127.0.0.1"), ("GATEWAY_PORT", port)])
        // Without it the functions would talk to the real AWS.
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("TMPDIR", folder.join("tmp"))
        // Written when it is asked to end, read when it starts.
        .envs([("PERSIST_STATE", "1"), ("S3_PERSIST", "0")])
        .env("STATE_DIR", folder.join("tmp/state"))
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(Error::io("start the local AWS stand-in"))
}

/// Removes what runs that were killed could not remove themselves, and logs of the day before.
fn clean(runs: &Path) {
    for run in fs::read_dir(runs).into_iter().flatten().flatten() {
        let Ok(in_use) = File::open(run.path().join("in-use")) else { continue };
        if in_use.try_lock().is_err() {
            continue;
        }
        let _ = fs::remove_dir_all(run.path().join("tmp"));
        let age =
            in_use.metadata().and_then(|file| file.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > Duration::from_hours(24)) {
            let _ = fs::remove_dir_all(run.path());
        }
    }
}
