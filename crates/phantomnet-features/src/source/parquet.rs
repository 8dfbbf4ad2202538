//! Parquet: columns brought to the four types of events.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, StringArray};
use arrow_cast::{can_cast_types, cast};
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};

use crate::source::error::SourceError;
use crate::source::row::{MAX_COLUMNS, Names};
use crate::source::row_json::{in_utc, value_as_json};

const BATCH_ROWS: usize = 8192;

/// Structs nested deeper than this stay JSON text in one cell.
const MAX_DEPTH: usize = 32;

/// Takes the batches of a file: names and columns of the four types, and the number of rows.
pub(crate) type TakeBatch<'a> = dyn FnMut(Vec<(String, ArrayRef)>, usize) -> Result<(), SourceError> + 'a;

/// Which rows of a file are read.
enum Rows<'a> {
    All,
    /// At most a batch.
    First,
    /// These, ascending.
    Some(&'a [usize]),
}

/// Reads a file; columns that `names` does not know, and that cannot be added to it, are left out.
pub(crate) fn read(path: &Path, names: &Names, take: &mut TakeBatch<'_>) -> Result<(), SourceError> {
    read_some(path, names, &Rows::All, take)
}

/// Reads the first rows of a file, one batch at most.
pub(crate) fn read_first(path: &Path, names: &Names) -> Result<(Vec<(String, ArrayRef)>, usize), SourceError> {
    let mut first = (Vec::new(), 0);
    read_some(path, names, &Rows::First, &mut |columns, n_rows| {
        first = (columns, n_rows);
        Ok(())
    })?;
    Ok(first)
}

/// Reads some rows of a file, of numbers that ascend; those that it does not have are not given.
pub(crate) fn read_rows(
    path: &Path,
    names: &Names,
    rows: &[usize],
    take: &mut TakeBatch<'_>,
) -> Result<(), SourceError> {
    read_some(path, names, &Rows::Some(rows), take)
}

fn read_some(path: &Path, names: &Names, rows: &Rows<'_>, take: &mut TakeBatch<'_>) -> Result<(), SourceError> {
    let mut n_rows = 0;
    let failed = |n_rows: u64, source: Box<dyn std::error::Error + Send + Sync>| SourceError::Parquet {
        path: path.to_path_buf(),
        n_rows,
        source,
    };
    let file = File::open(path).map_err(|source| SourceError::Open { path: path.to_path_buf(), source })?;
    let build = || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(BATCH_ROWS);
        // Columns below one name are read together.
        let roots = builder.schema().fields().iter().enumerate().filter(|(_, field)| {
            let below = format!("{}.", field.name());
            names.is_open() || names.as_slice().iter().any(|name| name == field.name() || name.starts_with(&below))
        });
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots.map(|(i, _)| i));
        let builder = builder.with_projection(mask);
        match rows {
            Rows::All => builder,
            Rows::First => builder.with_limit(BATCH_ROWS),
            Rows::Some(rows) => {
                let n = builder.metadata().file_metadata().num_rows().max(0) as usize;
                let ranges = rows.iter().filter(|&&row| row < n).map(|&row| row..row + 1);
                builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, n))
            }
        }
        .build()
    };
    let mut batches = guarded(build).map_err(|error| failed(n_rows, error))?;
    while let Some(batch) = guarded(|| batches.next().transpose()).map_err(|error| failed(n_rows, error))? {
        let mut columns = Vec::new();
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            flatten(field.name(), column, 1, &mut columns).map_err(|error| failed(n_rows, error.into()))?;
        }
        let n = columns.len();
        if n > MAX_COLUMNS {
            return Err(SourceError::TooManyColumns { path: path.to_path_buf(), n, limit: MAX_COLUMNS });
        }
        n_rows += batch.num_rows() as u64;
        take(columns, batch.num_rows())?;
    }
    Ok(())
}

/// Runs a step of the Parquet reader, which panics on some broken files; the reader is not used again after that.
fn guarded<T, E>(step: impl FnOnce() -> Result<T, E>) -> Result<T, Box<dyn std::error::Error + Send + Sync>>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => Ok(result?),
        Err(_) => Err("its structure is broken".into()),
    }
}

/// Columns of the four types: structs give one for each field, named `parent.child`.
fn flatten(name: &str, array: &ArrayRef, depth: usize, out: &mut Vec<(String, ArrayRef)>) -> Result<(), ArrowError> {
    if let DataType::Struct(fields) = array.data_type()
        && depth < MAX_DEPTH
    {
        let parent = array.as_struct();
        // A child may hold values where its parent is missing.
        let missing: BooleanArray = (0..parent.len()).map(|row| Some(parent.is_null(row))).collect();
        for (field, child) in fields.iter().zip(parent.columns()) {
            let child = arrow_select::nullif::nullif(child, &missing)?;
            flatten(&format!("{name}.{}", field.name()), &child, depth + 1, out)?;
        }
        return Ok(());
    }
    out.push((name.to_owned(), narrow(array)?));
    Ok(())
}

/// One of `Int64`, `Float64`, `Boolean` and `Utf8`.
fn narrow(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    use DataType as T;
    let as_json = || -> ArrayRef {
        let cell = |row| (!array.is_null(row)).then(|| value_as_json(array, row).to_string());
        Arc::new((0..array.len()).map(cell).collect::<StringArray>())
    };
    Ok(match array.data_type() {
        T::Int64 | T::Float64 | T::Boolean | T::Utf8 => Arc::clone(array),
        T::Dictionary(_, values) => narrow(&cast(array, values)?)?,
        T::UInt64 => {
            let integers = cast(array, &T::Int64)?;
            if integers.null_count() == array.null_count() { integers } else { cast(array, &T::Float64)? }
        }
        data_type if data_type.is_integer() => cast(array, &T::Int64)?,
        data_type if data_type.is_numeric() => cast(array, &T::Float64)?,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => {
            let bytes = cast(array, &T::Binary)?;
            let text = bytes.as_binary::<i32>().iter().map(|cell| cell.map(String::from_utf8_lossy));
            Arc::new(text.collect::<StringArray>())
        }
        T::List(_) | T::LargeList(_) | T::FixedSizeList(_, _) | T::Map(_, _) | T::Struct(_) => as_json(),
        T::Timestamp(_, Some(_)) => cast(&in_utc(array)?, &T::Utf8)?,
        data_type if can_cast_types(data_type, &T::Utf8) => cast(array, &T::Utf8)?,
        _ => as_json(),
    })
}
