//! SQLite: values whose types are their own, read by one statement that stays open.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Float64Array, Int64Array};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Rows, Statement};
use self_cell::{MutBorrow, self_cell};

use crate::source::database::{
    BATCH_BYTES, MAX_CELL_BYTES, MAX_LISTED, MAX_ROW_BYTES, Selection, identifier, no_such_table,
};
use crate::source::error::SourceError;
use crate::source::excerpt::visible;

/// How long a writer is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

self_cell!(
    struct Prepared {
        owner: Connection,
        #[covariant]
        dependent: Statement,
    }
);

self_cell!(
    struct Running {
        owner: MutBorrow<Prepared>,
        #[not_covariant]
        dependent: Rows,
    }
);

/// The rows of a statement.
pub(super) struct SqliteRows {
    place: String,
    running: Running,
    n_rows: u64,
    n_lossy: u64,
    /// A view, or a virtual table, whose rows have no order of their own.
    unordered: Option<String>,
}

impl SqliteRows {
    /// Names of the columns, and the rows.
    pub(super) fn open(
        place: String,
        path: &Path,
        selection: Option<&Selection>,
    ) -> Result<(Vec<String>, Self), SourceError> {
        if !path.exists() {
            return Err(SourceError::NotFound { path: path.to_path_buf() });
        }
        let failed = |error: rusqlite::Error| SourceError::DatabaseOpen {
            place: place.clone(),
            advice: advice(&error),
            source: error.into(),
        };
        let connection = connect(path).map_err(failed)?;
        let (sql, unordered) = match selection {
            None => {
                let mut tables = tables(&connection).map_err(failed)?;
                tables.truncate(MAX_LISTED);
                return Err(SourceError::DatabaseSelection { place, tables });
            }
            Some(Selection::Query(query)) => (query.clone(), None),
            Some(Selection::Table(name)) => match table(&connection, name).map_err(failed)? {
                Some(found) => (found.sql, (!found.is_ordered).then(|| name.clone())),
                None => return Err(no_such_table(&place, name, &tables(&connection).map_err(failed)?)),
            },
        };
        let refused = |reason: String| SourceError::DatabaseQuery { place: place.clone(), reason };
        // What the library says of wrong SQL quotes all of it, which the last part leaves out.
        let invalid = |error: rusqlite::Error| match error {
            rusqlite::Error::SqlInputError { msg, .. } => refused(visible(&msg, 300)),
            rusqlite::Error::MultipleStatement => refused("it is more than one statement".to_owned()),
            error => failed(error),
        };
        let prepared = Prepared::try_new(connection, |connection| connection.prepare(&sql)).map_err(invalid)?;
        let statement = prepared.borrow_dependent();
        if statement.column_count() == 0 {
            return Err(refused("it returns no rows".to_owned()));
        }
        if !statement.readonly() {
            return Err(refused("it changes the database".to_owned()));
        }
        if statement.parameter_count() > 0 {
            return Err(refused("it has parameters, which have no values here".to_owned()));
        }
        let columns = statement.column_names().map(str::to_owned).collect();
        let running = Running::try_new(MutBorrow::new(prepared), |prepared| {
            prepared.borrow_mut().with_dependent_mut(|_, statement| statement.query([]))
        })
        .map_err(failed)?;
        Ok((columns, Self { place, running, n_rows: 0, n_lossy: 0, unordered }))
    }

    pub(super) fn warning(&self) -> Option<String> {
        let view = visible(self.unordered.as_ref()?, 200);
        Some(format!(
            "rows of `{view}` of `{}`, which has no key, come in no certain order; read them by a query with ORDER BY",
            self.place
        ))
    }

    /// Rows so far with bytes that are not UTF-8.
    pub(super) fn n_lossy(&self) -> u64 {
        self.n_lossy
    }

    pub(super) fn next(&mut self, max_rows: usize, columns: &[String]) -> Result<Option<Vec<ArrayRef>>, SourceError> {
        let mut cells: Vec<Cells> = columns.iter().map(|_| Cells::default()).collect();
        let Self { place, running, n_rows, n_lossy, .. } = self;
        let (mut n, mut n_bytes) = (0, 0);
        running.with_dependent_mut(|_, rows| {
            while n < max_rows && n_bytes < BATCH_BYTES {
                let row = rows.next().map_err(|error| SourceError::DatabaseRead {
                    place: place.clone(),
                    n_rows: *n_rows,
                    advice: advice(&error),
                    source: error.into(),
                })?;
                let Some(row) = row else { break };
                n += 1;
                *n_rows += 1;
                let pushed = push(row, &mut cells).map_err(|(column, n_bytes)| SourceError::DatabaseCell {
                    place: place.clone(),
                    row: *n_rows,
                    column: columns[column].clone(),
                    n_bytes,
                    limit: MAX_CELL_BYTES,
                })?;
                n_bytes += pushed.n_bytes;
                *n_lossy += u64::from(pushed.is_lossy);
            }
            Ok::<(), SourceError>(())
        })?;
        Ok((n > 0).then(|| cells.into_iter().map(Cells::finish).collect()))
    }
}

/// A connection that can only read, in a transaction: its tables are looked at and read as of one moment.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // The file may be another's: its views must not call what has effects.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_ROW_BYTES as i32)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.execute_batch("PRAGMA query_only = ON; BEGIN")?;
    // Until something is read, the file is not even opened.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// How to read a table.
struct Table {
    sql: String,
    is_ordered: bool,
}

/// A table by its name, or by the database's name and its own with a dot between; `None` if there is none.
fn table(connection: &Connection, name: &str) -> rusqlite::Result<Option<Table>> {
    let mut candidates = vec![("main", name)];
    candidates.extend(name.split_once('.'));
    for (schema, name) in candidates {
        let find =
            "SELECT type, wr FROM pragma_table_list WHERE schema = ?1 COLLATE NOCASE AND name = ?2 COLLATE NOCASE";
        let found = connection
            .query_row(find, [schema, name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))
            .optional()?;
        let Some((kind, without_rowid)) = found else { continue };
        let mut statement = connection.prepare("SELECT name, pk FROM pragma_table_xinfo(?1, ?2) ORDER BY pk, cid")?;
        let columns = statement
            .query_map([name, schema], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let mut order: Vec<String> =
            columns.iter().filter(|(_, pk)| *pk > 0).map(|(column, _)| identifier(column)).collect();
        // A key may be NULL in many rows, and one of these names may be that of a column.
        let is_free = |rowid: &&&str| !columns.iter().any(|(column, _)| column.eq_ignore_ascii_case(rowid));
        if kind == "table" && !without_rowid {
            order.extend(["rowid", "_rowid_", "oid"].iter().find(is_free).map(|&rowid| rowid.to_owned()));
        }
        let mut sql = format!("SELECT * FROM {}.{}", identifier(schema), identifier(name));
        if !order.is_empty() {
            sql.extend([" ORDER BY ", &order.join(", ")]);
        }
        return Ok(Some(Table { sql, is_ordered: !order.is_empty() }));
    }
    Ok(None)
}

/// Names of tables and views, sorted.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
               ORDER BY name LIMIT 1000";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

fn advice(error: &rusqlite::Error) -> Option<&'static str> {
    Some(match error.sqlite_error_code()? {
        ErrorCode::NotADatabase => "it is no SQLite database, or it is encrypted",
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => "a writer holds the database; try again when it is done",
        ErrorCode::CannotOpen | ErrorCode::ReadOnly => {
            "a database in WAL mode, or one whose writer was killed, can be read only where files can be made beside it; \
             read a copy of all its files in another folder"
        }
        ErrorCode::DatabaseCorrupt => "see what `PRAGMA integrity_check` says",
        ErrorCode::TooBig => "a row holds more than 256 MiB; leave columns out by a query",
        _ => return None,
    })
}

/// A row whose cells were added.
struct Pushed {
    n_bytes: usize,
    /// Whether bytes of it are not UTF-8, and became U+FFFD.
    is_lossy: bool,
}

/// Adds the cells of a row; or gives the column and bytes of a cell that is too large.
fn push(row: &Row<'_>, cells: &mut [Cells]) -> Result<Pushed, (usize, usize)> {
    let (mut n_bytes, mut is_lossy) = (0, false);
    for (i, cells) in cells.iter_mut().enumerate() {
        // A column that the statement does not have: there is none.
        let value = row.get_ref(i).unwrap_or(ValueRef::Null);
        let text = match value {
            ValueRef::Null => {
                cells.push_null();
                continue;
            }
            ValueRef::Integer(x) => {
                cells.push_number(Numeric::Integer(x));
                n_bytes += size_of::<i64>();
                continue;
            }
            ValueRef::Real(x) => {
                cells.push_number(Numeric::Real(x));
                n_bytes += size_of::<f64>();
                continue;
            }
            ValueRef::Text(text) | ValueRef::Blob(text) => text,
        };
        if text.len() > MAX_CELL_BYTES {
            return Err((i, text.len()));
        }
        n_bytes += text.len();
        let text = String::from_utf8_lossy(text);
        is_lossy |= matches!(text, Cow::Owned(_));
        cells.push_text(&text);
    }
    Ok(Pushed { n_bytes, is_lossy })
}

#[derive(Debug, Clone, Copy)]
enum Numeric {
    Integer(i64),
    Real(f64),
}

impl Numeric {
    /// As a text file would spell it, and as the readers of files do.
    fn spelled(self) -> String {
        match self {
            Self::Integer(x) => x.to_string(),
            Self::Real(x) => format!("{x:?}"),
        }
    }
}

/// The cells of a column of a batch: numbers until there is text among them.
#[derive(Debug)]
enum Cells {
    Numbers(Vec<Option<Numeric>>),
    Text(StringBuilder),
}

impl Default for Cells {
    fn default() -> Self {
        Self::Numbers(Vec::new())
    }
}

impl Cells {
    fn push_null(&mut self) {
        match self {
            Self::Numbers(cells) => cells.push(None),
            Self::Text(cells) => cells.append_null(),
        }
    }

    fn push_number(&mut self, x: Numeric) {
        match self {
            Self::Numbers(cells) => cells.push(Some(x)),
            Self::Text(cells) => cells.append_value(x.spelled()),
        }
    }

    fn push_text(&mut self, text: &str) {
        if let Self::Numbers(numbers) = self {
            let mut cells = StringBuilder::new();
            numbers.iter().for_each(|x| cells.append_option(x.map(Numeric::spelled)));
            *self = Self::Text(cells);
        }
        if let Self::Text(cells) = self {
            cells.append_value(text);
        }
    }

    fn finish(self) -> ArrayRef {
        let cells = match self {
            Self::Text(mut cells) => return Arc::new(cells.finish()),
            Self::Numbers(cells) => cells,
        };
        if cells.iter().all(Option::is_none) {
            let mut nulls = StringBuilder::new();
            nulls.append_nulls(cells.len());
            return Arc::new(nulls.finish());
        }
        let integers = cells.iter().map(|cell| match cell {
            None => Some(None),
            Some(Numeric::Integer(x)) => Some(Some(*x)),
            Some(Numeric::Real(_)) => None,
        });
        if let Some(integers) = integers.collect::<Option<Vec<_>>>() {
            return Arc::new(Int64Array::from(integers));
        }
        let number = |cell: Numeric| match cell {
            Numeric::Integer(x) => x as f64,
            Numeric::Real(x) => x,
        };
        Arc::new(cells.into_iter().map(|cell| cell.map(number)).collect::<Float64Array>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_schema::DataType;
    use rstest::rstest;
    use tempfile::TempDir;

    use crate::source::database::testing::{query, read_all, source, table, told};
    use crate::source::database::{DatabaseRows, DatabaseSource};

    /// A database in a folder of its own, and a connection that writes to it.
    struct Written {
        _folder: TempDir,
        url: String,
        connection: Connection,
    }

    impl Written {
        fn new(sql: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("events.db");
            let connection = Connection::open(&path).unwrap();
            connection.execute_batch(sql).unwrap();
            let url = format!("sqlite:///{}", path.display());
            Self { _folder: folder, url, connection }
        }

        fn source(&self, selection: Option<Selection>) -> DatabaseSource {
            source(&self.url, selection)
        }

        fn rows(&self, selection: Option<Selection>) -> Vec<String> {
            read_all(&self.source(selection), 100).unwrap_or_else(|error| panic!("{}", told(&error))).0
        }

        fn error(&self, selection: Option<Selection>) -> String {
            told(&read_all(&self.source(selection), 100).expect_err("an error"))
        }
    }

    #[test]
    fn a_column_is_of_the_narrowest_type_that_keeps_the_values_of_a_batch() {
        let database = Written::new(
            "CREATE TABLE t (i, r, n, m, b, x BOOLEAN);
             INSERT INTO t VALUES (1, 1.5, NULL, 1, x'6869', 1);
             INSERT INTO t VALUES (NULL, 2, NULL, 2.5, NULL, 0);
             INSERT INTO t VALUES (-9223372036854775808, 1e300, NULL, 'a', x'ff00', 1);
             INSERT INTO t VALUES (4, 9e999, NULL, NULL, '', 1);",
        );
        let (rows, types) = read_all(&database.source(table("t")), 100).unwrap();
        use DataType::{Float64, Int64, Utf8};
        assert_eq!(types, [[Int64, Float64, Utf8, Utf8, Utf8, Int64]]);
        assert_eq!(
            rows,
            [
                r#"[1,1.5,null,"1","hi",1]"#,
                r#"[null,2.0,null,"2.5",null,0]"#,
                "[-9223372036854775808,1e+300,null,\"a\",\"\u{fffd}\\u0000\",1]",
                r#"[4,"inf",null,null,"",1]"#,
            ]
        );
        let (rows, types) = read_all(&database.source(query("SELECT m FROM t")), 1).unwrap();
        assert_eq!(types, [[Int64], [Float64], [Utf8], [Utf8]]);
        assert_eq!(rows, ["[1]", "[2.5]", "[\"a\"]", "[null]"]);
    }

    #[rstest]
    #[case("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (3), (1), (2)", &["[1]", "[2]", "[3]"])]
    #[case("CREATE TABLE t (a TEXT PRIMARY KEY); INSERT INTO t VALUES ('c'), ('a'), ('b')", &["[\"a\"]", "[\"b\"]", "[\"c\"]"])]
    #[case("CREATE TABLE t (a, b, PRIMARY KEY (b, a)) WITHOUT ROWID; INSERT INTO t VALUES (1, 2), (2, 1), (1, 1)", &["[1,1]", "[2,1]", "[1,2]"])]
    #[case("CREATE TABLE t (a); INSERT INTO t VALUES (3), (1), (2)", &["[3]", "[1]", "[2]"])]
    // Two of the names of the row number are those of columns.
    #[case("CREATE TABLE t (rowid, oid AS (-rowid)); INSERT INTO t VALUES (3), (1)", &["[3,-3]", "[1,-1]"])]
    fn rows_of_a_table_come_by_its_key_or_as_they_were_put_in(#[case] sql: &str, #[case] expected: &[&str]) {
        let database = Written::new(sql);
        assert_eq!(database.rows(table("t")), expected);
        assert_eq!(DatabaseRows::open(&database.source(table("t"))).unwrap().warning(), None);
    }

    #[test]
    fn a_view_has_no_order_and_a_query_its_own() {
        let database =
            Written::new("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2); CREATE VIEW v AS SELECT a FROM t");
        let warning = DatabaseRows::open(&database.source(table("v"))).unwrap().warning().expect("a warning");
        assert!(warning.contains("`v`") && warning.contains("ORDER BY"), "{warning}");
        assert_eq!(database.rows(table("v")), ["[1]", "[2]"]);
        assert_eq!(database.rows(query("SELECT a FROM t ORDER BY a DESC;  -- all")), ["[2]", "[1]"]);
    }

    #[rstest]
    #[case("a b")]
    #[case("a\"b")]
    #[case("a.b")]
    #[case("main.a.b")]
    #[case("MAIN.A B")]
    #[case("t; DROP TABLE t")]
    #[case("select")]
    fn a_table_may_have_any_name(#[case] name: &str) {
        let database = Written::new(
            "CREATE TABLE \"a b\" (x); CREATE TABLE \"a\"\"b\" (x); CREATE TABLE \"a.b\" (x);
             CREATE TABLE \"t; DROP TABLE t\" (x); CREATE TABLE \"select\" (x); CREATE TABLE t (x)",
        );
        assert_eq!(database.rows(table(name)), [""; 0]);
    }

    #[test]
    fn a_table_that_is_not_there_is_told_with_its_nearest() {
        let database = Written::new("CREATE TABLE events (a); CREATE TABLE users (a); CREATE VIEW recent AS SELECT 1");
        let error = database.error(table("Evnts"));
        assert!(error.contains("no table `Evnts`") && error.ends_with("did you mean `events`?"), "{error}");
        let error = database.error(table("x\u{1b}\";"));
        assert!(error.ends_with("its tables are `events`, `recent`, `users`"), "{error}");
        assert!(!error.contains('\u{1b}'), "{error}");
        let error = database.error(None);
        assert!(error.contains("add `?table=NAME`") && error.contains("`events`"), "{error}");
        let error = Written::new("PRAGMA user_version = 1").error(None);
        assert!(error.contains("no tables"), "{error}");
    }

    #[rstest]
    #[case("SELECT 1; SELECT 2", "more than one statement")]
    #[case("SELECT 1; DROP TABLE t", "more than one statement")]
    #[case("DELETE FROM t", "returns no rows")]
    #[case("DELETE FROM t RETURNING a", "changes the database")]
    #[case("CREATE TABLE u (a)", "returns no rows")]
    #[case("COMMIT", "returns no rows")]
    #[case("ATTACH 'other.db' AS other", "returns no rows")]
    #[case("PRAGMA journal_mode = OFF", "changes the database")]
    #[case("-- nothing", "returns no rows")]
    #[case("SELECT ?1", "parameters")]
    #[case("SELECT a, a FROM t", "two of its columns are named `a`")]
    #[case("SELECT b\u{1b} FROM t", "unrecognized token: \"\\u{1b}\"")]
    #[case("SELECT b FROM t", "no such column: b")]
    #[case("SELECT load_extension('x')", "")]
    fn only_one_statement_that_reads_is_taken(#[case] sql: &str, #[case] expected: &str) {
        let database = Written::new("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
        let error = database.error(query(sql));
        assert!(error.contains(expected) && !error.contains('\u{1b}'), "{error}");
        assert_eq!(database.rows(table("t")), ["[1]"]);
    }

    #[test]
    fn a_cell_that_is_too_large_is_named() {
        let database = Written::new("");
        let long = |n: usize| format!("SELECT 1 AS a, zeroblob({n}) AS b");
        assert_eq!(database.rows(query(&long(MAX_CELL_BYTES))).len(), 1);
        let error = database.error(query(&format!("{} UNION ALL {}", long(1), long(MAX_CELL_BYTES + 1))));
        assert!(error.contains("column `b` of row 2 of `sqlite:///") && error.contains("16777217 bytes"), "{error}");
        let error = database.error(query(&long(MAX_ROW_BYTES + 1)));
        assert!(error.contains("beyond row 0") && error.contains("256 MiB"), "{error}");
    }

    #[test]
    fn large_rows_make_short_batches() {
        let database = Written::new("");
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
                   SELECT i, hex(zeroblob(4194304)) AS text FROM n";
        let mut rows = DatabaseRows::open(&database.source(query(sql))).unwrap();
        let mut lengths = Vec::new();
        while let Some(arrays) = rows.next(1000).unwrap() {
            lengths.push(arrays[0].len());
        }
        assert_eq!(lengths, [8, 8, 4]);
    }

    #[test]
    fn what_is_written_meanwhile_is_not_seen_and_in_wal_mode_not_held_up() {
        let database = Written::new(
            "PRAGMA journal_mode = WAL; CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)",
        );
        let mut rows = DatabaseRows::open(&database.source(table("t"))).unwrap();
        rows.next(1).unwrap();
        database.connection.execute_batch("DELETE FROM t WHERE a = 2; INSERT INTO t VALUES (4); DROP TABLE t").unwrap();
        let rest = rows.next(9).unwrap().unwrap();
        assert_eq!(rest[0].as_primitive::<Int64Type>().values(), &[2, 3]);
        assert!(rows.next(9).unwrap().is_none());
    }

    #[test]
    fn a_writer_waits_in_other_modes_until_the_rows_are_dropped() {
        let database = Written::new("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)");
        database.connection.busy_timeout(Duration::ZERO).unwrap();
        let mut rows = DatabaseRows::open(&database.source(table("t"))).unwrap();
        rows.next(1).unwrap();
        let error = database.connection.execute_batch("INSERT INTO t VALUES (3)").unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
        drop(rows);
        database.connection.execute_batch("INSERT INTO t VALUES (3)").unwrap();
        assert_eq!(database.rows(table("t")), ["[1]", "[2]", "[3]"]);
    }

    #[test]
    fn a_writer_that_is_soon_done_is_waited_for() {
        let database = Written::new("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
        database.connection.execute_batch("BEGIN EXCLUSIVE; INSERT INTO t VALUES (2)").unwrap();
        let source = database.source(table("t"));
        let reader = std::thread::spawn(move || read_all(&source, 10).map(|(rows, _)| rows));
        std::thread::sleep(Duration::from_millis(200));
        database.connection.execute_batch("COMMIT").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), ["[1]", "[2]"]);
    }

    #[test]
    fn what_is_no_database_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("sqlite:///{}", folder.path().join(name).display());
        let error = read_all(&source(&url("none.db"), table("t")), 1).unwrap_err();
        assert!(matches!(error, SourceError::NotFound { .. }), "{error}");
        assert!(!folder.path().join("none.db").exists());
        fs::write(folder.path().join("log.db"), "time,ip,event\n".repeat(100)).unwrap();
        let error = told(&read_all(&source(&url("log.db"), table("t")), 1).unwrap_err());
        assert!(error.starts_with("cannot open `sqlite:///") && error.contains("no SQLite database"), "{error}");
        let error =
            told(&read_all(&source(&format!("sqlite:///{}", folder.path().display()), table("t")), 1).unwrap_err());
        assert!(error.starts_with("cannot open `sqlite:///"), "{error}");
    }

    #[test]
    fn a_database_that_breaks_off_is_no_end_of_rows() {
        let database = Written::new("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
        let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
                      INSERT INTO t SELECT i, hex(zeroblob(100)) FROM n";
        database.connection.execute_batch(insert).unwrap();
        let path = database.url.strip_prefix("sqlite:///").unwrap();
        let mut bytes = fs::read(path).unwrap();
        let start = bytes.len() / 2 / 4096 * 4096;
        bytes[start..start + 4096].fill(0xff);
        fs::write(path, bytes).unwrap();
        let error = database.error(table("t"));
        assert!(error.starts_with("cannot read `sqlite:///") && error.contains("integrity_check"), "{error}");
    }

    #[test]
    fn a_million_rows_are_read_in_order_a_few_at_a_time() {
        let database = Written::new(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, ip TEXT, n REAL);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
             INSERT INTO t SELECT i, '10.0.' || (i % 256) || '.' || (i / 256 % 256), i / 7.0 FROM n",
        );
        let mut rows = DatabaseRows::open(&database.source(table("t"))).unwrap();
        let mut last = 0;
        while let Some(arrays) = rows.next(1000).unwrap() {
            for &id in arrays[0].as_primitive::<Int64Type>().values() {
                assert_eq!(id, last + 1);
                last = id;
            }
        }
        assert_eq!(last, 1_000_000);
    }
}
