//! Small pieces that several pages are made of.

use bucketwheel::call::Problem;
use bucketwheel::credential::Health;
use jiff::Timestamp;
use maud::{Markup, html};

/// A time, to the minute. The script shows it in the reader's zone, and the exact one on hovering.
pub(super) fn moment(time: Timestamp) -> Markup {
    html! { time datetime=(time) title=(time) { (time.strftime("%Y-%m-%d %H:%M UTC")) } }
}

/// A time as seen from now: "3 min ago". The exact one is told on hovering.
pub(super) fn ago(time: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(time) title=(time) data-relative { (distance(time, now)) } }
}

/// How far a time is from now, in its largest unit.
pub(super) fn distance(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(time).as_secs();
    let (far, ahead) = (seconds.unsigned_abs(), seconds < 0);
    let text = match far {
        0..60 if ahead => return "in a moment".to_owned(),
        0..60 => return "just now".to_owned(),
        60..3_600 => format!("{} min", far / 60),
        3_600..36_000 => match far / 60 % 60 {
            0 => format!("{} h", far / 3_600),
            minutes => format!("{} h {minutes} min", far / 3_600),
        },
        36_000..172_800 => format!("{} h", far / 3_600),
        _ => format!("{} days", far / 86_400),
    };
    if ahead { format!("in {text}") } else { format!("{text} ago") }
}

/// What a state is worth: it decides the colour and the shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warn,
    Bad,
    Off,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
            Tone::Off => "off",
        }
    }

    /// The outline of its shape, in a square of 10 by 10.
    fn shape(self) -> &'static str {
        match self {
            Tone::Good => "M5 0a5 5 0 1 0 0 10A5 5 0 1 0 5 0z",
            Tone::Warn => "M5 .5 10 9.5H0z",
            Tone::Bad => "M0 0h10v10H0z",
            Tone::Off => "M5 0a5 5 0 1 0 0 10A5 5 0 1 0 5 0zm0 2a3 3 0 1 1 0 6 3 3 0 1 1 0-6z",
        }
    }
}

impl From<Health> for Tone {
    fn from(health: Health) -> Self {
        match health {
            Health::Up => Tone::Good,
            Health::Degraded => Tone::Warn,
            Health::Down => Tone::Bad,
            Health::Disabled => Tone::Off,
        }
    }
}

/// A state, told by a shape and a word: colour alone would not reach everybody.
pub(super) fn badge(tone: Tone, word: &str) -> Markup {
    html! {
        span.state.(tone.class()) {
            svg viewBox="0 0 10 10" aria-hidden="true" { path fill-rule="evenodd" d=(tone.shape()); }
            (word)
        }
    }
}

/// A credential's state.
pub(super) fn state(health: Health) -> Markup {
    badge(Tone::from(health), health.word())
}

/// A button that copies a text. Without script it is not there.
pub(super) fn copy(text: &str, what: &str) -> Markup {
    html! { button.copy type="button" data-copy=(text) aria-label={ "Copy " (what) } hidden { "Copy" } }
}

/// A text to be copied, on a line of its own.
pub(super) fn copyable(text: &str, what: &str) -> Markup {
    html! { span.copyable.block { code { (text) } (copy(text, what)) } }
}

/// A text to be copied, inside a line.
pub(super) fn copyable_inline(text: &str, what: &str) -> Markup {
    html! { span.copyable { code { (text) } (copy(text, what)) } }
}

/// What stands where a list would be.
pub(super) fn empty(title: &str, more: &Markup) -> Markup {
    html! { div.empty { strong { (title) } (more) } }
}

/// What could not be done, above the form that asked for it.
pub(super) fn trouble(problem: &Problem) -> Markup {
    html! {
        p.banner.bad role="alert" data-code=(problem.code) { strong { (problem.cause) } " " (problem.resolution) }
    }
}

/// The heading of a page, with the way up and what can be done.
pub(super) fn heading(up: Option<(&str, &str)>, title: &Markup, does: &Markup) -> Markup {
    html! {
        @if let Some((address, name)) = up { p.crumbs { a href=(address) { (name) } } }
        div.title { (title) div.does { (does) } }
    }
}

/// A table whose rows become blocks on a narrow screen. The roles keep it a table for screen readers,
/// which browsers would otherwise forget (<https://adrianroselli.com/2018/02/tables-css-display-properties-and-aria.html>).
pub(super) fn table<const N: usize>(
    caption: &str,
    columns: [&str; N],
    rows: impl IntoIterator<Item = [Markup; N]>,
) -> Markup {
    html! {
        table.rows role="table" {
            caption { (caption) }
            thead role="rowgroup" {
                tr role="row" { @for column in columns { th scope="col" role="columnheader" { (column) } } }
            }
            tbody role="rowgroup" {
                @for row in rows {
                    tr role="row" {
                        @for (at, (title, cell)) in columns.into_iter().zip(row).enumerate() {
                            @if at == 0 {
                                th scope="row" role="rowheader" { (cell) }
                            } @else {
                                td role="cell" data-title=(title) { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One field of a form.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) title: &'a str,
    pub(super) hint: &'a str,
    pub(super) value: &'a str,
    pub(super) required: bool,
}

impl Field<'_> {
    pub(super) fn show(&self) -> Markup {
        let Field { name, title, hint, value, required } = *self;
        let hint_id = format!("{name}-hint");
        html! {
            div.field {
                label for=(name) { (title) @if !required { span.faint { " (optional)" } } }
                input id=(name) name=(name) value=(value) required[required] maxlength="2000"
                    autocomplete="off" aria-describedby=[(!hint.is_empty()).then_some(hint_id.as_str())];
                @if !hint.is_empty() { span.hint id=(hint_id) { (hint) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn a_time_is_shown_in_utc_and_told_exactly() {
        let time: Timestamp = "2026-11-21T05:10:09.5Z".parse().expect("a time");
        assert_eq!(
            moment(time).into_string(),
            "<time datetime=\"2026-11-21T05:10:09.5Z\" title=\"2026-11-21T05:10:09.5Z\">2026-11-21 05:10 UTC</time>"
        );
    }

    #[test]
    fn a_distance_is_told_in_its_largest_unit() {
        for (second, text) in [
            (1_000_000, "just now"),
            (999_941, "just now"),
            (999_940, "1 min ago"),
            (1_000_030, "in a moment"),
            (1_000_060, "in 1 min"),
            (996_400, "1 h ago"),
            (1_005_999, "in 1 h 39 min"),
            (1_000_000 - 47 * 3_600, "47 h ago"),
            (1_000_000 - 48 * 3_600, "2 days ago"),
            (1_000_000 + 90 * 86_400, "in 90 days"),
        ] {
            assert_eq!(distance(at(second), at(1_000_000)), text);
        }
    }

    #[test]
    fn each_state_has_its_own_shape_and_its_word() {
        let all = [Health::Up, Health::Degraded, Health::Down, Health::Disabled];
        let shown = all.map(|health| state(health).into_string());
        for (health, html) in all.iter().zip(&shown) {
            assert!(html.ends_with(&format!("</svg>{}</span>", health.word())), "{html}");
        }
        let shapes = shown.map(|html| html.split(" d=").nth(1).map(str::to_owned));
        assert_eq!(shapes.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }
}
