//! The text protocol: lines of words, and data blocks whose length the line tells.

mod admin;
pub mod auth;
mod background;
mod base64;
pub mod classic;
pub mod dump;
mod encode;
mod form;
pub mod keys;
mod line;
pub mod meta;
mod plain;
mod report;
mod texts;
pub mod token;

pub use encode::{VALUE_TAIL, push_reply};
pub use form::{Form, FormKept};
pub use meta::Echo;
pub use plain::Plain;
pub use report::{push_line, push_prefixes, push_stat};

use super::{Asked, Form as AnyForm, Quiet};

/// Room for the line before a value.
pub const HEAD_BYTES_MAX: usize = if meta::HEAD_BYTES_MAX > encode::VALUE_HEAD_BYTES_MAX {
    meta::HEAD_BYTES_MAX
} else {
    encode::VALUE_HEAD_BYTES_MAX
};

/// How a line is answered.
const fn asked(quiet: Quiet, form: Form<'_>) -> Asked<'_> {
    Asked { quiet, form: AnyForm::Ascii(form) }
}
