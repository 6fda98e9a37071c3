//! The header of each datagram (memcached's protocol.txt): four numbers of 16 bits, the highest byte first.
//!
//! ```text
//! request id | sequence | datagrams of the message | 0 |  what a stream would carry
//! ```

/// Bytes of a header.
const HEADER_BYTES: usize = 8;

/// Most bytes of a reply's datagram with its header: what crosses a network in one piece (memcached's
/// `UDP_MAX_PAYLOAD_SIZE`).
pub const DATAGRAM_BYTES_MAX: usize = 1400;

/// Most bytes of a reply in one datagram.
const PAYLOAD_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - HEADER_BYTES;

/// What error replies begin with: two servers whose replies came to each other would answer each other for ever.
const REPLIES: [&[u8]; 3] = [b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"];

/// A request's datagram: the client's number for it, and its bytes.
///
/// `None` for what is not answered: too short for a header and a byte of a request, one of several datagrams of a
/// request (memcached drops these, too), and replies.
#[must_use]
pub fn parse_datagram(datagram: &[u8]) -> Option<(u16, &[u8])> {
    let (header, request) = datagram.split_first_chunk::<HEADER_BYTES>()?;
    let [id @ .., _, _, high, low, _, _] = header;
    let is_whole = u16::from_be_bytes([*high, *low]) == 1 && !request.is_empty();
    let is_reply = REPLIES.iter().any(|words| request.starts_with(words));
    (is_whole && !is_reply).then_some((u16::from_be_bytes(*id), request))
}

/// A reply on its way: the headers of its datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    id: u16,
    sequence: u16,
    total: u16,
}

impl Message {
    /// A message of so many bytes to the request of this number; `None`: it would be of more datagrams than their
    /// numbers can tell.
    #[must_use]
    pub fn new(id: u16, bytes: usize) -> Option<Self> {
        let total = u16::try_from(bytes.div_ceil(PAYLOAD_BYTES_MAX)).ok()?;
        Some(Self { id, sequence: 0, total })
    }

    /// How many datagrams are still to be made.
    #[must_use]
    pub fn left(&self) -> usize {
        usize::from(self.total - self.sequence)
    }

    /// Begins the next datagram; the room behind its header, which only the last one leaves unfilled.
    pub fn next<'d>(&mut self, datagram: &'d mut [u8; DATAGRAM_BYTES_MAX]) -> &'d mut [u8; PAYLOAD_BYTES_MAX] {
        let (header, room) = datagram.split_at_mut(HEADER_BYTES);
        for (place, number) in header.chunks_exact_mut(2).zip([self.id, self.sequence, self.total, 0]) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        self.sequence = self.sequence.saturating_add(1);
        room.try_into().expect("a datagram is a header and the rest")
    }

    /// The length of a datagram with so many bytes behind its header.
    #[must_use]
    pub fn datagram_len(payload_len: usize) -> usize {
        HEADER_BYTES + payload_len
    }
}

#[cfg(test)]
mod tests {
    use super::{DATAGRAM_BYTES_MAX, Message, PAYLOAD_BYTES_MAX, parse_datagram};

    #[test]
    fn a_request_is_one_whole_datagram() {
        assert_eq!(parse_datagram(b"\x01\x02\0\0\0\x01\0\0get a\r\n"), Some((0x102, &b"get a\r\n"[..])));
        assert_eq!(
            parse_datagram(b"\x01\x02\x07\x07\0\x01\x07\x07x"),
            Some((0x102, &b"x"[..])),
            "the rest is not read"
        );
        for nothing in [&b""[..], b"get a\r\n", b"\0\0\0\0\0\x01\0\0"] {
            assert_eq!(parse_datagram(nothing), None, "{nothing:?}");
        }
        for count in [[0, 0], [0, 2], [1, 1], [1, 0], [255, 255]] {
            let datagram = [&[0, 0, 0, 0], &count[..], b"\0\0get a\r\n"].concat();
            assert_eq!(parse_datagram(&datagram), None, "of {count:?}");
        }
    }

    #[test]
    fn a_reply_is_no_request() {
        for reply in ["ERROR\r\n", "CLIENT_ERROR bad command line format\r\n", "SERVER_ERROR x\r\n"] {
            let datagram = [b"\0\0\0\0\0\x01\0\0", reply.as_bytes()].concat();
            assert_eq!(parse_datagram(&datagram), None, "{reply}");
        }
    }

    #[test]
    fn a_message_is_numbered_from_0() {
        let mut message = Message::new(0x102, 2 * PAYLOAD_BYTES_MAX + 1).expect("three datagrams");
        let mut headers = Vec::new();
        while message.left() > 0 {
            let mut datagram = [0xff; DATAGRAM_BYTES_MAX];
            assert_eq!(message.next(&mut datagram).len(), PAYLOAD_BYTES_MAX);
            headers.push(datagram[..8].to_vec());
        }
        assert_eq!(headers, [[1, 2, 0, 0, 0, 3, 0, 0], [1, 2, 0, 1, 0, 3, 0, 0], [1, 2, 0, 2, 0, 3, 0, 0]]);
        assert_eq!(Message::new(0, PAYLOAD_BYTES_MAX).map(|message| message.left()), Some(1));
        let most = PAYLOAD_BYTES_MAX * usize::from(u16::MAX);
        assert_eq!(Message::new(0, most).map(|message| message.left()), Some(65_535));
        assert_eq!(Message::new(0, most + 1), None);
    }
}
