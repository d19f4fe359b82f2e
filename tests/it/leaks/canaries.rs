//! Secrets that are looked for, in each of their spellings.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// So many bytes of a spelling are enough to be found: more than any public prefix of a token has.
const PART: usize = 24;

/// Where a text was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Log,
    /// A line of a log that CloudWatch makes metrics of.
    Metric,
    /// A page of the console, an answer of its API, or what the command says.
    Page,
    /// The page of a connect link, and its answers: its holder sees the link.
    Link,
    Error,
    /// What was asked of the table or written into it, and what is left there.
    Table,
    Crash,
    /// A queue by its word: `calls`, or `dead calls` for its dead letters.
    Queue(String),
}

impl Place {
    /// Whether it is one of these queues, or the dead letters of one.
    pub(super) fn is_queue(&self, words: &[&str]) -> bool {
        matches!(self, Place::Queue(word) if words.contains(&word.trim_start_matches("dead ")))
    }
}

/// Whether a secret belongs somewhere.
type Belongs = fn(&Place) -> bool;

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Canaries {
    names: Vec<(String, Belongs)>,
    values: BTreeMap<String, usize>,
    /// Each part of each spelling, and whose it is.
    parts: HashMap<Vec<u8>, usize>,
}

impl Canaries {
    /// Looks for this everywhere.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.add_but(name, value, |_| false);
    }

    /// Looks for this everywhere but where it belongs.
    pub(super) fn add_but(&mut self, name: &str, value: &str, belongs: Belongs) {
        assert!(value.len() >= PART, "{name} is too short to be recognised: {}", value.len());
        if self.values.contains_key(value) {
            return;
        }
        let number = self.names.len();
        self.values.insert(value.to_owned(), number);
        self.names.push((name.to_owned(), belongs));
        for spelling in spellings(value.as_bytes()) {
            for part in spelling.windows(PART) {
                self.parts.entry(part.to_vec()).or_insert(number);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Looks for what is no secret and is everywhere, by which it is known that a place was really searched.
    pub(super) fn control(&mut self, value: &str) {
        self.add_but(value, value, |_| true);
    }

    /// Whether a control is in a text.
    pub(super) fn sees(&self, control: &str, text: &str) -> bool {
        self.values.get(control).is_some_and(|number| self.within(text).contains_key(number))
    }

    /// What of it is in a text where it does not belong.
    pub(super) fn found(&self, place: &Place, text: &str) -> Vec<String> {
        let leaks = self.within(text).into_iter().filter(|(number, _)| !(self.names[*number].1)(place));
        leaks
            .map(|(number, at)| {
                let from = text.floor_char_boundary(at.saturating_sub(160));
                let to = text.floor_char_boundary((at + 60).min(text.len()));
                format!("{} in {place:?}: …{}…", self.names[number].0, &text[from..to])
            })
            .collect()
    }

    /// What is in a text, by its number, and where it is first.
    fn within(&self, text: &str) -> BTreeMap<usize, usize> {
        let mut found = BTreeMap::new();
        for (at, window) in text.as_bytes().windows(PART).enumerate() {
            if let Some(number) = self.parts.get(window) {
                found.entry(*number).or_insert(at);
            }
        }
        found
    }
}

/// A secret as it may be written: base64 cuts three bytes at a time, so it looks different by where it
/// begins.
pub(super) fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![secret.to_vec()];
    for skipped in 0..3.min(secret.len()) {
        // The last characters depend on what follows.
        let whole = secret[skipped..].len() / 3 * 3;
        let whole = &secret[skipped..skipped + whole];
        all.extend([STANDARD.encode(whole).into_bytes(), URL_SAFE.encode(whole).into_bytes()]);
    }
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    all.extend([hex.to_uppercase().into_bytes(), hex.into_bytes()]);
    let escaped = |every: bool| {
        let one = |byte: &u8| {
            let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
            if plain && !every { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
        };
        secret.iter().map(one).collect::<String>().into_bytes()
    };
    all.extend([escaped(false), escaped(true)]);
    all
}

#[test]
fn a_part_of_a_secret_is_found_in_each_spelling_and_in_the_middle_of_a_text() {
    let secret = "canary/0123456789+abcdefghijklmnop=qrstuvwxyz";
    let mut canaries = Canaries::default();
    canaries.add("the canary", secret);
    let inside = format!("xy{secret}z");
    let cut = &secret[5..35];
    for text in [
        secret.to_owned(),
        format!("error: {cut} …"),
        STANDARD.encode(&inside),
        URL_SAFE.encode(&inside[1..]),
        inside.bytes().map(|byte| format!("{byte:02x}")).collect(),
        inside.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        "canary%2F0123456789%2Babcdefghij".to_owned(),
    ] {
        assert_eq!(canaries.found(&Place::Log, &text).len(), 1, "{text}");
    }
    assert!(canaries.found(&Place::Log, "canary/0123456789+abcde").is_empty(), "23 are not enough");
    let payload = "a payload that belongs on the queue";
    canaries.add_but("a payload", payload, |place| place.is_queue(&["events"]));
    for (queue, leaks) in [("events", 0), ("dead events", 0), ("results", 1)] {
        assert_eq!(canaries.found(&Place::Queue(queue.to_owned()), payload).len(), leaks, "{queue}");
    }
    canaries.control("something that is everywhere");
    assert!(canaries.found(&Place::Log, "something that is everywhere").is_empty());
    assert!(canaries.sees("something that is everywhere", "and something that is everywhere too"));
}
