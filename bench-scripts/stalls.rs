//! The load of `stalls`: gets at fixed times on one connection, sets at a steady rate on another, and an event.
//!
//! A third may pipeline gets without end.
//!
//! Usage: stalls address=HOST:PORT [name=value …], the names being the fields of [`Plan`].
//!
//! One thread does everything and never sleeps, so that the reader of replies does not wait for a core. A get's
//! latency counts from the moment it should have been sent (open loop): a server that stops for 100 ms is
//! charged for every get due meanwhile. Sets go out in batches at the given rate, the next batch only after
//! the last one's replies (closed loop). A get that was open while this program itself was away for longer than
//! `PAUSE_MAX`, or while the server's worker was kept from a core that long by others than the server's own threads, says
//! something of the machine and nothing of the server: a second histogram leaves it out.

#![expect(clippy::disallowed_methods, reason = "a load has a clock of its own")]
#![expect(clippy::cast_precision_loss, reason = "rates and shares are shown with three digits")]

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Sets of a batch.
const BATCH: u64 = 32;
/// Sets of a batch while nothing is measured.
const PRELOAD_BATCH: u64 = 512;
const STORED: &[u8] = b"STORED\r\n";
/// Worst replies listed.
const WORST: usize = 5;
/// A turn of the loop that took longer is a pause of this program.
const PAUSE_MAX: Duration = Duration::from_micros(200);
/// Times between two looks at what the kernel says of the server's threads; a slow reply is looked into at once.
const LOOK: Duration = Duration::from_micros(500);
/// Time for the server to end what the preload began.
const SETTLE: Duration = Duration::from_secs(3);

type Failure = Box<dyn std::error::Error>;

/// What is to be done, one word of the command line each.
struct Plan {
    address: String,
    /// Items stored before anything is measured.
    preload: u64,
    /// Bytes of their values.
    preload_value: usize,
    /// Their exptime in seconds; 0: none.
    exptime: u32,
    /// Bytes of the values stored meanwhile.
    value: usize,
    /// Sets a second at most; 0: none.
    rate: u64,
    /// 1: sets of keys that are not there yet; 0: of those of the preload.
    new_keys: u64,
    /// Microseconds between gets.
    interval_us: u64,
    /// How long at most.
    seconds: u64,
    /// So many items stored are enough; 0: not before the time is over.
    items: u64,
    /// The server's process, to tell whether it was kept from its core; 0: not looked at.
    pid: u32,
    /// Gets pipelined on a connection of their own, again when all are answered; 0: none. The preload must be there.
    pipelined: usize,
    /// A command sent half-way, and what it answers first: `flush_all`, say.
    command: String,
}

impl Plan {
    fn from_arguments() -> Result<Self, Failure> {
        let mut plan = Self {
            address: String::new(),
            preload: 0,
            preload_value: 10,
            exptime: 0,
            value: 10,
            rate: 0,
            new_keys: 0,
            interval_us: 250,
            seconds: 10,
            items: 0,
            pid: 0,
            pipelined: 0,
            command: String::new(),
        };
        for word in std::env::args().skip(1) {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("not name=value: {word}"))?;
            match name {
                "address" => value.clone_into(&mut plan.address),
                "preload" => plan.preload = value.parse()?,
                "preload_value" => plan.preload_value = value.parse()?,
                "exptime" => plan.exptime = value.parse()?,
                "value" => plan.value = value.parse()?,
                "rate" => plan.rate = value.parse()?,
                "new_keys" => plan.new_keys = value.parse()?,
                "interval_us" => plan.interval_us = value.parse()?,
                "seconds" => plan.seconds = value.parse()?,
                "items" => plan.items = value.parse()?,
                "pid" => plan.pid = value.parse()?,
                "pipelined" => plan.pipelined = value.parse()?,
                "command" => value.clone_into(&mut plan.command),
                _ => return Err(format!("unknown: {name}").into()),
            }
        }
        Ok(plan)
    }

    fn connect(&self) -> Result<TcpStream, Failure> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

fn main() -> Result<(), Failure> {
    let plan = Plan::from_arguments()?;
    let mut setter = Setter::connect(&plan)?;
    setter.preload(&plan)?;
    std::thread::sleep(SETTLE);
    let mut getter = Getter::connect(&plan)?;
    let start = Instant::now();
    let end = start + Duration::from_secs(plan.seconds);
    let mut event = Event::new(&plan, start)?;
    let mut pipeline = Pipeline::connect(&plan)?;
    let mut turns = Turns::new(start, Threads::of(plan.pid)?);
    loop {
        let now = Instant::now();
        turns.note(now);
        if now >= end || plan.items > 0 && setter.stored >= plan.items {
            break;
        }
        setter.turn(&plan, now - start)?;
        getter.turn(&plan, start, setter.keys(), &mut turns)?;
        event.turn(now)?;
        pipeline.turn()?;
    }
    report(&setter, getter, &turns, start.elapsed());
    Ok(())
}

/// Stores keys at the given rate and waits for a batch's replies before it sends the next.
struct Setter {
    stream: TcpStream,
    /// Keys stored since the preload.
    stored: u64,
    preload: u64,
    is_new: bool,
    random: Random,
    due: Duration,
    /// Bytes of replies still to come.
    awaited: usize,
    reply_at: usize,
    output: Vec<u8>,
    written: usize,
}

impl Setter {
    fn connect(plan: &Plan) -> Result<Self, Failure> {
        Ok(Self {
            stream: plan.connect()?,
            stored: 0,
            preload: plan.preload,
            is_new: plan.new_keys != 0,
            random: Random::new(1),
            due: Duration::ZERO,
            awaited: 0,
            reply_at: 0,
            output: Vec::new(),
            written: 0,
        })
    }

    /// Keys that a get may ask for: numbers below this.
    fn keys(&self) -> u64 {
        self.preload + if self.is_new { self.stored } else { 0 }
    }

    fn preload(&mut self, plan: &Plan) -> Result<(), Failure> {
        let mut first = 0;
        while first < plan.preload {
            let last = (first + PRELOAD_BATCH).min(plan.preload);
            for id in first..last {
                self.push(id, plan.exptime, plan.preload_value);
            }
            while self.awaited > 0 {
                self.exchange()?;
            }
            first = last;
        }
        Ok(())
    }

    fn turn(&mut self, plan: &Plan, now: Duration) -> Result<(), Failure> {
        if self.awaited > 0 {
            return self.exchange();
        }
        if plan.rate == 0 || now < self.due {
            return Ok(());
        }
        for number in 0..BATCH {
            let id = if self.is_new { self.preload + self.stored + number } else { self.random.below(plan.preload) };
            self.push(id, 0, plan.value);
        }
        self.stored += BATCH;
        // Late batches are not made up for in a burst: the rate is an upper bound.
        let interval = Duration::from_secs_f64(BATCH as f64 / plan.rate as f64);
        self.due = (self.due + interval).max(now);
        Ok(())
    }

    fn push(&mut self, id: u64, exptime: u32, value_bytes: usize) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.output, "set key:{id:016} 0 {exptime} {value_bytes}\r\n");
        self.output.resize(self.output.len() + value_bytes, b'v');
        self.output.extend_from_slice(b"\r\n");
        self.awaited += STORED.len();
    }

    fn exchange(&mut self) -> Result<(), Failure> {
        self.written += write_some(&mut self.stream, &self.output[self.written..])?;
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
        let mut buffer = [0; 4096];
        let count = read_some(&mut self.stream, &mut buffer)?;
        for byte in &buffer[..count] {
            if *byte != STORED[self.reply_at] {
                return Err(format!("a set was answered {:?}", String::from_utf8_lossy(&buffer[..count])).into());
            }
            self.reply_at = (self.reply_at + 1) % STORED.len();
        }
        self.awaited = self.awaited.checked_sub(count).ok_or("more replies than sets")?;
        Ok(())
    }
}

/// Gets of one key, one batch after the other.
struct Pipeline {
    stream: TcpStream,
    requests: Vec<u8>,
    written: usize,
    /// Bytes of a batch's replies, and how many of them are still to come.
    replies: usize,
    awaited: usize,
}

impl Pipeline {
    fn connect(plan: &Plan) -> Result<Self, Failure> {
        let reply = format!("VALUE key:{:016} 0 {}\r\n\r\nEND\r\n", 0, plan.preload_value).len() + plan.preload_value;
        let requests = format!("get key:{:016}\r\n", 0).repeat(plan.pipelined).into_bytes();
        Ok(Self { stream: plan.connect()?, requests, written: 0, replies: reply * plan.pipelined, awaited: 0 })
    }

    fn turn(&mut self) -> Result<(), Failure> {
        if self.requests.is_empty() {
            return Ok(());
        }
        if self.awaited == 0 {
            (self.written, self.awaited) = (0, self.replies);
        }
        self.written += write_some(&mut self.stream, &self.requests[self.written..])?;
        let mut buffer = [0; 16384];
        let count = read_some(&mut self.stream, &mut buffer)?;
        self.awaited = self.awaited.checked_sub(count).ok_or("more replies than pipelined gets")?;
        Ok(())
    }
}

/// Sends a get at each multiple of the interval, whether or not earlier ones were answered.
struct Getter {
    stream: TcpStream,
    sent: u32,
    due: VecDeque<Instant>,
    output: Vec<u8>,
    input: Vec<u8>,
    random: Random,
    hits: u64,
    all: Latencies,
    undisturbed: Latencies,
}

/// Latencies in nanoseconds, and when the worst of them were due.
struct Latencies {
    histogram: Histogram<u64>,
    worst: Vec<(Duration, Duration)>,
}

impl Latencies {
    fn new() -> Result<Self, Failure> {
        Ok(Self { histogram: Histogram::new(3)?, worst: Vec::new() })
    }

    fn add(&mut self, latency: Duration, at: Duration) -> Result<(), Failure> {
        self.histogram.record(u64::try_from(latency.as_nanos())?)?;
        if self.worst.len() < WORST || self.worst.last().is_some_and(|worst| latency > worst.0) {
            self.worst.push((latency, at));
            self.worst.sort_by_key(|&(latency, _)| Reverse(latency));
            self.worst.truncate(WORST);
        }
        Ok(())
    }

    fn micros_at(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile) / 1000
    }
}

impl Getter {
    fn connect(plan: &Plan) -> Result<Self, Failure> {
        Ok(Self {
            stream: plan.connect()?,
            sent: 0,
            due: VecDeque::new(),
            output: Vec::new(),
            input: Vec::new(),
            random: Random::new(2),
            hits: 0,
            all: Latencies::new()?,
            undisturbed: Latencies::new()?,
        })
    }

    fn turn(&mut self, plan: &Plan, start: Instant, keys: u64, turns: &mut Turns) -> Result<(), Failure> {
        let now = Instant::now();
        loop {
            let due = start + Duration::from_micros(plan.interval_us) * self.sent;
            if due > now {
                break;
            }
            self.sent += 1;
            let _ = write!(self.output, "get key:{:016}\r\n", self.random.below(keys.max(1)));
            self.due.push_back(due);
        }
        let written = write_some(&mut self.stream, &self.output)?;
        self.output.drain(..written);
        self.read_replies(start, turns)
    }

    fn read_replies(&mut self, start: Instant, turns: &mut Turns) -> Result<(), Failure> {
        let mut buffer = [0; 16384];
        let count = read_some(&mut self.stream, &mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let now = Instant::now();
        if self.due.front().is_some_and(|due| now - *due > PAUSE_MAX) {
            turns.look(now);
        }
        self.input.extend_from_slice(&buffer[..count]);
        let mut taken = 0;
        while let Some(reply) = Reply::of(&self.input[taken..])? {
            taken += reply.bytes;
            self.hits += u64::from(reply.is_hit);
            let due = self.due.pop_front().ok_or("a reply nobody asked for")?;
            self.all.add(now - due, due - start)?;
            if turns.last_pause < due {
                self.undisturbed.add(now - due, due - start)?;
            }
        }
        self.input.drain(..taken);
        Ok(())
    }
}

/// A whole reply to a get of one key.
struct Reply {
    bytes: usize,
    is_hit: bool,
}

impl Reply {
    fn of(input: &[u8]) -> Result<Option<Self>, Failure> {
        const END: &[u8] = b"END\r\n";
        let Some(line) = input.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        if input.starts_with(END) {
            return Ok(Some(Self { bytes: END.len(), is_hit: false }));
        }
        let head = std::str::from_utf8(&input[..line])?;
        if !head.starts_with("VALUE key:") {
            return Err(format!("a get was answered {head:?}").into());
        }
        let value: usize = head.trim_end().rsplit(' ').next().unwrap_or_default().parse()?;
        let bytes = line + 1 + value + b"\r\n".len() + END.len();
        Ok((input.len() >= bytes).then_some(Self { bytes, is_hit: true }))
    }
}

/// The command that is sent half-way, on a connection of its own.
struct Event {
    stream: TcpStream,
    line: Vec<u8>,
    due: Option<Instant>,
}

impl Event {
    fn new(plan: &Plan, start: Instant) -> Result<Self, Failure> {
        let due = (!plan.command.is_empty()).then(|| start + Duration::from_secs(plan.seconds) / 2);
        Ok(Self { stream: plan.connect()?, line: format!("{}\r\n", plan.command).into_bytes(), due })
    }

    fn turn(&mut self, now: Instant) -> Result<(), Failure> {
        if self.due.is_some_and(|due| now >= due) {
            self.due = None;
            self.stream.write_all(&self.line)?;
        }
        Ok(())
    }
}

/// xorshift: any key, without a crate.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize, Failure> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match stream.write(bytes) {
        Ok(count) => Ok(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize, Failure> {
    match stream.read(buffer) {
        Ok(0) => Err("the server closed the connection".into()),
        Ok(count) => Ok(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// When the machine had no core for this program or for the server.
struct Turns {
    last: Instant,
    /// End of the last pause of either.
    last_pause: Instant,
    longest: Duration,
    threads: Threads,
    last_look: Instant,
    /// Longest time between two looks that the server was kept waiting.
    longest_wait: Duration,
}

impl Turns {
    fn new(start: Instant, threads: Threads) -> Self {
        let longest = Duration::ZERO;
        Self { last: start, last_pause: start, longest, threads, last_look: start, longest_wait: longest }
    }

    fn note(&mut self, now: Instant) {
        let away = now - self.last;
        if away > PAUSE_MAX {
            self.last_pause = now;
        }
        self.longest = self.longest.max(away);
        self.last = now;
        if now - self.last_look > LOOK {
            self.look(now);
        }
    }

    /// Asks whether the server was kept from its core since this was last asked.
    fn look(&mut self, now: Instant) {
        let waited = self.threads.waited();
        if waited > PAUSE_MAX {
            self.last_pause = now;
        }
        self.longest_wait = self.longest_wait.max(waited);
        self.last_look = now;
    }
}

/// What the kernel counts of the server's threads.
struct Threads {
    workers: Vec<Schedule>,
    others: Vec<Schedule>,
}

/// A thread's times on a core and in wait for one, in nanoseconds.
struct Schedule {
    file: File,
    ran: u64,
    waited: u64,
}

impl Schedule {
    /// How much both have grown since they were last read; not at all once the thread has ended.
    fn grown(&mut self) -> (u64, u64) {
        let mut text = [0; 80];
        let count = self.file.read_at(&mut text, 0).unwrap_or(0);
        let text = std::str::from_utf8(&text[..count]).unwrap_or_default();
        let mut words = text.split(' ').map(|word| word.parse::<u64>());
        let (Some(Ok(ran)), Some(Ok(waited))) = (words.next(), words.next()) else { return (0, 0) };
        let grown = (ran - self.ran, waited - self.waited);
        (self.ran, self.waited) = (ran, waited);
        grown
    }
}

impl Threads {
    fn of(pid: u32) -> Result<Self, Failure> {
        let (mut workers, mut others) = (Vec::new(), Vec::new());
        if pid > 0 {
            for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
                let task = task?.path();
                let mut schedule = Schedule { file: File::open(task.join("schedstat"))?, ran: 0, waited: 0 };
                schedule.grown();
                let name = std::fs::read_to_string(task.join("comm"))?;
                if name.contains("worker") { workers.push(schedule) } else { others.push(schedule) }
            }
        }
        Ok(Self { workers, others })
    }

    /// How long a worker waited for a core since the last call, but for the time the server's other threads ran: who has to
    /// wait for those waits for the server.
    fn waited(&mut self) -> Duration {
        let waited = self.workers.iter_mut().map(|worker| worker.grown().1).max().unwrap_or(0);
        let ran: u64 = self.others.iter_mut().map(|other| other.grown().0).sum();
        Duration::from_nanos(waited.saturating_sub(ran))
    }
}

/// One JSON line.
fn report(setter: &Setter, mut getter: Getter, turns: &Turns, elapsed: Duration) {
    // Gets still unanswered have waited at least until now.
    let now = Instant::now();
    for due in std::mem::take(&mut getter.due) {
        // A latency is below 2^64 ns.
        let _ = getter.all.add(now - due, elapsed);
        if turns.last_pause < due {
            let _ = getter.undisturbed.add(now - due, elapsed);
        }
    }
    let worst: Vec<String> = getter
        .undisturbed
        .worst
        .iter()
        .map(|(latency, at)| format!("{{\"us\": {}, \"at\": {:.3}}}", latency.as_micros(), at.as_secs_f64()))
        .collect();
    let of = |latencies: &Latencies| {
        let [p50, p99, p99_9, p99_99, max] = [0.5, 0.99, 0.999, 0.9999, 1.0].map(|q| latencies.micros_at(q));
        format!(
            "{{\"gets\": {}, \"p50_us\": {p50}, \"p99_us\": {p99}, \"p99_9_us\": {p99_9}, \"p99_99_us\": {p99_99}, \
             \"max_us\": {max}}}",
            latencies.histogram.len()
        )
    };
    println!(
        "{{\"seconds\": {:.3}, \"sets_per_second\": {:.0}, \"stored\": {}, \"hits\": {}, \"all\": {}, \"undisturbed\": {}, \
         \"client_pause_us\": {}, \"server_wait_us\": {}, \"worst\": [{}]}}",
        elapsed.as_secs_f64(),
        setter.stored as f64 / elapsed.as_secs_f64(),
        setter.keys(),
        getter.hits,
        of(&getter.all),
        of(&getter.undisturbed),
        turns.longest.as_micros(),
        turns.longest_wait.as_micros(),
        worst.join(", "),
    );
}
