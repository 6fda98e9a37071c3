//! [`Figure`]: what the server tells about itself, as values. Who wants a report visits its figures one by one and
//! writes each in a form of its own; none is kept, and nothing here is text for a client.

use std::time::Duration;

/// One line of a report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure<'a> {
    /// What memcached puts before the labels: `items`, or nothing.
    pub group: &'static str,
    /// Which of several alike it is about, as the class of `evicted`; empty: there is one.
    pub labels: &'a [Label<'a>],
    /// memcached's name, or ours, without group and labels. Empty where the label says all, as in `stats sizes`.
    pub name: &'a str,
    /// How it changes.
    pub kind: Kind,
    /// What it is now.
    pub value: Value<'a>,
}

/// How a figure changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It counts events: it rises until a restart or `stats reset`.
    Counter,
    /// It measures: it rises and falls.
    Gauge,
    /// It describes: a name, a setting.
    Info,
}

/// What a figure or a label is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A number; a yes or no is 1 or 0.
    Number(u64),
    /// A time.
    Time(Duration),
    /// A share of one.
    Ratio(f64),
    /// Words.
    Text(&'a str),
}

/// Which of several alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label<'a> {
    /// In what they differ: `slab`, `fd`.
    pub name: &'static str,
    /// Which one.
    pub value: Value<'a>,
}

/// Who is told the figures of a report, in its order.
pub type Visit<'v> = dyn FnMut(&Figure<'_>) + 'v;

impl<'a> Figure<'a> {
    /// A figure of one thing.
    #[must_use]
    pub const fn new(name: &'a str, kind: Kind, value: Value<'a>) -> Self {
        Self { group: "", labels: &[], name, kind, value }
    }

    /// A number that counts.
    #[must_use]
    pub const fn counter(name: &'a str, value: u64) -> Self {
        Self::new(name, Kind::Counter, Value::Number(value))
    }

    /// A number that measures.
    #[must_use]
    pub const fn gauge(name: &'a str, value: u64) -> Self {
        Self::new(name, Kind::Gauge, Value::Number(value))
    }

    /// A description.
    #[must_use]
    pub const fn info(name: &'a str, value: &'a str) -> Self {
        Self::new(name, Kind::Info, Value::Text(value))
    }

    /// The same figure about one of several.
    #[must_use]
    pub const fn of(self, group: &'static str, labels: &'a [Label<'a>]) -> Self {
        Self { group, labels, ..self }
    }
}

impl Label<'_> {
    /// A label with a number.
    #[must_use]
    pub fn number(name: &'static str, value: impl Into<u64>) -> Self {
        Self { name, value: Value::Number(value.into()) }
    }
}
