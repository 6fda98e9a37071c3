//! [`Body`]: a large value arriving straight into its item.

use std::io::IoSliceMut;

use super::BLOCK_END;
use super::meta::KeptAsked;
use crate::command::{Arriving, Commands, Room, Stored};
use crate::protocol::Reply;

/// A value on its way, and how what becomes of it is answered.
#[derive(Debug)]
pub(super) struct Body {
    arriving: Arriving,
    answer: Answer,
}

/// How a store is answered when its value is there.
#[derive(Debug)]
pub(super) enum Answer {
    /// As the classic commands are.
    Classic {
        /// Not at all.
        noreply: bool,
    },
    /// As a meta command is.
    Meta(KeptAsked),
}

impl Answer {
    /// What an error is answered with: meta commands always tell.
    pub(super) fn to_error(&self, error: Reply) -> Option<Reply> {
        match self {
            Self::Classic { noreply: true } => None,
            Self::Classic { noreply: false } | Self::Meta(_) => Some(error),
        }
    }
}

/// What became of filling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More input is needed.
    Hungry,
    /// The store has no room for the next bytes yet.
    NoRoom,
    /// The store has no memory for the next bytes, and waiting would not help.
    Refused,
    /// The value and its end are here.
    Whole,
    /// The value is here, but not its end.
    Spoiled,
}

impl Body {
    pub(super) fn new(arriving: Arriving, answer: Answer) -> Self {
        Self { arriving, answer }
    }

    /// Moves input into the item. Returns how many bytes it took.
    pub(super) fn fill(&mut self, input: &[u8], commands: &mut Commands) -> (usize, Progress) {
        let mut used = 0;
        while self.arriving.missing() > 0 {
            let rest = &input[used..];
            if rest.is_empty() {
                return (used, Progress::Hungry);
            }
            let n = match commands.room(&mut self.arriving) {
                Room::Bytes(room) => copy_front(rest, room),
                Room::Wait => return (used, Progress::NoRoom),
                Room::NoMemory => return (used, Progress::Refused),
            };
            commands.filled(&mut self.arriving, n);
            used += n;
        }
        match input[used..].get(..BLOCK_END.len()) {
            None => (used, Progress::Hungry),
            Some(end) if end == BLOCK_END => (used + BLOCK_END.len(), Progress::Whole),
            Some(_) => (used + BLOCK_END.len(), Progress::Spoiled),
        }
    }

    /// Where the value's next bytes go, if any are missing and the store has room at once: fills `rooms` from the front
    /// and returns how many.
    pub(super) fn rooms<'b>(&'b mut self, commands: &'b mut Commands, rooms: &mut [IoSliceMut<'b>]) -> usize {
        let chunks = u32::try_from(rooms.len()).unwrap_or(u32::MAX);
        let Some(found) = commands.rooms(&mut self.arriving, chunks) else { return 0 };
        rooms.iter_mut().zip(found).map(|(room, found)| *room = IoSliceMut::new(found)).count()
    }

    /// Says that the first `n` bytes of the last rooms are filled.
    pub(super) fn filled(&mut self, n: usize, commands: &mut Commands) {
        commands.filled(&mut self.arriving, n);
    }

    /// Stores the value, or refuses it for its end.
    pub(super) fn finish(self, is_sound: bool, commands: &mut Commands) -> (Stored, Answer) {
        let Self { arriving, answer } = self;
        (if is_sound { commands.finish(arriving) } else { commands.spoil_arriving(arriving) }, answer)
    }

    /// Bytes of the value still to come.
    pub(super) fn missing_of_value(&self) -> usize {
        self.arriving.missing()
    }

    /// Bytes of the value and its end still to come.
    pub(super) fn missing(&self) -> usize {
        self.arriving.missing() + BLOCK_END.len()
    }

    /// Gives the value up for want of memory: what the client is told, if anything.
    pub(super) fn refuse(self, commands: &mut Commands) -> Option<Reply> {
        self.answer.to_error(commands.refuse_arriving(self.arriving))
    }

    /// Gives the value up.
    pub(super) fn abandon(self, commands: &mut Commands) {
        commands.abandon(self.arriving);
    }
}

/// Copies as much as both hold from the front of one to the front of the other.
fn copy_front(from: &[u8], to: &mut [u8]) -> usize {
    let n = from.len().min(to.len());
    to[..n].copy_from_slice(&from[..n]);
    n
}
