//! The item of the model and the writes of the store, tried on the same random sequences.

use bucketwheel::credential::Credential;
use bucketwheel::memory::MemoryTable;
use bucketwheel::ports::{Table, TableError};
use bucketwheel::rotation::{
    Adoption, Claim, Effect, Event, Phase, Present, Run, RunId, Settlement, Terms, Upkeep, adopt, step,
};
use bucketwheel::seal::Keyring;
use bucketwheel::store::credentials;
use bucketwheel::store::tokens::{self, Promotion, Rings, SealedPair, Tokens};
use bucketwheel::token::{AccessToken, RefreshToken, TokenSet};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::Token;
use super::item::Item;
use super::state::at;

fn ring() -> Keyring {
    Keyring::parse(&SecretString::from(format!(r#"{{"k1":"{}"}}"#, "x".repeat(64)))).expect("a keyring")
}

/// A pair whose tokens say which one it is.
fn pair(ring: &Keyring, generation: u64, token: Token, now: Timestamp) -> SealedPair {
    let text = SecretString::from(format!("token-{token}"));
    let set = TokenSet {
        access: AccessToken::new(text.clone()),
        refresh: Some(RefreshToken::new(text)),
        expires_at: now + SignedDuration::from_hours(2),
        scopes: bucketwheel::credential::Scopes::default(),
    };
    let rings = Rings { access: ring, refresh: ring };
    SealedPair::seal(rings, &id(), generation, &set, None, [[token; 24]; 2])
}

fn id() -> bucketwheel::credential::CredentialId {
    "c1".parse().expect("an id")
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }
}

fn accepted(result: Result<(), TableError>) -> bool {
    match result {
        Ok(()) => true,
        Err(TableError::Refused) => false,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn the_item_of_the_model_is_the_item_of_the_store() {
    for seed in 0..300 {
        one_sequence(seed).await;
    }
}

async fn one_sequence(seed: u64) {
    let (terms, ring, id) = (Terms::with_grace(SignedDuration::from_mins(8)), ring(), id());
    let (table, mut dice) = (MemoryTable::default(), Dice(seed));
    let mut now = at(10_000);
    let mut item = Item::connected(1, 0, now, &terms);
    let first = pair(&ring, 1, 0, now);
    let credential = Credential::sample(id.clone(), now);
    let connected = tokens::connect(&id, &first, None, Upkeep::Hot, now, now);
    table.write(vec![connected, credentials::put(&credential)]).await.expect("connected");
    let mut claims: Vec<Claim> = Vec::new();
    for n in 1..60_u8 {
        now += SignedDuration::from_secs(i64::try_from(dice.below(900)).expect("small"));
        let found = tokens::get(&table, &id).await.expect("read").expect("tokens");
        assert_eq!(found.chain(), item.chain, "seed {seed}, step {n}");
        let opened = found.refresh(&ring, &id).expect("opens").expect("a refresh token");
        assert_eq!(opened.reveal(), format!("token-{}", item.refresh), "seed {seed}, step {n}");

        let run = Run { id: RunId::new([n; 16]), nudged: true };
        let fresh = match step(Phase::Reading(None), Event::Read(Some(item.chain)), now, &run, &terms) {
            (_, Effect::Claim(claim)) => Some(claim),
            (Phase::Waiting(owner), _) => {
                match step(Phase::Reading(Some(owner)), Event::Read(Some(item.chain)), now, &run, &terms).1 {
                    Effect::Claim(claim) => Some(claim),
                    _ => None,
                }
            }
            _ => None,
        };
        claims.extend(fresh);
        if claims.is_empty() {
            continue;
        }
        // The newest claims are the likeliest, and old ones come back.
        let back = dice.below(claims.len().min(3));
        let claim = claims[claims.len() - 1 - back];
        let new = pair(&ring, claim.generation + 1, n, now);
        let (real, model) = match dice.below(9) {
            0 | 1 => (accepted(tokens::claim(&table, &id, &claim).await), item.claim(&claim)),
            2 => (
                accepted(tokens::commit(&table, &id, &claim.origin(), &new, now, now).await),
                item.commit(&claim.origin(), n, now, &terms),
            ),
            3 => (
                accepted(tokens::keep(&table, &id, &claim.origin(), &new).await),
                item.keep(&claim.origin(), n),
            ),
            4 => promoted(&table, &ring, &found, &claim, &mut item, &mut dice, now).await,
            5 => {
                let settlement = Settlement {
                    due_at: now,
                    refused_at: [None, Some(now)][dice.below(2)],
                    unspent: dice.below(2) == 0,
                    ended: dice.below(4) == 0,
                };
                (
                    accepted(tokens::settle(&table, &id, &claim, &settlement).await),
                    item.settle(&claim, &settlement),
                )
            }
            6 => {
                let origin = claim.origin();
                let real = match adopt(Some(&item.chain), &origin) {
                    Adoption::Commit => tokens::commit(&table, &id, &origin, &new, now, now).await,
                    Adoption::Keep => tokens::keep(&table, &id, &origin, &new).await,
                    Adoption::Drop => Ok(()),
                };
                item.adopt(&origin, n, now, &terms);
                (accepted(real), true)
            }
            7 => {
                let generation = item.chain.generation - u64::from(dice.below(3) == 0);
                (
                    accepted(tokens::postpone(&table, &id, generation, now).await),
                    item.postpone(generation, now),
                )
            }
            _ => {
                let before = item.chain.generation - u64::from(dice.below(3) == 0);
                let new = pair(&ring, before + 1, n, now);
                let real =
                    table.write(vec![tokens::connect(&id, &new, Some(before), Upkeep::Hot, now, now)]).await;
                let real = accepted(real);
                // The model's telling takes no time.
                if real {
                    let told =
                        credentials::tell(&table, &credential, &credential.status, before + 1, Some(before));
                    told.await.expect("told");
                }
                (real, item.connect(before, n, now, &terms))
            }
        };
        assert_eq!(real, model, "seed {seed}, step {n}");
    }
}

async fn promoted(
    table: &MemoryTable,
    ring: &Keyring,
    found: &Tokens,
    claim: &Claim,
    item: &mut Item,
    dice: &mut Dice,
    now: Timestamp,
) -> (bool, bool) {
    let (Some(spare), Some(token)) = (found.spare(), item.spare) else { return (true, true) };
    let terms = Terms::with_grace(SignedDuration::from_mins(8));
    let rings = Rings { access: ring, refresh: ring };
    let seal =
        |pair: &SealedPair, generation| pair.reseal(rings, &id(), generation, [[7; 24]; 2]).expect("opens");
    let present = [
        Present::Goes,
        Present::Stays(1),
        Present::StaysRefused,
        Present::StaysBetter,
        Present::BothRefused(now),
    ][dice.below(5)];
    let next = claim.generation + 1;
    let kept = present.as_spare(claim.generation).map(|kept| seal(&found.pair(), kept.generation));
    let promotion = Promotion { spare: spare.clone(), pair: seal(spare, next), kept, present };
    let real = tokens::promote(table, &id(), claim, &promotion, now, &terms).await;
    (accepted(real), item.promote(claim, present, token, now, &terms))
}
