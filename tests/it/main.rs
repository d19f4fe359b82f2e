//! Tests over the whole running system.
#![cfg(test)]

mod actions;
mod at_most_once;
mod calls;
mod command;
mod commits;
mod connects;
mod contract;
mod fixtures;
mod lambda;
mod limits;
mod operations;
mod pagination;
mod recorded;
mod refreshes;
mod tidy;
mod waiting;
mod webhooks;
mod world;
