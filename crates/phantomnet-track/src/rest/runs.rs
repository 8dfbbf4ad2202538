//! Runs on a server: found, created once, written to.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::json;

use super::batch::Batch;
use super::wire::{Nothing, RunAnswer, RunsAnswer, WireRun, pairs};
use super::{PAGE, RestStore, gone, is_experiment_id, is_missing};
use crate::entities::{Metric, NewRun, Run, RunInfo};
use crate::error::{Error, Result};
use crate::filter::Order;
use crate::store::{REQUEST_TAG, Store};
use crate::transport::Attempt;
use crate::{limits, names};

impl RestStore {
    /// The run of a full id, deleted or not.
    pub(super) fn run_by_id(&self, run_id: &str) -> Result<Option<WireRun>> {
        if !names::is_id(run_id) {
            return Ok(None);
        }
        match self.get::<RunAnswer>("look up a run", "runs/get", &[("run_id", run_id)]) {
            Err(error) if is_missing(&error) => Ok(None),
            answer => Ok(Some(answer?.run)),
        }
    }

    /// The run of a full id, which may be written to.
    pub(super) fn active_run(&mut self, run_id: &str) -> Result<Run> {
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
    pub(super) fn require_run(&mut self, run_id: &str) -> Result<()> {
        if self.runs.contains_key(run_id) { Ok(()) } else { self.active_run(run_id).map(drop) }
    }

    /// Deletes or restores a run. The server refuses what is done already, so the run is looked at before every attempt.
    pub(super) fn set_deleted(&mut self, run_id: &str, is_deleted: bool) -> Result<()> {
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
    pub(super) fn explained(&mut self, run_id: &str, error: Error) -> Error {
        if !matches!(error, Error::Refused { .. }) {
            return error;
        }
        match self.active_run(run_id) {
            Err(explained @ (Error::RunNotFound { .. } | Error::RunDeleted { .. })) => explained,
            _ => error,
        }
    }

    /// Runs that a filter finds in experiments, the latest started first.
    pub(super) fn search(&self, experiment_ids: &[String], filter: &str, max_results: u32) -> Result<Vec<Run>> {
        self.http.retrying(|_| self.search_once(experiment_ids, filter, &[], max_results))
    }

    pub(super) fn search_once(
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
        if experiment_ids.is_empty() || max_results == 0 {
            return Ok(Vec::new());
        }
        self.http.pages(|token, n_runs| {
            let mut body = json!({
                "experiment_ids": experiment_ids,
                "filter": filter,
                "run_view_type": "ACTIVE_ONLY",
                "max_results": PAGE.min(max_results - n_runs as u32),
                "order_by": order_by,
            });
            if !token.is_empty() {
                body["page_token"] = token.into();
            }
            let answer: RunsAnswer = self.post_once("list runs", "runs/search", &body)?;
            let is_enough = n_runs + answer.runs.len() >= max_results as usize;
            let next = if is_enough { String::new() } else { answer.next_page_token };
            Ok((answer.runs.into_iter().map(Run::from).collect(), next))
        })
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
        let body = json!({
            "experiment_id": experiment_id,
            "user_id": run.user,
            "run_name": run.name,
            "start_time": run.start_time_ms,
            "tags": pairs(tags),
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

    pub(super) fn send_batch(&mut self, run_id: &str, batch: &Batch<'_>) -> Result<()> {
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
