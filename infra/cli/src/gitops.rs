//! `bucketwheel gitops`: clusters and the folders that they are attached to.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::Error;
use crate::console::Console;
use crate::screen::Screen;
use crate::verbs::the_credential;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Attach a cluster to a folder of a repository
    Attach {
        /// workspace/repository
        #[arg(long)]
        repository: String,
        /// The branch
        #[arg(long, default_value = "main")]
        branch: String,
        /// The cluster's name
        #[arg(long)]
        cluster: String,
        /// The cluster's id, such as a uuid
        #[arg(long)]
        cluster_id: String,
        /// The credential to use; not needed if there is only one
        #[arg(long)]
        credential: Option<String>,
        /// What is to be in the folder from the beginning
        #[arg(value_name = "PATH=FILE", value_parser = pair)]
        files: Vec<(String, String)>,
    },
    /// List what is attached, and how far it has come
    List,
    /// Have files in the folder: they become one commit
    Put {
        /// The attachment
        id: String,
        /// A path in the folder, and the file to take its content from
        #[arg(value_name = "PATH=FILE", value_parser = pair)]
        files: Vec<(String, String)>,
        /// A path in the folder to delete; may be given several times
        #[arg(long, value_name = "PATH")]
        delete: Vec<String>,
        /// The commit message
        #[arg(long)]
        message: Option<String>,
    },
    /// Show who changed what, and when
    History {
        /// The attachment
        id: String,
    },
    /// Forget an attachment; its folder and its history stay
    Detach {
        /// The attachment
        id: String,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (path, file) = text.split_once('=').ok_or("write PATH=FILE")?;
    Ok((path.to_owned(), file.to_owned()))
}

pub(crate) async fn obey(console: &Console, screen: Screen, verb: Verb) -> Result<(), Error> {
    match verb {
        Verb::Attach { repository, branch, cluster, cluster_id, credential, files } => {
            let credential = the_credential(console, credential).await?;
            let wish = json!({
                "credential": credential, "repository": repository, "branch": branch,
                "cluster": {"name": cluster, "id": cluster_id}, "files": read(&files)?,
            });
            let attached = console.attach_cluster(&wish).await?;
            let (id, folder) = (shown(&attached["id"]), shown(&attached["folder"]));
            screen.tell(&attached, &format!("Attached as {id}. Its folder is {folder}."));
        }
        Verb::List => {
            let all = console.attachments().await?;
            let rows = match screen {
                Screen::Words => all.iter().map(row).collect(),
                Screen::Json => all,
            };
            let columns = [
                ("ATTACHMENT", "/id"),
                ("STATE", "/state"),
                ("HEAD", "/head"),
                ("FOLDER", "/folder"),
                ("REPOSITORY", "/repository"),
            ];
            screen.table(&rows, &columns, "Nothing is attached.");
        }
        Verb::Put { id, files, delete, message } => {
            let mut files = read(&files)?;
            files.extend(delete.into_iter().map(|path| json!({ "path": path, "delete": true })));
            let mut put = json!({ "files": files });
            if let Some(message) = message {
                put["message"] = json!(message);
            }
            let queued = console.put_files(&id, &put).await?;
            screen.tell(&json!(queued), "Queued. It becomes one commit; history shows it.");
        }
        Verb::History { id } => {
            let history = console.attachment_history(&id).await?;
            let columns = [
                ("WHEN", "/when"),
                ("WHO", "/who"),
                ("WHAT", "/what"),
                ("PATH", "/path"),
                ("COMMIT", "/commit"),
                ("NOTE", "/note"),
            ];
            match screen {
                Screen::Words => {
                    let rows: Vec<_> = history.iter().map(told).collect();
                    screen.table(&rows, &columns, "Nothing has happened yet.");
                }
                Screen::Json => history.iter().for_each(|line| screen.for_programs(line)),
            }
        }
        Verb::Detach { id } => {
            console.detach(&id).await?;
            let words = "Detached. Its folder in the repository and its history stay.";
            screen.tell(&json!({ "detached": id }), words);
        }
    }
    Ok(())
}

fn read(files: &[(String, String)]) -> Result<Vec<Value>, Error> {
    let one = |(path, file): &(String, String)| {
        let content = fs::read(file).map_err(|error| Error::File(file.clone(), error))?;
        Ok(json!({ "path": path, "base64": STANDARD.encode(content) }))
    };
    files.iter().map(one).collect()
}

fn row(one: &Value) -> Value {
    let state = match (&one["trouble"]["code"], one["branch_deleted"] == true) {
        (Value::String(code), _) => code.as_str(),
        (_, true) => "branch deleted",
        _ if one["doing"] == "nothing" => "in step",
        _ => shown(&one["doing"]),
    };
    let branch = format!("{}:{}", shown(&one["repository"]), shown(&one["branch"]));
    json!({ "id": one["id"], "state": state, "head": short(&one["head"]), "folder": one["folder"], "repository": branch })
}

fn told(line: &Value) -> Value {
    let when = line["commit"]["date"].as_str().or(line["at"].as_str()).unwrap_or("-");
    let who = match line["commit"]["author"].as_str() {
        Some(author) if !author.is_empty() => author,
        _ => {
            if line["side"] == "us" {
                "us"
            } else {
                "-"
            }
        }
    };
    let note = line["note"].as_str().or(line["commit"]["message"].as_str()).unwrap_or_default();
    let commit = short(&line["commit"]["hash"]);
    json!({ "when": when, "who": who, "what": line["what"], "path": line["path"], "commit": commit, "note": note.trim() })
}

fn shown(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn short(value: &Value) -> &str {
    let hash = shown(value);
    hash.get(..10).unwrap_or(hash)
}
