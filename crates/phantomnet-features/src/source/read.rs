//! All events of some files as one table.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::events::{ColumnType, EventSchema, Events, Place, Rejected, RejectedLine, SourceFile};
use crate::source::excerpt::{excerpt, visible};
use crate::source::header::{NoLayout, read_layout};
use crate::source::open::{Opened, Text, measure};
use crate::source::parser::{Layout, Parser};
use crate::source::records::{Next, Records};
use crate::source::row::{MAX_COLUMNS, Names};
use crate::source::table::Table;
use crate::source::{Format, ReadOptions, SourceError, parquet, path};

/// Rejected records that are kept; of the others only the number is known.
const MAX_KEPT: usize = 10_000;

/// Reads the events of files, folders and patterns, inferring the type of each column from all its cells.
///
/// Columns go by name: files may order them differently and lack some of them (NULL then). Types: integers, else numbers,
/// else booleans, each only if all cells are such, else text. An empty field of separated values is NULL, quoted or not; an
/// empty JSON string is a text. Nested JSON objects and Parquet structs give columns `parent.child`, lists are JSON text.
/// `nan` in a column of numbers is NULL, `inf` and `-inf` are values. The same files in the same order give the same events.
///
/// # Errors
/// Paths, formats and headers that cannot be read; `TooManyRejected` past `options.max_rejected`; `NoEvents`;
/// `UnknownColumn` for a type given to a column that there is not.
pub fn read_events(paths: &[String], options: &ReadOptions) -> Result<Events, SourceError> {
    let mut reading = Reading::new(options, Names::new(Vec::new(), true))?;
    let paths = reading.expand(paths)?;
    reading.read_all(&paths)?;
    let names = reading.table.names.as_slice();
    if let Some(column) = options.types.keys().find(|name| !names.contains(name)) {
        let mut columns: Vec<String> = names.iter().take(20).map(|name| format!("`{}`", visible(name, 60))).collect();
        columns.extend((names.len() > 20).then(|| "...".to_owned()));
        return Err(SourceError::UnknownColumn { column: column.clone(), columns: columns.join(", ") });
    }
    reading.finish(Vec::new(), |_, name| options.types.get(name).copied())
}

/// Reads events under the schema of a trained model.
///
/// The columns of the schema come in its order and types. One that no file holds is all NULL and listed as absent; a cell
/// that does not parse under its type is NULL and counted. Other columns are dropped, or kept as text after the others when
/// `options.keep_extra`; `options.types` plays no part.
///
/// # Errors
/// Those of [`read_events`], `UnknownColumn` apart.
pub fn read_events_as(paths: &[String], options: &ReadOptions, schema: &EventSchema) -> Result<Events, SourceError> {
    let names = Names::new(schema.names().map(str::to_owned).collect(), options.keep_extra);
    let mut reading = Reading::new(options, names)?;
    let paths = reading.expand(paths)?;
    reading.read_all(&paths)?;
    let is_absent = |column: &usize| !reading.table.is_present(*column);
    let absent: Vec<String> =
        (0..schema.columns().len()).filter(is_absent).map(|column| schema.columns()[column].0.clone()).collect();
    reading.finish(absent, |column, _| {
        let known = schema.columns().get(column);
        Some(known.map_or(ColumnType::Text, |known| known.1))
    })
}

struct Reading<'a> {
    options: &'a ReadOptions,
    table: Table,
    places: Vec<Place>,
    files: Vec<SourceFile>,
    rejected: Rejected,
    fingerprint: Sha256,
    warnings: Vec<String>,
}

impl<'a> Reading<'a> {
    fn new(options: &'a ReadOptions, names: Names) -> Result<Self, SourceError> {
        if !(0.0..=1.0).contains(&options.max_rejected) {
            return Err(SourceError::MaxRejected { got: options.max_rejected });
        }
        Ok(Self {
            options,
            table: Table::new(names),
            places: Vec::new(),
            files: Vec::new(),
            rejected: Rejected::default(),
            fingerprint: Sha256::new(),
            warnings: Vec::new(),
        })
    }

    fn expand(&mut self, paths: &[String]) -> Result<Vec<PathBuf>, SourceError> {
        let (paths, warnings) = path::expand(paths)?;
        self.warnings.extend(warnings);
        Ok(paths)
    }

    fn read_all(&mut self, paths: &[PathBuf]) -> Result<(), SourceError> {
        let mut without_events = Vec::new();
        for path in paths {
            if let Some(why) = self.read_file(path)? {
                without_events.push((path, why));
            }
        }
        let (n, n_lines) = (self.rejected.n, self.rejected.n + self.table.n_rows() as u64);
        if n > 0 && n as f64 > self.options.max_rejected * n_lines as f64 {
            let first = self.rejected.kept[0].clone();
            return Err(SourceError::TooManyRejected {
                n,
                n_lines,
                max_rejected: self.options.max_rejected,
                path: self.files[first.place.file as usize].path.clone(),
                first: Box::new(first),
                kept: std::mem::take(&mut self.rejected.kept),
            });
        }
        if let Some(&(path, why)) = without_events.first()
            && self.table.n_rows() == 0
        {
            let why = match without_events.len() - 1 {
                0 => why.to_owned(),
                n => format!("{why}, and {n} more without events"),
            };
            return Err(SourceError::NoEvents { path: path.clone(), why });
        }
        for (path, why) in without_events {
            self.warnings.push(format!("`{}` {why}", path.display()));
        }
        Ok(())
    }

    /// Reads a file; says in words how it is without events if it is.
    fn read_file(&mut self, path: &Path) -> Result<Option<&'static str>, SourceError> {
        let opened = Opened::new(path, self.options)?;
        let format = opened.format;
        let (rows_before, rejected_before) = (self.table.n_rows(), self.rejected.n);
        // The file itself is entered when its size is known; places count on its index.
        let mut is_empty = false;
        let mut layout = Layout::JsonLines;
        let text = if format == Format::Parquet {
            parquet::read(path, &mut self.table)?;
            let file = self.files.len() as u32;
            let n_rows = (self.table.n_rows() - rows_before) as u64;
            self.places.extend((1..=n_rows).map(|line| Place { file, line }));
            let mut text = opened.text;
            std::io::copy(&mut text, &mut std::io::sink()).map_err(|source| SourceError::Read {
                path: path.to_path_buf(),
                n_rows,
                source,
            })?;
            text
        } else {
            let mut records = Records::new(opened.text, opened.terminator, self.options.max_line_bytes);
            let read = self.read_records(path, format, &mut records)?;
            is_empty = read.is_none();
            layout = read.unwrap_or(layout);
            records.into_reader()
        };
        let (n_bytes, digest) = measure(text);
        self.fingerprint.update(n_bytes.to_le_bytes());
        self.fingerprint.update(digest);
        let n_rows = (self.table.n_rows() - rows_before) as u64;
        let n_rejected = self.rejected.n - rejected_before;
        self.files.push(SourceFile { path: path.to_path_buf(), format, layout, n_bytes, n_rows, n_rejected });
        Ok(match (n_rows, n_rejected) {
            (1.., _) => None,
            _ if is_empty => Some("is empty"),
            (0, 0) if format.delimiter().is_some() && self.options.columns.is_none() => {
                Some("has a header but no rows")
            }
            (0, 0) => Some("has no rows"),
            (0, _) => Some("has no row that can be read"),
        })
    }

    /// Reads the records of a text and tells their layout; `None` when there is nothing in it.
    fn read_records(
        &mut self,
        path: &Path,
        format: Format,
        records: &mut Records<Text>,
    ) -> Result<Option<Layout>, SourceError> {
        let rows_before = self.table.n_rows();
        let read = |n_rows: usize, source| {
            let n_rows = (n_rows - rows_before) as u64;
            SourceError::Read { path: path.to_path_buf(), n_rows, source }
        };
        let mut warnings = Vec::new();
        let layout = match read_layout(records, format, self.options.columns.as_deref(), &mut warnings) {
            Ok(layout) => layout,
            Err(NoLayout::Empty) => return Ok(None),
            Err(NoLayout::Header(reason)) => return Err(SourceError::Header { path: path.to_path_buf(), reason }),
            Err(NoLayout::Io(source)) => return Err(read(rows_before, source)),
        };
        self.warnings.extend(warnings.into_iter().map(|warning| format!("`{}`: {warning}", path.display())));
        let header = layout.header();
        let mut parser = Parser::new(&layout, &mut self.table.names).map_err(|_| SourceError::TooManyColumns {
            path: path.to_path_buf(),
            n: header.len().max(MAX_COLUMNS + 1),
            limit: MAX_COLUMNS,
        })?;
        let file = self.files.len() as u32;
        let mut spread = Spread::default();
        loop {
            let n_rows = self.table.n_rows();
            match records.next(true).map_err(|source| read(n_rows, source))? {
                Next::Record { line, bytes } => match parser.parse(bytes, &mut self.table.names) {
                    Ok(Some(row)) => {
                        self.table.push(row)?;
                        self.places.push(Place { file, line });
                    }
                    Ok(None) => spread.in_array |= format == Format::JsonLines,
                    Err(reason) => {
                        if format == Format::JsonLines && n_rows == rows_before {
                            spread.note(bytes, &reason);
                        }
                        self.reject(Place { file, line }, reason, bytes);
                    }
                },
                Next::Broken { line, why, beginning } => {
                    self.reject(Place { file, line }, why.reason(header), beginning);
                }
                Next::Pending | Next::End => break,
            }
            if spread.n_failed == 2 && spread.is_likely() && self.table.n_rows() == rows_before {
                return Err(SourceError::JsonLayout { path: path.to_path_buf() });
            }
        }
        if spread.is_likely() && self.table.n_rows() == rows_before {
            return Err(SourceError::JsonLayout { path: path.to_path_buf() });
        }
        if parser.n_lossy > 0 {
            let (path, n) = (path.display(), parser.n_lossy);
            self.warnings.push(format!("`{path}`: {n} records are not UTF-8; what is not is read as U+FFFD"));
        }
        Ok(Some(layout))
    }

    fn reject(&mut self, place: Place, reason: String, bytes: &[u8]) {
        self.rejected.n += 1;
        if self.rejected.kept.len() < MAX_KEPT {
            self.rejected.kept.push(RejectedLine { place, reason, excerpt: excerpt(bytes) });
        }
    }

    fn finish(
        mut self,
        absent: Vec<String>,
        given: impl Fn(usize, &str) -> Option<ColumnType>,
    ) -> Result<Events, SourceError> {
        let finished = self.table.finish(given)?;
        let mut unparsed = Vec::new();
        for ((name, column_type), n) in finished.schema.columns().iter().zip(finished.n_unparsed) {
            if n > 0 {
                let column = visible(name, 60);
                self.warnings
                    .push(format!("column `{column}`: {n} cells are not of type {column_type} and count as missing"));
                unparsed.push((name.clone(), n));
            }
        }
        for name in &absent {
            self.warnings
                .push(format!("column `{}` is not in the data; all its values are missing", visible(name, 60)));
        }
        let fingerprint = self.fingerprint.finalize();
        Ok(Events {
            batch: finished.batch,
            schema: finished.schema,
            places: self.places,
            files: self.files,
            rejected: self.rejected,
            fingerprint: fingerprint.iter().map(|byte| format!("{byte:02x}")).collect(),
            unparsed,
            absent,
            warnings: self.warnings,
            options: self.options.clone(),
        })
    }
}

/// Signs at the beginning of a file that its JSON is not one object a line.
#[derive(Default)]
struct Spread {
    /// A bracket stands alone on a line.
    in_array: bool,
    /// The first object goes on, or another value follows it, on the same line.
    cut: bool,
    n_failed: usize,
}

impl Spread {
    fn note(&mut self, record: &[u8], reason: &str) {
        self.n_failed += 1;
        self.cut |= self.n_failed == 1 && (reason.starts_with("EOF") || record.trim_ascii_start().starts_with(b"["));
    }

    fn is_likely(&self) -> bool {
        self.n_failed > 0 && (self.cut || self.in_array)
    }
}
