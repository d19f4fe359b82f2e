//! Wiring of console: settings, adapters, and the Lambda runtime.

use bucketwheel::aws::{Account, DynamoTable, Host, Secrets, SqsBacklog, SqsQueue};
use bucketwheel::store::budget::Limits;
use bucketwheel::{config, telemetry};
use console::{Console, operators::Operators, queues::Queues, router, session::Doubt};
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut settings = config::from_env();
    telemetry::init(settings.optional("BUCKETWHEEL_LOG").as_deref());
    let account = Account::from(&mut settings);
    let table = settings.text("BUCKETWHEEL_TABLE");
    let events = settings.text("BUCKETWHEEL_EVENTS_QUEUE");
    let events_dlq = settings.text("BUCKETWHEEL_EVENTS_DLQ");
    let calls = settings.text("BUCKETWHEEL_CALLS_QUEUE");
    let calls_dlq = settings.text("BUCKETWHEEL_CALLS_DLQ");
    let results = settings.text("BUCKETWHEEL_RESULTS_QUEUE");
    let results_dlq = settings.text("BUCKETWHEEL_RESULTS_DLQ");
    let refresh = settings.text("BUCKETWHEEL_REFRESH_QUEUE");
    let refresh_dlq = settings.text("BUCKETWHEEL_REFRESH_DLQ");
    let gitops = settings.optional("BUCKETWHEEL_GITOPS_QUEUE");
    let gitops_dlq = settings.optional("BUCKETWHEEL_GITOPS_DLQ");
    let changes = settings.optional("BUCKETWHEEL_CHANGES_QUEUE");
    let changes_dlq = settings.optional("BUCKETWHEEL_CHANGES_DLQ");
    let operator = settings.text("BUCKETWHEEL_OPERATOR_SECRET");
    let per_hour = settings.number("BUCKETWHEEL_CALLS_PER_HOUR");
    let public_url = settings.url("BUCKETWHEEL_PUBLIC_URL");
    settings.finish()?;
    let operator = Secrets::new(&account).reader(operator);

    let console = Console {
        table: DynamoTable::new(&account, table),
        calls: SqsQueue::new(&account, calls.clone()),
        nudges: SqsQueue::new(&account, refresh.clone()),
        gitops: gitops.clone().map(|gitops| SqsQueue::new(&account, gitops)),
        edge: Host,
        doubt: Doubt::default(),
        operators: Operators::new(operator().await?, operator),
        public_url,
        limits: Limits { per_hour },
    };
    let queues = Queues {
        events: SqsBacklog::new(&account, events, events_dlq),
        calls: SqsBacklog::new(&account, calls, calls_dlq),
        results: SqsBacklog::new(&account, results, results_dlq),
        refresh: SqsBacklog::new(&account, refresh, refresh_dlq),
        gitops: gitops
            .zip(gitops_dlq)
            .map(|(gitops, gitops_dlq)| SqsBacklog::new(&account, gitops, gitops_dlq)),
        changes: changes
            .zip(changes_dlq)
            .map(|(changes, changes_dlq)| SqsBacklog::new(&account, changes, changes_dlq)),
        edge: Host,
    };
    lambda_http::run(router(console, queues)).await
}
