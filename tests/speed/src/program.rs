//! A program that is measured: started as Lambda starts it, with its memory and its sizes looked up.

use std::error::Error;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use crate::runtime::{Invocation, Runtime};
use crate::settings::Variables;

/// What is measured.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// What Lambda would run.
    pub(crate) command: Vec<PathBuf>,
    pub(crate) environment: Variables,
    /// What its answer must hold: a program that fails quickly is not quick.
    pub(crate) proof: &'static str,
    /// The files that are deployed. None where that is not ours to say.
    pub(crate) deployed: Option<PathBuf>,
}

/// An environment that has come up.
#[derive(Debug)]
pub(crate) struct Environment<'p> {
    program: &'p Program,
    runtime: Runtime,
    child: Child,
    spawned: Instant,
    /// From the spawn to the first poll.
    pub(crate) init: Duration,
}

impl Program {
    /// Starts an environment and waits for its first poll. With a share, the process gets so much of one
    /// core from its first instruction on.
    pub(crate) fn start(&self, share: Option<&Share>) -> Result<Environment<'_>, Box<dyn Error>> {
        let runtime = Runtime::start()?;
        let [program, arguments @ ..] = &*self.command else { return Err("nothing to run".into()) };
        let mut command = match share {
            // The shell joins the group and becomes the program.
            Some(share) => {
                let mut shell = Command::new("/bin/sh");
                shell.arg("-c").arg(format!("echo $$ > {} && exec \"$@\"", share.joined().display()));
                shell.arg("sh").arg(program);
                shell
            }
            None => Command::new(program),
        };
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", runtime.address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let spawned = Instant::now();
        let child = command.spawn()?;
        let mut environment =
            Environment { program: self, runtime, child, spawned, init: Duration::default() };
        let polled = environment.runtime.polled().map_err(|error| format!("{}: {error}", self.name))?;
        environment.init = polled - spawned;
        Ok(environment)
    }

    /// The sizes of what is deployed, in bytes: as it is, and zipped.
    pub(crate) fn sizes(&self) -> Result<Option<(u64, u64)>, Box<dyn Error>> {
        let Some(path) = &self.deployed else { return Ok(None) };
        let bytes = fs::read(path)?;
        Ok(Some((bytes.len() as u64, zipped(&bytes)? as u64)))
    }
}

fn zipped(bytes: &[u8]) -> Result<usize, Box<dyn Error>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_level(Some(9));
    zip.start_file("bootstrap", options)?;
    zip.write_all(bytes)?;
    Ok(zip.finish()?.into_inner().len())
}

impl Environment<'_> {
    /// Hands out one event; fails if the answer is not what it should be.
    pub(crate) fn invoke(&self, event: &Arc<[u8]>) -> Result<Invocation, Box<dyn Error>> {
        let invocation =
            self.runtime.invoke(event).map_err(|error| format!("{}: {error}", self.program.name))?;
        let answer = String::from_utf8_lossy(&invocation.answer);
        if !answer.replace(' ', "").contains(self.program.proof) {
            return Err(format!("{} answered {answer}", self.program.name).into());
        }
        Ok(invocation)
    }

    /// From the spawn to a moment.
    pub(crate) fn since_spawn(&self, moment: Instant) -> Duration {
        moment - self.spawned
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn peak_memory(&self) -> io::Result<u64> {
        self.kib("VmHWM:")
    }

    /// The memory that it has, in KiB.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        self.kib("VmRSS:")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn kib(&self, field: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| io::Error::other("the kernel does not tell the memory"))
    }
}

impl Drop for Environment<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A share of one core, as Lambda gives it to a function of little memory: one full core at 1,769 MB, a
/// fourteenth of it at 128 MB (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>).
#[derive(Debug)]
pub(crate) struct Share {
    group: PathBuf,
}

/// The kernel takes the processor away for the rest of each period, in microseconds.
const PERIOD: u64 = 20_000;

impl Share {
    /// A group of processes that gets one part in `parts` of a core; none where this user may not make one.
    pub(crate) fn new(parts: u64) -> Option<Self> {
        let quota = PERIOD / parts;
        let name = format!("bucketwheel-speed-{}", std::process::id());
        // Version 1 of the kernel's interface has a folder for the processor; version 2 has one for all.
        let group = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"].map(|root| Path::new(root).join(&name));
        let share = Self { group: group.into_iter().find(|group| fs::create_dir(group).is_ok())? };
        let set = |file: &str, value: String| fs::write(share.group.join(file), value);
        let old = || {
            set("cpu.cfs_period_us", PERIOD.to_string())?;
            set("cpu.cfs_quota_us", quota.to_string())
        };
        set("cpu.max", format!("{quota} {PERIOD}")).or_else(|_| old()).ok()?;
        Some(share)
    }

    fn joined(&self) -> PathBuf {
        self.group.join("cgroup.procs")
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.group);
    }
}
