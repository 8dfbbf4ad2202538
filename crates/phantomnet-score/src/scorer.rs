//! Batches of events in, scores out.

use std::path::Path;

use arrow_array::RecordBatch;
use phantomnet_features::{ColumnType, EventSchema, FeatureSet, Layout, LineDecoder, to_matrix};
use phantomnet_model::{Bundle, Column, FeatureSchema, Limits, Matrix, Probabilities, argmax};

use crate::{LineScorer, ScoreError};

/// A model ready to score events.
#[derive(Debug)]
pub struct Scorer {
    bundle: Bundle,
    pub(crate) schema: FeatureSchema,
    features: FeatureSet,
    /// Columns that features read, first, then those that only the label reads.
    columns: EventSchema,
    n_feature_columns: usize,
}

/// What the model says about one event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Two classes: probability of the positive one. More: of the most probable one. 0 to 1.
    pub score: f32,
    /// Two classes: the positive one if the score is above the decision threshold. More: the most probable one, ties to
    /// the lower index.
    pub class: usize,
}

/// Scores of a batch.
#[derive(Debug, Clone)]
pub struct Scores {
    /// Class probabilities, a row an event.
    pub probabilities: Probabilities,
    positive: Option<usize>,
    decision_threshold: f64,
}

impl Scores {
    /// The verdict on event `i`.
    pub fn verdict(&self, i: usize) -> Verdict {
        verdict(self.probabilities.row(i), self.positive, self.decision_threshold)
    }
}

pub(crate) fn verdict(probabilities: &[f32], positive: Option<usize>, decision_threshold: f64) -> Verdict {
    match positive {
        Some(p) if probabilities.len() == 2 => {
            let score = probabilities[p];
            Verdict { score, class: if f64::from(score) > decision_threshold { p } else { 1 - p } }
        }
        _ => {
            let best = argmax(probabilities);
            Verdict { score: probabilities[best], class: best }
        }
    }
}

impl Scorer {
    /// Reads and checks a model folder.
    ///
    /// # Errors
    /// [`ScoreError::Model`] for a folder that is not valid; otherwise as [`Scorer::new`].
    pub fn load(folder: &Path) -> Result<Self, ScoreError> {
        Self::new(Bundle::load(folder, Limits::default())?)
    }

    /// Makes a model ready: compiles its expressions and checks them against the golden events, bit for bit.
    ///
    /// # Errors
    /// [`ScoreError::Expression`], [`ScoreError::Columns`], [`ScoreError::Skew`].
    pub fn new(bundle: Bundle) -> Result<Self, ScoreError> {
        let pipeline = &bundle.pipeline;
        let specs: Vec<(&str, &str)> =
            pipeline.features.iter().map(|f| (f.feature.name.as_str(), f.expr.as_str())).collect();
        // Which columns the features read is known only after compiling; so twice, the second time in final order.
        let all = event_schema(pipeline.columns.iter())?;
        let features = FeatureSet::compile(specs.iter().copied(), &all.arrow())?;
        let read = |c: &&Column| features.expressions().iter().any(|e| e.columns().contains(&c.name));
        let (first, rest): (Vec<&Column>, Vec<&Column>) = pipeline.columns.iter().partition(read);
        let n_feature_columns = first.len();
        let columns = event_schema(first.into_iter().chain(rest))?;
        let features =
            if columns == all { features } else { FeatureSet::compile(specs.iter().copied(), &columns.arrow())? };
        let schema = pipeline.schema();
        let scorer = Self { schema, features, columns, n_feature_columns, bundle };
        scorer.check_golden()?;
        Ok(scorer)
    }

    fn check_golden(&self) -> Result<(), ScoreError> {
        let mut decoder = LineDecoder::new(&self.columns, &Layout::JsonLines);
        for (i, golden) in self.bundle.golden.iter().enumerate() {
            let line = i + 1;
            let event = serde_json::Value::Object(golden.event.clone()).to_string();
            let batch = decoder
                .decode(event.as_bytes())
                .map_err(|e| ScoreError::Line { reason: format!("golden event {line}: {e}") })?;
            let matrix = self.matrix(&batch)?;
            for (j, (feature, &expected)) in self.schema.features().iter().zip(&golden.features).enumerate() {
                let got = matrix.column(j)[0];
                if got.to_bits() != expected.to_bits() && !(got.is_nan() && expected.is_nan()) {
                    let feature = feature.name.clone();
                    return Err(ScoreError::Skew { line, feature, expected, got });
                }
            }
        }
        Ok(())
    }

    /// The model and its pipeline.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The expressions of the features.
    pub fn features(&self) -> &FeatureSet {
        &self.features
    }

    /// The event columns that scoring reads, in the order that batches must have them.
    pub fn event_schema(&self) -> EventSchema {
        prefix(&self.columns, self.n_feature_columns)
    }

    /// [`event_schema`](Self::event_schema) followed by the columns that only the label reads.
    pub fn labelled_schema(&self) -> &EventSchema {
        &self.columns
    }

    /// Feature values of the events of a batch whose first columns are those of [`event_schema`](Self::event_schema).
    ///
    /// # Errors
    /// [`ScoreError::Expression`] when an expression fails on an event.
    pub fn matrix(&self, batch: &RecordBatch) -> Result<Matrix, ScoreError> {
        Ok(to_matrix(&self.features.evaluate(batch)?, &self.schema)?)
    }

    /// Scores the events of a batch whose first columns are those of [`event_schema`](Self::event_schema).
    ///
    /// # Errors
    /// [`ScoreError::Expression`] when an expression fails on an event.
    pub fn score(&self, batch: &RecordBatch) -> Result<Scores, ScoreError> {
        let matrix = self.matrix(batch)?;
        let rows: Vec<u32> = (0..matrix.n_rows() as u32).collect();
        Ok(self.scores(self.bundle.model.predict(&matrix, &rows)))
    }

    /// Adds what verdicts need to the probabilities of this model.
    pub fn scores(&self, probabilities: Probabilities) -> Scores {
        let pipeline = &self.bundle.pipeline;
        Scores {
            probabilities,
            positive: pipeline.label.classes.positive,
            decision_threshold: pipeline.decision_threshold,
        }
    }

    /// A scorer of single raw lines of one layout.
    pub fn lines(&self, layout: &Layout) -> LineScorer<'_> {
        LineScorer::new(self, layout)
    }
}

fn prefix(columns: &EventSchema, n: usize) -> EventSchema {
    // A prefix of distinct names has distinct names.
    EventSchema::new(columns.columns()[..n].to_vec()).unwrap_or_else(|_| columns.clone())
}

fn event_schema<'a>(columns: impl Iterator<Item = &'a Column>) -> Result<EventSchema, ScoreError> {
    let typed = |c: &Column| {
        let column_type = ColumnType::from_name(&c.column_type).ok_or_else(|| ScoreError::Columns {
            reason: format!("type `{}` of column `{}`", c.column_type.escape_debug(), c.name.escape_debug()),
        })?;
        Ok((c.name.clone(), column_type))
    };
    let columns = columns.map(typed).collect::<Result<Vec<_>, ScoreError>>()?;
    EventSchema::new(columns).map_err(|e| ScoreError::Columns { reason: e.to_string() })
}
