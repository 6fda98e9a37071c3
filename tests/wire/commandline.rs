//! The binary run to its end: help, version, and what it refuses, with which status and words.

use crate::server::{Directory, Server, command, wait_for};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

/// The options that help tells of.
const OPTIONS: &str = "\
    -p --port -U --udp-port -s --unix-socket -a --unix-mask -A --enable-shutdown -l --listen -d \
    --daemon -r --enable-coredumps -u --user -m --memory-limit -M --disable-evictions -c \
    --conn-limit -k --lock-memory -v --verbose -h --help -i --license -V --version -P --pidfile \
    -f --slab-growth-factor -n --slab-min-size -L --enable-largepages -D -t --threads -R \
    --max-reqs-per-event -C --disable-cas -b --listen-backlog -B --protocol -I --max-item-size \
    -F --disable-flush-all -X --disable-dumping -W --disable-watch -Y --auth-file -S --enable-sasl \
    --config --check --generate --log-format -o --extended maxconns_fast idle_timeout";

/// Words by which tools tell that a server has a feature: not there before it works.
const PROMISES: &str = "ext_path proxy_config";

pub(crate) struct Outcome {
    /// None when the server went up instead of refusing, and was killed.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs with these options until it ends, or its port file shows that it does not.
#[track_caller]
pub(crate) fn run(options: &[&str]) -> Outcome {
    run_in(&[], options)
}

/// The same with these variables in its environment.
#[track_caller]
pub(crate) fn run_in(variables: &[(&str, &str)], options: &[&str]) -> Outcome {
    let directory = Directory::new();
    let create = |name| fs::File::create(directory.join(name)).expect("the log can be made");
    let mut child = command()
        // Before the options: one that listens wins.
        .args(["-l", "127.0.0.1", "-p", "-1"])
        .args(options)
        .env("MEMCACHED_PORT_FILENAME", directory.join("ports"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(create("stdout"))
        .stderr(create("stderr"))
        .spawn()
        .expect("the server's program can be run");
    let status = wait_for("the server ends or listens", || {
        let status = child.try_wait().expect("the child can be asked");
        (status.is_some() || directory.join("ports").exists()).then_some(status)
    });
    // Both fail only when it has ended.
    drop(child.kill());
    drop(child.wait());
    let text = |name| fs::read_to_string(directory.join(name)).expect("the log is text");
    Outcome { code: status.and_then(|status| status.code()), stdout: text("stdout"), stderr: text("stderr") }
}

/// It ends with this status and says these words.
#[track_caller]
pub(crate) fn expect_refusal(options: &[&str], code: i32, words: &str) {
    let outcome = run(options);
    assert!(outcome.code == Some(code), "{options:?}: status {:?}, not {code}: {}", outcome.code, outcome.stderr);
    assert!(outcome.stderr.contains(words), "{options:?}: \"{words}\" is not in: {}", outcome.stderr);
}

#[test]
fn version_is_told() {
    for flag in ["-V", "--version"] {
        let outcome = run(&[flag]);
        assert!(outcome.code == Some(0), "{flag} ended with {:?}", outcome.code);
        let own = format!("flagstone {}", env!("CARGO_PKG_VERSION"));
        assert_eq!(outcome.stdout.lines().collect::<Vec<_>>(), ["memcached 1.6.45", own.as_str()], "{flag}");
    }
}

#[test]
fn help_names_every_option() {
    for flag in ["-h", "--help"] {
        let outcome = run(&[flag]);
        assert!(outcome.code == Some(0), "{flag} ended with {:?}", outcome.code);
        for word in OPTIONS.split_whitespace() {
            assert!(outcome.stdout.contains(word), "{flag} does not tell of {word}");
        }
    }
}

#[test]
fn help_promises_nothing_that_does_not_work() {
    let help = run(&["-h"]).stdout.to_lowercase();
    for word in PROMISES.split_whitespace() {
        assert!(!help.contains(word), "-h tells of {word}");
    }
}

#[test]
fn the_license_is_told() {
    let outcome = run(&["-i"]);
    assert!(outcome.code == Some(0), "it ended with {:?}", outcome.code);
    assert!(outcome.stdout.contains("Copyright"), "it says: {}", outcome.stdout);
}

#[test]
fn numbers_below_one_are_refused() {
    for value in ["0", "-5"] {
        expect_refusal(&["-c", value], 1, "Maximum connections must be greater than 0");
        expect_refusal(&["-t", value], 1, "Number of threads must be greater than 0");
        expect_refusal(&["-n", value], 1, "Chunk size must be greater than 0");
        expect_refusal(&["-R", value], 1, "Number of requests per event must be greater than 0");
    }
    expect_refusal(&["-t", "x"], 1, "Number of threads must be greater than 0");
}

#[test]
fn a_growth_factor_up_to_one_is_refused() {
    for value in ["1.0", "0.5", "x"] {
        expect_refusal(&["-f", value], 1, "Factor must be greater than 1");
    }
}

#[test]
fn an_item_size_out_of_bounds_is_refused() {
    expect_refusal(&["-I", "512"], 64, "Item max size cannot be less than 1024 bytes.");
    expect_refusal(&["-I", "x"], 64, "Item max size cannot be less than 1024 bytes.");
    expect_refusal(&["-m", "16", "-I", "9m"], 64, "Cannot set item size limit higher than 1/2 of memory max.");
    expect_refusal(&["-m", "1"], 64, "Cannot set item size limit higher than 1/2 of memory max.");
    expect_refusal(&["-m", "4096", "-I", "1025m"], 64, "Cannot set item size limit higher than a gigabyte.");
}

#[test]
fn a_chunk_size_that_does_not_fit_the_item_size_is_refused() {
    for options in [["-I", "1024"].as_slice(), &["-o", "slab_chunk_max=3"], &["-I", "100k", "-o", "slab_chunk_max=64"]]
    {
        let outcome = run(options);
        assert!(outcome.code == Some(64), "{options:?}: status {:?}", outcome.code);
        assert!(outcome.stderr.contains("slab_chunk_max"), "{options:?}: {}", outcome.stderr);
    }
}

#[test]
fn a_bad_port_is_refused() {
    expect_refusal(&["-p", "70000"], 64, "ERROR: Invalid port number 70000.");
    expect_refusal(&["--port=65536"], 64, "ERROR: Invalid port number 65536.");
}

#[test]
fn a_bad_protocol_is_refused() {
    expect_refusal(&["-B", "nosuch"], 64, "Invalid value for binding protocol: nosuch");
}

#[test]
fn unknown_options_are_refused() {
    for options in [["-o", "nosuch"], ["-o", "nosuch=1"], ["-o", "idle_timeout=5,nosuch"]] {
        let outcome = run(&options);
        assert!(outcome.code == Some(1), "{options:?}: status {:?}", outcome.code);
        assert!(outcome.stderr.contains("Illegal suboption \"nosuch"), "{options:?}: {}", outcome.stderr);
    }
    for flag in ["--nosuch", "-z", "-b"] {
        let outcome = run(&[flag]);
        assert!(outcome.code == Some(1), "{flag}: status {:?}", outcome.code);
        assert!(!outcome.stderr.is_empty(), "{flag} is refused without a word");
    }
}

#[test]
fn bad_values_of_extended_options_are_refused() {
    let options = "hashpower=11 hashpower=33 hash_algorithm=nosuch idle_timeout hot_lru_pct=0 \
        hot_lru_pct=80 warm_lru_pct=90 hot_max_factor=0 slab_chunk_max=0 slab_chunk_max=2048 \
        tail_repair_time=5 slab_automove_window=2 lru_crawler_sleep=1000001";
    for option in options.split_whitespace() {
        let outcome = run(&["-o", option]);
        assert!(outcome.code == Some(1), "{option}: status {:?}: {}", outcome.code, outcome.stderr);
        assert!(!outcome.stderr.is_empty(), "{option} is refused without a word");
    }
    expect_refusal(&["-o", "temporary_ttl=5,no_lru_maintainer"], 64, "temporary_ttl");
}

#[test]
fn good_options_in_all_their_forms_are_taken() {
    let forms: [&[&str]; 8] = [
        &["-m16", "-c64", "-t1"],
        &["--memory-limit=16", "--conn-limit=64", "--threads=1"],
        &["--memory-limit", "16", "--conn-limit", "64", "--threads", "1"],
        &["-m", "16", "-c", "64", "-t", "1"],
        &["-MFXWt1", "-n", "64", "-f", "1.5"],
        &["-o", "modern,hashpower=14,hash_algorithm=xxh3,slab_automove=0,tail_repair_time=10"],
        &["-o", "no_lru_crawler", "-o", "no_lru_maintainer,no_hashexpand,idle_timeout=60"],
        &["-B", "auto", "-b", "128", "-R", "50", "-D", "/", "-k"],
    ];
    for options in forms {
        let outcome = run(options);
        assert!(outcome.code.is_none(), "{options:?} ended with {:?}: {}", outcome.code, outcome.stderr);
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[test]
fn root_is_warned_and_served_without_a_user() {
    let server = Server::start(&[]);
    server.client().expect_silence();
    let log = server.log();
    assert!(!is_root() || log.contains("root"), "the log says: {log}");
}

#[test]
fn an_unknown_user_is_refused_to_root() {
    if is_root() {
        expect_refusal(&["-u", "no-such-user"], 67, "no-such-user");
    }
}

#[test]
fn a_host_that_is_none_is_refused() {
    let outcome = run(&["-l", "999.9.9.9"]);
    assert!(outcome.code == Some(71), "it ended with {:?}", outcome.code);
    assert!(!outcome.stderr.is_empty(), "it is refused without a word");
}

/// What Flagstone does not have yet is refused, never ignored: the status and a line that names it.
#[test]
fn what_is_not_there_yet_is_refused_by_name() {
    let cases: [(&[&str], &[&str]); 2] = [
        (&["-o", "ext_path=nosuch-directory/file:64m"], &["ext_path", "extstore"]),
        (&["-o", "proxy_config=nosuch-file"], &["proxy"]),
    ];
    for (options, names) in cases {
        let outcome = run(options);
        assert!(outcome.code == Some(64), "{options:?}: status {:?}", outcome.code);
        let said = outcome.stderr.to_lowercase();
        // A flag counts in its own case only: -S is not -s.
        let named = names.iter().any(|name| outcome.stderr.contains(name) || said.contains(name));
        assert!(named, "{options:?} is refused without its name: {}", outcome.stderr);
    }
}

/// Guards: whoever reads a refusal knows which flag to change, and to what.
#[test]
fn every_refusal_names_the_flag_the_value_and_what_would_do() {
    let folder = Directory::new();
    let nowhere = folder.text("nowhere/file");
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let taken = taken.local_addr().expect("bound").to_string();
    fs::write(folder.join("tokens"), "no token\n").expect("writable");
    let tokens = folder.text("tokens");
    let certificate = format!("ssl_chain_cert={nowhere},ssl_key={nowhere}");
    let cases: Vec<(Vec<&str>, String)> = vec![
        (vec!["-x"], "-x".to_owned()),
        (vec!["--nosuch=1"], "--nosuch".to_owned()),
        (vec!["-p", "70000"], "-p 70000".to_owned()),
        (vec!["-U", "x"], "-U x".to_owned()),
        (vec!["-l", "127.0.0.1:x"], "-l 127.0.0.1:x".to_owned()),
        (vec!["-l", &taken], format!("-l {taken}")),
        (vec!["-l", "192.0.2.1:11211"], "-l 192.0.2.1:11211".to_owned()),
        (vec!["-l", "notls:127.0.0.1"], "-l 127.0.0.1,notls:127.0.0.1".to_owned()),
        (vec!["-s", &nowhere], format!("-s {nowhere}")),
        (vec!["-a", "8"], "-a 8".to_owned()),
        (vec!["-b", "x"], "-b x".to_owned()),
        (vec!["-c", "0"], "-c 0".to_owned()),
        (vec!["-c", "4000000000"], "-c 4000000000".to_owned()),
        (vec!["-t", "x"], "-t x".to_owned()),
        (vec!["-R", "0"], "-R 0".to_owned()),
        (vec!["-B", "nosuch"], "-B nosuch".to_owned()),
        (vec!["-N", "9"], "-N 9".to_owned()),
        (vec!["-m", "1g"], "-m 1g".to_owned()),
        (vec!["-m", "1"], "-m 1".to_owned()),
        (vec!["-m", "2147483647"], "-m 2147483647".to_owned()),
        (vec!["-I", "512"], "-I 512".to_owned()),
        (vec!["-I", "40m"], "-I 40m".to_owned()),
        (vec!["-m", "4096", "-I", "1025m"], "-I 1025m".to_owned()),
        (vec!["-I", "100k", "-o", "slab_chunk_max=64"], "-I 102400 with -o slab_chunk_max=64".to_owned()),
        (vec!["-f", "1"], "-f 1".to_owned()),
        (vec!["-n", "0"], "-n 0".to_owned()),
        (vec!["-n", "2000000"], "-n 2000000".to_owned()),
        (vec!["-D", ""], "-D ''".to_owned()),
        (vec!["-e", &nowhere], format!("-e {nowhere}")),
        (vec!["-Y", &nowhere], format!("-Y {nowhere}")),
        (vec!["-Y", &tokens], format!("-Y {tokens}")),
        (vec!["-Y", &tokens, "-B", "binary"], format!("-Y {tokens} with -B binary")),
        (vec!["-Y", &tokens, "-U", "5"], format!("-Y {tokens} with -U 5")),
        (vec!["-S", "-B", "ascii"], "-S with -B ascii".to_owned()),
        (vec!["-S", "-Y", &tokens], format!("-S with -Y {tokens}")),
        (vec!["-Z"], "-Z".to_owned()),
        (vec!["-Z", "-p", "0", "-o", &certificate], "-Z with -p 0".to_owned()),
        (vec!["-Z", "-o", &certificate], format!("-o ssl_chain_cert={nowhere}")),
        (vec!["-Z", "-o", "ssl_chain_cert=a,ssl_key=b,ssl_ciphers=x"], "-o ssl_ciphers=x".to_owned()),
        (vec!["-o", "nosuch=1"], "-o nosuch=1".to_owned()),
        (vec!["-o", "hashpower=11"], "-o hashpower=11".to_owned()),
        (vec!["-o", "hot_lru_pct=50,warm_lru_pct=50"], "-o hot_lru_pct=50,warm_lru_pct=50".to_owned()),
        (vec!["-o", "temporary_ttl=5,no_lru_maintainer"], "-o temporary_ttl with no_lru_maintainer".to_owned()),
        (vec!["-o", "ext_path=a:1g"], "-o ext_path=a:1g".to_owned()),
        (vec!["-o", "max_outage=5"], "-o max_outage=5".to_owned()),
        (vec!["--config", &nowhere], format!("--config={nowhere}")),
    ];
    for (options, given) in &cases {
        let outcome = run(options);
        assert!(outcome.code.is_some_and(|code| code != 0), "{options:?} is not refused: {}", outcome.stderr);
        let start = format!("flagstone: {given}: ");
        let remedy = outcome.stderr.lines().find_map(|line| line.strip_prefix(&start)).map(str::len);
        assert!(remedy.is_some_and(|length| length > 4), "{options:?}: no \"{start}..\" in: {}", outcome.stderr);
    }
}

/// Guards: who wrote the file learns where in it.
#[test]
fn a_value_of_a_file_is_refused_with_its_line() {
    let folder = Directory::new();
    fs::write(folder.join("conf"), "# memory\n-m 1g\n-o idle_timeout=x\n").expect("writable");
    let conf = folder.text("conf");
    let flag = format!("--config={conf}");
    expect_refusal(&[&flag, "-m", "64"], 1, &format!("flagstone: -o idle_timeout=x ({conf}:3): "));
    fs::write(folder.join("conf"), "# memory\n-m 1g\n").expect("writable");
    expect_refusal(&[&flag], 64, &format!("flagstone: -m 1g ({conf}:2): "));
    if is_root() {
        expect_refusal(&["-u", "no-such-user"], 67, "flagstone: -u no-such-user: ");
    }
}
