//! Wiring of gitops-sync: settings, adapters, and the Lambda runtime.

use bucketwheel::aws::{Account, DynamoTable, Host, SqsQueue};
use bucketwheel::metric::Tally;
use bucketwheel::{config, telemetry};
use gitops_sync::Syncer;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut settings = config::from_env();
    telemetry::init(settings.optional("BUCKETWHEEL_LOG").as_deref());
    let account = Account::from(&mut settings);
    let table = settings.text("BUCKETWHEEL_TABLE");
    let calls = settings.text("BUCKETWHEEL_CALLS_QUEUE");
    let changes = settings.text("BUCKETWHEEL_CHANGES_QUEUE");
    settings.finish()?;

    let syncer = &Syncer {
        table: DynamoTable::new(&account, table),
        calls: SqsQueue::new(&account, calls),
        changes: SqsQueue::new(&account, changes),
        edge: Host,
        tally: Tally::default(),
    };
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let handled = syncer.handle(&event.payload, Host::ends_at(event.context.deadline));
        let report = Box::pin(handled).await;
        telemetry::write(&syncer.tally);
        Ok::<_, Error>(report)
    }))
    .await
}
