//! What is measured of a sample of requests: how long they took, and which keys they asked for.
//!
//! A read of a client's input is what is sampled, with all requests that it completes: who reads counts down, and that
//! is all that a request pays which is not sampled. Of a sampled read's keys at most eight are looked at.

use super::Commands;
use crate::limits::KEY_BYTES_MAX;
use crate::store::Key;
use crate::telemetry::{AskedKey, KindCounts};

/// Keys looked at of one read.
const PICKS_MAX: u32 = 8;

/// Some of the keys that the requests of a read asked for, each as likely as any other.
#[derive(Debug)]
pub struct Picks {
    picks: [Pick; PICKS_MAX as usize],
    /// Keys there were.
    seen: u32,
}

#[derive(Clone, Copy, Debug)]
struct Pick {
    key: [u8; KEY_BYTES_MAX],
    len: usize,
    /// Its value was asked for.
    is_sent: bool,
}

impl Default for Picks {
    fn default() -> Self {
        Self { picks: [Pick { key: [0; KEY_BYTES_MAX], len: 0, is_sent: false }; PICKS_MAX as usize], seen: 0 }
    }
}

impl Commands {
    /// Counts a read of a client's input that is about to be served; true: it is sampled.
    #[inline(always)]
    pub fn is_sampled(&mut self) -> bool {
        self.sampler.is_due()
    }

    /// Whether the read that is served behind so many others is the next that is sampled.
    #[must_use]
    #[inline]
    pub fn is_sampled_behind(&self, others: usize) -> bool {
        self.sampler.is_next_behind(others)
    }

    /// Notes when the next read that is sampled was made, on a clock of the caller's, if that is some time before it is
    /// served.
    #[cold]
    pub fn note_read_early(&mut self, nanos: u64) {
        self.read_early_at = Some(nanos);
    }

    /// What was noted so.
    pub fn take_read_early(&mut self) -> Option<u64> {
        self.read_early_at.take()
    }

    /// Counts requests that were answered so many nanoseconds after they were read.
    pub fn count_latency(&self, counts: &KindCounts, nanos: u64) {
        self.latency.record(counts, nanos);
    }

    /// A key of a sampled read.
    pub fn pick(&mut self, picks: &mut Picks, key: &[u8], is_sent: bool) {
        // Each key so far has the same chance to be among the picks (Vitter's algorithm R).
        let place = if picks.seen < PICKS_MAX { picks.seen } else { self.sampler.below(picks.seen + 1) };
        picks.seen = picks.seen.saturating_add(1).min(u32::MAX - 1);
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if let Some(pick) = picks.picks.get_mut(place)
            && let Some(room) = pick.key.get_mut(..key.len())
        {
            room.copy_from_slice(key);
            (pick.len, pick.is_sent) = (key.len(), is_sent);
        }
    }

    /// Notes the picks of a read among the keys asked for, if anybody may be told of them.
    pub fn note_asked(&self, picks: &Picks) {
        if picks.seen == 0 || !self.shared.options.dumping {
            return;
        }
        let count = usize::try_from(picks.seen.min(PICKS_MAX)).unwrap_or_default();
        // In eighths of a request, so that it is whole: all picks together weigh what all keys do.
        let weight = u64::from(picks.seen.max(PICKS_MAX));
        let mut asked = [AskedKey { key: b"", hash: 0, weight, value_bytes: 0 }; PICKS_MAX as usize];
        for (asked, pick) in asked.iter_mut().zip(&picks.picks[..count]) {
            asked.key = &pick.key[..pick.len];
            asked.hash = self.hash_of(asked.key);
            if pick.is_sent {
                asked.value_bytes = self.value_bytes(asked.key, asked.hash);
            }
        }
        self.shared.hot_keys().note(self.now.seconds.0, &asked[..count]);
    }

    /// Length of the value that a key has now.
    fn value_bytes(&self, key: &[u8], hash: u64) -> u64 {
        let peeked = self.store.peek(Key { bytes: key, hash }, self.now.seconds);
        peeked.map_or(0, |item| crate::bytes::number(item.value_len))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::super::testing::{NOW, commands, commands_with};
    use super::Picks;
    use crate::store;

    fn picks_of(commands: &mut super::Commands, keys: &[&[u8]]) -> Picks {
        let mut picks = Picks::default();
        keys.iter().for_each(|key| commands.pick(&mut picks, key, false));
        picks
    }

    #[test]
    fn every_key_of_a_read_is_as_likely_to_be_picked() {
        let mut commands = commands();
        let mut counts = [0_u32; 20];
        for _ in 0..20_000 {
            let mut picks = Picks::default();
            for key in 0..20_u8 {
                commands.pick(&mut picks, &[key], false);
            }
            picks.picks.iter().for_each(|pick| counts[usize::from(pick.key[0])] += 1);
        }
        // 8000 each, with a deviation of 69.
        assert!(counts.iter().all(|count| count.abs_diff(8000) < 420), "{counts:?}");
    }

    #[test]
    fn picks_weigh_what_all_keys_do() {
        let mut commands = commands();
        let few = picks_of(&mut commands, &[b"a", b"a", b"b"]);
        commands.note_asked(&few);
        let many = picks_of(&mut commands, &[&b"a"[..]; 9]);
        commands.note_asked(&many);
        let ranking = commands.shared().hot_keys().ranking(NOW.seconds.0);
        assert_eq!(ranking.sampled, 11);
        let shares: Vec<_> = ranking.keys.iter().map(|hot| (&*hot.key, hot.requests_share)).collect();
        assert_eq!(shares, [(&b"a"[..], 11.0 / 12.0), (&b"b"[..], 1.0 / 12.0)]);
    }

    #[test]
    fn no_key_is_kept_where_none_may_be_listed() {
        let options = Options { dumping: false, ..Options::default() };
        let mut commands = commands_with(options, store::Options::default());
        let picks = picks_of(&mut commands, &[b"secret"]);
        commands.note_asked(&picks);
        assert!(commands.shared().hot_keys().ranking(NOW.seconds.0).keys.is_empty());
    }
}
