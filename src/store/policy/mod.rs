//! What is decided by figures alone: what memory earns and how warm it is, which class gives a page, who waits for
//! memory, what the sweep is to look at, what other limits would bring.

pub(crate) mod curve;
pub(crate) mod earnings;
pub(crate) mod line;
pub(crate) mod mover;
pub(crate) mod pace;
pub(crate) mod settings;
pub(crate) mod sweep;
