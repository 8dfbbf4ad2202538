//! A Parquet file written in groups of rows, whose columns are encoded by several threads.

use std::fs::File;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread::JoinHandle;

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

/// Bytes of rows that make a group, as they are in memory. Where a group ends depends on the batches alone, not on threads.
const GROUP_BYTES: usize = 32 << 20;

/// A file of columns without structs.
pub(crate) struct GroupWriter {
    writer: SerializedFileWriter<File>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    n_threads: usize,
    n_groups: usize,
    /// Rows of the next group.
    held: Vec<RecordBatch>,
    n_bytes: usize,
    /// The group before, while it is encoded: meanwhile rows of the next one come in.
    encoding: Option<JoinHandle<Result<Vec<ArrowColumnChunk>>>>,
}

impl GroupWriter {
    pub(crate) fn create(to: File, schema: &SchemaRef, properties: WriterProperties, n_threads: usize) -> Result<Self> {
        let options = ArrowWriterOptions::new().with_properties(properties);
        let writer = ArrowWriter::try_new_with_options(to, schema.clone(), options)?;
        let (writer, factory) = writer.into_serialized_writer()?;
        let (schema, held) = (schema.clone(), Vec::new());
        Ok(Self { writer, factory, schema, n_threads, n_groups: 0, held, n_bytes: 0, encoding: None })
    }

    pub(crate) fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.n_bytes += batch.get_array_memory_size();
        self.held.push(batch);
        if self.n_bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    pub(crate) fn close(mut self) -> Result<()> {
        self.flush()?;
        self.write_encoded()?;
        self.writer.close().map(drop)
    }

    /// Has what is held encoded.
    fn flush(&mut self) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        self.n_bytes = 0;
        if held.is_empty() {
            return Ok(());
        }
        self.write_encoded()?;
        let writers = self.factory.create_column_writers(self.n_groups)?;
        self.n_groups += 1;
        let (schema, n_threads) = (self.schema.clone(), self.n_threads);
        self.encoding = Some(std::thread::spawn(move || encode(&schema, &held, writers, n_threads)));
        Ok(())
    }

    /// Writes the group that was encoded last.
    fn write_encoded(&mut self) -> Result<()> {
        let Some(encoding) = self.encoding.take() else { return Ok(()) };
        let chunks = encoding.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        let mut group = self.writer.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close().map(drop)
    }
}

/// The columns of a group, each encoded by one thread.
fn encode(
    schema: &SchemaRef,
    held: &[RecordBatch],
    writers: Vec<ArrowColumnWriter>,
    n_threads: usize,
) -> Result<Vec<ArrowColumnChunk>> {
    let n_bytes = |i: usize| held.iter().map(|batch| batch.column(i).get_array_memory_size()).sum::<usize>();
    let mut waiting: Vec<(usize, ArrowColumnWriter)> = writers.into_iter().enumerate().collect();
    // From the end, so that no thread is left with the longest.
    waiting.sort_by_cached_key(|&(i, _)| n_bytes(i));
    let waiting = Mutex::new(waiting);
    let work = || {
        let mut done = Vec::new();
        loop {
            let next = waiting.lock().map(|mut waiting| waiting.pop()).unwrap_or_default();
            let Some((i, mut writer)) = next else { return Ok(done) };
            for batch in held {
                for leaf in compute_leaves(schema.field(i), batch.column(i))? {
                    writer.write(&leaf)?;
                }
            }
            done.push((i, writer.close()?));
        }
    };
    let results: Vec<Result<Vec<(usize, ArrowColumnChunk)>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut chunks = Vec::new();
    for result in results {
        chunks.extend(result?);
    }
    chunks.sort_by_key(|(i, _)| *i);
    Ok(chunks.into_iter().map(|(_, chunk)| chunk).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[test]
    fn groups_hold_all_rows_in_order_whatever_the_threads() {
        let batch = |start: i64| {
            let numbers = start..start + 20_000;
            let texts = numbers.clone().map(|i| (i % 5 != 0).then(|| format!("payload {i} {}", "x".repeat(200))));
            let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
            RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap()
        };
        let batches: Vec<RecordBatch> = (0..12).map(|i| batch(i * 20_000)).collect();
        let folder = tempfile::tempdir().unwrap();
        let written = |n_threads: usize| {
            let path = folder.path().join(format!("{n_threads}.parquet"));
            let properties = WriterProperties::builder().build();
            let mut writer =
                GroupWriter::create(File::create(&path).unwrap(), &batches[0].schema(), properties, n_threads).unwrap();
            for batch in &batches {
                writer.write(batch.clone()).unwrap();
            }
            writer.close().unwrap();
            path
        };
        let path = written(1);
        assert!(std::fs::read(&path).unwrap() == std::fs::read(written(3)).unwrap());
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        assert!(builder.metadata().num_row_groups() > 1);
        let found: Vec<RecordBatch> = builder.with_batch_size(20_000).build().unwrap().map(|b| b.unwrap()).collect();
        let schema = batches[0].schema();
        let joined = |batches: &[RecordBatch]| arrow_select::concat::concat_batches(&schema, batches).unwrap();
        assert_eq!(joined(&found).columns(), joined(&batches).columns());
    }
}
