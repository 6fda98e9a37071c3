//! Reports: a packet a figure, then an empty one.

use super::Form;
use super::header::HEADER_BYTES;
use super::status;
use crate::bytes::Buffer;
use crate::protocol::ascii;
use crate::protocol::figures::{push_name, push_value};
use crate::telemetry::{Figure, PrefixTotals};

/// The name of the one figure that the counts of all prefixes are.
const PREFIXES: &[u8] = b"detailed";

/// Appends the packet of a figure.
pub(in crate::protocol) fn push_stat(out: &mut Buffer, form: &Form<'_>, figure: &Figure<'_>) {
    let start = out.len();
    out.put(&[0; HEADER_BYTES]);
    push_name(out, figure);
    let key_len = out.len() - start - HEADER_BYTES;
    push_value(out, figure.value);
    let body_len = out.len() - start - HEADER_BYTES;
    out.write_over(start, &form.header(status::OK, key_len, 0, body_len, 0));
}

/// Appends the counts of all prefixes: the lines of the text protocol with their end, in one packet, and the empty one.
pub(in crate::protocol) fn push_prefixes<'p>(
    out: &mut Buffer,
    form: &Form<'_>,
    prefixes: impl Iterator<Item = (&'p [u8], &'p PrefixTotals)>,
) {
    let mut lines = Buffer::default();
    ascii::push_prefixes(&mut lines, prefixes);
    out.put(&form.header(status::OK, PREFIXES.len(), 0, PREFIXES.len() + lines.len(), 0));
    out.put(PREFIXES);
    out.put(&lines);
    out.put(&form.header(status::OK, 0, 0, 0, 0));
}
