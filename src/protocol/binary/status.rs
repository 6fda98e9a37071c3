//! The statuses of answers, and memcached's texts for those that are errors.

use super::opcode::{Command, command};
use crate::protocol::Failure;

/// A number and what is said with it.
pub(super) type Status = (u16, &'static str);

pub(super) const OK: u16 = 0x0000;
/// A client is to respond to the challenge that the body is.
pub(super) const AUTH_CONTINUES: u16 = 0x0021;
/// What is said to a client that is let in.
pub(super) const AUTHENTICATED: &str = "Authenticated";
pub(super) const NOT_FOUND: Status = (0x0001, "Not found");
pub(super) const EXISTS: Status = (0x0002, "Data exists for key.");
const TOO_LARGE: Status = (0x0003, "Too large.");
const INVALID: Status = (0x0004, "Invalid arguments");
const NOT_STORED: Status = (0x0005, "Not stored.");
const NON_NUMERIC: Status = (0x0006, "Non-numeric server-side value for incr or decr");
const AUTH_FAILURE: Status = (0x0020, "Auth failure.");
const UNKNOWN_COMMAND: Status = (0x0081, "Unknown command");
const NO_MEMORY: u16 = 0x0082;

/// The condition of a request with this opcode did not hold: each has a status of its own.
pub(super) fn not_stored(opcode: u8) -> Status {
    match command(opcode) {
        Some((Command::Add, _)) => EXISTS,
        Some((Command::Replace, _)) => NOT_FOUND,
        _ => NOT_STORED,
    }
}

/// A request with this opcode failed.
pub(super) fn failed(opcode: u8, failure: Failure) -> Status {
    match (command(opcode), failure) {
        (_, Failure::UnknownReport | Failure::DetailUsage) => NOT_FOUND,
        (_, Failure::DetailNotAllowed | Failure::HotKeysNotAllowed) => NOT_FOUND,
        (_, Failure::UnknownCommand) => UNKNOWN_COMMAND,
        (_, Failure::TooLarge) => TOO_LARGE,
        (_, Failure::NonNumeric) => NON_NUMERIC,
        (_, Failure::FlushNotAllowed | Failure::Unauthenticated | Failure::UnknownToken) => AUTH_FAILURE,
        (Some((Command::Increment | Command::Decrement, _)), Failure::OutOfMemory) => {
            (NO_MEMORY, "Out of memory incrementing value")
        }
        (_, Failure::NoMemoryStoring) => (NO_MEMORY, "Out of memory allocating item"),
        (_, Failure::NoMemoryReading) => (NO_MEMORY, "Out of memory during read"),
        (_, Failure::OutOfMemory | Failure::NoMemoryWriting) => (NO_MEMORY, "Out of memory"),
        _ => INVALID,
    }
}
