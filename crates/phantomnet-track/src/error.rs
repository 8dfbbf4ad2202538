//! Why the store refused or failed.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Short for the result of every call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call to a tracking store failed. [`Error::hint`] says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tracking URI is of no known kind.
    #[error(
        "tracking URI `{}` is not valid; valid are `sqlite:///relative.db` and `sqlite:////absolute/path.db`",
        shown(uri)
    )]
    InvalidUri {
        /// As given.
        uri: String,
    },
    /// The tracking URI is that of a server.
    #[error("tracking server `{}` is not supported by this build yet", shown(uri))]
    ServerNotSupported {
        /// As given.
        uri: String,
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
    #[error("artifact location `{}` is not supported: expected an absolute path or `file:///...`", shown(location))]
    ArtifactLocation {
        /// As stored.
        location: String,
    },
    /// There is no such artifact file.
    #[error("run `{run_id}` has no artifact file `{}`", shown(path))]
    ArtifactNotFound {
        /// The run.
        run_id: String,
        /// As given.
        path: String,
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
            Self::ServerNotSupported { .. } => "use `sqlite:///mlflow.db`".to_owned(),
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
            Self::ExperimentDeleted { id, .. } => {
                format!("restore it with `mlflow experiments restore --experiment-id {id}`, or choose another name")
            }
            Self::RunAmbiguous { .. } => "give more digits of the id".to_owned(),
            Self::RunDeleted { id } => format!("restore it with `mlflow runs restore --run-id {id}`"),
            _ => return None,
        })
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

/// Text from outside, escaped and cut for a message.
fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut shown: String = text.chars().take(MAX_CHARS).collect::<String>().escape_debug().collect();
    if text.chars().nth(MAX_CHARS).is_some() {
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
