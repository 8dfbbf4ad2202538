//! All events of some files as one table.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_empty_array, new_null_array};
use arrow_schema::DataType;

use crate::events::{ColumnType, EventSchema, Events, Origin, Place, Places, Rejected, RejectedLine, SourceFile};
use crate::source::cell::Kinds;
use crate::source::columns::{Columns, Finished, Plan, convert, kinds_of};
use crate::source::database::{DatabaseSource, Spool};
use crate::source::excerpt::visible;
use crate::source::open::Head;
use crate::source::reasons::{Mixture, nearly_numbers};
use crate::source::row::{MAX_COLUMNS, Names, Row, Source};
use crate::source::scan::{self, FileEnd, Gather, Part, Visit, decode_head, scan};
use crate::source::{ReadOptions, ReadProgress, SourceError, path};

/// Texts of a column that are kept of the beginnings of files, and bytes of the longest.
const FIRST_TEXTS: usize = 1000;
const LONG_TEXT: usize = 256;

/// Fewer rows are joined by one thread.
const PARALLEL_ROWS: usize = 100_000;

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

/// The types that columns must have; others are guessed.
struct Given {
    types: BTreeMap<String, ColumnType>,
    others: Option<ColumnType>,
}

impl Given {
    fn plan(&self, name: &str) -> Option<Plan> {
        let column_type = self.types.get(name).copied().or(self.others)?;
        Some(Plan { column_type: Some(column_type), given: true })
    }
}

/// What is read, and how: the type of a column that is not given is the narrowest that keeps all of its cells. It is guessed from
/// the beginnings of the files, and where the guess does not hold all is read once more. A guess that all cells were asked about
/// holds, so there are few rounds.
pub(crate) struct Plans<'a> {
    options: &'a ReadOptions,
    names: Names,
    given: Given,
    heads: Vec<Head>,
    warnings: Vec<String>,
    guess: Guess,
    /// Columns by name in order of appearance, as far as they are known.
    known: Vec<(String, ColumnType)>,
    /// Columns of text of whose first cells most are no numbers.
    words: BTreeSet<String>,
    /// Texts of columns at the beginnings of files.
    first_texts: BTreeMap<String, Vec<String>>,
    /// Bytes of all files.
    n_bytes: u64,
}

impl<'a> Plans<'a> {
    pub(crate) fn new(paths: &[String], options: &'a ReadOptions, names: Names) -> Result<Self, SourceError> {
        let types = options.expected.iter().chain(&options.types).map(|(name, t)| (name.clone(), *t)).collect();
        Self::of(paths, options, names, Given { types, others: None })
    }

    /// To read the columns of a schema, under its types.
    pub(crate) fn under(
        paths: &[String],
        options: &'a ReadOptions,
        schema: &EventSchema,
        keep_extra: bool,
    ) -> Result<Self, SourceError> {
        let given = Given { types: schema.columns().iter().cloned().collect(), others: Some(ColumnType::Text) };
        let names = Names::new(schema.names().map(str::to_owned).collect(), keep_extra);
        let plans = Self::of(paths, options, names, given)?;
        Ok(Self { known: schema.columns().to_vec(), ..plans })
    }

    fn of(paths: &[String], options: &'a ReadOptions, names: Names, given: Given) -> Result<Self, SourceError> {
        if !(0.0..=1.0).contains(&options.max_rejected) {
            return Err(SourceError::MaxRejected { got: options.max_rejected });
        }
        let (guess, mut begun) = (Guess::default(), Beginnings::default());
        let table = Table { names: &names, given: &given, guess: &guess, strict: options.reject_misfits };
        let (heads, warnings) = heads(paths, options, &mut |head| {
            let (gathered, n_rows) = decode_head(head, options, &table)?;
            begun.add(gathered, n_rows);
            // There may be many files.
            head.lines = Vec::new();
            Ok(())
        })?;
        // What cannot be asked for its size is not read either.
        let size = |head: &Head| options.file_of(&head.path).metadata().map_or(0, |file| file.len());
        let n_bytes = heads.iter().filter(|head| head.spool.is_none()).map(size).sum();
        let Beginnings { found, mixtures, first_texts } = begun;
        let words = mixtures.into_iter().filter(|(_, mixture)| mixture.is_mostly_words()).map(|(name, _)| name);
        let (known, words) = (Vec::new(), words.collect());
        let mut plans = Self { options, names, given, heads, warnings, guess, known, words, first_texts, n_bytes };
        plans.take_note(&found);
        Ok(plans)
    }

    fn read(&mut self) -> Result<Reading<'a>, SourceError> {
        loop {
            let mut reading = self.reading();
            self.scan(&self.table(), &mut reading, &mut |_| ())?;
            if !self.learn(&reading) {
                self.check(&mut reading)?;
                return Ok(reading);
            }
        }
    }

    /// Goes over all records once.
    pub(crate) fn scan<V: Visit>(
        &self,
        visit: &V,
        gather: &mut dyn Gather<V::Out>,
        tell: &mut dyn FnMut(ReadProgress),
    ) -> Result<(), SourceError> {
        self.options.counter.reset();
        let tell = &mut || {
            tell(ReadProgress { n_read: self.options.counter.get().min(self.n_bytes), n_bytes: self.n_bytes });
        };
        scan(&self.heads, self.options, visit, &mut Told { gather, tell })
    }

    pub(crate) fn table(&self) -> Table<'_> {
        let (names, given, guess) = (&self.names, &self.given, &self.guess);
        Table { names, given, guess, strict: self.options.reject_misfits }
    }

    /// For a round of reading.
    pub(crate) fn reading(&self) -> Reading<'a> {
        Reading::new(self.options, &self.heads, self.warnings.clone())
    }

    /// The columns that are known so far.
    pub(crate) fn schema(&self) -> EventSchema {
        // Names come once, as they do in what was found.
        EventSchema::new(self.known.clone()).unwrap_or_default()
    }

    /// Types of all columns that must have one.
    pub(crate) fn given(&self) -> impl Iterator<Item = &String> {
        self.given.types.keys()
    }

    /// Whether a column is of text at its beginning, and most cells there are no numbers.
    pub(crate) fn begins_with_words(&self, name: &str) -> bool {
        self.words.contains(name)
    }

    pub(crate) fn first_texts(&self, column: &str) -> &[String] {
        self.first_texts.get(column).map_or(&[], Vec::as_slice)
    }

    /// Has only some of the known columns read.
    pub(crate) fn narrow(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.known.retain(|(name, _)| is_wanted(name));
        self.names = Names::new(self.known.iter().map(|(name, _)| name.clone()).collect(), false);
    }

    /// Takes over what was found; whether all must be read again under it.
    pub(crate) fn learn(&mut self, reading: &Reading<'_>) -> bool {
        self.take_note(&reading.table)
    }

    pub(crate) fn check(&self, reading: &mut Reading<'_>) -> Result<(), SourceError> {
        reading.check(&self.heads)
    }

    fn take_note(&mut self, found: &Joined) -> bool {
        let is_new = self.guess.learn(found);
        if self.names.is_open() {
            self.known = found.columns.iter().map(|column| (column.name.clone(), column.column_type())).collect();
        }
        for (name, column_type) in &mut self.known {
            *column_type = self.guess.types.get(name).copied().unwrap_or(*column_type);
        }
        for (name, column_type) in &self.options.expected {
            if !self.known.iter().any(|(known, _)| known == name) && self.names.is_open() {
                self.known.push((name.clone(), *column_type));
            }
        }
        is_new
    }
}

/// Tells of each part that was gathered.
struct Told<'a, O> {
    gather: &'a mut dyn Gather<O>,
    tell: &'a mut dyn FnMut(),
}

impl<O> Gather<O> for Told<'_, O> {
    fn part(&mut self, file: usize, part: Part<O>) -> Result<(), SourceError> {
        (self.tell)();
        self.gather.part(file, part)
    }

    fn end(&mut self, file: usize, end: FileEnd) -> Result<(), SourceError> {
        (self.tell)();
        self.gather.end(file, end)
    }
}

/// What is known of files and databases before they are read, and what a person should know.
///
/// `look` is given each with the first of its content.
fn heads(
    paths: &[String],
    options: &ReadOptions,
    look: &mut dyn FnMut(&mut Head) -> Result<(), SourceError>,
) -> Result<(Vec<Head>, Vec<String>), SourceError> {
    enum Named {
        Database(DatabaseSource),
        File(PathBuf),
    }

    if paths.is_empty() {
        return Err(SourceError::NoPaths);
    }
    let mut expansion = path::Expansion::new(options.standard_input.is_some());
    let mut named = Vec::new();
    for path in paths {
        let Some(source) = DatabaseSource::parse(path).transpose()? else {
            named.extend(expansion.of(path)?.into_iter().map(Named::File));
            continue;
        };
        let source = source.with_variables(|name| options.variables.0.get(name).cloned())?;
        named.push(Named::Database(match &options.selection {
            Some(selection) if !source.has_selection() => source.with(selection.clone()),
            _ => source,
        }));
    }
    let mut heads = Vec::with_capacity(named.len());
    for named in named {
        let mut head = match named {
            Named::Database(source) => Head::database(&source)?,
            Named::File(path) => Head::read(&path, options)?,
        };
        look(&mut head)?;
        heads.push(head);
    }
    Ok((heads, expansion.warnings))
}

/// What the beginnings of files tell.
#[derive(Default)]
struct Beginnings {
    found: Joined,
    /// Of columns of text.
    mixtures: BTreeMap<String, Mixture<()>>,
    first_texts: BTreeMap<String, Vec<String>>,
}

impl Beginnings {
    fn add(&mut self, mut gathered: Gathered, n_rows: usize) {
        for (name, _, column) in &gathered.columns {
            let Some(texts) = column.array.as_string_opt::<i32>() else { continue };
            self.mixtures.entry(name.clone()).or_default().join(&Mixture::of(texts), |_| ());
            let first = self.first_texts.entry(name.clone()).or_default();
            let n = FIRST_TEXTS.saturating_sub(first.len());
            let short = texts.iter().flatten().filter(|text| text.len() <= LONG_TEXT);
            first.extend(short.take(n).map(str::to_owned));
        }
        gathered.forget_cells();
        self.found.add((gathered, n_rows));
    }
}

/// What is believed of columns whose types are not given.
#[derive(Debug, Default)]
struct Guess {
    types: BTreeMap<String, ColumnType>,
    /// Columns that have plain values in some records and objects of JSON in others, which are kept as text then.
    mixed: Vec<String>,
}

impl Guess {
    /// Takes over what was found; whether records must be read again under it.
    fn learn(&mut self, found: &Joined) -> bool {
        let mut is_new = false;
        let objects: BTreeSet<&str> = found.objects.iter().map(String::as_str).collect();
        for column in found.columns.iter().filter(|column| !column.is_given) {
            let mut kinds = column.kinds;
            if objects.contains(column.name.as_str()) && !kinds.is_empty() && !self.mixed.contains(&column.name) {
                self.mixed.push(column.name.clone());
                is_new = true;
            }
            if self.mixed.contains(&column.name) {
                kinds.add_text();
            }
            if kinds.is_empty() {
                continue;
            }
            let column_type = kinds.column_type();
            // Integers are numbers as they are; all else must be read under its type.
            let fits = |part: &ArrayRef| {
                !part.is_empty() && part.null_count() == part.len() && !column.has_misfits
                    || part.data_type() == &column_type.data_type()
                    || (column_type == ColumnType::Number && part.data_type() == &ColumnType::Integer.data_type())
            };
            is_new |= column.has_misfits || !column.parts.iter().all(|(_, part)| fits(part));
            self.types.insert(column.name.clone(), column_type);
        }
        is_new
    }
}

/// Gathers records into columns.
pub(crate) struct Table<'a> {
    names: &'a Names,
    given: &'a Given,
    guess: &'a Guess,
    /// Whether a cell that is not of its given type rejects the record.
    strict: bool,
}

impl Table<'_> {
    fn plan(&self, name: &str) -> Plan {
        let guessed = || Plan { column_type: self.guess.types.get(name).copied(), given: false };
        self.given.plan(name).unwrap_or_else(guessed)
    }
}

/// Columns of a block.
pub(crate) struct Gathered {
    pub(crate) columns: Vec<(String, Plan, Finished)>,
    pub(crate) n_rows: usize,
    objects: Vec<String>,
    overflowed: bool,
}

impl Gathered {
    /// The cells of a column, which mostly is at `i`.
    pub(crate) fn array(&self, i: usize, name: &str) -> Option<&ArrayRef> {
        let is_it = |(found, _, _): &&(String, Plan, Finished)| found == name;
        let column = self.columns.get(i).filter(is_it).or_else(|| self.columns.iter().find(is_it));
        column.map(|(_, _, column)| &column.array)
    }

    /// Keeps what is known of the cells, and not the cells. Parts without cells are like parts of a fitting type.
    pub(crate) fn forget_cells(&mut self) {
        for (_, _, column) in &mut self.columns {
            column.array = new_empty_array(column.array.data_type());
        }
    }
}

/// Most cells of a part, those that no record has included: a bound on what hostile keys can cost.
const MAX_CELLS: usize = 1 << 23;

/// Makes something of the columns of each block, in the thread that took it apart.
pub(crate) struct Then<'a, F> {
    pub(crate) table: Table<'a>,
    pub(crate) then: F,
}

impl<O: Send, F: Fn(Gathered) -> O + Sync> Visit for Then<'_, F> {
    type Sink = Columns;
    type Out = O;

    fn names(&self) -> Names {
        self.table.names()
    }

    fn mixed(&self) -> &[String] {
        self.table.mixed()
    }

    fn sink(&self) -> Columns {
        self.table.sink()
    }

    fn push(&self, sink: &mut Columns, row: &Row, source: Source<'_>, names: &Names) -> Result<(), String> {
        self.table.push(sink, row, source, names)
    }

    fn is_full(&self, sink: &Columns, names: &Names) -> bool {
        self.table.is_full(sink, names)
    }

    fn finish(&self, sink: Columns, names: &Names, objects: Vec<String>) -> O {
        (self.then)(self.table.finish(sink, names, objects))
    }

    fn arrays(&self, columns: Vec<(String, ArrayRef)>, n_rows: usize) -> O {
        (self.then)(self.table.arrays(columns, n_rows))
    }
}

impl Visit for Table<'_> {
    type Sink = Columns;
    type Out = Gathered;

    fn names(&self) -> Names {
        self.names.clone()
    }

    fn mixed(&self) -> &[String] {
        &self.guess.mixed
    }

    fn sink(&self) -> Columns {
        Columns::default()
    }

    fn push(&self, sink: &mut Columns, row: &Row, source: Source<'_>, names: &Names) -> Result<(), String> {
        let names = names.as_slice();
        let plan = |column: usize| self.plan(&names[column]);
        sink.push(row, source, plan, self.strict).map_err(|misfit| misfit.reason(names, plan))
    }

    fn is_full(&self, sink: &Columns, names: &Names) -> bool {
        sink.n_rows() * names.as_slice().len() >= MAX_CELLS
    }

    fn finish(&self, sink: Columns, names: &Names, objects: Vec<String>) -> Gathered {
        let (known, n_rows) = (names.as_slice(), sink.n_rows());
        let columns = sink.finish(known.len(), |column| self.plan(&known[column]));
        let columns = known.iter().zip(columns).map(|(name, column)| (name.clone(), self.plan(name), column));
        Gathered { columns: columns.collect(), n_rows, objects, overflowed: names.overflowed }
    }

    fn arrays(&self, columns: Vec<(String, ArrayRef)>, n_rows: usize) -> Gathered {
        let mut names = self.names.clone();
        let mut found: Vec<Option<Finished>> = Vec::new();
        // Of columns of one name the last counts.
        for (name, array) in columns {
            let Some(id) = names.id(&name) else { continue };
            found.resize_with(found.len().max(id + 1), || None);
            found[id] = Some(Finished { kinds: kinds_of(&array), array, n_unparsed: 0, is_present: true });
        }
        found.resize_with(names.as_slice().len(), || None);
        let columns = names.as_slice().iter().zip(found).map(|(name, column)| {
            let plan = self.plan(name);
            let absent = || {
                let column_type = plan.column_type.unwrap_or(ColumnType::Text);
                let array = new_null_array(&column_type.data_type(), n_rows);
                Finished { array, kinds: Kinds::default(), n_unparsed: 0, is_present: false }
            };
            let mut column = column.unwrap_or_else(absent);
            if let Some(column_type) = plan.column_type {
                column.array = convert(&column.array, column_type, &mut column.n_unparsed);
            }
            (name.clone(), plan, column)
        });
        Gathered { columns: columns.collect(), n_rows, objects: Vec::new(), overflowed: names.overflowed }
    }
}

/// Columns of several blocks, by name, in the order in which they first came.
#[derive(Debug, Default)]
struct Joined {
    columns: Vec<JoinedColumn>,
    // Looked up, never iterated: hash order plays no part.
    index: HashMap<String, usize>,
    objects: BTreeSet<String>,
    n_rows: usize,
    overflowed: bool,
}

#[derive(Debug)]
struct JoinedColumn {
    name: String,
    is_given: bool,
    is_present: bool,
    kinds: Kinds,
    /// Whether a guessed type does not keep a cell of some part.
    has_misfits: bool,
    n_unparsed: u64,
    /// Parts that have cells, and the row at which each starts.
    parts: Vec<(usize, ArrayRef)>,
    column_type: Option<ColumnType>,
}

impl Joined {
    fn add(&mut self, (gathered, n_rows): (Gathered, usize)) {
        self.overflowed |= gathered.overflowed;
        self.objects.extend(gathered.objects);
        let start = self.n_rows;
        for (name, plan, column) in gathered.columns {
            let Some(joined) = self.column(&name, plan) else { continue };
            let part_type = column.kinds.column_type().data_type();
            let widened = part_type != *column.array.data_type()
                && !(part_type == DataType::Int64 && column.array.data_type() == &DataType::Float64)
                && column.array.data_type() != &DataType::Utf8;
            joined.has_misfits |= !plan.given && !column.kinds.is_empty() && widened;
            joined.is_present |= column.is_present;
            joined.kinds.join(column.kinds);
            joined.n_unparsed += column.n_unparsed;
            joined.column_type = if plan.given { plan.column_type } else { joined.column_type };
            // A part without cells stands for its type, where cells were let go.
            if column.array.null_count() < n_rows && (n_rows == column.array.len() || !column.kinds.is_empty())
                || joined.is_given
            {
                joined.parts.push((start, column.array));
            }
        }
        self.n_rows += n_rows;
    }

    fn column(&mut self, name: &str, plan: Plan) -> Option<&mut JoinedColumn> {
        let i = match self.index.get(name) {
            Some(&known) => known,
            None if self.columns.len() >= MAX_COLUMNS => {
                self.overflowed = true;
                return None;
            }
            None => {
                self.columns.push(JoinedColumn {
                    name: name.to_owned(),
                    is_given: plan.given,
                    is_present: false,
                    kinds: Kinds::default(),
                    has_misfits: false,
                    n_unparsed: 0,
                    parts: Vec::new(),
                    column_type: plan.column_type.filter(|_| plan.given),
                });
                self.index.insert(name.to_owned(), self.columns.len() - 1);
                self.columns.len() - 1
            }
        };
        Some(&mut self.columns[i])
    }

    /// Makes sure that there is a column, if only of NULL.
    fn expect(&mut self, name: &str, column_type: ColumnType) {
        let plan = Plan { column_type: Some(column_type), given: false };
        if let Some(column) = self.column(name, plan)
            && column.kinds.is_empty()
        {
            column.column_type.get_or_insert(column_type);
        }
    }
}

impl JoinedColumn {
    fn column_type(&self) -> ColumnType {
        self.column_type.unwrap_or_else(|| self.kinds.column_type())
    }

    /// The cells of all rows under the column's type.
    fn array(&self, n_rows: usize) -> Result<ArrayRef, SourceError> {
        let column_type = self.column_type();
        let nulls = |n| new_null_array(&column_type.data_type(), n);
        let mut parts: Vec<ArrayRef> = Vec::new();
        let mut n = 0;
        for (start, part) in &self.parts {
            if *start > n {
                parts.push(nulls(start - n));
            }
            parts.push(convert(part, column_type, &mut 0));
            n = start + part.len();
        }
        if n < n_rows {
            parts.push(nulls(n_rows - n));
        }
        Ok(match parts.as_slice() {
            [] => nulls(0),
            [one] => Arc::clone(one),
            many => {
                let many: Vec<&dyn Array> = many.iter().map(AsRef::as_ref).collect();
                // Offsets of text are the only thing that can overflow here.
                arrow_select::concat::concat(&many)
                    .map_err(|_| SourceError::ColumnFull { column: self.name.clone() })?
            }
        })
    }
}

/// The cells of all columns. Threads take one column after another: most of the work is in the few that hold text.
fn arrays_of(columns: &[JoinedColumn], n_rows: usize, n_threads: usize) -> Result<Vec<ArrayRef>, SourceError> {
    if n_threads == 1 || n_rows < PARALLEL_ROWS {
        return columns.iter().map(|column| column.array(n_rows)).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(column) = columns.get(i) else { return done };
            done.push((i, column.array(n_rows)));
        }
    };
    let mut arrays: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    arrays.sort_by_key(|(i, _)| *i);
    arrays.into_iter().map(|(_, array)| array).collect()
}

/// What has been read of some files.
pub(crate) struct Reading<'a> {
    options: &'a ReadOptions,
    table: Joined,
    places: Places,
    pub(crate) files: Vec<SourceFile>,
    pub(crate) rejected: Rejected,
    fingerprint: blake3::Hasher,
    pub(crate) warnings: Vec<String>,
    n_lossy: u64,
    spools: Vec<Option<Arc<Spool>>>,
}

impl<'a> Reading<'a> {
    fn new(options: &'a ReadOptions, heads: &[Head], warnings: Vec<String>) -> Self {
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
            n_lossy: 0,
            spools: heads.iter().map(|head| head.spool.clone()).collect(),
        };
        for head in heads {
            let named = |warning: &String| format!("`{}`: {warning}", head.path.display());
            reading.warnings.extend(head.warnings.iter().map(named));
        }
        reading
    }

    /// Stops where too much was rejected, or nothing read.
    fn check(&mut self, heads: &[Head]) -> Result<(), SourceError> {
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
        let is_present = |name: &str| self.table.index.get(name).is_some_and(|&i| self.table.columns[i].is_present);
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

    /// Where the events come from, those columns of them that are in `schema`.
    pub(crate) fn into_origin(mut self, schema: EventSchema, absent: Vec<String>) -> Origin {
        let unparsed = self.unparsed();
        for (name, n) in &unparsed {
            let (name, column_type) = (visible(name, 60), self.table.index.get(name).map(|&i| &self.table.columns[i]));
            let column_type = column_type.map_or(ColumnType::Text, JoinedColumn::column_type);
            self.warnings
                .push(format!("column `{name}`: {n} cells are not of type {column_type} and count as missing"));
        }
        if self.table.overflowed {
            self.warnings.push(format!("columns beyond the first {MAX_COLUMNS} are left out"));
        }
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
        self.n_lossy += part.n_lossy;
        self.table.add((part.out, part.n_rows));
        Ok(())
    }

    fn end(&mut self, file: usize, end: FileEnd) -> Result<(), SourceError> {
        self.fingerprint.update(&end.n_bytes.to_le_bytes());
        self.fingerprint.update(&end.digest);
        self.files[file].n_bytes = end.n_bytes;
        let path = self.files[file].path.display();
        let n = std::mem::take(&mut self.n_lossy);
        if n > 0 {
            self.warnings.push(format!("`{path}`: {n} records are not UTF-8; what is not is read as U+FFFD"));
        }
        self.warnings.extend(end.warning.map(|warning| format!("`{path}`: {warning}")));
        if let Some(damage) = end.damage {
            let n_rows = self.files[file].n_rows;
            self.warnings.push(format!("`{path}` cannot be read beyond row {n_rows}: {damage}; what follows is lost"));
        }
        Ok(())
    }
}
