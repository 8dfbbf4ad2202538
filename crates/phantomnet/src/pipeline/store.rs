//! The tracking store that the configuration and the environment name.

use phantomnet_track::{Error, ServerOptions, Store, is_sent_in_clear, is_server, open_existing_with, open_with};

use crate::failure::{Failure, Kind};
use crate::terminal;

/// A tracking error as the program reports it.
pub fn track_failure(error: Error) -> Failure {
    let hint = error.hint();
    let kind = match error {
        Error::RunNotFound { .. }
        | Error::RunAmbiguous { .. }
        | Error::InvalidUri { .. }
        | Error::ServerUri { .. }
        | Error::ServerOption { .. }
        | Error::Invalid { .. } => Kind::Config,
        _ => Kind::Environment,
    };
    let of_disk = matches!(error, Error::Io { .. } | Error::Database { .. }).then(|| {
        "check that the store's disk has room and may be written, or choose another with --tracking-uri".to_owned()
    });
    Failure::of(kind, error).maybe_hint(hint.or(of_disk))
}

/// Opens the store to write to it. Of a server, credentials and transport are what the environment says.
///
/// # Errors
/// Of kind configuration or environment.
pub(super) fn open_store(uri: &str) -> Result<Box<dyn Store>, Failure> {
    opened(uri, open_with)
}

/// Opens the store to look at it, and makes none where there is none.
///
/// # Errors
/// Of kind configuration or environment.
pub fn open_existing_store(uri: &str) -> Result<Box<dyn Store>, Failure> {
    opened(uri, open_existing_with)
}

type Open = fn(&str, ServerOptions) -> phantomnet_track::Result<Box<dyn Store>>;

fn opened(uri: &str, open: Open) -> Result<Box<dyn Store>, Failure> {
    if !is_server(uri) {
        return open(uri, ServerOptions::default()).map_err(track_failure);
    }
    let options = ServerOptions::from_variables(uri, |name| std::env::var(name).ok()).map_err(track_failure)?;
    let what = if options.credentials.is_some() { "runs, models and credentials" } else { "runs and models" };
    let store = open(uri, options).map_err(track_failure)?;
    // Only now: an address that was refused may hold a password.
    if is_sent_in_clear(uri) {
        terminal::warn(&format!("`{uri}` is another machine, and everyone on the way can read {what}: use https"));
    }
    Ok(store)
}
