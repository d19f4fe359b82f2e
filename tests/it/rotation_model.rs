//! Every interleaving of three refreshers, a reconnect, crashes and lost answers, over every behaviour of
//! Bitbucket's token endpoint that has been documented or seen.
//!
//! The search drives the real [`bucketwheel::rotation::step`] and [`bucketwheel::rotation::adopt`]. The
//! table is [`item::Item`], which a test here ties to `bucketwheel::store::tokens`. Time jumps from one
//! deadline to the next; between two deadlines nothing depends on it.
//!
//! What it assumes: a request reaches Bitbucket within the time-out of its spend, or never; messages of
//! the refresh queue come again within their visibility time-out.

mod canon;
mod item;
pub(crate) mod provider;
mod scope;
mod search;
mod state;
mod tie;

/// A refresh token, by the order of its issue.
type Token = u8;
