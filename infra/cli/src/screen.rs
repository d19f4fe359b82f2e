//! What a command says: words and tables for people, JSON for machines.

use std::io::{self, Write as _};
use std::process;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish};
use jiff::Timestamp;
use serde_json::Value;

/// As a shell counts a program that ended because its reader had gone: 128 and SIGPIPE.
const READER_GONE: i32 = 141;

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    /// A person.
    Words,
    /// A program, which asked with `--json`.
    Json,
}

/// A column of a table: its title, and where its value stands in a row, as a JSON pointer (RFC 6901).
pub(crate) type Column = (&'static str, &'static str);

/// Between two columns.
const GAP: &str = "  ";

impl Screen {
    /// Tells one thing: all of it to programs, in words to people.
    pub(crate) fn tell(self, thing: &Value, words: &str) {
        match self {
            Screen::Words => say(words),
            Screen::Json => say(&format!("{thing:#}")),
        }
    }

    /// Tells one of many things that come one after the other: to programs on a line of its own.
    pub(crate) fn tell_next(self, thing: &Value, words: &str) {
        match self {
            Screen::Words => say(words),
            Screen::Json => say(&thing.to_string()),
        }
    }

    /// Tells things of one form, or `nothing` if there are none.
    pub(crate) fn table(self, rows: &[Value], columns: &[Column], nothing: &str) {
        match self {
            Screen::Json => say(&format!("{:#}", Value::from(rows))),
            Screen::Words if rows.is_empty() => say(nothing),
            Screen::Words => drawn(rows, columns).iter().for_each(|line| say(line)),
        }
    }

    /// Tells programs of one of many things, of which people were told in words.
    pub(crate) fn for_programs(self, thing: &Value) {
        if self == Screen::Json {
            self.tell_next(thing, "");
        }
    }

    /// Says something that only people want to know.
    pub(crate) fn aside(self, words: &str) {
        if self == Screen::Words {
            say(words);
        }
    }
}

/// The lines of a table. Every column is as wide as its widest value.
fn drawn(rows: &[Value], columns: &[Column]) -> Vec<String> {
    let titles: Vec<String> = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let cells = rows.iter().map(|row| columns.iter().map(|(_, at)| cell(row.pointer(at))).collect());
    let lines: Vec<Vec<String>> = std::iter::once(titles).chain(cells).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded: Vec<_> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join(GAP).trim_end().to_owned()
    };
    lines.iter().map(line).collect()
}

/// A value on one line. What came from elsewhere must not steer the terminal.
fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.parse().map_or_else(|_| text.clone(), moment),
        Some(other) => other.to_string(),
    };
    harmless(&text)
}

/// A text from elsewhere, so that it cannot steer the terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A time as people read it.
pub(crate) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Prints one line.
pub(crate) fn say(line: &str) {
    print(&format!("{line}\n"));
}

/// Prints. If whoever read has gone, as `head` does, there is nothing left to do.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(gone) if gone.kind() == io::ErrorKind::BrokenPipe => process::exit(READER_GONE),
        Err(error) => {
            complain(&format!("bucketwheel: the output cannot be written: {error}"));
            process::exit(1);
        }
    }
}

/// Says what went wrong. If nobody hears it, the number that the command ends with remains.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// On a terminal, shows that something takes its time, until it is dropped.
pub(crate) fn waiting(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear).with_message(what);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_value_and_nothing_steers_the_terminal() {
        let rows = [
            json!({"id": "c-1", "status": {"health": "up"}, "label": "Ü\u{1b}[31m"}),
            json!({"id": "credential-2", "status": {"health": "degraded"}, "label": ""}),
        ];
        let columns = [("ID", "/id"), ("STATE", "/status/health"), ("LABEL", "/label"), ("N", "/none")];
        assert_eq!(
            drawn(&rows, &columns),
            [
                "ID            STATE     LABEL   N",
                "c-1           up        Ü [31m  -",
                "credential-2  degraded  -       -",
            ]
        );
    }
}
