//! Pictures and the report page of a run, from plain values.
//!
//! Small structs in, a [`Picture`] (SVG or PNG) or one HTML page out. The crate reads no file, no clock and no
//! network and knows no other crate of the workspace; the same values always give the same bytes.
//!
//! Class names, feature names, raw log lines and paths were written by others, some by attackers. Every string passes
//! through the one escaping function of `markup`, and characters that act without being seen (controls, text direction) are
//! shown instead of obeyed.

mod chart;
mod drawing;
mod error;
mod markup;
mod number;
mod pictures;
mod report;
mod visible;

pub use drawing::Picture;
pub use error::ReportError;
pub use pictures::confusion::{ConfusionMatrix, confusion_matrix};
pub use pictures::curves::{PrCurve, RocCurve, precision_recall, roc};
pub use pictures::folds::{FoldMetric, metric_by_fold};
pub use pictures::importance::{FeatureImportance, feature_importance};
pub use pictures::latency::{LatencySamples, latency_histogram};
pub use pictures::reliability::{Reliability, ReliabilityBin, reliability};
pub use pictures::scores::{ClassScores, ScoreDistribution, score_distribution};
pub use report::model::{
    ClassResult, Condition, CrossValidated, DataSummary, Estimate, Feature, Gate, InputFile, LatencyTable, Metric,
    MissingColumn, Provenance, Rate, RejectedLine, Report, WrongRow,
};
pub use report::render_report;
