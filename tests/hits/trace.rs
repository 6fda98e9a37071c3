//! Traces in files: `CTRACE1`, a count, then four columns of 32-bit numbers (key, action and value length, key length
//! and TTL, milliseconds).

use std::path::Path;

use crate::simulator::{Action, Request};

const MAGIC: &[u8] = b"CTRACE1\n";
const HEAD_BYTES: usize = 16;

/// A trace, read whole.
pub(crate) struct Trace {
    /// The file's name without its ending.
    pub(crate) name: String,
    columns: Vec<u32>,
    len: usize,
}

impl Trace {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is no trace.
    pub(crate) fn read(path: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let bytes = std::fs::read(path)?;
        let is_trace = bytes.starts_with(MAGIC) && bytes.len() >= HEAD_BYTES;
        if !is_trace || bytes.len() % HEAD_BYTES != 0 {
            return Err(format!("{path} is no trace").into());
        }
        let columns: Vec<u32> = bytes[HEAD_BYTES..]
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")))
            .collect();
        let name = Path::new(path).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        Ok(Self { name, len: columns.len() / 4, columns })
    }

    /// The requests, at so many a second; 0: at the trace's own times.
    pub(crate) fn requests(&self, rate: u64) -> impl Iterator<Item = Request> {
        (0..self.len).map(move |nth| self.request(nth, rate))
    }

    fn request(&self, nth: usize, rate: u64) -> Request {
        let [id, action, lengths, millis] = [0, 1, 2, 3].map(|column| self.columns[column * self.len + nth]);
        let micros = (nth as u64 * 1_000_000).checked_div(rate).unwrap_or_else(|| u64::from(millis) * 1000);
        Request {
            id,
            action: match action >> 28 {
                0 => Action::Get,
                1 => Action::Set,
                _ => Action::Delete,
            },
            key_bytes: (lengths >> 24) as usize,
            value_bytes: (action & 0x0fff_ffff) as usize,
            ttl_seconds: lengths & 0x00ff_ffff,
            micros,
        }
    }
}
