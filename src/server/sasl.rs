//! The auth thread (`-S`): the authenticator of SASL exchanges, which may wait for a file, or for Cyrus SASL and what
//! that asks.
//!
//! One is enough for what clients say when they connect, and Cyrus SASL takes no locks. Nobody waits for its end: it
//! may be with a program that does not answer.

use std::env;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::thread;

use super::spawn;
use crate::auth::{Authenticator, OpenError, SaslQueue, Sources};
use crate::sync::Arc;
use crate::sys::user;
use crate::telemetry::watch::Call;

/// Takes the way to judge that the environment says, with memcached's variables. An empty one says nothing.
pub(super) fn open() -> Result<Authenticator, OpenError> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    Authenticator::open(Sources {
        password_file: variable("MEMCACHED_SASL_PWDB").map(PathBuf::from),
        configuration: variable("SASL_CONF_PATH").and_then(|path| CString::new(path.into_vec()).ok()),
        host: user::host_name(),
    })
}

/// Starts the thread; where workers reach it.
pub(super) fn start(mut authenticator: Authenticator) -> io::Result<Arc<SaslQueue>> {
    let queue = Arc::new(SaslQueue::new(&authenticator));
    let served = Arc::clone(&queue);
    let thread = spawn("auth".to_owned(), move || {
        loop {
            while served.serve(&mut authenticator) {}
            thread::park();
        }
    })?;
    let called = thread.thread().clone();
    queue.on_message(Call::new(move || called.unpark()));
    Ok(queue)
}
