//! `stats detail`: counts by the prefix of a key, switched on and off while the server runs.

use super::{Answer, Commands};
use crate::protocol::{Detail, Failure, Reply};

impl Commands {
    /// Does what is asked about prefixes.
    pub(super) fn stats_detail(&mut self, detail: Detail) -> Answer {
        if !self.shared.options.dumping {
            return Answer::Reply(Reply::Error(Failure::DetailNotAllowed));
        }
        match detail {
            Detail::On => self.switch_detail(true),
            Detail::Off => self.switch_detail(false),
            Detail::Dump => Answer::Prefixes,
            Detail::Unknown => Answer::Reply(Reply::Error(Failure::DetailUsage)),
        }
    }

    /// The next request of this pipeline is counted, or not; those of other threads from their next turn on.
    fn switch_detail(&mut self, is_on: bool) -> Answer {
        self.shared.prefixes().switch(is_on);
        self.counts_prefixes = is_on;
        Answer::Reply(Reply::Ok)
    }
}
