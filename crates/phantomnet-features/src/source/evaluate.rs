//! Expressions evaluated on events as they are read, so that no column is held as a whole.
//!
//! Types and columns are guessed from the beginnings of the files. A pass that shows them to be others is followed by one more.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::SchemaRef;

use crate::events::{ColumnType, EventSchema, Origin, Place};
use crate::source::columns::under;
use crate::source::error::SourceError;
use crate::source::plans::Plans;
use crate::source::read::{Reading, check_types};
use crate::source::reasons::{Mixture, is_guessed_text, place_in_words};
use crate::source::row::Names;
use crate::source::scan::{FileEnd, Gather, Part};
use crate::source::survey::{Summary, Survey, look};
use crate::source::table::{Gathered, Then};
use crate::source::{ReadOptions, ReadProgress};
use crate::values::{FeatureValues, LabelValues};
use crate::{Expression, ExpressionError, FeatureSet};

/// What is computed of each event: its label, its weight where there is one, and its features.
#[derive(Debug, Clone)]
pub struct Program {
    /// The label.
    pub label: Expression,
    /// What an event weighs.
    pub weight: Option<Expression>,
    /// The features.
    pub features: FeatureSet,
}

impl Program {
    /// The columns that any of the expressions names.
    pub fn columns(&self) -> BTreeSet<&str> {
        self.expressions().flat_map(Expression::columns).map(String::as_str).collect()
    }

    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        [&self.label].into_iter().chain(self.features.expressions()).chain(&self.weight)
    }

    /// The same for events of another schema.
    fn compile_for(&self, schema: &SchemaRef) -> Result<Self, ExpressionError> {
        let compile = |e: &Expression| Expression::compile(&e.name, &e.sql, schema);
        Ok(Self {
            label: compile(&self.label)?,
            weight: self.weight.as_ref().map(compile).transpose()?,
            features: FeatureSet::compile(self.features.expressions().iter().map(|e| (&e.name, &e.sql)), schema)?,
        })
    }
}

/// What was computed of events; those without a label are left out.
#[derive(Debug)]
pub struct Evaluated {
    /// Where the events come from; columns are those that the program names.
    pub origin: Origin,
    /// What was computed, for the columns of `origin`.
    pub program: Program,
    /// The label of each event; how many had none is known to it.
    pub labels: LabelValues,
    /// Values of each feature.
    pub features: Vec<FeatureValues>,
    /// Weight of each event.
    pub weights: Option<FeatureValues>,
    /// Events on which each column is missing.
    pub n_missing: Vec<(String, u64)>,
}

impl Evaluated {
    /// Events with a label.
    pub fn n_rows(&self) -> usize {
        self.origin.places.len()
    }

    /// Events that were left out.
    pub fn n_unlabelled(&self) -> u64 {
        self.labels.n_missing
    }
}

/// Events that are about to be read.
pub struct EventReader<'a> {
    options: &'a ReadOptions,
    plans: Plans<'a>,
    /// Whether all columns are known.
    is_surveyed: bool,
    /// Whether the columns are those of a model, so that one that is absent is worth a word.
    is_under_schema: bool,
}

impl std::fmt::Debug for EventReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventReader").field("schema", &self.schema()).finish_non_exhaustive()
    }
}

impl<'a> EventReader<'a> {
    /// Looks at the beginnings of files and databases.
    ///
    /// # Errors
    /// As [`read_events`](crate::read_events), as far as the beginnings show them.
    pub fn open(paths: &[String], options: &'a ReadOptions) -> Result<Self, SourceError> {
        let plans = Plans::new(paths, options, Names::new(Vec::new(), true))?;
        Ok(Self { options, plans, is_surveyed: false, is_under_schema: false })
    }

    /// The same for events that are read under the schema of a trained model, as
    /// [`read_events_as`](crate::read_events_as) does.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_as(paths: &[String], options: &'a ReadOptions, schema: &EventSchema) -> Result<Self, SourceError> {
        let plans = Plans::under(paths, options, schema, false)?;
        Ok(Self { options, plans, is_surveyed: true, is_under_schema: true })
    }

    /// The columns that are known: those of the beginnings, with the types that they seem to be of, or after a
    /// [`survey`](Self::survey) all.
    pub fn schema(&self) -> EventSchema {
        self.plans.schema()
    }

    /// The columns at the beginnings of files, without those that are expected and not there.
    pub fn first_columns(&self) -> &[String] {
        self.plans.begun()
    }

    /// The first texts of a column, some thousand at most.
    pub fn first_texts(&self, column: &str) -> &[String] {
        self.plans.first_texts(column)
    }

    /// Goes over all events, to know all columns; `tell` is told how far that has come.
    ///
    /// # Errors
    /// As [`read_events`](crate::read_events).
    pub fn survey(&mut self, tell: &mut dyn FnMut(ReadProgress)) -> Result<Summary, SourceError> {
        loop {
            let mut survey = Survey::new(self.plans.reading());
            self.plans.scan(&Then { table: self.plans.table(), then: look }, &mut survey, tell)?;
            if self.plans.learn(&survey.reading) {
                continue;
            }
            self.plans.check(&mut survey.reading)?;
            check_types(self.options, &self.schema())?;
            self.is_surveyed = true;
            return Ok(survey.finish(self.schema(), self.options));
        }
    }

    /// Reads the columns that a program names, and computes it for all events that have a label. A block of events is held at
    /// a time by each thread, and of each event only what was computed. `tell` is told how far that has come.
    ///
    /// # Errors
    /// As [`read_events`](crate::read_events). `Expression` for an expression that fails on an event, or that cannot be
    /// computed with the types that the columns turn out to have.
    pub fn evaluate(mut self, program: &Program, tell: &mut dyn FnMut(ReadProgress)) -> Result<Evaluated, SourceError> {
        let schema = self.schema();
        if self.plans.given().any(|name| schema.names().all(|known| known != name)) && !self.is_surveyed {
            self.survey(tell)?;
        }
        let columns = program.columns();
        self.plans.narrow(|name| columns.contains(name));
        loop {
            let schema = self.schema();
            let program = program.compile_for(&schema.arrow())?;
            let may_be_numbers = |(name, column_type): &(String, ColumnType)| {
                !self.is_under_schema
                    && is_guessed_text(name, *column_type, self.options)
                    && !self.plans.begins_with_words(name)
            };
            let evaluating = Evaluating {
                program: &program,
                schema: &schema,
                arrow: schema.arrow(),
                may_be_numbers: schema.columns().iter().map(may_be_numbers).collect(),
            };
            let mut evaluation = Evaluation::new(self.plans.reading(), &program, &schema);
            let visit = Then { table: self.plans.table(), then: |gathered| evaluating.compute(gathered) };
            self.plans.scan(&visit, &mut evaluation, tell)?;
            if self.plans.learn(&evaluation.reading) || self.schema() != schema {
                continue;
            }
            self.plans.check(&mut evaluation.reading)?;
            let absent = if self.is_under_schema { evaluation.reading.absent(&schema) } else { Vec::new() };
            return evaluation.finish(program, schema, absent);
        }
    }
}

/// Computes a program for blocks of events.
struct Evaluating<'a> {
    program: &'a Program,
    schema: &'a EventSchema,
    arrow: SchemaRef,
    /// Whether each column is one of text that may turn out to be nearly one of numbers.
    may_be_numbers: Vec<bool>,
}

/// What a block gave.
struct Computed {
    gathered: Gathered,
    values: Result<Values, (usize, ExpressionError)>,
    /// The rows that have a label, where not all do.
    labelled: Option<Vec<u32>>,
    /// Of each column.
    n_missing: Vec<u64>,
    mixtures: Vec<Mixture>,
}

struct Values {
    labels: LabelValues,
    features: Vec<FeatureValues>,
    weights: Option<FeatureValues>,
}

impl Evaluating<'_> {
    fn compute(&self, mut gathered: Gathered) -> Computed {
        let mut batch = self.batch(&gathered);
        let mixture = |(column, &may_be): (&Arc<dyn Array>, &bool)| match column.as_string_opt::<i32>() {
            Some(texts) if may_be => Mixture::of(texts),
            _ => Mixture::default(),
        };
        let mixtures = batch.columns().iter().zip(&self.may_be_numbers).map(mixture).collect();
        gathered.forget_cells();
        let mut labelled = None;
        let mut values = || {
            let mut labels = LabelValues::of(&self.program.label.evaluate(&batch).map_err(|e| (0, e))?);
            labelled = labels.drop_missing();
            if let Some(rows) = &labelled {
                batch = take(&batch, rows);
            }
            let (mut features, mut weights) = (Vec::new(), None);
            for (i, expression) in self.program.expressions().enumerate().skip(1) {
                let value = expression.evaluate(&batch).and_then(|array| FeatureValues::of(&expression.name, &array));
                let value = value.map_err(|e| (i, e))?;
                if features.len() < self.program.features.expressions().len() {
                    features.push(value);
                } else {
                    weights = Some(value);
                }
            }
            Ok(Values { labels, features, weights })
        };
        let values = values();
        let n_missing = batch.columns().iter().map(|column| column.null_count() as u64).collect();
        Computed { gathered, values, labelled, n_missing, mixtures }
    }

    /// The columns of a block under the schema; where cells show that it is another, what is computed does not count.
    fn batch(&self, gathered: &Gathered) -> RecordBatch {
        let n_rows = gathered.n_rows;
        let arrays = under(self.schema, n_rows, |i, name| gathered.array(i, name));
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.arrow), arrays, &options)
            .expect("columns of a block are equally long and of the schema's types")
    }
}

/// Some rows of a batch, which has them.
fn take(batch: &RecordBatch, rows: &[u32]) -> RecordBatch {
    let rows = UInt32Array::from(rows.to_vec());
    let take = |column| arrow_select::take::take(column, &rows, None).expect("less than a block of text, and its rows");
    let columns = batch.columns().iter().map(|column| take(column.as_ref())).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(batch.schema(), columns, &options).expect("columns of the same rows")
}

/// What has been computed so far.
struct Evaluation<'a> {
    reading: Reading<'a>,
    labels: LabelValues,
    features: Vec<Option<FeatureValues>>,
    weights: Option<FeatureValues>,
    /// The first error of the expression that comes first.
    failed: Option<(usize, ExpressionError)>,
    n_missing: Vec<u64>,
    mixtures: Vec<Mixture<Place>>,
}

impl<'a> Evaluation<'a> {
    fn new(reading: Reading<'a>, program: &Program, schema: &EventSchema) -> Self {
        let n_columns = schema.columns().len();
        Self {
            reading,
            labels: LabelValues::default(),
            features: vec![None; program.features.expressions().len()],
            weights: None,
            failed: None,
            n_missing: vec![0; n_columns],
            mixtures: vec![Mixture::default(); n_columns],
        }
    }

    fn finish(self, program: Program, schema: EventSchema, absent: Vec<String>) -> Result<Evaluated, SourceError> {
        if let Some((_, error)) = self.failed {
            return Err(error.into());
        }
        let names = || schema.names().map(str::to_owned);
        let n_missing = names().zip(self.n_missing).collect();
        let place = |place| place_in_words(&self.reading.files, place);
        let nearly = names().zip(&self.mixtures).filter_map(|(name, mixture)| mixture.nearly_numbers(&name, place));
        let nearly: Vec<String> = nearly.collect();
        let mut origin = self.reading.into_origin(schema, absent);
        origin.warnings.extend(nearly);
        let features = self.features.into_iter().map(Option::unwrap_or_default).collect();
        Ok(Evaluated { origin, program, labels: self.labels, features, weights: self.weights, n_missing })
    }
}

fn append(all: &mut Option<FeatureValues>, more: FeatureValues) {
    match all {
        Some(all) => all.append(more),
        None => *all = Some(more),
    }
}

impl Gather<Computed> for Evaluation<'_> {
    fn part(&mut self, file: usize, part: Part<Computed>) -> Result<(), SourceError> {
        let Part { out, n_rows, mut starts, rejected, tally, line, offset } = part;
        for (all, more) in self.mixtures.iter_mut().zip(&out.mixtures) {
            all.join(more, |row| Place { file: file as u32, line: line + 1, offset }.plus(starts[row]));
        }
        if let Some(labelled) = &out.labelled {
            starts = labelled.iter().map(|&row| starts[row as usize]).collect();
        }
        for (all, more) in self.n_missing.iter_mut().zip(&out.n_missing) {
            *all += more;
        }
        match out.values {
            Ok(values) if self.failed.is_none() => {
                self.labels.append(&values.labels);
                self.features.iter_mut().zip(values.features).for_each(|(all, more)| append(all, more));
                values.weights.into_iter().for_each(|more| append(&mut self.weights, more));
            }
            Err((i, error)) if self.failed.as_ref().is_none_or(|(first, _)| i < *first) => {
                self.failed = Some((i, error));
            }
            _ => {}
        }
        self.reading.part(file, Part { out: out.gathered, n_rows, starts, rejected, tally, line, offset })
    }

    fn end(&mut self, file: usize, end: FileEnd) -> Result<(), SourceError> {
        self.reading.end(file, end)
    }
}
