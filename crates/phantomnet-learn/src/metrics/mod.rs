//! What a classifier is worth: metrics by flat key.
//!
//! [`evaluate`] judges class probabilities against labels. With two classes one of them is *positive* (what an alarm is
//! for): `precision`, `recall`, `f1`, `roc_auc` and `pr_auc` are its own. With more classes these keys hold the *macro*
//! average, the plain mean over the classes. Values agree with scikit-learn 1.9; `docs/metrics.md` has the formulas.

mod catalog;
mod confusion;
mod map;
mod probability;
mod ranking;

pub use catalog::{IntervalMethod, METRICS, MetricInfo, higher_is_better};
pub use confusion::ConfusionMatrix;
pub use map::{MetricMap, class_keys, key_part};
pub use probability::{CalibrationBin, calibration_bins};
pub use ranking::{pr_curve, roc_curve};

use probability::{row_log_loss, row_squared_error, row_squared_errors};
use ranking::{Areas, Ranking};

/// Most classes that can be judged; the confusion matrix grows with their square.
pub const MAX_CLASSES: usize = 1_000;

/// How far from 1 the probabilities of a row may add up; rounding of f32 stays well below.
const SUM_TOLERANCE: f64 = 1e-3;

/// The value of a precision, recall or F1 that is 0/0, such as the precision of a class that is never predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZeroDivision {
    /// 0, the pessimistic reading.
    #[default]
    Zero,
    /// 1.
    One,
    /// NaN; averages leave such a class out.
    Nan,
}

impl ZeroDivision {
    fn divide(self, part: u64, whole: u64) -> f64 {
        match (whole, self) {
            (0, Self::Zero) => 0.0,
            (0, Self::One) => 1.0,
            (0, Self::Nan) => f64::NAN,
            _ => part as f64 / whole as f64,
        }
    }
}

/// What judging leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MetricOptions {
    /// What an undefined precision, recall or F1 is.
    pub zero_division: ZeroDivision,
    /// Two classes only: a row is flagged when its score is greater. `None`: the class of the highest probability is
    /// predicted, of equal ones the first.
    pub decision_threshold: Option<f64>,
}

/// What a classifier is worth on a set of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Metrics by key, in the order of [`METRICS`], those of single classes last.
    pub metrics: MetricMap,
    /// Rows by true and predicted class.
    pub confusion: ConfusionMatrix,
    /// Predicted class of each row.
    pub predicted: Vec<u32>,
}

/// Why predictions cannot be judged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// Nothing to judge.
    #[error("there is no row to judge")]
    NoRows,
    /// Row numbers are 32 bits wide.
    #[error("{n_rows} rows are more than can be judged at once (4294967295)")]
    TooManyRows {
        /// Rows given.
        n_rows: usize,
    },
    /// Too few or too many classes.
    #[error("between 2 and {MAX_CLASSES} classes can be judged, got {n_classes}")]
    ClassCount {
        /// Classes given.
        n_classes: usize,
    },
    /// The probabilities are not one for each row and class.
    #[error("the probabilities must be {n_rows} × {n_classes} (rows × classes) = {}, got {got}", n_rows * n_classes)]
    Shape {
        /// Rows by the labels.
        n_rows: usize,
        /// Classes named.
        n_classes: usize,
        /// Probabilities given.
        got: usize,
    },
    /// A label that names no class.
    #[error("row {row} has label {label}, but there are {n_classes} classes")]
    LabelOutOfRange {
        /// Row number.
        row: usize,
        /// Its label.
        label: u32,
        /// Classes named.
        n_classes: usize,
    },
    /// Not a probability.
    #[error(
        "the probabilities of row {row} must lie in 0..=1 and add up to 1, got {value} for class {class} and {sum} in all"
    )]
    Probability {
        /// Row number.
        row: usize,
        /// The first class whose probability is out of range, else the last.
        class: usize,
        /// Its probability.
        value: f32,
        /// Sum over the row.
        sum: f64,
    },
    /// The positive class is missing, or given where there is none.
    #[error("two classes need a positive class 0 or 1 and more classes none, got {positive:?} for {n_classes} classes")]
    Positive {
        /// Class given.
        positive: Option<usize>,
        /// Classes named.
        n_classes: usize,
    },
    /// A decision threshold for more than two classes, or NaN.
    #[error("a decision threshold is a number and needs two classes, got {threshold} for {n_classes} classes")]
    DecisionThreshold {
        /// Value given.
        threshold: f64,
        /// Classes named.
        n_classes: usize,
    },
}

/// Judges class probabilities against the labels.
///
/// - `labels`: true class of each row, an index into `classes`.
/// - `probs`: `n × C`, row-major, each row adding up to 1.
/// - `positive`: the class an alarm is for; given exactly when there are two classes.
///
/// An undefined value is NaN where neither scikit-learn nor `zero_division` gives it a number: ROC AUC when a class has
/// no row or all of them, `false_positive_rate` without negatives. O(C · n log n).
///
/// # Errors
/// When the inputs do not fit together, or there is nothing to judge.
pub fn evaluate(
    labels: &[u32],
    probs: &[f32],
    classes: &[String],
    positive: Option<usize>,
    opts: MetricOptions,
) -> Result<Evaluation, MetricError> {
    let judge = Judge::new(labels, probs, classes.len(), positive, opts)?;
    // Judged once, rows need not be kept, nor more than one ranking at a time.
    let mut tally = Tally::new(judge.terms);
    judge.rows().for_each(|row| tally.add(&row, 1));
    tally.areas = judge.rankings().map(|ranking| ranking.areas(|_| 1)).collect();
    let class_keys = class_keys(classes);
    let mut metrics = Vec::new();
    tally.for_each_metric(|key, value| {
        metrics.push((key.render(&class_keys), value));
    });
    Ok(Evaluation {
        metrics: metrics.into_iter().collect(),
        confusion: tally.confusion,
        predicted: judge.predicted().collect(),
    })
}

/// A metric's key before class names are put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) base: &'static str,
    pub(crate) class: Option<usize>,
}

impl Key {
    pub(crate) fn render(self, class_keys: &[String]) -> String {
        match self.class {
            Some(class) => format!("{}.{}", self.base, class_keys[class]),
            None => self.base.to_owned(),
        }
    }
}

/// By what rows are judged, beside their labels and probabilities.
#[derive(Debug, Clone, Copy)]
struct Terms {
    n_classes: usize,
    positive: Option<usize>,
    opts: MetricOptions,
}

/// Rows to judge, which have been checked.
struct Judge<'a> {
    labels: &'a [u32],
    probs: &'a [f32],
    terms: Terms,
}

struct JudgedRow {
    /// Cell of the confusion matrix.
    cell: u32,
    log_loss: f64,
    squared_error: f64,
}

impl<'a> Judge<'a> {
    fn new(
        labels: &'a [u32],
        probs: &'a [f32],
        n_classes: usize,
        positive: Option<usize>,
        opts: MetricOptions,
    ) -> Result<Self, MetricError> {
        check(labels, probs, n_classes, positive, opts)?;
        Ok(Self { labels, probs, terms: Terms { n_classes, positive, opts } })
    }

    fn probabilities(&self) -> impl Iterator<Item = &'a [f32]> {
        self.probs.chunks_exact(self.terms.n_classes)
    }

    fn predicted(&self) -> impl Iterator<Item = u32> {
        let Terms { positive, opts, .. } = self.terms;
        self.probabilities().map(move |row| predict(row, positive, opts.decision_threshold))
    }

    fn rows(&self) -> impl Iterator<Item = JudgedRow> {
        let Terms { n_classes, positive, .. } = self.terms;
        self.probabilities().zip(self.labels).zip(self.predicted()).map(move |((row, &label), predicted)| JudgedRow {
            cell: label * n_classes as u32 + predicted,
            log_loss: row_log_loss(row[label as usize]),
            squared_error: match positive {
                Some(class) => row_squared_error(row[class], label as usize == class),
                None => row_squared_errors(row, label as usize),
            },
        })
    }

    /// By the positive class's score, or by each class's when there are many.
    fn rankings(&self) -> impl Iterator<Item = Ranking> {
        let ranked = match self.terms.positive {
            Some(class) => class..class + 1,
            None => 0..self.terms.n_classes,
        };
        ranked.map(|class| {
            let scores = self.probabilities().map(|row| row[class]);
            Ranking::new(scores, |row| self.labels[row] as usize == class)
        })
    }
}

/// All that is known of each row once it has been predicted and ranked, so that resamples of the rows are cheap to judge.
pub(crate) struct Judged {
    terms: Terms,
    rows: Vec<JudgedRow>,
    rankings: Vec<Ranking>,
}

impl Judged {
    pub(crate) fn new(
        labels: &[u32],
        probs: &[f32],
        n_classes: usize,
        positive: Option<usize>,
        opts: MetricOptions,
    ) -> Result<Self, MetricError> {
        let judge = Judge::new(labels, probs, n_classes, positive, opts)?;
        Ok(Self { terms: judge.terms, rows: judge.rows().collect(), rankings: judge.rankings().collect() })
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn positive(&self) -> Option<usize> {
        self.terms.positive
    }

    /// Sums over the rows, row `i` taken `counts[i]` times; the counts are not all 0. O(C · n).
    pub(crate) fn tally(&self, counts: &[u8]) -> Tally {
        let mut tally = Tally::new(self.terms);
        for (row, &count) in self.rows.iter().zip(counts) {
            tally.add(row, count);
        }
        tally.areas = self.rankings.iter().map(|ranking| ranking.areas(|row| counts[row as usize])).collect();
        tally
    }
}

/// Sums over rows, from which every metric follows.
pub(crate) struct Tally {
    terms: Terms,
    pub(crate) confusion: ConfusionMatrix,
    log_loss: f64,
    squared_error: f64,
    areas: Vec<Areas>,
}

impl Tally {
    fn new(terms: Terms) -> Self {
        let confusion = ConfusionMatrix::new(terms.n_classes);
        Self { terms, confusion, log_loss: 0.0, squared_error: 0.0, areas: Vec::new() }
    }

    /// Adds a row, taken `count` times.
    fn add(&mut self, row: &JudgedRow, count: u8) {
        self.confusion.add(row.cell as usize, u64::from(count));
        self.log_loss += f64::from(count) * row.log_loss;
        self.squared_error += f64::from(count) * row.squared_error;
    }

    /// Every metric in the order of [`METRICS`], then those of each class; always the same keys in the same order.
    pub(crate) fn for_each_metric(&self, mut metric: impl FnMut(Key, f64)) {
        let Self { terms: Terms { positive, opts, .. }, confusion, areas, .. } = self;
        let n_rows = confusion.total() as f64;
        let by_class = confusion.by_class(opts.zero_division);
        let macro_average = confusion.macro_average(&by_class);
        let weighted = confusion.weighted_average(&by_class);
        let plain = positive.map_or(macro_average, |class| by_class[class]);
        let accuracy = confusion.correct() as f64 / n_rows;
        let mut overall = |base, value| metric(Key { base, class: None }, value);

        overall("n_rows", n_rows);
        overall("accuracy", accuracy);
        overall("balanced_accuracy", confusion.balanced_accuracy());
        overall("precision", plain.precision);
        overall("recall", plain.recall);
        overall("f1", plain.f1);
        let n_areas = areas.len() as f64;
        let mean = |area: fn(&Areas) -> f64| areas.iter().map(area).sum::<f64>() / n_areas;
        overall("roc_auc", mean(|areas| areas.roc_auc));
        if positive.is_none() {
            let weighted: f64 = (0..confusion.n_classes())
                .filter(|&class| confusion.support(class) > 0)
                .map(|class| confusion.support(class) as f64 * areas[class].roc_auc)
                .sum();
            overall("roc_auc_weighted", weighted / n_rows);
        }
        overall("pr_auc", mean(|areas| areas.pr_auc));
        overall("log_loss", self.log_loss / n_rows);
        overall("brier", self.squared_error / n_rows);
        overall("mcc", confusion.mcc());
        if let Some(positive) = *positive {
            let negative = 1 - positive;
            let false_positives = confusion.count(negative, positive) as f64;
            let missed = confusion.count(positive, negative) as f64;
            overall("false_positive_rate", false_positives / confusion.support(negative) as f64);
            overall("false_alarms_per_1000", 1_000.0 * false_positives / n_rows);
            overall("missed_per_1000", 1_000.0 * missed / n_rows);
            overall("tp", confusion.count(positive, positive) as f64);
            overall("fp", false_positives);
            overall("tn", confusion.count(negative, negative) as f64);
            overall("fn", missed);
        }
        overall("precision_macro", macro_average.precision);
        overall("recall_macro", macro_average.recall);
        overall("f1_macro", macro_average.f1);
        overall("precision_weighted", weighted.precision);
        overall("recall_weighted", weighted.recall);
        overall("f1_weighted", weighted.f1);
        // Each wrong row is a false positive of one class and a false negative of another, so the three are one.
        overall("precision_micro", accuracy);
        overall("recall_micro", accuracy);
        overall("f1_micro", accuracy);

        for (class, values) in by_class.iter().enumerate() {
            let mut of_class = |base, value| {
                let class = Some(class);
                metric(Key { base, class }, value);
            };
            of_class("precision", values.precision);
            of_class("recall", values.recall);
            of_class("f1", values.f1);
            if positive.is_none() {
                of_class("roc_auc", areas[class].roc_auc);
                of_class("pr_auc", areas[class].pr_auc);
            }
            of_class("support", confusion.support(class) as f64);
        }
    }
}

fn predict(row: &[f32], positive: Option<usize>, decision_threshold: Option<f64>) -> u32 {
    if let (Some(positive), Some(threshold)) = (positive, decision_threshold) {
        let flagged = f64::from(row[positive]) > threshold;
        return if flagged { positive } else { 1 - positive } as u32;
    }
    let mut best = 0;
    for class in 1..row.len() {
        if row[class] > row[best] {
            best = class;
        }
    }
    best as u32
}

fn check(
    labels: &[u32],
    probs: &[f32],
    n_classes: usize,
    positive: Option<usize>,
    opts: MetricOptions,
) -> Result<(), MetricError> {
    let n_rows = labels.len();
    if n_rows == 0 {
        return Err(MetricError::NoRows);
    }
    if n_rows > u32::MAX as usize {
        return Err(MetricError::TooManyRows { n_rows });
    }
    if !(2..=MAX_CLASSES).contains(&n_classes) {
        return Err(MetricError::ClassCount { n_classes });
    }
    if probs.len() != n_rows * n_classes {
        return Err(MetricError::Shape { n_rows, n_classes, got: probs.len() });
    }
    let fits = match positive {
        Some(class) => n_classes == 2 && class < 2,
        None => n_classes > 2,
    };
    if !fits {
        return Err(MetricError::Positive { positive, n_classes });
    }
    if let Some(threshold) = opts.decision_threshold
        && (n_classes != 2 || threshold.is_nan())
    {
        return Err(MetricError::DecisionThreshold { threshold, n_classes });
    }
    if let Some(row) = labels.iter().position(|&label| label as usize >= n_classes) {
        return Err(MetricError::LabelOutOfRange { row, label: labels[row], n_classes });
    }
    for (row, probabilities) in probs.chunks_exact(n_classes).enumerate() {
        let sum: f64 = probabilities.iter().map(|&p| f64::from(p)).sum();
        let wrong = probabilities.iter().position(|p| !(0.0..=1.0).contains(p));
        if wrong.is_some() || (sum - 1.0).abs() > SUM_TOLERANCE {
            let class = wrong.unwrap_or(n_classes - 1);
            return Err(MetricError::Probability { row, class, value: probabilities[class], sum });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
