//! Names and values of figures as memcached's clients know them, whatever the dialect: `items:5:age`, `0.000125`.

use crate::bytes::{Buffer, push_u64};
use crate::telemetry::{Figure, Value};

/// Digits after the point of a time.
const MICROS_DIGITS: usize = 6;

/// Appends a figure's name: its group, labels and own name, as far as it has them, with colons between them.
pub fn push_name(out: &mut Buffer, figure: &Figure<'_>) {
    let start = out.len();
    out.put(figure.group.as_bytes());
    for label in figure.labels {
        push_colon(out, start);
        push_value(out, label.value);
    }
    if !figure.name.is_empty() {
        push_colon(out, start);
        out.put(figure.name.as_bytes());
    }
}

fn push_colon(out: &mut Buffer, start: usize) {
    if out.len() > start {
        out.push(b':');
    }
}

/// Appends a value.
pub fn push_value(out: &mut Buffer, value: Value<'_>) {
    match value {
        Value::Number(number) => push_u64(out, number),
        Value::Time(time) => {
            push_u64(out, time.as_secs());
            out.push(b'.');
            let mut micros = itoa::Buffer::new();
            let micros = micros.format(time.subsec_micros());
            out.put(&b"000000"[..MICROS_DIGITS - micros.len()]);
            out.put(micros.as_bytes());
        }
        Value::Ratio(ratio) => out.put(format!("{ratio:.4}").as_bytes()),
        Value::Text(text) => out.put(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{push_name, push_value};
    use crate::bytes::Buffer;
    use crate::telemetry::{Figure, Label, Value};

    fn text(push: impl FnOnce(&mut Buffer)) -> String {
        let mut out = Buffer::from(&b"before "[..]);
        push(&mut out);
        String::from_utf8(out[7..].to_vec()).expect("text")
    }

    #[test]
    fn a_name_is_what_there_is_of_it_with_colons() {
        let labels = [Label::number("slab", 5_u32)];
        let age = Figure::gauge("age", 7);
        let size = Figure::gauge("", 7);
        for (figure, name) in [
            (age, "age"),
            (age.of("", &labels), "5:age"),
            (age.of("items", &labels), "items:5:age"),
            (size.of("", &labels), "5"),
        ] {
            assert_eq!(text(|out| push_name(out, &figure)), name);
        }
    }

    #[test]
    fn values_have_memcacheds_digits() {
        for (value, expected) in [
            (Value::Number(u64::MAX), "18446744073709551615"),
            (Value::Time(Duration::new(3, 1_999)), "3.000001"),
            (Value::Time(Duration::new(0, 999_999_999)), "0.999999"),
            (Value::Ratio(0.5), "0.5000"),
            (Value::Text("a b"), "a b"),
        ] {
            assert_eq!(text(|out| push_value(out, value)), expected);
        }
    }
}
