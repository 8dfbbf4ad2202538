//! The rows that each call writes, inside a transaction that the caller opens.
//!
//! No statement names the `workspace` columns that later revisions add: their default is right, and naming them would fail
//! before the migration. Parents are inserted before children.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Attempt, read};
use crate::entities::{
    DatasetInput, Experiment, LoggedModel, Metric, ModelStatus, NewLoggedModel, NewRun, Param, RunInfo, RunStatus, Tag,
};
use crate::error::Error;
use crate::names::new_id;

pub(super) fn experiment(tx: &Transaction<'_>, name: &str, root: &str, now_ms: i64) -> Attempt<Experiment> {
    if let Some(found) = read::experiment_by_name(tx, name)? {
        return Ok(found);
    }
    tx.execute(
        "INSERT INTO experiments (name, lifecycle_stage, creation_time, last_update_time) VALUES (?1, 'active', ?2, ?2)",
        params![name, now_ms],
    )?;
    let id = tx.last_insert_rowid();
    let artifact_location = format!("{root}/{id}");
    tx.execute(
        "UPDATE experiments SET artifact_location = ?2 WHERE experiment_id = ?1",
        params![id, artifact_location],
    )?;
    Ok(Experiment { id: id.to_string(), name: name.to_owned(), artifact_location })
}

pub(super) fn create_run(tx: &Transaction<'_>, experiment_id: &str, id: String, run: NewRun) -> Attempt<RunInfo> {
    let experiment = read::active_experiment(tx, experiment_id)?;
    let artifact_uri = format!("{}/{id}/artifacts", experiment.artifact_location.trim_end_matches('/'));
    tx.execute(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, \
         source_version, lifecycle_stage, artifact_uri, experiment_id) \
         VALUES (?1, ?2, 'UNKNOWN', '', '', ?3, 'RUNNING', ?4, '', 'active', ?5, ?6)",
        params![id, run.name, run.user, run.start_time_ms, artifact_uri, read::row_id(experiment_id)],
    )?;
    set_tags(tx, &id, &run.tags)?;
    set_tags(tx, &id, &[Tag::new("mlflow.runName", &run.name)])?;
    if !run.user.is_empty() {
        set_tags(tx, &id, &[Tag::new("mlflow.user", &run.user)])?;
    }
    Ok(RunInfo {
        id,
        experiment_id: experiment.id,
        name: run.name,
        user: run.user,
        status: RunStatus::Running,
        start_time_ms: run.start_time_ms,
        end_time_ms: None,
        artifact_uri,
    })
}

pub(super) fn log_batch(
    tx: &Transaction<'_>,
    run_id: &str,
    metrics: &[Metric],
    params: &[Param],
    tags: &[Tag],
) -> Attempt<()> {
    let experiment_id = read::active_run(tx, run_id)?.experiment_id;
    let model_ids: BTreeSet<_> = metrics.iter().filter_map(|metric| Some(&metric.model.as_ref()?.model_id)).collect();
    for model_id in model_ids {
        read::require_model(tx, model_id)?;
    }
    for metric in metrics {
        add_metric(tx, run_id, metric)?;
        add_model_metric(tx, run_id, experiment_id, metric)?;
    }
    for param in params {
        add_param(tx, run_id, param)?;
    }
    set_tags(tx, run_id, tags)
}

/// Adds the point, and makes it the metric's latest if it is: without its latest row a metric is invisible to clients.
fn add_metric(tx: &Transaction<'_>, run_id: &str, metric: &Metric) -> Attempt<()> {
    let (value, is_nan) = stored(metric.value);
    let row = params![metric.key, value, metric.timestamp_ms, run_id, metric.step, is_nan];
    tx.prepare_cached(
        "INSERT OR IGNORE INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(row)?;
    tx.prepare_cached(
        "INSERT INTO latest_metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value, timestamp = excluded.timestamp, \
         step = excluded.step, is_nan = excluded.is_nan \
         WHERE (excluded.step, excluded.timestamp, excluded.value) \
         > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)",
    )?
    .execute(row)?;
    Ok(())
}

fn add_model_metric(tx: &Transaction<'_>, run_id: &str, experiment_id: i64, metric: &Metric) -> Attempt<()> {
    let (Some(model), (value, false)) = (&metric.model, stored(metric.value)) else { return Ok(()) };
    tx.prepare_cached(
        "INSERT OR IGNORE INTO logged_model_metrics (model_id, metric_name, metric_timestamp_ms, metric_step, \
         metric_value, experiment_id, run_id, dataset_name, dataset_digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        model.model_id,
        metric.key,
        metric.timestamp_ms,
        metric.step,
        value,
        experiment_id,
        run_id,
        model.dataset_name,
        model.dataset_digest
    ])?;
    Ok(())
}

/// A value as MLflow keeps it, and whether it is NaN: SQLite would make NaN NULL.
fn stored(value: f64) -> (f64, bool) {
    if value.is_nan() { (0.0, true) } else { (value.clamp(f64::MIN, f64::MAX), false) }
}

fn add_param(tx: &Transaction<'_>, run_id: &str, param: &Param) -> Attempt<()> {
    let old: Option<String> = tx
        .prepare_cached("SELECT value FROM params WHERE run_uuid = ?1 AND key = ?2")?
        .query_row(params![run_id, param.key], |row| row.get(0))
        .optional()?;
    match old {
        Some(old) if old == param.value => Ok(()),
        Some(old) => Err(Error::ParamChanged { key: param.key.clone(), old, new: param.value.clone() }.into()),
        None => {
            tx.prepare_cached("INSERT INTO params (key, value, run_uuid) VALUES (?1, ?2, ?3)")?.execute(params![
                param.key,
                param.value,
                run_id
            ])?;
            Ok(())
        }
    }
}

fn set_tags(tx: &Transaction<'_>, run_id: &str, tags: &[Tag]) -> Attempt<()> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO tags (key, value, run_uuid) VALUES (?1, ?2, ?3) \
         ON CONFLICT (key, run_uuid) DO UPDATE SET value = excluded.value",
    )?;
    for tag in tags {
        statement.execute(params![tag.key, tag.value, run_id])?;
    }
    Ok(())
}

pub(super) fn log_inputs(tx: &Transaction<'_>, run_id: &str, inputs: &[DatasetInput]) -> Attempt<()> {
    let experiment_id = read::active_run(tx, run_id)?.experiment_id;
    for input in inputs {
        tx.execute(
            "INSERT OR IGNORE INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, \
             dataset_source, dataset_schema, dataset_profile) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                new_id()?,
                experiment_id,
                input.name,
                input.digest,
                input.source_type,
                input.source,
                input.schema,
                input.profile
            ],
        )?;
        let dataset_id: String = tx.query_row(
            "SELECT dataset_uuid FROM datasets WHERE experiment_id = ?1 AND name = ?2 AND digest = ?3",
            params![experiment_id, input.name, input.digest],
            |row| row.get(0),
        )?;
        let input_id = new_id()?;
        let is_new = 0 < tx.execute(
            "INSERT OR IGNORE INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) \
                 VALUES (?1, 'DATASET', ?2, 'RUN', ?3, 0)",
            params![input_id, dataset_id, run_id],
        )?;
        if let (true, Some(context)) = (is_new, &input.context) {
            tx.execute(
                "INSERT INTO input_tags (input_uuid, name, value) VALUES (?1, 'mlflow.data.context', ?2)",
                params![input_id, context],
            )?;
        }
    }
    Ok(())
}

pub(super) fn create_logged_model(
    tx: &Transaction<'_>,
    id: &str,
    model: &NewLoggedModel,
    now_ms: i64,
) -> Attempt<LoggedModel> {
    let run = read::active_run(tx, &model.source_run_id)?;
    let experiment = read::active_experiment(tx, &run.experiment_id.to_string())?;
    let artifact_location = format!("{}/models/{id}/artifacts", experiment.artifact_location.trim_end_matches('/'));
    tx.execute(
        "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, \
         last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, 'active', ?7, ?8)",
        params![
            id,
            run.experiment_id,
            model.name,
            artifact_location,
            now_ms,
            ModelStatus::Pending.code(),
            model.model_type,
            model.source_run_id
        ],
    )?;
    tx.execute(
        "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) \
         VALUES (?1, 'RUN_OUTPUT', ?2, 'MODEL_OUTPUT', ?3, ?4)",
        params![new_id()?, model.source_run_id, id, model.step],
    )?;
    tx.execute(
        "INSERT INTO logged_model_params (model_id, experiment_id, param_key, param_value) \
         SELECT ?1, ?2, key, value FROM params WHERE run_uuid = ?3",
        params![id, run.experiment_id, model.source_run_id],
    )?;
    for param in &model.params {
        tx.execute(
            "INSERT OR REPLACE INTO logged_model_params (model_id, experiment_id, param_key, param_value) \
             VALUES (?1, ?2, ?3, ?4)",
            params![id, run.experiment_id, param.key, param.value],
        )?;
    }
    tx.execute(
        "INSERT INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) SELECT ?1, ?2, key, value FROM tags \
         WHERE run_uuid = ?3 AND value IS NOT NULL AND (key = 'mlflow.user' OR key LIKE 'mlflow.source.%')",
        params![id, run.experiment_id, model.source_run_id],
    )?;
    for tag in &model.tags {
        tx.execute(
            "INSERT OR REPLACE INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) \
             VALUES (?1, ?2, ?3, ?4)",
            params![id, run.experiment_id, tag.key, tag.value],
        )?;
    }
    read::logged_model(tx, id)
}

pub(super) fn set_model_status(tx: &Transaction<'_>, model_id: &str, status: ModelStatus, now_ms: i64) -> Attempt<()> {
    read::require_model(tx, model_id)?;
    tx.execute(
        "UPDATE logged_models SET status = ?2, last_updated_timestamp_ms = ?3 WHERE model_id = ?1",
        params![model_id, status.code(), now_ms],
    )?;
    Ok(())
}

pub(super) fn end_run(
    tx: &Transaction<'_>,
    run_id: &str,
    status: RunStatus,
    end_time_ms: i64,
    now_ms: i64,
) -> Attempt<()> {
    read::active_run(tx, run_id)?;
    tx.execute(
        "UPDATE runs SET status = ?2, end_time = ?3 WHERE run_uuid = ?1",
        params![run_id, status.as_str(), end_time_ms],
    )?;
    // By way of the run's outputs, which have an index where `source_run_id` has none.
    tx.execute(
        "UPDATE logged_models SET status = ?3, last_updated_timestamp_ms = ?4 WHERE status = ?2 AND model_id IN \
         (SELECT destination_id FROM inputs WHERE source_type = 'RUN_OUTPUT' AND source_id = ?1)",
        params![run_id, ModelStatus::Pending.code(), ModelStatus::UploadFailed.code(), now_ms],
    )?;
    Ok(())
}

/// Deletes a run at a time, or restores it; one that is so already keeps its time.
pub(super) fn set_deleted(tx: &Transaction<'_>, run_id: &str, deleted_ms: Option<i64>) -> Attempt<()> {
    let is_deleted = match read::active_run(tx, run_id) {
        Ok(_) => false,
        Err(super::Failure::Refused(Error::RunDeleted { .. })) => true,
        Err(failure) => return Err(failure),
    };
    if is_deleted != deleted_ms.is_some() {
        let stage = if deleted_ms.is_some() { "deleted" } else { "active" };
        tx.execute(
            "UPDATE runs SET lifecycle_stage = ?2, deleted_time = ?3 WHERE run_uuid = ?1",
            params![run_id, stage, deleted_ms],
        )?;
    }
    Ok(())
}

/// Ends those of the runs that are still RUNNING, and gives their ids.
pub(super) fn close_stale_runs(tx: &Transaction<'_>, run_ids: Vec<String>, now_ms: i64) -> Attempt<Vec<String>> {
    let mut closed = Vec::new();
    for run_id in run_ids {
        let end_time_ms: Option<i64> = tx
            .query_row(
                "SELECT max(coalesce(start_time, 0), coalesce((SELECT max(timestamp) FROM metrics WHERE run_uuid = ?1), 0)) \
                 FROM runs WHERE run_uuid = ?1 AND status = 'RUNNING' AND lifecycle_stage = 'active'",
                [&run_id],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(end_time_ms) = end_time_ms {
            end_run(tx, &run_id, RunStatus::Killed, end_time_ms, now_ms)?;
            closed.push(run_id);
        }
    }
    Ok(closed)
}
