//! Runs template.yaml on this machine: an AWS stand-in in a private Python environment, the real
//! binaries of the functions, the Bitbucket sandbox, and one origin for the browser in front.
//!
//! ```text
//!  browser, webhooks ──► front ──► stand-in: API Gateway ──► functions ──► Bitbucket sandbox
//!  localhost:8080                  SQS, DynamoDB, Secrets Manager, Scheduler, IAM
//! ```
//!
//! Nothing in the functions knows that they are local. `stand_in.py` corrects what the stand-in gets wrong.

mod aws;
mod environment;
mod error;
mod front;
mod functions;
mod package;
mod profile;
mod stack;
mod stand_in;

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

use bucketwheel_sandbox::{Sandbox, Served, Settings, seed};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    aws::Aws,
    front::{Front, Upstream},
    stand_in::StandIn,
};
pub use crate::{
    aws::{KEY, REGION, environment, invoke, items, queue},
    error::Error,
    package::{Packaged, package},
    stack::{Outputs, STACK},
};

/// What to run and where. Ports may be 0: any free one.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port of the console and of webhooks.
    pub front_port: u16,
    /// The port of the Bitbucket sandbox.
    pub sandbox_port: u16,
    /// The port of the AWS stand-in.
    pub aws_port: u16,
    /// Where the functions look for AWS. None: at the stand-in.
    pub functions_endpoint: Option<String>,
    /// Which Bitbucket the functions talk to.
    pub bitbucket: Bitbucket,
    /// The folder for the Python environment, logs and temporary files, usually in the target folder.
    pub state: PathBuf,
    /// A folder with the functions' binaries. None: they are built.
    pub binaries: Option<PathBuf>,
    /// How often tokens that fall due are looked for, as a schedule expression of EventBridge. None: as
    /// the template says.
    pub schedule: Option<String>,
    /// Further parameters of the template; they win over what is set otherwise.
    pub parameters: Vec<(String, String)>,
}

impl Default for Options {
    /// Free ports, the sandbox, everything in `target/bucketwheel`.
    fn default() -> Self {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| project().join("target"), PathBuf::from);
        Self {
            front_port: 0,
            sandbox_port: 0,
            aws_port: 0,
            functions_endpoint: None,
            bitbucket: Bitbucket::Sandbox,
            state: target.join("bucketwheel"),
            binaries: None,
            schedule: None,
            parameters: Vec::new(),
        }
    }
}

/// Which Bitbucket the functions talk to.
#[derive(Clone)]
pub enum Bitbucket {
    /// A fake one, started here.
    Sandbox,
    /// One that exists already.
    Real {
        /// Where users authorise, without a trailing slash.
        url: String,
        /// Where the REST API is, without the version.
        api_url: String,
        /// The key of the OAuth consumer.
        consumer_key: String,
        /// The secret of the OAuth consumer.
        consumer_secret: String,
    },
}

impl fmt::Debug for Bitbucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sandbox => f.write_str("Sandbox"),
            Self::Real { url, .. } => f.debug_struct("Real").field("url", url).finish_non_exhaustive(),
        }
    }
}

/// What is being done. Shown as words for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The stand-in is downloaded and installed; happens once.
    Install,
    /// The functions are built. Cargo writes to standard error meanwhile.
    Build,
    /// The stand-in starts.
    StandIn,
    /// The template is deployed.
    Deploy,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Install => "Installing the local AWS stand-in (first run only)",
            Self::Build => "Building the functions",
            Self::StandIn => "Starting the local AWS stand-in",
            Self::Deploy => "Deploying template.yaml",
        })
    }
}

/// The running stack. Dropping it ends everything it started.
pub struct Local {
    /// Where the browser and webhooks go, without a trailing slash.
    pub public_url: String,
    /// The stand-in's address, for `AWS_ENDPOINT_URL`; its region is [`REGION`], its keys are [`KEY`].
    pub aws_endpoint: String,
    /// The sandbox's address, if there is one.
    pub sandbox_url: Option<String>,
    /// What the template put out.
    pub outputs: Outputs,
    sandbox: Option<Served>,
    front: Vec<JoinHandle<()>>,
    stand_in: Option<StandIn>,
}

/// Starts everything and returns when it can be used.
///
/// # Errors
/// See [`Error`]; whatever was started by then has been stopped.
pub async fn start(options: Options, progress: &(impl Fn(Step) + Sync)) -> Result<Local, Error> {
    // The functions run in folders of their own.
    let state = std::path::absolute(&options.state).map_err(Error::io("find the folder of this run"))?;
    // Ports first: a taken one should be known before anything is built.
    let front = Front::bind(options.front_port).await?;
    let public_url = format!("http://localhost:{}", front.port);
    let sandbox = match options.bitbucket {
        Bitbucket::Sandbox => Some(sandbox(options.sandbox_port, &public_url).await?),
        Bitbucket::Real { .. } => None,
    };

    let build = async {
        match &options.binaries {
            Some(folder) => Ok(ready_made(folder)),
            None => {
                progress(Step::Build);
                functions::build(project()).await
            }
        }
    };
    let (python, binaries) = tokio::try_join!(environment::ready(&state, progress), build)?;

    progress(Step::StandIn);
    let stand_in =
        StandIn::start(&python, &state, options.aws_port, options.functions_endpoint.clone()).await?;
    progress(Step::Deploy);
    let aws = Aws { authority: stand_in.authority.clone() };
    let parameters = parameters(&options, &public_url, sandbox.as_ref().map(Served::url));
    let outputs = stack::deploy(&aws, project(), &binaries, &parameters).await?;
    let front = front.serve(Upstream {
        authority: stand_in.authority.clone(),
        prefix: format!("/_aws/execute-api/{}/$default", outputs.api_id),
    });
    Ok(Local {
        public_url,
        aws_endpoint: format!("http://{}", stand_in.authority),
        sandbox_url: sandbox.as_ref().map(|sandbox| sandbox.url()),
        outputs,
        sandbox,
        front,
        stand_in: Some(stand_in),
    })
}

/// Builds the functions and gives where the binary of each is.
///
/// # Errors
/// See [`Error`].
pub async fn build() -> Result<HashMap<String, PathBuf>, Error> {
    functions::build(project()).await
}

impl Local {
    /// The sandbox, if there is one, to set its behaviour.
    #[must_use]
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref().map(Served::sandbox)
    }

    /// Ends everything and waits until it is gone.
    pub async fn stop(mut self) {
        self.close();
        if let Some(sandbox) = self.sandbox.take() {
            sandbox.stop().await;
        }
        if let Some(stand_in) = self.stand_in.take() {
            stand_in.stop().await;
        }
    }

    fn close(&mut self) {
        self.front.drain(..).for_each(|serving| serving.abort());
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.close();
    }
}

async fn sandbox(port: u16, public_url: &str) -> Result<Served, Error> {
    let taken = |_| Error::PortTaken { port, purpose: "the Bitbucket sandbox", option: "--sandbox-port" };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(taken)?;
    let mut settings = Settings::default();
    for consumer in &mut settings.consumers {
        consumer.callback_urls = vec![format!("{public_url}/oauth/callback")];
    }
    Sandbox::serve(listener, settings).map_err(Error::Sandbox)
}

fn parameters(options: &Options, public_url: &str, sandbox: Option<String>) -> Vec<(String, String)> {
    let sandbox = sandbox.unwrap_or_default();
    let (url, api_url, key, secret) = match &options.bitbucket {
        Bitbucket::Sandbox => (&*sandbox, &*sandbox, seed::CONSUMER_KEY, seed::CONSUMER_SECRET),
        Bitbucket::Real { url, api_url, consumer_key, consumer_secret } => {
            (&**url, &**api_url, &**consumer_key, &**consumer_secret)
        }
    };
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let fixed = [
        ("Architecture", architecture),
        ("PublicUrl", public_url),
        ("BitbucketUrl", url),
        ("BitbucketApiUrl", api_url),
        ("BitbucketConsumerKey", key),
        ("BitbucketConsumerSecret", secret),
        ("GitopsSync", "on"),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut all: HashMap<_, _> = fixed.into_iter().map(own).collect();
    all.extend(options.schedule.iter().map(|schedule| own(("RefreshSchedule", schedule))));
    all.extend(options.parameters.iter().cloned());
    all.into_iter().collect()
}

fn ready_made(folder: &Path) -> HashMap<String, PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| (file.file_name().to_string_lossy().into_owned(), file.path())).collect()
}

/// The workspace's folder.
fn project() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Bitbucket, Options, parameters};

    #[test]
    fn parameters_follow_the_options_and_the_callers_own_win() {
        let options = Options {
            schedule: Some("rate(5 minutes)".into()),
            parameters: vec![("LogLevel".into(), "debug".into()), ("PublicUrl".into(), "http://mine".into())],
            bitbucket: Bitbucket::Real {
                url: "https://bitbucket.org".into(),
                api_url: "https://api.bitbucket.org".into(),
                consumer_key: "key".into(),
                consumer_secret: "hidden".into(),
            },
            ..Options::default()
        };
        assert!(!format!("{options:?}").contains("hidden"));
        let all: HashMap<_, _> = parameters(&options, "http://localhost:8080", None).into_iter().collect();
        assert_eq!(all["RefreshSchedule"], "rate(5 minutes)");
        assert_eq!(all["PublicUrl"], "http://mine");
        assert_eq!(all["BitbucketConsumerSecret"], "hidden");
        assert_eq!(all["LogLevel"], "debug");
    }

    #[test]
    fn every_parameter_set_here_is_one_of_the_template() {
        let template = std::fs::read_to_string(super::project().join("template.yaml")).unwrap();
        let options = Options { schedule: Some(String::new()), ..Options::default() };
        for (name, _) in parameters(&options, "", Some(String::new())) {
            assert!(template.contains(&format!("\n  {name}:\n    Type: ")), "{name}");
        }
    }
}
