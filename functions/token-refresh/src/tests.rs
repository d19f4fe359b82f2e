//! The refresher over ports in memory.

mod cost;
mod order;
mod outage;
mod probes;
mod renewal;
mod second_store;
mod status;
mod turns;
mod world;
