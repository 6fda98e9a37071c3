//! OS calls that std, mio and socket2 do not have, each behind a safe function.

#[cfg(loom)]
pub mod beside;
pub mod cgroup;
pub mod clock;
pub mod cyrus;
pub mod descriptors;
pub mod events;
pub mod file;
pub mod lanes;
pub mod memory;
pub mod notify;
pub mod prefetch;
pub mod process;
pub mod seccomp;
pub mod socket;
pub mod user;
