//! What is about the server and not about items.

use super::Commands;
use super::dump::Dump;
use crate::bytes::Buffer;
use crate::protocol::{Admin, ErrorText, Reply, Shutdown};
use crate::time::{Expiry, Seconds};

/// Least and most megabytes `cache_memlimit` takes (memcached's bounds).
const MEMLIMIT_MEGABYTES_MIN: u32 = 8;
const MEMLIMIT_MEGABYTES_MAX: u32 = 1_000_000_000;

/// Loudest verbosity a client may ask for (memcached's `MAX_VERBOSITY_LEVEL`).
const VERBOSITY_MAX: u8 = 2;

/// How an admin request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not at all.
    Silence,
    /// With a reply.
    Reply(Reply),
    /// With a report that is in the output already.
    Report,
    /// With a list of items, a little at a time.
    Dump(Dump),
    /// With what a census says.
    Census,
    /// By closing the connection and ending the server.
    Shutdown {
        /// As by SIGUSR1, not as by SIGINT.
        graceful: bool,
    },
}

impl Answer {
    fn unless(self, noreply: bool) -> Self {
        if noreply { Self::Silence } else { self }
    }
}

impl Commands {
    /// Does what is asked; a report goes to the end of `out`.
    #[cold]
    pub fn admin(&mut self, request: Admin<'_>, out: &mut Buffer) -> Answer {
        let (reply, noreply) = match request {
            Admin::Stats { report } => return self.stats(report, out),
            Admin::StatsDetail(detail) => return self.stats_detail(detail, out),
            Admin::Shutdown(how) => return self.shutdown(how),
            Admin::Crawler(crawler) => return self.crawler(crawler, !out.is_empty()),
            Admin::Cachedump(cachedump) => return self.begin_cachedump(cachedump),
            Admin::Slabs { slabs, noreply } => return self.slabs(slabs).unless(noreply),
            Admin::Lru { lru, noreply } => return self.lru(lru).unless(noreply),
            Admin::MetaNoop => (Reply::MetaNoop, false),
            Admin::Version => (Reply::Version, false),
            Admin::RefreshCerts => (Reply::Error(ErrorText::TlsNotEnabled), false),
            Admin::FlushAll { exptime, noreply } => (self.flush_all(exptime), noreply),
            Admin::Verbosity { level, noreply } => (self.set_verbosity(level), noreply),
            Admin::CacheMemlimit { megabytes, noreply } => (self.set_memory_limit(megabytes), noreply),
        };
        Answer::Reply(reply).unless(noreply)
    }

    /// Now, or planned: a later one replaces a planned one either way. A Unix time in the past flushes nothing
    /// (memcached's rule).
    fn flush_all(&self, exptime: Option<i32>) -> Reply {
        self.counters.cmd_flush.bump();
        if !self.shared.options.flush_all {
            return Reply::Error(ErrorText::FlushNotAllowed);
        }
        let Some(exptime) = exptime else { return Reply::Error(ErrorText::InvalidExptime) };
        if exptime <= 0 {
            self.shared.plan_flush(None);
            // memcached removes what is younger than that at once, and does not count who misses it later.
            self.store.flush_all(Some(Seconds(self.now.seconds.0.saturating_sub(1))));
            return Reply::Ok;
        }
        match Expiry::from_exptime(i64::from(exptime), &self.now) {
            Expiry::At(second) if second > self.now.seconds => self.shared.plan_flush(Some(second)),
            Expiry::At(_) | Expiry::Never => self.shared.plan_flush(None),
        }
        Reply::Ok
    }

    fn set_verbosity(&self, level: u32) -> Reply {
        let level = u8::try_from(level).map_or(VERBOSITY_MAX, |level| level.min(VERBOSITY_MAX));
        self.shared.set_verbosity(level);
        Reply::Ok
    }

    fn set_memory_limit(&self, megabytes: u32) -> Reply {
        if megabytes < MEMLIMIT_MEGABYTES_MIN {
            return Reply::Error(ErrorText::MemlimitTooSmall);
        }
        if megabytes > MEMLIMIT_MEGABYTES_MAX {
            return Reply::Error(ErrorText::MemlimitNotBytes);
        }
        if self.shared.options.fixed_memory || !self.store.set_limit_bytes(u64::from(megabytes) << 20) {
            return Reply::Error(ErrorText::MemlimitOutOfBounds);
        }
        Reply::Ok
    }

    fn shutdown(&self, how: Shutdown) -> Answer {
        if !self.shared.options.shutdown {
            return Answer::Reply(Reply::Error(ErrorText::ShutdownNotEnabled));
        }
        match how {
            Shutdown::Now => Answer::Shutdown { graceful: false },
            Shutdown::Graceful => Answer::Shutdown { graceful: true },
            Shutdown::Unknown => Answer::Reply(Reply::Error(ErrorText::InvalidShutdownMode)),
        }
    }
}
