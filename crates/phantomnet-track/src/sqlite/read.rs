//! Reading rows, those of other programs included: whatever may be NULL is read as if it were.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, Transaction, params, params_from_iter};

use super::{Attempt, select};
use crate::entities::{
    DatasetInput, Experiment, LoggedModel, Metric, MetricPoint, ModelRef, ModelStatus, Run, RunInfo, RunQuery,
    RunStatus,
};
use crate::error::Error;
use crate::names;
use crate::store::MAX_CANDIDATES;

/// The number of an experiment's id; -1, which no experiment has, for anything that is none.
pub(super) fn row_id(experiment_id: &str) -> i64 {
    experiment_id.parse().unwrap_or(-1)
}

/// Keeps a query on experiments or registered models to the default workspace where there are workspaces. Asked on every use, since another
/// program may migrate the file at any time.
pub(super) fn in_workspace(tx: &Transaction<'_>) -> rusqlite::Result<&'static str> {
    let has_workspaces: bool = tx.query_row(
        "SELECT EXISTS (SELECT 1 FROM pragma_table_info('experiments') WHERE name = 'workspace')",
        [],
        |row| row.get(0),
    )?;
    Ok(if has_workspaces { "AND workspace = 'default'" } else { "" })
}

fn experiment_of(row: &Row<'_>) -> rusqlite::Result<Experiment> {
    Ok(Experiment {
        id: row.get::<_, i64>(0)?.to_string(),
        name: row.get(1)?,
        artifact_location: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
    })
}

/// An experiment that is not deleted.
fn require_active(found: (Experiment, bool)) -> Attempt<Experiment> {
    match found {
        (experiment, true) => Ok(experiment),
        (Experiment { name, id, .. }, false) => Err(Error::ExperimentDeleted { name, id }.into()),
    }
}

pub(super) fn experiment_by_name(tx: &Transaction<'_>, name: &str) -> Attempt<Option<Experiment>> {
    let sql = format!(
        "SELECT experiment_id, name, artifact_location, lifecycle_stage = 'active' FROM experiments WHERE name = ?1 {}",
        in_workspace(tx)?
    );
    tx.query_row(&sql, [name], |row| Ok((experiment_of(row)?, row.get(3)?))).optional()?.map(require_active).transpose()
}

pub(super) fn active_experiment(tx: &Transaction<'_>, experiment_id: &str) -> Attempt<Experiment> {
    let sql = "SELECT experiment_id, name, artifact_location, lifecycle_stage = 'active' FROM experiments \
               WHERE experiment_id = ?1";
    let found = tx
        .query_row(sql, [row_id(experiment_id)], |row| Ok((experiment_of(row)?, row.get(3)?)))
        .optional()?
        .ok_or_else(|| Error::ExperimentNotFound { id: experiment_id.to_owned() })?;
    require_active(found)
}

pub(super) fn experiments(tx: &Transaction<'_>) -> Attempt<Vec<Experiment>> {
    let sql = format!(
        "SELECT experiment_id, name, artifact_location FROM experiments WHERE lifecycle_stage = 'active' {} \
         ORDER BY experiment_id",
        in_workspace(tx)?
    );
    Ok(tx.prepare(&sql)?.query_map([], experiment_of)?.collect::<rusqlite::Result<_>>()?)
}

/// What other tables need of a run.
pub(super) struct RunPlace {
    pub(super) experiment_id: i64,
    pub(super) artifact_uri: String,
}

/// A run that is not deleted.
pub(super) fn active_run(tx: &Transaction<'_>, run_id: &str) -> Attempt<RunPlace> {
    let sql = "SELECT experiment_id, artifact_uri, lifecycle_stage FROM runs WHERE run_uuid = ?1";
    let (place, stage) = tx
        .prepare_cached(sql)?
        .query_row([run_id], |row| {
            let artifact_uri = row.get::<_, Option<String>>(1)?.unwrap_or_default();
            let place = RunPlace { experiment_id: row.get(0)?, artifact_uri };
            Ok((place, row.get::<_, Option<String>>(2)?))
        })
        .optional()?
        .ok_or_else(|| Error::RunNotFound { run: run_id.to_owned() })?;
    if stage.as_deref() == Some("deleted") {
        return Err(Error::RunDeleted { id: run_id.to_owned() }.into());
    }
    Ok(place)
}

pub(super) fn runs(tx: &Transaction<'_>, query: &RunQuery) -> Attempt<Vec<Run>> {
    let experiment_ids = if query.experiment_ids.is_empty() {
        experiments(tx)?.iter().map(|experiment| row_id(&experiment.id)).collect()
    } else {
        query.experiment_ids.iter().map(|id| row_id(id)).collect::<Vec<_>>()
    };
    let status = query.status.map(|status| status.as_str().to_owned());
    let mut values: Vec<Value> = vec![status.clone().into(), status.into(), json_list(&experiment_ids).into()];
    let mut sql = "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' AND (? IS NULL OR status = ?) \
                   AND experiment_id IN (SELECT value FROM json_each(?))"
        .to_owned();
    for condition in &query.filter.conditions {
        sql.push_str(" AND ");
        select::condition(condition, &mut sql, &mut values);
    }
    sql.push_str(" ORDER BY ");
    for order in &query.order_by {
        select::order(order, &mut sql, &mut values);
        sql.push_str(", ");
    }
    sql.push_str("start_time DESC, run_uuid LIMIT ?");
    values.push(query.max_results.into());
    let ids: Vec<String> =
        tx.prepare(&sql)?.query_map(params_from_iter(values), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    runs_of(tx, &ids)
}

/// The run of an experiment that was created with this key.
pub(super) fn run_of_key(tx: &Transaction<'_>, experiment_id: &str, key: &str) -> Attempt<Option<RunInfo>> {
    let found: Option<String> = tx
        .query_row(
            "SELECT r.run_uuid FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid WHERE t.key = ?1 AND t.value = ?2 \
             AND r.experiment_id = ?3 AND r.lifecycle_stage = 'active' ORDER BY r.start_time, r.run_uuid LIMIT 1",
            params![crate::store::REQUEST_TAG, key, row_id(experiment_id)],
            |row| row.get(0),
        )
        .optional()?;
    let Some(id) = found else { return Ok(None) };
    Ok(runs_of(tx, &[id])?.pop().map(|run| run.info))
}

/// Id of the model of a run that was created with this key.
pub(super) fn model_of_key(tx: &Transaction<'_>, run_id: &str, key: &str) -> Attempt<Option<String>> {
    let found = tx.query_row(
        "SELECT i.destination_id FROM inputs i JOIN logged_model_tags t ON t.model_id = i.destination_id \
         WHERE i.source_type = 'RUN_OUTPUT' AND i.source_id = ?1 AND i.destination_type = 'MODEL_OUTPUT' \
         AND t.tag_key = ?2 AND t.tag_value = ?3 LIMIT 1",
        params![run_id, crate::store::REQUEST_TAG, key],
        |row| row.get(0),
    );
    Ok(found.optional()?)
}

pub(super) fn run(tx: &Transaction<'_>, run: &str) -> Attempt<Run> {
    match active_run(tx, run) {
        Ok(_) => return only(run, runs_of(tx, &[run.to_owned()])?),
        Err(super::Failure::Refused(Error::RunNotFound { .. })) => {}
        Err(failure) => return Err(failure),
    }
    let is_prefix = !run.is_empty() && names::is_hex(run);
    // `g` follows the last hex digit, so the range holds every id that begins so, and finds it by the index.
    let ids: Vec<String> = tx
        .prepare(
            "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' \
             AND (name = ?1 OR (?2 AND run_uuid >= ?1 AND run_uuid < ?1 || 'g')) ORDER BY start_time DESC, run_uuid",
        )?
        .query_map(params![run, is_prefix], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    match ids.as_slice() {
        [_] => only(run, runs_of(tx, &ids)?),
        [] => Err(Error::RunNotFound { run: run.to_owned() }.into()),
        _ => {
            let n_runs = ids.len();
            let candidates = ids.into_iter().take(MAX_CANDIDATES).collect();
            Err(Error::RunAmbiguous { run: run.to_owned(), n_runs, candidates }.into())
        }
    }
}

fn only(run: &str, runs: Vec<Run>) -> Attempt<Run> {
    runs.into_iter().next().ok_or_else(|| Error::RunNotFound { run: run.to_owned() }.into())
}

/// The runs of these ids, in their order: one query a table however many runs there are.
fn runs_of(tx: &Transaction<'_>, ids: &[String]) -> Attempt<Vec<Run>> {
    let wanted = json_list(ids);
    let mut found: BTreeMap<String, Run> = tx
        .prepare(
            "SELECT run_uuid, experiment_id, name, user_id, status, start_time, end_time, artifact_uri FROM runs \
             WHERE run_uuid IN (SELECT value FROM json_each(?1))",
        )?
        .query_map([&wanted], |row| {
            let info = run_info_of(row)?;
            Ok((info.id.clone(), empty_run(info)))
        })?
        .collect::<rusqlite::Result<_>>()?;

    for_each_of(tx, &mut found, &wanted, PARAMS, |run, row| {
        run.params.insert(row.get(1)?, row.get(2)?);
        Ok(())
    })?;
    for_each_of(tx, &mut found, &wanted, LATEST_METRICS, |run, row| {
        run.metrics.insert(row.get(1)?, point_of(row, 2)?);
        Ok(())
    })?;
    for_each_of(tx, &mut found, &wanted, TAGS, |run, row| {
        run.tags.insert(row.get(1)?, row.get::<_, Option<String>>(2)?.unwrap_or_default());
        Ok(())
    })?;
    for_each_of(tx, &mut found, &wanted, INPUTS, |run, row| {
        run.inputs.push(DatasetInput {
            name: row.get(1)?,
            digest: row.get(2)?,
            source_type: row.get(3)?,
            source: row.get(4)?,
            schema: row.get(5)?,
            profile: row.get(6)?,
            context: row.get(7)?,
        });
        Ok(())
    })?;
    for_each_of(tx, &mut found, &wanted, OUTPUTS, |run, row| {
        run.models.insert(row.get(1)?, row.get::<_, Option<i64>>(2)?.unwrap_or_default());
        Ok(())
    })?;
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

// Queries for rows of many runs: ?1 is a JSON list of run ids, column 0 the run's id.
const PARAMS: &str = "SELECT run_uuid, key, value FROM params WHERE run_uuid IN (SELECT value FROM json_each(?1))";
const LATEST_METRICS: &str = "SELECT run_uuid, key, value, is_nan, timestamp, step FROM latest_metrics \
                              WHERE run_uuid IN (SELECT value FROM json_each(?1))";
const TAGS: &str = "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN (SELECT value FROM json_each(?1))";
const INPUTS: &str = "SELECT i.destination_id, d.name, d.digest, d.dataset_source_type, d.dataset_source, \
                      d.dataset_schema, d.dataset_profile, t.value \
                      FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id \
                      LEFT JOIN input_tags t ON t.input_uuid = i.input_uuid AND t.name = 'mlflow.data.context' \
                      WHERE i.destination_type = 'RUN' AND i.source_type = 'DATASET' \
                      AND i.destination_id IN (SELECT value FROM json_each(?1)) ORDER BY d.name, d.digest";
const OUTPUTS: &str = "SELECT source_id, destination_id, step FROM inputs WHERE source_type = 'RUN_OUTPUT' \
                       AND destination_type = 'MODEL_OUTPUT' AND source_id IN (SELECT value FROM json_each(?1)) \
                       ORDER BY destination_id";

fn for_each_of(
    tx: &Transaction<'_>,
    runs: &mut BTreeMap<String, Run>,
    wanted: &str,
    sql: &str,
    take: impl Fn(&mut Run, &Row<'_>) -> rusqlite::Result<()>,
) -> Attempt<()> {
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query([wanted])?;
    while let Some(row) = rows.next()? {
        if let Some(run) = runs.get_mut(row.get_ref(0)?.as_str().unwrap_or_default()) {
            take(run, row)?;
        }
    }
    Ok(())
}

fn json_list<T: Into<serde_json::Value> + Clone>(values: &[T]) -> String {
    serde_json::Value::from(values.to_vec()).to_string()
}

fn run_info_of(row: &Row<'_>) -> rusqlite::Result<RunInfo> {
    let text = |i| Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(i)?.unwrap_or_default());
    Ok(RunInfo {
        id: row.get(0)?,
        experiment_id: row.get::<_, i64>(1)?.to_string(),
        name: text(2)?,
        user: text(3)?,
        // The table admits no other names, but it admits none at all.
        status: RunStatus::from_name(&text(4)?).unwrap_or(RunStatus::Scheduled),
        start_time_ms: row.get::<_, Option<i64>>(5)?.unwrap_or_default(),
        end_time_ms: row.get(6)?,
        artifact_uri: text(7)?,
    })
}

fn empty_run(info: RunInfo) -> Run {
    Run {
        info,
        params: BTreeMap::new(),
        metrics: BTreeMap::new(),
        tags: BTreeMap::new(),
        inputs: Vec::new(),
        models: BTreeMap::new(),
    }
}

/// Reads value, is_nan, timestamp and step from four columns beginning with `first`.
fn point_of(row: &Row<'_>, first: usize) -> rusqlite::Result<MetricPoint> {
    let value = row.get(first)?;
    Ok(MetricPoint {
        value: if row.get(first + 1)? { f64::NAN } else { value },
        timestamp_ms: row.get::<_, Option<i64>>(first + 2)?.unwrap_or_default(),
        step: row.get(first + 3)?,
    })
}

pub(super) fn metric_history(tx: &Transaction<'_>, run_id: &str, key: &str) -> Attempt<Vec<MetricPoint>> {
    active_run(tx, run_id)?;
    let points = tx
        .prepare(
            "SELECT value, is_nan, timestamp, step FROM metrics WHERE run_uuid = ?1 AND key = ?2 \
             ORDER BY step, timestamp, value, is_nan",
        )?
        .query_map([run_id, key], |row| point_of(row, 0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(points)
}

pub(super) fn require_model(tx: &Transaction<'_>, model_id: &str) -> Attempt<()> {
    let exists: bool =
        tx.query_row("SELECT EXISTS (SELECT 1 FROM logged_models WHERE model_id = ?1)", [model_id], |row| row.get(0))?;
    if exists { Ok(()) } else { Err(Error::ModelNotFound { id: model_id.to_owned() }.into()) }
}

pub(super) fn logged_model(tx: &Transaction<'_>, model_id: &str) -> Attempt<LoggedModel> {
    let pairs = |sql: &str| -> rusqlite::Result<BTreeMap<String, String>> {
        tx.prepare(sql)?.query_map([model_id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let params = pairs("SELECT param_key, param_value FROM logged_model_params WHERE model_id = ?1")?;
    let tags = pairs("SELECT tag_key, tag_value FROM logged_model_tags WHERE model_id = ?1")?;
    let metrics = model_metrics(tx, model_id)?;
    tx.query_row(
        "SELECT experiment_id, name, status, artifact_location, source_run_id, model_type FROM logged_models \
         WHERE model_id = ?1",
        [model_id],
        |row| {
            Ok(LoggedModel {
                id: model_id.to_owned(),
                experiment_id: row.get::<_, i64>(0)?.to_string(),
                name: row.get(1)?,
                status: ModelStatus::from_code(row.get(2)?).unwrap_or(ModelStatus::Unspecified),
                artifact_location: row.get(3)?,
                source_run_id: row.get(4)?,
                model_type: row.get(5)?,
                metrics,
                params,
                tags,
            })
        },
    )
    .optional()?
    .ok_or_else(|| Error::ModelNotFound { id: model_id.to_owned() }.into())
}

fn model_metrics(tx: &Transaction<'_>, model_id: &str) -> Attempt<Vec<Metric>> {
    let metrics = tx
        .prepare(
            "SELECT metric_name, metric_value, metric_timestamp_ms, metric_step, dataset_name, dataset_digest \
             FROM logged_model_metrics WHERE model_id = ?1 ORDER BY metric_name, metric_step, metric_timestamp_ms",
        )?
        .query_map([model_id], |row| {
            let model =
                ModelRef { model_id: model_id.to_owned(), dataset_name: row.get(4)?, dataset_digest: row.get(5)? };
            let (key, value): (String, Option<f64>) = (row.get(0)?, row.get(1)?);
            Ok(Metric::new(key, value.unwrap_or(f64::NAN), row.get(2)?, row.get(3)?).of_model(model))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(metrics)
}

/// A RUNNING run of this system, and the process it belongs to.
pub(super) struct TaggedRun {
    pub(super) run_id: String,
    pub(super) pid: u32,
    pub(super) boot_id: String,
}

/// RUNNING runs whose tags say that they run on this host. A run without a readable process id is none of ours.
pub(super) fn running_on(tx: &Transaction<'_>, host: &str) -> Attempt<Vec<TaggedRun>> {
    let mut statement = tx.prepare(
        "SELECT r.run_uuid, pid.value, boot.value FROM runs r \
         JOIN tags host ON host.run_uuid = r.run_uuid AND host.key = ?1 AND host.value = ?2 \
         JOIN tags pid ON pid.run_uuid = r.run_uuid AND pid.key = ?3 \
         JOIN tags boot ON boot.run_uuid = r.run_uuid AND boot.key = ?4 \
         WHERE r.status = 'RUNNING' AND r.lifecycle_stage = 'active' AND boot.value IS NOT NULL \
         ORDER BY r.start_time, r.run_uuid",
    )?;
    let keys = params![crate::store::HOST_TAG, host, crate::store::PID_TAG, crate::store::BOOT_ID_TAG];
    let mut rows = statement.query(keys)?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        let pid: Option<String> = row.get(1)?;
        if let Some(pid) = pid.and_then(|pid| pid.parse().ok()) {
            runs.push(TaggedRun { run_id: row.get(0)?, pid, boot_id: row.get(2)? });
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// With an index, a page of runs costs the rows it shows and not those of the whole file.
    #[rstest]
    #[case(PARAMS)]
    #[case(LATEST_METRICS)]
    #[case(TAGS)]
    #[case(INPUTS)]
    #[case(OUTPUTS)]
    fn rows_of_many_runs_are_found_by_index(#[case] sql: &str) {
        let connection = rusqlite::Connection::open_in_memory().expect("opens");
        connection.execute_batch(include_str!("schema.sql")).expect("created");
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("valid");
        let plan: Vec<String> =
            statement.query_map(["[]"], |row| row.get(3)).expect("planned").map(|step| step.expect("text")).collect();
        assert!(plan.iter().any(|step| step.contains("USING INDEX")), "{plan:?}");
        let scans: Vec<_> =
            plan.iter().filter(|step| step.starts_with("SCAN ") && !step.contains("json_each")).collect();
        assert!(scans.is_empty(), "{plan:?}");
    }
}
