//! Raw records of rows, read again from their files.

use std::collections::BTreeMap;

use crate::events::Events;
use crate::source::error::SourceError;
use crate::source::header::{NoLayout, read_layout};
use crate::source::open::Opened;
use crate::source::records::{Next, Records};
use crate::source::row_json::row_as_json;
use crate::source::{Format, ReadOptions};

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
    // By file, then by line: the answers wanted from that record.
    let mut wanted: BTreeMap<u32, BTreeMap<u64, Vec<usize>>> = BTreeMap::new();
    for (i, &row) in rows.iter().enumerate() {
        let place = events.places[row];
        wanted.entry(place.file).or_default().entry(place.line).or_default().push(i);
    }
    for (file, mut wanted) in wanted {
        let file = &events.files[file as usize];
        if file.format == Format::Parquet {
            for &i in wanted.values().flatten() {
                found[i] = serde_json::Value::Object(row_as_json(&events.batch, rows[i])).to_string();
            }
            continue;
        }
        let options = ReadOptions { format: Some(file.format), ..events.options.clone() };
        let opened = Opened::new(&file.path, &options)?;
        let mut records = Records::new(opened.text, opened.terminator, options.max_line_bytes);
        let read = |source| SourceError::Read { path: file.path.clone(), n_rows: 0, source };
        match read_layout(&mut records, file.format, options.columns.as_deref(), &mut Vec::new()) {
            Ok(_) | Err(NoLayout::Empty) => {}
            Err(NoLayout::Header(reason)) => return Err(SourceError::Header { path: file.path.clone(), reason }),
            Err(NoLayout::Io(source)) => return Err(read(source)),
        }
        while let Some((&line, _)) = wanted.first_key_value() {
            match records.next(true).map_err(read)? {
                Next::Record { line: at, bytes } if at == line => {
                    let text = String::from_utf8_lossy(bytes);
                    for i in wanted.remove(&line).unwrap_or_default() {
                        found[i] = text.clone().into_owned();
                    }
                }
                Next::Record { line: at, .. } | Next::Broken { line: at, .. } if at < line => {}
                _ => return Err(SourceError::Changed { path: file.path.clone(), line }),
            }
        }
    }
    Ok(found)
}
