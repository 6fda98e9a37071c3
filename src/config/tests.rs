//! The command line, asked line by line.

use std::ffi::OsString;

use super::{Config, Exit, MemoryFile, Output};
use crate::net::{Endpoint, Port, Spoken};

fn parse(line: &str) -> Result<Config, Exit> {
    Config::from_args(std::iter::once("flagstone").chain(line.split_whitespace()).map(OsString::from))
}

fn good(line: &str) -> Config {
    parse(line).map_err(|exit| exit.message).expect(line)
}

#[track_caller]
fn refused(line: &str, code: i32, message: &str) {
    let exit = parse(line).expect_err(line);
    assert_eq!((exit.code, exit.output), (code, Output::Stderr), "{line}");
    // memcached's words, and below what was given and what would do.
    let (why, below) = exit.message.rsplit_once("\nflagstone: ").expect(line);
    assert_eq!(why, message, "{line}");
    let (given, remedy) = below.split_once(": ").expect(line);
    let is_named = line.split(' ').collect::<Vec<_>>().chunks(2).any(|flag| given.contains(&flag.join(" ")));
    assert!(is_named && !remedy.is_empty(), "{line}: {below}");
}

fn tcp(host: Option<&str>, port: Port) -> Endpoint {
    Endpoint::Tcp { host: host.map(str::to_owned), port, tls: None, spoken: None }
}

fn udp(host: Option<&str>, port: Port) -> Endpoint {
    Endpoint::Udp { host: host.map(str::to_owned), port }
}

fn unix(mode: u32) -> Endpoint {
    Endpoint::Unix { path: "a".into(), mode, spoken: None }
}

#[test]
fn no_flags_mean_memcacheds_defaults() {
    let config = good("");
    assert_eq!(config.net.endpoints, [tcp(None, Port::Number(11211))]);
    assert_eq!(config.net.backlog, 1024);
    assert_eq!(config.store.limit_bytes, 64 << 20);
    assert_eq!(config.store.item_bytes_max, 1 << 20);
    assert_eq!((config.store.growth_factor, config.store.chunk_bytes_min), (None, None));
    assert_eq!((config.clients.connections_max, config.clients.workers), (1024, 4));
    assert_eq!((config.clients.requests_per_turn, config.clients.idle_seconds_max), (20, None));
    assert!(config.clients.refuse_fast && config.commands.flush_all && !config.commands.shutdown);
    assert_eq!(config.warnings.len(), 1, "all interfaces: {:?}", config.warnings);
}

#[test]
fn every_process_has_a_hash_seed_of_its_own() {
    assert_ne!(good("").store.hash_seed, good("").store.hash_seed);
}

#[test]
fn numbers_out_of_bounds_are_refused_in_memcacheds_words() {
    for (line, message) in [
        ("-c 0", "Maximum connections must be greater than 0"),
        ("-c x", "Maximum connections must be greater than 0"),
        ("-t 0", "Number of threads must be greater than 0"),
        ("-t -1", "Number of threads must be greater than 0"),
        ("-R 0", "Number of requests per event must be greater than 0"),
        ("-f 1", "Factor must be greater than 1"),
        ("-f x", "Factor must be greater than 1"),
        ("-n 0", "Chunk size must be greater than 0"),
        ("-o x", "Illegal suboption \"x\""),
    ] {
        refused(line, 1, message);
    }
    for (line, message) in [
        ("-p 70000", "ERROR: Invalid port number 70000."),
        ("-p x", "ERROR: Invalid port number x."),
        ("-p -2", "ERROR: Invalid port number -2."),
        ("-U 70000", "ERROR: Invalid port number 70000."),
        ("-I 512", "Item max size cannot be less than 1024 bytes."),
        ("-I 33m", "Cannot set item size limit higher than 1/2 of memory max."),
        ("-m 1", "Cannot set item size limit higher than 1/2 of memory max."),
        ("-m 4096 -I 1025m", "Cannot set item size limit higher than a gigabyte."),
        ("-m 33554433", "Cannot set memory limit higher than 33554432 megabytes."),
        ("-m 2147483647", "Cannot set memory limit higher than 33554432 megabytes."),
        ("-m 17592186044415", "Cannot set memory limit higher than 33554432 megabytes."),
        ("-m 18446744073709551615", "Invalid memory limit 18446744073709551615: a number of megabytes"),
        ("-m 1g", "Invalid memory limit 1g: a number of megabytes"),
        ("-m 0%", "Invalid memory limit 0%: a percentage of the memory there is"),
        ("-m 101%", "Invalid memory limit 101%: a percentage of the memory there is"),
        ("-N 5", "Number of napi_ids(5) cannot be greater than number of threads(4)"),
        ("-B x", "Invalid value for binding protocol: x\n -- should be one of auto, binary, or ascii"),
        ("-b x", "Invalid listen backlog x"),
        ("-a 8", "Invalid mask 8: up to 777, in octal"),
        ("-l 127.0.0.1:x", "Invalid port number in \"127.0.0.1:x\""),
    ] {
        refused(line, 64, message);
    }
}

#[test]
fn what_protects_or_promises_is_refused_until_it_works() {
    for line in ["-o ext_path=a:1g", "-o proxy_config=a"] {
        let exit = parse(line).expect_err(line);
        assert_eq!(exit.code, 64, "{line}");
        assert!(exit.message.contains("not supported yet"), "{line}: {}", exit.message);
    }
    good("-U 0 -B ascii");
    good("-B auto");
}

#[test]
fn with_sasl_only_binary_over_streams_is_spoken() {
    for (line, said) in [
        ("-S -B auto", "ASCII"),
        ("-S -B ascii", "ASCII"),
        ("-S -U 1", "UDP"),
        ("-S -l proto[ascii]:[::1]", "binary alone"),
        ("-S -l proto[negotiating]:[::1]", "binary alone"),
    ] {
        let exit = parse(line).expect_err(line);
        assert_eq!(exit.code, 64, "{line}");
        assert!(exit.message.contains(said), "{line}: {}", exit.message);
    }
    let config = good("-S -l proto[binary]:[::1]");
    assert!(config.auth.sasl);
}

#[test]
fn a_memory_file_is_taken_with_what_is_said_of_it() {
    let config = good("-e file -o max_outage=60,memory_file_reset,memory_file_keep_old");
    let restart = crate::store::Restart { outage_seconds_max: Some(60), reset: true, keep_old: true };
    assert_eq!(config.memory_file, Some((MemoryFile::At("file".into()), restart)));
    assert!(config.settings.contains(&("memory_file", "file".to_owned())));
    assert!(good("").settings.contains(&("memory_file", "(null)".to_owned())));
    let nameless = |line| good(line).memory_file.map(|(file, _)| file);
    assert_eq!(nameless("--takeover socket"), Some(MemoryFile::Nameless { is_stored: false }));
    assert_eq!(nameless("-o memory_fd_store,max_outage=60"), Some(MemoryFile::Nameless { is_stored: true }));
    assert_eq!(nameless("--takeover socket -e file"), Some(MemoryFile::At("file".into())));
    for line in ["-o max_outage=60", "-o memory_file_reset", "-e file -o memory_fd_store"] {
        assert_eq!(parse(line).expect_err(line).code, 64, "{line}");
    }
}

#[test]
fn with_tokens_only_text_over_streams_is_spoken() {
    for (line, said) in [
        ("-Y f -B auto", "BINARY"),
        ("-Y f -B binary", "BINARY"),
        ("-Y f -U 1", "UDP"),
        ("-Y f -U -1", "UDP"),
        ("-Y f -l proto[binary]:[::1]", "binary"),
    ] {
        let exit = parse(line).expect_err(line);
        assert_eq!(exit.code, 64, "{line}");
        assert!(exit.message.contains(said), "{line}: {}", exit.message);
    }
    let config = good("-Y f -B ascii -U 0");
    assert_eq!(config.auth.file.as_deref(), Some("f".as_ref()));
    for setting in [("auth_enabled_ascii", "f"), ("binding_protocol", "ascii")] {
        assert!(config.settings.iter().any(|(name, value)| (*name, value.as_str()) == setting), "{setting:?}");
    }
    assert!(config.warnings.is_empty(), "all interfaces are no danger then: {:?}", config.warnings);
}

#[test]
fn texts_go_to_stdout_with_status_0() {
    for line in ["-h", "--help", "-V", "--version", "-i", "-c 0 -h"] {
        let exit = parse(line).expect_err(line);
        assert_eq!((exit.code, exit.output), (0, Output::Stdout), "{line}");
    }
    assert_eq!(parse("-V").expect_err("a text").message, "memcached 1.6.45\nflagstone 0.1.0");
}

#[test]
fn help_promises_nothing_that_does_not_work() {
    let help = parse("-h").expect_err("a text").message;
    for word in ["ext_path", "proxy_config"] {
        assert!(!help.contains(word), "{word}");
    }
    for word in ["enable-ssl", "unix-socket=<file>", "enable-sasl", "auth-file", "--port=<num>", "maxconns_fast"] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn ports_and_addresses_combine() {
    let local = Some("127.0.0.1");
    for (line, expected) in [
        ("-p 1 -l 127.0.0.1", vec![tcp(local, Port::Number(1))]),
        ("-p -1 -l 127.0.0.1", vec![tcp(local, Port::Any)]),
        ("-p 0", vec![]),
        ("-p 0 -l 127.0.0.1", vec![]),
        ("-p 0 -l 127.0.0.1:5", vec![tcp(local, Port::Number(5))]),
        ("-p 5 -l 127.0.0.1:0", vec![tcp(local, Port::Any)]),
        ("-l 127.0.0.1:5,[::1]", vec![tcp(local, Port::Number(5)), tcp(Some("::1"), Port::Number(11211))]),
        ("-l 127.0.0.1 -l 127.0.0.1", vec![tcp(local, Port::Number(11211))]),
        ("-s a -a 666 -p 1", vec![unix(0o666)]),
    ] {
        assert_eq!(good(line).net.endpoints, expected, "{line}");
    }
}

#[test]
fn datagrams_are_taken_where_connections_are_and_only_when_asked_for() {
    let local = Some("127.0.0.1");
    let number = Port::Number;
    for (line, expected) in [
        ("-U 0 -p 1", vec![tcp(None, number(1))]),
        ("-U 5", vec![tcp(None, number(5)), udp(None, number(5))]),
        ("-U -1", vec![tcp(None, Port::Any), udp(None, Port::Any)]),
        ("-U 5 -p 1", vec![tcp(None, number(1)), udp(None, number(5))]),
        ("-U 5 -p 0", vec![udp(None, number(5))]),
        ("-U 5 -p 1 -l 127.0.0.1", vec![tcp(local, number(1)), udp(local, number(5))]),
        ("-U 5 -p 1 -l 127.0.0.1:7", vec![tcp(local, number(7)), udp(local, number(7))]),
        ("-U 5 -p 1 -l unix:a", vec![unix(0o700)]),
        ("-U 5 -s a", vec![unix(0o700)]),
    ] {
        assert_eq!(good(line).net.endpoints, expected, "{line}");
    }
    let settings = good("-U 5 -l 127.0.0.1").settings;
    for setting in [("tcpport", "5"), ("udpport", "5")] {
        assert!(settings.iter().any(|(name, value)| (*name, value.as_str()) == setting), "{setting:?}");
    }
    assert_eq!(good("-U 5 -s a").warnings.len(), 1, "no UDP");
    let encrypted = good("-Z -o ssl_chain_cert=a,ssl_key=b -U 5 -l 127.0.0.1").warnings;
    assert!(encrypted.iter().any(|line| line.contains("UDP is not encrypted")), "{encrypted:?}");
}

#[test]
fn files_are_listened_on_beside_other_addresses() {
    let local = tcp(Some("127.0.0.1"), Port::Number(5));
    for (line, expected) in [
        ("-p 5 -l 127.0.0.1,unix:a", vec![local.clone(), unix(0o700)]),
        ("-p 5 -l unix:a:666 -l 127.0.0.1", vec![unix(0o666), local]),
        ("-a 755 -l unix:a", vec![unix(0o755)]),
        ("-p 0 -l unix:a", vec![unix(0o700)]),
    ] {
        assert_eq!(good(line).net.endpoints, expected, "{line}");
    }
    let spoken = Some(Spoken::Text);
    let expected = Endpoint::Tcp { host: Some("::1".to_owned()), port: Port::Number(5), tls: None, spoken };
    assert_eq!(good("-p 5 -l proto[ascii]:tag[one]:[::1]").net.endpoints, [expected]);
}

#[test]
fn memory_flags_reach_the_store() {
    let store = good("-m 100 -I 2m -f 1.5 -n 64 -M -C -L -t 2").store;
    assert_eq!((store.limit_bytes, store.item_bytes_max), (100 << 20, 2 << 20));
    assert_eq!((store.growth_factor, store.chunk_bytes_min), (Some(1.5), Some(64)));
    assert!(!store.evict && !store.cas && store.large_pages);
    assert_eq!(store.workers, 2);
}

#[test]
fn a_percentage_is_of_the_memory_there_is() {
    // Whatever machine this is, and whatever its control group.
    let (all, half) = (good("-m 100%").store.limit_bytes, good("-m 50% -I 1k -o slab_chunk_max=1").store.limit_bytes);
    assert!(half <= all / 2 && half > all / 2 - (2 << 20), "{half} of {all}");
}

#[test]
fn the_rest_reaches_its_place() {
    let config = good("-vv -d -P pid -u nobody -r -k -A -F -X -W -o idle_timeout=5,no_maxconns_fast -R 7");
    let process = &config.process;
    assert!(process.daemon && process.core_dumps && process.lock_memory && process.verbosity == 2);
    assert_eq!((process.user.as_deref(), process.pidfile.as_deref()), (Some("nobody"), Some("pid".as_ref())));
    assert!(config.commands.shutdown && !config.commands.flush_all);
    assert_eq!((config.clients.idle_seconds_max, config.clients.requests_per_turn), (Some(5), 7));
    assert!(!config.clients.refuse_fast);
}

#[test]
fn what_has_no_effect_is_said() {
    let config = good("-l 127.0.0.1 -o modern,hashpower=20 -D x stray -t 65");
    assert_eq!(config.warnings.len(), 3, "{:?}", config.warnings);
    assert!(good("-l 127.0.0.1").warnings.is_empty());
}

#[test]
fn settings_are_memcacheds() {
    let config = good("-l 127.0.0.1 -p 21 -m 100 -a 755 -C -o no_lru_crawler,hot_lru_pct=30");
    let names: Vec<&str> = config.settings.iter().map(|(name, _)| *name).collect();
    assert_eq!(names[..6], ["maxbytes", "maxconns", "tcpport", "udpport", "inter", "verbosity"]);
    assert_eq!(names.last(), Some(&"client_flags_size"));
    for (name, expected) in [
        ("maxbytes", "104857600"),
        ("tcpport", "21"),
        ("inter", "127.0.0.1"),
        ("umask", "755"),
        ("evictions", "on"),
        ("growth_factor", "1.25"),
        ("cas_enabled", "no"),
        ("lru_crawler", "no"),
        ("hot_lru_pct", "30"),
        ("binding_protocol", "auto-negotiate"),
        ("domain_socket", "NULL"),
    ] {
        let found = config.settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        assert_eq!(found, Some(expected), "{name}");
    }
}
