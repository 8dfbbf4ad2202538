//! Rows gathered into columns, whose types may be known only when the last row is in.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    new_null_array,
};
use arrow_schema::DataType;

use crate::events::{ColumnType, EventSchema};
use crate::source::cell::{self, Kind, Kinds};
use crate::source::error::SourceError;
use crate::source::row::{Names, Row};

/// A table that grows by rows.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) names: Names,
    columns: Vec<Column>,
    n_rows: usize,
}

/// A column whose missing cells at the end are only implied, so that rows touch only the columns they have.
#[derive(Debug, Default)]
struct Column {
    kinds: Kinds,
    /// Cells before `open`.
    closed: Vec<ArrayRef>,
    n_closed: usize,
    /// Cells as text: what they were spelled as is needed until the type is known.
    open: StringBuilder,
}

/// A finished table.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) batch: RecordBatch,
    pub(crate) schema: EventSchema,
    /// Cells of each column that do not parse under its type.
    pub(crate) n_unparsed: Vec<u64>,
}

impl Table {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, columns: Vec::new(), n_rows: 0 }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Whether any row has a cell, even a NULL one, in a column.
    pub(crate) fn is_present(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.len() > 0)
    }

    /// Adds a row; of cells in the same column the last counts.
    pub(crate) fn push(&mut self, row: &Row) -> Result<(), SourceError> {
        self.add_columns();
        for cell in row.cells.iter().rev() {
            let column = &mut self.columns[cell.column];
            if column.len() > self.n_rows {
                continue;
            }
            column.pad(self.n_rows);
            let text = row.text_of(cell);
            if cell.kind == Kind::Null {
                column.open.append_null();
            } else if column.open.values_slice().len() + text.len() > i32::MAX as usize {
                return Err(SourceError::ColumnFull { column: self.names.as_slice()[cell.column].clone() });
            } else {
                column.kinds.add(cell.kind, text);
                column.open.append_value(text);
            }
        }
        self.n_rows += 1;
        Ok(())
    }

    /// Adds rows given as arrays (`Int64`, `Float64`, `Boolean` or `Utf8`) of `n_rows` each.
    pub(crate) fn push_arrays(&mut self, arrays: Vec<(usize, ArrayRef)>, n_rows: usize) {
        self.add_columns();
        for (column, array) in arrays.into_iter().rev() {
            let column = &mut self.columns[column];
            if column.len() > self.n_rows {
                continue;
            }
            column.pad(self.n_rows);
            column.close();
            if array.null_count() < array.len() {
                column.kinds.add(kind_of(array.data_type()), "");
            }
            column.n_closed += array.len();
            column.closed.push(array);
        }
        self.n_rows += n_rows;
    }

    /// The table under the types that `given` has for a column's index and name, or else the narrowest that keep all
    /// cells. Rows are gone afterwards, names stay.
    pub(crate) fn finish(
        &mut self,
        given: impl Fn(usize, &str) -> Option<ColumnType>,
    ) -> Result<Finished, SourceError> {
        self.add_columns();
        let n_rows = std::mem::take(&mut self.n_rows);
        let mut columns = Vec::with_capacity(self.columns.len());
        let mut arrays = Vec::with_capacity(self.columns.len());
        let mut n_unparsed = Vec::with_capacity(self.columns.len());
        for (i, (name, column)) in self.names.as_slice().iter().zip(&mut self.columns).enumerate() {
            let column_type = given(i, name).unwrap_or_else(|| column.kinds.column_type());
            let mut column = std::mem::take(column);
            column.pad(n_rows);
            column.close();
            let mut unparsed = 0;
            let parts: Vec<ArrayRef> =
                column.closed.iter().map(|part| convert(part, column_type, &mut unparsed)).collect();
            arrays.push(match parts.as_slice() {
                [] => new_null_array(&column_type.data_type(), 0),
                [one] => Arc::clone(one),
                many => {
                    let many: Vec<&dyn Array> = many.iter().map(AsRef::as_ref).collect();
                    // Offsets of text are the only thing that can overflow here.
                    arrow_select::concat::concat(&many).map_err(|_| SourceError::ColumnFull { column: name.clone() })?
                }
            });
            columns.push((name.clone(), column_type));
            n_unparsed.push(unparsed);
        }
        let schema = EventSchema::new(columns)?;
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        let batch = RecordBatch::try_new_with_options(schema.arrow(), arrays, &options)
            .expect("arrays are as long as the table and of the schema's types");
        Ok(Finished { batch, schema, n_unparsed })
    }

    fn add_columns(&mut self) {
        self.columns.resize_with(self.names.as_slice().len(), Column::default);
    }
}

impl Column {
    fn len(&self) -> usize {
        self.n_closed + arrow_array::builder::ArrayBuilder::len(&self.open)
    }

    fn pad(&mut self, n_rows: usize) {
        self.open.append_nulls(n_rows - self.len());
    }

    fn close(&mut self) {
        let text = self.open.finish();
        if !text.is_empty() {
            self.n_closed += text.len();
            self.closed.push(Arc::new(text));
        }
    }
}

fn kind_of(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Int64 => Kind::Integer,
        DataType::Float64 => Kind::Number,
        DataType::Boolean => Kind::Boolean,
        _ => Kind::Text,
    }
}

/// Cells under a column type: NULL where they do not parse, which is counted, and for NaN, which is not.
fn convert(array: &ArrayRef, column_type: ColumnType, n_unparsed: &mut u64) -> ArrayRef {
    if array.data_type() == &column_type.data_type() && column_type != ColumnType::Number {
        return Arc::clone(array);
    }
    if let Some(numbers) = array.as_primitive_opt::<Float64Type>()
        && column_type == ColumnType::Number
    {
        return Arc::new(numbers.iter().map(|x| x.filter(|x| !x.is_nan())).collect::<Float64Array>());
    }
    let text = spell(array);
    let text = text.as_string::<i32>();
    match column_type {
        ColumnType::Text => Arc::new(text.clone()),
        ColumnType::Integer => {
            Arc::new(text.iter().map(|t| parse(t, cell::integer, n_unparsed)).collect::<Int64Array>())
        }
        ColumnType::Boolean => {
            Arc::new(text.iter().map(|t| parse(t, cell::boolean, n_unparsed)).collect::<BooleanArray>())
        }
        ColumnType::Number => {
            let number = |t| parse(t, cell::number, n_unparsed).filter(|x| !x.is_nan());
            Arc::new(text.iter().map(number).collect::<Float64Array>())
        }
    }
}

fn parse<T>(text: Option<&str>, parse: impl Fn(&str) -> Option<T>, n_unparsed: &mut u64) -> Option<T> {
    let value = parse(text?);
    *n_unparsed += u64::from(value.is_none());
    value
}

/// Values as a text file would spell them.
fn spell(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8 => Arc::clone(array),
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>().iter();
            Arc::new(numbers.map(|x| x.map(|x| format!("{x:?}"))).collect::<StringArray>())
        }
        _ => arrow_cast::cast(array, &DataType::Utf8).expect("integers and booleans have a spelling"),
    }
}
