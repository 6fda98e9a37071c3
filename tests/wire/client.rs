//! One client's connection: bytes out, and exact bytes expected back within a deadline.

use crate::server::{WAIT_SECONDS_MAX, wait_for};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How many bytes a failed comparison shows before and after the first difference.
const SHOWN_BYTES_BEFORE: usize = 60;
const SHOWN_BYTES_AFTER: usize = 200;

enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Tls(_) => Err(ErrorKind::Unsupported.into()),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(from),
            Self::Tls(stream) => stream.write(from),
            Self::Unix(stream) => stream.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Self::Tls(stream) = self { stream.flush() } else { Ok(()) }
    }
}

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_nodelay(true).expect("nodelay can be set");
    let limit = Some(Duration::from_secs(WAIT_SECONDS_MAX));
    stream.set_read_timeout(limit).expect("a deadline can be set");
    stream.set_write_timeout(limit).expect("a deadline can be set");
    stream
}

/// What came instead of the next bytes.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    Closed,
    Late,
}

pub(crate) struct Client {
    stream: Stream,
    /// Received, not yet expected.
    received: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self { stream: Stream::Tcp(tcp(address)), received: Vec::new() }
    }

    /// Connects and shakes hands; `None`: the server did not want to.
    pub(crate) fn try_connect_tls(address: SocketAddr, config: &Arc<ClientConfig>) -> Option<Self> {
        let mut socket = tcp(address);
        let name = "localhost".try_into().expect("it is a name");
        let mut session = ClientConnection::new(Arc::clone(config), name).expect("the configuration is good");
        while session.is_handshaking() {
            session.complete_io(&mut socket).ok()?;
        }
        let stream = Stream::Tls(Box::new(StreamOwned::new(session, socket)));
        Some(Self { stream, received: Vec::new() })
    }

    /// Connects and shakes hands.
    #[track_caller]
    pub(crate) fn connect_tls(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        Self::try_connect_tls(address, config).expect("the server shakes hands")
    }

    /// The same, with a socket that holds small pieces back until earlier ones are acknowledged, as is usual.
    #[track_caller]
    pub(crate) fn connect_tls_with_delay(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let mut socket = tcp(address);
        socket.set_nodelay(false).expect("nodelay can be unset");
        let name = "localhost".try_into().expect("it is a name");
        let mut session = ClientConnection::new(Arc::clone(config), name).expect("the configuration is good");
        while session.is_handshaking() {
            session.complete_io(&mut socket).expect("the server shakes hands");
        }
        Self { stream: Stream::Tls(Box::new(StreamOwned::new(session, socket))), received: Vec::new() }
    }

    /// Its side of TLS.
    pub(crate) fn session(&mut self) -> &mut ClientConnection {
        let Stream::Tls(stream) = &mut self.stream else { unreachable!("it speaks TLS") };
        &mut stream.conn
    }

    /// Its side of TLS and the socket below.
    pub(crate) fn into_parts(self) -> (ClientConnection, TcpStream) {
        let Stream::Tls(stream) = self.stream else { unreachable!("it speaks TLS") };
        stream.into_parts()
    }

    /// The socket below TLS.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        match &mut self.stream {
            Stream::Tcp(stream) => stream,
            Stream::Tls(stream) => &mut stream.sock,
            Stream::Unix(_) => unreachable!("it came over TCP"),
        }
    }

    pub(crate) fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the server accepts");
        let limit = Some(Duration::from_secs(WAIT_SECONDS_MAX));
        stream.set_read_timeout(limit).expect("a deadline can be set");
        stream.set_write_timeout(limit).expect("a deadline can be set");
        Self { stream: Stream::Unix(stream), received: Vec::new() }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes what is sent");
        self.stream.flush().expect("the server takes what is sent");
    }

    /// As `send`, but says whether the server still took it: it may have closed already.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Ends our direction: the server reads the end of input. Says whether it was still there.
    pub(crate) fn finish_sending(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write).is_ok(),
            Stream::Tls(stream) => stream.sock.shutdown(Shutdown::Write).is_ok(),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write).is_ok(),
        }
    }

    /// The same connection again, to write to while this one reads.
    pub(crate) fn twin(&self) -> Self {
        let stream = self.stream.try_clone().expect("a socket can be cloned");
        Self { stream, received: Vec::new() }
    }

    /// Ends both directions, also for a twin.
    pub(crate) fn hang_up(&self) {
        // Fails only when the server was first.
        drop(match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Stream::Tls(stream) => stream.sock.shutdown(Shutdown::Both),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
        });
    }

    /// Reads whatever comes until the server closes.
    #[track_caller]
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let stop = loop {
            if let Err(stop) = self.fill() {
                break stop;
            }
        };
        assert!(stop == Stop::Closed, "the server did not close the connection");
        std::mem::take(&mut self.received)
    }

    /// Reads once; nothing, if the server closes.
    pub(crate) fn read_some(&mut self) -> Vec<u8> {
        drop(self.fill());
        std::mem::take(&mut self.received)
    }

    /// Reads the socket below TLS until the server closes it.
    pub(crate) fn read_raw_to_end(&mut self) {
        let socket = self.socket();
        // A server that closes with unread input resets the connection.
        drop(socket.read_to_end(&mut Vec::new()));
    }

    /// Reads once.
    fn fill(&mut self) -> Result<(), Stop> {
        let mut scratch = [0; 65536];
        match self.stream.read(&mut scratch) {
            Ok(0) => Err(Stop::Closed),
            Ok(count) => {
                self.received.extend_from_slice(&scratch[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Stop::Late),
            Err(_) => Err(Stop::Closed),
        }
    }

    /// The next bytes received are exactly these.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut stop = None;
        let mut same = 0;
        while stop.is_none() && same < expected.len() {
            same += common_bytes(&expected[same..], &self.received[same..]);
            if same < expected.len() {
                let differs = same < self.received.len();
                stop = if differs { break } else { self.fill().err() };
            }
        }
        let ended = if stop.is_some() { format!(", then {stop:?}") } else { String::new() };
        assert!(
            same == expected.len(),
            "replies differ at byte {same} of {}\n expected: {}\n received: {}{ended}",
            expected.len(),
            shown(expected, same),
            shown(&self.received, same),
        );
        self.received.drain(..expected.len());
    }

    /// Sends, then expects.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>, reply: impl AsRef<[u8]>) {
        self.send(request);
        self.expect(reply);
    }

    /// As `ask`, for more bytes than the sockets hold: sends and reads at once.
    #[track_caller]
    pub(crate) fn ask_much(&mut self, request: &[u8], reply: impl AsRef<[u8]>) {
        if matches!(self.stream, Stream::Tls(_)) {
            // One session cannot be in two threads: the replies have to fit in the sockets.
            return self.ask(request, reply);
        }
        let mut writer = self.twin();
        std::thread::scope(|scope| {
            // A failed send shows as a missing reply.
            scope.spawn(move || writer.try_send(request));
            self.expect(reply);
        });
    }

    /// The next `count` bytes.
    #[track_caller]
    pub(crate) fn receive(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() < count {
            let filled = self.fill();
            let got = self.received.len();
            assert!(filled == Ok(()), "{filled:?} after {got} of {count} bytes");
        }
        self.received.drain(..count).collect()
    }

    /// The next line without its end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut searched = 0;
        let length = loop {
            if let Some(at) = self.received[searched..].iter().position(|&byte| byte == b'\n') {
                break searched + at;
            }
            searched = self.received.len();
            let filled = self.fill();
            assert!(filled == Ok(()), "{filled:?} in a line: {}", shown(&self.received, searched));
        };
        let line: Vec<u8> = self.received.drain(..=length).collect();
        String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()
    }

    /// Sends, and returns the one line that comes back.
    #[track_caller]
    pub(crate) fn ask_line(&mut self, request: impl AsRef<[u8]>) -> String {
        self.send(request);
        self.line()
    }

    /// Waits until the server has taken all that was sent out of its socket. A reply would not tell:
    /// a server may hold it back while a command's data is still to come.
    #[track_caller]
    pub(crate) fn wait_until_read(&mut self) {
        let Stream::Tcp(stream) = &self.stream else {
            return;
        };
        let ours = stream.local_addr().expect("the socket has a name").port();
        let theirs = stream.peer_addr().expect("the socket has a peer").port();
        wait_for("the server reads", || (unread_bytes(theirs, ours) == 0).then_some(()));
    }

    /// Nothing was left unanswered or answered twice: the next reply is the next command's.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        let line = self.ask_line("version\r\n");
        assert!(line.starts_with("VERSION "), "more replies than expected: {line}");
    }

    /// The server closes the connection, and says nothing more before.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        let stop = loop {
            if let Err(stop) = self.fill() {
                break stop;
            }
        };
        let received = shown(&self.received, 0);
        assert!(self.received.is_empty(), "closed only after: {received}");
        assert!(stop == Stop::Closed, "the server did not close the connection");
    }

    /// The name and value of each line of `stats NAME`.
    #[track_caller]
    pub(crate) fn stats(&mut self, name: &str) -> Vec<(String, String)> {
        self.send(format!("stats {name}").trim_end().to_owned() + "\r\n");
        let mut all = Vec::new();
        loop {
            let line = self.line();
            if line == "END" {
                return all;
            }
            let mut words = line.splitn(3, ' ');
            assert!(words.next() == Some("STAT"), "not a stats line: {line}");
            let name = words.next().expect("a stat has a name").to_owned();
            all.push((name, words.next().unwrap_or_default().to_owned()));
        }
    }

    /// One number of the general stats.
    #[track_caller]
    pub(crate) fn stat(&mut self, name: &str) -> u64 {
        let all = self.stats("");
        let found = all.iter().find(|(listed, _)| listed == name);
        assert!(found.is_some(), "there is no stat {name}");
        let value = &found.expect("asserted just above").1;
        value.parse().expect("the stat is a number")
    }

    /// Several general stats have these values.
    #[track_caller]
    pub(crate) fn expect_stats(&mut self, expected: &[(&str, u64)]) {
        let all = self.stats("");
        for (name, value) in expected {
            let found = all.iter().find(|(listed, _)| listed == name);
            let found = found.map(|(_, found)| found.as_str());
            assert!(found == Some(value.to_string().as_str()), "{name} is {found:?}, not {value}");
        }
    }

    /// Stores a value without flags and expiry.
    #[track_caller]
    pub(crate) fn set(&mut self, key: &str, value: impl AsRef<[u8]>) {
        self.ask_much(&set_bytes(key, value.as_ref()), "STORED\r\n");
    }

    /// The key is there with this value and no flags.
    #[track_caller]
    pub(crate) fn expect_value(&mut self, key: &str, value: impl AsRef<[u8]>) {
        let mut reply = value_bytes(key, value.as_ref());
        reply.extend_from_slice(b"END\r\n");
        self.ask(format!("get {key}\r\n"), reply);
    }

    #[track_caller]
    pub(crate) fn expect_missing(&mut self, key: &str) {
        self.ask(format!("get {key}\r\n"), "END\r\n");
    }

    /// The cas number of a key that is there.
    #[track_caller]
    pub(crate) fn cas(&mut self, key: &str) -> u64 {
        let line = self.ask_line(format!("gets {key}\r\n"));
        let mut words = line.split(' ').skip(3);
        let bytes = words.next().expect("there is a length").parse::<usize>();
        self.receive(bytes.expect("the length is a number") + "\r\n".len());
        self.expect("END\r\n");
        words.next().expect("gets shows a cas").parse().expect("the cas is a number")
    }
}

/// A set command without flags and expiry.
pub(crate) fn set_bytes(key: &str, value: &[u8]) -> Vec<u8> {
    let head = format!("set {key} 0 0 {}\r\n", value.len());
    [head.as_bytes(), value, b"\r\n"].concat()
}

/// What a get shows of a value without flags.
pub(crate) fn value_bytes(key: &str, value: &[u8]) -> Vec<u8> {
    let head = format!("VALUE {key} 0 {}\r\n", value.len());
    [head.as_bytes(), value, b"\r\n"].concat()
}

/// Bytes that differ by seed and place, so that a mixed-up value is seen.
pub(crate) fn pattern(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(2).wrapping_add(1));
    let mut all = Vec::with_capacity(bytes + 8);
    while all.len() < bytes {
        all.extend_from_slice(&random.next().to_le_bytes());
    }
    all.truncate(bytes);
    all
}

/// Marsaglia's xorshift with a multiply: enough to mix tests, and repeatable.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a bound fits");
        usize::try_from(self.next() % bound).expect("it is below a usize")
    }
}

/// What waits in the receive queue of the IPv4 socket with these ports, as the kernel lists it.
fn unread_bytes(local: u16, remote: u16) -> u64 {
    let list = std::fs::read_to_string("/proc/net/tcp").expect("the kernel lists its sockets");
    let (local, remote) = (format!(":{local:04X}"), format!(":{remote:04X}"));
    let queues = list.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let ours = words.next()?.ends_with(&local) && words.next()?.ends_with(&remote);
        if ours { words.nth(1) } else { None }
    });
    // No such socket: the server closed it, and will read no more.
    let received = queues.and_then(|queues| queues.split(':').nth(1));
    received.map_or(0, |hex| u64::from_str_radix(hex, 16).expect("the kernel writes hexadecimal"))
}

fn common_bytes(left: &[u8], right: &[u8]) -> usize {
    // Whole blocks first: values of megabytes are compared in debug builds, too.
    let both = left.len().min(right.len());
    if left[..both] == right[..both] {
        return both;
    }
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

fn shown(bytes: &[u8], at: usize) -> String {
    let from = at.saturating_sub(SHOWN_BYTES_BEFORE).min(bytes.len());
    let to = bytes.len().min(at + SHOWN_BYTES_AFTER);
    let before = if from > 0 { "..." } else { "" };
    let after = if to < bytes.len() { "..." } else { "" };
    format!("{before}\"{}\"{after}", bytes[from..to].escape_ascii())
}
