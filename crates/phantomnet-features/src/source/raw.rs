//! Raw records of rows, read again from their files.

use std::collections::BTreeMap;
use std::io::BufReader;

use crate::events::Events;
use crate::source::Format;
use crate::source::decode::Decoder;
use crate::source::error::SourceError;
use crate::source::open::Content;
use crate::source::row::Names;
use crate::source::row_json::row_as_json;
use crate::source::text::{Next, Text};

/// The raw text of some rows, in the order of `rows`; for Parquet the row as JSON.
///
/// Bytes that are not UTF-8 come as U+FFFD. Nothing else is changed or escaped: do not show it as it is.
///
/// # Errors
/// Those of reading a file; `Changed` when a record is no longer where it was.
///
/// # Panics
/// When there is no such row.
pub fn raw_lines(events: &Events, rows: &[usize]) -> Result<Vec<String>, SourceError> {
    let mut found = vec![String::new(); rows.len()];
    // By file, then by place: the answers wanted from that record.
    let mut wanted: BTreeMap<u32, BTreeMap<(u64, u64), Vec<usize>>> = BTreeMap::new();
    for (i, &row) in rows.iter().enumerate() {
        let place = events.origin.places.get(row);
        wanted.entry(place.file).or_default().entry((place.offset, place.line)).or_default().push(i);
    }
    for (file, wanted) in wanted {
        let file = &events.origin.files[file as usize];
        if matches!(file.format, Format::Parquet | Format::Database) {
            for &i in wanted.values().flatten() {
                found[i] = serde_json::Value::Object(row_as_json(&events.batch, rows[i])).to_string();
            }
            continue;
        }
        let max_record_bytes = events.origin.options.max_line_bytes;
        let content = Content::open(&file.path, &events.origin.options, file.encoding)?;
        let reader = BufReader::with_capacity(1 << 18, content);
        let mut text = Text::new(reader, file.terminator, max_record_bytes);
        let read = |source| SourceError::Read { path: file.path.clone(), n_rows: 0, source };
        let none = Names::new(Vec::new(), false);
        let mut decoder = Decoder::new(&file.layout, file.terminator, max_record_bytes, none, &[]);
        for ((offset, line), answers) in wanted {
            text.skip_to(offset).map_err(read)?;
            decoder.go_on();
            match text.next(&mut decoder, true).map_err(read)? {
                Next::Record(span) if text.offset(span) == offset => {
                    for i in answers {
                        found[i] = String::from_utf8_lossy(text.bytes(span)).into_owned();
                    }
                }
                _ => return Err(SourceError::Changed { path: file.path.clone(), line }),
            }
        }
    }
    Ok(found)
}
