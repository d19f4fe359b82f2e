//! Wiring of console: settings, adapters, and the Lambda runtime.

use bucketwheel::aws::{Account, DynamoTable, Host, Secrets, SqsQueue};
use bucketwheel::{config, telemetry};
use console::session::Doubt;
use console::{Console, router};
use lambda_http::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut settings = config::from_env();
    telemetry::init(settings.optional("BUCKETWHEEL_LOG").as_deref());
    let account = Account::from(&mut settings);
    let table = settings.text("BUCKETWHEEL_TABLE");
    let calls = settings.text("BUCKETWHEEL_CALLS_QUEUE");
    let nudges = settings.text("BUCKETWHEEL_REFRESH_QUEUE");
    let operator = settings.text("BUCKETWHEEL_OPERATOR_SECRET");
    let public_url = settings.url("BUCKETWHEEL_PUBLIC_URL");
    settings.finish()?;

    lambda_http::run(router(Console {
        table: DynamoTable::new(&account, table),
        calls: SqsQueue::new(&account, calls),
        nudges: SqsQueue::new(&account, nudges),
        edge: Host,
        doubt: Doubt::default(),
        operator: Secrets::new(&account).json(&operator).await?,
        public_url,
    }))
    .await
}
