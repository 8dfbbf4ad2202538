//! What holds for any content.

use std::io::Cursor;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use proptest::prelude::*;

use super::*;

/// What logs are made of, whole and broken, of several formats.
const PIECES: &[&str] = &[
    "a,b\n",
    "1,x\n",
    "2,\"y\nz\"\n",
    "3\n",
    "\"",
    "\n",
    "\r\n",
    "4,\"\"\"\n",
    "0.5,007\n",
    "a,\n",
    "{\"a\":1}\n",
    "{\"a\":",
    "{\"b\":{\"c\":[1,\n2]}}",
    "{\"a\":1},",
    "{\"a\":no},",
    "{\"a\":\"x},",
    "[",
    "oops,",
    "{\n  \"a\":\n",
    "{\"b\":\"x\",\"a\":2.5}\n",
    "]",
    "},\n",
    "\u{e9}\n",
    "true,1\n",
    "xxxxxxxxxxxxxxxxxxxxxxxxxx",
    "GET / HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab\r\n\r\n",
    "#close\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cells_written_as_csv_are_read_as_they_were(
        table in (1_usize..5).prop_flat_map(|n| proptest::collection::vec(proptest::collection::vec("[a-z\",\r\n é]{0,6}", n), 1..8)),
        capacity in 1_usize..8,
    ) {
        let n_columns = table[0].len();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header: Vec<String> = (0..n_columns).map(|i| format!("c{i}")).collect();
        writer.write_record(&header).unwrap();
        for record in &table {
            writer.write_record(record).unwrap();
        }
        let content = writer.into_inner().unwrap();
        let events = read("a.csv", &content).unwrap();
        prop_assert_eq!(events.origin.rejected.n, 0);
        prop_assert_eq!(events.batch.num_rows(), table.len());
        let text = schema(&header.iter().map(|name| (name.as_str(), ColumnType::Text)).collect::<Vec<_>>());
        let reader = BufReader::with_capacity(capacity, Cursor::new(content));
        let mut stream = EventStream::new(reader, &ReadOptions::default(), &text).unwrap();
        let mut streamed = Vec::new();
        while let Some(batch) = stream.next_batch(3).unwrap() {
            streamed.push(batch.batch);
        }
        let streamed = arrow_select::concat::concat_batches(&text.arrow(), &streamed).unwrap();
        for (row, record) in table.iter().enumerate() {
            for (column, cell) in record.iter().enumerate() {
                let found = streamed.column(column).as_string::<i32>();
                let found = found.is_valid(row).then(|| found.value(row));
                prop_assert_eq!(found, (!cell.is_empty()).then_some(cell.as_str()));
            }
        }
    }

    /// Where blocks end and how many threads there are changes nothing.
    #[test]
    fn blocks_and_threads_change_nothing(
        pieces in proptest::collection::vec(
            proptest::sample::select(PIECES),
            0..30,
        ),
        format in proptest::sample::select(vec![Format::Csv, Format::JsonLines, Format::Lines, Format::Http]),
        block_bytes in 1_usize..40,
        max_line_bytes in proptest::sample::select(vec![20_usize, 1 << 20]),
    ) {
        let content = pieces.concat();
        let files = Files::new(&[("a", content.as_bytes())]);
        let options = ReadOptions { format: Some(format), max_rejected: 1.0, max_line_bytes, ..ReadOptions::default() };
        let whole = files.read(&["a"], &options);
        let small = ReadOptions { block_bytes, threads: std::num::NonZeroUsize::new(3), ..options };
        let small = files.read(&["a"], &small);
        match (whole, small) {
            (Ok(whole), Ok(small)) => {
                prop_assert_eq!(&whole.batch, &small.batch);
                prop_assert_eq!(&whole.origin.rejected, &small.origin.rejected);
                prop_assert_eq!(whole.origin.places.iter().collect::<Vec<_>>(), small.origin.places.iter().collect::<Vec<_>>());
                prop_assert_eq!(&whole.origin.fingerprint, &small.origin.fingerprint);
                let all: Vec<usize> = (0..whole.batch.num_rows()).collect();
                prop_assert_eq!(raw_lines(&whole.origin, &all).unwrap().len(), all.len());
            }
            (whole, small) => prop_assert_eq!(
                whole.map(|_| ()).map_err(|e| e.to_string()), small.map(|_| ()).map_err(|e| e.to_string())
            ),
        }
    }

    /// A file is read as a stream of it is, by name or from a pipe, plain or compressed, whole or cut off.
    #[test]
    fn files_are_read_as_streams(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..30),
        format in proptest::sample::select(vec![Format::Csv, Format::JsonLines, Format::Lines, Format::Http]),
        is_compressed in any::<bool>(),
        n_cut in 0_usize..40,
        capacity in 1_usize..40,
    ) {
        let mut content = pieces.concat().into_bytes();
        if is_compressed {
            content = gzip(&content);
        }
        content.truncate(content.len() - n_cut.min(content.len()));
        let files = Files::new(&[("a", &content)]);
        let (path, options) = (files.path("a"), ReadOptions { format: Some(format), max_rejected: 1.0, ..ReadOptions::default() });
        let columns: &[_] = match format {
            Format::Lines => &[("payload", ColumnType::Text)],
            Format::Http => &[("method", ColumnType::Text), ("path", ColumnType::Text), ("body", ColumnType::Text)],
            _ => &[("a", ColumnType::Text), ("b", ColumnType::Text)],
        };
        let known = schema(columns);
        type Found = (Vec<String>, Vec<(u64, u64, String)>);
        let rejected = |all: &[phantomnet_features::RejectedLine]| -> Vec<(u64, u64, String)> {
            all.iter().map(|line| (line.place.line, line.place.offset, line.reason.clone())).collect()
        };
        let all_of = |stream: Result<EventStream<Box<dyn std::io::BufRead + Send>>, SourceError>| -> Result<Found, String> {
            let mut stream = stream.map_err(|error| error.to_string())?;
            let mut found = (Vec::new(), Vec::new());
            while let Some(batch) = stream.next_batch(5).map_err(|error| error.to_string())? {
                found.0.extend(rows(&batch.batch));
                found.1.extend(rejected(&batch.rejected));
            }
            Ok(found)
        };
        let read = match read_events_as(std::slice::from_ref(&path), &options, &known) {
            Ok(events) => Some((rows(&events.batch), rejected(&events.origin.rejected.kept))),
            // All of it was rejected, or there was nothing in it, or it has no header.
            Err(_) => None,
        };
        let streamed = all_of(EventStream::open(Path::new(&path), &options, &known));
        if let Some(read) = read {
            prop_assert_eq!(&Ok(read), &streamed);
        }
        let reader = BufReader::with_capacity(capacity, Cursor::new(content));
        let piped = phantomnet_features::plain_text(reader, &options);
        let piped = all_of(piped.and_then(|text| EventStream::new(text, &options, &known)));
        prop_assert_eq!(piped.ok(), streamed.ok());
    }

    /// An object of a list that is broken in one byte costs itself, however the list is laid out.
    #[test]
    fn a_broken_object_of_a_list_costs_itself(
        (rows, broken) in (2_usize..6).prop_flat_map(|n| (
            proptest::collection::vec((0_u8..100, "[a-z:, \"]{0,6}", proptest::collection::vec(0_u8..9, 0..3)), n), 0..n
        )),
        place in any::<proptest::sample::Index>(),
        byte in proptest::sample::select(&b"\",:x\\ "[..]),
        kind in 0_u8..3,
        indent in proptest::sample::select(&[None, Some("  "), Some("\t")][..]),
        is_document in any::<bool>(),
    ) {
        let texts: Vec<String> = rows.iter().enumerate().map(|(id, (number, text, list))| {
            let list: Vec<_> = list.iter().map(|x| serde_json::json!({ "k": x })).collect();
            let o = serde_json::json!({ "id": id, "text": text });
            let object = match id % 3 {
                // Keys come in any order.
                0 => serde_json::json!({ "number": number, "in": o, "id": id, "list": list }),
                _ => serde_json::json!({ "id": id, "in": o, "number": number, "list": list }),
            };
            match indent {
                None => object.to_string(),
                Some(indent) => {
                    let mut out = indent.as_bytes().to_vec();
                    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
                    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
                    serde::Serialize::serialize(&object, &mut serializer).unwrap();
                    String::from_utf8(out).unwrap().replace('\n', &format!("\n{indent}"))
                }
            }
        }).collect();
        let (open, between, close) = match indent {
            None => ("[", ",", "]"),
            Some(_) => ("[\n", ",\n", "\n]\n"),
        };
        let mut damaged: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
        let object = &mut damaged[broken];
        // Neither its first key nor its last bracket.
        let first = object.iter().position(|&byte| byte == b':').unwrap() + 1;
        let inside: Vec<usize> = (first..object.len() - 1).filter(|&at| !object[at].is_ascii_whitespace()).collect();
        let at = *place.get(&inside);
        // Brackets that are added may mean anything.
        match kind {
            0 => object[at] = byte,
            1 => object.insert(at, byte),
            _ => drop(object.remove(at)),
        }
        let list = [open.as_bytes(), &damaged.join(between.as_bytes()), close.as_bytes()].concat();
        let content = if is_document { [b"{\"events\": ", &list[..], b", \"n\": 7}"].concat() } else { list };
        let files = Files::new(&[("a.json", &content)]);
        let options = ReadOptions { max_rejected: 1.0, ..ReadOptions::default() };
        let model = schema(&[("id", ColumnType::Integer), ("number", ColumnType::Integer), ("in", ColumnType::Text)]);
        let events = read_events_as(&[files.path("a.json")], &options, &model);
        let events = events.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&content)));
        let ids: Vec<i64> = events.batch.column(0).as_primitive::<arrow_array::types::Int64Type>().iter().flatten().collect();
        for id in (0..rows.len()).filter(|&id| id != broken) {
            prop_assert!(ids.contains(&(id as i64)), "{id} is not in {ids:?}: {}", String::from_utf8_lossy(&content));
        }
        prop_assert_eq!(
            events.batch.num_rows() + events.origin.rejected.n as usize, rows.len(),
            "{:?}: {}", events.origin.rejected, String::from_utf8_lossy(&content)
        );
    }

    #[test]
    fn rows_written_as_json_are_read_as_they_were(
        table in proptest::collection::vec(
            (any::<Option<i64>>(), any::<Option<f64>>(), any::<Option<bool>>(), any::<Option<String>>()), 1..8,
        ),
    ) {
        use arrow_array::{BooleanArray, Float64Array, Int64Array, StringArray};
        let model = schema(&[
            ("i", ColumnType::Integer), ("n.x", ColumnType::Number), ("b", ColumnType::Boolean), ("t", ColumnType::Text),
        ]);
        let batch = RecordBatch::try_new(model.arrow(), vec![
            std::sync::Arc::new(table.iter().map(|row| row.0).collect::<Int64Array>()),
            std::sync::Arc::new(table.iter().map(|row| row.1.filter(|x| !x.is_nan())).collect::<Float64Array>()),
            std::sync::Arc::new(table.iter().map(|row| row.2).collect::<BooleanArray>()),
            std::sync::Arc::new(table.iter().map(|row| row.3.clone()).collect::<StringArray>()),
        ]).unwrap();
        let content = rows(&batch).join("\n");
        let files = Files::new(&[("a.json", content.as_bytes())]);
        let found = read_events_as(&[files.path("a.json")], &ReadOptions::default(), &model).unwrap();
        prop_assert_eq!(&found.batch, &batch);
        let mut decoder = LineDecoder::new(&model, &Layout::JsonLines);
        for (row, line) in content.split('\n').enumerate() {
            prop_assert_eq!(decoder.decode(line.as_bytes()).unwrap(), batch.slice(row, 1));
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(
        content in proptest::collection::vec(
            prop_oneof![proptest::sample::select(&b"\",\n\r{}[]:\\1"[..]), any::<u8>()], 0..120,
        ),
        format in proptest::sample::select(
            &[Format::Csv, Format::Tsv, Format::Psv, Format::JsonLines, Format::Zeek, Format::Parquet][..],
        ),
        has_header in any::<bool>(),
    ) {
        let header: &[u8] = if has_header { b"#separator \\x09\n#fields\ta\n#types\tset[count]\n" } else { b"" };
        let content = [header, &content].concat();
        let files = Files::new(&[("a", &content)]);
        let options = ReadOptions { format: Some(format), max_rejected: 1.0, ..ReadOptions::default() };
        if let Ok(events) = files.read(&["a"], &options) {
            prop_assert_eq!(events.origin.places.len(), events.batch.num_rows());
            let all: Vec<usize> = (0..events.batch.num_rows()).collect();
            prop_assert_eq!(raw_lines(&events.origin, &all).unwrap().len(), all.len());
        }
    }
}
