//! The `flagstone` program: what the process does to itself, in order, around a running server.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::exit as process_exit;

use flagstone::config::{Config, Exit, Output, Privileges, Process, USAGE};
use flagstone::protocol::{OWN_VERSION, VERSION};
use flagstone::server::check;
use flagstone::server::clock::since_epoch;
use flagstone::server::signals::{Asked, Signals};
use flagstone::server::{Handover, Running, SaslError, Server, StartError, files};
use flagstone::store::OpenError;
use flagstone::sys::descriptors;
use flagstone::sys::notify::Manager;
use flagstone::sys::process::{self, Daemon};
use flagstone::sys::seccomp;
use flagstone::sys::user;
use flagstone::telemetry::{LogFormat, set_log_level};
use log::LevelFilter;

/// Exit status when the file of tokens is not one, or Cyrus SASL refuses to begin (memcached's `EXIT_FAILURE`).
const FAILURE: i32 = 1;
/// Exit status when there is no such user (`EX_NOUSER`).
const NO_USER: i32 = 67;
/// Exit status when the system refuses (`EX_OSERR`).
const SYSTEM: i32 = 71;

/// What would do where no flag is to blame.
const KERNEL: &str = "the kernel refused what every server needs; dmesg and the limits of the service may say why";

/// Descriptors beside those of clients: standard streams, signals, listeners and room for files being read.
const DESCRIPTORS_RESERVED: usize = 64;
/// Descriptors of a worker: its poll and its waker.
const DESCRIPTORS_PER_WORKER: usize = 2;
/// UDP sockets of a worker for one address: a name may have two, one of each family.
const DATAGRAM_SOCKETS_PER_ADDRESS: usize = 2;

fn main() {
    let config = match Config::from_args(env::args_os()) {
        Ok(config) => config,
        Err(exit) => say_and_exit(&exit),
    };
    if let Some(address) = &config.process.check {
        say_and_exit(&checked(address));
    }
    let format = config.process.log_format;
    start_log(config.process.verbosity, format);
    for line in &config.warnings {
        log::warn!(phase = "start"; "{line}");
    }
    if let Err(exit) = serve(config) {
        if format == LogFormat::Json {
            log::error!(status = exit.code; "{}", exit.message);
            process_exit(exit.code);
        }
        say_and_exit(&exit);
    }
}

/// What became of `--check`.
fn checked(address: &str) -> Exit {
    match check::ask(address) {
        Ok(()) => Exit { code: 0, message: format!("{address} serves"), output: Output::Stdout },
        Err(why) => {
            let given = format!("--check={address}");
            Exit::refused(FAILURE, why, given, "start the server, or give the address that it listens on")
        }
    }
}

/// Whoever was to read it may have left (`flagstone -h | head -1`): that is no reason to fail otherwise.
fn say_and_exit(answer: &Exit) -> ! {
    let said = match answer.output {
        Output::Stdout => writeln!(io::stdout(), "{}", answer.message),
        Output::Stderr => writeln!(io::stderr(), "{}", answer.message),
    };
    drop(said);
    process_exit(answer.code)
}

/// Everything is let through to the log's own limit, which `verbosity` moves later; `RUST_LOG` filters before.
fn start_log(verbosity: u8, format: LogFormat) {
    let mut builder = env_logger::Builder::new();
    builder.format(move |out, record| out.write_all(format.line(record, since_epoch()).as_bytes()));
    match env::var("RUST_LOG") {
        Ok(filters) => {
            builder.parse_filters(&filters).init();
        }
        Err(_) => {
            builder.filter_level(LevelFilter::Warn).filter_module("flagstone", LevelFilter::Trace).init();
            set_log_level(verbosity);
        }
    }
}

fn serve(mut config: Config) -> Result<(), Exit> {
    // Before anything else is opened.
    let activated = descriptors::activated();
    raise_limits(&mut config)?;
    let wishes = config.process.clone();
    let certificates = Server::certificates(&config).map_err(refused)?;
    give_up_root(wishes.user.as_deref())?;
    // What can fail fails before the fork, so that who started us sees it.
    let mut server = Server::open(config, certificates, activated).map_err(refused)?;
    // Who reads the port may send a signal right away.
    let mut signals = Signals::catch().map_err(system("failed to catch signals", "the process", KERNEL))?;
    write_ports(&server)?;
    // A daemon leaves the folder that a relative path starts from.
    let pidfile = wishes.pidfile.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    if wishes.daemon {
        let verbose = wishes.verbosity > 0;
        let daemon = Daemon { leave_folder: !wishes.core_dumps, close_terminal: !verbose };
        process::daemonize(daemon).map_err(system(
            "failed to daemon() in order to daemonize",
            "-d",
            "raise the limit of processes (ulimit -u), or leave -d out and let a service manager start it",
        ))?;
    }
    let manager = Manager::open().unwrap_or_else(|error| {
        log::warn!(error:%; "no way to the service manager that NOTIFY_SOCKET names");
        Manager::none()
    });
    // Once, unless another server was to take over and failed.
    loop {
        let Some(running) = start(server, &mut signals, &wishes, pidfile.as_deref(), &manager)? else { return Ok(()) };
        match wait(&mut signals, running, &manager)? {
            End::Again(again) => server = *again,
            // The file is the other server's.
            End::HandedOver => return Ok(()),
            End::Stopped => break,
        }
    }
    if wishes.daemon
        && let Some(path) = &pidfile
        && let Err(error) = fs::remove_file(path)
    {
        log::warn!(path:% = path.display(), error:%; "Could not remove the pid file");
    }
    Ok(())
}

/// Recovers and serves; `None`: a signal said to stop first.
fn start(
    mut server: Server,
    signals: &mut Signals,
    wishes: &Process,
    pidfile: Option<&Path>,
    manager: &Manager,
) -> Result<Option<Running>, Exit> {
    if let Some(asked) = server.recover(signals).map_err(system("failed to recover the memory file", "-e", KERNEL))? {
        say_stopping(asked);
        return Ok(None);
    }
    let has_taken_over = server.takes_over();
    let running = server.start().map_err(|error| Exit::error(SYSTEM, error.to_string()))?;
    if wishes.lock_memory
        && let Err(error) = process::lock_memory()
    {
        log::warn!(error:%; "-k invalid, mlockall() failed");
    }
    if let Some(path) = pidfile {
        write_pidfile(path);
    }
    if let Some(privileges) = wishes.privileges {
        seccomp::give_up_privileges(privileges == Privileges::Files).map_err(system(
            "failed to set a seccomp profile",
            "-o drop_privileges",
            "use a kernel with CONFIG_SECCOMP_FILTER whose container allows seccomp, or leave it out",
        ))?;
    }
    if has_taken_over {
        tell(manager, &format!("MAINPID={}\nREADY=1", std::process::id()));
    } else {
        tell(manager, "READY=1");
    }
    log::info!("serving, version {OWN_VERSION}, as memcached {VERSION}");
    Ok(Some(running))
}

fn refused(error: StartError) -> Exit {
    Exit::error(start_status(&error), error.to_string())
}

fn start_status(error: &StartError) -> i32 {
    match error {
        StartError::Tokens(_) | StartError::Sasl(SaslError::Refuses(_)) => FAILURE,
        StartError::Certificates(_)
        | StartError::Sasl(SaslError::NoWay(_))
        | StartError::Store(OpenError::TooSmall, _) => USAGE,
        StartError::MemoryFile(_)
        | StartError::Store(OpenError::Memory(_), _)
        | StartError::Bind(_)
        | StartError::Takeover(_)
        | StartError::System(_) => SYSTEM,
    }
}

/// Why a server no longer runs.
enum End {
    Stopped,
    /// Another one goes on in its place.
    HandedOver,
    /// Another one was to go on, and has failed.
    Again(Box<Server>),
}

fn wait(signals: &mut Signals, mut running: Running, manager: &Manager) -> Result<End, Exit> {
    loop {
        match running.wait(signals) {
            Asked::Reload => running.reload(),
            Asked::HandOver => {
                log::info!("handing over");
                return Ok(match running.hand_over(signals).map_err(refused)? {
                    Handover::Done => End::HandedOver,
                    Handover::Failed(server) => End::Again(server),
                    Handover::Told(asked) => {
                        say_stopping(asked);
                        End::HandedOver
                    }
                });
            }
            asked => {
                say_stopping(asked);
                tell(manager, "STOPPING=1");
                running.stop();
                return Ok(End::Stopped);
            }
        }
    }
}

fn say_stopping(asked: Asked) {
    if asked == Asked::StopGracefully {
        log::warn!(signal = "SIGUSR1"; "Gracefully stopping");
    } else {
        log::info!("stopping");
    }
}

fn tell(manager: &Manager, state: &str) {
    if let Err(error) = manager.tell(state) {
        log::warn!(state, error:%; "the service manager could not be told");
    }
}

/// Core files and descriptors. Where the machine gives fewer descriptors than `-c` and our own need together,
/// fewer clients are let in.
fn raise_limits(config: &mut Config) -> Result<(), Exit> {
    if config.process.core_dumps {
        process::raise_core_limit().map_err(system(
            "failed to ensure corefile creation",
            "-r",
            "raise the hard limit of core files (ulimit -Hc unlimited), or leave -r out",
        ))?;
    }
    if config.process.lock_memory
        && let Err(error) = process::lift_locked_memory_limit()
    {
        log::info!("the limit of locked memory stays: {error}");
        config.store.few_addresses = true;
    }
    let datagram_sockets = DATAGRAM_SOCKETS_PER_ADDRESS * config.net.datagram_addresses();
    // Those to hand over are others.
    let copies = if config.takeover.is_some() { 2 } else { 1 };
    let of_worker = DESCRIPTORS_PER_WORKER + datagram_sockets * copies;
    let own = DESCRIPTORS_RESERVED + config.clients.workers.saturating_mul(of_worker);
    let wanted = config.clients.connections_max.saturating_add(own);
    let wanted_by_kernel = u64::try_from(wanted).unwrap_or(u64::MAX);
    let open = process::raise_open_files_limit(wanted_by_kernel).map_err(system(
        "failed to getrlimit number of files",
        "-c",
        KERNEL,
    ))?;
    let open = usize::try_from(open).unwrap_or(usize::MAX);
    if open < config.clients.connections_max || open <= own {
        let line = "failed to set rlimit for open files. Try starting as root or requesting smaller maxconns value.";
        let given = format!("-c {}", config.clients.connections_max);
        let fits = open.saturating_sub(own);
        let remedy = match fits {
            0 => format!("the limit of open files is {open}, and {own} are our own; raise it (ulimit -n), or lower -t"),
            fits => format!("the limit of open files is {open}; raise it (ulimit -n), or give up to -c {fits}"),
        };
        return Err(Exit::refused(SYSTEM, line, given, remedy));
    }
    if open < wanted {
        config.lower_connections_max(open - own);
        log::warn!(
            connections = config.clients.connections_max, open_files = open;
            "fewer connections than -c: the limit of open files is too low"
        );
    }
    Ok(())
}

fn give_up_root(name: Option<&str>) -> Result<(), Exit> {
    if !user::is_root() {
        return Ok(());
    }
    let Some(name) = name else {
        log::warn!(flag = "-u"; "running as root; -u names a user to become");
        return Ok(());
    };
    let found = user::find_user(name).ok_or_else(|| {
        let why = format!("can't find the user {name} to switch to");
        Exit::refused(NO_USER, why, format!("-u {name}"), "name a user that getent passwd lists, or add this one")
    })?;
    user::become_user(found).map_err(system(
        &format!("failed to assume identity of user {name}"),
        &format!("-u {name}"),
        "start with the capabilities SETUID and SETGID, or as that user without -u",
    ))
}

/// Tests of memcached find a port that the kernel picked this way, and see that a server without one has started: its
/// file is empty. One on unix sockets alone writes none.
fn write_ports(server: &Server) -> Result<(), Exit> {
    let Some(path) = env::var_os("MEMCACHED_PORT_FILENAME").map(PathBuf::from) else { return Ok(()) };
    let listeners = server.listeners();
    if !listeners.is_empty() && listeners.iter().all(|listener| listener.port().is_none()) {
        return Ok(());
    }
    files::write_ports(&path, listeners, server.datagrams()).map_err(system(
        &format!("Failed to open \"{}\"", path.display()),
        &format!("MEMCACHED_PORT_FILENAME={}", path.display()),
        "name a file in a folder where this user may write, or unset it",
    ))
}

fn write_pidfile(path: &Path) {
    if let Err(error) = files::write_pidfile(path) {
        log::error!(path:% = path.display(), error:%; "Could not open the pid file for writing");
    }
}

/// What the system refused, which flag asked for it, and what would do.
fn system(doing: &str, given: &str, remedy: &str) -> impl Fn(io::Error) -> Exit {
    let (doing, given, remedy) = (doing.to_owned(), given.to_owned(), remedy.to_owned());
    move |error| Exit::refused(SYSTEM, format!("{doing}: {error}"), &given, &remedy)
}
