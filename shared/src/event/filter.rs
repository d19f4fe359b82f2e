//! Which events are wanted. What is not wanted is counted and never stored, so a filter drops only what is
//! certainly not wanted: an event of which it cannot tell passes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::UNKNOWN;

/// What is wanted. An empty list wants everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Event keys, such as `repo:push` or `pullrequest:*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Glob>,
    /// Full names of repositories, such as `seilbahn/*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<Glob>,
    /// Branches: those that are pushed, that pull requests go to, or that a commit status names. An event
    /// that is about no branch passes; a push of tags alone does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<Glob>,
}

/// The filters of one credential. An event must pass its own filter, and that of the hook that sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// The credential's own.
    pub own: Filter,
    /// Those of its hooks.
    pub hooks: Vec<HookFilter>,
}

/// The filter of one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookFilter {
    /// The hook's uuid, without braces.
    pub hook_id: String,
    /// The event keys that the hook is to send. Bitbucket may still send others for a while.
    pub events: Vec<String>,
    /// What more is asked of an event.
    pub filter: Filter,
}

impl Filters {
    /// Whether an event is certainly not wanted. A hook that is not ours, such as one made by hand, has the
    /// credential's filter alone.
    pub fn drop(&self, hook_id: Option<&str>, event_key: &str, body: &[u8]) -> bool {
        let sender = self.hooks.iter().find(|hook| Some(hook.hook_id.as_str()) == hook_id);
        let unasked = sender
            .is_some_and(|hook| event_key != UNKNOWN && !hook.events.iter().any(|key| key == event_key));
        let filters = [Some(&self.own), sender.map(|hook| &hook.filter)];
        unasked || filters.into_iter().flatten().any(|filter| filter.drops(event_key, body))
    }
}

impl Filter {
    fn drops(&self, event_key: &str, body: &[u8]) -> bool {
        if event_key != UNKNOWN && !wanted(&self.events, event_key) {
            return true;
        }
        if self.repositories.is_empty() && self.branches.is_empty() {
            return false;
        }
        let place: Place<'_> = serde_json::from_slice(body).unwrap_or_default();
        place.repository().is_some_and(|name| !wanted(&self.repositories, name))
            || place.branches().is_some_and(|names| !names.iter().any(|name| wanted(&self.branches, name)))
                && !self.branches.is_empty()
    }
}

fn wanted(globs: &[Glob], text: &str) -> bool {
    globs.is_empty() || globs.iter().any(|glob| glob.matches(text))
}

/// A name with gaps: `*` stands for anything but a slash, `**` for anything, `?` for one character but a
/// slash. At most 255 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(String);

/// The text is no glob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pattern has 1 to 255 characters, none of them a control character")]
pub struct BadGlob;

impl Glob {
    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        // Which beginnings of the text match what was read of the pattern.
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        let mut pattern = self.0.chars().peekable();
        while let Some(c) = pattern.next() {
            if c == '*' {
                let any = pattern.next_if_eq(&'*').is_some();
                for at in 0..text.len() {
                    reached[at + 1] |= reached[at] && (any || text[at] != '/');
                }
            } else {
                for at in (0..text.len()).rev() {
                    reached[at + 1] = reached[at] && (text[at] == c || c == '?' && text[at] != '/');
                }
                reached[0] = false;
            }
        }
        reached[text.len()]
    }
}

impl TryFrom<String> for Glob {
    type Error = BadGlob;

    fn try_from(text: String) -> Result<Self, BadGlob> {
        let fits = (1..=255).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err(BadGlob) }
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.0
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a body says of the place where something happened.
#[derive(Default, Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    repository: Option<Repository<'a>>,
    #[serde(borrow)]
    push: Option<Push<'a>>,
    #[serde(borrow)]
    pullrequest: Option<PullRequest<'a>>,
    #[serde(borrow)]
    commit_status: Option<CommitStatus<'a>>,
}

type Text<'a> = std::borrow::Cow<'a, str>;

#[derive(Deserialize)]
struct Repository<'a> {
    #[serde(borrow)]
    full_name: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Push<'a> {
    #[serde(borrow)]
    changes: Option<Vec<Change<'a>>>,
}

#[derive(Deserialize)]
struct Change<'a> {
    #[serde(borrow)]
    new: Option<Reference<'a>>,
    #[serde(borrow)]
    old: Option<Reference<'a>>,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct PullRequest<'a> {
    #[serde(borrow)]
    destination: Option<Destination<'a>>,
}

#[derive(Deserialize)]
struct Destination<'a> {
    #[serde(borrow)]
    branch: Option<Reference<'a>>,
}

#[derive(Deserialize)]
struct CommitStatus<'a> {
    #[serde(borrow)]
    refname: Option<Text<'a>>,
}

impl Place<'_> {
    fn repository(&self) -> Option<&str> {
        self.repository.as_ref()?.full_name.as_deref()
    }

    /// The branches that the event is about; none where it does not say, or is about no branch.
    fn branches(&self) -> Option<Vec<&str>> {
        if let Some(push) = &self.push {
            let changes = push.changes.as_ref().filter(|changes| !changes.is_empty())?;
            let mut names = Vec::new();
            for change in changes {
                let side = change.new.as_ref().or(change.old.as_ref())?;
                // Mercurial's branches are long gone; the word is still in old recordings.
                if matches!(side.r#type.as_deref()?, "branch" | "named_branch") {
                    names.push(side.name.as_deref()?);
                }
            }
            return Some(names);
        }
        if let Some(pull_request) = &self.pullrequest {
            let branch = pull_request.destination.as_ref()?.branch.as_ref()?;
            return branch.name.as_deref().map(|name| vec![name]);
        }
        self.commit_status.as_ref()?.refname.as_deref().map(|name| vec![name])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::try_from(text.to_owned()).expect("a glob")
    }

    fn filter(events: &[&str], repositories: &[&str], branches: &[&str]) -> Filter {
        let globs = |texts: &[&str]| texts.iter().map(|text| glob(text)).collect();
        Filter { events: globs(events), repositories: globs(repositories), branches: globs(branches) }
    }

    fn push(changes: serde_json::Value) -> Vec<u8> {
        json!({"repository": {"full_name": "w/r"}, "push": {"changes": changes}}).to_string().into_bytes()
    }

    #[test]
    fn a_glob_matches_whole_names() {
        for (pattern, matching, others) in [
            ("main", vec!["main"], vec!["main2", "amain", "", "Main"]),
            ("release/*", vec!["release/1", "release/"], vec!["release", "release/1/2", "x/release/1"]),
            ("release/**", vec!["release/1/2"], vec!["release"]),
            ("**/fix", vec!["a/b/fix", "/fix"], vec!["fix", "a/fix/b"]),
            ("*a*a*", vec!["aa", "banana"], vec!["a", "bab"]),
            ("v?", vec!["v1", "vä"], vec!["v", "v12", "v/"]),
            ("**", vec!["", "a/b"], vec![]),
            ("pullrequest:*", vec!["pullrequest:created"], vec!["repo:push"]),
        ] {
            matching.iter().for_each(|text| assert!(glob(pattern).matches(text), "{pattern} {text}"));
            others.iter().for_each(|text| assert!(!glob(pattern).matches(text), "{pattern} {text}"));
        }
        assert!(Glob::try_from(String::new()).is_err() && Glob::try_from("a\n".to_owned()).is_err());
    }

    #[test]
    fn an_empty_filter_drops_nothing() {
        assert!(!Filter::default().drops("repo:push", b"not json"));
    }

    #[test]
    fn events_and_repositories_are_dropped_by_their_names() {
        let wanted = filter(&["repo:*"], &["w/*"], &[]);
        let body = push(json!([]));
        assert!(!wanted.drops("repo:push", &body));
        assert!(wanted.drops("pullrequest:created", &body));
        assert!(filter(&[], &["v/*", "x/r"], &[]).drops("repo:push", &body));
    }

    #[test]
    fn branches_are_those_pushed_those_merged_into_and_those_built() {
        let wanted = filter(&[], &[], &["main", "release/*"]);
        let branch = |name: &str| json!({"type": "branch", "name": name});
        let drops = |body: &[u8]| wanted.drops("x", body);
        assert!(!drops(&push(json!([{"new": branch("x")}, {"new": branch("release/1")}]))));
        assert!(drops(&push(json!([{"new": branch("x"), "old": branch("main")}]))));
        assert!(!drops(&push(json!([{"new": null, "old": branch("main")}]))), "a branch was deleted");
        assert!(drops(&push(json!([{"new": {"type": "tag", "name": "main"}}]))), "a tag is no branch");
        let destination =
            |name| json!({"pullrequest": {"destination": {"branch": {"name": name}}}}).to_string();
        assert!(!drops(destination("main").as_bytes()) && drops(destination("x").as_bytes()));
        let status = |name| json!({"commit_status": {"refname": name}}).to_string();
        assert!(!drops(status("main").as_bytes()) && drops(status("x").as_bytes()));
    }

    #[test]
    fn what_a_filter_cannot_tell_passes() {
        let wanted = filter(&["repo:push"], &["other/*"], &["main"]);
        for body in [
            "",
            "null",
            "{}",
            "not json",
            r#"{"repository":7}"#,
            r#"{"push":{"changes":[{"new":null,"old":null}]}}"#,
        ] {
            assert!(!wanted.drops(UNKNOWN, body.as_bytes()), "{body}");
            assert!(!wanted.drops("repo:push", body.as_bytes()), "{body}");
        }
        assert!(!filter(&[], &[], &["main"]).drops("x", &push(json!([]))), "it does not say what was pushed");
    }

    #[test]
    fn a_hook_has_a_filter_of_its_own_beside_the_credentials() {
        let hook = HookFilter {
            hook_id: "h1".to_owned(),
            events: vec!["repo:push".to_owned()],
            filter: filter(&[], &["w/r"], &[]),
        };
        let filters = Filters { own: filter(&["repo:*"], &[], &[]), hooks: vec![hook] };
        let body = push(json!([]));
        assert!(!filters.drop(Some("h1"), "repo:push", &body));
        assert!(filters.drop(Some("h1"), "repo:fork", &body), "the hook is not to send it");
        assert!(!filters.drop(Some("h2"), "repo:fork", &body) && !filters.drop(None, "repo:fork", &body));
        assert!(filters.drop(None, "pullrequest:created", &body));
        assert!(!filters.drop(Some("h1"), UNKNOWN, &body));
    }

    proptest! {
        #[test]
        fn globs_match_as_their_meaning_says(pattern in "[ab/*?]{1,8}", text in "[ab/]{0,8}") {
            fn matches(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern, text) {
                    ([], text) => text.is_empty(),
                    ([b'*', b'*', rest @ ..], text) => (0..=text.len()).any(|at| matches(rest, &text[at..])),
                    ([b'*', rest @ ..], text) => {
                        let end = text.iter().position(|b| *b == b'/').unwrap_or(text.len());
                        (0..=end).any(|at| matches(rest, &text[at..]))
                    }
                    ([b'?', rest @ ..], [b, text @ ..]) => *b != b'/' && matches(rest, text),
                    ([a, rest @ ..], [b, text @ ..]) => a == b && matches(rest, text),
                    (_, []) => false,
                }
            }
            prop_assert_eq!(glob(&pattern).matches(&text), matches(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
