//! [`Sketch`]: Space-Saving counts of the keys seen most, in a fixed number of places. A heap knows the lowest count,
//! and chains by hash find a key's place.

/// Places. No count is off by more than a so-many-th of all that was added.
pub(super) const PLACES: usize = 2048;
/// Chains that lead to the places.
const CHAINS: usize = 4096;

/// Chains' links are a place's number plus one in 16 bits.
const _: () = assert!(PLACES < u16::MAX as usize && CHAINS.is_power_of_two());

/// Counts of the keys seen most.
#[derive(Debug)]
pub(super) struct Sketch {
    places: Vec<Count>,
    /// Places, the one with the lowest count first: a binary heap.
    heap: Vec<u16>,
    /// The first place of each chain, plus one; 0: none.
    chains: Vec<u16>,
}

/// What is known of a key.
#[derive(Debug)]
pub(super) struct Count {
    key: Vec<u8>,
    hash: u64,
    /// What was added for it, and what was there when it took its place.
    count: u64,
    error: u64,
    /// Bytes added since.
    pub(super) bytes: u64,
    /// Where it stands in the heap.
    heap_at: u16,
    /// The next place of its chain, plus one; 0: none.
    next: u16,
}

impl Count {
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// What is sure to have been added for it.
    pub(super) fn sure(&self) -> u64 {
        self.count - self.error
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self { places: Vec::new(), heap: Vec::new(), chains: vec![0; CHAINS] }
    }
}

impl Sketch {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.heap.clear();
        self.chains.fill(0);
    }

    /// All keys that have a place.
    pub(super) fn counts(&self) -> impl Iterator<Item = &Count> {
        self.places.iter()
    }

    /// Adds to a key's count.
    pub(super) fn add(&mut self, key: &[u8], hash: u64, weight: u64, bytes: u64) {
        let place = match self.find(key, hash) {
            Some(place) => place,
            None if self.places.len() < PLACES => self.open(key, hash),
            None => self.take_lowest(key, hash),
        };
        let count = &mut self.places[usize::from(place)];
        count.count += weight;
        count.bytes = count.bytes.saturating_add(bytes);
        let heap_at = usize::from(count.heap_at);
        self.sink(heap_at);
    }

    fn find(&self, key: &[u8], hash: u64) -> Option<u16> {
        let mut link = self.chains[chain(hash)];
        while let Some(place) = link.checked_sub(1) {
            let count = &self.places[usize::from(place)];
            if count.hash == hash && count.key == key {
                return Some(place);
            }
            link = count.next;
        }
        None
    }

    /// A place that nobody had. With a count of 0 it rises to the top of the heap.
    fn open(&mut self, key: &[u8], hash: u64) -> u16 {
        let place = short(self.places.len());
        self.places.push(Count { key: key.to_vec(), hash, count: 0, error: 0, bytes: 0, heap_at: place, next: 0 });
        self.heap.push(place);
        self.link(place);
        let mut at = self.heap.len() - 1;
        while at > 0 && self.count_at((at - 1) / 2) > 0 {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        place
    }

    /// The place of the key with the lowest count.
    fn take_lowest(&mut self, key: &[u8], hash: u64) -> u16 {
        let place = self.heap[0];
        self.unlink(place);
        let count = &mut self.places[usize::from(place)];
        count.key.clear();
        count.key.extend_from_slice(key);
        count.hash = hash;
        count.error = count.count;
        count.bytes = 0;
        self.link(place);
        place
    }

    fn link(&mut self, place: u16) {
        let count = &mut self.places[usize::from(place)];
        let first = &mut self.chains[chain(count.hash)];
        count.next = std::mem::replace(first, place + 1);
    }

    fn unlink(&mut self, place: u16) {
        let (hash, next) = (self.places[usize::from(place)].hash, self.places[usize::from(place)].next);
        let first = &mut self.chains[chain(hash)];
        if *first == place + 1 {
            *first = next;
            return;
        }
        let mut link = *first;
        while let Some(before) = link.checked_sub(1) {
            let before = &mut self.places[usize::from(before)];
            if before.next == place + 1 {
                before.next = next;
                return;
            }
            link = before.next;
        }
    }

    /// Moves what grew down the heap.
    fn sink(&mut self, from: usize) {
        let mut at = from;
        loop {
            let left = 2 * at + 1;
            if left >= self.heap.len() {
                return;
            }
            let right_is_lower = left + 1 < self.heap.len() && self.count_at(left + 1) < self.count_at(left);
            let lower = left + usize::from(right_is_lower);
            if self.count_at(at) <= self.count_at(lower) {
                return;
            }
            self.swap(at, lower);
            at = lower;
        }
    }

    fn count_at(&self, at: usize) -> u64 {
        self.places[usize::from(self.heap[at])].count
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        for at in [one, other] {
            self.places[usize::from(self.heap[at])].heap_at = short(at);
        }
    }

    /// Each key is found at its place, and no count is lower than one above it in the heap.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.heap.len(), self.places.len());
        for (number, count) in self.places.iter().enumerate() {
            assert_eq!(self.find(&count.key, count.hash), Some(short(number)));
            let at = usize::from(count.heap_at);
            assert_eq!(usize::from(self.heap[at]), number);
            assert!(at == 0 || self.count_at((at - 1) / 2) <= count.count);
            assert!(count.error <= count.count);
        }
    }
}

fn chain(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or(0) & (CHAINS - 1)
}

fn short(number: usize) -> u16 {
    u16::try_from(number).expect("fewer than the places")
}
