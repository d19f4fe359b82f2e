//! Wiring of webhook-ingest: settings, adapters, and the Lambda runtime.

use std::time::Duration;

use bucketwheel::aws::{Account, DynamoTable, Host, Secrets, SqsQueue};
use bucketwheel::ports::Edge;
use bucketwheel::{config, telemetry};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use webhook_ingest::{Ingest, Request};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut settings = config::from_env();
    telemetry::init(settings.optional("BUCKETWHEEL_LOG").as_deref());
    let account = Account::from(&mut settings);
    let table = settings.text("BUCKETWHEEL_TABLE");
    let events = settings.text("BUCKETWHEEL_EVENTS_QUEUE");
    let keyring = settings.text("BUCKETWHEEL_HOOK_KEYRING");
    settings.finish()?;

    let secrets = Secrets::new(&account);
    let ring = secrets.keyring(&keyring).await?;
    let same = ring.clone();
    let ingest = Ingest::new(DynamoTable::new(&account, table), SqsQueue::new(&account, events), ring);
    let (ingest, ring, secrets) = (&ingest, &same, &secrets);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        // Bitbucket waits for the answer. An old ring opens nearly everything; a late answer loses a delivery.
        let _ = tokio::time::timeout(Duration::from_secs(1), secrets.renew(&[ring])).await;
        let request = Request::parse(event.payload.get())?;
        Ok::<_, Error>(ingest.handle(&request, Host.now()).await.response())
    }))
    .await
}
