//! [`Form`]: what the answer to a packet repeats of it; the encoder of all answers but reports.

use super::header::{ANSWER_MAGIC, HEADER_BYTES};
use super::status::{self, Status};
use crate::bytes::{Buffer, number};
use crate::limits::KEY_BYTES_MAX;
use crate::protocol::{Counted, Failure, Fetched, Hit, Reply, SaslReply, Stored, VERSION};

/// Extras of a hit: the client flags.
const HIT_EXTRAS_BYTES: usize = 4;

/// Length of all of a hit before its key.
const HIT_HEAD_BYTES: usize = HEADER_BYTES + HIT_EXTRAS_BYTES;

/// Room for all that stands before a value.
pub const HEAD_BYTES_MAX: usize = HIT_HEAD_BYTES + KEY_BYTES_MAX;

/// What the answer to a packet repeats of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form<'a> {
    opcode: u8,
    opaque: [u8; 4],
    /// The key, where the answer shows it, or nothing.
    key: &'a [u8],
}

impl<'a> Form<'a> {
    #[inline(always)]
    pub(super) const fn new(opcode: u8, opaque: [u8; 4], key: &'a [u8]) -> Self {
        Self { opcode, opaque, key }
    }

    /// The header of an answer. Its fields are put together in registers: keys, extras and bodies are shorter than the
    /// fields can say.
    #[inline(always)]
    pub(super) fn header(
        &self,
        status: u16,
        key_len: usize,
        extras_len: usize,
        body_len: usize,
        cas: u64,
    ) -> [u8; HEADER_BYTES] {
        let first = u64::from(ANSWER_MAGIC) << 56 | u64::from(self.opcode) << 48 | number(key_len) << 32;
        let first = first | number(extras_len) << 24 | u64::from(status);
        let second = number(body_len) << 32 | u64::from(u32::from_be_bytes(self.opaque));
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&first.to_be_bytes());
        header[8..16].copy_from_slice(&second.to_be_bytes());
        header[16..].copy_from_slice(&cas.to_be_bytes());
        header
    }

    /// All of a hit before its key.
    #[inline(always)]
    fn hit_head(&self, hit: &Hit<'_>, value_len: usize) -> [u8; HIT_HEAD_BYTES] {
        let key_len = self.key.len();
        let body_len = HIT_EXTRAS_BYTES + key_len + value_len;
        let mut head = [0; HIT_HEAD_BYTES];
        head[..HEADER_BYTES].copy_from_slice(&self.header(status::OK, key_len, HIT_EXTRAS_BYTES, body_len, hit.cas));
        head[HEADER_BYTES..].copy_from_slice(&hit.client_flags.to_be_bytes());
        head
    }

    /// Appends what is answered.
    pub(in crate::protocol) fn push_reply(&self, out: &mut Buffer, reply: Reply) {
        match reply {
            Reply::Stored | Reply::Deleted | Reply::Ok | Reply::Reset | Reply::Noop | Reply::End => {
                out.put(&self.header(status::OK, 0, 0, 0, 0));
            }
            Reply::Number(counted) => self.push_body(out, status::OK, &counted.to_be_bytes(), 0),
            Reply::Version => self.push_body(out, status::OK, VERSION.as_bytes(), 0),
            Reply::NotStored => self.push_error(out, status::not_stored(self.opcode)),
            Reply::Exists => self.push_error(out, status::EXISTS),
            Reply::NotFound => self.push_error(out, status::NOT_FOUND),
            Reply::Error(failure) => self.push_error(out, status::failed(self.opcode, failure)),
        }
    }

    /// Appends what is answered to a step of SASL that is not refused.
    pub(in crate::protocol) fn push_sasl(&self, out: &mut Buffer, reply: &SaslReply<'_>) {
        match reply {
            SaslReply::Mechanisms(names) => self.push_body(out, status::OK, names, 0),
            SaslReply::Challenge(challenge) => self.push_body(out, status::AUTH_CONTINUES, challenge, 0),
            SaslReply::Authenticated => self.push_body(out, status::OK, status::AUTHENTICATED.as_bytes(), 0),
        }
    }

    fn push_body(&self, out: &mut Buffer, status: u16, body: &[u8], cas: u64) {
        out.put(&self.header(status, 0, 0, body.len(), cas));
        out.put(body);
    }

    /// Appends a line of its own: the body.
    pub(in crate::protocol) fn push_line(&self, out: &mut Buffer, line: &str) {
        self.push_body(out, status::OK, line.as_bytes(), 0);
    }

    #[cold]
    fn push_error(&self, out: &mut Buffer, (status, text): Status) {
        self.push_body(out, status, text.as_bytes(), 0);
    }

    #[inline(always)]
    pub(in crate::protocol) fn push_stored(&self, out: &mut Buffer, stored: &Stored) {
        if stored.reply == Reply::Stored {
            out.put(&self.header(status::OK, 0, 0, 0, stored.cas));
        } else {
            self.push_reply(out, stored.reply);
        }
    }

    pub(in crate::protocol) fn push_counted(&self, out: &mut Buffer, counted: &Counted) {
        if let Reply::Number(result) = counted.reply {
            self.push_body(out, status::OK, &result.to_be_bytes(), counted.cas);
        } else {
            self.push_reply(out, counted.reply);
        }
    }

    #[inline(always)]
    pub(in crate::protocol) fn push_hit(&self, out: &mut Buffer, hit: &Hit<'_>, value: &[u8]) {
        let is_put = out.append(
            #[inline(always)]
            |room| {
                room.put(&self.hit_head(hit, value.len()))?;
                if !self.key.is_empty() {
                    room.put(self.key)?;
                }
                room.put(value)
            },
        );
        if !is_put {
            self.push_hit_head(out, hit, value.len());
            out.put(value);
        }
    }

    /// By value, as all that seldom happens to a hit or a miss: a form whose address nobody has stays in registers.
    #[inline(never)]
    pub(in crate::protocol) fn push_hit_head(self, out: &mut Buffer, hit: &Hit<'_>, value_len: usize) {
        out.put(&self.hit_head(hit, value_len));
        out.put(self.key);
    }

    /// A touch shows the flags, and no key.
    pub(in crate::protocol) fn push_found(&self, out: &mut Buffer, hit: &Hit<'_>) {
        self.push_hit_head(out, hit, 0);
    }

    #[inline(always)]
    pub(in crate::protocol) fn push_fetched(&self, out: &mut Buffer, fetched: Fetched) {
        if fetched != Fetched::Hit {
            self.push_unfetched(out, fetched);
        }
    }

    #[inline(never)]
    fn push_unfetched(self, out: &mut Buffer, fetched: Fetched) {
        if fetched == Fetched::NoMemory {
            self.push_reply(out, Reply::Error(Failure::OutOfMemory));
        } else if self.key.is_empty() {
            self.push_error(out, status::NOT_FOUND);
        } else {
            // The key stands where the text would.
            let (key, key_len) = (self.key, self.key.len());
            out.put(&self.header(status::NOT_FOUND.0, key_len, 0, key_len, 0));
            out.put(key);
        }
    }

    /// The same of a store, which shows no key, in memory of its own.
    pub(in crate::protocol) fn keep(&self) -> Form<'static> {
        Form::new(self.opcode, self.opaque, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::Form;
    use crate::bytes::Buffer;
    use crate::protocol::{Failure, Fetched, Hit, Reply, Stored};
    use crate::time::{Now, Seconds};

    const OPAQUE: [u8; 4] = [9, 8, 7, 6];

    fn encoded(encode: impl FnOnce(&mut Buffer)) -> Vec<u8> {
        let mut out = Buffer::default();
        encode(&mut out);
        out.to_vec()
    }

    fn hit() -> Hit<'static> {
        let now = Now { seconds: Seconds(100), unix_epoch: 0 };
        Hit { client_flags: 0x0102_0304, cas: 0x11, details: None, now }
    }

    #[test]
    fn a_hit_has_flags_key_value_and_version() {
        let shown = encoded(|out| Form::new(0x0c, OPAQUE, b"key").push_hit(out, &hit(), b"value"));
        let head = [0x81, 0x0c, 0, 3, 4, 0, 0, 0, 0, 0, 0, 12, 9, 8, 7, 6, 0, 0, 0, 0, 0, 0, 0, 0x11];
        assert_eq!(shown, [&head[..], &[1, 2, 3, 4], b"keyvalue"].concat());
        let plain = encoded(|out| Form::new(0x00, OPAQUE, b"").push_hit(out, &hit(), b"value"));
        assert_eq!((plain[3], plain[11], &plain[28..]), (0, 9, &b"value"[..]));
    }

    #[test]
    fn a_miss_shows_its_key_where_a_hit_would() {
        let miss = |key: &'static [u8]| encoded(|out| Form::new(0x0c, OPAQUE, key).push_fetched(out, Fetched::Miss));
        assert_eq!((&miss(b"key")[2..12], &miss(b"key")[24..]), (&[0, 3, 0, 0, 0, 1, 0, 0, 0, 3][..], &b"key"[..]));
        assert_eq!((&miss(b"")[2..12], &miss(b"")[24..]), (&[0, 0, 0, 0, 0, 1, 0, 0, 0, 9][..], &b"Not found"[..]));
    }

    #[test]
    fn a_condition_that_does_not_hold_has_a_status_by_opcode() {
        for (opcode, status, text) in [
            (0x02, 2, "Data exists for key."),
            (0x13, 1, "Not found"),
            (0x0e, 5, "Not stored."),
            (0x1a, 5, "Not stored."),
        ] {
            let stored = Stored { reply: Reply::NotStored, cas: 0, value_len: 1 };
            let said = encoded(|out| Form::new(opcode, OPAQUE, b"").push_stored(out, &stored));
            assert_eq!((said[7], &said[24..]), (status, text.as_bytes()), "opcode {opcode}");
        }
    }

    #[test]
    fn failures_have_memcacheds_status_and_text() {
        for (failure, status, text) in [
            (Failure::TooLarge, 0x03, "Too large."),
            (Failure::BadFormat, 0x04, "Invalid arguments"),
            (Failure::NonNumeric, 0x06, "Non-numeric server-side value for incr or decr"),
            (Failure::FlushNotAllowed, 0x20, "Auth failure."),
            (Failure::UnknownCommand, 0x81, "Unknown command"),
            (Failure::NoMemoryStoring, 0x82, "Out of memory allocating item"),
            (Failure::NoMemoryReading, 0x82, "Out of memory during read"),
            (Failure::UnknownReport, 0x01, "Not found"),
        ] {
            let said = encoded(|out| Form::new(0x01, OPAQUE, b"").push_reply(out, Reply::Error(failure)));
            assert_eq!((said[7], &said[24..]), (status, text.as_bytes()), "{failure:?}");
        }
    }
}
