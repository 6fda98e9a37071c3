//! Threads: the workers, the acceptor, maintenance; the clock and the signals.
//!
//! [`Server::open`] takes everything a start can fail for, on one thread; [`Server::start`] starts the threads;
//! [`Running::stop`] ends them.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use mio::{Poll, Waker};

mod acceptor;
mod client;
pub mod clock;
mod datagrams;
pub mod files;
mod maintenance;
pub mod memory_file;
mod populate;
mod recover;
pub mod roster;
mod sasl;
pub mod signals;
mod slots;
mod watch;
pub mod worker;

use acceptor::{Acceptor, Limits};
use clock::Clock;
use files::TokensFile;
use roster::{Roster, WAKE};
use worker::{Worker, WorkerOptions};

pub use crate::auth::OpenError as SaslError;
use crate::auth::{Authenticator, Tokens};
use crate::command::{RestartReport, Shared, SharedOptions};
use crate::config::Config;
use crate::net::{self, DatagramSocket, Listener};
use crate::store::{self, Opened, Recovery, Refusal, Store};
use crate::sync::Arc;
use crate::telemetry::watch::{Call, Watch};
use crate::time::Moment;
use crate::tls::{self, Certificates};

/// Why a server could not be started.
#[derive(Debug)]
pub enum StartError {
    /// An address, port or file to listen on could not be had.
    Bind(net::BindError),
    /// The file of `-e` could not be had.
    MemoryFile(memory_file::MemoryFileError),
    /// The memory for the items could not be had.
    Store(store::OpenError),
    /// The certificates could not be read.
    Certificates(tls::LoadError),
    /// The tokens that clients are to show could not be read.
    Tokens(files::TokensError),
    /// There is no way to judge who is who by SASL.
    Sasl(SaslError),
    /// The kernel refused descriptors or threads.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f),
            Self::MemoryFile(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Certificates(error) => error.fmt(f),
            Self::Tokens(error) => error.fmt(f),
            Self::Sasl(error) => error.fmt(f),
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
    /// UDP sockets, by worker.
    datagrams: Vec<Vec<DatagramSocket>>,
    store: Store,
    certificates: Option<Certificates>,
    tokens: Option<(TokensFile, Tokens)>,
    authenticator: Option<Authenticator>,
    /// Of a store on a file: its clock, what is left to recover of another run, and what became of that.
    clock: Option<Clock>,
    left: Option<Recovery>,
    move_to: Option<MoveTo>,
    restart: Option<RestartReport>,
}

/// A server that serves.
#[derive(Debug)]
pub struct Running {
    roster: Arc<Roster>,
    threads: Vec<JoinHandle<()>>,
    maintenance: JoinHandle<()>,
    watch: JoinHandle<()>,
    shared: Arc<Shared>,
    clock: Clock,
    tokens_file: Option<TokensFile>,
}

impl Server {
    /// Reads the certificates. They may be readable only for who started us, as with memcached: this comes before
    /// another user is become.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be.
    pub fn certificates(config: &Config) -> Result<Option<Certificates>, StartError> {
        config.tls.clone().map(Certificates::open).transpose().map_err(StartError::Certificates)
    }

    /// Reads the tokens, opens SASL, reserves the memory and binds the sockets.
    ///
    /// # Errors
    /// When the machine does not have what the options ask for.
    pub fn open(config: Config, certificates: Option<Certificates>) -> Result<Self, StartError> {
        let tokens = match &config.auth.file {
            None => None,
            Some(path) => Some(TokensFile::open(path).map_err(StartError::Tokens)?),
        };
        let authenticator = if config.auth.sasl { Some(sasl::open().map_err(StartError::Sasl)?) } else { None };
        let (opened, clock, move_to) = open_store(&config)?;
        let Opened { store, left, .. } = opened;
        let listeners = net::bind(&config.net).map_err(StartError::Bind)?;
        let datagrams = net::bind_datagrams(&config.net, config.clients.workers).map_err(StartError::Bind)?;
        let (left, restart) = (left.ok(), None);
        Ok(Self {
            config,
            listeners,
            datagrams,
            store,
            certificates,
            tokens,
            authenticator,
            clock,
            left,
            move_to,
            restart,
        })
    }

    /// The listening sockets, in the order of the options.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The UDP sockets of one worker: each of the others has its own with the same addresses.
    #[must_use]
    pub fn datagrams(&self) -> &[DatagramSocket] {
        self.datagrams.first().map_or(&[], Vec::as_slice)
    }

    /// Starts the threads. What was to be recovered has been.
    ///
    /// # Errors
    /// When the kernel refuses descriptors or threads.
    pub fn start(self) -> Result<Running, StartError> {
        let clients = self.config.clients.clone();
        let accepting = Poll::new()?;
        let polls = (0..clients.workers).map(|_| Poll::new()).collect::<io::Result<Vec<_>>>()?;
        let wakers = polls.iter().map(waker).collect::<io::Result<Vec<_>>>()?;
        let roster = Arc::new(Roster::new(waker(&accepting)?, wakers));
        let clock = self.clock_or_start();
        let (tokens_file, tokens) = self.tokens.unzip();
        let settings = self.config.settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let shared = Arc::new(Shared::new(SharedOptions {
            options: self.config.commands,
            store: Arc::new(self.store),
            tls: self.certificates,
            tokens,
            sasl: self.authenticator.map(sasl::start).transpose()?,
            settings,
            started: clock.now(),
            pid: std::process::id(),
            restart: self.restart,
            listeners: self.listeners.iter().map(Listener::name).collect(),
        }));
        // Before anybody can ask.
        let of_listing = Arc::clone(&roster);
        shared.listings().on_listing(move || of_listing.wake_workers());
        let limits = Limits { connections_max: clients.connections_max, refuse_fast: clients.refuse_fast };
        let acceptor =
            Acceptor::new(accepting, self.listeners, Arc::clone(&roster), limits, Arc::clone(&shared), clock)?;
        // Before any worker can have a client that watches.
        let (events, of_watch) = (Arc::clone(shared.watch()), Arc::clone(&roster));
        let watch = spawn("watch".to_owned(), move || watch::run(&events, &of_watch))?;
        let drains = watch.thread().clone();
        shared.watch().on_first(Call::new(move || drains.unpark()));
        let mut threads = Vec::with_capacity(polls.len() + 1);
        for (number, (poll, datagrams)) in polls.into_iter().zip(self.datagrams).enumerate() {
            let options = WorkerOptions {
                number,
                poll,
                datagrams,
                roster: Arc::clone(&roster),
                shared: Arc::clone(&shared),
                clock,
                requests_per_turn: clients.requests_per_turn,
                idle_seconds_max: clients.idle_seconds_max,
            };
            threads.push(spawn(format!("worker-{number}"), || Worker::new(options).run())?);
        }
        threads.push(spawn("acceptor".to_owned(), || acceptor.run())?);
        if let Some(population) = shared.store().population() {
            let (store, of_population) = (Arc::clone(shared.store()), Arc::clone(&roster));
            threads.push(spawn("populate".to_owned(), move || populate::run(&store, &of_population, population))?);
        }
        let (store, of_maintenance) = (Arc::clone(shared.store()), Arc::clone(&roster));
        let recorder = Watch::recorder(shared.watch());
        let maintenance =
            spawn("maintenance".to_owned(), move || maintenance::run(&store, &of_maintenance, clock, recorder))?;
        let (called, woken) = (maintenance.thread().clone(), Arc::clone(&roster));
        shared.store().on_work(move || called.unpark());
        shared.store().on_drain(move || woken.wake_workers());
        Ok(Running { roster, threads, maintenance, watch, shared, clock, tokens_file })
    }
}

impl Running {
    /// Reads files again (SIGHUP). What is wrong with one is logged, and what held before goes on.
    pub fn reload(&self) {
        let tokens = self.tokens_file.as_ref().zip(self.shared.gate());
        if tokens.is_none() && self.shared.tls().is_none() {
            log::warn!("SIGHUP: there are no files to read again");
        }
        if let Some((file, gate)) = tokens {
            match file.read() {
                Ok(tokens) => {
                    gate.replace(tokens);
                    log::warn!("SIGHUP: new tokens of {}", file.path().display());
                }
                Err(error) => log::error!("SIGHUP: the old tokens stay: {error}"),
            }
        }
        if let Some(tls) = self.shared.tls() {
            match tls.refresh(self.clock.now().seconds) {
                Ok(()) => log::warn!("SIGHUP: new certificates"),
                Err(error) => log::error!("SIGHUP: the old certificates stay: {error}"),
            }
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
        self.shared.store().end_run(&self.clock.now());
    }
}

/// A store on a file beside that of `-e`, which cannot become what is asked for: the items are moved there.
#[derive(Debug)]
struct MoveTo {
    store: Store,
    /// What an earlier try has moved.
    left: Option<Recovery>,
    path: PathBuf,
    becomes: PathBuf,
}

/// The store, in the memory of `-e`'s file or in memory of its own, the former's clock, and where its items are moved.
fn open_store(config: &Config) -> Result<(Opened, Option<Clock>, Option<MoveTo>), StartError> {
    let Some((path, restart)) = &config.memory_file else {
        let store = Store::open(&config.store).map_err(StartError::Store)?;
        return Ok((Opened { store, nanos: 0, left: Err(Refusal::Empty) }, None, None));
    };
    let open = || memory_file::open(path, config.store.limit_bytes).map_err(StartError::MemoryFile);
    let (mut file, moment) = (open()?, Clock::moment()?);
    let opened = match Store::open_left(&config.store, &file, *restart, &moment)? {
        Ok(opened) => opened,
        Err(refusal) => {
            if refusal != Refusal::Empty {
                log::warn!("memory file {}: starting empty: {refusal}", path.display());
                if restart.keep_old {
                    fs::rename(path, memory_file::old(path))?;
                    file = open()?;
                }
            }
            Store::open_on(&config.store, &file, store::Restart { reset: true, ..*restart }, &moment)
                .map_err(StartError::Store)?
        }
    };
    let move_to = open_beside(config, &opened, path, &moment)?;
    let clock = Clock::resume(&moment, opened.nanos);
    Ok((opened, Some(clock), move_to))
}

/// The store that the items of an opened one are to be moved to, if it needs another file or a move had begun.
fn open_beside(config: &Config, opened: &Opened, path: &Path, moment: &Moment) -> Result<Option<MoveTo>, StartError> {
    let beside = memory_file::beside(path);
    if opened.left.is_err() {
        // What was moved from a file that is not kept is not either.
        return match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(None),
        };
    }
    if !opened.store.needs_other_file(&config.store) && !beside.exists() {
        return Ok(None);
    }
    let file = memory_file::open(&beside, 0).map_err(StartError::MemoryFile)?;
    let target = opened.store.open_beside(&config.store, &file, moment, opened.nanos).map_err(StartError::Store)?;
    Ok(Some(MoveTo { store: target.store, left: target.left.ok(), path: beside, becomes: path.to_owned() }))
}

fn waker(poll: &Poll) -> io::Result<Waker> {
    Waker::new(poll.registry(), WAKE)
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(body)
}
