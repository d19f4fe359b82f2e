//! A list over several pages: each page is a part of the outcome, on the results queue and in the store.
//!
//! How far the call has come is stored with each page, so that another visit goes on from there. A visit
//! that dies between the two may put a part on the results queue twice; its number tells.

use bucketwheel::call::{self, Answer, ApiPath, Ending, Message, Paginate, Problem, State, Verdict, Wire};
use bucketwheel::ports::{Edge, Queue, Table};
use bucketwheel::store::calls::{self, Progress};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::Worker;
use crate::holder::Holder;
use crate::work::Again;

impl<T: Table, Q: Queue, E: Edge> Worker<T, Q, E> {
    pub(crate) async fn pages(
        &self,
        message: &Message,
        paginate: Paginate,
        mut wire: Wire,
        holder: &Holder,
        until: Timestamp,
    ) -> Result<Verdict, Again> {
        if wire.method.mutates() {
            let problem = Problem::new("bad_call", "Only GET has pages.", "Leave paginate out.");
            return Ok(Ending::failed(problem).into());
        }
        keep_next(&mut wire);
        let mut progress = calls::progress(&self.table, &message.id).await?;
        loop {
            if progress.pages.parts > 0 {
                let Some(next) = progress.next.as_deref().filter(|_| !full(&progress, paginate)) else {
                    progress.pages.more = progress.next.is_some();
                    return Ok(Ending { pages: Some(progress.pages), ..Ending::new(State::Succeeded) }.into());
                };
                match ApiPath::follow(next, self.api.base()) {
                    Ok((path, query)) => wire = Wire { path, query, ..wire },
                    Err(error) => return Ok(Ending::failed(foreign(&error.to_string())).into()),
                }
            }
            if self.little_time(until) {
                return Ok(Verdict::Wait(Some(SignedDuration::from_secs(1)), "more pages are to come"));
            }
            let ending = match call::answered(None, self.react(holder, &wire, until).await?) {
                Verdict::Finish(ending) if ending.state == State::Succeeded => *ending,
                other => return Ok(other),
            };
            let answer = ending.answer.unwrap_or_default();
            let Some(body) = answer.json().filter(|body| body["values"].is_array()) else {
                return Ok(Ending { answer: Some(answer), ..Ending::failed(no_list()) }.into());
            };
            self.page(message, paginate, &mut progress, body, answer).await?;
        }
    }

    async fn page(
        &self,
        message: &Message,
        paginate: Paginate,
        progress: &mut Progress,
        mut body: Value,
        mut answer: Answer,
    ) -> Result<(), Again> {
        let room = paginate.items.map(|most| most.saturating_sub(progress.pages.items));
        let room = room.and_then(|room| usize::try_from(room).ok()).unwrap_or(usize::MAX);
        progress.next = body["next"].as_str().map(str::to_owned);
        if let Some(values) = body["values"].as_array_mut() {
            if values.len() > room {
                values.truncate(room);
                // What was cut off counts as more to come.
                progress.next.get_or_insert_default();
            }
            progress.pages.items += values.len() as u64;
        }
        answer.body = body.to_string().into_bytes();
        progress.pages.parts += 1;
        let ending = Ending { answer: Some(answer), ..Ending::new(State::Part) };
        let mut part = self.outcome(message.into(), ending);
        part.part = Some(progress.pages.parts);
        self.reply(&part, message.reply).await?;
        Ok(calls::put_part(&self.table, &part, progress, self.edge.now()).await?)
    }
}

fn full(progress: &Progress, limit: Paginate) -> bool {
    limit.pages.is_some_and(|most| progress.pages.parts >= most)
        || limit.items.is_some_and(|most| progress.pages.items >= most)
}

/// A choice of `fields` must not leave out the link that is followed.
fn keep_next(wire: &mut Wire) {
    for (name, fields) in &mut wire.query {
        let names: Vec<_> = fields.split(',').map(str::trim).collect();
        if name == "fields" && names.iter().any(|n| !n.starts_with(['-', '+'])) && !names.contains(&"next") {
            fields.push_str(",next");
        }
    }
}

fn no_list() -> Problem {
    let resolution = "Leave paginate out; where fields are chosen, keep values among them.";
    Problem::new("not_a_list", "Bitbucket's answer is no list.", resolution)
}

fn foreign(why: &str) -> Problem {
    let cause = format!("The link to the next page is not followed: {why}.");
    Problem::new("foreign_link", cause, "The pages before it are stored; ask for the rest by query.")
}
