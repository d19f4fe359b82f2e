//! What every Bucketwheel function shares: the nouns.
//!
//! The *pure rooms* know no network, no clock and no environment. Time and randomness reach them as
//! arguments, and what they decide is an enum:
//! [`credential`], [`token`], [`rotation`], [`signature`], [`event`], [`call`], [`gitops`], [`missed`], [`seal`],
//! [`metric`], [`trace`].
//!
//! The [`ports`] say what the rooms need of the outside, [`store`] says how the nouns lie in the
//! table behind those ports, `bitbucket` is the one HTTP client, and `aws` holds the adapters.
//! A function's `main.rs` alone names `aws`, `config` and `telemetry`.

pub mod call;
pub mod connect;
pub mod credential;
pub mod error;
pub mod event;
pub mod gitops;
pub mod keyring;
pub mod metric;
pub mod missed;
pub mod ports;
pub mod rotation;
pub mod seal;
pub mod signature;
pub mod store;
pub mod token;
pub mod trace;

#[cfg(feature = "bitbucket")]
pub mod bitbucket;

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "aws")]
pub mod config;
#[cfg(feature = "aws")]
pub mod telemetry;

#[cfg(feature = "web")]
pub mod web;

#[cfg(feature = "memory")]
pub mod memory;
