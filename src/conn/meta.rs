//! Meta commands: what the parser read goes to the four operations, what they say to the meta encoder.

use super::{Connection, Step, Turn};
use crate::command::{Details, Fetched, ItemView, ttl_of};
use crate::limits::KEY_BYTES_MAX;
use crate::protocol::ascii::meta::{
    self, Asked, Item, Meta, MetaArithmetic, Operation, push_deleted, push_inspected, push_miss, push_number,
};
use crate::protocol::{
    Arithmetic, ArithmeticExtras, Delete, ErrorText, Fetch, FetchExtras, FetchOptions, MetaLine, Reply, Store,
};

/// What an answer needs of its request, in memory of its own: for a value that takes its time.
#[derive(Debug)]
pub(super) struct KeptAsked {
    /// The key, then the flags.
    bytes: Box<[u8]>,
    key_len: usize,
    is_base64: bool,
    is_quiet: bool,
}

impl KeptAsked {
    pub(super) fn new(asked: Asked<'_>) -> Self {
        Self {
            bytes: [asked.key, asked.flags].concat().into_boxed_slice(),
            key_len: asked.key.len(),
            is_base64: asked.is_base64,
            is_quiet: asked.is_quiet,
        }
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        let (key, flags) = self.bytes.split_at(self.key_len);
        Asked { key, is_base64: self.is_base64, flags, is_quiet: self.is_quiet }
    }
}

impl Connection {
    /// Serves a meta command. A store takes its value, too.
    pub(super) fn meta(&mut self, line: MetaLine<'_>, used: usize, input: &[u8], turn: &mut Turn<'_>) -> Step {
        let Meta { key, operation, flags, is_quiet } = match meta::parse(line) {
            Ok(meta) => meta,
            Err(refused) => {
                self.refuse(refused, turn);
                return Step::on(used);
            }
        };
        let mut buffer = [0; KEY_BYTES_MAX];
        let is_base64 = key.is_base64();
        let key = key.bytes(&mut buffer);
        let asked = Asked { key, is_base64, flags, is_quiet };
        match operation {
            Operation::Fetch(options, extras) => fetch(asked, options, &extras, turn),
            Operation::Inspect(options, extras) => inspect(asked, options, &extras, turn),
            Operation::Store(store) => {
                let (mode, client_flags, exptime) = (store.mode, store.client_flags, store.exptime);
                let (value_len, extras) = (store.value_len, Some(&store.extras));
                let store = Store { key, mode, client_flags, exptime, value_len, noreply: false, extras };
                // The step into the value counts the request again.
                turn.requests_left += 1;
                return self.store_as_asked(&store, Some(asked), used, input, turn);
            }
            Operation::Delete(extras) => {
                let reply = turn.commands.delete(Delete { key, noreply: false, extras: Some(&extras) });
                push_deleted(turn.output.bytes(), asked, reply);
            }
            Operation::Arithmetic(arithmetic) => count(asked, &arithmetic, turn),
        }
        Step::on(used)
    }
}

fn fetch(asked: Asked<'_>, options: FetchOptions, extras: &FetchExtras, turn: &mut Turn<'_>) {
    let output = &mut *turn.output;
    output.reserve_hit();
    // What exptimes come to is worked out before the store lends the item.
    let touched = options.touch.and_then(|exptime| turn.commands.ttl(exptime));
    let created = extras.create.and_then(|exptime| turn.commands.ttl(exptime));
    let now = turn.commands.now();
    let fetched = turn.commands.fetch(Fetch { key: asked.key, options, extras: Some(extras) }, |view| {
        let ItemView { client_flags, cas, value, details } = view;
        let Some(details) = details else { return };
        let ttl_created = details.is_created.then_some(created);
        let ttl = ttl_of(details.expiry, now);
        let known = Item { client_flags, cas, ttl, ttl_touched: touched, ttl_created, ..item(&details) };
        let asked = Asked { is_base64: details.has_binary_key, ..asked };
        output.push_meta_hit(asked, &known, value);
    });
    answer_fetch(fetched, asked, turn);
}

fn inspect(asked: Asked<'_>, options: FetchOptions, extras: &FetchExtras, turn: &mut Turn<'_>) {
    let now = turn.commands.now();
    let output = &mut *turn.output;
    output.reserve_hit();
    let fetched = turn.commands.fetch(Fetch { key: asked.key, options, extras: Some(extras) }, |view| {
        let Some(details) = view.details else { return };
        let known = Item { cas: view.cas, ttl: ttl_of(details.expiry, now), ..item(&details) };
        push_inspected(output.bytes(), Asked { is_base64: details.has_binary_key, ..asked }, &known);
    });
    answer_fetch(fetched, asked, turn);
}

/// Answers a fetch that was not a hit: a hit has answered itself.
fn answer_fetch(fetched: Fetched<()>, asked: Asked<'_>, turn: &mut Turn<'_>) {
    match fetched {
        Fetched::Hit(()) => {}
        Fetched::Miss => push_miss(turn.output.bytes(), asked),
        Fetched::NoMemory => turn.output.push_reply(Reply::Error(ErrorText::OutOfMemory)),
    }
}

fn item(details: &Details) -> Item {
    Item {
        value_len: details.value_len,
        idle_seconds: details.idle_seconds,
        was_fetched: details.was_fetched,
        is_stale: details.is_stale,
        was_won: details.was_won,
        is_won: details.is_won,
        item_bytes: details.item_bytes,
        class: details.class,
        ..Item::default()
    }
}

fn count(asked: Asked<'_>, arithmetic: &MetaArithmetic, turn: &mut Turn<'_>) {
    let MetaArithmetic { delta, is_decr, shows_value, extras } = arithmetic;
    let request = Arithmetic { key: asked.key, delta: *delta, is_decr: *is_decr, noreply: false, extras: Some(extras) };
    let counted = turn.commands.arithmetic(request);
    let ArithmeticExtras { create, touch, .. } = *extras;
    let created = create.and_then(|(_, exptime)| turn.commands.ttl(exptime));
    let known = Item {
        cas: counted.cas,
        ttl: ttl_of(counted.expiry, turn.commands.now()),
        ttl_touched: touch.and_then(|exptime| turn.commands.ttl(exptime)),
        ttl_created: counted.is_created.then_some(created),
        ..Item::default()
    };
    push_number(turn.output.bytes(), asked, counted.reply, &known, *shows_value);
}
