//! What to do with a pair that was bought and not stored.

use serde::{Deserialize, Serialize};

use super::chain::{Chain, RunId};

/// Where a pair comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The consent under which it was bought.
    pub consent: u64,
    /// The generation whose token bought it.
    pub generation: u64,
    /// The claim under which it was bought.
    pub intent: RunId,
    /// Which attempt at that token it was: of two pairs that one token bought, the later may have revoked
    /// the earlier. Messages of older versions do not say.
    #[serde(default)]
    pub attempt: u32,
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Adoption {
    /// The claim still stands: commit it.
    Commit,
    /// Somebody took over: keep it beside what they have or will have.
    Keep,
    /// The chain has moved on or belongs to another consent, or a better pair is kept.
    Drop,
}

/// Decides it.
pub fn adopt(chain: Option<&Chain>, origin: &Origin) -> Adoption {
    let Some(chain) = chain.filter(|chain| chain.consent == origin.consent) else { return Adoption::Drop };
    let behind = chain.generation.checked_sub(origin.generation);
    match behind {
        Some(0) if chain.intent.is_some_and(|intent| intent.id == origin.intent) => Adoption::Commit,
        Some(0 | 1) if !chain.keeps_better(origin) => Adoption::Keep,
        _ => Adoption::Drop,
    }
}
