//! Runs that a server could not take, kept until it can.
//!
//! An *outbox* is a folder with an *entry* for each program that logs to a server: an embedded store with all that was
//! logged, the server's URI, and a file that is locked while the program lives. When everything has reached the server the
//! entry goes; otherwise [`push_outbox`] sends it, from whatever it has become: every run and model carries the id of its local
//! twin on the server, so that what is there already is found and not made again, and all else may be sent twice.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::entities::{
    ArtifactEntry, DatasetInput, Experiment, LoggedModel, Metric, MetricPoint, ModelRef, ModelStatus, NewLoggedModel,
    NewRun, Param, Run, RunInfo, RunQuery, RunStatus, Tag,
};
use crate::error::{Error, Result};
use crate::names;
use crate::registry::{ModelVersion, NewModelVersion, RegisteredModel, Registry};
use crate::rest::{RestStore, ServerOptions};
use crate::sqlite::SqliteStore;
use crate::store::{PARENT_RUN_TAG, REQUEST_TAG, Store};
use crate::transfer::{copied_model, copy_one, register_copy};

const SERVER_FILE: &str = "server";
const LOCK_FILE: &str = "lock";
const DATABASE_FILE: &str = "mlflow.db";

/// A folder of the outbox, which only we may touch while this lives.
struct Entry {
    folder: PathBuf,
    _lock: File,
}

impl Entry {
    /// A new entry for the server at `uri`.
    fn create(outbox: &Path, uri: &str) -> Result<Self> {
        fs::create_dir_all(outbox).map_err(Error::io("create folder", outbox))?;
        // Under another name until it is locked and whole, so that nobody sends it meanwhile.
        let id = names::new_id()?;
        let (hidden, folder) = (outbox.join(format!(".new-{id}")), outbox.join(&id));
        fs::create_dir(&hidden).map_err(Error::io("create folder", &hidden))?;
        let lock = lock(&hidden)?.ok_or_else(|| in_use(&hidden))?;
        let server = hidden.join(SERVER_FILE);
        fs::write(&server, uri).map_err(Error::io("write", &server))?;
        fs::rename(&hidden, &folder).map_err(Error::io("create folder", &folder))?;
        Ok(Self { folder, _lock: lock })
    }

    fn store(&self) -> Result<SqliteStore> {
        let path = self.folder.join(DATABASE_FILE);
        SqliteStore::open(&format!("sqlite:///{}", path.display()), &path)
    }

    /// Removes the entry, all of which is on the server. A kill in between leaves a name that is no entry.
    fn remove(&self) -> Result<()> {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        let sent = self.folder.with_file_name(format!(".sent-{name}"));
        fs::rename(&self.folder, &sent).map_err(Error::io("remove folder", &self.folder))?;
        fs::remove_dir_all(&sent).map_err(Error::io("remove folder", &sent))
    }
}

/// Takes the lock of an entry; `None` while another program has it.
fn lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join(LOCK_FILE);
    let file = File::create(&path).map_err(Error::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", &path)(source)),
    }
}

fn in_use(folder: &Path) -> Error {
    Error::Invalid {
        what: "outbox entry",
        value: folder.display().to_string(),
        expected: "expected one that no other program uses".to_owned(),
    }
}

/// What an id of the caller stands for in both stores.
#[derive(Clone)]
struct Twin {
    local: String,
    server: Option<String>,
}

/// Longest wait for a server that has answered before: what it misses is not lost.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Told once when the server is away: why, and in which folder the run is kept.
pub type OnAway = Box<dyn Fn(&Error, &Path) + Send>;

/// A store on a server that goes on without it.
///
/// Everything is written to an entry of the outbox, and then to the server until it is away for the first time. Reading goes to the
/// server alone. Ids are the server's, or, for what it has not seen, the entry's.
pub struct OutboxStore {
    entry: Entry,
    local: SqliteStore,
    server: RestStore,
    is_online: bool,
    on_away: OnAway,
    experiments: HashMap<String, String>,
    runs: HashMap<String, Twin>,
    models: HashMap<String, Twin>,
    /// Versions registered, and their numbers in the entry.
    versions: HashMap<(String, u32), u32>,
    /// Runs that have not ended.
    open: HashSet<String>,
}

impl OutboxStore {
    /// The store of the server at `uri`, with an entry in the folder `outbox`, which is created if it is not there.
    ///
    /// # Errors
    /// Those of [`RestStore::new`] and [`SqliteStore::open`].
    pub fn new(uri: &str, options: ServerOptions, outbox: &Path, on_away: OnAway) -> Result<Self> {
        let options = ServerOptions { max_wait: options.max_wait.min(MAX_WAIT), ..options };
        let server = RestStore::new(uri, options)?;
        let entry = Entry::create(outbox, uri)?;
        let local = entry.store()?;
        Ok(Self {
            entry,
            local,
            server,
            is_online: true,
            on_away,
            experiments: HashMap::new(),
            runs: HashMap::new(),
            models: HashMap::new(),
            versions: HashMap::new(),
            open: HashSet::new(),
        })
    }

    /// Asks the server, unless it is away. That it is away is no error. Neither is, once a run has begun, anything else: the local
    /// store has taken what the server refuses, so the trouble is the server's, and no reason to lose the run.
    fn online<T>(&mut self, call: impl FnOnce(&mut RestStore) -> Result<T>) -> Result<Option<T>> {
        if !self.is_online {
            return Ok(None);
        }
        match call(&mut self.server) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_outage() || !self.runs.is_empty() => {
                self.is_online = false;
                (self.on_away)(&error, &self.entry.folder);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn run_twin(&self, run_id: &str) -> Result<Twin> {
        self.runs.get(run_id).cloned().ok_or_else(|| Error::RunNotFound { run: run_id.to_owned() })
    }

    fn model_twin(&self, model_id: &str) -> Result<Twin> {
        self.models.get(model_id).cloned().ok_or_else(|| Error::ModelNotFound { id: model_id.to_owned() })
    }

    /// Writes to a run or model in both stores; each is given its own id of it.
    fn both(&mut self, twin: &Twin, write: impl Fn(&mut dyn Store, &str) -> Result<()>) -> Result<()> {
        write(&mut self.local, &twin.local)?;
        if let Some(id) = &twin.server {
            self.online(|server| write(server, id))?;
        }
        Ok(())
    }

    /// Metrics with the ids that models have in one of the stores.
    fn of_models(&self, metrics: &[Metric], id: impl Fn(&Twin) -> Option<String>) -> Result<Vec<Metric>> {
        let translated = |metric: &Metric| {
            let Some(model) = &metric.model else { return Ok(metric.clone()) };
            let twin = self.model_twin(&model.model_id)?;
            let model = id(&twin).map(|model_id| ModelRef { model_id, ..model.clone() });
            Ok(Metric { model, ..metric.clone() })
        };
        metrics.iter().map(translated).collect()
    }
}

impl Drop for OutboxStore {
    fn drop(&mut self) {
        // Nothing was to be kept, or the server has all of it. An entry that cannot be removed is sent again, which is safe.
        if self.runs.is_empty() || self.is_online && self.open.is_empty() {
            let _ = self.entry.remove();
        }
    }
}

impl Store for OutboxStore {
    fn uri(&self) -> &str {
        self.server.uri()
    }

    fn experiment(&mut self, name: &str) -> Result<Experiment> {
        let local = self.local.experiment(name)?;
        let experiment = self.online(|server| server.experiment(name))?.unwrap_or(local);
        self.experiments.insert(experiment.id.clone(), experiment.name.clone());
        Ok(experiment)
    }

    fn experiments(&mut self) -> Result<Vec<Experiment>> {
        self.server.experiments()
    }

    fn create_run(&mut self, experiment_id: &str, run: NewRun) -> Result<RunInfo> {
        let missing = || Error::ExperimentNotFound { id: experiment_id.to_owned() };
        let name = self.experiments.get(experiment_id).ok_or_else(missing)?.clone();
        let experiment = self.local.experiment(&name)?;
        // The parent has another id in each store.
        let parent =
            run.tags.iter().find(|tag| tag.key == PARENT_RUN_TAG).and_then(|tag| self.runs.get(&tag.value)).cloned();
        let below = |mut run: NewRun, parent: Option<String>| {
            let tags = run.tags.iter_mut().filter(|tag| tag.key == PARENT_RUN_TAG);
            tags.zip(parent).for_each(|(tag, id)| tag.value = id);
            run
        };
        let local_run = below(run.clone(), parent.as_ref().map(|twin| twin.local.clone()));
        let local = self.local.create_run(&experiment.id, local_run)?;
        let run = below(run, parent.and_then(|twin| twin.server));
        let created = self.online(|server| server.create_run_as(experiment_id, &run, &local.id, false))?;
        let twin = Twin { local: local.id.clone(), server: created.as_ref().map(|info| info.id.clone()) };
        let info = created.unwrap_or(local);
        self.open.insert(info.id.clone());
        self.runs.insert(info.id.clone(), twin);
        Ok(info)
    }

    fn create_run_once(&mut self, experiment_id: &str, run: NewRun, key: &str) -> Result<RunInfo> {
        self.server.create_run_once(experiment_id, run, key)
    }

    fn log_batch(&mut self, run_id: &str, metrics: &[Metric], params: &[Param], tags: &[Tag]) -> Result<()> {
        let twin = self.run_twin(run_id)?;
        let of_local = self.of_models(metrics, |twin| Some(twin.local.clone()))?;
        self.local.log_batch(&twin.local, &of_local, params, tags)?;
        if let Some(id) = twin.server {
            let metrics = self.of_models(metrics, |twin| twin.server.clone())?;
            self.online(|server| server.log_batch(&id, &metrics, params, tags))?;
        }
        Ok(())
    }

    fn log_inputs(&mut self, run_id: &str, inputs: &[DatasetInput]) -> Result<()> {
        self.both(&self.run_twin(run_id)?, |store, id| store.log_inputs(id, inputs))
    }

    fn log_artifact(&mut self, run_id: &str, path: &str, source: &Path) -> Result<()> {
        self.both(&self.run_twin(run_id)?, |store, id| store.log_artifact(id, path, source))
    }

    fn log_artifact_bytes(&mut self, run_id: &str, path: &str, bytes: &[u8]) -> Result<()> {
        self.both(&self.run_twin(run_id)?, |store, id| store.log_artifact_bytes(id, path, bytes))
    }

    fn create_logged_model(&mut self, model: NewLoggedModel) -> Result<LoggedModel> {
        let run = self.run_twin(&model.source_run_id)?;
        let local = self.local.create_logged_model(NewLoggedModel { source_run_id: run.local, ..model.clone() })?;
        let created = match run.server {
            Some(id) => {
                let model = NewLoggedModel { source_run_id: id, ..model };
                self.online(|server| server.create_logged_model_as(&model, &local.id, false))?
            }
            None => None,
        };
        let twin = Twin { local: local.id.clone(), server: created.as_ref().map(|model| model.id.clone()) };
        let model = created.unwrap_or(local);
        self.models.insert(model.id.clone(), twin);
        Ok(model)
    }

    fn create_logged_model_once(&mut self, model: NewLoggedModel, key: &str) -> Result<LoggedModel> {
        self.server.create_logged_model_once(model, key)
    }

    fn logged_model(&mut self, model_id: &str) -> Result<LoggedModel> {
        self.server.logged_model(model_id)
    }

    fn log_model_artifacts(&mut self, model_id: &str, folder: &Path) -> Result<()> {
        self.both(&self.model_twin(model_id)?, |store, id| store.log_model_artifacts(id, folder))
    }

    fn finalize_logged_model(&mut self, model_id: &str, status: ModelStatus) -> Result<()> {
        self.both(&self.model_twin(model_id)?, |store, id| store.finalize_logged_model(id, status))
    }

    fn end_run(&mut self, run_id: &str, status: RunStatus, end_time_ms: i64) -> Result<()> {
        self.both(&self.run_twin(run_id)?, |store, id| store.end_run(id, status, end_time_ms))?;
        self.open.remove(run_id);
        Ok(())
    }

    fn delete_run(&mut self, run_id: &str) -> Result<()> {
        self.server.delete_run(run_id)
    }

    fn restore_run(&mut self, run_id: &str) -> Result<()> {
        self.server.restore_run(run_id)
    }

    fn runs(&mut self, query: &RunQuery) -> Result<Vec<Run>> {
        self.server.runs(query)
    }

    fn run(&mut self, run: &str) -> Result<Run> {
        self.server.run(run)
    }

    fn metric_history(&mut self, run_id: &str, key: &str) -> Result<Vec<MetricPoint>> {
        self.server.metric_history(run_id, key)
    }

    fn list_artifacts(&mut self, run_id: &str, folder: Option<&str>) -> Result<Vec<ArtifactEntry>> {
        self.server.list_artifacts(run_id, folder)
    }

    fn read_artifact(&mut self, run_id: &str, path: &str, max_bytes: u64) -> Result<Vec<u8>> {
        self.server.read_artifact(run_id, path, max_bytes)
    }

    fn download_artifact(&mut self, run_id: &str, path: &str, target: &Path, max_bytes: u64) -> Result<()> {
        self.server.download_artifact(run_id, path, target, max_bytes)
    }

    fn local_folder(&mut self, location: &str) -> Result<Option<PathBuf>> {
        self.server.local_folder(location)
    }

    fn download_folder(&mut self, location: &str, target: &Path, max_bytes: u64) -> Result<()> {
        self.server.download_folder(location, target, max_bytes)
    }

    fn close_stale_runs(&mut self, host: &str, boot_id: &str, is_alive: &dyn Fn(u32) -> bool) -> Result<Vec<String>> {
        let closed = self.online(|server| server.close_stale_runs(host, boot_id, is_alive))?;
        Ok(closed.unwrap_or_default())
    }
}

/// What is registered goes both ways; all else is the server's.
impl Registry for OutboxStore {
    fn registered_models(&mut self) -> Result<Vec<RegisteredModel>> {
        self.server.registered_models()
    }

    fn registered_model(&mut self, name: &str) -> Result<RegisteredModel> {
        self.server.registered_model(name)
    }

    fn create_model_version(&mut self, version: NewModelVersion) -> Result<ModelVersion> {
        let twin = self.model_twin(&version.model_id)?;
        let request_id = names::new_id()?;
        let mut tags = version.tags.clone();
        tags.push(Tag::new(REQUEST_TAG, &request_id));
        let local = NewModelVersion { model_id: twin.local, tags, ..version.clone() };
        let local = self.local.create_model_version(local)?;
        let created = match twin.server {
            Some(model_id) => {
                let version = NewModelVersion { model_id, ..version };
                self.online(|server| server.create_model_version_as(&version, &request_id, false))?
            }
            None => None,
        };
        let version = created.unwrap_or_else(|| local.clone());
        self.versions.insert((version.name.clone(), version.version), local.version);
        Ok(version)
    }

    fn create_model_version_once(&mut self, version: NewModelVersion, key: &str) -> Result<ModelVersion> {
        self.server.create_model_version_once(version, key)
    }

    fn model_versions(&mut self, name: &str) -> Result<Vec<ModelVersion>> {
        self.server.model_versions(name)
    }

    fn model_version(&mut self, name: &str, version: u32) -> Result<ModelVersion> {
        self.server.model_version(name, version)
    }

    fn model_version_location(&mut self, name: &str, version: u32) -> Result<String> {
        self.server.model_version_location(name, version)
    }

    fn set_alias(&mut self, name: &str, alias: &str, version: u32) -> Result<()> {
        // Of versions that are not from here, the entry knows nothing; the server does.
        match self.versions.get(&(name.to_owned(), version)) {
            Some(local) => self.local.set_alias(name, alias, *local)?,
            None => return self.server.set_alias(name, alias, version),
        }
        self.online(|server| server.set_alias(name, alias, version)).map(drop)
    }

    fn delete_alias(&mut self, name: &str, alias: &str) -> Result<()> {
        self.server.delete_alias(name, alias)
    }

    fn tag_registered_model(&mut self, name: &str, tag: &Tag) -> Result<()> {
        self.server.tag_registered_model(name, tag)
    }

    fn untag_registered_model(&mut self, name: &str, key: &str) -> Result<()> {
        self.server.untag_registered_model(name, key)
    }

    fn tag_model_version(&mut self, name: &str, version: u32, tag: &Tag) -> Result<()> {
        self.server.tag_model_version(name, version, tag)
    }

    fn describe_model(&mut self, name: &str, version: Option<u32>, description: &str) -> Result<()> {
        self.server.describe_model(name, version, description)
    }

    fn delete_model_version(&mut self, name: &str, version: u32) -> Result<()> {
        self.server.delete_model_version(name, version)
    }

    fn delete_registered_model(&mut self, name: &str) -> Result<()> {
        self.server.delete_registered_model(name)
    }
}

/// What became of an entry of the outbox.
#[derive(Debug)]
pub struct PushedEntry {
    /// Its folder.
    pub folder: PathBuf,
    /// The server it is for.
    pub uri: String,
    /// Its runs as they are on the server now; or why they are not, in which case the entry is still there.
    pub runs: Result<Vec<RunInfo>>,
}

/// Sends the entries of an outbox to their servers, the oldest first, and removes those that have arrived whole. Entries whose
/// program still runs are left out. Safe to repeat, at any time, after any failure.
///
/// - `uri`: sends what is for this server alone.
/// - `options`: how to reach the server of a URI.
///
/// # Errors
/// [`Error::Io`] if the outbox cannot be read. An outbox that is not there is empty.
pub fn push_outbox(
    outbox: &Path,
    uri: Option<&str>,
    options: &dyn Fn(&str) -> Result<ServerOptions>,
) -> Result<Vec<PushedEntry>> {
    let entries = match fs::read_dir(outbox) {
        Ok(entries) => entries.collect::<std::io::Result<Vec<_>>>().map_err(Error::io("read folder", outbox))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::io("read folder", outbox)(source)),
    };
    let mut folders: Vec<_> = entries
        .iter()
        .map(fs::DirEntry::path)
        .filter(|path| path.join(SERVER_FILE).is_file() && !path.file_name().is_some_and(is_hidden))
        .map(|path| (fs::metadata(path.join(SERVER_FILE)).and_then(|data| data.modified()).ok(), path))
        .collect();
    folders.sort();
    let mut pushed = Vec::new();
    for (_, folder) in folders {
        let path = folder.join(SERVER_FILE);
        let of_entry = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        if uri.is_some_and(|uri| uri.trim_end_matches('/') != of_entry.trim_end_matches('/')) {
            continue;
        }
        let Some(lock) = lock(&folder)? else { continue };
        // Between the listing and the lock, someone else may have sent it.
        if !path.is_file() {
            continue;
        }
        let entry = Entry { folder: folder.clone(), _lock: lock };
        let runs = options(&of_entry).and_then(|options| {
            let mut server = RestStore::new(&of_entry, options)?;
            let runs = push_entry(&mut entry.store()?, &mut server, &entry.folder)?;
            entry.remove()?;
            Ok(runs)
        });
        pushed.push(PushedEntry { folder, uri: of_entry, runs });
    }
    Ok(pushed)
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn push_entry(local: &mut SqliteStore, server: &mut RestStore, scratch: &Path) -> Result<Vec<RunInfo>> {
    let names: HashMap<String, String> = local.experiments()?.into_iter().map(|e| (e.id, e.name)).collect();
    let mut runs = local.runs(&RunQuery {
        experiment_ids: Vec::new(),
        status: None,
        max_results: u32::MAX,
        ..RunQuery::default()
    })?;
    runs.reverse();
    let (mut sent, mut infos) = (HashMap::new(), Vec::new());
    for run in runs {
        let local_id = run.info.id.clone();
        let info = push_run(local, server, &names[&run.info.experiment_id], run, &sent, scratch)?;
        sent.insert(local_id, info.id.clone());
        infos.push(info);
    }
    push_versions(local, server, &sent)?;
    Ok(infos)
}

/// - `sent`: ids on the server of runs that were sent before, by their local ones.
fn push_run(
    local: &mut SqliteStore,
    server: &mut RestStore,
    experiment: &str,
    run: Run,
    sent: &HashMap<String, String>,
    scratch: &Path,
) -> Result<RunInfo> {
    // Nobody works on it: we have the lock.
    if run.info.status == RunStatus::Running {
        let last = run.metrics.values().map(|point| point.timestamp_ms).max().unwrap_or_default();
        local.end_run(&run.info.id, RunStatus::Killed, last.max(run.info.start_time_ms))?;
    }
    let run = local.run(&run.info.id)?;
    let experiment = server.experiment(experiment)?;
    let parent = run.tags.get(PARENT_RUN_TAG).map(|id| sent.get(id).unwrap_or(id));
    let tags = parent.map(|id| Tag::new(PARENT_RUN_TAG, id)).into_iter().collect();
    copy_one(local, &run, server, &experiment.id, tags, scratch)
}

/// Registers what was registered in the entry.
fn push_versions(local: &mut SqliteStore, server: &mut RestStore, sent: &HashMap<String, String>) -> Result<()> {
    for name in local.registered_models()?.into_iter().map(|model| model.name) {
        for version in local.model_versions(&name)? {
            let (Some(key), Some(model_id)) = (version.tags.get(REQUEST_TAG), version.model_id()) else { continue };
            let Some(run_id) = local.logged_model(model_id)?.source_run_id.and_then(|id| sent.get(&id)) else {
                continue;
            };
            let Some(copy) = copied_model(server, run_id, model_id)? else { continue };
            let created = register_copy(&version, server, &copy, key)?;
            version.aliases.iter().try_for_each(|alias| server.set_alias(&name, alias, created.version))?;
        }
    }
    Ok(())
}
