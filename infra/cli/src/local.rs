//! `bucketwheel local`: the whole system on this machine.

use std::path::Path;
use std::time::Duration;

use bucketwheel_local::{Bitbucket, Local, Options, Step};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::Error;
use crate::profile::{self, Profile};
use crate::screen::{Screen, say};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The port of the console and of webhooks
    #[arg(long, default_value_t = 8480)]
    port: u16,
    /// The port of the Bitbucket sandbox
    #[arg(long, default_value_t = 8481)]
    sandbox_port: u16,
    /// The port of the local AWS stand-in
    #[arg(long, default_value_t = 8482)]
    aws_port: u16,
    /// Talk to this Bitbucket instead of the sandbox
    #[arg(long, value_name = "URL", requires_all = ["consumer_key", "consumer_secret"])]
    bitbucket: Option<String>,
    /// The API of that Bitbucket
    #[arg(long, value_name = "URL", default_value = "https://api.bitbucket.org")]
    bitbucket_api: String,
    /// The key of the OAuth consumer there
    #[arg(long, env = "BITBUCKET_CONSUMER_KEY")]
    consumer_key: Option<String>,
    /// The secret of the OAuth consumer there
    #[arg(long, env = "BITBUCKET_CONSUMER_SECRET", hide_env_values = true)]
    consumer_secret: Option<String>,
}

impl Arguments {
    fn options(self) -> Options {
        let bitbucket = match (self.bitbucket, self.consumer_key, self.consumer_secret) {
            (Some(url), Some(consumer_key), Some(consumer_secret)) => {
                Bitbucket::Real { url, api_url: self.bitbucket_api, consumer_key, consumer_secret }
            }
            _ => Bitbucket::Sandbox,
        };
        Options {
            front_port: self.port,
            sandbox_port: self.sandbox_port,
            aws_port: self.aws_port,
            bitbucket,
            ..Options::default()
        }
    }
}

pub(crate) async fn run(arguments: Arguments, path: &Path, screen: Screen) -> Result<(), Error> {
    Profile::may_publish(path)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let options = arguments.options();
    let progress = Progress::new(screen);
    let show = |step| progress.begin(step);
    let starting = bucketwheel_local::start(options, &show);
    let stop = async {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.map_err(Error::Signals),
            _ = terminate.recv() => Ok(()),
        }
    };
    tokio::pin!(stop);
    let local = tokio::select! {
        local = starting => local,
        stopped = &mut stop => return stopped,
    };
    progress.end();
    let local = local?;
    let profile = local.profile();
    let published = profile::publish(&profile, path)?;
    match screen {
        Screen::Words => welcome(&local),
        Screen::Json => screen.tell_next(&profile, ""),
    }
    let stopped = stop.await;
    drop(published);
    screen.aside("\nStopping.");
    local.stop().await;
    stopped
}

fn welcome(local: &Local) {
    let Local { public_url, outputs, .. } = local;
    let queue = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
    say("\nBucketwheel is running.\n");
    say(&format!("  Credentials page  {public_url}/credentials"));
    say(&format!("  Operator token    {}", outputs.operator_token));
    say(&format!("  Webhook address   {public_url}/webhooks/bitbucket-cloud/{{credential-id}}"));
    match &local.sandbox_url {
        Some(sandbox) => {
            say(&format!("  Bitbucket         {sandbox} (sandbox; its switches: {sandbox}/_sandbox)"))
        }
        None => say("  Bitbucket         the real one"),
    }
    say(&format!("  Events queue      {}", queue(&outputs.events_queue_url)));
    say(&format!("  Calls queue       {}", queue(&outputs.calls_queue_url)));
    say(&format!("  Results queue     {}", queue(&outputs.results_queue_url)));
    say(&format!("  AWS endpoint      {}", local.aws_endpoint));
    say(&format!("  Logs              {}", local.logs().display()));
    say("\nTry, in another terminal:\n");
    say("  cargo run -- demo");
    say("  cargo run -- connect --workspace seilbahn --label \"My account\"");
    say("  cargo run -- credentials\n");
    say("Ctrl-C stops everything.");
}

/// One line per step, with a spinner on a terminal.
struct Progress {
    screen: Screen,
    current: std::sync::Mutex<Option<ProgressBar>>,
}

impl Progress {
    fn new(screen: Screen) -> Self {
        Self { screen, current: std::sync::Mutex::default() }
    }

    fn begin(&self, step: Step) {
        self.end();
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_message(step.to_string());
        // Cargo draws its own progress on the same terminal.
        if bar.is_hidden() || step == Step::Build {
            self.screen.aside(&format!("{step} …"));
        } else {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        if let Ok(mut current) = self.current.lock() {
            *current = Some(bar);
        }
    }

    fn end(&self) {
        if let Some(bar) = self.current.lock().ok().and_then(|mut current| current.take()) {
            bar.finish_and_clear();
        }
    }
}
