//! Tests over the whole running system.
#![cfg(test)]

mod at_most_once;
mod calls;
mod command;
mod connects;
mod contract;
mod fixtures;
mod lambda;
mod pagination;
mod refreshes;
mod tidy;
mod waiting;
mod webhooks;
mod world;
