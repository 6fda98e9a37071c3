//! The command line, memcached's: from the arguments to a [`Config`] in which everything is checked.
//!
//! Nothing is opened or started here, and nothing is asked of the machine but a seed.

mod extended;
mod flags;
mod help;
mod numbers;
mod settings;
mod upkeep;

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;

use clap::ArgMatches;

use crate::net::{self, Endpoint, Port};
use crate::{auth, command, limits, store};
use extended::Extended;
use numbers::{parse_factor, parse_integer, parse_megabytes, parse_size};

/// Exit status for settings that do not fit together, or that promise what does not work yet (`EX_USAGE`).
pub const USAGE: i32 = 64;
/// Exit status of memcached for a number out of its bounds.
const WRONG_NUMBER: i32 = 1;
/// memcached's line for a `-I` that is too small.
const ITEM_SIZE_TOO_SMALL: &str = "Item max size cannot be less than 1024 bytes.";
/// memcached's pause between two steps of its crawler.
const SWEEP_PAUSE_MICROS: u32 = 100;
/// Above so many workers memcached warns.
const WORKERS_WARNED_ABOVE: usize = 64;

/// Everything the command line decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where to listen.
    pub net: net::Options,
    /// How items are kept.
    pub store: store::Options,
    /// How clients are served.
    pub clients: Clients,
    /// Who is served.
    pub auth: auth::Options,
    /// Which commands are allowed, and what `stats` knows of the start.
    pub commands: command::Options,
    /// What the process does to itself.
    pub process: Process,
    /// Lines for the log at start: what the operator should know about these settings.
    pub warnings: Vec<String>,
    /// Lines of `stats settings`, in memcached's order.
    pub settings: Vec<(&'static str, String)>,
}

/// How clients are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// `-c`: most connections at a time.
    pub connections_max: usize,
    /// `maxconns_fast`: refuse the next one with a line, rather than leave it waiting.
    pub refuse_fast: bool,
    /// `-t`: how many threads serve connections.
    pub workers: usize,
    /// `-R`: requests a connection may make before it gives way to others.
    pub requests_per_turn: usize,
    /// `idle_timeout`, in seconds, for TCP only; `None`: for ever.
    pub idle_seconds_max: Option<u32>,
}

/// What the process does to itself before it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// `-u`: who to become when started as root.
    pub user: Option<String>,
    /// `-d`: go to the background.
    pub daemon: bool,
    /// `-P`: where to write the process's number.
    pub pidfile: Option<PathBuf>,
    /// `-k`: keep memory from being swapped out.
    pub lock_memory: bool,
    /// `-r`: raise the limit of core files.
    pub core_dumps: bool,
    /// How many `-v`.
    pub verbosity: u8,
}

/// Where an [`Exit`]'s message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// It is what was asked for.
    Stdout,
    /// It says what is wrong.
    Stderr,
}

/// The command line asks for no server: for a text, or for what cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit status.
    pub code: i32,
    /// Lines without the last line's end.
    pub message: String,
    /// Where the message goes.
    pub output: Output,
}

impl Exit {
    fn error(code: i32, message: String) -> Self {
        Self { code, message, output: Output::Stderr }
    }

    fn usage(message: impl Into<String>) -> Self {
        Self::error(USAGE, message.into())
    }

    fn text(message: String) -> Self {
        Self { code: 0, message, output: Output::Stdout }
    }
}

impl Config {
    /// Lets in fewer clients than `-c` asked for: the machine does not give more descriptors.
    pub fn lower_connections_max(&mut self, connections_max: usize) {
        self.clients.connections_max = connections_max;
        self.commands.connections_max = connections_max;
    }

    /// Reads the arguments; the first one is the program's name.
    ///
    /// # Errors
    /// When they ask for a text (`-h`, `-V`, `-i`), or are wrong in memcached's eyes or ours.
    pub fn from_args(args: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        let flags = Flags(flags::parse(args.into_iter().collect())?);
        flags.answer_texts()?;
        flags.refuse_beside_tokens()?;
        flags.refuse_promises()?;
        let extended = Extended::parse(flags.all("extended"))?;
        let clients = flags.clients(&extended)?;
        let mut config = Self {
            net: flags.net(&extended)?,
            store: flags.store(clients.workers, &extended)?,
            auth: auth::Options { file: flags.value("auth-file").map(PathBuf::from) },
            commands: flags.commands(&clients, &extended)?,
            clients,
            process: flags.process(),
            warnings: Vec::new(),
            settings: Vec::new(),
        };
        config.settings = settings::list(&config, &extended, &flags.words());
        config.warnings = flags.warnings(&config, &extended);
        Ok(config)
    }
}

/// The flags taken apart, and the questions this module asks of them.
struct Flags(ArgMatches);

impl Flags {
    fn has(&self, name: &str) -> bool {
        self.0.get_flag(name)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.get_one::<String>(name).map(String::as_str)
    }

    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.get_many::<String>(name).unwrap_or_default().map(String::as_str)
    }

    /// A whole number of at least 1, or memcached's line.
    fn positive(&self, name: &str, default: usize, refusal: &str) -> Result<usize, Exit> {
        let Some(text) = self.value(name) else { return Ok(default) };
        let number = parse_integer(text).filter(|number| *number > 0).and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| Exit::error(WRONG_NUMBER, refusal.to_owned()))
    }

    fn answer_texts(&self) -> Result<(), Exit> {
        if self.has("help") {
            return Err(Exit::text(help::text()));
        }
        if self.has("version") {
            return Err(Exit::text(help::version()));
        }
        if self.has("license") {
            return Err(Exit::text(help::license()));
        }
        Ok(())
    }

    /// Tokens are text, over a stream: with `-Y` nothing else is spoken (memcached's rule and words).
    fn refuse_beside_tokens(&self) -> Result<(), Exit> {
        if self.value("auth-file").is_none() {
            return Ok(());
        }
        if matches!(self.value("protocol"), Some("auto" | "binary")) {
            let line = "ERROR: You cannot allow the BINARY protocol while using ascii authentication tokens.";
            return Err(Exit::usage(line));
        }
        if self.value("udp-port").and_then(parse_port).is_some_and(|port| port != Port::Off) {
            return Err(Exit::usage("Cannot use UDP with ascii authentication enabled (-U 0 to disable)"));
        }
        Ok(())
    }

    /// Nothing starts open, unencrypted or forgetful that was asked not to.
    fn refuse_promises(&self) -> Result<(), Exit> {
        let refused = |what: &str| Err(Exit::usage(format!("{what} is not supported yet")));
        if self.has("enable-sasl") {
            return refused("SASL authentication (-S)");
        }
        if self.has("enable-ssl") {
            return refused("TLS (-Z)");
        }
        if self.value("memory-file").is_some() {
            return refused("a restart that keeps the cache (-e)");
        }
        match self.value("udp-port").map(|text| parse_port(text).ok_or(text)) {
            None | Some(Ok(Port::Off)) => {}
            Some(Ok(_)) => return refused("UDP (-U)"),
            Some(Err(text)) => return Err(wrong_port(text)),
        }
        match self.value("protocol") {
            None | Some("auto" | "ascii") => Ok(()),
            Some("binary") => refused("the binary protocol (-B binary)"),
            Some(other) => Err(Exit::usage(format!(
                "Invalid value for binding protocol: {other}\n -- should be one of auto, binary, or ascii"
            ))),
        }
    }

    fn net(&self, extended: &Extended) -> Result<net::Options, Exit> {
        let backlog = match self.value("listen-backlog") {
            None => 1024,
            Some(text) => parse_integer(text)
                .filter(|number| *number >= 0)
                .and_then(|number| i32::try_from(number).ok())
                .ok_or_else(|| Exit::usage(format!("Invalid listen backlog {text}")))?,
        };
        let mark = extended.integer("sock_cookie_id").and_then(|mark| u32::try_from(mark).ok());
        Ok(net::Options { endpoints: self.endpoints()?, backlog, socket_mark: mark.unwrap_or(0) })
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>, Exit> {
        let port = match self.value("port") {
            None => Port::Number(11211),
            Some(text) => parse_port(text).ok_or_else(|| wrong_port(text))?,
        };
        let mode = match self.value("unix-mask") {
            None => 0o700,
            Some(text) => u32::from_str_radix(text, 8)
                .ok()
                .filter(|mode| *mode <= 0o777)
                .ok_or_else(|| Exit::usage(format!("Invalid mask {text}: up to 777, in octal")))?,
        };
        if let Some(path) = self.value("unix-socket") {
            return Ok(vec![Endpoint::Unix { path: PathBuf::from(path), mode }]);
        }
        let mut endpoints = Vec::new();
        for list in self.all("listen") {
            for address in net::parse_list(list).map_err(|wrong| Exit::usage(wrong.to_string()))? {
                let Some(endpoint) = Endpoint::from_address(address, port) else { continue };
                // As with memcached, an address may be given twice.
                if !endpoints.contains(&endpoint) {
                    endpoints.push(endpoint);
                }
            }
        }
        // `-l ''` names nothing, and is all interfaces with memcached too.
        if self.all("listen").all(str::is_empty) && port != Port::Off {
            endpoints.push(Endpoint::Tcp { host: None, port });
        }
        Ok(endpoints)
    }

    fn store(&self, workers: usize, extended: &Extended) -> Result<store::Options, Exit> {
        let limit_bytes = match self.value("memory-limit") {
            None => 64 << 20,
            Some(text) => parse_megabytes(text)
                .ok_or_else(|| Exit::usage(format!("Invalid memory limit {text}: a number of megabytes")))?,
        };
        let item_bytes_max = self.item_bytes_max(limit_bytes)?;
        extended.check_item_size(item_bytes_max)?;
        let growth_factor = match self.value("slab-growth-factor").map(parse_factor) {
            None => None,
            Some(Some(factor)) if factor > 1.0 => Some(factor),
            Some(_) => return Err(Exit::error(WRONG_NUMBER, "Factor must be greater than 1".to_owned())),
        };
        let chunk_bytes_min = match self.value("slab-min-size") {
            None => None,
            Some(_) => Some(self.positive("slab-min-size", 0, "Chunk size must be greater than 0")?),
        };
        if chunk_bytes_min.is_some_and(|least| least > item_bytes_max) {
            return Err(Exit::usage("Chunk size cannot be greater than the item size limit."));
        }
        Ok(store::Options {
            limit_bytes,
            item_bytes_max,
            growth_factor,
            chunk_bytes_min,
            evict: !self.has("disable-evictions"),
            cas: !self.has("disable-cas"),
            large_pages: self.has("enable-largepages"),
            sweep: extended.is_on("lru_crawler"),
            sweep_pause_micros: extended.number("lru_crawler_sleep").unwrap_or(SWEEP_PAUSE_MICROS),
            sweep_items_max: extended.number("lru_crawler_tocrawl").unwrap_or(0),
            balance: extended.tuning().balances(),
            workers,
            track_sizes: extended.has("track_sizes"),
            hash_seed: random_seed(),
        })
    }

    fn item_bytes_max(&self, limit_bytes: u64) -> Result<usize, Exit> {
        let bytes = match self.value("max-item-size") {
            None => 1 << 20,
            // memcached reads such a word as 0: its line, and why.
            Some(text) => parse_size(text).ok_or_else(|| {
                Exit::usage(format!("{ITEM_SIZE_TOO_SMALL} {text} is no size: a number of bytes, or with a k or m"))
            })?,
        };
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes < limits::ITEM_BYTES_MAX_LEAST {
            return Err(Exit::usage(ITEM_SIZE_TOO_SMALL));
        }
        if u64::try_from(bytes).unwrap_or(u64::MAX) > limit_bytes / 2 {
            return Err(Exit::usage("Cannot set item size limit higher than 1/2 of memory max."));
        }
        if bytes > limits::ITEM_BYTES_MAX_MOST {
            return Err(Exit::usage("Cannot set item size limit higher than a gigabyte."));
        }
        Ok(bytes)
    }

    fn clients(&self, extended: &Extended) -> Result<Clients, Exit> {
        let connections_max = self.positive("conn-limit", 1024, "Maximum connections must be greater than 0")?;
        let workers = self.positive("threads", 4, "Number of threads must be greater than 0")?;
        let refusal = "Number of requests per event must be greater than 0";
        let requests_per_turn = self.positive("max-reqs-per-event", 20, refusal)?;
        let napi_ids = self.positive("napi-ids", 0, "Number of napi ids must be greater than 0")?;
        if napi_ids > workers {
            return Err(Exit::usage(format!(
                "Number of napi_ids({napi_ids}) cannot be greater than number of threads({workers})"
            )));
        }
        let idle = extended.integer("idle_timeout").and_then(|seconds| u32::try_from(seconds).ok());
        Ok(Clients {
            connections_max,
            refuse_fast: extended.is_on("maxconns_fast"),
            workers,
            requests_per_turn,
            idle_seconds_max: idle.filter(|seconds| *seconds > 0),
        })
    }

    fn commands(&self, clients: &Clients, extended: &Extended) -> Result<command::Options, Exit> {
        let kilobytes = |name, default| {
            let given = extended.integer(name).and_then(|kilobytes| usize::try_from(kilobytes).ok());
            given.unwrap_or(default) << 10
        };
        let delimiter = self.value("delimiter").map(|text| text.bytes().next());
        let Some(prefix_delimiter) = delimiter.unwrap_or(Some(b':')) else {
            return Err(Exit::error(WRONG_NUMBER, "No delimiter specified".to_owned()));
        };
        Ok(command::Options {
            flush_all: !self.has("disable-flush-all"),
            dumping: !self.has("disable-dumping"),
            shutdown: self.has("enable-shutdown"),
            verbosity: self.0.get_count("verbose"),
            workers: clients.workers,
            connections_max: clients.connections_max,
            idle_timeout: clients.idle_seconds_max.is_some(),
            fixed_memory: self.has("enable-largepages"),
            watch: !self.has("disable-watch"),
            worker_log_bytes: kilobytes("worker_logbuf_size", 64),
            watcher_log_bytes: kilobytes("watcher_logbuf_size", 256),
            tuning: extended.tuning(),
            prefix_delimiter,
            detail: delimiter.is_some(),
        })
    }

    fn process(&self) -> Process {
        Process {
            user: self.value("user").map(str::to_owned),
            daemon: self.has("daemon"),
            pidfile: self.value("pidfile").map(PathBuf::from),
            lock_memory: self.has("lock-memory"),
            core_dumps: self.has("enable-coredumps"),
            verbosity: self.0.get_count("verbose"),
        }
    }

    fn words(&self) -> settings::Words<'_> {
        settings::Words {
            port: self.value("port"),
            listen: self.all("listen").filter(|list| !list.is_empty()).collect::<Vec<_>>().join(","),
            unix_mask: self.value("unix-mask"),
            delimiter: self.value("delimiter").and_then(|text| text.chars().next()),
            protocol: self.value("protocol"),
            auth_file: self.value("auth-file"),
            napi_ids: self.value("napi-ids"),
        }
    }

    fn warnings(&self, config: &Config, extended: &Extended) -> Vec<String> {
        let mut lines = Vec::new();
        if config.auth.file.is_none() && config.net.endpoints.iter().any(Endpoint::is_all_interfaces) {
            lines.push(
                "listening on all interfaces without authentication: whoever reaches the port reads and changes \
                 everything; -l 127.0.0.1 keeps it to this machine"
                    .to_owned(),
            );
        }
        if config.net.endpoints.is_empty() {
            lines.push("listening nowhere: -p 0 and no address with a port of its own".to_owned());
        }
        if config.clients.workers > WORKERS_WARNED_ABOVE {
            lines.push(
                "Setting a high number of worker threads is not recommended; as many as there are cores or fewer do \
                 best"
                    .to_owned(),
            );
        }
        if let Some(names) = extended.without_effect() {
            lines.push(format!("-o options accepted without effect here: {names}"));
        }
        if self.value("napi-ids").is_some() {
            lines.push("-N accepted without effect: connections go to the worker with the fewest".to_owned());
        }
        let stray: Vec<&str> = self.all("words").collect();
        if !stray.is_empty() {
            lines.push(format!("ignored, as they are no flags: {}", stray.join(" ")));
        }
        lines
    }
}

fn parse_port(text: &str) -> Option<Port> {
    match parse_integer(text)? {
        -1 => Some(Port::Any),
        0 => Some(Port::Off),
        number => u16::try_from(number).ok().map(Port::Number),
    }
}

fn wrong_port(text: &str) -> Exit {
    Exit::usage(format!("ERROR: Invalid port number {text}."))
}

/// Randomness of the OS, which std draws for the keys of its maps.
fn random_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
