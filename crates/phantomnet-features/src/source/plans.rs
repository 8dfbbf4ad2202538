//! What is read of some files, and under which types.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};

use crate::events::{ColumnType, EventSchema};
use crate::source::columns::Plan;
use crate::source::database::DatabaseSource;
use crate::source::layout::Wanted;
use crate::source::open::Head;
use crate::source::read::Reading;
use crate::source::reasons::Mixture;
use crate::source::row::Names;
use crate::source::scan::{FileEnd, Gather, Part, Visit, decode_head, scan};
use crate::source::table::{Gathered, Joined, Table};
use crate::source::{ReadOptions, ReadProgress, SourceError, path};

/// Texts of a column that are kept of the beginnings of files, and bytes of the longest.
const FIRST_TEXTS: usize = 1000;
const LONG_TEXT: usize = 256;
/// The types that columns must have; others are guessed.
pub(crate) struct Given {
    types: BTreeMap<String, ColumnType>,
    others: Option<ColumnType>,
    only_payloads: bool,
}

impl Given {
    pub(crate) fn plan(&self, name: &str) -> Option<Plan> {
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
    /// Names of the columns at the beginnings of files, and those that are read whatever there is.
    begun: Vec<String>,
    /// Bytes of all files.
    n_bytes: u64,
}

impl<'a> Plans<'a> {
    pub(crate) fn new(paths: &[String], options: &'a ReadOptions, names: Names) -> Result<Self, SourceError> {
        let types = options.expected.iter().chain(&options.types).map(|(name, t)| (name.clone(), *t)).collect();
        Self::of(paths, options, names, Given { types, others: None, only_payloads: false })
    }

    /// To read the columns of a schema, under its types.
    pub(crate) fn under(
        paths: &[String],
        options: &'a ReadOptions,
        schema: &EventSchema,
        keep_extra: bool,
    ) -> Result<Self, SourceError> {
        let given = Given {
            types: schema.columns().iter().cloned().collect(),
            others: Some(ColumnType::Text),
            only_payloads: Wanted::only_payloads_of(schema),
        };
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
        let known = |name: &str| names.position(name).is_some() || options.expected.contains_key(name);
        let wanted = Wanted { is_known: &known, only_payloads: given.only_payloads };
        let (heads, warnings) = heads(paths, options, wanted, &mut |head| {
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
        let begun = found.columns.iter().map(|column| column.name.clone()).collect();
        let mut plans =
            Self { options, names, given, heads, warnings, guess, known, words, first_texts, begun, n_bytes };
        plans.take_note(&found);
        Ok(plans)
    }

    pub(crate) fn read(&mut self) -> Result<Reading<'a>, SourceError> {
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

    pub(crate) fn begun(&self) -> &[String] {
        &self.begun
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
/// `look` is given each with the first of its content. Which columns are `wanted`, is for their layouts.
fn heads(
    paths: &[String],
    options: &ReadOptions,
    wanted: Wanted<'_>,
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
            Named::File(path) => Head::read(&path, options, wanted)?,
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
pub(crate) struct Guess {
    pub(crate) types: BTreeMap<String, ColumnType>,
    /// Columns that have plain values in some records and objects of JSON in others, which are kept as text then.
    pub(crate) mixed: Vec<String>,
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
