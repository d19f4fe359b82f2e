//! A private Python environment with the AWS stand-in in it.
//!
//! It is made once, from pinned packages whose hashes are checked, and lives below the target folder:
//! `cargo clean` removes it, and nothing is installed for the person or the system.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::{Error, Step};

const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Written last: an environment without it was left half-made.
const COMPLETE: &str = "complete";

/// The oldest `python3` may be too old (macOS ships 3.9) while a newer one stands beside it.
const CANDIDATES: [&str; 7] =
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];

/// Prints one line that identifies the interpreter, then whether it can make environments.
const PROBE: &str = "
import importlib.util, sys
assert sys.version_info >= (3, 10)
print(sys.executable, sys.version.replace('\\n', ' '))
print(all(importlib.util.find_spec(name) for name in ('venv', 'ensurepip')))
";

/// Returns the path of a Python that can run the stand-in, after installing it if need be.
pub(crate) async fn ready(state: &Path, progress: &(impl Fn(Step) + Sync)) -> Result<PathBuf, Error> {
    let (python, identity) = python().await?;
    let digest = Sha256::new().chain_update(REQUIREMENTS).chain_update(identity).finalize();
    let name = format!("stand-in-{}", hex::encode(&digest[..6]));
    let home = state.join(&name);

    fs::create_dir_all(state).map_err(Error::io(format!("make the folder {}", state.display())))?;
    let _one_at_a_time = lock(state.join(format!("{name}.lock"))).await?;
    let interpreter = home.join("bin/python");
    if home.join(COMPLETE).exists() && interpreter.exists() {
        return Ok(interpreter);
    }

    progress(Step::Install);
    if home.exists() {
        fs::remove_dir_all(&home).map_err(Error::io(format!("remove {}", home.display())))?;
    }
    let log = state.join(format!("{name}.log"));
    let output = File::create(&log).map_err(Error::io(format!("write {}", log.display())))?;
    run(Command::new(python).args(["-m", "venv"]).arg(&home), &output, &log).await?;
    let requirements = home.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).map_err(Error::io(format!("write {}", requirements.display())))?;
    run(
        Command::new(&interpreter)
            .args(["-m", "pip", "install", "--no-input", "--no-compile", "--disable-pip-version-check"])
            .args(["--progress-bar", "off", "--retries", "2", "--no-deps", "--require-hashes", "-r"])
            .arg(&requirements),
        &output,
        &log,
    )
    .await?;
    File::create(home.join(COMPLETE)).map_err(Error::io(format!("write into {}", home.display())))?;
    Ok(interpreter)
}

/// Finds an interpreter. Its identity is part of the environment's name, because an environment
/// does not survive a change of the interpreter it was made with.
async fn python() -> Result<(&'static str, String), Error> {
    for candidate in CANDIDATES {
        let probe = Command::new(candidate)
            .args(["-c", PROBE])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        let Some(probe) = probe.ok().filter(|probe| probe.status.success()) else { continue };
        let answer = String::from_utf8_lossy(&probe.stdout).into_owned();
        if !answer.trim_end().ends_with("True") {
            return Err(Error::VenvMissing);
        }
        return Ok((candidate, answer));
    }
    Err(Error::PythonMissing)
}

/// Waits until no other process makes the same environment. The lock goes with the file.
async fn lock(path: PathBuf) -> Result<File, Error> {
    let what = format!("lock {}", path.display());
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::create(path)?;
        file.lock()?;
        Ok(file)
    });
    locked.await.map_err(std::io::Error::other).flatten().map_err(Error::io(what))
}

async fn run(command: &mut Command, output: &File, log: &Path) -> Result<(), Error> {
    let handle = || output.try_clone().map_err(Error::io("share a log file"));
    let status = command
        .env("PYTHONNOUSERSITE", "1")
        .stdin(Stdio::null())
        .stdout(handle()?)
        .stderr(handle()?)
        .kill_on_drop(true)
        .status()
        .await
        .map_err(Error::io("run Python"))?;
    if status.success() {
        return Ok(());
    }
    let said = fs::read_to_string(log).unwrap_or_default();
    Err(Error::Install { detail: complaint(&said), log: log.to_owned() })
}

/// The installer's first complaint that tells more than that it retries.
fn complaint(log: &str) -> String {
    let line = log.lines().find(|line| line.starts_with("ERROR:") || line.contains("Error:"));
    line.or_else(|| log.lines().last())
        .unwrap_or("it said nothing")
        .trim_start_matches("ERROR:")
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::{REQUIREMENTS, complaint};

    #[test]
    fn every_requirement_is_pinned_and_hashed() {
        let mut packages = 0;
        for requirement in REQUIREMENTS.replace("\\\n", " ").lines() {
            if requirement.starts_with(['#', '-']) || requirement.trim().is_empty() {
                continue;
            }
            packages += 1;
            assert!(requirement.contains("=="), "{requirement}");
            assert!(requirement.contains("--hash=sha256:"), "{requirement}");
        }
        assert!(packages > 20);
    }

    #[test]
    fn the_complaint_is_what_helps() {
        let log = "WARNING: Retrying (Retry(total=1))\nERROR: Could not find a version that satisfies x\nERROR: No y\n";
        assert_eq!(complaint(log), "Could not find a version that satisfies x");
        assert_eq!(complaint("one\ntwo"), "two");
        assert_eq!(complaint(""), "it said nothing");
    }
}
