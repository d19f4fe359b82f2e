//! How long a message is hidden before it comes again.

use jiff::SignedDuration;

/// The longest wait that grows by itself.
const LONGEST: u32 = 900;

/// Seconds to hide a message that was received so many times: as long as was asked for, else two seconds
/// and twice as long each time. Up to a fifth is added or up to a half taken off by chance, so that
/// messages which began to wait together do not all come back together.
pub(crate) fn seconds(asked: Option<SignedDuration>, receives: u32, random: [u8; 1]) -> u32 {
    let chance = u32::from(random[0]);
    match asked {
        Some(asked) => {
            let asked = u32::try_from((asked.as_millis() + 999) / 1000).unwrap_or(0);
            asked + (asked.min(300) / 5) * chance / 255
        }
        None => {
            let whole = 2_u32.saturating_pow(receives.clamp(1, 10)).min(LONGEST);
            (whole - whole / 2 * chance / 255).max(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_never_end_early_if_somebody_named_them() {
        assert_eq!(seconds(None, 1, [0]), 2);
        assert_eq!(seconds(None, 1, [255]), 1);
        assert_eq!((seconds(None, 5, [0]), seconds(None, 5, [255])), (32, 16));
        assert_eq!(seconds(None, 40, [0]), LONGEST);
        let asked = |ms| Some(SignedDuration::from_millis(ms));
        assert_eq!((seconds(asked(17_000), 9, [0]), seconds(asked(17_000), 9, [255])), (17, 20));
        assert_eq!(seconds(asked(1), 1, [0]), 1);
        assert_eq!(seconds(asked(-5), 1, [0]), 0);
    }
}
