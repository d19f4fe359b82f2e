//! Tests over the whole running system.

mod calls;
mod connects;
mod contract;
mod fixtures;
mod refreshes;
mod rotation_model;
mod rotation_simulation;
// mod tidy;
mod webhooks;
mod world;
