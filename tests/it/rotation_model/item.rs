//! The item `CRED#id/TOKENS` and the writes of `bucketwheel::store::tokens`, without their tokens' boxes.
//! `the_item_of_the_model_is_the_item_of_the_store` ties the two together.

use bucketwheel::rotation::{
    Adoption, Chain, Claim, Intent, Origin, Present, Settlement, Spare, Terms, Upkeep, adopt, due_at,
};
use jiff::{SignedDuration, Timestamp};

use super::Token;

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) chain: Chain,
    pub(crate) refresh: Token,
    pub(crate) spare: Option<Token>,
    pub(crate) due_at: Timestamp,
}

impl Item {
    pub(crate) fn connected(generation: u64, refresh: Token, now: Timestamp, terms: &Terms) -> Self {
        let expires_at = now + SignedDuration::from_hours(2);
        let chain = Chain {
            generation,
            consent: generation,
            upkeep: Upkeep::Hot,
            expires_at,
            refreshed_at: now,
            intent: None,
            lease: None,
            refused_at: None,
            spare: None,
            ended: false,
        };
        Self { chain, refresh, spare: None, due_at: due_at(Upkeep::Hot, now, expires_at, terms) }
    }

    fn is_mine(&self, origin: &Origin) -> bool {
        let intent = self.chain.intent.is_some_and(|intent| intent.id == origin.intent);
        self.chain.generation == origin.generation && intent
    }

    fn stores(&mut self, generation: u64, refresh: Token, now: Timestamp, terms: &Terms) {
        let Item { chain, .. } = Item::connected(generation, refresh, now, terms);
        let Chain { consent, spare, .. } = self.chain;
        self.due_at = due_at(Upkeep::Hot, now, chain.expires_at, terms);
        self.chain = Chain { consent, spare, ..chain };
        self.refresh = refresh;
    }

    pub(crate) fn connect(&mut self, before: u64, refresh: Token, now: Timestamp, terms: &Terms) -> bool {
        let accepted = self.chain.generation == before;
        if accepted {
            *self = Item::connected(before + 1, refresh, now, terms);
        }
        accepted
    }

    pub(crate) fn claim(&mut self, claim: &Claim) -> bool {
        let found = self.chain.intent.map(|intent| intent.id);
        let accepted = self.chain.generation == claim.generation && found == claim.over;
        if accepted {
            self.chain.intent = Some(claim.intent);
            self.chain.lease = Some(claim.lease);
            self.due_at = claim.due_at;
        }
        accepted
    }

    pub(crate) fn commit(&mut self, origin: &Origin, refresh: Token, now: Timestamp, terms: &Terms) -> bool {
        let accepted = self.is_mine(origin);
        if accepted {
            self.stores(origin.generation + 1, refresh, now, terms);
        }
        accepted
    }

    pub(crate) fn keep(&mut self, origin: &Origin, refresh: Token) -> bool {
        let near = [origin.generation, origin.generation + 1].contains(&self.chain.generation);
        let accepted = near && self.chain.consent == origin.consent && !self.chain.keeps_better(origin);
        if accepted {
            let (generation, attempt) = (origin.generation + 1, origin.attempt);
            self.chain.spare = Some(Spare { generation, attempt, refused: false });
            self.spare = Some(refresh);
            if self.chain.ended {
                self.chain.ended = false;
                self.due_at = Timestamp::UNIX_EPOCH;
            }
        }
        accepted
    }

    pub(crate) fn promote(
        &mut self,
        claim: &Claim,
        present: Present,
        spare: Token,
        now: Timestamp,
        terms: &Terms,
    ) -> bool {
        let accepted = self.is_mine(&claim.origin()) && self.spare == Some(spare);
        if accepted {
            self.chain.spare = present.as_spare(claim.generation);
            self.spare = Some(self.refresh).filter(|_| self.chain.spare.is_some());
            self.stores(claim.generation + 1, spare, now, terms);
            self.chain.expires_at = now;
            self.due_at = due_at(Upkeep::Hot, now, now, terms);
            if let Present::BothRefused(at) = present {
                (self.chain.refused_at, self.due_at) = (Some(at), at + terms.lockout);
            }
        }
        accepted
    }

    pub(crate) fn settle(&mut self, claim: &Claim, settlement: &Settlement) -> bool {
        let kept = self.chain.spare.is_some_and(|spare| spare.generation >= claim.generation);
        let accepted = self.is_mine(&claim.origin()) && !(settlement.ended && kept);
        if accepted {
            self.chain.lease = None;
            self.due_at = settlement.due_at;
            self.chain.refused_at = settlement.refused_at;
            self.chain.ended |= settlement.ended;
            if settlement.unspent {
                let intent = Intent { attempts: claim.intent.attempts - 1, ..claim.intent };
                self.chain.intent = claim.over.map(|_| intent);
            }
        }
        accepted
    }

    pub(crate) fn postpone(&mut self, generation: u64, due_at: Timestamp) -> bool {
        let Chain { lease, intent, refused_at, .. } = self.chain;
        let at_rest = lease.is_none() && intent.is_none() && refused_at.is_none();
        let accepted = self.chain.generation == generation && at_rest;
        if accepted {
            self.due_at = due_at;
        }
        accepted
    }

    pub(crate) fn adopt(&mut self, origin: &Origin, refresh: Token, now: Timestamp, terms: &Terms) {
        let accepted = match adopt(Some(&self.chain), origin) {
            Adoption::Commit => self.commit(origin, refresh, now, terms),
            Adoption::Keep => self.keep(origin, refresh),
            Adoption::Drop => true,
        };
        assert!(accepted, "what was decided on this very chain is accepted");
    }
}
