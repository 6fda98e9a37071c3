//! The load of `growth`: sets of new keys on one connection, a get at fixed times on another.
//!
//! Usage: growth ADDRESS ITEMS SETS_PER_SECOND GET_INTERVAL_US VALUE_BYTES SECONDS_MAX
//!
//! One thread does both and never sleeps, so that the reader of replies does not wait for a core. A get's
//! latency counts from the moment it should have been sent (open loop): a server that stops for 100 ms
//! is charged for every get due meanwhile. Sets go out in batches at the given rate, the next batch only
//! after the last one's replies (closed loop). Longest turn of the loop itself is reported, too: a pause of
//! that length is the machine's or this program's and not the server's. Needs only std:
//! `rustc -O growth.rs`.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const BATCH: u64 = 32;
const STORED: &[u8] = b"STORED\r\n";
/// Worst replies listed.
const WORST: usize = 5;

type Failure = Box<dyn std::error::Error>;

struct Plan {
    address: String,
    items: u64,
    set_interval: Duration,
    get_interval: Duration,
    value: Vec<u8>,
    time_max: Duration,
}

fn main() -> Result<(), Failure> {
    let plan = Plan::from_arguments()?;
    let mut setter = Setter::connect(&plan)?;
    let mut getter = Getter::connect(&plan)?;
    let start = Instant::now();
    let mut turn = Turns::new(start);
    while setter.stored < plan.items {
        let now = Instant::now();
        turn.note(now, setter.stored);
        if now - start > plan.time_max {
            return Err(format!("only {} items stored within {:?}", setter.stored, plan.time_max).into());
        }
        setter.turn(&plan, now - start)?;
        getter.turn(&plan, start, setter.stored)?;
    }
    report(&setter, &mut getter, &turn, start.elapsed());
    Ok(())
}

impl Plan {
    fn from_arguments() -> Result<Self, Failure> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let [address, items, rate, interval_us, value_bytes, seconds] = words.as_slice() else {
            return Err("ADDRESS ITEMS SETS_PER_SECOND GET_INTERVAL_US VALUE_BYTES SECONDS_MAX".into());
        };
        let items: u64 = items.parse()?;
        Ok(Self {
            address: address.clone(),
            // Whole batches only.
            items: items.div_ceil(BATCH) * BATCH,
            set_interval: Duration::from_secs_f64(BATCH as f64 / rate.parse::<f64>()?),
            get_interval: Duration::from_micros(interval_us.parse()?),
            value: vec![b'v'; value_bytes.parse()?],
            time_max: Duration::from_secs(seconds.parse()?),
        })
    }

    fn connect(&self) -> Result<TcpStream, Failure> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

/// Stores keys 0, 1, 2, … and waits for a batch's replies before it sends the next.
struct Setter {
    stream: TcpStream,
    stored: u64,
    due: Duration,
    reply_bytes: usize,
    output: Vec<u8>,
    written: usize,
}

impl Setter {
    fn connect(plan: &Plan) -> Result<Self, Failure> {
        Ok(Self {
            stream: plan.connect()?,
            stored: 0,
            due: Duration::ZERO,
            reply_bytes: 0,
            output: Vec::new(),
            written: 0,
        })
    }

    fn turn(&mut self, plan: &Plan, now: Duration) -> Result<(), Failure> {
        if self.output.is_empty() {
            if now >= self.due {
                self.make_batch(plan);
                // Late batches are not made up for in a burst: the rate is an upper bound.
                self.due = (self.due + plan.set_interval).max(now);
            }
            return Ok(());
        }
        self.written += write_some(&mut self.stream, &self.output[self.written..])?;
        self.read_replies()
    }

    fn make_batch(&mut self, plan: &Plan) {
        for id in self.stored..self.stored + BATCH {
            // Writing to a Vec cannot fail.
            let _ = write!(self.output, "set key:{id:016} 0 0 {}\r\n", plan.value.len());
            self.output.extend_from_slice(&plan.value);
            self.output.extend_from_slice(b"\r\n");
        }
    }

    fn read_replies(&mut self) -> Result<(), Failure> {
        let mut buffer = [0; STORED.len() * BATCH as usize];
        let count = read_some(&mut self.stream, &mut buffer)?;
        for (offset, byte) in buffer[..count].iter().enumerate() {
            if *byte != STORED[(self.reply_bytes + offset) % STORED.len()] {
                return Err(format!("a set was answered {:?}", String::from_utf8_lossy(&buffer[..count])).into());
            }
        }
        self.reply_bytes += count;
        if self.reply_bytes == buffer.len() {
            self.stored += BATCH;
            self.reply_bytes = 0;
            self.output.clear();
            self.written = 0;
        }
        Ok(())
    }
}

/// Sends a get at each multiple of the interval, whether or not earlier ones were answered.
struct Getter {
    stream: TcpStream,
    sent: u64,
    due: VecDeque<Instant>,
    output: Vec<u8>,
    input: Vec<u8>,
    reply_end: Vec<u8>,
    random: u64,
    replies: Vec<Reply>,
}

#[derive(Clone, Copy)]
struct Reply {
    latency: Duration,
    items: u64,
}

impl Getter {
    fn connect(plan: &Plan) -> Result<Self, Failure> {
        let mut reply_end = plan.value.clone();
        reply_end.extend_from_slice(b"\r\nEND\r\n");
        Ok(Self {
            stream: plan.connect()?,
            sent: 0,
            due: VecDeque::new(),
            output: Vec::new(),
            input: Vec::new(),
            reply_end,
            random: 0x9e37_79b9_7f4a_7c15,
            replies: Vec::new(),
        })
    }

    fn turn(&mut self, plan: &Plan, start: Instant, stored: u64) -> Result<(), Failure> {
        let now = Instant::now();
        // The first second's keys are few; the gets begin with the first batch.
        while stored > 0 {
            let due = start + plan.get_interval.mul_f64(self.sent as f64);
            if due > now {
                break;
            }
            self.sent += 1;
            self.ask(due, stored);
        }
        let written = write_some(&mut self.stream, &self.output)?;
        self.output.drain(..written);
        self.read_replies(stored)
    }

    fn ask(&mut self, due: Instant, stored: u64) {
        // xorshift: any key stored so far, without a crate.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let _ = write!(self.output, "get key:{:016}\r\n", self.random % stored);
        self.due.push_back(due);
    }

    /// Every get must hit: its reply is one VALUE line of fixed length, the value and END.
    fn read_replies(&mut self, stored: u64) -> Result<(), Failure> {
        let mut buffer = [0; 4096];
        let count = read_some(&mut self.stream, &mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let now = Instant::now();
        self.input.extend_from_slice(&buffer[..count]);
        let head = format!("VALUE key:{:016} 0 {}\r\n", 0, self.reply_end.len() - b"\r\nEND\r\n".len()).len();
        let whole = head + self.reply_end.len();
        let mut taken = 0;
        while self.input.len() - taken >= whole {
            let reply = &self.input[taken..taken + whole];
            if !reply.starts_with(b"VALUE key:") || !reply.ends_with(&self.reply_end) {
                break;
            }
            taken += whole;
            let due = self.due.pop_front().ok_or("a reply nobody asked for")?;
            self.replies.push(Reply { latency: now - due, items: stored });
        }
        self.input.drain(..taken);
        if self.input.len() >= whole || self.input.starts_with(b"END") {
            return Err(format!("a get was answered {:?}", String::from_utf8_lossy(&self.input)).into());
        }
        Ok(())
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

/// The longest time between two turns of the loop: how long this program itself was away.
struct Turns {
    last: Instant,
    longest: Duration,
    items: u64,
}

impl Turns {
    fn new(start: Instant) -> Self {
        Self { last: start, longest: Duration::ZERO, items: 0 }
    }

    fn note(&mut self, now: Instant, items: u64) {
        if now - self.last > self.longest {
            self.longest = now - self.last;
            self.items = items;
        }
        self.last = now;
    }
}

/// One JSON line.
fn report(setter: &Setter, getter: &mut Getter, turns: &Turns, elapsed: Duration) {
    // Gets still unanswered have waited at least until now.
    let now = Instant::now();
    let items = setter.stored;
    getter.replies.extend(getter.due.drain(..).map(|due| Reply { latency: now - due, items }));
    getter.replies.sort_by_key(|reply| reply.latency);
    let replies = &getter.replies;
    let at = |share: f64| match replies.len() {
        0 => 0,
        count => replies[((count - 1) as f64 * share).round() as usize].latency.as_micros(),
    };
    let worst: Vec<String> = replies.iter().rev().take(WORST)
        .map(|reply| format!("{{\"us\": {}, \"items\": {}}}", reply.latency.as_micros(), reply.items))
        .collect();
    println!(
        "{{\"items\": {items}, \"seconds\": {:.3}, \"sets_per_second\": {:.0}, \"gets\": {}, \"p50_us\": {}, \
         \"p99_us\": {}, \"p99_9_us\": {}, \"max_us\": {}, \"client_pause_us\": {}, \"client_pause_items\": {}, \
         \"worst\": [{}]}}",
        elapsed.as_secs_f64(), items as f64 / elapsed.as_secs_f64(), replies.len(), at(0.5), at(0.99), at(0.999),
        at(1.0), turns.longest.as_micros(), turns.items, worst.join(", "));
}
