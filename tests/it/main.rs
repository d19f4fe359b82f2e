//! Tests over the whole running system.
#![cfg(test)]

mod actions;
mod at_most_once;
mod attached;
mod backlogs;
mod browser;
mod calls;
mod command;
mod commits;
mod connects;
mod console;
mod contract;
mod credentials;
mod events;
mod fixtures;
mod hooks;
mod keys;
mod kills;
mod lambda;
mod ledger;
mod limits;
mod openapi;
mod operations;
mod operators;
mod pagination;
mod recorded;
mod refreshes;
mod repositories;
mod rotation_model;
mod rotation_simulation;
mod rounds;
mod tidy;
mod traces;
mod waiting;
mod webhooks;
mod world;
