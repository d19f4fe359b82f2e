//! The port [`Keys`] with a ring that is given.

use std::sync::{Arc, Mutex};

use secrecy::SecretString;

use super::{SwitchedOff, locked};
use crate::ports::{Keys, KeysError};
use crate::seal::Keyring;

/// A keyring as its secret's text, and how often it was read.
#[derive(Debug, Clone)]
pub struct MemoryKeys {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    text: SecretString,
    reads: usize,
    down: bool,
}

impl MemoryKeys {
    /// The ring of this text: a JSON object of key id to key text.
    pub fn new(text: &str) -> Self {
        let inner = Inner { text: SecretString::from(text), reads: 0, down: false };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Replaces the ring.
    pub fn set(&self, text: &str) {
        locked(&self.inner).text = SecretString::from(text);
    }

    /// Switches the keys off or on.
    pub fn set_down(&self, down: bool) {
        locked(&self.inner).down = down;
    }

    /// How often the ring was given.
    pub fn reads(&self) -> usize {
        locked(&self.inner).reads
    }
}

impl Keys for MemoryKeys {
    async fn ring(&self) -> Result<Keyring, KeysError> {
        let mut inner = locked(&self.inner);
        if inner.down {
            return Err(KeysError(Box::new(SwitchedOff)));
        }
        inner.reads += 1;
        Keyring::parse(&inner.text).map_err(|error| KeysError(Box::new(error)))
    }
}
