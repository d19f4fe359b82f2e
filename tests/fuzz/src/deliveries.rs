//! What comes to the webhook address, and what consumers read of it.

use bucketwheel::credential::CredentialId;
use bucketwheel::event::bodies::{
    CommitCommented, CommitStatusEvent, IssueEvent, ProjectUpdated, PullRequestApproval,
    PullRequestChangesRequest, PullRequestComment, PullRequestEvent, RepositoryEvent, RepositoryForked,
    RepositoryPush, RepositoryTransferred, RepositoryUpdated,
};
use bucketwheel::event::span::SpanCreated;
use bucketwheel::event::{
    Delivery, Envelope, Event, EventKey, Filter, Filters, Glob, LARGEST_MESSAGE, UNKNOWN,
};
use bucketwheel::memory::{MemoryEdge, MemoryKeys, MemoryQueue, MemoryTable};
use bucketwheel::seal::{Keyring, NONCE_LEN};
use bucketwheel::signature::{Claimed, HookSecret, Verified, sign, verify};
use bucketwheel::store::hooks::{self, HookSecrets};
use bucketwheel::trace::Trace;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use webhook_ingest::{Answer, Done, Event as Woken, Ingest, LARGEST_BODY};

use super::line;

const RING: &str = r#"{"k0001":"0123456789abcdef0123456789abcdef"}"#;

/// Lines of headers, an empty line, a body. What verifies holds the signature; a right one is found
/// wherever it stands among up to three others.
pub fn signature(data: &[u8]) {
    let (mut headers, mut rest) = (Vec::new(), data);
    while let Some((header, behind)) = line(rest) {
        rest = behind;
        if header.is_empty() {
            break;
        }
        headers.push(header);
    }
    let secrets = [hook_secret(2, "new"), hook_secret(1, "old")];
    let right = secrets.each_ref().map(|secret| sign(rest, &secret.secret));
    if let Ok(claimed) = Claimed::parse(headers.iter().copied()) {
        if let Some(verified) = verify(rest, &claimed, &secrets) {
            let said = headers.concat().to_lowercase();
            let of = &right[usize::from(verified.secret_version == 1)];
            assert!(said.contains(of), "verified without its signature");
            assert_eq!(verified.body(), rest);
        }
        assert!(verify(rest, &claimed, &[]).is_none(), "no secret verifies nothing");
    } else {
        let digits = |text: &str| text.len() == 71 && text[7..].bytes().all(|b| b.is_ascii_hexdigit());
        let is_one = |text: &str| text.starts_with("sha256=") && digits(text);
        let mut parts = headers.iter().flat_map(|header| header.split([',', ' ', '\t']));
        assert!(!parts.any(is_one), "a signature was overlooked");
    }
    let mut with = headers.clone();
    with.insert(0, &right[1]);
    let claimed = Claimed::parse(with).expect("a signature");
    assert!(verify(rest, &claimed, &secrets).is_some(), "the right one was not seen beside others");
}

/// A line with the event key, one with the hook's id, and a body; and the whole as a message that is not
/// ours. What is wrapped is read back byte for byte, with its key.
pub fn envelope(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(envelope) = Envelope::parse(text)
    {
        let _ = (envelope.body(), envelope.event(), envelope.event_key());
    }
    let Some((key, rest)) = line(data) else { return };
    let Some((hook, body)) = line(rest) else { return };
    let credential = credential();
    let trace = Trace::new([3; 24]);
    let delivery = Delivery {
        credential: &credential,
        verified: verified(body),
        event_key: if is_key(key) { key } else { UNKNOWN },
        hook_id: Some(hook).filter(|hook| !hook.is_empty()),
        request_id: None,
        attempt: Some(3),
        trace: &trace,
        received_at: now(),
    };
    let enveloped = delivery.envelope();
    assert!(
        (1..=128).contains(&enveloped.group.len()) && enveloped.group.bytes().all(|b| b.is_ascii_graphic())
    );
    assert!(!enveloped.text.contains(['\u{FFFE}', '\u{FFFF}']) || hook.contains(['\u{FFFE}', '\u{FFFF}']));
    assert!(enveloped.text.len() <= body.len() * 4 / 3 + 6 * hook.len() + 6_000);
    let read = Envelope::parse(&enveloped.text).expect("an envelope");
    assert_eq!(read.body().expect("a body"), body);
    assert_eq!(read.event_key(), delivery.event_key);
    assert_eq!((read.id.as_str(), &read.credentialid), (enveloped.id.as_str(), &credential));
    assert_eq!(read.hookid.as_deref(), delivery.hook_id);
    assert_eq!(read.traceparent, Some(trace.clone()));
}

/// The first byte chooses a key, the rest is the body. A type that reads it, reads what it writes as the
/// same again; any JSON is taken under a key that nobody knows yet.
pub fn events(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let key = EventKey::ALL.get(usize::from(*first) % (EventKey::ALL.len() + 1));
    let name = key.map_or("new:key", |key| key.as_str());
    let event = Event::parse(name, body);
    if let Ok(event) = &event {
        assert_eq!(event.key(), name);
    }
    // In what no type reads, a byte that is not UTF-8 or a number beyond all bounds does no harm.
    assert!(is_json(body) || event.is_err(), "what is not JSON is no event");
    let Some(key) = key else {
        let json = serde_json::from_slice::<Value>(body).is_ok();
        return assert_eq!(event.is_ok(), json, "a new event is any JSON");
    };
    match key {
        EventKey::RepoPush => again::<RepositoryPush>(body),
        EventKey::RepoFork => again::<RepositoryForked>(body),
        EventKey::RepoUpdated => again::<RepositoryUpdated>(body),
        EventKey::RepoTransfer => again::<RepositoryTransferred>(body),
        EventKey::RepoCreated | EventKey::RepoDeleted | EventKey::RepoImported => {
            again::<RepositoryEvent>(body)
        }
        EventKey::RepoCommitCommentCreated => again::<CommitCommented>(body),
        EventKey::RepoCommitStatusCreated | EventKey::RepoCommitStatusUpdated => {
            again::<CommitStatusEvent>(body)
        }
        EventKey::PullRequestCreated
        | EventKey::PullRequestUpdated
        | EventKey::PullRequestPush
        | EventKey::PullRequestFulfilled
        | EventKey::PullRequestRejected => again::<PullRequestEvent>(body),
        EventKey::PullRequestApproved | EventKey::PullRequestUnapproved => again::<PullRequestApproval>(body),
        EventKey::PullRequestChangesRequestCreated | EventKey::PullRequestChangesRequestRemoved => {
            again::<PullRequestChangesRequest>(body)
        }
        EventKey::PullRequestCommentCreated
        | EventKey::PullRequestCommentUpdated
        | EventKey::PullRequestCommentDeleted
        | EventKey::PullRequestCommentResolved
        | EventKey::PullRequestCommentReopened => again::<PullRequestComment>(body),
        EventKey::PipelineSpanCreated => again::<SpanCreated>(body),
        EventKey::ProjectUpdated => again::<ProjectUpdated>(body),
        EventKey::IssueCreated | EventKey::IssueUpdated | EventKey::IssueCommentCreated => {
            again::<IssueEvent>(body)
        }
    }
}

fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

fn again<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(body: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(body) else { return };
    let written = serde_json::to_vec(&read).expect("JSON");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("what was written is read"), read);
}

/// The event of API Gateway, to the whole function. Who is let in has signed; what is let in is on the
/// queue byte for byte.
pub fn request(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let request = match Woken::parse(text) {
        Woken::Request(request) => Some(request),
        Woken::Unreadable(_) | Woken::Wake => None,
    };
    if let Some(request) = &request {
        let key = request.event_key();
        assert!(is_key(key), "{key:?}");
        assert!(request.request_id().is_none_or(|id| (1..=64).contains(&id.len()) && id.is_ascii()));
        assert!(request.size() <= text.len());
    }
    let queue = MemoryQueue::default();
    let done = RUNTIME.with(|(runtime, table)| {
        let edge = MemoryEdge::new(now(), 1);
        let ingest = Ingest::new(table.clone(), queue.clone(), MemoryKeys::new(RING), edge);
        runtime.block_on(ingest.woken(text))
    });
    let sent = queue.take();
    match (&request, done) {
        (None, Done::Drained(drained)) => assert_eq!((drained.sent, sent.len()), (0, 0)),
        (None, Done::Answered(answer)) => {
            assert_eq!(answer, Answer::Unavailable.response());
            assert!(sent.is_empty());
        }
        (Some(_), Done::Drained(_)) => panic!("a request is answered"),
        (Some(request), Done::Answered(answer)) if answer == Answer::Accepted.response() => {
            assert_eq!(sent.len(), 1);
            let envelope = Envelope::parse(&sent[0].body).expect("an envelope");
            let body = envelope.body().expect("a body");
            let right = sign(&body, &SecretString::from("s"));
            assert!(text.to_lowercase().contains(&right["sha256=".len()..]), "taken without its signature");
            assert_eq!(body.len(), request.size());
            assert!(body.len() <= LARGEST_BODY && sent[0].body.len() <= LARGEST_MESSAGE);
            assert_eq!(envelope.event_key(), request.event_key());
            assert_eq!(envelope.requestid.as_deref(), request.request_id());
        }
        (Some(_), Done::Answered(answer)) => {
            let no = [Answer::Rejected, Answer::TooLarge, Answer::Unavailable].map(Answer::response);
            assert!(no.contains(&answer), "{answer:?}");
            assert!(sent.is_empty());
        }
    }
}

/// A line with a pattern, one with a name, and a body. A pattern matches as its meaning says, and a filter
/// drops nothing of which it cannot tell.
pub fn filter(data: &[u8]) {
    let Some((pattern, rest)) = line(data) else { return };
    let Some((name, body)) = line(rest) else { return };
    let Ok(glob) = Glob::try_from(pattern.to_owned()) else {
        let ok = (1..=255).contains(&pattern.chars().count()) && !pattern.chars().any(char::is_control);
        return assert!(!ok, "a good pattern was refused");
    };
    if name.len() <= 300 {
        assert_eq!(glob.matches(name), means(pattern, name), "{pattern:?} {name:?}");
    }
    let list = || vec![glob.clone()];
    let all = Filters::default();
    assert!(!all.drop(None, name, body), "an empty filter dropped something");
    let events = Filters { own: Filter { events: list(), ..Filter::default() }, hooks: Vec::new() };
    assert_eq!(events.drop(None, name, body), name != UNKNOWN && !glob.matches(name));
    let places = Filter { repositories: list(), branches: list(), ..Filter::default() };
    let places = Filters { own: places, hooks: Vec::new() };
    let drops = places.drop(None, name, body);
    assert!(is_json(body) || !drops, "dropped for what it does not say");
    let json = serde_json::to_string(&glob).expect("JSON");
    assert_eq!(serde_json::from_str::<Glob>(&json).expect("a glob"), glob);
}

/// What a pattern means, by which ends of the name are matched by which ends of the pattern.
fn means(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    let mut matched = vec![vec![false; name.len() + 1]; pattern.len() + 2];
    for at in (0..=pattern.len()).rev() {
        for from in (0..=name.len()).rev() {
            matched[at][from] = match (&pattern[at..], name.get(from)) {
                ([], rest) => rest.is_none(),
                (['*', '*', ..], rest) => matched[at + 2][from] || rest.is_some() && matched[at][from + 1],
                (['*', ..], rest) => {
                    matched[at + 1][from] || rest.is_some_and(|c| *c != '/') && matched[at][from + 1]
                }
                (['?', ..], Some(c)) => *c != '/' && matched[at + 1][from + 1],
                ([want, ..], Some(c)) => want == c && matched[at + 1][from + 1],
                (_, None) => false,
            };
        }
    }
    matched[0][0]
}

/// As `webhook-ingest` takes them from the header.
fn is_key(key: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_:-".contains(&b);
    (1..=64).contains(&key.len()) && key.bytes().all(fits)
}

fn verified(body: &[u8]) -> Verified<'_> {
    let secrets = [hook_secret(1, "s")];
    let claimed = Claimed::parse([sign(body, &secrets[0].secret).as_str()]).expect("a signature");
    verify(body, &claimed, &secrets).expect("verified")
}

fn hook_secret(version: u64, secret: &str) -> HookSecret {
    HookSecret { version, secret: SecretString::from(secret) }
}

fn credential() -> CredentialId {
    "c1".parse().expect("an id")
}

fn now() -> Timestamp {
    Timestamp::from_second(1_795_000_000).expect("a time")
}

thread_local! {
    /// A runtime, and a table with the hook of `c1`, whose secret is `s`.
    static RUNTIME: (Runtime, MemoryTable) = {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let table = MemoryTable::default();
        let ring = Keyring::parse(&SecretString::from(RING)).expect("a ring");
        let secret = SecretString::from("s");
        let secrets = HookSecrets::first(&ring, &credential(), &secret, [1; NONCE_LEN], now());
        runtime.block_on(hooks::put_first(&table, &credential(), &secrets)).expect("stored");
        (runtime, table)
    };
}
