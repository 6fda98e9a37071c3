//! A client that is to show who it is by SASL (`-S`). Nothing of what it says is logged: it may be a password.
//!
//! The exchange is judged elsewhere, as that may block: meanwhile the client waits, and nobody else does.

use super::{Connection, Head, Next, State, Step, Turn};
use crate::command::{Activity, Exchange, Outcome, Response};
use crate::protocol::{
    Admin, Asked, AskedKept, Dialect, Failure, Operation, ParseRoom, Parsed, Reply, Sasl, SaslReply, SaslStep,
    parse_unauthenticated,
};

/// How far a client that SASL has not let in has come.
#[derive(Debug, Default)]
pub(super) struct Unauthenticated {
    /// Its exchange; `None`: it has not chosen a mechanism.
    exchange: Option<Exchange>,
    doing: Doing,
}

/// What is being done for it.
#[derive(Debug, Default)]
enum Doing {
    /// A request is read.
    #[default]
    Reading,
    /// What it said is judged; the outcome is answered so.
    Judging(AskedKept),
    /// So many bytes are swallowed, then this is answered.
    Swallowing { left: usize, failure: Failure, asked: AskedKept },
}

impl Unauthenticated {
    /// Whether it waits for its client.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.doing, Doing::Reading)
    }

    /// What it is about, for reports.
    pub(super) fn activity(&self) -> Activity {
        match self.doing {
            Doing::Reading => Activity::Reading,
            Doing::Judging(_) => Activity::Answering,
            Doing::Swallowing { .. } => Activity::Swallowing,
        }
    }
}

impl Connection {
    /// A client that is to show who it is by SASL first.
    #[must_use]
    pub fn unauthenticated_sasl() -> Self {
        Self { state: State::Sasl(Box::default()), dialect: Some(Dialect::OF_SASL), ..Self::new() }
    }

    /// A client that was let in, or need not be, takes a step of SASL. Memcached's way: with it, the client is out
    /// again, unless it is refused for its form.
    #[cold]
    pub(super) fn leave_for_sasl(
        &mut self,
        sasl: &Sasl<'_>,
        asked: &Asked<'_>,
        head: Head<'_>,
        turn: &mut Turn<'_>,
    ) -> Step {
        if let Some(failure) = turn.commands.refusal_of_sasl(sasl) {
            self.discard_then(sasl.data_len, Reply::Error(failure), asked);
            return Step::on(head.len);
        }
        // The step is read again from there.
        self.state = State::Sasl(Box::default());
        Step::on(0)
    }

    /// Takes what a client says that SASL has not let in.
    #[cold]
    pub(super) fn sasl(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let State::Sasl(client) = &mut self.state else { return Step::on(0) };
        match &mut client.doing {
            Doing::Reading => self.unauthenticated_request(input, turn),
            Doing::Judging(_) => self.outcome(turn),
            Doing::Swallowing { left, .. } if *left > input.len() => {
                *left -= input.len();
                Step::stop(input.len(), Next::Read)
            }
            Doing::Swallowing { left, failure, asked } => {
                asked.asked().push_reply(turn.output.bytes(), Reply::Error(*failure));
                let used = *left;
                client.doing = Doing::Reading;
                Step::on(used)
            }
        }
    }

    /// What is not known to be for an unauthenticated client is refused here, whatever the parser let through.
    fn unauthenticated_request(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let mut room = ParseRoom::default();
        let (request, used) = match parse_unauthenticated(input, &mut room) {
            Parsed::Request { request, used } => (request, used),
            Parsed::Incomplete => return Step::stop(0, Next::Read),
            Parsed::Hopeless => return self.hang(input),
        };
        if turn.requests_left == 0 {
            return Step::stop(0, Next::Yield);
        }
        turn.requests_left -= 1;
        let (asked, out) = (&request.asked, turn.output.bytes());
        match request.operation {
            Operation::Sasl(sasl) => return self.sasl_step(&sasl, asked, Head { input, len: used }, turn),
            Operation::Admin(Admin::Version) => asked.push_reply(out, Reply::Version),
            Operation::HangUp(failure) => {
                asked.push_reply(out, Reply::Error(failure));
                return self.hang(input);
            }
            _ => {
                asked.push_reply(out, Reply::Error(Failure::Unauthenticated));
                return self.hang(input);
            }
        }
        Step::on(used)
    }

    fn sasl_step(&mut self, sasl: &Sasl<'_>, asked: &Asked<'_>, head: Head<'_>, turn: &mut Turn<'_>) -> Step {
        let State::Sasl(client) = &mut self.state else { return Step::on(0) };
        if let Some(failure) = turn.commands.refusal_of_sasl(sasl) {
            client.doing = Doing::Swallowing { left: sasl.data_len, failure, asked: asked.keep() };
            return Step::on(head.len);
        }
        let Some(said) = head.input[head.len..].get(..sasl.data_len) else { return Step::stop(0, Next::Read) };
        let is_sent = match sasl.step {
            SaslStep::Mechanisms => {
                push_mechanisms(asked, turn);
                return Step::on(head.len);
            }
            SaslStep::Start { mechanism } => {
                if client.exchange.is_none() {
                    client.exchange = turn.commands.exchange();
                }
                let response = || Response::Start { mechanism: mechanism.to_vec(), said: said.to_vec() };
                client.exchange.as_ref().map(|exchange| turn.commands.send(exchange, response))
            }
            SaslStep::Next { .. } => {
                let response = || Response::Step { said: said.to_vec() };
                client.exchange.as_ref().map(|exchange| turn.commands.send(exchange, response))
            }
        };
        match is_sent {
            // Others' responses wait, too many of them: the request stays in the input.
            Some(false) => Step::stop(0, Next::Wait),
            Some(true) => {
                client.doing = Doing::Judging(asked.keep());
                Step::stop(head.len + said.len(), Next::Wait)
            }
            // Nothing was begun that this could be a step of.
            None => {
                turn.commands.count_outcome(&Outcome::Refused);
                asked.push_reply(turn.output.bytes(), Reply::Error(Failure::Unauthenticated));
                Step::on(head.len + said.len())
            }
        }
    }

    fn outcome(&mut self, turn: &mut Turn<'_>) -> Step {
        let State::Sasl(client) = &mut self.state else { return Step::on(0) };
        let Some(outcome) = client.exchange.as_ref().and_then(Exchange::outcome) else {
            return Step::stop(0, Next::Wait);
        };
        let Doing::Judging(asked) = std::mem::take(&mut client.doing) else { return Step::on(0) };
        turn.commands.count_outcome(&outcome);
        let (asked, out) = (asked.asked(), turn.output.bytes());
        match outcome {
            Outcome::Accepted => {
                asked.push_sasl(out, &SaslReply::Authenticated);
                self.state = State::Ready;
            }
            Outcome::Challenge(challenge) => asked.push_sasl(out, &SaslReply::Challenge(&challenge)),
            Outcome::Refused => asked.push_reply(out, Reply::Error(Failure::UnknownToken)),
        }
        Step::on(0)
    }
}

fn push_mechanisms(asked: &Asked<'_>, turn: &mut Turn<'_>) {
    let out = turn.output.bytes();
    match turn.commands.mechanisms() {
        Some(names) => asked.push_sasl(out, &SaslReply::Mechanisms(names)),
        None => asked.push_reply(out, Reply::Error(Failure::Unauthenticated)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::testing::Client;
    use super::super::{Connection, Next};
    use crate::auth::{Authenticator, SaslQueue, Sources};
    use crate::command::testing::commands_with_sasl;
    use crate::sync::Arc;

    /// A queue, and who serves it. The file of passwords goes with its test.
    struct Office {
        path: std::path::PathBuf,
        authenticator: Authenticator,
        queue: Arc<SaslQueue>,
    }

    impl Office {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("flagstone-conn-{name}-{}", std::process::id()));
            fs::write(&path, "user:pass\n").expect("writable");
            let sources = Sources { password_file: Some(path.clone()), ..Sources::default() };
            let authenticator = Authenticator::open(sources).expect("a file");
            Self { path, queue: Arc::new(SaslQueue::new(&authenticator)), authenticator }
        }

        fn client(&self) -> Client {
            let mut client = Client::with(commands_with_sasl(Arc::clone(&self.queue)));
            client.connection = Connection::unauthenticated_sasl();
            client
        }

        fn serve(&mut self) {
            while self.queue.serve(&mut self.authenticator) {}
        }
    }

    impl Drop for Office {
        fn drop(&mut self) {
            fs::remove_file(&self.path).expect("ours");
        }
    }

    fn packet(opcode: u8, key: &str, value: &str) -> Vec<u8> {
        let (key_len, body_len) = (u8::try_from(key.len()), u8::try_from(key.len() + value.len()));
        let mut bytes = vec![0; 24];
        bytes[0] = 0x80;
        bytes[1] = opcode;
        bytes[3] = key_len.expect("short");
        bytes[11] = body_len.expect("short");
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(value.as_bytes());
        bytes
    }

    const NOOP: u8 = 0x0a;
    const START: u8 = 0x21;

    /// Opcode and status of each answer.
    fn statuses(replies: &[u8]) -> Vec<(u8, u8)> {
        let (mut rest, mut all) = (replies, Vec::new());
        while !rest.is_empty() {
            all.push((rest[1], rest[7]));
            rest = &rest[24 + usize::from(rest[11])..];
        }
        all
    }

    #[test]
    fn what_follows_waits_for_the_outcome() {
        let mut office = Office::new("waits");
        let mut client = office.client();
        assert!(client.connection.is_idle());
        let input = [packet(START, "PLAIN", "\0user\0pass"), packet(NOOP, "", "")].concat();
        assert_eq!(client.send(&input), (Vec::new(), Next::Wait));
        assert!(!client.connection.is_idle());
        assert_eq!(client.send(b""), (Vec::new(), Next::Wait));
        office.serve();
        let (replies, next) = client.send(b"");
        assert_eq!((statuses(&replies), next), (vec![(START, 0), (NOOP, 0)], Next::Read));
    }

    #[test]
    fn who_finds_the_queue_full_waits_with_the_request() {
        let mut office = Office::new("full");
        let wrong = packet(START, "PLAIN", "\0user\0word");
        let mut others: Vec<Client> = Vec::new();
        let mut last = loop {
            let mut client = office.client();
            assert_eq!(client.send(&wrong), (Vec::new(), Next::Wait));
            if client.connection.kept() == wrong {
                break client;
            }
            others.push(client);
        };
        office.serve();
        assert_eq!(last.send(b""), (Vec::new(), Next::Wait));
        office.serve();
        assert_eq!(statuses(&last.send(b"").0), [(START, 0x20)]);
        for mut client in others {
            assert_eq!(statuses(&client.send(b"").0), [(START, 0x20)]);
        }
    }

    #[test]
    fn who_is_unauthenticated_has_no_more_than_its_share_of_a_turn() {
        let mut client = Office::new("share").client();
        client.budget = 2;
        assert_eq!(client.turn(&packet(0x0b, "", "").repeat(5)), Next::Yield);
        assert_eq!(statuses(&client.written()).len(), 2);
    }
}
