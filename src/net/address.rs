//! The words of `-l`: `host`, `host:port`, `[IPv6]:port`, in lists, with memcached's prefixes.
//!
//! No name is resolved here.

use std::fmt;

use super::options::Port;

/// Longest tag of `tag[NAME]:` (memcached's bound: a tag is a 64-bit word there).
const TAG_BYTES_MAX: usize = 8;

/// One address of `-l`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port, if the address names one.
    pub port: Option<Port>,
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
    let rest = strip_prefixes(address)?;
    let (host, port) = split_port(rest).ok_or_else(|| WrongAddress::Host(address.to_owned()))?;
    if host.is_empty() {
        return Err(WrongAddress::Host(address.to_owned()));
    }
    let port = match port {
        None => None,
        Some(digits) => Some(parse_port(digits).ok_or_else(|| WrongAddress::Port(address.to_owned()))?),
    };
    Ok(ListenAddress { host: host.to_owned(), port })
}

/// The prefixes come in this order: TLS mode, protocol, tag.
fn strip_prefixes(address: &str) -> Result<&str, WrongAddress> {
    for prefix in ["notls:", "btls:", "mtls:"] {
        if address.starts_with(prefix) {
            return Err(WrongAddress::Prefix(address.to_owned(), "TLS"));
        }
    }
    let rest = strip_protocol(address)?;
    strip_tag(rest).ok_or_else(|| WrongAddress::Tag(address.to_owned()))
}

fn strip_protocol(address: &str) -> Result<&str, WrongAddress> {
    let Some((name, rest)) = address.strip_prefix("proto[").and_then(|rest| rest.split_once("]:")) else {
        return Ok(address);
    };
    match name {
        "ascii" | "negotiating" => Ok(rest),
        "binary" => Err(WrongAddress::Prefix(address.to_owned(), "the binary protocol")),
        "proxy" => Err(WrongAddress::Prefix(address.to_owned(), "the proxy")),
        _ => Err(WrongAddress::Host(address.to_owned())),
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
    use super::{ListenAddress, Port, WrongAddress, parse_list};

    fn one(address: &str) -> ListenAddress {
        let mut list = parse_list(address).expect("a good address");
        assert_eq!(list.len(), 1, "{address}");
        list.remove(0)
    }

    fn expected(host: &str, port: Option<u16>) -> ListenAddress {
        ListenAddress { host: host.to_owned(), port: port.map(Port::Number) }
    }

    #[test]
    fn host_and_port_come_apart() {
        assert_eq!(one("127.0.0.1"), expected("127.0.0.1", None));
        assert_eq!(one("127.0.0.1:11212"), expected("127.0.0.1", Some(11212)));
        assert_eq!(one("localhost:1"), expected("localhost", Some(1)));
        assert_eq!(one("[::1]"), expected("::1", None));
        assert_eq!(one("[::1]:11212"), expected("::1", Some(11212)));
        assert_eq!(one("::1"), expected("::1", None));
        assert_eq!(one("127.0.0.1:-1").port, Some(Port::Any));
        assert_eq!(one("127.0.0.1:0").port, Some(Port::Any));
    }

    #[test]
    fn lists_split_at_commas_and_semicolons() {
        let list = parse_list("127.0.0.1:1,[::1]:2;localhost,").expect("a good list");
        assert_eq!(list, [expected("127.0.0.1", Some(1)), expected("::1", Some(2)), expected("localhost", None)]);
    }

    #[test]
    fn prefixes_without_a_meaning_here_are_dropped() {
        assert_eq!(one("proto[ascii]:127.0.0.1:1"), expected("127.0.0.1", Some(1)));
        assert_eq!(one("tag[one]:127.0.0.1:1"), expected("127.0.0.1", Some(1)));
        assert_eq!(one("proto[negotiating]:tag_two_:127.0.0.1"), expected("127.0.0.1", None));
    }

    #[test]
    fn prefixes_that_promise_are_refused() {
        for address in ["notls:127.0.0.1", "mtls:[::1]:1", "proto[binary]:127.0.0.1", "proto[proxy]:127.0.0.1"] {
            assert!(matches!(parse_list(address), Err(WrongAddress::Prefix(..))), "{address}");
        }
    }

    #[test]
    fn addresses_nobody_means_are_refused() {
        for address in ["127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:", "127.0.0.1:+1", "[::1]:-2"] {
            assert!(matches!(parse_list(address), Err(WrongAddress::Port(_))), "{address}");
        }
        for address in ["[::1", "[::1]x", ":1", "[]:1", "proto[x]:127.0.0.1"] {
            assert!(matches!(parse_list(address), Err(WrongAddress::Host(_))), "{address}");
        }
        for address in ["tag[]:127.0.0.1", "tag[123456789]:127.0.0.1"] {
            assert!(matches!(parse_list(address), Err(WrongAddress::Tag(_))), "{address}");
        }
    }
}
