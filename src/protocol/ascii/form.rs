//! [`Form`]: what the answer to a line shows of that line.

use super::encode::{push_reply, push_value, push_value_head};
use super::meta::{self, Echo};
use crate::bytes::Buffer;
use crate::protocol::{Counted, Failure, Fetch, Fetched, Hit, Reply, Stored};

/// What the answer to a line shows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// A key of a line of several: their end is not the key's to say.
    Key,
    /// The only key of its line.
    OneKey,
    /// Nothing.
    Line,
    /// What the flags of a meta command ask for.
    Meta {
        /// The key's own bytes.
        key: &'a [u8],
        /// What is shown, in which order.
        echo: &'a Echo,
    },
    /// What `me` says.
    Inspection {
        /// The key's own bytes.
        key: &'a [u8],
    },
}

impl Form<'_> {
    /// Appends what is answered.
    #[inline(always)]
    pub(in crate::protocol) fn push_reply(&self, out: &mut Buffer, reply: Reply) {
        match self {
            Self::Meta { key, echo } => meta::push_reply_to(out, key, echo, reply),
            Self::Key | Self::OneKey | Self::Line | Self::Inspection { .. } => push_reply(out, reply),
        }
    }

    #[inline(always)]
    pub(in crate::protocol) fn push_stored(&self, out: &mut Buffer, stored: &Stored) {
        match self {
            Self::Meta { key, echo } => meta::push_stored(out, key, echo, stored),
            Self::Key | Self::OneKey | Self::Line | Self::Inspection { .. } => push_reply(out, stored.reply),
        }
    }

    pub(in crate::protocol) fn push_counted(&self, out: &mut Buffer, counted: &Counted) {
        match self {
            Self::Meta { key, echo } => meta::push_counted(out, key, echo, counted),
            Self::Key | Self::OneKey | Self::Line | Self::Inspection { .. } => push_reply(out, counted.reply),
        }
    }

    #[inline(always)]
    pub(in crate::protocol) fn push_hit(&self, out: &mut Buffer, fetch: &Fetch<'_>, hit: &Hit<'_>, value: &[u8]) {
        match self {
            Self::Meta { key, echo } => meta::push_hit(out, key, echo, hit, value),
            Self::Key | Self::OneKey | Self::Line | Self::Inspection { .. } => {
                push_value(out, fetch.key, hit.client_flags, value, fetch.options.cas.then_some(hit.cas));
            }
        }
    }

    pub(in crate::protocol) fn push_hit_head(&self, out: &mut Buffer, fetch: &Fetch<'_>, hit: &Hit<'_>, len: usize) {
        match self {
            Self::Meta { key, echo } => meta::push_hit_head(out, key, echo, hit, true),
            Self::Key | Self::OneKey | Self::Line | Self::Inspection { .. } => {
                push_value_head(out, fetch.key, hit.client_flags, len, fetch.options.cas.then_some(hit.cas));
            }
        }
    }

    pub(in crate::protocol) fn push_found(&self, out: &mut Buffer, hit: &Hit<'_>) {
        match self {
            Self::Meta { key, echo } => meta::push_hit_head(out, key, echo, hit, false),
            Self::Inspection { key } => meta::push_inspected(out, key, hit),
            Self::Key | Self::OneKey => {}
            Self::Line => out.extend_from_slice(b"TOUCHED\r\n"),
        }
    }

    #[inline(always)]
    pub(in crate::protocol) fn push_fetched(&self, out: &mut Buffer, fetched: Fetched) {
        match (self, fetched) {
            (Self::OneKey, Fetched::Hit | Fetched::Miss) => push_reply(out, Reply::End),
            (Self::Key, Fetched::Hit | Fetched::Miss) => {}
            (_, Fetched::Hit) => {}
            _ => self.push_unfetched(out, fetched),
        }
    }

    #[inline(never)]
    fn push_unfetched(&self, out: &mut Buffer, fetched: Fetched) {
        match (self, fetched) {
            (Self::Key | Self::OneKey, Fetched::NoMemory) => push_reply(out, Reply::Error(Failure::NoMemoryWriting)),
            (_, Fetched::NoMemory) => push_reply(out, Reply::Error(Failure::OutOfMemory)),
            (Self::Meta { key, echo }, _) => meta::push_miss(out, key, echo),
            (Self::Inspection { .. }, _) => out.extend_from_slice(b"EN\r\n"),
            (Self::Key | Self::OneKey | Self::Line, _) => push_reply(out, Reply::NotFound),
        }
    }

    /// The same in memory of its own.
    pub(in crate::protocol) fn keep(&self) -> FormKept {
        match self {
            Self::Meta { key, echo } => FormKept::Meta(Box::from(*key), Box::new(**echo)),
            Self::Key | Self::OneKey | Self::Line | Self::Inspection { .. } => FormKept::Line,
        }
    }
}

/// The form of a store in memory of its own.
#[derive(Debug)]
pub enum FormKept {
    /// Nothing is shown.
    Line,
    /// What the flags of a meta command ask for.
    Meta(Box<[u8]>, Box<Echo>),
}

impl FormKept {
    /// The form.
    pub(in crate::protocol) fn form(&self) -> Form<'_> {
        match self {
            Self::Line => Form::Line,
            Self::Meta(key, echo) => Form::Meta { key, echo },
        }
    }
}
