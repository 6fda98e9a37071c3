//! A client that knows what each of its keys must have: what was acknowledged, or, of the one that was in work when
//! the server ended, that or what was asked for, or nothing.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

/// Keys of each client.
const KEYS: u64 = 60;

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % n
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    value: Vec<u8>,
    flags: u32,
    /// The number that was told, if one was.
    cas: Option<u64>,
}

/// What a key is asked to become.
enum Ask {
    Set(Item),
    Append(Vec<u8>),
    Incr(u64),
    Touch,
    Delete,
}

pub(crate) struct Client {
    number: u64,
    random: Random,
    items: HashMap<String, Item>,
    /// The key in work when the server ended, and what it may have then.
    open: Option<(String, Option<Item>)>,
    /// Flushes that were acknowledged, as far as it knows.
    flushes: u64,
    /// A flush was in work: all may be gone, or nothing.
    maybe_flushed: bool,
}

/// Where a server is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Unix(PathBuf),
    /// On this machine.
    Tcp(u16),
}

/// A socket of either kind.
trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

type Stream = BufReader<Box<dyn Wire>>;

impl Place {
    fn connect(&self) -> io::Result<Stream> {
        Ok(BufReader::new(match self {
            Self::Unix(path) => Box::new(UnixStream::connect(path)?),
            Self::Tcp(port) => Box::new(TcpStream::connect(("127.0.0.1", *port))?),
        }))
    }
}

impl Client {
    pub(crate) fn new(number: u64) -> Self {
        let random = Random::new(number + 1);
        Self { number, random, items: HashMap::new(), open: None, flushes: 0, maybe_flushed: false }
    }

    /// Works until the server ends. True: a flush of its was not acknowledged any more. Who
    /// flushes is alone at it; `flushes` counts those that were acknowledged.
    pub(crate) fn work(
        &mut self,
        socket: &Path,
        flushes: &RwLock<u64>,
        flushes_in_this_run: bool,
        mut on_step: impl FnMut(),
    ) -> bool {
        let Ok(mut stream) = Place::Unix(socket.to_owned()).connect() else { return false };
        let mut may_flush = flushes_in_this_run;
        loop {
            if may_flush && self.random.below(100) == 0 {
                let mut alone = flushes.write().expect("nobody fails");
                may_flush = false;
                if ask(&mut stream, b"flush_all\r\n").is_err() {
                    return true;
                }
                *alone += 1;
            }
            let count = flushes.read().expect("nobody fails");
            self.note_flushes(*count);
            on_step();
            if self.step(&mut stream).is_err() {
                return false;
            }
        }
    }

    /// Works on until it is told that this is enough; who closes its connection is connected to again at once. How
    /// often that was.
    pub(crate) fn work_on(&mut self, place: &Place, mut goes_on: impl FnMut() -> bool) -> u32 {
        let mut closed = 0;
        loop {
            let mut stream = place.connect().expect("nobody is refused");
            if self.settle(&mut stream).is_ok() {
                loop {
                    if !goes_on() {
                        return closed;
                    }
                    if self.step(&mut stream).is_err() {
                        break;
                    }
                }
            }
            closed += 1;
        }
    }

    /// Finds out what became of the key in work when the connection was closed.
    fn settle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let Some((key, wanted)) = &self.open else { return Ok(()) };
        let found = fetch(stream, key)?;
        let is_as = |item: Option<&Item>| match (item, &found) {
            (Some(item), Some(found)) => item.value == found.value && item.flags == found.flags,
            (None, None) => true,
            _ => false,
        };
        assert!(is_as(wanted.as_ref()) || is_as(self.items.get(key)), "{key} is half changed, or gone");
        match found {
            Some(found) => drop(self.items.insert(key.clone(), found)),
            None => drop(self.items.remove(key)),
        }
        self.open = None;
        Ok(())
    }

    /// Takes in how many flushes have been acknowledged.
    pub(crate) fn note_flushes(&mut self, count: u64) {
        if self.flushes != count {
            self.items.clear();
        }
        self.flushes = count;
    }

    /// Takes in that a flush was in work when the server ended.
    pub(crate) fn note_flush_in_work(&mut self) {
        self.maybe_flushed = true;
    }

    /// Makes so many changes.
    pub(crate) fn do_some(&mut self, socket: &Path, count: u32) {
        let mut stream = Place::Unix(socket.to_owned()).connect().expect("it listens");
        for _ in 0..count {
            self.step(&mut stream).expect("it serves");
        }
    }

    fn step(&mut self, stream: &mut Stream) -> io::Result<()> {
        let key = format!("key:{}:{}", self.number, self.random.below(KEYS));
        let ask = match self.random.below(10) {
            0 => Ask::Append(self.value()),
            1..3 => Ask::Incr(self.random.below(1000)),
            3 => Ask::Touch,
            4 => Ask::Delete,
            _ => {
                let flags = u32::try_from(self.random.below(3) * 40_000).expect("small");
                Ask::Set(Item { value: self.value(), flags, cas: None })
            }
        };
        let old = self.items.get(&key).cloned();
        let wanted = expected(&ask, old.as_ref());
        self.open = Some((key.clone(), wanted));
        let cas = send(stream, &key, &ask)?;
        match self.open.take() {
            Some((_, Some(item))) => drop(self.items.insert(key, Item { cas: cas.or(item.cas), ..item })),
            _ => drop(self.items.remove(&key)),
        }
        Ok(())
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.random.below(30) {
            0 => 20_000 + self.random.below(200_000),
            1..4 => self.random.below(15_000),
            4..12 => return self.random.below(1 << 40).to_string().into_bytes(),
            _ => self.random.below(200),
        };
        let first = self.random.below(256);
        (0..len).map(|at| b'a' + u8::try_from((first + at * at) % 26).expect("a letter")).collect()
    }

    /// Every key has what it must have.
    pub(crate) fn verify(&mut self, socket: &Path) {
        let mut stream = Place::Unix(socket.to_owned()).connect().expect("it listens");
        for number in 0..KEYS {
            let key = format!("key:{}:{number}", self.number);
            let found = fetch(&mut stream, &key).expect("it serves");
            let item = self.items.get(&key);
            let matches = |item: Option<&Item>| match (item, &found) {
                (Some(item), Some(found)) => {
                    let same = item.value == found.value && item.flags == found.flags;
                    same && item.cas.is_none_or(|cas| found.cas == Some(cas))
                }
                (None, None) => true,
                _ => false,
            };
            let is_open = self
                .open
                .as_ref()
                .is_some_and(|(open, wanted)| *open == key && (found.is_none() || matches(wanted.as_ref())));
            let is_flushed = self.maybe_flushed && found.is_none();
            let said = (item.map(|item| (item.value.len(), item.cas)), found.as_ref().map(|f| (f.value.len(), f.cas)));
            assert!(matches(item) || is_open || is_flushed, "{key} has another value: {said:?}");
            match found {
                Some(found) => drop(self.items.insert(key, found)),
                None => drop(self.items.remove(&key)),
            }
        }
        (self.open, self.maybe_flushed) = (None, false);
    }
}

/// What a key has once that is done.
fn expected(ask: &Ask, old: Option<&Item>) -> Option<Item> {
    match (ask, old) {
        (Ask::Set(item), _) => Some(item.clone()),
        (Ask::Delete, _) | (_, None) => None,
        (Ask::Touch, Some(old)) => Some(old.clone()),
        (Ask::Append(_), Some(old)) if old.value.len() > 400_000 => Some(old.clone()),
        (Ask::Append(more), Some(old)) => {
            Some(Item { value: [&old.value[..], more].concat(), cas: None, ..old.clone() })
        }
        (Ask::Incr(delta), Some(old)) => {
            let text = std::str::from_utf8(&old.value).ok()?;
            let Ok(number) = text.trim_end().parse::<u64>() else { return Some(old.clone()) };
            let mut value = (number + delta).to_string().into_bytes();
            value.resize(value.len().max(old.value.len()), b' ');
            Some(Item { value, cas: None, ..old.clone() })
        }
    }
}

/// Asks for it; the number that was told.
fn send(stream: &mut Stream, key: &str, what: &Ask) -> io::Result<Option<u64>> {
    let reply = match what {
        Ask::Set(Item { value, flags, .. }) => {
            let head = format!("ms {key} {} c F{flags}\r\n", value.len());
            ask(stream, &[head.as_bytes(), value, b"\r\n"].concat())?
        }
        Ask::Append(value) => {
            let head = format!("append {key} 0 0 {}\r\n", value.len());
            ask(stream, &[head.as_bytes(), value, b"\r\n"].concat())?
        }
        Ask::Incr(delta) => ask(stream, format!("incr {key} {delta}\r\n").as_bytes())?,
        Ask::Touch => ask(stream, format!("touch {key} 100000\r\n").as_bytes())?,
        Ask::Delete => ask(stream, format!("delete {key}\r\n").as_bytes())?,
    };
    assert!(!reply.contains("ERROR") || reply.contains("non-numeric"), "{reply}");
    Ok(reply.strip_prefix("HD c").and_then(|number| number.trim_end().parse().ok()))
}

fn ask(stream: &mut Stream, request: &[u8]) -> io::Result<String> {
    stream.get_mut().write_all(request)?;
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 || !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

fn fetch(stream: &mut Stream, key: &str) -> io::Result<Option<Item>> {
    let line = ask(stream, format!("mg {key} v f c\r\n").as_bytes())?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["VA", len, flags, cas] = words[..] else {
        assert_eq!(line, "EN\r\n");
        return Ok(None);
    };
    let mut value = vec![0; len.parse::<usize>().expect("a length") + 2];
    stream.read_exact(&mut value)?;
    value.truncate(value.len() - 2);
    let number = |word: &str| word[1..].parse::<u64>().expect("a number");
    let flags = u32::try_from(number(flags)).expect("flags");
    Ok(Some(Item { value, flags, cas: Some(number(cas)) }))
}
