//! Events as they arrive, from a pipe that may never end or a file too large to hold.

use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use arrow_array::{RecordBatch, RecordBatchOptions};

use crate::events::{ColumnType, EventSchema, Place, RejectedLine};
use crate::source::columns::{Columns, Plan, convert};
use crate::source::decode::{Decoder, Span};
use crate::source::error::SourceError;
use crate::source::excerpt::excerpt;
use crate::source::foreign::refuse_foreign;
use crate::source::latin1::Encoding;
use crate::source::layout::{Layout, NoLayout, OPEN_LIST, Wanted, read_layout, terminator_of, without_mark};
use crate::source::open::{Compression, Content, Head, is_undecided, utf16_mark};
use crate::source::row::{Names, Source};
use crate::source::sniff::sniff_wanted;
use crate::source::text::{Next, Text};
use crate::source::{Format, ReadOptions};

/// Longest header of a stream.
const MAX_HEADER_BYTES: usize = 16 << 20;

/// Beginning of a stream in which a line is waited for.
const MAX_FIRST_LINE_BYTES: usize = 1 << 20;

/// Bytes of records after which a batch ends, so that its columns of text stay small.
const MAX_BATCH_BYTES: usize = 64 << 20;

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
    text: Text<R>,
    decoder: Decoder,
    format: Format,
    layout: Layout,
    schema: EventSchema,
    warnings: Vec<String>,
    reject_misfits: bool,
    /// Whether records are those of a list in a document.
    is_in_list: bool,
}

impl EventStream<Box<dyn BufRead + Send>> {
    /// Opens a file, plain or compressed, as [`read_events_as`](crate::source::read_events_as) does.
    ///
    /// # Errors
    /// Those of opening the file; `Unsupported` for Parquet, which is not a stream; `Header` for a broken one.
    pub fn open(path: &Path, options: &ReadOptions, schema: &EventSchema) -> Result<Self, SourceError> {
        let head = Head::read(path, options, wanted(schema, &is_of(schema)))?;
        if head.format == Format::Parquet {
            return Err(no_stream(path.to_path_buf()));
        }
        let content = Content::open(path, options, head.encoding)?;
        let reader: Box<dyn BufRead + Send> = Box::new(BufReader::with_capacity(1 << 18, content));
        let mut text = Text::new(reader, head.terminator, options.max_line_bytes);
        text.skip_to(head.start).map_err(|source| SourceError::Stream { line: 0, source })?;
        let layout = head.layout().clone();
        let columns: Vec<String> = schema.names().map(str::to_owned).collect();
        let names = Names::new(columns.clone(), options.keep_extra);
        let decoder = Decoder::new(&layout, head.terminator, options.max_line_bytes, names, &columns);
        let decoder = decoder.after_lines(head.start_line);
        let (schema, warnings, reject_misfits) = (schema.clone(), head.warnings, options.reject_misfits);
        let (format, is_in_list) = (head.format, head.is_in_list);
        Ok(Self { text, decoder, format, layout, schema, warnings, reject_misfits, is_in_list })
    }
}

impl<R: BufRead> EventStream<R> {
    /// Reads UTF-8 text, such as standard input made [`plain_text`]; waits for the first line. Lines end by CR alone if there is no
    /// LF in the first MiB.
    ///
    /// The format is `options.format`, else told from what has arrived by then.
    ///
    /// # Errors
    /// `Stream` when reading fails; `Unsupported` for Parquet; `Header` for a broken one.
    pub fn new(reader: R, options: &ReadOptions, schema: &EventSchema) -> Result<Self, SourceError> {
        let name = PathBuf::from("-");
        let mut text = Text::new(reader, b'\n', options.max_line_bytes);
        let failed = |source| SourceError::Stream { line: 0, source };
        let has_line = |text: &[u8]| text.trim_ascii_start().contains(&b'\n');
        while !text.ended() && !has_line(text.arrived()) && text.arrived().len() < MAX_FIRST_LINE_BYTES {
            text.fill().map_err(failed)?;
        }
        refuse_foreign(&name, text.arrived(), options)?;
        let terminator = terminator_of(text.arrived());
        text = text.ended_by(terminator);
        text.consume(text.arrived().len() - without_mark(text.arrived()).len());
        let told = || sniff_wanted(text.arrived(), options.columns.as_deref(), is_of(schema));
        let format = options.format.unwrap_or_else(told);
        if format == Format::Parquet {
            return Err(no_stream(name));
        }
        let begun = loop {
            let n_bytes = text.arrived().len();
            match read_layout(text.arrived(), text.ended(), format, terminator, options, wanted(schema, &is_of(schema)))
            {
                Ok(begun) => break Some(begun),
                Err(NoLayout::Empty) => break None,
                Err(NoLayout::Header(reason)) => return Err(SourceError::Header { path: name, reason }),
                Err(NoLayout::Pending) if n_bytes > MAX_HEADER_BYTES => {
                    let reason = format!("it does not end within {MAX_HEADER_BYTES} bytes");
                    return Err(SourceError::Header { path: name, reason });
                }
                Err(NoLayout::Pending) => text.fill().map_err(failed)?,
            }
        };
        let columns: Vec<String> = schema.names().map(str::to_owned).collect();
        let names = Names::new(columns.clone(), options.keep_extra);
        let (schema, reject_misfits) = (schema.clone(), options.reject_misfits);
        let Some(begun) = begun else {
            let layout = Layout::JsonLines;
            // Of a text that is damaged before its first byte, that is all there is to say.
            let decoder = Decoder::new(&layout, terminator, options.max_line_bytes, names, &columns);
            let (warnings, is_in_list) = (Vec::new(), false);
            return Ok(Self { text, decoder, format, layout, schema, warnings, reject_misfits, is_in_list });
        };
        let lines = memchr::memchr_iter(terminator, &text.arrived()[..begun.start]).count() as u64;
        let decoder =
            Decoder::new(&begun.layout, terminator, options.max_line_bytes, names, &columns).after_lines(lines);
        text.consume(begun.start);
        let is_in_list = begun.is_in_list();
        let (layout, warnings) = (begun.layout, begun.warnings);
        Ok(Self { text, decoder, format, layout, schema, warnings, reject_misfits, is_in_list })
    }

    /// How records are laid out; for delimited text with the names of its header.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What a person should know about the header.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What a person should know about the records so far.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = self.decoder.tally.remarks(self.format);
        let is_open = self.is_in_list && self.text.ended() && !self.decoder.before.is_after_list;
        remarks.extend(is_open.then(|| OPEN_LIST.to_owned()));
        remarks
    }

    /// The next events, at most `max_rows` (at least 1); `None` at the end.
    ///
    /// Waits for the first complete record only: what has arrived with it is returned, and no more is waited for, so
    /// that a verdict does not lag behind a log that grows slowly. A batch may hold rejected records alone.
    ///
    /// # Errors
    /// `Stream` when reading fails, `ColumnFull` when the batch holds more than 2 GiB of one column.
    pub fn next_batch(&mut self, max_rows: usize) -> Result<Option<RawBatch>, SourceError> {
        let decoder = &mut self.decoder;
        let (mut lines, mut places, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        let schema = self.schema.columns();
        let plan = |column: usize| Plan {
            column_type: Some(schema.get(column).map_or(ColumnType::Text, |known| known.1)),
            given: true,
        };
        let mut columns = Columns::default();
        let mut n_bytes = 0;
        while lines.len().max(rejected.len()) < max_rows.max(1) && n_bytes < MAX_BATCH_BYTES {
            let wait = lines.is_empty() && rejected.is_empty();
            let line = decoder.n_lines();
            let next = self.text.next(decoder, wait).map_err(|source| SourceError::Stream { line, source })?;
            let mut reject = |text: &Text<R>, span, reason| {
                let place = place(text, span);
                rejected.push(RejectedLine { place, reason, excerpt: excerpt(text.bytes(span)) });
            };
            match next {
                Next::Record(span) => {
                    n_bytes += span.end - span.start;
                    match columns.push(&decoder.row, Source::unchecked(self.text.source()), plan, self.reject_misfits) {
                        Ok(()) => {
                            lines.push(String::from_utf8_lossy(self.text.bytes(span)).into_owned());
                            places.push(place(&self.text, span));
                        }
                        Err(misfit) => reject(&self.text, span, misfit.reason(decoder.names.as_slice(), plan)),
                    }
                }
                Next::Rejected(span, reason) => reject(&self.text, span, reason),
                Next::Pending | Next::End => break,
            }
        }
        if lines.is_empty() && rejected.is_empty() {
            return Ok(None);
        }
        let names = decoder.names.as_slice();
        let (mut n_unparsed, mut arrays, mut types) = (0, Vec::new(), Vec::new());
        for (i, column) in columns.finish(names.len(), plan).into_iter().enumerate() {
            let column_type = plan(i).column_type.unwrap_or(ColumnType::Text);
            n_unparsed += column.n_unparsed;
            arrays.push(convert(&column.array, column_type, &mut 0));
            types.push((names[i].clone(), column_type));
        }
        let schema = EventSchema::new(types)?;
        let options = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        let batch = RecordBatch::try_new_with_options(schema.arrow(), arrays, &options)
            .expect("arrays are as long as the table and of the schema's types");
        Ok(Some(RawBatch { batch, lines, places, rejected, n_unparsed }))
    }
}

/// Text that arrives bit by bit as plain UTF-8: decompressed, by its first bytes, and decoded from `options.encoding` or from UTF-16
/// with a byte order mark. What is plain is given back as it is.
///
/// # Errors
/// `Stream` when its beginning cannot be read.
pub fn plain_text(
    mut reader: impl BufRead + Send + 'static,
    options: &ReadOptions,
) -> Result<Box<dyn BufRead + Send>, SourceError> {
    let failed = |source| SourceError::Stream { line: 0, source };
    // No more than that is waited for.
    let mut first = Vec::new();
    while is_undecided(&first) {
        let length = first.len();
        reader.by_ref().take(1).read_to_end(&mut first).map_err(failed)?;
        if first.len() == length {
            break;
        }
    }
    let is_encoded = options.encoding.is_some_and(|encoding| encoding != Encoding::Utf8);
    let is_plain = Compression::of(&first).is_none() && utf16_mark(&first).is_none() && !is_encoded;
    let reader = Cursor::new(first).chain(reader);
    if is_plain {
        return Ok(Box::new(reader));
    }
    let content = Content::new(reader, options.max_file_bytes, options.encoding).map_err(failed)?;
    Ok(Box::new(BufReader::with_capacity(1 << 16, content)))
}

fn wanted<'a>(schema: &EventSchema, is_known: &'a dyn Fn(&str) -> bool) -> Wanted<'a> {
    Wanted { is_known, only_payloads: Wanted::only_payloads_of(schema) }
}

fn is_of(schema: &EventSchema) -> impl Fn(&str) -> bool {
    |name| schema.names().any(|known| known == name)
}

fn place<R: BufRead>(text: &Text<R>, span: Span) -> Place {
    Place { file: 0, line: span.line + 1, offset: text.offset(span) }
}

fn no_stream(path: PathBuf) -> SourceError {
    let advice = "name the Parquet file instead of streaming it";
    SourceError::Unsupported { path, what: "a stream of Parquet", advice }
}
