//! What may be asked of an item, once for all layers: the condition of a store, the rare options of the four
//! operations, and what few fetches want to know.
//!
//! They are generic over the word for a time: a dialect gives the exptime of the wire, the store takes the deadline on
//! the server's clock. [`FetchExtras::map`] and its like lead from one to the other.

use crate::time::Expiry;

/// When a value may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Always.
    Set,
    /// If the key is missing.
    Add,
    /// If the key exists.
    Replace,
    /// Behind the existing value, keeping its flags and expiry.
    Append,
    /// Before the existing value, keeping its flags and expiry.
    Prepend,
    /// If the item's version is this one.
    Cas(u64),
}

/// What few fetches ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchExtras<E> {
    /// The fetch is no use of the item: it counts neither as an access nor as fetched.
    pub no_bump: bool,
    /// The fetch is about the item, not for its value: it is counted as no get, no hit of the class, and wins nothing.
    pub inspects: bool,
    /// The value is not wanted if the item's version is this one.
    pub unless_cas: Option<u64>,
    /// Win the item if it expires before this.
    pub recache: Option<E>,
    /// `recache` looks at the expiry that the touch gave.
    pub recache_after_touch: bool,
    /// A miss makes an empty item, which is won.
    pub create: Option<Create<E>>,
}

/// An item that is made when a key is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Create<E> {
    /// How long.
    pub expiry: E,
    /// Its version; 0: one of ours.
    pub own_cas: u64,
    /// The key came encoded, and is shown encoded.
    pub binary_key: bool,
}

/// What few stores ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreExtras<E> {
    /// append and prepend: only to an item of this version.
    pub compare: Option<u64>,
    /// [`Mode::Cas`] with an older version than the item's stores, too, but what it stores is out of date from the
    /// start: it keeps the item's expiry and whether it is won.
    pub or_stale: bool,
    /// append and prepend to a missing key store the value, with this expiry.
    pub create: Option<E>,
    /// The item's version; 0: one of ours.
    pub own_cas: u64,
    /// The key came encoded, and is shown encoded.
    pub binary_key: bool,
    /// It came as a meta command, none of which memcached counts by prefix.
    pub is_meta: bool,
}

/// What few deletes ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeleteExtras<E> {
    /// Only an item of this version.
    pub compare: Option<u64>,
    /// The item stays, with a new version, as out of date: the next reader wins it.
    pub invalidate: bool,
    /// The new expiry of an invalidated item.
    pub touch: Option<E>,
    /// The item stays, empty.
    pub empty: Option<Emptied<E>>,
    /// The version of an item that stays; 0: one of ours.
    pub own_cas: u64,
    /// It came as a meta command: memcached counts none by prefix, but a version that is not the item's as a miss, and
    /// has another word for it for who watches.
    pub is_meta: bool,
}

/// What an item becomes that stays without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emptied<E> {
    /// The client's opaque number.
    pub client_flags: u32,
    /// How long.
    pub expiry: E,
}

/// What few incrs and decrs ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArithmeticExtras<E> {
    /// Only an item of this version.
    pub compare: Option<u64>,
    /// A missing key gets this number and expiry.
    pub create: Option<(u64, E)>,
    /// The new expiry.
    pub touch: Option<E>,
    /// The item's version; 0: one of ours.
    pub own_cas: u64,
    /// The key came encoded, and is shown encoded.
    pub binary_key: bool,
}

/// More of an item than most fetches want to know: as it was before the fetch, but for `is_won`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Details {
    /// Length of the value, wanted or not, in bytes.
    pub value_len: usize,
    /// Room of the whole item in bytes.
    pub item_bytes: u64,
    /// The number of its class.
    pub class: u32,
    /// When it dies; never, for an item made by this fetch.
    pub expiry: Expiry,
    /// Seconds since it was last accessed.
    pub idle_seconds: u32,
    /// It has been fetched since it was stored.
    pub was_fetched: bool,
    /// Its value is out of date.
    pub is_stale: bool,
    /// Somebody has won it and is bringing a new value.
    pub was_won: bool,
    /// This fetch has won it: nobody else will until a new value is there.
    pub is_won: bool,
    /// This fetch made it.
    pub is_created: bool,
    /// Its key came encoded, and is to be shown encoded.
    pub has_binary_key: bool,
}

impl<E: Copy> FetchExtras<E> {
    /// The same in another word for times.
    #[must_use]
    #[inline]
    pub fn map<F>(&self, word: impl Fn(E) -> F) -> FetchExtras<F> {
        let create = |Create { expiry, own_cas, binary_key }| Create { expiry: word(expiry), own_cas, binary_key };
        FetchExtras {
            no_bump: self.no_bump,
            inspects: self.inspects,
            unless_cas: self.unless_cas,
            recache: self.recache.map(&word),
            recache_after_touch: self.recache_after_touch,
            create: self.create.map(create),
        }
    }
}

impl<E: Copy> StoreExtras<E> {
    /// The same in another word for times.
    #[must_use]
    #[inline]
    pub fn map<F>(&self, word: impl Fn(E) -> F) -> StoreExtras<F> {
        StoreExtras {
            compare: self.compare,
            or_stale: self.or_stale,
            create: self.create.map(word),
            own_cas: self.own_cas,
            binary_key: self.binary_key,
            is_meta: self.is_meta,
        }
    }
}

impl<E: Copy> DeleteExtras<E> {
    /// The same in another word for times.
    #[must_use]
    #[inline]
    pub fn map<F>(&self, word: impl Fn(E) -> F) -> DeleteExtras<F> {
        let emptied = |Emptied { client_flags, expiry }| Emptied { client_flags, expiry: word(expiry) };
        DeleteExtras {
            compare: self.compare,
            invalidate: self.invalidate,
            touch: self.touch.map(&word),
            empty: self.empty.map(emptied),
            own_cas: self.own_cas,
            is_meta: self.is_meta,
        }
    }
}

impl<E: Copy> ArithmeticExtras<E> {
    /// The same in another word for times.
    #[must_use]
    #[inline]
    pub fn map<F>(&self, word: impl Fn(E) -> F) -> ArithmeticExtras<F> {
        ArithmeticExtras {
            compare: self.compare,
            create: self.create.map(|(initial, expiry)| (initial, word(expiry))),
            touch: self.touch.map(&word),
            own_cas: self.own_cas,
            binary_key: self.binary_key,
        }
    }
}
