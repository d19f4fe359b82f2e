//! What must hold of a seed when all is over.

use bucketwheel::credential::{Cause, Health};
use bucketwheel::rotation::Chain;
use bucketwheel::store::credentials;
use bucketwheel::store::tokens::{self, Tokens};

use super::locked;
use super::seed::{CREDENTIALS, id};
use super::world::{Shared, number, ring};

const UP: (Health, Option<Cause>) = (Health::Up, None);
const LOST: (Health, Option<Cause>) = (Health::Down, Some(Cause::RotationLost));

/// As what the credential is shown.
async fn shown(shared: &Shared, n: u8) -> (Health, Option<Cause>) {
    let status = credentials::get(&shared.table, &id(n)).await.expect("read").expect("there").status;
    (status.health, status.cause)
}

/// What consumers were last told of it. Nobody is told that a credential begins `up`.
fn heard(shared: &Shared, n: u8) -> String {
    locked(&shared.heard).get(id(n).as_str()).map_or_else(|| "up".to_owned(), |(_, word)| word.clone())
}

async fn found(shared: &Shared, n: u8) -> Tokens {
    tokens::get(&shared.table, &id(n)).await.expect("read").expect("tokens")
}

/// Every chain has ended, or is refreshed and nothing about it is in doubt, and that is shown.
pub(super) async fn settled(shared: &Shared) -> bool {
    for n in 0..CREDENTIALS {
        let chain = found(shared, n).await.chain();
        let shown = shown(shared, n).await;
        let told = heard(shared, n) == shown.0.word();
        if !(told && (chain.ended && shown == LOST || at_rest(&chain) && shown == UP)) {
            return false;
        }
    }
    true
}

fn at_rest(chain: &Chain) -> bool {
    let verified = chain.expires_at > chain.refreshed_at;
    verified && chain.generation > 1 && chain.intent.is_none() && chain.refused_at.is_none()
}

/// Notes a chain that has been whole for twelve minutes of calm, and is still shown, or was last told of, as
/// something else. A sweep comes each minute, and two clocks may differ by ten.
pub(super) async fn told_in_time(shared: &Shared, untold: &mut [Option<i64>; CREDENTIALS as usize]) {
    for n in 0..CREDENTIALS {
        let (shown, heard) = (shown(shared, n).await, heard(shared, n));
        let since = &mut untold[usize::from(n)];
        if !at_rest(&found(shared, n).await.chain()) || shown == UP && heard == "up" {
            *since = None;
        } else if shared.second() - *since.get_or_insert(shared.second()) > 12 * 60 {
            shared.breached(format!("credential {n} is whole, shown as {shown:?} and told of as {heard}"));
        }
    }
}

/// Every chain is whole that could be saved, and each credential is shown as what it is. Gives how many
/// could not be saved.
pub(super) async fn verdict(shared: &Shared) -> Result<u64, String> {
    if let Some(breach) = locked(&shared.breach).take() {
        return Err(breach);
    }
    let mut lost = 0;
    for n in 0..CREDENTIALS {
        let found = found(shared, n).await;
        let chain = found.chain();
        let serves = |token| locked(&shared.provider).serves(token, shared.second(), &shared.variant);
        let token = number(found.refresh(&ring(), &id(n)));
        let works = serves(token);
        let (shown, heard) = (shown(shared, n).await, heard(shared, n));
        let right = heard == shown.0.word()
            && if chain.ended {
                lost += 1;
                shared.variant.grace < 600 && !works && shown == LOST
            } else {
                works && at_rest(&chain) && shown == UP
            };
        if !right {
            return Err(format!(
                "credential {n}, token {token} works: {works}, shown as {shown:?}, told of as {heard}, {chain:?}"
            ));
        }
    }
    Ok(lost)
}
