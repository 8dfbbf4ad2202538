//! One raw line at a time, as a scorer gets them.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::SchemaRef;

use crate::events::{ColumnType, EventSchema};
use crate::source::cell::{self, Kind};
use crate::source::decode::{Before, Decoder, Step};
use crate::source::layout::Layout;
use crate::source::row::{Names, Source};

/// Why a line holds no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Reason(String);

/// Makes one-row batches of raw lines, under the schema of a model.
///
/// Reads a line as [`read_events_as`](crate::source::read_events_as) does: columns by name, an absent column or a cell that
/// does not parse under its type is NULL, other columns are dropped. Buffers are kept from line to line, and no thread
/// is started.
#[derive(Debug)]
pub struct LineDecoder {
    types: Vec<ColumnType>,
    arrow: SchemaRef,
    decoder: Decoder,
    /// What ends a record that came without its line end, so that a CR of its own is not taken for one.
    line_end: &'static [u8],
    /// A record with that.
    text: Vec<u8>,
    /// Index of the cell of each column.
    cells: Vec<Option<usize>>,
}

impl LineDecoder {
    /// A decoder of lines of this layout.
    pub fn new(schema: &EventSchema, layout: &Layout) -> Self {
        Self::of_records(schema, layout, b'\n')
    }

    /// A decoder of records of a file whose lines end with `terminator`.
    pub(crate) fn of_records(schema: &EventSchema, layout: &Layout, terminator: u8) -> Self {
        let names = Names::new(schema.names().map(str::to_owned).collect(), false);
        let decoder = Decoder::new(layout, terminator, usize::MAX, names, &[]).alone();
        let types: Vec<ColumnType> = schema.columns().iter().map(|column| column.1).collect();
        let cells = vec![None; types.len()];
        let line_end: &[u8] = match terminator {
            _ if layout.spans_lines() => b"",
            b'\r' => b"\r",
            _ => b"\r\n",
        };
        Self { types, arrow: schema.arrow(), decoder, line_end, text: Vec::new(), cells }
    }

    /// The event of a record without its line end.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub(crate) fn decode_record(&mut self, record: &[u8]) -> Result<RecordBatch, Reason> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        text.extend_from_slice(record);
        text.extend_from_slice(self.line_end);
        let decoded = self.decode(&text);
        self.text = text;
        decoded
    }

    /// The event on a line, with or without its line end; a quoted field may hold line ends of its own, and so may a request.
    ///
    /// # Errors
    /// The reason for which a reader of files would reject the line.
    pub fn decode(&mut self, line: &[u8]) -> Result<RecordBatch, Reason> {
        self.decoder.go_on();
        // Lines know nothing of each other here.
        self.decoder.before = Before::default();
        let span = match self.decoder.step(line, 0, true) {
            Step::Record(span) => span,
            Step::Rejected(_, reason) => return Err(Reason(reason)),
            Step::Nothing(_) | Step::Pending(_) => return Err(Reason("blank line".to_owned())),
        };
        let is_between = |b: &u8| b.is_ascii_whitespace() || matches!(b, b',' | b']' | b'}');
        if !line[span.next..].iter().all(is_between) {
            return Err(Reason(format!("more than one record: another begins at byte {}", span.next + 1)));
        }
        let (row, source) = (&self.decoder.row, Source::unchecked(line));
        self.cells.fill(None);
        for (i, cell) in row.cells.iter().enumerate() {
            self.cells[cell.column] = Some(i);
        }
        let arrays: Vec<ArrayRef> = self
            .cells
            .iter()
            .zip(&self.types)
            .map(|(cell, column_type)| {
                let cell = cell.map(|i| &row.cells[i]).filter(|cell| cell.kind != Kind::Null);
                one(cell.map(|cell| (cell.kind, row.text(cell, source))), *column_type)
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.arrow), arrays, &options)
            .expect("arrays of one cell and of the schema's types"))
    }
}

/// An array of one cell.
fn one(cell: Option<(Kind, &str)>, column_type: ColumnType) -> ArrayRef {
    let text = cell.map(|(_, text)| text);
    match column_type {
        ColumnType::Integer => Arc::new(Int64Array::from_iter([text.and_then(cell::integer)])),
        ColumnType::Number => {
            let number = text.and_then(cell::number).filter(|x| !x.is_nan());
            Arc::new(Float64Array::from_iter([number]))
        }
        ColumnType::Boolean => Arc::new(BooleanArray::from_iter([text.and_then(cell::boolean)])),
        ColumnType::Text => Arc::new(StringArray::from_iter([cell.map(|(kind, text)| cell::as_text(kind, text))])),
    }
}
