//! `bucketwheel doctor`: looks at a deployment from outside, from inside and with the operator's AWS
//! credentials, and explains each thing that is wrong.

mod account;
mod inside;
mod outside;

use bucketwheel::aws::Host;
use bucketwheel::ports::Edge as _;
use serde::Serialize;
use serde_json::json;

use crate::console::Console;
use crate::profile::Profile;
use crate::screen::{Screen, waiting};

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Good,
    /// It works, and somebody should look at it.
    Warning,
    Wrong,
    /// It could not be looked at.
    Skipped,
}

/// What one check brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    /// What was seen; if something is wrong, its cause.
    seen: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn good(check: &'static str, seen: impl Into<String>) -> Self {
        Self { check, state: State::Good, seen: seen.into(), remedy: None }
    }

    fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, state: State::Skipped, seen: why.into(), remedy: None }
    }

    fn wrong(check: &'static str, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, state: State::Wrong, seen: cause.into(), remedy: Some(remedy.into()) }
    }

    fn warning(check: &'static str, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state: State::Warning, ..Self::wrong(check, cause, remedy) }
    }

    fn lines(&self) -> String {
        let word = match self.state {
            State::Good => "ok",
            State::Warning => "WARNING",
            State::Wrong => "WRONG",
            State::Skipped => "skipped",
        };
        let Self { check, seen, .. } = self;
        match &self.remedy {
            None => format!("{word:<8}  {check:<15}  {seen}"),
            Some(remedy) => format!("{word:<8}  {check:<15}  {seen}\n{:27}→ {remedy}", ""),
        }
    }
}

/// Looks at everything; fails if something is wrong.
pub(crate) async fn run(profile: &Profile, screen: Screen) -> Result<(), crate::Error> {
    let bar = waiting("Looking");
    let mut findings = outside::look(profile).await?;
    if findings.iter().any(|finding| finding.check == outside::ADDRESS && finding.state == State::Wrong) {
        findings.push(Finding::skipped(inside::TOKEN, "The console cannot be asked."));
    } else {
        match Console::new(profile).await {
            Ok(console) => findings.extend(inside::look(&console, Host.now()).await),
            Err(error) => findings.push(Finding::wrong(inside::TOKEN, error.cause(), error.remedy())),
        }
    }
    findings.extend(account::look(profile).await);
    drop(bar);

    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (wrong, warnings) = (count(State::Wrong), count(State::Warning));
    let words: Vec<_> = findings.iter().map(Finding::lines).collect();
    let all = json!({ "healthy": wrong == 0, "findings": findings });
    screen.tell(&all, &words.join("\n"));
    screen.aside(&format!("\n{} checks: {wrong} wrong, {warnings} to look at.", findings.len()));
    if wrong > 0 { Err(crate::Error::Findings(wrong)) } else { Ok(()) }
}
