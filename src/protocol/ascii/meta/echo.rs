//! [`Echo`]: what the answer to a meta command shows, in the order of its line.

/// The letters that a reply is made by: ten at most, since none comes twice.
const LETTERS_MAX: usize = b"TNtscflhOk".len();

/// Longest opaque flag, its letter included (memcached's rule).
const OPAQUE_BYTES_MAX: usize = 32;

/// The flags of a request, as its answer needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Whether the key came encoded.
    pub(super) is_base64: bool,
    /// What is shown.
    pub(super) letters: Letters,
    /// The word that begins with `O`, if there is one.
    pub(super) opaque: Opaque,
    /// The exptime of `T`.
    pub(super) touch: Option<i64>,
    /// The exptime of `N`.
    pub(super) create: Option<i64>,
    /// Whether a number is shown: `v`.
    pub(super) shows_value: bool,
}

/// Flags in the order of their line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Letters {
    letters: [u8; LETTERS_MAX],
    count: u8,
}

impl Letters {
    #[inline]
    pub(super) fn push(&mut self, letter: u8) {
        if let Some(place) = self.letters.get_mut(usize::from(self.count)) {
            *place = letter;
            self.count += 1;
        }
    }

    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        self.letters.iter().copied().take(usize::from(self.count))
    }
}

/// A word of at most [`OPAQUE_BYTES_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Opaque {
    bytes: [u8; OPAQUE_BYTES_MAX],
    len: u8,
}

impl Opaque {
    /// `None`: the word is too long.
    pub(super) fn new(word: &[u8]) -> Option<Self> {
        let mut opaque = Self { bytes: [0; OPAQUE_BYTES_MAX], len: u8::try_from(word.len()).ok()? };
        opaque.bytes.get_mut(..word.len())?.copy_from_slice(word);
        Some(opaque)
    }

    pub(super) fn word(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
