//! Values that describe themselves: a torn or foreign one is told from a whole one of its key.

/// Shortest value that can tell.
pub(crate) const VALUE_BYTES_MIN: usize = 16;

/// The value of a key's version at this length.
pub(crate) fn value(key: &[u8], version: u64, len: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(len + 8);
    value.extend_from_slice(&version.to_le_bytes());
    let mut word = mix(version ^ fingerprint(key) ^ u64::try_from(len).expect("64 bits hold a usize"));
    while value.len() < len {
        value.extend_from_slice(&word.to_le_bytes());
        word = mix(word);
    }
    value.truncate(len.max(VALUE_BYTES_MIN));
    value
}

/// The version of a value that was found under this key.
pub(crate) fn version_of(key: &[u8], found: &[u8]) -> u64 {
    assert!(found.len() >= VALUE_BYTES_MIN, "{} bytes were never stored", found.len());
    let version = u64::from_le_bytes(found[..8].try_into().expect("eight bytes"));
    let whole = value(key, version, found.len());
    if let Some(at) = (0..found.len()).find(|&at| found[at] != whole[at]) {
        let key = String::from_utf8_lossy(key);
        panic!("{key}: version {version:#x} of {} bytes is torn or foreign at byte {at}", found.len());
    }
    version
}

fn fingerprint(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (word ^ word >> 29).wrapping_add(0x1234_5678_9abc_def1)
}
