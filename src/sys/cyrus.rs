//! Cyrus SASL, the system's library (`libsasl2`), opened at run time: what memcached's `-S` asks it, and no more.
//!
//! The declarations are those of `sasl.h` 2.1, written by hand: seven functions, a structure of three words, two
//! callbacks. The library takes no locks of its own, so everything goes through one [`Library`], which is not shared.
#![expect(unsafe_code, reason = "functions of a C library, found by name at run time")]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulong, c_void};
use std::fmt;
use std::io;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::OnceLock;

/// Its names: Debian's, and that of others since 2.1.26, which changed nothing of what is asked here.
const FILES: [&str; 2] = ["libsasl2.so.2", "libsasl2.so.3"];
/// Who we are to it: its service, and the name of its configuration's file without `.conf`.
const NAME: &CStr = c"memcached";

/// `SASL_OK`.
const OK: c_int = 0;
/// `SASL_CONTINUE`.
const CONTINUE: c_int = 1;
/// `SASL_FAIL`.
const FAIL: c_int = -1;
/// `SASL_CB_LIST_END`, `SASL_CB_LOG` and `SASL_CB_GETCONFPATH`.
const CALLBACK_END: c_ulong = 0;
const CALLBACK_LOG: c_ulong = 2;
const CALLBACK_CONFIGURATION: c_ulong = 5;

/// `sasl_callback_t`.
#[repr(C)]
struct Callback {
    id: c_ulong,
    /// Which function it is, `id` says.
    function: *const c_void,
    context: *mut c_void,
}

// The size and the alignment that a C compiler gives it.
const _: () = assert!(size_of::<Callback>() == 3 * size_of::<usize>());
const _: () = assert!(align_of::<Callback>() == align_of::<usize>());
// `unsigned long` is a word wherever the library is found by this name.
const _: () = assert!(size_of::<c_ulong>() == size_of::<usize>());

/// `sasl_conn_t`, which only the library looks into.
#[repr(C)]
struct Opaque {
    _nothing: [u8; 0],
}

type ServerInit = unsafe extern "C" fn(*const Callback, *const c_char) -> c_int;
type ServerNew = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const c_char,
    *const c_char,
    *const c_char,
    *const Callback,
    c_uint,
    *mut *mut Opaque,
) -> c_int;
type Mechanisms = unsafe extern "C" fn(
    *mut Opaque,
    *const c_char,
    *const c_char,
    *const c_char,
    *const c_char,
    *mut *const c_char,
    *mut c_uint,
    *mut c_int,
) -> c_int;
type Start =
    unsafe extern "C" fn(*mut Opaque, *const c_char, *const c_char, c_uint, *mut *const c_char, *mut c_uint) -> c_int;
type Step = unsafe extern "C" fn(*mut Opaque, *const c_char, c_uint, *mut *const c_char, *mut c_uint) -> c_int;
type Dispose = unsafe extern "C" fn(*mut *mut Opaque);
type ErrorText = unsafe extern "C" fn(c_int, *const c_char, *mut *const c_char) -> *const c_char;

/// Why the library is not there.
#[derive(Debug)]
pub enum OpenError {
    /// It cannot be found or loaded; the loader's words.
    Absent(String),
    /// It was loaded and refuses to begin; its own words.
    Refuses(String),
}

/// What the library says of what a client said.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The client is who it says.
    Accepted,
    /// The client is to answer this.
    Challenge(Vec<u8>),
    /// It is not, or what it said makes no sense.
    Refused,
}

/// What goes to a client may be derived from a password.
impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "Accepted",
            Self::Challenge(_) => "Challenge",
            Self::Refused => "Refused",
        })
    }
}

/// A client's exchange with the library. It holds the library's memory until [`Library::end`]: dropped, it is lost.
#[derive(Debug)]
#[must_use = "its memory is given back by `Library::end`"]
pub struct Exchange(NonNull<Opaque>);

// SAFETY: the library binds an exchange to no thread, and it is used through `&mut Library` alone, so by one at a time.
unsafe impl Send for Exchange {}

/// The library, begun. There is at most one, and its functions are called through it alone, one at a time.
pub struct Library {
    server_new: ServerNew,
    mechanisms: Mechanisms,
    start: Start,
    step: Step,
    dispose: Dispose,
    /// The realm of users that come without one: this machine's name, as with memcached.
    realm: Option<CString>,
    /// Never unloaded: it keeps threads' and plugins' state.
    _loaded: &'static libloading::Library,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// Where its configuration is looked for: asked for by the library when it begins.
static CONFIGURATION: OnceLock<CString> = OnceLock::new();

impl Library {
    /// Opens and begins it. `configuration`: the folders of `memcached.conf`, joined by colons; `None`: there is none,
    /// and the library refuses to begin, as with memcached. `realm`: that of users who name none.
    ///
    /// # Errors
    /// When it is not there, or refuses. A second time is refused.
    pub fn open(configuration: Option<CString>, realm: Option<CString>) -> Result<Self, OpenError> {
        static IS_OPEN: OnceLock<()> = OnceLock::new();
        if IS_OPEN.set(()).is_err() {
            return Err(OpenError::Refuses("it was begun before".to_owned()));
        }
        if let Some(path) = configuration {
            CONFIGURATION.get_or_init(|| path);
        }
        let loaded = load()?;
        let library = Self {
            server_new: found(loaded, c"sasl_server_new")?,
            mechanisms: found(loaded, c"sasl_listmech")?,
            start: found(loaded, c"sasl_server_start")?,
            step: found(loaded, c"sasl_server_step")?,
            dispose: found(loaded, c"sasl_dispose")?,
            realm,
            _loaded: loaded,
        };
        begin(found(loaded, c"sasl_server_init")?, found(loaded, c"sasl_errstring")?)?;
        Ok(library)
    }

    /// The mechanisms it offers, parted by spaces; `None`: none.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn mechanisms(&mut self) -> io::Result<Option<Vec<u8>>> {
        let exchange = self.begin()?;
        let (mut list, mut list_len) = (ptr::null(), 0);
        // SAFETY: the exchange is the library's own and alive; the words end with NUL; the library writes a pointer and
        // a length to our two places, and may be told that a count is not wanted.
        let code = unsafe {
            (self.mechanisms)(
                exchange.0.as_ptr(),
                ptr::null(),
                c"".as_ptr(),
                c" ".as_ptr(),
                c"".as_ptr(),
                &raw mut list,
                &raw mut list_len,
                ptr::null_mut(),
            )
        };
        let list = (code == OK).then(|| copied(list, list_len));
        self.end(exchange);
        Ok(list)
    }

    /// Begins an exchange.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn begin(&mut self) -> io::Result<Exchange> {
        let realm = self.realm.as_ref().map_or(ptr::null(), |realm| realm.as_ptr());
        let mut exchange = ptr::null_mut();
        // SAFETY: name and realm end with NUL and live as long as the call; what is left out may be null; the library
        // writes a pointer to our place.
        let code = unsafe {
            (self.server_new)(
                NAME.as_ptr(),
                ptr::null(),
                realm,
                ptr::null(),
                ptr::null(),
                ptr::null(),
                0,
                &raw mut exchange,
            )
        };
        let exchange = NonNull::new(exchange).filter(|_| code == OK);
        exchange.map(Exchange).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
    }

    /// Takes the choice of a mechanism and what came with it. A name ends at its first NUL, as in C.
    pub fn start(&mut self, exchange: &mut Exchange, mechanism: &[u8], said: &[u8]) -> Outcome {
        let end = mechanism.iter().position(|byte| *byte == 0).unwrap_or(mechanism.len());
        let (name, said) = (with_end(&mechanism[..end]), Said::new(said));
        let (mut out, mut out_len) = (ptr::null(), 0);
        // SAFETY: the exchange is the library's own and alive, and nobody else uses it (`&mut`); name and input end
        // with NUL and live as long as the call, the input is as long as we say; the library writes to our two places.
        let code = unsafe {
            (self.start)(
                exchange.0.as_ptr(),
                name.as_ptr().cast(),
                said.pointer(),
                said.len,
                &raw mut out,
                &raw mut out_len,
            )
        };
        outcome(code, out, out_len)
    }

    /// Takes a client's answer to a challenge. The mechanism was started.
    pub fn step(&mut self, exchange: &mut Exchange, said: &[u8]) -> Outcome {
        let said = Said::new(said);
        let (mut out, mut out_len) = (ptr::null(), 0);
        // SAFETY: as in `start`. Not started, the library says so.
        let code =
            unsafe { (self.step)(exchange.0.as_ptr(), said.pointer(), said.len, &raw mut out, &raw mut out_len) };
        outcome(code, out, out_len)
    }

    /// Ends an exchange.
    pub fn end(&mut self, exchange: Exchange) {
        let mut pointer = exchange.0.as_ptr();
        // SAFETY: the exchange is the library's own and alive, and it is ours alone: it is gone with this call.
        unsafe { (self.dispose)(&raw mut pointer) };
    }
}

/// Loads the first of its names that is there.
fn load() -> Result<&'static libloading::Library, OpenError> {
    let mut refusals = Vec::new();
    for file in FILES {
        // SAFETY: loading runs the initialisers of the system's own library, which has none that look at this program.
        match unsafe { libloading::Library::new(file) } {
            Ok(loaded) => return Ok(Box::leak(Box::new(loaded))),
            Err(error) => refusals.push(error.to_string()),
        }
    }
    Err(OpenError::Absent(refusals.join("; ")))
}

/// A function of the library.
fn found<T: Copy>(loaded: &'static libloading::Library, name: &CStr) -> Result<T, OpenError> {
    // SAFETY: the type is that of `sasl.h` for this name (see the types above; each name is asked for once, with its
    // own), and the library is never unloaded.
    let symbol = unsafe { loaded.get::<T>(name.to_bytes_with_nul()) };
    symbol.map(|function| *function).map_err(|error| OpenError::Absent(error.to_string()))
}

fn begin(init: ServerInit, error_text: ErrorText) -> Result<(), OpenError> {
    let callback = |id, function| Callback { id, function, context: ptr::null_mut() };
    let log: extern "C" fn(*mut c_void, c_int, *const c_char) -> c_int = note;
    let configuration: extern "C" fn(*mut c_void, *mut *const c_char) -> c_int = tell_configuration;
    // The library keeps the pointer.
    let callbacks = Box::leak(Box::new([
        callback(CALLBACK_LOG, log as *const c_void),
        callback(CALLBACK_CONFIGURATION, configuration as *const c_void),
        callback(CALLBACK_END, ptr::null()),
    ]));
    // SAFETY: the list has its end and is never freed, each function has the type that belongs to its number, and the
    // name ends with NUL.
    let code = unsafe { init(callbacks.as_ptr(), NAME.as_ptr()) };
    if code == OK {
        return Ok(());
    }
    // SAFETY: any number may be asked about, and no language.
    let text = unsafe { error_text(code, ptr::null(), ptr::null_mut()) };
    Err(OpenError::Refuses(text_of(text).unwrap_or_default()))
}

fn outcome(code: c_int, out: *const c_char, out_len: c_uint) -> Outcome {
    match code {
        OK => Outcome::Accepted,
        CONTINUE => Outcome::Challenge(copied(out, out_len)),
        _ => Outcome::Refused,
    }
}

/// What the library lends until its next call, in memory of our own.
fn copied(pointer: *const c_char, len: c_uint) -> Vec<u8> {
    let len = usize::try_from(len).unwrap_or(0);
    if pointer.is_null() || len == 0 {
        return Vec::new();
    }
    // SAFETY: the library says that so many bytes are there, and it has not been called since.
    unsafe { slice::from_raw_parts(pointer.cast::<u8>(), len) }.to_vec()
}

/// A text of the library's.
fn text_of(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: it is not null, and the library's texts end with NUL and stay for the call at least.
    let text = unsafe { CStr::from_ptr(pointer) };
    Some(text.to_string_lossy().into_owned())
}

/// Bytes with a NUL behind them.
fn with_end(bytes: &[u8]) -> Vec<u8> {
    let mut ended = Vec::with_capacity(bytes.len() + 1);
    ended.extend_from_slice(bytes);
    ended.push(0);
    ended
}

/// What a client said: some mechanisms want a NUL behind it, which its length does not count.
struct Said {
    ended: Vec<u8>,
    len: c_uint,
}

impl Said {
    fn new(said: &[u8]) -> Self {
        Self { ended: with_end(said), len: c_uint::try_from(said.len()).unwrap_or(0) }
    }

    /// Null: nothing was said, which is something else than an empty answer to some mechanisms.
    fn pointer(&self) -> *const c_char {
        if self.len == 0 { ptr::null() } else { self.ended.as_ptr().cast() }
    }
}

/// The library has something to say (`sasl_log_t`). Memcached's levels: failures with `-v`, the rest with `-vv`; traces
/// with passwords in them never.
extern "C" fn note(_context: *mut c_void, level: c_int, message: *const c_char) -> c_int {
    const NONE: c_int = 0;
    const ERROR: c_int = 1;
    const FAILURE: c_int = 2;
    const WARNING: c_int = 3;
    const TRACE_WITH_PASSWORDS: c_int = 7;
    let level_of_log = match level {
        NONE | TRACE_WITH_PASSWORDS.. => return OK,
        ERROR => log::Level::Warn,
        FAILURE | WARNING => log::Level::Info,
        _ => log::Level::Debug,
    };
    if log::log_enabled!(level_of_log)
        && let Some(text) = text_of(message)
    {
        log::log!(level_of_log, severity = level, said:% = text; "Cyrus SASL");
    }
    OK
}

/// The library asks where its configuration is (`sasl_getconfpath_t`).
extern "C" fn tell_configuration(_context: *mut c_void, path: *mut *const c_char) -> c_int {
    let Some(configuration) = CONFIGURATION.get().filter(|_| !path.is_null()) else { return FAIL };
    // SAFETY: it is not null, and the library gives a place for a pointer. What is written there is never freed.
    unsafe { path.write(configuration.as_ptr()) };
    OK
}
