//! Rows read again from their files.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};

use crate::events::{EventSchema, Origin, SourceFile};
use crate::source::Format;
use crate::source::columns::under;
use crate::source::decode::Decoder;
use crate::source::decoder::LineDecoder;
use crate::source::error::SourceError;
use crate::source::open::Content;
use crate::source::parquet;
use crate::source::row::Names;
use crate::source::row_json::row_as_json;
use crate::source::text::{Next, Text};

/// Bytes that are not read if there is a way around.
const WORTH_A_JUMP: u64 = 1 << 20;

/// Some rows, in the order of `rows`: their columns as they were read.
///
/// # Errors
/// Those of reading a file; `Changed` when a record is no longer where it was.
///
/// # Panics
/// When there is no such row.
pub fn read_rows(origin: &Origin, rows: &[usize]) -> Result<RecordBatch, SourceError> {
    let mut events: Vec<Option<RecordBatch>> = vec![None; rows.len()];
    for (file, wanted) in by_file(origin, rows) {
        let (spool, file) = (&origin.spools[file as usize], &origin.files[file as usize]);
        if is_columnar(file) {
            let files = match spool {
                Some(spool) => spool.pieces().collect(),
                None => vec![(0, origin.options.file_of(&file.path))],
            };
            columns(file, &files, &origin.schema, wanted, &mut |i, row| events[i] = Some(row))?;
            continue;
        }
        let mut decoder = LineDecoder::of_records(&origin.schema, &file.layout, file.terminator);
        records(origin, file, wanted, &mut |i, record, line| {
            let changed = |_| SourceError::Changed { path: file.path.clone(), line };
            events[i] = Some(decoder.decode_record(record.as_bytes()).map_err(changed)?);
            Ok(())
        })?;
    }
    let schema = origin.schema.arrow();
    let events: Vec<RecordBatch> = events.into_iter().flatten().collect();
    let full = |_| SourceError::ColumnFull { column: "all".to_owned() };
    arrow_select::concat::concat_batches(&schema, &events).map_err(full)
}

/// The raw text of some rows, in the order of `rows`; for Parquet the row as JSON.
///
/// Bytes that are not UTF-8 come as U+FFFD. Nothing else is changed or escaped: do not show it as it is.
///
/// # Errors
/// Those of reading a file; `Changed` when a record is no longer where it was.
///
/// # Panics
/// When there is no such row.
pub fn raw_lines(origin: &Origin, rows: &[usize]) -> Result<Vec<String>, SourceError> {
    let mut found = vec![String::new(); rows.len()];
    for (file, wanted) in by_file(origin, rows) {
        let (spool, file) = (&origin.spools[file as usize], &origin.files[file as usize]);
        if is_columnar(file) {
            let as_json = |row: &RecordBatch| serde_json::Value::Object(row_as_json(row, 0)).to_string();
            let files = match spool {
                Some(spool) => spool.pieces().collect(),
                None => vec![(0, origin.options.file_of(&file.path))],
            };
            columns(file, &files, &origin.schema, wanted, &mut |i, row| found[i] = as_json(&row))?;
            continue;
        }
        records(origin, file, wanted, &mut |i, record, _| {
            found[i] = record.to_owned();
            Ok(())
        })?;
    }
    Ok(found)
}

/// Of a file, by offset and line, the answers wanted from that record.
type Wanted = BTreeMap<(u64, u64), Vec<usize>>;

fn by_file(origin: &Origin, rows: &[usize]) -> BTreeMap<u32, Wanted> {
    let mut wanted: BTreeMap<u32, Wanted> = BTreeMap::new();
    for (i, &row) in rows.iter().enumerate() {
        let place = origin.places.get(row);
        wanted.entry(place.file).or_default().entry((place.offset, place.line)).or_default().push(i);
    }
    wanted
}

fn is_columnar(file: &SourceFile) -> bool {
    matches!(file.format, Format::Parquet | Format::Database)
}

/// Gives the texts of records.
fn records(
    origin: &Origin,
    file: &SourceFile,
    wanted: Wanted,
    give: &mut dyn FnMut(usize, &str, u64) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let max_record_bytes = origin.options.max_line_bytes;
    let text_of = |content| Text::new(BufReader::with_capacity(1 << 18, content), file.terminator, max_record_bytes);
    let mut text = text_of(Content::open(&file.path, &origin.options, file.encoding)?);
    let read = |source| SourceError::Read { path: file.path.clone(), n_rows: 0, source };
    let none = Names::new(Vec::new(), false);
    let mut decoder = Decoder::new(&file.layout, file.terminator, max_record_bytes, none, &[]);
    for ((offset, line), answers) in wanted {
        if offset > text.position() + WORTH_A_JUMP
            && let Some(content) = Content::open_at(&file.path, &origin.options, file.encoding, offset)?
        {
            text = text_of(content).begun_at(offset);
        }
        text.skip_to(offset).map_err(read)?;
        decoder.go_on();
        match text.next(&mut decoder, true).map_err(read)? {
            Next::Record(span) if text.offset(span) == offset => {
                let record = String::from_utf8_lossy(text.bytes(span));
                for i in answers {
                    give(i, &record, line)?;
                }
            }
            _ => return Err(SourceError::Changed { path: file.path.clone(), line }),
        }
    }
    Ok(())
}

/// Gives rows of a file of columns, each as a batch. `files`: where they are, and the rows before each.
fn columns(
    file: &SourceFile,
    files: &[(u64, &Path)],
    schema: &EventSchema,
    wanted: Wanted,
    give: &mut dyn FnMut(usize, RecordBatch),
) -> Result<(), SourceError> {
    let names = Names::new(schema.names().map(str::to_owned).collect(), false);
    let mut wanted = wanted.into_iter().peekable();
    for (i, &(before, path)) in files.iter().enumerate() {
        // Lines count rows from 1 on.
        let end = files.get(i + 1).map_or(u64::MAX, |&(before, _)| before);
        let mut here = Vec::new();
        while let Some(next) = wanted.next_if(|((_, line), _)| *line <= end) {
            here.push(next);
        }
        let rows: Vec<usize> = here.iter().map(|((_, line), _)| (line - 1 - before) as usize).collect();
        let mut here = here.into_iter();
        parquet::read_rows(path, &names, &rows, &mut |parquet::Rows { columns, n_rows, .. }| {
            let batch = batch_of(schema, &columns, n_rows);
            for (row, (_, answers)) in (0..n_rows).zip(&mut here) {
                answers.into_iter().for_each(|i| give(i, batch.slice(row, 1)));
            }
            Ok(())
        })?;
        if let Some(((_, line), _)) = here.next() {
            return Err(SourceError::Changed { path: file.path.clone(), line });
        }
    }
    Ok(())
}

fn batch_of(schema: &EventSchema, columns: &[(String, ArrayRef)], n_rows: usize) -> RecordBatch {
    let arrays =
        under(schema, n_rows, |_, name| columns.iter().rev().find(|(found, _)| found == name).map(|(_, array)| array));
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    RecordBatch::try_new_with_options(schema.arrow(), arrays, &options)
        .expect("columns of a batch are equally long and of the schema's types")
}
