//! What another run left is made usable again before anybody is served: by as many threads as will serve, while the
//! listeners let clients wait in their backlog.

use std::io;
use std::thread;
use std::time::Duration;

use super::Server;
use super::clock::Clock;
use super::signals::{Asked, Signals};
use crate::command::RestartReport;
use crate::store::{Recovered, Recovery, Share, Store};
use crate::sync::{AtomicBool, Ordering};

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
        let begun = clock.micros();
        let (store, stop, main) = (&self.store, AtomicBool::new(false), thread::current());
        let (recovered, asked) = thread::scope(|scope| {
            let name = || thread::Builder::new().name("recovery".to_owned());
            let recovering = name().spawn_scoped(scope, || {
                let recovered = recover_all(store, &recovery, threads, &stop);
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
