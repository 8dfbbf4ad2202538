//! CSV and TSV by RFC 4180: where quotes are open, and the fields of a record.
//!
//! A quote opens only at the start of a field and is an ordinary character elsewhere; what stands between a closing quote
//! and the next delimiter belongs to the field, if that ends on the line that it begins on. At the end of a physical line
//! there are thus two states, inside a quote or not, and a record ends where the second is reached.

use std::collections::HashSet;
use std::ops::Range;

use memchr::memchr;

use crate::source::cell::Kind;
use crate::source::layout::without_mark;
use crate::source::row::{Row, push_lossy};
use crate::source::sniff::is_column_name;

/// Field, from 0, whose quote is open at the end of a physical line; `inside`: one is open at its start.
pub(crate) fn open_quote(line: &[u8], delimiter: u8, mut inside: bool) -> Option<usize> {
    if memchr(b'"', line).is_none() {
        return inside.then_some(0);
    }
    let mut field = 0;
    let mut rest = line;
    loop {
        if inside {
            let Some(at) = memchr(b'"', rest) else {
                return Some(field);
            };
            if rest.get(at + 1) == Some(&b'"') {
                rest = &rest[at + 2..];
                continue;
            }
            rest = &rest[at + 1..];
            inside = false;
        } else if rest.first() == Some(&b'"') {
            rest = &rest[1..];
            inside = true;
            continue;
        }
        rest = &rest[memchr(delimiter, rest)? + 1..];
        field += 1;
    }
}

/// Whether a quote that is open at the start of a physical line ends amid text, so that it is none of a field that spans lines: what
/// follows a closing quote is a delimiter, or the end of the record.
pub(crate) fn ends_amid_text(line: &[u8], delimiter: u8) -> bool {
    let mut rest = line;
    while let Some(at) = memchr(b'"', rest) {
        rest = &rest[at + 1..];
        match rest.strip_prefix(b"\"") {
            Some(after) => rest = after,
            None => {
                let after = rest.iter().find(|&&byte| byte == delimiter || !matches!(byte, b' ' | b'\t'));
                return after.is_some_and(|&byte| byte != delimiter);
            }
        }
    }
    false
}

/// The names of a header, to know it by when it comes again: files that were put together have it in between.
#[derive(Debug)]
pub(crate) struct Header {
    /// In small letters, as are those that are known.
    names: Vec<String>,
    // Looked up, never iterated.
    known: HashSet<Vec<u8>>,
    /// First bytes of fields that are names, and lengths of names, by which nearly every record is told from a header.
    first_bytes: [bool; 256],
    lengths: u64,
}

impl Header {
    pub(crate) fn new(names: &[String]) -> Self {
        // What was not UTF-8 is not known again. A first record that was taken for a header has values which others have, too.
        let is_whole = !names.iter().any(|name| name.contains(char::REPLACEMENT_CHARACTER));
        let is_told = is_whole && 2 * names.iter().filter(|name| is_column_name(name)).count() > names.len();
        let small: Vec<String> = names.iter().map(|name| name.trim().to_lowercase()).collect();
        let known = small.iter().filter(|_| is_told).map(|name| name.as_bytes().to_vec()).collect();
        let (mut first_bytes, mut lengths) = ([false; 256], 0);
        // What may stand before a name.
        for byte in [b'"', b' ', b'\t'] {
            first_bytes[usize::from(byte)] = true;
        }
        for name in names.iter().map(|name| name.trim()).chain(small.iter().map(String::as_str)) {
            let first = name.bytes().next().unwrap_or_default();
            first_bytes[usize::from(first)] = true;
            first_bytes[usize::from(first.to_ascii_uppercase())] = true;
            lengths |= length_bit(name.as_bytes());
        }
        Self { names: small, known, first_bytes, lengths }
    }

    /// Whether a record of as many fields is a header like this, whatever the case of its letters, and if so, whether its names are the same
    /// in the same order. It is one of other names, such as another version of a program writes, if more than half of them are these,
    /// three at least, and the others may be some: no value of a time or an address may. No name comes twice in a header, as attackers'
    /// values do. One field alone may be a value.
    pub(crate) fn is_again(&self, record: &[u8], delimiter: u8) -> Option<bool> {
        let record = without_mark(record);
        let second = &record[memchr(delimiter, record)? + 1..];
        if !self.may_begin_with_name(record, delimiter) && !self.may_begin_with_name(second, delimiter) {
            return None;
        }
        let fields: Vec<String> =
            fields_of(record, delimiter).iter().map(|field| field.trim().to_lowercase()).collect();
        // A name that came twice in the header had a number added, and one that was empty was made up.
        let is_same = |(field, name): (&String, &String)| {
            field.is_empty() || name == field || name.strip_prefix(field).is_some_and(|rest| rest.starts_with('_'))
        };
        let named: Vec<&String> = fields.iter().filter(|field| !field.is_empty()).collect();
        let distinct: HashSet<&String> = named.iter().copied().collect();
        let n_known = distinct.iter().filter(|field| self.known.contains(field.as_bytes())).count();
        if n_known == 0 {
            return None;
        }
        if n_known == distinct.len() && fields.iter().zip(&self.names).all(is_same) {
            return Some(true);
        }
        let are_mostly_known =
            n_known >= 3 && 2 * n_known > named.len() && named.iter().all(|field| is_column_name(field));
        let is_other = distinct.len() == named.len() && (n_known == named.len() || are_mostly_known);
        is_other.then_some(false)
    }

    /// Whether the first of some fields may be a name of the header. Most are told by their first byte.
    fn may_begin_with_name(&self, fields: &[u8], delimiter: u8) -> bool {
        if !fields.first().is_some_and(|&first| self.first_bytes[usize::from(first)]) {
            return false;
        }
        let field = &fields[..memchr(delimiter, fields).unwrap_or(fields.len())];
        let field = field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\"")).unwrap_or(field).trim_ascii();
        self.lengths & length_bit(field) != 0
            && self.known.contains(String::from_utf8_lossy(field).to_lowercase().as_bytes())
    }
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

/// The fields of a record whose quotes are closed.
pub(crate) fn fields_of(record: &[u8], delimiter: u8) -> Vec<String> {
    let record = String::from_utf8_lossy(record);
    let record = record.as_bytes();
    let columns: Vec<Option<usize>> = (0..=memchr::memchr_iter(delimiter, record).count()).map(Some).collect();
    let mut row = Row::default();
    let _ = split(record, 0, record.len(), delimiter, &columns, &mut row);
    let mut fields = vec![String::new(); row.cells.last().map_or(0, |cell| cell.column + 1)];
    for cell in &row.cells {
        fields[cell.column] = String::from_utf8_lossy(row.bytes(cell, record)).into_owned();
    }
    fields
}

/// Takes a record of `source`, which stands at `at..end`, apart: field `i` becomes a cell of column `columns[i]`, or none where that
/// is `None`.
///
/// Empty fields are NULL, quoted or not. Returns the number of fields, those beyond `columns` included, or the field from 0 whose
/// quote is not closed.
pub(crate) fn split(
    source: &[u8],
    at: usize,
    end: usize,
    delimiter: u8,
    columns: &[Option<usize>],
    row: &mut Row,
) -> Result<usize, usize> {
    let mut delimiters = Delimiters { source, end, delimiter, compared: 0..0, bits: 0 };
    let (mut n_fields, mut start) = (0, at);
    loop {
        let column = columns.get(n_fields);
        if start < end && source[start] == b'"' {
            start = quoted(source, start + 1, end, delimiter, column, row).ok_or(n_fields)?;
        } else {
            let stop = delimiters.next(start);
            push(start, stop, column, row);
            start = stop;
        }
        n_fields += 1;
        if start == end {
            return Ok(n_fields);
        }
        start += 1;
    }
}

/// Finds delimiters. Fields are short, so that it is faster to compare many bytes at once, and keep where delimiters are, than to
/// search for each.
struct Delimiters<'a> {
    source: &'a [u8],
    /// Where the record ends: bytes beyond may be compared, but not searched.
    end: usize,
    delimiter: u8,
    /// The bytes that were compared.
    compared: Range<usize>,
    /// Of those, from the lowest bit on, the ones that are delimiters.
    bits: u64,
}

impl Delimiters<'_> {
    /// Where the first delimiter is that is not before `from`, or the end.
    fn next(&mut self, mut from: usize) -> usize {
        while from < self.end {
            if !self.compared.contains(&from) {
                let rest = &self.source[from..];
                self.bits = match rest.first_chunk::<64>() {
                    Some(chunk) => equal(chunk, self.delimiter),
                    None => {
                        let mut chunk = [0; 64];
                        chunk[..rest.len()].copy_from_slice(rest);
                        equal(&chunk, self.delimiter)
                    }
                };
                self.compared = from..from + 64;
            }
            let bits = self.bits >> (from - self.compared.start);
            if bits != 0 {
                return self.end.min(from + bits.trailing_zeros() as usize);
            }
            from = self.compared.end;
        }
        self.end
    }
}

/// Which bytes are `byte`, from the lowest bit on.
fn equal(chunk: &[u8; 64], byte: u8) -> u64 {
    const LOW_BITS: u64 = 0x0101_0101_0101_0101;
    const SEVEN_BITS: u64 = 0x7f * LOW_BITS;
    let (words, _) = chunk.as_chunks::<8>();
    let bits = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word) ^ (u64::from(byte) * LOW_BITS);
        // The lowest bit of each byte that is 0 now.
        let zeros = !(((word & SEVEN_BITS) + SEVEN_BITS) | word | SEVEN_BITS) >> 7;
        // Eight such bits side by side in the highest byte.
        zeros.wrapping_mul(0x0102_0408_1020_4080) >> 56
    };
    words.iter().rev().fold(0, |all, word| all << 8 | bits(word))
}

fn push(start: usize, end: usize, column: Option<&Option<usize>>, row: &mut Row) {
    if let Some(&Some(column)) = column {
        let kind = if start == end { Kind::Null } else { Kind::Spelled };
        row.push(column, kind, start, end);
    }
}

/// Takes the field whose opening quote stands before `start`; returns where the delimiter or the end is, `None` if there is no
/// closing quote.
fn quoted(
    source: &[u8],
    start: usize,
    end: usize,
    delimiter: u8,
    column: Option<&Option<usize>>,
    row: &mut Row,
) -> Option<usize> {
    let mut close = start;
    let mut is_plain = true;
    loop {
        close += memchr(b'"', &source[close..end])?;
        if close + 1 == end || source[close + 1] != b'"' {
            break;
        }
        is_plain = false;
        close += 2;
    }
    // Mostly the quote is followed by the delimiter at once.
    let stop = match source[close + 1..end].first() {
        None => end,
        Some(&first) if first == delimiter => close + 1,
        Some(_) => memchr(delimiter, &source[close + 1..end]).map_or(end, |i| close + 1 + i),
    };
    if is_plain && stop == close + 1 {
        push(start, close, column, row);
    } else if let Some(&Some(column)) = column {
        let from = row.scratch.len();
        let mut rest = &source[start..close];
        while let Some(at) = memchr(b'"', rest) {
            // One of the two that stand for it.
            push_lossy(&mut row.scratch, &rest[..=at]);
            rest = &rest[at + 2..];
        }
        push_lossy(&mut row.scratch, rest);
        push_lossy(&mut row.scratch, &source[close + 1..stop]);
        let kind = if row.scratch.len() == from { Kind::Null } else { Kind::Spelled };
        row.close_cell(column, kind, from);
    }
    Some(stop)
}

/// Names of columns from a header: a missing name becomes `column_<position>`, a repeated one gets `_2`, `_3`, ...
///
/// Returns the names and, for each that was repeated, what was read and what it is called now.
pub(crate) fn column_names(header: &[&str]) -> (Vec<String>, Vec<(String, String)>) {
    let mut taken: std::collections::HashSet<String> =
        header.iter().filter(|name| !name.is_empty()).map(|name| (*name).to_owned()).collect();
    let mut given = std::collections::HashSet::new();
    // The next suffix of each repeated name: to search from 2 each time would be quadratic in a hostile header.
    let mut next = std::collections::HashMap::<String, usize>::new();
    let mut names = Vec::with_capacity(header.len());
    let mut renamed = Vec::new();
    for (i, name) in header.iter().enumerate() {
        let wanted = if name.is_empty() { format!("column_{}", i + 1) } else { (*name).to_owned() };
        let fresh = if name.is_empty() { !taken.contains(&wanted) } else { !given.contains(&wanted) };
        let name = if fresh {
            wanted
        } else {
            let k = next.entry(wanted.clone()).or_insert(2);
            while taken.contains(&format!("{wanted}_{k}")) {
                *k += 1;
            }
            let free = format!("{wanted}_{k}");
            renamed.push((wanted, free.clone()));
            free
        };
        taken.insert(name.clone());
        given.insert(name.clone());
        names.push(name);
    }
    (names, renamed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_header_of_one_repeated_name_takes_linear_time() {
        let (names, renamed) = column_names(&vec!["a"; 10_000]);
        assert_eq!((names[0].as_str(), names[9_999].as_str(), renamed.len()), ("a", "a_10000", 9_999));
    }

    #[test]
    fn records_without_a_delimiter_take_linear_time() {
        let source = b"x\n".repeat(200_000);
        let mut row = Row::default();
        for at in (0..source.len()).step_by(2) {
            row.clear();
            assert_eq!(split(&source, at, at + 1, b',', &[Some(0)], &mut row), Ok(1));
        }
    }

    fn fields(record: &str) -> Vec<String> {
        let columns: Vec<Option<usize>> = (0..9).map(Some).collect();
        let mut row = Row::default();
        let n_fields = split(record.as_bytes(), 0, record.len(), b',', &columns, &mut row);
        assert_eq!(n_fields, Ok(row.cells.len()));
        row.cells.iter().map(|cell| String::from_utf8_lossy(row.bytes(cell, record.as_bytes())).into_owned()).collect()
    }

    #[rstest]
    #[case("time,src,user,pass", Some(true))]
    #[case("Time,SRC,User,\"Pass\"", Some(true))]
    #[case("time, src ,,pass", Some(true))]
    #[case("time,user,src,pass", Some(false))]
    #[case("time,src_ip,user,pass", Some(false))]
    #[case("time,src_ip,user,password", None)]
    #[case("time,src,1.2.3.4,root", None)]
    #[case("time,root,admin,guest", None)]
    #[case("ts,src,user,pass", Some(false))]
    #[case("ts,src_ip,user,pass", None)]
    #[case("time,src,user,user", None)]
    #[case("time", None)]
    fn headers_that_come_again(#[case] record: &str, #[case] expected: Option<bool>) {
        let header = Header::new(&["time", "src", "user", "pass"].map(str::to_owned));
        assert_eq!(header.is_again(record.as_bytes(), b','), expected);
        assert_eq!(Header::new(&["user", "pass"].map(str::to_owned)).is_again(b"user,user", b','), None);
        let capitals = Header::new(&["Time", "Src ", "USER", "pass"].map(str::to_owned));
        assert_eq!(capitals.is_again(record.as_bytes(), b','), expected);
    }

    #[rstest]
    #[case("y\",c", false)]
    #[case("y\"", false)]
    #[case("y\" \t,c", false)]
    #[case("y\"\",c\"", false)]
    #[case("no quote", false)]
    #[case("y\" or \"1", true)]
    #[case("2,\"x\",3", true)]
    #[case("a\"\"\"b", true)]
    fn a_field_that_spans_lines_ends_before_a_delimiter(#[case] line: &str, #[case] is_amid_text: bool) {
        assert_eq!(ends_amid_text(line.as_bytes(), b','), is_amid_text);
    }

    #[rstest]
    #[case("a,b", &["a", "b"])]
    #[case("", &[""])]
    #[case(",", &["", ""])]
    #[case(r#""a,b",c"#, &["a,b", "c"])]
    #[case(r#""say ""x""",c"#, &["say \"x\"", "c"])]
    #[case(r#""""#, &[""])]
    #[case(r#""""""#, &["\""])]
    #[case(r#"5" disk,x"#, &["5\" disk", "x"])]
    #[case(r#""a"b,c"#, &["ab", "c"])]
    #[case(r#""a" "b",c"#, &["a \"b\"", "c"])]
    #[case("\"a\nb\",c", &["a\nb", "c"])]
    #[case("\"a\r\nb\"", &["a\r\nb"])]
    #[case("a,\"\",\0", &["a", "", "\0"])]
    fn fields_of_a_record(#[case] record: &str, #[case] expected: &[&str]) {
        assert_eq!(fields(record), expected);
    }

    #[rstest]
    #[case("a,b", false, None)]
    #[case("a,\"b", false, Some(1))]
    #[case("\"\"", false, None)]
    #[case("\"\"\"", false, Some(0))]
    #[case("a\",b", false, None)]
    #[case("a\",\"b", false, Some(1))]
    #[case("a", true, Some(0))]
    #[case("a\"", true, None)]
    #[case("a\"\"", true, Some(0))]
    #[case("a\",\"b", true, Some(1))]
    fn quotes_open_at_the_end_of_a_line(#[case] line: &str, #[case] inside: bool, #[case] expected: Option<usize>) {
        assert_eq!(open_quote(line.as_bytes(), b',', inside), expected);
    }

    proptest! {
        /// The naive twin looks at one byte after the other.
        #[test]
        fn fields_end_at_delimiters_outside_of_quotes(record in "([a-c,\" \u{e9}\u{ac}\u{a2}]|\"\"|,\"|\",){0,24}") {
            let mut expected = Vec::new();
            let mut field = String::new();
            let (mut is_quoted, mut is_new, mut rest) = (false, true, record.as_str());
            while let Some(c) = rest.chars().next() {
                rest = &rest[c.len_utf8()..];
                match c {
                    '"' if is_new => is_quoted = true,
                    '"' if is_quoted && rest.starts_with('"') => {
                        field.push('"');
                        rest = &rest[1..];
                    }
                    '"' if is_quoted => is_quoted = false,
                    ',' if !is_quoted => {
                        expected.push(std::mem::take(&mut field));
                        is_new = true;
                        continue;
                    }
                    c => field.push(c),
                }
                is_new = false;
            }
            expected.push(field);
            let columns: Vec<Option<usize>> = (0..99).map(Some).collect();
            let mut row = Row::default();
            // Not at the beginning of what is read.
            let source = format!("x,{record}");
            let n_fields = split(source.as_bytes(), 2, source.len(), b',', &columns, &mut row);
            if is_quoted {
                prop_assert_eq!(n_fields, Err(expected.len() - 1));
            } else {
                let text = |cell| String::from_utf8_lossy(row.bytes(cell, source.as_bytes())).into_owned();
                prop_assert_eq!(n_fields, Ok(expected.len()));
                prop_assert_eq!(row.cells.iter().map(text).collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn fields_beyond_the_columns_are_counted_and_not_held() {
        for record in ["a,b,c,d", "a,b,\"c\",d"] {
            let mut row = Row::default();
            let record = record.as_bytes();
            assert_eq!(split(record, 0, record.len(), b',', &[Some(0), None], &mut row), Ok(4));
            assert_eq!((row.cells.len(), row.bytes(&row.cells[0], record)), (1, &b"a"[..]));
        }
    }

    #[test]
    fn missing_and_repeated_names_are_made_unique() {
        let (names, renamed) = column_names(&["a", "", "a", "a_2", "a", "column_2"]);
        assert_eq!(names, ["a", "column_2_2", "a_3", "a_2", "a_4", "column_2"]);
        assert_eq!(renamed.len(), 3);
    }
}
