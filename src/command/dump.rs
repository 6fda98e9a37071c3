//! Lists of items, a little at a time: `lru_crawler metadump` and `mgdump`, `stats cachedump`.

use super::{Answer, Commands};
use crate::protocol::{Cachedump, Failure, ItemLines, Reply};
use crate::store::{ClassSet, ClassWalk, Held, Walk, Walked};
use crate::time::{Expiry, Now};

/// A list of items on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    lines: ItemLines,
    walk: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Index(Walk),
    Class {
        walk: ClassWalk,
        /// Items that may still be shown.
        left: u32,
    },
}

/// An item of a list.
#[derive(Debug)]
pub enum Entry<'a> {
    /// All that is known of it.
    Walked(Walked<'a>),
    /// Its key, length and expiry.
    Held(Held<'a>),
}

impl Dump {
    pub(super) fn of_classes(lines: ItemLines, classes: ClassSet) -> Self {
        Self { lines, walk: Kind::Index(Walk::new(classes)) }
    }

    /// Which lines it has.
    #[must_use]
    pub fn lines(&self) -> ItemLines {
        self.lines
    }
}

impl Commands {
    pub(super) fn begin_cachedump(&self, request: Cachedump) -> Answer {
        let begun = match request {
            _ if !self.shared.options.dumping => Err(Failure::CachedumpNotAllowed),
            Cachedump::TooFewWords => Err(Failure::CachedumpTooFewWords),
            Cachedump::NoNumber => Err(Failure::BadFormat),
            // memcached's pool of pages has no items.
            Cachedump::Items { class: 0, .. } => return Answer::Reply(Reply::End),
            Cachedump::Items { class, limit } => match self.store.class_walk(class) {
                Some(walk) => Ok(Kind::Class { walk, left: if limit == 0 { u32::MAX } else { limit } }),
                None => Err(Failure::CachedumpBadClass),
            },
        };
        match begun {
            Ok(walk) => Answer::Dump(Dump { lines: ItemLines::Cachedump, walk }),
            Err(error) => Answer::Reply(Reply::Error(error)),
        }
    }

    /// Shows the list's next items, some dozens or hundreds, under a lock: nothing in `visit` may block or allocate
    /// much. False when the list is over, also if `visit` says so.
    pub fn dump_on(&self, dump: &mut Dump, mut visit: impl FnMut(Entry<'_>) -> bool) -> bool {
        match &mut dump.walk {
            Kind::Index(walk) => {
                let mut is_wanted = true;
                let goes_on =
                    self.store.walk_on(walk, self.now.seconds, |item| is_wanted &= visit(Entry::Walked(item)));
                goes_on && is_wanted
            }
            Kind::Class { walk, left } => {
                let goes_on = self.store.class_walk_on(walk, self.now.seconds, |item| {
                    *left -= 1;
                    visit(Entry::Held(item)) && *left > 0
                });
                goes_on && *left > 0
            }
        }
    }
}

/// When an item dies as a Unix time; `None`: never.
#[must_use]
pub fn unix_expiry(expiry: Expiry, now: Now) -> Option<i64> {
    match expiry {
        Expiry::Never => None,
        Expiry::At(deadline) => Some(now.unix_epoch + i64::from(deadline.0)),
    }
}
