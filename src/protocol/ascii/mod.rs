//! The text protocol: lines of words, and data blocks whose length the line tells.

mod admin;
pub mod auth;
mod base64;
pub mod classic;
pub mod dump;
mod encode;
pub mod meta;
pub mod token;
mod upkeep;

pub use encode::{VALUE_HEAD_BYTES_MAX, VALUE_TAIL, push_reply, push_stat, push_value, push_value_head};
