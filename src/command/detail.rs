//! `stats detail`: counts by the prefix of a key, switched on and off while the server runs.

use super::{Answer, Commands};
use crate::bytes::{Buffer, push_u64};
use crate::protocol::ascii::push_reply;
use crate::protocol::{Detail, ErrorText, Reply};
use crate::telemetry::PrefixTotals;

impl Commands {
    /// Does what is asked about prefixes; a dump goes to the end of `out`.
    pub(super) fn stats_detail(&mut self, detail: Detail, out: &mut Buffer) -> Answer {
        if !self.shared.options.dumping {
            return Answer::Reply(Reply::Error(ErrorText::DetailNotAllowed));
        }
        match detail {
            Detail::On => self.switch_detail(true),
            Detail::Off => self.switch_detail(false),
            Detail::Dump => {
                for (prefix, totals) in self.shared.prefixes().totals() {
                    push_prefix(out, &prefix, &totals);
                }
                push_reply(out, Reply::End);
                Answer::Report
            }
            Detail::Unknown => Answer::Reply(Reply::Error(ErrorText::DetailUsage)),
        }
    }

    /// The next request of this pipeline is counted, or not; those of other threads from their next turn on.
    fn switch_detail(&mut self, is_on: bool) -> Answer {
        self.shared.prefixes().switch(is_on);
        self.counts_prefixes = is_on;
        Answer::Reply(Reply::Ok)
    }
}

fn push_prefix(out: &mut Buffer, prefix: &[u8], totals: &PrefixTotals) {
    out.extend_from_slice(b"PREFIX ");
    out.extend_from_slice(prefix);
    let counts = [(" get ", totals.gets), (" hit ", totals.hits), (" set ", totals.sets), (" del ", totals.deletes)];
    for (name, count) in counts {
        out.extend_from_slice(name.as_bytes());
        push_u64(out, count);
    }
    out.extend_from_slice(b"\r\n");
}
