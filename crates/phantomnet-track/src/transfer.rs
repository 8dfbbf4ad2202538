//! Runs and models copied from one store to another.
//!
//! A copy has ids of its own. It carries the id of what it was made from, by which it is found again: copying twice makes one copy,
//! and goes on with what a copy that was interrupted lacks.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::artifacts;
use crate::entities::{
    LoggedModel, Metric, ModelRef, ModelStatus, NewLoggedModel, NewRun, Param, Run, RunInfo, RunQuery, Tag,
};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::registry::{ModelVersion, NewModelVersion};
use crate::store::{BOOT_ID_TAG, HOST_TAG, PARENT_RUN_TAG, PID_TAG, REQUEST_TAG, Store};

/// Tag of a copied run: the URI of the store it is from.
pub const COPIED_FROM_TAG: &str = "phantomnet.copied_from";
/// Tag of a copied run: its id there.
pub const COPIED_RUN_TAG: &str = "phantomnet.copied_run_id";

/// Most bytes of the files of a run or model.
const MAX_BYTES: u64 = 64 << 30;

/// How runs are copied.
#[derive(Debug, Clone, Copy)]
pub struct CopyOptions<'a> {
    /// Name of the experiment that gets the copies; by default that of the run.
    pub experiment: Option<&'a str>,
    /// A folder for files on the way from a server; the caller removes it.
    pub scratch: &'a Path,
}

/// Copies a run that has ended, with the runs below it, to another store: params, metrics with their history, tags, inputs, files and
/// models. Safe to repeat.
///
/// Gives the copies, the run itself first.
///
/// # Errors
/// [`Error::Invalid`] for a run that has not ended; those of both stores.
pub fn copy_run(
    source: &mut dyn Store,
    run: &str,
    target: &mut dyn Store,
    options: CopyOptions<'_>,
) -> Result<Vec<RunInfo>> {
    let run = source.run(run)?;
    let names: HashMap<String, String> = source.experiments()?.into_iter().map(|e| (e.id, e.name)).collect();
    let (mut copies, mut seen) = (Vec::new(), HashSet::new());
    // Children after their parents, whose copies they name.
    let mut waiting = vec![(run, None::<String>)];
    while let Some((run, parent)) = waiting.pop() {
        // Tags may say anything, such as that a run is its own parent.
        if !seen.insert(run.info.id.clone()) {
            continue;
        }
        if !run.info.status.is_final() {
            let expected = "expected a run that has ended".to_owned();
            return Err(Error::Invalid { what: "run to copy", value: run.info.id, expected });
        }
        let missing = || Error::ExperimentNotFound { id: run.info.experiment_id.clone() };
        let name = names.get(&run.info.experiment_id).ok_or_else(missing)?;
        let experiment = target.experiment(options.experiment.unwrap_or(name))?;
        let origin = [Tag::new(COPIED_FROM_TAG, source.uri()), Tag::new(COPIED_RUN_TAG, &run.info.id)];
        let parent = parent.map(|id| Tag::new(PARENT_RUN_TAG, id));
        let tags: Vec<Tag> = origin.into_iter().chain(parent).collect();
        let copy = copy_one(source, &run, target, &experiment.id, tags, options.scratch)?;
        for child in children(source, &run)? {
            waiting.push((child, Some(copy.id.clone())));
        }
        copies.push(copy);
    }
    Ok(copies)
}

/// The runs whose parent this is, the first started last.
fn children(store: &mut dyn Store, run: &Run) -> Result<Vec<Run>> {
    let filter: Filter = format!("tags.`{PARENT_RUN_TAG}` = '{}'", run.info.id).parse()?;
    let experiment_ids = vec![run.info.experiment_id.clone()];
    store.runs(&RunQuery { experiment_ids, filter, max_results: u32::MAX, ..RunQuery::default() })
}

/// Copies one run, whose copy gets `tags` besides its own.
pub(crate) fn copy_one(
    source: &mut dyn Store,
    run: &Run,
    target: &mut dyn Store,
    experiment_id: &str,
    tags: Vec<Tag>,
    scratch: &Path,
) -> Result<RunInfo> {
    // What says where the original ran, and under whom, says nothing about the copy.
    let is_kept = |key: &str| ![REQUEST_TAG, PID_TAG, HOST_TAG, BOOT_ID_TAG, PARENT_RUN_TAG].contains(&key);
    let own = run.tags.iter().filter(|(key, _)| is_kept(key)).map(|(key, value)| Tag::new(key, value));
    let tags: Vec<Tag> = own.chain(tags).collect();
    let new = NewRun {
        name: run.info.name.clone(),
        user: run.info.user.clone(),
        start_time_ms: run.info.start_time_ms,
        tags: tags.clone(),
    };
    let copy = target.create_run_once(experiment_id, new, &run.info.id)?;
    target.log_inputs(&copy.id, &run.inputs)?;
    let mut metrics = Vec::new();
    for key in run.metrics.keys() {
        let points = source.metric_history(&run.info.id, key)?.into_iter();
        metrics.extend(points.map(|point| Metric::new(key, point.value, point.timestamp_ms, point.step)));
    }
    let params: Vec<Param> = run.params.iter().map(|(key, value)| Param::new(key, value)).collect();
    target.log_batch(&copy.id, &metrics, &params, &tags)?;
    for (model_id, step) in &run.models {
        match source.logged_model(model_id) {
            // A link to a model that was deleted, or never was.
            Err(Error::ModelNotFound { .. }) => {}
            model => copy_model(source, model?, target, &copy.id, *step, scratch)?,
        }
    }
    if let Some(root) = files(source, &run.info.artifact_uri, &scratch.join(&run.info.id))? {
        for path in artifacts::files_below(&root)? {
            target.log_artifact(&copy.id, &path, &root.join(&path))?;
        }
    }
    let (status, end) = (run.info.status, run.info.end_time_ms.unwrap_or(run.info.start_time_ms));
    target.end_run(&copy.id, status, end)?;
    Ok(RunInfo { status, end_time_ms: Some(end), ..copy })
}

/// The files at a location, in a folder of this machine; none if there is none.
fn files(store: &mut dyn Store, location: &str, scratch: &Path) -> Result<Option<PathBuf>> {
    if let Some(folder) = store.local_folder(location)? {
        return Ok(Some(folder).filter(|folder| folder.is_dir()));
    }
    match store.download_folder(location, scratch, MAX_BYTES) {
        Err(Error::NoFiles { .. }) => Ok(None),
        downloaded => downloaded.map(|()| Some(scratch.to_owned())),
    }
}

fn copy_model(
    source: &mut dyn Store,
    model: LoggedModel,
    target: &mut dyn Store,
    run_id: &str,
    step: i64,
    scratch: &Path,
) -> Result<()> {
    // Versions are of the registry it is in.
    let is_kept = |key: &str| key != REQUEST_TAG && key != "mlflow.modelVersions";
    let tags = model.tags.iter().filter(|(key, _)| is_kept(key)).map(|(key, value)| Tag::new(key, value)).collect();
    let new = NewLoggedModel {
        name: model.name.clone(),
        model_type: model.model_type.clone(),
        source_run_id: run_id.to_owned(),
        step,
        params: model.params.iter().map(|(key, value)| Param::new(key, value)).collect(),
        tags,
    };
    let copy = target.create_logged_model_once(new, &model.id)?;
    if let Some(root) = files(source, &model.artifact_location, &scratch.join(&model.id))? {
        target.log_model_artifacts(&copy.id, &root)?;
    }
    let of_copy = |metric: &Metric| {
        let model = metric.model.clone().map(|model| ModelRef { model_id: copy.id.clone(), ..model });
        Metric { model, ..metric.clone() }
    };
    let metrics: Vec<Metric> = model.metrics.iter().map(of_copy).collect();
    target.log_batch(run_id, &metrics, &[], &[])?;
    // One that is pending still will fail with its run.
    let status = if model.status == ModelStatus::Pending { ModelStatus::UploadFailed } else { model.status };
    target.finalize_logged_model(&copy.id, status)
}

/// Copies a version of a registered model: the run that made it as [`copy_run`] does, then the version under the same name, with its
/// description and tags. It gets the next number there, and no alias. Safe to repeat.
///
/// # Errors
/// [`Error::ModelNotFound`] for a version without a logged model or a run; those of [`copy_run`].
pub fn copy_version(
    source: &mut dyn Store,
    version: &ModelVersion,
    target: &mut dyn Store,
    options: CopyOptions<'_>,
) -> Result<ModelVersion> {
    let missing = || Error::ModelNotFound { id: version.source.clone() };
    let model_id = version.model_id().ok_or_else(missing)?;
    let run_id = source.logged_model(model_id)?.source_run_id.ok_or_else(missing)?;
    let copies = copy_run(source, &run_id, target, options)?;
    let copy = copied_model(target, &copies.first().ok_or_else(missing)?.id, model_id)?.ok_or_else(missing)?;
    register_copy(version, target, &copy, &format!("{model_id} {}/{}", version.name, version.version))
}

/// Id of the copy of a model among those of a run that is a copy.
pub(crate) fn copied_model(target: &mut dyn Store, run_id: &str, model_id: &str) -> Result<Option<String>> {
    for id in target.run(run_id)?.models.into_keys() {
        if target.logged_model(&id)?.tags.get(REQUEST_TAG).map(String::as_str) == Some(model_id) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Registers the copy of a model as the version that it is a copy of.
pub(crate) fn register_copy(
    version: &ModelVersion,
    target: &mut dyn Store,
    model_id: &str,
    key: &str,
) -> Result<ModelVersion> {
    // The history is of the registry that it was written in.
    let is_kept = |key: &str| key != REQUEST_TAG && key != crate::history::ENTRY_TAG;
    let tags = version.tags.iter().filter(|(key, _)| is_kept(key)).map(|(key, value)| Tag::new(key, value)).collect();
    let new = NewModelVersion {
        name: version.name.clone(),
        model_id: model_id.to_owned(),
        description: version.description.clone(),
        tags,
    };
    target.create_model_version_once(new, key)
}
