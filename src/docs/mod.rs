//! Pages about the whole program: what it does, what was measured, what was decided and why. Each is a Markdown file
//! that reads as well in the repository; the map of the code is the [crate's own page](crate).
//!
//! A page's links end in `.md` there. Here `links.txt` goes before each page and leads them to modules instead: of two
//! definitions of a link the first counts.

#[doc = include_str!("links.txt")]
#[doc = include_str!("flags.md")]
pub mod flags {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("options.md")]
pub mod options {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("compatibility.md")]
pub mod compatibility {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("differences.md")]
pub mod differences {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("statistics.md")]
pub mod statistics {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("measurements.md")]
pub mod measurements {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("decisions.md")]
pub mod decisions {}

#[doc = include_str!("links.txt")]
#[doc = include_str!("words.md")]
pub mod words {}

#[doc = include_str!("../store/LAYOUT.md")]
pub mod layout {}
