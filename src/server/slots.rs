//! [`Slots`]: a worker's clients, by the token the kernel gives back.
//!
//! A token is a place and its generation. Events of one poll may name a client that an earlier event of the same
//! poll closed, and whose place is taken again: the generation tells.

use mio::Token;

/// Bits of a token that are the place; the rest is the generation.
const PLACE_BITS: u32 = usize::BITS / 2;

/// Places for clients, reused from the last one that became free.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    client: Option<T>,
}

impl<T> Slots<T> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// How many places there are, free ones included.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The clients in `count` places from this one on. A client keeps its place as long as it stays.
    pub(super) fn part(&self, place: usize, count: usize) -> impl Iterator<Item = &T> {
        self.slots.iter().skip(place).take(count).filter_map(|slot| slot.client.as_ref())
    }

    pub(super) fn insert(&mut self, client: T) -> Token {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, client: None });
            self.slots.len() - 1
        });
        let slot = &mut self.slots[place];
        assert!(slot.client.is_none(), "a free place is empty");
        slot.client = Some(client);
        token(place, slot.generation)
    }

    /// The client of this token, if it is still there.
    #[inline]
    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let slot = self.slots.get_mut(place(token))?;
        if slot.generation != generation(token) {
            return None;
        }
        slot.client.as_mut()
    }

    /// Takes a client out; its token is nobody's from now on.
    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        let place = place(token);
        let slot = self.slots.get_mut(place)?;
        if slot.generation != generation(token) {
            return None;
        }
        let client = slot.client.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(place);
        Some(client)
    }

    /// The clients and their tokens.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(place, slot)| slot.client.as_ref().map(|client| (token(place, slot.generation), client)))
    }

    /// The tokens of the clients for which `wanted` holds.
    pub(super) fn tokens(&self, mut wanted: impl FnMut(&T) -> bool) -> Vec<Token> {
        self.iter().filter(|(_, client)| wanted(client)).map(|(token, _)| token).collect()
    }
}

fn token(place: usize, generation: u32) -> Token {
    let generation = usize::try_from(generation).expect("at least 32 bits");
    Token(generation << PLACE_BITS | place)
}

/// A client's place: a small number that no two clients of a worker have at a time.
#[inline]
fn place(token: Token) -> usize {
    token.0 & ((1 << PLACE_BITS) - 1)
}

#[inline]
fn generation(token: Token) -> u32 {
    u32::try_from(token.0 >> PLACE_BITS).expect("half of a token")
}

const _: () = assert!(usize::BITS == 64, "half of a token holds a generation");

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn a_token_of_a_closed_client_names_nobody() {
        let mut slots = Slots::new();
        let first = slots.insert('a');
        let second = slots.insert('b');
        assert_eq!(slots.remove(first), Some('a'));
        let third = slots.insert('c');
        assert_ne!(first, third);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get_mut(third), Some(&mut 'c'));
        assert_eq!(slots.get_mut(second), Some(&mut 'b'));
        assert_eq!(slots.tokens(|_| true), [third, second]);
    }

    #[test]
    fn slots_are_empty_when_everybody_left() {
        let mut slots = Slots::new();
        assert!(slots.is_empty());
        let token = slots.insert(());
        assert!(!slots.is_empty());
        slots.remove(token);
        assert!(slots.is_empty());
    }
}
