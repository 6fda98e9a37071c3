//! The parser: one request from the head of the input.
//!
//! What a header says that cannot be is answered as memcached answers it, and the connection ends: when extras and key
//! are there, as answers before it may be lost with what is not read; no byte of a value is waited for.

use super::Form;
use super::header::{BODY_BYTES_MAX, HEADER_BYTES, Header, REQUEST_MAGIC};
use super::opcode::{self, Command};
use crate::bytes::parse_u32;
use crate::limits::KEY_BYTES_MAX;
use crate::operation::Mode;
use crate::protocol::{
    Admin, Arithmetic, ArithmeticExtras, Asked, Delete, DeleteExtras, Detail, Failure, Fetch, FetchOptions,
    Form as AnyForm, HOT_KEYS_SHOWN, Operation, ParseRoom, Parsed, Quiet, Refused, Request, Sasl, SaslStep, Store,
    StoreExtras,
};

/// The exptime with which incr and decr make no item.
const NO_ITEM: u32 = u32::MAX;

/// Longest head that is waited for, whatever it is: memcached's buffer.
const WAITED_BYTES_MAX: usize = 16 * 1024;

/// A request whose head is whole.
struct Packet<'a> {
    header: Header,
    extras: &'a [u8],
    key: &'a [u8],
    value_len: usize,
}

/// Takes one request from the input.
pub(in crate::protocol) fn parse<'a>(input: &'a [u8], room: &'a mut ParseRoom) -> Parsed<'a> {
    if input.first().is_some_and(|magic| *magic != REQUEST_MAGIC) {
        return Parsed::Hopeless;
    }
    let Some((header, body)) = input.split_first_chunk() else { return Parsed::Incomplete };
    let header = Header::read(header);
    if input.len() < header.head_len() && header.head_len() <= WAITED_BYTES_MAX {
        return Parsed::Incomplete;
    }
    let refused = |operation| refused(&header, operation);
    if let Some(failure) = wrong_lengths(&header) {
        return refused(Operation::HangUp(failure));
    }
    if header.key_len > KEY_BYTES_MAX {
        return refused(Operation::HangUp(Failure::BadFormat));
    }
    let Some((command, is_quiet)) = opcode::command(header.opcode) else {
        // Where there was a body memcached skips too much, and loses its place.
        let refusal = Refused { failure: Failure::UnknownCommand, swallow_bytes: header.body_len };
        return refused(Operation::Refused(refusal));
    };
    if !has_shape(command, &header) {
        return refused(Operation::HangUp(Failure::BadFormat));
    }
    let Some(head) = body.get(..header.extras_len + header.key_len) else { return Parsed::Incomplete };
    let (extras, key) = head.split_at(header.extras_len);
    let packet = Packet { header, extras, key, value_len: header.body_len - head.len() };
    let request = answered_with(&packet, quiet(command, is_quiet), operation(command, &packet, room));
    Parsed::Request { request, used: header.head_len() }
}

/// The same of a client that is not authenticated: what is not for it is refused by its header, and it is hung up on.
/// Lengths that cannot be are told first, as by memcached.
#[must_use]
pub fn parse_unauthenticated<'a>(input: &'a [u8], room: &'a mut ParseRoom) -> Parsed<'a> {
    if let Some(header) = input.first_chunk().map(Header::read)
        && header.magic == REQUEST_MAGIC
        && wrong_lengths(&header).is_none()
        && !opcode::is_for_unauthenticated(header.opcode)
    {
        return refused(&header, Operation::HangUp(Failure::Unauthenticated));
    }
    parse(input, room)
}

/// Why a header's lengths cannot be, if they cannot.
fn wrong_lengths(header: &Header) -> Option<Failure> {
    if header.extras_len + header.key_len > header.body_len {
        return Some(Failure::UnknownCommand);
    }
    (header.body_len > BODY_BYTES_MAX).then_some(Failure::BadFormat)
}

fn refused<'a>(header: &Header, operation: Operation<'a>) -> Parsed<'a> {
    Parsed::Request { request: answered(header, Quiet::No, operation), used: HEADER_BYTES }
}

/// Whether extras, key and value are as long as the command has them. memcached lets a touch, a get and touch and a
/// stat have a value, and then takes that for the next request.
fn has_shape(command: Command, header: &Header) -> bool {
    let Header { key_len, extras_len, body_len, .. } = *header;
    let has_value = body_len > key_len + extras_len;
    match command {
        Command::Get | Command::Delete => key_len > 0 && extras_len == 0 && !has_value,
        Command::Touch | Command::GetAndTouch => key_len > 0 && extras_len == 4 && !has_value,
        Command::Set | Command::Add | Command::Replace => key_len > 0 && extras_len == 8,
        Command::Append | Command::Prepend | Command::SaslStart | Command::SaslStep => key_len > 0 && extras_len == 0,
        Command::Increment | Command::Decrement => key_len > 0 && extras_len == 20 && !has_value,
        Command::Flush => key_len == 0 && matches!(extras_len, 0 | 4) && !has_value,
        Command::Stat => extras_len == 0 && !has_value,
        Command::Noop | Command::Version | Command::Quit | Command::SaslMechanisms => body_len == 0,
    }
}

fn quiet(command: Command, is_quiet: bool) -> Quiet {
    match command {
        _ if !is_quiet => Quiet::No,
        Command::Get | Command::GetAndTouch => Quiet::Misses,
        _ => Quiet::Successes,
    }
}

fn operation<'a>(command: Command, packet: &Packet<'a>, room: &'a mut ParseRoom) -> Operation<'a> {
    let key = packet.key;
    match command {
        Command::Get => Operation::Fetch(Fetch { key, options: FetchOptions::GETS, extras: None }),
        Command::Touch => touch(packet, false),
        Command::GetAndTouch => touch(packet, true),
        Command::Set | Command::Add | Command::Replace | Command::Append | Command::Prepend => {
            Operation::Store(store(command, packet, room))
        }
        Command::Delete => {
            let compare = compared(packet);
            let extras = compare.map(|_| &*room.delete.insert(DeleteExtras { compare, ..DeleteExtras::default() }));
            Operation::Delete(Delete { key, extras })
        }
        Command::Increment => arithmetic(false, packet, room),
        Command::Decrement => arithmetic(true, packet, room),
        Command::Flush => Operation::Admin(Admin::FlushAll { exptime: Some(exptime(packet.extras)) }),
        Command::Stat => Operation::Admin(stat(key)),
        Command::Noop => Operation::Admin(Admin::Noop),
        Command::Version => Operation::Admin(Admin::Version),
        Command::Quit => Operation::Quit,
        Command::SaslMechanisms => sasl(SaslStep::Mechanisms, packet),
        Command::SaslStart => sasl(SaslStep::Start { mechanism: key }, packet),
        Command::SaslStep => sasl(SaslStep::Next { mechanism: key }, packet),
    }
}

fn touch<'a>(packet: &Packet<'a>, value: bool) -> Operation<'a> {
    let options = FetchOptions { value, cas: true, touch: Some(exptime(packet.extras)) };
    Operation::Fetch(Fetch { key: packet.key, options, extras: None })
}

/// A cas makes a compare of set, add and replace alike.
fn store<'a>(command: Command, packet: &Packet<'a>, room: &'a mut ParseRoom) -> Store<'a> {
    let compare = compared(packet);
    let mode = match (command, compare) {
        (Command::Append, _) => Mode::Append,
        (Command::Prepend, _) => Mode::Prepend,
        (_, Some(cas)) => Mode::Cas(cas),
        (Command::Add, None) => Mode::Add,
        (Command::Replace, None) => Mode::Replace,
        (_, None) => Mode::Set,
    };
    let extras = match mode {
        Mode::Append | Mode::Prepend if compare.is_some() => {
            Some(&*room.store.insert(StoreExtras { compare, ..StoreExtras::default() }))
        }
        _ => None,
    };
    Store {
        key: packet.key,
        mode,
        client_flags: number(packet.extras),
        exptime: packet.extras.get(4..).map_or(0, exptime),
        value_len: packet.value_len,
        refusal_deletes: command == Command::Set,
        shows_cas: true,
        extras,
    }
}

fn arithmetic<'a>(is_decr: bool, packet: &Packet<'a>, room: &'a mut ParseRoom) -> Operation<'a> {
    let wide = |at: usize| packet.extras.get(at..).and_then(|rest| rest.first_chunk()).copied();
    let [delta, initial] = [0, 8].map(|at| wide(at).map_or(0, u64::from_be_bytes));
    let end = packet.extras.get(16..).unwrap_or_default();
    let create = (number(end) != NO_ITEM).then(|| (initial, exptime(end)));
    let extras = ArithmeticExtras { compare: compared(packet), create, ..ArithmeticExtras::default() };
    let extras = Some(&*room.arithmetic.insert(extras));
    Operation::Arithmetic(Arithmetic { key: packet.key, delta, is_decr, extras })
}

/// A report by its name. memcached compares some names no further than they go.
fn stat(name: &[u8]) -> Admin<'_> {
    match name {
        b"detail on" => Admin::StatsDetail(Detail::On),
        b"detail off" => Admin::StatsDetail(Detail::Off),
        b"detail dump" => Admin::StatsDetail(Detail::Dump),
        b"hotkeys" => Admin::StatsHotKeys { keys_max: Some(HOT_KEYS_SHOWN) },
        report => match report.strip_prefix(b"hotkeys ") {
            Some(keys_max) => Admin::StatsHotKeys { keys_max: parse_u32(keys_max) },
            None => Admin::Stats { report },
        },
    }
}

fn sasl<'a>(step: SaslStep<'a>, packet: &Packet<'_>) -> Operation<'a> {
    Operation::Sasl(Sasl { step, data_len: packet.value_len })
}

/// 0 stands for no comparison.
fn compared(packet: &Packet<'_>) -> Option<u64> {
    Some(packet.header.cas).filter(|&cas| cas != 0)
}

/// The number at the front of extras; 0: there are none.
fn number(extras: &[u8]) -> u32 {
    extras.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn exptime(extras: &[u8]) -> i64 {
    i64::from(number(extras))
}

fn answered<'a>(header: &Header, quiet: Quiet, operation: Operation<'a>) -> Request<'a> {
    Request { operation, asked: Asked { quiet, form: AnyForm::Binary(Form::new(header.opcode, header.opaque, &[])) } }
}

fn answered_with<'a>(packet: &Packet<'a>, quiet: Quiet, operation: Operation<'a>) -> Request<'a> {
    let Header { opcode, opaque, .. } = packet.header;
    let key = if opcode::shows_key(opcode) { packet.key } else { &[] };
    Request { operation, asked: Asked { quiet, form: AnyForm::Binary(Form::new(opcode, opaque, key)) } }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{BODY_BYTES_MAX, HEADER_BYTES, KEY_BYTES_MAX, opcode, parse};
    use crate::operation::Mode;
    use crate::protocol::binary::has_head;
    use crate::protocol::{
        Admin, Arithmetic, Detail, Failure, FetchOptions, Operation, ParseRoom, Parsed, Quiet, Refused, Request, Sasl,
        SaslStep,
    };

    /// A request whose header says these lengths of what follows.
    pub(in crate::protocol::binary) fn saying(
        opcode: u8,
        (key_len, extras_len, body_len): (usize, usize, usize),
        cas: u64,
        body: &[u8],
    ) -> Vec<u8> {
        let mut bytes = vec![0x80, opcode];
        bytes.extend(u16::try_from(key_len).expect("two bytes").to_be_bytes());
        bytes.extend([u8::try_from(extras_len).expect("a byte"), 0, 0, 0]);
        bytes.extend(u32::try_from(body_len).expect("four bytes").to_be_bytes());
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(cas.to_be_bytes());
        bytes.extend(body);
        bytes
    }

    /// A request as it should be.
    pub(in crate::protocol::binary) fn packet(
        opcode: u8,
        extras: &[u8],
        key: &[u8],
        value: &[u8],
        cas: u64,
    ) -> Vec<u8> {
        let body = [extras, key, value].concat();
        saying(opcode, (key.len(), extras.len(), body.len()), cas, &body)
    }

    fn parsed(input: &[u8]) -> Parsed<'_> {
        parse(input, Box::leak(Box::default()))
    }

    fn request(input: &[u8]) -> (Request<'_>, usize) {
        match parsed(input) {
            Parsed::Request { request, used } => (request, used),
            other => panic!("{other:?} for {input:?}"),
        }
    }

    fn operation(input: &[u8]) -> Operation<'_> {
        request(input).0.operation
    }

    #[test]
    fn a_header_at_the_inputs_end_waits_for_the_rest_of_its_head() {
        let set = packet(0x01, &[0; 8], b"key", b"value", 0);
        for len in 0..set.len() - b"value".len() {
            assert_eq!(parsed(&set[..len]), Parsed::Incomplete, "{len} bytes");
            assert!(!has_head(&set[..len]), "{len} bytes");
        }
        let head = set.len() - b"value".len();
        assert!(has_head(&set[..head]));
        assert_eq!(request(&set[..head]).1, head);
    }

    #[test]
    fn what_begins_otherwise_is_no_request() {
        for input in [&b"\x81"[..], b"get k\r\n", b"\0", &[0xff; 40]] {
            assert_eq!(parsed(input), Parsed::Hopeless, "{input:?}");
        }
    }

    #[test]
    fn lengths_that_lie_end_the_connection_whatever_the_opcode() {
        for opcode in 0..=u8::MAX {
            for lie in [(5, 0, 4), (1, 8, 8), (0, 255, 0), (65_535, 255, 65_535)] {
                let input = saying(opcode, lie, 0, &[0; 300]);
                assert_eq!(operation(&input), Operation::HangUp(Failure::UnknownCommand), "{opcode} {lie:?}");
            }
            for lie in [(4, 8, BODY_BYTES_MAX + 1), (0, 0, (1 << 32) - 1), (KEY_BYTES_MAX + 1, 0, 300)] {
                let input = saying(opcode, lie, 0, &[0; 300]);
                assert_eq!(operation(&input), Operation::HangUp(Failure::BadFormat), "{opcode} {lie:?}");
            }
        }
    }

    #[test]
    fn a_lie_waits_for_its_head_unless_that_is_too_long() {
        let lie = saying(0x00, (300, 0, 4), 0, &[0; 300]);
        assert_eq!(parsed(&lie[..lie.len() - 1]), Parsed::Incomplete);
        assert_eq!(operation(&lie), Operation::HangUp(Failure::UnknownCommand));
        let long = saying(0x00, (65_535, 0, 4), 0, b"");
        assert_eq!(operation(&long), Operation::HangUp(Failure::UnknownCommand));
    }

    #[test]
    fn what_nobody_knows_is_refused_and_its_body_swallowed() {
        for code in (0..=u8::MAX).filter(|&code| opcode::command(code).is_none()) {
            let refused = Refused { failure: Failure::UnknownCommand, swallow_bytes: 20 };
            let input = saying(code, (3, 8, 20), 0, &[0; 11]);
            let (request, used) = request(&input);
            assert_eq!((request.operation, used), (Operation::Refused(refused), HEADER_BYTES));
        }
    }

    #[test]
    fn any_header_is_read_without_a_panic() {
        let lengths = [0, 1, 4, 8, 20, 21, 250, 251, 255];
        for opcode in 0..=u8::MAX {
            for key_len in lengths {
                for extras_len in lengths {
                    for value_len in [0, 1] {
                        let says = (key_len, extras_len, key_len + extras_len + value_len);
                        let input = saying(opcode, says, 7, &[0x80; 600]);
                        match parse(&input, &mut ParseRoom::default()) {
                            Parsed::Request { used, .. } => assert!(used <= HEADER_BYTES + key_len + extras_len),
                            other => panic!("{other:?} for {opcode} {says:?}"),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_store_is_a_compare_if_it_names_a_version() {
        let extras = [0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff];
        for (opcode, mode, deletes) in [(0x01, Mode::Set, true), (0x12, Mode::Add, false), (0x03, Mode::Replace, false)]
        {
            let plain = packet(opcode, &extras, b"k", b"value", 0);
            let Operation::Store(store) = operation(&plain) else { panic!("a store") };
            assert_eq!((store.key, store.mode, store.client_flags, store.value_len), (&b"k"[..], mode, 5, 5));
            assert_eq!((store.exptime, store.refusal_deletes, store.shows_cas), (i64::from(u32::MAX), deletes, true));
            let compare = packet(opcode, &extras, b"k", b"value", 9);
            let Operation::Store(store) = operation(&compare) else { panic!("a store") };
            assert_eq!((store.mode, store.refusal_deletes), (Mode::Cas(9), deletes));
        }
        let append = packet(0x0e, b"", b"k", b"value", 9);
        let Operation::Store(store) = operation(&append) else { panic!("a store") };
        assert_eq!((store.mode, store.extras.and_then(|extras| extras.compare)), (Mode::Append, Some(9)));
    }

    #[test]
    fn quiet_forms_hide_misses_of_gets_and_successes_of_the_rest() {
        let quiet = |input: &[u8]| request(input).0.asked.quiet;
        for (loud, silent, extras) in [(0x00, 0x09, 0), (0x0c, 0x0d, 0), (0x1d, 0x1e, 4), (0x23, 0x24, 4)] {
            assert_eq!(quiet(&packet(loud, &vec![0; extras], b"k", b"", 0)), Quiet::No);
            assert_eq!(quiet(&packet(silent, &vec![0; extras], b"k", b"", 0)), Quiet::Misses);
        }
        for (loud, silent, extras) in [(0x01, 0x11, 8), (0x04, 0x14, 0), (0x05, 0x15, 20), (0x0e, 0x19, 0)] {
            assert_eq!(quiet(&packet(loud, &vec![0; extras], b"k", b"", 0)), Quiet::No);
            assert_eq!(quiet(&packet(silent, &vec![0; extras], b"k", b"", 0)), Quiet::Successes);
        }
    }

    #[test]
    fn counts_make_items_unless_their_exptime_forbids_it() {
        let extras = |exptime: u32| [&7_u64.to_be_bytes()[..], &3_u64.to_be_bytes(), &exptime.to_be_bytes()].concat();
        let made = packet(0x06, &extras(60), b"k", b"", 0);
        let Operation::Arithmetic(Arithmetic { delta: 7, is_decr: true, extras: Some(more), .. }) = operation(&made)
        else {
            panic!("a decrement by 7")
        };
        assert_eq!((more.create, more.compare), (Some((3, 60)), None));
        let never = packet(0x05, &extras(u32::MAX), b"k", b"", 8);
        let Operation::Arithmetic(Arithmetic { is_decr: false, extras: Some(more), .. }) = operation(&never) else {
            panic!("an increment")
        };
        assert_eq!((more.create, more.compare), (None, Some(8)));
    }

    #[test]
    fn the_rest_is_read_by_its_opcode() {
        let touch = packet(0x1c, &60_u32.to_be_bytes(), b"k", b"", 0);
        let Operation::Fetch(fetch) = operation(&touch) else { panic!("a fetch") };
        assert_eq!(fetch.options, FetchOptions { value: false, cas: true, touch: Some(60) });
        let admin = |input: &[u8]| match operation(input) {
            Operation::Admin(admin) => format!("{admin:?}"),
            other => panic!("{other:?}"),
        };
        let said = |admin: Admin<'_>| format!("{admin:?}");
        assert_eq!(admin(&packet(0x08, b"", b"", b"", 0)), said(Admin::FlushAll { exptime: Some(0) }));
        assert_eq!(admin(&packet(0x18, &[0, 0, 0, 9], b"", b"", 0)), said(Admin::FlushAll { exptime: Some(9) }));
        assert_eq!(admin(&packet(0x10, b"", b"items", b"", 0)), said(Admin::Stats { report: b"items" }));
        assert_eq!(admin(&packet(0x10, b"", b"detail dump", b"", 0)), said(Admin::StatsDetail(Detail::Dump)));
        assert_eq!(operation(&packet(0x17, b"", b"", b"", 0)), Operation::Quit);
        let start = packet(0x21, b"", b"PLAIN", b"\0u\0p", 0);
        let (request, used) = request(&start);
        let sasl = Sasl { step: SaslStep::Start { mechanism: b"PLAIN" }, data_len: 4 };
        assert_eq!((request.operation, used), (Operation::Sasl(sasl), HEADER_BYTES + 5));
    }
}
