//! `lru_crawler`, `slabs`, `lru`: what a client asks of the background work.

use super::dump::Dump;
use super::{Answer, Commands};
use crate::protocol::{Classes, Crawler, Failure, ItemLines, Lru, Millionths, Reassign, Reply, Slabs};
use crate::store::{ClassSet, PageMove, PagePlace};

/// Most percent of a class that memcached lets its hot and warm queues have together.
const HOT_AND_WARM_PERCENT_MAX: u64 = 80;

impl Commands {
    /// Does what is asked. `is_pipelined`: other replies wait to be sent.
    pub(super) fn crawler(&self, request: Crawler<'_>, is_pipelined: bool) -> Answer {
        let done = match request {
            Crawler::Enable if self.store.set_sweeping(true) => Ok(()),
            Crawler::Enable => Err(Failure::CrawlerNotStarted),
            Crawler::Disable => {
                // Disabling twice is no error.
                let _ = self.store.set_sweeping(false);
                Ok(())
            }
            Crawler::Sleep { micros } => {
                self.store.set_sweep_pause_micros(micros);
                Ok(())
            }
            Crawler::ToCrawl { items } => {
                self.store.set_sweep_items_max(items);
                Ok(())
            }
            Crawler::Crawl(classes) => self.crawl(classes),
            Crawler::Dump(lines, classes) => match self.begin_dump(lines, classes, is_pipelined) {
                Ok(dump) => return Answer::Dump(dump),
                Err(error) => Err(error),
            },
        };
        answer(done)
    }

    fn crawl(&self, classes: Classes<'_>) -> Result<(), Failure> {
        if !self.store.is_sweeping() {
            return Err(Failure::CrawlerDisabled);
        }
        if classes == Classes::Hash {
            return Err(Failure::CrawlerUnknown);
        }
        self.store.sweep_soon(self.class_set(classes)?);
        Ok(())
    }

    fn begin_dump(&self, lines: ItemLines, classes: Classes<'_>, is_pipelined: bool) -> Result<Dump, Failure> {
        if !self.store.is_sweeping() {
            return Err(Failure::CrawlerDisabled);
        }
        let is_meta = lines == ItemLines::Metadump;
        if !self.shared.options.dumping {
            return Err(if is_meta { Failure::MetadumpNotAllowed } else { Failure::MgdumpNotAllowed });
        }
        if is_pipelined {
            return Err(if is_meta { Failure::MetadumpPipelined } else { Failure::MgdumpPipelined });
        }
        Ok(Dump::of_classes(lines, self.class_set(classes)?))
    }

    fn class_set(&self, classes: Classes<'_>) -> Result<ClassSet, Failure> {
        let Classes::List(list) = classes else { return Ok(ClassSet::ALL) };
        let mut set = None;
        for number in Classes::numbers(list) {
            let classes = number.and_then(|number| self.store.classes_numbered(number));
            set.get_or_insert_with(ClassSet::default).add(classes.ok_or(Failure::CrawlerBadClass)?);
        }
        set.ok_or(Failure::CrawlerNoClass)
    }

    /// Does what is asked.
    pub(super) fn slabs(&mut self, request: Slabs) -> Answer {
        let shared = &self.shared;
        match request {
            Slabs::Reassign(reassign) => return answer(self.reassign(reassign)),
            Slabs::Automove(level) => {
                let mut tuning = shared.tuning.lock();
                tuning.automove = level;
                self.store.set_balancing(tuning.balances());
            }
            Slabs::Ratio(Millionths(ratio)) => shared.tuning.lock().automove_ratio = ratio,
            Slabs::Window(seconds) => shared.tuning.lock().automove_window = seconds,
            Slabs::FreeRatio(Millionths(ratio)) => shared.tuning.lock().automove_free_ratio = ratio,
        }
        Answer::Reply(Reply::Ok)
    }

    fn reassign(&mut self, reassign: Option<Reassign>) -> Result<(), Failure> {
        if !self.shared.tuning.lock().reassign {
            return Err(Failure::ReassignDisabled);
        }
        let Reassign { from, to } = reassign.ok_or(Failure::BadFormat)?;
        if from == to {
            return Err(Failure::ReassignSame);
        }
        let from = if from == -1 { None } else { Some(place(from)?) };
        match self.store.move_page(&mut self.local, from, place(to)?) {
            PageMove::Begun => Ok(()),
            PageMove::Busy => Err(Failure::ReassignBusy),
            PageMove::NoClass => Err(Failure::ReassignBadClass),
            PageMove::NoPage => Err(Failure::ReassignNoSpare),
        }
    }

    /// Does what is asked, which changes nothing but what `stats settings` shows.
    pub(super) fn lru(&self, request: Lru) -> Answer {
        let mut tuning = self.shared.tuning.lock();
        match request {
            Lru::Tune { hot, warm, hot_factor, warm_factor } => {
                if u64::from(hot) + u64::from(warm) > HOT_AND_WARM_PERCENT_MAX {
                    return answer(Err(Failure::LruTooMuch));
                }
                if hot_factor <= Millionths(0) || warm_factor <= Millionths(0) {
                    return answer(Err(Failure::LruNoFactor));
                }
                (tuning.hot_percent, tuning.warm_percent) = (hot, warm);
                (tuning.hot_factor, tuning.warm_factor) = (hot_factor.0, warm_factor.0);
            }
            Lru::Mode { is_segmented: Some(is_segmented) } if tuning.lru_maintainer => tuning.segmented = is_segmented,
            Lru::TempTtl { seconds: Some(seconds) } if tuning.lru_maintainer => {
                tuning.temp_lru = seconds >= 0;
                if tuning.temp_lru {
                    tuning.temp_seconds = seconds;
                }
            }
            Lru::Mode { .. } | Lru::TempTtl { .. } => return answer(Err(Failure::UnknownCommand)),
        }
        Answer::Reply(Reply::Ok)
    }
}

fn answer(done: Result<(), Failure>) -> Answer {
    Answer::Reply(done.map_or_else(Reply::Error, |()| Reply::Ok))
}

/// 0 is the pool, as with memcached.
fn place(number: i32) -> Result<PagePlace, Failure> {
    match u32::try_from(number) {
        Ok(0) => Ok(PagePlace::Pool),
        Ok(number) => Ok(PagePlace::Class(number)),
        Err(_) => Err(Failure::ReassignBadClass),
    }
}
