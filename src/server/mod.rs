//! Threads: the workers, the acceptor, maintenance; the clock and the signals.
//!
//! [`Server::open`] takes everything a start can fail for, on one thread; [`Server::start`] starts the threads;
//! [`Running::stop`] ends them.

use std::fmt;
use std::io;
use std::thread::{self, JoinHandle};

use mio::{Poll, Waker};

mod acceptor;
mod client;
pub mod clock;
pub mod files;
mod maintenance;
pub mod roster;
pub mod signals;
mod slots;
mod watch;
pub mod worker;

use acceptor::{Acceptor, Limits};
use clock::Clock;
use files::TokensFile;
use roster::{Roster, WAKE};
use worker::{Worker, WorkerOptions};

use crate::auth::Tokens;
use crate::command::{Shared, SharedOptions};
use crate::config::Config;
use crate::net::{self, Listener};
use crate::store::{self, Store};
use crate::sync::Arc;
use crate::telemetry::watch::{Call, Watch};

/// Why a server could not be started.
#[derive(Debug)]
pub enum StartError {
    /// An address, port or file to listen on could not be had.
    Bind(net::BindError),
    /// The memory for the items could not be had.
    Store(store::OpenError),
    /// The tokens that clients are to show could not be read.
    Tokens(files::TokensError),
    /// The kernel refused descriptors or threads.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Tokens(error) => error.fmt(f),
            Self::System(error) => write!(f, "failed to start threads: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// A server with its sockets bound and its memory reserved, and no threads yet: it may still be forked.
#[derive(Debug)]
pub struct Server {
    config: Config,
    listeners: Vec<Listener>,
    store: Store,
    tokens: Option<(TokensFile, Tokens)>,
}

/// A server that serves.
#[derive(Debug)]
pub struct Running {
    roster: Arc<Roster>,
    threads: Vec<JoinHandle<()>>,
    maintenance: JoinHandle<()>,
    watch: JoinHandle<()>,
    shared: Arc<Shared>,
    tokens_file: Option<TokensFile>,
}

impl Server {
    /// Reads the tokens, reserves the memory and binds the sockets.
    ///
    /// # Errors
    /// When the machine does not have what the options ask for.
    pub fn open(config: Config) -> Result<Self, StartError> {
        let tokens = match &config.auth.file {
            None => None,
            Some(path) => Some(TokensFile::open(path).map_err(StartError::Tokens)?),
        };
        let store = Store::open(&config.store).map_err(StartError::Store)?;
        let listeners = net::bind(&config.net).map_err(StartError::Bind)?;
        Ok(Self { config, listeners, store, tokens })
    }

    /// The listening sockets, in the order of the options.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// When the kernel refuses descriptors or threads.
    pub fn start(self) -> Result<Running, StartError> {
        let clients = self.config.clients.clone();
        let door = Poll::new()?;
        let polls = (0..clients.workers).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let wakers = polls.iter().map(waker).collect::<io::Result<Vec<_>>>()?;
        let roster = Arc::new(Roster::new(waker(&door)?, wakers));
        let clock = Clock::start();
        let (tokens_file, tokens) = self.tokens.unzip();
        let settings = self.config.settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let shared = Arc::new(Shared::new(SharedOptions {
            options: self.config.commands,
            store: Arc::new(self.store),
            tokens,
            settings,
            started: clock.now(),
            pid: std::process::id(),
            listeners: self.listeners.iter().map(Listener::name).collect(),
        }));
        // Before anybody can ask.
        let of_census = Arc::clone(&roster);
        shared.census().on_census(move || of_census.wake_workers());
        let limits = Limits { connections_max: clients.connections_max, refuse_fast: clients.refuse_fast };
        let acceptor = Acceptor::new(door, self.listeners, Arc::clone(&roster), limits, Arc::clone(&shared), clock)?;
        // Before any worker can have a client that watches.
        let (events, of_watch) = (Arc::clone(shared.watch()), Arc::clone(&roster));
        let watch = spawn("watch".to_owned(), move || watch::run(&events, &of_watch))?;
        let drains = watch.thread().clone();
        shared.watch().on_first(Call::new(move || drains.unpark()));
        let mut threads = Vec::with_capacity(polls.len() + 1);
        for (number, poll) in polls.into_iter().enumerate() {
            let options = WorkerOptions {
                number,
                poll,
                roster: Arc::clone(&roster),
                shared: Arc::clone(&shared),
                clock,
                requests_per_turn: clients.requests_per_turn,
                idle_seconds_max: clients.idle_seconds_max,
            };
            threads.push(spawn(format!("worker-{number}"), || Worker::new(options).run())?);
        }
        threads.push(spawn("acceptor".to_owned(), || acceptor.run())?);
        let (store, of_maintenance) = (Arc::clone(shared.store()), Arc::clone(&roster));
        let recorder = Watch::recorder(shared.watch());
        let maintenance =
            spawn("maintenance".to_owned(), move || maintenance::run(&store, &of_maintenance, clock, recorder))?;
        let (called, woken) = (maintenance.thread().clone(), Arc::clone(&roster));
        shared.store().on_work(move || called.unpark());
        shared.store().on_drain(move || woken.wake_workers());
        Ok(Running { roster, threads, maintenance, watch, shared, tokens_file })
    }
}

impl Running {
    /// Reads files again (SIGHUP). What is wrong with one is logged, and what held before goes on.
    pub fn reload(&self) {
        let (Some(file), Some(gate)) = (&self.tokens_file, self.shared.gate()) else {
            log::warn!("SIGHUP: there are no files to read again");
            return;
        };
        match file.read() {
            Ok(tokens) => {
                gate.replace(tokens);
                log::warn!("SIGHUP: new tokens of {}", file.path().display());
            }
            Err(error) => log::error!("SIGHUP: the old tokens stay: {error}"),
        }
    }

    /// Ends all threads and waits for them. Requests that have been read are answered.
    pub fn stop(self) {
        self.roster.stop();
        let sleepers = [self.maintenance, self.watch];
        for sleeper in &sleepers {
            sleeper.thread().unpark();
        }
        for thread in self.threads.into_iter().chain(sleepers) {
            if thread.join().is_err() {
                log::error!("a thread had ended before it was told to");
            }
        }
    }
}

fn waker(poll: &Poll) -> io::Result<Waker> {
    Waker::new(poll.registry(), WAKE)
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(body)
}
