//! The tracking store that the configuration and the environment name.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use phantomnet_track::{
    Error, OutboxStore, PushedEntry, ServerOptions, Store, check_server_uri, is_sent_in_clear, is_server,
    open_existing_with, open_with, push_outbox,
};

use crate::config::Tracking;
use crate::failure::{Failure, Kind};
use crate::terminal;

/// A tracking error as the program reports it.
pub fn track_failure(error: Error) -> Failure {
    let hint = match &error {
        Error::RunDeleted { id } => Some(format!("restore it with `phantomnet runs restore {id}`")),
        error => error.hint(),
    };
    let kind = match error {
        Error::RunNotFound { .. }
        | Error::RunAmbiguous { .. }
        | Error::ModelNotFound { .. }
        | Error::ArtifactNotFound { .. }
        | Error::RegisteredModelNotFound { .. }
        | Error::ModelVersionNotFound { .. }
        | Error::AliasNotFound { .. }
        | Error::InvalidUri { .. }
        | Error::ServerUri { .. }
        | Error::ServerOption { .. }
        | Error::Invalid { .. } => Kind::Config,
        _ => Kind::Environment,
    };
    let general = match &error {
        Error::RegisteredModelNotFound { .. } => Some("`phantomnet models list` shows the registered models"),
        Error::ModelVersionNotFound { .. } | Error::AliasNotFound { .. } => {
            Some("`phantomnet models show NAME` shows its versions and aliases")
        }
        Error::ModelNotFound { .. } => Some("`phantomnet runs show RUN` shows the models of a run"),
        Error::Io { .. } | Error::Database { .. } => {
            Some("check that the store's disk has room and may be written, or choose another with --tracking-uri")
        }
        Error::InvalidUri { .. } | Error::ServerUri { .. } => Some("`sqlite:///mlflow.db` keeps runs in this folder"),
        _ => None,
    };
    Failure::of(kind, error).maybe_hint(hint.or_else(|| general.map(str::to_owned)))
}

/// A store to write to.
pub(super) struct Opened {
    pub(super) store: Box<dyn Store>,
    /// Comes to hold the folder in which the run is kept when its server is away.
    pub(super) kept_in: KeptIn,
}

pub(super) type KeptIn = Arc<OnceLock<PathBuf>>;

/// Opens the store to write to it. A server that is away is gone on without.
///
/// # Errors
/// Of kind configuration or environment.
pub(super) fn open_store(tracking: &Tracking) -> Result<Opened, Failure> {
    let kept_in = KeptIn::default();
    let store: Box<dyn Store> = if is_server(&tracking.uri) {
        let options = options(&tracking.uri)?;
        let kept = Arc::clone(&kept_in);
        let on_away = move |error: &Error, folder: &Path| {
            terminal::warn(&format!("{error}; the run goes on and is kept in `{}`", folder.display()));
            let _ = kept.set(folder.to_owned());
        };
        let outbox = Path::new(&tracking.outbox);
        Box::new(OutboxStore::new(&tracking.uri, options, outbox, Box::new(on_away)).map_err(track_failure)?)
    } else {
        open_or_create_store(&tracking.uri)?
    };
    Ok(Opened { store, kept_in })
}

/// Opens the store to look at it, and makes none where there is none.
///
/// # Errors
/// Of kind configuration or environment.
pub fn open_existing_store(uri: &str) -> Result<Box<dyn Store>, Failure> {
    open_existing_with(uri, options(uri)?).map_err(track_failure)
}

/// Opens the store to write to it, and makes an embedded one where there is none. A server that is away is an error.
///
/// # Errors
/// Of kind configuration or environment.
pub fn open_or_create_store(uri: &str) -> Result<Box<dyn Store>, Failure> {
    open_with(uri, options(uri)?).map_err(track_failure)
}

/// Sends the runs of the outbox that are for the server at `uri`, or for any.
///
/// # Errors
/// Of kind environment, when the outbox cannot be read. That an entry cannot be sent is said in what is given.
pub fn push(outbox: &str, uri: Option<&str>) -> Result<Vec<PushedEntry>, Failure> {
    push_outbox(Path::new(outbox), uri, &variables).map_err(track_failure)
}

/// How the environment says to reach a server.
fn variables(uri: &str) -> phantomnet_track::Result<ServerOptions> {
    ServerOptions::from_variables(uri, |name| std::env::var(name).ok())
}

/// The same, with a warning where others can read what is sent.
fn options(uri: &str) -> Result<ServerOptions, Failure> {
    if is_server(uri) {
        check_server_uri(uri).map_err(track_failure)?;
    }
    let options = variables(uri).map_err(track_failure)?;
    if is_sent_in_clear(uri) {
        let what = if options.credentials.is_some() { "runs, models and credentials" } else { "runs and models" };
        terminal::warn(&format!("`{uri}` is another machine, and everyone on the way can read {what}: use https"));
    }
    Ok(options)
}
