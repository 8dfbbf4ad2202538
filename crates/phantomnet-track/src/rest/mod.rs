//! A store on an MLflow tracking server, over its REST interface.
//!
//! What servers of the supported releases do, and do not say, is written beside the code that copes with it. Everything is
//! checked here before it is sent: of some mistakes a server says nothing and keeps something else.

mod artifacts;
mod batch;
mod http;
mod models;
mod options;
mod registry;
mod runs;
mod wire;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::Method;

#[cfg(feature = "s3")]
pub(crate) use options::base_uri;
pub(crate) use options::proxy;
pub use options::{Credentials, ServerOptions, check_server_uri, is_sent_in_clear};

use crate::artifacts::{ObjectStores, Place, check_path};
use crate::entities::{
    ArtifactEntry, DatasetInput, Experiment, LoggedModel, Metric, MetricPoint, ModelStatus, NewLoggedModel, NewRun,
    Param, Run, RunInfo, RunQuery, RunStatus, Tag,
};
use crate::error::{Error, Result};
use crate::store::{BOOT_ID_TAG, HOST_TAG, MAX_CANDIDATES, PID_TAG, Store};
use crate::transport::Attempt;
use crate::{limits, names};
use artifacts::Owner;
use batch::batches;
use http::{Ask, Http, encoded};
use wire::{CONTEXT_TAG, CreatedExperiment, ExperimentAnswer, ExperimentsAnswer, HistoryAnswer, Nothing, pairs};

/// Runs, experiments and points asked for at once.
const PAGE: u32 = 1000;
const HISTORY_PAGE: &str = "25000";

/// The store of an MLflow tracking server.
pub struct RestStore {
    uri: String,
    http: Http,
    object_stores: ObjectStores,
    /// Runs that were seen and are not deleted, and where their artifacts are.
    runs: HashMap<String, String>,
    /// Models that were seen.
    models: HashSet<String>,
}

impl RestStore {
    /// The store of the server at `uri`. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`Error::ServerUri`], [`Error::ServerOption`].
    pub fn new(uri: &str, options: ServerOptions) -> Result<Self> {
        let object_stores = ObjectStores::new(&options);
        let http = Http::new(uri, options)?;
        Ok(Self { uri: uri.to_owned(), http, object_stores, runs: HashMap::new(), models: HashSet::new() })
    }

    fn get<T: DeserializeOwned>(&self, action: &'static str, call: &str, query: &[(&'static str, &str)]) -> Result<T> {
        let path = format!("/api/2.0/mlflow/{call}");
        self.http.json(Ask { action, method: &Method::GET, path: &path, query, is_file: false }, None)
    }

    /// Posts what may be repeated.
    fn post<T: DeserializeOwned>(&self, action: &'static str, call: &str, body: &Value) -> Result<T> {
        self.http.retrying(|_| self.post_once(action, call, body))
    }

    fn post_once<T: DeserializeOwned>(&self, action: &'static str, call: &str, body: &Value) -> Attempt<T> {
        self.call(&Method::POST, action, call, body)
    }

    /// One attempt of a call with a body.
    fn call<T: DeserializeOwned>(
        &self,
        method: &'static Method,
        action: &'static str,
        call: &str,
        body: &Value,
    ) -> Attempt<T> {
        let path = format!("/api/2.0/mlflow/{call}");
        self.http.json_once(Ask { action, method, path: &path, query: &[], is_file: false }, Some(body))
    }

    fn experiment_by_name(&self, name: &str) -> Result<Option<Experiment>> {
        let query = [("experiment_name", name)];
        let answer: ExperimentAnswer = match self.get("look up an experiment", "experiments/get-by-name", &query) {
            Err(error) if is_missing(&error) => return Ok(None),
            answer => answer?,
        };
        active(answer).map(Some)
    }

    /// The experiment of an id as it comes in the interface: not empty, digits or a server's own kind of id.
    fn experiment_by_id(&self, id: &str) -> Result<Experiment> {
        let missing = || Error::ExperimentNotFound { id: id.to_owned() };
        if !is_experiment_id(id) {
            return Err(missing());
        }
        match self.get("look up an experiment", "experiments/get", &[("experiment_id", id)]) {
            Err(error) if is_missing(&error) => Err(missing()),
            answer => active(answer?),
        }
    }

    /// Where the run's artifacts are.
    fn place<'a>(&'a mut self, run_id: &'a str) -> Result<Box<dyn Place + 'a>> {
        self.require_run(run_id)?;
        self.place_of(&self.runs[run_id], Owner::Run(run_id))
    }

    fn place_of<'a>(&'a self, location: &str, owner: Owner<'a>) -> Result<Box<dyn Place + 'a>> {
        artifacts::place(&self.http, &self.object_stores, location, owner)
    }

    fn all_experiment_ids(&mut self) -> Result<Vec<String>> {
        Ok(self.experiments()?.into_iter().map(|experiment| experiment.id).collect())
    }
}

fn active(answer: ExperimentAnswer) -> Result<Experiment> {
    let is_deleted = answer.experiment.is_deleted();
    let experiment = Experiment::from(answer.experiment);
    if is_deleted {
        return Err(Error::ExperimentDeleted { name: experiment.name, id: experiment.id });
    }
    Ok(experiment)
}

/// What is deleted already may not be deleted again, which is what a lost answer leads to.
fn gone(deleted: Result<Nothing>) -> Result<()> {
    match deleted {
        Err(Error::Refused { .. }) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Refused { code, .. } if code == "RESOURCE_DOES_NOT_EXIST")
}

/// Ids of the SQL stores are numbers. They go into filters and lists, where a server fails at others.
fn is_experiment_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 19 && id.bytes().all(|b| b.is_ascii_digit())
}

/// A text for `LIKE` that fits every text which equals `text`, whatever the database behind the server makes of the characters
/// that are special to one of them.
fn like(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || c == '-' || c == ' ' { c } else { '_' }).collect()
}

impl Store for RestStore {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn experiment(&mut self, name: &str) -> Result<Experiment> {
        limits::check_experiment_name(name)?;
        if let Some(experiment) = self.experiment_by_name(name)? {
            return Ok(experiment);
        }
        let created: Result<CreatedExperiment> =
            self.post("create an experiment", "experiments/create", &json!({"name": name}));
        match created {
            Ok(created) => self.experiment_by_id(&created.experiment_id),
            // Someone else was faster, or we were and did not hear of it.
            Err(Error::Refused { code, .. }) if code == "RESOURCE_ALREADY_EXISTS" => {
                self.experiment_by_name(name)?.ok_or_else(|| Error::ExperimentNotFound { id: name.to_owned() })
            }
            Err(error) => Err(error),
        }
    }

    fn experiments(&mut self) -> Result<Vec<Experiment>> {
        let mut found = self.http.pages(|token, _| {
            let mut body = json!({"max_results": PAGE, "view_type": "ACTIVE_ONLY"});
            if !token.is_empty() {
                body["page_token"] = token.into();
            }
            let answer: ExperimentsAnswer = self.post("list experiments", "experiments/search", &body)?;
            Ok::<_, Error>((answer.experiments, answer.next_page_token))
        })?;
        found.retain(|experiment| is_experiment_id(&experiment.experiment_id));
        let mut experiments: Vec<Experiment> = found.into_iter().map(Experiment::from).collect();
        experiments.sort_by(|a, b| (a.id.len(), &a.id).cmp(&(b.id.len(), &b.id)));
        Ok(experiments)
    }

    fn create_run(&mut self, experiment_id: &str, run: NewRun) -> Result<RunInfo> {
        self.create_run_as(experiment_id, &run, &names::new_id()?, false)
    }

    fn create_run_once(&mut self, experiment_id: &str, run: NewRun, key: &str) -> Result<RunInfo> {
        limits::check_request_key(key)?;
        self.create_run_as(experiment_id, &run, key, true)
    }

    fn log_batch(&mut self, run_id: &str, metrics: &[Metric], params: &[Param], tags: &[Tag]) -> Result<()> {
        limits::check_metrics(metrics)?;
        limits::check_params(params)?;
        limits::check_tags(tags)?;
        self.require_run(run_id)?;
        let mut once: BTreeMap<&str, &Param> = BTreeMap::new();
        for param in params {
            if let Some(first) = once.insert(&param.key, param).filter(|first| first.value != param.value) {
                let (old, new) = (first.value.clone(), param.value.clone());
                return Err(Error::ParamChanged { key: param.key.clone(), old, new });
            }
        }
        for model in metrics.iter().filter_map(|metric| metric.model.as_ref()) {
            if !self.models.contains(&model.model_id) {
                self.logged_model(&model.model_id)?;
            }
        }
        // Of two tags of one key the later one wins.
        let tags: BTreeMap<&str, &str> = tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
        let mut points = HashSet::new();
        let metrics: Vec<&Metric> = metrics
            .iter()
            .filter(|m| points.insert((&m.key, m.value.to_bits(), m.timestamp_ms, m.step, m.model.as_ref())))
            .collect();
        let params: Vec<&Param> = once.into_values().collect();
        let tags: Vec<(&str, &str)> = tags.into_iter().collect();
        batches(&metrics, &params, &tags).iter().try_for_each(|batch| self.send_batch(run_id, batch))
    }

    fn log_inputs(&mut self, run_id: &str, inputs: &[DatasetInput]) -> Result<()> {
        inputs.iter().try_for_each(limits::check_input)?;
        self.require_run(run_id)?;
        if inputs.is_empty() {
            return Ok(());
        }
        let datasets: Vec<Value> = inputs
            .iter()
            .map(|input| {
                let mut dataset = json!({
                    "name": input.name,
                    "digest": input.digest,
                    "source_type": input.source_type,
                    "source": input.source,
                });
                let optional = [("schema", &input.schema), ("profile", &input.profile)];
                for (key, value) in optional.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
                    dataset[key] = json!(value);
                }
                let tags = pairs(input.context.iter().map(|context| (CONTEXT_TAG, context)));
                json!({"dataset": dataset, "tags": tags})
            })
            .collect();
        let body = json!({"run_id": run_id, "datasets": datasets});
        match self.post::<Nothing>("log the inputs of a run", "runs/log-inputs", &body) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.explained(run_id, error)),
        }
    }

    fn log_artifact(&mut self, run_id: &str, path: &str, source: &Path) -> Result<()> {
        check_path(path)?;
        self.place(run_id)?.put_file(path, source)
    }

    fn log_artifact_bytes(&mut self, run_id: &str, path: &str, bytes: &[u8]) -> Result<()> {
        check_path(path)?;
        self.place(run_id)?.put_bytes(path, bytes)
    }

    fn create_logged_model(&mut self, model: NewLoggedModel) -> Result<LoggedModel> {
        self.create_logged_model_as(&model, &names::new_id()?, false)
    }

    fn create_logged_model_once(&mut self, model: NewLoggedModel, key: &str) -> Result<LoggedModel> {
        limits::check_request_key(key)?;
        self.create_logged_model_as(&model, key, true)
    }

    fn logged_model(&mut self, model_id: &str) -> Result<LoggedModel> {
        let model = self.logged_model_of(model_id)?;
        self.models.insert(model.id.clone());
        Ok(model)
    }

    fn log_model_artifacts(&mut self, model_id: &str, folder: &Path) -> Result<()> {
        let location = self.logged_model(model_id)?.artifact_location;
        self.place_of(&location, Owner::Model)?.put_folder(folder)
    }

    fn finalize_logged_model(&mut self, model_id: &str, status: ModelStatus) -> Result<()> {
        // A server keeps a status that it does not know as none at all, and takes any id that is a path.
        let model = self.logged_model(model_id)?;
        let call = format!("logged-models/{}", encoded(&model.id));
        let body = json!({"model_id": model.id, "status": wire::name_of(status)});
        let finished = |_| self.call::<Nothing>(&Method::PATCH, "finish a logged model", &call, &body);
        self.http.retrying(finished).map(drop)
    }

    fn end_run(&mut self, run_id: &str, status: RunStatus, end_time_ms: i64) -> Result<()> {
        limits::check_end(status, end_time_ms)?;
        let run = self.active_run(run_id)?;
        for model_id in run.models.keys() {
            match self.logged_model(model_id) {
                Ok(model) if model.status == ModelStatus::Pending => {
                    self.finalize_logged_model(model_id, ModelStatus::UploadFailed)?;
                }
                // A link to a model that was deleted, or never was.
                Ok(_) | Err(Error::ModelNotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let body = json!({"run_id": run_id, "status": status.as_str(), "end_time": end_time_ms});
        match self.post::<Nothing>("end a run", "runs/update", &body) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.explained(run_id, error)),
        }
    }

    fn delete_run(&mut self, run_id: &str) -> Result<()> {
        self.set_deleted(run_id, true)
    }

    fn restore_run(&mut self, run_id: &str) -> Result<()> {
        self.set_deleted(run_id, false)
    }

    fn runs(&mut self, query: &RunQuery) -> Result<Vec<Run>> {
        let experiment_ids = if query.experiment_ids.is_empty() {
            self.all_experiment_ids()?
        } else {
            query.experiment_ids.iter().filter(|id| is_experiment_id(id)).cloned().collect()
        };
        let status = query.status.map(|status| format!("attributes.status = '{status}'"));
        let conditions = Some(query.filter.to_string()).filter(|conditions| !conditions.is_empty());
        let filter = status.into_iter().chain(conditions).collect::<Vec<_>>().join(" AND ");
        self.http.retrying(|_| self.search_once(&experiment_ids, &filter, &query.order_by, query.max_results))
    }

    fn run(&mut self, run: &str) -> Result<Run> {
        let missing = || Error::RunNotFound { run: run.to_owned() };
        if let Some(found) = self.run_by_id(run)? {
            if found.is_deleted() {
                return Err(Error::RunDeleted { id: run.to_owned() });
            }
            return Ok(found.into());
        }
        if run.is_empty() {
            return Err(missing());
        }
        let experiment_ids = self.all_experiment_ids()?;
        let mut found = self.search(&experiment_ids, &format!("attributes.run_name LIKE '{}'", like(run)), u32::MAX)?;
        found.retain(|candidate| candidate.info.name == run);
        if run.len() <= 32 && names::is_hex(run) {
            let of_prefix = self.search(&experiment_ids, &format!("attributes.run_id LIKE '{run}%'"), u32::MAX)?;
            let is_new = |candidate: &Run| found.iter().all(|other| other.info.id != candidate.info.id);
            let new: Vec<Run> = of_prefix.into_iter().filter(|c| c.info.id.starts_with(run) && is_new(c)).collect();
            found.extend(new);
        }
        if found.len() > 1 {
            let candidates = found.iter().take(MAX_CANDIDATES).map(|candidate| candidate.info.id.clone()).collect();
            return Err(Error::RunAmbiguous { run: run.to_owned(), n_runs: found.len(), candidates });
        }
        found.pop().ok_or_else(missing)
    }

    fn metric_history(&mut self, run_id: &str, key: &str) -> Result<Vec<MetricPoint>> {
        self.require_run(run_id)?;
        let mut points = self.http.pages(|token, _| {
            let mut query = vec![("run_id", run_id), ("metric_key", key), ("max_results", HISTORY_PAGE)];
            query.extend(Some(("page_token", token)).filter(|_| !token.is_empty()));
            let answer: HistoryAnswer = self.get("read a metric", "metrics/get-history", &query)?;
            Ok::<_, Error>((answer.metrics.iter().map(wire::WireMetric::point).collect(), answer.next_page_token))
        })?;
        points
            .sort_by(|a, b| (a.step, a.timestamp_ms).cmp(&(b.step, b.timestamp_ms)).then(a.value.total_cmp(&b.value)));
        Ok(points)
    }

    fn list_artifacts(&mut self, run_id: &str, folder: Option<&str>) -> Result<Vec<ArtifactEntry>> {
        folder.map_or(Ok(()), check_path)?;
        self.place(run_id)?.list(folder)
    }

    fn read_artifact(&mut self, run_id: &str, path: &str, max_bytes: u64) -> Result<Vec<u8>> {
        check_path(path)?;
        let content = self.place(run_id)?.read(path, max_bytes)?;
        content.ok_or_else(|| Error::ArtifactNotFound { run_id: run_id.to_owned(), path: path.to_owned() })
    }

    fn download_artifact(&mut self, run_id: &str, path: &str, target: &Path, max_bytes: u64) -> Result<()> {
        check_path(path)?;
        match self.place(run_id)?.download(path, target, max_bytes)? {
            true => Ok(()),
            false => Err(Error::ArtifactNotFound { run_id: run_id.to_owned(), path: path.to_owned() }),
        }
    }

    fn local_folder(&mut self, location: &str) -> Result<Option<PathBuf>> {
        let place = self.place_of(location, Owner::Model)?;
        Ok(place.local_folder().map(Path::to_owned))
    }

    fn download_folder(&mut self, location: &str, target: &Path, max_bytes: u64) -> Result<()> {
        self.place_of(location, Owner::Model)?.download_folder(target, max_bytes)
    }

    fn close_stale_runs(&mut self, host: &str, boot_id: &str, is_alive: &dyn Fn(u32) -> bool) -> Result<Vec<String>> {
        let experiment_ids = self.all_experiment_ids()?;
        let filter = format!("attributes.status = 'RUNNING' AND tags.`{HOST_TAG}` LIKE '{}'", like(host));
        let mut closed = Vec::new();
        for run in self.search(&experiment_ids, &filter, u32::MAX)? {
            let tag = |key: &str| run.tags.get(key).map(String::as_str);
            let (Some(pid), Some(boot)) = (tag(PID_TAG).and_then(|pid| pid.parse().ok()), tag(BOOT_ID_TAG)) else {
                continue;
            };
            if tag(HOST_TAG) != Some(host) || run.info.status != RunStatus::Running || boot == boot_id && is_alive(pid)
            {
                continue;
            }
            let last = run.metrics.values().map(|point| point.timestamp_ms).max().unwrap_or_default();
            match self.end_run(&run.info.id, RunStatus::Killed, last.max(run.info.start_time_ms)) {
                Ok(()) => closed.push(run.info.id),
                // Another program of ours was faster.
                Err(Error::RunNotFound { .. } | Error::RunDeleted { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(closed)
    }
}
