//! What the server answers, and what it stands for.
//!
//! Fields that are not needed are ignored, and all others may be missing: servers of several releases answer, and none of them sends
//! what is empty.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::entities::{
    ArtifactEntry, DatasetInput, Experiment, LoggedModel, Metric, MetricPoint, ModelRef, ModelStatus, Run, RunInfo,
    RunStatus,
};
use crate::registry::{ModelVersion, RegisteredModel};

/// Keys and values as a server takes them.
pub(super) fn pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Value {
    pairs.into_iter().map(|(key, value)| json!({"key": key.into(), "value": value.into()})).collect()
}

/// Keys and values as a server gives them.
fn map_of(pairs: Vec<Pair>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

/// An answer that holds nothing of interest.
#[derive(Deserialize)]
pub(super) struct Nothing {}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ExperimentAnswer {
    pub(super) experiment: WireExperiment,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ExperimentsAnswer {
    pub(super) experiments: Vec<WireExperiment>,
    pub(super) next_page_token: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct CreatedExperiment {
    pub(super) experiment_id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireExperiment {
    pub(super) experiment_id: String,
    name: String,
    artifact_location: String,
    lifecycle_stage: String,
}

impl WireExperiment {
    pub(super) fn is_deleted(&self) -> bool {
        self.lifecycle_stage == "deleted"
    }
}

impl From<WireExperiment> for Experiment {
    fn from(wire: WireExperiment) -> Self {
        Self { id: wire.experiment_id, name: wire.name, artifact_location: wire.artifact_location }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RunAnswer {
    pub(super) run: WireRun,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RunsAnswer {
    pub(super) runs: Vec<WireRun>,
    pub(super) next_page_token: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireRun {
    pub(super) info: WireRunInfo,
    data: WireRunData,
    inputs: WireInputs,
    outputs: WireOutputs,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireRunInfo {
    pub(super) run_id: String,
    pub(super) run_name: String,
    experiment_id: String,
    user_id: String,
    status: String,
    #[serde(deserialize_with = "integer")]
    start_time: Option<i64>,
    #[serde(deserialize_with = "integer")]
    end_time: Option<i64>,
    artifact_uri: String,
    lifecycle_stage: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireRunData {
    metrics: Vec<WireMetric>,
    params: Vec<Pair>,
    tags: Vec<Pair>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireInputs {
    dataset_inputs: Vec<WireDatasetInput>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireOutputs {
    model_outputs: Vec<WireModelOutput>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireModelOutput {
    model_id: String,
    #[serde(deserialize_with = "integer")]
    step: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireDatasetInput {
    tags: Vec<Pair>,
    dataset: WireDataset,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireDataset {
    name: String,
    digest: String,
    source_type: String,
    source: String,
    schema: Option<String>,
    profile: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pair {
    key: String,
    value: String,
}

#[derive(Deserialize)]
pub(super) struct WireMetric {
    #[serde(default)]
    key: String,
    #[serde(deserialize_with = "number")]
    value: f64,
    #[serde(default, deserialize_with = "integer")]
    timestamp: Option<i64>,
    #[serde(default, deserialize_with = "integer")]
    step: Option<i64>,
    #[serde(default)]
    dataset_name: Option<String>,
    #[serde(default)]
    dataset_digest: Option<String>,
}

impl WireMetric {
    pub(super) fn point(&self) -> MetricPoint {
        MetricPoint {
            value: self.value,
            timestamp_ms: self.timestamp.unwrap_or_default(),
            step: self.step.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct HistoryAnswer {
    pub(super) metrics: Vec<WireMetric>,
    pub(super) next_page_token: String,
}

impl WireRun {
    pub(super) fn is_deleted(&self) -> bool {
        self.info.lifecycle_stage == "deleted"
    }
}

impl From<WireRun> for Run {
    fn from(wire: WireRun) -> Self {
        let WireRun { info, data, inputs, outputs } = wire;
        let tags = map_of(data.tags);
        let user = if info.user_id.is_empty() { tags.get("mlflow.user").cloned() } else { Some(info.user_id) };
        let status = RunStatus::from_name(&info.status).unwrap_or(RunStatus::Scheduled);
        let mut inputs: Vec<DatasetInput> = inputs.dataset_inputs.into_iter().map(DatasetInput::from).collect();
        inputs.sort_by(|a, b| (&a.name, &a.digest).cmp(&(&b.name, &b.digest)));
        let outputs = outputs.model_outputs.into_iter();
        let models = outputs.map(|model| (model.model_id, model.step.unwrap_or_default())).collect();
        let info = RunInfo {
            id: info.run_id,
            experiment_id: info.experiment_id,
            name: info.run_name,
            user: user.unwrap_or_default(),
            status,
            start_time_ms: info.start_time.unwrap_or_default(),
            // Some releases send 0 for a run that has not ended.
            end_time_ms: info.end_time.filter(|_| status.is_final()),
            artifact_uri: info.artifact_uri,
        };
        let metrics = data.metrics.into_iter().map(|metric| (metric.key.clone(), metric.point())).collect();
        Self { info, params: map_of(data.params), metrics, tags, inputs, models }
    }
}

impl From<WireDatasetInput> for DatasetInput {
    fn from(wire: WireDatasetInput) -> Self {
        let WireDatasetInput { tags, dataset } = wire;
        let context = tags.into_iter().find(|tag| tag.key == CONTEXT_TAG).map(|tag| tag.value);
        Self {
            name: dataset.name,
            digest: dataset.digest,
            source_type: dataset.source_type,
            source: dataset.source,
            schema: dataset.schema.filter(|text| !text.is_empty()),
            profile: dataset.profile.filter(|text| !text.is_empty()),
            context,
        }
    }
}

/// Tag of a dataset input that says what the run used it for.
pub(super) const CONTEXT_TAG: &str = "mlflow.data.context";

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ModelAnswer {
    pub(super) model: WireModel,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ModelsAnswer {
    pub(super) models: Vec<WireModel>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireModel {
    info: WireModelInfo,
    data: WireModelData,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireModelInfo {
    model_id: String,
    experiment_id: String,
    name: String,
    artifact_uri: String,
    status: String,
    source_run_id: String,
    model_type: String,
    tags: Vec<Pair>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireModelData {
    params: Vec<Pair>,
    metrics: Vec<WireMetric>,
}

/// Names of the status of a model, as [`ModelStatus::code`] numbers them.
const MODEL_STATUSES: [&str; 4] =
    ["LOGGED_MODEL_STATUS_UNSPECIFIED", "LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"];

pub(super) fn name_of(status: ModelStatus) -> &'static str {
    MODEL_STATUSES[status.code() as usize]
}

impl From<WireModel> for LoggedModel {
    fn from(wire: WireModel) -> Self {
        let WireModel { info, data } = wire;
        let code = MODEL_STATUSES.iter().position(|name| *name == info.status).unwrap_or_default();
        let of_model = |wire: WireMetric| {
            let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
            let (dataset_name, dataset_digest) = (text(&wire.dataset_name), text(&wire.dataset_digest));
            let MetricPoint { value, timestamp_ms, step } = wire.point();
            let model = ModelRef { model_id: info.model_id.clone(), dataset_name, dataset_digest };
            Metric::new(wire.key, value, timestamp_ms, step).of_model(model)
        };
        let mut metrics: Vec<Metric> = data.metrics.into_iter().map(of_model).collect();
        metrics.sort_by(|a, b| (&a.key, a.step, a.timestamp_ms).cmp(&(&b.key, b.step, b.timestamp_ms)));
        Self {
            id: info.model_id,
            experiment_id: info.experiment_id,
            name: info.name,
            status: ModelStatus::from_code(code as i64).unwrap_or(ModelStatus::Unspecified),
            artifact_location: info.artifact_uri,
            source_run_id: Some(info.source_run_id).filter(|id| !id.is_empty()),
            model_type: Some(info.model_type).filter(|text| !text.is_empty()),
            metrics,
            params: map_of(data.params),
            tags: map_of(info.tags),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RegisteredModelAnswer {
    pub(super) registered_model: WireRegisteredModel,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct RegisteredModelsAnswer {
    pub(super) registered_models: Vec<WireRegisteredModel>,
    pub(super) next_page_token: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireRegisteredModel {
    name: String,
    description: String,
    #[serde(deserialize_with = "integer")]
    creation_timestamp: Option<i64>,
    #[serde(deserialize_with = "integer")]
    last_updated_timestamp: Option<i64>,
    tags: Vec<Pair>,
    aliases: Vec<WireAlias>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireAlias {
    alias: String,
    #[serde(deserialize_with = "integer")]
    version: Option<i64>,
}

impl From<WireRegisteredModel> for RegisteredModel {
    fn from(wire: WireRegisteredModel) -> Self {
        let aliases = wire.aliases.into_iter();
        Self {
            name: wire.name,
            description: wire.description,
            creation_time_ms: wire.creation_timestamp.unwrap_or_default(),
            last_updated_ms: wire.last_updated_timestamp.unwrap_or_default(),
            tags: map_of(wire.tags),
            aliases: aliases.filter_map(|alias| Some((alias.alias, version_of(alias.version)?))).collect(),
        }
    }
}

fn version_of(number: Option<i64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct VersionAnswer {
    pub(super) model_version: WireVersion,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct VersionsAnswer {
    pub(super) model_versions: Vec<WireVersion>,
    pub(super) next_page_token: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct LocationAnswer {
    pub(super) artifact_uri: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireVersion {
    name: String,
    #[serde(deserialize_with = "integer")]
    version: Option<i64>,
    source: String,
    run_id: String,
    description: String,
    #[serde(deserialize_with = "integer")]
    creation_timestamp: Option<i64>,
    #[serde(deserialize_with = "integer")]
    last_updated_timestamp: Option<i64>,
    tags: Vec<Pair>,
}

impl From<WireVersion> for ModelVersion {
    /// The aliases are the registered model's to say: not every answer holds them.
    fn from(wire: WireVersion) -> Self {
        Self {
            name: wire.name,
            version: version_of(wire.version).unwrap_or_default(),
            source: wire.source,
            run_id: Some(wire.run_id).filter(|id| !id.is_empty()),
            description: wire.description,
            creation_time_ms: wire.creation_timestamp.unwrap_or_default(),
            last_updated_ms: wire.last_updated_timestamp.unwrap_or_default(),
            tags: map_of(wire.tags),
            aliases: Vec::new(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ArtifactsAnswer {
    pub(super) files: Vec<WireFile>,
    pub(super) next_page_token: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WireFile {
    pub(super) path: String,
    pub(super) is_dir: bool,
    #[serde(deserialize_with = "integer")]
    pub(super) file_size: Option<i64>,
}

impl WireFile {
    pub(super) fn entry(self) -> ArtifactEntry {
        let n_bytes = if self.is_dir { 0 } else { self.file_size.unwrap_or_default().max(0) as u64 };
        ArtifactEntry { path: self.path, is_dir: self.is_dir, n_bytes }
    }
}

/// A whole number, or its digits: protocol buffers write 64 bits either way.
fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

/// A number, or the name of one that JSON does not have.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = match &value {
        Value::Number(number) => number.as_f64(),
        // `NaN`, `Infinity` and `-Infinity`, among others.
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    // An infinity is kept as the largest number, as MLflow's SQL store does.
    number
        .map(|n| n.clamp(f64::MIN, f64::MAX))
        .ok_or_else(|| serde::de::Error::custom(format!("metric value {}", crate::error::shown(&value.to_string()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0.5", 0.5)]
    #[case("\"Infinity\"", f64::MAX)]
    #[case("\"-Infinity\"", f64::MIN)]
    #[case("3", 3.0)]
    fn metric_values(#[case] value: &str, #[case] expected: f64) {
        let text = format!(r#"{{"key": "k", "value": {value}, "timestamp": "7", "step": 2}}"#);
        let metric: WireMetric = serde_json::from_str(&text).expect("valid");
        assert_eq!(metric.point(), MetricPoint { value: expected, timestamp_ms: 7, step: 2 });
    }

    #[test]
    fn nan_has_a_name() {
        let metric: WireMetric = serde_json::from_str(r#"{"key": "k", "value": "NaN"}"#).expect("valid");
        assert!(metric.point().value.is_nan());
        assert!(serde_json::from_str::<WireMetric>(r#"{"key": "k", "value": null}"#).is_err());
    }

    #[test]
    fn what_is_missing_is_empty() {
        let answer: RunAnswer = serde_json::from_str(r#"{"run": {"info": {"run_id": "a", "new": 1}}}"#).expect("valid");
        let run = Run::from(answer.run);
        assert_eq!((run.info.id.as_str(), run.info.end_time_ms, run.metrics.len()), ("a", None, 0));
    }
}
