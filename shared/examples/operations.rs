//! Makes the table of known operations from Bitbucket's OpenAPI description
//! (<https://dac-static.atlassian.com/cloud/bitbucket/swagger.v3.json>):
//!
//! ```sh
//! cargo run -p bucketwheel --example operations -- swagger.v3.json > shared/src/call/operations.tsv
//! ```
//!
//! A line per operation: method, path template, OAuth scopes, API-token scopes without `:bitbucket`.

use std::io::Write as _;

use serde_json::Value;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The lines of the table, sorted.
pub(crate) fn table(description: &Value) -> String {
    let mut lines = Vec::new();
    for (path, operations) in description["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = operations.get(method) else { continue };
            let oauth = listed(&operation["security"]).find_map(|one| one.get("oauth2"));
            let tokens = listed(&operation["x-atlassian-oauth2-scopes"])
                .find(|one| one["state"] == "Current")
                .map(|one| &one["scopes"]);
            lines.push(format!(
                "{}\t{path}\t{}\t{}\n",
                method.to_uppercase(),
                words(oauth).join(" "),
                words(tokens).join(" ").replace(":bitbucket", ""),
            ));
        }
    }
    lines.sort();
    lines.concat()
}

fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn words(value: Option<&Value>) -> Vec<&str> {
    listed(value.unwrap_or(&Value::Null)).filter_map(Value::as_str).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("name the file with the OpenAPI description")?;
    let table = table(&serde_json::from_str(&std::fs::read_to_string(file)?)?);
    Ok(std::io::stdout().write_all(table.as_bytes())?)
}
