//! `bucketwheel dlq`: the dead letters, and sending them again.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::console::Console;
use crate::screen::{Screen, waiting};

const QUEUES: [&str; 6] = ["events", "calls", "results", "refresh", "gitops", "changes"];
/// The most that the console lists and redrives at once.
const MOST: usize = 200;
/// How often a redrive that did not come to its end is asked for again.
const ROUNDS: usize = 100;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the dead letters of a queue, or of all
    List {
        #[command(flatten)]
        filter: Filter,
        /// events, calls, results, refresh, gitops or changes; all of them if none is named
        #[arg(value_parser = QUEUES)]
        queue: Option<String>,
    },
    /// Show one dead letter with its text
    Show {
        /// events, calls, results, refresh, gitops or changes
        #[arg(value_parser = QUEUES)]
        queue: String,
        /// The letter's id
        id: String,
    },
    /// Send dead letters again. Without --yes it only says which that would be
    Redrive {
        /// events, calls, results, refresh, gitops or changes
        #[arg(value_parser = QUEUES)]
        queue: String,
        /// These letters alone; all that fit the filter if none is named
        #[arg(conflicts_with_all = ["credential", "cause", "about"])]
        ids: Vec<String>,
        #[command(flatten)]
        filter: Filter,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

/// Which letters are meant. What is not given fits everything.
#[derive(Debug, Default, Args)]
pub(crate) struct Filter {
    /// Only letters of this credential
    #[arg(long)]
    credential: Option<String>,
    /// Only letters whose cause contains this
    #[arg(long)]
    cause: Option<String>,
    /// Only letters whose line in the list contains this
    #[arg(long)]
    about: Option<String>,
}

impl Filter {
    fn fits(&self, letter: &Value) -> bool {
        let has = |field: &str, wanted: &Option<String>| {
            let found = letter[field].as_str().unwrap_or_default();
            wanted.as_ref().is_none_or(|wanted| found.contains(wanted.as_str()))
        };
        let credential = self.credential.as_ref().is_none_or(|id| letter["credential"] == id.as_str());
        credential && has("cause", &self.cause) && has("about", &self.about)
    }

    fn is_empty(&self) -> bool {
        self.credential.is_none() && self.cause.is_none() && self.about.is_none()
    }
}

pub(crate) async fn obey(console: &Console, screen: Screen, verb: Verb) -> Result<(), crate::Error> {
    match verb {
        Verb::List { filter, queue } => list(console, screen, &filter, queue).await,
        Verb::Show { queue, id } => {
            let letter = console.dead_letter(&queue, &id).await?;
            screen.tell(&letter, &format!("{letter:#}"));
            Ok(())
        }
        Verb::Redrive { queue, ids, filter, yes } => {
            if filter.is_empty() {
                return redrive(console, screen, &queue, &ids, yes).await;
            }
            match fitting(console, screen, &queue, &filter).await?.as_slice() {
                [] => {
                    screen.tell(&json!({"dry_run": !yes, "letters": []}), "No dead letter fits.");
                    Ok(())
                }
                ids => redrive(console, screen, &queue, ids, yes).await,
            }
        }
    }
}

async fn list(
    console: &Console,
    screen: Screen,
    filter: &Filter,
    queue: Option<String>,
) -> Result<(), crate::Error> {
    let mut rows = Vec::new();
    for queue in QUEUES.iter().filter(|name| queue.as_deref().is_none_or(|queue| queue == **name)) {
        let letters = console.dead_letters(queue, MOST).await?;
        let total = letters.total;
        let shown = letters.values.len();
        for mut letter in letters.values.into_iter().filter(|letter| filter.fits(letter)) {
            letter["queue"] = json!(queue);
            rows.push(letter);
        }
        looked_at(screen, queue, shown, total);
    }
    let columns = [
        ("QUEUE", "/queue"),
        ("LETTER", "/id"),
        ("SENT", "/sent_at"),
        ("CREDENTIAL", "/credential"),
        ("CAUSE", "/cause"),
        ("ABOUT", "/about"),
    ];
    screen.table(&rows, &columns, "No dead letters.");
    Ok(())
}

/// Says so where there are more than are looked at.
fn looked_at(screen: Screen, queue: &str, shown: usize, total: u64) {
    if total > shown as u64 {
        screen.aside(&format!("Of the {total} dead letters of {queue} the first {shown} were looked at."));
    }
}

async fn fitting(
    console: &Console,
    screen: Screen,
    queue: &str,
    filter: &Filter,
) -> Result<Vec<String>, crate::Error> {
    let letters = console.dead_letters(queue, MOST).await?;
    looked_at(screen, queue, letters.values.len(), letters.total);
    let fitting = letters.values.iter().filter(|letter| filter.fits(letter));
    Ok(fitting.filter_map(|letter| letter["id"].as_str().map(str::to_owned)).collect())
}

async fn redrive(
    console: &Console,
    screen: Screen,
    queue: &str,
    ids: &[String],
    yes: bool,
) -> Result<(), crate::Error> {
    let wish = match ids {
        [] => json!({"all": true, "dry_run": !yes}),
        ids => json!({"ids": ids, "dry_run": !yes}),
    };
    let bar = waiting("Looking for the letters");
    let mut letters = Vec::new();
    let mut last = Value::Null;
    for _ in 0..ROUNDS {
        last = console.redrive(queue, &wish).await?;
        letters.extend(last["letters"].as_array().cloned().unwrap_or_default());
        bar.set_message(format!("{} letters", letters.len()));
        // All of a long queue takes several rounds. Ids are met in the first, or not at all.
        if !yes || last["complete"] == true || !ids.is_empty() {
            break;
        }
    }
    drop(bar);
    last["letters"] = json!(letters);
    let count = letters.len();
    let words = match (yes, count) {
        (_, 0) => "There is nothing to send again.".to_owned(),
        (true, _) => format!("Sent again to the {queue} queue: {count}."),
        (false, _) => format!("Would be sent again to the {queue} queue: {count}. Add --yes to do it."),
    };
    if screen == Screen::Words && !yes {
        let columns = [("LETTER", "/id"), ("SENT", "/sent_at"), ("CAUSE", "/cause"), ("ABOUT", "/about")];
        if count > 0 {
            screen.table(&letters, &columns, "");
        }
    }
    screen.tell(&last, &words);
    let missing = last["missing"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let missing: Vec<_> = missing.map(str::to_owned).collect();
    if missing.is_empty() { Ok(()) } else { Err(crate::Error::Missing(missing)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_asks_for_all_that_it_names() {
        let letter = json!({"credential": "c-1", "cause": "not JSON", "about": "GET user"});
        let filter = |credential: Option<&str>, cause: Option<&str>, about: Option<&str>| Filter {
            credential: credential.map(str::to_owned),
            cause: cause.map(str::to_owned),
            about: about.map(str::to_owned),
        };
        assert!(Filter::default().fits(&letter) && Filter::default().is_empty());
        assert!(filter(Some("c-1"), Some("JSON"), Some("user")).fits(&letter));
        assert!(!filter(Some("c"), None, None).fits(&letter), "an id is meant whole");
        assert!(!filter(Some("c-1"), Some("denied"), None).fits(&letter));
        assert!(!filter(None, None, Some("POST")).fits(&json!({"about": null})));
    }
}
