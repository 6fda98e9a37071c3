//! The parser of the commands about the store's background work.

use super::line::{is_noreply, line, parse_signed, refused_unless, told};
use super::token::Words;
use crate::bytes::parse_u32;
use crate::protocol::{
    Admin, Cachedump, Classes, Crawler, Failure, ItemLines, Lru, Millionths, Operation, Reassign, Request, Slabs,
};

/// Longest pause of the crawler.
const SLEEP_MICROS_MAX: u32 = 1_000_000;

/// memcached's bounds of the automover's window, in seconds.
const WINDOW_SECONDS_MIN: u32 = 3;
const WINDOW_SECONDS_MAX: u32 = 1800;

/// `lru_crawler`: takes just the words it needs, so that `noreply` makes one too many (memcached's rule).
pub(super) fn parse_crawler(mut words: Words<'_>) -> Request<'_> {
    let noreply = is_noreply(words);
    let parsed = match (words.next(), words.next(), words.next()) {
        (Some(b"enable"), None, _) => Ok(Crawler::Enable),
        (Some(b"disable"), None, _) => Ok(Crawler::Disable),
        (Some(b"sleep"), Some(word), None) => parse_sleep(word),
        (Some(b"tocrawl"), Some(word), None) => {
            parse_u32(word).map(|items| Crawler::ToCrawl { items }).ok_or(Failure::BadFormat)
        }
        (Some(b"crawl"), Some(word), None) => Ok(Crawler::Crawl(parse_classes(word))),
        (Some(b"metadump"), Some(word), None) => Ok(Crawler::Dump(ItemLines::Metadump, parse_classes(word))),
        (Some(b"mgdump"), Some(word), None) => Ok(Crawler::Dump(ItemLines::Mgdump, parse_classes(word))),
        _ => Err(Failure::UnknownCommand),
    };
    match parsed {
        Ok(_) if noreply => refused_unless(true, Failure::UnknownCommand),
        Ok(crawler) => told(Admin::Crawler(crawler)),
        Err(error) => refused_unless(noreply, error),
    }
}

fn parse_sleep<'a>(word: &[u8]) -> Result<Crawler<'a>, Failure> {
    let micros = parse_u32(word).ok_or(Failure::BadFormat)?;
    if micros > SLEEP_MICROS_MAX { Err(Failure::CrawlerSleepTooLong) } else { Ok(Crawler::Sleep { micros }) }
}

fn parse_classes(word: &[u8]) -> Classes<'_> {
    match word {
        b"all" => Classes::All,
        b"hash" => Classes::Hash,
        list => Classes::List(list),
    }
}

/// `slabs`.
pub(super) fn parse_slabs(mut words: Words<'_>) -> Request<'_> {
    let noreply = is_noreply(words);
    let parsed = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(b"reassign"), Some(from), Some(to), None) => Ok(Slabs::Reassign(parse_reassign(from, to))),
        (Some(b"automove"), Some(b"ratio"), word, _) => parse_ratio(word).map(Slabs::Ratio),
        (Some(b"automove"), Some(b"freeratio"), word, _) => parse_ratio(word).map(Slabs::FreeRatio),
        (Some(b"automove"), Some(b"window"), word, _) => parse_window(word),
        (Some(b"automove"), Some(level), _, _) => parse_automove(level),
        _ => Err(Failure::UnknownCommand),
    };
    match parsed {
        Ok(slabs) => line(Operation::Admin(Admin::Slabs(slabs)), noreply),
        Err(error) => refused_unless(noreply, error),
    }
}

fn parse_reassign(from: &[u8], to: &[u8]) -> Option<Reassign> {
    Some(Reassign { from: parse_signed(from)?, to: parse_signed(to)? })
}

fn parse_ratio(word: Option<&[u8]>) -> Result<Millionths, Failure> {
    word.and_then(parse_millionths).ok_or(Failure::UnknownCommand)
}

fn parse_window(word: Option<&[u8]>) -> Result<Slabs, Failure> {
    let seconds = word.and_then(parse_u32).ok_or(Failure::BadFormat)?;
    let is_fit = (WINDOW_SECONDS_MIN..=WINDOW_SECONDS_MAX).contains(&seconds);
    if is_fit { Ok(Slabs::Window(seconds)) } else { Err(Failure::AutomoveWindow) }
}

fn parse_automove(level: &[u8]) -> Result<Slabs, Failure> {
    match parse_u32(level).ok_or(Failure::BadFormat)? {
        level @ 0..=2 => Ok(Slabs::Automove(level)),
        _ => Err(Failure::UnknownCommand),
    }
}

/// `lru`.
pub(super) fn parse_lru(mut words: Words<'_>) -> Request<'_> {
    let noreply = is_noreply(words);
    let lru = match (words.next(), words.next()) {
        (Some(b"tune"), Some(hot)) => parse_tune(hot, words),
        (Some(b"mode"), Some(mode)) => Some(Lru::Mode { is_segmented: parse_mode(mode) }),
        (Some(b"temp_ttl"), Some(seconds)) => Some(Lru::TempTtl { seconds: parse_signed(seconds) }),
        _ => None,
    };
    match lru {
        Some(lru) => line(Operation::Admin(Admin::Lru(lru)), noreply),
        None => refused_unless(noreply, Failure::UnknownCommand),
    }
}

fn parse_tune(hot: &[u8], mut words: Words<'_>) -> Option<Lru> {
    let (warm, hot_factor, warm_factor) = (words.next()?, words.next()?, words.next()?);
    Some(Lru::Tune {
        hot: parse_u32(hot)?,
        warm: parse_u32(warm)?,
        hot_factor: parse_millionths(hot_factor)?,
        warm_factor: parse_millionths(warm_factor)?,
    })
}

fn parse_mode(word: &[u8]) -> Option<bool> {
    match word {
        b"segmented" => Some(true),
        b"flat" => Some(false),
        _ => None,
    }
}

/// `stats cachedump`.
pub(super) fn parse_cachedump(mut words: Words<'_>) -> Request<'_> {
    let cachedump = match (words.next(), words.next()) {
        (Some(class), Some(limit)) => match (parse_u32(class), parse_u32(limit)) {
            (Some(class), Some(limit)) => Cachedump::Items { class, limit },
            _ => Cachedump::NoNumber,
        },
        _ => Cachedump::TooFewWords,
    };
    told(Admin::Cachedump(cachedump))
}

/// A number with a fraction. What has more digits before the point than any setting is none.
fn parse_millionths(word: &[u8]) -> Option<Millionths> {
    const WHOLE_MAX: f64 = 1e9;
    let number: f64 = std::str::from_utf8(word).ok()?.parse().ok()?;
    if !(-WHOLE_MAX..=WHOLE_MAX).contains(&number) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "far below 2^63, and what lies behind millionths is not wanted"
    )]
    let millionths = (number * 1e6).round() as i64;
    Some(Millionths(millionths))
}

#[cfg(test)]
mod tests {
    use super::{parse_crawler, parse_lru, parse_slabs};
    use crate::protocol::ascii::line::{line, refused_unless};
    use crate::protocol::ascii::token::Words;
    use crate::protocol::{
        Admin, Classes, Crawler, Failure, ItemLines, Lru, Millionths, Operation, Reassign, Request, Slabs,
    };

    fn admin(admin: Admin<'_>, noreply: bool) -> Request<'_> {
        line(Operation::Admin(admin), noreply)
    }

    fn refused<'a>(error: Failure, noreply: bool) -> Request<'a> {
        refused_unless(noreply, error)
    }

    #[test]
    fn the_crawler_takes_just_its_words() {
        let parse = |line: &'static str| parse_crawler(Words::new(line.as_bytes()));
        assert_eq!(parse("sleep 1000000"), admin(Admin::Crawler(Crawler::Sleep { micros: 1_000_000 }), false));
        assert_eq!(parse("sleep 1000001"), refused(Failure::CrawlerSleepTooLong, false));
        let dump = Crawler::Dump(ItemLines::Metadump, Classes::List(b"1,2"));
        assert_eq!(parse("metadump 1,2"), admin(Admin::Crawler(dump), false));
        assert_eq!(parse("enable noreply"), refused(Failure::UnknownCommand, true));
        assert_eq!(parse("crawl noreply"), refused(Failure::UnknownCommand, true));
        assert_eq!(parse("crawl 1 2"), refused(Failure::UnknownCommand, false));
    }

    #[test]
    fn numbers_of_a_list_may_be_missing_but_not_wrong() {
        let numbers = |list: &'static str| Classes::numbers(list.as_bytes()).collect::<Vec<_>>();
        assert_eq!(numbers("1,,22,"), [Some(1), Some(22)]);
        assert_eq!(numbers("1,x"), [Some(1), None]);
        assert_eq!(numbers(","), []);
    }

    #[test]
    fn pages_may_come_from_anywhere() {
        let parse = |line: &'static str| parse_slabs(Words::new(line.as_bytes()));
        let slabs = |slabs| admin(Admin::Slabs(slabs), false);
        assert_eq!(parse("reassign -1 0"), slabs(Slabs::Reassign(Some(Reassign { from: -1, to: 0 }))));
        assert_eq!(parse("reassign 1 2 3"), refused(Failure::UnknownCommand, false));
        assert_eq!(parse("automove ratio 0.8"), slabs(Slabs::Ratio(Millionths(800_000))));
        assert_eq!(parse("automove ratio 0.8x"), refused(Failure::UnknownCommand, false));
        assert_eq!(parse("automove window"), refused(Failure::BadFormat, false));
        assert_eq!(parse("automove 3"), refused(Failure::UnknownCommand, false));
    }

    #[test]
    fn a_tune_takes_two_shares_and_two_factors() {
        let parse = |line: &'static str| parse_lru(Words::new(line.as_bytes()));
        let (hot_factor, warm_factor) = (Millionths(100_000), Millionths(-1_500_000));
        let lru = Lru::Tune { hot: 10, warm: 20, hot_factor, warm_factor };
        assert_eq!(parse("tune 10 20 .1 -1.5 noreply"), admin(Admin::Lru(lru), true));
        for line in ["tune 10 20 0.1", "tune x 20 0.1 1", "tune 10 20 nan inf", "mode", "foo bar"] {
            assert_eq!(parse(line), refused(Failure::UnknownCommand, false), "{line}");
        }
    }
}
