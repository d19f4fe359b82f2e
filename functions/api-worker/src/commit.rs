//! `commit_files`: one atomic commit of many files, made once at most.
//!
//! Each try names the tip that it builds on as its parent, so Bitbucket refuses it (409) if the branch has
//! moved meanwhile, and two tries can never both succeed
//! (<https://developer.atlassian.com/cloud/bitbucket/rest/api-group-source/#api-repositories-workspace-repo-slug-src-post>).
//! The message ends with a trailer that names the call. After a lost answer the branch is searched for it.

use std::time::Duration;

use bucketwheel::call::{
    Answer, ApiPath, Commit, File, Judgement, Message, Method, Part, Problem, Reaction, Request, Sent, Wire,
};
use bucketwheel::ports::{Edge, Queue, Table, TableError};
use bucketwheel::store::calls;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::Worker;
use crate::exchange::{Page, Stop, unreadable};
use crate::holder::Holder;
use crate::work::Again;

/// How often a visit builds on a new tip before the message goes back to the queue.
const TRIES: u32 = 5;
/// How many pages of a hundred commits are searched.
const SEARCHED: u32 = 10;
/// The clocks of this machine and Bitbucket may differ so much.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

/// One call at work.
pub(crate) struct Committing<'a, T, Q, E> {
    pub(crate) worker: &'a Worker<T, Q, E>,
    pub(crate) message: &'a Message,
    pub(crate) commit: &'a Commit,
    pub(crate) holder: &'a Holder,
    pub(crate) until: Timestamp,
}

/// Where a branch stands.
struct Stand {
    /// The branch's name; none in an empty repository.
    branch: Option<String>,
    /// Its tip, or the commit that a new branch begins at.
    tip: Option<String>,
    /// Whether the branch exists.
    exists: bool,
}

impl<T: Table, Q: Queue, E: Edge> Committing<'_, T, Q, E> {
    /// Makes the commit. `before` is the journal's entry of a try whose end is not known.
    pub(crate) async fn run(&self, before: Option<Sent>) -> Result<Answer, Stop> {
        self.commit.check().map_err(|problem| Stop::Failed(problem, None))?;
        let mut doubtful = before.map(|sent| sent.at);
        match self.attempt(before, &mut doubtful).await {
            // What Bitbucket refuses now says nothing of the try whose answer was lost.
            Err(Stop::Failed(problem, Some(_))) if doubtful.is_some() => {
                let cause =
                    format!("The answer was lost, and looking for the commit failed: {}", problem.cause);
                Err(Stop::Unknown(Problem::outcome_unknown(cause)))
            }
            attempted => attempted,
        }
    }

    async fn attempt(
        &self,
        mut before: Option<Sent>,
        doubtful: &mut Option<Timestamp>,
    ) -> Result<Answer, Stop> {
        for number in 1..=TRIES {
            let stand = self.stand().await?;
            if let Some(since) = *doubtful
                && let Some(found) = self.search(&stand, since).await?
            {
                return Ok(self.made(&found, &stand));
            }
            if let Some(expected) = &self.commit.expected_parent
                && stand.tip.as_ref() != Some(expected)
            {
                let tip = stand.tip.as_deref().unwrap_or("no commit");
                let cause = format!("The branch is at {tip}, not at {expected}.");
                let problem = Problem::new("conflict", cause, "Read it again and decide anew.");
                return Err(Stop::Failed(problem, None));
            }
            if stand.exists && self.is_unchanged(&stand).await? {
                return Ok(outcome(&json!({"changed": false, "commit": stand.tip, "branch": stand.branch})));
            }
            if self.worker.little_time(self.until) {
                break;
            }
            let wire = self.form(&stand).wire().map_err(|problem| Stop::Failed(problem, None))?;
            if let Some(wait) = self.worker.room(self.holder, &wire).await? {
                return Err(Again::After(wait, "the hourly allowance is used up").into());
            }
            let sent = self.write_down(&mut before).await?;
            match self.worker.transmit(self.holder, &wire, self.until).await? {
                Reaction::Answered(Judgement::Succeeded, ref answer) if let Some(hash) = named(answer) => {
                    return Ok(self.made(hash, &stand));
                }
                Reaction::Answered(Judgement::Contested(_), _) => {}
                // An answer that names no commit, such as a page with 200, is none.
                Reaction::Answered(Judgement::Succeeded | Judgement::Unknown(_), _) | Reaction::Lost(_) => {
                    doubtful.get_or_insert(sent.at);
                }
                refused => {
                    calls::not_sent(&self.worker.table, &self.message.id, sent, self.worker.edge.now())
                        .await
                        .map_err(Again::from)?;
                    return self.worker.settle(&self.message.credential, wire.method, refused).await;
                }
            }
            self.pause(number).await;
        }
        if doubtful.is_none()
            && let Some(sent) = before
        {
            let now = self.worker.edge.now();
            calls::not_sent(&self.worker.table, &self.message.id, sent, now).await.map_err(Again::from)?;
        }
        Err(Again::Later("the branch moves all the time").into())
    }

    /// The journal says so before anything is sent.
    async fn write_down(&self, before: &mut Option<Sent>) -> Result<Sent, Stop> {
        let (worker, now) = (self.worker, self.worker.edge.now());
        let sent = Sent { at: now, until: self.until, by: u32::from_be_bytes(worker.edge.random()) };
        match calls::about_to_send(&worker.table, &self.message.id, sent, *before, now).await {
            Ok(()) => *before = Some(sent),
            Err(TableError::Refused) => return Err(Again::Elsewhere.into()),
            Err(error) => return Err(Again::from(error).into()),
        }
        Ok(sent)
    }

    async fn stand(&self) -> Result<Stand, Stop> {
        let main = match &self.commit.branch {
            Some(branch) => {
                if let Some(tip) = self.tip(branch).await? {
                    return Ok(Stand { branch: Some(branch.clone()), tip: Some(tip), exists: true });
                }
                self.main_branch().await?
            }
            None => self.main_branch().await?,
        };
        let tip = match &main {
            Some(main) => self.tip(main).await?,
            None => None,
        };
        let exists = self.commit.branch.is_none() && tip.is_some();
        let branch = match tip {
            // Sources disagree whether the first commit of a repository may name its branch.
            None => None,
            Some(_) => self.commit.branch.clone().or(main),
        };
        Ok(Stand { branch, tip, exists })
    }

    async fn main_branch(&self) -> Result<Option<String>, Stop> {
        let repository = self.read("", &[("fields", "mainbranch.name")]).await?;
        Ok(repository["mainbranch"]["name"].as_str().map(str::to_owned))
    }

    async fn tip(&self, branch: &str) -> Result<Option<String>, Stop> {
        let path = format!("/refs/branches/{}", segment(branch));
        let Some(found) = missing(self.read(&path, &[("fields", "target.hash")]).await)? else {
            return Ok(None);
        };
        let tip = found["target"]["hash"].as_str().ok_or_else(unreadable)?;
        Ok(Some(tip.to_owned()))
    }

    /// The commit that carries this call's trailer, not older than `since`.
    async fn search(&self, stand: &Stand, since: Timestamp) -> Result<Option<String>, Stop> {
        let Some(branch) = stand.branch.as_deref().filter(|_| stand.exists) else { return Ok(None) };
        for page in 1..=SEARCHED {
            let page = page.to_string();
            let fields = "next,values.hash,values.date,values.message";
            let query = [("include", branch), ("pagelen", "100"), ("page", &page), ("fields", fields)];
            let Page { values: commits, next } = Page::of(self.read("/commits", &query).await?)?;
            let trailer = self.trailer();
            let ours = commits.iter().find(|commit| {
                commit["message"].as_str().is_some_and(|text| text.lines().any(|line| line == trailer))
            });
            if let Some(hash) = ours.and_then(|commit| commit["hash"].as_str()) {
                return Ok(Some(hash.to_owned()));
            }
            let oldest = commits.last().and_then(|commit| commit["date"].as_str()?.parse::<Timestamp>().ok());
            if next.is_none() || oldest.is_none_or(|oldest| oldest < since - SKEW) {
                return Ok(None);
            }
        }
        let cause = "The branch has grown so much that the commit was not looked for to the end.";
        Err(Stop::Unknown(Problem::outcome_unknown(cause)))
    }

    /// Whether the branch has all of it already. Stops at the first difference.
    async fn is_unchanged(&self, stand: &Stand) -> Result<bool, Stop> {
        let tip = stand.tip.as_deref().unwrap_or_default();
        for file in &self.commit.files {
            let path =
                format!("/src/{tip}/{}", file.path.split('/').map(segment).collect::<Vec<_>>().join("/"));
            let meta = missing(self.read(&path, &[("format", "meta"), ("fields", "attributes,size")]).await)?;
            let same = match (meta, file.content()) {
                (None, Ok(None)) => true,
                (Some(meta), Ok(Some(content))) => {
                    let has = |name: &str| {
                        meta["attributes"].as_array().is_some_and(|all| all.iter().any(|a| a == name))
                    };
                    meta["size"].as_u64() == u64::try_from(content.len()).ok()
                        && has("executable") == file.executable
                        && !has("link")
                        && self.worker.exchange(self.holder, &self.question(&path, &[])?).await?.body
                            == content
                }
                _ => false,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn form(&self, stand: &Stand) -> Request {
        let text = |name: &str, text: &str| Part {
            name: name.to_owned(),
            text: Some(text.to_owned()),
            ..Part::default()
        };
        let message = format!("{}\n\n{}", self.commit.message.trim_end(), self.trailer());
        let mut form = vec![text("message", &message)];
        form.extend(self.commit.author.as_deref().map(|author| text("author", author)));
        form.extend(stand.branch.as_deref().map(|branch| text("branch", branch)));
        form.extend(stand.tip.as_deref().map(|tip| text("parents", tip)));
        form.extend(self.commit.files.iter().map(part));
        Request { form, ..Request::new(Method::Post, format!("repositories/{}/src", self.commit.repository)) }
    }

    fn trailer(&self) -> String {
        format!("Bucketwheel-Call: {}", self.message.id)
    }

    fn made(&self, hash: &str, stand: &Stand) -> Answer {
        outcome(&json!({"changed": true, "commit": hash, "branch": stand.branch, "parent": stand.tip}))
    }

    async fn read(&self, rest: &str, query: &[(&str, &str)]) -> Result<Value, Stop> {
        self.worker.read(self.holder, &self.question(rest, query)?).await
    }

    fn question(&self, rest: &str, query: &[(&str, &str)]) -> Result<Wire, Stop> {
        let path = ApiPath::parse(&format!("repositories/{}{rest}", self.commit.repository));
        let path = path.map_err(|error| {
            let resolution = "Correct the repository and the files.";
            Stop::Failed(Problem::new("bad_path", error.to_string(), resolution), None)
        })?;
        Ok(Wire::get(path, query))
    }

    /// A short wait by chance, so that writers who met do not meet again.
    async fn pause(&self, number: u32) {
        let [chance] = self.worker.edge.random::<1>();
        tokio::time::sleep(Duration::from_millis(u64::from(number) * u64::from(chance))).await;
    }
}

/// The commit that Bitbucket says it has made.
fn named(answer: &Answer) -> Option<&str> {
    answer.headers.get("location")?.rsplit('/').next().filter(|hash| !hash.is_empty())
}

fn part(file: &File) -> Part {
    if file.delete {
        // A path that is listed without content is deleted.
        return Part { name: "files".to_owned(), text: Some(file.path.clone()), ..Part::default() };
    }
    Part {
        // The slash keeps a file called `message` from being the message.
        name: format!("/{}", file.path),
        filename: Some(file.path.rsplit('/').next().unwrap_or_default().to_owned()),
        text: file.text.clone(),
        base64: file.base64.clone(),
        attributes: file.executable.then(|| "executable".to_owned()),
    }
}

fn missing(found: Result<Value, Stop>) -> Result<Option<Value>, Stop> {
    let is_missing = matches!(&found, Err(Stop::Failed(problem, _)) if problem.code == "not_found");
    if is_missing { Ok(None) } else { found.map(Some) }
}

fn outcome(body: &Value) -> Answer {
    Answer { status: 201, body: body.to_string().into_bytes(), ..Answer::default() }
}

/// One segment of a path: a branch may have `%` or `?` in its name.
fn segment(text: &str) -> String {
    text.replace('%', "%25").replace('?', "%3F").replace('#', "%23")
}
