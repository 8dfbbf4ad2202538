//! JSON: objects taken apart into cells with dotted names, in one pass over the bytes.
//!
//! The parser keeps to RFC 8259 and is also what finds the end of an object, so that objects may stand on one line each, on
//! many, or several on one. Values of columns that nobody asked for are checked and passed over. `serde_json` is its oracle in the
//! tests below.

use std::collections::HashMap;

use crate::source::cell::{self, Kind};
use crate::source::row::{Names, Row, push_lossy};

/// Objects nested deeper than this stay JSON text in one cell.
const MAX_DEPTH: usize = 32;

/// Values nested deeper than this are refused.
const MAX_NESTING: usize = 128;

/// Longest dotted name; a bound on what hostile nesting can cost.
const MAX_NAME_BYTES: usize = 1024;

/// Keys that are remembered; a bound on what hostile keys can cost.
const MAX_KEYS: usize = 100_000;

/// Why no object could be taken from some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// They end before the object does.
    Incomplete,
    /// What is wrong, and at which byte.
    Syntax { what: &'static str, at: usize },
}

type Parsed<T> = Result<T, JsonError>;

/// Takes objects apart. It knows the keys that came before and expects them in the same order, as logs have them.
#[derive(Debug)]
pub(crate) struct Flattener {
    /// Objects by where they stand in a record; the first is the record itself.
    nodes: Vec<Node>,
    keys: Vec<Key>,
    // Looked up, never iterated: hash order plays no part.
    by_name: HashMap<String, usize>,
    /// Columns whose objects are kept as text beside what is in them.
    mixed: Vec<String>,
    /// Cells of the object at hand.
    cells: Vec<Found>,
    /// Keys that have an object in it, and had none before.
    opened: Vec<usize>,
    /// Texts of those that do not stand in the source as they are.
    scratch: Vec<u8>,
    /// Whether a lone surrogate of the object at hand was replaced.
    pub(crate) is_lossy: bool,
}

#[derive(Debug, Default)]
struct Node {
    children: Vec<Child>,
    /// Looked up when the expected order does not hold.
    index: HashMap<Box<[u8]>, usize>,
    /// Dotted name with a dot at its end; empty for the record.
    prefix: String,
    depth: usize,
}

#[derive(Debug)]
struct Child {
    /// As it is written, escapes included.
    raw: Box<[u8]>,
    key: usize,
    /// Node of the objects at this key, once there is one.
    node: Option<usize>,
}

/// A dotted name.
#[derive(Debug)]
struct Key {
    name: String,
    column: Option<usize>,
    /// Whether a value makes a cell.
    is_wanted: bool,
    /// Whether a column below is wanted.
    is_wanted_below: bool,
    /// Whether an object makes a cell, as text.
    keeps_objects: bool,
    has_objects: bool,
}

#[derive(Debug, Clone, Copy)]
struct Found {
    key: usize,
    kind: Kind,
    /// In the scratch, not in the source.
    is_copy: bool,
    start: usize,
    end: usize,
}

/// A string of JSON without its quotes.
#[derive(Debug, Clone, Copy)]
struct Text {
    start: usize,
    end: usize,
    has_escapes: bool,
}

impl Flattener {
    /// Columns in `mixed` hold objects as text too, since other records have plain values there.
    pub(crate) fn new(mixed: &[String]) -> Self {
        Self {
            nodes: vec![Node { depth: 1, ..Node::default() }],
            keys: Vec::new(),
            by_name: HashMap::new(),
            mixed: mixed.to_vec(),
            cells: Vec::new(),
            opened: Vec::new(),
            scratch: Vec::new(),
            is_lossy: false,
        }
    }

    /// Adds the values of the object that begins at `at` to `row`, and gives the place after it; nested keys are joined by dots,
    /// arrays are kept as JSON text. Integers beyond 64 bits with sign are numbers. Keys that come twice are added twice, in
    /// order. An object that is refused adds nothing, and no name.
    pub(crate) fn flatten(&mut self, input: &[u8], at: usize, names: &mut Names, row: &mut Row) -> Parsed<usize> {
        self.cells.clear();
        self.opened.clear();
        self.scratch.clear();
        self.is_lossy = false;
        let end = self.object(input, at, 0, 1, names)?;
        for &key in &self.opened {
            self.keys[key].has_objects = true;
        }
        for found in &self.cells {
            let key = &mut self.keys[found.key];
            if key.column.is_none() {
                key.column = names.id(&key.name);
            }
            let Some(column) = key.column else { continue };
            if found.is_copy {
                let start = row.scratch.len();
                push_lossy(&mut row.scratch, &self.scratch[found.start..found.end]);
                row.close_cell(column, found.kind, start);
            } else {
                row.push(column, found.kind, found.start, found.end);
            }
        }
        Ok(end)
    }

    /// Names that had objects.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter(|key| key.has_objects).map(|key| key.name.as_str())
    }

    /// Takes an object whose `{` is at `at`.
    fn object(&mut self, input: &[u8], at: usize, node: usize, nesting: usize, names: &Names) -> Parsed<usize> {
        let mut expected = 0;
        let mut at = blanks(input, at + 1);
        if byte(input, at)? == b'}' {
            return Ok(at + 1);
        }
        loop {
            let (child, end) = match self.expected(input, at, node, expected) {
                Some(end) => (Some(expected), end),
                None => {
                    let key = key(input, at)?;
                    (self.child(input, key, node, names)?, key.end)
                }
            };
            at = blanks(input, end + 1);
            if byte(input, at)? != b':' {
                return Err(JsonError::Syntax { what: "expected `:`", at });
            }
            at = blanks(input, at + 1);
            at = match child {
                Some(child) => {
                    expected = child + 1;
                    self.value(input, at, node, child, nesting, names)?
                }
                None => skip(input, at, nesting)?,
            };
            at = blanks(input, at);
            match byte(input, at)? {
                b',' => at = blanks(input, at + 1),
                b'}' => return Ok(at + 1),
                _ => return Err(JsonError::Syntax { what: "expected `,` or `}`", at }),
            }
        }
    }

    /// Where the key at `at` ends, if it is the one that is expected: it need not be checked once more.
    fn expected(&self, input: &[u8], at: usize, node: usize, expected: usize) -> Option<usize> {
        let raw = &*self.nodes[node].children.get(expected)?.raw;
        let rest = input.get(at..)?.strip_prefix(b"\"")?.strip_prefix(raw)?;
        (rest.first() == Some(&b'"')).then_some(at + 1 + raw.len())
    }

    /// The child of a node with this key; `None` when there are too many to remember another.
    fn child(&mut self, input: &[u8], key: Text, node: usize, names: &Names) -> Parsed<Option<usize>> {
        let raw = &input[key.start..key.end];
        let known = &self.nodes[node];
        if let Some(&child) = known.index.get(raw) {
            return Ok(Some(child));
        }
        let mut name = known.prefix.clone();
        if key.has_escapes {
            let mut text = Vec::new();
            self.is_lossy |= unescape(raw, &mut text);
            push_lossy(&mut name, &text);
        } else {
            push_lossy(&mut name, raw);
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(JsonError::Syntax { what: "a name of more than 1024 bytes", at: key.end });
        }
        if self.keys.len() >= MAX_KEYS {
            return Ok(None);
        }
        let key = self.key(name, names);
        let node = &mut self.nodes[node];
        node.children.push(Child { raw: raw.into(), key, node: None });
        node.index.insert(raw.into(), node.children.len() - 1);
        Ok(Some(node.children.len() - 1))
    }

    /// A key that differs in its escapes alone, or in where its dots come from, is the same.
    fn key(&mut self, name: String, names: &Names) -> usize {
        if let Some(&known) = self.by_name.get(&name) {
            return known;
        }
        let is_wanted = names.is_open() || names.position(&name).is_some();
        let is_below = |column: &String| column.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'));
        self.keys.push(Key {
            column: None,
            is_wanted,
            is_wanted_below: names.is_open() || names.as_slice().iter().any(is_below),
            keeps_objects: is_wanted && (!names.is_open() || self.mixed.contains(&name)),
            has_objects: false,
            name: name.clone(),
        });
        self.by_name.insert(name, self.keys.len() - 1);
        self.keys.len() - 1
    }

    /// Takes the value at `at`, of a child of a node.
    fn value(
        &mut self,
        input: &[u8],
        at: usize,
        node: usize,
        child: usize,
        nesting: usize,
        names: &Names,
    ) -> Parsed<usize> {
        let key = self.nodes[node].children[child].key;
        let is_wanted = self.keys[key].is_wanted;
        let (kind, start, end, next) = match byte(input, at)? {
            b'"' => {
                let text = string(input, at)?;
                if is_wanted && text.has_escapes {
                    let start = self.scratch.len();
                    self.is_lossy |= unescape(&input[text.start..text.end], &mut self.scratch);
                    self.cells.push(Found { key, kind: Kind::Text, is_copy: true, start, end: self.scratch.len() });
                    return Ok(text.end + 1);
                }
                (Kind::Text, text.start, text.end, text.end + 1)
            }
            b'{' => {
                let depth = self.nodes[node].depth;
                if !self.keys[key].has_objects {
                    self.opened.push(key);
                }
                let (keeps, below) = (self.keys[key].keeps_objects, self.keys[key].is_wanted_below);
                let next = if below && depth < MAX_DEPTH {
                    if nesting >= MAX_NESTING {
                        return Err(too_deep(at));
                    }
                    let inner = self.node_of(node, child, key, depth + 1);
                    self.object(input, at, inner, nesting + 1, names)?
                } else {
                    skip(input, at, nesting)?
                };
                if !keeps && depth < MAX_DEPTH {
                    return Ok(next);
                }
                (Kind::Json, at, next, next)
            }
            b'[' => {
                let next = skip(input, at, nesting)?;
                (Kind::Json, at, next, next)
            }
            b't' | b'f' => {
                let next = literal(input, at)?;
                (Kind::Boolean, at, next, next)
            }
            b'n' => {
                let next = literal(input, at)?;
                (Kind::Null, at, at, next)
            }
            _ => {
                let next = number(input, at)?;
                if !is_wanted {
                    return Ok(next);
                }
                let is_integer = cell::canonical_integer(&input[at..next]).is_some();
                (if is_integer { Kind::Integer } else { Kind::JsonNumber }, at, next, next)
            }
        };
        if is_wanted {
            self.cells.push(Found { key, kind, is_copy: false, start, end });
        }
        Ok(next)
    }

    /// The node of the objects at a child of a node.
    fn node_of(&mut self, node: usize, child: usize, key: usize, depth: usize) -> usize {
        if let Some(known) = self.nodes[node].children[child].node {
            return known;
        }
        let prefix = format!("{}.", self.keys[key].name);
        self.nodes.push(Node { prefix, depth, ..Node::default() });
        let new = self.nodes.len() - 1;
        self.nodes[node].children[child].node = Some(new);
        new
    }
}

const fn too_deep(at: usize) -> JsonError {
    JsonError::Syntax { what: "recursion limit exceeded", at }
}

fn byte(input: &[u8], at: usize) -> Parsed<u8> {
    input.get(at).copied().ok_or(JsonError::Incomplete)
}

/// The first place from `at` on that is not blank.
pub(crate) fn blanks(input: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = input.get(at) {
        at += 1;
    }
    at
}

fn key(input: &[u8], at: usize) -> Parsed<Text> {
    match byte(input, at)? {
        b'"' => string(input, at),
        _ => Err(JsonError::Syntax { what: "expected a key in quotes", at }),
    }
}

/// Marks, in its bits 7, 15, ..., the bytes of a word that end a plain run of a string; exact up to the first of them.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let zeros = |x: u64| x.wrapping_sub(ONES) & !x;
    let quotes = zeros(word ^ (ONES * b'"' as u64));
    let escapes = zeros(word ^ (ONES * b'\\' as u64));
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | escapes | controls) & (ONES * 0x80)
}

/// A string, whose opening quote is at `at`. Surrogates may be lone: Python writes them for bytes that are not UTF-8.
fn string(input: &[u8], at: usize) -> Parsed<Text> {
    let start = at + 1;
    let (mut at, mut has_escapes) = (start, false);
    loop {
        while let Some(word) = input.get(at..at + 8) {
            let marks = special(u64::from_le_bytes(word.try_into().unwrap_or_default()));
            if marks != 0 {
                at += marks.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        match byte(input, at)? {
            b'"' => return Ok(Text { start, end: at, has_escapes }),
            b'\\' => {
                has_escapes = true;
                at = match byte(input, at + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at + 2,
                    b'u' => {
                        for i in at + 2..at + 6 {
                            if !byte(input, i)?.is_ascii_hexdigit() {
                                return Err(JsonError::Syntax { what: "invalid escape", at });
                            }
                        }
                        at + 6
                    }
                    _ => return Err(JsonError::Syntax { what: "invalid escape", at }),
                };
            }
            0..0x20 => return Err(JsonError::Syntax { what: "control character in a string", at }),
            _ => at += 1,
        }
    }
}

/// Appends the text of a checked string; whether a lone surrogate in it became U+FFFD.
fn unescape(raw: &[u8], out: &mut Vec<u8>) -> bool {
    let mut is_lossy = false;
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let unit = |at: usize| -> Option<u32> {
            let digits = rest.get(at..at + 6)?.strip_prefix(b"\\u")?;
            u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let (character, length) = match rest.get(at + 1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => match (unit(at), unit(at + 6)) {
                (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
                    let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
                (code, _) => match code.and_then(char::from_u32) {
                    Some(character) => (character, 6),
                    None => {
                        is_lossy = true;
                        (char::REPLACEMENT_CHARACTER, 6)
                    }
                },
            },
            Some(&other) => (char::from(other), 2),
            None => break,
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(at + length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    is_lossy
}

fn literal(input: &[u8], at: usize) -> Parsed<usize> {
    match byte(input, at)? {
        b't' => word(input, at, b"true"),
        b'f' => word(input, at, b"false"),
        _ => word(input, at, b"null"),
    }
}

fn word(input: &[u8], at: usize, word: &[u8]) -> Parsed<usize> {
    for (i, &expected) in (at..).zip(word) {
        if byte(input, i)? != expected {
            return Err(JsonError::Syntax { what: "expected value", at });
        }
    }
    Ok(at + word.len())
}

/// A number; it ends before the end of the input, since an object is around it. `NaN` and `Infinity` are numbers, as they are for
/// Python, whose loggers write them.
fn number(input: &[u8], at: usize) -> Parsed<usize> {
    let invalid = |at| Err(JsonError::Syntax { what: "invalid number", at });
    let digits = |mut at: usize| -> Parsed<usize> {
        while byte(input, at)?.is_ascii_digit() {
            at += 1;
        }
        Ok(at)
    };
    let first = if byte(input, at)? == b'-' { at + 1 } else { at };
    let mut end = match byte(input, first)? {
        b'0' => first + 1,
        b'1'..=b'9' => digits(first)?,
        b'I' => return word(input, first, b"Infinity"),
        b'N' if first == at => return word(input, at, b"NaN"),
        _ if first > at => return invalid(at),
        _ => return Err(JsonError::Syntax { what: "expected value", at }),
    };
    if byte(input, end)? == b'.' {
        let fraction = end + 1;
        end = digits(fraction)?;
        if end == fraction {
            return invalid(at);
        }
    }
    if matches!(byte(input, end)?, b'e' | b'E') {
        let sign = matches!(byte(input, end + 1)?, b'+' | b'-');
        let exponent = end + 1 + usize::from(sign);
        end = digits(exponent)?;
        if end == exponent {
            return invalid(at);
        }
    }
    Ok(end)
}

/// Passes over the value at `at`.
pub(crate) fn skip(input: &[u8], at: usize, nesting: usize) -> Parsed<usize> {
    match byte(input, at)? {
        b'"' => Ok(string(input, at)?.end + 1),
        b't' | b'f' | b'n' => literal(input, at),
        open @ (b'{' | b'[') => {
            if nesting >= MAX_NESTING {
                return Err(too_deep(at));
            }
            let close = open + 2;
            let mut at = blanks(input, at + 1);
            if byte(input, at)? == close {
                return Ok(at + 1);
            }
            loop {
                if open == b'{' {
                    at = blanks(input, key(input, at)?.end + 1);
                    if byte(input, at)? != b':' {
                        return Err(JsonError::Syntax { what: "expected `:`", at });
                    }
                    at = blanks(input, at + 1);
                }
                at = blanks(input, skip(input, at, nesting + 1)?);
                match byte(input, at)? {
                    b',' => at = blanks(input, at + 1),
                    end if end == close => return Ok(at + 1),
                    _ if open == b'{' => return Err(JsonError::Syntax { what: "expected `,` or `}`", at }),
                    _ => return Err(JsonError::Syntax { what: "expected `,` or `]`", at }),
                }
            }
        }
        _ => number(input, at),
    }
}

/// Passes over a key, its value and the comma after it.
pub(crate) fn member(input: &[u8], at: usize) -> Parsed<usize> {
    let at = blanks(input, key(input, at)?.end + 1);
    if byte(input, at)? != b':' {
        return Err(JsonError::Syntax { what: "expected `:`", at });
    }
    skip(input, blanks(input, at + 1), 1)
}

/// A member of an object.
pub(crate) struct Member<'a> {
    /// Its name as it is written.
    pub(crate) name: &'a [u8],
    /// Where its value begins.
    pub(crate) value: usize,
}

impl<'a> Member<'a> {
    /// The member at a place.
    pub(crate) fn at(input: &'a [u8], at: usize) -> Option<Self> {
        let name = key(input, at).ok()?;
        let colon = blanks(input, name.end + 1);
        let is_member = input.get(colon) == Some(&b':');
        is_member.then(|| Self { name: &input[name.start..name.end], value: blanks(input, colon + 1) })
    }

    /// Whether its value begins so.
    pub(crate) fn begins(&self, input: &[u8], byte: u8) -> bool {
        input.get(self.value) == Some(&byte)
    }
}

/// The members of an object up to the first that is broken or cut; if it is its value, with that one.
pub(crate) struct Members<'a> {
    input: &'a [u8],
    object: usize,
    /// Where the value of the last one begins.
    last: Option<usize>,
}

impl<'a> Members<'a> {
    /// Those of the object at a place.
    pub(crate) fn of(input: &'a [u8], object: usize) -> Self {
        Self { input, object, last: None }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = match self.last {
            None => self.object + 1,
            Some(value) => {
                let end = blanks(self.input, skip(self.input, value, 1).ok()?);
                (self.input.get(end) == Some(&b',')).then_some(end + 1)?
            }
        };
        let member = Member::at(self.input, blanks(self.input, at))?;
        self.last = Some(member.value);
        Some(member)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::Value;

    use super::*;

    /// Name, kind and text of each cell.
    type Cells = Vec<(String, Kind, String)>;

    fn cells(line: &str) -> Parsed<(Cells, usize)> {
        let mut names = Names::new(Vec::new(), true);
        let mut row = Row::default();
        let end = Flattener::new(&[]).flatten(line.as_bytes(), 0, &mut names, &mut row)?;
        let text =
            |cell: &crate::source::row::Cell| String::from_utf8(row.bytes(cell, line.as_bytes()).to_vec()).unwrap();
        let cell = |cell: &crate::source::row::Cell| {
            (names.as_slice()[cell.column].clone(), cell.kind, cell::as_text(cell.kind, &text(cell)).into_owned())
        };
        Ok((row.cells.iter().map(cell).collect(), end))
    }

    #[rstest]
    #[case::kinds(r#"{"a":1,"b":1.50,"c":true,"d":"x","e":null}"#,
        &[("a", Kind::Integer, "1"), ("b", Kind::JsonNumber, "1.5"), ("c", Kind::Boolean, "true"), ("d", Kind::Text, "x"), ("e", Kind::Null, "")])]
    #[case::nested(r#"{"a":{"b":{"c":1},"d":2},"e":3}"#,
        &[("a.b.c", Kind::Integer, "1"), ("a.d", Kind::Integer, "2"), ("e", Kind::Integer, "3")])]
    #[case::array(r#"{"a":[1, {"b": [ ]}]}"#, &[("a", Kind::Json, r#"[1,{"b":[]}]"#)])]
    #[case::empty_object(r#"{"a":{}}"#, &[])]
    #[case::long(r#"{"a":-123456789012345678901234}"#, &[("a", Kind::JsonNumber, "-123456789012345678901234")])]
    #[case::unsigned(r#"{"a":18446744073709551615}"#, &[("a", Kind::JsonNumber, "18446744073709551615")])]
    #[case::negative_zero(r#"{"a":-0}"#, &[("a", Kind::JsonNumber, "-0")])]
    #[case::of_python(r#"{"a":NaN,"b":-Infinity,"c":[NaN]}"#,
        &[("a", Kind::JsonNumber, "NaN"), ("b", Kind::JsonNumber, "-inf"), ("c", Kind::Json, "[NaN]")])]
    #[case::beyond_64_bits(r#"{"a":1e400,"b":-1e400}"#, &[("a", Kind::JsonNumber, "inf"), ("b", Kind::JsonNumber, "-inf")])]
    #[case::lone_surrogate(r#"{"a":"\udcff\ud83d\ude00\\udcff"}"#, &[("a", Kind::Text, "\u{fffd}\u{1f600}\\udcff")])]
    #[case::escapes(r#"{"a\n":"\/\u0000"}"#, &[("a\n", Kind::Text, "/\0")])]
    #[case::twice(r#"{"a":1,"a":"x"}"#, &[("a", Kind::Integer, "1"), ("a", Kind::Text, "x")])]
    fn cells_of_an_object(#[case] line: &str, #[case] expected: &[(&str, Kind, &str)]) {
        let expected: Cells = expected.iter().map(|&(n, k, t)| (n.to_owned(), k, t.to_owned())).collect();
        assert_eq!(cells(line), Ok((expected, line.len())));
    }

    #[rstest]
    #[case(r#"{"a":nan}"#, "expected value", 5)]
    #[case(r#"{"a":-NaN}"#, "invalid number", 5)]
    #[case(r#"{"a":Infinite}"#, "expected value", 5)]
    #[case(r#"{"a":01}"#, "expected `,` or `}`", 6)]
    #[case(r#"{"a" 1}"#, "expected `:`", 5)]
    #[case(r#"{"a":1,}"#, "expected a key in quotes", 7)]
    #[case("{\"a\":\"\n\"}", "control character in a string", 6)]
    #[case(r#"{"a":"\x"}"#, "invalid escape", 6)]
    fn what_is_no_json_is_refused(#[case] line: &str, #[case] what: &'static str, #[case] at: usize) {
        assert_eq!(cells(line), Err(JsonError::Syntax { what, at }));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let first = |depth| cells(&nested(depth)).map(|(cells, _)| cells[0].clone());
        assert_eq!(first(32), Ok((["a"; 32].join("."), Kind::Integer, "1".to_owned())));
        assert_eq!(first(33), Ok((["a"; 32].join("."), Kind::Json, "{\"a\":1}".to_owned())));
        assert!(matches!(first(200), Err(JsonError::Syntax { what: "recursion limit exceeded", .. })));
    }

    #[test]
    fn an_object_that_is_refused_leaves_no_names() {
        let mut names = Names::new(Vec::new(), true);
        let (mut flattener, mut row) = (Flattener::new(&[]), Row::default());
        assert!(flattener.flatten(br#"{"a":1,"b""#, 0, &mut names, &mut row).is_err());
        assert!(names.as_slice().is_empty());
        flattener.flatten(br#"{"b":1,"a":2}"#, 0, &mut names, &mut row).unwrap();
        assert_eq!(names.as_slice(), ["b", "a"]);
        assert!(flattener.flatten(br#"{"b":{"c":1},"a"}"#, 0, &mut names, &mut row).is_err());
        assert_eq!(flattener.objects().count(), 0);
        flattener.flatten(br#"{"b":{"c":1}}"#, 0, &mut names, &mut row).unwrap();
        assert_eq!(flattener.objects().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn only_wanted_columns_become_cells() {
        let mut names = Names::new(vec!["b.c".to_owned(), "d".to_owned()], false);
        let (mut flattener, mut row) = (Flattener::new(&[]), Row::default());
        let line = br#"{"a":{"x":[{}]},"b":{"c":1,"z":"\ud800"},"d":{"e":2}}"#;
        flattener.flatten(line, 0, &mut names, &mut row).unwrap();
        let found: Vec<_> = row.cells.iter().map(|cell| (cell.column, row.bytes(cell, line))).collect();
        assert_eq!(found, [(0, &b"1"[..]), (1, br#"{"e":2}"#)]);
    }

    /// What the oracle makes of an object, as cells.
    fn flat(prefix: Option<&str>, value: &Value, out: &mut Vec<(String, String)>) {
        for (key, value) in value.as_object().unwrap() {
            let name = prefix.map_or_else(|| key.clone(), |prefix| format!("{prefix}.{key}"));
            match value {
                Value::Object(_) => flat(Some(&name), value, out),
                Value::Null => out.push((name, String::new())),
                Value::String(text) => out.push((name, text.clone())),
                Value::Number(number) if number.is_f64() => out.push((name, format!("{:?}", number.as_f64().unwrap()))),
                other => out.push((name, other.to_string())),
            }
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("[a-c\"\n]{0,3}", inner), 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        });
        proptest::collection::vec(("[a-c\"\né]{0,3}", value), 0..5).prop_map(|m| Value::Object(m.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn objects_are_read_as_the_oracle_reads_them(value in json(), pretty in any::<bool>()) {
            let line = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let mut expected = Vec::new();
            // Numbers go through text once, as they do for the parser.
            flat(None, &serde_json::from_str(&line).unwrap(), &mut expected);
            let (found, end) = cells(&line).unwrap();
            prop_assert_eq!(end, line.len());
            let found: Vec<(String, String)> = found.into_iter().map(|(name, _, text)| (name, text)).collect();
            prop_assert_eq!(found, expected);
        }

        /// Of what is nearly JSON the same is refused; lone surrogates apart, which the oracle refuses.
        #[test]
        fn what_the_oracle_refuses_is_refused(value in json(), at in any::<prop::sample::Index>(), byte in "[\"\\\\{}\\[\\],:0-9.eE+a-f\n\t -]") {
            let mut line = serde_json::to_string(&value).unwrap().into_bytes();
            let at = at.index(line.len());
            line[at] = byte.as_bytes()[0];
            if let Ok(line) = String::from_utf8(line) && line.starts_with('{') {
                let mut stream = serde_json::Deserializer::from_str(&line).into_iter::<Value>();
                let first = stream.next();
                match (first, cells(&line)) {
                    (Some(Ok(_)), Ok((_, end))) => prop_assert_eq!(end, stream.byte_offset()),
                    (Some(Ok(_)), Err(error)) => prop_assert!(false, "{line:?}: {error:?}"),
                    // A number beyond 64 bits is infinite here.
                    (first, Ok(_)) => {
                        let error = first.map(|first| first.unwrap_err().to_string()).unwrap_or_default();
                        prop_assert!(line.contains("\\u") || error.starts_with("number out of range"), "{line:?}: {error}");
                    }
                    (_, Err(_)) => {}
                }
            }
        }
    }
}
