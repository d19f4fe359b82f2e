//! The operator token as it is now. It lies in Secrets Manager, and is read again now and then: so a new
//! token works soon, and the old one no longer.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bucketwheel::error::Causes;
use jiff::{SignedDuration, Timestamp};

use crate::session::Operator;

/// After this long the token is read again.
const OLDEST: SignedDuration = SignedDuration::from_secs(60);

/// One look at the secret.
pub type Reading = Pin<Box<dyn Future<Output = Result<Operator, Box<dyn Error + Send + Sync>>> + Send>>;

/// Who may enter.
pub struct Operators {
    read: Box<dyn Fn() -> Reading + Send + Sync>,
    known: Mutex<(Arc<Operator>, Option<Timestamp>)>,
}

impl Operators {
    /// Begins with the operator who was read first.
    pub fn new(first: Operator, read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self { read: Box::new(read), known: Mutex::new((Arc::new(first), None)) }
    }

    /// The operator as of now, or of a minute ago. While the secret cannot be read, who was known stays.
    pub(crate) async fn current(&self, now: Timestamp) -> Arc<Operator> {
        let known = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let read_at = *known.1.get_or_insert(now);
            if now.duration_since(read_at) < OLDEST {
                return Arc::clone(&known.0);
            }
            // Whoever comes meanwhile does not read as well.
            known.1 = Some(now);
            Arc::clone(&known.0)
        };
        match (self.read)().await {
            Ok(operator) => {
                let operator = Arc::new(operator);
                self.known.lock().unwrap_or_else(PoisonError::into_inner).0 = Arc::clone(&operator);
                operator
            }
            Err(error) => {
                tracing::warn!(error = %Causes(&*error), "the operator token stays as it was");
                known
            }
        }
    }
}

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Operators(..)")
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[tokio::test]
    async fn a_new_token_counts_within_a_minute_and_a_secret_that_is_away_changes_nothing() {
        let secret = Arc::new(Mutex::new(Some("the first token, long")));
        let there = Arc::clone(&secret);
        let first = Operator::new(SecretString::from("the first token, long")).expect("a token");
        let operators = Operators::new(first, move || {
            let token = *there.lock().expect("a lock");
            Box::pin(async move { Ok(Operator::new(SecretString::from(token.ok_or("away")?))?) })
        });
        assert!(operators.current(at(0)).await.knows("the first token, long"));
        *secret.lock().expect("a lock") = Some("the second token, long");
        assert!(operators.current(at(59)).await.knows("the first token, long"));
        let now = operators.current(at(60)).await;
        assert!(now.knows("the second token, long") && !now.knows("the first token, long"));
        *secret.lock().expect("a lock") = None;
        assert!(operators.current(at(200)).await.knows("the second token, long"));
    }
}
