//! Wiring of token-refresh: settings, adapters, and the Lambda runtime.

use bucketwheel::aws::{Account, DynamoTable, Host, Secrets, SqsQueue};
use bucketwheel::bitbucket::{Api, Oauth, Trust};
use bucketwheel::rotation::Terms;
use bucketwheel::{config, telemetry};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use token_refresh::{Breaker, Refresher};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut settings = config::from_env();
    telemetry::init(settings.optional("BUCKETWHEEL_LOG").as_deref());
    let account = Account::from(&mut settings);
    let table = settings.text("BUCKETWHEEL_TABLE");
    let events = settings.text("BUCKETWHEEL_EVENTS_QUEUE");
    let parking = settings.text("BUCKETWHEEL_REFRESH_QUEUE");
    let access_ring = settings.text("BUCKETWHEEL_ACCESS_KEYRING");
    let refresh_ring = settings.text("BUCKETWHEEL_REFRESH_KEYRING");
    let app_secret = settings.text("BUCKETWHEEL_APP_SECRET");
    let public_url = settings.url("BUCKETWHEEL_PUBLIC_URL");
    let site = settings.url("BUCKETWHEEL_BITBUCKET_URL");
    let api = settings.url("BUCKETWHEEL_BITBUCKET_API_URL");
    let per_hour = settings.number("BUCKETWHEEL_CALLS_PER_HOUR");
    let grace = settings.seconds("BUCKETWHEEL_GRACE_WINDOW");
    let lockout = settings.seconds("BUCKETWHEEL_LOCKOUT");
    let trust = Trust::in_place(settings.certificates("SSL_CERT_FILE").as_deref());
    settings.finish()?;
    let secrets = &Secrets::new(&account);
    let refresher = &Refresher {
        table: DynamoTable::new(&account, table),
        events: SqsQueue::new(&account, events),
        parking: SqsQueue::new(&account, parking),
        edge: Host,
        oauth: Oauth::new(site, secrets.json(&app_secret).await?, &trust)?,
        api: Api::new(api, &trust)?,
        limits: bucketwheel::store::budget::Limits { per_hour },
        access_ring: secrets.keyring(&access_ring).await?,
        refresh_ring: secrets.keyring(&refresh_ring).await?,
        public_url,
        terms: Terms { lockout, ..Terms::with_grace(grace) },
        breaker: Breaker::default(),
    };
    lambda_runtime::run(service_fn(move |event: LambdaEvent<serde_json::Value>| async move {
        secrets.renew(&[&refresher.access_ring, &refresher.refresh_ring]).await;
        let report = refresher.handle(&event.payload, Host::ends_at(event.context.deadline)).await;
        telemetry::write(&report.tally());
        Ok::<_, Error>(report)
    }))
    .await
}
