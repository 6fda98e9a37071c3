//! [`Kept`]: input of a connection that is not consumed, in memory of its own.

/// Bytes kept between turns. Empty, it holds no memory.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    /// How many of `bytes` are consumed: a long pipeline is served a budget at a time and not moved each time.
    start: usize,
}

impl Kept {
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Keeps these bytes instead.
    #[inline]
    pub(super) fn replace(&mut self, bytes: &[u8]) {
        if bytes.is_empty() && self.bytes.capacity() == 0 {
            return;
        }
        self.replace_slow(bytes);
    }

    #[cold]
    fn replace_slow(&mut self, bytes: &[u8]) {
        self.bytes = bytes.to_vec();
        self.start = 0;
    }

    /// The first `n` bytes are done with.
    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
        assert!(self.start <= self.bytes.len(), "no more is consumed than was kept");
        if self.start == self.bytes.len() {
            *self = Self::default();
        }
    }
}
