//! The profile of a running stack: the file by which the `bucketwheel` command finds it.

use serde_json::{Value, json};

use crate::{Local, REGION};

impl Local {
    /// Where everything is, as the option `--profile` of the command reads it. Holds the operator's token.
    #[must_use]
    pub fn profile(&self) -> Value {
        let outputs = &self.outputs;
        let mut profile = json!({
            "public_url": self.public_url,
            "bitbucket_url": outputs.bitbucket_url,
            "region": REGION,
            "aws_endpoint": self.aws_endpoint,
            "table": outputs.table_name,
            "events_queue": outputs.events_queue_url,
            "results_queue": outputs.results_queue_url,
            "hook_keyring": outputs.hook_keyring,
            "access_keyring": outputs.access_keyring,
            "refresh_keyring": outputs.refresh_keyring,
            "app_secret": outputs.app_secret,
            "operator_secret": outputs.operator_secret,
            "operator_token": outputs.operator_token,
        });
        if let Some(sandbox) = &self.sandbox_url {
            profile["sandbox_url"] = json!(sandbox);
        }
        profile
    }
}
