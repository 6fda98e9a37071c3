//! The words of `-l`: `host`, `host:port`, `[IPv6]:port`, in lists, with memcached's prefixes; and `unix:PATH[:MODE]`,
//! which is ours.
//!
//! No name is resolved here.

use std::fmt;
use std::path::PathBuf;

use crate::tls::ClientCertificate;

/// Longest tag of `tag[NAME]:` (memcached's bound: a tag is a 64-bit word there).
const TAG_BYTES_MAX: usize = 8;

/// A port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// `-p 0`: do not listen.
    Off,
    /// `-p -1`: the kernel picks.
    Any,
    /// This one, 1 to 65535.
    Number(u16),
}

/// How the clients of a listener speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// Text, whatever comes first: `proto[ascii]:`.
    Text,
    /// Binary, whatever comes first: `proto[binary]:`.
    Binary,
    /// What the first byte of a connection tells: `proto[negotiating]:`.
    Negotiated,
}

impl Spoken {
    /// What stands between the brackets.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "ascii",
            Self::Binary => "binary",
            Self::Negotiated => "negotiating",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [Self::Text, Self::Binary, Self::Negotiated].into_iter().find(|spoken| spoken.word() == word)
    }
}

/// What an address says of TLS: `notls:`, or what it wants of clients' certificates (`btls:`, `mtls:`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsTag {
    /// Plain, where others speak TLS.
    Off,
    /// TLS.
    On(ClientCertificate),
}

/// One address of `-l`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// Where.
    pub place: Place,
    /// What it says of TLS, if anything.
    pub tls: Option<TlsTag>,
    /// What `proto[..]:` says; `None`: nothing, so that `-B` does.
    pub spoken: Option<Spoken>,
}

/// Where an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a network.
    Inet {
        /// A name or an address, without brackets.
        host: String,
        /// The port, if the address names one.
        port: Option<Port>,
    },
    /// A file.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Its mode, if the address names one: up to 777, in octal.
        mode: Option<u32>,
    },
}

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongAddress {
    /// The port is not a number of 0 to 65535.
    Port(String),
    /// A bracket has no partner, or the host is empty.
    Host(String),
    /// A tag of no or more than eight characters.
    Tag(String),
    /// A prefix that promises what does not work here yet, and its name.
    Prefix(String, &'static str),
}

impl fmt::Display for WrongAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(address) => write!(f, "Invalid port number in \"{address}\""),
            Self::Host(address) => write!(f, "Failed to parse the listen address \"{address}\""),
            Self::Tag(address) => write!(f, "Listener tag must be 1 to {TAG_BYTES_MAX} characters: \"{address}\""),
            Self::Prefix(address, promise) => write!(f, "{promise} is not supported yet: \"{address}\""),
        }
    }
}

impl std::error::Error for WrongAddress {}

/// Takes a list apart at commas and semicolons. Empty words are skipped.
///
/// # Errors
/// The first address that cannot be what its writer meant.
pub fn parse_list(list: &str) -> Result<Vec<ListenAddress>, WrongAddress> {
    list.split([',', ';']).filter(|word| !word.is_empty()).map(parse).collect()
}

fn parse(address: &str) -> Result<ListenAddress, WrongAddress> {
    // The prefixes come in this order: TLS mode, protocol, tag.
    let (tls, rest) = strip_tls(address);
    let (spoken, rest) = strip_protocol(rest)?;
    let rest = strip_tag(rest).ok_or_else(|| WrongAddress::Tag(address.to_owned()))?;
    let place = match rest.strip_prefix("unix:") {
        // Unix sockets stay plain, and who asks for more must not get less.
        Some(_) if matches!(tls, Some(TlsTag::On(_))) => {
            return Err(WrongAddress::Prefix(address.to_owned(), "TLS on a unix socket"));
        }
        Some(file) => parse_unix(file).ok_or_else(|| WrongAddress::Host(address.to_owned()))?,
        None => parse_inet(address, rest)?,
    };
    Ok(ListenAddress { place, tls, spoken })
}

/// `rest`: the address without its prefixes.
fn parse_inet(address: &str, rest: &str) -> Result<Place, WrongAddress> {
    let (host, port) = split_port(rest).ok_or_else(|| WrongAddress::Host(address.to_owned()))?;
    if host.is_empty() {
        return Err(WrongAddress::Host(address.to_owned()));
    }
    let port = match port {
        None => None,
        Some(digits) => Some(parse_port(digits).ok_or_else(|| WrongAddress::Port(address.to_owned()))?),
    };
    Ok(Place::Inet { host: host.to_owned(), port })
}

/// `PATH` or `PATH:MODE`. Behind a colon that is no mode the path goes on.
fn parse_unix(file: &str) -> Option<Place> {
    let split = file.rsplit_once(':').and_then(|(path, mode)| Some((path, parse_mode(mode)?)));
    let (path, mode) = split.map_or((file, None), |(path, mode)| (path, Some(mode)));
    (!path.is_empty()).then(|| Place::Unix { path: PathBuf::from(path), mode })
}

/// The mode of a unix socket's file: up to 777, in octal.
#[must_use]
pub fn parse_mode(digits: &str) -> Option<u32> {
    u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777)
}

fn strip_tls(address: &str) -> (Option<TlsTag>, &str) {
    let tags = [
        ("notls:", TlsTag::Off),
        ("btls:", TlsTag::On(ClientCertificate::NotAsked)),
        ("mtls:", TlsTag::On(ClientCertificate::Required)),
    ];
    let found = tags.iter().find_map(|(prefix, tag)| Some((Some(*tag), address.strip_prefix(prefix)?)));
    found.unwrap_or((None, address))
}

fn strip_protocol(address: &str) -> Result<(Option<Spoken>, &str), WrongAddress> {
    let Some((name, rest)) = address.strip_prefix("proto[").and_then(|rest| rest.split_once("]:")) else {
        return Ok((None, address));
    };
    match Spoken::of_word(name) {
        Some(spoken) => Ok((Some(spoken), rest)),
        None if name == "proxy" => Err(WrongAddress::Prefix(address.to_owned(), "the proxy")),
        None => Err(WrongAddress::Host(address.to_owned())),
    }
}

/// A tag is seen by memcached's proxy only, so it is checked and dropped.
fn strip_tag(address: &str) -> Option<&str> {
    let (tag, rest) = if let Some(rest) = address.strip_prefix("tag[") {
        rest.split_once("]:")?
    } else if let Some(rest) = address.strip_prefix("tag_") {
        rest.split_once("_:")?
    } else {
        return Some(address);
    };
    (1..=TAG_BYTES_MAX).contains(&tag.len()).then_some(rest)
}

/// Host and the text after the port's colon. More than one colon without brackets is an IPv6 address.
fn split_port(address: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = address.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => after.is_empty().then_some((host, None)),
        };
    }
    match address.split_once(':') {
        Some((_, more)) if more.contains(':') => Some((address, None)),
        Some((host, port)) => Some((host, Some(port))),
        None => Some((address, None)),
    }
}

/// Whoever names a port of an address wants to listen there: 0 is the kernel's pick, as for `bind`, not the "off"
/// that it is for `-p`.
fn parse_port(digits: &str) -> Option<Port> {
    if digits == "-1" {
        return Some(Port::Any);
    }
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u16 = digits.parse().ok()?;
    Some(if number == 0 { Port::Any } else { Port::Number(number) })
}

#[cfg(test)]
mod tests {
    use super::{ListenAddress, Place, Port, Spoken, TlsTag, WrongAddress, parse_list};
    use crate::tls::ClientCertificate;

    fn one(address: &str) -> ListenAddress {
        let mut list = parse_list(address).expect("a good address");
        assert_eq!(list.len(), 1, "{address}");
        list.remove(0)
    }

    fn expected(host: &str, port: Option<u16>) -> ListenAddress {
        ListenAddress { place: inet(host, port.map(Port::Number)), tls: None, spoken: None }
    }

    fn inet(host: &str, port: Option<Port>) -> Place {
        Place::Inet { host: host.to_owned(), port }
    }

    #[test]
    fn host_and_port_come_apart() {
        assert_eq!(one("127.0.0.1"), expected("127.0.0.1", None));
        assert_eq!(one("127.0.0.1:11212"), expected("127.0.0.1", Some(11212)));
        assert_eq!(one("localhost:1"), expected("localhost", Some(1)));
        assert_eq!(one("[::1]"), expected("::1", None));
        assert_eq!(one("[::1]:11212"), expected("::1", Some(11212)));
        assert_eq!(one("::1"), expected("::1", None));
        assert_eq!(one("127.0.0.1:-1").place, inet("127.0.0.1", Some(Port::Any)));
        assert_eq!(one("127.0.0.1:0").place, inet("127.0.0.1", Some(Port::Any)));
    }

    #[test]
    fn lists_split_at_commas_and_semicolons() {
        let list = parse_list("127.0.0.1:1,[::1]:2;localhost,").expect("a good list");
        assert_eq!(list, [expected("127.0.0.1", Some(1)), expected("::1", Some(2)), expected("localhost", None)]);
    }

    #[test]
    fn a_protocol_is_kept_and_a_tag_dropped() {
        let of = |spoken, listed: ListenAddress| ListenAddress { spoken: Some(spoken), ..listed };
        assert_eq!(one("proto[ascii]:127.0.0.1:1"), of(Spoken::Text, expected("127.0.0.1", Some(1))));
        assert_eq!(one("tag[one]:127.0.0.1:1"), expected("127.0.0.1", Some(1)));
        assert_eq!(one("proto[binary]:[::1]:1"), of(Spoken::Binary, expected("::1", Some(1))));
        let both = one("proto[negotiating]:tag_two_:127.0.0.1");
        assert_eq!(both, of(Spoken::Negotiated, expected("127.0.0.1", None)));
    }

    #[test]
    fn a_file_may_name_its_mode() {
        for (address, path, mode) in [
            ("unix:/run/a", "/run/a", None),
            ("unix:a:666", "a", Some(0o666)),
            ("tag[one]:unix:a:0700", "a", Some(0o700)),
            ("unix:a:8", "a:8", None),
            ("unix:a:1000", "a:1000", None),
        ] {
            assert_eq!(one(address).place, Place::Unix { path: path.into(), mode }, "{address}");
        }
        assert_eq!(one("proto[ascii]:unix:a").spoken, Some(Spoken::Text));
    }

    #[test]
    fn an_address_says_what_it_wants_of_tls() {
        let of = |tls, host, port| ListenAddress { tls: Some(tls), ..expected(host, port) };
        let on = TlsTag::On;
        assert_eq!(one("notls:127.0.0.1"), of(TlsTag::Off, "127.0.0.1", None));
        assert_eq!(one("btls:[::1]:1"), of(on(ClientCertificate::NotAsked), "::1", Some(1)));
        let tagged = one("mtls:proto[ascii]:tag[one]:127.0.0.1:1");
        let expected = of(on(ClientCertificate::Required), "127.0.0.1", Some(1));
        assert_eq!(tagged, ListenAddress { spoken: Some(Spoken::Text), ..expected });
    }

    #[test]
    fn prefixes_that_promise_are_refused() {
        for address in ["proto[proxy]:127.0.0.1", "mtls:proto[proxy]:127.0.0.1", "btls:unix:a", "mtls:tag[a]:unix:a"] {
            assert!(matches!(parse_list(address), Err(WrongAddress::Prefix(..))), "{address}");
        }
    }

    #[test]
    fn addresses_nobody_means_are_refused() {
        for address in ["127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:", "127.0.0.1:+1", "[::1]:-2"] {
            assert!(matches!(parse_list(address), Err(WrongAddress::Port(_))), "{address}");
        }
        for address in ["[::1", "[::1]x", ":1", "[]:1", "proto[x]:127.0.0.1", "unix:", "unix::700"] {
            assert!(matches!(parse_list(address), Err(WrongAddress::Host(_))), "{address}");
        }
        for address in ["tag[]:127.0.0.1", "tag[123456789]:127.0.0.1"] {
            assert!(matches!(parse_list(address), Err(WrongAddress::Tag(_))), "{address}");
        }
    }
}
