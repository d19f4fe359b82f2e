//! What is done to functions without a line in them: each is started by a shell. It gives each process an address
//! of AWS with a path of its own, by which the way to AWS knows it, and sets the clock of one function wrong: by
//! libfaketime (<https://github.com/wolfcw/libfaketime>), where that is installed.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::storm::used;

/// Whose clock it is.
pub(crate) const FUNCTION: &str = "token-refresh";
/// Where Debian, Fedora and Homebrew put it.
const LIBRARIES: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/opt/homebrew/lib/faketime/libfaketimeMT.1.dylib",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
];

/// The library, if it is installed.
pub(crate) fn library() -> Option<&'static Path> {
    LIBRARIES.iter().map(Path::new).find(|path| path.exists())
}

/// A folder in which every function is a shell that starts it; token-refresh with a wrong clock if the file
/// `clock` is there and the process has an even number.
pub(crate) fn wrapped(
    binaries: &HashMap<String, PathBuf>,
    folder: &Path,
    clock: &Path,
    library: Option<&Path>,
) -> Result<(), Failure> {
    for (name, binary) in binaries {
        let place = folder.join(name);
        // A copy of its own, since a build may replace the original meanwhile.
        let copy = folder.join(format!("{name}.right"));
        fs::copy(binary, &copy)?;
        let wrong = match library.filter(|_| name == FUNCTION) {
            Some(library) => format!(
                "if [ $(($$ % 2)) = 0 ] && off=$(cat '{clock}' 2>/dev/null); then\n  \
                 echo $$ >> '{used}'\n  \
                 export LD_PRELOAD='{library}' FAKETIME=\"$off\" FAKETIME_DONT_FAKE_MONOTONIC=1\nfi\n",
                clock = clock.display(),
                used = used(clock).display(),
                library = library.display(),
            ),
            None => String::new(),
        };
        let script = format!(
            "#!/bin/sh\nexport AWS_ENDPOINT_URL=\"${{AWS_ENDPOINT_URL%/}}/$$\"\n{wrong}exec '{}'\n",
            copy.display()
        );
        fs::write(&place, script)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
