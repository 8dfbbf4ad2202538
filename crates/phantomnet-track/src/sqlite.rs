//! The embedded store: MLflow's SQLite schema and an artifact folder, written directly.
//!
//! The file is created at the schema revision that every MLflow from 3.7 on reads or migrates by itself. Statements name
//! their columns and leave out those that later revisions add, so they run before and after such a migration. Transactions
//! are short and nothing is left open between calls, since even an open read makes a migration fail.

mod read;
mod registry;
mod schema;
mod select;
mod write;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::artifacts::{Folder, ObjectStores, Place, check_path, is_in_object_store, local_folder};
use crate::entities::{
    ArtifactEntry, DatasetInput, Experiment, LoggedModel, Metric, MetricPoint, ModelStatus, NewLoggedModel, NewRun,
    Param, Run, RunInfo, RunQuery, RunStatus, Tag,
};
use crate::error::{Error, Result};
use crate::limits;
use crate::names::new_id;
use crate::registry::{ModelVersion, NewModelVersion, RegisteredModel, Registry};
use crate::rest::ServerOptions;
use crate::store::{REQUEST_TAG, Store};

/// How long a call waits for another program's transaction; an MLflow migration takes a few seconds.
const BUSY_TIMEOUT_S: u64 = 30;

/// A tracking store in one SQLite file, with artifacts in the folder `mlruns` beside it.
///
/// Any MLflow client or server may have the file open at the same time. A kill at any moment leaves it sound, with every
/// call that had returned. Times of the store's own bookkeeping, such as the creation of an experiment, come from the
/// system clock; those of runs and metrics from the caller.
pub struct SqliteStore {
    uri: String,
    path: PathBuf,
    /// Folder of all experiments, absolute: a relative one would mean another folder to every reader.
    root: String,
    object_stores: ObjectStores,
    connection: Connection,
}

impl SqliteStore {
    /// Opens the database at `path`, creating it if there is no file or an empty one. `uri` is what [`Store::uri`] gives. Artifacts
    /// in an object store are out of reach; see [`SqliteStore::open_with`].
    ///
    /// # Errors
    /// [`Error::Io`] if the folder is not there, [`Error::NotADatabase`], [`Error::Corrupt`], [`Error::Schema`] if tables or
    /// columns are missing, [`Error::Locked`], [`Error::Database`] if the file cannot be created. A file that is refused is
    /// not changed.
    pub fn open(uri: &str, path: &Path) -> Result<Self> {
        Self::open_with(uri, path, &ServerOptions::default())
    }

    /// Opens the database at `path` as [`SqliteStore::open`]. Of the options, those for object stores count.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`].
    pub fn open_with(uri: &str, path: &Path, options: &ServerOptions) -> Result<Self> {
        let invalid_uri = || Error::InvalidUri { uri: uri.to_owned() };
        let name = path.file_name().ok_or_else(invalid_uri)?;
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let folder = folder.canonicalize().map_err(Error::io("open folder", folder))?;
        let path = folder.join(name);
        let root = folder.join("mlruns").into_os_string().into_string().map_err(|root| Error::Invalid {
            what: "database folder",
            value: root.display().to_string(),
            expected: "expected a UTF-8 path".to_owned(),
        })?;

        let failed = |source| Error::database(&path, "open", BUSY_TIMEOUT_S, source);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        connection.busy_timeout(Duration::from_secs(BUSY_TIMEOUT_S)).map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        schema::prepare(&mut connection, &path, &root).map_err(|failure| failure.during("open", &path))?;
        Ok(Self { uri: uri.to_owned(), path, root, object_stores: ObjectStores::new(options), connection })
    }

    /// Does `work` in one short write transaction, undone if it fails.
    fn write<T>(&mut self, action: &'static str, work: impl FnOnce(&Transaction<'_>) -> Attempt<T>) -> Result<T> {
        in_transaction(&mut self.connection, TransactionBehavior::Immediate, work)
            .map_err(|failure| failure.during(action, &self.path))
    }

    /// Does `work` on one state of the database.
    fn read<T>(&mut self, action: &'static str, work: impl FnOnce(&Transaction<'_>) -> Attempt<T>) -> Result<T> {
        in_transaction(&mut self.connection, TransactionBehavior::Deferred, work)
            .map_err(|failure| failure.during(action, &self.path))
    }

    /// Where the run's artifacts are.
    fn place(&mut self, run_id: &str) -> Result<Box<dyn Place>> {
        let location = self.read("find a run", |tx| Ok(read::active_run(tx, run_id)?.artifact_uri))?;
        self.place_of(&location)
    }

    /// The place of an artifact location.
    fn place_of(&self, location: &str) -> Result<Box<dyn Place>> {
        if is_in_object_store(location) {
            return self.object_stores.place(location);
        }
        Ok(Box::new(Folder(local_folder(location)?)))
    }
}

impl Store for SqliteStore {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn experiment(&mut self, name: &str) -> Result<Experiment> {
        limits::check_experiment_name(name)?;
        let root = self.root.clone();
        self.write("create an experiment", |tx| write::experiment(tx, name, &root, now_ms()))
    }

    fn experiments(&mut self) -> Result<Vec<Experiment>> {
        self.read("list experiments", read::experiments)
    }

    fn create_run(&mut self, experiment_id: &str, run: NewRun) -> Result<RunInfo> {
        limits::check_new_run(&run)?;
        let id = new_id()?;
        self.write("create a run", |tx| write::create_run(tx, experiment_id, id, run))
    }

    fn create_run_once(&mut self, experiment_id: &str, mut run: NewRun, key: &str) -> Result<RunInfo> {
        limits::check_request_key(key)?;
        run.tags.push(Tag::new(REQUEST_TAG, key));
        limits::check_new_run(&run)?;
        let id = new_id()?;
        self.write("create a run", |tx| match read::run_of_key(tx, experiment_id, key)? {
            Some(found) => Ok(found),
            None => write::create_run(tx, experiment_id, id, run),
        })
    }

    fn log_batch(&mut self, run_id: &str, metrics: &[Metric], params: &[Param], tags: &[Tag]) -> Result<()> {
        limits::check_metrics(metrics)?;
        limits::check_params(params)?;
        limits::check_tags(tags)?;
        self.write("log to a run", |tx| write::log_batch(tx, run_id, metrics, params, tags))
    }

    fn log_inputs(&mut self, run_id: &str, inputs: &[DatasetInput]) -> Result<()> {
        inputs.iter().try_for_each(limits::check_input)?;
        self.write("log the inputs of a run", |tx| write::log_inputs(tx, run_id, inputs))
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
        limits::check_new_model(&model)?;
        let id = format!("m-{}", new_id()?);
        self.write("create a logged model", |tx| write::create_logged_model(tx, &id, &model, now_ms()))
    }

    fn create_logged_model_once(&mut self, mut model: NewLoggedModel, key: &str) -> Result<LoggedModel> {
        limits::check_request_key(key)?;
        model.tags.push(Tag::new(REQUEST_TAG, key));
        limits::check_new_model(&model)?;
        let id = format!("m-{}", new_id()?);
        self.write("create a logged model", |tx| match read::model_of_key(tx, &model.source_run_id, key)? {
            Some(found) => read::logged_model(tx, &found),
            None => write::create_logged_model(tx, &id, &model, now_ms()),
        })
    }

    fn logged_model(&mut self, model_id: &str) -> Result<LoggedModel> {
        self.read("find a logged model", |tx| read::logged_model(tx, model_id))
    }

    fn log_model_artifacts(&mut self, model_id: &str, folder: &Path) -> Result<()> {
        let location = self.logged_model(model_id)?.artifact_location;
        self.place_of(&location)?.put_folder(folder)
    }

    fn finalize_logged_model(&mut self, model_id: &str, status: ModelStatus) -> Result<()> {
        self.write("finish a logged model", |tx| write::set_model_status(tx, model_id, status, now_ms()))
    }

    fn end_run(&mut self, run_id: &str, status: RunStatus, end_time_ms: i64) -> Result<()> {
        limits::check_end(status, end_time_ms)?;
        self.write("end a run", |tx| write::end_run(tx, run_id, status, end_time_ms, now_ms()))
    }

    fn delete_run(&mut self, run_id: &str) -> Result<()> {
        self.write("delete a run", |tx| write::set_deleted(tx, run_id, Some(now_ms())))
    }

    fn restore_run(&mut self, run_id: &str) -> Result<()> {
        self.write("restore a run", |tx| write::set_deleted(tx, run_id, None))
    }

    fn runs(&mut self, query: &RunQuery) -> Result<Vec<Run>> {
        self.read("list runs", |tx| read::runs(tx, query))
    }

    fn run(&mut self, run: &str) -> Result<Run> {
        self.read("find a run", |tx| read::run(tx, run))
    }

    fn metric_history(&mut self, run_id: &str, key: &str) -> Result<Vec<MetricPoint>> {
        self.read("read a metric", |tx| read::metric_history(tx, run_id, key))
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
        Ok(self.place_of(location)?.local_folder().map(Path::to_owned))
    }

    fn download_folder(&mut self, location: &str, target: &Path, max_bytes: u64) -> Result<()> {
        self.place_of(location)?.download_folder(target, max_bytes)
    }

    fn close_stale_runs(&mut self, host: &str, boot_id: &str, is_alive: &dyn Fn(u32) -> bool) -> Result<Vec<String>> {
        let tagged = self.read("look for stale runs", |tx| read::running_on(tx, host))?;
        let stale: Vec<String> = tagged
            .into_iter()
            .filter(|run| run.boot_id != boot_id || !is_alive(run.pid))
            .map(|run| run.run_id)
            .collect();
        if stale.is_empty() {
            return Ok(stale);
        }
        self.write("close stale runs", |tx| write::close_stale_runs(tx, stale, now_ms()))
    }
}

impl Registry for SqliteStore {
    fn registered_models(&mut self) -> Result<Vec<RegisteredModel>> {
        self.read("list registered models", registry::registered_models)
    }

    fn registered_model(&mut self, name: &str) -> Result<RegisteredModel> {
        self.read("find a registered model", |tx| registry::registered_model(tx, name))
    }

    fn create_model_version(&mut self, version: NewModelVersion) -> Result<ModelVersion> {
        limits::check_new_version(&version)?;
        self.write("register a model", |tx| registry::create_model_version(tx, &version, now_ms()))
    }

    fn create_model_version_once(&mut self, mut version: NewModelVersion, key: &str) -> Result<ModelVersion> {
        limits::check_request_key(key)?;
        version.tags.push(Tag::new(REQUEST_TAG, key));
        limits::check_new_version(&version)?;
        let is_it = |found: &ModelVersion| found.tags.get(REQUEST_TAG).map(String::as_str) == Some(key);
        self.write("register a model", |tx| {
            let there = match registry::model_versions(tx, &version.name) {
                Err(Failure::Refused(Error::RegisteredModelNotFound { .. })) => Vec::new(),
                there => there?,
            };
            match there.into_iter().find(is_it) {
                Some(found) => Ok(found),
                None => registry::create_model_version(tx, &version, now_ms()),
            }
        })
    }

    fn model_versions(&mut self, name: &str) -> Result<Vec<ModelVersion>> {
        self.read("list the versions of a model", |tx| registry::model_versions(tx, name))
    }

    fn model_version(&mut self, name: &str, version: u32) -> Result<ModelVersion> {
        self.read("find a version of a model", |tx| registry::model_version(tx, name, version))
    }

    fn model_version_location(&mut self, name: &str, version: u32) -> Result<String> {
        self.read("find a version of a model", |tx| registry::location(tx, name, version))
    }

    fn set_alias(&mut self, name: &str, alias: &str, version: u32) -> Result<()> {
        limits::check_alias(alias)?;
        self.write("set an alias", |tx| registry::set_alias(tx, name, alias, version))
    }

    fn delete_alias(&mut self, name: &str, alias: &str) -> Result<()> {
        self.write("delete an alias", |tx| registry::delete_alias(tx, name, alias))
    }

    fn tag_registered_model(&mut self, name: &str, tag: &Tag) -> Result<()> {
        limits::check_registry_tag(tag)?;
        self.write("tag a registered model", |tx| registry::set_tag(tx, name, tag))
    }

    fn untag_registered_model(&mut self, name: &str, key: &str) -> Result<()> {
        self.write("delete a tag of a registered model", |tx| registry::delete_tag(tx, name, key))
    }

    fn tag_model_version(&mut self, name: &str, version: u32, tag: &Tag) -> Result<()> {
        limits::check_registry_tag(tag)?;
        self.write("tag a version of a model", |tx| registry::set_version_tag(tx, name, version, tag))
    }

    fn describe_model(&mut self, name: &str, version: Option<u32>, description: &str) -> Result<()> {
        limits::check_description(description)?;
        self.write("describe a model", |tx| registry::describe(tx, name, version, description, now_ms()))
    }

    fn delete_model_version(&mut self, name: &str, version: u32) -> Result<()> {
        self.write("delete a version of a model", |tx| registry::delete_version(tx, name, version, now_ms()))
    }

    fn delete_registered_model(&mut self, name: &str) -> Result<()> {
        self.write("delete a registered model", |tx| registry::delete_model(tx, name))
    }
}

/// What happens inside a transaction, before the file's name is put to a failure.
type Attempt<T> = std::result::Result<T, Failure>;

/// Why a transaction failed.
enum Failure {
    Sqlite(rusqlite::Error),
    Refused(Error),
}

impl Failure {
    fn during(self, action: &'static str, path: &Path) -> Error {
        match self {
            Self::Sqlite(source) => Error::database(path, action, BUSY_TIMEOUT_S, source),
            Self::Refused(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    behavior: TransactionBehavior,
    work: impl FnOnce(&Transaction<'_>) -> Attempt<T>,
) -> Attempt<T> {
    let transaction = connection.transaction_with_behavior(behavior)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
