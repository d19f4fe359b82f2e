//! Deploys template.yaml and reads what came of it.

use std::{
    collections::HashMap,
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use tokio::time;
use zip::CompressionMethod;

use crate::{
    Error,
    aws::{Aws, REGION},
    functions,
    package::{self, Local},
};

/// The stack's name; names of functions and log groups begin with it.
pub const STACK: &str = "bucketwheel";
const BUCKET: &str = "artifacts";

/// What the deployed template put out.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Outputs {
    /// The HTTP API's id.
    pub api_id: String,
    /// The queue that automations read events from (FIFO).
    pub events_queue_url: String,
    /// The queue that API calls are sent to.
    pub calls_queue_url: String,
    /// Where calls end that nobody can make.
    pub calls_dlq_url: String,
    /// The queue that outcomes of calls are read from.
    pub results_queue_url: String,
    /// The queue that automations read changes of clusters' folders from (FIFO).
    pub changes_queue_url: String,
    /// The queue that wakes gitops-sync (FIFO).
    pub gitops_queue_url: String,
    /// The queue of nudges to refresh a credential now.
    pub refresh_queue_url: String,
    /// The table.
    pub table_name: String,
    /// The keyring that seals hook secrets.
    pub hook_keyring: String,
    /// The keyring that seals access tokens.
    pub access_keyring: String,
    /// The keyring that seals refresh tokens.
    pub refresh_keyring: String,
    /// The secret with the OAuth consumer's key and secret.
    pub app_secret: String,
    /// The secret with the operator's token.
    pub operator_secret: String,
    /// Where users authorise and where tokens are issued.
    pub bitbucket_url: String,
    /// The token with which an operator enters. It opens this local stack only.
    pub operator_token: String,
}

impl fmt::Debug for Outputs {
    /// Without the operator's token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outputs").field("api_id", &self.api_id).finish_non_exhaustive()
    }
}

/// Uploads the code and the templates, creates the stack and waits for it.
pub(crate) async fn deploy(
    aws: &Aws,
    project: &Path,
    binaries: &HashMap<String, PathBuf>,
    parameters: &[(String, String)],
) -> Result<Outputs, Error> {
    let read =
        |path: PathBuf| fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())));
    let template = read(project.join("template.yaml"))?;

    aws.put(BUCKET, Bytes::new()).await?;
    for path in package::paths(&template) {
        let content = match path {
            Local::Template(path) => read(project.join(path))?.into(),
            Local::Function(name) => {
                let missing = || Error::BinaryMissing { function: name.to_owned() };
                // It travels only to another process of this machine.
                functions::archive(binaries.get(name).ok_or_else(missing)?, CompressionMethod::Stored)?
            }
        };
        aws.put(&format!("{BUCKET}/{}", key(path)), content).await?;
    }
    let packaged = package::packaged(&template, |path| match path {
        Local::Function(_) => format!("s3://{BUCKET}/{}", key(path)),
        Local::Template(_) => url(&key(path)),
    });
    aws.put(&format!("{BUCKET}/template.yaml"), packaged.into()).await?;

    let numbered: Vec<_> = (1..)
        .zip(parameters)
        .flat_map(|(number, (name, value))| {
            let field = |part| format!("Parameters.member.{number}.Parameter{part}");
            [(field("Key"), name.as_str()), (field("Value"), value.as_str())]
        })
        .collect();
    let place = url("template.yaml");
    let mut fields = vec![
        ("StackName", STACK),
        ("TemplateURL", &place),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
        ("Capabilities.member.2", "CAPABILITY_AUTO_EXPAND"),
    ];
    fields.extend(numbered.iter().map(|(field, value)| (field.as_str(), *value)));
    aws.stack("CreateStack", &fields).await?;
    let mut outputs = created(aws).await?;
    let mut take = |name: &str| outputs.remove(name).unwrap_or_default();

    let operator_secret = take("OperatorSecretName");
    let operator = aws.secret(&operator_secret).await?;
    let operator: serde_json::Value = serde_json::from_str(&operator).unwrap_or_default();
    Ok(Outputs {
        api_id: take("ApiId"),
        events_queue_url: take("EventsQueueUrl"),
        calls_queue_url: take("CallsQueueUrl"),
        calls_dlq_url: take("CallsDlqUrl"),
        results_queue_url: take("ResultsQueueUrl"),
        changes_queue_url: take("ChangesQueueUrl"),
        gitops_queue_url: take("GitopsQueueUrl"),
        refresh_queue_url: take("RefreshQueueUrl"),
        table_name: take("TableName"),
        hook_keyring: take("HookKeyringName"),
        access_keyring: take("AccessKeyringName"),
        refresh_keyring: take("RefreshKeyringName"),
        app_secret: take("AppSecretName"),
        operator_secret,
        bitbucket_url: take("BitbucketUrl"),
        operator_token: operator["token"].as_str().unwrap_or_default().to_owned(),
    })
}

fn key(path: Local<'_>) -> String {
    match path {
        Local::Function(name) => format!("functions/{name}.zip"),
        Local::Template(path) => path.to_owned(),
    }
}

fn url(key: &str) -> String {
    format!("https://s3.{REGION}.amazonaws.com/{BUCKET}/{key}")
}

async fn created(aws: &Aws) -> Result<HashMap<String, String>, Error> {
    loop {
        let stack = aws.stack("DescribeStacks", &[("StackName", STACK)]).await?;
        match texts(&stack, "StackStatus").next().as_deref() {
            Some("CREATE_IN_PROGRESS") => time::sleep(Duration::from_millis(50)).await,
            Some("CREATE_COMPLETE") => {
                return Ok(texts(&stack, "OutputKey").zip(texts(&stack, "OutputValue")).collect());
            }
            status => {
                let events = aws.stack("DescribeStackEvents", &[("StackName", STACK)]).await?;
                return Err(Error::Deploy { reason: failures(&events, status.unwrap_or("no status")) });
            }
        }
    }
}

/// The resources that failed, in the order in which they did.
fn failures(events: &str, status: &str) -> String {
    let failed = events.split("<member>").filter(|event| event.contains("_FAILED</ResourceStatus>"));
    let mut reasons: Vec<_> = failed
        .filter_map(|event| {
            let reason = texts(event, "ResourceStatusReason").next()?;
            Some(format!("{}: {reason}", texts(event, "LogicalResourceId").next()?).replace('\n', " "))
        })
        .collect();
    reasons.reverse();
    if reasons.is_empty() { status.to_owned() } else { reasons.join("; ") }
}

/// The texts of all elements with a name. CloudFormation's answers are flat enough for that.
fn texts<'x>(xml: &'x str, element: &str) -> impl Iterator<Item = String> + use<'x> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (text, after) = after.split_once(&close)?;
        rest = after;
        let plain =
            text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#x27;", "'");
        Some(plain.replace("&amp;", "&"))
    })
}

#[cfg(test)]
mod tests {
    use super::{failures, texts};

    #[test]
    fn texts_are_unescaped_once() {
        let xml = "<a><k>one</k><v>x&amp;lt;y</v></a><a><k>two</k><v>&lt;b&gt;</v></a>";
        assert_eq!(texts(xml, "k").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(texts(xml, "v").collect::<Vec<_>>(), ["x&lt;y", "<b>"]);
        assert_eq!(texts(xml, "none").count(), 0);
    }

    #[test]
    fn failures_name_the_resource_and_the_reason() {
        let event = |id: &str, status: &str, reason: &str| {
            format!(
                "<member><LogicalResourceId>{id}</LogicalResourceId><ResourceStatus>{status}</ResourceStatus>\
                 <ResourceStatusReason>{reason}</ResourceStatusReason></member>"
            )
        };
        let events = [
            event("Console", "CREATE_FAILED", "Resource creation cancelled"),
            event("Table", "CREATE_FAILED", "no\nthroughput"),
            event("Api", "CREATE_COMPLETE", ""),
        ];
        let reason = failures(&events.concat(), "ROLLBACK_COMPLETE");
        assert_eq!(reason, "Table: no throughput; Console: Resource creation cancelled");
        assert_eq!(failures("", "ROLLBACK_COMPLETE"), "ROLLBACK_COMPLETE");
    }
}
