//! `-m` against the memory there is: a part of it in percent, and whether all of a server fits the control group.

use super::Clients;
use super::numbers::MEGABYTE;
use crate::sys::cgroup;

/// A server without items and clients: program, heap, the kernel's tables for it. 5 MB were measured.
const BASE_BYTES: u64 = 8 * MEGABYTE;
/// What a worker's buffers come to when all of them are in use, and its stack.
const WORKER_BYTES: u64 = MEGABYTE;
/// An idle connection: 150 bytes here and what the kernel takes for its socket, 3.9 KB measured, which counts in the
/// control group, too. Under TLS its session comes on top.
const CONNECTION_BYTES: u64 = 4 << 10;
const ENCRYPTED_CONNECTION_BYTES: u64 = 8 << 10;

/// The memory there is for this process, in bytes: the control group's limit or the machine's memory.
pub(super) fn available_bytes() -> Option<u64> {
    cgroup::memory_limit_bytes().or_else(cgroup::machine_memory_bytes)
}

/// `-m 75%`: so much of what there is, in whole megabytes, in bytes; `None` for what is no percentage.
pub(super) fn parse_percent(text: &str, available: u64) -> Option<u64> {
    let percent: u64 = text.strip_suffix('%')?.parse().ok().filter(|percent| (1..=100).contains(percent))?;
    Some(available / 100 * percent / MEGABYTE * MEGABYTE)
}

/// A line for the log if a full server does not fit the control group's limit, with the `-m` that would.
pub(super) fn warning(limit_bytes: u64, clients: &Clients, is_encrypted: bool, group_bytes: u64) -> Option<String> {
    let beside = beside_items(clients, is_encrypted);
    if limit_bytes.saturating_add(beside) <= group_bytes {
        return None;
    }
    let (m, beside_megabytes, group) = (limit_bytes / MEGABYTE, beside.div_ceil(MEGABYTE), group_bytes / MEGABYTE);
    let start = format!(
        "-m {m} and {beside_megabytes} MB for -c {} and -t {} are more than the {group} MB of the control group, whose \
         processes the kernel kills beyond: ",
        clients.connections_max, clients.workers
    );
    let fits = group.saturating_sub(beside_megabytes);
    Some(match fits {
        0 | 1 => format!("{start}lower -c, or raise the limit"),
        fits => format!("{start}-m {fits} would fit"),
    })
}

/// What a full server may come to, in megabytes.
pub(super) fn megabytes_in_all(limit_bytes: u64, clients: &Clients, is_encrypted: bool) -> u64 {
    limit_bytes.saturating_add(beside_items(clients, is_encrypted)).div_ceil(MEGABYTE)
}

/// What connections and threads may take beside `-m`, in bytes.
fn beside_items(clients: &Clients, is_encrypted: bool) -> u64 {
    let of_connection = if is_encrypted { ENCRYPTED_CONNECTION_BYTES } else { CONNECTION_BYTES };
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let connections = number(clients.connections_max).saturating_mul(of_connection);
    BASE_BYTES.saturating_add(number(clients.workers).saturating_mul(WORKER_BYTES)).saturating_add(connections)
}

#[cfg(test)]
mod tests {
    use super::{Clients, parse_percent, warning};

    #[test]
    fn percentages_are_whole_megabytes_of_what_there_is() {
        assert_eq!(parse_percent("75%", 1 << 30), Some(767 << 20));
        assert_eq!(parse_percent("100%", 5 << 20), Some(4 << 20));
        for wrong in ["0%", "101%", "%", "x%", "-1%", "75", "7.5%"] {
            assert_eq!(parse_percent(wrong, 1 << 30), None, "{wrong}");
        }
    }

    #[test]
    fn what_does_not_fit_the_group_is_said_with_what_would() {
        let clients = Clients {
            connections_max: 1024,
            refuse_fast: true,
            workers: 4,
            requests_per_turn: 20,
            idle_seconds_max: None,
        };
        // 8 MB, 4 threads and 1024 connections of 4 KiB: 16 MB beside -m.
        assert_eq!(warning(496 << 20, &clients, false, 512 << 20), None);
        let line = warning(497 << 20, &clients, false, 512 << 20).expect("too much");
        assert!(line.ends_with("-m 496 would fit"), "{line}");
        let line = warning(496 << 20, &clients, true, 512 << 20).expect("sessions take memory");
        assert!(line.ends_with("-m 492 would fit"), "{line}");
        let line = warning(64 << 20, &clients, false, 16 << 20).expect("nothing fits");
        assert!(line.ends_with("lower -c, or raise the limit"), "{line}");
        let many = Clients { connections_max: usize::MAX, ..clients };
        assert!(warning(64 << 20, &many, false, 1 << 30).is_some());
    }
}
