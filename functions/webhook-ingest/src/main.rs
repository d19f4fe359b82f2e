//! Wiring of webhook-ingest: settings, adapters, and the Lambda runtime.

use bucketwheel::aws::{Account, DynamoTable, Host, SecretKeyring, SqsQueue};
use bucketwheel::{config, telemetry};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use webhook_ingest::{ATTEMPT, DRAIN_ATTEMPT, Ingest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut settings = config::from_env();
    telemetry::init(settings.optional("BUCKETWHEEL_LOG").as_deref());
    let account = Account::from(&mut settings);
    let table = settings.text("BUCKETWHEEL_TABLE");
    let events = settings.text("BUCKETWHEEL_EVENTS_QUEUE");
    let pushes = settings.optional("BUCKETWHEEL_GITOPS_QUEUE");
    let search = settings.optional("BUCKETWHEEL_DETECT_MISSED").as_deref() == Some("on");
    let keyring = settings.text("BUCKETWHEEL_HOOK_KEYRING");
    settings.finish()?;

    let patient = DynamoTable::new(&account.clone().impatient(DRAIN_ATTEMPT), table.clone());
    let account = account.impatient(ATTEMPT);
    let ingest = Ingest::new(
        DynamoTable::new(&account, table),
        SqsQueue::new(&account, events),
        SecretKeyring::new(&account, keyring),
        Host,
    );
    let ingest = ingest.with_pushes(pushes.map(|pushes| SqsQueue::new(&account, pushes)));
    let ingest = &ingest.with_search(search).with_patient(patient);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let done = ingest.woken(event.payload.get()).await;
        telemetry::write(&ingest.tally);
        Ok::<_, Error>(done)
    }))
    .await
}
