//! The ring's protocol: loom runs it in every order that threads and memory allow.

use super::ring::{Record, Ring};
use crate::sync::{Arc, yield_now};

/// Guards: the tail is stored last and read first: who sees a record sees all of it. The ring holds one record of one
/// word of text, so that each write is over the last. (That the head is stored after the words are read, loom cannot
/// show of atomic words: no load of its sees a store that comes later.)
#[test]
fn a_record_is_seen_whole_or_not_at_all() {
    ::loom::model(|| {
        let ring = Arc::new(Ring::new());
        ring.open_words(8);
        let writer = ::loom::thread::spawn({
            let ring = Arc::clone(&ring);
            move || (1..=3_u64).filter(|&gid| ring.push(|| gid, gid, [gid; 4], &gid.to_le_bytes())).count()
        });
        let (mut record, mut last, mut seen) = (Record::new(), 0, 0);
        let mut take = |seen: &mut usize| {
            while ring.pop(&mut record) {
                assert!(record.gid > last, "in order");
                last = record.gid;
                assert_eq!(record.micros, last);
                assert_eq!(record.numbers, [last; 4]);
                assert_eq!(record.text(), last.to_le_bytes());
                *seen += 1;
            }
        };
        take(&mut seen);
        yield_now();
        take(&mut seen);
        let written = writer.join().expect("the writer");
        take(&mut seen);
        assert_eq!(seen, written, "what was taken in comes out");
    });
}
