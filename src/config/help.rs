//! The texts of `-h`, `-V` and `-i`.
//!
//! Tools tell a server's features by words in `-h`: a feature is in it from the day it works, and not before.

use crate::protocol::{OWN_VERSION, VERSION};

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
    format!("memcached {VERSION}\n{}", FLAGS.trim_end())
}

const FLAGS: &str = "\
-p, --port=<num>          TCP port to listen on (default: 11211; 0: none, -1: the kernel picks)
-U, --udp-port=<num>      UDP port to listen on (default: 0, off)
-s, --unix-socket=<file>  UNIX socket to listen on (disables network support)
-a, --unix-mask=<mask>    access mask for UNIX socket, in octal (default: 700)
-A, --enable-shutdown     enable ascii \"shutdown\" command
-l, --listen=<addr>       interface to listen on (default: all); host, host:port, [IPv6]:port
                          or unix:<file>[:<mode>], several with commas or by repeating the
                          flag; proto[ascii]: before it: text only
-d, --daemon              run as a daemon
-r, --enable-coredumps    maximize core file limit
-u, --user=<user>         assume identity of <username> (only when run as root)
-m, --memory-limit=<num>  memory for items, index and eviction in megabytes (default: 64)
-M, --disable-evictions   return error on memory exhausted instead of evicting
-c, --conn-limit=<num>    max simultaneous connections (default: 1024)
-k, --lock-memory         lock down all paged memory
-v, --verbose             verbose (what the server does; RUST_LOG is heeded too)
-vv                       very verbose (what single connections do)
-vvv                      extremely verbose
-h, --help                print this help and exit
-i, --license             print the license and exit
-V, --version             print version and exit
-P, --pidfile=<file>      save PID in <file>, removed at exit only with -d
-f, --slab-growth-factor=<num> chunk size growth factor (default: finer than memcached's 1.25)
-n, --slab-min-size=<bytes> min space used for key+value+flags (default: as small as an item gets)
-L, --enable-largepages   try to use large memory pages (if available)
-D <char>                 use <char> as the delimiter between key prefixes and IDs for stats
                          reporting; switches \"stats detail\" on (default delimiter: :)
-t, --threads=<num>       number of threads to use (default: 4)
-R, --max-reqs-per-event=<num> maximum number of requests per event, limits the
                          requests processed per connection to prevent
                          starvation (default: 20)
-C, --disable-cas         disable use of CAS
-b, --listen-backlog=<num> set the backlog queue limit (default: 1024)
-B, --protocol=<name>     protocol - ascii, binary, or auto (default: auto)
-I, --max-item-size=<num> adjusts max item size
                          (default: 1m, min: 1k, max: 1024m, at most half of -m)
-F, --disable-flush-all   disable flush_all command
-X, --disable-dumping     disable commands that list keys
-W, --disable-watch       disable watch commands (live logging)
-S, --enable-sasl         clients must show a password by SASL; needs the file that
                          MEMCACHED_SASL_PWDB names, or Cyrus SASL
-Y, --auth-file=<file>    clients must show a token of this file first; its lines:
                          user:password
-e, --memory-file=<file>  keep items in this file, on tmpfs, across restarts and crashes
-N, --napi_ids=<num>      accepted, without effect
-Z, --enable-ssl          enable TLS/SSL on TCP listeners; -l notls:<addr> leaves one plain, btls: asks for no
                          client certificate, mtls: requires one
-o, --extended=<list>     comma separated list of extended options
   - maxconns_fast:       immediately close new connections after limit (default)
   - no_maxconns_fast:    let them wait instead
   - idle_timeout:        seconds after which an idle TCP connection is closed (default: 0, never)
   - track_sizes:         keep a histogram of item sizes for \"stats sizes\"
   - sock_cookie_id:      attributes an ID to listening sockets for ip filtering/firewalls
   - max_outage:          seconds after which a -e file is not kept (default: kept always)
   - memory_file_reset:   start with an empty -e file
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
   - no_modern:           as no_ before maxconns_fast, slab_reassign, slab_automove, lru_crawler
                          memcached's options for its hash table and LRU are accepted and
                          have no effect; those given are named in a line at start
";
