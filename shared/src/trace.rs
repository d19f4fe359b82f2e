//! The trace context of W3C: one id for a delivery and everything that comes of it
//! (<https://www.w3.org/TR/trace-context/#traceparent-header>).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// A `traceparent` of version 00: `00-{trace id}-{span id}-{flags}`, in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace(String);

impl Trace {
    /// A trace that begins here.
    pub fn new(random: [u8; 24]) -> Self {
        let (trace, span) = random.split_at(16);
        Self(format!("00-{}-{}-00", hex::encode(trace), hex::encode(span)))
    }

    /// Reads a `traceparent`. Of what is not one, nothing is kept, as the standard asks.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('-').collect();
        let [version, trace, span, flags] = parts[..] else { return None };
        let right = version == "00" && is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2);
        right.then(|| Self(text.to_owned()))
    }

    /// Goes on with X-Ray's trace, of which `X-Amzn-Trace-Id` carries the id as `Root=1-{8}-{24}`
    /// (<https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>).
    pub fn from_xray(header: &str, random: [u8; 24]) -> Option<Self> {
        let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root=1-"))?;
        let trace = root.split_once('-').map(|(time, rest)| format!("{time}{rest}"))?;
        let span = hex::encode(&random[..8]);
        let sampled = header.split(';').any(|part| part.trim() == "Sampled=1");
        Self::parse(&format!("00-{trace}-{span}-0{}", u8::from(sampled)))
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id that all of a trace share.
    pub fn id(&self) -> &str {
        &self.0[3..35]
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads an optional `traceparent`; one that is wrong is left out and does no harm.
pub fn lenient<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Trace>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.and_then(|text| Trace::parse(&text)))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// An id of nothing but noughts is none.
fn is_id(text: &str, length: usize) -> bool {
    is_hex(text, length) && text.bytes().any(|b| b != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_taken_as_it_is_or_not_at_all() {
        let trace = Trace::parse(GIVEN).expect("a context");
        assert_eq!((trace.as_str(), trace.id()), (GIVEN, "4bf92f3577b34da6a3ce929d0e0e4736"));
        let wrong = [
            "",
            "00",
            &GIVEN.to_uppercase(),
            &GIVEN.replace("00-4b", "01-4b"),
            &GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GIVEN.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &format!("{GIVEN}-more"),
            "00-é-00f067aa0ba902b7-01",
        ];
        for wrong in wrong {
            assert_eq!(Trace::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_that_is_made_can_be_read() {
        let made = Trace::new([7; 24]);
        assert_eq!(Trace::parse(made.as_str()), Some(made));
    }

    #[test]
    fn the_trace_of_x_ray_goes_on() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let trace = Trace::from_xray(header, [1; 24]).expect("a context");
        assert_eq!(trace.as_str(), "00-5759e988bd862e3fe1be46a994272793-0101010101010101-01");
        assert_eq!(Trace::from_xray("Root=1-5759e988", [1; 24]), None);
        assert_eq!(Trace::from_xray("Self=1-a-b", [1; 24]), None);
    }
}
