//! Certificates made for a test, and what a client needs to trust them.

use crate::client::Client;
use crate::server::{Directory, Server};
use rcgen::{CertificateParams, IsCa, Issuer, KeyPair, SignatureAlgorithm, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::fs;
use std::sync::Arc;

/// Both versions.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// A certificate and its key, as PEM.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// Who signs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("there is randomness");
        let mut params = CertificateParams::new(Vec::new()).expect("no name is bad");
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let pem = params.self_signed(&key).expect("it can be signed").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn sign(&self) -> Pair {
        self.sign_with(&rcgen::PKCS_ECDSA_P256_SHA256, |_| {})
    }

    /// One whose time was over long ago.
    pub(crate) fn sign_expired(&self) -> Pair {
        self.sign_with(&rcgen::PKCS_ECDSA_P256_SHA256, |params| params.not_after = date_time_ymd(2001, 1, 1))
    }

    pub(crate) fn sign_with(
        &self,
        kind: &'static SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let key = KeyPair::generate_for(kind).expect("there is randomness");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("it is a name");
        change(&mut params);
        let chain = params.signed_by(&key, &self.issuer).expect("it can be signed").pem();
        Pair { chain, key: key.serialize_pem() }
    }

    /// What a client needs that trusts this authority, speaks these versions and shows `pair`, if any.
    pub(crate) fn config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        pair: Option<&Pair>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("it is PEM");
        roots.add(certificate).expect("it is a certificate");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(versions).expect("they are spoken").with_root_certificates(roots);
        Arc::new(match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes()).collect::<Result<_, _>>();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("it is PEM");
                builder.with_client_auth_cert(chain.expect("it is PEM"), key).expect("they belong together")
            }
        })
    }
}

/// A server that speaks TLS, and who signed its certificate.
pub(crate) struct Encrypted {
    pub(crate) server: Server,
    pub(crate) authority: Authority,
    pub(crate) directory: Directory,
}

impl Encrypted {
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_listening(&[&["-l", "127.0.0.1", "-p", "-1"], options].concat())
    }

    /// Listens where `options` say.
    #[track_caller]
    pub(crate) fn start_listening(options: &[&str]) -> Self {
        let authority = Authority::new("authority");
        Self::start_with(&authority.sign(), authority, options)
    }

    #[track_caller]
    pub(crate) fn start_with(pair: &Pair, authority: Authority, options: &[&str]) -> Self {
        let directory = Directory::new();
        write(&directory, pair);
        fs::write(directory.join("ca"), &authority.pem).expect("the file can be written");
        let files = ["chain", "key", "ca"].map(|name| directory.text(name));
        let list = format!("ssl_chain_cert={},ssl_key={},ssl_ca_cert={}", files[0], files[1], files[2]);
        let server = Server::start_listening(&[&["-Z", "-o", &list], options].concat());
        Self { server, authority, directory }
    }

    /// A client that trusts the server and shows nothing.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect_tls(self.server.address(), &self.authority.config(&VERSIONS, None))
    }
}

/// Puts a pair in the place of the server's.
pub(crate) fn write(directory: &Directory, pair: &Pair) {
    fs::write(directory.join("chain"), &pair.chain).expect("the file can be written");
    fs::write(directory.join("key"), &pair.key).expect("the file can be written");
}
