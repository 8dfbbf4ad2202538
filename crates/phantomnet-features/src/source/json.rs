//! JSON lines: one object taken apart into cells with dotted names.

use std::fmt::{self, Write};

use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::source::cell::Kind;
use crate::source::row::{MAX_COLUMNS, Names, Row};

/// Objects nested deeper than this stay JSON text in one cell.
const MAX_DEPTH: usize = 32;

/// Longest dotted name; a bound on what hostile nesting can cost.
const MAX_NAME_BYTES: usize = 1024;

/// Takes objects apart, keeping its buffers from line to line.
#[derive(Debug, Default)]
pub(crate) struct Flattener {
    path: String,
    /// Columns of the previous line: logs repeat their keys in the same order, which saves most look-ups.
    previous: Vec<usize>,
}

/// The object on a line, freed from what surrounds it when an array is written one object a line: `[`, `]` and commas.
/// `None` when nothing else is there.
pub(crate) fn object_of(line: &str) -> Option<&str> {
    let line = line.trim_ascii();
    let line = line.strip_prefix(['[', ',']).unwrap_or(line).trim_ascii_start();
    let line = line.strip_suffix(']').unwrap_or(line).trim_ascii_end();
    let line = line.strip_suffix(',').unwrap_or(line).trim_ascii_end();
    (!line.is_empty()).then_some(line)
}

impl Flattener {
    /// Adds the values of an object to `row`; nested keys are joined by dots, arrays are kept as JSON text.
    ///
    /// Integers beyond 64 bits with sign are numbers. Keys that come twice are added twice, in order.
    pub(crate) fn flatten(&mut self, object: &str, names: &mut Names, row: &mut Row) -> Result<(), serde_json::Error> {
        if !object.starts_with('{') {
            return Err(serde_json::Error::custom("expected a JSON object"));
        }
        self.path.clear();
        let mut deserializer = serde_json::Deserializer::from_str(object);
        let mut flat = Flat { path: &mut self.path, previous: &mut self.previous, n_cells: 0, names, row };
        ObjectSeed { flat: &mut flat, depth: 1 }.deserialize(&mut deserializer)?;
        deserializer.end()
    }
}

/// Replaces escapes of lone surrogates (`\udc80`) by `\ufffd`; `None` when there is none.
///
/// Python writes such escapes for bytes that are not UTF-8, so payloads are full of them, and JSON forbids them.
pub(crate) fn replace_lone_surrogates(line: &str) -> Option<String> {
    let unit = |at: usize| -> Option<u32> {
        let escape = line.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(escape, 16).ok()
    };
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(step) = memchr::memchr(b'\\', &line.as_bytes()[at..]) {
        at += step;
        match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                out.push_str(&line[copied..at]);
                out.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            Some(_) => at += 6,
            None => at = (at + 2).min(line.len()),
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&line[copied..]);
    Some(out)
}

/// A `serde_json` reason without its line, which is always 1.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line ") {
        Some((what, _)) => format!("{what} at column {}", error.column()),
        None => text,
    }
}

struct Flat<'a> {
    path: &'a mut String,
    previous: &'a mut Vec<usize>,
    n_cells: usize,
    names: &'a mut Names,
    row: &'a mut Row,
}

impl Flat<'_> {
    /// The cell of the current path, from the text that `write` appends.
    fn push<E: Error>(&mut self, kind: Kind, write: impl FnOnce(&mut String)) -> Result<(), E> {
        let Some(column) = self.column()? else {
            return Ok(());
        };
        let start = self.row.text.len();
        write(&mut self.row.text);
        self.row.close_cell(column, kind, start);
        Ok(())
    }

    fn column<E: Error>(&mut self) -> Result<Option<usize>, E> {
        let i = self.n_cells;
        self.n_cells += 1;
        if let Some(&column) = self.previous.get(i)
            && self.names.as_slice().get(column).is_some_and(|name| name == self.path)
        {
            return Ok(Some(column));
        }
        let Ok(column) = self.names.id(self.path) else {
            return Err(E::custom(format_args!("more than {MAX_COLUMNS} columns in all")));
        };
        self.previous.truncate(i);
        // An unknown name is remembered as an index that no column has.
        self.previous.push(column.unwrap_or(usize::MAX));
        Ok(column)
    }
}

struct ObjectSeed<'a, 'b> {
    flat: &'a mut Flat<'b>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { flat, depth } = self;
        let len = flat.path.len();
        if depth > 1 {
            flat.path.push('.');
        }
        let prefix = flat.path.len();
        while map.next_key_seed(KeySeed(flat.path))?.is_some() {
            if flat.path.len() > MAX_NAME_BYTES {
                return Err(A::Error::custom(format_args!("a name of more than {MAX_NAME_BYTES} bytes")));
            }
            map.next_value_seed(ValueSeed { flat: &mut *flat, depth })?;
            flat.path.truncate(prefix);
        }
        flat.path.truncate(len);
        Ok(())
    }
}

/// Appends a key to the path.
struct KeySeed<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        self.0.push_str(key);
        Ok(())
    }
}

struct ValueSeed<'a, 'b> {
    flat: &'a mut Flat<'b>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.flat.push(Kind::Null, |_| {})
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.flat.push(Kind::Boolean, |text| text.push_str(if value { "true" } else { "false" }))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.flat.push(Kind::Integer, |text| append(text, format_args!("{value}")))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        let kind = if i64::try_from(value).is_ok() { Kind::Integer } else { Kind::Number };
        self.flat.push(kind, |text| append(text, format_args!("{value}")))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.flat.push(Kind::Number, |text| append(text, format_args!("{value:?}")))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.flat.push(Kind::Text, |text| text.push_str(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        let value = Value::deserialize(SeqAccessDeserializer::new(seq))?;
        self.flat.push(Kind::Text, |text| append(text, format_args!("{value}")))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        if self.depth < MAX_DEPTH {
            return ObjectSeed { flat: self.flat, depth: self.depth + 1 }.visit_map(map);
        }
        let value = Value::deserialize(MapAccessDeserializer::new(map))?;
        self.flat.push(Kind::Text, |text| append(text, format_args!("{value}")))
    }
}

fn append(text: &mut String, value: fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(value);
}
