//! What bytes of the arena mean: names of chunks, what a chunk says, and where a large item goes on.

pub(crate) mod idle;
pub(crate) mod item;
pub(crate) mod layout;
pub(crate) mod left;
pub(crate) mod marks;
pub(crate) mod parts;
mod rewriting;
pub(crate) mod shape;
pub(crate) mod state;
