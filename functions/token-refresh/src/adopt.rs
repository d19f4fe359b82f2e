//! Parked pairs come home.

use bucketwheel::ports::{Edge, Probe, Queue, Table, TableError, TokenEndpoint};
use bucketwheel::rotation::{Adoption, adopt, falls_due};
use bucketwheel::store::tokens::{self, Parked, Tokens};

use crate::Refresher;

impl<T: Table, Q: Queue, E: Edge, O: TokenEndpoint, A: Probe> Refresher<T, Q, E, O, A> {
    /// Stores a parked pair where it belongs, if it still belongs anywhere. A chain that changes meanwhile
    /// is looked at again.
    pub(crate) async fn adopt(&self, parked: &Parked) -> Result<Adoption, TableError> {
        let id = &parked.credential;
        for _ in 0..5 {
            let found = tokens::get(&self.table, id).await?;
            let adoption = adopt(found.as_ref().map(Tokens::chain).as_ref(), &parked.origin);
            let (Some(found), now) = (found, self.edge.now()) else { return Ok(Adoption::Drop) };
            let Parked { origin, pair, .. } = parked;
            let written = match adoption {
                Adoption::Commit => {
                    let (upkeep, expiry) = (found.chain().upkeep, pair.expires_at());
                    let due = falls_due(upkeep, now, expiry, &self.terms, self.edge.random());
                    tokens::commit(&self.table, id, origin, pair, now, due).await
                }
                Adoption::Keep => tokens::keep(&self.table, id, origin, pair).await,
                Adoption::Drop => Ok(()),
            };
            match written {
                Err(TableError::Refused) => {}
                written => return written.map(|()| adoption),
            }
        }
        Err(TableError::Refused)
    }
}
