//! The refresher over ports in memory.
