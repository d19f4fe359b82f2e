//! Finding credentials among thousands, page by page.
//!
//! The table lists them by owner, by workspace, or all. What else is asked for is looked for in what it
//! lists, up to a limit; whoever asks goes on from there.

use bucketwheel::credential::{Credential, Health, Kind};
use bucketwheel::ports::{Cursor, Table};
use bucketwheel::store::credentials::Which;
use url::form_urlencoded::Serializer;

use crate::api::credentials::page;
use crate::problem::ErrorAnswer;
use crate::request::parameter;

/// How many a page has; a few more where a search ends in the middle of what the table gave.
const PAGE: u32 = 50;
/// How many are looked at in search of a page.
const MOST: usize = 5_000;

/// What is asked for.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// A part of the label, the account, the owner, the workspace or the id, in any case.
    pub(crate) text: String,
    pub(crate) state: Option<Health>,
    pub(crate) kind: Option<Kind>,
    pub(crate) workspace: String,
    pub(crate) owner: String,
    after: Option<Cursor>,
}

/// What was found.
pub(crate) struct Found {
    pub(crate) credentials: Vec<Credential>,
    pub(crate) next: Option<Cursor>,
    pub(crate) looked_at: usize,
}

impl Search {
    /// Reads the search out of an address. What it does not understand it leaves out.
    pub(crate) fn from_query(query: Option<&str>) -> Self {
        let text = |name| parameter(query, name).map(|text| text.trim().to_owned()).unwrap_or_default();
        let word = text("state");
        let states = [Health::Up, Health::Degraded, Health::Down, Health::Disabled];
        let code = text("kind");
        Self {
            text: text("q"),
            state: states.into_iter().find(|state| state.word() == word),
            kind: Kind::ALL.into_iter().find(|kind| kind.code() == code),
            workspace: text("workspace"),
            owner: text("owner"),
            after: parameter(query, "after").map(Cursor),
        }
    }

    /// Whether it begins at the beginning.
    pub(crate) fn is_first(&self) -> bool {
        self.after.is_none()
    }

    /// Whether anything is left out.
    pub(crate) fn filters(&self) -> bool {
        let texts = [&self.text, &self.workspace, &self.owner];
        self.state.is_some() || self.kind.is_some() || texts.iter().any(|text| !text.is_empty())
    }

    /// The address of the same search, from `after` on.
    pub(crate) fn address(&self, after: Option<&Cursor>) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in [
            ("q", self.text.as_str()),
            ("state", self.state.map(Health::word).unwrap_or_default()),
            ("kind", self.kind.map(Kind::code).unwrap_or_default()),
            ("workspace", self.workspace.as_str()),
            ("owner", self.owner.as_str()),
            ("after", after.map(|after| after.0.as_str()).unwrap_or_default()),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { "/credentials".to_owned() } else { format!("/credentials?{query}") }
    }

    /// Finds a page of them.
    pub(crate) async fn run(&self, table: &impl Table) -> Result<Found, ErrorAnswer> {
        let workspace = self.workspace.to_ascii_lowercase();
        let which = if !self.owner.is_empty() {
            Which::Owner(&self.owner)
        } else if !workspace.is_empty() {
            Which::Workspace(&workspace)
        } else {
            Which::All
        };
        let wanted = self.text.to_lowercase();
        let (mut credentials, mut looked_at, mut after) = (Vec::new(), 0, self.after.clone());
        loop {
            let (found, next) = page(table, which, PAGE, after.as_ref()).await?;
            looked_at += found.len();
            credentials.extend(found.into_iter().filter(|one| self.fits(one, &wanted, &workspace)));
            if next.is_none() || credentials.len() >= PAGE as usize || looked_at >= MOST {
                return Ok(Found { credentials, next, looked_at });
            }
            after = next;
        }
    }

    fn fits(&self, one: &Credential, wanted: &str, workspace: &str) -> bool {
        let texts = [&one.label, &one.account.display_name, &one.owner, &one.workspace, &one.account.uuid]
            .map(String::as_str);
        self.state.is_none_or(|state| one.status.health == state)
            && self.kind.is_none_or(|kind| one.kind == kind)
            && (workspace.is_empty() || one.workspace == workspace)
            && (wanted.is_empty()
                || one.id.as_str().contains(wanted)
                || texts.iter().any(|text| text.to_lowercase().contains(wanted)))
    }
}
