//! A store on an MLflow tracking server, over its REST interface.
//!
//! What servers of the supported releases do, and do not say, is written beside the code that copes with it. Everything is
//! checked here before it is sent: of some mistakes a server says nothing and keeps something else.

mod artifacts;
mod batch;
mod http;
mod options;
mod wire;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::Method;

pub use options::{Credentials, ServerOptions, check_server_uri, is_sent_in_clear};

use crate::entities::{
    ArtifactEntry, DatasetInput, Experiment, LoggedModel, Metric, MetricPoint, ModelStatus, NewLoggedModel, NewRun,
    Param, Run, RunInfo, RunQuery, RunStatus, Tag,
};
use crate::error::{Error, Result};
use crate::filter::Order;
use crate::store::{BOOT_ID_TAG, HOST_TAG, MAX_CANDIDATES, PID_TAG, Store};
use crate::{limits, names};
use artifacts::Place;
use batch::{Batch, batches};
use http::{Ask, Attempt, Http, encoded};
use wire::{
    CONTEXT_TAG, CreatedExperiment, ExperimentAnswer, ExperimentsAnswer, HistoryAnswer, ModelAnswer, ModelsAnswer,
    Nothing, RunAnswer, RunsAnswer, WireRun,
};

/// Tag by which a run or model is found again when the answer to its creation was lost: creating is the one thing that may not
/// be repeated blindly. What something on the way repeated is found by it, too, and deleted.
const REQUEST_TAG: &str = "phantomnet.request_id";

/// Runs, experiments and points asked for at once.
const PAGE: u32 = 1000;
const HISTORY_PAGE: &str = "25000";

/// The store of an MLflow tracking server.
pub struct RestStore {
    uri: String,
    http: Http,
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
        let http = Http::new(uri, options)?;
        Ok(Self { uri: uri.to_owned(), http, runs: HashMap::new(), models: HashSet::new() })
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
        let path = format!("/api/2.0/mlflow/{call}");
        self.http.json_once(Ask { action, method: &Method::POST, path: &path, query: &[], is_file: false }, Some(body))
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

    /// The run of a full id, deleted or not.
    fn run_by_id(&self, run_id: &str) -> Result<Option<WireRun>> {
        if !is_run_id(run_id) {
            return Ok(None);
        }
        match self.get::<RunAnswer>("look up a run", "runs/get", &[("run_id", run_id)]) {
            Err(error) if is_missing(&error) => Ok(None),
            answer => Ok(Some(answer?.run)),
        }
    }

    /// The run of a full id, which may be written to.
    fn active_run(&mut self, run_id: &str) -> Result<Run> {
        let run = self.run_by_id(run_id)?.ok_or_else(|| Error::RunNotFound { run: run_id.to_owned() })?;
        if run.is_deleted() {
            self.runs.remove(run_id);
            return Err(Error::RunDeleted { id: run_id.to_owned() });
        }
        let run = Run::from(run);
        self.runs.insert(run.info.id.clone(), run.info.artifact_uri.clone());
        Ok(run)
    }

    /// Makes sure that there is such a run, asking the server about it only once.
    fn require_run(&mut self, run_id: &str) -> Result<()> {
        if self.runs.contains_key(run_id) { Ok(()) } else { self.active_run(run_id).map(drop) }
    }

    /// Where the run's artifacts are.
    fn place(&mut self, run_id: &str) -> Result<Place> {
        self.require_run(run_id)?;
        Place::of(&self.http, &self.runs[run_id], artifacts::RUN_PARTS)
    }

    /// Deletes or restores a run. The server refuses what is done already, so the run is looked at before every attempt.
    fn set_deleted(&mut self, run_id: &str, is_deleted: bool) -> Result<()> {
        self.runs.remove(run_id);
        let (action, call) =
            if is_deleted { ("delete a run", "runs/delete") } else { ("restore a run", "runs/restore") };
        self.http.retrying(|_| {
            let run = self.run_by_id(run_id)?.ok_or_else(|| Error::RunNotFound { run: run_id.to_owned() })?;
            if run.is_deleted() == is_deleted {
                return Ok(());
            }
            self.post_once::<Nothing>(action, call, &json!({"run_id": run_id})).map(drop)
        })
    }

    /// `error`, or what the state of the run says is behind it: a server's words for that differ between releases.
    fn explained(&mut self, run_id: &str, error: Error) -> Error {
        if !matches!(error, Error::Refused { .. }) {
            return error;
        }
        match self.active_run(run_id) {
            Err(explained @ (Error::RunNotFound { .. } | Error::RunDeleted { .. })) => explained,
            _ => error,
        }
    }

    /// Runs that a filter finds in experiments, the latest started first.
    fn search(&self, experiment_ids: &[String], filter: &str, max_results: u32) -> Result<Vec<Run>> {
        self.http.retrying(|_| self.search_once(experiment_ids, filter, &[], max_results))
    }

    fn search_once(
        &self,
        experiment_ids: &[String],
        filter: &str,
        order_by: &[Order],
        max_results: u32,
    ) -> Attempt<Vec<Run>> {
        let mut order_by: Vec<String> = order_by.iter().map(Order::to_string).collect();
        // A server refuses to order by anything twice.
        if !order_by.iter().any(|order| order.starts_with("attributes.start_time ")) {
            order_by.push("attributes.start_time DESC".to_owned());
        }
        let mut runs: Vec<Run> = Vec::new();
        let mut token = String::new();
        while !experiment_ids.is_empty() && (runs.len() as u64) < u64::from(max_results) {
            let mut body = json!({
                "experiment_ids": experiment_ids,
                "filter": filter,
                "run_view_type": "ACTIVE_ONLY",
                "max_results": PAGE.min(max_results - runs.len() as u32),
                "order_by": order_by,
            });
            if !token.is_empty() {
                body["page_token"] = token.into();
            }
            let answer: RunsAnswer = self.post_once("list runs", "runs/search", &body)?;
            // A server that answers pages without runs would keep us for ever.
            let is_last = answer.next_page_token.is_empty() || answer.runs.is_empty();
            runs.extend(answer.runs.into_iter().map(Run::from));
            token = answer.next_page_token;
            if is_last {
                break;
            }
        }
        Ok(runs)
    }

    fn all_experiment_ids(&mut self) -> Result<Vec<String>> {
        Ok(self.experiments()?.into_iter().map(|experiment| experiment.id).collect())
    }

    fn logged_model_of(&self, model_id: &str) -> Result<LoggedModel> {
        let path = format!("logged-models/{}", encoded(model_id));
        let missing = || Error::ModelNotFound { id: model_id.to_owned() };
        if model_id.is_empty() {
            return Err(missing());
        }
        match self.get::<ModelAnswer>("look up a logged model", &path, &[]) {
            Err(error) if is_missing(&error) => Err(missing()),
            answer => Ok(answer?.model.into()),
        }
    }

    /// Links a model as an output of its run. The server refuses to do so twice, in words of its database.
    fn link(&mut self, run_id: &str, model_id: &str, step: i64) -> Result<()> {
        let body = json!({"run_id": run_id, "models": [{"model_id": model_id, "step": step}]});
        match self.post::<Nothing>("link a model to its run", "runs/outputs", &body) {
            Err(error) => {
                let is_linked =
                    self.run_by_id(run_id)?.is_some_and(|run| Run::from(run).model_ids.contains(&model_id.to_owned()));
                if is_linked { Ok(()) } else { Err(self.explained(run_id, error)) }
            }
            Ok(_) => Ok(()),
        }
    }

    /// Creates a run that is found again by `request_id`, which no other has.
    ///
    /// - `may_exist`: looks for it first.
    pub(crate) fn create_run_as(
        &mut self,
        experiment_id: &str,
        run: &NewRun,
        request_id: &str,
        may_exist: bool,
    ) -> Result<RunInfo> {
        limits::check_new_run(run)?;
        if !is_experiment_id(experiment_id) {
            return Err(Error::ExperimentNotFound { id: experiment_id.to_owned() });
        }
        let mut tags: BTreeMap<&str, &str> =
            run.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
        tags.insert("mlflow.runName", &run.name);
        tags.insert(REQUEST_TAG, request_id);
        if !run.user.is_empty() {
            tags.insert("mlflow.user", &run.user);
        }
        let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let body = json!({
            "experiment_id": experiment_id,
            "user_id": run.user,
            "run_name": run.name,
            "start_time": run.start_time_ms,
            "tags": tags,
        });
        let experiment_ids = [experiment_id.to_owned()];
        let filter = format!("tags.`{REQUEST_TAG}` = '{request_id}'");
        let created = self.http.retrying(|attempt| {
            if (attempt > 0 || may_exist)
                && let Some(run) = self.search_once(&experiment_ids, &filter, &[], 1)?.into_iter().next()
            {
                return Ok(run);
            }
            self.post_once::<RunAnswer>("create a run", "runs/create", &body).map(|answer| Run::from(answer.run))
        });
        let info = match created {
            Ok(run) => {
                let all = self.search(&experiment_ids, &filter, PAGE)?;
                for twin in all.iter().filter(|twin| twin.info.id != run.info.id) {
                    gone(self.post("delete a repeated run", "runs/delete", &json!({"run_id": twin.info.id})))?;
                }
                run.info
            }
            Err(error @ Error::Refused { .. }) => {
                self.experiment_by_id(experiment_id)?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        self.runs.insert(info.id.clone(), info.artifact_uri.clone());
        Ok(info)
    }

    /// Begins a model that is found again by `request_id`, which no other has.
    ///
    /// - `may_exist`: looks for it first.
    pub(crate) fn create_logged_model_as(
        &mut self,
        model: &NewLoggedModel,
        request_id: &str,
        may_exist: bool,
    ) -> Result<LoggedModel> {
        limits::check_new_model(model)?;
        let run = self.active_run(&model.source_run_id)?;
        let mut params = run.params;
        params.extend(model.params.iter().map(|param| (param.key.clone(), param.value.clone())));
        let is_inherited = |key: &str| key == "mlflow.user" || key.starts_with("mlflow.source.");
        let mut tags: BTreeMap<String, String> = run.tags.into_iter().filter(|(key, _)| is_inherited(key)).collect();
        tags.extend(model.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
        tags.insert(REQUEST_TAG.to_owned(), request_id.to_owned());
        let pairs = |map: &BTreeMap<String, String>| -> Vec<Value> {
            map.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
        };
        let mut body = json!({
            "experiment_id": run.info.experiment_id,
            "name": model.name,
            "source_run_id": model.source_run_id,
            "params": pairs(&params),
            "tags": pairs(&tags),
        });
        if let Some(model_type) = &model.model_type {
            body["model_type"] = json!(model_type);
        }
        let lookup = json!({
            "experiment_ids": [run.info.experiment_id],
            "filter": format!("source_run_id = '{}'", model.source_run_id),
            "max_results": 50,
        });
        let of_this_request = || -> Attempt<Vec<LoggedModel>> {
            let answer: ModelsAnswer = self.post_once("look up a logged model", "logged-models/search", &lookup)?;
            let models = answer.models.into_iter().map(LoggedModel::from);
            Ok(models.filter(|model| model.tags.get(REQUEST_TAG).map(String::as_str) == Some(request_id)).collect())
        };
        let created = self.http.retrying(|attempt| {
            if (attempt > 0 || may_exist)
                && let Some(model) = of_this_request()?.pop()
            {
                return Ok(model);
            }
            let answer: ModelAnswer = self.post_once("create a logged model", "logged-models", &body)?;
            Ok(LoggedModel::from(answer.model))
        })?;
        for twin in self.http.retrying(|_| of_this_request())?.iter().filter(|twin| twin.id != created.id) {
            let path = format!("/api/2.0/mlflow/logged-models/{}", encoded(&twin.id));
            let ask = Ask {
                action: "delete a repeated model",
                method: &Method::DELETE,
                path: &path,
                query: &[],
                is_file: false,
            };
            gone(self.http.json::<Nothing>(ask, None))?;
        }
        self.models.insert(created.id.clone());
        self.link(&model.source_run_id, &created.id, model.step)?;
        Ok(created)
    }

    fn send_batch(&mut self, run_id: &str, batch: &Batch<'_>) -> Result<()> {
        let error = match self.post::<Nothing>("log to a run", "runs/log-batch", &batch.body(run_id)) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let error = self.explained(run_id, error);
        if !matches!(error, Error::Refused { .. }) {
            return Err(error);
        }
        let stored = self.active_run(run_id)?.params;
        let changed = batch.params.iter().find_map(|param| {
            let old = stored.get(&param.key).filter(|old| **old != param.value)?;
            Some(Error::ParamChanged { key: param.key.clone(), old: old.clone(), new: param.value.clone() })
        });
        if let Some(changed) = changed {
            return Err(changed);
        }
        // Some releases, 3.10 for one, do not see that a NaN is there already, and fail at their own database.
        let new = self.without_known_nans(run_id, &batch.metrics)?;
        if new.len() == batch.metrics.len() {
            return Err(error);
        }
        self.post::<Nothing>("log to a run", "runs/log-batch", &batch.with_metrics(new).body(run_id)).map(drop)
    }

    /// Those of the metrics that are not a NaN which the run has.
    fn without_known_nans<'a>(&mut self, run_id: &str, metrics: &[&'a Metric]) -> Result<Vec<&'a Metric>> {
        let mut known: HashMap<&str, HashSet<(i64, i64)>> = HashMap::new();
        for metric in metrics.iter().filter(|metric| metric.value.is_nan()) {
            if !known.contains_key(metric.key.as_str()) {
                let history = self.metric_history(run_id, &metric.key)?;
                let nans = history.iter().filter(|point| point.value.is_nan());
                known.insert(&metric.key, nans.map(|point| (point.step, point.timestamp_ms)).collect());
            }
        }
        let is_known = |metric: &Metric| {
            metric.value.is_nan()
                && known.get(metric.key.as_str()).is_some_and(|nans| nans.contains(&(metric.step, metric.timestamp_ms)))
        };
        Ok(metrics.iter().copied().filter(|metric| !is_known(metric)).collect())
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

fn is_run_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
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
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let mut body = json!({"max_results": PAGE, "view_type": "ACTIVE_ONLY"});
            if !token.is_empty() {
                body["page_token"] = token.into();
            }
            let answer: ExperimentsAnswer = self.post("list experiments", "experiments/search", &body)?;
            let is_last = answer.next_page_token.is_empty() || answer.experiments.is_empty();
            found.extend(answer.experiments.into_iter().filter(|e| is_experiment_id(&e.experiment_id)));
            token = answer.next_page_token;
            if is_last {
                break;
            }
        }
        let mut experiments: Vec<Experiment> = found.into_iter().map(Experiment::from).collect();
        experiments.sort_by(|a, b| (a.id.len(), &a.id).cmp(&(b.id.len(), &b.id)));
        Ok(experiments)
    }

    fn create_run(&mut self, experiment_id: &str, run: NewRun) -> Result<RunInfo> {
        self.create_run_as(experiment_id, &run, &names::new_id()?, false)
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
                let tags: Vec<Value> =
                    input.context.iter().map(|context| json!({"key": CONTEXT_TAG, "value": context})).collect();
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
        crate::artifacts::check_path(path)?;
        let place = self.place(run_id)?;
        artifacts::put_file(&self.http, &place, path, source)
    }

    fn log_artifact_bytes(&mut self, run_id: &str, path: &str, bytes: &[u8]) -> Result<()> {
        crate::artifacts::check_path(path)?;
        let place = self.place(run_id)?;
        artifacts::put_bytes(&self.http, &place, path, bytes)
    }

    fn create_logged_model(&mut self, model: NewLoggedModel) -> Result<LoggedModel> {
        self.create_logged_model_as(&model, &names::new_id()?, false)
    }

    fn logged_model(&mut self, model_id: &str) -> Result<LoggedModel> {
        let model = self.logged_model_of(model_id)?;
        self.models.insert(model.id.clone());
        Ok(model)
    }

    fn log_model_artifacts(&mut self, model_id: &str, folder: &Path) -> Result<()> {
        let place = self.logged_model(model_id)?.artifact_location;
        let place = Place::of(&self.http, &place, artifacts::MODEL_PARTS)?;
        artifacts::put_folder(&self.http, &place, folder)
    }

    fn finalize_logged_model(&mut self, model_id: &str, status: ModelStatus) -> Result<()> {
        // A server keeps a status that it does not know as none at all, and takes any id that is a path.
        let model = self.logged_model(model_id)?;
        let path = format!("/api/2.0/mlflow/logged-models/{}", encoded(&model.id));
        let ask =
            Ask { action: "finish a logged model", method: &Method::PATCH, path: &path, query: &[], is_file: false };
        let body = json!({"model_id": model.id, "status": wire::name_of(status)});
        self.http.json::<Nothing>(ask, Some(&body)).map(drop)
    }

    fn end_run(&mut self, run_id: &str, status: RunStatus, end_time_ms: i64) -> Result<()> {
        limits::check_end(status, end_time_ms)?;
        let run = self.active_run(run_id)?;
        for model_id in &run.model_ids {
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
        if run.len() <= 32 && run.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
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
        let (mut points, mut token) = (Vec::new(), String::new());
        loop {
            let mut query = vec![("run_id", run_id), ("metric_key", key), ("max_results", HISTORY_PAGE)];
            query.extend(Some(("page_token", token.as_str())).filter(|_| !token.is_empty()));
            let answer: HistoryAnswer = self.get("read a metric", "metrics/get-history", &query)?;
            let is_last = answer.next_page_token.is_empty() || answer.metrics.is_empty();
            points.extend(answer.metrics.iter().map(wire::WireMetric::point));
            token = answer.next_page_token;
            if is_last {
                break;
            }
        }
        points
            .sort_by(|a, b| (a.step, a.timestamp_ms).cmp(&(b.step, b.timestamp_ms)).then(a.value.total_cmp(&b.value)));
        Ok(points)
    }

    fn list_artifacts(&mut self, run_id: &str, folder: Option<&str>) -> Result<Vec<ArtifactEntry>> {
        folder.map_or(Ok(()), crate::artifacts::check_path)?;
        let place = self.place(run_id)?;
        artifacts::list(&self.http, run_id, &place, folder)
    }

    fn read_artifact(&mut self, run_id: &str, path: &str, max_bytes: u64) -> Result<Vec<u8>> {
        crate::artifacts::check_path(path)?;
        let place = self.place(run_id)?;
        artifacts::read(&self.http, run_id, &place, path, max_bytes)?
            .ok_or_else(|| Error::ArtifactNotFound { run_id: run_id.to_owned(), path: path.to_owned() })
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
