//! Recorders, watchers and who drains, together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::event::tests::examples;
use super::{Call, Drained, Event, Kinds, Options, Recorder, Seen, WATCHERS_MAX, Watch, Watcher};
use crate::sync::Arc;

fn small() -> Arc<Watch> {
    Arc::new(Watch::new(Options { ring_bytes: 1024, watcher_bytes: 1024 }))
}

fn get(key: &[u8]) -> Event<'_> {
    Event::Get { key, seen: Seen::NotFound, class: 0, cfd: 7, size: 0 }
}

fn turn(recorder: &mut Recorder) {
    recorder.begin_turn(|| 5_000_001);
}

fn taken(watcher: &Watcher) -> String {
    let mut out = crate::bytes::Buffer::default();
    watcher.take(&mut out);
    String::from_utf8(out.to_vec()).expect("text")
}

#[test]
fn nothing_is_recorded_before_somebody_watches_and_after_all_left() {
    let watch = small();
    let mut recorder = Watch::recorder(&watch);
    turn(&mut recorder);
    recorder.record(&get(b"early"));
    assert_eq!(watch.drain(), Drained::Nothing);
    let watcher = watch.join(Kinds::FETCHERS, Call::nobody()).expect("room");
    assert!(watch.is_watched());
    turn(&mut recorder);
    recorder.record(&get(b"k"));
    recorder.record(&Event::Move { from: 1, to: 2 });
    assert_eq!(watch.drain(), Drained::Something);
    assert_eq!(taken(&watcher), "ts=5.1 gid=2 type=item_get key=k status=not_found clsid=0 cfd=7 size=0\n");
    watch.leave(&watcher);
    assert!(!watch.is_watched());
    turn(&mut recorder);
    recorder.record(&get(b"late"));
    assert_eq!(watch.drain(), Drained::Nothing);
    let totals = watch.totals();
    assert_eq!((totals.log_worker_written, totals.log_watcher_sent), (1, 1));
}

#[test]
fn who_comes_later_does_not_see_what_was_before() {
    let watch = small();
    let mut recorder = Watch::recorder(&watch);
    let first = watch.join(Kinds::FETCHERS, Call::nobody()).expect("room");
    turn(&mut recorder);
    recorder.record(&get(b"before"));
    let second = watch.join(Kinds::FETCHERS, Call::nobody()).expect("room");
    recorder.record(&get(b"after"));
    watch.drain();
    assert!(taken(&first).contains("key=before"));
    let seen = taken(&second);
    assert!(seen.contains("key=after") && !seen.contains("key=before"), "{seen}");
}

#[test]
fn each_watcher_gets_the_kinds_it_asked_for() {
    let watch = Arc::new(Watch::new(Options::default()));
    let mut recorder = Watch::recorder(&watch);
    let all = Kinds::ITEMS | Kinds::EVICTIONS | Kinds::CONNECTIONS | Kinds::SYSTEM | Kinds::COMMANDS;
    let watcher = watch.join(all, Call::nobody()).expect("room");
    let deletions = watch.join(Kinds::DELETIONS, Call::nobody()).expect("room");
    turn(&mut recorder);
    for event in examples() {
        recorder.record(&event);
    }
    watch.drain();
    assert_eq!(taken(&watcher).lines().count(), examples().len());
    let seen = taken(&deletions);
    assert!(seen.lines().count() == 1 && seen.contains("type=deleted"), "{seen}");
}

#[test]
fn a_full_ring_drops_and_counts() {
    let watch = small();
    let mut recorder = Watch::recorder(&watch);
    let _watcher = watch.join(Kinds::FETCHERS, Call::nobody()).expect("room");
    turn(&mut recorder);
    for _ in 0..100 {
        recorder.record(&get(b"k"));
    }
    let totals = watch.totals();
    assert_eq!((totals.log_worker_written, totals.log_worker_dropped), (16, 84), "16 records of 64 bytes");
}

#[test]
fn who_does_not_take_its_lines_is_told_how_many_it_missed() {
    let watch = small();
    let mut recorder = Watch::recorder(&watch);
    let watcher = watch.join(Kinds::FETCHERS, Call::nobody()).expect("room");
    turn(&mut recorder);
    for _ in 0..40 {
        recorder.record(&get(b"k"));
        watch.drain();
    }
    let totals = watch.totals();
    assert_eq!(totals.log_watcher_sent + totals.log_watcher_skipped, 40);
    assert_eq!(taken(&watcher).lines().count(), usize::try_from(totals.log_watcher_sent).expect("few"));
    recorder.record(&get(b"k"));
    watch.drain();
    let seen = taken(&watcher);
    assert_eq!(seen.lines().next(), Some(&*format!("skipped={}", totals.log_watcher_skipped)));
    assert_eq!(seen.lines().count(), 2);
}

#[test]
fn a_worker_is_called_once_until_it_comes() {
    let watch = small();
    let mut recorder = Watch::recorder(&watch);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let call = move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let watcher = watch.join(Kinds::FETCHERS, Call::new(call)).expect("room");
    turn(&mut recorder);
    for called in [1, 1, 1] {
        recorder.record(&get(b"k"));
        watch.drain();
        assert_eq!(calls.load(Ordering::Relaxed), called);
    }
    taken(&watcher);
    recorder.record(&get(b"k"));
    watch.drain();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn twenty_watch_and_no_more() {
    let watch = small();
    let watchers: Vec<_> =
        (0..WATCHERS_MAX).map(|_| watch.join(Kinds::SYSTEM, Call::nobody()).expect("room")).collect();
    assert!(watch.join(Kinds::SYSTEM, Call::nobody()).is_none());
    watch.leave(&watchers[3]);
    assert_eq!(watch.watchers(), WATCHERS_MAX - 1);
    assert!(watch.join(Kinds::SYSTEM, Call::nobody()).is_some());
}

#[test]
fn many_recorders_and_watchers_that_come_and_go_lose_no_count() {
    const EVENTS: u64 = 20_000;
    let watch = Arc::new(Watch::new(Options::default()));
    let stays = watch.join(Kinds::FETCHERS, Call::nobody()).expect("room");
    thread::scope(|scope| {
        for number in 0..2_u32 {
            let mut recorder = Watch::recorder(&watch);
            scope.spawn(move || {
                turn(&mut recorder);
                for _ in 0..EVENTS {
                    recorder.record(&Event::Get { key: b"k", seen: Seen::Found, class: number, cfd: number, size: 1 });
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..200 {
                let watcher = watch.join(Kinds::FETCHERS, Call::nobody()).expect("room");
                watch.drain();
                taken(&watcher);
                watch.leave(&watcher);
            }
        });
        let mut last = [0_u64; 2];
        while watch.totals().log_worker_written + watch.totals().log_worker_dropped < 2 * EVENTS {
            watch.drain();
            for line in taken(&stays).lines().filter(|line| !line.starts_with("skipped=")) {
                let word = |name: &str| {
                    let found = line.split(' ').find_map(|word| word.strip_prefix(name));
                    found.and_then(|number| number.parse::<u64>().ok()).expect("a number")
                };
                let thread = usize::from(word("cfd=") == 1);
                assert!(word("gid=") > last[thread], "lines of one thread come in order: {line}");
                last[thread] = word("gid=");
            }
        }
    });
    while watch.drain() == Drained::Something {}
    let totals = watch.totals();
    assert_eq!(totals.log_worker_written + totals.log_worker_dropped, 2 * EVENTS);
    assert!(totals.log_watcher_sent + totals.log_watcher_skipped >= totals.log_worker_written);
}
