//! Who may speak: a token of `-Y`'s file, or what SASL (`-S`) accepts. Not how a client shows either (`protocol`,
//! `conn`), nor which thread asks (`server`).

mod authenticator;
mod passwords;
mod queue;
mod tokens;

pub use crate::sys::cyrus::Outcome;
pub use authenticator::{Authenticator, OpenError, Sources};
pub use queue::{Exchange, Response, SaslQueue};
pub use tokens::{Gate, Malformed, TOKENS_MAX, Tokens};

use std::path::PathBuf;

/// Most bytes that a client may say at once in a SASL exchange: as many as a token of `-Y` may have. Memcached takes
/// what fits a chunk of its memory. Kerberos' tickets, the longest in use, have some kilobytes.
pub const RESPONSE_BYTES_MAX: usize = 16 * 1024;

/// What the server is told about authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-Y`: the file of tokens.
    pub file: Option<PathBuf>,
    /// `-S`: clients must show who they are by SASL. With neither, everybody is served.
    pub sasl: bool,
}
