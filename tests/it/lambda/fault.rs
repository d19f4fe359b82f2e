//! What can go wrong at a step of a function, and when.

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The function is killed before the request takes effect.
    KilledBefore,
    /// The function is killed after the request took effect.
    KilledAfter,
    /// The connection breaks before the request takes effect.
    LostBefore,
    /// The request takes effect, and the connection breaks before the answer.
    LostAfter,
    /// The request takes effect, and Bitbucket says that it took too long.
    TookTooLong,
    /// The request takes effect, and Bitbucket answers it with this body in this `Content-Encoding`.
    Answered(&'static str, &'static [u8]),
}

pub(crate) const FAULTS: [Fault; 5] =
    [Fault::KilledBefore, Fault::KilledAfter, Fault::LostBefore, Fault::LostAfter, Fault::TookTooLong];

/// Asked at each step, with the names of all so far: what goes wrong now.
pub(crate) type Trouble = Box<dyn Fn(&[String]) -> Option<Fault> + Send + Sync>;

/// Nothing goes wrong.
pub(crate) fn no_trouble() -> Trouble {
    Box::new(|_| None)
}

/// Something goes wrong at a step, from 0 on.
pub(super) fn trouble_at(step: usize, fault: Fault) -> Trouble {
    Box::new(move |steps| (steps.len() == step + 1).then_some(fault))
}
