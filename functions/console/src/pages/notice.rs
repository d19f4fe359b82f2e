//! How a connect went, told to the browser that comes back from it.
//!
//! The address carries an id or a code. Only what we know ourselves is shown: never the address's text.

use bucketwheel::connect::Failure;
use bucketwheel::credential::CredentialId;
use maud::{Markup, html};

use crate::request::parameter;

const CONNECTED: &str = "connected";
const FAILED: &str = "bitbucket_error";
/// Stands for every code that is not ours.
const OTHER: &str = "other";

/// How a connect went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Well.
    Connected(CredentialId),
    /// Badly; the reason may be one that this version does not know.
    Failed(Option<Failure>),
}

impl Notice {
    /// Reads `connected` and `bitbucket_error`. A failure counts for more.
    pub(crate) fn from_query(query: Option<&str>) -> Option<Self> {
        if let Some(code) = parameter(query, FAILED) {
            return Some(Self::Failed(Failure::from_code(&code)));
        }
        parameter(query, CONNECTED)?.parse().ok().map(Self::Connected)
    }

    /// The parameter that says the same, for the next address.
    pub(crate) fn parameter(&self) -> (&'static str, &str) {
        match self {
            Self::Connected(id) => (CONNECTED, id.as_str()),
            Self::Failed(failure) => (FAILED, failure.map_or(OTHER, Failure::code)),
        }
    }

    /// The banner.
    pub(crate) fn show(&self) -> Markup {
        match self {
            Self::Connected(_) => html! {
                p.banner.good role="status" {
                    "Your Bitbucket account is connected. You can close this window."
                }
            },
            Self::Failed(failure) => {
                let (cause, resolution) = failure.map_or(
                    ("The connect did not work.", "Open the connect link again, or ask the operator."),
                    |failure| (failure.cause(), failure.resolution()),
                );
                html! { p.banner.bad role="alert" { strong { (cause) } " " (resolution) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_never_repeats_the_address() {
        let hostile = "%3Cscript%3Ealert(1)%3C/script%3E-evil";
        let notice = Notice::from_query(Some(&format!("bitbucket_error={hostile}"))).expect("a notice");
        assert_eq!(notice, Notice::Failed(None));
        assert_eq!(notice.parameter(), ("bitbucket_error", "other"));
        let shown = notice.show().into_string();
        assert!(!shown.contains("script") && !shown.contains("evil"), "{shown}");
        assert_eq!(Notice::from_query(Some(&format!("connected={hostile}"))), None);
        let well = Notice::from_query(Some("connected=made-up-id")).expect("a notice");
        assert!(!well.show().into_string().contains("made-up-id"));
    }

    #[test]
    fn every_failure_tells_its_cause_and_its_resolution() {
        for failure in Failure::ALL {
            let query = format!("connected=x&bitbucket_error={}", failure.code());
            let notice = Notice::from_query(Some(&query)).expect("a notice");
            assert_eq!(notice, Notice::Failed(Some(failure)));
            let escaped = |text: &str| html! { (text) }.into_string();
            let shown = notice.show().into_string();
            assert!(shown.contains(&escaped(failure.cause())), "{shown}");
            assert!(shown.contains(&escaped(failure.resolution())), "{shown}");
        }
    }
}
