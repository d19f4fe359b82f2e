//! Tests over the whole running system.
#![cfg(test)]

mod calls;
mod command;
mod connects;
mod contract;
mod credentials;
mod events;
mod fixtures;
mod hooks;
mod keys;
mod ledger;
mod openapi;
mod operators;
mod refreshes;
mod rotation_model;
mod rotation_simulation;
mod tidy;
mod webhooks;
mod world;
