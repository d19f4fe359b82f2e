//! Sets a build status for each pushed commit, as a Lambda function that the events queue wakes. See
//! README.md in the folder above.

use std::collections::BTreeSet;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use bucketwheel::aws::{Account, SqsQueue};
use bucketwheel::event::{Envelope, Event};
use bucketwheel::ports::{Outgoing, Queue};
use bucketwheel::{config, telemetry};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut settings = config::from_env();
    telemetry::init(None);
    let account = Account::from(&mut settings);
    let calls = settings.text("CALLS_QUEUE_URL");
    settings.finish()?;

    let calls = &SqsQueue::new(&account, calls);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| async move {
        Ok::<_, Error>(batch(event.payload, calls).await)
    }))
    .await
}

/// Handles messages in their order, and names those that must come again. Of a group in which one failed,
/// the others must come again too.
async fn batch(event: SqsEvent, calls: &impl Queue) -> SqsBatchResponse {
    let (mut failed, mut response) = (BTreeSet::new(), SqsBatchResponse::default());
    for message in event.records {
        let group = message.attributes.get("MessageGroupId").cloned().unwrap_or_default();
        if !failed.contains(&group) {
            match handle(&message, calls).await {
                Ok(()) => continue,
                Err(error) => tracing::warn!(message = message.message_id, %error, "it comes again"),
            }
            failed.insert(group);
        }
        let mut again = BatchItemFailure::default();
        again.item_identifier = message.message_id.unwrap_or_default();
        response.batch_item_failures.push(again);
    }
    response
}

/// Handles one event. May be called twice for the same one: the calls have the same ids then.
async fn handle(message: &SqsMessage, calls: &impl Queue) -> Result<(), Error> {
    let envelope = Envelope::parse(message.body.as_deref().unwrap_or_default())?;
    if envelope.r#type != "org.bitbucket.repo.push" {
        return Ok(());
    }
    let (Event::RepoPush(push), Some(repository)) = (envelope.event()?, &envelope.subject) else {
        return Ok(());
    };
    // A deleted branch has no tip.
    let tips = push.push.changes.into_iter().filter_map(|change| change.new);
    let branches = tips.filter(|tip| tip.kind.as_deref() == Some("branch"));
    let commits = branches.filter_map(|branch| branch.target?.hash);
    for (number, commit) in commits.enumerate() {
        let call = json!({
            "id": format!("rust-{}-{number}", envelope.id),
            "credential": envelope.credentialid,
            "call": {
                "action": "set_build_status", "repository": repository, "commit": commit,
                "key": "rust", "state": "SUCCESSFUL", "url": "https://example.com/rust",
            },
            "reply": "store",
        });
        // Calls of one credential are one group, so that a long row of them does not hold up the others.
        let group = Some(envelope.credentialid.to_string());
        calls.send(Outgoing { group, ..Outgoing::plain(call.to_string()) }).await?;
    }
    Ok(())
}
