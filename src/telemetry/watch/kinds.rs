//! [`Kinds`]: the sorts of events that `watch` names.

use std::ops::BitOr;

use super::event::Event;

/// A set of kinds of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u32);

/// memcached's words, in the order it looks through them. The proxy's have no events here, and none there without it.
const WORDS: [(&str, Kinds); 10] = [
    ("rawcmds", Kinds::COMMANDS),
    ("evictions", Kinds::EVICTIONS),
    ("fetchers", Kinds::FETCHERS),
    ("mutations", Kinds::MUTATIONS),
    ("sysevents", Kinds::SYSTEM),
    ("connevents", Kinds::CONNECTIONS),
    ("proxyreqs", Kinds::PROXY),
    ("proxyevents", Kinds::PROXY),
    ("proxyuser", Kinds::PROXY),
    ("deletions", Kinds::DELETIONS),
];

impl Kinds {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Keys looked up.
    pub const FETCHERS: Self = Self(1);
    /// Values stored.
    pub const MUTATIONS: Self = Self(1 << 1);
    /// Items that went for want of room.
    pub const EVICTIONS: Self = Self(1 << 2);
    /// Clients that come and go.
    pub const CONNECTIONS: Self = Self(1 << 3);
    /// What the server does by itself.
    pub const SYSTEM: Self = Self(1 << 4);
    /// Items deleted.
    pub const DELETIONS: Self = Self(1 << 5);
    /// Commands as they come.
    pub const COMMANDS: Self = Self(1 << 6);
    /// What a proxy would say.
    pub const PROXY: Self = Self(1 << 7);
    /// What happens to items when clients ask for it.
    pub const ITEMS: Self = Self(Self::FETCHERS.0 | Self::MUTATIONS.0 | Self::DELETIONS.0);

    /// The kinds that the words of a `watch` name, fetchers when there are none; `None`: an unknown word. The beginning
    /// of a word will do, as in memcached.
    #[must_use]
    pub fn of_words<'w>(words: impl Iterator<Item = &'w [u8]>) -> Option<Self> {
        let mut kinds = Self::NONE;
        for word in words {
            kinds = kinds | WORDS.iter().find(|(name, _)| name.as_bytes().starts_with(word))?.1;
        }
        Some(if kinds == Self::NONE { Self::FETCHERS } else { kinds })
    }

    /// The kind of an event.
    pub(super) fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Get { .. } => Self::FETCHERS,
            Event::Store { .. } => Self::MUTATIONS,
            Event::Evict { .. } => Self::EVICTIONS,
            Event::Delete { .. } => Self::DELETIONS,
            Event::Open(_) | Event::Close(..) | Event::TlsError { .. } => Self::CONNECTIONS,
            Event::Move { .. } | Event::Sweep { .. } => Self::SYSTEM,
            Event::Command { .. } => Self::COMMANDS,
        }
    }

    /// Whether any of `others` is among them.
    #[must_use]
    #[inline]
    pub fn has(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    pub(super) fn bits(self) -> u32 {
        self.0
    }

    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Kinds;

    fn kinds(words: &str) -> Option<Kinds> {
        Kinds::of_words(words.split_ascii_whitespace().map(str::as_bytes))
    }

    #[test]
    fn words_add_up_and_none_means_fetchers() {
        assert_eq!(kinds(""), Some(Kinds::FETCHERS));
        assert_eq!(kinds("mutations deletions"), Some(Kinds::MUTATIONS | Kinds::DELETIONS));
        assert_eq!(kinds("proxyuser"), Some(Kinds::PROXY));
        assert_eq!(kinds("fetchers nothing"), None);
        assert_eq!(kinds("fetchersx"), None);
    }

    #[test]
    fn the_beginning_of_a_word_will_do() {
        assert_eq!(kinds("e"), Some(Kinds::EVICTIONS));
        assert_eq!(kinds("r m d"), Some(Kinds::COMMANDS | Kinds::MUTATIONS | Kinds::DELETIONS));
    }
}
