//! The opcodes. Most have a quiet form, which is not answered where there is nothing to say.

/// What an opcode asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Get,
    Touch,
    GetAndTouch,
    Set,
    Add,
    Replace,
    Append,
    Prepend,
    Delete,
    Increment,
    Decrement,
    Flush,
    Stat,
    Noop,
    Version,
    Quit,
    SaslMechanisms,
    SaslStart,
    SaslStep,
}

pub(super) const GET: u8 = 0x00;
pub(super) const SET: u8 = 0x01;
pub(super) const GET_QUIET: u8 = 0x09;
pub(super) const GET_KEY: u8 = 0x0c;
pub(super) const GET_KEY_QUIET: u8 = 0x0d;
pub(super) const STAT: u8 = 0x10;
pub(super) const SET_QUIET: u8 = 0x11;

const TOUCH_KEY: u8 = 0x23;
const TOUCH_KEY_QUIET: u8 = 0x24;

/// What an opcode asks for, and whether it is the quiet form; `None`: nothing that memcached knows.
pub(super) fn command(opcode: u8) -> Option<(Command, bool)> {
    Some(match opcode {
        GET | GET_KEY => (Command::Get, false),
        GET_QUIET | GET_KEY_QUIET => (Command::Get, true),
        SET => (Command::Set, false),
        0x02 => (Command::Add, false),
        0x03 => (Command::Replace, false),
        0x04 => (Command::Delete, false),
        0x05 => (Command::Increment, false),
        0x06 => (Command::Decrement, false),
        0x07 => (Command::Quit, false),
        0x08 => (Command::Flush, false),
        0x0a => (Command::Noop, false),
        0x0b => (Command::Version, false),
        0x0e => (Command::Append, false),
        0x0f => (Command::Prepend, false),
        STAT => (Command::Stat, false),
        SET_QUIET => (Command::Set, true),
        0x12 => (Command::Add, true),
        0x13 => (Command::Replace, true),
        0x14 => (Command::Delete, true),
        0x15 => (Command::Increment, true),
        0x16 => (Command::Decrement, true),
        0x17 => (Command::Quit, true),
        0x18 => (Command::Flush, true),
        0x19 => (Command::Append, true),
        0x1a => (Command::Prepend, true),
        0x1c => (Command::Touch, false),
        0x1d | TOUCH_KEY => (Command::GetAndTouch, false),
        0x1e | TOUCH_KEY_QUIET => (Command::GetAndTouch, true),
        0x20 => (Command::SaslMechanisms, false),
        0x21 => (Command::SaslStart, false),
        0x22 => (Command::SaslStep, false),
        _ => return None,
    })
}

/// Whether who is not authenticated may ask for it: SASL itself and the version, as with memcached.
pub(super) fn is_for_unauthenticated(opcode: u8) -> bool {
    use Command::{SaslMechanisms, SaslStart, SaslStep, Version};
    matches!(command(opcode), Some((SaslMechanisms | SaslStart | SaslStep | Version, _)))
}

/// Whether the answer shows the key.
#[inline(always)]
pub(super) fn shows_key(opcode: u8) -> bool {
    matches!(opcode, GET_KEY | GET_KEY_QUIET | TOUCH_KEY | TOUCH_KEY_QUIET)
}
