//! The encoder of the meta dialect: a code, then what the line's flags ask for, in their order.

use super::echo::Echo;
use crate::bytes::{Buffer, push_u64};
use crate::limits::KEY_BYTES_MAX;
use crate::protocol::ascii::base64;
use crate::protocol::ascii::encode::{VALUE_TAIL, push_len, push_reply};
use crate::protocol::{Counted, Hit, Reply, Stored};
use crate::time::{Expiry, Now};

/// Room for the longest line before a value: a key in base64, an opaque, eight flags with a number, three marks.
pub(in crate::protocol::ascii) const HEAD_BYTES_MAX: usize =
    KEY_BYTES_MAX * 4 / 3 + 4 + " k b".len() + 33 + 8 * 22 + " Z X W\r\n".len() + 16;

/// Appends a hit with its value.
#[inline(never)]
pub(in crate::protocol::ascii) fn push_hit(out: &mut Buffer, key: &[u8], echo: &Echo, hit: &Hit<'_>, value: &[u8]) {
    push_hit_head(out, key, echo, hit, true);
    out.extend_from_slice(value);
    out.extend_from_slice(VALUE_TAIL);
}

/// Appends the line of a hit, with its end.
pub(in crate::protocol::ascii) fn push_hit_head(
    out: &mut Buffer,
    key: &[u8],
    echo: &Echo,
    hit: &Hit<'_>,
    shows_value: bool,
) {
    let Some(details) = hit.details else { return };
    if shows_value {
        out.extend_from_slice(b"VA ");
        push_len(out, details.value_len);
    } else {
        out.extend_from_slice(b"HD");
    }
    let mut expiry = details.expiry;
    for letter in echo.letters.iter() {
        match letter {
            b'T' => expiry = expiry_of(echo.touch, hit.now),
            b'N' if details.is_created => expiry = expiry_of(echo.create, hit.now),
            b't' => push_ttl(out, b" t", expiry, hit.now),
            b's' => push_size(out, details.value_len),
            b'c' => push_field(out, b'c', hit.cas),
            b'f' => push_field(out, b'f', u64::from(hit.client_flags)),
            b'l' => push_field(out, b'l', u64::from(details.idle_seconds)),
            b'h' => push_field(out, b'h', u64::from(details.was_fetched)),
            _ => push_echo(out, key, echo, details.has_binary_key, letter),
        }
    }
    for (is_marked, mark) in [(details.was_won, b" Z"), (details.is_stale, b" X"), (details.is_won, b" W")] {
        if is_marked {
            out.extend_from_slice(mark);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer to a fetch that found nothing.
pub(in crate::protocol::ascii) fn push_miss(out: &mut Buffer, key: &[u8], echo: &Echo) {
    push_echoes(out, b"EN", key, echo);
}

/// Appends the answer to a store.
#[inline(never)]
pub(in crate::protocol::ascii) fn push_stored(out: &mut Buffer, key: &[u8], echo: &Echo, stored: &Stored) {
    let Some(code) = code(stored.reply) else { return push_reply(out, stored.reply) };
    out.extend_from_slice(code);
    for letter in echo.letters.iter() {
        match letter {
            b'c' => push_field(out, b'c', stored.cas),
            b's' => push_size(out, stored.value_len),
            _ => push_echo(out, key, echo, echo.is_base64, letter),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the answer to a delete, or to what could not be done.
#[inline(never)]
pub(in crate::protocol::ascii) fn push_reply_to(out: &mut Buffer, key: &[u8], echo: &Echo, reply: Reply) {
    match code(reply) {
        Some(code) => push_echoes(out, code, key, echo),
        None => push_reply(out, reply),
    }
}

/// Appends the answer to an arithmetic operation.
pub(in crate::protocol::ascii) fn push_counted(out: &mut Buffer, key: &[u8], echo: &Echo, counted: &Counted) {
    let Reply::Number(number) = counted.reply else { return push_reply_to(out, key, echo, counted.reply) };
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number).as_bytes();
    if echo.shows_value {
        out.extend_from_slice(b"VA ");
        push_len(out, digits.len());
    } else {
        out.extend_from_slice(b"HD");
    }
    let mut expiry = counted.expiry;
    for letter in echo.letters.iter() {
        match letter {
            b'T' => expiry = expiry_of(echo.touch, counted.now),
            b'N' if counted.is_created => expiry = expiry_of(echo.create, counted.now),
            b't' => push_ttl(out, b" t", expiry, counted.now),
            b'c' => push_field(out, b'c', counted.cas),
            _ => push_echo(out, key, echo, echo.is_base64, letter),
        }
    }
    out.extend_from_slice(b"\r\n");
    if echo.shows_value {
        out.extend_from_slice(digits);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the answer to `me`.
pub(in crate::protocol::ascii) fn push_inspected(out: &mut Buffer, key: &[u8], hit: &Hit<'_>) {
    let Some(details) = hit.details else { return };
    out.extend_from_slice(b"ME ");
    push_key(out, key, details.has_binary_key);
    push_ttl(out, b" exp=", details.expiry, hit.now);
    for (name, value) in [(&b" la="[..], u64::from(details.idle_seconds)), (b" cas=", hit.cas)] {
        out.extend_from_slice(name);
        push_u64(out, value);
    }
    out.extend_from_slice(if details.was_fetched { b" fetch=yes cls=" } else { b" fetch=no cls=" });
    push_u64(out, u64::from(details.class));
    out.extend_from_slice(b" size=");
    push_u64(out, details.item_bytes);
    out.extend_from_slice(b"\r\n");
}

/// The code of a reply that has one.
fn code(reply: Reply) -> Option<&'static [u8]> {
    match reply {
        Reply::Stored | Reply::Deleted => Some(b"HD"),
        Reply::NotStored => Some(b"NS"),
        Reply::Exists => Some(b"EX"),
        Reply::NotFound => Some(b"NF"),
        _ => None,
    }
}

/// A line of a code, the key and the opaque.
fn push_echoes(out: &mut Buffer, code: &[u8], key: &[u8], echo: &Echo) {
    out.extend_from_slice(code);
    for letter in echo.letters.iter() {
        push_echo(out, key, echo, echo.is_base64, letter);
    }
    out.extend_from_slice(b"\r\n");
}

/// What every command gives back: the key and the opaque.
fn push_echo(out: &mut Buffer, key: &[u8], echo: &Echo, is_base64: bool, letter: u8) {
    match letter {
        b'O' => {
            out.push(b' ');
            out.extend_from_slice(echo.opaque.word());
        }
        b'k' => {
            out.extend_from_slice(b" k");
            push_key(out, key, is_base64);
            if is_base64 {
                out.extend_from_slice(b" b");
            }
        }
        _ => {}
    }
}

fn push_key(out: &mut Buffer, key: &[u8], is_base64: bool) {
    if is_base64 { base64::encode(out, key) } else { out.extend_from_slice(key) }
}

fn push_size(out: &mut Buffer, value_len: usize) {
    push_field(out, b's', u64::try_from(value_len).unwrap_or(u64::MAX));
}

fn push_field(out: &mut Buffer, letter: u8, value: u64) {
    out.extend_from_slice(&[b' ', letter]);
    push_u64(out, value);
}

fn push_ttl(out: &mut Buffer, name: &[u8], expiry: Expiry, now: Now) {
    out.extend_from_slice(name);
    match expiry.seconds_left(now.seconds) {
        Some(seconds) => push_u64(out, u64::from(seconds)),
        None => out.extend_from_slice(b"-1"),
    }
}

/// What an exptime of the line comes to.
fn expiry_of(exptime: Option<i64>, now: Now) -> Expiry {
    exptime.map_or(Expiry::Never, |exptime| Expiry::from_exptime(exptime, &now))
}

#[cfg(test)]
mod tests {
    use super::super::echo::{Letters, Opaque};
    use super::{Echo, HEAD_BYTES_MAX, push_hit_head};
    use crate::bytes::Buffer;
    use crate::operation::Details;
    use crate::protocol::ascii::{Form, asked};
    use crate::protocol::{Counted, Fetched, Hit, Quiet, Reply, Stored};
    use crate::time::{Expiry, Now, Seconds};

    const NOW: Now = Now { seconds: Seconds(100), unix_epoch: 1_700_000_000 };

    fn echo(letters: &[u8]) -> Echo {
        let mut flags = Letters::default();
        letters.iter().for_each(|&letter| flags.push(letter));
        Echo {
            is_base64: false,
            letters: flags,
            opaque: Opaque::new(b"Oabc").expect("short"),
            touch: Some(2),
            create: Some(3),
            shows_value: true,
        }
    }

    fn encoded(encode: impl FnOnce(&mut Buffer)) -> String {
        let mut out = Buffer::default();
        encode(&mut out);
        String::from_utf8(out.to_vec()).expect("text")
    }

    const KEY: &[u8] = b"key";

    fn hit(echo: &Echo, cas: u64, details: &Details, shows_value: bool) -> String {
        let hit = Hit { client_flags: u32::MAX, cas, details: Some(details), now: NOW };
        encoded(|out| push_hit_head(out, KEY, echo, &hit, shows_value))
    }

    fn expiry(left: u32) -> Expiry {
        Expiry::At(Seconds(NOW.seconds.0 + left))
    }

    #[test]
    fn flags_are_answered_in_their_order_and_marks_last() {
        let details = Details { value_len: 3, was_won: true, is_stale: true, expiry: expiry(9), ..Details::default() };
        let echo = echo(b"ckOst");
        assert_eq!(hit(&echo, 7, &details, false), "HD c7 kkey Oabc s3 t9 Z X\r\n");
        let won = Details { is_won: true, ..Details::default() };
        assert_eq!(hit(&echo, 0, &won, true), "VA 0 c0 kkey Oabc s0 t-1 W\r\n");
        let encoded = Details { has_binary_key: true, ..Details::default() };
        assert_eq!(hit(&echo, 0, &encoded, false), "HD c0 ka2V5 b Oabc s0 t-1\r\n");
    }

    #[test]
    fn a_time_to_live_is_shown_as_it_is_at_that_place_of_the_line() {
        let details = Details { expiry: expiry(1), is_created: true, ..Details::default() };
        assert_eq!(hit(&echo(b"tTN"), 0, &details, false), "HD t1\r\n");
        assert_eq!(hit(&echo(b"TtN"), 0, &details, false), "HD t2\r\n");
        assert_eq!(hit(&echo(b"TNt"), 0, &details, false), "HD t3\r\n");
        assert_eq!(hit(&echo(b"TNt"), 0, &Details { is_created: false, ..details }, false), "HD t2\r\n");
    }

    #[test]
    fn quiet_hides_what_goes_without_saying() {
        let loud = echo(b"ckOst");
        let echo = Echo { is_base64: true, ..loud };
        let form = Form::Meta { key: KEY, echo: &echo };
        let (misses, successes) = (asked(Quiet::Misses, form), asked(Quiet::Successes, form));
        let stored = |reply| Stored { reply, cas: 0, value_len: 1 };
        let counted = Counted { reply: Reply::Number(5), cas: 0, expiry: Expiry::Never, is_created: false, now: NOW };
        assert_eq!(encoded(|out| misses.push_fetched(out, Fetched::Miss)), "");
        assert_eq!(encoded(|out| successes.push_stored(out, &stored(Reply::Stored))), "");
        let exists = encoded(|out| successes.push_stored(out, &stored(Reply::Exists)));
        assert_eq!(exists, "EX c0 ka2V5 b Oabc s1\r\n");
        assert_eq!(encoded(|out| successes.push_reply(out, Reply::Deleted)), "");
        assert_eq!(encoded(|out| successes.push_reply(out, Reply::NotFound)), "NF ka2V5 b Oabc\r\n");
        assert_eq!(encoded(|out| successes.push_counted(out, &counted)), "");
        let loud = asked(Quiet::No, Form::Meta { key: KEY, echo: &loud });
        assert_eq!(encoded(|out| loud.push_fetched(out, Fetched::Miss)), "EN kkey Oabc\r\n");
        assert_eq!(encoded(|out| loud.push_counted(out, &counted)), "VA 1 c0 kkey Oabc t-1\r\n5\r\n");
    }

    #[test]
    fn what_is_kept_of_a_line_answers_as_the_line_does() {
        let echo = echo(b"Osk");
        let asked = asked(Quiet::No, Form::Meta { key: KEY, echo: &echo });
        let stored = Stored { reply: Reply::Stored, cas: 7, value_len: 3 };
        let kept = asked.keep();
        assert_eq!(encoded(|out| kept.asked().push_stored(out, &stored)), "HD Oabc s3 kkey\r\n");
    }

    #[test]
    fn the_longest_head_fits_its_room() {
        let opaque = format!("O{}", "o".repeat(31));
        let key = [0xff; 250];
        let opaque = Opaque::new(opaque.as_bytes()).expect("no longer than the longest");
        let all = Echo { opaque, touch: Some(i64::MAX), ..echo(b"TNstcflhkO") };
        let details = Details {
            value_len: usize::MAX,
            idle_seconds: u32::MAX,
            is_stale: true,
            is_won: true,
            was_won: true,
            has_binary_key: true,
            ..Details::default()
        };
        let hit = Hit { client_flags: u32::MAX, cas: u64::MAX, details: Some(&details), now: NOW };
        assert!(encoded(|out| push_hit_head(out, &key, &all, &hit, true)).len() <= HEAD_BYTES_MAX);
    }
}
