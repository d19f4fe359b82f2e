//! Bitbucket's token endpoint as the facts leave it open: every behaviour that has been documented or seen.

use super::Token;

/// What a spent token brings when it comes again inside its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Replay {
    Same,
    Sibling,
    Revoking,
}

/// What a refresh answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Answers {
    Successor,
    SameToken,
    NoToken,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Variant {
    pub(crate) grace: i64,
    pub(crate) replay: Replay,
    pub(crate) family: bool,
    pub(crate) answers: Answers,
    pub(crate) lockout: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Unused,
    UsedAt(i64),
    Killed,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Issued {
    pub(crate) consent: u8,
    pub(crate) parent: Option<Token>,
    pub(crate) successor: Option<Token>,
    pub(crate) standing: Standing,
}

#[derive(Debug, Clone)]
pub(crate) struct Provider {
    pub(crate) tokens: Vec<Issued>,
    pub(crate) locked_until: i64,
}

impl Provider {
    pub(crate) fn consent(&mut self, consent: u8) -> Token {
        self.issue(Issued { consent, parent: None, successor: None, standing: Standing::Unused })
    }

    fn issue(&mut self, issued: Issued) -> Token {
        self.tokens.push(issued);
        Token::try_from(self.tokens.len() - 1).expect("few tokens")
    }

    pub(crate) fn of(&self, token: Token) -> &Issued {
        &self.tokens[usize::from(token)]
    }

    /// Whether the token would buy a pair, but for a lockout.
    pub(crate) fn serves(&self, token: Token, now: i64, variant: &Variant) -> bool {
        match self.of(token).standing {
            Standing::Unused => true,
            Standing::UsedAt(at) => now < at + variant.grace,
            Standing::Killed => false,
        }
    }

    /// A refresh: the refresh token of the new pair, or no.
    pub(crate) fn spend(&mut self, token: Token, now: i64, variant: &Variant) -> Option<Token> {
        let issued = *self.of(token);
        match issued.standing {
            Standing::UsedAt(at) if now >= at + variant.grace => {
                if variant.family {
                    let family = self.tokens.iter_mut().filter(|other| other.consent == issued.consent);
                    family.for_each(|other| other.standing = Standing::Killed);
                }
                self.locked_until = self.locked_until.max(now + variant.lockout);
                None
            }
            Standing::Killed => None,
            _ if now < self.locked_until => None,
            Standing::Unused if variant.answers != Answers::Successor => Some(token),
            Standing::Unused => {
                let successor = self.descend(token, issued.consent);
                let spent = &mut self.tokens[usize::from(token)];
                (spent.standing, spent.successor) = (Standing::UsedAt(now), Some(successor));
                Some(successor)
            }
            Standing::UsedAt(_) => Some(match variant.replay {
                Replay::Same => issued.successor.expect("a used token has a successor"),
                Replay::Sibling => self.descend(token, issued.consent),
                Replay::Revoking => {
                    self.kill_descendants(token);
                    self.descend(token, issued.consent)
                }
            }),
        }
    }

    fn descend(&mut self, parent: Token, consent: u8) -> Token {
        self.issue(Issued { consent, parent: Some(parent), successor: None, standing: Standing::Unused })
    }

    fn kill_descendants(&mut self, of: Token) {
        // A child comes after its parent.
        let mut doomed = vec![of];
        for token in 0..self.tokens.len() {
            if self.tokens[token].parent.is_some_and(|parent| doomed.contains(&parent)) {
                doomed.push(Token::try_from(token).expect("few tokens"));
                self.tokens[token].standing = Standing::Killed;
            }
        }
    }
}
