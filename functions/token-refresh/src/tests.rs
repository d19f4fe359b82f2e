//! The refresher over ports in memory.

mod cost;
mod outage;
mod probes;
mod second_store;
mod status;
mod turns;
mod world;
