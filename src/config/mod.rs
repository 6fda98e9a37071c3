//! The command line, memcached's: from the arguments to a [`Config`] in which everything is checked.
//!
//! Nothing is started here, no file is opened but that of `--config`, and the machine is asked for nothing but a
//! seed and how much memory there is.

mod background;
mod exit;
mod extended;
mod file;
mod flags;
mod generate;
mod given;
mod help;
mod memory;
mod numbers;
mod settings;
mod tls;

use std::ffi::OsString;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;

use crate::net::{self, Endpoint, Port, Spoken, parse_mode};
use crate::protocol::Dialect;
use crate::sys::cgroup;
use crate::telemetry::LogFormat;
use crate::tls::ClientCertificate;
use crate::{auth, command, limits, store};
pub use exit::{Exit, Output, USAGE};
use extended::Extended;
use given::Flags;
use numbers::{parse_factor, parse_integer, parse_megabytes, parse_size};

/// Exit status of memcached for a number out of its bounds.
const WRONG_NUMBER: i32 = 1;
/// memcached's port.
const DEFAULT_PORT: u16 = 11211;
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
    /// The file whose memory the items lie in, if they are to outlive the process, and how it begins.
    pub memory_file: Option<(MemoryFile, store::Restart)>,
    /// `--takeover`: the socket at which the server before is asked for all it has, and the one after will ask.
    pub takeover: Option<PathBuf>,
    /// How clients are served.
    pub clients: Clients,
    /// `-Z`: what TLS is told; `None`: it is not spoken.
    pub tls: Option<crate::tls::Options>,
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

/// A file whose memory the items lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryFile {
    /// `-e`: at this path.
    At(PathBuf),
    /// One without a path, which is handed on.
    Nameless {
        /// `-o memory_fd_store`: the service manager keeps it meanwhile.
        is_stored: bool,
    },
}

impl fmt::Display for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(path) => path.display().fmt(f),
            Self::Nameless { .. } => f.write_str("without a path"),
        }
    }
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
    /// `--check`: no server, but a question to the one there.
    pub check: Option<String>,
    /// `--log-format`.
    pub log_format: LogFormat,
    /// `-o drop_privileges`: what it may ask of the kernel once it serves; `None`: what it likes.
    pub privileges: Option<Privileges>,
}

/// What a process that gave up its privileges may still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privileges {
    /// Serve: no program, no file and no new connection.
    Serving,
    /// `relaxed_privileges`: that, and open files and sockets.
    Files,
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
        let args: Vec<OsString> = args.into_iter().collect();
        let words = words_without_generate(&args);
        let flags = Flags::parse(args)?;
        flags.refuse_beside_sasl()?;
        flags.refuse_beside_tokens()?;
        flags.check_protocol()?;
        let extended = Extended::parse(flags.all_placed("extended"))?;
        let clients = flags.clients(&extended)?;
        let mut config = Self {
            net: flags.net(&extended)?,
            store: flags.store(clients.workers, &extended)?,
            memory_file: flags.memory_file(&extended)?,
            takeover: flags.value("takeover").map(PathBuf::from),
            tls: flags.tls(&extended)?,
            auth: auth::Options { file: flags.value("auth-file").map(PathBuf::from), sasl: flags.has("enable-sasl") },
            commands: flags.commands(&clients, &extended)?,
            clients,
            process: flags.process(&extended)?,
            warnings: Vec::new(),
            settings: Vec::new(),
        };
        config.settings = settings::list(&config, &extended, &flags.words());
        config.warnings = flags.warnings(&config, &extended);
        config.warnings.extend(
            cgroup::memory_limit_bytes().and_then(|group| {
                memory::warning(config.store.limit_bytes, &config.clients, config.tls.is_some(), group)
            }),
        );
        config.warnings.extend(tls::warnings(&config, &extended));
        match flags.value("generate") {
            None => Ok(config),
            Some(kind) => Err(Exit::text(generate::text(kind, &flags, &config, &words)?.trim_end().to_owned())),
        }
    }
}

impl Flags {
    /// A whole number of at least 1, or memcached's line.
    fn positive(&self, name: &str, default: usize, why: &str) -> Result<usize, Exit> {
        let Some(text) = self.value(name) else { return Ok(default) };
        let number = parse_integer(text).filter(|number| *number > 0).and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| {
            let remedy = match default {
                0 => "give a whole number from 1 on".to_owned(),
                default => format!("give a whole number from 1 on; without the flag it is {default}"),
            };
            self.refuse(WRONG_NUMBER, name, why, remedy)
        })
    }

    /// SASL is binary, over a stream: with `-S` nothing else is spoken (memcached's rule and words). It takes tokens
    /// beside it, and then asks for them alone; one way to be let in must be the one that was meant.
    fn refuse_beside_sasl(&self) -> Result<(), Exit> {
        if !self.has("enable-sasl") {
            return Ok(());
        }
        if matches!(self.value("protocol"), Some("auto" | "ascii")) {
            let why = "ERROR: You cannot allow the ASCII protocol while using SASL.";
            return Err(self.refuse_together(["enable-sasl", "protocol"], why, "leave -B out, or give -B binary"));
        }
        if is_on(self.port("udp-port")?) {
            let why = "ERROR: Cannot enable UDP while using binary SASL authentication.";
            return Err(self.refuse_together(
                ["enable-sasl", "udp-port"],
                why,
                "leave -U out: UDP asks nobody who he is",
            ));
        }
        if self.value("auth-file").is_some() {
            let why = "-S and -Y exclude each other: SASL is binary, and tokens are text";
            return Err(self.refuse_together(["enable-sasl", "auth-file"], why, "leave one of them out"));
        }
        Ok(())
    }

    /// Tokens are text, over a stream: with `-Y` nothing else is spoken (memcached's rule and words).
    fn refuse_beside_tokens(&self) -> Result<(), Exit> {
        if self.value("auth-file").is_none() {
            return Ok(());
        }
        if matches!(self.value("protocol"), Some("auto" | "binary")) {
            let why = "ERROR: You cannot allow the BINARY protocol while using ascii authentication tokens.";
            return Err(self.refuse_together(["auth-file", "protocol"], why, "leave -B out, or give -B ascii"));
        }
        if is_on(self.port("udp-port")?) {
            let why = "Cannot use UDP with ascii authentication enabled (-U 0 to disable)";
            return Err(self.refuse_together(
                ["auth-file", "udp-port"],
                why,
                "leave -U out: UDP asks nobody who he is",
            ));
        }
        Ok(())
    }

    /// What `-B` names is spoken.
    fn check_protocol(&self) -> Result<(), Exit> {
        match self.value("protocol") {
            None | Some("auto") => Ok(()),
            Some(name) if Dialect::named(name).is_some() => Ok(()),
            Some(other) => {
                let why =
                    format!("Invalid value for binding protocol: {other}\n -- should be one of auto, binary, or ascii");
                Err(self.refuse(USAGE, "protocol", why, "give one of these; without -B it is auto"))
            }
        }
    }

    fn net(&self, extended: &Extended) -> Result<net::Options, Exit> {
        let backlog = match self.value("listen-backlog") {
            None => 1024,
            Some(text) => parse_integer(text)
                .filter(|number| *number >= 0)
                .and_then(|number| i32::try_from(number).ok())
                .ok_or_else(|| {
                    let why = format!("Invalid listen backlog {text}");
                    self.refuse(USAGE, "listen-backlog", why, "give a whole number from 0 to 2147483647")
                })?,
        };
        let mark = extended.integer("sock_cookie_id").and_then(|mark| u32::try_from(mark).ok());
        Ok(net::Options { endpoints: self.endpoints()?, backlog, socket_mark: mark.unwrap_or(0) })
    }

    fn port(&self, name: &str) -> Result<Option<Port>, Exit> {
        let wrong = |text| {
            let why = format!("ERROR: Invalid port number {text}.");
            self.refuse(
                USAGE,
                name,
                why,
                "give a port from 1 to 65535, 0 for none, or -1 for one that the kernel picks",
            )
        };
        self.value(name).map(|text| parse_port(text).ok_or_else(|| wrong(text))).transpose()
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>, Exit> {
        let has_tls = self.has("enable-ssl");
        let datagram_port = self.port("udp-port")?.unwrap_or(Port::Off);
        // A port for UDP is one for TCP, too (memcached's rule).
        let of_datagrams = Some(datagram_port).filter(|port| is_on(Some(*port)));
        let port = self.port("port")?.or(of_datagrams).unwrap_or(Port::Number(DEFAULT_PORT));
        let mode = match self.value("unix-mask") {
            None => 0o700,
            Some(text) => {
                let why = format!("Invalid mask {text}: up to 777, in octal");
                parse_mode(text).ok_or_else(|| self.refuse(USAGE, "unix-mask", why, "give a mode, as -a 770"))?
            }
        };
        if let Some(path) = self.value("unix-socket") {
            return Ok(vec![Endpoint::Unix { path: PathBuf::from(path), mode, spoken: None }]);
        }
        let lists: Vec<_> = self.all_placed("listen").collect();
        if lists.is_empty() {
            let tls = has_tls.then_some(ClientCertificate::AsConfigured);
            let tcp = (port != Port::Off).then_some(Endpoint::Tcp { host: None, port, tls, spoken: None });
            let udp = of_datagrams.map(|port| Endpoint::Udp { host: None, port });
            return Ok(tcp.into_iter().chain(udp).collect());
        }
        let remedy = "give host, host:port, [IPv6]:port or unix:FILE[:MODE], as -l 127.0.0.1:11211";
        let parse = |(list, place)| {
            net::parse_list(list).map_err(|why| Exit::refused(USAGE, why, exit::shown("-l", list, place), remedy))
        };
        let addresses = lists.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?.concat();
        self.check_tls_tags(&addresses)?;
        if addresses.is_empty() {
            // memcached listens nowhere then. An empty variable of a script must not open a server to all.
            let why = "-l names no address; without -l all interfaces are listened on";
            return Err(self.refuse(USAGE, "listen", why, remedy));
        }
        let any_speaks = |spoken| addresses.iter().any(|address| address.spoken == Some(spoken));
        if self.value("auth-file").is_some() && any_speaks(Spoken::Binary) {
            let why = "Cannot use binary protocol when ascii authentication enabled";
            return Err(self.refuse_together(["auth-file", "listen"], why, "leave proto[binary]: out"));
        }
        if self.has("enable-sasl") && (any_speaks(Spoken::Text) || any_speaks(Spoken::Negotiated)) {
            let why = "-S speaks binary alone, at every address of -l";
            return Err(self.refuse_together(["enable-sasl", "listen"], why, "leave proto[..]: out"));
        }
        let udp: Vec<_> =
            addresses.iter().filter_map(|address| Endpoint::of_datagrams(address, datagram_port)).collect();
        let streams = addresses.into_iter().filter_map(|address| Endpoint::from_address(address, port, mode, has_tls));
        let mut endpoints = Vec::new();
        for endpoint in streams.chain(udp) {
            // As with memcached, an address may be given twice.
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
        Ok(endpoints)
    }

    fn store(&self, workers: usize, extended: &Extended) -> Result<store::Options, Exit> {
        let limit_bytes = match self.value("memory-limit") {
            None => 64 << 20,
            Some(text) => self.limit_bytes(text)?,
        };
        if limit_bytes > limits::MEMORY_BYTES_MAX {
            let most = limits::MEMORY_BYTES_MAX >> 20;
            let why = format!("Cannot set memory limit higher than {most} megabytes.");
            return Err(self.refuse(USAGE, "memory-limit", why, format!("give up to {most}, which is 32 TiB")));
        }
        let item_bytes_max = self.item_bytes_max(limit_bytes)?;
        extended.check_item_size(item_bytes_max)?;
        let growth_factor = match self.value("slab-growth-factor").map(parse_factor) {
            None => None,
            Some(Some(factor)) if factor > 1.0 => Some(factor),
            Some(_) => {
                let remedy = "give a number above 1, as -f 1.25; without -f classes are finer still";
                return Err(self.refuse(WRONG_NUMBER, "slab-growth-factor", "Factor must be greater than 1", remedy));
            }
        };
        let chunk_bytes_min = match self.value("slab-min-size") {
            None => None,
            Some(_) => Some(self.positive("slab-min-size", 0, "Chunk size must be greater than 0")?),
        };
        if chunk_bytes_min.is_some_and(|least| least > item_bytes_max) {
            let why = "Chunk size cannot be greater than the item size limit.";
            return Err(self.refuse(USAGE, "slab-min-size", why, format!("give up to {item_bytes_max}, or raise -I")));
        }
        Ok(store::Options {
            limit_bytes,
            item_bytes_max,
            growth_factor,
            chunk_bytes_min,
            evict: !self.has("disable-evictions"),
            cas: !self.has("disable-cas"),
            large_pages: self.has("enable-largepages"),
            few_addresses: false,
            sweep: extended.is_on("lru_crawler"),
            sweep_pause_micros: extended.number("lru_crawler_sleep").unwrap_or(SWEEP_PAUSE_MICROS),
            sweep_items_max: extended.number("lru_crawler_tocrawl").unwrap_or(0),
            balance: extended.tuning().balances(),
            workers,
            track_sizes: extended.has("track_sizes"),
            hash_seed: random_seed(),
            stripes: None,
        })
    }

    /// The file and what `-o` says of it, which means nothing without it.
    fn memory_file(&self, extended: &Extended) -> Result<Option<(MemoryFile, store::Restart)>, Exit> {
        let seconds = extended.integer("max_outage").and_then(|seconds| u64::try_from(seconds).ok());
        let restart = store::Restart {
            outage_seconds_max: seconds,
            reset: extended.has("memory_file_reset"),
            keep_old: extended.has("memory_file_keep_old"),
        };
        let is_stored = extended.has("memory_fd_store");
        if self.value("takeover").is_some()
            && let Some(option) = ["drop_privileges", "memory_file_keep_old"].into_iter().find(|o| extended.has(o))
        {
            let why = format!("-o {option} is not for servers that follow each other");
            return Err(self.refuse(USAGE, "takeover", why, "leave one of them out"));
        }
        match self.value("memory-file") {
            Some(_) if is_stored => {
                let why = "-e keeps the items in a file and -o memory_fd_store without one";
                Err(self.refuse(USAGE, "memory-file", why, "leave one of them out"))
            }
            Some(path) => Ok(Some((MemoryFile::At(PathBuf::from(path)), restart))),
            None if !restart.keep_old && (is_stored || self.value("takeover").is_some()) => {
                Ok(Some((MemoryFile::Nameless { is_stored }, restart)))
            }
            None if restart == store::Restart::default() => Ok(None),
            None => {
                let why =
                    "-o max_outage, memory_file_reset and memory_file_keep_old say what becomes of the file of -e";
                Err(self.refuse(USAGE, "extended", why, "name the file, as -e /dev/shm/FILE, or leave them out"))
            }
        }
    }

    /// `-m`: megabytes, or a percentage of the memory there is; in bytes.
    fn limit_bytes(&self, text: &str) -> Result<u64, Exit> {
        let refused = |why: String, remedy| Err(self.refuse(USAGE, "memory-limit", why, remedy));
        if !text.ends_with('%') {
            let why = || format!("Invalid memory limit {text}: a number of megabytes");
            return parse_megabytes(text).map_or_else(|| refused(why(), "give megabytes, as -m 1024"), Ok);
        }
        let Some(available) = memory::available_bytes() else {
            return refused("the machine does not say how much memory it has".to_owned(), "give megabytes, as -m 1024");
        };
        let why = || format!("Invalid memory limit {text}: a percentage of the memory there is");
        memory::parse_percent(text, available).map_or_else(|| refused(why(), "give 1% to 100%, as -m 75%"), Ok)
    }

    fn item_bytes_max(&self, limit_bytes: u64) -> Result<usize, Exit> {
        let bytes = match self.value("max-item-size") {
            None => 1 << 20,
            // memcached reads such a word as 0: its line, and why.
            Some(text) => parse_size(text).ok_or_else(|| {
                let why = format!("{ITEM_SIZE_TOO_SMALL} {text} is no size: a number of bytes, or with a k or m");
                self.refuse(USAGE, "max-item-size", why, "give a size, as -I 2m")
            })?,
        };
        let wrong = |why, remedy: String| Err(self.refuse(USAGE, "max-item-size", why, remedy));
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes < limits::ITEM_BYTES_MAX_LEAST {
            return wrong(ITEM_SIZE_TOO_SMALL, "give 1k or more".to_owned());
        }
        if u64::try_from(bytes).unwrap_or(u64::MAX) > limit_bytes / 2 {
            let why = "Cannot set item size limit higher than 1/2 of memory max.";
            let least = usize::try_from(limit_bytes / 2).unwrap_or(usize::MAX);
            if least < limits::ITEM_BYTES_MAX_LEAST || self.value("max-item-size").is_none() {
                return Err(self.refuse(USAGE, "memory-limit", why, "give -m 2 or more, or a lower -I than 1m"));
            }
            let (most, needed) = (limit_bytes >> 11, bytes.div_ceil(1 << 19));
            return wrong(why, format!("give up to {most}k, or -m {needed} or more"));
        }
        if bytes > limits::ITEM_BYTES_MAX_MOST {
            return wrong("Cannot set item size limit higher than a gigabyte.", "give up to 1024m".to_owned());
        }
        Ok(bytes)
    }

    fn clients(&self, extended: &Extended) -> Result<Clients, Exit> {
        let connections_max = self.positive("conn-limit", 1024, "Maximum connections must be greater than 0")?;
        let workers = self.positive("threads", 4, "Number of threads must be greater than 0")?;
        let refusal = "Number of requests per event must be greater than 0";
        let requests_per_turn = self.positive("max-reqs-per-event", 20, refusal)?;
        let napi_ids = self.positive("napi_ids", 0, "Number of napi ids must be greater than 0")?;
        if napi_ids > workers {
            let why = format!("Number of napi_ids({napi_ids}) cannot be greater than number of threads({workers})");
            return Err(self.refuse(USAGE, "napi_ids", why, "leave it out: it has no effect here"));
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
            return Err(self.refuse(WRONG_NUMBER, "delimiter", "No delimiter specified", "give a character, as -D /"));
        };
        Ok(command::Options {
            flush_all: !self.has("disable-flush-all"),
            dumping: !self.has("disable-dumping"),
            shutdown: self.has("enable-shutdown"),
            verbosity: self.verbosity(),
            workers: clients.workers,
            connections_max: clients.connections_max,
            idle_timeout: clients.idle_seconds_max.is_some(),
            fixed_memory: self.has("enable-largepages"),
            watch: !self.has("disable-watch"),
            worker_log_bytes: kilobytes("worker_logbuf_size", 64),
            watcher_log_bytes: kilobytes("watcher_logbuf_size", 256),
            tuning: extended.tuning(),
            chunk_bytes_max: usize::try_from(extended.chunk_bytes_max()).unwrap_or(usize::MAX),
            prefix_delimiter,
            detail: delimiter.is_some(),
            dialect: self.dialect(),
        })
    }

    /// What all clients speak; `None`: the first byte of each tells.
    fn dialect(&self) -> Option<Dialect> {
        match self.value("auth-file") {
            Some(_) => Some(Dialect::TEXT),
            None if self.has("enable-sasl") => Some(Dialect::OF_SASL),
            None => self.value("protocol").and_then(Dialect::named),
        }
    }

    fn process(&self, extended: &Extended) -> Result<Process, Exit> {
        let named = |name| {
            let why = format!("there is no format {name} of the log");
            LogFormat::named(name).ok_or_else(|| self.refuse(USAGE, "log-format", why, "give text or json"))
        };
        Ok(Process {
            log_format: self.value("log-format").map(named).transpose()?.unwrap_or_default(),
            user: self.value("user").map(str::to_owned),
            check: self.value("check").map(str::to_owned),
            daemon: self.has("daemon"),
            pidfile: self.value("pidfile").map(PathBuf::from),
            lock_memory: self.has("lock-memory"),
            core_dumps: self.has("enable-coredumps"),
            verbosity: self.verbosity(),
            privileges: extended.has("drop_privileges").then(|| match extended.has("relaxed_privileges") {
                true => Privileges::Files,
                false => Privileges::Serving,
            }),
        })
    }

    fn words(&self) -> settings::Words<'_> {
        settings::Words {
            port: self.value("port"),
            udp_port: self.value("udp-port"),
            listen: self.all("listen").filter(|list| !list.is_empty()).collect::<Vec<_>>().join(","),
            unix_mask: self.value("unix-mask"),
            delimiter: self.value("delimiter").and_then(|text| text.chars().next()),
            auth_file: self.value("auth-file"),
            napi_ids: self.value("napi_ids"),
        }
    }

    fn warnings(&self, config: &Config, extended: &Extended) -> Vec<String> {
        let mut lines = Vec::new();
        if config.auth == auth::Options::default() && config.net.endpoints.iter().any(Endpoint::is_all_interfaces) {
            lines.push(
                "listening on all interfaces without authentication: whoever reaches the port reads and changes \
                 everything; -l 127.0.0.1 keeps it to this machine"
                    .to_owned(),
            );
        }
        if self.value("unix-socket").is_some() && self.port("udp-port").is_ok_and(is_on) {
            lines.push("no UDP: with -s nothing but the unix socket is listened on".to_owned());
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
        if config.process.privileges == Some(Privileges::Serving)
            && (config.auth != auth::Options::default() || config.tls.is_some())
        {
            lines.push(
                "-o drop_privileges: files of tokens, passwords and certificates cannot be read again; with \
                 relaxed_privileges they can"
                    .to_owned(),
            );
        }
        if let Some(names) = extended.without_effect() {
            lines.push(format!("-o options accepted without effect here: {names}"));
        }
        if self.value("napi_ids").is_some() {
            lines.push("-N accepted without effect: connections go to the worker with the fewest".to_owned());
        }
        let stray: Vec<&str> = self.all("words").collect();
        if !stray.is_empty() {
            lines.push(format!("ignored, as they are no flags: {}", stray.join(" ")));
        }
        lines
    }
}

/// The arguments behind the program's name, but for what is to be generated.
fn words_without_generate(args: &[OsString]) -> Vec<String> {
    const FLAG: &str = "--generate";
    let words: Vec<String> = args.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let is_about = |at: usize| {
        let is_value = at.checked_sub(1).is_some_and(|before| words[before] == FLAG);
        is_value || words[at] == FLAG || words[at].starts_with("--generate=")
    };
    (0..words.len()).filter(|at| !is_about(*at)).map(|at| words[at].clone()).collect()
}

/// Whether this asks to listen.
fn is_on(port: Option<Port>) -> bool {
    port.is_some_and(|port| port != Port::Off)
}

fn parse_port(text: &str) -> Option<Port> {
    match parse_integer(text)? {
        -1 => Some(Port::Any),
        0 => Some(Port::Off),
        number => u16::try_from(number).ok().map(Port::Number),
    }
}

/// Randomness of the OS, which std draws for the keys of its maps.
fn random_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
