//! When the command line asks for no server: what is said, and the exit status.

use std::fmt::Display;

/// Exit status for settings that do not fit together, or that promise what does not work yet (`EX_USAGE`).
pub const USAGE: i32 = 64;

/// Where an [`Exit`]'s message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// It is what was asked for.
    Stdout,
    /// It says what is wrong.
    Stderr,
}

/// The command line asks for no server: for a text, or for what cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit status.
    pub code: i32,
    /// Lines without the last line's end.
    pub message: String,
    /// Where the message goes.
    pub output: Output,
}

impl Exit {
    /// A refusal in one line.
    #[must_use]
    pub fn error(code: i32, message: String) -> Self {
        Self { code, message, output: Output::Stderr }
    }

    /// A refusal that somebody can act on: why, in memcached's words where it has some; and in a line below what was
    /// given, flag and value, and what would do.
    #[must_use]
    pub fn refused(code: i32, why: impl Display, given: impl Display, remedy: impl Display) -> Self {
        Self::error(code, format!("{why}\nflagstone: {given}: {remedy}"))
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::error(USAGE, message.into())
    }

    pub(super) fn text(message: String) -> Self {
        Self { code: 0, message, output: Output::Stdout }
    }
}

/// A flag and its value, an empty one too, and the line of a file that they stand in.
pub(super) fn shown(form: &str, value: &str, place: Option<&str>) -> String {
    let value = if value.is_empty() { "''" } else { value };
    place.map_or_else(|| format!("{form} {value}"), |place| format!("{form} {value} ({place})"))
}
