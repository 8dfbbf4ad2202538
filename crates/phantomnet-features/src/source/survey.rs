//! What there is to know of all columns, none of which is held.

use std::collections::{BTreeSet, HashMap};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};

use crate::events::{ColumnType, EventSchema, Origin, Place};
use crate::source::ReadOptions;
use crate::source::error::SourceError;
use crate::source::read::Reading;
use crate::source::reasons::{Mixture, is_given, place_in_words, why};
use crate::source::row::MAX_COLUMNS;
use crate::source::scan::{FileEnd, Gather, Part};
use crate::source::table::Gathered;

/// A column of text with at most so many different values has few.
const FEW_VALUES: usize = 64;

/// What is known of events once all have been seen.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Where they come from, places apart.
    pub origin: Origin,
    /// Number of events.
    pub n_rows: u64,
    /// The columns, in the order of the schema.
    pub columns: Vec<ColumnSummary>,
}

/// What is known of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSummary {
    /// Its name.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// Why it is of that type, in words.
    pub why: String,
    /// Events on which it is missing.
    pub n_missing: u64,
    /// Whether it is of text and has at most 64 different values.
    pub has_few_values: bool,
}

/// Cells of a column that have been seen.
#[derive(Debug)]
struct Seen<P> {
    n_valid: u64,
    /// Different texts, one more than few at most.
    texts: BTreeSet<String>,
    mixture: Mixture<P>,
}

impl<P> Default for Seen<P> {
    fn default() -> Self {
        Self { n_valid: 0, texts: BTreeSet::new(), mixture: Mixture::default() }
    }
}

impl Seen<usize> {
    fn of(array: &ArrayRef) -> Self {
        let mut seen = Self { n_valid: (array.len() - array.null_count()) as u64, ..Self::default() };
        if let Some(texts) = array.as_string_opt::<i32>() {
            seen.mixture = Mixture::of(texts);
            add_texts(&mut seen.texts, texts);
        }
        seen
    }
}

fn add_texts(known: &mut BTreeSet<String>, texts: &StringArray) {
    let mut last = None;
    for text in texts.iter().flatten() {
        if known.len() > FEW_VALUES {
            return;
        }
        if last != Some(text) && !known.contains(text) {
            known.insert(text.to_owned());
        }
        last = Some(text);
    }
}

/// What was seen of a block, by column of what was gathered.
pub(crate) struct Surveyed {
    gathered: Gathered,
    columns: Vec<Seen<usize>>,
}

/// Looks at the columns of a block, and lets go of them.
pub(crate) fn look(mut gathered: Gathered) -> Surveyed {
    let columns = gathered.columns.iter().map(|(_, _, column)| Seen::of(&column.array)).collect();
    gathered.forget_cells();
    Surveyed { gathered, columns }
}

/// What was seen so far.
pub(crate) struct Survey<'a> {
    pub(crate) reading: Reading<'a>,
    columns: Vec<Seen<Place>>,
    // Looked up, never iterated: hash order plays no part.
    index: HashMap<String, usize>,
}

impl<'a> Survey<'a> {
    pub(crate) fn new(reading: Reading<'a>) -> Self {
        Self { reading, columns: Vec::new(), index: HashMap::new() }
    }

    pub(crate) fn finish(self, schema: EventSchema, options: &ReadOptions) -> Summary {
        let n_rows = self.reading.n_rows();
        let place = |place| place_in_words(&self.reading.files, place);
        let unseen = Seen::default();
        let (mut columns, mut nearly) = (Vec::new(), Vec::new());
        for (name, column_type) in schema.columns() {
            let seen = self.index.get(name).map_or(&unseen, |&i| &self.columns[i]);
            let is_given = is_given(name, options);
            let is_text = *column_type == ColumnType::Text;
            if is_text && !is_given {
                nearly.extend(seen.mixture.nearly_numbers(name, place));
            }
            columns.push(ColumnSummary {
                name: name.clone(),
                column_type: *column_type,
                why: why(*column_type, is_given, seen.n_valid, &seen.mixture, place),
                n_missing: n_rows - seen.n_valid,
                has_few_values: is_text && seen.texts.len() <= FEW_VALUES,
            });
        }
        let mut origin = self.reading.into_origin(schema, Vec::new());
        origin.warnings.extend(nearly);
        Summary { origin, n_rows, columns }
    }
}

impl Gather<Surveyed> for Survey<'_> {
    fn part(&mut self, file: usize, part: Part<Surveyed>) -> Result<(), SourceError> {
        let base = Place { file: file as u32, line: part.line + 1, offset: part.offset };
        for ((name, _, _), seen) in part.out.gathered.columns.iter().zip(part.out.columns) {
            let known = self.index.get(name).copied();
            if known.is_none() && self.columns.len() == MAX_COLUMNS {
                continue;
            }
            let known = known.unwrap_or_else(|| {
                self.columns.push(Seen::default());
                self.index.insert(name.clone(), self.columns.len() - 1);
                self.columns.len() - 1
            });
            let all = &mut self.columns[known];
            all.n_valid += seen.n_valid;
            all.mixture.join(&seen.mixture, |row| base.plus(part.starts[row]));
            for text in seen.texts {
                if all.texts.len() <= FEW_VALUES {
                    all.texts.insert(text);
                }
            }
        }
        let Part { n_rows, rejected, tally, line, offset, .. } = part;
        let out = part.out.gathered;
        self.reading.part(file, Part { out, n_rows, starts: Vec::new(), rejected, tally, line, offset })
    }

    fn end(&mut self, file: usize, end: FileEnd) -> Result<(), SourceError> {
        self.reading.end(file, end)
    }
}
