//! Memory: the arena, what a page is and which class has it, the pool that pages come from, and chains of chunks.

pub(crate) mod arena;
pub(crate) mod chain;
pub(crate) mod classes;
pub(crate) mod page;
pub(crate) mod page_list;
pub(crate) mod pool;
pub(crate) mod superblock;
