//! [`Ciphers`]: the names of `ssl_ciphers`, OpenSSL's.

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion, version};

/// The suites there are, by the names that OpenSSL gives them.
const NAMES: [(&str, CipherSuite); 9] = [
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// The cipher suites that are spoken. By default all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ciphers {
    /// Those that were named.
    named: Vec<CipherSuite>,
}

impl Ciphers {
    /// Reads a list of names with colons between them.
    ///
    /// # Errors
    /// A line that says which name nobody here knows, and those that are known.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut named = Vec::new();
        for word in list.split([':', ' ']).filter(|word| !word.is_empty()) {
            let Some((_, suite)) = NAMES.iter().find(|(name, _)| *name == word) else {
                let known = NAMES.map(|(name, _)| name).join(":");
                return Err(format!("unknown cipher {word}; known are {known}"));
            };
            named.push(*suite);
        }
        Ok(Self { named })
    }

    /// Leaves those that are spoken in a provider. Of a version of TLS of which none was named all stay, as with
    /// OpenSSL, whose list does not touch TLS 1.3.
    pub(super) fn apply(&self, provider: &mut CryptoProvider) {
        let all = provider.cipher_suites.clone();
        let is_of = |suite: &SupportedCipherSuite, version: &SupportedProtocolVersion| {
            suite.version().version == version.version
        };
        provider.cipher_suites.clear();
        for version in [&version::TLS13, &version::TLS12] {
            let of_version = all.iter().filter(|suite| is_of(suite, version));
            let named: Vec<_> = of_version.clone().filter(|suite| self.named.contains(&suite.suite())).collect();
            if named.is_empty() {
                provider.cipher_suites.extend(of_version);
            } else {
                provider.cipher_suites.extend(named);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ciphers, NAMES};
    use crate::tls::certificates::provider;

    fn left(list: &str) -> Vec<String> {
        let mut provider = provider();
        Ciphers::parse(list).expect("known").apply(&mut provider);
        provider.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect()
    }

    #[test]
    fn every_suite_there_is_has_a_name() {
        for suite in provider().cipher_suites {
            assert!(NAMES.iter().any(|(_, known)| *known == suite.suite()), "{suite:?}");
        }
        assert_eq!(left("").len(), NAMES.len());
    }

    #[test]
    fn a_name_leaves_the_others_of_its_version_out() {
        let names = left("ECDHE-RSA-AES128-GCM-SHA256");
        assert_eq!(names.iter().filter(|name| name.starts_with("TLS13")).count(), 3, "{names:?}");
        assert_eq!(names.len(), 4);
        assert_eq!(left("TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256").len(), 2);
    }

    #[test]
    fn an_unknown_name_is_told_with_the_known_ones() {
        let line = Ciphers::parse("ECDHE-RSA-AES128-GCM-SHA256:RC4-MD5").expect_err("nobody has it");
        assert!(line.contains("RC4-MD5") && line.contains("TLS_AES_256_GCM_SHA384:"), "{line}");
    }
}
