//! Event logs as honeypots write them, read from files.

// Functions that tests share are not known to be test code.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod columnar;
mod evaluate;
mod property;
mod real;

use std::io::{BufReader, Write};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use phantomnet_features::{
    ColumnType, Encoding, EventReader, EventSchema, EventStream, Events, Format, Layout, LineDecoder, ReadOptions,
    Selection, SourceError, convert_events, raw_lines, read_events, read_events_as, read_rows, row_as_json,
};
use rstest::rstest;
use tempfile::TempDir;

/// A folder of files that live as long as it does.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn read(&self, names: &[&str], options: &ReadOptions) -> Result<Events, SourceError> {
        let paths: Vec<String> = names.iter().map(|name| self.path(name)).collect();
        read_events(&paths, options)
    }
}

/// Reads one file under a tolerant limit.
fn read(name: &str, content: impl AsRef<[u8]>) -> Result<Events, SourceError> {
    let options = ReadOptions { max_rejected: 0.9, ..ReadOptions::default() };
    Files::new(&[(name, content.as_ref())]).read(&[name], &options)
}

fn rows(batch: &RecordBatch) -> Vec<String> {
    (0..batch.num_rows()).map(|row| serde_json::Value::Object(row_as_json(batch, row)).to_string()).collect()
}

/// All events of a stream, none of which is rejected.
fn rows_of(stream: &mut EventStream<impl std::io::BufRead>) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(batch) = stream.next_batch(100).unwrap() {
        assert!(batch.rejected.is_empty(), "{:?}", batch.rejected);
        found.extend(rows(&batch.batch));
    }
    found
}

/// How many events of a stream are read, and how many records rejected.
fn counts_of(mut stream: EventStream<impl std::io::BufRead>) -> (usize, u64) {
    let mut found = (0, 0);
    while let Some(batch) = stream.next_batch(9).unwrap() {
        found = (found.0 + batch.lines.len(), found.1 + batch.rejected.len() as u64);
    }
    found
}

fn schema(columns: &[(&str, ColumnType)]) -> EventSchema {
    EventSchema::new(columns.iter().map(|&(name, column_type)| (name.to_owned(), column_type)).collect()).unwrap()
}

fn types(events: &Events) -> Vec<(&str, ColumnType)> {
    events.origin.schema.columns().iter().map(|(name, column_type)| (name.as_str(), *column_type)).collect()
}

fn bzip2(content: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn message(error: &SourceError) -> String {
    let text = error.to_string();
    // Paths of temporary files differ from run to run.
    text.split('`').map(|part| part.rsplit('/').next().unwrap_or(part)).collect::<Vec<_>>().join("`")
}

#[rstest]
#[case::lf("a,b\n1,x\n")]
#[case::crlf("a,b\r\n1,x\r\n")]
#[case::cr("a,b\r1,x\r")]
#[case::no_final_line_end("a,b\n1,x")]
#[case::byte_order_mark("\u{feff}a,b\n1,x\n")]
#[case::blank_lines("\n\na,b\n\n1,x\n\n")]
#[case::quoted("\"a\",\"b\"\n\"1\",\"x\"\n")]
fn one_table_in_many_spellings(#[case] content: &str) {
    let events = read("a.csv", content).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"a":1,"b":"x"}"#]);
    assert_eq!(types(&events), [("a", ColumnType::Integer), ("b", ColumnType::Text)]);
}

#[rstest]
#[case::missing("a,b\n,\n\"\",x\n", &[r#"{"a":null,"b":null}"#, r#"{"a":null,"b":"x"}"#])]
#[case::line_end_in_quotes("a,b\n\"x\r\ny\",1\n", &[r#"{"a":"x\r\ny","b":1}"#])]
#[case::unnamed_and_repeated("a,,a\n1,2,3\n", &[r#"{"a":1,"column_2":2,"a_2":3}"#])]
#[case::infinity("a\n1.5\ninf\n-Infinity\nNaN\n", &[r#"{"a":1.5}"#, r#"{"a":"inf"}"#, r#"{"a":"-inf"}"#, r#"{"a":null}"#])]
#[case::not_a_number("a\ninf\nx\n", &[r#"{"a":"inf"}"#, r#"{"a":"x"}"#])]
#[case::leading_zero("a\n007\n1\n", &[r#"{"a":"007"}"#, r#"{"a":"1"}"#])]
#[case::booleans("a\nTrue\nfalse\n", &[r#"{"a":true}"#, r#"{"a":false}"#])]
#[case::nul("a\nx\0y\n", &[r#"{"a":"x\u0000y"}"#])]
fn cells_of_csv(#[case] content: &str, #[case] expected: &[&str]) {
    assert_eq!(rows(&read("a.csv", content).unwrap().batch), expected);
}

#[rstest]
#[case::integers("{\"a\":1}\n{\"a\":2}\n", ColumnType::Integer, &[r#"{"a":1}"#, r#"{"a":2}"#])]
#[case::numbers("{\"a\":1}\n{\"a\":2.5}\n", ColumnType::Number, &[r#"{"a":1.0}"#, r#"{"a":2.5}"#])]
#[case::beyond_64_bits("{\"a\":9223372036854775808}\n", ColumnType::Number, &[r#"{"a":9.223372036854776e+18}"#])]
#[case::mixed("{\"a\":1}\n{\"a\":\"x\"}\n{\"a\":true}\n{\"a\":[1, 2]}\n", ColumnType::Text,
    &[r#"{"a":"1"}"#, r#"{"a":"x"}"#, r#"{"a":"true"}"#, r#"{"a":"[1,2]"}"#])]
#[case::text_stays_text("{\"a\":\"1\"}\n", ColumnType::Text, &[r#"{"a":"1"}"#])]
#[case::empty_text_is_a_value("{\"a\":\"\"}\n{\"a\":null}\n", ColumnType::Text, &[r#"{"a":""}"#, r#"{"a":null}"#])]
#[case::last_duplicate_wins("{\"a\":1,\"a\":2}\n{\"a\":1,\"a\":null}\n", ColumnType::Integer, &[r#"{"a":2}"#, r#"{"a":null}"#])]
#[case::overwritten_cells_have_no_say("{\"a\":\"x\",\"a\":2}\n", ColumnType::Integer, &[r#"{"a":2}"#])]
#[case::array("[\n{\"a\":1},\n{\"a\":2}\n]\n", ColumnType::Integer, &[r#"{"a":1}"#, r#"{"a":2}"#])]
fn cells_of_json_lines(#[case] content: &str, #[case] column_type: ColumnType, #[case] expected: &[&str]) {
    let events = read("a.jsonl", content).unwrap();
    assert_eq!(types(&events), [("a", column_type)]);
    assert_eq!(rows(&events.batch), expected);
}

#[test]
fn files_are_joined_by_column_name() {
    let files = Files::new(&[
        ("1.csv", b"b,a\n1,2\n"),
        ("2.jsonl", b"{\"a\":3.5,\"c\":{\"d\":\"x\"}}\n"),
        ("3.tsv", b"a\tb\n4\t5\n"),
        ("notes.txt", b"not an event log"),
    ]);
    let events = files.read(&["", "2.jsonl"], &ReadOptions::default()).unwrap();
    assert_eq!(types(&events), [("b", ColumnType::Integer), ("a", ColumnType::Number), ("c.d", ColumnType::Text)]);
    let expected =
        [r#"{"b":1,"a":2.0,"c.d":null}"#, r#"{"b":null,"a":3.5,"c.d":"x"}"#, r#"{"b":5,"a":4.0,"c.d":null}"#];
    assert_eq!(rows(&events.batch), expected);
    let places: Vec<(u32, u64)> = events.origin.places.iter().map(|place| (place.file, place.line)).collect();
    assert_eq!(places, [(0, 2), (1, 1), (2, 2)]);
    let [left_out, twice] = events.origin.warnings.as_slice() else { panic!("{:?}", events.origin.warnings) };
    assert!(left_out.contains("`notes.txt`"), "{left_out}");
    assert!(twice.ends_with("2.jsonl` is named twice and read once"), "{twice}");
    assert_eq!(raw_lines(&events.origin, &[2, 0]).unwrap(), ["4\t5", "1,2"]);
}

#[test]
fn patterns_match_files_in_order() {
    let files = Files::new(&[("b.csv", b"a\n2\n"), ("a.csv", b"a\n1\n"), ("c.tsv", b"a\n3\n")]);
    let events = files.read(&["*.csv"], &ReadOptions::default()).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"a":1}"#, r#"{"a":2}"#]);
}

#[rstest]
#[case::too_few("a,b\n1,2\n3\n", 3, "expected 2 fields, got 1", "3")]
#[case::too_many("a,b\n1,2\n3,4,\"5\u{1b}\"\n", 3, "expected 2 fields, got 3", r#"3,4,"5\u{1b}""#)]
#[case::unclosed("a,b\n1,\"2\n3,4\n5,6", 2, "quote opened in field `b` is never closed", "1,\"2")]
#[case::two_stray_quotes(
    "a,b\n1,x\n2,\"y\n3,z\n4,w\" or \"1\n5,v\n",
    3,
    "quote opened in field `b` is never closed: text follows the next one",
    "2,\"y"
)]
#[case::before_a_quoted_field(
    "a,b\n1,\"x\n2,y\n3,\"z\"\n",
    2,
    "quote opened in field `b` is never closed: text follows the next one",
    "1,\"x"
)]
fn broken_lines_of_csv_are_rejected(
    #[case] content: &str,
    #[case] line: u64,
    #[case] reason: &str,
    #[case] excerpt: &str,
) {
    let events = read("a.csv", content).unwrap();
    assert_eq!(events.origin.rejected.n, 1);
    let rejected = &events.origin.rejected.kept[0];
    assert_eq!((rejected.place.line, rejected.reason.as_str()), (line, reason));
    assert_eq!(rejected.excerpt, excerpt);
    assert_eq!(events.origin.files[0].n_rejected, 1);
    assert_eq!(events.origin.files[0].n_rows, events.batch.num_rows() as u64);
}

#[test]
fn broken_lines_of_json_are_rejected() {
    let events = read("a.json", "{\"a\":1}\nhello\n\n{\"a\":\n[1]\n{\"a\":2}").unwrap();
    let rejected: Vec<_> = events.origin.rejected.kept.iter().map(|r| (r.place.line, r.reason.as_str())).collect();
    let expected = [
        (2, "expected a JSON object"),
        (4, "expected `,` or `}` at column 1 of the line 2 below"),
        (5, "expected a JSON object"),
    ];
    assert_eq!(rejected, expected);
    assert_eq!(rows(&events.batch), [r#"{"a":1}"#, r#"{"a":2}"#]);
}

#[rstest]
#[case::one_line("[{\"a\":1},{\"a\":2}]", &[1, 1])]
#[case::spread("[\n  {\n    \"a\": 1\n  },\n{\"a\"\n:2}\n]\n", &[2, 5])]
#[case::several_on_a_line("{\"a\":1} {\"a\":2}\n", &[1, 1])]
#[case::spread_one("{\n\"a\": 1\n}\n{\n\"a\": 2\n}\n", &[1, 4])]
#[case::document("{\"attacks\": [\n{\"a\":1},\n\n{\"a\":2}\n]}\n", &[2, 4])]
#[case::document_on_a_line("{\"x\":[{\"a\":1},{\"a\":2}]}", &[1, 1])]
#[case::document_with_more("{\"took\":3,\"hits\":{\"total\":2,\"hits\":[{\"a\":1},{\"a\":2}],\"x\":1},\"y\":[2]}", &[1, 1])]
fn json_in_other_layouts(#[case] content: &str, #[case] lines: &[u64]) {
    let files = Files::new(&[("a.json", content.as_bytes())]);
    let events = files.read(&["a.json"], &ReadOptions::default()).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"a":1}"#, r#"{"a":2}"#]);
    assert_eq!(events.origin.rejected.n, 0, "{:?}", events.origin.rejected.kept);
    assert_eq!(events.origin.places.iter().map(|place| place.line).collect::<Vec<_>>(), lines);
    let raw = raw_lines(&events.origin, &[1, 0]).unwrap();
    assert!(raw[0].starts_with("{") && raw[0].contains('2') && raw[1].contains('1'), "{raw:?}");
}

#[test]
fn a_value_here_and_an_object_there_keep_their_text() {
    let events = read("a.json", "{\"a\":{\"b\": 1}}\n{\"a\":5}\n{\"a\":null}\n").unwrap();
    let expected = [r#"{"a.b":1,"a":"{\"b\":1}"}"#, r#"{"a.b":null,"a":"5"}"#, r#"{"a.b":null,"a":null}"#];
    assert_eq!(rows(&events.batch), expected);
}

#[test]
fn payloads_may_stand_one_a_line() {
    let events = read("a.txt", "id=1\r\n<b>\r\n\r\n' or 1=1 --\0\r\nx\ry\n").unwrap();
    let expected = [
        r#"{"payload":"id=1"}"#,
        r#"{"payload":"<b>"}"#,
        r#"{"payload":"' or 1=1 --\u0000"}"#,
        r#"{"payload":"x\ry"}"#,
    ];
    assert_eq!(rows(&events.batch), expected);
}

#[test]
fn requests_are_events() {
    let content = "POST /a?b=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nx=1\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    let files = Files::new(&[("a.txt", content.as_bytes())]);
    let events = files.read(&["a.txt"], &ReadOptions::default()).unwrap();
    let column = |name: &str| events.batch.column_by_name(name).unwrap().as_string::<i32>().value(0).to_owned();
    assert_eq!((events.batch.num_rows(), events.origin.rejected.n), (2, 0));
    assert_eq!((column("method"), column("host"), column("body")), ("POST".into(), "h".into(), "x=1".into()));
    let raw = raw_lines(&events.origin, &[0]).unwrap();
    let mut decoder = LineDecoder::new(&events.origin.schema, &events.origin.files[0].layout);
    assert_eq!(decoder.decode(raw[0].as_bytes()).unwrap(), events.batch.slice(0, 1));
}

#[test]
fn encodings_are_told_or_given() {
    let events = read("a.csv", "name,n\ncaf\u{e9} au lait,1\n".chars().map(|c| c as u8).collect::<Vec<_>>()).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"name":"café au lait","n":1}"#]);
    assert!(events.origin.warnings[0].contains("Latin-1"), "{:?}", events.origin.warnings);
    let utf16: Vec<u8> = "name,n\ncaf\u{e9},1\nb,2\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let events = read("a.csv", utf16).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"name":"café","n":1}"#, r#"{"name":"b","n":2}"#]);
    assert!(events.origin.warnings[0].contains("UTF-16"), "{:?}", events.origin.warnings);
    let files = Files::new(&[("a.csv", b"n\n\x93x\x94\n")]);
    let options = ReadOptions { encoding: Encoding::from_name("windows-1252"), ..ReadOptions::default() };
    let events = files.read(&["a.csv"], &options).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"n":"“x”"}"#]);
    assert_eq!(raw_lines(&events.origin, &[0]).unwrap(), ["“x”"]);
}

#[test]
fn a_cell_of_another_type_is_missing_or_rejects_its_record() {
    let files = Files::new(&[("a.csv", b"n,m\n1,a\nx,b\n")]);
    let types: std::collections::BTreeMap<_, _> = [("n".to_owned(), ColumnType::Integer)].into();
    let options = ReadOptions { types, max_rejected: 0.5, ..ReadOptions::default() };
    let events = files.read(&["a.csv"], &options).unwrap();
    assert_eq!((events.origin.unparsed, events.origin.rejected.n), (vec![("n".to_owned(), 1)], 0));
    let events = files.read(&["a.csv"], &ReadOptions { reject_misfits: true, ..options }).unwrap();
    assert_eq!((events.origin.unparsed.len(), events.batch.num_rows()), (0, 1));
    assert_eq!(events.origin.rejected.kept[0].reason, "`x` in column `n` is not of type integer");
    assert_eq!(events.origin.rejected.kept[0].place.offset, 8);
}

#[test]
fn rows_of_a_database_are_events() {
    let files = Files::new(&[]);
    let path = files.path("a.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute_batch("CREATE TABLE log (id INTEGER PRIMARY KEY, user TEXT, n); INSERT INTO log VALUES (2, 'b', 1.5), (1, 'a', 7);")
        .unwrap();
    let url = format!("sqlite:///{path}");
    let events = read_events(&[format!("{url}?table=log")], &ReadOptions::default()).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"id":1,"user":"a","n":7.0}"#, r#"{"id":2,"user":"b","n":1.5}"#]);
    assert_eq!(raw_lines(&events.origin, &[1]).unwrap(), [r#"{"id":2,"user":"b","n":1.5}"#]);
    // Beside files, in the order of the paths.
    let log = files.path("log.csv");
    std::fs::write(&log, "user\nc\n").unwrap();
    let events = read_events(&[log.clone(), format!("{url}?table=log"), log], &ReadOptions::default()).unwrap();
    assert_eq!(
        rows(&events.batch),
        [r#"{"user":"c","id":null,"n":null}"#, r#"{"user":"a","id":1,"n":7.0}"#, r#"{"user":"b","id":2,"n":1.5}"#]
    );
    assert_eq!(events.origin.warnings.len(), 1, "{:?}", events.origin.warnings);
    let query = Some(Selection::Query("SELECT user FROM log WHERE n > 2".into()));
    let options = ReadOptions { selection: query, ..ReadOptions::default() };
    assert_eq!(rows(&read_events(std::slice::from_ref(&url), &options).unwrap().batch), [r#"{"user":"a"}"#]);

    database
        .execute_batch("CREATE TABLE raw (a, b BLOB); INSERT INTO raw VALUES (x'41ff', x'fe'), ('x', 'y');")
        .unwrap();
    let events = read_events(&[format!("{url}?table=raw")], &ReadOptions::default()).unwrap();
    assert_eq!(rows(&events.batch), ["{\"a\":\"A\u{fffd}\",\"b\":\"\u{fffd}\"}", r#"{"a":"x","b":"y"}"#]);
    let [warning] = events.origin.warnings.as_slice() else { panic!("{:?}", events.origin.warnings) };
    assert!(warning.contains("1 records are not UTF-8") && warning.contains("hex(column)"), "{warning}");
}

/// Types are guessed from the beginnings of files, in which such a column has no cell.
#[test]
fn a_column_that_is_empty_for_long_is_converted_under_its_type() {
    let late = format!("a,b\n{}1,7\n", "1,\n".repeat(600_000));
    let files = Files::new(&[("a.csv", late.as_bytes())]);
    let out = files.path("out.parquet");
    let converted =
        convert_events(&[files.path("a.csv")], &ReadOptions::default(), Path::new(&out), &mut |_| ()).unwrap();
    assert_eq!(converted.schema.columns()[1], ("b".to_owned(), ColumnType::Integer));
    let back = read_events(&[out], &ReadOptions::default()).unwrap();
    assert_eq!(types(&back)[2], ("b", ColumnType::Integer));
}

/// Keys can be an attacker's; those that the table has no room for must not be waited for.
#[test]
fn columns_beyond_the_limit_are_left_out_of_what_is_converted() {
    let record = |i: usize| {
        let keys: Vec<String> = (0..1500).map(|k| format!("\"k{}\":1", 1500 * i + k)).collect();
        format!("{{\"a\":1,{}}}\n", keys.join(","))
    };
    let content: String = (0..7).map(record).collect();
    let files = Files::new(&[("a.json", content.as_bytes())]);
    let (paths, out) = ([files.path("a.json")], files.path("out.parquet"));
    let options = ReadOptions { block_bytes: 1 << 14, ..ReadOptions::default() };
    let converted = convert_events(&paths, &options, Path::new(&out), &mut |_| ()).unwrap();
    assert_eq!((converted.n_rows, converted.schema.columns().len()), (7, 10_000));
    assert!(converted.warnings.join(" ").contains("columns beyond the first 10000 are left out"));
}

#[test]
fn what_is_converted_is_read_as_the_log_is() {
    let late = format!("a,b,row_id\n{}0.5,\"x\ny\",007\n3\n", "1,,8\n".repeat(300_000));
    let files = Files::new(&[("a.csv", late.as_bytes()), ("b.csv", b"c,a\ntrue,9\n")]);
    let (paths, out) = ([files.path("a.csv"), files.path("b.csv")], files.path("out.parquet"));
    let converted = convert_events(&paths, &ReadOptions::default(), Path::new(&out), &mut |_| ()).unwrap();
    assert_eq!((converted.n_rows, converted.rejected.n), (300_002, 1));
    let events = read_events(&paths, &ReadOptions::default()).unwrap();
    assert_eq!(converted.schema, events.origin.schema);
    let back = read_events(std::slice::from_ref(&out), &ReadOptions::default()).unwrap();
    assert_eq!(types(&back)[0], ("row_id", ColumnType::Integer));
    let ids = back.batch.column(0).as_primitive::<Int64Type>();
    assert!(ids.values().iter().copied().eq(0..300_002));
    for (column, name) in ["a", "b", "row_id_2", "c"].into_iter().enumerate() {
        assert_eq!(back.batch.column_by_name(name), Some(events.batch.column(column)), "{name}");
    }
    let first = std::fs::read(&out).unwrap();
    let options = ReadOptions { threads: std::num::NonZeroUsize::new(5), ..ReadOptions::default() };
    convert_events(&paths, &options, Path::new(&out), &mut |_| ()).unwrap();
    assert!(first == std::fs::read(&out).unwrap(), "the same logs give the same bytes");
}

#[test]
fn types_are_explained() {
    let content = format!("n,t,m,e\n{}x,b,,\n", "1,a,2.5,\n".repeat(200));
    let files = Files::new(&[("a.csv", content.as_bytes())]);
    let (paths, options) = ([files.path("a.csv")], ReadOptions::default());
    let mut reader = EventReader::open(&paths, &options).unwrap();
    assert_eq!((reader.first_texts("t").len(), reader.first_texts("t")[200].as_str()), (201, "b"));
    let summary = reader.survey(&mut |_| ()).unwrap();
    let events = read_events(&paths, &options).unwrap();
    assert_eq!(summary.origin.warnings, events.origin.warnings);
    assert_eq!((summary.n_rows, &summary.origin.schema), (201, &events.origin.schema));
    let missing: Vec<u64> = summary.columns.iter().map(|column| column.n_missing).collect();
    assert_eq!(missing, [0, 0, 1, 201]);
    let reasons: Vec<&str> = summary.columns.iter().map(|column| column.why.as_str()).collect();
    assert!(reasons[0].starts_with("1 of 201 values are no numbers, the first `x` at "), "{reasons:?}");
    assert_eq!(reasons[1..], ["values are text", "every value is a number", "no value"]);
    assert!(events.origin.warnings.iter().any(|warning| warning.starts_with("column `n` is text, since 1 of 201")));
}

#[test]
fn what_is_not_utf8_is_replaced_and_told() {
    let events = read("a.csv", b"a\nx\x80\ny\n").unwrap();
    assert_eq!(rows(&events.batch), [r#"{"a":"x�"}"#, r#"{"a":"y"}"#]);
    assert!(events.origin.warnings[0].contains("1 records are not UTF-8; what is not is read as U+FFFD"));
}

#[test]
fn long_lines_are_rejected_and_not_held() {
    let content = format!("a\n1\n{}\n2\n", "x".repeat(100_000));
    let options = ReadOptions { max_line_bytes: 1000, max_rejected: 0.5, ..ReadOptions::default() };
    let events = Files::new(&[("a.csv", content.as_bytes())]).read(&["a.csv"], &options).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"a":1}"#, r#"{"a":2}"#]);
    assert_eq!(events.origin.rejected.kept[0].reason, "longer than 1000 bytes");
    assert_eq!(events.origin.rejected.kept[0].excerpt.len(), 256);
    assert_eq!(events.origin.places.get(1).line, 4);
}

#[rstest]
#[case("a.csv", "", "no events: `a.csv` is empty")]
#[case("a.csv", "\n\n", "no events: `a.csv` is empty")]
#[case("a.csv", "a,b\n", "no events: `a.csv` has a header but no rows")]
#[case("a.json", "[]", "no events: `a.json` has no rows")]
#[case("a.csv", "\"a,b\n1,2\n", "the header of `a.csv` cannot be read: quote opened in field `1` is never closed")]
#[case("a.log", "#separator \\x09\n", "the header of `a.log` cannot be read: it has no line `#fields`")]
#[case("a.log", "#separator \\x09\n#fields\ta\n#types\tcount\n#close\tx\n", "no events: `a.log` has no rows")]
#[case("a.parquet", "PAR1 and nothing more", "cannot read `a.parquet` as Parquet beyond row 0")]
#[case(
    "a.json",
    "x\n{\"a\":1}\ny\n",
    "2 of 3 lines are rejected, more than `max_rejected` = 0.01 allows; the first is `a.json`:1: expected a JSON object"
)]
fn files_that_cannot_be_read(#[case] name: &str, #[case] content: &str, #[case] expected: &str) {
    let files = Files::new(&[(name, content.as_bytes())]);
    let error = files.read(&[name], &ReadOptions::default()).unwrap_err();
    assert_eq!(message(&error), expected);
    let has_hint = !matches!(error, SourceError::Parquet { .. });
    assert_eq!(error.hint().is_some(), has_hint);
}

#[test]
fn a_file_of_another_format_is_told_why() {
    let files = Files::new(&[("a.json", b"[img]javascript:alert(1)\n{{7*7}}\n")]);
    let options = ReadOptions { max_rejected: 1.0, ..ReadOptions::default() };
    let error = files.read(&["a.json"], &options).unwrap_err();
    let expected = "no events: `a.json` has no row that can be read (line 1: expected a JSON object)";
    assert_eq!(message(&error), expected);
    assert!(error.hint().unwrap().contains("`lines`"), "{:?}", error.hint());
    let options = ReadOptions { format: Some(Format::Lines), ..options };
    assert_eq!(files.read(&["a.json"], &options).unwrap().batch.num_rows(), 2);

    let files = Files::new(&[("a.log", b"\xd4\xc3\xb2\xa1\x02\0\x04\0")]);
    let error = files.read(&["a.log"], &ReadOptions::default()).unwrap_err();
    assert_eq!(message(&error), "`a.log` is a packet capture, which is not read");
    assert!(error.hint().unwrap().contains("zeek"), "{:?}", error.hint());
    let options = ReadOptions { format: Some(Format::Lines), ..ReadOptions::default() };
    assert_eq!(files.read(&["a.log"], &options).unwrap().batch.num_rows(), 1);
}

#[test]
fn what_a_folder_leaves_out_is_told() {
    let files = Files::new(&[
        ("conn.log.labeled", b"a\tb\n1\t2\n"),
        ("a.csv.2025-01-31.gz", &gzip(b"a,b\n3,4\n")),
        ("notes.txt", b"x"),
        ("core", b"x"),
        (".a.csv.swp", b"x"),
    ]);
    let folder = files.path("");
    let events = read_events(std::slice::from_ref(&folder), &ReadOptions::default()).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"a":3,"b":4}"#, r#"{"a":1,"b":2}"#]);
    let [warning] = events.origin.warnings.as_slice() else { panic!("{:?}", events.origin.warnings) };
    assert!(warning.contains("are left out: 2 files without the extension of a log, such as `core`;"), "{warning}");
    std::fs::write(files.path(".hidden.csv"), "a,b\n5,6\n").unwrap();
    let visible = read_events(&[files.path("*.csv*")], &ReadOptions::default()).unwrap();
    assert_eq!(rows(&visible.batch), [r#"{"a":3,"b":4}"#]);
    let hidden = read_events(&[files.path(".hidden.csv")], &ReadOptions::default()).unwrap();
    assert_eq!(rows(&hidden.batch), [r#"{"a":5,"b":6}"#]);
    std::fs::create_dir(files.path("below")).unwrap();
    std::fs::remove_file(files.path("core")).unwrap();
    let events = read_events(&[folder], &ReadOptions::default()).unwrap();
    let expected = "`notes.txt`, which has no extension of a log, and the folder below it;";
    assert!(events.origin.warnings[0].contains(expected), "{:?}", events.origin.warnings);
}

#[test]
fn paths_that_cannot_be_read() {
    let files = Files::new(&[("a.txt", b"x")]);
    let error = |name: &str| message(&files.read(&[name], &ReadOptions::default()).unwrap_err());
    assert_eq!(error("none.csv"), "`none.csv` does not exist");
    let error_of = |path: &str| read_events(&[path.to_owned()], &ReadOptions::default()).unwrap_err().to_string();
    let expected = "`s3://logs/*.json` is a URL other than postgres:// and sqlite://, which is not read";
    assert_eq!(error_of("s3://logs/*.json"), expected);
    assert_eq!(error("*.csv"), "no file matches `*.csv`");
    assert_eq!(error("[.csv"), "`[.csv` is not a file pattern");
    assert!(error("").ends_with("holds no file with the extension of an event log"), "{}", error(""));
    assert!(matches!(read_events(&[], &ReadOptions::default()), Err(SourceError::NoPaths)));
}

#[test]
fn several_files_without_events_are_one_error() {
    let files = Files::new(&[("a.csv", b""), ("b.csv", b"a\n")]);
    let error = files.read(&["a.csv", "b.csv"], &ReadOptions::default()).unwrap_err();
    assert_eq!(message(&error), "no events: `a.csv` is empty, and 1 more without events");
}

#[test]
fn the_share_of_rejected_lines_is_bounded() {
    let content = format!("a,b\n{}3\n", "1,2\n".repeat(99));
    let files = Files::new(&[("a.csv", content.as_bytes())]);
    let read = |max_rejected| files.read(&["a.csv"], &ReadOptions { max_rejected, ..ReadOptions::default() });
    assert_eq!(read(0.01).unwrap().origin.rejected.n, 1);
    assert!(matches!(read(0.009), Err(SourceError::TooManyRejected { n: 1, n_lines: 100, .. })));
    assert!(matches!(read(1.5), Err(SourceError::MaxRejected { .. })));
}

#[test]
fn names_can_be_given_and_types_set() {
    let files = Files::new(&[("a.txt", b"1,a\n2,\nx,007\n")]);
    let options = ReadOptions {
        columns: Some(vec!["n".to_owned(), "code".to_owned()]),
        types: [("n".to_owned(), ColumnType::Integer)].into(),
        ..ReadOptions::default()
    };
    let events = files.read(&["a.txt"], &options).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"n":1,"code":"a"}"#, r#"{"n":2,"code":null}"#, r#"{"n":null,"code":"007"}"#]);
    assert_eq!(events.origin.unparsed, [("n".to_owned(), 1)]);
    assert_eq!(events.origin.warnings, ["column `n`: 1 cells are not of type integer and count as missing"]);
    assert_eq!(raw_lines(&events.origin, &[0]).unwrap(), ["1,a"]);

    let options = ReadOptions { types: [("m".to_owned(), ColumnType::Integer)].into(), ..options };
    let error = files.read(&["a.txt"], &options).unwrap_err();
    let expected = "a type is given for column `m`, which is not in the data; columns are `n`, `code`";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn compressed_files_are_read_to_the_end() {
    let plain = b"a\n1\n2\n";
    let members = [gzip(b"a\n1\n"), gzip(b"2\n")].concat();
    let frames: Vec<u8> =
        [&b"a\n1\n"[..], b"2\n"].iter().flat_map(|part| zstd::encode_all(*part, 1).unwrap()).collect();
    let streams = [bzip2(b"a\n1\n"), bzip2(b"2\n")].concat();
    // As pzstd has one before each frame.
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &frames].concat();
    let twice = gzip(&gzip(plain));
    let files = Files::new(&[
        ("a.csv", plain),
        ("b.csv.gz", &members),
        ("c.csv.zst", &frames),
        ("d.csv", &members),
        ("e.csv.bz2", &streams),
        ("f.csv.zst", &skippable),
        ("g.csv.gz", &twice),
    ]);
    let expected = files.read(&["a.csv"], &ReadOptions::default()).unwrap();
    let error = files.read(&["g.csv.gz"], &ReadOptions::default()).unwrap_err();
    assert!(message(&error).contains("compressed twice"), "{error}");
    for name in ["b.csv.gz", "c.csv.zst", "d.csv", "e.csv.bz2", "f.csv.zst"] {
        let events = files.read(&[name], &ReadOptions::default()).unwrap();
        assert_eq!(events.batch, expected.batch);
        assert_eq!(events.origin.fingerprint, expected.origin.fingerprint);
        assert_eq!(events.origin.files[0].n_bytes, 6);
        assert_eq!(raw_lines(&events.origin, &[1]).unwrap(), ["2"]);
    }
}

#[test]
fn the_fingerprint_frames_contents() {
    let files =
        Files::new(&[("1.csv", b"a\n1\n2\n"), ("2.csv", b"a\n3\n"), ("3.csv", b"a\n1\n"), ("4.csv", b"2\na\n3\n")]);
    let read = |names: &[&str]| files.read(names, &ReadOptions::default()).unwrap().origin.fingerprint;
    assert_eq!(read(&["1.csv"]).len(), 64);
    assert_ne!(read(&["1.csv", "2.csv"]), read(&["2.csv", "1.csv"]));
    // The same bytes, cut elsewhere.
    assert_ne!(read(&["1.csv", "2.csv"]), read(&["3.csv", "4.csv"]));
}

#[test]
fn what_can_be_read_of_a_truncated_file_is() {
    let content: String = std::iter::once("a\n".to_owned()).chain((0..100_000).map(|i| format!("{i}\n"))).collect();
    let mut cut = gzip(content.as_bytes());
    cut.truncate(cut.len() / 2);
    let files = Files::new(&[("a.csv.gz", &cut)]);
    let events = files.read(&["a.csv.gz"], &ReadOptions::default()).unwrap();
    let n_rows = events.batch.num_rows();
    assert!((10_000..100_000).contains(&n_rows), "{n_rows}");
    assert_eq!(events.batch.column(0).as_primitive::<Int64Type>().value(n_rows - 1), n_rows as i64 - 1);
    assert_eq!((events.origin.rejected.n, events.origin.rejected.kept[0].place.line), (1, n_rows as u64 + 2));
    assert!(events.origin.rejected.kept[0].reason.starts_with("the file cannot be read beyond this: "));
    assert!(
        events.origin.warnings[0].contains(&format!("cannot be read beyond row {n_rows}")),
        "{:?}",
        events.origin.warnings
    );
}

/// Exports are one line, however long they are: its records are what is bounded.
#[rstest]
#[case("[", ", ", "]", 200)]
#[case("{\"total\": 200, \"alerts\": [", ",", "], \"more\": false}", 200)]
#[case("", "", "", 200)]
fn a_line_of_many_objects_has_no_bound(
    #[case] before: &str,
    #[case] between: &str,
    #[case] after: &str,
    #[case] n: usize,
) {
    let objects: Vec<String> = (0..n).map(|i| format!("{{\"a\":{i},\"b\":{{\"c\":\"}}{{\"}}}}")).collect();
    for (block_bytes, end) in [(16, ""), (100, "\n"), (1 << 20, "")] {
        let content = format!("{before}{}{after}{end}", objects.join(between));
        let files = Files::new(&[("a.json", content.as_bytes())]);
        let options = ReadOptions { block_bytes, max_line_bytes: 100, ..ReadOptions::default() };
        let events = files.read(&["a.json"], &options).unwrap();
        assert_eq!((events.batch.num_rows(), events.origin.rejected.n), (n, 0), "{block_bytes}");
        assert_eq!(rows(&events.batch)[n - 1], format!(r#"{{"a":{},"b.c":"}}{{"}}"#, n - 1));
    }
    // What is broken costs a bounded part of the line.
    let broken = objects.join(between).replacen("\"a\":20,", "\"a\":!,", 1);
    let content = format!("{before}{broken}{after}");
    let files = Files::new(&[("a.json", content.as_bytes())]);
    let options = ReadOptions { block_bytes: 16, max_line_bytes: 100, max_rejected: 1.0, ..ReadOptions::default() };
    let events = files.read(&["a.json"], &options).unwrap();
    assert!(events.batch.num_rows() > n - 20 && events.origin.rejected.n > 0, "{}", events.batch.num_rows());
}

/// Nothing of it is taken for a header that is too long.
#[rstest]
#[case("{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}\n")]
#[case("{\"events\": [\n{\"a\": 1},\n{\"a\": 2}]}\n")]
#[case("[\n{\"a\": 1},\n{\"a\": 2}]\n")]
fn a_small_file_may_be_cut_anywhere(#[case] content: &str) {
    // Stored, so that what is before the cut can be read.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(content.as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    let options = ReadOptions { max_rejected: 1.0, ..ReadOptions::default() };
    for n in 0..whole.len() {
        let files = Files::new(&[("a.json.gz", &whole[..n])]);
        match files.read(&["a.json.gz"], &options) {
            Ok(events) => assert!((1..=2).contains(&events.batch.num_rows()), "{n}"),
            Err(SourceError::NoEvents { .. }) => {}
            Err(error) => panic!("{n}: {error}"),
        }
    }
}

#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = gzip(&b"x\n".repeat(5 << 20));
    let files = Files::new(&[("a.csv.gz", &bomb)]);
    let options = ReadOptions { max_file_bytes: 1 << 20, ..ReadOptions::default() };
    let error = files.read(&["a.csv.gz"], &options).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "more than 1048576 bytes when decompressed");
}

#[test]
fn values_may_be_separated_by_pipes() {
    let events = read("a.log", b"user|payload\nroot|\"a|b\"\nguest|1,2\n").unwrap();
    assert_eq!(rows(&events.batch), [r#"{"user":"root","payload":"a|b"}"#, r#"{"user":"guest","payload":"1,2"}"#]);
}

#[test]
fn a_zeek_log_may_be_appended_to() {
    let part = |ts: &str| format!("#separator \\x09\n#fields\tts\tnote\n#types\ttime\tstring\n{ts}\t\"a\n#close\tx\n");
    let content = [part("1.5"), part("2.5"), "3.5\n".to_owned()].concat();
    let options = ReadOptions { max_rejected: 1.0, ..ReadOptions::default() };
    let files = Files::new(&[("conn.log", content.as_bytes())]);
    let events = files.read(&["conn.log"], &options).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"ts":1.5,"note":"\"a"}"#, r#"{"ts":2.5,"note":"\"a"}"#]);
    assert_eq!(events.origin.places.iter().map(|place| place.line).collect::<Vec<_>>(), [4, 9]);
    let reasons: Vec<_> =
        events.origin.rejected.kept.iter().map(|line| (line.place.line, line.reason.as_str())).collect();
    assert_eq!(reasons, [(11, "expected 2 fields, got 1")]);
    assert_eq!(raw_lines(&events.origin, &[1]).unwrap(), ["2.5\t\"a"]);
    let mut decoder = LineDecoder::new(&events.origin.schema, &events.origin.files[0].layout);
    assert_eq!(decoder.decode(b"1.5\t\"a").unwrap(), events.batch.slice(0, 1));
    assert!(decoder.decode(b"#close\tx").is_err());
}

/// Logs are cut where they are rotated, and programs that follow them say so.
#[rstest]
#[case("cut.log", "rator \\x09\n#fields\tts\ta\n#types\ttime\tcount\n1.5\t1\n2.5\t2\n", &["expected 2 fields, got 1"], &[r#"{"ts":1.5,"a":1}"#, r#"{"ts":2.5,"a":2}"#])]
#[case("blank.log", "\n#separator \\x09\n#fields\tts\ta\n#types\ttime\tcount\n1.5\t1\n", &[], &[r#"{"ts":1.5,"a":1}"#])]
fn a_zeek_log_whose_beginning_is_cut(
    #[case] name: &str,
    #[case] content: &str,
    #[case] rejected: &[&str],
    #[case] expected: &[&str],
) {
    let events = read(name, content).unwrap();
    assert_eq!(events.origin.files[0].format, Format::Zeek);
    assert_eq!(rows(&events.batch), expected);
    let kept = &events.origin.rejected.kept;
    assert_eq!(kept.iter().map(|line| line.reason.as_str()).collect::<Vec<_>>(), rejected);
    assert!(kept.iter().all(|line| (line.place.line, line.place.offset) == (1, 0)));
}

#[test]
fn a_log_of_requests_whose_beginning_is_cut() {
    let request = |i: usize| format!("GET http://localhost/{i}?a=1,2 HTTP/1.1\r\nHost: h\r\nAccept: a,b\r\n\r\n");
    let whole = (0..5).map(request).collect::<String>();
    for at in [1, 9, 30, 38, 50] {
        let events = read("requests.txt", &whole[at..]).unwrap();
        assert_eq!(events.origin.files[0].format, Format::Http, "{at}");
        let targets = events.batch.column_by_name("target").unwrap().as_string::<i32>();
        let whole = ["http://localhost/1?a=1,2", "http://localhost/4?a=1,2"];
        let n = targets.len();
        assert_eq!([targets.value(n - 4), targets.value(n - 1)], whole, "{at}");
    }
}

/// An event that lost its last brackets takes those of its list, and the events behind it.
#[rstest]
#[case("{\"events\":[\n{\"a\":1},\n{\"a\":2,\"l\":[1,\n{\"a\":3}\n]}\n", 2, true)]
#[case("{\"events\":[\n{\"a\":1},\n{\"a\":2}", 2, true)]
#[case("{\"events\":[\n{\"a\":1},\n{\"a\":2}\n]}\n", 2, false)]
#[case("\u{feff}{\n\"a\": 1\n}\n{\n\"a\": 2\n}\n", 2, false)]
#[case("[{\"a\":1},\n{\"a\":2}", 2, false)]
fn a_list_of_events_that_does_not_end_is_told(#[case] content: &str, #[case] n: usize, #[case] is_told: bool) {
    let said = "its list of events does not end";
    let files = Files::new(&[("a.json", content.as_bytes())]);
    let events = files.read(&["a.json"], &ReadOptions { max_rejected: 0.9, ..ReadOptions::default() }).unwrap();
    assert_eq!(events.batch.num_rows(), n);
    assert_eq!(events.origin.warnings.join(" ").contains(said), is_told, "{:?}", events.origin.warnings);
    let model = schema(&[("a", ColumnType::Integer)]);
    let mut stream = EventStream::new(content.as_bytes(), &ReadOptions::default(), &model).unwrap();
    while stream.next_batch(10).unwrap().is_some() {}
    assert_eq!(stream.remarks().join(" ").contains(said), is_told);
}

/// What is no UTF-8 is longer when it is read again as U+FFFD, and a length may lead to a blank line by that.
#[test]
fn a_request_read_again_has_its_whole_body() {
    let content = b"POST / HTTP/1.1\nContent-Length: 30\n\nG\rET /\n\xb3\xb3\xb3\xb3\xb3\xb3\xb3\n\n\n\n[\n";
    let files = Files::new(&[("a.log", content)]);
    let events = files.read(&["a.log"], &ReadOptions { max_rejected: 0.9, ..ReadOptions::default() }).unwrap();
    assert_eq!((events.origin.files[0].format, events.batch.num_rows()), (Format::Http, 1));
    let raw = raw_lines(&events.origin, &[0]).unwrap();
    let mut decoder = LineDecoder::new(&events.origin.schema, &events.origin.files[0].layout);
    assert_eq!(decoder.decode(raw[0].as_bytes()).unwrap(), events.batch);
}

/// Fields of another order are as many, and would be read into the wrong columns.
#[test]
fn a_zeek_log_goes_on_with_other_fields() {
    let head = "#separator \\x09\n#fields\tts\ta\tb\n#types\ttime\tcount\tcount\n";
    let own = |n: usize| format!("{head}{}", "1.5\t1\t2\n".repeat(n));
    let other = format!("{}{}", head.replace("a\tb", "b\ta"), "2.5\t20\t10\n".repeat(40));
    let content = [own(50), other, own(30)].concat();
    let files = Files::new(&[("conn.log", content.as_bytes())]);
    for (block_bytes, threads) in [(4 << 20, 1), (64, 2), (200, 1), (333, 3)] {
        let options = ReadOptions {
            max_rejected: 1.0,
            block_bytes,
            threads: std::num::NonZeroUsize::new(threads),
            ..ReadOptions::default()
        };
        let events = files.read(&["conn.log"], &options).unwrap();
        assert!(rows(&events.batch).iter().all(|row| row == r#"{"ts":1.5,"a":1,"b":2}"#));
        assert_eq!((events.batch.num_rows(), events.origin.rejected.n), (80, 41), "{block_bytes}");
        let reasons: Vec<&String> = events.origin.rejected.by_reason.keys().collect();
        let expected = [
            "it belongs to the other fields above, which need a file of their own",
            "the log goes on with other fields, which need a file of their own",
        ];
        assert_eq!(reasons, expected);
        assert_eq!(events.origin.rejected.kept[1].place.line, 57);
        assert_eq!(events.origin.places.get(50).line, 100);
    }
}

/// A block of such records would take gigabytes: it makes several parts.
#[test]
fn keys_that_never_come_again_are_read_in_parts() {
    let content: String = (0..3_500).map(|i| format!("{{\"k{i}\": {i}}}\nx\n")).collect();
    let files = Files::new(&[("a.jsonl", content.as_bytes())]);
    let options = ReadOptions { max_rejected: 1.0, ..ReadOptions::default() };
    let events = files.read(&["a.jsonl"], &options).unwrap();
    assert_eq!((events.batch.num_rows(), events.batch.num_columns(), events.origin.rejected.n), (3_500, 3_500, 3_500));
    for (i, column) in events.batch.columns().iter().enumerate() {
        assert_eq!((column.len() - column.null_count(), column.as_primitive::<Int64Type>().value(i)), (1, i as i64));
    }
    assert_eq!(events.origin.places.get(3_499).line, 6_999);
    assert_eq!(events.origin.rejected.kept[3_499].place.line, 7_000);
}

#[test]
fn utf16_is_decoded() {
    let text = "\u{feff}a,b\r\n1,\u{1f600}\r\n";
    for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let content: Vec<u8> = text.encode_utf16().flat_map(to_bytes).collect();
        assert_eq!(rows(&read("a.csv", content).unwrap().batch), [r#"{"a":1,"b":"😀"}"#]);
    }
}

#[test]
fn a_model_reads_under_its_own_schema() {
    let files = Files::new(&[
        ("a.csv", b"x,port,ok,name\n1,22,TRUE,n\n2,ssh,1,\n"),
        ("b.json", b"{\"port\":23.0,\"x\":{\"y\":1}}\n"),
    ]);
    let model = schema(&[
        ("name", ColumnType::Text),
        ("port", ColumnType::Integer),
        ("ok", ColumnType::Boolean),
        ("gone", ColumnType::Number),
    ]);
    let paths = [files.path("a.csv"), files.path("b.json")];
    let events = read_events_as(&paths, &ReadOptions::default(), &model).unwrap();
    assert_eq!(events.origin.schema, model);
    let expected = [
        r#"{"name":"n","port":22,"ok":true,"gone":null}"#,
        r#"{"name":null,"port":null,"ok":null,"gone":null}"#,
        r#"{"name":null,"port":23,"ok":null,"gone":null}"#,
    ];
    assert_eq!(rows(&events.batch), expected);
    assert_eq!(events.origin.absent, ["gone"]);
    assert_eq!(events.origin.unparsed, [("port".to_owned(), 1), ("ok".to_owned(), 1)]);

    let options = ReadOptions { keep_extra: true, ..ReadOptions::default() };
    let events = read_events_as(&paths, &options, &model).unwrap();
    let extra: Vec<_> = types(&events)[4..].to_vec();
    assert_eq!(extra, [("x", ColumnType::Text), ("x.y", ColumnType::Text)]);
    assert_eq!(rows(&events.batch)[0], r#"{"name":"n","port":22,"ok":true,"gone":null,"x":"1","x.y":null}"#);
}

/// CICFlowMeter writes `, ` between the names of its header, and `,` between values.
#[test]
fn blanks_around_names_that_are_known_are_left_out() {
    let files = Files::new(&[("a.csv", b"id, Label ,Port, x\n1,BENIGN,22,a\n")]);
    let as_written = files.read(&["a.csv"], &ReadOptions::default()).unwrap();
    assert_eq!(as_written.origin.schema.names().collect::<Vec<_>>(), ["id", " Label ", "Port", " x"]);

    let known = [("Label".to_owned(), ColumnType::Text), ("Port".to_owned(), ColumnType::Integer)];
    let options = ReadOptions { expected: known.clone().into(), ..ReadOptions::default() };
    let expected = files.read(&["a.csv"], &options).unwrap();
    let row = r#"{"id":1,"Label":"BENIGN","Port":22," x":"a"}"#;
    assert_eq!(rows(&expected.batch), [row]);
    let [warning] = expected.origin.warnings.as_slice() else { panic!("{:?}", expected.origin.warnings) };
    assert!(warning.ends_with("1 of 4 names of the header are read without the blanks around them"), "{warning}");

    let model = EventSchema::new(known.to_vec()).unwrap();
    let path = files.path("a.csv");
    let scored = read_events_as(std::slice::from_ref(&path), &ReadOptions::default(), &model).unwrap();
    assert_eq!(rows(&scored.batch), [r#"{"Label":"BENIGN","Port":22}"#]);
    let mut stream = EventStream::open(Path::new(&path), &ReadOptions::default(), &model).unwrap();
    assert_eq!(rows(&stream.next_batch(9).unwrap().unwrap().batch), rows(&scored.batch));
}

#[test]
fn a_file_that_changed_gives_no_wrong_line() {
    let files = Files::new(&[("a.csv", b"a\n1\n2\n")]);
    let events = files.read(&["a.csv"], &ReadOptions::default()).unwrap();
    std::fs::write(files.path("a.csv"), "a\n1\n").unwrap();
    assert!(matches!(raw_lines(&events.origin, &[1]), Err(SourceError::Changed { line: 3, .. })));
}

/// How much is left of a broken compressed file does not depend on how much is asked for at a time.
#[test]
fn a_damaged_file_gives_the_same_rows_however_it_is_read() {
    let content: String = (0..20_000).map(|i| format!("{{\"a\":{i},\"b\":\"{}\"}}\n", i * 7919 % 9973)).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(content.as_bytes()).unwrap();
    for whole in [gzip.finish().unwrap(), zstd::encode_all(content.as_bytes(), 1).unwrap()] {
        for (cut, flipped) in
            [(whole.len() * 2 / 3, None), (whole.len(), Some(whole.len() / 2)), (whole.len(), Some(40))]
        {
            let mut bytes = whole[..cut].to_vec();
            flipped.into_iter().for_each(|at| bytes[at] ^= 0x10);
            let files = Files::new(&[("a.json", &bytes)]);
            let read = |block_bytes| {
                let options = ReadOptions { max_rejected: 1.0, block_bytes, ..ReadOptions::default() };
                let events = files.read(&["a.json"], &options).ok()?;
                let rows: Vec<usize> = (0..events.batch.num_rows()).collect();
                assert_eq!(raw_lines(&events.origin, &rows).unwrap().len(), rows.len());
                Some((rows.len(), events.origin.rejected))
            };
            let expected = read(4 << 20);
            assert_eq!(read(1_000), expected);
            assert_eq!(read(70_001), expected);
        }
    }
}

#[rstest]
#[case::crlf(b"1,x\r\r\n2,y\r\n")]
#[case::cr(b"1,x\r2,y\r")]
fn rows_are_read_again_as_they_were(#[case] lines: &[u8], #[values(Format::Csv, Format::Lines)] format: Format) {
    let files = Files::new(&[("a.log", lines)]);
    let columns = match format {
        Format::Csv => ["a", "b"].map(str::to_owned).to_vec(),
        _ => vec!["a".to_owned()],
    };
    let options = ReadOptions { format: Some(format), columns: Some(columns), ..ReadOptions::default() };
    let events = files.read(&["a.log"], &options).unwrap();
    assert_eq!(events.batch.num_rows(), 2);
    assert_eq!(read_rows(&events.origin, &[0, 1]).unwrap(), events.batch);
}

#[test]
fn lines_are_decoded_as_files_are_read() {
    let model = schema(&[("b", ColumnType::Number), ("a", ColumnType::Text), ("c", ColumnType::Integer)]);
    let header = vec!["a".to_owned(), "b".to_owned()];
    let mut csv = LineDecoder::new(&model, &Layout::Delimited { delimiter: b',', header });
    assert_eq!(rows(&csv.decode(b"\"x\ny\",1.5\r\n").unwrap()), [r#"{"b":1.5,"a":"x\ny","c":null}"#]);
    assert_eq!(rows(&csv.decode(b",nan").unwrap()), [r#"{"b":null,"a":null,"c":null}"#]);
    assert_eq!(csv.decode(b"x").unwrap_err().to_string(), "expected 2 fields, got 1");
    assert_eq!(csv.decode(b"1,\"x").unwrap_err().to_string(), "quote opened in field `b` is never closed");
    assert_eq!(csv.decode(b"\r\n").unwrap_err().to_string(), "blank line");
    // One line end is taken off, and no CR of the record's own.
    let mut lines = LineDecoder::new(&model, &Layout::Lines { column: "a".to_owned() });
    for (line, a) in [("x\r\n", "x"), ("x\r", "x"), ("x\r\r\n", "x\\r"), ("x\r\r", "x\\r")] {
        let expected = format!(r#"{{"b":null,"a":"{a}","c":null}}"#);
        assert_eq!(rows(&lines.decode(line.as_bytes()).unwrap()), [expected]);
    }

    let mut json = LineDecoder::new(&model, &Layout::JsonLines);
    assert_eq!(rows(&json.decode(b"{\"c\":\"7\",\"z\":1,\"a\":{}}\n").unwrap()), [r#"{"b":null,"a":"{}","c":7}"#]);
    assert_eq!(rows(&json.decode(b"{\"a\":1,\"a\":true,\"b\":\"x\"}").unwrap()), [r#"{"b":null,"a":"true","c":null}"#]);
    assert_eq!(json.decode(b"[1]").unwrap_err().to_string(), "expected a JSON object");
}

#[test]
fn a_stream_gives_what_has_arrived() {
    /// Gives one piece a read, as a pipe does, and says so when it is read while empty.
    struct Pipe(Vec<&'static [u8]>);
    impl std::io::Read for Pipe {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            assert!(!self.0.is_empty(), "read although complete lines had arrived");
            let piece = self.0.remove(0);
            buf[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }
    let model = schema(&[("a", ColumnType::Integer)]);
    let pipe = Pipe(vec![b"{\"a\":1}\n{\"a\":2}\n{\"a\"", b":3}\n", b"x\n", b""]);
    let mut stream = EventStream::new(BufReader::new(pipe), &ReadOptions::default(), &model).unwrap();
    let batch = stream.next_batch(100).unwrap().unwrap();
    assert_eq!(rows(&batch.batch), [r#"{"a":1}"#, r#"{"a":2}"#]);
    assert_eq!(batch.lines, ["{\"a\":1}", "{\"a\":2}"]);
    let batch = stream.next_batch(100).unwrap().unwrap();
    assert_eq!((rows(&batch.batch), batch.places[0].line), (vec![r#"{"a":3}"#.to_owned()], 3));
    let batch = stream.next_batch(100).unwrap().unwrap();
    assert_eq!((batch.batch.num_rows(), batch.rejected[0].place.line), (0, 4));
    assert!(stream.next_batch(100).unwrap().is_none());
}

/// What `predict` reads of a pipe is what it reads of the file.
#[test]
fn streams_are_decompressed_and_decoded() {
    let content = "a,b\n1,caf\u{e9}\n2,\"x\ny\"\n";
    let model = schema(&[("a", ColumnType::Integer), ("b", ColumnType::Text)]);
    let utf16: Vec<u8> = format!("\u{feff}{content}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin1: Vec<u8> = content.chars().map(|c| c as u8).collect();
    let options = |encoding| ReadOptions { encoding, ..ReadOptions::default() };
    for (bytes, encoding) in [
        (content.as_bytes().to_vec(), None),
        (gzip(content.as_bytes()), None),
        (bzip2(content.as_bytes()), None),
        (zstd::encode_all(content.as_bytes(), 3).unwrap(), None),
        (gzip(&utf16), None),
        (utf16, None),
        (latin1, Some(Encoding::Latin1)),
        (content.replace('\n', "\r").into_bytes(), None),
    ] {
        let options = options(encoding);
        let text = phantomnet_features::plain_text(BufReader::new(std::io::Cursor::new(bytes)), &options).unwrap();
        let mut stream = EventStream::new(text, &options, &model).unwrap();
        let batch = stream.next_batch(9).unwrap().unwrap();
        let found: Vec<String> = rows(&batch.batch).iter().map(|row| row.replace("\\r", "\\n")).collect();
        assert_eq!(found, [r#"{"a":1,"b":"café"}"#, r#"{"a":2,"b":"x\ny"}"#]);
    }
    let capture = EventStream::new(&b"\xd4\xc3\xb2\xa1\x02\0\x04\0"[..], &ReadOptions::default(), &model);
    assert_eq!(capture.unwrap_err().to_string(), "`-` is a packet capture, which is not read");
}

/// What `cat` makes of several files.
#[rstest]
#[case::same("a,b\n1,2\na,b\n3,4\n", &[(1, 2), (3, 4)], &[(3, "it is the header again")])]
#[case::in_capitals("a,b\n1,2\nA,\"B\"\n3,4\n", &[(1, 2), (3, 4)], &[(3, "it is the header again")])]
#[case::quoted("a,b\n1,2\n\"a\", b\n3,4\n", &[(1, 2), (3, 4)], &[(3, "it is the header again")])]
#[case::behind_a_byte_order_mark("a,b\n1,2\n\u{feff}a,b\n3,4\n", &[(1, 2), (3, 4)], &[(3, "it is the header again")])]
#[case::values_like_names("a,b\n1,2\na,3\nb,a1\n", &[], &[])]
#[case::another_order(
    "a,b\n1,2\nb,a\n4,3\n5,6\na,b\n7,8\n", &[(1, 2), (7, 8)],
    &[
        (3, "the log goes on with other fields, which need a file of their own"),
        (4, "it belongs to the other fields above, which need a file of their own"),
        (5, "it belongs to the other fields above, which need a file of their own"),
        (6, "it is the header again"),
    ]
)]
fn a_header_that_comes_again_is_no_event(
    #[case] content: &str,
    #[case] expected: &[(i64, i64)],
    #[case] rejected: &[(u64, &str)],
    #[values(1 << 20, 8)] block_bytes: usize,
) {
    let files = Files::new(&[("a.csv", content.as_bytes())]);
    let threads = std::num::NonZeroUsize::new(2);
    let events =
        files.read(&["a.csv"], &ReadOptions { max_rejected: 1.0, block_bytes, threads, ..ReadOptions::default() });
    let events = events.unwrap();
    let found: Vec<_> = events.origin.rejected.kept.iter().map(|r| (r.place.line, r.reason.as_str())).collect();
    assert_eq!(found, rejected);
    if expected.is_empty() {
        return assert_eq!(events.batch.num_rows(), 3);
    }
    let expected: Vec<String> = expected.iter().map(|(a, b)| format!(r#"{{"a":{a},"b":{b}}}"#)).collect();
    assert_eq!(rows(&events.batch), expected);
}

/// A record of several lines that has other fields than the header costs no line that is a record by itself.
#[rstest]
#[case("n,t,l\n1,\"cut off\n2,a,0\n3,b,0\n4,\"\n\",0\n5,c,1\n", &[2, 3, 4, 5], 1)]
#[case("n,t,l\n1,x,0\n\"\n2,a,0\n3,b,0\n\"\n5,c,1\n", &[1, 2, 3, 5], 2)]
#[case("n,t,l\n1,\"a\nb\",x,y\n5,c,1\n", &[5], 1)]
fn lines_within_a_broken_record_are_read(#[case] content: &str, #[case] expected: &[i64], #[case] n_rejected: u64) {
    let events = read("a.csv", content).unwrap();
    let found: Vec<i64> = events.batch.column(0).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!((found.as_slice(), events.origin.rejected.n), (expected, n_rejected), "{:?}", events.origin.rejected);
}

#[rstest]
#[case("a.log")]
#[case("a")]
#[case("a.txt")]
fn a_log_of_zeek_may_begin_with_a_byte_order_mark(#[case] name: &str) {
    let events = read(name, "\u{feff}#separator \\x09\n#fields\ta\tb\n#types\tcount\tstring\n1\tx\n").unwrap();
    assert_eq!(events.origin.files[0].format, Format::Zeek);
    assert_eq!(rows(&events.batch), [r#"{"a":1,"b":"x"}"#]);
}

/// Of a text of which little is there, what is looked for tells whether it has a header.
#[rstest]
#[case("<script>\n", 1, true)]
#[case("a, b or c\n", 1, true)]
#[case("' or 1=1", 1, true)]
#[case("\"><b>\nx\n", 2, true)]
#[case("{\"user\": {\"$ne\": 1}}\n", 1, true)]
#[case("payload,n\nx,1\n", 1, false)]
#[case("{\"payload\": \"x\"}\n", 1, false)]
#[case("[\n  {\n    \"payload\": \"x\"\n  }\n]\n", 1, false)]
fn payloads_are_known_by_what_is_looked_for(#[case] content: &str, #[case] n: usize, #[case] is_lines: bool) {
    let model = schema(&[("payload", ColumnType::Text)]);
    let files = Files::new(&[("a", content.as_bytes())]);
    let options = ReadOptions::default();
    let mut piped = EventStream::new(BufReader::new(content.as_bytes()), &options, &model).unwrap();
    let mut named = EventStream::open(Path::new(&files.path("a")), &options, &model).unwrap();
    for stream in [piped.layout(), named.layout()] {
        assert_eq!(matches!(stream, Layout::Lines { .. }), is_lines, "{stream:?}");
    }
    assert_eq!(piped.warnings().len(), usize::from(is_lines && n == 1));
    let (piped, named) = (rows_of(&mut piped), rows_of(&mut named));
    assert_eq!((piped.len(), &piped), (n, &named));
    let read = read_events_as(&[files.path("a")], &options, &model).unwrap();
    assert_eq!(rows(&read.batch), named);
}

#[rstest]
#[case("stray\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n", &["GET /a", "GET /b"], 1)]
#[case("GET /c?id=1\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n", &["GET /a", "GET /b"], 1)]
#[case("---\r\nPOST /b HTTP/1.1\r\n\r\nbody\r\n", &["GET /a", "POST /b body"], 1)]
fn what_follows_a_request_without_body_is_none_of_it(#[case] text: &str, #[case] expected: &[&str], #[case] n: u64) {
    let content = format!("GET /a HTTP/1.1\r\nHost: x\r\n\r\n{text}");
    let events = read("a.txt", content).unwrap();
    let column = |name: &str| events.batch.column_by_name(name).unwrap().as_string::<i32>().clone();
    let (methods, targets, bodies) = (column("method"), column("path"), column("body"));
    let found: Vec<String> = (0..events.batch.num_rows())
        .map(|row| format!("{} {} {}", methods.value(row), targets.value(row), bodies.value(row)).trim().to_owned())
        .collect();
    assert_eq!(
        (found.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), events.origin.rejected.n),
        (expected, n)
    );
}

#[rstest]
#[case::byte_order_mark("{\"a\":1}\n\u{feff}{\"a\":2}\n{\"a\":3}\n", 3, 0)]
#[case::nul("{\"a\":1}\n\0\0\0\0{\"a\":2}\n{\"a\":3}\n", 3, 1)]
#[case::nul_line("{\"a\":1}\n\0\0x{\"a\":2}\n{\"a\":3}\n\0\0", 2, 2)]
fn what_stands_before_an_object_costs_itself(
    #[case] content: &str,
    #[case] n: usize,
    #[case] n_rejected: u64,
    #[values(1, 2, 100)] capacity: usize,
) {
    let options = ReadOptions { max_rejected: 1.0, block_bytes: capacity, ..ReadOptions::default() };
    let files = Files::new(&[("a.json", content.as_bytes())]);
    let events = files.read(&["a.json"], &options).unwrap();
    assert_eq!((events.batch.num_rows(), events.origin.rejected.n), (n, n_rejected), "{:?}", events.origin.rejected);
    let reader = BufReader::with_capacity(capacity, content.as_bytes());
    let stream = EventStream::new(reader, &options, &events.origin.schema).unwrap();
    assert_eq!(counts_of(stream), (n, n_rejected));
}

/// Also where other columns are kept, as `predict` does.
#[test]
fn objects_at_a_text_column_are_its_text_in_every_reader() {
    let model = schema(&[("a", ColumnType::Text)]);
    let content = "{\"a\":\"x\"}\n{\"a\":{\"b\":1}}\n";
    let files = Files::new(&[("a.json", content.as_bytes())]);
    let read = read_events_as(&[files.path("a.json")], &ReadOptions::default(), &model).unwrap();
    let expected = [Some("x"), Some(r#"{"b":1}"#)];
    assert_eq!(read.batch.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), expected);
    for keep_extra in [false, true] {
        let options = ReadOptions { keep_extra, ..ReadOptions::default() };
        let mut stream = EventStream::new(content.as_bytes(), &options, &model).unwrap();
        let batch = stream.next_batch(9).unwrap().unwrap().batch;
        assert_eq!(batch.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), expected, "{keep_extra}");
    }
}

#[test]
fn semicolons_are_told_of() {
    let events = read("a.csv", "a;b\n1;2\n").unwrap();
    let [warning] = events.origin.warnings.as_slice() else { panic!("{:?}", events.origin.warnings) };
    assert!(warning.ends_with("one name, `a;b`: fields between semicolons are not taken apart"), "{warning}");
}

#[test]
fn records_like_the_first_are_no_headers_where_that_was_none() {
    let events = read("a.csv", "0,tcp,0,1,5\n0,tcp,0,1,5\n1,tcp,0,0,5\n5,tcp,1,0,0\n2,udp,0,1,5\n").unwrap();
    assert_eq!((events.batch.num_rows(), events.origin.rejected.n), (4, 0), "{:?}", events.origin.rejected);
}

/// As files for the bulk interface of Elasticsearch have them.
#[test]
fn actions_between_documents_are_no_events() {
    let content = r#"{"index":{"_index":"logs","_id":"1"}}
{"a":1}
{"create":{ }}
{"a":2,"index":{"_index":"x"}}
{"index":{"name":"x"}}
{ "index" : {"_id":"2","routing":"r"},"a":3}
{"index":{"_id":"2","pipeline":"p"}} {"a":4}
{"index":{"_id"
"#;
    let events = read("a.json", content).unwrap();
    let expected = [
        r#"{"a":1,"index._index":null,"index.name":null,"index._id":null,"index.routing":null}"#,
        r#"{"a":2,"index._index":"x","index.name":null,"index._id":null,"index.routing":null}"#,
        r#"{"a":null,"index._index":null,"index.name":"x","index._id":null,"index.routing":null}"#,
        r#"{"a":3,"index._index":null,"index.name":null,"index._id":"2","index.routing":"r"}"#,
        r#"{"a":4,"index._index":null,"index.name":null,"index._id":null,"index.routing":null}"#,
    ];
    assert_eq!(rows(&events.batch), expected);
    assert_eq!(events.origin.places.iter().map(|place| place.line).collect::<Vec<_>>(), [2, 4, 5, 6, 7]);
    assert_eq!(events.origin.rejected.n, 1);
}

/// What `cat` makes of documents, or a search engine of pages.
#[rstest]
#[case("{\"alerts\":[{\"a\":1},{\"a\":2}]}\n{\"alerts\":[{\"a\":3}]}\n", 3, 0)]
#[case(
    "{\n \"alerts\": [\n  {\n   \"a\": 1\n  }\n ],\n \"n\": 1\n}\n{\n \"alerts\": [\n  {\"a\": 2},\n  {\"a\": 3}\n ]\n}\n",
    3,
    0
)]
#[case(
    "{\"took\":1,\"hits\":{\"hits\":[{\"a\":1}]}}\n{\"took\":2,\"hits\":{\"total\":2,\"hits\":[{\"a\":2},{\"a\":3}]}}\n",
    3,
    0
)]
#[case("{\"a\":1,\"data\":[{\"x\":1}]}\n{\"a\":2,\"data\":[{\"x\":1}]}\n", 2, 0)]
#[case::several_questions(
    "{\"took\":1,\"responses\":[{\"hits\":{\"hits\":[{\"a\":1}]},\"status\":200},{\"hits\":{\"hits\":[]}},{\"hits\":{\"hits\":[{\"a\":2}]}}]}",
    2,
    0
)]
#[case::of_kibana("{\"id\":\"x\",\"rawResponse\":{\"took\":1,\"hits\":{\"hits\":[{\"a\":1}]}},\"total\":1}\n", 1, 0)]
#[case::waited_for(
    "{\"id\":\"x\",\"is_partial\":false,\"response\":{\"took\":1,\"hits\":{\"hits\":[{\"a\":1}]}}}\n",
    1,
    0
)]
#[case::no_answers("{\"a\":1,\"responses\":[{\"hits\":2}]}", 1, 0)]
#[case::no_head("{\n \"a\":1\n}\n \"x\": 5,\n \"b\": 2\n}\n{\n \"a\": 3\n}\n", 2, 3)]
#[case::no_brace("{\"x\":[{\"a\":1},\"a\":2},{\"a\":3}]}", 2, 1)]
fn documents_may_come_one_after_the_other(
    #[case] content: &str,
    #[case] n: usize,
    #[case] n_rejected: u64,
    #[values(1 << 20, 9)] block_bytes: usize,
) {
    let files = Files::new(&[("a.json", content.as_bytes())]);
    let options = ReadOptions { max_rejected: 1.0, block_bytes, ..ReadOptions::default() };
    let events = files.read(&["a.json"], &options).unwrap();
    assert_eq!((events.batch.num_rows(), events.origin.rejected.n), (n, n_rejected), "{:?}", events.origin.rejected);
    assert_eq!(raw_lines(&events.origin, &(0..n).collect::<Vec<_>>()).unwrap().len(), n);
    let reader = BufReader::with_capacity(block_bytes, content.as_bytes());
    let stream = EventStream::new(reader, &options, &events.origin.schema).unwrap();
    assert_eq!(counts_of(stream), (n, n_rejected));
}

#[rstest]
#[case("{\"alerts\": []}", 0)]
#[case("{\n  \"alerts\": [\n  ]\n}\n", 0)]
#[case("{\"took\": 3, \"hits\": {\"total\": 0, \"hits\": []}, \"timed_out\": false}", 0)]
#[case("{\"a\": 1, \"data\": []}", 1)]
#[case("{\"tags\": []}", 1)]
#[case("{\"alerts\": []}\n{\"alerts\": []}\n", 2)]
fn a_document_without_events_has_none(#[case] content: &str, #[case] n: usize) {
    let model = schema(&[("a", ColumnType::Integer)]);
    let files = Files::new(&[("a.json", content.as_bytes())]);
    let mut stream = EventStream::new(content.as_bytes(), &ReadOptions::default(), &model).unwrap();
    assert_eq!(rows_of(&mut stream).len(), n);
    let read = files.read(&["a.json"], &ReadOptions::default());
    match n {
        0 => assert!(matches!(read, Err(SourceError::NoEvents { .. }))),
        n => assert_eq!(read.unwrap().batch.num_rows(), n),
    }
}

#[rstest]
#[case(
    "{\"n\":[1],\"flows\":[{\"x\":1}],\"alerts\":[{\"a\":1},{\"a\":2}],\"hosts\":[ {\"x\":1}],\"z\":{\"y\":[{}]}}\n",
    "flows",
    "hosts"
)]
#[case("{\"alerts\":[{\"a\":1}],\"e\":[]}\n{\"alerts\":[{\"a\":2}],\"flows\":[{}],\"dns\":[{}]}", "dns", "flows")]
fn lists_beside_the_one_that_is_read_are_told(
    #[case] content: &str,
    #[case] first: &str,
    #[case] second: &str,
    #[values(1 << 20, 11)] block_bytes: usize,
) {
    let files = Files::new(&[("a.json", content.as_bytes())]);
    let options = ReadOptions { block_bytes, ..ReadOptions::default() };
    let events = files.read(&["a.json"], &options).unwrap();
    assert_eq!((events.batch.num_rows(), events.origin.rejected.n), (2, 0), "{:?}", events.origin.rejected);
    let mut stream = EventStream::new(content.as_bytes(), &options, &events.origin.schema).unwrap();
    rows_of(&mut stream);
    for told in [events.origin.warnings.join(" "), [stream.warnings(), &*stream.remarks()].concat().join(" ")] {
        assert!(told.contains(&format!("`{first}`")) && told.contains(&format!("`{second}`")), "{told}");
        assert!(!told.contains("`e`") && !told.contains("`y`"), "{told}");
    }
}

/// What decides that the first ends comes after as many bytes as a request may have.
#[rstest]
#[case(1)]
#[case(1 << 16)]
fn requests_of_the_longest_length_are_whole_however_they_arrive(#[case] capacity: usize) {
    let content = "xT * HTTP/1.1\r\nCont\n\r\nxT * HTTP/1.1\r\nCont\n\r\nxT * HTTP/1.1\r\n\r\n";
    let options = ReadOptions { max_line_bytes: 24, format: Some(Format::Http), ..ReadOptions::default() };
    let reader = BufReader::with_capacity(capacity, content.as_bytes());
    let model = schema(&[("method", ColumnType::Text)]);
    assert_eq!(counts_of(EventStream::new(reader, &options, &model).unwrap()), (3, 0));
}

#[rstest]
#[case("{\"session\":\"a\",\"n\":2,\"events\":[{\"x\":1},{\"x\":2}]}\n", "not read: `session`, `n`")]
#[case("{\"events\":[{\"x\":1},{\"x\":2}],\"n\":2}", "")]
#[case("{\"took\":1,\"hits\":{\"total\":2,\"hits\":[{\"x\":1},{\"x\":2}]}}", "")]
#[case("{\"id\":1,\"rawResponse\":{\"took\":1,\"hits\":{\"hits\":[{\"x\":1},{\"x\":2}]}}}", "")]
#[case("[{\"x\":1},{\"x\":2}]", "")]
fn what_a_document_says_before_its_events_is_told(#[case] content: &str, #[case] expected: &str) {
    let events = read("a.json", content).unwrap();
    assert_eq!(events.batch.num_rows(), 2);
    let told = events.origin.warnings.join(" ");
    assert!(told.is_empty() == expected.is_empty() && told.ends_with(expected), "{told}");
}

#[test]
fn bodies_of_another_length_are_told() {
    let content = "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx=1\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    let events = read("a.txt", content).unwrap();
    assert_eq!(events.batch.num_rows(), 2);
    let [warning] = events.origin.warnings.as_slice() else { panic!("{:?}", events.origin.warnings) };
    assert!(
        warning.ends_with(": 1 requests have a body that is not as long as their `Content-Length` says"),
        "{warning}"
    );
}

/// Deeper than the stack would hold, if each level took some of it.
#[rstest]
#[case("{\"hits\":", "}")]
#[case("{\"rawResponse\":", "}")]
#[case("{\"responses\":[", "]}")]
fn documents_nested_without_end_are_rejected(#[case] open: &str, #[case] close: &str) {
    let n = 100_000;
    let cut = open.repeat(n);
    let whole = format!("{cut}[{{\"a\":1}}]{}", close.repeat(n));
    for content in [cut, whole] {
        let files =
            Files::new(&[("a.json", format!("{{\"a\":1}}\n{content}\n").as_bytes()), ("b.json", content.as_bytes())]);
        let options = ReadOptions { max_rejected: 1.0, ..ReadOptions::default() };
        let events = files.read(&["a.json", "b.json"], &options).unwrap();
        assert_eq!((events.batch.num_rows(), events.origin.rejected.n), (1, 2), "{:?}", events.origin.rejected);
    }
}

/// Nothing is scored as one event because its end, or the array of events in it, has not arrived yet.
#[rstest]
#[case("{\n  \"alerts\": [\n    {\"a\": 1},\n    {\n      \"a\": 2\n    }\n  ]\n}\n")]
#[case("{\"n\":1,\"events\":[\n{\"a\":1},\n{\"a\":2}\n]}")]
#[case("{\"events\":[\n{\"a\":1},\n{\"a\":2}\n],\n\"total\":\n2,\n\"by\": {\n\"x\": [1,\n2]\n}\n}\n")]
#[case("[\n  {\n    \"a\": 1\n  },\n  {\n    \"a\": 2\n  }\n]\n")]
#[case("{\n\"a\":1\n}\n{\n\"a\":2\n}\n")]
fn documents_may_arrive_in_pieces(#[case] content: &str, #[values(1, 7, 1000)] capacity: usize) {
    let model = schema(&[("a", ColumnType::Integer)]);
    let reader = BufReader::with_capacity(capacity, content.as_bytes());
    let mut stream = EventStream::new(reader, &ReadOptions::default(), &model).unwrap();
    assert_eq!(rows_of(&mut stream), [r#"{"a":1}"#, r#"{"a":2}"#]);
}

#[test]
fn remarks_of_a_stream_may_arrive_in_pieces() {
    let content = b"#separator \\x09\n#fields\ta\n#types\tcount\n1\n#close\tin the middle of a log\n2\n#close\n3";
    let model = schema(&[("a", ColumnType::Integer)]);
    for capacity in 1..content.len() {
        let reader = BufReader::with_capacity(capacity, content.as_slice());
        let mut stream = EventStream::new(reader, &ReadOptions::default(), &model).unwrap();
        assert_eq!(rows_of(&mut stream), [r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#], "{capacity}");
    }
}

#[rstest]
fn a_stream_and_a_file_give_the_same_events(
    #[values(1, 2, 3, 7)] capacity: usize,
    #[values(1, 2, 100)] max_rows: usize,
) {
    let content = "\u{feff}a,b\r\n1,\"x\r\ny\"\r\n\r\n2\r\n3,\"z\"\"\"\r\nx,\"open\r\n4,é";
    let files = Files::new(&[("a.csv", content.as_bytes())]);
    let model = schema(&[("b", ColumnType::Text), ("a", ColumnType::Integer)]);
    let options = ReadOptions { max_rejected: 1.0, ..ReadOptions::default() };
    let events = read_events_as(&[files.path("a.csv")], &options, &model).unwrap();
    let reader = BufReader::with_capacity(capacity, content.as_bytes());
    let streams: [Box<dyn FnMut() -> _>; 2] = [
        {
            let mut stream = EventStream::new(reader, &options, &model).unwrap();
            Box::new(move || stream.next_batch(max_rows).unwrap())
        },
        {
            let mut stream = EventStream::open(Path::new(&files.path("a.csv")), &options, &model).unwrap();
            Box::new(move || stream.next_batch(max_rows).unwrap())
        },
    ];
    for mut next in streams {
        let (mut found, mut places, mut rejected, mut lines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while let Some(batch) = next() {
            assert!(batch.batch.num_rows() <= max_rows);
            found.extend(rows(&batch.batch));
            places.extend(batch.places);
            rejected.extend(batch.rejected);
            lines.extend(batch.lines);
        }
        assert_eq!(found, rows(&events.batch));
        assert_eq!(places, events.origin.places.iter().collect::<Vec<_>>());
        assert_eq!(rejected, events.origin.rejected.kept);
        assert_eq!(lines, raw_lines(&events.origin, &[0, 1, 2]).unwrap());
    }
}
