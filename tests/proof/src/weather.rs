//! What goes wrong and when, drawn from a seed before the storm begins.

use std::time::Duration;

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::way::{Blocked, Obstacle};

/// A fault.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// One process of a function gets SIGKILL: the one at this place among them, counted round.
    Kill(&'static str, usize),
    /// The stand-in for AWS is stopped (SIGSTOP) and goes on (SIGCONT): everything hangs.
    Freeze,
    /// The stand-in is ended, stays away and is started again. Every function dies with it.
    Restart,
    /// A service fails on the functions' way to it.
    Aws(Blocked),
    /// Bitbucket fails: a name for people, and the sandbox's switches.
    Bitbucket(&'static str, Value),
    /// The clock of every second process of token-refresh that starts meanwhile is off by so many seconds.
    Clock(i64),
}

impl Fault {
    /// As the table names it.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Kill(function, _) => format!("SIGKILL {function}"),
            Self::Freeze => "AWS frozen".to_owned(),
            Self::Restart => "AWS stopped and started".to_owned(),
            Self::Aws(Blocked { service, obstacle, .. }) => {
                let how = match obstacle {
                    Obstacle::Down => "unavailable",
                    Obstacle::Throttled => "throttled",
                    Obstacle::Slow => "slow",
                    Obstacle::Lost => "answers lost",
                    Obstacle::Swallowed => "silent",
                    Obstacle::Unanswered => "silent after its work",
                };
                format!("{service} {how}")
            }
            Self::Bitbucket(name, _) => format!("Bitbucket {name}"),
            Self::Clock(_) => "token-refresh's clock off".to_owned(),
        }
    }
}

/// A fault that begins so long after the one before it in its row, and lasts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Episode {
    pub(crate) after: Duration,
    pub(crate) fault: Fault,
    pub(crate) lasts: Duration,
}

/// Rows of episodes that take place side by side.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Forecast {
    pub(crate) kills: Vec<Episode>,
    pub(crate) aws: Vec<Episode>,
    pub(crate) bitbucket: Vec<Episode>,
    pub(crate) clocks: Vec<Episode>,
}

/// What may go wrong besides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// How long it storms.
    pub(crate) lasts: Duration,
    /// Whether workers are killed, by a signal or with all of AWS. What such a one held is hidden on the calls
    /// queue for six minutes.
    pub(crate) workers_die: bool,
    /// Whether there are means to set a clock wrong.
    pub(crate) clocks: bool,
}

/// Draws what goes wrong.
pub(crate) fn forecast(seed: u64, terms: Terms) -> Forecast {
    const FUNCTIONS: [&str; 8] = [
        "webhook-ingest",
        "webhook-ingest",
        "webhook-ingest",
        "token-refresh",
        "token-refresh",
        "console",
        "oauth-callback",
        "api-worker",
    ];
    let functions = if terms.workers_die { &FUNCTIONS[..] } else { &FUNCTIONS[..7] };
    let kill = |dice: &mut Dice| Episode {
        after: Duration::from_millis(dice.between(300, 4_000)),
        fault: Fault::Kill(dice.one_of(functions), dice.one_of(&[0, 1, 2, 3, 4, 5, 6, 7])),
        lasts: Duration::ZERO,
    };
    let clock = |dice: &mut Dice| Episode {
        after: seconds(dice.between(1, 10)),
        fault: Fault::Clock(dice.one_of(&[-240, -60, 60, 240])),
        lasts: seconds(dice.between(10, 60)),
    };
    let none = if terms.clocks { terms.lasts } else { Duration::ZERO };
    Forecast {
        kills: row(&mut Dice::new(seed, 1), terms.lasts, kill),
        aws: row(&mut Dice::new(seed, 2), terms.lasts, |dice| aws(dice, terms.workers_die)),
        bitbucket: row(&mut Dice::new(seed, 3), terms.lasts, bitbucket),
        clocks: row(&mut Dice::new(seed, 4), none, clock),
    }
}

fn row(dice: &mut Dice, lasts: Duration, draw: impl Fn(&mut Dice) -> Episode) -> Vec<Episode> {
    let (mut episodes, mut at) = (Vec::new(), Duration::ZERO);
    loop {
        let episode = draw(dice);
        at += episode.after + episode.lasts;
        if at > lasts {
            return episodes;
        }
        episodes.push(episode);
    }
}

fn aws(dice: &mut Dice, workers_die: bool) -> Episode {
    let after = Duration::from_millis(dice.between(1_000, 6_000));
    let (fault, most) = match dice.below(10) {
        0 if workers_die => (Fault::Restart, 5),
        0 | 1 => (Fault::Freeze, 8),
        _ => {
            let obstacles = [
                Obstacle::Down,
                Obstacle::Throttled,
                Obstacle::Slow,
                Obstacle::Lost,
                Obstacle::Swallowed,
                Obstacle::Unanswered,
            ];
            let blocked = Blocked {
                service: dice.one_of(&["AmazonSQS", "DynamoDB", "DynamoDB", "secretsmanager"]),
                obstacle: dice.one_of(&obstacles),
                one_in: dice.one_of(&[1, 2, 3, 10]),
            };
            (Fault::Aws(blocked), 12)
        }
    };
    Episode { after, fault, lasts: seconds(dice.between(1, most)) }
}

fn bitbucket(dice: &mut Dice) -> Episode {
    let many = 1_000_000;
    let status = |status: u16, html: bool| json!({"count": many, "status": status, "html": html});
    let lost = |when: &str| json!({"count": many, "when": when});
    let both = |failure: Value| json!({"fail_token_endpoint": failure, "fail_api": failure});
    let (name, switches) = match dice.below(7) {
        0 => ("slow", json!({"slow_ms": {"token": 3_000, "api": 3_000}})),
        1 => ("silent", json!({"slow_ms": {"token": 60_000, "api": 60_000}})),
        2 => ("answers 500", both(status(500, true))),
        3 => {
            let mut limited = both(status(429, false));
            limited["retry_after_seconds"] = json!(5);
            ("answers 429", limited)
        }
        4 => ("answers with a page", both(status(200, true))),
        5 => (
            "loses requests",
            json!({"lose_answer": lost("before_commit"), "lose_api_answer": lost("before_commit")}),
        ),
        _ => (
            "loses answers",
            json!({"lose_answer": lost("after_commit"), "lose_api_answer": lost("after_commit")}),
        ),
    };
    Episode {
        after: Duration::from_millis(dice.between(1_000, 8_000)),
        fault: Fault::Bitbucket(name, switches),
        lasts: seconds(dice.between(2, 15)),
    }
}

/// The sandbox's switches without any fault.
pub(crate) fn fair() -> Value {
    json!({
        "fail_token_endpoint": null, "fail_api": null, "lose_answer": null, "lose_api_answer": null,
        "retry_after_seconds": null, "slow_ms": {"token": 0, "api": 0},
    })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { lasts: Duration::from_secs(1_800), workers_die: true, clocks: true };

    #[test]
    fn a_seed_gives_the_same_weather_again_and_another_one_another() {
        assert_eq!(forecast(7, TERMS), forecast(7, TERMS));
        assert_ne!(forecast(7, TERMS), forecast(8, TERMS));
    }

    #[test]
    fn half_an_hour_has_every_fault() {
        let Forecast { kills, aws, bitbucket, clocks } = forecast(7, TERMS);
        let all = kills.iter().chain(&aws).chain(&bitbucket).chain(&clocks);
        let kinds: std::collections::BTreeSet<_> = all.map(|episode| episode.fault.words()).collect();
        assert_eq!(kinds.len(), 5 + 1 + 1 + 18 + 7 + 1, "{kinds:#?}");
    }

    #[test]
    fn short_weather_kills_no_worker() {
        let mild = forecast(7, Terms { workers_die: false, clocks: false, ..TERMS });
        assert!(mild.kills.iter().all(|episode| !matches!(episode.fault, Fault::Kill("api-worker", _))));
        assert!(mild.aws.iter().all(|episode| episode.fault != Fault::Restart));
        assert!(mild.clocks.is_empty());
    }
}
