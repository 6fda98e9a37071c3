//! A memory file in which the input has changed something: six bytes each say where, how and to what. What a restart
//! believes of it is items, and the server goes on.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use flagstone::store::{Opened, Restart, Store};
use flagstone::sync::AtomicBool;
use flagstone::time::Moment;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::session::{START, Session, options};

/// What the run did whose file it is.
const BEFORE: &str = "set small 5 0 3\r\nabc\r\nset gone 0 0 1\r\n1\r\ndelete gone\r\nset n 0 0 2\r\n41\r\nincr n 1\r\n\
                      append small 0 0 2\r\nde\r\nms marked 2 T90 F7\r\nok\r\nmd marked I\r\ntouch n 900\r\n";
/// What is asked of it afterwards.
const AFTER: &str = "get small n marked large0 large1 large2 k1 k22 k333\r\nmg marked v t f c\r\nincr n 1\r\n\
                     set small 0 0 1\r\nx\r\nappend large1 0 0 1\r\nx\r\ndelete large0\r\nlru_crawler metadump all\r\n";

pub(crate) fn play(input: &[u8]) {
    let image = image();
    let file = memory();
    file.write_all_at(image, 0).expect("memory is there");
    for change in input.chunks_exact(6) {
        let [a, b, c, how, value, other] = change else { unreachable!("six bytes") };
        let place = usize::try_from(u32::from_le_bytes([*a, *b, *c, 0])).expect("24 bits") % (image.len() - 8);
        let old: [u8; 8] = image[place..place + 8].try_into().expect("eight bytes");
        let new = match how % 4 {
            0 => u64::from_le_bytes(old) ^ u64::from(*value),
            1 => u64::from_le_bytes(old).wrapping_add(u64::from(*value)),
            2 => u64::from_le_bytes(old).wrapping_sub(u64::from(*value)),
            _ => u64::from(u16::from_le_bytes([*value, *other])),
        };
        let len = [1, 2, 4, 8][usize::from(how >> 2) % 4];
        file.write_all_at(&new.to_le_bytes()[..len], u64::try_from(place).expect("below 2^24")).expect("ours");
    }
    if let Some(store) = reopen(&file) {
        Session::over(store, 0, &[AFTER.as_bytes(), &large(7)]).run(None);
    }
}

fn memory() -> File {
    memfd_create(c"arena", MFdFlags::empty()).expect("Linux has it").into()
}

/// A store over the file; `None`: nothing of it was believed, and why is said.
fn reopen(file: &File) -> Option<Store> {
    let boot_nanos = (u64::from(START.seconds.0) + 20) * 1_000_000_000;
    let unix_nanos = u64::try_from(START.unix()).expect("after 1970") * 1_000_000_000;
    let moment = Moment { boot: [1, 2], boot_nanos, unix_nanos };
    let Opened { store, left, .. } = Store::open_on(&options(), file, Restart::default(), &moment).ok()?;
    let left = left.ok()?;
    let mut local = store.local();
    let shares = vec![store.recover_pages(&left, &mut local, &AtomicBool::new(false))];
    store.finish_recovery(&left, &local, shares);
    store.surrender(&mut local);
    assert_eq!(store.audit().err(), None, "the books after the restart");
    Some(store)
}

/// What a run left that ended without a word.
fn image() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let file = memory();
        let moment = Moment { boot: [1, 2], boot_nanos: 10_000_000_000, unix_nanos: 1_700_000_000_000_000_000 };
        let opened = Store::open_on(&options(), &file, Restart::default(), &moment).expect("a small store");
        let small: String =
            (0..400).map(|n| format!("set k{n} 0 0 {0}\r\n{1}\r\n", n % 90, "v".repeat(n % 90))).collect();
        let streams = [BEFORE.as_bytes(), small.as_bytes(), &large(3)];
        Session::over(opened.store, 0, &streams).run(None);
        let mut image = vec![0; usize::try_from(file.metadata().expect("open").len()).expect("a few megabytes")];
        file.read_exact_at(&mut image, 0).expect("all of it");
        image
    })
}

/// Values of several parts.
fn large(count: usize) -> Vec<u8> {
    let value = "V".repeat(40_000);
    (0..count).map(|n| format!("set large{n} 0 0 40000\r\n{value}\r\n")).collect::<String>().into_bytes()
}
