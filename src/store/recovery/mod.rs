//! A store over what another run left in a file: opened, checked, and its index made again from the items.
//!
//! Nothing that the file holds is believed before it is looked at: `open` decides whether any of it is, `pages` goes
//! over all formatted chunks in the order of memory, on as many threads as there are, `chains` finds out which parts
//! belong to large items, `finish` gives pages, free chunks and memory to who has them. Being ended in the middle
//! does no harm: all of it may be done again from the beginning.

mod chains;
mod finish;
mod open;
mod pages;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub use self::open::{Opened, memory_file_owner, memory_file_refusal};
pub use self::pages::{Recovery, Share};
