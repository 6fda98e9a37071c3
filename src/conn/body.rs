//! [`Body`]: a large value arriving straight into its item.

use std::io::IoSliceMut;

use crate::command::{Arriving, Claim, Commands, Room};
use crate::protocol::{Asked, AskedKept, Reply, Stored};
use crate::telemetry::CommandKind;

/// A value on its way, and how what becomes of it is answered.
#[derive(Debug)]
pub(super) struct Body {
    arriving: Arriving,
    asked: AskedKept,
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
    pub(super) fn new(arriving: Arriving, asked: &Asked<'_>) -> Self {
        Self { arriving, asked: asked.keep() }
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
        let value_end = self.asked.asked().value_end();
        match input[used..].get(..value_end.len()) {
            None => (used, Progress::Hungry),
            Some(end) if end == value_end => (used + end.len(), Progress::Whole),
            Some(end) => (used + end.len(), Progress::Spoiled),
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
    pub(super) fn finish(self, is_sound: bool, commands: &mut Commands) -> (Stored, AskedKept) {
        let Self { arriving, asked } = self;
        (if is_sound { commands.finish(arriving) } else { commands.spoil_arriving(arriving) }, asked)
    }

    /// Its place among those that wait for memory, if it does.
    pub(super) fn claim(&self) -> Option<Claim> {
        self.arriving.claim()
    }

    /// Whether bytes of the value have come.
    pub(super) fn has_begun(&self) -> bool {
        self.arriving.has_begun()
    }

    /// Bytes of the value still to come.
    pub(super) fn missing_of_value(&self) -> usize {
        self.arriving.missing()
    }

    /// Bytes of the value and its end still to come.
    pub(super) fn missing(&self) -> usize {
        self.arriving.missing() + self.asked.asked().value_end().len()
    }

    /// The kind of its request.
    pub(super) fn kind(&self) -> CommandKind {
        self.asked.asked().kind_of_store()
    }

    /// Gives the value up for want of memory: what the client is told.
    pub(super) fn refuse(self, commands: &mut Commands) -> (Reply, AskedKept) {
        (commands.refuse_arriving(self.arriving), self.asked)
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
