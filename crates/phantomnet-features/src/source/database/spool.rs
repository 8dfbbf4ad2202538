//! Rows of a database kept in temporary files.
//!
//! Events are read more than once: to guess types, to read them, to show a few of them again. A database would be asked as
//! often, and might answer in another order, or of other rows.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tempfile::TempPath;

use crate::source::database::{DatabaseRows, DatabaseSource};
use crate::source::error::SourceError;
use crate::source::row_json::value_as_json;

/// Rows that are asked for at a time.
const BATCH_ROWS: usize = 8192;

/// Bytes after which what was written is let go of.
const GROUP_BYTES: usize = 32 << 20;

/// All rows of a table or query, deleted when dropped.
#[derive(Debug)]
pub(crate) struct Spool {
    /// Parquet files, and the rows before each. Another one is begun where columns change their types, which SQLite's do.
    pieces: Vec<(u64, TempPath)>,
    /// Size and BLAKE3 of the values in order, as JSON, a line each.
    pub(crate) n_bytes: u64,
    pub(crate) digest: [u8; 32],
    /// Rows with bytes that are not UTF-8, and U+FFFD here.
    pub(crate) n_lossy: u64,
    /// What should be said about the order of the rows.
    pub(crate) warning: Option<String>,
}

struct Piece {
    path: TempPath,
    schema: Arc<Schema>,
    writer: ArrowWriter<File>,
}

impl Spool {
    /// Reads all rows.
    ///
    /// # Errors
    /// Those of [`DatabaseRows`]; `Write` when the temporary folder is full.
    pub(crate) fn fill(source: &DatabaseSource) -> Result<Self, SourceError> {
        let mut rows = DatabaseRows::open(source)?;
        let (mut pieces, mut open) = (Vec::new(), None::<Piece>);
        let (mut digest, mut n_bytes, mut n_rows) = (blake3::Hasher::new(), 0, 0);
        while let Some(arrays) = rows.next(BATCH_ROWS)? {
            for array in &arrays {
                for row in 0..array.len() {
                    let value = value_as_json(array, row).to_string();
                    digest.update(value.as_bytes());
                    digest.update(b"\n");
                    n_bytes += value.len() as u64 + 1;
                }
            }
            let n_before = n_rows;
            n_rows += arrays.first().map_or(0, |array| array.len()) as u64;
            let schema = schema_of(rows.columns(), &arrays);
            if open.as_ref().is_none_or(|piece| piece.schema != schema) {
                pieces.extend(open.take().map(Piece::close).transpose()?.into_iter().map(|path| (n_before, path)));
                open = Some(Piece::create(&schema)?);
            }
            if let Some(piece) = &mut open {
                piece.write(arrays)?;
            }
        }
        pieces.extend(open.map(Piece::close).transpose()?.into_iter().map(|path| (n_rows, path)));
        // So far with the rows up to the end of each.
        let mut before = 0;
        for (n, _) in &mut pieces {
            before = std::mem::replace(n, before);
        }
        let (n_lossy, warning) = (rows.n_lossy(), rows.warning());
        Ok(Self { pieces, n_bytes, digest: digest.finalize().into(), n_lossy, warning })
    }

    /// Parquet files, and the rows before each.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (u64, &Path)> {
        self.pieces.iter().map(|(before, path)| (*before, path.as_ref()))
    }
}

fn schema_of(columns: &[String], arrays: &[ArrayRef]) -> Arc<Schema> {
    let field = |(name, array): (&String, &ArrayRef)| Field::new(name, array.data_type().clone(), true);
    Arc::new(Schema::new(columns.iter().zip(arrays).map(field).collect::<Vec<_>>()))
}

impl Piece {
    fn create(schema: &Arc<Schema>) -> Result<Self, SourceError> {
        let (file, path) = tempfile::Builder::new()
            .prefix("phantomnet-rows-")
            .tempfile()
            .map_err(|error| SourceError::write(&std::env::temp_dir(), error))?
            .into_parts();
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties));
        let writer = writer.map_err(|error| SourceError::write(&path, error))?;
        Ok(Self { path, schema: Arc::clone(schema), writer })
    }

    fn write(&mut self, arrays: Vec<ArrayRef>) -> Result<(), SourceError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|error| SourceError::write(&self.path, error))?;
        self.writer
            .write(&batch)
            .and_then(|()| if self.writer.in_progress_size() > GROUP_BYTES { self.writer.flush() } else { Ok(()) })
            .map_err(|error| SourceError::write(&self.path, error))
    }

    fn close(self) -> Result<TempPath, SourceError> {
        let path = self.path;
        match self.writer.close() {
            Ok(_) => Ok(path),
            Err(error) => Err(SourceError::write(&path, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::DataType;

    use super::*;
    use crate::source::database::testing;
    use crate::source::parquet;
    use crate::source::row::Names;

    #[test]
    fn rows_are_kept_as_the_database_gave_them_and_files_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        let database = rusqlite::Connection::open(&path).unwrap();
        // Types change with the batches.
        database
            .execute_batch(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, x);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                 INSERT INTO t SELECT i, CASE WHEN i = 9000 THEN 'word' WHEN i % 7 = 0 THEN NULL ELSE i END FROM n;",
            )
            .unwrap();
        let source = testing::source(&format!("sqlite:///{}", path.display()), testing::table("t"));
        let (expected, types) = testing::read_all(&source, BATCH_ROWS).unwrap();
        assert_eq!(types[1][1], DataType::Utf8);
        let spool = Spool::fill(&source).unwrap();
        let mut found = Vec::new();
        for (before, path) in spool.pieces() {
            assert_eq!(before, found.len() as u64);
            parquet::read(path, &Names::new(Vec::new(), true), &mut |parquet::Rows { columns, n_rows, .. }| {
                let cells = |row| columns.iter().map(|(_, array)| value_as_json(array, row)).collect();
                found.extend((0..n_rows).map(|row| serde_json::Value::Array(cells(row)).to_string()));
                Ok(())
            })
            .unwrap();
        }
        assert_eq!((spool.pieces().count(), found.len()), (3, 20000));
        assert_eq!(found, expected);
        let files: Vec<_> = spool.pieces().map(|(_, path)| path.to_path_buf()).collect();
        drop(spool);
        assert!(files.iter().all(|path| !path.exists()));
    }
}
