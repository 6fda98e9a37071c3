//! The texts of `-h`, `-V` and `-i`.
//!
//! Tools tell a server's features by words in `-h`: a feature is in it from the day it works, and not before.

use super::flags::{FLAGS, Flag, SHORT_ONLY};
use crate::protocol::{OWN_VERSION, VERSION};

/// Where the words about a flag begin, if it leaves room.
const HELP_COLUMN: usize = 25;

/// `-V`. Tools read the first line.
pub(super) fn version() -> String {
    format!("memcached {VERSION}\nflagstone {OWN_VERSION}")
}

/// `-i`.
pub(super) fn license() -> String {
    format!("{}\n\n{}", version(), include_str!("../../LICENSE").trim_end())
}

/// `-h`.
pub(super) fn text() -> String {
    let flags: String = FLAGS.iter().map(entry).collect();
    format!("memcached {VERSION}\n{flags}{}", EXTENDED.trim_end())
}

/// A flag's lines.
fn entry(flag: &Flag) -> String {
    let short = flag.short.map(|letter| format!("-{letter}"));
    let long = (flag.name != SHORT_ONLY).then(|| format!("--{}", flag.name));
    let mut head = short.iter().chain(&long).map(String::as_str).collect::<Vec<_>>().join(", ");
    if let Some(value) = flag.value {
        head.push_str(&if long.is_some() { format!("=<{value}>") } else { format!(" <{value}>") });
    }
    let mut text = format!("{head:<HELP_COLUMN$} ");
    for (number, line) in flag.help.lines().enumerate() {
        if number > 0 {
            text.extend([" "].repeat(HELP_COLUMN + 1));
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// The suboptions of `-o`.
pub(super) const EXTENDED: &str = "   - maxconns_fast:       immediately close new connections after limit (default)
   - no_maxconns_fast:    let them wait instead
   - idle_timeout:        seconds after which an idle TCP connection is closed (default: 0, never)
   - track_sizes:         keep a histogram of item sizes for \"stats sizes\"
   - sock_cookie_id:      attributes an ID to listening sockets for ip filtering/firewalls
   - max_outage:          seconds after which a -e file is not kept (default: kept always)
   - memory_file_reset:   start with an empty -e file
   - memory_fd_store:     let the service manager keep the items while the server is down
   - memory_file_keep_old: rename a -e file that is not kept to FILE.old
   - no_lru_crawler:      do not look for expired items in the background
   - lru_crawler_sleep:   microseconds between two steps of that (default: 100, max: 1000000)
   - lru_crawler_tocrawl: items of a class looked at in a pass (default: 0, all)
   - no_slab_automove:    do not move pages to classes that earn more with them
   - no_slab_reassign:    the same, and refuse slabs reassign
   - ssl_chain_cert:      certificate chain file in PEM format
   - ssl_key:             private key in PEM format
   - ssl_verify_mode:     peer certificate verification mode: 0 (none, the default), 1 (request),
                          2 (require) or 3 (once)
   - ssl_ciphers:         list of ciphers, with colons between them
   - ssl_ca_cert:         PEM format file of acceptable client CA's
   - ssl_wbuf_size:       kilobytes encrypted before they are written (default: 16)
   - ssl_session_cache:   let clients resume their sessions
   - ssl_min_version:     minimum protocol version: 2 (tlsv1.2, the default) or 3 (tlsv1.3)
   - drop_privileges:     once it serves, let the kernel refuse programs, files and new connections
   - relaxed_privileges:  with it: files and connections stay allowed
   - no_modern:           as no_ before maxconns_fast, slab_reassign, slab_automove, lru_crawler
                          memcached's options for its hash table and LRU are accepted and
                          have no effect; those given are named in a line at start
";
