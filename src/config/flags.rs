//! memcached's flags as clap knows them, and clap's refusals in getopt's words.
//!
//! What the values mean is decided in the parent module: clap only takes the words apart.

use std::ffi::OsString;

use clap::builder::PossibleValuesParser;
use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};

use super::exit::Exit;
use crate::protocol::OWN_VERSION;

/// A flag, for the parser, `-h`, the man page and the completions.
#[derive(Debug)]
pub(super) struct Flag {
    /// Its name here, and its long form if it has one: see [`SHORT_ONLY`].
    pub(super) name: &'static str,
    /// Its short form.
    pub(super) short: Option<char>,
    /// What its value is called, or `None`: a switch.
    pub(super) value: Option<&'static str>,
    /// What it does; further lines of `-h` behind line ends.
    pub(super) help: &'static str,
}

const fn valued(name: &'static str, short: char, value: &'static str, help: &'static str) -> Flag {
    Flag { name, short: Some(short), value: Some(value), help }
}

const fn switch(name: &'static str, short: char, help: &'static str) -> Flag {
    Flag { name, short: Some(short), value: None, help }
}

const fn long(name: &'static str, value: &'static str, help: &'static str) -> Flag {
    Flag { name, short: None, value: Some(value), help }
}

/// What `--generate` prints.
pub(super) const KINDS: [&str; 6] = ["man", "bash", "zsh", "fish", "systemd", "memcached.conf"];

/// The flag that has no long form, as with memcached.
pub(super) const SHORT_ONLY: &str = "delimiter";
/// The flag that counts how often it is given.
const COUNTED: &str = "verbose";
/// Flags that add up.
const REPEATED: [&str; 2] = ["listen", "extended"];
/// Beginnings that mean a flag of memcached, although a long flag of ours begins alike.
const BEGINNINGS: [(&str, &[&str]); 3] =
    [("conn-limit", &["c", "co", "con"]), ("lock-memory", &["lo"]), ("threads", &["t"])];

/// All flags, in the order of `-h`.
pub(super) const FLAGS: &[Flag] = &[
    valued("port", 'p', "num", "TCP port to listen on (default: 11211; 0: none, -1: the kernel picks)"),
    valued("udp-port", 'U', "num", "UDP port to listen on (default: 0, off)"),
    valued("unix-socket", 's', "file", "UNIX socket to listen on (disables network support)"),
    valued("unix-mask", 'a', "mask", "access mask for UNIX socket, in octal (default: 700)"),
    switch("enable-shutdown", 'A', "enable ascii \"shutdown\" command"),
    valued(
        "listen",
        'l',
        "addr",
        "interface to listen on (default: all); host, host:port, [IPv6]:port\n\
         or unix:<file>[:<mode>], several with commas or by repeating the\n\
         flag; proto[ascii]: before it: text only",
    ),
    switch("daemon", 'd', "run as a daemon"),
    switch("enable-coredumps", 'r', "maximize core file limit"),
    valued("user", 'u', "user", "assume identity of <username> (only when run as root)"),
    valued(
        "memory-limit",
        'm',
        "num",
        "memory for items, index and eviction in megabytes (default: 64), or\n\
         <num>% of the control group's limit or the machine's memory",
    ),
    switch("disable-evictions", 'M', "return error on memory exhausted instead of evicting"),
    valued("conn-limit", 'c', "num", "max simultaneous connections (default: 1024)"),
    switch("lock-memory", 'k', "lock down all paged memory"),
    switch(
        "verbose",
        'v',
        "verbose (what the server does; RUST_LOG is heeded too); -vv: very\n\
         verbose (what single connections do); -vvv: extremely verbose",
    ),
    switch("help", 'h', "print this help and exit"),
    switch("license", 'i', "print the license and exit"),
    switch("version", 'V', "print version and exit"),
    valued("pidfile", 'P', "file", "save PID in <file>, removed at exit only with -d"),
    valued("slab-growth-factor", 'f', "num", "chunk size growth factor (default: finer than memcached's 1.25)"),
    valued("slab-min-size", 'n', "bytes", "min space used for key+value+flags (default: as small as an item gets)"),
    switch("enable-largepages", 'L', "try to use large memory pages (if available)"),
    valued(
        "delimiter",
        'D',
        "char",
        "use <char> as the delimiter between key prefixes and IDs for stats\n\
         reporting; switches \"stats detail\" on (default delimiter: :)",
    ),
    valued("threads", 't', "num", "number of threads to use (default: 4)"),
    valued(
        "max-reqs-per-event",
        'R',
        "num",
        "maximum number of requests per event, limits the requests processed\n\
         per connection to prevent starvation (default: 20)",
    ),
    switch("disable-cas", 'C', "disable use of CAS"),
    valued("listen-backlog", 'b', "num", "set the backlog queue limit (default: 1024)"),
    valued("protocol", 'B', "name", "protocol - ascii, binary, or auto (default: auto)"),
    valued(
        "max-item-size",
        'I',
        "num",
        "adjusts max item size\n(default: 1m, min: 1k, max: 1024m, at most half of -m)",
    ),
    switch("disable-flush-all", 'F', "disable flush_all command"),
    switch("disable-dumping", 'X', "disable commands that list keys"),
    switch("disable-watch", 'W', "disable watch commands (live logging)"),
    switch(
        "enable-sasl",
        'S',
        "clients must show a password by SASL; needs the file that\n\
         MEMCACHED_SASL_PWDB names, or Cyrus SASL",
    ),
    valued("auth-file", 'Y', "file", "clients must show a token of this file first; its lines:\nuser:password"),
    valued("memory-file", 'e', "file", "keep items in this file, on tmpfs, across restarts and crashes"),
    long(
        "takeover",
        "file",
        "take clients and items over from the server that has this socket, and hand them\n\
         on to the next one that asks there",
    ),
    valued("napi_ids", 'N', "num", "accepted, without effect"),
    switch(
        "enable-ssl",
        'Z',
        "enable TLS/SSL on TCP listeners; -l notls:<addr> leaves one plain, btls: asks for no\n\
         client certificate, mtls: requires one",
    ),
    long(
        "config",
        "file",
        "flags from this file, one a line, as in Debian's /etc/memcached.conf;\n\
         those of the command line beat them",
    ),
    long("check", "addr", "ask the server at host:port or unix:<file> whether it serves; exit 0 or 1"),
    long("generate", "kind", "print man, bash, zsh, fish, systemd or memcached.conf and exit"),
    long("log-format", "name", "lines of the log: text (default) or json, an object a line"),
    valued("extended", 'o', "list", "comma separated list of extended options"),
];

/// Exit status of memcached for flags that getopt refuses.
const WRONG_FLAG: i32 = 1;

/// Takes the arguments apart. The first one is the program's name.
///
/// # Errors
/// For a flag nobody knows, and one without its value.
pub(super) fn parse(args: Vec<OsString>) -> Result<ArgMatches, Exit> {
    command().try_get_matches_from(args).map_err(|error| refusal(&error))
}

fn command() -> Command {
    // Long flags may be shortened to any prefix that is not ambiguous, as getopt_long allows.
    let mut command = Command::new("flagstone")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .infer_long_args(true);
    for flag in FLAGS {
        command = command.arg(flag.arg());
    }
    // memcached starts over words that are no flags.
    command.arg(Arg::new("words").num_args(0..).action(ArgAction::Append))
}

/// The same with all that is to be said about the flags, for texts.
pub(super) fn described() -> Command {
    let mut command = command()
        .version(OWN_VERSION)
        .about("a drop-in replacement for memcached")
        .long_about(ABOUT)
        .mut_arg("words", |arg| arg.hide(true));
    for flag in FLAGS {
        command = command.mut_arg(flag.name, |arg| flag.describe(arg));
    }
    command
}

const ABOUT: &str = "Flagstone keeps items in memory for the clients of memcached, and takes its flags. Flags may be \
                     bundled, long ones shortened; one that is given twice counts the last time, but -l and -o add up.";

/// Words that a flag's value may be, for shells.
const WORDS: [(&str, &[&str]); 3] =
    [("protocol", &["auto", "ascii", "binary"]), ("log-format", &["text", "json"]), ("generate", &KINDS)];

/// Whether a flag adds up when it is given again.
pub(super) fn is_repeated(name: &str) -> bool {
    REPEATED.contains(&name)
}

/// How a flag is written, shortest: `-m`, `--config`.
pub(super) fn form(name: &str) -> String {
    let short = FLAGS.iter().find(|flag| flag.name == name).and_then(|flag| flag.short);
    short.map_or_else(|| format!("--{name}"), |letter| format!("-{letter}"))
}

/// Whether a flag takes no value.
pub(super) fn is_switch(name: &str) -> bool {
    FLAGS.iter().any(|flag| flag.name == name && flag.value.is_none())
}

impl Flag {
    fn describe(&self, arg: Arg) -> Arg {
        let arg = arg.help(self.help.replace('\n', " "));
        let Some(value) = self.value else { return arg };
        let arg = arg.value_name(value).value_hint(match value {
            "file" => ValueHint::FilePath,
            "user" => ValueHint::Username,
            _ => ValueHint::Other,
        });
        match WORDS.iter().find(|(name, _)| *name == self.name) {
            Some((_, words)) => arg.value_parser(PossibleValuesParser::new(*words)).hide_possible_values(true),
            None => arg,
        }
    }

    fn arg(&self) -> Arg {
        let mut arg = Arg::new(self.name);
        if self.name != SHORT_ONLY {
            arg = arg.long(self.name);
        }
        if let Some(letter) = self.short {
            arg = arg.short(letter);
        }
        if self.name == "napi_ids" {
            arg = arg.alias("napi-ids");
        }
        if let Some((_, beginnings)) = BEGINNINGS.iter().find(|(name, _)| *name == self.name) {
            arg = arg.aliases(*beginnings);
        }
        match self.value {
            // A value may begin with a hyphen: `-p -1`.
            Some(_) => {
                let action = if REPEATED.contains(&self.name) { ArgAction::Append } else { ArgAction::Set };
                arg.num_args(1).allow_hyphen_values(true).action(action)
            }
            None if self.name == COUNTED => arg.action(ArgAction::Count),
            None => arg.action(ArgAction::SetTrue),
        }
    }
}

/// getopt's line and memcached's after it.
fn refusal(error: &clap::Error) -> Exit {
    let arg = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    // clap names an argument with all its forms and its value: `--port <port>`.
    let flag = arg.split([' ', '=']).next().unwrap_or_default();
    let short = flag.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
    let remedy = match error.kind() {
        ErrorKind::InvalidValue => format!("give it a value, as in {flag} VALUE; -h tells which"),
        _ => "-h lists the flags there are".to_owned(),
    };
    let line = match (error.kind(), short) {
        (ErrorKind::UnknownArgument, Some(letter)) => format!("invalid option -- '{letter}'"),
        (ErrorKind::UnknownArgument, None) => format!("unrecognized option '{flag}'"),
        (ErrorKind::InvalidValue, _) => format!("option '{flag}' requires an argument"),
        (ErrorKind::InvalidUtf8, _) => "a value is not UTF-8".to_owned(),
        _ => format!("option '{flag}' is not used so"),
    };
    Exit::refused(WRONG_FLAG, format!("flagstone: {line}\nIllegal argument \"?\""), flag, remedy)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{FLAGS, SHORT_ONLY, command, parse};

    fn words(line: &str) -> Vec<OsString> {
        std::iter::once("flagstone").chain(line.split_whitespace()).map(OsString::from).collect()
    }

    #[test]
    fn the_definition_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn every_flag_is_documented() {
        let page = include_str!("../docs/flags.md");
        for flag in FLAGS {
            let short = flag.short.map(|letter| format!("-{letter}"));
            let long = (flag.name != SHORT_ONLY).then(|| format!("--{}", flag.name));
            let forms = short.into_iter().chain(long).collect::<Vec<_>>().join(", ");
            assert!(page.contains(&format!("`{forms}")), "{forms}");
        }
    }

    #[test]
    fn flags_are_taken_in_all_forms() {
        for line in ["-p1", "-p 1", "--port=1", "--port 1", "--por 1", "-vvp1", "-p 2 -p 1"] {
            let matches = parse(words(line)).expect(line);
            assert_eq!(matches.get_one::<String>("port").map(String::as_str), Some("1"), "{line}");
        }
        // Short forms of memcached's that a flag of ours begins with, too.
        let matches = parse(words("--t 2 --takeover=socket")).expect("good flags");
        assert_eq!(matches.get_one::<String>("threads").map(String::as_str), Some("2"));
        let matches = parse(words("--co 1")).expect("good flags");
        assert_eq!(matches.get_one::<String>("conn-limit").map(String::as_str), Some("1"));
        let matches = parse(words("-vv -l a -l b,c -p -1 stray")).expect("good flags");
        assert_eq!(matches.get_count("verbose"), 2);
        assert_eq!(matches.get_many::<String>("listen").expect("given").count(), 2);
        assert_eq!(matches.get_one::<String>("port").map(String::as_str), Some("-1"));
    }

    #[test]
    fn refusals_speak_as_getopt() {
        for (line, expected) in [
            ("-x", "invalid option -- 'x'\nIllegal argument \"?\"\nflagstone: -x: -h lists the flags there are"),
            (
                "--foo",
                "unrecognized option '--foo'\nIllegal argument \"?\"\nflagstone: --foo: -h lists the flags there are",
            ),
            (
                "-p",
                "option '--port' requires an argument\nIllegal argument \"?\"\n\
                 flagstone: --port: give it a value, as in --port VALUE; -h tells which",
            ),
        ] {
            let exit = parse(words(line)).expect_err(line);
            assert_eq!((exit.code, exit.message), (1, format!("flagstone: {expected}")), "{line}");
        }
    }
}
