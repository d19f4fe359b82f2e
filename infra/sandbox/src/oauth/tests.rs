//! The rules of rotation, each as a sentence.

use proptest::prelude::*;

use super::*;
use crate::behaviour::Replay;

const CLIENT: &str = "key";
const CALLBACK: &str = "http://localhost/callback";

struct Bench {
    ledger: Ledger,
    behaviour: Behaviour,
    now: Timestamp,
    count: u64,
}

impl Bench {
    fn new(behaviour: Behaviour) -> Self {
        let mut ledger = Ledger::default();
        let settings = ConsumerSettings {
            key: CLIENT.into(),
            secret: "secret".into(),
            callback_urls: vec![CALLBACK.into()],
            ..ConsumerSettings::default()
        };
        ledger.register(settings, &Seed::default());
        Self { ledger, behaviour, now: Timestamp::UNIX_EPOCH, count: 0 }
    }

    fn seed(&mut self) -> Seed {
        self.count += 1;
        random::derived(&Seed::default(), &self.count.to_string())
    }

    fn wait(&mut self, seconds: u64) {
        self.now = after(self.now, seconds);
    }

    fn ask(&mut self, ask: &Ask) -> Result<Issued, Refusal> {
        let seed = self.seed();
        self.ledger.answer(CLIENT, ask, Moment { behaviour: &self.behaviour, now: self.now, seed: &seed })
    }

    fn code(&mut self) -> String {
        let seed = self.seed();
        let subject = Subject::User("ada".into());
        let redirect = Some(CALLBACK.to_owned());
        let moment = Moment { behaviour: &self.behaviour, now: self.now, seed: &seed };
        self.ledger.consent(CLIENT, subject, redirect, None, moment)
    }

    fn exchange(&mut self, code: &str) -> Result<Issued, Refusal> {
        let redirect_uri = Some(CALLBACK.to_owned());
        self.ask(&Ask::Code { code: code.to_owned(), redirect_uri, verifier: None })
    }

    fn connect(&mut self) -> Issued {
        let code = self.code();
        self.exchange(&code).unwrap()
    }

    fn refresh(&mut self, issued: &Issued) -> Result<Issued, Refusal> {
        self.ask(&Ask::Refresh(issued.refresh_token.clone().unwrap()))
    }

    fn standing(&self, issued: &Issued) -> Standing {
        self.ledger.standing(issued.refresh_token.as_ref().unwrap(), &self.behaviour, self.now)
    }

    fn opens(&self, issued: &Issued) -> bool {
        self.ledger.grant_of(&issued.access_token, &self.behaviour, self.now).is_some()
    }
}

fn bench() -> Bench {
    Bench::new(Behaviour::default())
}

#[test]
fn a_code_works_once() {
    let mut bench = bench();
    let code = bench.code();
    assert!(bench.exchange(&code).is_ok());
    assert_eq!(bench.exchange(&code), Err(Refusal::InvalidCode));
}

#[test]
fn a_code_dies_after_its_lifetime() {
    let mut bench = bench();
    let code = bench.code();
    bench.wait(600);
    assert_eq!(bench.exchange(&code), Err(Refusal::InvalidCode));
}

#[test]
fn a_code_is_bound_to_its_redirect_uri() {
    let mut bench = bench();
    let code = bench.code();
    let ask = Ask::Code { code, redirect_uri: Some("http://elsewhere/".into()), verifier: None };
    assert_eq!(bench.ask(&ask), Err(Refusal::InvalidCode));
}

#[test]
fn a_stranger_cannot_spend_a_code() {
    let mut bench = bench();
    let code = bench.code();
    let ask = Ask::Code { code: code.clone(), redirect_uri: Some(CALLBACK.into()), verifier: None };
    let seed = bench.seed();
    let answer = bench.ledger.answer(
        "other",
        &ask,
        Moment { behaviour: &bench.behaviour, now: bench.now, seed: &seed },
    );
    assert_eq!(answer, Err(Refusal::InvalidCode));
    assert!(bench.exchange(&code).is_ok());
}

#[test]
fn tokens_are_longer_than_2500_characters_unless_switched_off() {
    let long = bench().connect();
    assert!(long.access_token.len() > 2_500 && long.refresh_token.unwrap().len() > 2_500);
    let short = Bench::new(Behaviour { long_tokens: false, ..Behaviour::default() }).connect();
    assert!(short.access_token.len() < 100);
}

#[test]
fn each_refresh_returns_a_new_refresh_token() {
    let mut bench = bench();
    let first = bench.connect();
    let second = bench.refresh(&first).unwrap();
    assert_ne!(first.refresh_token, second.refresh_token);
    assert_eq!(bench.standing(&first), Standing::Grace);
    assert_eq!(bench.standing(&second), Standing::Active);
}

#[test]
fn the_old_refresh_token_works_until_its_grace_window_ends() {
    let mut bench = bench();
    let first = bench.connect();
    bench.refresh(&first).unwrap();
    bench.wait(599);
    assert!(bench.refresh(&first).is_ok());
    bench.wait(1);
    assert_eq!(bench.refresh(&first), Err(Refusal::InvalidClient));
    assert_eq!(bench.standing(&first), Standing::Dead);
}

#[test]
fn a_repeat_in_the_window_answers_the_same_successor() {
    let mut bench = bench();
    let first = bench.connect();
    let second = bench.refresh(&first).unwrap();
    bench.wait(60);
    let again = bench.refresh(&first).unwrap();
    assert_eq!((&again.refresh_token, &again.access_token), (&second.refresh_token, &second.access_token));
    assert_eq!(again.expires_in, 7140);
}

#[test]
fn a_sibling_leaves_the_first_successor_alive() {
    let mut bench = Bench::new(Behaviour { replay: Replay::Sibling, ..Behaviour::default() });
    let first = bench.connect();
    let second = bench.refresh(&first).unwrap();
    let sibling = bench.refresh(&first).unwrap();
    assert_ne!(second.refresh_token, sibling.refresh_token);
    assert!(bench.refresh(&second).is_ok() && bench.refresh(&sibling).is_ok());
}

#[test]
fn a_revoking_repeat_kills_the_first_successor_and_all_that_came_from_it() {
    let mut bench = Bench::new(Behaviour { replay: Replay::Revoking, ..Behaviour::default() });
    let first = bench.connect();
    let second = bench.refresh(&first).unwrap();
    let third = bench.refresh(&second).unwrap();
    let replacement = bench.refresh(&first).unwrap();
    assert_eq!(bench.standing(&second), Standing::Dead);
    assert_eq!(bench.standing(&third), Standing::Dead);
    assert!(!bench.opens(&third));
    assert!(bench.refresh(&replacement).is_ok());
}

#[test]
fn the_old_access_token_dies_with_the_grace_window() {
    let mut bench = bench();
    let first = bench.connect();
    bench.refresh(&first).unwrap();
    bench.wait(599);
    assert!(bench.opens(&first));
    bench.wait(1);
    assert!(!bench.opens(&first));
}

#[test]
fn the_old_access_token_lives_to_its_own_end_if_switched_so() {
    let mut bench = Bench::new(Behaviour { old_access_token_dies: false, ..Behaviour::default() });
    let first = bench.connect();
    bench.refresh(&first).unwrap();
    bench.wait(7199);
    assert!(bench.opens(&first));
    bench.wait(1);
    assert!(!bench.opens(&first));
}

#[test]
fn an_unused_refresh_token_dies_after_ninety_days() {
    let mut bench = bench();
    let first = bench.connect();
    bench.wait(90 * 86_400 - 1);
    assert_eq!(bench.standing(&first), Standing::Active);
    bench.wait(1);
    assert_eq!(bench.refresh(&first), Err(Refusal::InvalidClient));
}

#[test]
fn a_dead_token_locks_the_client_out_for_a_while() {
    let mut bench = Bench::new(Behaviour { lockout_seconds: 120, ..Behaviour::default() });
    let first = bench.connect();
    let second = bench.refresh(&first).unwrap();
    bench.wait(600);
    assert_eq!(bench.refresh(&first), Err(Refusal::InvalidClient));
    assert_eq!(bench.refresh(&second), Err(Refusal::InvalidClient));
    assert_eq!(bench.standing(&second), Standing::Active);
    bench.wait(120);
    assert!(bench.refresh(&second).is_ok());
}

#[test]
fn a_dead_token_kills_its_family_if_switched_so() {
    let mut bench = Bench::new(Behaviour { family_revocation: true, ..Behaviour::default() });
    let first = bench.connect();
    let second = bench.refresh(&first).unwrap();
    bench.wait(600);
    assert!(bench.opens(&second));
    assert_eq!(bench.refresh(&first), Err(Refusal::InvalidClient));
    assert_eq!(bench.refresh(&second), Err(Refusal::InvalidClient));
    assert!(!bench.opens(&second));
}

#[test]
fn without_rotation_the_token_stays_and_its_life_begins_anew() {
    for (same_token, no_refresh_token) in [(true, false), (false, true)] {
        let mut bench = Bench::new(Behaviour { same_token, no_refresh_token, ..Behaviour::default() });
        let first = bench.connect();
        bench.wait(80 * 86_400);
        let answer = bench.refresh(&first).unwrap();
        assert_eq!(answer.refresh_token, first.refresh_token.clone().filter(|_| same_token));
        bench.wait(80 * 86_400);
        assert!(bench.refresh(&first).is_ok());
    }
}

#[test]
fn client_credentials_give_no_refresh_token_and_need_a_private_consumer() {
    let mut bench = bench();
    assert_eq!(bench.ask(&Ask::ClientCredentials).unwrap().refresh_token, None);
    bench.ledger.consumers.get_mut(CLIENT).unwrap().private = false;
    assert_eq!(bench.ask(&Ask::ClientCredentials), Err(Refusal::PublicConsumer));
}

#[test]
fn a_withdrawn_grant_opens_nothing() {
    let mut bench = bench();
    let first = bench.connect();
    assert!(bench.ledger.revoke(&first.grant));
    assert!(!bench.opens(&first));
    assert_eq!(bench.refresh(&first), Err(Refusal::InvalidClient));
}

#[test]
fn redirects_match_exactly_or_by_prefix() {
    let ledger = bench().ledger;
    let longer = format!("{CALLBACK}/more");
    assert_eq!(ledger.callback(CLIENT, Some(&longer), RedirectMatch::Exact), None);
    assert_eq!(ledger.callback(CLIENT, Some(&longer), RedirectMatch::Prefix), Some(longer.clone()));
    assert_eq!(ledger.callback(CLIENT, None, RedirectMatch::Exact).as_deref(), Some(CALLBACK));
    assert_eq!(ledger.callback("nobody", None, RedirectMatch::Prefix), None);
}

#[test]
fn a_pkce_verifier_is_checked_only_if_switched_so() {
    // The example of RFC 7636, appendix B.
    let challenge = Challenge { value: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into(), hashed: true };
    assert!(proves(Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), Some(&challenge)));
    assert!(!proves(Some("wrong"), Some(&challenge)));
    assert!(!proves(None, Some(&challenge)));
}

proptest! {
    /// However refreshes and pauses are mixed: a client that always uses the newest token it got,
    /// and never waits ninety days, never loses its chain.
    #[test]
    fn a_client_that_keeps_the_newest_token_never_loses_its_chain(
        steps in prop::collection::vec((0u64..7_000_000, any::<bool>()), 1..12),
        replay in prop::sample::select(vec![Replay::SameSuccessor, Replay::Sibling, Replay::Revoking]),
        lockout_seconds in 0u32..600, family_revocation in any::<bool>(),
    ) {
        let mut bench = Bench::new(Behaviour {
            replay, lockout_seconds, family_revocation, long_tokens: false, ..Behaviour::default()
        });
        let mut held = bench.connect();
        for (pause, answer_is_lost) in steps {
            bench.wait(pause);
            let answer = bench.refresh(&held);
            prop_assert!(answer.is_ok());
            // A lost answer is made good by the same token at once.
            if answer_is_lost {
                bench.wait(30);
                held = bench.refresh(&held).unwrap();
            } else {
                held = answer.unwrap();
            }
            prop_assert!(bench.opens(&held));
            prop_assert_eq!(bench.standing(&held), Standing::Active);
        }
    }

    /// A used token is never worth anything after its window, whatever happens meanwhile.
    #[test]
    fn a_used_token_is_dead_after_its_window(pauses in prop::collection::vec(0u64..600, 1..8)) {
        let mut bench = Bench::new(Behaviour { long_tokens: false, ..Behaviour::default() });
        let first = bench.connect();
        let mut held = bench.refresh(&first).unwrap();
        for pause in pauses {
            bench.wait(pause);
            held = bench.refresh(&held).unwrap();
        }
        bench.wait(600);
        prop_assert_eq!(bench.refresh(&first), Err(Refusal::InvalidClient));
        prop_assert!(bench.refresh(&held).is_ok());
    }
}
