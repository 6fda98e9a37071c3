//! Who is let in when the server was started with `-Y` or `-S`.

use super::Commands;
use crate::auth::{Exchange, Outcome, RESPONSE_BYTES_MAX, Response, SaslQueue};
use crate::protocol::{Dialect, Failure, Reply, Sasl, SaslStep};

/// Longest name of a mechanism (memcached's bound).
const MECHANISM_BYTES_MAX: usize = 32;

impl Commands {
    /// Whether clients must show a token before anything else.
    #[must_use]
    pub fn asks_for_token(&self) -> bool {
        self.shared.gate.is_some()
    }

    /// What all clients speak, whatever their first byte is; `None`: that tells.
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        self.shared.options.dialect
    }

    /// Whether clients must show who they are by SASL before anything else.
    #[must_use]
    pub fn asks_for_sasl(&self) -> bool {
        self.shared.sasl.is_some()
    }

    /// Why a step of SASL is not taken, if it is not: without `-S` there is no such command.
    #[cold]
    pub fn refusal_of_sasl(&self, sasl: &Sasl<'_>) -> Option<Failure> {
        let mechanism_len = match sasl.step {
            SaslStep::Mechanisms => 0,
            SaslStep::Start { mechanism } | SaslStep::Next { mechanism } => mechanism.len(),
        };
        if self.shared.sasl.is_none() {
            Some(Failure::UnknownCommand)
        } else if mechanism_len > MECHANISM_BYTES_MAX {
            Some(Failure::BadFormat)
        } else if sasl.data_len > RESPONSE_BYTES_MAX {
            Some(Failure::OutOfMemory)
        } else {
            None
        }
    }

    /// The mechanisms of SASL, parted by spaces.
    #[must_use]
    pub fn mechanisms(&self) -> Option<&[u8]> {
        self.shared.sasl.as_ref()?.mechanisms()
    }

    /// Begins an exchange of SASL; `None`: without `-S` there is none.
    #[must_use]
    pub fn exchange(&self) -> Option<Exchange> {
        Some(SaslQueue::exchange(self.shared.sasl.as_ref()?))
    }

    /// Sends what a client says in its exchange to be judged. False: too many others wait; later.
    #[must_use]
    pub fn send(&self, exchange: &Exchange, response: impl FnOnce() -> Response) -> bool {
        exchange.send(response, self.call.clone())
    }

    /// Counts what came of a step, as memcached: a challenge is not counted.
    pub fn count_outcome(&self, outcome: &Outcome) {
        if matches!(outcome, Outcome::Accepted | Outcome::Refused) {
            self.counters.auth_cmds.bump();
        }
        if *outcome == Outcome::Refused {
            self.counters.auth_errors.bump();
        }
    }

    /// Judges a token. `Reply::Stored`: the client is in.
    #[cold]
    pub fn authenticate(&mut self, user: &[u8], password: &[u8]) -> Reply {
        self.counters.auth_cmds.bump();
        if self.shared.gate.as_ref().is_some_and(|gate| gate.opens_to(user, password)) {
            return Reply::Stored;
        }
        self.counters.auth_errors.bump();
        Reply::Error(Failure::UnknownToken)
    }
}
