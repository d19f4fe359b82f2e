//! The calls that a step needs the answers of.

use super::{Attachment, State, Step, Work};
use crate::call::{
    Action, Call, CallId, Commit as CommitFiles, File, Message, Method, Paginate, Priority, Reply, Request,
};

/// How deep folders are listed. Bitbucket gives up where that takes too long.
const DEPTH: &str = "32";

/// The calls whose answers the step needs, in the order in which they are handed to [`step`](super::step).
pub fn wanted(attachment: &Attachment, state: &State, work: &Work) -> Vec<Message> {
    let asked = Asked { attachment, state };
    let folder = attachment.folder.as_str();
    match &state.step {
        Step::Idle => Vec::new(),
        Step::Looking => {
            let name = attachment.branch.replace('\\', "\\\\").replace('"', "\\\"");
            let query =
                [("q", format!("name = \"{name}\"")), ("fields", "values.name,values.target".to_owned())];
            vec![asked.get(0, "refs/branches", &query)]
        }
        Step::Comparing { tip } => {
            let head = state.head.clone().unwrap_or_default();
            let differing = [
                ("path", folder.to_owned()),
                ("topic", "false".to_owned()),
                ("fields", "next,values.old.path,values.new.path".to_owned()),
            ];
            let differing = asked.get(0, &format!("diffstat/{}..{head}", tip.hash), &differing);
            vec![
                Message { paginate: Some(Paginate::default()), ..differing },
                asked.commits(1, &tip.hash, Some(&head), folder, "100"),
                asked.commits(2, &head, Some(&tip.hash), folder, "100"),
            ]
        }
        Step::Listing { tip } => {
            let listing = [
                ("max_depth", DEPTH.to_owned()),
                ("pagelen", "100".to_owned()),
                ("fields", "next,values.path,values.type".to_owned()),
            ];
            let listing = asked.get(0, &format!("src/{}/{}/", tip.hash, escaped(folder)), &listing);
            vec![Message { paginate: Some(Paginate::default()), ..listing }]
        }
        Step::Reading { tip, base, by, .. } => {
            let mut calls = Vec::new();
            let files = work.batch.as_ref().map(|(_, batch)| batch.files.as_slice()).unwrap_or_default();
            for (path, there) in files {
                if *there {
                    let call = asked.get(calls.len(), &format!("src/{}/{}", tip.hash, escaped(path)), &[]);
                    calls.push(raw(call));
                }
                if by.is_none() {
                    calls.push(asked.commits(calls.len(), &tip.hash, base.as_deref(), path, "1"));
                }
            }
            calls
        }
        Step::Committing { put: name } => {
            let Some((_, put)) = &work.put else { return Vec::new() };
            let within = |file: &File| File { path: format!("{folder}/{}", file.path), ..file.clone() };
            let message =
                put.message.clone().unwrap_or_else(|| format!("Update {}", attachment.cluster.name));
            let commit = CommitFiles {
                repository: asked.repository(),
                branch: Some(attachment.branch.clone()),
                message,
                author: put.author.clone(),
                expected_parent: None,
                files: put.files.iter().map(within).collect(),
            };
            // The put's own name, so that it is one commit however often the step is taken.
            vec![asked.message(format!("put.{name}"), Call::Action(Action::CommitFiles(commit)))]
        }
    }
}

/// The calls of one attachment at one turn.
struct Asked<'a> {
    attachment: &'a Attachment,
    state: &'a State,
}

impl Asked<'_> {
    /// By its uuid, once that is known.
    fn repository(&self) -> String {
        let named = &self.attachment.repository;
        match (&self.state.repository, named.split_once('/')) {
            (Some(uuid), Some((workspace, _))) => format!("{workspace}/{uuid}"),
            _ => named.clone(),
        }
    }

    fn message(&self, what: String, call: Call) -> Message {
        let id = format!("gitops.{}.{what}", self.attachment.id);
        let Ok(id) = id.parse::<CallId>() else {
            unreachable!("an attachment's id and a few digits are a call id")
        };
        Message {
            id,
            credential: self.attachment.credential.clone(),
            call,
            paginate: None,
            deadline: None,
            priority: Priority::Automation,
            force: false,
            reply: Reply::Store,
            traceparent: None,
        }
    }

    fn get(&self, number: usize, rest: &str, query: &[(&str, String)]) -> Message {
        let mut request = Request::new(Method::Get, format!("repositories/{}/{rest}", self.repository()));
        request.query = query.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.message(format!("{}.{number}", self.state.turn), Call::Request(request))
    }

    fn commits(
        &self,
        number: usize,
        include: &str,
        exclude: Option<&str>,
        path: &str,
        most: &str,
    ) -> Message {
        let fields =
            "values.hash,values.date,values.message,values.author.raw,values.author.user.display_name";
        let mut query = vec![
            ("include", include.to_owned()),
            ("path", path.to_owned()),
            ("pagelen", most.to_owned()),
            ("fields", fields.to_owned()),
        ];
        query.extend(exclude.map(|exclude| ("exclude", exclude.to_owned())));
        self.get(number, "commits", &query)
    }
}

fn raw(message: Message) -> Message {
    match message.call {
        Call::Request(request) => {
            Message { call: Call::Request(Request { raw: true, ..request }), ..message }
        }
        call => Message { call, ..message },
    }
}

/// What has a meaning in an address is escaped; the rest is the path's own concern.
fn escaped(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3F").replace('#', "%23")
}
