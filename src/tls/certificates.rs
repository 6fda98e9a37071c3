//! [`Certificates`]: what the server shows and whom it trusts, as its files say now.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
// rustls wants the Arc of std, also where loom stands in for it.
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, danger::ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::options::{ClientCertificate, Lowest, Options, Verify};
use super::session::{Error, Session};
use super::verifier::verifier;
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering, Rank};
use crate::time::Seconds;

/// More of a file is not read: the bundle of all public authorities has some 200 KiB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Why certificates could not be taken, in memcached's words.
#[derive(Debug)]
pub enum LoadError {
    /// The chain.
    Chain(PathBuf, String),
    /// The key.
    Key(PathBuf, String),
    /// Both are readable, but do not belong together or cannot be used.
    Pair(String),
    /// Who may sign clients' certificates.
    Authorities(PathBuf, String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(path, why) => write!(f, "Error loading the certificate chain: {} : {why}", path.display()),
            Self::Key(path, why) => write!(f, "Error loading the key: {} : {why}", path.display()),
            Self::Pair(why) => write!(f, "Error validating the certificate: {why}"),
            Self::Authorities(path, why) => {
                write!(f, "Error loading the CA certificate: {} : {why}", path.display())
            }
        }
    }
}

impl std::error::Error for LoadError {}

impl LoadError {
    /// The option of `-o` that named what could not be taken, with its value where it is one file.
    #[must_use]
    pub fn option(&self) -> String {
        match self {
            Self::Chain(path, _) => format!("-o ssl_chain_cert={}", path.display()),
            Self::Key(path, _) => format!("-o ssl_key={}", path.display()),
            Self::Pair(_) => "-o ssl_chain_cert with ssl_key".to_owned(),
            Self::Authorities(path, _) => format!("-o ssl_ca_cert={}", path.display()),
        }
    }
}

/// What new connections begin with, by what their listener wants of a client's certificate. Each has keys of its own
/// for tickets: who came in without a certificate cannot resume where one is asked for.
#[derive(Debug)]
struct Loaded {
    as_configured: Arc<ServerConfig>,
    not_asked: Arc<ServerConfig>,
    required: Arc<ServerConfig>,
}

/// The certificates that hold now.
#[derive(Debug)]
pub struct Certificates {
    options: Options,
    loaded: Mutex<Loaded>,
    /// The second they were read in.
    read_at: AtomicU32,
    /// The second after which a line about a failed handshake may be said again.
    said_at: AtomicU32,
    /// Failed handshakes since the last line.
    unsaid: AtomicU64,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read or is not what it should be.
    pub fn open(mut options: Options) -> Result<Self, LoadError> {
        // A daemon leaves the folder that a relative path starts from.
        for path in [&mut options.chain, &mut options.key].into_iter().chain(options.ca.as_mut()) {
            if let Ok(absolute) = std::path::absolute(&path) {
                *path = absolute;
            }
        }
        let loaded = Mutex::new(Rank::Server, load(&options)?);
        let (read_at, said_at) = (AtomicU32::new(Seconds::START.0), AtomicU32::new(0));
        Ok(Self { options, loaded, read_at, said_at, unsaid: AtomicU64::new(0) })
    }

    /// Reads the files again, for connections to come.
    ///
    /// # Errors
    /// As [`Self::open`]; what was read before stays.
    pub fn refresh(&self, now: Seconds) -> Result<(), LoadError> {
        let loaded = load(&self.options)?;
        *self.loaded.lock() = loaded;
        // Relaxed: a figure for reports.
        self.read_at.store(now.0, Ordering::Relaxed);
        Ok(())
    }

    /// The files that are read, by the options that name them.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let Options { chain, key, ca, .. } = &self.options;
        let always = [("ssl_chain_cert", chain.as_path()), ("ssl_key", key.as_path())];
        always.into_iter().chain(ca.as_deref().map(|path| ("ssl_ca_cert", path)))
    }

    /// Since how many seconds they hold.
    #[must_use]
    pub fn age(&self, now: Seconds) -> u32 {
        // Relaxed: see `refresh`.
        now.0.saturating_sub(self.read_at.load(Ordering::Relaxed))
    }

    /// Most plaintext encrypted before it is given to the kernel, in bytes.
    #[must_use]
    pub fn write_bytes(&self) -> usize {
        self.options.write_bytes
    }

    /// Whether sessions may be resumed, and are counted.
    #[must_use]
    pub fn resumes(&self) -> bool {
        self.options.resumes
    }

    /// Begins a session with a client of a listener.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn session(&self, wanted: ClientCertificate) -> Result<Session, Error> {
        let config = {
            let loaded = self.loaded.lock();
            match wanted {
                ClientCertificate::AsConfigured => Arc::clone(&loaded.as_configured),
                ClientCertificate::NotAsked => Arc::clone(&loaded.not_asked),
                ClientCertificate::Required => Arc::clone(&loaded.required),
            }
        };
        Session::new(config)
    }

    /// Counts a handshake that failed. `Some`: a line may be said about it and about so many others since the last
    /// one.
    pub fn note_failure(&self, now: Seconds) -> Option<u64> {
        // Relaxed: a line more or less a second is all that can come of a race.
        let said_at = self.said_at.load(Ordering::Relaxed);
        if now.0 <= said_at {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let is_ours = self.said_at.compare_exchange(said_at, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        is_ours.then(|| self.unsaid.swap(0, Ordering::Relaxed))
    }
}

fn load(options: &Options) -> Result<Loaded, LoadError> {
    let chain = read_certificates(&options.chain).map_err(|why| LoadError::Chain(options.chain.clone(), why))?;
    let key = read_key(&options.key).map_err(|why| LoadError::Key(options.key.clone(), why))?;
    let mut provider = provider();
    options.ciphers.apply(&mut provider);
    let provider = Arc::new(provider);
    let signing = provider.key_provider.load_private_key(key);
    let signing = signing.map_err(|error| LoadError::Key(options.key.clone(), error.to_string()))?;
    let pair = CertifiedKey::new(chain, signing);
    pair.keys_match().map_err(|error| LoadError::Pair(error.to_string()))?;
    let pair = Arc::new(pair);
    let authorities = match &options.ca {
        None => None,
        Some(path) => {
            let read = read_authorities(path);
            Some(Arc::new(read.map_err(|why| LoadError::Authorities(path.clone(), why))?))
        }
    };
    let build = |verify| {
        let verifier = verifier(verify, authorities.as_ref(), &provider);
        let verifier = verifier.map_err(|error| LoadError::Pair(error.to_string()))?;
        server_config(options, &provider, &pair, verifier)
    };
    Ok(Loaded {
        as_configured: build(options.verify)?,
        not_asked: build(Verify::None)?,
        required: build(Verify::Require)?,
    })
}

/// Where the arithmetic comes from.
pub(super) fn provider() -> CryptoProvider {
    ring::default_provider()
}

fn server_config(
    options: &Options,
    provider: &Arc<CryptoProvider>,
    pair: &Arc<CertifiedKey>,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, LoadError> {
    let unusable = |error: Error| LoadError::Pair(error.to_string());
    let versions: &[&SupportedProtocolVersion] = match options.lowest {
        Lowest::Tls12 => &[&version::TLS13, &version::TLS12],
        Lowest::Tls13 => &[&version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_protocol_versions(versions).map_err(unusable)?;
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(Arc::clone(pair)));
    let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(resolver);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if options.resumes {
        // Tickets need no memory and no lock of ours, and have keys that no other listener's kind accepts.
        config.ticketer = ring::Ticketer::new().map_err(unusable)?;
    } else {
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path).map_err(|error| error.to_string())?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|error| pem_text(&error))?;
    if certificates.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(certificates) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read(path).map_err(|error| error.to_string())?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound if contains(&text, b"ENCRYPTED PRIVATE KEY") => {
            "it asks for a passphrase, and nobody is there to say one".to_owned()
        }
        pem::Error::NoItemsFound => "there is no private key in it".to_owned(),
        error => pem_text(&error),
    })
}

fn read_authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(store)
}

/// A file's text. Of a pipe nobody knows when it would end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    Ok(text)
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}

/// No bytes of a key file are for logs: what the reader says of a line may hold some.
fn pem_text(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section does not end".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "a section does not begin as it should".to_owned(),
        pem::Error::Base64Decode(_) => "a section is not base64".to_owned(),
        _ => "it is not PEM".to_owned(),
    }
}
