//! Storing what a connect brought: all of it, or nothing.

use bucketwheel::connect::{Failure, Link};
use bucketwheel::credential::{Credential, Entry, Health, Status};
use bucketwheel::ports::{Edge, Table, TableError};
use bucketwheel::rotation::{Chain, Terms, Upkeep, falls_due};
use bucketwheel::store::credentials::{self, Audit};
use bucketwheel::store::hooks::{self, HookSecrets};
use bucketwheel::store::tokens::{self, Rings, SealedPair};
use bucketwheel::store::{connects, credentials as stored};
use bucketwheel::token::TokenSet;
use bucketwheel::web::Asked;
use jiff::{SignedDuration, Timestamp};

use crate::look::Found;
use crate::{Connect, Failed};

/// How often the write is tried when a refresh or an operator changes the credential at the same time.
const TRIES: u32 = 5;

impl<T: Table, Q, E: Edge> Connect<T, Q, E> {
    /// Stores the credential, its tokens and the audit line, and uses the link up, in one transaction. The
    /// generation goes up, so a refresh of the old pair that is under way cannot overwrite the new one.
    pub(crate) async fn store(
        &self,
        digest: &str,
        link: &Link,
        found: &Found,
        set: &TokenSet,
        asked: &Asked,
    ) -> Result<Credential, Failed> {
        for _ in 0..TRIES {
            let now = self.edge.now();
            let known = stored::get(&self.table, &link.credential).await?;
            may_be_stored(link, known.as_ref(), found)?;
            let before = tokens::get(&self.table, &link.credential).await?.map(|tokens| tokens.chain());
            let credential = renewed(link, known, found, set, now);
            let upkeep = upkeep(link, before.as_ref());
            let before = before.map(|chain| chain.generation);
            let mut writes = self.writes(digest, &credential, (before, upkeep), set, asked, now);
            if !link.events.is_empty() && credential.revision == 1 {
                let mut wanted = HookSecrets::unmade();
                wanted.attach(&credential.home(), &link.events);
                writes.push(hooks::replacing(&credential.id, &mut wanted));
            }
            match self.table.write(writes).await {
                Ok(()) => return Ok(credential),
                // Something has changed since it was read: the link is used up, or it is worth another try.
                Err(TableError::Refused) => {
                    connects::link(&self.table, digest, now).await?.ok_or(Failure::LinkUnusable)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::TryAgain.into())
    }

    fn writes(
        &self,
        digest: &str,
        credential: &Credential,
        (before, upkeep): (Option<u64>, Upkeep),
        set: &TokenSet,
        asked: &Asked,
        now: Timestamp,
    ) -> Vec<bucketwheel::ports::Write> {
        let id = &credential.id;
        let generation = before.map_or(1, |generation| generation + 1);
        let rings = Rings { access: &self.access_ring, refresh: &self.refresh_ring };
        let nonces = [self.edge.random(), self.edge.random()];
        let pair = SealedPair::seal(rings, id, generation, set, None, nonces);
        // Only the margin matters to the first pair; the grace window belongs to the refresher.
        let terms = Terms::with_grace(SignedDuration::ZERO);
        let due = match before {
            None => falls_due(upkeep, now, set.expires_at, &terms, self.edge.random()),
            // The refresher looks at once, and tells everybody that it works again.
            Some(_) => now,
        };
        let tokens = tokens::connect(id, &pair, before, upkeep, now, due);
        let audit = Audit {
            actor: format!("link {}", &digest[..8]),
            action: if credential.revision == 1 { "connected" } else { "reconnected" }.to_owned(),
            note: format!("{} as {}", credential.kind.title(), credential.account.display_name),
            at: now,
            request: asked.line(),
        };
        let mut writes = vec![
            connects::use_up(digest),
            credentials::put(credential),
            tokens,
            credentials::audit_line(id, &audit, self.edge.random()),
        ];
        writes.extend(credentials::lookups(credential));
        writes
    }
}

/// How it is kept alive from now on: as the operator said, else as before.
fn upkeep(link: &Link, before: Option<&Chain>) -> Upkeep {
    match link.kind.entry() {
        Entry::Consent => link.upkeep.or(before.map(|chain| chain.upkeep)).unwrap_or_default(),
        Entry::Consumer => Upkeep::Renew,
        Entry::EmailAndToken | Entry::Token => Upkeep::Fixed,
    }
}

/// A link renews what is there, for the same account unless the operator allowed another one. It does not
/// bring back what was deleted meanwhile.
fn may_be_stored(link: &Link, known: Option<&Credential>, found: &Found) -> Result<(), Failure> {
    match known {
        None if link.renews => Err(Failure::LinkUnusable),
        Some(known) if !link.renews || known.deleting_at.is_some() => Err(Failure::LinkUnusable),
        Some(known) if known.account.uuid != found.account.uuid && !link.other_account => {
            Err(Failure::OtherAccount)
        }
        _ => Ok(()),
    }
}

/// The credential as it is from now on. A reconnect does not switch on what an operator switched off.
fn renewed(
    link: &Link,
    known: Option<Credential>,
    found: &Found,
    set: &TokenSet,
    now: Timestamp,
) -> Credential {
    let granted =
        if set.scopes.is_empty() { found.scopes.clone().unwrap_or_default() } else { set.scopes.clone() };
    let disabled_at = known.as_ref().and_then(|known| known.disabled_at);
    Credential {
        id: link.credential.clone(),
        kind: link.kind,
        label: link.label.clone(),
        owner: link.owner.clone(),
        workspace: link.workspace.clone(),
        resource: link.resource.clone(),
        account: found.account.clone(),
        wanted: link.wanted.clone(),
        granted,
        sight: found.sight,
        status: match disabled_at {
            Some(since) => Status { health: Health::Disabled, cause: None, since },
            None => Status::up(now),
        },
        created_at: known.as_ref().map_or(now, |known| known.created_at),
        connected_at: now,
        revision: known.map_or(1, |known| known.revision + 1),
        disabled_at,
        deleting_at: None,
    }
}
