//! The binary protocol: packets of a header of 24 bytes and a body that says in the header how long it is.
//!
//! ```text
//!  0      1        2..4      4         5      6..8    8..12     12..16   16..24 | extras, key, value
//!  magic  opcode   key len   extras len  -    status  body len  opaque   cas    |
//! ```

mod form;
mod header;
mod opcode;
mod parse;
mod plain;
mod report;
mod status;

pub use form::{Form, HEAD_BYTES_MAX};
pub use parse::parse_unauthenticated;
pub use plain::Plain;

pub(in crate::protocol) use header::{REQUEST_MAGIC, has_head, logged};
pub(in crate::protocol) use parse::parse;
pub(in crate::protocol) use report::{push_prefixes, push_stat};
