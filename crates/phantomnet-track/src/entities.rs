//! What a tracking store keeps, as plain values. All times are milliseconds since the Unix epoch.

use std::collections::BTreeMap;
use std::fmt;

use crate::filter::{Filter, Order};

/// A named collection of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    /// The store's identifier: decimal digits.
    pub id: String,
    /// Unique among the store's experiments, deleted ones included.
    pub name: String,
    /// Folder or URI below which the artifacts of its runs and models lie.
    pub artifact_location: String,
}

/// Where a run stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// Waiting to start; never written by us.
    Scheduled,
    /// Started and not ended, or its process was killed before it could say so.
    Running,
    /// Ended well.
    Finished,
    /// Ended by an error.
    Failed,
    /// Ended by a signal.
    Killed,
}

impl RunStatus {
    const ALL: [Self; 5] = [Self::Scheduled, Self::Running, Self::Finished, Self::Failed, Self::Killed];

    /// MLflow's name of the status, in capitals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }

    /// The status of MLflow's name for it; `None` for any other text.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether nothing more is expected of a run with this status.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A run to be created.
///
/// The tags `mlflow.runName` and `mlflow.user` are written from `name` and `user` and win over tags of that key here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Shown in lists; need not be unique. 1 to 250 characters.
    pub name: String,
    /// Who started it; may be empty.
    pub user: String,
    /// Start of the run.
    pub start_time_ms: i64,
    /// Tags it starts with.
    pub tags: Vec<Tag>,
}

/// What identifies a run and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunInfo {
    /// 32 lower-case hex digits.
    pub id: String,
    /// The experiment it belongs to.
    pub experiment_id: String,
    /// Its name, not unique.
    pub name: String,
    /// Who started it; empty when not known.
    pub user: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Start of the run; 0 when not known.
    pub start_time_ms: i64,
    /// End of the run; `None` while it is running.
    pub end_time_ms: Option<i64>,
    /// Folder or URI of its artifacts.
    pub artifact_uri: String,
}

/// A run with all that was logged to it, of each metric the latest point.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Identity and status.
    pub info: RunInfo,
    /// Params by key.
    pub params: BTreeMap<String, String>,
    /// The point with the greatest (step, time, value) of each metric, by key.
    pub metrics: BTreeMap<String, MetricPoint>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// Datasets it read, by name and digest.
    pub inputs: Vec<DatasetInput>,
    /// The models it made, by id: the position of each on the run's step axis.
    pub models: BTreeMap<String, i64>,
}

/// Which runs to list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunQuery {
    /// Experiments to look in; empty means all that are not deleted.
    pub experiment_ids: Vec<String>,
    /// Only runs of this status.
    pub status: Option<RunStatus>,
    /// Conditions that they meet.
    pub filter: Filter,
    /// By what they are ordered; where that says nothing, the latest started come first.
    pub order_by: Vec<Order>,
    /// At most this many runs.
    pub max_results: u32,
}

/// A number measured by a run at a step and a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Valid as by [`crate::sanitize_key`].
    pub key: String,
    /// Any number. NaN is kept; an infinity reads back as ±[`f64::MAX`], which is how MLflow keeps it.
    pub value: f64,
    /// Time of measurement.
    pub timestamp_ms: i64,
    /// Position on the metric's axis: fold, epoch, or 0.
    pub step: i64,
    /// The model it judges, if any.
    pub model: Option<ModelRef>,
}

impl Metric {
    /// A metric that judges no model.
    pub fn new(key: impl Into<String>, value: f64, timestamp_ms: i64, step: i64) -> Self {
        Self { key: key.into(), value, timestamp_ms, step, model: None }
    }

    /// The same metric, tied to a model.
    #[must_use]
    pub fn of_model(self, model: ModelRef) -> Self {
        Self { model: Some(model), ..self }
    }
}

/// The model a metric judges and the data it was judged on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelRef {
    /// Id given by [`crate::Store::create_logged_model`].
    pub model_id: String,
    /// Name of the dataset; both this and its digest, or neither.
    pub dataset_name: Option<String>,
    /// Digest of the dataset.
    pub dataset_digest: Option<String>,
}

/// One stored point of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricPoint {
    /// Its value; may be NaN.
    pub value: f64,
    /// Time of measurement.
    pub timestamp_ms: i64,
    /// Position on the metric's axis.
    pub step: i64,
}

/// A setting of a run: text that never changes once written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Valid as by [`crate::sanitize_key`].
    pub key: String,
    /// At most [`crate::MAX_PARAM_CHARS`] characters.
    pub value: String,
}

impl Param {
    /// A param of this key and value.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// A remark on a run or a model: text that a later one of the same key replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Valid as by [`crate::sanitize_key`].
    pub key: String,
    /// At most [`crate::MAX_TAG_CHARS`] characters.
    pub value: String,
}

impl Tag {
    /// A tag of this key and value.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// A dataset that a run read, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetInput {
    /// 1 to 500 characters.
    pub name: String,
    /// Fingerprint of the content, 1 to 36 characters.
    pub digest: String,
    /// Kind of place it came from: `local`, `s3`, ...; 1 to 36 characters.
    pub source_type: String,
    /// Where it came from, as JSON text: `{"uri": "train.csv"}`.
    pub source: String,
    /// Columns, as JSON text: `{"mlflow_colspec": [{"type": "double", "name": "x", "required": true}]}`.
    pub schema: Option<String>,
    /// Size, as JSON text: `{"num_rows": 150, "num_elements": 750}`.
    pub profile: Option<String>,
    /// What the run used it for: `training`, `eval`, ...; at most 500 characters.
    pub context: Option<String>,
}

/// Whether the files of a logged model are all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModelStatus {
    /// Written by some other program without a status.
    Unspecified,
    /// Its files are being written.
    Pending,
    /// Complete.
    Ready,
    /// Its files are not all there and never will be.
    UploadFailed,
}

impl ModelStatus {
    /// MLflow's number for the status, 0 to 3.
    pub(crate) fn code(self) -> i64 {
        match self {
            Self::Unspecified => 0,
            Self::Pending => 1,
            Self::Ready => 2,
            Self::UploadFailed => 3,
        }
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        [Self::Unspecified, Self::Pending, Self::Ready, Self::UploadFailed]
            .into_iter()
            .find(|status| status.code() == code)
    }
}

/// A model to be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLoggedModel {
    /// 1 to 500 characters, none of `/ : . % " '`.
    pub name: String,
    /// Kind of model, free text.
    pub model_type: Option<String>,
    /// The run that makes it.
    pub source_run_id: String,
    /// Position on the run's step axis; 0 for a model made at the end.
    pub step: i64,
    /// The model's own params, beside those of its run.
    pub params: Vec<Param>,
    /// The model's own tags, beside its run's user and source.
    pub tags: Vec<Tag>,
}

/// A model in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedModel {
    /// `m-` and 32 lower-case hex digits; `models:/<id>` in MLflow.
    pub id: String,
    /// The experiment it belongs to.
    pub experiment_id: String,
    /// Its name, not unique.
    pub name: String,
    /// Whether its files are there.
    pub status: ModelStatus,
    /// Folder or URI of its files.
    pub artifact_location: String,
    /// The run that made it, if known.
    pub source_run_id: Option<String>,
    /// Kind of model, free text.
    pub model_type: Option<String>,
    /// What was measured of it.
    pub metrics: Vec<Metric>,
    /// Params by key.
    pub params: BTreeMap<String, String>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
}

/// A file or folder among artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactEntry {
    /// From the run's artifact root, `/`-separated.
    pub path: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Size in bytes; 0 for a folder.
    pub n_bytes: u64,
}
