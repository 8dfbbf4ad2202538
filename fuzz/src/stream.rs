//! Invariants of [`EventStream`] and [`LineDecoder`].

use std::collections::BTreeMap;
use std::io::BufReader;

use arrow_array::RecordBatch;
use phantomnet_features::{EventSchema, EventStream, Layout, LineDecoder, ReadOptions};

use crate::assert_printable;

/// What was read of some bytes.
#[derive(Debug, PartialEq)]
struct Reading {
    layout: Layout,
    /// By physical line.
    records: BTreeMap<u64, Record>,
}

#[derive(Debug, PartialEq)]
enum Record {
    Event {
        line: String,
        /// The columns of the schema.
        row: RecordBatch,
    },
    Rejected {
        reason: String,
    },
}

/// Reads `bytes` whole and in pieces of `size` and checks what must hold for any bytes: nothing is lost or comes twice, how
/// bytes arrive changes nothing, a line alone gives the same event, and no message carries control characters.
pub fn check_stream(bytes: &[u8], size: usize, options: &ReadOptions, schema: &EventSchema) {
    let whole = read(bytes, 1 << 16, usize::MAX, options, schema);
    let pieces = read(bytes, size, size, options, schema);
    assert_eq!(whole, pieces, "how bytes arrive changes what is read");
    match whole {
        Ok(reading) => {
            check_accounts(bytes, &reading);
            check_decoder(&reading, schema);
        }
        Err(message) => assert_printable(&message),
    }
}

fn read(
    bytes: &[u8],
    buffer_bytes: usize,
    max_rows: usize,
    options: &ReadOptions,
    schema: &EventSchema,
) -> Result<Reading, String> {
    let reader = BufReader::with_capacity(buffer_bytes, bytes);
    let mut stream = EventStream::new(reader, options, schema).map_err(|e| e.to_string())?;
    stream.warnings().iter().for_each(|warning| assert_printable(warning));
    let known: Vec<usize> = (0..schema.columns().len()).collect();
    let mut records = BTreeMap::new();
    let mut last = 0;
    while let Some(found) = stream.next_batch(max_rows).expect("memory can be read") {
        let (n_rows, n_rejected) = (found.lines.len(), found.rejected.len());
        assert!((1..=max_rows).contains(&n_rows.max(n_rejected)), "{n_rows} rows, {n_rejected} rejected");
        assert_eq!((found.batch.num_rows(), found.places.len()), (n_rows, n_rows));
        assert!(found.places.is_sorted_by(|a, b| a.line < b.line), "rows out of order");
        assert!(found.rejected.is_sorted_by(|a, b| a.place.line < b.place.line), "rejected lines out of order");
        let batch = found.batch.project(&known).expect("the columns of the schema come first");
        assert_eq!(batch.schema(), schema.arrow());
        let start = last;
        let mut put = |line: u64, record| {
            assert!(line > start, "line {line} after line {start}");
            assert!(records.insert(line, record).is_none(), "line {line} comes twice");
            last = last.max(line);
        };
        for (i, (place, line)) in found.places.iter().zip(found.lines).enumerate() {
            put(place.line, Record::Event { line, row: batch.slice(i, 1) });
        }
        for rejected in found.rejected {
            assert_printable(&rejected.excerpt);
            assert_printable(&rejected.reason);
            assert!(rejected.excerpt.chars().count() <= 200 && rejected.reason.len() <= 2000, "{rejected:?}");
            put(rejected.place.line, Record::Rejected { reason: rejected.reason });
        }
    }
    Ok(Reading { layout: stream.layout().clone(), records })
}

/// Physical lines by number from 1, without their ends and without a byte order mark.
fn physical_lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    (1..).zip(bytes.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)))
}

/// Every line is part of a record, except those without content and the header.
fn check_accounts(bytes: &[u8], reading: &Reading) {
    // Up to which line, this one included, the last record reaches; unknown for a rejected one.
    let mut reaches = None;
    for (number, line) in physical_lines(bytes) {
        let record = reading.records.get(&number);
        assert!(record.is_none() || reaches.is_none_or(|end| end < number), "line {number} is part of two records");
        match record {
            Some(Record::Event { line, .. }) => reaches = Some(number + line.matches('\n').count() as u64),
            Some(Record::Rejected { .. }) => reaches = None,
            None => {
                let empty = match reading.layout {
                    Layout::JsonLines => line.iter().all(|b| b.is_ascii_whitespace() || b"[],".contains(b)),
                    Layout::Delimited { .. } => line.is_empty() || reaches.is_none(),
                };
                assert!(empty || reaches.is_some_and(|end| number <= end), "line {number} is lost");
            }
        }
    }
    let n_lines = physical_lines(bytes).count() as u64;
    assert!(reading.records.last_key_value().is_none_or(|(&line, _)| line <= n_lines));
}

/// A line alone gives the event that it gave in the stream.
fn check_decoder(reading: &Reading, schema: &EventSchema) {
    let mut decoder = LineDecoder::new(schema, &reading.layout);
    for (number, record) in &reading.records {
        if let Record::Event { line, row } = record {
            // The decoder takes one line end off, which may otherwise be a CR of the record's own.
            let decoded = decoder.decode(format!("{line}\r\n").as_bytes());
            assert_eq!(decoded.as_ref(), Ok(row), "line {number}");
        }
    }
}

/// Decodes each physical line by itself, whatever it holds; the decoder must be as good for the next line as a new one.
pub fn lines_alone(bytes: &[u8], layout: &Layout, schema: &EventSchema) {
    let mut decoder = LineDecoder::new(schema, layout);
    for (number, line) in physical_lines(bytes) {
        let decoded = decoder.decode(line);
        assert_eq!(decoded, LineDecoder::new(schema, layout).decode(line), "line {number}");
        match decoded {
            Ok(row) => assert_eq!(row.num_rows(), 1),
            Err(reason) => assert_printable(&reason.to_string()),
        }
    }
}
