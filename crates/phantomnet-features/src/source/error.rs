//! What can be wrong with the files that events are read from.

use std::io;
use std::path::PathBuf;

use crate::events::{Rejected, RejectedLine};
use crate::source::excerpt::visible;

/// Events that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// An expression that cannot be computed on the events.
    #[error(transparent)]
    Expression(#[from] crate::ExpressionError),
    /// An empty list of paths.
    #[error("no file, folder or pattern of event logs is given")]
    NoPaths,
    /// A named file or folder that does not exist.
    #[error("`{}` does not exist", path.display())]
    NotFound {
        /// The path as given.
        path: PathBuf,
    },
    /// A pattern that no file matches.
    #[error("no file matches `{pattern}`")]
    NoMatch {
        /// The pattern as given.
        pattern: String,
    },
    /// A folder without event logs.
    #[error("folder `{}` holds no file with the extension of an event log", path.display())]
    NoLogs {
        /// The folder.
        path: PathBuf,
    },
    /// A pattern that is not well formed.
    #[error("`{pattern}` is not a file pattern")]
    Pattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: glob::PatternError,
    },
    /// A file or folder that cannot be opened.
    #[error("cannot open `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file whose content ends or breaks in the middle, as a truncated gzip file does.
    #[error("cannot read `{}` beyond row {n_rows}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Rows read from it before.
        n_rows: u64,
        /// The system's or the decompressor's reason.
        #[source]
        source: io::Error,
    },
    /// A stream other than a file that cannot be read.
    #[error("cannot read the event stream beyond line {line}")]
    Stream {
        /// Physical lines read before.
        line: u64,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file that is not the Parquet it claims to be.
    #[error("cannot read `{}` as Parquet beyond row {n_rows}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Rows read from it before.
        n_rows: u64,
        /// The Parquet reader's reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file in a format that is not read.
    #[error("`{}` is {what}, which is not read", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The format found.
        what: &'static str,
        /// What to do instead.
        advice: &'static str,
    },
    /// A header that does not name the columns.
    #[error("the header of `{}` cannot be read: {reason}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// More bad records than allowed.
    #[error(
        "{n} of {n_lines} lines are rejected, more than `max_rejected` = {max_rejected} allows; the first is `{}`:{}: {}",
        path.display(), first.place.line, first.reason
    )]
    TooManyRejected {
        /// Rejected records.
        n: u64,
        /// All records.
        n_lines: u64,
        /// The share that may be rejected.
        max_rejected: f64,
        /// The file of the first rejected record.
        path: PathBuf,
        /// The first rejected record.
        first: Box<RejectedLine>,
        /// The rejected records, `first` included.
        rejected: Box<Rejected>,
    },
    /// Files without a single event.
    #[error("no events: `{}` {}", path.display(), why)]
    NoEvents {
        /// The only file, or the first of several.
        path: PathBuf,
        /// How the files are without events.
        why: String,
        /// Whether the file has records, none of which can be read.
        has_records: bool,
    },
    /// More columns than a table may have.
    #[error("`{}` has {n} columns, more than {limit}", path.display())]
    TooManyColumns {
        /// The file.
        path: PathBuf,
        /// Its columns.
        n: usize,
        /// The most that are read.
        limit: usize,
    },
    /// A column whose text outgrows what one table can hold.
    #[error("column `{}` holds more than 2 GiB of text", visible(column, 200))]
    ColumnFull {
        /// The column.
        column: String,
    },
    /// Two columns of one name.
    #[error("column `{}` is named twice", visible(column, 200))]
    DuplicateColumn {
        /// The name.
        column: String,
    },
    /// A type given for a column that the files do not hold.
    #[error("a type is given for column `{}`, which is not in the data; columns are {columns}", visible(column, 200))]
    UnknownColumn {
        /// The name.
        column: String,
        /// The names there are, at most 20 of them.
        columns: String,
    },
    /// A share of rejected records outside its range.
    #[error("`max_rejected` must be in 0..=1, got {got}")]
    MaxRejected {
        /// The value.
        got: f64,
    },
    /// A file that cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's or the writer's reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A thread that reads ended before its work did.
    #[error("reading was interrupted")]
    Interrupted,
    /// A database URL that is not valid. Nothing here shows what could be a part of a password.
    #[error("the `{scheme}` URL is not valid: {reason}")]
    DatabaseUrl {
        /// The kind of database.
        scheme: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A database URL in a program that was built without databases.
    #[error("this program is built without databases")]
    DatabaseFeature,
    /// A database that cannot be opened or connected to.
    #[error("cannot open `{place}`")]
    DatabaseOpen {
        /// The URL without password and parameters.
        place: String,
        /// The system's or the server's reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What to do about it.
        advice: Option<&'static str>,
    },
    /// A database of which neither a table nor a query is named.
    #[error("nothing says which table of `{place}` holds the events")]
    DatabaseSelection {
        /// The URL without password and parameters.
        place: String,
        /// The names there are, at most 20 of them.
        tables: Vec<String>,
    },
    /// A table that is not in the database, or that the user cannot see.
    #[error("there is no table `{}` in `{place}`", visible(table, 200))]
    DatabaseTable {
        /// The URL without password and parameters.
        place: String,
        /// The name as given.
        table: String,
        /// The names most alike.
        nearest: Vec<String>,
        /// The names there are, at most 20 of them, where none is alike.
        tables: Vec<String>,
    },
    /// A query that cannot be read from.
    #[error("the query of `{place}` cannot be read: {reason}")]
    DatabaseQuery {
        /// The URL without password and parameters.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Rows that a database gives only in part.
    #[error("cannot read `{place}` beyond row {n_rows}")]
    DatabaseRead {
        /// The URL without password and parameters.
        place: String,
        /// Rows read from it before.
        n_rows: u64,
        /// The system's or the server's reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What to do about it.
        advice: Option<&'static str>,
    },
    /// A value of a database that is too large to be a field of an event.
    #[error("column `{}` of row {row} of `{place}` holds {n_bytes} bytes, more than {limit}", visible(column, 200))]
    DatabaseCell {
        /// The URL without password and parameters.
        place: String,
        /// The row, counted from 1.
        row: u64,
        /// The column.
        column: String,
        /// Bytes of the value, as the database sends it.
        n_bytes: usize,
        /// The most that are read.
        limit: usize,
    },
    /// A file that is not what it was when its events were read.
    #[error("`{}` has changed since it was read: there is no record at line {line}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The line at which a record started.
        line: u64,
    },
}

impl SourceError {
    /// A file that cannot be written.
    pub(crate) fn write(path: &std::path::Path, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Write { path: path.to_path_buf(), source: Box::new(error) }
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Expression(error) => return error.hint(),
            Self::NoEvents { has_records: true, .. } => {
                "`data.format` says how to read what is taken for another format; `lines` makes every line an event"
            }
            Self::NoEvents { .. } => "name files with events in `data.paths`",
            Self::NoPaths => "name files, folders or patterns in `data.paths`",
            Self::NotFound { path } if path.as_os_str() == "-" => {
                "write standard input to a file, and measure with that"
            }
            Self::NotFound { .. } => "paths are relative to the current folder",
            Self::NoMatch { .. } => "put the pattern in quotes if the shell should not expand it",
            Self::NoLogs { path } => {
                let folder = visible(path.display().to_string().trim_end_matches('/'), 200);
                return Some(format!(
                    "known are .csv .tsv .psv .json .jsonl .ndjson .log .parquet, rotated (.1, .2025-01-31) and compressed (.gz, .zst, .bz2); \
                     name other files one by one, or by a pattern: `{folder}/*`, with folders below `{folder}/**/*`"
                ));
            }
            Self::Read { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
                "the compressed file is cut off; fetch it again, or keep the readable part with `gzip -dc` or `zstd -dc`"
            }
            Self::Unsupported { advice, .. } => advice,
            Self::Header { .. } => "set `data.columns` if the file has no header",
            Self::TooManyRejected { .. } => {
                "look at the line; set `data.format` or `data.columns` if the file is misread, or raise `data.max_rejected`"
            }
            Self::Changed { .. } => "read the events again",
            Self::DatabaseUrl { scheme: "postgres", .. } => {
                "write postgres://user@host:5432/database?table=events; in a user name or password `/ ? @ : %` are \
                 `%2F %3F %40 %3A %25`, or set PGPASSWORD"
            }
            Self::DatabaseUrl { .. } => {
                "write sqlite:///relative.db?table=events or sqlite:////absolute/path.db?table=events"
            }
            Self::DatabaseFeature => "build it with the cargo feature `databases`",
            Self::DatabaseOpen { advice, .. } | Self::DatabaseRead { advice, .. } => return advice.map(str::to_owned),
            Self::DatabaseSelection { tables, .. } => {
                return Some(format!("add `?table=NAME` or `?query=SELECT ...` to the URL; {}", listed(tables)));
            }
            Self::DatabaseTable { nearest, tables, .. } if nearest.is_empty() => return Some(listed(tables)),
            Self::DatabaseTable { nearest, .. } => return Some(format!("did you mean {}?", names(nearest, " or "))),
            Self::DatabaseQuery { .. } => "give one statement that returns rows, each column under a name of its own",
            Self::DatabaseCell { .. } => {
                "leave the column out, or shorten it: `left(column, 10000)`, `substr(column, 1, 10000)`"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn listed(tables: &[String]) -> String {
    match tables {
        [] => "it has no tables that this user can read".to_owned(),
        tables => format!("its tables are {}", names(tables, ", ")),
    }
}

fn names(tables: &[String], separator: &str) -> String {
    tables.iter().map(|name| format!("`{}`", visible(name, 200))).collect::<Vec<_>>().join(separator)
}
