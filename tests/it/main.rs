//! Tests over the whole running system.
#![cfg(test)]

mod calls;
mod command;
mod connects;
mod contract;
mod events;
mod fixtures;
mod hooks;
mod ledger;
mod refreshes;
mod tidy;
mod webhooks;
mod world;
