//! A token chain as a small picture: how long the access token lives, and how long the chain does.

use bucketwheel::rotation::{Forecast, IDLE_LIMIT, Outlook};
use jiff::Timestamp;
use maud::{Markup, html};

use super::parts::{ago, distance};

/// A point on a line.
#[derive(Clone, Copy)]
enum Mark {
    /// The newest rotation.
    Rotated,
    /// The next one.
    Next,
    /// The end.
    End,
}

/// One line, to scale: from its begin to its end, with now on it.
struct Line<'a> {
    title: &'a str,
    begin: Timestamp,
    next: Option<Timestamp>,
    end: Timestamp,
    now: Timestamp,
    begins: &'a str,
    ends: &'a str,
    tone: &'a str,
}

/// The picture.
pub(super) fn show(forecast: &Forecast, renews_itself: bool, now: Timestamp) -> Markup {
    let tone = match forecast.outlook {
        Outlook::Sound => "",
        Outlook::Endangered | Outlook::Expiring | Outlook::Doubtful => "warn",
        Outlook::Ended => "bad",
    };
    let (begin, due) = (forecast.rotated_at, forecast.due_at);
    let token = forecast.access_expires_at.map(|end| Line {
        title: "Access token",
        begin,
        // A token made by hand is looked at, not rotated.
        next: due.filter(|due| renews_itself && *due <= end),
        end,
        now,
        begins: "issued",
        ends: if end > now { "expires" } else { "expired" },
        tone: if end > now { tone } else { "bad" },
    });
    let chain = forecast.idle_days_left.map(|_| Line {
        title: "Refresh token",
        begin,
        next: due,
        end: begin.checked_add(IDLE_LIMIT).unwrap_or(begin),
        now,
        begins: "rotated",
        ends: "Bitbucket drops it, if it is not used",
        tone,
    });
    html! {
        @for line in token.iter().chain(&chain) { (line.show()) }
    }
}

impl Line<'_> {
    /// Where a time is on the line, in percent.
    fn place(&self, time: Timestamp) -> i64 {
        let whole = self.end.duration_since(self.begin).as_secs().max(1);
        (time.duration_since(self.begin).as_secs() * 100 / whole).clamp(0, 100)
    }

    fn show(&self) -> Markup {
        let now = self.place(self.now);
        // The word stays inside the picture.
        let anchor = if now < 10 {
            "start"
        } else if now > 90 {
            "end"
        } else {
            "middle"
        };
        let at = |percent: i64| format!("{percent}%");
        let words = format!(
            "{}: {} {}, now at {now} percent of its life, {} {}",
            self.title,
            self.begins,
            distance(self.begin, self.now),
            self.ends,
            distance(self.end, self.now),
        );
        html! {
            div.line.(self.tone) {
                h3 { (self.title) }
                svg role="img" aria-label=(words) {
                    rect.track x="0" y="24" width="100%" height="8" rx="4" {}
                    rect.past x="0" y="24" width=(at(now)) height="8" rx="4" {}
                    (symbol(Mark::Rotated, "0%", 28))
                    @if let Some(next) = self.next { (symbol(Mark::Next, &at(self.place(next)), 28)) }
                    (symbol(Mark::End, "100%", 28))
                    svg x=(at(now)) y="0" overflow="visible" { rect.now x="-1" y="17" width="2" height="22" {} }
                    text x=(at(now)) y="12" text-anchor=(anchor) { "now" }
                }
                ul {
                    li { (key(Mark::Rotated)) span { (self.begins) " " (ago(self.begin, self.now)) } }
                    @if let Some(next) = self.next {
                        li { (key(Mark::Next)) span { "next rotation " (ago(next, self.now)) } }
                    }
                    li { (key(Mark::End)) span { (self.ends) " " (ago(self.end, self.now)) } }
                }
            }
        }
    }
}

/// A mark around a point of the picture. The inner picture takes a place in percent; its paths need numbers.
fn symbol(mark: Mark, x: &str, y: i64) -> Markup {
    let outline = match mark {
        Mark::Rotated => "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
        Mark::Next => "M0-7 7 0 0 7-7 0z",
        Mark::End => "M-4-7h8v14h-8z",
    };
    html! { svg x=(x) y=(y) overflow="visible" { path.mark d=(outline) {} } }
}

/// The same mark, in the words below.
fn key(mark: Mark) -> Markup {
    html! { svg viewBox="-8 -8 16 16" aria-hidden="true" { (symbol(mark, "0", 0)) } }
}
