//! What automations ask for, and what Bitbucket's API answers.

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

/// A line with the status, one with `Retry-After`, one with a link, and a body. Each answer has its class,
/// its words are short, and no link leads out of the API.
pub fn api_answer(data: &[u8]) {
    let Some((status, rest)) = line(data) else { return };
    let Some((after, rest)) = line(rest) else { return };
    let Some((link, body)) = line(rest) else { return };
    let Ok(status) = status.parse::<u16>() else { return };
    let headers = [("retry-after".to_owned(), after.to_owned())].into();
    let answer = Answer { status, headers, body: body.to_vec(), ..Answer::default() };
    for method in [Method::Get, Method::Post] {
        let judgement = judge(method, &answer);
        assert_eq!(judgement == Judgement::Succeeded, matches!(status, 200..=299 | 304));
        match judgement {
            Judgement::Succeeded => {}
            Judgement::Unauthorized => assert_eq!(status, 401),
            Judgement::Unknown(problem) => {
                assert!(status >= 500 && method.mutates());
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
