//! What clients ask for: each operation on a key's item, and walks over all.

pub(crate) mod arithmetic;
pub(crate) mod attempt;
pub(crate) mod condition;
pub(crate) mod delete;
pub(crate) mod fetch;
pub(crate) mod join;
pub(crate) mod large;
pub(crate) mod readers;
pub(crate) mod sample;
pub(crate) mod walk;
pub(crate) mod write;
