//! Rows gathered into typed columns.
//!
//! A column has its type while rows come in, and cells are parsed once. Where the type is a guess, a cell that does not fit is
//! NULL and its kind is noted: the reader then goes over the same bytes again with the type that keeps all cells.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, PrimitiveBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, new_null_array};
use arrow_schema::DataType;

use crate::events::{ColumnType, EventSchema};
use crate::source::cell::{self, Kind, Kinds};
use crate::source::excerpt::visible;
use crate::source::row::{Row, Source};

/// What is known of a column before its cells are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// Its type; `None`: that of the cells that come.
    pub(crate) column_type: Option<ColumnType>,
    /// Whether the type is given: a cell that does not parse under it is NULL and counted. Else it is a guess.
    pub(crate) given: bool,
}

/// A cell that does not have the type that was given for its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) column: usize,
    pub(crate) text: String,
}

impl Misfit {
    /// Why its record is rejected.
    pub(crate) fn reason(&self, names: &[String], plan: impl Fn(usize) -> Plan) -> String {
        let expected = plan(self.column).column_type.unwrap_or(ColumnType::Text);
        let (text, name) = (visible(&self.text, 60), visible(&names[self.column], 60));
        format!("`{text}` in column `{name}` is not of type {expected}")
    }
}

/// Columns that grow by rows.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    columns: Vec<Column>,
    n_rows: usize,
}

/// A column whose missing cells at the end are only implied, so that rows touch only the columns they have.
#[derive(Debug, Default)]
struct Column {
    plan: Plan,
    kinds: Kinds,
    n_unparsed: u64,
    /// Number of `cells`.
    n_cells: usize,
    cells: Cells,
}

#[derive(Debug, Default)]
enum Cells {
    /// So many NULLs.
    #[default]
    None,
    Nulls(usize),
    Integer(PrimitiveBuilder<Int64Type>),
    Number(PrimitiveBuilder<Float64Type>),
    Boolean(BooleanBuilder),
    Text(StringBuilder),
}

/// A finished column.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) array: ArrayRef,
    /// Kinds of its cells: all of them where its type was guessed, unless that is text.
    pub(crate) kinds: Kinds,
    /// Cells that do not parse under a given type.
    pub(crate) n_unparsed: u64,
    /// Whether any row has a cell, even a NULL one.
    pub(crate) is_present: bool,
}

impl Columns {
    /// Adds a row; of cells in the same column the last counts. `plan` tells of columns that are seen for the first time.
    ///
    /// With `strict`, a row with a cell that is not of its given type is not added, and the cell returned.
    pub(crate) fn push(
        &mut self,
        row: &Row,
        source: Source<'_>,
        plan: impl Fn(usize) -> Plan,
        strict: bool,
    ) -> Result<(), Misfit> {
        if strict {
            for cell in &row.cells {
                let Plan { column_type: Some(column_type), given: true } = plan(cell.column) else { continue };
                let text = row.text(cell, source);
                if cell.kind != Kind::Null && !cell::parses(text, column_type) {
                    return Err(Misfit { column: cell.column, text: text.to_owned() });
                }
            }
        }
        for cell in row.cells.iter().rev() {
            if cell.column >= self.columns.len() {
                let known = self.columns.len();
                self.columns.extend((known..=cell.column).map(|i| Column { plan: plan(i), ..Column::default() }));
            }
            let column = &mut self.columns[cell.column];
            if column.n_cells > self.n_rows {
                continue;
            }
            if column.n_cells < self.n_rows {
                column.cells.pad(self.n_rows);
            }
            column.push(cell.kind, row.text(cell, source));
            column.n_cells = self.n_rows + 1;
        }
        self.n_rows += 1;
        Ok(())
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The first `n_columns` columns; `plan` as for [`push`](Self::push).
    pub(crate) fn finish(self, n_columns: usize, plan: impl Fn(usize) -> Plan) -> Vec<Finished> {
        let n_rows = self.n_rows;
        let mut columns = self.columns;
        let known = columns.len();
        columns.extend((known..n_columns).map(|i| Column { plan: plan(i), ..Column::default() }));
        columns.into_iter().map(|column| column.finish(n_rows)).collect()
    }
}

impl Column {
    fn push(&mut self, kind: Kind, text: &str) {
        if kind == Kind::Null {
            return self.cells.push_null();
        }
        if matches!(self.cells, Cells::None | Cells::Nulls(_)) {
            let n_nulls = self.cells.len();
            let column_type = self.plan.column_type.unwrap_or_else(|| {
                let mut kinds = Kinds::default();
                kinds.add(kind, text.as_bytes());
                kinds.column_type()
            });
            self.cells = Cells::of(column_type);
            self.cells.pad(n_nulls);
        }
        if self.plan.given { self.push_given(kind, text) } else { self.push_guessed(kind, text) }
    }

    /// A cell that does not parse is NULL and counted.
    fn push_given(&mut self, kind: Kind, text: &str) {
        let parsed = match &mut self.cells {
            Cells::Integer(integers) => {
                let value = cell::canonical_integer(text.as_bytes()).or_else(|| cell::integer(text));
                integers.append_option(value);
                value.is_some()
            }
            Cells::Number(numbers) => {
                let value = cell::number(text);
                numbers.append_option(value.filter(|x| !x.is_nan()));
                value.is_some()
            }
            Cells::Boolean(booleans) => {
                let value = cell::boolean(text);
                booleans.append_option(value);
                value.is_some()
            }
            Cells::Text(texts) => {
                push_text(texts, kind, text);
                true
            }
            Cells::None | Cells::Nulls(_) => true,
        };
        self.n_unparsed += u64::from(!parsed);
    }

    /// A cell that does not fit is NULL; the kinds that were seen tell.
    fn push_guessed(&mut self, kind: Kind, text: &str) {
        match &mut self.cells {
            Cells::Integer(integers) => {
                let value = if kind.may_be_integer() { cell::canonical_integer(text.as_bytes()) } else { None };
                integers.append_option(value);
                match value {
                    Some(_) => self.kinds.add_integer(),
                    None => self.kinds.add(kind, text.as_bytes()),
                }
            }
            Cells::Number(numbers) => {
                let decimal = if kind == Kind::Spelled { cell::decimal(text.as_bytes()) } else { None };
                let known = match (kind, decimal) {
                    (_, Some(_)) => Kind::Number,
                    (Kind::Spelled, None) => cell::spelled(text.as_bytes()),
                    (kind, None) => kind,
                };
                self.kinds.add(known, text.as_bytes());
                let is_number = matches!(known, Kind::Integer | Kind::Number | Kind::JsonNumber);
                let value = if is_number { decimal.or_else(|| cell::number(text)) } else { None };
                numbers.append_option(value.filter(|x| !x.is_nan()));
            }
            Cells::Boolean(booleans) => {
                self.kinds.add(kind, text.as_bytes());
                let is_boolean = matches!(kind, Kind::Boolean | Kind::Spelled);
                let value = if is_boolean { cell::boolean(text) } else { None };
                booleans.append_option(value);
            }
            Cells::Text(texts) => {
                self.kinds.add_text();
                push_text(texts, kind, text);
            }
            Cells::None | Cells::Nulls(_) => {}
        }
    }

    fn finish(mut self, n_rows: usize) -> Finished {
        let is_present = !matches!(self.cells, Cells::None);
        self.cells.pad(n_rows);
        let array: ArrayRef = match self.cells {
            Cells::None | Cells::Nulls(_) => {
                let column_type = self.plan.column_type.unwrap_or(ColumnType::Text);
                new_null_array(&column_type.data_type(), n_rows)
            }
            Cells::Integer(mut integers) => Arc::new(integers.finish()),
            Cells::Number(mut numbers) => Arc::new(numbers.finish()),
            Cells::Boolean(mut booleans) => Arc::new(booleans.finish()),
            Cells::Text(mut texts) => Arc::new(texts.finish()),
        };
        Finished { array, kinds: self.kinds, n_unparsed: self.n_unparsed, is_present }
    }
}

impl Cells {
    fn of(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Integer => Self::Integer(PrimitiveBuilder::new()),
            ColumnType::Number => Self::Number(PrimitiveBuilder::new()),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::Text => Self::Text(StringBuilder::new()),
        }
    }

    fn len(&self) -> usize {
        use arrow_array::builder::ArrayBuilder;
        match self {
            Self::None => 0,
            Self::Nulls(n) => *n,
            Self::Integer(integers) => integers.len(),
            Self::Number(numbers) => numbers.len(),
            Self::Boolean(booleans) => booleans.len(),
            Self::Text(texts) => texts.len(),
        }
    }

    fn pad(&mut self, n_rows: usize) {
        let n = n_rows - self.len();
        match self {
            _ if n == 0 => {}
            Self::None => *self = Self::Nulls(n),
            Self::Nulls(n_nulls) => *n_nulls += n,
            Self::Integer(integers) => integers.append_nulls(n),
            Self::Number(numbers) => numbers.append_nulls(n),
            Self::Boolean(booleans) => booleans.append_nulls(n),
            Self::Text(texts) => texts.append_nulls(n),
        }
    }

    fn push_null(&mut self) {
        self.pad(self.len() + 1);
    }
}

/// A block holds far less than the 2 GiB that a column of text can.
fn push_text(texts: &mut StringBuilder, kind: Kind, text: &str) {
    match kind {
        Kind::JsonNumber | Kind::Json => texts.append_value(cell::as_text(kind, text)),
        _ => texts.append_value(text),
    }
}

/// Kinds of the values of an array of one of the four types.
pub(crate) fn kinds_of(array: &ArrayRef) -> Kinds {
    let mut kinds = Kinds::default();
    if array.null_count() < array.len() {
        match array.data_type() {
            DataType::Int64 => kinds.add_integer(),
            DataType::Float64 => kinds.add(Kind::Number, b""),
            DataType::Boolean => kinds.add(Kind::Boolean, b""),
            _ => kinds.add_text(),
        }
    }
    kinds
}

/// Values of one of the four types under a column type: NULL where they do not parse, which is counted, and for NaN, which is not.
pub(crate) fn convert(array: &ArrayRef, column_type: ColumnType, n_unparsed: &mut u64) -> ArrayRef {
    if array.data_type() == &column_type.data_type() && column_type != ColumnType::Number {
        return Arc::clone(array);
    }
    if let Some(numbers) = array.as_primitive_opt::<Float64Type>()
        && column_type == ColumnType::Number
    {
        if numbers.iter().flatten().all(|x| !x.is_nan()) {
            return Arc::clone(array);
        }
        return Arc::new(numbers.iter().map(|x| x.filter(|x| !x.is_nan())).collect::<Float64Array>());
    }
    if let Some(integers) = array.as_primitive_opt::<Int64Type>()
        && column_type == ColumnType::Number
    {
        return Arc::new(integers.iter().map(|x| x.map(|x| x as f64)).collect::<Float64Array>());
    }
    if array.null_count() == array.len() {
        return new_null_array(&column_type.data_type(), array.len());
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

/// Arrays for the columns of a schema: what `find`, asked with position and name, has of each under the column's type, NULL where
/// it has nothing.
pub(crate) fn under<'a>(
    schema: &EventSchema,
    n_rows: usize,
    find: impl Fn(usize, &str) -> Option<&'a ArrayRef>,
) -> Vec<ArrayRef> {
    let array = |(i, (name, column_type)): (usize, &(String, ColumnType))| match find(i, name) {
        Some(array) => convert(array, *column_type, &mut 0),
        None => new_null_array(&column_type.data_type(), n_rows),
    };
    schema.columns().iter().enumerate().map(array).collect()
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
