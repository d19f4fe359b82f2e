//! The functions' binaries: built with the workspace, put into the archives that Lambda takes.

use std::{
    collections::HashMap,
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
    process::Stdio,
};

use bytes::Bytes;
use tokio::process::Command;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::Error;

/// Builds every binary of the workspace and returns where each of them is.
///
/// The whole workspace, because features are then chosen as for `cargo run`, and what that has compiled
/// is not compiled again. (`cargo test` shares all but what a dev-dependency adds a feature to.) What
/// cargo says goes to our standard error.
pub(crate) async fn build(project: &Path) -> Result<HashMap<String, PathBuf>, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--bins", "--message-format=json-render-diagnostics"]).current_dir(project);
    // `cargo run` describes the running package in the environment, and build scripts that look there
    // would find a change and run again.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|p| name.starts_with(p))
        {
            command.env_remove(&*name);
        }
    }
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(Error::io("run cargo"))?;
    let output = child.wait_with_output().await.map_err(Error::io("read what cargo built"))?;
    if !output.status.success() {
        return Err(Error::Build { status: output.status });
    }
    Ok(executables(&output.stdout))
}

fn executables(messages: &[u8]) -> HashMap<String, PathBuf> {
    let messages = messages.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    messages
        .filter_map(|message: serde_json::Value| {
            let executable = message["executable"].as_str()?;
            Some((message["target"]["name"].as_str()?.to_owned(), executable.into()))
        })
        .collect()
}

/// The archive that Lambda takes: the binary, executable, under the name `bootstrap`. The same binary gives
/// the same bytes.
pub(crate) fn archive(binary: &Path, method: CompressionMethod) -> Result<Bytes, Error> {
    let what = || format!("archive {}", binary.display());
    let content = fs::read(binary).map_err(Error::io(what()))?;
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .compression_level((method == CompressionMethod::Deflated).then_some(9))
        .unix_permissions(0o755)
        .last_modified_time(zip::DateTime::default());
    let mut archive = ZipWriter::new(Cursor::new(Vec::with_capacity(content.len() + 1024)));
    archive
        .start_file("bootstrap", options)
        .and_then(|()| Ok(archive.write_all(&content)?))
        .and_then(|()| archive.finish())
        .map(|archive| archive.into_inner().into())
        .map_err(|error| Error::io(what())(error.into()))
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, path::Path};

    use zip::CompressionMethod;

    use super::{archive, executables};

    #[test]
    fn executables_are_read_from_cargos_messages() {
        let messages = br#"
{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"console"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"console"},"executable":"/t/debug/console"}
{"reason":"build-finished","success":true}
"#;
        let found = executables(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(found["console"], Path::new("/t/debug/console"));
    }

    #[test]
    fn an_archive_holds_an_executable_bootstrap_and_is_reproducible() {
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let bytes = archive(&binary, CompressionMethod::Deflated).unwrap();
        assert_eq!(bytes, archive(&binary, CompressionMethod::Deflated).unwrap());
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let file = zip.by_name("bootstrap").unwrap();
        assert_eq!(file.unix_mode().unwrap() & 0o777, 0o755);
        assert_eq!(file.size(), binary.metadata().unwrap().len());
    }
}
