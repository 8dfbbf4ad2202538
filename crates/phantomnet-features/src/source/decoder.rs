//! One raw line at a time, as a scorer gets them.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::SchemaRef;

use crate::events::{ColumnType, EventSchema};
use crate::source::cell::{self, Kind};
use crate::source::delimited::open_quote;
use crate::source::parser::{Layout, Parser};
use crate::source::records::Broken;
use crate::source::row::Names;

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
    layout: Layout,
    names: Names,
    parser: Parser,
    /// Index of the cell of each column.
    cells: Vec<Option<usize>>,
}

impl LineDecoder {
    /// A decoder of lines of this layout.
    pub fn new(schema: &EventSchema, layout: &Layout) -> Self {
        let mut names = Names::new(schema.names().map(str::to_owned).collect(), false);
        let parser = Parser::new(layout, &mut names).expect("names that are not open are never too many");
        let types: Vec<ColumnType> = schema.columns().iter().map(|column| column.1).collect();
        let cells = vec![None; types.len()];
        Self { types, arrow: schema.arrow(), layout: layout.clone(), names, parser, cells }
    }

    /// The event on a line, with or without its line end; a quoted field may hold line ends of its own.
    ///
    /// # Errors
    /// The reason for which a reader of files would reject the line.
    pub fn decode(&mut self, line: &[u8]) -> Result<RecordBatch, Reason> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Err(Reason("blank line".to_owned()));
        }
        if let Layout::Delimited { delimiter, header } = &self.layout
            && let Some(field) = open_quote(line, *delimiter, false)
        {
            return Err(Reason(Broken::NeverClosed { field }.reason(header)));
        }
        let row = self.parser.parse(line, &mut self.names).map_err(Reason)?;
        let row = row.ok_or_else(|| Reason("blank line".to_owned()))?;
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
                one(cell.map(|cell| row.text_of(cell)), *column_type)
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.arrow), arrays, &options)
            .expect("arrays of one cell and of the schema's types"))
    }
}

/// An array of one cell.
fn one(text: Option<&str>, column_type: ColumnType) -> ArrayRef {
    match column_type {
        ColumnType::Integer => Arc::new(Int64Array::from_iter([text.and_then(cell::integer)])),
        ColumnType::Number => {
            let number = text.and_then(cell::number).filter(|x| !x.is_nan());
            Arc::new(Float64Array::from_iter([number]))
        }
        ColumnType::Boolean => Arc::new(BooleanArray::from_iter([text.and_then(cell::boolean)])),
        ColumnType::Text => Arc::new(StringArray::from_iter([text])),
    }
}
