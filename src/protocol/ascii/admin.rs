//! The parser of the commands that are about the server and not about items.

use super::background;
use super::line::{is_noreply, line, parse_exptime, refused_unless, told};
use super::token::Words;
use crate::bytes::parse_u32;
use crate::protocol::{Admin, Detail, Failure, HOT_KEYS_SHOWN, Operation, Request, Shutdown};

/// What is not about items. `None`: not a command, as far as is known here.
pub(super) fn parse<'a>(name: &[u8], words: Words<'a>) -> Option<Request<'a>> {
    let request = match name {
        b"version" => told(Admin::Version),
        // In this dialect closing is the answer.
        b"quit" => line(Operation::Quit, true),
        b"watch" => line(Operation::Watch(words), false),
        b"stats" => parse_stats(words),
        b"flush_all" => parse_flush_all(words),
        b"verbosity" => parse_verbosity(words),
        b"cache_memlimit" => parse_cache_memlimit(words),
        b"refresh_certs" => told(Admin::RefreshCerts),
        b"shutdown" => parse_shutdown(words),
        b"lru_crawler" => background::parse_crawler(words),
        b"slabs" => background::parse_slabs(words),
        b"lru" => background::parse_lru(words),
        _ => return None,
    };
    Some(request)
}

/// What memcached looks for where a line begins with a space.
pub(super) fn parse_behind_space<'a>(name: &[u8], words: Words<'a>) -> Option<Request<'a>> {
    let is_known = !matches!(name, b"version" | b"quit" | b"watch" | b"stats");
    is_known.then(|| parse(name, words)).flatten()
}

fn parse_stats(mut words: Words<'_>) -> Request<'_> {
    match words.next().unwrap_or_default() {
        b"cachedump" => background::parse_cachedump(words),
        b"detail" => told(Admin::StatsDetail(match words.next() {
            Some(b"on") => Detail::On,
            Some(b"off") => Detail::Off,
            Some(b"dump") => Detail::Dump,
            Some(_) | None => Detail::Unknown,
        })),
        b"hotkeys" => told(Admin::StatsHotKeys { keys_max: words.next().map_or(Some(HOT_KEYS_SHOWN), parse_u32) }),
        report => told(Admin::Stats { report }),
    }
}

fn parse_flush_all(mut words: Words<'_>) -> Request<'_> {
    let noreply = is_noreply(words);
    let exptime = match words.next() {
        None => Some(0),
        Some(b"noreply") if words.next().is_none() => Some(0),
        Some(word) => parse_exptime(word),
    };
    line(Operation::Admin(Admin::FlushAll { exptime }), noreply)
}

fn parse_verbosity(mut words: Words<'_>) -> Request<'_> {
    let noreply = is_noreply(words);
    match words.next().and_then(parse_u32) {
        Some(level) => line(Operation::Admin(Admin::Verbosity { level }), noreply),
        None => refused_unless(noreply, Failure::BadFormat),
    }
}

fn parse_cache_memlimit(mut words: Words<'_>) -> Request<'_> {
    let noreply = is_noreply(words);
    match words.next().and_then(parse_u32) {
        Some(megabytes) => line(Operation::Admin(Admin::CacheMemlimit { megabytes }), noreply),
        None => refused_unless(noreply, Failure::UnknownCommand),
    }
}

/// With `noreply` as its mode it is refused in silence, as by memcached.
fn parse_shutdown(mut words: Words<'_>) -> Request<'_> {
    match words.next() {
        None => told(Admin::Shutdown(Shutdown::Now)),
        Some(b"graceful") if words.next().is_none() => told(Admin::Shutdown(Shutdown::Graceful)),
        Some(b"noreply") => refused_unless(true, Failure::InvalidShutdownMode),
        Some(_) => told(Admin::Shutdown(Shutdown::Unknown)),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::protocol::ascii::token::Words;
    use crate::protocol::{Admin, Detail, Failure, Operation, Quiet, Refused, Shutdown};

    fn request(line: &[u8]) -> (Operation<'_>, bool) {
        let mut words = Words::new(line);
        let name = words.next().expect("a name");
        let request = parse(name, words).expect("a command");
        (request.operation, request.asked.quiet == Quiet::All)
    }

    #[test]
    fn admin_words_are_read() {
        let flush = |exptime: i64, noreply| (Operation::Admin(Admin::FlushAll { exptime: Some(exptime) }), noreply);
        let told = |admin| (Operation::Admin(admin), false);
        assert_eq!(request(b"flush_all"), flush(0, false));
        assert_eq!(request(b"flush_all noreply"), flush(0, true));
        assert_eq!(request(b"flush_all 10 noreply"), flush(10, true));
        for line in [&b"flush_all x"[..], b"flush_all noreply 0"] {
            assert_eq!(request(line), told(Admin::FlushAll { exptime: None }));
        }
        assert_eq!(request(b"verbosity 1"), told(Admin::Verbosity { level: 1 }));
        let refused = Refused { failure: Failure::BadFormat, swallow_bytes: 0 };
        assert_eq!(request(b"verbosity"), (Operation::Refused(refused), false));
        assert_eq!(request(b"shutdown graceful"), told(Admin::Shutdown(Shutdown::Graceful)));
        assert_eq!(request(b"stats detail dump x"), told(Admin::StatsDetail(Detail::Dump)));
        assert_eq!(request(b"stats detail"), told(Admin::StatsDetail(Detail::Unknown)));
        assert_eq!(request(b"stats items"), told(Admin::Stats { report: b"items" }));
    }
}
