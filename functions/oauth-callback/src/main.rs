//! Wiring of oauth-callback: settings, adapters, and the Lambda runtime.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use bucketwheel::aws::{Account, DynamoTable, Host, Secrets, SqsQueue};
use bucketwheel::bitbucket::{Api, Oauth, Trust};
use bucketwheel::{config, telemetry};
use lambda_http::Error;
use oauth_callback::{Connect, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut settings = config::from_env();
    telemetry::init(settings.optional("BUCKETWHEEL_LOG").as_deref());
    let account = Account::from(&mut settings);
    let table = settings.text("BUCKETWHEEL_TABLE");
    let calls = settings.text("BUCKETWHEEL_CALLS_QUEUE");
    let access_ring = settings.text("BUCKETWHEEL_ACCESS_KEYRING");
    let refresh_ring = settings.text("BUCKETWHEEL_REFRESH_KEYRING");
    let app_secret = settings.text("BUCKETWHEEL_APP_SECRET");
    let public_url = settings.url("BUCKETWHEEL_PUBLIC_URL");
    let site = settings.url("BUCKETWHEEL_BITBUCKET_URL");
    let api = settings.url("BUCKETWHEEL_BITBUCKET_API_URL");
    let trust = Trust::in_place(settings.certificates("SSL_CERT_FILE").as_deref());
    settings.finish()?;

    let secrets = Secrets::new(&account);
    let connect = Connect {
        table: DynamoTable::new(&account, table),
        calls: SqsQueue::new(&account, calls),
        edge: Host,
        access_ring: secrets.keyring(&access_ring).await?,
        refresh_ring: secrets.keyring(&refresh_ring).await?,
        oauth: Oauth::new(site, secrets.json(&app_secret).await?, &trust)?,
        api: Api::new(api, &trust)?,
        public_url,
    };
    let rings = [connect.access_ring.clone(), connect.refresh_ring.clone()];
    let renewing = from_fn(move |request: Request, next: Next| {
        let (secrets, rings) = (secrets.clone(), rings.clone());
        async move {
            secrets.renew(&rings.each_ref()).await;
            next.run(request).await
        }
    });
    lambda_http::run(router(connect).layer(renewing)).await
}
