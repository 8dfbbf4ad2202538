//! Creating MLflow's tables, and telling whether a file has them.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};

use super::{Attempt, in_transaction, now_ms};
use crate::error::Error;

/// All tables and indexes of MLflow 3.7.0, among them many that we never write: a later MLflow migrates a file only if
/// every table of its revision is there.
const SCHEMA: &str = include_str!("schema.sql");

/// The columns that we write, by table.
const WRITTEN: [(&str, &[&str]); 18] = [
    (
        "experiments",
        &["experiment_id", "name", "artifact_location", "lifecycle_stage", "creation_time", "last_update_time"],
    ),
    (
        "runs",
        &[
            "run_uuid",
            "name",
            "source_type",
            "source_name",
            "entry_point_name",
            "user_id",
            "status",
            "start_time",
            "end_time",
            "source_version",
            "lifecycle_stage",
            "deleted_time",
            "artifact_uri",
            "experiment_id",
        ],
    ),
    ("params", &["key", "value", "run_uuid"]),
    ("metrics", &["key", "value", "timestamp", "run_uuid", "step", "is_nan"]),
    ("latest_metrics", &["key", "value", "timestamp", "step", "is_nan", "run_uuid"]),
    ("tags", &["key", "value", "run_uuid"]),
    (
        "datasets",
        &[
            "dataset_uuid",
            "experiment_id",
            "name",
            "digest",
            "dataset_source_type",
            "dataset_source",
            "dataset_schema",
            "dataset_profile",
        ],
    ),
    ("inputs", &["input_uuid", "source_type", "source_id", "destination_type", "destination_id", "step"]),
    ("input_tags", &["input_uuid", "name", "value"]),
    (
        "logged_models",
        &[
            "model_id",
            "experiment_id",
            "name",
            "artifact_location",
            "creation_timestamp_ms",
            "last_updated_timestamp_ms",
            "status",
            "lifecycle_stage",
            "model_type",
            "source_run_id",
        ],
    ),
    ("logged_model_params", &["model_id", "experiment_id", "param_key", "param_value"]),
    (
        "logged_model_metrics",
        &[
            "model_id",
            "metric_name",
            "metric_timestamp_ms",
            "metric_step",
            "metric_value",
            "experiment_id",
            "run_id",
            "dataset_name",
            "dataset_digest",
        ],
    ),
    ("logged_model_tags", &["model_id", "experiment_id", "tag_key", "tag_value"]),
    ("registered_models", &["name", "creation_time", "last_updated_time", "description"]),
    ("registered_model_tags", &["name", "key", "value"]),
    ("registered_model_aliases", &["name", "alias", "version"]),
    (
        "model_versions",
        &[
            "name",
            "version",
            "creation_time",
            "last_updated_time",
            "description",
            "user_id",
            "current_stage",
            "source",
            "run_id",
            "status",
            "status_message",
            "run_link",
            "storage_location",
        ],
    ),
    ("model_version_tags", &["name", "version", "key", "value"]),
];

/// Makes the database ready: creates the tables in an empty one, refuses one that lacks what we write.
pub(super) fn prepare(connection: &mut Connection, path: &Path, root: &str) -> Attempt<()> {
    if is_empty(connection)? {
        in_transaction(connection, TransactionBehavior::Immediate, |tx| {
            // Another process may have created them while this one waited for its turn.
            if is_empty(tx)? { create(tx, root) } else { Ok(()) }
        })?;
    }
    for (table, columns) in WRITTEN {
        if let Some(problem) = problem_of(connection, table, columns)? {
            return Err(Error::Schema { path: path.to_owned(), problem }.into());
        }
    }
    // Without the log ahead of the file, only a full sync survives a loss of power.
    let synchronous = if use_write_ahead_log(connection)? { "NORMAL" } else { "FULL" };
    Ok(connection.pragma_update(None, "synchronous", synchronous)?)
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_master)", [], |row| row.get(0))
}

fn create(tx: &Transaction<'_>, root: &str) -> Attempt<()> {
    tx.execute_batch(SCHEMA)?;
    tx.execute(
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time) \
         VALUES (0, 'Default', ?1, 'active', ?2, ?2)",
        params![format!("{root}/0"), now_ms()],
    )?;
    Ok(())
}

/// Why rows of our kind cannot be inserted into a table, if so.
fn problem_of(connection: &Connection, table: &str, written: &[&str]) -> Attempt<Option<String>> {
    let mut statement =
        connection.prepare("SELECT name, \"notnull\" AND dflt_value IS NULL AND NOT pk FROM pragma_table_info(?1)")?;
    let columns = statement
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(String, bool)>>>()?;
    if columns.is_empty() {
        return Ok(Some(format!("table `{table}` is missing")));
    }
    if let Some(missing) = written.iter().find(|&name| columns.iter().all(|(column, _)| column != name)) {
        return Ok(Some(format!("column `{missing}` of table `{table}` is missing")));
    }
    let unknown = columns.iter().find(|(column, needs_value)| *needs_value && !written.contains(&column.as_str()));
    Ok(unknown.map(|(column, _)| {
        format!("column `{}` of table `{table}` needs a value that this build does not know", column.escape_debug())
    }))
}

/// Turns the write-ahead log on, in which readers and a writer do not wait for each other. Gives whether it is on: a
/// read-only file and some file systems do not allow it, which is no reason to refuse them.
fn use_write_ahead_log(connection: &Connection) -> Attempt<bool> {
    // SQLite does not wait by itself here when another connection is in the way, for instance one doing the same.
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Ok(mode) => return Ok(mode == "wal"),
            Err(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(10));
                }
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::ReadOnly) => return Ok(false),
                _ => return Err(error.into()),
            },
        }
    }
}
