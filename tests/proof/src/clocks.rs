//! A clock that is off for one function, without a line in the function: it is started by a shell that
//! preloads libfaketime (<https://github.com/wolfcw/libfaketime>), where that is installed.

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

/// A folder in which every function is what it was, but token-refresh is a shell that starts it: with a
/// wrong clock if the file `clock` is there and the process has an even number.
pub(crate) fn wrapped(
    binaries: &HashMap<String, PathBuf>,
    folder: &Path,
    clock: &Path,
    library: Option<&Path>,
) -> Result<(), Failure> {
    for (name, binary) in binaries {
        let place = folder.join(name);
        let _ = fs::remove_file(&place);
        let (FUNCTION, Some(library)) = (name.as_str(), library) else {
            std::os::unix::fs::symlink(binary, &place)?;
            continue;
        };
        // A copy of its own, since a build may replace the original meanwhile.
        let binary = {
            let copy = folder.join(format!("{name}.right"));
            fs::copy(binary, &copy)?;
            copy
        };
        let script = format!(
            "#!/bin/sh\nif [ $(($$ % 2)) = 0 ] && off=$(cat '{clock}' 2>/dev/null); then\n  \
             echo $$ >> '{used}'\n  export LD_PRELOAD='{library}' FAKETIME=\"$off\" FAKETIME_DONT_FAKE_MONOTONIC=1\n\
             fi\nexec '{binary}'\n",
            clock = clock.display(),
            used = used(clock).display(),
            library = library.display(),
            binary = binary.display(),
        );
        fs::write(&place, script)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
