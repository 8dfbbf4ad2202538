//! CSV and TSV by RFC 4180: where quotes are open, and the fields of a record.
//!
//! A quote opens only at the start of a field and is an ordinary character elsewhere; what stands between a closing quote
//! and the next delimiter belongs to the field. At the end of a physical line there are thus two states, inside a quote
//! or not, and a record ends where the second is reached.

use memchr::{memchr, memchr_iter};

use crate::source::cell::Kind;
use crate::source::row::Row;

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

/// Takes a record apart: field `i` becomes a cell of column `columns[i]`, or none where that is `None`.
///
/// Empty fields are NULL, quoted or not. Returns the number of fields, those beyond `columns` included.
pub(crate) fn split(record: &str, delimiter: u8, columns: &[Option<usize>], row: &mut Row) -> usize {
    if memchr(b'"', record.as_bytes()).is_none() {
        let mut n_fields = 0;
        let mut start = 0;
        for end in memchr_iter(delimiter, record.as_bytes()).chain([record.len()]) {
            if let Some(&Some(column)) = columns.get(n_fields) {
                push(&record[start..end], column, row);
            }
            n_fields += 1;
            start = end + 1;
        }
        return n_fields;
    }
    let mut n_fields = 0;
    let mut rest = record;
    loop {
        let start = row.text.len();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = unquote(quoted, row);
        }
        let end = memchr(delimiter, rest.as_bytes());
        row.text.push_str(&rest[..end.unwrap_or(rest.len())]);
        if let Some(&Some(column)) = columns.get(n_fields) {
            let kind = if row.text.len() == start { Kind::Null } else { Kind::Spelled };
            row.close_cell(column, kind, start);
        } else {
            row.text.truncate(start);
        }
        n_fields += 1;
        match end {
            Some(end) => rest = &rest[end + 1..],
            None => return n_fields,
        }
    }
}

fn push(field: &str, column: usize, row: &mut Row) {
    let start = row.text.len();
    row.text.push_str(field);
    let kind = if field.is_empty() { Kind::Null } else { Kind::Spelled };
    row.close_cell(column, kind, start);
}

/// Appends the text up to the closing quote and returns what follows it.
fn unquote<'a>(mut rest: &'a str, row: &mut Row) -> &'a str {
    while let Some(at) = memchr(b'"', rest.as_bytes()) {
        row.text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                row.text.push('"');
                rest = after;
            }
            None => return rest,
        }
    }
    row.text.push_str(rest);
    ""
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
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_header_of_one_repeated_name_takes_linear_time() {
        let (names, renamed) = column_names(&vec!["a"; 10_000]);
        assert_eq!((names[0].as_str(), names[9_999].as_str(), renamed.len()), ("a", "a_10000", 9_999));
    }

    fn fields(record: &str) -> Vec<String> {
        let columns: Vec<Option<usize>> = (0..9).map(Some).collect();
        let mut row = Row::default();
        let n_fields = split(record, b',', &columns, &mut row);
        assert_eq!(n_fields, row.cells.len());
        row.cells.iter().map(|cell| row.text_of(cell).to_owned()).collect()
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

    #[test]
    fn fields_beyond_the_columns_are_counted_and_not_held() {
        for record in ["a,b,c,d", "a,b,\"c\",d"] {
            let mut row = Row::default();
            assert_eq!(split(record, b',', &[Some(0), None], &mut row), 4);
            assert_eq!((row.cells.len(), row.text.as_str()), (1, "a"));
        }
    }

    #[test]
    fn missing_and_repeated_names_are_made_unique() {
        let (names, renamed) = column_names(&["a", "", "a", "a_2", "a", "column_2"]);
        assert_eq!(names, ["a", "column_2_2", "a_3", "a_2", "a_4", "column_2"]);
        assert_eq!(renamed.len(), 3);
    }
}
