//! A system of a test's own, for what would disturb the others: its sandbox and its settings are nobody
//! else's.

use std::path::PathBuf;

use bucketwheel_local::Options;
use serde_json::{Value, json};

use super::World;

impl World {
    /// Starts a system with these parameters of the template and switches of the sandbox. Nothing sweeps in
    /// it by itself.
    pub(crate) async fn apart(parameters: &[(&str, &str)], behaviour: Value) -> World {
        World::apart_behind(None, parameters, behaviour).await
    }

    /// The same, with functions that look for AWS at this address.
    pub(crate) async fn apart_behind(
        functions_endpoint: Option<String>,
        parameters: &[(&str, &str)],
        behaviour: Value,
    ) -> World {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let options = Options {
            parameters: parameters.iter().map(own).collect(),
            schedule: Some("rate(1 day)".to_owned()),
            functions_endpoint,
            ..Options::default()
        };
        World::of(World::start((options, behaviour)).await)
    }

    /// Starts a system in which programs of this folder stand for the functions.
    pub(crate) async fn with_functions(folder: PathBuf) -> World {
        let schedule = Some("rate(1 day)".to_owned());
        let options = Options { binaries: Some(folder), schedule, ..Options::default() };
        World::of(World::start((options, json!({}))).await)
    }

    /// Ends a system of one's own.
    pub(crate) fn stop(self) {
        self.system.over.notify_one();
    }
}
