//! memcached's flags as clap knows them, and clap's refusals in getopt's words.
//!
//! What the values mean is decided in the parent module: clap only takes the words apart.

use std::ffi::OsString;

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::exit::Exit;

/// Flags that take a value: name used here and in long form, short form.
const VALUED: [(&str, char); 20] = [
    ("port", 'p'),
    ("udp-port", 'U'),
    ("listen", 'l'),
    ("unix-socket", 's'),
    ("unix-mask", 'a'),
    ("user", 'u'),
    ("memory-limit", 'm'),
    ("conn-limit", 'c'),
    ("pidfile", 'P'),
    ("slab-growth-factor", 'f'),
    ("slab-min-size", 'n'),
    ("threads", 't'),
    ("max-reqs-per-event", 'R'),
    ("listen-backlog", 'b'),
    ("protocol", 'B'),
    ("max-item-size", 'I'),
    ("auth-file", 'Y'),
    ("memory-file", 'e'),
    ("napi-ids", 'N'),
    ("extended", 'o'),
];

/// Flags without a value.
const SWITCHES: [(&str, char); 14] = [
    ("enable-shutdown", 'A'),
    ("daemon", 'd'),
    ("enable-coredumps", 'r'),
    ("disable-evictions", 'M'),
    ("lock-memory", 'k'),
    ("help", 'h'),
    ("license", 'i'),
    ("version", 'V'),
    ("enable-largepages", 'L'),
    ("disable-cas", 'C'),
    ("enable-sasl", 'S'),
    ("disable-flush-all", 'F'),
    ("disable-dumping", 'X'),
    ("disable-watch", 'W'),
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
    for (name, short) in VALUED {
        let action = if matches!(name, "listen" | "extended") { ArgAction::Append } else { ArgAction::Set };
        // A value may begin with a hyphen: `-p -1`.
        let arg = Arg::new(name).short(short).long(name).num_args(1).allow_hyphen_values(true);
        command = command.arg(arg.action(action));
    }
    for (name, short) in SWITCHES {
        command = command.arg(Arg::new(name).short(short).long(name).action(ArgAction::SetTrue));
    }
    command
        .arg(Arg::new("verbose").short('v').long("verbose").action(ArgAction::Count))
        .arg(Arg::new("enable-ssl").short('Z').long("enable-ssl").action(ArgAction::SetTrue))
        .arg(Arg::new("delimiter").short('D').num_args(1).allow_hyphen_values(true))
        .arg(Arg::new("takeover").long("takeover").num_args(1))
        // The beginning of one long name alone, with memcached.
        .mut_arg("threads", |arg| arg.alias("t"))
        .mut_arg("napi-ids", |arg| arg.alias("napi_ids"))
        // memcached starts over words that are no flags.
        .arg(Arg::new("words").num_args(0..).action(ArgAction::Append))
}

/// getopt's line and memcached's after it.
fn refusal(error: &clap::Error) -> Exit {
    let arg = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    // clap names an argument with all its forms and its value: `--port <port>`.
    let flag = arg.split([' ', '=']).next().unwrap_or_default();
    let short = flag.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
    let line = match (error.kind(), short) {
        (ErrorKind::UnknownArgument, Some(letter)) => format!("invalid option -- '{letter}'"),
        (ErrorKind::UnknownArgument, None) => format!("unrecognized option '{flag}'"),
        (ErrorKind::InvalidValue, _) => format!("option '{flag}' requires an argument"),
        (ErrorKind::InvalidUtf8, _) => "a value is not UTF-8".to_owned(),
        _ => format!("option '{flag}' is not used so"),
    };
    Exit::error(WRONG_FLAG, format!("flagstone: {line}\nIllegal argument \"?\""))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{SWITCHES, VALUED, command, parse};

    fn words(line: &str) -> Vec<OsString> {
        std::iter::once("flagstone").chain(line.split_whitespace()).map(OsString::from).collect()
    }

    #[test]
    fn the_definition_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn every_flag_is_documented() {
        let page = include_str!("../docs/flags.md").replace("napi_ids", "napi-ids");
        for (name, short) in VALUED.iter().chain(&SWITCHES) {
            assert!(page.contains(&format!("`-{short}, --{name}")), "-{short}, --{name}");
        }
        assert!(page.contains("`--takeover"));
    }

    #[test]
    fn flags_are_taken_in_all_forms() {
        for line in ["-p1", "-p 1", "--port=1", "--port 1", "--por 1", "-vvp1", "-p 2 -p 1"] {
            let matches = parse(words(line)).expect(line);
            assert_eq!(matches.get_one::<String>("port").map(String::as_str), Some("1"), "{line}");
        }
        let matches = parse(words("--t 2 --takeover=socket")).expect("good flags");
        assert_eq!(matches.get_one::<String>("threads").map(String::as_str), Some("2"));
        let matches = parse(words("-vv -l a -l b,c -p -1 stray")).expect("good flags");
        assert_eq!(matches.get_count("verbose"), 2);
        assert_eq!(matches.get_many::<String>("listen").expect("given").count(), 2);
        assert_eq!(matches.get_one::<String>("port").map(String::as_str), Some("-1"));
    }

    #[test]
    fn refusals_speak_as_getopt() {
        for (line, expected) in [
            ("-x", "flagstone: invalid option -- 'x'\nIllegal argument \"?\""),
            ("--foo", "flagstone: unrecognized option '--foo'\nIllegal argument \"?\""),
            ("-p", "flagstone: option '--port' requires an argument\nIllegal argument \"?\""),
        ] {
            let exit = parse(words(line)).expect_err(line);
            assert_eq!((exit.code, exit.message.as_str()), (1, expected), "{line}");
        }
    }
}
