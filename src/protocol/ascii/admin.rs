//! The parser of the commands that are about the server and not about items.

use super::classic::{is_noreply, parse_exptime, refused_unless};
use super::token::Words;
use super::upkeep;
use crate::bytes::parse_u32;
use crate::protocol::{Admin, Detail, ErrorText, Request, Shutdown};

/// What is not about items. `None`: not a command, as far as is known here.
pub(super) fn parse<'a>(name: &[u8], words: Words<'a>) -> Option<Request<'a>> {
    let request = match name {
        b"version" => Request::Admin(Admin::Version),
        b"quit" => Request::Quit,
        b"watch" => Request::Watch,
        b"stats" => parse_stats(words),
        b"flush_all" => parse_flush_all(words),
        b"verbosity" => parse_verbosity(words),
        b"cache_memlimit" => parse_cache_memlimit(words),
        b"refresh_certs" => Request::Admin(Admin::RefreshCerts),
        b"shutdown" => parse_shutdown(words),
        b"lru_crawler" => upkeep::parse_crawler(words),
        b"slabs" => upkeep::parse_slabs(words),
        b"lru" => upkeep::parse_lru(words),
        _ => return None,
    };
    Some(request)
}

fn parse_stats(mut words: Words<'_>) -> Request<'_> {
    match words.next().unwrap_or_default() {
        b"cachedump" => upkeep::parse_cachedump(words),
        b"detail" => Request::Admin(Admin::StatsDetail(match words.next() {
            Some(b"on") => Detail::On,
            Some(b"off") => Detail::Off,
            Some(b"dump") => Detail::Dump,
            Some(_) | None => Detail::Unknown,
        })),
        report => Request::Admin(Admin::Stats { report }),
    }
}

fn parse_flush_all(mut words: Words<'_>) -> Request<'_> {
    let noreply = is_noreply(words);
    let exptime = match words.next() {
        None => Some(0),
        Some(b"noreply") if words.next().is_none() => Some(0),
        Some(word) => parse_exptime(word),
    };
    Request::Admin(Admin::FlushAll { exptime, noreply })
}

fn parse_verbosity(mut words: Words<'_>) -> Request<'_> {
    let noreply = is_noreply(words);
    match words.next().and_then(parse_u32) {
        Some(level) => Request::Admin(Admin::Verbosity { level, noreply }),
        None => refused_unless(noreply, ErrorText::BadFormat),
    }
}

fn parse_cache_memlimit(mut words: Words<'_>) -> Request<'_> {
    let noreply = is_noreply(words);
    match words.next().and_then(parse_u32) {
        Some(megabytes) => Request::Admin(Admin::CacheMemlimit { megabytes, noreply }),
        None => refused_unless(noreply, ErrorText::UnknownCommand),
    }
}

/// With `noreply` as its mode it is refused in silence, as by memcached.
fn parse_shutdown(mut words: Words<'_>) -> Request<'_> {
    match words.next() {
        None => Request::Admin(Admin::Shutdown(Shutdown::Now)),
        Some(b"graceful") if words.next().is_none() => Request::Admin(Admin::Shutdown(Shutdown::Graceful)),
        Some(b"noreply") => refused_unless(true, ErrorText::InvalidShutdownMode),
        Some(_) => Request::Admin(Admin::Shutdown(Shutdown::Unknown)),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::protocol::ascii::token::Words;
    use crate::protocol::{Admin, Detail, ErrorText, Refused, Request, Shutdown};

    fn request(line: &[u8]) -> Request<'_> {
        let mut words = Words::new(line);
        let name = words.next().expect("a name");
        parse(name, words).expect("a command")
    }

    #[test]
    fn admin_words_are_read() {
        let flush = |exptime: i32, noreply| Request::Admin(Admin::FlushAll { exptime: Some(exptime), noreply });
        assert_eq!(request(b"flush_all"), flush(0, false));
        assert_eq!(request(b"flush_all noreply"), flush(0, true));
        assert_eq!(request(b"flush_all 10 noreply"), flush(10, true));
        for line in [&b"flush_all x"[..], b"flush_all noreply 0"] {
            assert_eq!(request(line), Request::Admin(Admin::FlushAll { exptime: None, noreply: false }));
        }
        assert_eq!(request(b"verbosity 1"), Request::Admin(Admin::Verbosity { level: 1, noreply: false }));
        let refused = Refused { error: ErrorText::BadFormat, swallow_bytes: 0, noreply: false };
        assert_eq!(request(b"verbosity"), Request::Refused(refused));
        assert_eq!(request(b"shutdown graceful"), Request::Admin(Admin::Shutdown(Shutdown::Graceful)));
        assert_eq!(request(b"stats detail dump x"), Request::Admin(Admin::StatsDetail(Detail::Dump)));
        assert_eq!(request(b"stats detail"), Request::Admin(Admin::StatsDetail(Detail::Unknown)));
        assert_eq!(request(b"stats items"), Request::Admin(Admin::Stats { report: b"items" }));
    }
}
