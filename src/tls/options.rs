//! What TLS is told at start.

use std::path::PathBuf;

use super::ciphers::Ciphers;

/// The options of TLS. `config` checks all but the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `ssl_chain_cert`: the server's certificate and those that lead to it, PEM.
    pub chain: PathBuf,
    /// `ssl_key`: its private key, PEM.
    pub key: PathBuf,
    /// `ssl_ca_cert`: who may sign clients' certificates, PEM.
    pub ca: Option<PathBuf>,
    /// `ssl_verify_mode`.
    pub verify: Verify,
    /// `ssl_ciphers`.
    pub ciphers: Ciphers,
    /// `ssl_min_version`.
    pub lowest: Lowest,
    /// `ssl_session_cache`: clients may resume.
    pub resumes: bool,
    /// `ssl_wbuf_size`: most plaintext encrypted before it is given to the kernel, in bytes.
    pub write_bytes: usize,
}

/// What is wanted of clients' certificates (`ssl_verify_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Nothing: they are not asked for.
    None,
    /// They are asked for; one that is sent must be good.
    Request,
    /// There must be a good one. Mode 3 (once) is the same: there is no renegotiation.
    Require,
}

/// The lowest version spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lowest {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What a listener wants of its clients' certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// What `ssl_verify_mode` says.
    AsConfigured,
    /// Nothing (`btls:`).
    NotAsked,
    /// A good one (`mtls:`).
    Required,
}
