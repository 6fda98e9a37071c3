//! The lines a watcher reads, in memcached's form: `ts=S.US gid=N type=...`, keys URI-encoded, ended by LF.

use super::event::{Event, Peer};
use crate::bytes::{Buffer, push_u64};

/// Microseconds of a second.
const SECOND_MICROS: u64 = 1_000_000;

/// Appends an event's line. The microseconds are not padded: memcached prints them so, and tools read them so.
pub(super) fn push_line(out: &mut Buffer, micros: u64, gid: u64, event: &Event<'_>) {
    number(out, "ts=", micros / SECOND_MICROS);
    number(out, ".", micros % SECOND_MICROS);
    number(out, " gid=", gid);
    match *event {
        Event::Get { key, seen, class, cfd, size } => {
            push_key(out, " type=item_get key=", key);
            text(out, " status=", seen.text());
            item(out, class, Some(cfd), size);
        }
        Event::Store { key, status, word, ttl, class, cfd, size } => {
            push_key(out, " type=item_store key=", key);
            text(out, " status=", status.text());
            text(out, " cmd=", word.text());
            number(out, " ttl=", u64::from(ttl));
            item(out, class, Some(cfd), size);
        }
        Event::Evict { key, was_fetched, ttl, idle, class, size } => {
            push_key(out, " type=eviction key=", key);
            text(out, " fetch=", if was_fetched { "yes" } else { "no" });
            match ttl {
                Some(ttl) => number(out, " ttl=", u64::from(ttl)),
                None => text(out, " ttl=", "-1"),
            }
            number(out, " la=", u64::from(idle));
            item(out, class, None, size);
        }
        Event::Delete { key, word, class, size } => {
            push_key(out, " type=deleted key=", key);
            text(out, " cmd=", word.text());
            item(out, class, None, size);
        }
        Event::Open(peer) => {
            text(out, " type=", "conn_new");
            push_peer(out, peer);
            number(out, " cfd=", u64::from(peer.cfd));
        }
        Event::Close(peer, reason) => {
            text(out, " type=", "conn_close");
            push_peer(out, peer);
            text(out, " reason=", reason.text());
            number(out, " cfd=", u64::from(peer.cfd));
        }
        Event::TlsError { cfd, why } => {
            number(out, " type=conntlserr fd=", u64::from(cfd));
            out.extend_from_slice(b" msg=");
            out.extend_from_slice(why);
        }
        Event::Move { from, to } => {
            number(out, " type=slab_move src=", u64::from(from));
            number(out, " dst=", u64::from(to));
            text(out, " state=", "ok");
        }
        Event::Sweep { class, elapsed, examined, reclaimed } => {
            number(out, " type=lru_crawler crawler=", u64::from(class));
            // What memcached's crawler knows of its plans has no counterpart: a pass begins each second.
            text(out, " lru=", "cold low_mark=0 next_reclaims=0 since_run=1 next_run=1");
            number(out, " elapsed=", u64::from(elapsed));
            number(out, " examined=", examined);
            number(out, " reclaimed=", reclaimed);
        }
        Event::Command { cfd, line } => {
            number(out, " <", u64::from(cfd));
            out.push(b' ');
            // Control bytes would end the line or move a terminal's cursor.
            line.iter().for_each(|&byte| out.push(if byte.is_ascii_control() { b'?' } else { byte }));
        }
    }
    out.push(b'\n');
}

fn text(out: &mut Buffer, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(value.as_bytes());
}

fn number(out: &mut Buffer, name: &str, value: u64) {
    out.extend_from_slice(name.as_bytes());
    push_u64(out, value);
}

fn item(out: &mut Buffer, class: u32, cfd: Option<u32>, size: u64) {
    number(out, " clsid=", u64::from(class));
    if let Some(cfd) = cfd {
        number(out, " cfd=", u64::from(cfd));
    }
    number(out, " size=", size);
}

fn push_peer(out: &mut Buffer, peer: Peer<'_>) {
    out.extend_from_slice(b" rip=");
    out.extend_from_slice(peer.address);
    number(out, " rport=", u64::from(peer.port));
    text(out, " transport=", peer.transport.text());
}

fn push_key(out: &mut Buffer, name: &str, key: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(name.as_bytes());
    for &byte in key {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::push_line;
    use crate::telemetry::watch::{CloseReason, DeleteWord, Event, Peer, Seen, StoreStatus, StoreWord, Transport};

    fn line(event: Event<'_>) -> String {
        let mut out = crate::bytes::Buffer::default();
        push_line(&mut out, 1_795_393_136_024_755, 7, &event);
        let line = std::str::from_utf8(&out).expect("text");
        let rest = line.strip_prefix("ts=1795393136.24755 gid=7 ").expect("time and number");
        rest.strip_suffix('\n').expect("a line").to_owned()
    }

    /// As memcached 1.6.45 printed them.
    #[test]
    fn lines_are_memcacheds() {
        let key = b"a%b/c~d-e_f.g!h";
        assert_eq!(
            line(Event::Get { key, seen: Seen::Found, class: 1, cfd: 29, size: 5 }),
            "type=item_get key=a%25b%2Fc~d-e_f.g%21h status=found clsid=1 cfd=29 size=5"
        );
        let (status, word) = (StoreStatus::Stored, StoreWord::Set);
        assert_eq!(
            line(Event::Store { key: b"k", status, word, ttl: 100, class: 1, cfd: 29, size: 5 }),
            "type=item_store key=k status=stored cmd=set ttl=100 clsid=1 cfd=29 size=5"
        );
        assert_eq!(
            line(Event::Evict { key: b"k", was_fetched: false, ttl: None, idle: 3, class: 39, size: 9 }),
            "type=eviction key=k fetch=no ttl=-1 la=3 clsid=39 size=9"
        );
        assert_eq!(
            line(Event::Delete { key: b"n", word: DeleteWord::Delete, class: 1, size: 7 }),
            "type=deleted key=n cmd=delete clsid=1 size=7"
        );
        let peer = Peer { address: b"127.0.0.1", port: 55646, transport: Transport::Tcp, cfd: 29 };
        assert_eq!(line(Event::Open(peer)), "type=conn_new rip=127.0.0.1 rport=55646 transport=tcp cfd=29");
        assert_eq!(
            line(Event::Close(peer, CloseReason::IdleTimeout)),
            "type=conn_close rip=127.0.0.1 rport=55646 transport=tcp reason=idle_timeout cfd=29"
        );
        assert_eq!(line(Event::Move { from: 3, to: 0 }), "type=slab_move src=3 dst=0 state=ok");
        assert_eq!(
            line(Event::Sweep { class: 2, elapsed: 0, examined: 10, reclaimed: 4 }),
            "type=lru_crawler crawler=2 lru=cold low_mark=0 next_reclaims=0 since_run=1 next_run=1 elapsed=0 \
             examined=10 reclaimed=4"
        );
    }

    #[test]
    fn a_key_grows_to_three_times_its_length_at_most() {
        let event = Event::Get { key: &[b'#'; 250], seen: Seen::NotFound, class: 0, cfd: 1, size: 0 };
        assert!(line(event).contains(&format!("key={} status", "%23".repeat(250))));
    }

    #[test]
    fn a_command_stays_on_one_line() {
        assert_eq!(line(Event::Command { cfd: 9, line: b"get a\rb\x1b" }), "<9 get a?b?");
    }
}
