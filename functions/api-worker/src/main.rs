//! Wiring of api-worker: settings, adapters, and the Lambda runtime.

use api_worker::{Function, Learnt, Rounds, Worker};
use bucketwheel::aws::{Account, DynamoTable, Host, Secrets, SqsInbox, SqsQueue};
use bucketwheel::bitbucket::{Api, Trust};
use bucketwheel::store::budget::Limits;
use bucketwheel::{config, metric::Tally, telemetry};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut settings = config::from_env();
    telemetry::init(settings.optional("BUCKETWHEEL_LOG").as_deref());
    let account = Account::from(&mut settings);
    let table = settings.text("BUCKETWHEEL_TABLE");
    let calls = settings.text("BUCKETWHEEL_CALLS_QUEUE");
    let dead = settings.text("BUCKETWHEEL_CALLS_DLQ");
    let results = settings.text("BUCKETWHEEL_RESULTS_QUEUE");
    let events = settings.optional("BUCKETWHEEL_EVENTS_QUEUE");
    let nudges = settings.text("BUCKETWHEEL_REFRESH_QUEUE");
    let access_ring = settings.text("BUCKETWHEEL_ACCESS_KEYRING");
    let hook_ring = settings.text("BUCKETWHEEL_HOOK_KEYRING");
    let public_url = settings.url("BUCKETWHEEL_PUBLIC_URL");
    let per_hour = settings.number("BUCKETWHEEL_CALLS_PER_HOUR");
    let secret_days = settings.number("BUCKETWHEEL_HOOK_SECRET_DAYS");
    let list_hours = settings.number("BUCKETWHEEL_REPOSITORY_LIST_HOURS");
    let api = settings.url("BUCKETWHEEL_BITBUCKET_API_URL");
    let trust = Trust::in_place(settings.certificates("SSL_CERT_FILE").as_deref());
    settings.finish()?;

    let secrets = &Secrets::new(&account);
    let inbox = SqsInbox::new(&account, &calls, dead);
    let outbox = SqsQueue::new(&account, calls);
    let table = DynamoTable::new(&account, table);
    let search = events.is_some();
    let rounds = Rounds { table: table.clone(), calls: outbox, edge: Host, secret_days, list_hours, search };
    let worker = Worker {
        table,
        results: SqsQueue::new(&account, results),
        events: events.map(|events| SqsQueue::new(&account, events)),
        nudges: SqsQueue::new(&account, nudges),
        edge: Host,
        access_ring: secrets.keyring(&access_ring).await?,
        hook_ring: secrets.keyring(&hook_ring).await?,
        api: Api::new(api, &trust)?,
        public_url,
        limits: Limits { per_hour },
        learnt: Learnt::default(),
        tally: Tally::default(),
    };
    let function = &Function { worker, rounds, inbox };
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        secrets.renew(&[&function.worker.access_ring, &function.worker.hook_ring]).await;
        let done = function.woken(event.payload, Host::ends_at(event.context.deadline)).await;
        telemetry::write(&function.worker.tally);
        Ok::<_, Error>(done?)
    }))
    .await
}
