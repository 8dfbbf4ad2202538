//! The run in the tracking store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use phantomnet_learn::metrics::MetricMap;
use phantomnet_learn::{CrossValidation, FoldResult, Learner};
use phantomnet_track::{
    ActiveRun, BOOT_ID_TAG, DatasetInput, HOST_TAG, Metric, ModelRef, ModelStatus, NewLoggedModel, NewRun,
    PARENT_RUN_TAG, PID_TAG, Param, RunInfo, RunStatus, Tag, clip_param, clip_tag, is_server, random_run_name,
    sanitize_key,
};

use super::Registered;
use super::by_tree::Point;
use super::data::Labelled;
use super::machine::{boot_id, host, now_ms, user};
use super::registration::Registration;
use super::store::{KeptIn, Opened, open_store, track_failure};
use super::system_metrics::Sampler;
use crate::config::Config;
use crate::failure::{Failure, Kind};

/// Name of the logged model: `runs:/<run id>/model`.
pub(super) const MODEL_NAME: &str = "model";
/// Bytes of the fingerprint, as hexadecimal digits, that make the dataset's digest.
const DIGEST_DIGITS: usize = 16;

/// Commit of the work tree around the working directory, if there is one.
pub(super) fn git_commit() -> Option<String> {
    let output = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && commit.bytes().all(|b| b.is_ascii_hexdigit()) && !commit.is_empty()).then_some(commit)
}

/// Whether a process lives. One that was killed and that its parent has not asked after is in the process table still.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which is in brackets and may hold anything.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// A run in progress.
pub(super) struct Recorder {
    run: ActiveRun,
    dataset: (String, String),
    /// Where the files of the logged model go.
    model_location: Option<String>,
    kept_in: KeptIn,
    sampler: Option<Sampler>,
    /// Whether folds are runs of their own.
    fold_runs: bool,
}

impl Recorder {
    /// Opens the store, closes runs that earlier processes of ours left open, and starts the run with its params, tags and dataset.
    ///
    /// # Errors
    /// Of kind environment, when the store cannot be used.
    pub(super) fn start(
        config: &Config,
        learner: &dyn Learner,
        labelled: &Labelled,
        commit: Option<&str>,
    ) -> Result<Self, Failure> {
        let Opened { mut store, kept_in } = open_store(&config.tracking)?;
        // Containers may share a name but not a process table, and process ids speak of the latter.
        let processes = std::fs::read_link("/proc/self/ns/pid").ok();
        let host = host().zip(processes).map(|(host, table)| format!("{host} {}", table.display()));
        let boot_id = boot_id();
        if let (Some(host), Some(boot_id)) = (&host, &boot_id) {
            store.close_stale_runs(host, boot_id, &is_alive).map_err(track_failure)?;
        }
        let experiment = store.experiment(&config.tracking.experiment).map_err(track_failure)?;
        let mut bytes = [0; 16];
        // Only the name depends on it: without randomness, runs started in one millisecond share one.
        if getrandom::fill(&mut bytes).is_err() {
            bytes[..8].copy_from_slice(&now_ms().to_le_bytes());
        }
        let name = config.tracking.run_name.clone().unwrap_or_else(|| random_run_name(&bytes));
        let user = user().unwrap_or_else(|| "unknown".into());
        let mut tags = vec![
            Tag::new("mlflow.source.name", "phantomnet train"),
            Tag::new("mlflow.source.type", "LOCAL"),
            Tag::new("phantomnet.version", env!("CARGO_PKG_VERSION")),
            Tag::new("phantomnet.data_fingerprint", &labelled.origin.fingerprint),
            Tag::new("phantomnet.synthetic_data", config.data.synthetic.to_string()),
            Tag::new(PID_TAG, std::process::id().to_string()),
        ];
        tags.extend(commit.map(|c| Tag::new("mlflow.source.git.commit", c)));
        tags.extend(host.map(|h| Tag::new(HOST_TAG, h)));
        tags.extend(boot_id.map(|b| Tag::new(BOOT_ID_TAG, b)));
        let new = NewRun { name, user, start_time_ms: now_ms(), tags };
        let run = ActiveRun::start(store, &experiment.id, new, now_ms).map_err(track_failure)?;
        let dataset = dataset(config, labelled);
        let identity = (dataset.name.clone(), dataset.digest.clone());
        let interval = Duration::from_secs_f64(config.tracking.system_metrics_interval);
        let sampler =
            config.tracking.system_metrics.then(|| Sampler::start(interval, PathBuf::from(&config.output.dir)));
        let fold_runs = config.tracking.fold_runs;
        let mut recorder = Self { run, dataset: identity, model_location: None, kept_in, sampler, fold_runs };
        let id = recorder.id().to_owned();
        let store = recorder.run.store();
        store.log_batch(&id, &[], &params(config, learner), &[]).map_err(track_failure)?;
        store.log_inputs(&id, &[dataset]).map_err(track_failure)?;
        Ok(recorder)
    }

    /// Id of the run.
    pub(super) fn id(&self) -> &str {
        &self.run.info().id
    }

    /// Name of the run.
    pub(super) fn name(&self) -> &str {
        &self.run.info().name
    }

    /// Experiment of the run, by id.
    pub(super) fn experiment_id(&self) -> &str {
        &self.run.info().experiment_id
    }

    /// Records each fold's metrics, a step a fold.
    ///
    /// # Errors
    /// Of kind environment.
    pub(super) fn folds(&mut self, cv: &CrossValidation) -> Result<(), Failure> {
        let now = now_ms();
        let kept = |key: &str| cv.summary.get(&format!("cv_{key}_mean")).is_some();
        let metrics: Vec<Metric> = (0_i64..)
            .zip(&cv.folds)
            .flat_map(|(step, fold)| {
                let of_fold = fold.metrics.iter().filter(|(key, _)| kept(key));
                of_fold.map(move |(key, value)| Metric::new(format!("cv_{key}"), value, now, step)).collect::<Vec<_>>()
            })
            .collect();
        self.batch(&metrics, &[])?;
        if self.fold_runs { cv.folds.iter().try_for_each(|fold| self.fold_run(fold)) } else { Ok(()) }
    }

    /// Records what the first trees alone are worth: the step is their number.
    ///
    /// # Errors
    /// Of kind environment.
    pub(super) fn by_tree(&mut self, points: &[Point]) -> Result<(), Failure> {
        let now = now_ms();
        let of_step = |(n_trees, metrics): &Point| {
            let step = *n_trees as i64;
            let metric = move |(key, value): &(&str, f64)| Metric::new(format!("by_tree/{key}"), *value, now, step);
            metrics.iter().map(metric).collect::<Vec<_>>()
        };
        let metrics: Vec<Metric> = points.iter().flat_map(of_step).collect();
        if metrics.is_empty() { Ok(()) } else { self.batch(&metrics, &[]) }
    }

    /// Records a fold as a run of its own. Its times are those of its recording: the folds are worked on before.
    fn fold_run(&mut self, fold: &FoldResult) -> Result<(), Failure> {
        let RunInfo { id: parent, experiment_id, name, user, .. } = self.run.info().clone();
        let number = format!("{}.{}", fold.repeat + 1, fold.fold + 1);
        let tags = vec![
            Tag::new(PARENT_RUN_TAG, &parent),
            Tag::new("mlflow.source.name", "phantomnet train"),
            Tag::new("mlflow.source.type", "LOCAL"),
            Tag::new("phantomnet.version", env!("CARGO_PKG_VERSION")),
        ];
        let now = now_ms();
        let store = self.run.store();
        let new = NewRun { name: format!("{name} fold {number}"), user, start_time_ms: now, tags };
        let child = store.create_run(&experiment_id, new).map_err(track_failure)?;
        let params = [
            ("repeat", fold.repeat),
            ("fold", fold.fold),
            ("n_train", fold.n_train),
            ("n_validation", fold.n_validation),
        ];
        let params = params.map(|(key, value)| Param::new(key, value.to_string()));
        let metrics: Vec<Metric> =
            fold.metrics.iter().map(|(key, value)| Metric::new(sanitize_key(key), value, now, 0)).collect();
        store.log_batch(&child.id, &metrics, &params, &[]).map_err(track_failure)?;
        store.end_run(&child.id, RunStatus::Finished, now_ms().max(now)).map_err(track_failure)
    }

    /// Records what was sampled of the machine since the last time; at the end, with a last sample.
    fn system_metrics(&mut self, is_end: bool) -> Result<(), Failure> {
        let Some(sampler) = &mut self.sampler else { return Ok(()) };
        if is_end {
            sampler.stop();
        }
        let samples = sampler.take();
        if samples.is_empty() { Ok(()) } else { self.batch(&samples, &[]) }
    }

    /// Records tags.
    ///
    /// # Errors
    /// Of kind environment.
    pub(super) fn tags(&mut self, tags: &[(&str, String)]) -> Result<(), Failure> {
        let tags: Vec<Tag> = tags.iter().map(|(k, v)| Tag::new(*k, clip_tag(v))).collect();
        self.batch(&[], &tags)
    }

    fn batch(&mut self, metrics: &[Metric], tags: &[Tag]) -> Result<(), Failure> {
        let id = self.id().to_owned();
        self.run.store().log_batch(&id, metrics, &[], tags).map_err(track_failure)
    }

    /// Records the final metrics, tied to the model if there is one on disk, and the model's files.
    ///
    /// # Errors
    /// Of kind environment.
    pub(super) fn model(&mut self, metrics: &MetricMap, folder: Option<&Path>) -> Result<Option<String>, Failure> {
        let id = self.id().to_owned();
        let store = self.run.store();
        let Some(folder) = folder else {
            self.batch(&final_metrics(metrics, None), &[])?;
            return Ok(None);
        };
        let new = NewLoggedModel {
            name: MODEL_NAME.into(),
            model_type: None,
            source_run_id: id.clone(),
            step: 0,
            params: Vec::new(),
            tags: Vec::new(),
        };
        let model = store.create_logged_model(new).map_err(track_failure)?;
        self.system_metrics(false)?;
        self.model_location = Some(model.artifact_location.clone());
        let store = self.run.store();
        store.log_model_artifacts(&model.id, folder).map_err(track_failure)?;
        let (name, digest) = self.dataset.clone();
        let reference = ModelRef { model_id: model.id.clone(), dataset_name: Some(name), dataset_digest: Some(digest) };
        self.batch(&final_metrics(metrics, Some(&reference)), &[])?;
        self.run.store().finalize_logged_model(&model.id, ModelStatus::Ready).map_err(track_failure)?;
        Ok(Some(model.id))
    }

    /// Makes the model the next version of a registered model. `verdict` is that of the gate.
    ///
    /// # Errors
    /// Of kind environment.
    pub(super) fn register(
        &mut self,
        name: &str,
        alias: &str,
        model_id: &str,
        verdict: &str,
    ) -> Result<Registered, Failure> {
        let tags = [Tag::new("phantomnet.gate", verdict)];
        let registration = Registration { name, alias, description: "", tags: &tags };
        let version = registration.of_model(self.run.store(), model_id)?;
        Ok(Registered { name: name.to_owned(), version: Some(version.version), alias: alias.to_owned() })
    }

    /// Copies a file to the run's artifacts.
    ///
    /// # Errors
    /// Of kind environment.
    pub(super) fn artifact(&mut self, path: &str, source: &Path) -> Result<(), Failure> {
        let id = self.id().to_owned();
        self.run.store().log_artifact(&id, path, source).map_err(track_failure)
    }

    /// Ends the run well. Gives the folder in which it is kept, if its server is away.
    ///
    /// # Errors
    /// Of kind environment.
    pub(super) fn finish(mut self) -> Result<Option<PathBuf>, Failure> {
        self.system_metrics(true)?;
        self.run.finish().map_err(track_failure)?;
        Ok(self.kept_in.get().cloned())
    }

    /// Ends the run because of a failure: KILLED if the user stopped it, FAILED with the error otherwise.
    pub(super) fn abandon(mut self, failure: &Failure) {
        // A full disk has room for the run's end only once the copies that will never be whole are gone. What a server calls
        // the folder of a run is not ours to remove.
        let is_ours = !is_server(self.run.store().uri());
        let folders = [Some(self.run.info().artifact_uri.clone()), self.model_location.clone()];
        for folder in folders.into_iter().flatten().filter(|_| is_ours) {
            let path = folder.strip_prefix("file://").unwrap_or(&folder);
            if Path::new(path).is_absolute() {
                let _ = std::fs::remove_dir_all(path);
            }
        }
        let _ = self.system_metrics(true);
        // The failure itself is what the user must see; should the store fail too, the run is closed at the next start.
        let _ = match failure.kind {
            Kind::Stopped(_) => self.run.kill(),
            _ => self.run.fail(&failure.to_string()),
        };
    }
}

fn final_metrics(metrics: &MetricMap, model: Option<&ModelRef>) -> Vec<Metric> {
    let now = now_ms();
    let metric = |(key, value): (&str, f64)| {
        let metric = Metric::new(key, value, now, 0);
        match model {
            Some(model) => metric.of_model(model.clone()),
            None => metric,
        }
    };
    metrics.iter().map(metric).collect()
}

/// Hyperparameters by their own names, the rest of the configuration by its keys.
pub(super) fn params(config: &Config, learner: &dyn Learner) -> Vec<Param> {
    let mut pairs = vec![("model.kind".to_owned(), learner.name().to_owned())];
    pairs.push(("data.paths".to_owned(), config.data.paths.join(" ")));
    pairs.extend(learner.params());
    if let Some(folder) = config.model.get("warm_start").and_then(toml::Value::as_str) {
        pairs.push(("warm_start".to_owned(), folder.to_owned()));
    }
    if let Some(sections) = config.model_part().as_object() {
        let rest = sections.iter().filter(|(name, _)| *name != "model");
        for (name, value) in rest {
            flatten(name, value, &mut pairs);
        }
    }
    let mut params: Vec<Param> = Vec::new();
    for (key, value) in pairs {
        let key = sanitize_key(&key);
        // Two names that differ only in refused characters: the second is told apart by its place.
        let key = if params.iter().any(|p| p.key == key) { format!("{key}_{}", params.len()) } else { key };
        params.push(Param::new(key, clip_param(&value)));
    }
    params
}

fn flatten(path: &str, value: &serde_json::Value, pairs: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                flatten(&format!("{path}.{name}"), value, pairs);
            }
        }
        serde_json::Value::String(text) => pairs.push((path.to_owned(), text.clone())),
        other => pairs.push((path.to_owned(), other.to_string())),
    }
}

fn dataset(config: &Config, labelled: &Labelled) -> DatasetInput {
    let origin = &labelled.origin;
    let stem = |f: &phantomnet_features::SourceFile| {
        f.path.file_name().map_or_else(|| "events".into(), |n| n.to_string_lossy().into_owned())
    };
    let name = match origin.files.as_slice() {
        [only] => stem(only),
        [first, rest @ ..] => format!("{} and {} more", stem(first), rest.len()),
        [] => "events".into(),
    };
    let mlflow_type = |name: &str| match name {
        "integer" => "long",
        "number" => "double",
        "boolean" => "boolean",
        _ => "string",
    };
    let columns: Vec<serde_json::Value> = origin
        .schema
        .columns()
        .iter()
        .map(|(name, t)| serde_json::json!({"type": mlflow_type(t.name()), "name": name, "required": false}))
        .collect();
    let (n_rows, n_columns) = (origin.places.len(), origin.schema.columns().len());
    DatasetInput {
        name: name.chars().take(400).collect(),
        digest: origin.fingerprint.chars().take(DIGEST_DIGITS).collect(),
        source_type: "local".into(),
        source: serde_json::json!({"uri": config.data.paths.join(" ")}).to_string(),
        schema: Some(serde_json::json!({"mlflow_colspec": columns}).to_string()),
        profile: Some(serde_json::json!({"num_rows": n_rows, "num_elements": n_rows * n_columns}).to_string()),
        context: Some("training".into()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_not_alive_even_while_they_are_listed() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(u32::MAX));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(is_alive(child.id()));
        child.kill().unwrap();
        // Not waited for yet: it stays listed as a zombie.
        while is_alive(child.id()) {
            std::thread::yield_now();
        }
        assert!(Path::new(&format!("/proc/{}", child.id())).exists());
        child.wait().unwrap();
    }
}
