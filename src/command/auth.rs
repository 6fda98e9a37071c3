//! Who is let in when the server was started with `-Y`.

use super::Commands;
use crate::protocol::{ErrorText, Reply};

impl Commands {
    /// Whether clients must show a token before anything else.
    #[must_use]
    pub fn asks_for_token(&self) -> bool {
        self.shared.gate.is_some()
    }

    /// Judges a token. `Reply::Stored`: the client is in.
    #[cold]
    pub fn authenticate(&mut self, user: &[u8], password: &[u8]) -> Reply {
        self.counters.auth_cmds.bump();
        if self.shared.gate.as_ref().is_some_and(|gate| gate.opens_to(user, password)) {
            return Reply::Stored;
        }
        self.counters.auth_errors.bump();
        Reply::Error(ErrorText::AuthenticationFailure)
    }
}
