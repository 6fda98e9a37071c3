//! What is about the server and not about items.

use super::dump::Dump;
use super::{Commands, Report};
use crate::protocol::{Admin, Failure, Reply, Shutdown};
use crate::time::{Seconds, flush_spares_from};

/// Least and most megabytes `cache_memlimit` takes (memcached's bounds).
const MEMLIMIT_MEGABYTES_MIN: u32 = 8;
const MEMLIMIT_MEGABYTES_MAX: u32 = 1_000_000_000;

/// Loudest verbosity a client may ask for (memcached's `MAX_VERBOSITY_LEVEL`).
const VERBOSITY_MAX: u8 = 2;

/// How an admin request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With a reply.
    Reply(Reply),
    /// With a report: see [`Commands::report`].
    Report(Report),
    /// With a line of its own.
    Line(String),
    /// With the counts by prefix.
    Prefixes,
    /// With a list of items, a little at a time.
    Dump(Dump),
    /// With what a listing says.
    Listing,
    /// By closing the connection and ending the server.
    Shutdown {
        /// As by SIGUSR1, not as by SIGINT.
        graceful: bool,
    },
}

impl Commands {
    /// Does what is asked. `follows_replies`: those to requests before it are not written yet.
    #[cold]
    pub fn admin(&mut self, request: Admin<'_>, follows_replies: bool) -> Answer {
        Answer::Reply(match request {
            Admin::Stats { report } => return self.stats(report),
            Admin::StatsHotKeys { keys_max } => return self.stats_hot_keys(keys_max),
            Admin::StatsDetail(detail) => return self.stats_detail(detail),
            Admin::Shutdown(how) => return self.shutdown(how),
            Admin::Crawler(crawler) => return self.crawler(crawler, follows_replies),
            Admin::Cachedump(cachedump) => return self.begin_cachedump(cachedump),
            Admin::Slabs(slabs) => return self.slabs(slabs),
            Admin::Lru(lru) => return self.lru(lru),
            Admin::Noop => Reply::Noop,
            Admin::Version => Reply::Version,
            Admin::RefreshCerts => return self.refresh_certificates(),
            Admin::FlushAll { exptime } => self.flush_all(exptime),
            Admin::Verbosity { level } => self.set_verbosity(level),
            Admin::CacheMemlimit { megabytes } => self.set_memory_limit(megabytes),
        })
    }

    /// Now, or planned: a later one replaces a planned one either way.
    fn flush_all(&self, exptime: Option<i64>) -> Reply {
        self.counters.cmd_flush.bump();
        if !self.shared.options.flush_all {
            return Reply::Error(Failure::FlushNotAllowed);
        }
        let Some(exptime) = exptime else { return Reply::Error(Failure::InvalidExptime) };
        let now = self.now.seconds;
        let spares_from = if exptime > 0 { flush_spares_from(exptime, &self.now) } else { Some(now) };
        let begins = spares_from.map(|second| Seconds(second.0.saturating_sub(1)));
        self.shared.plan_flush(spares_from.filter(|second| *second > now), now);
        if begins.is_some_and(|begins| begins <= now) {
            // memcached removes what is younger than that at once, and does not count who misses it later.
            self.store.flush_all(begins);
        }
        Reply::Ok
    }

    /// Here, as with memcached: the files are small, and who asks wants to know.
    fn refresh_certificates(&self) -> Answer {
        let Some(tls) = self.shared.tls() else { return Answer::Reply(Reply::Error(Failure::TlsNotEnabled)) };
        match tls.refresh(self.now.seconds) {
            Ok(()) => Answer::Reply(Reply::Ok),
            Err(error) => {
                log::error!(command = "refresh_certs"; "the old certificates stay: {error}");
                Answer::Line(error.to_string())
            }
        }
    }

    fn set_verbosity(&self, level: u32) -> Reply {
        let level = u8::try_from(level).map_or(VERBOSITY_MAX, |level| level.min(VERBOSITY_MAX));
        self.shared.set_verbosity(level);
        Reply::Ok
    }

    fn set_memory_limit(&self, megabytes: u32) -> Reply {
        if megabytes < MEMLIMIT_MEGABYTES_MIN {
            return Reply::Error(Failure::MemlimitTooSmall);
        }
        if megabytes > MEMLIMIT_MEGABYTES_MAX {
            return Reply::Error(Failure::MemlimitNotBytes);
        }
        if self.shared.options.fixed_memory || !self.store.set_limit_bytes(u64::from(megabytes) << 20) {
            return Reply::Error(Failure::MemlimitOutOfBounds);
        }
        Reply::Ok
    }

    fn shutdown(&self, how: Shutdown) -> Answer {
        if !self.shared.options.shutdown {
            return Answer::Reply(Reply::Error(Failure::ShutdownNotEnabled));
        }
        match how {
            Shutdown::Now => Answer::Shutdown { graceful: false },
            Shutdown::Graceful => Answer::Shutdown { graceful: true },
            Shutdown::Unknown => Answer::Reply(Reply::Error(Failure::InvalidShutdownMode)),
        }
    }
}
