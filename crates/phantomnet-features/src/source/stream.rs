//! Events as they arrive, from a pipe that may never end or a file too large to hold.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;

use crate::events::{ColumnType, EventSchema, Place, RejectedLine};
use crate::source::error::SourceError;
use crate::source::excerpt::excerpt;
use crate::source::header::{NoLayout, read_layout};
use crate::source::open::{Opened, sniff};
use crate::source::parser::{Layout, Parser};
use crate::source::records::{Next, Records};
use crate::source::row::{MAX_COLUMNS, Names};
use crate::source::table::Table;
use crate::source::{Format, ReadOptions};

/// Some events of a stream.
#[derive(Debug, Clone)]
pub struct RawBatch {
    /// One row an event: the columns of the schema, then others if `keep_extra`.
    pub batch: RecordBatch,
    /// The raw record of each row; bytes that are not UTF-8 are U+FFFD.
    pub lines: Vec<String>,
    /// Where each row comes from; the file is always 0.
    pub places: Vec<Place>,
    /// Records between these rows that could not be read.
    pub rejected: Vec<RejectedLine>,
    /// Cells of the batch, over all columns, that do not parse under the type of their column and are NULL therefore.
    pub n_unparsed: u64,
}

/// A stream of events read under a given schema, a few at a time.
#[derive(Debug)]
pub struct EventStream<R> {
    records: Records<R>,
    parser: Option<Parser>,
    layout: Layout,
    schema: EventSchema,
    table: Table,
    warnings: Vec<String>,
}

impl EventStream<Box<dyn BufRead + Send>> {
    /// Opens a file, plain or compressed, as [`read_events_as`](crate::source::read_events_as) does.
    ///
    /// # Errors
    /// Those of opening the file; `Unsupported` for Parquet, which is not a stream; `Header` for a broken one.
    pub fn open(path: &Path, options: &ReadOptions, schema: &EventSchema) -> Result<Self, SourceError> {
        let opened = Opened::new(path, options)?;
        let text: Box<dyn BufRead + Send> = Box::new(opened.text);
        let records = Records::new(text, opened.terminator, options.max_line_bytes);
        Self::start(path.to_path_buf(), records, opened.format, options, schema)
    }
}

impl<R: BufRead> EventStream<R> {
    /// Reads plain UTF-8 text with LF or CRLF line ends, such as standard input; waits for the first line.
    ///
    /// The format is `options.format`, else told from the first line.
    ///
    /// # Errors
    /// `Stream` when reading fails; `Unsupported` for Parquet; `Header` for a broken one.
    pub fn new(reader: R, options: &ReadOptions, schema: &EventSchema) -> Result<Self, SourceError> {
        let mut records = Records::new(reader, b'\n', options.max_line_bytes);
        let name = PathBuf::from("-");
        let head = records.peek().map_err(|source| SourceError::Stream { line: 0, source })?;
        let format = options.format.unwrap_or_else(|| sniff(head));
        Self::start(name, records, format, options, schema)
    }

    fn start(
        name: PathBuf,
        mut records: Records<R>,
        format: Format,
        options: &ReadOptions,
        schema: &EventSchema,
    ) -> Result<Self, SourceError> {
        if format == Format::Parquet {
            let advice = "name the Parquet file instead of streaming it";
            return Err(SourceError::Unsupported { path: name, what: "a stream of Parquet", advice });
        }
        let mut names = Names::new(schema.names().map(str::to_owned).collect(), options.keep_extra);
        let mut warnings = Vec::new();
        let (parser, layout) = match read_layout(&mut records, format, options.columns.as_deref(), &mut warnings) {
            Ok(layout) => {
                let parser = Parser::new(&layout, &mut names);
                let too_many = |_| SourceError::TooManyColumns {
                    path: name.clone(),
                    n: layout.header().len(),
                    limit: MAX_COLUMNS,
                };
                (Some(parser.map_err(too_many)?), layout)
            }
            Err(NoLayout::Empty) => (None, Layout::JsonLines),
            Err(NoLayout::Header(reason)) => return Err(SourceError::Header { path: name, reason }),
            Err(NoLayout::Io(source)) => return Err(SourceError::Stream { line: records.n_lines(), source }),
        };
        let table = Table::new(names);
        Ok(Self { records, parser, layout, schema: schema.clone(), table, warnings })
    }

    /// How records are laid out; for delimited text with the names of its header.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What a person should know about the header.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The next events, at most `max_rows` (at least 1); `None` at the end.
    ///
    /// Waits for the first complete record only: what has arrived with it is returned, and no more is waited for, so
    /// that a verdict does not lag behind a log that grows slowly. A batch may hold rejected records alone.
    ///
    /// # Errors
    /// `Stream` when reading fails, `ColumnFull` when the batch holds more than 2 GiB of one column.
    pub fn next_batch(&mut self, max_rows: usize) -> Result<Option<RawBatch>, SourceError> {
        let Some(parser) = &mut self.parser else {
            return Ok(None);
        };
        let (mut lines, mut places, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        let header = self.layout.header();
        while lines.len().max(rejected.len()) < max_rows.max(1) {
            let wait = lines.is_empty() && rejected.is_empty();
            let n_lines = self.records.n_lines();
            let next = self.records.next(wait).map_err(|source| SourceError::Stream { line: n_lines, source })?;
            let mut reject = |line, reason, bytes: &[u8]| {
                rejected.push(RejectedLine { place: Place { file: 0, line }, reason, excerpt: excerpt(bytes) });
            };
            match next {
                Next::Record { line, bytes } => match parser.parse(bytes, &mut self.table.names) {
                    Ok(Some(row)) => {
                        self.table.push(row)?;
                        lines.push(String::from_utf8_lossy(bytes).into_owned());
                        places.push(Place { file: 0, line });
                    }
                    Ok(None) => {}
                    Err(reason) => reject(line, reason, bytes),
                },
                Next::Broken { line, why, beginning } => reject(line, why.reason(header), beginning),
                Next::Pending | Next::End => break,
            }
        }
        if lines.is_empty() && rejected.is_empty() {
            return Ok(None);
        }
        let schema = &self.schema;
        let given = |column: usize, _: &str| {
            let known = schema.columns().get(column);
            Some(known.map_or(ColumnType::Text, |known| known.1))
        };
        let finished = self.table.finish(given)?;
        let n_unparsed = finished.n_unparsed.iter().sum();
        Ok(Some(RawBatch { batch: finished.batch, lines, places, rejected, n_unparsed }))
    }
}
