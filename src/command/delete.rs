//! delete.

use super::Commands;
use crate::protocol::{Delete, Reply};
use crate::store::DeleteOutcome;

impl Commands {
    /// Deletes a key.
    pub fn delete(&mut self, request: Delete<'_>) -> Reply {
        let key = self.store.key(request.key);
        match self.store.delete(&mut self.local, key, self.now.seconds) {
            DeleteOutcome::Deleted => {
                self.counters.delete_hits.bump();
                Reply::Deleted
            }
            DeleteOutcome::NotFound => {
                self.counters.delete_misses.bump();
                Reply::NotFound
            }
        }
    }
}
