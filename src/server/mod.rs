//! Threads: the workers, the acceptor, maintenance; the clock and the signals.
//!
//! [`Server::open`] takes everything a start can fail for, on one thread; [`Server::start`] starts the threads;
//! [`Running::stop`] ends them.

use std::fs;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use mio::{Poll, Waker};

mod acceptor;
pub mod check;
mod client;
pub mod clock;
mod datagrams;
pub mod files;
mod inherit;
mod maintenance;
pub mod memory_file;
mod populate;
mod recover;
pub mod roster;
mod sasl;
pub mod signals;
mod slots;
mod start_error;
pub mod takeover;
mod watch;
mod watchdog;
pub mod worker;

use acceptor::{Acceptor, Limits};
use clock::Clock;
use files::TokensFile;
use inherit::Inherited;
use roster::{Roster, WAKE};
use signals::{Asked, Signals};
use takeover::{Door, Fate, Predecessor, TakeoverError};
use watchdog::Watchdog;
use worker::{Worker, WorkerOptions};

pub use crate::auth::OpenError as SaslError;
use crate::auth::{Authenticator, Tokens};
use crate::command::{RestartReport, Shared, SharedOptions};
use crate::config::{Config, MemoryFile};
use crate::net::{DatagramSocket, Listener};
use crate::store::{Opened, Recovery, Refusal, Restart, Store, memory_file_refusal};
use crate::sync::Arc;
use crate::telemetry::watch::{Call, Watch};
use crate::time::Moment;
use crate::tls::Certificates;
pub use start_error::StartError;

/// A server with its sockets bound and its memory reserved, and no threads yet: it may still be forked.
#[derive(Debug)]
pub struct Server {
    config: Config,
    listeners: Vec<Listener>,
    /// UDP sockets, by worker.
    datagrams: Vec<Vec<DatagramSocket>>,
    store: Store,
    certificates: Option<Arc<Certificates>>,
    tokens: Option<(TokensFile, Tokens)>,
    authenticator: Option<Authenticator>,
    /// Of a store on a file: its clock, what is left to recover of another run, and what became of that.
    clock: Option<Clock>,
    left: Option<Recovery>,
    move_to: Option<MoveTo>,
    restart: Option<RestartReport>,
    /// Where the server after this one will ask, and the one before, which ends when this one serves.
    door: Option<Door>,
    predecessor: Option<Predecessor>,
}

/// A server that serves.
#[derive(Debug)]
pub struct Running {
    roster: Arc<Roster>,
    acceptor: Option<JoinHandle<()>>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    clock: Clock,
    tokens_file: Option<TokensFile>,
    succession: Option<Succession>,
}

/// What another server needs to go on in this one's place, and this one, if that fails.
#[derive(Debug)]
struct Succession {
    door: Door,
    config: Config,
    certificates: Option<Arc<Certificates>>,
}

/// What became of a server that was to hand over.
#[derive(Debug)]
pub enum Handover {
    /// Another one serves.
    Done,
    /// A signal said to stop first.
    Told(Asked),
    /// The other one has failed: this server is as it was before its start, with its sockets and its items.
    Failed(Box<Server>),
}

impl Server {
    /// Reads the certificates. They may be readable only for who started us, as with memcached: this comes before
    /// another user is become.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be.
    pub fn certificates(config: &Config) -> Result<Option<Arc<Certificates>>, StartError> {
        let opened = config.tls.clone().map(Certificates::open).transpose().map_err(StartError::Certificates)?;
        Ok(opened.map(Arc::new))
    }

    /// Reads the tokens, opens SASL, binds the sockets and reserves the memory; all this in place of the server that
    /// runs already, with `--takeover`, which has stopped then. `activated` is what the service manager hands in.
    ///
    /// # Errors
    /// When the machine does not have what the options ask for.
    pub fn open(
        mut config: Config,
        certificates: Option<Arc<Certificates>>,
        activated: Vec<(OwnedFd, String)>,
    ) -> Result<Self, StartError> {
        // It is read again when a takeover fails: a daemon is in another folder then.
        config.auth.file = config.auth.file.map(|path| std::path::absolute(&path).unwrap_or(path));
        let inherited = Inherited::find(&config, activated).map_err(StartError::Takeover)?;
        Self::open_with(config, certificates, inherited)
    }

    fn open_with(
        config: Config,
        certificates: Option<Arc<Certificates>>,
        mut inherited: Inherited,
    ) -> Result<Self, StartError> {
        let tokens = match &config.auth.file {
            None => None,
            Some(path) => Some(TokensFile::open(path).map_err(StartError::Tokens)?),
        };
        let authenticator = if config.auth.sasl { Some(sasl::open().map_err(StartError::Sasl)?) } else { None };
        let memory = open_memory(&config, inherited.memory.take(), inherited.predecessor.is_some())?;
        let (listeners, datagrams) = inherited.bind(&config).map_err(StartError::Bind)?;
        let door = open_door(&config, &mut inherited, (&listeners, &datagrams), memory.as_ref())?;
        if let Some(predecessor) = &inherited.predecessor {
            predecessor.stop().map_err(StartError::Takeover)?;
        }
        let (opened, clock, move_to) = open_store(&config, memory)?;
        let Opened { store, left, .. } = opened;
        let (left, restart, predecessor) = (left.ok(), None, inherited.predecessor);
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
            door,
            predecessor,
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
        let succession = self.door.map(|door| {
            let (config, certificates) = (self.config.clone(), self.certificates.clone());
            Succession { door, config, certificates }
        });
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
        let mut threads = Vec::with_capacity(polls.len() + 3);
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
        let acceptor = Some(spawn("acceptor".to_owned(), || acceptor.run())?);
        if let Some(population) = shared.store().population() {
            let (store, of_population) = (Arc::clone(shared.store()), Arc::clone(&roster));
            threads.push(spawn("populate".to_owned(), move || populate::run(&store, &of_population, population))?);
        }
        let (store, of_maintenance) = (Arc::clone(shared.store()), Arc::clone(&roster));
        let recorder = Watch::recorder(shared.watch());
        // Here, and not by the thread: it may have no right to open sockets by then.
        let watchdog = Watchdog::open();
        let maintenance = spawn("maintenance".to_owned(), move || {
            maintenance::run(&store, &of_maintenance, clock, recorder, watchdog)
        })?;
        let (called, woken) = (maintenance.thread().clone(), Arc::clone(&roster));
        shared.store().on_work(move || called.unpark());
        shared.store().on_drain(move || woken.wake_workers());
        threads.extend([maintenance, watch]);
        if let Some(predecessor) = self.predecessor {
            predecessor.release();
        }
        Ok(Running { roster, acceptor, threads, shared, clock, tokens_file, succession })
    }
}

impl Running {
    /// Reads files again (SIGHUP). What is wrong with one is logged, and what held before goes on.
    pub fn reload(&self) {
        let tokens = self.tokens_file.as_ref().zip(self.shared.gate());
        if tokens.is_none() && self.shared.tls().is_none() {
            log::warn!(signal = "SIGHUP"; "there are no files to read again");
        }
        if let Some((file, gate)) = tokens {
            match file.read() {
                Ok(tokens) => {
                    let count = tokens.count();
                    gate.replace(tokens);
                    log::warn!(signal = "SIGHUP", path:% = file.path().display(), tokens = count; "tokens read again");
                }
                Err(error) => {
                    log::error!(signal = "SIGHUP", path:% = file.path().display(); "the old tokens stay: {error}")
                }
            }
        }
        if let Some(tls) = self.shared.tls() {
            match tls.refresh(self.clock.now().seconds) {
                Ok(()) => {
                    for (option, path) in tls.files() {
                        log::warn!(signal = "SIGHUP", option, path:% = path.display(); "certificates read again");
                    }
                }
                Err(error) => log::error!(signal = "SIGHUP"; "the old certificates stay: {error}"),
            }
        }
    }

    /// Sleeps until a signal arrives, or another server is to go on.
    pub fn wait(&mut self, signals: &mut Signals) -> Asked {
        match &mut self.succession {
            Some(succession) => succession.door.wait(signals),
            None => signals.wait(),
        }
    }

    /// Ends all threads and waits for them. Requests that have been read are answered.
    pub fn stop(mut self) {
        self.end();
    }

    /// The same for another server, which has been let in: sockets and memory are its then.
    ///
    /// # Errors
    /// When it has failed, and so does this one's start.
    pub fn hand_over(mut self, signals: &mut Signals) -> Result<Handover, StartError> {
        self.end();
        let Some(Succession { door, config, certificates }) = self.succession.take() else { return Ok(Handover::Done) };
        door.say_stopped();
        let is_activated = door.is_activated;
        match door.wait_for_successor(signals)? {
            Fate::Succeeded => Ok(Handover::Done),
            Fate::Told(asked) => Ok(Handover::Told(asked)),
            Fate::Alone(given) => {
                log::error!("the server that was to take over has ended: serving again");
                drop(self);
                let inherited = Inherited::of_server(given, is_activated);
                Ok(Handover::Failed(Box::new(Server::open_with(config, certificates, inherited)?)))
            }
        }
    }

    fn end(&mut self) {
        self.roster.close();
        self.acceptor.take().into_iter().for_each(join);
        self.roster.stop();
        for thread in &self.threads {
            // Maintenance and watch sleep so.
            thread.thread().unpark();
        }
        self.threads.drain(..).for_each(join);
        self.shared.store().end_run(&self.clock.now());
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        log::error!("a thread had ended before it was told to");
    }
}

/// The file that the items lie in, if they do. Of one that another server uses it is made sure first that this one can
/// go on with it.
fn open_memory(config: &Config, handed: Option<File>, is_in_use: bool) -> Result<Option<File>, StartError> {
    let Some((wanted, restart)) = &config.memory_file else { return Ok(None) };
    let file = memory_file::open(wanted, handed, config.store.limit_bytes).map_err(StartError::MemoryFile)?;
    if is_in_use
        && let Some(refusal) = memory_file_refusal(&config.store, &file, *restart)?
        && refusal != Refusal::Asked
    {
        return Err(StartError::Takeover(TakeoverError::Items(refusal)));
    }
    Ok(Some(file))
}

/// Where the next server will ask for these sockets and this memory.
fn open_door(
    config: &Config,
    inherited: &mut Inherited,
    (listeners, datagrams): (&[Listener], &[Vec<DatagramSocket>]),
    memory: Option<&File>,
) -> Result<Option<Door>, StartError> {
    let Some(path) = &config.takeover else { return Ok(None) };
    let sockets = listeners.iter().map(AsFd::as_fd).chain(datagrams.iter().flatten().map(AsFd::as_fd));
    let all = sockets.chain(memory.map(AsFd::as_fd));
    let given = all.map(|descriptor| descriptor.try_clone_to_owned()).collect::<io::Result<Vec<_>>>()?;
    let door = Door::open(path, inherited.door.take(), given, inherited.is_activated);
    door.map(Some).map_err(|error| StartError::Takeover(TakeoverError::Talk(error)))
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

/// The store, in the memory of a file or in memory of its own, the former's clock, and where its items are moved.
fn open_store(config: &Config, memory: Option<File>) -> Result<(Opened, Option<Clock>, Option<MoveTo>), StartError> {
    let refused = |error| StartError::Store(error, config.store.limit_bytes);
    let (Some((wanted, restart)), Some(mut file)) = (&config.memory_file, memory) else {
        let store = Store::open(&config.store).map_err(refused)?;
        return Ok((Opened { store, nanos: 0, left: Err(Refusal::Empty) }, None, None));
    };
    let moment = Clock::moment()?;
    let opened = match Store::open_left(&config.store, &file, *restart, &moment)? {
        Ok(opened) => opened,
        Err(refusal) => {
            if refusal != Refusal::Empty {
                log::warn!(file:% = wanted; "memory file: starting empty: {refusal}");
                if let (true, MemoryFile::At(path)) = (restart.keep_old, wanted) {
                    fs::rename(path, memory_file::old(path))?;
                    file = memory_file::open(wanted, None, config.store.limit_bytes).map_err(StartError::MemoryFile)?;
                }
            }
            let empty = Restart { reset: true, ..*restart };
            Store::open_on(&config.store, &file, empty, &moment).map_err(refused)?
        }
    };
    let move_to = match wanted {
        // The next server is given this file: its items stay in it, as they are.
        MemoryFile::At(path) if config.takeover.is_none() => open_beside(config, &opened, path, &moment)?,
        MemoryFile::At(_) | MemoryFile::Nameless { .. } => None,
    };
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
    let file = memory_file::open(&MemoryFile::At(beside.clone()), None, 0).map_err(StartError::MemoryFile)?;
    let refused = |error| StartError::Store(error, config.store.limit_bytes);
    let target = opened.store.open_beside(&config.store, &file, moment, opened.nanos).map_err(refused)?;
    Ok(Some(MoveTo { store: target.store, left: target.left.ok(), path: beside, becomes: path.to_owned() }))
}

fn waker(poll: &Poll) -> io::Result<Waker> {
    Waker::new(poll.registry(), WAKE)
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name).spawn(body)
}
