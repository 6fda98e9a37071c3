//! Serving a request: it goes to the commands, and what they say to the form that it asked for.

use super::ahead::{After, LineKeys};
use super::body::Body;
use super::dump::Dumping;
use super::fetch::{fetch_asked, get, get_hashed, get_in_line};
use super::{Connection, Discard, Head, Listing, Next, State, Step, Turn};
use crate::command::Answer;
use crate::limits::WHOLE_VALUE_BYTES_MAX;
use crate::protocol::{
    Admin, Asked, Failure, Fetch, Fetched, ItemLines, KeyLine, Operation, Plain, PlainForm, PlainHead, Refused, Reply,
    Request, Store,
};

impl Connection {
    /// Serves the request at the head of the input, if it is plain, and gets that follow one where that pays.
    #[inline(always)]
    pub(super) fn serve_if_plain<F: PlainForm>(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Option<Step> {
        if F::COMES_IN_RUNS {
            return self.serve_run::<F>(input, turn);
        }
        let head = F::parse(input)?;
        if let Plain::Get(key) = head.plain {
            get(key, head.form, turn);
            return Some(Step::on(head.len));
        }
        self.serve_set(&head, input, turn)
    }

    #[inline(never)]
    fn serve_run<F: PlainForm>(&mut self, input: &[u8], turn: &mut Turn<'_>) -> Option<Step> {
        let mut head = F::parse(input)?;
        if !matches!(head.plain, Plain::Get(_)) {
            return self.serve_set(&head, input, turn);
        }
        let mut used = 0;
        while let Plain::Get(key) = head.plain {
            get_hashed(key, turn.commands.hash_of(key), head.form, turn);
            used += head.len;
            if turn.requests_left == 0 || turn.output.is_full() {
                break;
            }
            let Some(next) = F::parse(&input[used..]) else { break };
            head = next;
        }
        Some(Step::on(used))
    }

    #[inline(always)]
    fn serve_set<F: PlainForm>(&mut self, head: &PlainHead<'_, F>, input: &[u8], turn: &mut Turn<'_>) -> Option<Step> {
        let Plain::Set(set) = &head.plain else { return None };
        let store = set.store(F::SHOWS_CAS);
        Some(self.store(&store, &head.form.asked_of_set(), None, Head { input, len: head.len }, turn))
    }

    /// The same, the hash of its key being known.
    #[inline(always)]
    pub(super) fn serve_plain_hashed<F: PlainForm>(
        &mut self,
        head: &PlainHead<'_, F>,
        hash: u64,
        input: &[u8],
        turn: &mut Turn<'_>,
    ) -> Step {
        match &head.plain {
            Plain::Get(key) => {
                get_hashed(key, hash, head.form, turn);
                Step::on(head.len)
            }
            Plain::Set(set) => {
                let store = set.store(F::SHOWS_CAS);
                self.store(&store, &head.form.asked_of_set(), Some(hash), Head { input, len: head.len }, turn)
            }
        }
    }

    /// Serves a request. A store takes its value too.
    #[inline]
    pub(super) fn execute(&mut self, request: &Request<'_>, head: Head<'_>, turn: &mut Turn<'_>) -> Step {
        match &request.operation {
            Operation::Fetch(fetch) => {
                turn.requests_left -= 1;
                fetch_asked(fetch, &request.asked, None, turn);
                Step::on(head.len)
            }
            Operation::Store(store) => self.store_asked(store, &request.asked, head, turn),
            other => {
                turn.requests_left -= 1;
                self.execute_rare(other, &request.asked, head, turn)
            }
        }
    }

    fn execute_rare(
        &mut self,
        operation: &Operation<'_>,
        asked: &Asked<'_>,
        head: Head<'_>,
        turn: &mut Turn<'_>,
    ) -> Step {
        match operation {
            Operation::Keys(line) if self.is_datagram && !head.has_rest_of(*line) => return Step::stop(0, Next::Read),
            Operation::Keys(line) => self.state = State::Keys(*line),
            Operation::Fetch(fetch) => {
                fetch_asked(fetch, asked, None, turn);
            }
            Operation::Store(store) => return self.store_asked(store, asked, head, turn),
            Operation::Delete(delete) => {
                let reply = turn.commands.delete(delete);
                asked.push_reply(turn.output.bytes(), reply);
            }
            Operation::Arithmetic(arithmetic) => {
                let counted = turn.commands.arithmetic(arithmetic);
                asked.push_counted(turn.output.bytes(), &counted);
            }
            Operation::Admin(admin) => return self.admin(*admin, asked, head, turn),
            Operation::Refused(refused) => self.refuse(*refused, asked, turn),
            Operation::Watch(_) if self.is_datagram => {
                asked.push_reply(turn.output.bytes(), Reply::Error(Failure::WatchNotAllowed));
            }
            // Whether something came before it is seen from further up.
            Operation::Watch(_) => return Step::stop(0, Next::Watch),
            Operation::Quit => {
                asked.push_reply(turn.output.bytes(), Reply::Ok);
                return self.close_after(head.len, false);
            }
            Operation::HangUp(failure) => {
                asked.push_reply(turn.output.bytes(), Reply::Error(*failure));
                return self.hang(head.input);
            }
            Operation::Sasl(sasl) => return self.leave_for_sasl(sasl, asked, head, turn),
            Operation::Hang => return self.hang(head.input),
        }
        Step::on(head.len)
    }

    #[inline(never)]
    fn store_asked(&mut self, store: &Store<'_>, asked: &Asked<'_>, head: Head<'_>, turn: &mut Turn<'_>) -> Step {
        self.store(store, asked, None, head, turn)
    }

    /// A value is stored when it is whole in the input, or else streams into its item. The hash of its key may be
    /// known. A caller that knows this and the form of the answer has them folded in.
    #[inline(always)]
    fn store(
        &mut self,
        store: &Store<'_>,
        asked: &Asked<'_>,
        hash: Option<u64>,
        head: Head<'_>,
        turn: &mut Turn<'_>,
    ) -> Step {
        if store.value_len > WHOLE_VALUE_BYTES_MAX {
            if self.is_datagram && !head.has_value_of(store, asked) {
                return Step::stop(0, Next::Read);
            }
            turn.requests_left -= 1;
            self.begin_body(store, asked, turn);
            return Step::on(head.len);
        }
        let block = &head.input[head.len..];
        let block_len = store.value_len + asked.value_end().len();
        if block.len() < block_len {
            return Step::stop(0, Next::Read);
        }
        turn.requests_left -= 1;
        let (value, end) = block[..block_len].split_at(store.value_len);
        let stored = if end == asked.value_end() {
            let hash = hash.unwrap_or_else(
                #[inline(always)]
                || turn.commands.hash_of(store.key),
            );
            turn.commands.store(store, hash, value)
        } else {
            turn.commands.spoil(store)
        };
        asked.push_stored(turn.output.bytes(), &stored);
        Step::on(head.len + block_len)
    }

    #[inline(never)]
    fn begin_body(&mut self, store: &Store<'_>, asked: &Asked<'_>, turn: &mut Turn<'_>) {
        self.brings_values = true;
        match turn.commands.begin(store) {
            Ok(arriving) => self.state = State::Body(Box::new(Body::new(arriving, asked))),
            Err(reply) => self.discard_then(store.value_len + asked.value_end().len(), reply, asked),
        }
    }

    /// Swallows so many bytes, then answers this.
    pub(super) fn discard_then(&mut self, left: usize, reply: Reply, asked: &Asked<'_>) {
        self.state = State::Discard(Box::new(Discard { left, reply, asked: asked.keep() }));
    }

    /// Serves keys of a line.
    #[inline(always)]
    pub(super) fn keys(&mut self, line: KeyLine, input: &[u8], turn: &mut Turn<'_>) -> Step {
        if line == KeyLine::GET {
            return self.keys_with(line, input, turn, get_in_line);
        }
        if line.is_answered() { self.pass_over(line, input) } else { self.keys_rare(line, input, turn) }
    }

    #[inline(never)]
    fn keys_rare(&mut self, line: KeyLine, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let options = line.options();
        self.keys_with(line, input, turn, |key, hash, turn| {
            fetch_asked(&Fetch { key, options, extras: None }, &KeyLine::ASKED, Some(hash), turn)
        })
    }

    /// Passes over the rest of a line that is answered.
    fn pass_over(&mut self, line: KeyLine, input: &[u8]) -> Step {
        let Some(used) = line.rest_len(input) else { return Step::stop(input.len(), Next::Read) };
        self.state = State::Ready;
        Step::on(used)
    }

    /// Fetches keys of a line, as many as are there and the output takes.
    #[inline(always)]
    fn keys_with(
        &mut self,
        line: KeyLine,
        input: &[u8],
        turn: &mut Turn<'_>,
        fetch: impl Fn(&[u8], u64, &mut Turn<'_>) -> Fetched,
    ) -> Step {
        let mut used = 0;
        while !turn.output.is_full() {
            let read = LineKeys::read(line, &input[used..], turn.commands);
            for (nth, next) in read.keys().iter().enumerate() {
                if turn.output.is_full() {
                    return Step::on(used);
                }
                used += next.used;
                if fetch(next.key, next.hash, turn) == Fetched::NoMemory {
                    let is_last = nth + 1 == read.keys().len() && read.after == After::LineEnd { used: 0 };
                    self.state = if is_last { State::Ready } else { State::Keys(line.answered()) };
                    return Step::on(used);
                }
            }
            match read.after {
                After::More => {}
                After::LineEnd { used: end } => {
                    KeyLine::ASKED.push_reply(turn.output.bytes(), Reply::End);
                    self.state = State::Ready;
                    return Step::on(used + end);
                }
                After::TooLong => {
                    KeyLine::ASKED.push_reply(turn.output.bytes(), Reply::Error(Failure::BadFormat));
                    self.state = State::Keys(line.answered());
                    return Step::on(used);
                }
                After::Partial => return Step::stop(used, Next::Read),
            }
        }
        Step::on(used)
    }

    fn refuse(&mut self, refused: Refused, asked: &Asked<'_>, turn: &mut Turn<'_>) {
        let reply = Reply::Error(refused.failure);
        if refused.swallow_bytes == 0 {
            asked.push_reply(turn.output.bytes(), reply);
        } else {
            self.discard_then(refused.swallow_bytes, reply, asked);
        }
    }

    fn admin(&mut self, admin: Admin<'_>, asked: &Asked<'_>, head: Head<'_>, turn: &mut Turn<'_>) -> Step {
        match turn.commands.admin(admin, !turn.output.bytes().is_empty()) {
            Answer::Reply(reply) => asked.push_reply(turn.output.bytes(), reply),
            Answer::Dump(dump) => {
                if self.is_datagram
                    && let Some(failure) = super::datagram::refusal_of(dump.lines())
                {
                    asked.push_reply(turn.output.bytes(), Reply::Error(failure));
                    return Step::on(head.len);
                }
                if dump.lines() != ItemLines::Cachedump {
                    asked.push_reply(turn.output.bytes(), Reply::Ok);
                }
                self.state = State::Dump(Box::new(Dumping::new(dump)));
                return Step::stop(head.len, Next::Rest);
            }
            Answer::Report(report) => {
                let out = turn.output.bytes();
                turn.commands.report(report, &mut |figure| asked.push_figure(out, figure));
                asked.push_reply(out, Reply::End);
            }
            Answer::Line(line) => asked.push_line(turn.output.bytes(), &line),
            Answer::Prefixes => {
                let totals = turn.commands.shared().prefixes().totals();
                let prefixes = totals.iter().map(|(prefix, totals)| (&prefix[..], totals));
                asked.push_prefixes(turn.output.bytes(), prefixes);
            }
            Answer::Listing => self.state = State::Listing(Box::new(Listing { listing: None, asked: asked.keep() })),
            Answer::Shutdown { graceful } => {
                self.state = State::Closing { is_error: false };
                return Step::stop(head.len, if graceful { Next::GracefulShutdown } else { Next::Shutdown });
            }
        }
        Step::on(head.len)
    }
}
