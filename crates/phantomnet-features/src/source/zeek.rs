//! Zeek's own format: fields between tabs, named and typed by lines that begin with `#`.
//!
//! The same event is read to the same values as from Zeek's JSON: unset fields are missing, `T` and `F` are booleans, numbers are
//! numbers by the declared type, characters that Zeek escapes are themselves again, and sets and vectors are JSON lists. Times are
//! seconds since 1970, as in Zeek's JSON by default.
//!
//! Source: the comments of Zeek's ASCII writer, <https://docs.zeek.org/en/current/log-formats.html>.

use std::borrow::Cow;

use serde_json::Value;

use crate::source::cell::{self, Kind};
use crate::source::excerpt::visible;
use crate::source::layout::NoLayout;
use crate::source::row::{MAX_COLUMNS, Row};

/// What stands between the last columns of the logs of IoT-23, whose labels were appended so.
const SPREAD: &str = "   ";

/// What the header of a Zeek log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZeekLayout {
    /// Stands between fields; a tab in all logs that were not configured otherwise.
    pub separator: u8,
    /// Names of the fields.
    pub header: Vec<String>,
    kinds: Vec<Declared>,
    /// Stands between the elements of a set or vector.
    set_separator: String,
    /// Stands for a field that is not set.
    unset: String,
    /// Stands for an empty text, set or vector.
    empty: String,
    /// Columns that the last field holds, with three spaces in between; 1 but for IoT-23.
    n_in_last: usize,
}

/// What the type of a column makes of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Declared {
    Boolean,
    Integer,
    Number,
    Text,
    /// A set or vector of text,
    Texts,
    /// or of anything else, whose elements stand in JSON as they are written.
    Plain,
}

impl Declared {
    fn of(name: &str) -> Self {
        match name {
            "bool" => Self::Boolean,
            "count" | "int" | "port" => Self::Integer,
            "double" | "interval" | "time" => Self::Number,
            name => match name.split_once('[').map(|(many, of)| (many, Self::of(of.trim_end_matches(']')))) {
                Some(("set" | "vector", Self::Text)) => Self::Texts,
                Some(("set" | "vector", _)) => Self::Plain,
                _ => Self::Text,
            },
        }
    }
}

/// Bytes within which a header begins that other lines are before.
const MAX_BYTES_BEFORE: usize = 64 * 1024;

/// Whether a text begins as a Zeek log does.
pub(crate) fn is_zeek(head: &[u8]) -> bool {
    head.starts_with(b"#separator")
}

/// Whether a text is a Zeek log whose beginning may be cut or have other lines before it, of a log before it for one: it names fields and
/// as many types on the next line, or begins amid that.
pub(crate) fn has_zeek(head: &[u8]) -> bool {
    if is_zeek(head) {
        return true;
    }
    let mut lines = head.split(|&b| matches!(b, b'\n' | b'\r')).filter(|line| !line.is_empty()).peekable();
    let n_fields = |line: &[u8], name: &[u8]| line.starts_with(name).then(|| memchr::memchr_iter(b'\t', line).count());
    let mut is_first = true;
    while let Some(line) = lines.next() {
        let n_types = lines.peek().and_then(|next| n_fields(next, b"#types\t"));
        if n_types.is_some() && (is_first || n_fields(line, b"#fields\t") == n_types) {
            return true;
        }
        is_first = false;
    }
    false
}

/// Reads the header at the beginning of a text; also gives the place after it, or that of the first of the lines before it that are not the
/// header's: they are records, mostly broken ones.
pub(crate) fn read_header(text: &[u8], terminator: u8, ended: bool) -> Result<(ZeekLayout, usize), NoLayout> {
    let mut separator = b'\t';
    let (mut unset, mut empty, mut set_separator) = ("-".to_owned(), "(empty)".to_owned(), ",".to_owned());
    let mut fields: Option<Vec<String>> = None;
    let mut types: Option<Vec<String>> = None;
    let (mut at, mut other) = (0, None);
    while types.is_none() {
        if at >= text.len() {
            if ended {
                break;
            }
            return Err(NoLayout::Pending);
        }
        let is_other = text[at] != b'#' && !text[at].is_ascii_whitespace();
        if is_other && (fields.is_some() || at > MAX_BYTES_BEFORE) {
            break;
        }
        let end = match memchr::memchr(terminator, &text[at..]) {
            Some(length) => at + length,
            None if ended => text.len(),
            None => return Err(NoLayout::Pending),
        };
        let line = String::from_utf8_lossy(&text[at..end]);
        let line = line.strip_suffix('\r').unwrap_or(&line);
        let begin = std::mem::replace(&mut at, (end + 1).min(text.len()));
        if is_other {
            other.get_or_insert(begin);
            continue;
        }
        if let Some(text) = line.strip_prefix("#separator ") {
            separator = one_byte(text.trim()).ok_or_else(|| {
                NoLayout::Header(format!(
                    "its separator must be one byte, written as `\\x09`, got `{}`",
                    visible(text, 40)
                ))
            })?;
            continue;
        }
        let mut parts = line.split(char::from(separator));
        let rest = |parts: std::str::Split<'_, char>| parts.map(str::to_owned).collect::<Vec<_>>();
        match parts.next() {
            Some("#set_separator") => {
                set_separator = parts.next().filter(|text| !text.is_empty()).unwrap_or(",").to_owned();
            }
            Some("#unset_field") => unset = parts.next().unwrap_or_default().to_owned(),
            Some("#empty_field") => empty = parts.next().unwrap_or_default().to_owned(),
            Some("#fields") => fields = Some(rest(parts)),
            Some("#types") => types = Some(rest(parts)),
            _ => {}
        }
    }
    let fields = fields.ok_or_else(|| NoLayout::Header("it has no line `#fields`".into()))?;
    if fields.is_empty() {
        return Err(NoLayout::Header("its line `#fields` names none".into()));
    }
    let header = spread(&fields);
    if header.len() > MAX_COLUMNS {
        return Err(NoLayout::Header(format!("it has {} columns; at most {MAX_COLUMNS} are read", header.len())));
    }
    let kinds: Vec<Declared> = match types.as_deref().map(spread) {
        None => vec![Declared::Text; header.len()],
        Some(types) if types.len() == header.len() => types.iter().map(|name| Declared::of(name)).collect(),
        Some(types) => {
            return Err(NoLayout::Header(format!("it has {} fields and {} types", header.len(), types.len())));
        }
    };
    let n_in_last = header.len() - (fields.len() - 1);
    Ok((ZeekLayout { separator, header, kinds, set_separator, unset, empty, n_in_last }, other.unwrap_or(at)))
}

/// The byte of `\x09`, or of a text of one byte.
fn one_byte(text: &str) -> Option<u8> {
    match (text.strip_prefix("\\x"), text.as_bytes()) {
        (Some(digits), _) => u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii),
        (None, &[byte]) => Some(byte),
        _ => None,
    }
}

/// The fields, the last of them taken apart where it holds several.
fn spread(fields: &[String]) -> Vec<String> {
    let Some((last, first)) = fields.split_last() else { return Vec::new() };
    first.iter().cloned().chain(last.split(SPREAD).map(str::to_owned)).collect()
}

/// What a line of a Zeek log is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// An event, now in the row.
    Event,
    /// A remark, such as when the log was opened or closed.
    Remark,
    /// The names of the fields once more: a log that was appended to begins anew in the middle.
    Fields {
        /// Whether they are those of the layout.
        are_same: bool,
    },
}

impl ZeekLayout {
    /// Takes a line apart into `row`; `columns` says where each field goes.
    pub(crate) fn split(&self, line: &str, columns: &[Option<usize>], row: &mut Row) -> Result<Line, String> {
        let separator = char::from(self.separator);
        if let Some(remark) = line.strip_prefix('#') {
            let Some(fields) = remark.strip_prefix("fields").and_then(|rest| rest.strip_prefix(separator)) else {
                return Ok(Line::Remark);
            };
            let fields: Vec<String> = fields.split(separator).map(str::to_owned).collect();
            return Ok(Line::Fields { are_same: spread(&fields) == self.header });
        }
        let n_fields = self.header.len() - self.n_in_last + 1;
        let mut found = 0;
        for (i, field) in line.split(separator).enumerate() {
            if i + 1 == n_fields && self.n_in_last > 1 {
                for part in field.split(SPREAD) {
                    self.push(found, part, columns, row);
                    found += 1;
                }
            } else {
                self.push(found, field, columns, row);
                found += 1;
            }
        }
        if found == self.header.len() {
            return Ok(Line::Event);
        }
        Err(format!("expected {} fields, got {found}", self.header.len()))
    }

    /// A set or vector as a list in JSON.
    fn list(&self, field: &str, declared: Declared) -> String {
        let elements = field.split(self.set_separator.as_str()).filter(|_| field != self.empty);
        let value = |element: &str| match element {
            _ if element == self.unset => Value::Null,
            "T" if declared == Declared::Plain => true.into(),
            "F" if declared == Declared::Plain => false.into(),
            // A number stays as it is written; what is none is text whatever it was declared.
            _ if declared == Declared::Plain && cell::number(element).is_some() => {
                serde_json::from_str(element).unwrap_or_else(|_| element.into())
            }
            _ if element == self.empty => "".into(),
            _ => unescaped(element).into_owned().into(),
        };
        Value::Array(elements.map(value).collect()).to_string()
    }

    fn push(&self, i: usize, field: &str, columns: &[Option<usize>], row: &mut Row) {
        let (Some(&Some(column)), Some(&declared)) = (columns.get(i), self.kinds.get(i)) else { return };
        let start = row.scratch.len();
        if field == self.unset {
            return row.close_cell(column, Kind::Null, start);
        }
        if matches!(declared, Declared::Texts | Declared::Plain) {
            row.scratch.push_str(&self.list(field, declared));
            return row.close_cell(column, Kind::Text, start);
        }
        if field == self.empty {
            return row.close_cell(column, Kind::Text, start);
        }
        let (kind, text): (Kind, Cow<'_, str>) = match declared {
            Declared::Boolean if field == "T" => (Kind::Boolean, "true".into()),
            Declared::Boolean if field == "F" => (Kind::Boolean, "false".into()),
            Declared::Integer if cell::canonical_integer(field.as_bytes()).is_some() => (Kind::Integer, field.into()),
            // Zeek writes no `0926` and no `+5`, but what else has written a log may: they are numbers by their declaration.
            Declared::Integer if let Ok(integer) = field.parse::<i64>() => (Kind::Integer, integer.to_string().into()),
            Declared::Integer | Declared::Number if cell::number(field).is_some() => (Kind::Number, field.into()),
            _ => (Kind::Text, unescaped(field)),
        };
        row.scratch.push_str(&text);
        row.close_cell(column, kind, start);
    }
}

/// The text with `\x09` and `\\` as the characters they stand for; as it is where that would be no UTF-8, as in Zeek's JSON.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.strip_prefix('x').and_then(|hex| hex.get(..2));
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        rest = if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            &after[3..]
        } else {
            bytes.push(b'\\');
            after.strip_prefix('\\').unwrap_or(after)
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_or(text.into(), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const HEADER: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n\
                          #open\t2018-03-24-17-15-17\n#fields\tts\tid.resp_p\tlocal\tuser\ttags\n\
                          #types\ttime\tport\tbool\tstring\tset[string]\n";

    fn layout(header: &str) -> Result<ZeekLayout, String> {
        read_header(header.as_bytes(), b'\n', true).map(|(layout, _)| layout).map_err(|why| match why {
            NoLayout::Header(reason) => reason,
            other => format!("{other:?}"),
        })
    }

    fn cells(layout: &ZeekLayout, line: &str) -> Result<Vec<(Kind, String)>, String> {
        let columns: Vec<Option<usize>> = (0..layout.header.len()).map(Some).collect();
        let mut row = Row::default();
        match layout.split(line, &columns, &mut row)? {
            Line::Event => Ok(row
                .cells
                .iter()
                .map(|cell| (cell.kind, String::from_utf8_lossy(row.bytes(cell, line.as_bytes())).into_owned()))
                .collect()),
            Line::Remark | Line::Fields { .. } => Ok(Vec::new()),
        }
    }

    #[rstest]
    #[case("1.5\t22\tT\troot\ta,b", &[(Kind::Number, "1.5"), (Kind::Integer, "22"), (Kind::Boolean, "true"), (Kind::Text, "root"), (Kind::Text, "[\"a\",\"b\"]")])]
    #[case("-\t-\tF\t(empty)\t-", &[(Kind::Null, ""), (Kind::Null, ""), (Kind::Boolean, "false"), (Kind::Text, ""), (Kind::Null, "")])]
    #[case("x\t1e3\t?\t12\t\\x2c", &[(Kind::Text, "x"), (Kind::Number, "1e3"), (Kind::Text, "?"), (Kind::Text, "12"), (Kind::Text, "[\",\"]")])]
    #[case("1\t2\tT\ta\\x09b\\\\c\\xc3\\xbc\t-", &[(Kind::Number, "1"), (Kind::Integer, "2"), (Kind::Boolean, "true"), (Kind::Text, "a\tb\\cü"), (Kind::Null, "")])]
    #[case("1\t2\tT\t\\xff\\x\\xg1\t-", &[(Kind::Number, "1"), (Kind::Integer, "2"), (Kind::Boolean, "true"), (Kind::Text, "\\xff\\x\\xg1"), (Kind::Null, "")])]
    #[case("1\t2\tT\t(empty)\t(empty)", &[(Kind::Number, "1"), (Kind::Integer, "2"), (Kind::Boolean, "true"), (Kind::Text, ""), (Kind::Text, "[]")])]
    #[case("1\t0926\tT\ta\t-", &[(Kind::Number, "1"), (Kind::Integer, "926"), (Kind::Boolean, "true"), (Kind::Text, "a"), (Kind::Null, "")])]
    #[case("1\t+5\tT\ta\t-", &[(Kind::Number, "1"), (Kind::Integer, "5"), (Kind::Boolean, "true"), (Kind::Text, "a"), (Kind::Null, "")])]
    #[case("#close\t2018-03-24-17-15-17", &[])]
    fn fields_by_their_declared_types(#[case] line: &str, #[case] expected: &[(Kind, &str)]) {
        let expected: Vec<_> = expected.iter().map(|&(kind, text)| (kind, text.to_owned())).collect();
        assert_eq!(cells(&layout(HEADER).unwrap(), line).unwrap(), expected);
    }

    #[test]
    fn the_last_columns_of_iot_23_are_told_apart() {
        let header = "#separator \\x09\n#fields\tuid\ttunnel_parents   label   detailed-label\n\
                      #types\tstring\tset[string]   string   string\n";
        let layout = layout(header).unwrap();
        assert_eq!(layout.header, ["uid", "tunnel_parents", "label", "detailed-label"]);
        let found = cells(&layout, "C1\t(empty)   Malicious   C&C").unwrap();
        assert_eq!(found.iter().map(|cell| cell.1.as_str()).collect::<Vec<_>>(), ["C1", "[]", "Malicious", "C&C"]);
        assert_eq!(cells(&layout, "C1\t(empty)   Benign").unwrap_err(), "expected 4 fields, got 3");
    }

    #[rstest]
    #[case("#separator \\x09\n#path\tconn\n", "it has no line `#fields`")]
    #[case("#separator \\x09\n#fields\n1\n", "its line `#fields` names none")]
    #[case("ds\ta\tb\n#types\tcount\tcount\n1\t2\n", "it has no line `#fields`")]
    #[case("#separator \\x09\n#fields\ta\tb\n#types\tstring\n", "it has 2 fields and 1 types")]
    #[case("#separator \\xff\n#fields\ta\n", "its separator must be one byte")]
    fn headers_that_cannot_be_used(#[case] header: &str, #[case] reason: &str) {
        let found = layout(header).unwrap_err();
        assert!(found.starts_with(reason), "{found}");
    }

    #[rstest]
    #[case("set[string]", "a,-,(empty)", r#"["a",null,""]"#)]
    #[case("vector[interval]", "0.5,1,-", "[0.5,1,null]")]
    #[case("vector[bool]", "T,F", "[true,false]")]
    #[case("set[port]", "22,x", r#"[22,"x"]"#)]
    #[case("vector[string]", "12", r#"["12"]"#)]
    fn sets_and_vectors_are_lists(#[case] declared: &str, #[case] field: &str, #[case] expected: &str) {
        let layout = layout(&format!("#separator \\x09\n#fields\ta\n#types\t{declared}\n")).unwrap();
        assert_eq!(cells(&layout, field).unwrap(), [(Kind::Text, expected.to_owned())]);
    }

    #[rstest]
    #[case("#separator \\x09\n", true)]
    #[case("\n# a note\r\n#separator \\x09\r\n#fields\ta\r\n#types\tcount\r\n", true)]
    #[case("tail: conn.log: file truncated\n#fields\ta\n#types\tcount\n1\n", true)]
    #[case("rator \\x09\n#path\tconn\n#fields\ta\n#types\tcount\n", true)]
    #[case("ds\ta\tb\n#types\tcount\tcount\n1\t2\n", true)]
    #[case("#fields a\n#types b\n", false)]
    #[case("1\n2\n3\n4\n5\n6\n7\n8\n9\n#fields\ta\n#types\tcount\n", true)]
    #[case("1\n#fields\ta\n2\n", false)]
    #[case("1\n#fields\ta\tb\n#types\tcount\n", false)]
    #[case("1\n2\n#types\tcount\n", false)]
    fn logs_of_zeek_by_their_beginnings(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(has_zeek(text.as_bytes()), expected);
    }

    /// Other lines are records that are rejected, mostly.
    #[test]
    fn a_header_may_have_other_lines_before_it() {
        let header = "\n# a note\n#fields\ta\tb\n#types\tcount\tcount\n";
        let read = |text: &str| read_header(text.as_bytes(), b'\n', true).map(|(layout, start)| (layout.header, start));
        let names = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(read(&format!("{header}1\t2\n")), Ok((names.clone(), header.len())));
        assert_eq!(read(&format!("\nab\tc\nd\n{header}1\t2\n")), Ok((names, 1)));
        assert!(read(&format!("{}{header}", "x\n".repeat(40_000))).is_err());
        assert_eq!(read_header(b"x\n#fields\ta\n", b'\n', false), Err(NoLayout::Pending));
    }

    #[test]
    fn a_header_in_the_middle_is_the_same_or_refused() {
        let layout = layout(HEADER).unwrap();
        assert_eq!(cells(&layout, "#fields\tts\tid.resp_p\tlocal\tuser\ttags").unwrap(), []);
        let mut row = Row::default();
        assert_eq!(layout.split("#fields\tts\tother", &[], &mut row), Ok(Line::Fields { are_same: false }));
        assert_eq!(cells(&layout, "1\t2").unwrap_err(), "expected 5 fields, got 2");
    }

    proptest! {
        #[test]
        fn any_line_is_an_event_a_remark_or_refused(line in "([#\\\\\\\\x0-9a-f\t -]|\\PC){0,60}") {
            let layout = layout(HEADER).unwrap();
            if let Ok(found) = cells(&layout, &line) {
                prop_assert!(found.len() == 5 || line.starts_with('#'));
            }
        }
    }
}
