//! Rows of registered models, as MLflow's own store writes them.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde_json::{Value, json};

use super::read::{self, in_workspace};
use super::{Attempt, Failure};
use crate::entities::Tag;
use crate::error::Error;
use crate::registry::{ModelVersion, NewModelVersion, RegisteredModel, aliases_of};

/// Stage of a version that is deleted. Its row stays, so that its number is not given again.
const DELETED: &str = "Deleted_Internal";
/// Tag of a logged model that names its versions.
const VERSIONS_TAG: &str = "mlflow.modelVersions";

const VERSION_COLUMNS: &str = "name, version, source, run_id, description, creation_time, last_updated_time";

pub(super) fn registered_models(tx: &Transaction<'_>) -> Attempt<Vec<RegisteredModel>> {
    let sql = format!(
        "SELECT name FROM registered_models WHERE NOT EXISTS (SELECT 1 FROM registered_model_tags t WHERE \
         t.name = registered_models.name AND t.key = 'mlflow.prompt.is_prompt' AND lower(t.value) = 'true') {} ORDER BY name",
        in_workspace(tx)?
    );
    let names: Vec<String> = tx.prepare(&sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    names.iter().map(|name| registered_model(tx, name)).collect()
}

pub(super) fn registered_model(tx: &Transaction<'_>, name: &str) -> Attempt<RegisteredModel> {
    let workspace = in_workspace(tx)?;
    let sql = format!(
        "SELECT description, creation_time, last_updated_time FROM registered_models WHERE name = ?1 {workspace}"
    );
    let found = tx
        .query_row(&sql, [name], |row| {
            Ok(RegisteredModel {
                name: name.to_owned(),
                description: text(row, 0)?,
                creation_time_ms: row.get::<_, Option<i64>>(1)?.unwrap_or_default(),
                last_updated_ms: row.get::<_, Option<i64>>(2)?.unwrap_or_default(),
                tags: BTreeMap::new(),
                aliases: BTreeMap::new(),
            })
        })
        .optional()?;
    let mut model = found.ok_or_else(|| Error::RegisteredModelNotFound { name: name.to_owned() })?;
    model.tags = tx
        .prepare(&format!("SELECT key, value FROM registered_model_tags WHERE name = ?1 {workspace}"))?
        .query_map([name], |row| Ok((row.get(0)?, text(row, 1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    model.aliases = tx
        .prepare(&format!("SELECT alias, version FROM registered_model_aliases WHERE name = ?1 {workspace}"))?
        .query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(model)
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default())
}

pub(super) fn model_versions(tx: &Transaction<'_>, name: &str) -> Attempt<Vec<ModelVersion>> {
    let aliases = registered_model(tx, name)?.aliases;
    let workspace = in_workspace(tx)?;
    let sql = format!(
        "SELECT {VERSION_COLUMNS} FROM model_versions WHERE name = ?1 AND coalesce(current_stage, '') <> ?2 {workspace} \
         ORDER BY version"
    );
    let mut versions: Vec<ModelVersion> =
        tx.prepare(&sql)?.query_map([name, DELETED], version_of)?.collect::<rusqlite::Result<_>>()?;
    let mut tags: BTreeMap<u32, BTreeMap<String, String>> = BTreeMap::new();
    let mut statement =
        tx.prepare(&format!("SELECT version, key, value FROM model_version_tags WHERE name = ?1 {workspace}"))?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        tags.entry(row.get(0)?).or_default().insert(row.get(1)?, text(row, 2)?);
    }
    for version in &mut versions {
        version.tags = tags.remove(&version.version).unwrap_or_default();
        version.aliases = aliases_of(&aliases, version.version);
    }
    Ok(versions)
}

fn version_of(row: &Row<'_>) -> rusqlite::Result<ModelVersion> {
    Ok(ModelVersion {
        name: row.get(0)?,
        version: row.get(1)?,
        source: text(row, 2)?,
        run_id: row.get::<_, Option<String>>(3)?.filter(|id| !id.is_empty()),
        description: text(row, 4)?,
        creation_time_ms: row.get::<_, Option<i64>>(5)?.unwrap_or_default(),
        last_updated_ms: row.get::<_, Option<i64>>(6)?.unwrap_or_default(),
        tags: BTreeMap::new(),
        aliases: Vec::new(),
    })
}

pub(super) fn model_version(tx: &Transaction<'_>, name: &str, version: u32) -> Attempt<ModelVersion> {
    let missing = || Error::ModelVersionNotFound { name: name.to_owned(), version };
    Ok(model_versions(tx, name)?.into_iter().find(|found| found.version == version).ok_or_else(missing)?)
}

pub(super) fn location(tx: &Transaction<'_>, name: &str, version: u32) -> Attempt<String> {
    let source = model_version(tx, name, version)?.source;
    let sql =
        format!("SELECT storage_location FROM model_versions WHERE name = ?1 AND version = ?2 {}", in_workspace(tx)?);
    let location: Option<String> = tx.query_row(&sql, params![name, version], |row| row.get(0))?;
    Ok(location.filter(|location| !location.is_empty()).unwrap_or(source))
}

pub(super) fn create_model_version(tx: &Transaction<'_>, new: &NewModelVersion, now_ms: i64) -> Attempt<ModelVersion> {
    let name = &new.name;
    let logged = read::logged_model(tx, &new.model_id)?;
    match registered_model(tx, name) {
        Err(Failure::Refused(Error::RegisteredModelNotFound { .. })) => {
            tx.execute(
                "INSERT INTO registered_models (name, creation_time, last_updated_time, description) \
                 VALUES (?1, ?2, ?2, '')",
                params![name, now_ms],
            )?;
        }
        found => {
            found?;
            touch(tx, name, now_ms)?;
        }
    }
    let sql = format!("SELECT coalesce(max(version), 0) + 1 FROM model_versions WHERE name = ?1 {}", in_workspace(tx)?);
    let version: u32 = tx.query_row(&sql, [name], |row| row.get(0))?;
    let source = format!("models:/{}", logged.id);
    tx.execute(
        "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, current_stage, source, \
         run_id, status, storage_location) VALUES (?1, ?2, ?3, ?3, ?4, 'None', ?5, ?6, 'READY', ?7)",
        params![name, version, now_ms, new.description, source, logged.source_run_id, logged.artifact_location],
    )?;
    for tag in &new.tags {
        insert_version_tag(tx, name, version, tag)?;
    }
    let mut versions = match logged.tags.get(VERSIONS_TAG).map(|text| serde_json::from_str(text)) {
        Some(Ok(Value::Array(versions))) => versions,
        _ => Vec::new(),
    };
    versions.push(json!({"name": name, "version": version}));
    tx.execute(
        "INSERT OR REPLACE INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value) VALUES (?1, ?2, ?3, ?4)",
        params![logged.id, read::row_id(&logged.experiment_id), VERSIONS_TAG, Value::Array(versions).to_string()],
    )?;
    model_version(tx, name, version)
}

fn touch(tx: &Transaction<'_>, name: &str, now_ms: i64) -> Attempt<()> {
    let sql = format!("UPDATE registered_models SET last_updated_time = ?2 WHERE name = ?1 {}", in_workspace(tx)?);
    tx.execute(&sql, params![name, now_ms])?;
    Ok(())
}

// Keys of these tables hold the workspace once a later MLflow has migrated the file, so no statement names a conflict.

pub(super) fn set_alias(tx: &Transaction<'_>, name: &str, alias: &str, version: u32) -> Attempt<()> {
    model_version(tx, name, version)?;
    tx.execute(
        "INSERT OR REPLACE INTO registered_model_aliases (name, alias, version) VALUES (?1, ?2, ?3)",
        params![name, alias, version],
    )?;
    Ok(())
}

pub(super) fn delete_alias(tx: &Transaction<'_>, name: &str, alias: &str) -> Attempt<()> {
    registered_model(tx, name)?;
    let sql = format!("DELETE FROM registered_model_aliases WHERE name = ?1 AND alias = ?2 {}", in_workspace(tx)?);
    tx.execute(&sql, [name, alias])?;
    Ok(())
}

pub(super) fn set_tag(tx: &Transaction<'_>, name: &str, tag: &Tag) -> Attempt<()> {
    registered_model(tx, name)?;
    tx.execute(
        "INSERT OR REPLACE INTO registered_model_tags (name, key, value) VALUES (?1, ?2, ?3)",
        params![name, tag.key, tag.value],
    )?;
    Ok(())
}

pub(super) fn delete_tag(tx: &Transaction<'_>, name: &str, key: &str) -> Attempt<()> {
    registered_model(tx, name)?;
    let sql = format!("DELETE FROM registered_model_tags WHERE name = ?1 AND key = ?2 {}", in_workspace(tx)?);
    tx.execute(&sql, [name, key])?;
    Ok(())
}

pub(super) fn set_version_tag(tx: &Transaction<'_>, name: &str, version: u32, tag: &Tag) -> Attempt<()> {
    model_version(tx, name, version)?;
    insert_version_tag(tx, name, version, tag)
}

fn insert_version_tag(tx: &Transaction<'_>, name: &str, version: u32, tag: &Tag) -> Attempt<()> {
    tx.execute(
        "INSERT OR REPLACE INTO model_version_tags (name, version, key, value) VALUES (?1, ?2, ?3, ?4)",
        params![name, version, tag.key, tag.value],
    )?;
    Ok(())
}

pub(super) fn describe(
    tx: &Transaction<'_>,
    name: &str,
    version: Option<u32>,
    description: &str,
    now_ms: i64,
) -> Attempt<()> {
    let workspace = in_workspace(tx)?;
    match version {
        None => {
            registered_model(tx, name)?;
            let sql = format!("UPDATE registered_models SET description = ?2 WHERE name = ?1 {workspace}");
            tx.execute(&sql, [name, description])?;
            touch(tx, name, now_ms)
        }
        Some(version) => {
            model_version(tx, name, version)?;
            let sql = format!(
                "UPDATE model_versions SET description = ?3, last_updated_time = ?4 WHERE name = ?1 AND version = ?2 \
                 {workspace}"
            );
            tx.execute(&sql, params![name, version, description, now_ms])?;
            Ok(())
        }
    }
}

/// What MLflow leaves of a deleted version is its number.
pub(super) fn delete_version(tx: &Transaction<'_>, name: &str, version: u32, now_ms: i64) -> Attempt<()> {
    model_version(tx, name, version)?;
    let workspace = in_workspace(tx)?;
    let sql = format!("DELETE FROM registered_model_aliases WHERE name = ?1 AND version = ?2 {workspace}");
    tx.execute(&sql, params![name, version])?;
    let sql = format!(
        "UPDATE model_versions SET current_stage = ?3, last_updated_time = ?4, description = NULL, user_id = NULL, \
         source = 'REDACTED-SOURCE-PATH', run_id = 'REDACTED-RUN-ID', run_link = 'REDACTED-RUN-LINK', \
         status_message = NULL WHERE name = ?1 AND version = ?2 {workspace}"
    );
    tx.execute(&sql, params![name, version, DELETED, now_ms])?;
    touch(tx, name, now_ms)
}

pub(super) fn delete_model(tx: &Transaction<'_>, name: &str) -> Attempt<()> {
    registered_model(tx, name)?;
    let workspace = in_workspace(tx)?;
    // Children before parents.
    for table in [
        "model_version_tags",
        "model_versions",
        "registered_model_aliases",
        "registered_model_tags",
        "registered_models",
    ] {
        tx.execute(&format!("DELETE FROM {table} WHERE name = ?1 {workspace}"), [name])?;
    }
    Ok(())
}
