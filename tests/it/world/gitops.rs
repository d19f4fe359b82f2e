//! Clusters and folders, as the tests speak of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bucketwheel::event::Envelope;
use bucketwheel::ports::{Condition, Key, Table, Write};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{World, locked, text, until};

/// An attached cluster.
pub(crate) struct Cluster {
    pub(crate) id: String,
    pub(crate) credential: String,
    pub(crate) repository: String,
    pub(crate) branch: String,
    pub(crate) folder: String,
}

/// A message of the changes queue.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Told {
    /// Operation, path and content.
    pub(crate) fn change(&self) -> (&str, &str, &str) {
        let word = |name: &str| self.data[name].as_str().unwrap_or_default();
        (word("operation"), word("path"), word("content"))
    }
}

impl World {
    pub(super) async fn collect_changes(&self) {
        self.collect(&self.local().outputs.changes_queue_url, |text| locked(&self.system.changes).push(text))
            .await;
    }

    /// A repository of the test's own, with a README on `main`.
    pub(crate) async fn repository(&self, name: &str, files: Value) -> String {
        let full_name = format!("seilbahn/{name}");
        self.sandbox("POST", "repositories", Some(json!({"full_name": full_name, "files": files}))).await;
        full_name
    }

    /// Attaches a cluster of this name and waits until its folder is there.
    pub(crate) async fn attach(
        &self,
        credential: &str,
        repository: &str,
        name: &str,
        files: Value,
    ) -> Cluster {
        let cluster = self.attach_to(credential, repository, "main", name, files).await;
        self.until_history(&cluster, |lines| {
            lines.iter().any(|line| line["side"] == "us" && line["path"] != Value::Null)
        })
        .await;
        cluster
    }

    pub(crate) async fn attach_to(
        &self,
        credential: &str,
        repository: &str,
        branch: &str,
        name: &str,
        files: Value,
    ) -> Cluster {
        let wish = json!({
            "credential": credential, "repository": repository, "branch": branch,
            "cluster": {"name": name, "id": "0f3c5a7e-1b2d-4c6e-8f90-a1b2c3d4e5f6"}, "files": files,
        });
        let (status, attached) = self.operator("POST", "gitops", Some(wish)).await;
        assert_eq!(status, StatusCode::CREATED, "{attached}");
        Cluster {
            id: text(&attached["id"]),
            credential: credential.to_owned(),
            repository: repository.to_owned(),
            branch: branch.to_owned(),
            folder: text(&attached["folder"]),
        }
    }

    /// The history, once it is as wanted.
    pub(crate) async fn until_history(
        &self,
        cluster: &Cluster,
        wanted: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        until("the history says so", async || {
            let (_, page) =
                self.operator("GET", &format!("gitops/{}/history?limit=100", cluster.id), None).await;
            let lines = page["values"].as_array().cloned().unwrap_or_default();
            wanted(&lines).then_some(lines)
        })
        .await
    }

    /// What the changes queue has told of a cluster, once it is as wanted.
    pub(crate) async fn told(&self, cluster: &Cluster, wanted: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        until("the changes are told", async || {
            let texts = locked(&self.system.changes).clone();
            let of_cluster = |text: &String| {
                let envelope = Envelope::parse(text).expect("an envelope");
                (envelope.partitionkey == cluster.id).then(|| Told {
                    id: envelope.id.clone(),
                    kind: envelope.r#type.clone(),
                    data: serde_json::from_slice(&envelope.body().expect("data")).expect("JSON"),
                })
            };
            let told: Vec<_> = texts.iter().filter_map(of_cluster).collect();
            wanted(&told).then_some(told)
        })
        .await
    }

    /// Waits until the attachment knows this commit and does nothing.
    pub(crate) async fn settled(&self, cluster: &Cluster, commit: &str) {
        until("the attachment is in step", async || {
            let (_, seen) = self.operator("GET", &format!("gitops/{}", cluster.id), None).await;
            (seen["head"] == commit && seen["doing"] == "nothing").then_some(())
        })
        .await;
    }

    /// Lets the time come at which the schedule looks at it.
    pub(crate) async fn make_due(&self, cluster: &Cluster) {
        let (pk, sk) = (format!("GITOPS#{}", cluster.id), "STATE");
        until("nobody else writes", async || {
            let mut item = self.item(&pk, sk).await.expect("an attachment");
            let before = item["revision"].as_u64().expect("a number");
            item.insert("revision".to_owned(), json!(before + 1));
            item["state"]["revision"] = json!(before + 1);
            item["state"]["due_at"] = json!("1970-01-01T00:00:01Z");
            item.insert("due_at".to_owned(), json!(1_000));
            let condition = Condition::Equals("revision", json!(before));
            let write = Write::Put { key: Key::new(pk.clone(), sk), attributes: item, condition };
            self.table().write(vec![write]).await.ok()
        })
        .await;
    }

    /// Somebody pushes to the cluster's branch; gives the commit.
    pub(crate) async fn push(&self, cluster: &Cluster, wish: Value) -> String {
        let mut body = json!({"repository": cluster.repository, "branch": cluster.branch});
        body.as_object_mut().expect("an object").extend(wish.as_object().expect("an object").clone());
        self.sandbox("POST", "push", Some(body)).await["commit"].as_str().unwrap_or_default().to_owned()
    }

    /// Our side wants files to be in the folder.
    pub(crate) async fn put_files(&self, cluster: &Cluster, files: Value) {
        let put = json!({"files": files, "message": "From our side"});
        let (status, answer) =
            self.operator("POST", &format!("gitops/{}/files", cluster.id), Some(put)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }

    /// The commits of the cluster's branch, the newest first.
    pub(crate) async fn log(&self, cluster: &Cluster) -> Vec<Value> {
        let path = format!("repositories/{}/commits", cluster.repository);
        let call =
            json!({"method": "GET", "path": path, "query": {"include": cluster.branch, "pagelen": "100"}});
        let outcome = self.call(&cluster.credential, call).await;
        outcome.body.expect("a body")["values"].as_array().expect("commits").clone()
    }

    /// A file at the tip of the cluster's branch.
    pub(crate) async fn file(&self, cluster: &Cluster, path: &str) -> Option<String> {
        let path =
            format!("repositories/{}/src/{}/{}/{path}", cluster.repository, cluster.branch, cluster.folder);
        let outcome =
            self.call(&cluster.credential, json!({"method": "GET", "path": path, "raw": true})).await;
        let content = STANDARD.decode(outcome.body_base64.unwrap_or_default()).expect("base64");
        (outcome.status == Some(200)).then(|| String::from_utf8(content).expect("text"))
    }
}
