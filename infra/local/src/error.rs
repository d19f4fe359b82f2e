//! Why the stack cannot run here, and what to do about it: one line each.

use std::{io, path::PathBuf, process::ExitStatus};

/// Why [`start`](crate::start) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no Python that could run the stand-in.
    #[error("Python 3.10 or newer was not found")]
    PythonMissing,
    /// Debian and Ubuntu ship Python without the module that makes virtual environments.
    #[error("this Python cannot make virtual environments")]
    VenvMissing,
    /// Packages could not be downloaded or installed.
    #[error("the local AWS stand-in could not be installed ({detail})")]
    Install {
        /// What the installer said last.
        detail: String,
        /// Its whole output.
        log: PathBuf,
    },
    /// Somebody else listens on a port that was asked for.
    #[error("port {port}, for {purpose}, is taken")]
    PortTaken {
        /// The port.
        port: u16,
        /// What would have listened there.
        purpose: &'static str,
        /// The option of the command line that chooses another one.
        option: &'static str,
    },
    /// `cargo build` failed; it has already told the person why.
    #[error("the functions could not be built ({status})")]
    Build {
        /// How cargo ended.
        status: ExitStatus,
    },
    /// The template names a function that the workspace does not build.
    #[error("template.yaml deploys functions/{function}/, but no binary `{function}` was built")]
    BinaryMissing {
        /// The function's folder, and so the name its binary must have.
        function: String,
    },
    /// The stand-in ended before it answered, or never answered.
    #[error("the local AWS stand-in did not start ({detail})")]
    StandIn {
        /// What is known about it.
        detail: String,
        /// What it wrote.
        log: PathBuf,
    },
    /// The stand-in refused a request.
    #[error("the local AWS stand-in answered {status} to {request}: {answer}")]
    Refused {
        /// What was asked.
        request: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of its answer.
        answer: String,
    },
    /// The stand-in could not be asked.
    #[error("the local AWS stand-in could not be asked for {request}")]
    Unreachable {
        /// What was asked.
        request: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A resource of the template could not be created.
    #[error("template.yaml could not be deployed: {reason}")]
    Deploy {
        /// The resources that failed and why.
        reason: String,
    },
    /// The Bitbucket sandbox could not be started.
    #[error("the Bitbucket sandbox did not start")]
    Sandbox(#[source] bucketwheel_sandbox::Error),
    /// A file or a process could not be used.
    #[error("could not {what}")]
    Io {
        /// What was tried, as words that follow "could not".
        what: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        let remedy = match self {
            Self::PythonMissing => {
                "install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python3) and run again"
            }
            Self::VenvMissing => {
                "install the module (Debian, Ubuntu: apt install python3-venv) and run again"
            }
            Self::Install { log, .. } => {
                return format!(
                    "the first run needs the internet, later ones do not; details: {}",
                    log.display()
                );
            }
            Self::PortTaken { option, .. } => {
                return format!("stop what uses it or choose another with `{option} N`");
            }
            Self::Build { .. } => "see what cargo said above",
            Self::BinaryMissing { .. } => "build it, and name the folder with the binaries",
            Self::StandIn { log, .. } => return format!("look into its log, {}", log.display()),
            Self::Refused { .. } | Self::Unreachable { .. } => "run again; if it stays so, look into its log",
            Self::Deploy { .. } => "correct template.yaml, or the log of the function that is named",
            Self::Sandbox(_) => "choose another port with `--sandbox-port N`",
            Self::Io { .. } => "see to it that this is possible, then run again",
        };
        remedy.to_owned()
    }

    /// For `map_err`: what was tried goes in, as words that follow "could not".
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn messages_are_one_line_with_a_remedy() {
        for (error, wanted) in [
            (Error::PythonMissing, "apt install python3"),
            (Error::VenvMissing, "apt install python3-venv"),
            (Error::Install { detail: "no route".into(), log: "x.log".into() }, "internet"),
            (Error::PortTaken { port: 8080, purpose: "the console", option: "--port" }, "`--port N`"),
            (Error::StandIn { detail: "it ended".into(), log: "x.log".into() }, "x.log"),
        ] {
            let text = format!("{error}; {}", error.remedy());
            assert!(error.remedy().contains(wanted), "{text}");
            assert!(!text.contains('\n') && !text.contains("  "), "{text}");
        }
    }
}
