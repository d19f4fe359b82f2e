//! What anybody can see: whether each route answers a stranger as it should, and whether Bitbucket can
//! reach the address.

use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use url::{Host, Url};

use super::Finding;
use crate::console::{self, client};
use crate::profile::Profile;

pub(super) const ADDRESS: &str = "address";
const ROUTES: &str = "routes";
const REACH: &str = "reach of hooks";

/// A route, what it answers a stranger, what that answer contains in its body or its `Location`, and the
/// function behind it.
const EXPECTED: [(Method, &str, StatusCode, &str, &str); 8] = [
    (Method::GET, "/login", StatusCode::OK, "Sign in", "console"),
    (Method::GET, "/", StatusCode::SEE_OTHER, "/login", "console"),
    (Method::GET, "/credentials", StatusCode::SEE_OTHER, "/login", "console"),
    (Method::GET, "/assets/console.css", StatusCode::OK, "", "console"),
    (Method::GET, "/api/credentials", StatusCode::UNAUTHORIZED, "not_signed_in", "console"),
    (Method::GET, "/connect/doctor", StatusCode::FOUND, "bitbucket_error=link_unusable", "oauth-callback"),
    (Method::GET, "/oauth/callback", StatusCode::FOUND, "bitbucket_error=state_unusable", "oauth-callback"),
    (Method::POST, "/webhooks/bitbucket-cloud/doctor", StatusCode::UNAUTHORIZED, "", "webhook-ingest"),
];

pub(super) async fn look(profile: &Profile) -> Result<Vec<Finding>, console::Error> {
    let mut findings = vec![reach(profile)];
    let client = client()?;
    let mut wrong = Vec::new();
    for (method, path, status, part, function) in EXPECTED {
        let request = client.request(method.clone(), format!("{}{path}", profile.public_url));
        let request = profile.signed_on().into_iter().fold(request, |r, (name, token)| r.header(name, token));
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let cause = format!("{} does not answer: {}", profile.public_url, root_cause(&error));
                let remedy = "Check the address in the profile (public_url), its DNS entry and certificate, and \
                              that the system runs.";
                findings.insert(0, Finding::wrong(ADDRESS, cause, remedy));
                return Ok(findings);
            }
        };
        let found = answer.status();
        let to =
            answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default().to_owned();
        let body = answer.text().await.unwrap_or_default();
        if found != status || !(to.contains(part) || body.contains(part)) {
            wrong.push(misrouted(&format!("{method} {path}"), found, &body, status, function));
        }
    }
    findings.insert(0, Finding::good(ADDRESS, format!("{} answers", profile.public_url)));
    if wrong.is_empty() {
        findings.push(Finding::good(
            ROUTES,
            format!("{} routes answer a stranger as they should", EXPECTED.len()),
        ));
    }
    findings.extend(wrong);
    Ok(findings)
}

/// Why a route does not answer as it should.
fn misrouted(route: &str, found: StatusCode, body: &str, wanted: StatusCode, function: &str) -> Finding {
    let cause = format!("{route} answers {} instead of {}.", found.as_u16(), wanted.as_u16());
    let remedy = if found == StatusCode::UNAUTHORIZED && body.contains("\"message\"") {
        "A sign-on stands in front. Set sign_on_header in the profile, and BUCKETWHEEL_SIGN_ON_TOKEN to a token of \
         your issuer."
            .to_owned()
    } else if found.is_server_error() {
        format!("The function {function} fails: look into its log group, /aws/lambda/<stack>-{function}.")
    } else if found == StatusCode::NOT_FOUND {
        "The route is missing, or the address leads elsewhere. Deploy the template again, and check the parameter \
         PublicUrl."
            .to_owned()
    } else {
        "Something else answers. Check that the domain leads to the stack's HTTP API and to nothing in front of it \
         that signs people on or caches."
            .to_owned()
    };
    Finding::wrong(ROUTES, cause, remedy)
}

/// Whether Bitbucket can reach the address: it takes public https addresses alone.
fn reach(profile: &Profile) -> Finding {
    if profile.sandbox_url.is_some() {
        return Finding::good(REACH, "the sandbox is on this machine");
    }
    let url = Url::parse(&profile.public_url).ok();
    let private = match url.as_ref().and_then(Url::host) {
        None => true,
        Some(Host::Domain(name)) => name == "localhost" || !name.contains('.') || name.ends_with(".local"),
        Some(Host::Ipv4(ip)) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    if private || url.is_none_or(|url| url.scheme() != "https") {
        let cause = format!("Bitbucket Cloud cannot reach {}.", profile.public_url);
        let remedy = "Webhooks need a public https address: set the parameter PublicUrl, or use the API's own \
                      address.";
        return Finding::wrong(REACH, cause, remedy);
    }
    Finding::good(REACH, "the address is public and has https")
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn bitbucket_reaches_public_https_addresses_alone() {
        let state = |public_url: &str, sandbox: bool| {
            let profile = Profile {
                public_url: public_url.to_owned(),
                sandbox_url: sandbox.then(|| "http://127.0.0.1:1".to_owned()),
                ..Profile::default()
            };
            reach(&profile).state
        };
        assert_eq!(state("http://localhost:8480", true), State::Good);
        assert_eq!(state("https://bw.example.com", false), State::Good);
        for unreachable in [
            "http://bw.example.com",
            "https://localhost",
            "https://10.0.0.7",
            "https://127.0.0.1:8443",
            "https://[::1]",
            "https://intranet",
            "nonsense",
        ] {
            assert_eq!(state(unreachable, false), State::Wrong, "{unreachable}");
        }
    }
}
