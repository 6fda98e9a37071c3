//! TLS as an engine over bytes: ciphertext and plaintext come and go in buffers that are lent, and a session keeps only
//! half a record, or what a socket did not take. Certificates are read here, at the start and again later.
//!
//! No socket, no thread, no clock: see `server/client` for who reads and writes.

mod certificates;
mod ciphers;
mod options;
mod session;
mod verifier;

pub use certificates::{Certificates, LoadError};
pub use ciphers::Ciphers;
pub use options::{ClientCertificate, Lowest, Options, Verify};
pub use session::{Buffers, DIRECT_BYTES_MIN, Error, RECORD_BYTES_MAX, Session};
