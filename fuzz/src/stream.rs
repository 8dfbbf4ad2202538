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
    /// By the byte of the text at which they start.
    records: BTreeMap<u64, Record>,
}

impl Reading {
    /// The byte at which the first record starts.
    fn start(&self) -> Option<u64> {
        self.records.keys().next().copied()
    }
}

/// What became of a record: its text, or why it was rejected.
pub(crate) type Outcome<'a> = Result<&'a str, &'a str>;

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

impl Record {
    fn outcome(&self) -> Outcome<'_> {
        match self {
            Self::Event { line, .. } => Ok(line),
            Self::Rejected { reason } => Err(reason),
        }
    }
}

/// Reads `bytes` whole and in pieces of `size` and checks what must hold for any bytes: nothing is lost or comes twice, how
/// bytes arrive changes nothing, a record alone gives the same event, and no message carries control characters.
pub fn check_stream(bytes: &[u8], size: usize, options: &ReadOptions, schema: &EventSchema) {
    let whole = read(bytes, 1 << 16, usize::MAX, options, schema);
    let pieces = read(bytes, size, size, options, schema);
    match (&whole, &pieces) {
        // What a document is laid out like, and where its events begin, is told from what has arrived when it begins.
        (Ok(whole), Ok(pieces)) if whole.layout != pieces.layout => {}
        (Ok(whole), Ok(pieces)) if whole.layout == Layout::JsonDocument && whole.start() != pieces.start() => {}
        // Likewise the format, which may have a header that is broken, and whether it is text at all.
        (Ok(_), Err(_)) | (Err(_), Ok(_) | Err(_)) if options.format.is_none() => {}
        _ => assert_eq!(whole, pieces, "how bytes arrive changes what is read"),
    }
    match whole {
        Ok(reading) => {
            let records = reading.records.iter().map(|(&offset, record)| (offset, record.outcome())).collect();
            check_accounts(bytes, terminator_of(bytes), &reading.layout, &records);
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
    let mut end = 0;
    while let Some(found) = stream.next_batch(max_rows).expect("memory can be read") {
        let (n_rows, n_rejected) = (found.lines.len(), found.rejected.len());
        assert!((1..=max_rows).contains(&n_rows.max(n_rejected)), "{n_rows} rows, {n_rejected} rejected");
        assert_eq!((found.batch.num_rows(), found.places.len()), (n_rows, n_rows));
        assert!(found.places.is_sorted_by(|a, b| a.offset < b.offset && a.line <= b.line), "rows out of order");
        assert!(found.rejected.is_sorted_by(|a, b| a.place.offset < b.place.offset), "rejected records out of order");
        let batch = found.batch.project(&known).expect("the columns of the schema come first");
        assert_eq!(batch.schema(), schema.arrow());
        let start = end;
        let mut put = |offset: u64, record| {
            assert!(offset >= start, "byte {offset} after byte {start}");
            assert!(records.insert(offset, record).is_none(), "byte {offset} comes twice");
            end = end.max(offset + 1);
        };
        for (i, (place, line)) in found.places.iter().zip(found.lines).enumerate() {
            put(place.offset, Record::Event { line, row: batch.slice(i, 1) });
        }
        for rejected in found.rejected {
            assert_printable(&rejected.excerpt);
            assert_printable(&rejected.reason);
            assert!(rejected.reason.len() <= 2000, "{rejected:?}");
            put(rejected.place.offset, Record::Rejected { reason: rejected.reason });
        }
    }
    Ok(Reading { layout: stream.layout().clone(), records })
}

/// What ends lines: CR where there is no LF.
fn terminator_of(bytes: &[u8]) -> u8 {
    if bytes.contains(&b'\r') && !bytes.contains(&b'\n') { b'\r' } else { b'\n' }
}

/// Physical lines by number from 1, without their ends and without a byte order mark.
fn physical_lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    (1..).zip(bytes.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)))
}

/// Every byte is part of a record, except those that stand between records, and the header. `records`: by the byte of the
/// text at which they start.
pub(crate) fn check_accounts(text: &[u8], terminator: u8, layout: &Layout, records: &BTreeMap<u64, Outcome<'_>>) {
    // What is not UTF-8 is not given back as it was, and its length is not known.
    if std::str::from_utf8(text).is_err() {
        return;
    }
    let next = |offset: u64| records.range(offset + 1..).next().map_or(text.len(), |(&next, _)| next as usize);
    let mut at = None;
    for (&offset, record) in records {
        let start = offset as usize;
        if let Some(at) = at {
            assert!(start >= at, "byte {start} is part of two records");
            check_between(&text[at..start], layout);
        }
        at = Some(match record {
            Ok(line) => {
                assert!(
                    text[start..].starts_with(line.as_bytes()),
                    "the record at byte {start} is not what stands there"
                );
                start + line.len()
            }
            // It reaches to the end of its line, or further where it is a request, has quoted line ends, or is an object of JSON,
            // which may also end before.
            Err(reason) => {
                let length = text[start..].iter().position(|&b| b == terminator).unwrap_or(text.len() - start);
                let is_quoted = reason.starts_with("expected") && text[start..start + length].contains(&b'"');
                match layout {
                    Layout::Http | Layout::JsonLines | Layout::JsonDocument => next(offset),
                    Layout::Delimited { .. } if is_quoted => next(offset),
                    _ => start + length,
                }
            }
        });
    }
    if let Some(at) = at {
        check_between(&text[at..], layout);
    }
}

/// Bytes, since a request that is too long may be cut inside of a character.
fn check_between(gap: &[u8], layout: &Layout) {
    let is_between = |&b: &u8| match layout {
        Layout::JsonLines => b.is_ascii_whitespace() || b"[],\xef\xbb\xbf".contains(&b),
        // Members of the object around the events, and remarks.
        Layout::JsonDocument | Layout::Zeek(_) => true,
        _ => b.is_ascii_whitespace(),
    };
    assert!(gap.iter().all(is_between), "{:?} is lost", String::from_utf8_lossy(gap));
}

/// A line alone gives the event that it gave in the stream.
fn check_decoder(reading: &Reading, schema: &EventSchema) {
    let mut decoder = LineDecoder::new(schema, &reading.layout);
    // The decoder takes one line end off, which may otherwise be a CR of the record's own; a request keeps its line ends.
    let end = if reading.layout == Layout::Http { "" } else { "\r\n" };
    for (offset, record) in &reading.records {
        if let Record::Event { line, row } = record {
            let decoded = decoder.decode(format!("{line}{end}").as_bytes());
            assert_eq!(decoded.as_ref(), Ok(row), "byte {offset}");
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
