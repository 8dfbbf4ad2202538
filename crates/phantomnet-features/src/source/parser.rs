//! From the bytes of a record to its cells.

use crate::source::excerpt::visible;
use crate::source::row::{Names, Row, TooManyColumns};
use crate::source::zeek::{self, ZeekLayout};
use crate::source::{delimited, json};

/// How the records of a source are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// One JSON object a line.
    JsonLines,
    /// Fields between delimiters, quoted as RFC 4180 has it.
    Delimited {
        /// A comma or a tab.
        delimiter: u8,
        /// Name of each field; an empty one is called `column_<position>`, a repeated one gets `_2`, `_3`, ...
        header: Vec<String>,
    },
    /// Zeek's own format.
    Zeek(ZeekLayout),
}

impl Layout {
    /// Names of the fields; none for JSON, whose records name theirs.
    pub fn header(&self) -> &[String] {
        match self {
            Self::JsonLines => &[],
            Self::Delimited { header, .. } => header,
            Self::Zeek(zeek) => &zeek.header,
        }
    }
}

/// Takes records of one source apart.
#[derive(Debug)]
pub(crate) struct Parser {
    fields: Fields,
    row: Row,
    /// Records that held something else than UTF-8, now U+FFFD.
    pub(crate) n_lossy: u64,
}

#[derive(Debug)]
enum Fields {
    Json(json::Flattener),
    Delimited { delimiter: u8, columns: Vec<Option<usize>> },
    Zeek { layout: ZeekLayout, columns: Vec<Option<usize>> },
}

impl Parser {
    /// For records of a layout, whose columns are added to `names`.
    pub(crate) fn new(layout: &Layout, names: &mut Names) -> Result<Self, TooManyColumns> {
        let fields = match layout {
            Layout::JsonLines => Fields::Json(json::Flattener::default()),
            Layout::Delimited { delimiter, header } => {
                Fields::Delimited { delimiter: *delimiter, columns: columns_of(header, names)? }
            }
            Layout::Zeek(zeek) => Fields::Zeek { columns: columns_of(&zeek.header, names)?, layout: zeek.clone() },
        };
        Ok(Self { fields, row: Row::default(), n_lossy: 0 })
    }

    /// The cells of a record, `None` when it holds nothing, or the reason why it cannot be read.
    ///
    /// A record that is not UTF-8 is read with U+FFFD in place of each bad sequence: payloads often are not, and the
    /// event counts more than its bytes. A rejected record adds no names.
    pub(crate) fn parse(&mut self, record: &[u8], names: &mut Names) -> Result<Option<&Row>, String> {
        self.row.clear();
        let lossy;
        let record = match std::str::from_utf8(record) {
            Ok(record) => record,
            Err(_) => {
                self.n_lossy += 1;
                lossy = String::from_utf8_lossy(record);
                &lossy
            }
        };
        match &mut self.fields {
            Fields::Delimited { delimiter, columns } => {
                let n_fields = delimited::split(record, *delimiter, columns, &mut self.row);
                if n_fields != columns.len() {
                    return Err(format!("expected {} fields, got {n_fields}", columns.len()));
                }
            }
            Fields::Zeek { layout, columns } => {
                if layout.split(record, columns, &mut self.row)? == zeek::Line::Remark {
                    return Ok(None);
                }
            }
            Fields::Json(flattener) => {
                let Some(object) = json::object_of(record) else {
                    return Ok(None);
                };
                let n_names = names.as_slice().len();
                let mut result = flattener.flatten(object, names, &mut self.row);
                if result.is_err()
                    && let Some(repaired) = json::replace_lone_surrogates(object)
                {
                    self.row.clear();
                    names.truncate(n_names);
                    result = flattener.flatten(&repaired, names, &mut self.row);
                    self.n_lossy += u64::from(result.is_ok());
                }
                if let Err(error) = result {
                    names.truncate(n_names);
                    return Err(visible(&json::reason(&error), 200));
                }
            }
        }
        Ok(Some(&self.row))
    }
}

/// The column of each field; names that come twice are told apart.
fn columns_of(header: &[String], names: &mut Names) -> Result<Vec<Option<usize>>, TooManyColumns> {
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let (unique, _) = delimited::column_names(&header);
    unique.iter().map(|name| names.id(name)).collect()
}

/// The fields of a header.
pub(crate) fn header_fields(record: &[u8], delimiter: u8) -> Vec<String> {
    let record = String::from_utf8_lossy(record);
    let columns: Vec<Option<usize>> = (0..=record.matches(char::from(delimiter)).count()).map(Some).collect();
    let mut row = Row::default();
    delimited::split(&record, delimiter, &columns, &mut row);
    row.cells.iter().map(|cell| row.text_of(cell).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::source::cell::Kind;

    /// Name, kind and text of each cell.
    type Found = Vec<(String, Kind, String)>;

    fn parse(line: &[u8]) -> Result<Option<Found>, String> {
        let mut names = Names::new(Vec::new(), true);
        let mut parser = Parser::new(&Layout::JsonLines, &mut names).unwrap();
        let cells = parser.parse(line, &mut names)?.map(|row| {
            let cells = row.cells.iter();
            cells.map(|cell| (cell.column, cell.kind, row.text_of(cell).to_owned())).collect::<Vec<_>>()
        });
        let named = |(column, kind, text): (usize, Kind, String)| (names.as_slice()[column].clone(), kind, text);
        Ok(cells.map(|cells| cells.into_iter().map(named).collect()))
    }

    #[rstest]
    #[case::kinds(br#"{"a":1,"b":1.50,"c":true,"d":"x","e":null}"#,
        &[("a", Kind::Integer, "1"), ("b", Kind::Number, "1.5"), ("c", Kind::Boolean, "true"), ("d", Kind::Text, "x"), ("e", Kind::Null, "")])]
    #[case::nested(br#"{"a":{"b":{"c":1},"d":2},"e":3}"#,
        &[("a.b.c", Kind::Integer, "1"), ("a.d", Kind::Integer, "2"), ("e", Kind::Integer, "3")])]
    #[case::array(br#"{"a":[1, {"b": [ ]}]}"#, &[("a", Kind::Text, r#"[1,{"b":[]}]"#)])]
    #[case::empty_object(br#"{"a":{}}"#, &[])]
    #[case::unsigned(br#"{"a":18446744073709551615}"#, &[("a", Kind::Number, "18446744073709551615")])]
    #[case::element_of_an_array(b" [ {\"a\":1},\r", &[("a", Kind::Integer, "1")])]
    #[case::last_element(b"{\"a\":1}]", &[("a", Kind::Integer, "1")])]
    #[case::not_utf8(b"{\"a\":\"\xff\"}", &[("a", Kind::Text, "\u{fffd}")])]
    #[case::lone_surrogate(br#"{"a":"\udcff\ud83d\ude00\\udcff"}"#, &[("a", Kind::Text, "\u{fffd}\u{1f600}\\udcff")])]
    #[case::escapes(br#"{"a\n":"\/\u0000"}"#, &[("a\n", Kind::Text, "/\0")])]
    fn cells_of_an_object(#[case] line: &[u8], #[case] expected: &[(&str, Kind, &str)]) {
        let expected: Vec<_> = expected.iter().map(|&(n, k, t)| (n.to_owned(), k, t.to_owned())).collect();
        assert_eq!(parse(line).unwrap().unwrap(), expected);
    }

    #[rstest]
    #[case(br#"{"a":1"#, "EOF while parsing an object at column 6")]
    #[case(br#"{"a":NaN}"#, "expected value at column 6")]
    #[case(br#"{"a":1e400}"#, "number out of range at column 10")]
    #[case(b"12", "expected a JSON object")]
    #[case(b"hello", "expected a JSON object")]
    #[case(br#"{"a":1} x"#, "trailing characters at column 9")]
    fn broken_objects(#[case] line: &[u8], #[case] reason: &str) {
        assert_eq!(parse(line).unwrap_err(), reason);
    }

    #[rstest]
    #[case(b"  ")]
    #[case(b"[")]
    #[case(b" ]\r")]
    #[case(b",")]
    fn lines_of_an_array_without_an_object(#[case] line: &[u8]) {
        assert_eq!(parse(line), Ok(None));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let names = |depth| parse(nested(depth).as_bytes()).map(|cells| cells.unwrap()[0].clone());
        assert_eq!(names(32).unwrap(), (vec!["a"; 32].join("."), Kind::Integer, "1".to_owned()));
        assert_eq!(names(33).unwrap(), (vec!["a"; 32].join("."), Kind::Text, "{\"a\":1}".to_owned()));
        assert!(names(200).unwrap_err().starts_with("recursion limit exceeded"));
    }

    #[test]
    fn long_names_and_too_many_of_them_are_refused() {
        let long = format!("{{\"{}\":1}}", "a".repeat(1025));
        assert_eq!(parse(long.as_bytes()).unwrap_err(), "a name of more than 1024 bytes at column 1028");
        let many: Vec<String> = (0..10_001).map(|i| format!("\"{i}\":1")).collect();
        let many = format!("{{{}}}", many.join(","));
        assert!(parse(many.as_bytes()).unwrap_err().starts_with("more than 10000 columns"));
    }

    #[test]
    fn a_rejected_line_leaves_no_names() {
        let mut names = Names::new(Vec::new(), true);
        let mut parser = Parser::new(&Layout::JsonLines, &mut names).unwrap();
        assert!(parser.parse(br#"{"a":1,"b""#, &mut names).is_err());
        assert!(names.as_slice().is_empty());
        let row = parser.parse(br#"{"b":1,"a":2}"#, &mut names).unwrap().unwrap();
        assert_eq!(row.cells.len(), 2);
        assert_eq!(names.as_slice(), ["b", "a"]);
    }
}
