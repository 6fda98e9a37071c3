//! What the sample of keys behind `stats mrc` hears of writes.

use crate::store::bytes::item::SMALL_VALUE_BYTES_MAX;
use crate::store::memory::classes::ClassId;
use crate::store::shared::Store;
use crate::store::words::outcome::{Key, Mode, StoreOutcome, StoreRequest};
use crate::time::Seconds;

impl Store {
    /// Tells the sample of a value stored whole. A plain set leaves what it was asked to.
    #[cold]
    #[inline(never)]
    pub(crate) fn sample_set(
        &self,
        request: &StoreRequest<'_>,
        class: Option<ClassId>,
        outcome: StoreOutcome,
        now: Seconds,
    ) {
        match (class, outcome) {
            (Some(class), StoreOutcome::Stored { .. }) if request.mode == Mode::Set && request.extras.is_none() => {
                self.curve.stored(request.key.hash, self.pages.classes.chunk_bytes(class), request.expiry, now);
            }
            _ => self.sample_stored(request.key, now),
        }
    }

    /// Tells the sample what a sampled key has, after a write.
    #[cold]
    #[inline(never)]
    pub(crate) fn sample_stored(&self, key: Key<'_>, now: Seconds) {
        let Ok((class, value_len, expiry)) = self.peek_in_class(key, now) else { return };
        let is_small = value_len <= SMALL_VALUE_BYTES_MAX;
        let bytes = if is_small { self.pages.classes.chunk_bytes(class) } else { value_len };
        self.curve.stored(key.hash, bytes, expiry, now);
    }
}
