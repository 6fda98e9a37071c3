//! One line of the log: an event, in text or JSON. Whatever a message or a value holds, it stays one line, and a value
//! does not pass for another key: what clients send is escaped here, whoever logs it.

use std::fmt::{self, Write};
use std::time::Duration;

use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `[WARN  flagstone::server] message key=value`. The service manager knows the time.
    #[default]
    Text,
    /// An object a line: `time`, `level`, `target`, `message`, and the keys.
    Json,
}

impl LogFormat {
    /// The format of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// An event as a line, with its end. `since_epoch` is Unix time.
    #[must_use]
    pub fn line(self, record: &Record<'_>, since_epoch: Duration) -> String {
        let mut line = String::new();
        // A string takes all that is written to it; a message whose own formatting fails is cut there.
        let written = match self {
            Self::Text => text(&mut line, record),
            Self::Json => json(&mut line, record, since_epoch),
        };
        if written.is_err() {
            line.push_str(" (cut)");
        }
        line.push('\n');
        line
    }
}

fn text(line: &mut String, record: &Record<'_>) -> fmt::Result {
    write!(line, "[{:<5} {}] ", record.level(), record.target())?;
    write!(Escaped { line, quotes: false }, "{}", record.args())?;
    visit(record, |key, value| {
        write!(line, " {key}=")?;
        let value = value.to_string();
        if !value.is_empty() && value.chars().all(is_plain) {
            return line.write_str(&value);
        }
        line.push('"');
        Escaped { line, quotes: true }.write_str(&value)?;
        line.write_char('"')
    })
}

/// Letters of a value that stands without quotes.
fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_./:@%+,[]".contains(letter)
}

fn json(line: &mut String, record: &Record<'_>, since_epoch: Duration) -> fmt::Result {
    let level = match record.level() {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    line.push_str("{\"time\":\"");
    time(line, since_epoch)?;
    write!(line, "\",\"level\":\"{level}\",\"target\":\"{}\",\"message\":\"", record.target())?;
    write!(JsonString(line), "{}", record.args())?;
    line.push('"');
    visit(record, |key, value| {
        write!(line, ",\"{key}\":")?;
        // Numbers are numbers; what JSON has no number for is text.
        if value.to_u64().is_some() || value.to_i64().is_some() || value.to_bool().is_some() {
            return write!(line, "{value}");
        }
        line.push('"');
        write!(JsonString(line), "{value}")?;
        line.write_char('"')
    })?;
    line.write_char('}')
}

/// Calls for each key with its value.
fn visit(record: &Record<'_>, told: impl FnMut(&str, &Value<'_>) -> fmt::Result) -> fmt::Result {
    struct Each<F>(F);
    impl<'kvs, F: FnMut(&str, &Value<'_>) -> fmt::Result> VisitSource<'kvs> for Each<F> {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            (self.0)(key.as_str(), &value).map_err(Error::from)
        }
    }
    record.key_values().visit(&mut Each(told)).map_err(|_| fmt::Error)
}

/// Unix time as of RFC 3339, in milliseconds.
fn time(line: &mut String, since_epoch: Duration) -> fmt::Result {
    let seconds = since_epoch.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that the day of a leap year is the last one; 400 of them have 146,097 days.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let (hour, minute, second, milli) = (second / 3_600, second / 60 % 60, second % 60, since_epoch.subsec_millis());
    write!(line, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Text on one line: whatever is not to be seen, line ends first of all, is written as an escape; within quotes what
/// would end them, too.
struct Escaped<'a> {
    line: &'a mut String,
    quotes: bool,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '"' | '\\' if self.quotes => self.line.extend(['\\', letter]),
                '"' | '\\' | '\'' => self.line.push(letter),
                letter => self.line.extend(letter.escape_debug()),
            }
        }
        Ok(())
    }
}

/// Text within quotes, as of RFC 8259. What is not to be seen is escaped, too.
struct JsonString<'a>(&'a mut String);

impl Write for JsonString<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '"' | '\\' => self.0.extend(['\\', letter]),
                '\'' => self.0.push(letter),
                letter if letter.escape_debug().len() == 1 => self.0.push(letter),
                letter => {
                    let mut units = [0; 2];
                    for unit in letter.encode_utf16(&mut units) {
                        write!(self.0, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use log::{Level, Record};

    use super::LogFormat;

    fn line(format: LogFormat, message: &str, pairs: &[(&str, &str)]) -> String {
        let mut record = Record::builder();
        record.level(Level::Warn).target("flagstone::server").key_values(&pairs);
        format.line(&record.args(format_args!("{message}")).build(), Duration::from_millis(951_827_696_789))
    }

    #[test]
    fn text_is_a_message_and_its_keys() {
        let pairs = [("client", "26"), ("peer", "127.0.0.1:5"), ("why", "two words"), ("none", "")];
        let expected = "[WARN  flagstone::server] closing client=26 peer=127.0.0.1:5 why=\"two words\" none=\"\"\n";
        assert_eq!(line(LogFormat::Text, "closing", &pairs), expected);
    }

    #[test]
    fn json_is_an_object_a_line() {
        let expected = "{\"time\":\"2000-02-29T12:34:56.789Z\",\"level\":\"warn\",\"target\":\"flagstone::server\",\
            \"message\":\"closing\",\"why\":\"a \\\"b\\\"\"}\n";
        assert_eq!(line(LogFormat::Json, "closing", &[("why", "a \"b\"")]), expected);
        let number = 26_u64;
        let pairs = [("client", log::kv::Value::from(number)), ("is", log::kv::Value::from(true))];
        let mut record = Record::builder();
        record.level(Level::Error).target("t").key_values(&pairs);
        let line = LogFormat::Json.line(&record.args(format_args!("m")).build(), Duration::ZERO);
        let expected = "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"error\",\"target\":\"t\",\"message\":\"m\",\
            \"client\":26,\"is\":true}\n";
        assert_eq!(line, expected);
    }

    /// Guards: what a client sends is told as it came, and never as a line or a key of ours.
    #[test]
    fn nothing_that_is_logged_makes_a_line_or_a_key() {
        let forged = "k\r\n[ERROR flagstone] all=lost\u{1b}[2J\u{2028}\u{202e}\u{85}\0\" x=\"1\\";
        let text = line(LogFormat::Text, forged, &[("key", forged)]);
        assert_eq!(text.trim_end_matches('\n').len() + 1, text.len());
        assert!(!text.trim_end().contains(|letter: char| letter.is_control() || "\u{2028}\u{202e}".contains(letter)));
        let expected =
            " key=\"k\\r\\n[ERROR flagstone] all=lost\\u{1b}[2J\\u{2028}\\u{202e}\\u{85}\\0\\\" x=\\\"1\\\\\"\n";
        assert!(text.ends_with(expected), "{text}");
        let json = line(LogFormat::Json, forged, &[("key", forged)]);
        let inside = "k\\u000d\\u000a[ERROR flagstone] all=lost\\u001b[2J\\u2028\\u202e\\u0085\\u0000\\\" x=\\\"1\\\\";
        assert!(json.ends_with(&format!("\"message\":\"{inside}\",\"key\":\"{inside}\"}}\n")), "{json}");
    }

    #[test]
    fn formats_have_names() {
        assert_eq!(LogFormat::named("json"), Some(LogFormat::Json));
        assert_eq!(LogFormat::named("text"), Some(LogFormat::Text));
        assert_eq!(LogFormat::named("xml"), None);
    }
}
