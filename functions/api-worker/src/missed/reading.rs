//! Where a repository stands, as Bitbucket says.

use std::collections::BTreeMap;

use bucketwheel::call::{ApiPath, Problem, Wire};
use bucketwheel::credential::Repository;
use bucketwheel::missed::{Extent, Reading, Thing};
use bucketwheel::ports::{Edge, Queue, Table};
use jiff::Timestamp;
use serde_json::Value;

use super::{Sweep, Watched};
use crate::exchange::{Page, Stop};

/// How many pages of a list are read at most: 1,000 branches and tags, 500 open pull requests.
const MOST_PAGES: usize = 10;
/// The longest name of a branch or tag that is watched, so that what is remembered of a repository fits an item.
const LONGEST_NAME: usize = 200;

impl<T: Table, Q: Queue, E: Edge> Sweep<'_, T, Q, E> {
    pub(super) async fn reading(&self, watched: &Watched, at: Timestamp) -> Result<Reading, Stop> {
        let mut reading = Reading { at, ..Reading::default() };
        let wants = |wanted: &str| watched.events.keys().any(|key| key.starts_with(wanted));
        if wants("repo:push") {
            let fields = "next,values.type,values.name,values.target.hash";
            let query = [("pagelen", "100"), ("fields", fields)];
            reading.refs = Some(self.list(watched, "refs", &query, head, &mut reading.heads).await?);
        }
        if wants("pullrequest:") {
            let fields = "next,values.id,values.source.commit.hash";
            let query = [("state", "OPEN"), ("pagelen", "50"), ("fields", fields)];
            reading.pulls =
                Some(self.list(watched, "pullrequests", &query, source, &mut reading.heads).await?);
        }
        Ok(reading)
    }

    async fn list(
        &self,
        watched: &Watched,
        what: &str,
        query: &[(&str, &str)],
        read: impl Fn(&Value) -> Option<(Thing, String)>,
        into: &mut BTreeMap<Thing, String>,
    ) -> Result<Extent, Stop> {
        let mut wire = Wire::get(path(&watched.repository, what)?, query);
        for _ in 0..MOST_PAGES {
            let page = Page::of(self.ask(&wire).await?)?;
            into.extend(page.values.iter().filter_map(&read));
            let Some(next) = page.next else { return Ok(Extent::Whole) };
            let (path, query) = self.worker.follow(&next)?;
            wire = Wire { path, query, ..wire };
        }
        Ok(Extent::Part)
    }

    /// A repository by its full name.
    pub(super) async fn repository(&self, full_name: &str) -> Result<Option<Repository>, Stop> {
        Ok(Repository::read(&self.ask(&Wire::get(address(full_name)?, &[])).await?))
    }

    /// All that Bitbucket says of a repository.
    pub(super) async fn repository_as_bitbucket_has_it(&self, of: &Repository) -> Result<Value, Stop> {
        self.ask(&Wire::get(address(&of.full_name)?, &[])).await
    }
}

fn head(value: &Value) -> Option<(Thing, String)> {
    let name = value["name"].as_str().filter(|name| name.len() <= LONGEST_NAME)?;
    let of = if value["type"] == "tag" { Thing::tag(name) } else { Thing::branch(name) };
    Some((of, value["target"]["hash"].as_str()?.to_owned()))
}

fn source(value: &Value) -> Option<(Thing, String)> {
    // Bitbucket names these by twelve characters; should it ever say more, it is the same commit.
    let hash = value["source"]["commit"]["hash"].as_str()?.chars().take(12).collect();
    Some((Thing::pull(value["id"].as_u64()?), hash))
}

pub(super) fn path(repository: &Repository, rest: &str) -> Result<ApiPath, Stop> {
    address(&format!("{}/{rest}", repository.full_name))
}

fn address(rest: &str) -> Result<ApiPath, Stop> {
    ApiPath::parse(&format!("repositories/{rest}")).map_err(|error| {
        let resolution = "Read the credential's list of repositories anew.";
        Stop::Failed(Problem::new("bad_repository", error.to_string(), resolution), None)
    })
}
