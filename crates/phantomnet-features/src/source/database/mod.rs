//! Databases: the rows of a table or a query of SQLite or PostgreSQL as batches of arrays.
//!
//! `url` says where and what, `sqlite` and `postgres` read. Both read in one transaction that cannot write, row by row:
//! memory holds one batch, however many rows there are, and what anyone writes meanwhile is not seen.
//!
//! The rows of a table come in the order of its primary key, so that reading it again gives the same order. SQLite falls
//! back on the order in which rows were put in; without either, the order is the server's and may change from one
//! reading to the next ([`DatabaseRows::warning`]). A query is taken as it is: its order is what it says.
//!
//! Limits: a cell holds at most 16 MiB, a row 256 MiB. While rows are read from an SQLite database that is not in WAL
//! mode, writers wait. Without the cargo feature `databases` URLs are known, and opening one is an error.

#[cfg(feature = "databases")]
mod postgres;
#[cfg(feature = "databases")]
mod spool;
#[cfg(not(feature = "databases"))]
#[path = "spool_none.rs"]
mod spool;
#[cfg(feature = "databases")]
mod sqlite;
mod url;

pub(crate) use spool::Spool;

use std::path::PathBuf;

use arrow_array::ArrayRef;

use crate::source::error::SourceError;

/// Bytes of the longest cell.
#[cfg(feature = "databases")]
const MAX_CELL_BYTES: usize = 16 << 20;
/// Bytes of the longest row.
#[cfg(feature = "databases")]
const MAX_ROW_BYTES: usize = 256 << 20;
/// A batch ends early with the row by which it has this many bytes.
#[cfg(feature = "databases")]
const BATCH_BYTES: usize = 64 << 20;
/// Most tables that an error lists.
#[cfg(feature = "databases")]
const MAX_LISTED: usize = 20;

/// What of a database is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All rows of a table or view, by its exact name, with its schema before a dot where it needs one.
    Table(String),
    /// The rows of one statement, in the order that it gives them.
    Query(String),
}

/// A database and what is read of it. Neither `Debug` nor `Display` shows the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseSource {
    location: Location,
    selection: Option<Selection>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Location {
    Sqlite(PathBuf),
    Postgres(url::Server),
}

/// Variables of the environment, by name. `Debug` shows names only: values may be passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(pub std::collections::BTreeMap<String, String>);

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl DatabaseSource {
    /// Whether a table or query is named.
    pub(crate) fn has_selection(&self) -> bool {
        self.selection.is_some()
    }

    /// With a table or query instead of what the URL says.
    pub fn with(self, selection: Selection) -> Self {
        Self { selection: Some(selection), ..self }
    }
}

/// The rows of a table or query, read as they are asked for.
pub(crate) struct DatabaseRows {
    columns: Vec<String>,
    rows: Rows,
}

enum Rows {
    #[cfg(feature = "databases")]
    Sqlite(sqlite::SqliteRows),
    #[cfg(feature = "databases")]
    Postgres(Box<postgres::PostgresRows>),
    #[cfg(not(feature = "databases"))]
    None(std::convert::Infallible),
}

impl DatabaseRows {
    /// Connects, and has the database look at the table or query.
    ///
    /// # Errors
    /// [`SourceError::NotFound`], `DatabaseOpen`, `DatabaseSelection`, `DatabaseTable`, `DatabaseQuery` and
    /// `TooManyColumns`.
    #[cfg(feature = "databases")]
    pub(crate) fn open(source: &DatabaseSource) -> Result<Self, SourceError> {
        let place = source.place();
        let selection = source.selection.as_ref();
        let (columns, rows) = match &source.location {
            Location::Sqlite(path) => {
                let (columns, rows) = sqlite::SqliteRows::open(place.clone(), path, selection)?;
                (columns, Rows::Sqlite(rows))
            }
            Location::Postgres(server) => {
                let (columns, rows) = postgres::PostgresRows::open(place.clone(), server, selection)?;
                (columns, Rows::Postgres(Box::new(rows)))
            }
        };
        let (n, limit) = (columns.len(), crate::source::row::MAX_COLUMNS);
        if n > limit {
            return Err(SourceError::TooManyColumns { path: place.into(), n, limit });
        }
        let mut sorted: Vec<&String> = columns.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = crate::source::excerpt::visible(twice[0], 200);
            return Err(SourceError::DatabaseQuery { place, reason: format!("two of its columns are named `{name}`") });
        }
        Ok(Self { columns, rows })
    }

    #[cfg(not(feature = "databases"))]
    pub(crate) fn open(_: &DatabaseSource) -> Result<Self, SourceError> {
        Err(SourceError::DatabaseFeature)
    }

    /// Names of the columns, all different.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What should be said about the order of the rows, where reading them again may give another.
    pub(crate) fn warning(&self) -> Option<String> {
        match &self.rows {
            #[cfg(feature = "databases")]
            Rows::Sqlite(rows) => rows.warning(),
            #[cfg(feature = "databases")]
            Rows::Postgres(rows) => rows.warning(),
            #[cfg(not(feature = "databases"))]
            Rows::None(never) => match *never {},
        }
    }

    /// Rows so far with bytes that are not UTF-8, and are U+FFFD here; PostgreSQL sends none.
    pub(crate) fn n_lossy(&self) -> u64 {
        match &self.rows {
            #[cfg(feature = "databases")]
            Rows::Sqlite(rows) => rows.n_lossy(),
            #[cfg(feature = "databases")]
            Rows::Postgres(_) => 0,
            #[cfg(not(feature = "databases"))]
            Rows::None(never) => match *never {},
        }
    }

    /// The next rows, at least one and at most `max_rows`, as arrays of `Int64`, `Float64`, `Boolean` or `Utf8`; `None`
    /// at the end. Fewer rows than asked for do not mean the end.
    ///
    /// A column of PostgreSQL has one type in all batches. SQLite knows the type of each value only: a column is of the
    /// narrowest that keeps all values of the batch, and `Utf8` where all are NULL.
    ///
    /// # Errors
    /// `DatabaseRead` and `DatabaseCell`. No rows can be read after an error.
    pub(crate) fn next(&mut self, max_rows: usize) -> Result<Option<Vec<ArrayRef>>, SourceError> {
        match &mut self.rows {
            #[cfg(feature = "databases")]
            Rows::Sqlite(rows) => rows.next(max_rows.max(1), &self.columns),
            #[cfg(feature = "databases")]
            Rows::Postgres(rows) => rows.next(max_rows.max(1), &self.columns),
            #[cfg(not(feature = "databases"))]
            Rows::None(never) => match (max_rows, *never) {},
        }
    }
}

/// A name as SQL has it where it must not be read as anything else.
#[cfg(feature = "databases")]
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The error for a table that is not there, with the names most alike.
#[cfg(feature = "databases")]
fn no_such_table(place: &str, table: &str, tables: &[String]) -> SourceError {
    let lower = table.to_lowercase();
    let mut nearest: Vec<(f64, &String)> = tables
        .iter()
        .map(|name| (strsim::normalized_levenshtein(&name.to_lowercase(), &lower), name))
        .filter(|(alike, _)| *alike >= 0.5)
        .collect();
    nearest.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let nearest = nearest.into_iter().take(3).map(|(_, name)| name.clone()).collect::<Vec<_>>();
    let listed = if nearest.is_empty() { tables.iter().take(MAX_LISTED).cloned().collect() } else { Vec::new() };
    SourceError::DatabaseTable { place: place.to_owned(), table: table.to_owned(), nearest, tables: listed }
}

#[cfg(all(test, feature = "databases"))]
mod testing {
    use arrow_schema::DataType;

    use super::*;
    use crate::source::row_json::value_as_json;

    /// A source of a URL, and of a table or query if one is given.
    pub(super) fn source(url: &str, selection: Option<Selection>) -> DatabaseSource {
        let source = DatabaseSource::parse(url).expect("a database URL").expect("a valid one");
        match selection {
            Some(selection) => source.with(selection),
            None => source,
        }
    }

    /// All rows, each as a list in JSON, and the types of the columns of each batch.
    pub(super) fn read_all(
        source: &DatabaseSource,
        max_rows: usize,
    ) -> Result<(Vec<String>, Vec<Vec<DataType>>), SourceError> {
        let mut rows = DatabaseRows::open(source)?;
        let (mut out, mut types) = (Vec::new(), Vec::new());
        while let Some(arrays) = rows.next(max_rows)? {
            assert_eq!(arrays.len(), rows.columns().len());
            let n = arrays[0].len();
            assert!(n > 0 && n <= max_rows && arrays.iter().all(|array| array.len() == n));
            let cells = |row| arrays.iter().map(|array| value_as_json(array, row)).collect();
            out.extend((0..n).map(|row| serde_json::Value::Array(cells(row)).to_string()));
            types.push(arrays.iter().map(|array| array.data_type().clone()).collect());
        }
        assert!(rows.next(max_rows)?.is_none(), "the end is the end");
        Ok((out, types))
    }

    pub(super) fn table(name: &str) -> Option<Selection> {
        Some(Selection::Table(name.to_owned()))
    }

    pub(super) fn query(sql: &str) -> Option<Selection> {
        Some(Selection::Query(sql.to_owned()))
    }

    /// Error, causes and hint in one line.
    pub(super) fn told(error: &SourceError) -> String {
        let mut out = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            out.push_str(&format!(": {error}"));
            cause = error.source();
        }
        out.extend(error.hint().map(|hint| format!(" | {hint}")));
        out
    }
}
