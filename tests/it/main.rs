//! Tests over the whole running system.

mod calls;
mod connects;
mod contract;
mod credentials;
mod fixtures;
mod keys;
mod openapi;
mod operators;
mod refreshes;
// mod tidy;
mod webhooks;
mod world;
