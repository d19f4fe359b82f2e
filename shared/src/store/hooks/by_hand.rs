//! A hook that Bitbucket does not let the credential register, so that a person does.

use jiff::Timestamp;

use super::{Attached, HookSecrets, SealedSecret};

/// A rotation is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret is being replaced: wait until a delivery has come with the new one")]
pub struct UnderWay;

impl HookSecrets {
    /// Whether a person registers one of the hooks.
    pub fn by_hand(&self) -> bool {
        self.hooks.iter().any(|hook| hook.by_hand)
    }

    /// Attaches a subject whose hook a person registers, with this secret: it becomes the newest one. The
    /// one before is accepted too, until the next is made. Refused while a hook that is not made by hand may
    /// need both.
    pub fn attach_by_hand(
        &mut self,
        subject: &str,
        events: &[String],
        secret: impl FnOnce(u64) -> SealedSecret,
        now: Timestamp,
    ) -> Result<(), UnderWay> {
        let newest = self.newest();
        if self.secrets.len() > 1 {
            let told = |hook: &Attached| !hook.by_hand && hook.registered == newest;
            match self.matched {
                Some(matched) if matched == newest => self.secrets.retain(|secret| secret.version == newest),
                _ if self.hooks.iter().any(told) => return Err(UnderWay),
                // Shown, and used by nobody.
                _ => self.secrets.retain(|secret| secret.version != newest),
            }
        }
        self.secrets.insert(0, secret(newest + 1));
        self.made_at = now;
        self.attach(subject, events);
        for hook in self.hooks.iter_mut().filter(|hook| hook.subject == subject) {
            (hook.by_hand, hook.registered, hook.problem) = (true, newest + 1, None);
        }
        Ok(())
    }
}
