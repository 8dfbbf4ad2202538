//! Logs written as Parquet, block by block.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::events::{EventSchema, Rejected, SourceFile};
use crate::source::columns::under;
use crate::source::groups::GroupWriter;
use crate::source::plans::Plans;
use crate::source::read::Reading;
use crate::source::row::{MAX_COLUMNS, Names};
use crate::source::scan::{FileEnd, Gather, Part, n_threads};
use crate::source::table::Gathered;
use crate::source::{ReadOptions, ReadProgress, SourceError};

/// The column that counts rows.
pub const ROW_ID: &str = "row_id";

/// What was written.
#[derive(Debug, Clone)]
pub struct Converted {
    /// Names and types of the columns, [`ROW_ID`] apart.
    pub schema: EventSchema,
    /// Rows written.
    pub n_rows: u64,
    /// The files that were read.
    pub files: Vec<SourceFile>,
    /// The records that could not be read.
    pub rejected: Rejected,
    /// Columns with cells that do not parse under a given type and are NULL therefore, with the number of such cells.
    pub unparsed: Vec<(String, u64)>,
    /// What a person should know about the reading, one sentence each.
    pub warnings: Vec<String>,
}

/// Writes the events of files, as [`read_events`](crate::read_events) would read them, to a Parquet file.
///
/// Its first column, [`ROW_ID`], is the number of the row from 0 on, in the order of reading: the same files in the same order
/// give the same bytes. A block of rows is held at a time. `tell` is told how far that has come. A column of the data that is called `row_id` is written as `row_id_2`.
///
/// # Errors
/// Those of [`read_events`](crate::read_events); `Write` when the file cannot be written. The file may be incomplete then.
pub fn convert_events(
    paths: &[String],
    options: &ReadOptions,
    to: &Path,
    tell: &mut dyn FnMut(ReadProgress),
) -> Result<Converted, SourceError> {
    let mut plans = Plans::new(paths, options, Names::new(Vec::new(), true))?;
    loop {
        // Columns that come up later than in the beginnings of the files make another round necessary, as do their types.
        let schema = plans.schema();
        let mut writing = Writing::new(plans.reading(), schema, to, n_threads(options))?;
        plans.scan(&plans.table(), &mut writing, tell)?;
        let is_complete = writing.is_complete;
        let (mut reading, writer, columns) = (writing.reading, writing.writer, writing.columns);
        if plans.learn(&reading) || plans.schema() != columns || !is_complete {
            continue;
        }
        plans.check(&mut reading)?;
        writer.close().map_err(|error| SourceError::write(to, error))?;
        let (schema, n_rows, unparsed) = (reading.schema()?, reading.n_rows(), reading.unparsed());
        reading.warnings.extend(reading.left_out());
        let (files, rejected, warnings) = (reading.files, reading.rejected, reading.warnings);
        return Ok(Converted { schema, n_rows, files, rejected, unparsed, warnings });
    }
}

/// A file that is being written, under types that are not certain yet.
struct Writing<'a> {
    reading: Reading<'a>,
    columns: EventSchema,
    arrow: SchemaRef,
    writer: GroupWriter,
    to: &'a Path,
    n_rows: i64,
    /// Whether all columns so far are in the file.
    is_complete: bool,
}

impl<'a> Writing<'a> {
    fn new(reading: Reading<'a>, columns: EventSchema, to: &'a Path, n_threads: usize) -> Result<Self, SourceError> {
        let mut fields = vec![Field::new(ROW_ID, DataType::Int64, false)];
        for (name, column_type) in columns.columns() {
            let mut name = name.clone();
            if name == ROW_ID {
                name =
                    (2..).map(|i| format!("{ROW_ID}_{i}")).find(|n| !columns.names().any(|c| c == n)).unwrap_or(name);
            }
            fields.push(Field::new(name, column_type.data_type(), true));
        }
        let arrow: SchemaRef = Arc::new(Schema::new(fields));
        // The numbers of rows are all different, and each is one more than the one before.
        let row_id = ColumnPath::from(ROW_ID);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_column_dictionary_enabled(row_id.clone(), false)
            .set_column_encoding(row_id, Encoding::DELTA_BINARY_PACKED)
            .set_created_by(format!("phantomnet {}", env!("CARGO_PKG_VERSION")))
            .build();
        let file = File::create(to).map_err(|error| SourceError::write(to, error))?;
        let writer =
            GroupWriter::create(file, &arrow, properties, n_threads).map_err(|error| SourceError::write(to, error))?;
        Ok(Self { reading, columns, arrow, writer, to, n_rows: 0, is_complete: true })
    }

    fn write(&mut self, gathered: &Gathered, n_rows: usize) -> Result<(), SourceError> {
        let known: HashSet<&str> = self.columns.names().collect();
        // A block may have columns that the table has no room for: no other round would find some for them.
        self.is_complete &= known.len() >= MAX_COLUMNS
            || gathered.columns.iter().all(|(name, _, column)| !column.is_present || known.contains(name.as_str()));
        if !self.is_complete || n_rows == 0 {
            return Ok(());
        }
        let ids = (self.n_rows..).take(n_rows).collect::<Int64Array>();
        self.n_rows += n_rows as i64;
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(ids)];
        arrays.extend(under(&self.columns, n_rows, |i, name| gathered.array(i, name)));
        let batch = RecordBatch::try_new(Arc::clone(&self.arrow), arrays)
            .map_err(|error| SourceError::write(self.to, error))?;
        self.writer.write(batch).map_err(|error| SourceError::write(self.to, error))
    }
}

impl Gather<Gathered> for Writing<'_> {
    fn part(&mut self, file: usize, mut part: Part<Gathered>) -> Result<(), SourceError> {
        self.write(&part.out, part.n_rows)?;
        // Only what is known of the cells is kept, not the cells and their places.
        part.out.forget_cells();
        part.starts.clear();
        self.reading.part(file, part)
    }

    fn end(&mut self, file: usize, end: FileEnd) -> Result<(), SourceError> {
        self.reading.end(file, end)
    }
}
