//! What the operator's own AWS credentials can see: the secrets, and whether Bitbucket knows the consumer.

use bucketwheel::aws::{Host, SecretError, Secrets};
use bucketwheel::bitbucket::{Consumer, ExchangeError, Oauth, Trust};
use bucketwheel::config::from_env;
use bucketwheel::error::Causes;
use bucketwheel::ports::Edge as _;
use bucketwheel::token::{Refusal, TokenError};
use secrecy::ExposeSecret as _;

use super::Finding;
use crate::profile::Profile;

const SECRETS: &str = "secrets";
const CONSUMER: &str = "consumer";

pub(super) async fn look(profile: &Profile) -> Vec<Finding> {
    let account = match profile.account() {
        Ok(account) => account,
        Err(error) => {
            return vec![
                Finding::skipped(SECRETS, error.to_string()),
                Finding::skipped(CONSUMER, "The consumer's key and secret cannot be read."),
            ];
        }
    };
    let secrets = Secrets::new(&account);
    let mut findings = Vec::new();
    for (ring, name) in [
        ("hook", &profile.hook_keyring),
        ("access", &profile.access_keyring),
        ("refresh", &profile.refresh_keyring),
    ] {
        if let Err(error) = secrets.keyring(name).await {
            let remedy = format!(
                "Without the {ring} keyring nothing sealed by it can be opened. Restore the secret's last version; \
                 if AWS refused, use credentials that may read it."
            );
            findings.push(Finding::wrong(SECRETS, Causes(&error).to_string(), remedy));
        }
    }
    let consumer = match secrets.json::<Consumer>(&profile.app_secret).await {
        Ok(consumer) if !consumer.key.is_empty() && !consumer.secret.expose_secret().is_empty() => {
            ask_for(profile, consumer).await
        }
        Ok(_) => Finding::wrong(
            CONSUMER,
            "No OAuth consumer is set.",
            "Register one in the workspace's settings at Bitbucket, with the stack's CallbackUrl, and set the \
             parameters BitbucketConsumerKey and BitbucketConsumerSecret.",
        ),
        Err(error @ SecretError::Malformed(_)) => Finding::wrong(
            CONSUMER,
            error.to_string(),
            r#"The app secret must be {"key": "…", "secret": "…"}."#,
        ),
        Err(error) => {
            let remedy = "The app secret cannot be read; use AWS credentials that may.";
            findings.push(Finding::wrong(SECRETS, Causes(&error).to_string(), remedy));
            Finding::skipped(CONSUMER, "The consumer's key and secret cannot be read.")
        }
    };
    if findings.is_empty() {
        findings.push(Finding::good(SECRETS, "three keyrings and the app secret are there"));
    }
    findings.push(consumer);
    findings
}

/// Presents a made-up code. Whoever is not known is refused as a client; whoever is, for the code.
async fn ask_for(profile: &Profile, consumer: Consumer) -> Finding {
    let trust = Trust::in_place(from_env().certificates("SSL_CERT_FILE").as_deref());
    let site = profile.bitbucket_url.parse().ok();
    let Some(oauth) = site.and_then(|site| Oauth::new(site, consumer, &trust).ok()) else {
        return Finding::wrong(
            CONSUMER,
            format!("bitbucket_url of the profile is not an address: {}", profile.bitbucket_url),
            "Write the profile anew.",
        );
    };
    let callback = format!("{}/oauth/callback", profile.public_url);
    match oauth.exchange("doctor", &callback, "doctor", Host.now()).await {
        Err(ExchangeError::Answered(TokenError::Refused {
            refusal: Refusal::Client | Refusal::Consumer,
            ..
        })) => Finding::wrong(
            CONSUMER,
            "Bitbucket does not know the consumer's key and secret.",
            "Correct the parameters BitbucketConsumerKey and BitbucketConsumerSecret. After a refused refresh \
                 token Bitbucket locks a consumer out for some minutes: then ask again.",
        ),
        Ok(_) | Err(ExchangeError::Answered(TokenError::Refused { .. })) => {
            Finding::good(CONSUMER, "Bitbucket knows its key and secret")
        }
        Err(error) => Finding::wrong(
            CONSUMER,
            format!("{} could not be asked: {}", profile.bitbucket_url, Causes(&error)),
            "Look at bitbucket.status.atlassian.com, and ask again later.",
        ),
    }
}
