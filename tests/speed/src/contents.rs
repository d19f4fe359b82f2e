//! What the table and the secrets hold while the functions are measured: one credential with its hook and
//! its tokens, sealed with real keys, and the connect link and operator that the others need.

use std::error::Error;
use std::time::Duration;

use bucketwheel::connect::{Link, Ticket};
use bucketwheel::credential::{Credential, CredentialId};
use bucketwheel::memory::MemoryTable;
use bucketwheel::ports::{Table as _, Write};
use bucketwheel::rotation::Upkeep;
use bucketwheel::seal::Keyring;
use bucketwheel::store::hooks::{self, HookSecrets};
use bucketwheel::store::{connects, credentials, tokens};
use bucketwheel::token::{AccessToken, RefreshToken, TokenSet};
use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::json;

use crate::aws::{Contents, TOKEN};

pub(crate) const CREDENTIAL: &str = "01m7yae8b45pahewwyeqezdt24";
pub(crate) const HOOK_SECRET: &str = "vY3sR8uK2nQ7wX5zA9cE1gJ4mP6tB0dF";
pub(crate) const OPERATOR_TOKEN: &str = "wO0bHVyVNJOJvCJ5WVG9aUgsnfcA0kGYJGA4eNxtNx8t4W2T";
/// The random bits of the connect link.
const LINK: [u8; 32] = [7; 32];

/// The connect link as it stands in its address.
pub(crate) fn link() -> String {
    Ticket::new(LINK).reveal().to_owned()
}

/// Everything, as of `now`: the one credential, and so many others whose tokens are due.
pub(crate) fn contents(now: Timestamp, due: u32) -> Result<Contents, Box<dyn Error>> {
    // A key of 32 zero bytes: nothing here is worth hiding.
    let ring_text = json!({"k0001": "0".repeat(64)}).to_string();
    let ring = Keyring::parse(&SecretString::from(ring_text.clone()))?;
    let id: CredentialId = CREDENTIAL.parse()?;
    let secret = SecretString::from(HOOK_SECRET);
    let link: Link = serde_json::from_value(json!({
        "credential": CREDENTIAL, "kind": "oauth_user", "label": "Measured", "owner": "",
        "workspace": "seilbahn", "until": now + SignedDuration::from_hours(24),
    }))?;
    let mut writes = connected(&id, &ring, now, now + SignedDuration::from_hours(20))?;
    writes.push(connects::offer(&Ticket::new(LINK), &link));
    for number in 0..due {
        let then = now - SignedDuration::from_hours(2);
        let connected = connected(&format!("due-{number}").parse()?, &ring, then, now)?;
        writes.extend(connected.into_iter().filter(|write| write.key().pk.starts_with("CRED#due-")));
    }

    let table = MemoryTable::default();
    let stored = async {
        // A transaction has a hundred writes at most.
        while !writes.is_empty() {
            table.write(writes.split_off(writes.len().saturating_sub(100))).await?;
        }
        hooks::put_first(&table, &id, &HookSecrets::first(&ring, &id, &secret, [3; _], now)).await
    };
    stored.now_or_never().ok_or("the table in memory never waits")??;

    let secrets = [
        ("HookKeyring", ring_text.clone()),
        ("AccessKeyring", ring_text.clone()),
        ("RefreshKeyring", ring_text),
        ("AppSecret", json!({"key": "measured", "secret": "measured"}).to_string()),
        ("OperatorSecret", json!({"token": OPERATOR_TOKEN}).to_string()),
        ("webhook-secret", HOOK_SECRET.to_owned()),
    ];
    let items = table.items().into_iter().collect();
    Ok(Contents { items, secrets: secrets.into(), bitbucket_takes: Duration::ZERO })
}

/// A credential that was connected at `now`, with its tokens, which are due at `due_at`.
fn connected(
    id: &CredentialId,
    ring: &Keyring,
    now: Timestamp,
    due_at: Timestamp,
) -> Result<Vec<Write>, Box<dyn Error>> {
    let credential: Credential = serde_json::from_value(json!({
        "id": id, "kind": "oauth_user", "label": "Measured", "workspace": "seilbahn",
        "account": {"uuid": "{b7a8d1c4-2f36-4e0c-a7c5-90cf6be1d203}", "display_name": "Ada Lindt"},
        "granted": ["account", "repository:write", "webhook"], "status": {"health": "up", "since": now},
        "created_at": now, "connected_at": now, "revision": 1,
    }))?;
    let set = TokenSet {
        access: AccessToken::new(SecretString::from("a".repeat(TOKEN))),
        refresh: Some(RefreshToken::new(SecretString::from("r".repeat(TOKEN)))),
        expires_at: due_at + SignedDuration::from_mins(5),
        scopes: credential.granted.clone(),
    };
    let rings = tokens::Rings { access: ring, refresh: ring };
    let pair = tokens::SealedPair::seal(rings, id, 1, &set, None, [[1; _], [2; _]]);
    let mut writes: Vec<Write> = vec![credentials::put(&credential)];
    writes.extend(credentials::lookups(&credential).into_iter().filter(|w| matches!(w, Write::Put { .. })));
    writes.push(tokens::connect(id, &pair, None, Upkeep::Hot, now, due_at));
    Ok(writes)
}
