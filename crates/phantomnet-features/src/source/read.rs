//! All events of some files as one table.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};

use crate::events::{ColumnType, EventSchema, Events, Origin, Place, Places, Rejected, RejectedLine, SourceFile};
use crate::source::database::Spool;
use crate::source::excerpt::visible;
use crate::source::open::Head;
use crate::source::plans::Plans;
use crate::source::reasons::nearly_numbers;
use crate::source::row::{MAX_COLUMNS, Names};
use crate::source::scan::{self, FileEnd, Gather, Part};
use crate::source::table::{Gathered, Joined, JoinedColumn, arrays_of};
use crate::source::tally::Tally;
use crate::source::{ReadOptions, SourceError};

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
    let mut reading = Plans::new(paths, options, Names::new(Vec::new(), true))?.read()?;
    for (name, column_type) in &options.expected {
        reading.table.expect(name, *column_type);
    }
    check_types(options, &reading.schema()?)?;
    reading.finish(Vec::new())
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
    let reading = Plans::under(paths, options, schema, options.keep_extra)?.read()?;
    let absent = reading.absent(schema);
    reading.finish(absent)
}

/// Makes sure that the columns whose types are given are there.
pub(crate) fn check_types(options: &ReadOptions, schema: &EventSchema) -> Result<(), SourceError> {
    let names: Vec<&str> = schema.names().collect();
    let Some(column) = options.types.keys().find(|name| !names.contains(&name.as_str())) else { return Ok(()) };
    let mut columns: Vec<String> = names.iter().take(20).map(|name| format!("`{}`", visible(name, 60))).collect();
    columns.extend((names.len() > 20).then(|| "...".to_owned()));
    Err(SourceError::UnknownColumn { column: column.clone(), columns: columns.join(", ") })
}
/// What has been read of some files.
pub(crate) struct Reading<'a> {
    options: &'a ReadOptions,
    pub(crate) table: Joined,
    places: Places,
    pub(crate) files: Vec<SourceFile>,
    pub(crate) rejected: Rejected,
    fingerprint: blake3::Hasher,
    pub(crate) warnings: Vec<String>,
    /// Of the file at hand.
    tally: Tally,
    spools: Vec<Option<Arc<Spool>>>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(options: &'a ReadOptions, heads: &[Head], warnings: Vec<String>) -> Self {
        let file = |head: &Head| SourceFile {
            path: head.path.clone(),
            format: head.format,
            layout: head.layout().clone(),
            terminator: head.terminator,
            encoding: head.encoding,
            n_bytes: 0,
            n_rows: 0,
            n_rejected: 0,
        };
        let mut reading = Self {
            options,
            table: Joined::default(),
            places: Places::default(),
            files: heads.iter().map(file).collect(),
            rejected: Rejected::default(),
            fingerprint: blake3::Hasher::new(),
            warnings,
            tally: Tally::default(),
            spools: heads.iter().map(|head| head.spool.clone()).collect(),
        };
        for head in heads {
            let named = |warning: &String| format!("`{}`: {warning}", head.path.display());
            reading.warnings.extend(head.warnings.iter().map(named));
        }
        reading
    }

    /// Stops where too much was rejected, or nothing read.
    pub(crate) fn check(&mut self, heads: &[Head]) -> Result<(), SourceError> {
        let (n, n_lines) = (self.rejected.n, self.rejected.n + self.table.n_rows as u64);
        if n > 0 && n as f64 > self.options.max_rejected * n_lines as f64 {
            let first = self.rejected.kept[0].clone();
            return Err(SourceError::TooManyRejected {
                n,
                n_lines,
                max_rejected: self.options.max_rejected,
                path: self.files[first.place.file as usize].path.clone(),
                first: Box::new(first),
                rejected: Box::new(std::mem::take(&mut self.rejected)),
            });
        }
        let why = |(file, head): (&SourceFile, &Head)| match (file.n_rows, file.n_rejected) {
            (1.., _) => None,
            _ if head.is_empty() => Some("is empty"),
            (0, 0) if head.format.delimiter().is_some() && self.options.columns.is_none() => {
                Some("has a header but no rows")
            }
            (0, 0) => Some("has no rows"),
            (0, _) => Some("has no row that can be read"),
        };
        let found = self.files.iter().zip(heads).filter_map(|pair| Some((pair.0.path.clone(), why(pair)?)));
        let without: Vec<_> = found.collect();
        if let Some((path, why)) = without.first()
            && self.table.n_rows == 0
        {
            let mut why = (*why).to_owned();
            let first = self.rejected.kept.iter().find(|line| self.files[line.place.file as usize].path == *path);
            if let Some(RejectedLine { place, reason, .. }) = first {
                why += &format!(" (line {}: {reason})", place.line);
            }
            if without.len() > 1 {
                why += &format!(", and {} more without events", without.len() - 1);
            }
            return Err(SourceError::NoEvents { path: path.clone(), why, has_records: first.is_some() });
        }
        self.warnings.extend(without.iter().map(|(path, why)| format!("`{}` {why}", path.display())));
        Ok(())
    }

    /// The columns.
    pub(crate) fn schema(&self) -> Result<EventSchema, SourceError> {
        EventSchema::new(self.table.columns.iter().map(|c| (c.name.clone(), c.column_type())).collect())
    }

    /// The number of rows.
    pub(crate) fn n_rows(&self) -> u64 {
        self.table.n_rows as u64
    }

    /// Columns of a schema that no file has.
    pub(crate) fn absent(&self, schema: &EventSchema) -> Vec<String> {
        let is_present = |name: &str| self.table.get(name).is_some_and(|column| column.is_present);
        schema.names().filter(|name| !is_present(name)).map(str::to_owned).collect()
    }

    /// Columns with cells that are not of their given type.
    pub(crate) fn unparsed(&self) -> Vec<(String, u64)> {
        let columns = self.table.columns.iter().filter(|c| c.n_unparsed > 0);
        columns.map(|c| (c.name.clone(), c.n_unparsed)).collect()
    }

    fn finish(mut self, absent: Vec<String>) -> Result<Events, SourceError> {
        let n_rows = self.table.n_rows;
        let columns = &self.table.columns;
        let arrays = arrays_of(columns, n_rows, scan::n_threads(self.options))?;
        for column in &mut self.table.columns {
            column.parts = Vec::new();
        }
        let schema = self.schema()?;
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        let batch = RecordBatch::try_new_with_options(schema.arrow(), arrays, &options)
            .expect("arrays are as long as the table and of the schema's types");
        let mut events = Events { batch, origin: self.into_origin(schema, absent) };
        let nearly = nearly_numbers(&events);
        events.origin.warnings.extend(nearly);
        Ok(events)
    }

    /// Tells that there are more columns than are read.
    pub(crate) fn left_out(&self) -> Option<String> {
        self.table.overflowed.then(|| format!("columns beyond the first {MAX_COLUMNS} are left out"))
    }

    /// Where the events come from, those columns of them that are in `schema`.
    pub(crate) fn into_origin(mut self, schema: EventSchema, absent: Vec<String>) -> Origin {
        let unparsed = self.unparsed();
        for (name, n) in &unparsed {
            let column_type = self.table.get(name).map_or(ColumnType::Text, JoinedColumn::column_type);
            let name = visible(name, 60);
            self.warnings
                .push(format!("column `{name}`: {n} cells are not of type {column_type} and count as missing"));
        }
        self.warnings.extend(self.left_out());
        for name in &absent {
            self.warnings
                .push(format!("column `{}` is not in the data; all its values are missing", visible(name, 60)));
        }
        Origin {
            schema,
            places: self.places,
            files: self.files,
            rejected: self.rejected,
            fingerprint: self.fingerprint.finalize().to_hex().to_string(),
            unparsed,
            absent,
            warnings: self.warnings,
            options: self.options.clone(),
            spools: self.spools,
        }
    }
}

impl Gather<Gathered> for Reading<'_> {
    fn part(&mut self, file: usize, part: Part<Gathered>) -> Result<(), SourceError> {
        let base = Place { file: file as u32, line: part.line + 1, offset: part.offset };
        self.places.push_part(base, &part.starts);
        self.files[file].n_rows += part.n_rows as u64;
        self.files[file].n_rejected += part.rejected.len() as u64;
        for rejected in part.rejected {
            let place = Place { file: file as u32, line: rejected.line, offset: rejected.offset };
            self.rejected.add(RejectedLine { place, reason: rejected.reason, excerpt: rejected.excerpt });
        }
        self.tally.add(part.tally);
        self.table.add((part.out, part.n_rows));
        Ok(())
    }

    fn end(&mut self, file: usize, end: FileEnd) -> Result<(), SourceError> {
        self.fingerprint.update(&end.n_bytes.to_le_bytes());
        self.fingerprint.update(&end.digest);
        self.files[file].n_bytes = end.n_bytes;
        let path = self.files[file].path.display();
        let remarks = std::mem::take(&mut self.tally).remarks(self.files[file].format);
        self.warnings.extend(remarks.iter().map(|remark| format!("`{path}`: {remark}")));
        self.warnings.extend(end.warning.map(|warning| format!("`{path}`: {warning}")));
        if let Some(damage) = end.damage {
            let n_rows = self.files[file].n_rows;
            self.warnings.push(format!("`{path}` cannot be read beyond row {n_rows}: {damage}; what follows is lost"));
        }
        Ok(())
    }
}
