//! What must hold for any bytes. Each function here takes what a fuzzer gives it and hands it to the
//! product's own functions; `tests/it/fuzz.rs` hands the same functions the corpora, with every `cargo test`.

mod calls;
mod connects;
mod deliveries;
mod secrets;

pub use calls::{api_answer, call};
pub use connects::{connect, token_answer};
pub use deliveries::{envelope, events, filter, request, signature};
pub use secrets::sealed;

/// The bytes up to a line's end, as text, and those behind it.
fn line(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&data[..end]).ok()?, &data[end + 1..]))
}
