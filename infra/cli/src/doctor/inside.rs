//! What the console can see of its own deployment.

use bucketwheel::call::{Outcome, Problem};
use bucketwheel::credential::{Credential, Health, Missing};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Finding;
use crate::console::{self, Console, Error};

pub(super) const TOKEN: &str = "operator token";
const CLOCKS: &str = "clocks";
const SCHEDULES: &str = "schedules";
const QUEUES: &str = "dead letters";
const WORKER: &str = "calls";
const CREDENTIALS: &str = "credentials";
const BUDGET: &str = "budget";

/// Two clocks may differ by ten minutes before token rotation suffers; half of that is a reason to act.
const WORST_SKEW: SignedDuration = SignedDuration::from_mins(5);

pub(super) async fn look(console: &Console, now: Timestamp) -> Vec<Finding> {
    let health = match console.health().await {
        Ok(health) => health,
        Err(error) => return vec![refused(&error)],
    };
    let mut findings = vec![Finding::good(TOKEN, "the console accepts it")];
    findings.push(clocks("the console's", health.now, now));
    findings.extend(schedules(&health));
    findings.extend(asked(QUEUES, console.queues().await, |queues| dead_letters(&queues)));
    findings.push(worker(console.call(&probe()).await));
    findings.extend(asked(CREDENTIALS, console.credentials(&[]).await, |all| credentials(&all)));
    findings.extend(asked(BUDGET, console.budget().await, |used| budget(&used)));
    findings
}

fn asked<T>(
    check: &'static str,
    answer: Result<T, Error>,
    findings: impl FnOnce(T) -> Vec<Finding>,
) -> Vec<Finding> {
    match answer {
        Ok(answer) => findings(answer),
        Err(error) => {
            let remedy = "The console may not do this, or what it asks is away. Look into its log group, \
                          /aws/lambda/<stack>-console; after an AccessDenied, deploy the template again.";
            vec![Finding::wrong(check, error.to_string(), remedy)]
        }
    }
}

/// Why the console did not answer the first question.
fn refused(error: &Error) -> Finding {
    match error {
        Error::Refused(Problem { code, .. }) if code == "not_signed_in" => Finding::wrong(
            TOKEN,
            "The console does not accept the operator token.",
            "Write the profile anew, or correct operator_token in it. A new token is known to every process within \
             a minute.",
        ),
        Error::Refused(Problem { code, .. }) if code == "no_such_page" => Finding::wrong(
            TOKEN,
            "The console does not know this question: it is older than this command.",
            "Deploy the version that this command belongs to.",
        ),
        error => Finding::wrong(
            TOKEN,
            format!("The console fails: {error}"),
            "Look into its log group, /aws/lambda/<stack>-console. It needs its table and the operator secret.",
        ),
    }
}

pub(super) fn clocks(whose: &str, there: Timestamp, here: Timestamp) -> Finding {
    let skew = there.duration_since(here).abs();
    if skew > WORST_SKEW {
        let cause = format!("{whose} clock and this machine's differ by {} seconds.", skew.as_secs());
        let remedy = "Set this machine's clock. If it is right, say so to AWS or Atlassian: sessions, states and \
                      token rotation rest on the time.";
        return Finding::wrong(CLOCKS, cause, remedy);
    }
    Finding::good(CLOCKS, format!("{whose} clock differs by {} seconds at most", skew.as_secs() + 1))
}

fn schedules(health: &console::Health) -> Vec<Finding> {
    let late = health.schedules.iter().filter_map(|schedule| {
        let name = &schedule.name;
        // Only the deployment itself knows how old it is.
        let (finding, cause): (fn(_, _, _) -> _, _) = match schedule.last_run {
            None => {
                (Finding::warning, format!("{name} has not run yet. After a deployment, wait ten minutes."))
            }
            Some(last) => match health.now.duration_since(last) {
                silence if silence.as_secs() <= schedule.late_after_seconds => return None,
                silence => (Finding::wrong, format!("{name} last ran {} minutes ago.", silence.as_mins())),
            },
        };
        let remedy = format!(
            "Look whether the schedule <stack>-{} is enabled in \
             EventBridge Scheduler, and into the log group /aws/lambda/<stack>-{}.",
            name, schedule.function,
        );
        Some(finding(SCHEDULES, cause, remedy))
    });
    let late: Vec<_> = late.collect();
    if late.is_empty() {
        let names: Vec<_> = health.schedules.iter().map(|schedule| schedule.name.as_str()).collect();
        return vec![Finding::good(SCHEDULES, format!("{} ran lately", names.join(", ")))];
    }
    late
}

fn dead_letters(queues: &[Value]) -> Vec<Finding> {
    let dead = queues.iter().filter_map(|queue| {
        let (name, dead) = (queue["name"].as_str()?, queue["dead"].as_u64()?);
        let cause = match dead {
            0 => return None,
            1 => format!("1 message of the {name} queue is a dead letter."),
            dead => format!("{dead} messages of the {name} queue are dead letters."),
        };
        let remedy = format!(
            "See why with `bucketwheel dlq list {name}`, mend that, then send them again with `bucketwheel dlq \
             redrive {name}`."
        );
        Some(Finding::wrong(QUEUES, cause, remedy))
    });
    let dead: Vec<_> = dead.collect();
    if dead.is_empty() {
        let depths: Vec<_> =
            queues.iter().map(|queue| format!("{} {}", text(&queue["name"]), queue["waiting"])).collect();
        return vec![Finding::good(QUEUES, format!("none; waiting: {}", depths.join(", ")))];
    }
    dead
}

/// A call of a credential that does not exist goes over the queue to the worker and comes back refused:
/// nothing reaches Bitbucket.
fn probe() -> Value {
    json!({ "credential": "doctor", "call": { "method": "GET", "path": "user" } })
}

fn worker(outcome: Result<Outcome, Error>) -> Finding {
    match outcome {
        Ok(_) => Finding::good(WORKER, "a call went over the queue to the worker and back"),
        Err(Error::NoOutcome(_)) => Finding::wrong(
            WORKER,
            "The worker took no call from the queue for half a minute.",
            "Look whether the event source mapping of <stack>-api-worker on the calls queue is enabled, and into \
             the log group /aws/lambda/<stack>-api-worker.",
        ),
        Err(error) => Finding::wrong(
            WORKER,
            format!("A call could not be submitted: {error}"),
            "Look into the log group /aws/lambda/<stack>-console.",
        ),
    }
}

fn credentials(all: &[Value]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in all {
        let Ok(credential) = serde_json::from_value::<Credential>(one.clone()) else {
            let cause = format!("Credential {} cannot be understood.", text(&one["id"]));
            findings.push(Finding::warning(
                CREDENTIALS,
                cause,
                "Use the command of the version that is deployed.",
            ));
            continue;
        };
        let (health, name) = (credential.status.health, format!("{} ({})", credential.label, credential.id));
        if let Some(cause) = credential.status.cause {
            let finding = if health == Health::Down { Finding::wrong } else { Finding::warning };
            let seen = format!("{name} is {}: {}", health.word(), cause.sentence());
            findings.push(finding(CREDENTIALS, seen, cause.resolution().to_owned()));
        }
        for Missing { scope, lost } in credential.missing() {
            let seen = format!("{name} lacks the scope {scope}: no {lost}.");
            let remedy = "Add it to the OAuth consumer or the token, then reconnect.".to_owned();
            findings.push(Finding::warning(CREDENTIALS, seen, remedy));
        }
        if let Some((cause, resolution)) = credential.sight.explanation() {
            findings.push(Finding::warning(CREDENTIALS, format!("{name}: {cause}"), resolution));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::good(CREDENTIALS, format!("{}, all well", all.len())));
    }
    findings
}

fn budget(told: &Value) -> Vec<Finding> {
    let allowances = told["allowances"].as_array().map(Vec::as_slice).unwrap_or_default();
    let used = |line: &Value| {
        let name = text(&line["allowance"]);
        format!("{name} {} of {} in the last hour", line["requests_last_hour"], line["allowed_per_hour"])
    };
    let full = allowances.iter().filter_map(|line| {
        let free_at = line["free_at"].as_str()?;
        let remedy = format!(
            "Calls wait by themselves and go on at {free_at}. If that happens often, use `fields` and `pagelen`, or ask \
             Atlassian for a higher limit and set CallsPerHour."
        );
        Some(Finding::warning(BUDGET, format!("There is no room: {}.", used(line)), remedy))
    });
    let full: Vec<_> = full.collect();
    if full.is_empty() {
        let used: Vec<_> = allowances.iter().map(used).collect();
        return vec![Finding::good(BUDGET, used.join(", "))];
    }
    full
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
