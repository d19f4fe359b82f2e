//! The leak hunt: every flow below at debug level with secrets that can be recognised, and afterwards every
//! log, page, error, queue message, metric, item and crash is searched for each of them: plain, in base64 at
//! every alignment, in hex and percent-encoded. A part of 24 characters is enough to be found.
//!
//! What runs:
//! - consent: granted, denied, with a token endpoint that fails, loses its answer or answers nonsense, and a
//!   callback that nobody began; tokens entered by hand for each kind, wrong and right
//! - hooks: registered, rotated, repaired, listed, removed, made by hand; deliveries with a right, a wrong and no signature, for
//!   nobody, parked and drained, and refused because nothing can store them; a delivery that Bitbucket loses
//! - refreshes: rotated, unavailable, unreadable, lost before and after Bitbucket's commit, nudged, parked on the
//!   refresh queue, refused and confirmed
//! - calls: right, wrong, with an expired token, with a lost answer, over several pages, answered by a redirect, by a
//!   page and by a rate limit; dead letters, listed and sent again
//! - a cluster's folder: attached, changed from both sides, detached
//! - a credential switched off and on, and deleted with its hooks
//! - the console's pages and API, the command line, a new key on each ring with everything sealed anew, a new
//!   operator token
//! - functions killed with SIGKILL, and started with secrets that are none
//!
//! What does not run, since no function of ours has a part in it: a sign-on in front of the console, which API Gateway
//! checks, the fan-out of events, the alarms.
//!
//! A queue's messages are seen on their way there, as the functions send them ([`tap`]); what consumers put on the
//! calls queue is theirs. A dead letter is seen there too, and where it lies; what SQS itself moves to the dead
//! letters is the message as it was sent. What a function is given by AWS is not searched: only what it writes.

mod canaries;
mod ends;
mod flows;
mod places;
mod refreshes;
mod tap;
mod work;

use canaries::{Canaries, Place};
use proof::way::Gate;
use serde_json::json;
use tap::Tap;

use crate::world::World;

const FUNCTION: &str = "bucketwheel-token-refresh";

#[tokio::test]
async fn no_secret_is_in_any_log_page_error_message_metric_item_or_crash() {
    // Tokens die with their refresh, so that calls meet a 401 too.
    let behaviour = json!({
        "access_token_lifetime": 7200, "grace_window_seconds": 0, "old_access_token_dies": true,
        "rate_limit": 1_000_000, "hook_rate_limit": 1_000_000,
    });
    let settings =
        [("LogLevel", "debug"), ("CallsPerHour", "1000000"), ("LockoutWait", "0"), ("DetectMissed", "on")];
    let gate = Gate::open(proof::client().expect("a client")).await.expect("a gate");
    let world = World::apart_behind(Some(gate.endpoint.clone()), &settings, behaviour).await;
    let tap = Tap::open(&world).await;
    gate.lead_to(&tap.endpoint);
    let mut canaries = Canaries::default();
    let (mut seen, credential) = flows::all(&world, &gate, &mut canaries).await;
    seen.extend(ends::crashes(&world, &mut canaries).await);
    seen.extend(ends::operator(&world, &mut canaries).await);
    seen.extend(places::all(&world, &tap).await);

    let bytes: usize = seen.iter().map(|(_, text)| text.len()).sum();
    println!("{} texts of {bytes} bytes were searched for {} secrets", seen.len(), canaries.len());
    assert!(bytes > 200_000 && canaries.len() > 25, "the hunt saw too little");
    // What is no secret and has to be there is found in the same way.
    canaries.control(&credential);
    canaries.control(FUNCTION);
    for place in places::kinds() {
        let mut texts = seen.iter().filter(|(at, _)| *at == place).map(|(_, text)| text);
        println!("{place:?}: {} texts", texts.clone().count());
        let seen = match &place {
            Place::Error | Place::Crash | Place::Link => texts.any(|text| !text.is_empty()),
            Place::Metric => texts.any(|text| canaries.sees(FUNCTION, text)),
            _ => texts.any(|text| canaries.sees(&credential, text)),
        };
        assert!(seen, "{place:?} was not searched");
    }
    let debug = |(place, text): &(Place, String)| *place == Place::Log && text.contains(r#""level":"DEBUG""#);
    assert!(seen.iter().any(debug), "nothing was logged at debug level");
    let found: Vec<_> = seen.iter().flat_map(|(place, text)| canaries.found(place, text)).collect();
    assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
    world.stop();
}
