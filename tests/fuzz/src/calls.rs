//! What automations ask for, and what Bitbucket's API answers.

use std::collections::BTreeMap;

use bucketwheel::call::{Answer, ApiPath, Call, Judgement, Message, Method, judge, look};
use url::Url;

use super::line;

const BASE: &str = "https://api.bitbucket.org";

/// A message of the calls queue. Whatever it asks for, the request stays below the API; and it is read back
/// as it was written.
pub fn call(data: &[u8]) {
    let Ok(message) = serde_json::from_slice::<Message>(data) else { return };
    let written = serde_json::to_string(&message).expect("JSON");
    let read = serde_json::from_str::<Message>(&written).expect("what was written is read");
    assert!(read == message, "{message:?} became {read:?}");
    let _ = message.call.what();
    let request = match message.call {
        Call::Request(request) => Ok(request),
        Call::Single(single) => single.request(),
        Call::Action(action) => return action.requests().iter().for_each(|(_, path)| stays(path)),
    };
    let Ok(request) = request else { return };
    let Ok(wire) = request.wire() else { return };
    stays(&wire.path);
    if let Some((kind, _)) = &wire.body {
        assert!(!kind.contains(['\r', '\n', '\0']), "{kind:?}");
    }
    if let Some(looked) = look(&request) {
        let _ = looked.read(&Answer { status: 200, body: data.to_vec(), ..Answer::default() });
    }
}

/// As `Api` makes an address of a path.
fn stays(path: &ApiPath) {
    let mut url = Url::parse(BASE).expect("an address");
    url.set_path(&format!("2.0/{}", path.as_str()));
    assert_eq!(url.origin(), Url::parse(BASE).expect("an address").origin());
    assert!(url.path().starts_with("/2.0/"), "{url}");
    let climbs =
        |segment: &str| matches!(segment.to_ascii_lowercase().as_str(), "" | "." | ".." | "%2e" | "%2e%2e");
    assert!(!url.path()[5..].split('/').any(climbs), "{url}");
    assert!(url.query().is_none() && url.fragment().is_none(), "{url}");
}

/// A line with the status and perhaps type and disposition of the body, one with `Retry-After`, one with a link, and
/// a body. Each answer has its class, a page in its place does not say that anything was done, its words are short,
/// and no link leads out of the API.
pub fn api_answer(data: &[u8]) {
    let Some((status, rest)) = line(data) else { return };
    let Some((after, rest)) = line(rest) else { return };
    let Some((link, body)) = line(rest) else { return };
    let mut words = status.splitn(3, ' ');
    let Some(Ok(status)) = words.next().map(str::parse::<u16>) else { return };
    let (kind, disposition) = (words.next().unwrap_or_default(), words.next());
    let mut headers = BTreeMap::from([("retry-after".to_owned(), after.to_owned())]);
    headers.extend(disposition.map(|disposition| ("content-disposition".to_owned(), disposition.to_owned())));
    let content_type = kind.to_owned();
    let answer = Answer { status, content_type, headers, body: body.to_vec(), ..Answer::default() };
    let is_file = disposition.is_some_and(|words| words.to_ascii_lowercase().starts_with("attachment"));
    let is_page = kind.eq_ignore_ascii_case("text/html") && !body.is_empty() && !is_file;
    let outage = is_page && (200..300).contains(&status);
    for method in [Method::Get, Method::Post] {
        let judgement = judge(method, &answer);
        assert_eq!(judgement == Judgement::Succeeded, matches!(status, 200..=299 | 304) && !outage);
        match judgement {
            Judgement::Succeeded => {}
            Judgement::Unauthorized => assert_eq!(status, 401),
            Judgement::Unknown(problem) => {
                assert!((status >= 500 || outage) && method.mutates());
                assert!(problem.cause.len() < 200);
            }
            Judgement::Transient { problem, after, .. } => {
                assert!(problem.cause.chars().count() <= 500);
                assert!(after.is_none_or(|after| (1..=3600).contains(&after.as_secs())));
            }
            Judgement::Permanent(problem) | Judgement::Contested(problem) => {
                assert!(problem.cause.chars().count() <= 500);
                assert!(!problem.cause.is_empty() || !body.is_empty());
            }
        }
    }
    let base = Url::parse(BASE).expect("an address");
    if let Ok((path, query)) = ApiPath::follow(link, &base) {
        stays(&path);
        assert!(query.iter().all(|(name, value)| name.len() + value.len() <= 3 * link.len()));
    }
}
