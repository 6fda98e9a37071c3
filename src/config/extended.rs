//! The suboptions of `-o`: one table says which exist, what value each takes, and whether it acts here.

use std::collections::BTreeMap;

use super::exit::{Exit, USAGE, shown};
use super::numbers::{parse_factor, parse_integer};

/// Exit status of memcached for a wrong suboption.
const WRONG: i32 = 1;
/// Exit status for what is refused because it would promise too much, or does not fit together.
const REFUSED: i32 = USAGE;

/// The switches that `no_modern` turns off.
pub(super) const MODERN: [&str; 5] =
    ["maxconns_fast", "slab_reassign", "slab_automove", "lru_crawler", "lru_maintainer"];

/// What follows a suboption's name.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// Nothing; a value is ignored, as memcached does.
    None,
    /// Anything; without it the message is printed.
    Text { missing: &'static str },
    /// One of these words.
    Word { words: &'static [&'static str], missing: &'static str, wrong: &'static str },
    /// A decimal within bounds.
    Integer { least: i64, most: i64, missing: &'static str, wrong: &'static str },
    /// A number from 0 to `most`; any other has a line of its own.
    Choice { most: i64, missing: &'static str, unreadable: &'static str, wrong: &'static str },
    /// As `Integer`, or nothing at all.
    OptionalInteger { least: i64, most: i64, wrong: &'static str },
    /// A number above 0 and below `below`.
    Factor { below: f64, missing: &'static str, wrong: &'static str },
}

/// What a suboption does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// What it says.
    Acts,
    /// Nothing: this server works differently. Said in a log line.
    None,
    /// The server does not start: what this protects or promises does not work yet.
    Refused(&'static str),
}

type Row = (&'static str, Value, Effect);

const EXTSTORE: Effect = Effect::Refused("external storage");
const PROXY: Effect = Effect::Refused("the proxy");
const ANY: Value = Value::Text { missing: "" };
const ENDLESS: f64 = f64::INFINITY;

/// A slab page of memcached, the most a chunk of it may be.
const PAGE_KILOBYTES: i64 = 1024;
/// memcached's largest chunk when nothing is said.
const CHUNK_KILOBYTES_MAX: i64 = 512;

const TABLE: &[Row] = &[
    ("maxconns_fast", Value::None, Effect::Acts),
    ("no_maxconns_fast", Value::None, Effect::Acts),
    (
        "idle_timeout",
        Value::Integer {
            least: 0,
            most: u32::MAX as i64,
            missing: "Missing numeric argument for idle_timeout",
            wrong: "could not parse argument to idle_timeout",
        },
        Effect::Acts,
    ),
    (
        "sock_cookie_id",
        Value::Integer {
            least: 0,
            most: u32::MAX as i64,
            missing: "Missing sock_cookie_id argument",
            wrong: "could not parse argument to sock_cookie_id",
        },
        Effect::Acts,
    ),
    // memcached 1.4's way: it switches off what `MODERN` names.
    ("no_modern", Value::None, Effect::Acts),
    ("modern", Value::None, Effect::None),
    (
        "hashpower",
        Value::Integer {
            least: 12,
            most: 32,
            missing: "Missing numeric argument for hashpower",
            wrong: "hashpower must be between 12 and 32",
        },
        Effect::None,
    ),
    ("no_hashexpand", Value::None, Effect::None),
    (
        "hash_algorithm",
        Value::Word {
            words: &["jenkins", "murmur3", "xxh3"],
            missing: "Missing hash_algorithm argument",
            wrong: "Unknown hash_algorithm option (jenkins, murmur3, xxh3)",
        },
        Effect::None,
    ),
    (
        "tail_repair_time",
        Value::Integer {
            least: 10,
            most: i32::MAX as i64,
            missing: "Missing numeric argument for tail_repair_time",
            wrong: "Cannot set tail_repair_time to less than 10 seconds",
        },
        Effect::None,
    ),
    ("slab_reassign", Value::None, Effect::Acts),
    ("no_slab_reassign", Value::None, Effect::Acts),
    (
        "slab_automove",
        Value::OptionalInteger { least: 0, most: 2, wrong: "slab_automove must be between 0 and 2" },
        Effect::Acts,
    ),
    ("no_slab_automove", Value::None, Effect::Acts),
    (
        "slab_automove_ratio",
        Value::Factor {
            below: 1.0,
            missing: "Missing slab_automove_ratio argument",
            wrong: "slab_automove_ratio must be > 0 and < 1",
        },
        Effect::None,
    ),
    (
        "slab_automove_window",
        Value::Integer {
            least: 3,
            most: 1800,
            missing: "Missing slab_automove_window argument",
            wrong: "slab_automove_window must be > 2",
        },
        Effect::None,
    ),
    (
        "slab_automove_freeratio",
        Value::Factor {
            below: 1.0,
            missing: "Missing slab_automove_freeratio argument",
            wrong: "slab_automove_freeratio must be > 0 and < 1",
        },
        Effect::None,
    ),
    (
        "slab_chunk_max",
        Value::Integer {
            least: 1,
            most: PAGE_KILOBYTES,
            missing: "Missing slab_chunk_max argument",
            wrong: "slab_chunk_max must be between 1 and 1024 kilobytes",
        },
        Effect::None,
    ),
    ("no_chunked_items", Value::None, Effect::None),
    ("slab_sizes", Value::Text { missing: "Missing slab_sizes argument" }, Effect::None),
    ("lru_crawler", Value::None, Effect::Acts),
    ("no_lru_crawler", Value::None, Effect::Acts),
    (
        "lru_crawler_sleep",
        Value::Integer {
            least: 0,
            most: 1_000_000,
            missing: "Missing lru_crawler_sleep value",
            wrong: "LRU crawler sleep must be between 0 and 1 second",
        },
        Effect::Acts,
    ),
    (
        "lru_crawler_tocrawl",
        Value::Integer {
            least: 0,
            most: u32::MAX as i64,
            missing: "Missing lru_crawler_tocrawl value",
            wrong: "lru_crawler_tocrawl takes a numeric 32bit value",
        },
        Effect::Acts,
    ),
    ("lru_maintainer", Value::None, Effect::None),
    ("no_lru_maintainer", Value::None, Effect::None),
    (
        "hot_lru_pct",
        Value::Integer {
            least: 1,
            most: 79,
            missing: "Missing hot_lru_pct argument",
            wrong: "hot_lru_pct must be > 1 and < 80",
        },
        Effect::None,
    ),
    (
        "warm_lru_pct",
        Value::Integer {
            least: 1,
            most: 79,
            missing: "Missing warm_lru_pct argument",
            wrong: "warm_lru_pct must be > 1 and < 80",
        },
        Effect::None,
    ),
    (
        "hot_max_factor",
        Value::Factor {
            below: ENDLESS,
            missing: "Missing hot_max_factor argument",
            wrong: "hot_max_factor must be > 0",
        },
        Effect::None,
    ),
    (
        "warm_max_factor",
        Value::Factor {
            below: ENDLESS,
            missing: "Missing warm_max_factor argument",
            wrong: "warm_max_factor must be > 0",
        },
        Effect::None,
    ),
    (
        "temporary_ttl",
        Value::Integer {
            least: i32::MIN as i64,
            most: i32::MAX as i64,
            missing: "Missing temporary_ttl argument",
            wrong: "could not parse argument to temporary_ttl",
        },
        Effect::None,
    ),
    (
        "watcher_logbuf_size",
        Value::Integer {
            least: 0,
            most: u32::MAX as i64,
            missing: "Missing watcher_logbuf_size argument",
            wrong: "could not parse argument to watcher_logbuf_size",
        },
        Effect::Acts,
    ),
    (
        "worker_logbuf_size",
        Value::Integer {
            least: 0,
            most: u32::MAX as i64,
            missing: "Missing worker_logbuf_size argument",
            wrong: "could not parse argument to worker_logbuf_size",
        },
        Effect::Acts,
    ),
    (
        "read_buf_mem_limit",
        Value::Integer {
            least: 0,
            most: u32::MAX as i64,
            missing: "Missing read_buf_mem_limit argument",
            wrong: "could not parse argument to read_buf_mem_limit",
        },
        Effect::None,
    ),
    ("resp_obj_mem_limit", Value::None, Effect::None),
    ("track_sizes", Value::None, Effect::Acts),
    (
        "max_outage",
        Value::Integer {
            least: 0,
            most: u32::MAX as i64,
            missing: "Missing max_outage argument",
            wrong: "could not parse argument to max_outage",
        },
        Effect::Acts,
    ),
    ("memory_file_reset", Value::None, Effect::Acts),
    ("memory_fd_store", Value::None, Effect::Acts),
    ("memory_file_keep_old", Value::None, Effect::Acts),
    ("inline_ascii_resp", Value::None, Effect::None),
    ("no_inline_ascii_resp", Value::None, Effect::None),
    ("drop_privileges", Value::None, Effect::Acts),
    ("no_drop_privileges", Value::None, Effect::Acts),
    ("relaxed_privileges", Value::None, Effect::Acts),
    ("ssl_chain_cert", Value::Text { missing: "Missing ssl_chain_cert argument" }, Effect::Acts),
    ("ssl_key", Value::Text { missing: "Missing ssl_key argument" }, Effect::Acts),
    (
        "ssl_verify_mode",
        Value::Choice {
            most: 3,
            missing: "Missing ssl_verify_mode argument",
            unreadable: "could not parse argument to ssl_verify_mode",
            wrong: "Invalid ssl_verify_mode. Use help to see valid options.",
        },
        Effect::Acts,
    ),
    (
        "ssl_keyformat",
        Value::Integer {
            least: i32::MIN as i64,
            most: i32::MAX as i64,
            missing: "Missing ssl_keyformat argument",
            wrong: "could not parse argument to ssl_keyformat",
        },
        Effect::Acts,
    ),
    ("ssl_ciphers", Value::Text { missing: "Missing ssl_ciphers argument" }, Effect::Acts),
    ("ssl_ca_cert", Value::Text { missing: "Missing ssl_ca_cert argument" }, Effect::Acts),
    (
        "ssl_wbuf_size",
        Value::Integer {
            least: 0,
            most: (u32::MAX >> 10) as i64,
            missing: "Missing ssl_wbuf_size argument",
            wrong: "could not parse argument to ssl_wbuf_size",
        },
        Effect::Acts,
    ),
    ("ssl_session_cache", Value::None, Effect::Acts),
    ("ssl_kernel_tls", Value::None, Effect::Acts),
    (
        "ssl_min_version",
        Value::Choice {
            most: 3,
            missing: "Missing ssl_min_version argument",
            unreadable: "could not parse argument to ssl_min_version",
            wrong: "Invalid ssl_min_version. Use help to see valid options.",
        },
        Effect::Acts,
    ),
    ("ext_path", ANY, EXTSTORE),
    ("ext_page_size", ANY, EXTSTORE),
    ("ext_wbuf_size", ANY, EXTSTORE),
    ("ext_threads", ANY, EXTSTORE),
    ("ext_io_depth", ANY, EXTSTORE),
    ("ext_item_size", ANY, EXTSTORE),
    ("ext_item_age", ANY, EXTSTORE),
    ("ext_low_ttl", ANY, EXTSTORE),
    ("ext_recache_rate", ANY, EXTSTORE),
    ("ext_compact_under", ANY, EXTSTORE),
    ("ext_drop_under", ANY, EXTSTORE),
    ("ext_max_sleep", ANY, EXTSTORE),
    ("ext_max_frag", ANY, EXTSTORE),
    ("ext_drop_unread", ANY, EXTSTORE),
    ("proxy_config", ANY, PROXY),
    ("proxy_arg", ANY, PROXY),
    ("proxy_uring", ANY, PROXY),
    ("proxy_memprofile", ANY, PROXY),
];

/// What `-o` said, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extended {
    /// Suboptions given, the last value of each; switches have an empty one.
    given: BTreeMap<&'static str, String>,
}

impl Extended {
    /// Reads the lists of all `-o`, each with the line of a file that it stands in, if it does.
    ///
    /// # Errors
    /// The first suboption that is unknown, wrong, or promises what does not work.
    pub(super) fn parse<'a>(lists: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Result<Self, Exit> {
        let mut extended = Self::default();
        for (list, place) in lists {
            for word in list.split(',').filter(|word| !word.is_empty()) {
                extended.take(word, place)?;
            }
        }
        extended.check_together()?;
        Ok(extended)
    }

    fn take(&mut self, word: &str, place: Option<&str>) -> Result<(), Exit> {
        let refused = |code, why: String, remedy: &str| Exit::refused(code, why, shown("-o", word, place), remedy);
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let Some(&(name, kind, effect)) = TABLE.iter().find(|(known, _, _)| *known == name) else {
            let remedy = "-h lists the suboptions that act; leave this one out, or spell it so";
            return Err(refused(WRONG, format!("Illegal suboption \"{word}\""), remedy));
        };
        if let Effect::Refused(promise) = effect {
            let remedy = "leave it out, or stay with memcached where it is needed";
            return Err(refused(REFUSED, format!("-o {name}: {promise} is not supported yet"), remedy));
        }
        let value = check(kind, value).map_err(|why| refused(WRONG, why.to_owned(), &remedy(name, kind)))?;
        self.forget_opposites(name);
        self.given.insert(name, value.to_owned());
        Ok(())
    }

    /// The last word about a switch holds.
    fn forget_opposites(&mut self, name: &str) {
        match name.strip_prefix("no_") {
            Some("modern") => MODERN.iter().for_each(|name| self.forget(name)),
            Some(name) => self.forget(name),
            None => self.forget(&format!("no_{name}")),
        }
    }

    fn forget(&mut self, name: &str) {
        self.given.remove(name);
    }

    fn check_together(&self) -> Result<(), Exit> {
        let percent = |name, default| self.integer(name).unwrap_or(default);
        if percent("hot_lru_pct", 20) + percent("warm_lru_pct", 40) > 80 {
            let line = "hot_lru_pct + warm_lru_pct cannot be more than 80% combined";
            let (hot, warm) = (percent("hot_lru_pct", 20), percent("warm_lru_pct", 40));
            let given = format!("-o hot_lru_pct={hot},warm_lru_pct={warm}");
            return Err(Exit::refused(REFUSED, line, given, "lower one of them; neither has an effect here"));
        }
        if self.has("temporary_ttl") && self.has("no_lru_maintainer") {
            let line = "temporary_ttl requires lru_maintainer to be enabled";
            let given = "-o temporary_ttl with no_lru_maintainer";
            return Err(Exit::refused(REFUSED, line, given, "leave one of them out; neither has an effect here"));
        }
        Ok(())
    }

    /// Largest chunk memcached would make, in bytes. Ours have a size of their own.
    pub(super) fn chunk_bytes_max(&self) -> i64 {
        let is_unchunked = self.has("no_chunked_items") || self.has("no_modern");
        let default = if is_unchunked { PAGE_KILOBYTES } else { CHUNK_KILOBYTES_MAX };
        self.integer("slab_chunk_max").unwrap_or(default) << 10
    }

    /// Refuses what memcached refuses: its largest chunk divides `-I` and its page. Nothing here depends on it,
    /// but who moves back should not find then that the settings never held together.
    ///
    /// # Errors
    /// memcached's line.
    pub(super) fn check_item_size(&self, item_bytes_max: usize) -> Result<(), Exit> {
        let chunk = self.chunk_bytes_max();
        let item = i64::try_from(item_bytes_max).unwrap_or(i64::MAX);
        let line = if chunk > item {
            format!("slab_chunk_max (bytes: {chunk}) cannot be larger than -I (item_size_max {item})")
        } else if item % chunk != 0 {
            format!("-I (item_size_max: {item}) must be evenly divisible by slab_chunk_max (bytes: {chunk})")
        } else if (PAGE_KILOBYTES << 10) % chunk != 0 {
            format!("slab_chunk_max (bytes: {chunk}) must divide evenly into {} (slab_page_size)", PAGE_KILOBYTES << 10)
        } else {
            return Ok(());
        };
        let given = format!("-I {item} with -o slab_chunk_max={}", chunk >> 10);
        let remedy =
            "give a -I of whole megabytes, or a slab_chunk_max (KB) that divides it and 1024, as slab_chunk_max=1";
        Err(Exit::refused(REFUSED, line, given, remedy))
    }

    /// Whether a suboption was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// The value given to a suboption.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The number given to a suboption.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(parse_integer)
    }

    /// The suboptions given that do nothing here, for the log; `None` when there are none.
    pub(super) fn without_effect(&self) -> Option<String> {
        let idle = |name: &&&str| TABLE.iter().any(|(row, _, effect)| *row == **name && *effect == Effect::None);
        let names: Vec<&str> = self.given.keys().filter(idle).copied().collect();
        (!names.is_empty()).then(|| names.join(","))
    }
}

/// What would do in place of a value that does not.
fn remedy(name: &str, kind: Value) -> String {
    let numbers = |least: i64, most: i64| format!("give a whole number from {least} to {most}, as {name}={least}");
    match kind {
        Value::None => format!("give {name} without a value"),
        Value::Text { .. } => format!("give it a value, as {name}=FILE"),
        Value::Word { words, .. } => format!("give one of {}", words.join(", ")),
        Value::Integer { least, most, .. } | Value::OptionalInteger { least, most, .. } => numbers(least, most),
        Value::Choice { most, .. } => numbers(0, most),
        Value::Factor { below, .. } if below.is_finite() => format!("give a number above 0 and below {below}"),
        Value::Factor { .. } => "give a number above 0".to_owned(),
    }
}

/// The value as it is kept, or the line that refuses it.
fn check(kind: Value, value: Option<&str>) -> Result<&str, &'static str> {
    let in_bounds = |text: &str, least, most| parse_integer(text).is_some_and(|n| (least..=most).contains(&n));
    match (kind, value) {
        (Value::None, _) | (Value::OptionalInteger { .. }, None) => Ok(""),
        (Value::Text { missing }, value) => value.ok_or(missing),
        (
            Value::Word { missing, .. }
            | Value::Integer { missing, .. }
            | Value::Choice { missing, .. }
            | Value::Factor { missing, .. },
            None,
        ) => Err(missing),
        (Value::Choice { most, unreadable, wrong, .. }, Some(text)) => match parse_integer(text) {
            None => Err(unreadable),
            Some(number) => (0..=most).contains(&number).then_some(text).ok_or(wrong),
        },
        (Value::Word { words, wrong, .. }, Some(text)) => words.contains(&text).then_some(text).ok_or(wrong),
        (Value::Integer { least, most, wrong, .. } | Value::OptionalInteger { least, most, wrong }, Some(text)) => {
            in_bounds(text, least, most).then_some(text).ok_or(wrong)
        }
        (Value::Factor { below, wrong, .. }, Some(text)) => {
            parse_factor(text).is_some_and(|n| n > 0.0 && n < below).then_some(text).ok_or(wrong)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Effect, Extended, TABLE};

    fn parse(list: &str) -> Result<Extended, (i32, String)> {
        Extended::parse(std::iter::once((list, None))).map_err(|exit| (exit.code, exit.message))
    }

    #[test]
    fn no_name_stands_twice() {
        for (number, (name, _, _)) in TABLE.iter().enumerate() {
            assert!(TABLE[..number].iter().all(|(earlier, _, _)| earlier != name), "{name}");
        }
    }

    #[test]
    fn every_name_is_documented() {
        let page = include_str!("../docs/options.md");
        for (name, _, effect) in TABLE {
            let is_refused = matches!(effect, Effect::Refused(_));
            let family = name.split_inclusive('_').next().unwrap_or_default();
            let is_named = ["`", "=", "["].iter().any(|end| page.contains(&format!("`{name}{end}")));
            assert!(is_named || is_refused && page.contains(&format!("`{family}`")), "{name}");
        }
    }

    #[test]
    fn the_last_word_about_a_switch_holds() {
        for (list, is_on) in [
            ("", true),
            ("no_maxconns_fast", false),
            ("no_maxconns_fast,maxconns_fast", true),
            ("maxconns_fast,no_maxconns_fast", false),
            ("no_modern,maxconns_fast", true),
            ("maxconns_fast,no_modern", false),
        ] {
            assert_eq!(parse(list).expect("known").is_on("maxconns_fast"), is_on, "{list}");
        }
    }

    #[test]
    fn unknown_and_wrong_suboptions_are_refused_in_memcacheds_words() {
        for (list, line) in [
            ("x", "Illegal suboption \"x\""),
            ("modern,x=1", "Illegal suboption \"x=1\""),
            ("idle_timeout", "Missing numeric argument for idle_timeout"),
            ("slab_automove=7", "slab_automove must be between 0 and 2"),
            ("tail_repair_time=5", "Cannot set tail_repair_time to less than 10 seconds"),
            ("hash_algorithm=md5", "Unknown hash_algorithm option (jenkins, murmur3, xxh3)"),
            ("hot_lru_pct=80", "hot_lru_pct must be > 1 and < 80"),
            ("slab_automove_ratio=1", "slab_automove_ratio must be > 0 and < 1"),
            ("ssl_chain_cert", "Missing ssl_chain_cert argument"),
            ("ssl_verify_mode=x", "could not parse argument to ssl_verify_mode"),
            ("ssl_verify_mode=4", "Invalid ssl_verify_mode. Use help to see valid options."),
            ("ssl_min_version=-1", "Invalid ssl_min_version. Use help to see valid options."),
            ("lru_crawler_sleep=1000001", "LRU crawler sleep must be between 0 and 1 second"),
        ] {
            let (code, message) = parse(list).expect_err(list);
            let (why, below) = message.split_once('\n').expect("two lines");
            assert_eq!((code, why), (1, line), "{list}");
            let given = list.rsplit(',').next().expect("a word");
            let remedy = below.strip_prefix(&format!("flagstone: -o {given}: ")).expect(list);
            assert!(remedy.contains("give") || remedy.contains("-h lists"), "{list}: {remedy}");
        }
    }

    #[test]
    fn what_does_not_fit_together_or_promises_too_much_is_refused_with_64() {
        for list in
            ["hot_lru_pct=50,warm_lru_pct=50", "temporary_ttl=5,no_lru_maintainer", "ext_path=/a:1g", "proxy_config=a"]
        {
            assert_eq!(parse(list).expect_err(list).0, 64, "{list}");
        }
    }

    #[test]
    fn a_chunk_divides_the_item_and_the_page() {
        for (list, item_bytes_max, is_good) in [
            ("", 1 << 20, true),
            ("", 1024, false),
            ("slab_chunk_max=1", 1024, true),
            ("slab_chunk_max=64", 100 << 10, false),
            ("slab_chunk_max=3", 3 << 20, false),
            ("no_chunked_items", 1 << 20, true),
            ("no_chunked_items", 1536 << 10, false),
        ] {
            let checked = parse(list).expect("known").check_item_size(item_bytes_max);
            assert_eq!(checked.map_err(|exit| exit.code), if is_good { Ok(()) } else { Err(64) }, "{list}");
        }
    }

    #[test]
    fn what_does_nothing_here_is_named() {
        let extended = parse("idle_timeout=5,hash_algorithm=xxh3,hashpower=20").expect("known");
        assert_eq!(extended.without_effect().as_deref(), Some("hash_algorithm,hashpower"));
        assert_eq!(extended.integer("idle_timeout"), Some(5));
        assert_eq!(parse("idle_timeout=5").expect("known").without_effect(), None);
    }
}
