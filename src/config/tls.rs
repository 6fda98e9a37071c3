//! `-Z`, and what `-o` says of TLS.

use super::exit::{Exit, USAGE};
use super::extended::Extended;
use super::{Config, Flags, parse_port};
use crate::net::{Endpoint, ListenAddress, Port, TlsTag};
use crate::tls::{Ciphers, ClientCertificate, Lowest, Options, Verify};

/// Plaintext encrypted before it is given to the kernel, when nothing is said, in KiB.
pub(super) const WRITE_KILOBYTES: u32 = 16;

/// Least and most that is taken of it: each thread has a buffer of that size.
const WRITE_KILOBYTES_MIN: u32 = 4;
const WRITE_KILOBYTES_MAX: u32 = 1024;

impl Flags {
    /// What TLS is told, if it is to be spoken.
    pub(super) fn tls(&self, extended: &Extended) -> Result<Option<Options>, Exit> {
        if !self.has("enable-ssl") {
            return Ok(None);
        }
        if self.value("port").and_then(parse_port) == Some(Port::Off) {
            return Err(self.refuse_together(
                ["enable-ssl", "port"],
                "ERROR: You cannot enable SSL without a TCP port.",
                "give -p a port, or leave -Z out",
            ));
        }
        if extended.has("ssl_kernel_tls") {
            return Err(Exit::refused(
                USAGE,
                "ssl_kernel_tls is not supported: records are encrypted here, not by the kernel",
                "-o ssl_kernel_tls",
                "leave it out",
            ));
        }
        if extended.number("ssl_keyformat").is_some_and(|format| format != 1) {
            return Err(Exit::refused(
                USAGE,
                "ssl_keyformat: only 1 (PEM) is read",
                format!("-o ssl_keyformat={}", extended.text("ssl_keyformat").unwrap_or_default()),
                "leave it out, and name a key in PEM",
            ));
        }
        let file = |name: &str, what: &str| {
            let path = extended.text(name).map(Into::into);
            path.ok_or_else(|| {
                let why = format!("Error loading the {what}: (null)");
                Exit::refused(USAGE, why, "-Z", format!("name the file of the {what}, as -o {name}=FILE"))
            })
        };
        let write_kilobytes = extended.number("ssl_wbuf_size").unwrap_or(WRITE_KILOBYTES);
        let write_kilobytes = write_kilobytes.clamp(WRITE_KILOBYTES_MIN, WRITE_KILOBYTES_MAX);
        Ok(Some(Options {
            chain: file("ssl_chain_cert", "certificate chain")?,
            key: file("ssl_key", "key")?,
            ca: extended.text("ssl_ca_cert").map(Into::into),
            verify: match extended.number("ssl_verify_mode") {
                None | Some(0) => Verify::None,
                Some(1) => Verify::Request,
                Some(_) => Verify::Require,
            },
            ciphers: match extended.text("ssl_ciphers") {
                None => Ciphers::default(),
                Some(list) => Ciphers::parse(list).map_err(|why| unknown_ciphers(list, &why))?,
            },
            lowest: if extended.number("ssl_min_version") == Some(3) { Lowest::Tls13 } else { Lowest::Tls12 },
            resumes: extended.has("ssl_session_cache"),
            write_bytes: usize::try_from(write_kilobytes).unwrap_or(usize::MAX) << 10,
        }))
    }

    /// Tags are for those who speak TLS (memcached's rule and words).
    pub(super) fn check_tls_tags(&self, addresses: &[ListenAddress]) -> Result<(), Exit> {
        if self.has("enable-ssl") {
            return Ok(());
        }
        let Some(tag) = addresses.iter().find_map(|address| address.tls) else { return Ok(()) };
        let name = match tag {
            TlsTag::Off => "notls",
            TlsTag::On(ClientCertificate::Required) => "mtls",
            TlsTag::On(ClientCertificate::NotAsked | ClientCertificate::AsConfigured) => "btls",
        };
        let why = format!("'{name}' option is valid only when SSL is enabled");
        Err(self.refuse(USAGE, "listen", why, format!("leave '{name}:' out, or give -Z with its certificate")))
    }
}

fn unknown_ciphers(list: &str, why: &str) -> Exit {
    let given = format!("-o ssl_ciphers={list}");
    let remedy = "give names of that list with colons between them, or leave it out for all";
    Exit::refused(USAGE, format!("Error setting the provided cipher(s): {list}\n{why}"), given, remedy)
}

/// What the operator should know.
pub(super) fn warnings(config: &Config, extended: &Extended) -> Vec<String> {
    let mut lines = Vec::new();
    let Some(tls) = &config.tls else { return lines };
    let is_wanted = |endpoint: &Endpoint| endpoint.tls() == Some(ClientCertificate::Required);
    if tls.ca.is_none() && (tls.verify != Verify::None || config.net.endpoints.iter().any(is_wanted)) {
        lines.push("no ssl_ca_cert: where clients' certificates are asked for none of them is good".to_owned());
    }
    if config.net.datagram_addresses() > 0 {
        lines.push("UDP is not encrypted, and asks nobody for a certificate".to_owned());
    }
    if extended.number("ssl_min_version").is_some_and(|version| version < 2) {
        lines.push("ssl_min_version: TLS 1.2 is the least that is spoken; who speaks less is refused".to_owned());
    }
    lines
}

/// The version's name in `stats settings`.
pub(super) fn version_text(extended: &Extended) -> &'static str {
    match extended.number("ssl_min_version") {
        Some(0) => "tlsv1.0",
        Some(1) => "tlsv1.1",
        Some(3) => "tlsv1.3",
        _ => "tlsv1.2",
    }
}
