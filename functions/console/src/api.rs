//! The JSON API: what automations and the command line use.

pub(crate) mod calls;
pub(crate) mod connect_links;
pub(crate) mod credentials;
