//! Lines of the reports of `stats`.

use super::push_reply;
use crate::bytes::{Buffer, push_u64};
use crate::protocol::Reply;
use crate::protocol::figures::{push_name, push_value};
use crate::telemetry::{Figure, PrefixTotals};

/// Appends the line of a figure.
pub fn push_stat(out: &mut Buffer, figure: &Figure<'_>) {
    out.put(b"STAT ");
    push_name(out, figure);
    out.push(b' ');
    push_value(out, figure.value);
    out.put(b"\r\n");
}

/// Appends a line. What would end it early is shown as `?`.
pub fn push_line(out: &mut Buffer, line: &str) {
    line.bytes().for_each(|byte| out.push(if byte.is_ascii_control() { b'?' } else { byte }));
    out.put(b"\r\n");
}

/// Appends the lines of `stats detail dump`.
pub fn push_prefixes<'p>(out: &mut Buffer, prefixes: impl Iterator<Item = (&'p [u8], &'p PrefixTotals)>) {
    prefixes.for_each(|(prefix, totals)| push_prefix(out, prefix, totals));
    push_reply(out, Reply::End);
}

fn push_prefix(out: &mut Buffer, prefix: &[u8], totals: &PrefixTotals) {
    out.put(b"PREFIX ");
    out.put(prefix);
    let counts = [(" get ", totals.gets), (" hit ", totals.hits), (" set ", totals.sets), (" del ", totals.deletes)];
    for (name, count) in counts {
        out.put(name.as_bytes());
        push_u64(out, count);
    }
    out.put(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::{push_prefixes, push_stat};
    use crate::bytes::Buffer;
    use crate::telemetry::{Figure, PrefixTotals};

    #[test]
    fn lines_are_those_of_memcached() {
        let mut out = Buffer::default();
        push_stat(&mut out, &Figure::counter("cmd_get", 18));
        let totals = PrefixTotals { gets: 1, hits: 2, sets: 3, deletes: 4 };
        push_prefixes(&mut out, [(&b"user"[..], &totals)].into_iter());
        assert_eq!(String::from_utf8_lossy(&out), "STAT cmd_get 18\r\nPREFIX user get 1 hit 2 set 3 del 4\r\nEND\r\n");
    }
}
