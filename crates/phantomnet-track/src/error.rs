//! Why the store refused or failed.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::history;

/// Short for the result of every call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What a server is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// It keeps runs.
    TrackingServer,
    /// It keeps artifacts.
    ObjectStore,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TrackingServer => "tracking server",
            Self::ObjectStore => "object store",
        })
    }
}

/// Why a call to a tracking store failed. [`Error::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tracking URI is of no known kind.
    #[error(
        "tracking URI `{}` is not valid; valid are `sqlite:///relative.db`, `sqlite:////absolute/path.db`, `http://host:port` \
         and `https://host`",
        shown(uri)
    )]
    InvalidUri {
        /// As given.
        uri: String,
    },
    /// The tracking URI cannot be that of a server.
    #[error("tracking URI `{}` is not valid: expected {expected}", shown(uri))]
    ServerUri {
        /// As given, without credentials.
        uri: String,
        /// What would be valid.
        expected: String,
    },
    /// A setting for reaching the server cannot be used.
    #[error("{option}: {problem}")]
    ServerOption {
        /// Name of the setting or environment variable.
        option: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The server gave no answer: refused, reset, timed out, or no such host.
    #[error("{peer} `{}` cannot be reached to {action}, tried {n_attempts} times: {problem}", shown(uri))]
    Unreachable {
        /// What it is.
        peer: Peer,
        /// Its URI.
        uri: String,
        /// What was being done.
        action: &'static str,
        /// How often it was tried.
        n_attempts: u32,
        /// What the last attempt met.
        problem: String,
    },
    /// The server answered that it cannot answer now: 408, 429, 500, 502, 503 or 504.
    #[error("{peer} `{}` failed to {action}, tried {n_attempts} times: HTTP {status}{}", shown(uri), said(message))]
    Unavailable {
        /// What it is.
        peer: Peer,
        /// Its URI.
        uri: String,
        /// What was being done.
        action: &'static str,
        /// How often it was tried.
        n_attempts: u32,
        /// HTTP status of the last answer.
        status: u16,
        /// What it said, if that was text for people.
        message: String,
    },
    /// 401: credentials are missing or wrong.
    #[error("tracking server `{}` wants to know who asks (HTTP 401)", shown(uri))]
    Unauthenticated {
        /// Its URI.
        uri: String,
    },
    /// 403 with a reason in JSON: the user may not do this.
    #[error("tracking server `{}` does not allow to {action} (HTTP 403){}", shown(uri), said(message))]
    Forbidden {
        /// Its URI.
        uri: String,
        /// What was being done.
        action: &'static str,
        /// What it said.
        message: String,
    },
    /// 403 in plain text: the server does not answer to this host name.
    #[error("tracking server `{}` does not answer to this host name (HTTP 403){}", shown(uri), said(message))]
    HostRejected {
        /// Its URI.
        uri: String,
        /// What it said.
        message: String,
    },
    /// The answer is not one of MLflow: a page, or no JSON.
    #[error("`{}` does not answer like an MLflow tracking server: {problem}", shown(uri))]
    NotMlflow {
        /// The tracking URI.
        uri: String,
        /// What came instead.
        problem: String,
    },
    /// The server sends its callers elsewhere.
    #[error("tracking server `{}` has moved to `{}` (HTTP {status})", shown(uri), shown(location))]
    Moved {
        /// The tracking URI.
        uri: String,
        /// Where it sends us.
        location: String,
        /// HTTP status.
        status: u16,
    },
    /// The server understood the request and refused it.
    #[error("tracking server refused to {action}: {}{}", shown(code), said(message))]
    Refused {
        /// What was being done.
        action: &'static str,
        /// MLflow's code, such as `INVALID_PARAMETER_VALUE`, or the HTTP status.
        code: String,
        /// What it said.
        message: String,
    },
    /// There is no database to read.
    #[error("there is no tracking database `{}`", path.display())]
    StoreMissing {
        /// Where it was expected.
        path: PathBuf,
    },
    /// The file is not a SQLite database.
    #[error("`{}` is not a SQLite database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a damaged SQLite database.
    #[error("tracking database `{}` is damaged", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The database does not have MLflow's tables, or not as we know them.
    #[error("database `{}` cannot be used for tracking: {problem}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// The table or column in question.
        problem: String,
    },
    /// Another program held the database for too long.
    #[error("tracking database `{}` is locked by another program; waited {waited_s} s to {action}", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// How long we waited.
        waited_s: u64,
    },
    /// SQLite failed in some other way: no permission, disk full.
    #[error("tracking database `{}`: cannot {action}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The system gives no random bytes for a new id.
    #[error("cannot draw a random id")]
    Random {
        /// What the system says.
        #[source]
        source: getrandom::Error,
    },
    /// No experiment has this id.
    #[error("there is no experiment with id `{}`", shown(id))]
    ExperimentNotFound {
        /// As given.
        id: String,
    },
    /// The experiment is deleted; it keeps its name.
    #[error("experiment `{}` (id {id}) is deleted", shown(name))]
    ExperimentDeleted {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// No run has this id, name or beginning of an id.
    #[error("there is no run `{}`", shown(run))]
    RunNotFound {
        /// As given.
        run: String,
    },
    /// Several runs have this name or beginning of an id.
    #[error("`{}` may be any of {n_runs} runs, such as {}", shown(run), candidates.join(", "))]
    RunAmbiguous {
        /// As given.
        run: String,
        /// How many they are.
        n_runs: usize,
        /// Ids of the first of them.
        candidates: Vec<String>,
    },
    /// The run is deleted and takes nothing more.
    #[error("run `{id}` is deleted")]
    RunDeleted {
        /// Its id.
        id: String,
    },
    /// No logged model has this id.
    #[error("there is no logged model `{}`", shown(id))]
    ModelNotFound {
        /// As given.
        id: String,
    },
    /// No registered model has this name.
    #[error("there is no registered model `{}`", shown(name))]
    RegisteredModelNotFound {
        /// As given.
        name: String,
    },
    /// The registered model has no such version.
    #[error("registered model `{}` has no version {version}", shown(name))]
    ModelVersionNotFound {
        /// Its name.
        name: String,
        /// As given.
        version: u32,
    },
    /// The registered model has no such alias.
    #[error("registered model `{}` has no alias `{}`", shown(name), shown(alias))]
    AliasNotFound {
        /// Its name.
        name: String,
        /// As given.
        alias: String,
    },
    /// Another program has made another version the champion.
    #[error(
        "the champion of `{}` is {}, and not {} any more",
        shown(name),
        history::shown(*found),
        history::shown(*expected)
    )]
    ChampionChanged {
        /// Name of the registered model.
        name: String,
        /// The champion that was judged.
        expected: Option<u32>,
        /// The champion that is.
        found: Option<u32>,
    },
    /// A key, name or the like cannot be stored.
    #[error("{what} `{}` is not valid: {expected}", shown(value))]
    Invalid {
        /// What it was to be.
        what: &'static str,
        /// As given.
        value: String,
        /// What would be valid.
        expected: String,
    },
    /// The value of a param or tag is too long; nothing is cut silently.
    #[error("value of {what} `{}` has {n_chars} characters, at most {max_chars} are possible", shown(key))]
    ValueTooLong {
        /// `param` or `tag`.
        what: &'static str,
        /// Its key.
        key: String,
        /// Its length.
        n_chars: usize,
        /// The limit.
        max_chars: usize,
    },
    /// A param has another value already.
    #[error("param `{}` is `{}` already and cannot become `{}`", shown(key), shown(old), shown(new))]
    ParamChanged {
        /// Its key.
        key: String,
        /// The stored value.
        old: String,
        /// The new value.
        new: String,
    },
    /// Artifacts lie where this store cannot write.
    #[error(
        "artifact location `{}` is not supported: expected an absolute path, `file:///...` or `s3://bucket/...`",
        shown(location)
    )]
    ArtifactLocation {
        /// As stored.
        location: String,
    },
    /// The server keeps artifacts in a folder of its own machine that is not there on this one.
    #[error("the server keeps artifacts in the folder `{}` of its own machine", shown(location))]
    NotShared {
        /// As the server gives it.
        location: String,
    },
    /// Artifacts lie in an object store, and who asks for them is not said.
    #[error("there are no credentials for `{}`", shown(location))]
    NoObjectStoreCredentials {
        /// As stored.
        location: String,
    },
    /// The object store understood the request and refused it.
    #[error("object store `{}` refused to {action}: {}{}", shown(uri), shown(code), said(message))]
    ObjectStoreRefused {
        /// Its URI, and the bucket.
        uri: String,
        /// What was being done.
        action: &'static str,
        /// HTTP status.
        status: u16,
        /// Its code, such as `AccessDenied`, or the HTTP status.
        code: String,
        /// What it said.
        message: String,
    },
    /// The answer is not one of an object store.
    #[error("`{}` does not answer like an object store: {}", shown(uri), shown_up_to(problem, 300))]
    NotAnObjectStore {
        /// Its URI.
        uri: String,
        /// What came instead.
        problem: String,
    },
    /// There is no such artifact file.
    #[error("run `{run_id}` has no artifact file `{}`", shown(path))]
    ArtifactNotFound {
        /// The run.
        run_id: String,
        /// As given.
        path: String,
    },
    /// There are no files where some should be.
    #[error("there are no files in `{}`", shown(location))]
    NoFiles {
        /// Where they should be.
        location: String,
    },
    /// The artifact is larger than the caller wants.
    #[error("artifact `{}` is larger than {max_bytes} bytes", shown(path))]
    ArtifactTooLarge {
        /// As given.
        path: String,
        /// The caller's limit.
        max_bytes: u64,
    },
}

impl Error {
    /// What to do about it, where that can be said: one line for the user.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { peer: Peer::ObjectStore, .. } => {
                "check MLFLOW_S3_ENDPOINT_URL and AWS_DEFAULT_REGION, the network and whether the store runs".to_owned()
            }
            Self::Unreachable { .. } => "check the tracking URI, the network and whether the server runs".to_owned(),
            Self::Unavailable { status: 429, .. } => "the server is asked too often: try again later".to_owned(),
            Self::Unavailable { peer: Peer::ObjectStore, .. } => "try again later".to_owned(),
            Self::Unavailable { .. } => "see the server's log, and try again later".to_owned(),
            Self::Unauthenticated { .. } => {
                "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, and check their values"
                    .to_owned()
            }
            Self::Forbidden { .. } => "ask the server's administrator for the permission".to_owned(),
            Self::HostRejected { .. } => {
                "start the server with `--allowed-hosts` and this host name, or use its IP address or `localhost`".to_owned()
            }
            Self::NotMlflow { .. } => "check host, port and path of the tracking URI".to_owned(),
            Self::Moved { location, .. } => format!("if you trust it, use `{}`", shown(location)),
            Self::StoreMissing { .. } => "check the tracking URI, or train once to create it".to_owned(),
            Self::NotADatabase { .. } => "choose another file for the tracking URI".to_owned(),
            Self::Corrupt { path, .. } => {
                format!("restore a copy, or try `sqlite3 {} .recover`; a new file starts afresh", path.display())
            }
            Self::Schema { path, .. } => format!(
                "if an older MLflow made it, run `mlflow db upgrade sqlite:///{}`; else choose another file",
                path.display()
            ),
            Self::Locked { .. } => "end the program that holds it, or try again".to_owned(),
            Self::NotShared { .. } => {
                "start the server with `--artifacts-destination`, or mount the folder here under the same path".to_owned()
            }
            Self::ArtifactLocation { location } if location.starts_with("s3://") && !cfg!(feature = "s3") => {
                "this program was built without object stores: build phantomnet-track with its feature `s3`".to_owned()
            }
            Self::NoObjectStoreCredentials { .. } => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN if they are temporary; \
                 `aws configure export-credentials --format env` prints those of a profile or role"
                    .to_owned()
            }
            Self::ObjectStoreRefused { status, code, .. } => return refused_hint(*status, code).map(str::to_owned),
            Self::NotAnObjectStore { .. } => "check MLFLOW_S3_ENDPOINT_URL".to_owned(),
            Self::ExperimentDeleted { id, .. } => {
                format!("restore it with `mlflow experiments restore --experiment-id {id}`, or choose another name")
            }
            Self::ChampionChanged { .. } => "judge against the champion that is now: do it again".to_owned(),
            Self::RunAmbiguous { .. } => "give more digits of the id".to_owned(),
            Self::RunDeleted { id } => format!("restore it with `mlflow runs restore --run-id {id}`"),
            _ => return None,
        })
    }

    /// Whether a server is away: what was asked of it may succeed later.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unavailable { .. })
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn database(path: &Path, action: &'static str, waited_s: u64, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path, action, waited_s },
            _ => Self::Database { path, action, source },
        }
    }
}

/// What to do about a code of S3.
fn refused_hint(status: u16, code: &str) -> Option<&'static str> {
    Some(match code {
        "NoSuchBucket" => "create the bucket, or check the artifact location and MLFLOW_S3_ENDPOINT_URL",
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken" => {
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
        }
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => "set AWS_DEFAULT_REGION to the region of the bucket",
        "RequestTimeTooSkewed" => "set the clock of this machine",
        "PreconditionFailed" => "the file was replaced while it was read: try again",
        _ => match status {
            300..=399 => "set AWS_DEFAULT_REGION to the region of the bucket",
            401 | 403 => "ask the owner of the bucket for the permission to list, read and write",
            404 => "check MLFLOW_S3_ENDPOINT_URL and MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE",
            _ => return None,
        },
    })
}

/// `: text`, or nothing for no text.
fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {}", shown_up_to(message, 300)) }
}

/// Text from outside, escaped and cut for a message.
pub(crate) fn shown(text: &str) -> String {
    shown_up_to(text, 80)
}

fn shown_up_to(text: &str, max_chars: usize) -> String {
    let escaped = |c: char| -> String { if c == '\'' { c.into() } else { c.escape_debug().collect() } };
    let mut shown: String = text.chars().take(max_chars).map(escaped).collect();
    if text.chars().nth(max_chars).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_escaped_and_cut() {
        let error = Error::RunNotFound { run: format!("\u{1b}[31m{}", "x".repeat(1000)) };
        let message = error.to_string();
        assert!(message.starts_with("there is no run `\\u{1b}[31mxxx"), "{message}");
        assert!(message.ends_with("x…`"), "{message}");
        assert!(message.chars().count() < 120);
    }
}
