//! The server without its store: what sockets, event loop, parser and encoder cost by themselves.
//!
//! The sources are the server's own, all but one: here a connection answers every get with a value of 100 bytes and
//! every set with STORED, and neither looks anything up nor keeps anything. Other requests are answered END, all of them in text. A value
//! longer than a worker's buffer is not understood. It is started like the server: `instructions` does so.

#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    unreachable_pub,
    reason = "the server's own files, some of which have no use here"
)]
#![allow(
    missing_docs,
    unexpected_cfgs,
    unfulfilled_lint_expectations,
    reason = "they are documented where they belong"
)]

#[path = "../src/auth/mod.rs"]
mod auth;
#[path = "../src/bytes.rs"]
mod bytes;
#[path = "../src/command/mod.rs"]
mod command;
#[path = "../src/config/mod.rs"]
mod config;
#[path = "../src/hash.rs"]
mod hash;
#[path = "../src/conn/kept.rs"]
mod kept;
#[path = "../src/limits.rs"]
mod limits;
#[path = "../src/net/mod.rs"]
mod net;
#[path = "../src/operation.rs"]
mod operation;
#[path = "../src/conn/output.rs"]
mod output;
#[path = "../src/protocol/mod.rs"]
mod protocol;
#[path = "../src/server/mod.rs"]
mod server;
#[path = "../src/store/mod.rs"]
mod store;
#[path = "../src/sync.rs"]
mod sync;
#[path = "../src/sys/mod.rs"]
mod sys;
#[path = "../src/telemetry/mod.rs"]
mod telemetry;
#[path = "../src/time.rs"]
mod time;
#[path = "../src/tls/mod.rs"]
mod tls;
#[path = "../src/conn/turn.rs"]
mod turn;

/// What the server's own connection is, as far as a worker asks.
mod conn {
    use std::io::IoSliceMut;

    use crate::command::{Activity, Claim, Commands, Hint, ItemView, Value};
    use crate::kept::Kept;
    pub use crate::output::Output;
    use crate::protocol::{
        Asked, Dialect, Fetch, FetchOptions, Fetched, KeyLine, NextKey, Plain, PlainForm, PlainSet, Reply, Stored,
        ascii,
    };
    use crate::telemetry::KindCounts;
    use crate::time::{Now, Seconds};
    pub use crate::turn::{Next, Turn};

    /// Nothing that is shown here depends on the time.
    const NOW: Now = Now { seconds: Seconds::START, unix_epoch: 0 };

    const VALUE: [u8; 100] = [b'x'; 100];

    /// Nothing is looked at a second time.
    #[derive(Clone, Copy, Debug)]
    pub enum Mark {}

    #[derive(Debug)]
    pub struct Connection {
        kept: Kept,
        unsent: Option<Box<Output>>,
    }

    impl Connection {
        pub fn new() -> Self {
            Self { kept: Kept::default(), unsent: None }
        }

        pub fn unauthenticated() -> Self {
            Self::new()
        }

        pub fn unauthenticated_sasl() -> Self {
            Self::new()
        }

        pub fn of_datagram() -> Self {
            Self::new()
        }

        pub fn refuse_waiting(&mut self, _turn: &mut Turn<'_>) {}

        pub fn speaking(_dialect: Option<Dialect>) -> Self {
            Self::new()
        }

        #[inline]
        pub fn kept(&self) -> &[u8] {
            self.kept.bytes()
        }

        #[inline]
        pub fn unsent(&mut self) -> Option<&mut Output> {
            self.unsent.as_deref_mut()
        }

        pub fn is_unsent(&self) -> bool {
            self.unsent.is_some()
        }

        pub fn mark(&self) -> Option<Mark> {
            None
        }

        pub fn tally(&self, _mark: Mark, _served: &[u8], _commands: &mut Commands) -> KindCounts {
            KindCounts::default()
        }

        pub fn holds_gone(&self, _commands: &Commands) -> bool {
            false
        }

        pub fn holds_values(&self) -> bool {
            false
        }

        pub fn claim(&self) -> Option<Claim> {
            None
        }

        pub fn is_in_value(&self) -> bool {
            false
        }

        pub fn keep_unsent(&mut self, output: &mut Output) {
            self.unsent = Some(Box::new(output.take_unsent()));
        }

        pub fn forget_unsent(&mut self) {
            self.unsent = None;
        }

        pub fn is_idle(&self) -> bool {
            self.unsent.is_none()
        }

        pub fn activity(&self) -> Activity {
            Activity::Reading
        }

        pub fn ends_in_error(&self) -> bool {
            false
        }

        #[inline]
        pub fn brings_values(&self) -> bool {
            false
        }

        pub fn expect_requests(&mut self) {}

        pub fn missing(&self) -> usize {
            0
        }

        pub fn rooms<'c>(&'c mut self, _commands: &'c mut Commands, _rooms: &mut [IoSliceMut<'c>]) -> usize {
            0
        }

        pub fn filled(&mut self, _n: usize, _commands: &mut Commands) {}

        pub fn close(&mut self, _commands: &mut Commands) {}

        pub fn look_ahead(&self, _input: &[u8], _commands: &Commands) -> Option<Hint> {
            None
        }

        #[inline]
        pub fn receive(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Next {
            let (used, next) = advance(input, turn);
            self.kept.replace(&input[used..]);
            next
        }

        pub fn resume(&mut self, turn: &mut Turn<'_>) -> Next {
            let mut kept = std::mem::take(&mut self.kept);
            let (used, next) = advance(kept.bytes(), turn);
            kept.consume(used);
            self.kept = kept;
            next
        }
    }

    /// Answers whole requests; a line of keys is answered when it is whole.
    fn advance(input: &[u8], turn: &mut Turn<'_>) -> (usize, Next) {
        let mut used = 0;
        while used < input.len() {
            if turn.output.is_full() {
                return (used, Next::Write);
            }
            match answer(&input[used..], turn.output) {
                0 => break,
                taken => used += taken,
            }
        }
        (used, Next::Read)
    }

    /// Answers a request; how many bytes it had, 0 if it is not whole.
    #[inline(always)]
    fn answer(input: &[u8], output: &mut Output) -> usize {
        let Some(head) = ascii::Plain::parse(input) else { return answer_line(input, output) };
        match head.plain {
            Plain::Get(key) => {
                let asked = head.form.asked_of_get(key);
                push_value(key, &asked, output);
                asked.push_fetched(output.bytes(), Fetched::Hit);
                head.len
            }
            Plain::Set(PlainSet { value_len, .. }) if input.len() >= head.whole_len() => {
                let stored = Stored { reply: Reply::Stored, cas: 0, value_len };
                head.form.asked_of_set().push_stored(output.bytes(), &stored);
                head.whole_len()
            }
            Plain::Set(_) => 0,
        }
    }

    #[inline(never)]
    fn answer_line(input: &[u8], output: &mut Output) -> usize {
        let Some(line_len) = KeyLine::GET.rest_len(input) else { return 0 };
        if !input.starts_with(b"get ") {
            KeyLine::ASKED.push_reply(output.bytes(), Reply::End);
            return line_len;
        }
        let mut used = b"get ".len();
        while used < line_len {
            used += match KeyLine::GET.next_key(&input[used..]) {
                NextKey::Key { key, used } | NextKey::Last { key, used } => {
                    push_value(key, &KeyLine::ASKED, output);
                    used
                }
                NextKey::End { .. } | NextKey::TooLong | NextKey::Partial => line_len - used,
            };
        }
        KeyLine::ASKED.push_reply(output.bytes(), Reply::End);
        line_len
    }

    #[inline(always)]
    fn push_value(key: &[u8], asked: &Asked<'_>, output: &mut Output) {
        output.reserve_hit();
        let item = ItemView { client_flags: 0, cas: 0, value: Value::Whole(&VALUE), details: None };
        output.push_hit(asked, &Fetch { key, options: FetchOptions::GET, extras: None }, item, NOW);
    }
}

fn main() -> Result<(), String> {
    let config = config::Config::from_args(std::env::args_os()).map_err(|exit| exit.message)?;
    let mut signals = server::signals::Signals::catch().map_err(|error| error.to_string())?;
    let certificates = server::Server::certificates(&config).map_err(|error| error.to_string())?;
    let server = server::Server::open(config, certificates, Vec::new()).map_err(|error| error.to_string())?;
    let running = server.start().map_err(|error| error.to_string())?;
    signals.wait();
    running.stop();
    Ok(())
}
