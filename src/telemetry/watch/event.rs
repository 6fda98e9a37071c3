//! [`Event`]: what a watcher can see, and how it is packed into numbers for a ring.

/// Longest text of an event: a key, an address, or as much of a command as is shown (memcached's 512).
pub(super) const TEXT_BYTES_MAX: usize = 512;

/// Words that are numbers while they travel and text where they are shown.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$word_doc])* $word,)* }

        impl $name {
            const ALL: &[Self] = &[$(Self::$word,)*];

            /// The word in a line.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$word => $text,)* }
            }

            fn number(self) -> u8 {
                let at = Self::ALL.iter().position(|word| *word == self);
                at.and_then(|at| u8::try_from(at).ok()).expect("a short list with every word")
            }

            fn of(number: u8) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }
        }
    };
}

words! {
    /// What a look at a key has found.
    Seen {
        /// Nothing.
        NotFound = "not_found",
        /// An item.
        Found = "found",
        /// An item that a `flush_all` had ended.
        Flushed = "flushed",
        /// An item whose time was over.
        Expired = "expired",
    }
}

words! {
    /// What became of a store.
    StoreStatus {
        /// The condition did not hold.
        NotStored = "not_stored",
        /// Stored.
        Stored = "stored",
        /// Another version.
        Exists = "exists",
        /// No such item.
        NotFound = "not_found",
        /// Over the limit of an item.
        TooLarge = "too_large",
        /// No memory.
        NoMemory = "no_memory",
    }
}

words! {
    /// Which store it was.
    StoreWord {
        /// add, and a number that was missing.
        Add = "add",
        /// set.
        Set = "set",
        /// replace.
        Replace = "replace",
        /// append.
        Append = "append",
        /// prepend.
        Prepend = "prepend",
        /// cas.
        Cas = "cas",
    }
}

words! {
    /// Which delete it was.
    DeleteWord {
        /// delete.
        Delete = "delete",
        /// md.
        MetaDelete = "md",
    }
}

words! {
    /// How a client came.
    Transport {
        /// Over a unix socket.
        Local = "local",
        /// Over TCP.
        Tcp = "tcp",
    }
}

words! {
    /// Why a connection ended.
    CloseReason {
        /// The socket failed, what came was no request, or a watcher left.
        Error = "error",
        /// The client left or said `quit`.
        Normal = "normal",
        /// It was silent for too long.
        IdleTimeout = "idle_timeout",
        /// It said `shutdown`.
        Shutdown = "shutdown",
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A key was looked up.
    Get {
        /// The key.
        key: &'a [u8],
        /// What was there.
        seen: Seen,
        /// The item's class; 0: none.
        class: u32,
        /// The client's descriptor.
        cfd: u32,
        /// Length of the value.
        size: u64,
    },
    /// A value was to be stored.
    Store {
        /// The key.
        key: &'a [u8],
        /// What became of it.
        status: StoreStatus,
        /// By which command.
        word: StoreWord,
        /// Seconds to live; 0: for ever. Those of a value stored dead wrap, as memcached's do.
        ttl: u32,
        /// The item's class; 0: none.
        class: u32,
        /// The client's descriptor.
        cfd: u32,
        /// Length of the value.
        size: u64,
    },
    /// An item went for want of room.
    Evict {
        /// The key.
        key: &'a [u8],
        /// Somebody had fetched it.
        was_fetched: bool,
        /// Seconds it had to live; `None`: for ever.
        ttl: Option<u32>,
        /// Seconds since it was last used.
        idle: u32,
        /// Its class.
        class: u32,
        /// Length of its value.
        size: u64,
    },
    /// An item was deleted.
    Delete {
        /// The key.
        key: &'a [u8],
        /// By which command.
        word: DeleteWord,
        /// Its class.
        class: u32,
        /// Length of its value.
        size: u64,
    },
    /// A client came.
    Open(Peer<'a>),
    /// A client went.
    Close(Peer<'a>, CloseReason),
    /// A client's TLS has failed.
    TlsError {
        /// The client's descriptor.
        cfd: u32,
        /// Why.
        why: &'a [u8],
    },
    /// A page is to go from a class to another; 0 is the pool.
    Move {
        /// From.
        from: u32,
        /// To.
        to: u32,
    },
    /// A pass over a class in search of the dead has ended.
    Sweep {
        /// The class.
        class: u32,
        /// Seconds it took.
        elapsed: u32,
        /// Items looked at.
        examined: u64,
        /// Items removed.
        reclaimed: u64,
    },
    /// A command came, as it stands.
    Command {
        /// The client's descriptor.
        cfd: u32,
        /// Its line, without the end.
        line: &'a [u8],
    },
}

/// A client, for who watches connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer<'a> {
    /// Its address as text; empty when nobody knows it any more.
    pub address: &'a [u8],
    /// Its port; 0 on a unix socket.
    pub port: u16,
    /// How it came.
    pub transport: Transport,
    /// Its descriptor.
    pub cfd: u32,
}

/// An event as numbers: what it is and two words in the first, the rest as each kind needs it; the text apart.
pub(super) type Numbers = [u64; 4];

impl<'a> Event<'a> {
    /// The event without its text, and its text cut to [`TEXT_BYTES_MAX`].
    pub(super) fn pack(&self) -> (Numbers, &'a [u8]) {
        let (tag, a, b, class, cfd, rest, text) = match *self {
            Self::Get { key, seen, class, cfd, size } => (0, seen.number(), 0, class, cfd, [size, 0], key),
            Self::Store { key, status, word, ttl, class, cfd, size } => {
                (1, status.number(), word.number(), class, cfd, [size, u64::from(ttl)], key)
            }
            Self::Evict { key, was_fetched, ttl, idle, class, size } => {
                let rest = [size, u64::from(ttl.unwrap_or(0))];
                (2, u8::from(was_fetched), u8::from(ttl.is_some()), class, idle, rest, key)
            }
            Self::Delete { key, word, class, size } => (3, word.number(), 0, class, 0, [size, 0], key),
            Self::Open(peer) => (4, peer.transport.number(), 0, u32::from(peer.port), peer.cfd, [0, 0], peer.address),
            Self::Close(peer, reason) => {
                let (a, b) = (peer.transport.number(), reason.number());
                (5, a, b, u32::from(peer.port), peer.cfd, [0, 0], peer.address)
            }
            Self::Move { from, to } => (6, 0, 0, from, to, [0, 0], &[][..]),
            Self::Sweep { class, elapsed, examined, reclaimed } => {
                (7, 0, 0, class, elapsed, [examined, reclaimed], &[][..])
            }
            Self::Command { cfd, line } => (8, 0, 0, 0, cfd, [0, 0], line),
            Self::TlsError { cfd, why } => (9, 0, 0, 0, cfd, [0, 0], why),
        };
        let head = u64::from_le_bytes([tag, a, b, 0, 0, 0, 0, 0]);
        let pair = u64::from(class) << 32 | u64::from(cfd);
        ([head, pair, rest[0], rest[1]], &text[..text.len().min(TEXT_BYTES_MAX)])
    }

    /// The event of these numbers and this text; `None`: none has such numbers.
    pub(super) fn unpack(numbers: Numbers, text: &'a [u8]) -> Option<Self> {
        let [head, pair, size, more] = numbers;
        let [tag, a, b, ..] = head.to_le_bytes();
        let (class, cfd) = (u32::try_from(pair >> 32).ok()?, low(pair));
        Some(match tag {
            0 => Self::Get { key: text, seen: Seen::of(a)?, class, cfd, size },
            1 => {
                let (status, word) = (StoreStatus::of(a)?, StoreWord::of(b)?);
                Self::Store { key: text, status, word, ttl: low(more), class, cfd, size }
            }
            2 => {
                let ttl = (b != 0).then(|| low(more));
                Self::Evict { key: text, was_fetched: a != 0, ttl, idle: cfd, class, size }
            }
            3 => Self::Delete { key: text, word: DeleteWord::of(a)?, class, size },
            4 | 5 => {
                let port = u16::try_from(class).ok()?;
                let peer = Peer { address: text, port, transport: Transport::of(a)?, cfd };
                if tag == 4 { Self::Open(peer) } else { Self::Close(peer, CloseReason::of(b)?) }
            }
            6 => Self::Move { from: class, to: cfd },
            7 => Self::Sweep { class, elapsed: cfd, examined: size, reclaimed: more },
            8 => Self::Command { cfd, line: text },
            9 => Self::TlsError { cfd, why: text },
            _ => return None,
        })
    }
}

/// The lower half of a number.
fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).expect("masked")
}

#[cfg(test)]
pub(super) mod tests {
    use super::{
        CloseReason, DeleteWord, Event, Numbers, Peer, Seen, StoreStatus, StoreWord, TEXT_BYTES_MAX, Transport,
    };

    /// One event of each kind, with numbers as large as they get.
    pub(in crate::telemetry::watch) fn examples() -> Vec<Event<'static>> {
        let (class, cfd, size) = (u32::MAX - 1, u32::MAX, u64::MAX);
        let peer = Peer { address: b"::1", port: u16::MAX, transport: Transport::Tcp, cfd };
        vec![
            Event::Get { key: b"k", seen: Seen::Expired, class, cfd, size },
            Event::Store {
                key: &[b'k'; 250],
                status: StoreStatus::NoMemory,
                word: StoreWord::Cas,
                ttl: u32::MAX,
                class,
                cfd,
                size,
            },
            Event::Evict { key: b"k", was_fetched: true, ttl: None, idle: u32::MAX, class, size },
            Event::Evict { key: b"k", was_fetched: false, ttl: Some(0), idle: 0, class, size },
            Event::Delete { key: b"12345678", word: DeleteWord::MetaDelete, class, size },
            Event::Open(peer),
            Event::Close(peer, CloseReason::Shutdown),
            Event::Move { from: 1, to: u32::MAX },
            Event::Sweep { class, elapsed: 1, examined: u64::MAX, reclaimed: 3 },
            Event::Command { cfd, line: b"get a" },
            Event::TlsError { cfd, why: b"no TLS" },
        ]
    }

    #[test]
    fn an_event_comes_out_as_it_went_in() {
        for event in examples() {
            let (numbers, text) = event.pack();
            assert_eq!(Event::unpack(numbers, text), Some(event));
        }
    }

    #[test]
    fn a_command_is_cut_to_what_is_shown() {
        let (_, text) = Event::Command { cfd: 1, line: &[b'x'; 2000] }.pack();
        assert_eq!(text.len(), TEXT_BYTES_MAX);
    }

    #[test]
    fn numbers_of_no_event_are_none() {
        let wrong: [Numbers; 3] = [[10, 0, 0, 0], [0x0900, 0, 0, 0], [0x0601, 0, 0, 0]];
        for numbers in wrong {
            assert_eq!(Event::unpack(numbers, b""), None, "{numbers:?}");
        }
    }
}
