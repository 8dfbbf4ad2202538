//! The values a report shows.

use crate::Picture;

/// Everything the report of one run shows; what is empty or `None` is left out of the page.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Heading of the page, such as the name of the run.
    pub title: String,
    /// What was trained on what, in one sentence.
    pub summary: Option<String>,
    /// The data were made up: the page says so at its top.
    pub synthetic: bool,
    /// The conditions the run had to meet.
    pub gate: Option<Gate>,
    /// Rows of the hold-out.
    pub n_holdout: Option<u64>,
    /// The few metrics that matter, most important first.
    pub headline: Vec<Metric>,
    /// What the model costs its operators, such as false alarms.
    pub rates: Vec<Rate>,
    /// Warnings recorded during the run.
    pub warnings: Vec<String>,
    /// Pictures in the order shown.
    pub pictures: Vec<Picture>,
    /// Results of each class.
    pub classes: Vec<ClassResult>,
    /// Metrics of the cross-validation.
    pub cross_validation: Vec<CrossValidated>,
    /// Rows of the hold-out judged wrong, the most certain first.
    pub worst_errors: Vec<WrongRow>,
    /// What was read.
    pub data: Option<DataSummary>,
    /// What the model sees.
    pub features: Vec<Feature>,
    /// How fast it scores.
    pub latency: Option<LatencyTable>,
    /// Every metric of the run, in the order shown.
    pub metrics: Vec<Metric>,
    /// Stages of the run with the seconds they took.
    pub timings: Vec<(String, f64)>,
    /// The resolved configuration as TOML.
    pub configuration: Option<String>,
    /// Shell commands that repeat the run, in order.
    pub commands: Vec<String>,
    /// Where the run comes from.
    pub provenance: Provenance,
}

/// A measured value with its 95 % interval; NaN when not defined.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// The value measured.
    pub value: f64,
    /// Both ends of its interval.
    pub interval: Option<(f64, f64)>,
}

impl Estimate {
    /// The interval, when both its ends are defined.
    pub(crate) fn defined_interval(&self) -> Option<(f64, f64)> {
        self.interval.filter(|(low, high)| !low.is_nan() && !high.is_nan())
    }
}

/// A metric of the model beside that of the baseline.
#[derive(Debug, Clone, Default)]
pub struct Metric {
    /// Its key, such as `accuracy`.
    pub name: String,
    /// On the hold-out.
    pub estimate: Estimate,
    /// Of the majority baseline on the same rows.
    pub baseline: Option<f64>,
    /// Which way is better, where either is.
    pub higher_is_better: Option<bool>,
}

/// A count per 1,000 that an operator feels.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    /// What is counted, such as `false alarms per 1,000 events`.
    pub name: String,
    /// How many per 1,000.
    pub per_1000: Estimate,
}

/// The conditions a run had to meet.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    /// Whether all of them are met.
    pub passed: bool,
    /// Each of them.
    pub conditions: Vec<Condition>,
}

/// One condition of the gate.
#[derive(Debug, Clone, Default)]
pub struct Condition {
    /// Key of the metric.
    pub metric: String,
    /// The bound it is held to.
    pub required: f64,
    /// The bound is a least value; else it is a largest one.
    pub at_least: bool,
    /// What was measured.
    pub measured: Estimate,
    /// Whether it is met.
    pub met: bool,
}

/// Results of one class on the hold-out.
#[derive(Debug, Clone, Default)]
pub struct ClassResult {
    /// Name of the class.
    pub class: String,
    /// Share of right ones among the rows given this class.
    pub precision: Estimate,
    /// Share of rows of this class that were found.
    pub recall: Estimate,
    /// Harmonic mean of both.
    pub f1: Estimate,
    /// Rows of this class.
    pub support: u64,
}

/// A metric over the folds.
#[derive(Debug, Clone, Default)]
pub struct CrossValidated {
    /// Key of the metric.
    pub metric: String,
    /// Mean over the folds.
    pub mean: f64,
    /// Standard deviation over the folds.
    pub std: f64,
    /// Value on each fold.
    pub folds: Vec<f64>,
}

/// A row the model judged wrong.
#[derive(Debug, Clone, Default)]
pub struct WrongRow {
    /// Score the model gave.
    pub score: f64,
    /// What it is.
    pub true_class: String,
    /// What the model said.
    pub predicted_class: String,
    /// File it was read from.
    pub file: String,
    /// Line of that file, from 1.
    pub line: Option<u64>,
    /// The line as it was read; shown cut and escaped.
    pub raw: String,
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct DataSummary {
    /// Files in the order read.
    pub files: Vec<InputFile>,
    /// Rows used.
    pub n_rows: u64,
    /// Lines that could not be read.
    pub n_rejected: u64,
    /// The first of them.
    pub rejected: Vec<RejectedLine>,
    /// Columns with the rows that miss them.
    pub missing: Vec<MissingColumn>,
    /// Name of the label.
    pub label: String,
    /// Rows of each class.
    pub balance: Vec<(String, u64)>,
    /// Digest of the data.
    pub fingerprint: Option<String>,
}

/// A file that was read.
#[derive(Debug, Clone, Default)]
pub struct InputFile {
    /// Its path as given.
    pub path: String,
    /// Rows it gave.
    pub n_rows: Option<u64>,
    /// Its size.
    pub n_bytes: Option<u64>,
}

/// A line that could not be read.
#[derive(Debug, Clone, Default)]
pub struct RejectedLine {
    /// File it stands in.
    pub file: String,
    /// Number of the line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// A column with missing values.
#[derive(Debug, Clone, Default)]
pub struct MissingColumn {
    /// Name of the column.
    pub column: String,
    /// Rows without a value.
    pub n_missing: u64,
}

/// A feature of the model.
#[derive(Debug, Clone, Default)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// The SQL expression that computes it.
    pub expression: String,
    /// `number`, `boolean` or `category`.
    pub kind: String,
    /// Its importance.
    pub importance: Option<f64>,
    /// Share of rows where it is missing, 0 to 1.
    pub missing_share: Option<f64>,
}

/// How fast the model scores.
#[derive(Debug, Clone, Default)]
pub struct LatencyTable {
    /// Name, such as `p99`, and microseconds of one event from raw line to verdict.
    pub percentiles_us: Vec<(String, f64)>,
    /// Rows per second in batches.
    pub rows_per_second: Option<f64>,
}

/// Where a run comes from.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// Identity of the run.
    pub run_id: Option<String>,
    /// Experiment it belongs to.
    pub experiment: Option<String>,
    /// Where it is tracked.
    pub tracking_uri: Option<String>,
    /// When it started, as text.
    pub started: Option<String>,
    /// Seed of the run.
    pub seed: Option<u64>,
    /// Commit of the working tree.
    pub git_commit: Option<String>,
}
