//! What another run left is made usable again before anybody is served: by as many threads as will serve, while the
//! listeners let clients wait in their backlog.

use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use super::clock::Clock;
use super::signals::{Asked, Signals};
use super::{MoveTo, Server};
use crate::command::RestartReport;
use crate::store::{Recovered, Recovery, Share, Store};
use crate::sync::{AtomicBool, Ordering};
use crate::time::Seconds;

/// How late a signal is heeded meanwhile.
const SIGNAL_PAUSE: Duration = Duration::from_millis(10);

impl Server {
    /// Recovers what the memory file holds, if there is one; `Some`: a signal said to stop first.
    ///
    /// # Errors
    /// When the kernel refuses threads.
    pub fn recover(&mut self, signals: &mut Signals) -> io::Result<Option<Asked>> {
        self.store.set_owner(std::process::id());
        let (Some(recovery), Some(clock)) = (self.left.take(), self.clock) else { return Ok(None) };
        let threads = self.config.clients.workers;
        let (begun, now) = (clock.micros(), clock.now().seconds);
        let move_to = self.move_to.take();
        let (store, target, stop, main) = (&self.store, &move_to, AtomicBool::new(false), thread::current());
        let (recovered, asked) = thread::scope(|scope| {
            let name = || thread::Builder::new().name("recovery".to_owned());
            let recovering = name().spawn_scoped(scope, || {
                let recovered = recover_and_move(store, &recovery, target.as_ref(), threads, (now, &stop));
                main.unpark();
                recovered
            })?;
            let mut asked = None;
            while !recovering.is_finished() {
                thread::park_timeout(SIGNAL_PAUSE);
                if let Some(stops) = signals.pending_stop() {
                    asked = Some(stops);
                    stop.store(true, Ordering::Relaxed);
                }
            }
            let recovered = recovering.join().map_err(|_| io::Error::other("the recovery ended early"))??;
            io::Result::Ok((recovered, asked))
        })?;
        let Some(found) = recovered else { return Ok(asked) };
        if let Some(MoveTo { store, path, becomes, .. }) = move_to {
            fs::rename(&path, &becomes)?;
            self.store = store;
        }
        let report = RestartReport { found, micros: clock.micros() - begun };
        tell(&report);
        self.restart = Some(report);
        Ok(asked)
    }

    /// Whether another server ends when this one serves.
    #[must_use]
    pub fn takes_over(&self) -> bool {
        self.predecessor.is_some()
    }

    /// The clock of a store on a file goes on where that of the run before stood.
    pub(super) fn clock_or_start(&self) -> Clock {
        self.clock.unwrap_or_else(Clock::start)
    }
}

/// Recovers a store and, if there is one to move its items to, that and moves them; `None`: it was to stop.
fn recover_and_move(
    store: &Store,
    recovery: &Recovery,
    target: Option<&MoveTo>,
    threads: usize,
    (now, stop): (Seconds, &AtomicBool),
) -> io::Result<Option<Recovered>> {
    let found = recover_all(store, recovery, threads, stop)?;
    let (Some(mut found), Some(MoveTo { store: target, left, becomes, .. })) = (found, target) else {
        return Ok(found);
    };
    log::warn!(file:% = becomes.display(); "memory file: moving its items to another layout");
    target.set_owner(std::process::id());
    if let Some(left) = left {
        let Some(moved) = recover_all(target, left, threads, stop)? else { return Ok(None) };
        found.kept += moved.kept;
    }
    if !target.take_over(store, now, stop) {
        return Ok(None);
    }
    let kept = target.totals().curr_items;
    found.no_room += found.kept.saturating_sub(kept);
    found.kept = kept;
    Ok(Some(found))
}

/// `None`: it was to stop.
fn recover_all(store: &Store, recovery: &Recovery, threads: usize, stop: &AtomicBool) -> io::Result<Option<Recovered>> {
    let shares: Vec<Share> = thread::scope(|scope| {
        let spawn = |number| {
            let builder = thread::Builder::new().name(format!("recovery-{number}"));
            builder.spawn_scoped(scope, || store.recover_pages(recovery, &mut store.local(), stop))
        };
        let threads = (0..threads).map(spawn).collect::<io::Result<Vec<_>>>()?;
        let join = |thread: thread::ScopedJoinHandle<'_, Share>| thread.join().map_err(|_| ended_early());
        threads.into_iter().map(join).collect::<io::Result<Vec<_>>>()
    })?;
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    Ok(Some(store.finish_recovery(recovery, &store.local(), shares)))
}

fn ended_early() -> io::Error {
    io::Error::other("a thread of the recovery ended early")
}

fn tell(report: &RestartReport) {
    let RestartReport { found, micros } = report;
    let milliseconds = micros / 1000;
    log::info!("{} items kept of the memory file in {milliseconds} ms; dropped: {:?}", found.kept, found);
}
