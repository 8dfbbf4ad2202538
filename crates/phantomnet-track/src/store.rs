//! The place that keeps runs, and how to open one.

use std::path::{Path, PathBuf};

use crate::entities::{
    ArtifactEntry, DatasetInput, Experiment, LoggedModel, Metric, MetricPoint, ModelStatus, NewLoggedModel, NewRun,
    Param, Run, RunInfo, RunQuery, RunStatus, Tag,
};
use crate::error::{Error, Result};
use crate::registry::Registry;
use crate::rest::{RestStore, ServerOptions};
use crate::sqlite::SqliteStore;

/// Tag of the process id of a run's program; see [`Store::close_stale_runs`].
pub const PID_TAG: &str = "phantomnet.pid";
/// Tag of the name of the host a run's program is on.
pub const HOST_TAG: &str = "phantomnet.host";
/// Tag of what is new at every boot of that host.
pub const BOOT_ID_TAG: &str = "phantomnet.boot_id";
/// Tag of the run that a run is a part of: a search of its trials, a cross-validation of its folds.
pub const PARENT_RUN_TAG: &str = "mlflow.parentRunId";
/// Tag by which a run, model or version is found again: when the answer to its creation was lost, and by [`Store::create_run_once`]
/// and its like. Creating is the one thing that may not be repeated blindly. What something on the way repeated is found by
/// it, too, and deleted.
pub const REQUEST_TAG: &str = "phantomnet.request_id";

/// A place that keeps experiments, runs and models.
///
/// A store may be moved to another thread, and is used by one at a time; any number of stores, in any number of
/// processes, may be open on one place. Every call is done when it returns, and another reader then sees it. A call that
/// fails has written nothing to the embedded store; on a server, a large batch goes in parts and may be there in part.
/// Repeating a failed call is safe where its description says so.
///
/// Keys, names and values are checked before anything is written: [`Error::Invalid`], [`Error::ValueTooLong`].
pub trait Store: Registry + Send {
    /// The tracking URI it was opened with.
    fn uri(&self) -> &str;

    /// The experiment of this name, created if there is none. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::ExperimentDeleted`]: a deleted experiment keeps its name.
    fn experiment(&mut self, name: &str) -> Result<Experiment>;

    /// All experiments that are not deleted, by id.
    fn experiments(&mut self) -> Result<Vec<Experiment>>;

    /// Starts a run: status RUNNING.
    ///
    /// # Errors
    /// [`Error::ExperimentNotFound`], [`Error::ExperimentDeleted`].
    fn create_run(&mut self, experiment_id: &str, run: NewRun) -> Result<RunInfo>;

    /// The run of the experiment that was created with this key; created if there is none. Safe to repeat.
    ///
    /// - `key`: goes into the tag [`REQUEST_TAG`]; no other run may have it. 1 to 400 characters, none of `' " %` and backquotes.
    ///
    /// # Errors
    /// Those of [`Store::create_run`]; [`Error::Invalid`] for the key.
    fn create_run_once(&mut self, experiment_id: &str, run: NewRun, key: &str) -> Result<RunInfo>;

    /// Adds metrics and params to a run, and sets tags. Safe to repeat: a point or param that is there already is left.
    ///
    /// Of two tags of one key the later wins. A metric tied to a model is recorded for the run and for the model; a NaN for
    /// the run alone, since MLflow would keep it as a zero of the model.
    ///
    /// # Errors
    /// [`Error::ParamChanged`] if a param has another value, [`Error::RunNotFound`], [`Error::RunDeleted`],
    /// [`Error::ModelNotFound`].
    fn log_batch(&mut self, run_id: &str, metrics: &[Metric], params: &[Param], tags: &[Tag]) -> Result<()>;

    /// Records what data a run read. Safe to repeat; a dataset already recorded for the run keeps its first context.
    fn log_inputs(&mut self, run_id: &str, inputs: &[DatasetInput]) -> Result<()>;

    /// Copies a file to the run's artifacts, replacing one of that path. Safe to repeat.
    ///
    /// `path` is relative and `/`-separated; nothing but the whole file is ever seen under it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path with `..`, `\` and the like; [`Error::ArtifactLocation`] if the artifacts lie where
    /// this store cannot write; [`Error::Io`].
    fn log_artifact(&mut self, run_id: &str, path: &str, source: &Path) -> Result<()>;

    /// Writes bytes as a file of the run's artifacts; otherwise as [`Store::log_artifact`].
    fn log_artifact_bytes(&mut self, run_id: &str, path: &str, bytes: &[u8]) -> Result<()>;

    /// Begins a model made by a run, in the run's experiment: status pending, linked as an output of the run.
    ///
    /// Takes over the run's params so far (the model's own win) and its user and source tags. Follow with
    /// [`Store::log_model_artifacts`] and [`Store::finalize_logged_model`].
    fn create_logged_model(&mut self, model: NewLoggedModel) -> Result<LoggedModel>;

    /// The model of the run that was created with this key; created if there is none, as [`Store::create_run_once`] does.
    ///
    /// # Errors
    /// Those of [`Store::create_logged_model`]; [`Error::Invalid`] for the key.
    fn create_logged_model_once(&mut self, model: NewLoggedModel, key: &str) -> Result<LoggedModel>;

    /// The model of this id.
    fn logged_model(&mut self, model_id: &str) -> Result<LoggedModel>;

    /// Copies the files of a folder and the folders below it to the model. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything but files and folders, such as a symbolic link.
    fn log_model_artifacts(&mut self, model_id: &str, folder: &Path) -> Result<()>;

    /// Sets the status of a model, [`ModelStatus::Ready`] once all its files are written. Safe to repeat.
    fn finalize_logged_model(&mut self, model_id: &str, status: ModelStatus) -> Result<()>;

    /// Ends a run. Safe to repeat; the last call wins. Models of the run still pending become
    /// [`ModelStatus::UploadFailed`], since nobody will finish them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a status that is not final.
    fn end_run(&mut self, run_id: &str, status: RunStatus, end_time_ms: i64) -> Result<()>;

    /// Deletes a run: it is in no list any more and takes nothing more, until it is restored. Its files stay. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::RunNotFound`] for anything but the full id of a run.
    fn delete_run(&mut self, run_id: &str) -> Result<()>;

    /// Restores a deleted run as it was. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::RunNotFound`] for anything but the full id of a run.
    fn restore_run(&mut self, run_id: &str) -> Result<()>;

    /// Runs that are not deleted.
    fn runs(&mut self, query: &RunQuery) -> Result<Vec<Run>>;

    /// The run of this id, or the only one of this name or with an id beginning so.
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::RunAmbiguous`], [`Error::RunDeleted`] for the full id of a deleted run.
    fn run(&mut self, run: &str) -> Result<Run>;

    /// All points of one metric of a run by step, time and value; none for an unknown key.
    fn metric_history(&mut self, run_id: &str, key: &str) -> Result<Vec<MetricPoint>>;

    /// What lies directly in a folder of the run's artifacts, by path; `None` for their root. Nothing for an unknown folder.
    fn list_artifacts(&mut self, run_id: &str, folder: Option<&str>) -> Result<Vec<ArtifactEntry>>;

    /// Content of an artifact file.
    ///
    /// # Errors
    /// [`Error::ArtifactNotFound`]; [`Error::ArtifactTooLarge`] past `max_bytes`, without reading further.
    fn read_artifact(&mut self, run_id: &str, path: &str, max_bytes: u64) -> Result<Vec<u8>>;

    /// Copies an artifact file of a run to the file `target`, which is there whole or not at all.
    ///
    /// # Errors
    /// [`Error::ArtifactNotFound`]; [`Error::ArtifactTooLarge`] past `max_bytes`, without reading further; [`Error::Io`].
    fn download_artifact(&mut self, run_id: &str, path: &str, target: &Path, max_bytes: u64) -> Result<()>;

    /// The folder of this machine that is at a location of artifacts, such as that of a model or one in a run's; `None` if it is behind
    /// the server or in an object store.
    ///
    /// # Errors
    /// [`Error::ArtifactLocation`], [`Error::NotShared`].
    fn local_folder(&mut self, location: &str) -> Result<Option<PathBuf>>;

    /// Copies the files at a location of artifacts to the folder `target`, which is created. What is there after a failure is a part.
    ///
    /// # Errors
    /// [`Error::NoFiles`], [`Error::ArtifactTooLarge`] past `max_bytes` in all, without reading further; those of
    /// [`Store::local_folder`]; [`Error::Io`].
    fn download_folder(&mut self, location: &str, target: &Path, max_bytes: u64) -> Result<()>;

    /// Sets runs KILLED whose program died without ending them, and returns their ids.
    ///
    /// These are RUNNING runs with the tag [`HOST_TAG`] equal to `host` that were started before the last boot
    /// ([`BOOT_ID_TAG`] differs from `boot_id`) or whose process ([`PID_TAG`]) is not alive. Runs of other programs lack the
    /// tags and are left alone. Such a run ends at its last metric, or at its start. Where hosts are containers that share a
    /// name, `host` must tell them apart, for process ids do not.
    fn close_stale_runs(&mut self, host: &str, boot_id: &str, is_alive: &dyn Fn(u32) -> bool) -> Result<Vec<String>>;
}

/// Ids that [`Error::RunAmbiguous`] lists.
pub(crate) const MAX_CANDIDATES: usize = 5;

/// Opens the store of a tracking URI, creating the embedded one if it is not there.
///
/// Valid are `sqlite:///relative.db` and `sqlite:////absolute/path.db`, with artifacts in the folder `mlruns` beside the
/// file, and `http://host:port` and `https://host/path` for a server, of which nothing is asked yet.
///
/// # Errors
/// [`Error::InvalidUri`], and those of [`SqliteStore::open`] and [`RestStore::new`].
pub fn open(uri: &str) -> Result<Box<dyn Store>> {
    open_with(uri, ServerOptions::default())
}

/// Opens the store of a tracking URI as [`open`], a server and object stores with `options`.
///
/// # Errors
/// Those of [`open`].
pub fn open_with(uri: &str, options: ServerOptions) -> Result<Box<dyn Store>> {
    if is_server(uri) {
        return Ok(Box::new(RestStore::new(uri, options)?));
    }
    Ok(Box::new(SqliteStore::open_with(uri, sqlite_path(uri)?, &options)?))
}

/// Opens the store of a tracking URI for looking at its runs: as [`open`], but never creates one.
///
/// # Errors
/// [`Error::StoreMissing`] besides those of [`open`].
pub fn open_existing(uri: &str) -> Result<Box<dyn Store>> {
    open_existing_with(uri, ServerOptions::default())
}

/// Opens the store of a tracking URI as [`open_existing`], a server and object stores with `options`.
///
/// # Errors
/// Those of [`open_existing`].
pub fn open_existing_with(uri: &str, options: ServerOptions) -> Result<Box<dyn Store>> {
    if !is_server(uri) {
        let path = sqlite_path(uri)?;
        if !path.exists() {
            return Err(Error::StoreMissing { path: path.to_owned() });
        }
    }
    open_with(uri, options)
}

/// Whether a tracking URI is that of a server.
pub fn is_server(uri: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| uri.starts_with(scheme))
}

fn sqlite_path(uri: &str) -> Result<&Path> {
    // Readers of the same URI take a `?` for the beginning of options, and `:memory:` for no file at all.
    uri.strip_prefix("sqlite:///")
        .filter(|path| !path.is_empty() && !path.contains(['?', '\0']) && *path != ":memory:")
        .map(Path::new)
        .ok_or_else(|| Error::InvalidUri { uri: uri.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("sqlite:///mlflow.db", "mlflow.db")]
    #[case("sqlite:///a b/50%.db", "a b/50%.db")]
    #[case("sqlite:////var/mlflow.db", "/var/mlflow.db")]
    fn sqlite_uris(#[case] uri: &str, #[case] path: &str) {
        assert_eq!(sqlite_path(uri).expect("valid"), Path::new(path));
    }

    #[rstest]
    #[case("")]
    #[case("sqlite://")]
    #[case("sqlite:///")]
    #[case("sqlite:///:memory:")]
    #[case("sqlite:///a.db?mode=ro")]
    #[case("mlruns")]
    #[case("file:///mlruns")]
    #[case("postgresql://host/db")]
    fn other_uris_are_refused_with_the_valid_ones(#[case] uri: &str) {
        let message = sqlite_path(uri).expect_err("invalid").to_string();
        assert!(message.contains(&format!("`{uri}`")) && message.contains("`sqlite:///relative.db`"), "{message}");
    }

    #[test]
    fn a_server_is_opened_without_asking_it() {
        // Nothing listens on the port of discarding.
        let mut store = open("http://127.0.0.1:9").expect("opened");
        assert_eq!(store.uri(), "http://127.0.0.1:9");
        let options = ServerOptions { max_retries: 0, ..ServerOptions::default() };
        store = open_existing_with("http://127.0.0.1:9/", options).expect("opened");
        let error = store.experiments().expect_err("nobody there");
        assert!(matches!(error, Error::Unreachable { n_attempts: 1, .. }), "{error}");
    }
}
