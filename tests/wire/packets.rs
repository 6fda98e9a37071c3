//! Packets of the binary protocol: requests to send, and the answers to expect.

use crate::client::Client;

pub(crate) const GET: u8 = 0x00;
pub(crate) const SET: u8 = 0x01;
pub(crate) const ADD: u8 = 0x02;
pub(crate) const REPLACE: u8 = 0x03;
pub(crate) const DELETE: u8 = 0x04;
pub(crate) const INCREMENT: u8 = 0x05;
pub(crate) const DECREMENT: u8 = 0x06;
pub(crate) const QUIT: u8 = 0x07;
pub(crate) const FLUSH: u8 = 0x08;
pub(crate) const GETQ: u8 = 0x09;
pub(crate) const NOOP: u8 = 0x0a;
pub(crate) const VERSION: u8 = 0x0b;
pub(crate) const GETK: u8 = 0x0c;
pub(crate) const GETKQ: u8 = 0x0d;
pub(crate) const APPEND: u8 = 0x0e;
pub(crate) const PREPEND: u8 = 0x0f;
pub(crate) const STAT: u8 = 0x10;
pub(crate) const SETQ: u8 = 0x11;
pub(crate) const ADDQ: u8 = 0x12;
pub(crate) const REPLACEQ: u8 = 0x13;
pub(crate) const DELETEQ: u8 = 0x14;
pub(crate) const INCREMENTQ: u8 = 0x15;
pub(crate) const DECREMENTQ: u8 = 0x16;
pub(crate) const QUITQ: u8 = 0x17;
pub(crate) const FLUSHQ: u8 = 0x18;
pub(crate) const APPENDQ: u8 = 0x19;
pub(crate) const PREPENDQ: u8 = 0x1a;
pub(crate) const TOUCH: u8 = 0x1c;
pub(crate) const GAT: u8 = 0x1d;
pub(crate) const GATQ: u8 = 0x1e;
pub(crate) const SASL_LIST: u8 = 0x20;
pub(crate) const SASL_START: u8 = 0x21;
pub(crate) const SASL_STEP: u8 = 0x22;
pub(crate) const GATK: u8 = 0x23;
pub(crate) const GATKQ: u8 = 0x24;

pub(crate) const NOT_FOUND: (u16, &str) = (0x01, "Not found");
pub(crate) const EXISTS: (u16, &str) = (0x02, "Data exists for key.");
pub(crate) const TOO_LARGE: (u16, &str) = (0x03, "Too large.");
pub(crate) const INVALID: (u16, &str) = (0x04, "Invalid arguments");
pub(crate) const NOT_STORED: (u16, &str) = (0x05, "Not stored.");
pub(crate) const NON_NUMERIC: (u16, &str) = (0x06, "Non-numeric server-side value for incr or decr");
pub(crate) const AUTH_FAILURE: (u16, &str) = (0x20, "Auth failure.");
pub(crate) const UNKNOWN: (u16, &str) = (0x81, "Unknown command");

pub(crate) const HEADER_BYTES: usize = 24;

/// A request. What the header says of lengths is what the body has, unless it is told to say something else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packet {
    pub(crate) opcode: u8,
    pub(crate) opaque: u32,
    pub(crate) cas: u64,
    pub(crate) extras: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// What the header says of key, extras and body.
    pub(crate) says: Option<(u16, u8, u32)>,
}

/// A request without a body.
pub(crate) fn bare(opcode: u8) -> Packet {
    // An opaque of its own, so that an answer to something else is seen.
    Packet { opcode, opaque: 0xdead_0000 | u32::from(opcode), ..Packet::default() }
}

/// A request with a key.
pub(crate) fn keyed(opcode: u8, key: impl AsRef<[u8]>) -> Packet {
    Packet { key: key.as_ref().to_vec(), ..bare(opcode) }
}

/// A set, add or replace.
pub(crate) fn store(
    opcode: u8,
    key: impl AsRef<[u8]>,
    client_flags: u32,
    exptime: u32,
    value: impl AsRef<[u8]>,
) -> Packet {
    let extras = [client_flags.to_be_bytes(), exptime.to_be_bytes()].concat();
    Packet { extras, value: value.as_ref().to_vec(), ..keyed(opcode, key) }
}

/// A request whose extras are an exptime.
pub(crate) fn timed(opcode: u8, key: impl AsRef<[u8]>, exptime: u32) -> Packet {
    Packet { extras: exptime.to_be_bytes().to_vec(), ..keyed(opcode, key) }
}

/// An append or prepend.
pub(crate) fn join(opcode: u8, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Packet {
    Packet { value: value.as_ref().to_vec(), ..keyed(opcode, key) }
}

/// An increment or decrement.
pub(crate) fn count(opcode: u8, key: impl AsRef<[u8]>, delta: u64, initial: u64, exptime: u32) -> Packet {
    let extras = [&delta.to_be_bytes()[..], &initial.to_be_bytes(), &exptime.to_be_bytes()].concat();
    Packet { extras, ..keyed(opcode, key) }
}

impl Packet {
    pub(crate) fn with_cas(self, cas: u64) -> Self {
        Self { cas, ..self }
    }

    pub(crate) fn saying(self, key_len: u16, extras_len: u8, body_len: u32) -> Self {
        Self { says: Some((key_len, extras_len, body_len)), ..self }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let body_len = self.extras.len() + self.key.len() + self.value.len();
        let truth = || {
            let key_len = u16::try_from(self.key.len()).expect("short");
            (key_len, u8::try_from(self.extras.len()).expect("short"), u32::try_from(body_len).expect("short"))
        };
        let (key_len, extras_len, body_len) = self.says.unwrap_or_else(truth);
        let mut bytes = vec![0x80, self.opcode];
        bytes.extend(key_len.to_be_bytes());
        bytes.extend([extras_len, 0, 0, 0]);
        bytes.extend(body_len.to_be_bytes());
        bytes.extend(self.opaque.to_be_bytes());
        bytes.extend(self.cas.to_be_bytes());
        for part in [&self.extras, &self.key, &self.value] {
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) opcode: u8,
    pub(crate) status: u16,
    pub(crate) opaque: u32,
    pub(crate) cas: u64,
    pub(crate) extras: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

impl Answer {
    /// The value as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }

    /// Status and text of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        assert!(self.key.is_empty() && self.extras.is_empty() && self.cas == 0, "{self:?}");
        (self.status, self.text())
    }

    /// The client flags of a hit.
    pub(crate) fn flags(&self) -> u32 {
        u32::from_be_bytes(self.extras[..].try_into().expect("a hit has flags"))
    }

    /// The number that a count answers.
    pub(crate) fn number(&self) -> u64 {
        assert_eq!(self.status, 0, "{self:?}");
        u64::from_be_bytes(self.value[..].try_into().expect("a count has a number"))
    }
}

impl Client {
    /// The next answer.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let head = self.receive(HEADER_BYTES);
        assert_eq!((head[0], head[5]), (0x81, 0), "an answer begins so: {head:?}");
        let number =
            |at: usize, len: usize| head[at..at + len].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let key_len = usize::try_from(number(2, 2)).expect("short");
        let body_len = usize::try_from(number(8, 4)).expect("short");
        let body = self.receive(body_len);
        let (extras, rest) = body.split_at(usize::from(head[4]));
        let (key, value) = rest.split_at(key_len);
        Answer {
            opcode: head[1],
            status: u16::try_from(number(6, 2)).expect("two bytes"),
            opaque: u32::try_from(number(12, 4)).expect("four bytes"),
            cas: number(16, 8),
            extras: extras.to_vec(),
            key: key.to_vec(),
            value: value.to_vec(),
        }
    }

    /// The answer to a request, which repeats its opcode and opaque.
    #[track_caller]
    pub(crate) fn call(&mut self, packet: &Packet) -> Answer {
        self.send(packet.bytes());
        let answer = self.answer();
        assert_eq!((answer.opcode, answer.opaque), (packet.opcode, packet.opaque), "{answer:?} to {packet:?}");
        answer
    }

    /// The same, which is a success without a body; the new version.
    #[track_caller]
    pub(crate) fn call_ok(&mut self, packet: &Packet) -> u64 {
        let answer = self.call(packet);
        assert_eq!((answer.status, answer.text()), (0, String::new()), "to {packet:?}");
        assert!(answer.key.is_empty() && answer.extras.is_empty(), "{answer:?}");
        answer.cas
    }

    /// The same, which is this error.
    #[track_caller]
    pub(crate) fn call_error(&mut self, packet: &Packet, (status, text): (u16, &str)) {
        assert_eq!(self.call(packet).error(), (status, text.to_owned()), "to {packet:?}");
    }

    /// Nothing has been answered to what came before.
    #[track_caller]
    pub(crate) fn expect_quiet(&mut self) {
        self.call_ok(&bare(NOOP));
    }

    /// A key's value.
    #[track_caller]
    pub(crate) fn value_of(&mut self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        let answer = self.call(&keyed(GET, key));
        (answer.status == 0).then_some(answer.value)
    }

    /// The figures of a report.
    #[track_caller]
    pub(crate) fn figures(&mut self, name: &str) -> Vec<(String, String)> {
        let request = keyed(STAT, name);
        self.send(request.bytes());
        let mut figures = Vec::new();
        loop {
            let answer = self.answer();
            assert_eq!((answer.opcode, answer.opaque, answer.status, answer.cas), (STAT, request.opaque, 0, 0));
            if answer.key.is_empty() {
                assert_eq!(answer, Answer { opcode: STAT, opaque: request.opaque, ..Answer::default() });
                return figures;
            }
            figures.push((String::from_utf8(answer.key.clone()).expect("a name"), answer.text()));
        }
    }
}
