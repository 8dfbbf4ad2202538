//! Parquet: columns brought to the four types of events.

mod compact;
mod footer;
mod header;
mod pages;

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::{Arc, Once};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, StringArray};
use arrow_cast::{can_cast_types, cast};
use arrow_schema::{ArrowError, DataType, Schema};
use parquet::arrow::array_reader::RowGroups;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use crate::source::delimited::column_names;
use crate::source::error::SourceError;
use crate::source::layout::told_renamed;
use crate::source::row::{MAX_COLUMNS, Names};
use crate::source::row_json::{in_utc, value_as_json};

use header::Paged;
use pages::{Checked, check_widths};

/// Rows that are read at a time, at most.
const BATCH_ROWS: usize = 8192;

/// Bytes of rows that are read at a time, and rows, at least.
const BATCH_BYTES: u64 = 64 << 20;
const MIN_BATCH_ROWS: usize = 16;

/// Structs nested deeper than this stay JSON text in one cell.
const MAX_DEPTH: usize = 32;

/// Rows of a file.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Names and columns of the four types.
    pub(crate) columns: Vec<(String, ArrayRef)>,
    pub(crate) n_rows: usize,
    /// Rows with bytes that are not UTF-8, and U+FFFD now.
    pub(crate) n_lossy: usize,
}

/// Takes the batches of a file.
pub(crate) type TakeBatch<'a> = dyn FnMut(Rows) -> Result<(), SourceError> + 'a;

/// Which rows of a file are read.
enum Which<'a> {
    All,
    /// At most a batch.
    First,
    /// These, ascending.
    Some(&'a [usize]),
}

/// Reads a file; columns that `names` does not know, and that cannot be added to it, are left out.
pub(crate) fn read(path: &Path, names: &Names, take: &mut TakeBatch<'_>) -> Result<(), SourceError> {
    read_some(path, names, &Which::All, take)
}

/// Reads the first rows of a file, one batch at most.
pub(crate) fn read_first(path: &Path, names: &Names) -> Result<Rows, SourceError> {
    let mut first = Rows::default();
    read_some(path, names, &Which::First, &mut |rows| {
        first = rows;
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
    read_some(path, names, &Which::Some(rows), take)
}

fn read_some(path: &Path, names: &Names, which: &Which<'_>, take: &mut TakeBatch<'_>) -> Result<(), SourceError> {
    let mut n_rows = 0;
    let failed = |n_rows: u64, source: Box<dyn std::error::Error + Send + Sync>| SourceError::Parquet {
        path: path.to_path_buf(),
        n_rows,
        source,
    };
    let file = File::open(path).map_err(|source| SourceError::Open { path: path.to_path_buf(), source })?;
    let build = || {
        let (file, metadata) = open(file)?;
        let schema = metadata.schema();
        let Leaves { mut leaves, .. } = Leaves::of(schema);
        if !names.is_open() {
            // Columns below one root are read together.
            let roots: HashSet<usize> =
                leaves.iter().filter(|(_, name)| names.position(name).is_some()).map(|(root, _)| *root).collect();
            leaves.retain(|(root, _)| roots.contains(root));
        }
        let mask = ProjectionMask::roots(metadata.parquet_schema(), leaves.iter().map(|(root, _)| *root));
        let batch_rows = batch_rows(metadata.metadata(), &mask);
        let leaves: Vec<String> = leaves.into_iter().map(|(_, name)| name).collect();
        let levels = parquet_to_arrow_field_levels(metadata.parquet_schema(), mask, Some(schema.fields()))?;
        let groups = Checked { file: Arc::new(Paged::new(file)?), metadata: Arc::clone(metadata.metadata()) };
        let n = groups.num_rows();
        let selection = match which {
            Which::All => None,
            Which::First => Some(RowSelection::from_consecutive_ranges(iter::once(0..n.min(batch_rows)), n)),
            Which::Some(rows) => {
                let ranges = rows.iter().filter(|&&row| row < n).map(|&row| row..row + 1);
                Some(RowSelection::from_consecutive_ranges(ranges, n))
            }
        };
        let batch_rows = batch_rows.min(n);
        let batches = ParquetRecordBatchReader::try_new_with_row_groups(&levels, &groups, batch_rows, selection)?;
        Ok::<_, ParquetError>((batches, leaves))
    };
    let (mut batches, leaves) = guarded(build).map_err(|error| failed(n_rows, error))?;
    while let Some(batch) = guarded(|| batches.next().transpose()).map_err(|error| failed(n_rows, error))? {
        let mut rows = Rows { columns: Vec::new(), n_rows: batch.num_rows(), n_lossy: 0 };
        let mut is_lossy = vec![false; rows.n_rows];
        let mut arrays = Vec::with_capacity(leaves.len());
        for column in batch.columns() {
            flatten(column, 1, &mut arrays, &mut is_lossy).map_err(|error| failed(n_rows, error.into()))?;
        }
        rows.columns = leaves.iter().cloned().zip(arrays).collect();
        rows.n_lossy = is_lossy.iter().filter(|&&row| row).count();
        let n = rows.columns.len();
        if n > MAX_COLUMNS {
            return Err(SourceError::TooManyColumns { path: path.to_path_buf(), n, limit: MAX_COLUMNS });
        }
        n_rows += batch.num_rows() as u64;
        take(rows)?;
    }
    Ok(())
}

/// Rows of the columns of a mask that are read at a time: fewer where cells are large.
fn batch_rows(metadata: &ParquetMetaData, mask: &ProjectionMask) -> usize {
    let n_bytes = |group: &RowGroupMetaData| {
        let read = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
        read.fold(0_u64, |sum, (_, chunk)| sum.saturating_add(chunk.uncompressed_size().max(0) as u64))
    };
    let row_bytes = metadata.row_groups().iter().map(|group| n_bytes(group) / group.num_rows().max(1) as u64).max();
    let n_rows = BATCH_BYTES / row_bytes.unwrap_or(0).max(1);
    usize::try_from(n_rows).unwrap_or(BATCH_ROWS).clamp(MIN_BATCH_ROWS, BATCH_ROWS)
}

/// What the footer of a file says.
fn open(mut file: File) -> Result<(File, ArrowReaderMetadata), ParquetError> {
    footer::check(&mut file)?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
    check_widths(metadata.parquet_schema(), metadata.schema())?;
    Ok((file, metadata))
}

thread_local! {
    /// Whether a panic of this thread is caught, and told as an error.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Has nothing printed of panics that are caught; of others what was printed before.
fn hush_guarded_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_GUARDED.get() {
                before(panic);
            }
        }));
    });
}

/// Runs a step of the Parquet reader, which panics on some broken files; the reader is not used again after that.
fn guarded<T, E>(step: impl FnOnce() -> Result<T, E>) -> Result<T, Box<dyn std::error::Error + Send + Sync>>
where
    E: std::error::Error,
{
    hush_guarded_panics();
    IS_GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(step));
    IS_GUARDED.set(false);
    match outcome {
        Ok(result) => result.map_err(|error| {
            // Errors of the libraries name themselves, one within the other.
            let text = error.to_string();
            ["Parquet argument error: ", "Parquet error: "]
                .iter()
                .fold(&*text, |text, prefix| text.strip_prefix(prefix).unwrap_or(text))
                .into()
        }),
        Err(_) => Err("its structure is broken".into()),
    }
}

/// Columns that more than one of a file would be read as, for people; none of a file that cannot be read.
pub(crate) fn warnings(path: &Path) -> Vec<String> {
    let renamed = || Ok::<_, ParquetError>(Leaves::of(open(File::open(path)?)?.1.schema()).renamed);
    guarded(renamed).map_or_else(|_| Vec::new(), |renamed| told_renamed("the schema", &renamed))
}

/// The columns that [`flatten`] gives.
struct Leaves {
    /// The field of the schema that each is in or is, and its name: `parent.child` in structs.
    leaves: Vec<(usize, String)>,
    /// What [`column_names`] says of names that come more than once.
    renamed: Vec<(String, String)>,
}

impl Leaves {
    fn of(schema: &Schema) -> Self {
        fn add(name: String, data_type: &DataType, depth: usize, out: &mut Vec<String>) {
            match data_type {
                DataType::Struct(fields) if depth < MAX_DEPTH => {
                    fields.iter().for_each(|f| add(format!("{name}.{}", f.name()), f.data_type(), depth + 1, out));
                }
                _ => out.push(name),
            }
        }
        let (mut roots, mut names) = (Vec::new(), Vec::new());
        for (root, field) in schema.fields().iter().enumerate() {
            add(field.name().clone(), field.data_type(), 1, &mut names);
            roots.resize(names.len(), root);
        }
        let (names, renamed) = column_names(&names.iter().map(String::as_str).collect::<Vec<_>>());
        Self { leaves: roots.into_iter().zip(names).collect(), renamed }
    }
}

/// Columns of the four types: structs give one for each field.
fn flatten(array: &ArrayRef, depth: usize, out: &mut Vec<ArrayRef>, is_lossy: &mut [bool]) -> Result<(), ArrowError> {
    if matches!(array.data_type(), DataType::Struct(_)) && depth < MAX_DEPTH {
        let parent = array.as_struct();
        // A child may hold values where its parent is missing.
        let missing: BooleanArray = (0..parent.len()).map(|row| Some(parent.is_null(row))).collect();
        for child in parent.columns() {
            let child = arrow_select::nullif::nullif(child, &missing)?;
            flatten(&child, depth + 1, out, is_lossy)?;
        }
        return Ok(());
    }
    out.push(narrow(array, is_lossy)?);
    Ok(())
}

/// One of `Int64`, `Float64`, `Boolean` and `Utf8`. Rows in which a cell is not UTF-8 are marked.
fn narrow(array: &ArrayRef, is_lossy: &mut [bool]) -> Result<ArrayRef, ArrowError> {
    use DataType as T;
    let as_json = || -> ArrayRef {
        let cell = |row| (!array.is_null(row)).then(|| value_as_json(array, row).to_string());
        Arc::new((0..array.len()).map(cell).collect::<StringArray>())
    };
    Ok(match array.data_type() {
        T::Int64 | T::Float64 | T::Boolean | T::Utf8 => Arc::clone(array),
        T::Dictionary(_, values) => narrow(&cast(array, values)?, is_lossy)?,
        T::UInt64 => {
            let integers = cast(array, &T::Int64)?;
            if integers.null_count() == array.null_count() { integers } else { cast(array, &T::Float64)? }
        }
        data_type if data_type.is_integer() => cast(array, &T::Int64)?,
        // Whole, of at most 18 digits.
        T::Decimal32(_, 0) | T::Decimal64(0..19, 0) | T::Decimal128(0..19, 0) => cast(array, &T::Int64)?,
        // By way of text: divided, long ones come out off by one in the last place.
        T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..) => {
            cast(&cast(array, &T::Utf8)?, &T::Float64)?
        }
        data_type if data_type.is_numeric() => cast(array, &T::Float64)?,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => {
            let bytes = cast(array, &T::Binary)?;
            let cells = || bytes.as_binary::<i32>().iter();
            for (is_lossy, cell) in is_lossy.iter_mut().zip(cells()) {
                *is_lossy |= cell.is_some_and(|bytes| str::from_utf8(bytes).is_err());
            }
            Arc::new(cells().map(|cell| cell.map(String::from_utf8_lossy)).collect::<StringArray>())
        }
        T::List(_) | T::LargeList(_) | T::FixedSizeList(_, _) | T::Map(_, _) | T::Struct(_) => as_json(),
        T::Timestamp(_, Some(_)) => in_utc(array).and_then(|array| as_text(&array)).or_else(|_| as_text(array))?,
        data_type if can_cast_types(data_type, &T::Utf8) => as_text(array)?,
        _ => as_json(),
    })
}

/// Cells as text. A time so far off that no calendar has it is the number that it is kept as.
fn as_text(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let as_number = |cell: &ArrayRef| {
        let number = cast(cell, &DataType::Int64).or_else(|_| cast(&cast(cell, &DataType::Int32)?, &DataType::Int64));
        cast(&number?, &DataType::Utf8)
    };
    cast(array, &DataType::Utf8).or_else(|_| {
        let cells = (0..array.len()).map(|row| {
            let cell = array.slice(row, 1);
            cast(&cell, &DataType::Utf8).or_else(|_| as_number(&cell))
        });
        let cells = cells.collect::<Result<Vec<_>, _>>()?;
        arrow_select::concat::concat(&cells.iter().map(AsRef::as_ref).collect::<Vec<_>>())
    })
}
