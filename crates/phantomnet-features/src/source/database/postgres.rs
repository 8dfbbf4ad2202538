//! PostgreSQL: a portal of a transaction that is READ ONLY, read in text as its rows are asked for.

mod connection;
#[cfg(test)]
mod tests;
mod tls;
mod value;

use std::collections::BTreeMap;

use arrow_array::ArrayRef;

use crate::source::database::postgres::connection::{Column, Connection, Failure, Next};
use crate::source::database::postgres::value::{Cells, Kind};
use crate::source::database::url::Server;
use crate::source::database::{
    BATCH_BYTES, MAX_CELL_BYTES, MAX_LISTED, MAX_ROW_BYTES, Selection, identifier, no_such_table,
};
use crate::source::error::SourceError;
use crate::source::excerpt::visible;

/// One moment for all that is read, and the spellings that `value` knows. They are not settings of the connection, since
/// what pools connections may refuse those. Rows of a table without a key start where the table does.
const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL DateStyle = 'ISO, YMD'; \
    SET LOCAL IntervalStyle = 'iso_8601'; \
    SET LOCAL TimeZone = 'UTC'; \
    SET LOCAL bytea_output = 'hex'; \
    SET LOCAL extra_float_digits = 3; \
    SET LOCAL synchronize_seqscans = off; \
    SET LOCAL idle_in_transaction_session_timeout = 0";

/// Tables, views, materialized views, foreign and partitioned tables that the user can read.
const TABLES: &str = "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p')";

/// The rows of a statement.
pub(super) struct PostgresRows {
    place: String,
    connection: Connection,
    kinds: Vec<Kind>,
    state: State,
    n_rows: u64,
    /// A table without a key.
    unordered: Option<String>,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The server awaits to be asked for rows.
    Idle,
    /// Rows are on their way.
    Fetching,
    /// There are no more rows.
    Done,
    /// The connection is good for nothing after an error.
    Broken,
}

impl PostgresRows {
    /// Names of the columns, and the rows.
    pub(super) fn open(
        place: String,
        server: &Server,
        selection: Option<&Selection>,
    ) -> Result<(Vec<String>, Self), SourceError> {
        let failed = |failure: Failure| SourceError::DatabaseOpen {
            place: place.clone(),
            advice: failure.advice(),
            source: failure.into(),
        };
        let mut connection = Connection::open(server).map_err(failed)?;
        connection.run(BEGIN).map_err(failed)?;
        let (sql, unordered) = match selection {
            None => {
                let mut tables = tables(&mut connection).map_err(failed)?;
                tables.truncate(MAX_LISTED);
                return Err(SourceError::DatabaseSelection { place, tables });
            }
            Some(Selection::Query(query)) => (query.clone(), None),
            Some(Selection::Table(name)) => match table(&mut connection, name).map_err(failed)? {
                Some(found) => (found.sql, (!found.is_ordered).then(|| name.clone())),
                None => return Err(no_such_table(&place, name, &tables(&mut connection).map_err(failed)?)),
            },
        };
        let refused = |reason: String| SourceError::DatabaseQuery { place: place.clone(), reason };
        let is_query = matches!(selection, Some(Selection::Query(_)));
        let description = connection.describe(&sql).map_err(|failure| match failure {
            // Class 42 is wrong syntax or names; that rights are missing is in it too.
            Failure::Server(complaint) if is_query && complaint.code.starts_with("42") && complaint.code != "42501" => {
                refused(format!("the server says: {complaint}"))
            }
            failure => failed(failure),
        })?;
        if description.n_parameters > 0 {
            return Err(refused("it has parameters, which have no values here".to_owned()));
        }
        let columns = description.columns.filter(|columns| !columns.is_empty());
        let columns = columns.ok_or_else(|| refused("it returns no rows".to_owned()))?;
        let kinds = kinds(&mut connection, &columns).map_err(failed)?;
        connection.start(&sql, &[]).map_err(failed)?;
        let columns = columns.into_iter().map(|column| column.name).collect();
        let (state, buffer) = (State::Idle, Vec::new());
        Ok((columns, Self { place, connection, kinds, state, n_rows: 0, unordered, buffer }))
    }

    pub(super) fn warning(&self) -> Option<String> {
        let table = visible(self.unordered.as_ref()?, 200);
        Some(format!(
            "rows of `{table}` of `{}`, which has no primary key, come in no certain order; give it one, or read it by a \
             query with ORDER BY",
            self.place
        ))
    }

    pub(super) fn next(&mut self, max_rows: usize, columns: &[String]) -> Result<Option<Vec<ArrayRef>>, SourceError> {
        let state = self.state;
        if state == State::Done {
            return Ok(None);
        }
        self.state = State::Broken;
        let mut cells: Vec<Cells> = self.kinds.iter().map(Cells::new).collect();
        let (n, state) = self.fill(state, max_rows, &mut cells).map_err(|stop| match stop {
            Stop::Failed(failure) => SourceError::DatabaseRead {
                place: self.place.clone(),
                n_rows: self.n_rows,
                advice: failure.advice(),
                source: failure.into(),
            },
            Stop::TooLarge { column, n_bytes } => SourceError::DatabaseCell {
                place: self.place.clone(),
                row: self.n_rows + 1,
                column: columns.get(column).cloned().unwrap_or_default(),
                n_bytes,
                limit: MAX_CELL_BYTES,
            },
        })?;
        self.state = state;
        Ok((n > 0).then(|| cells.into_iter().map(Cells::finish).collect()))
    }

    /// Reads rows until the batch is full; how many, and the state that the connection is in.
    fn fill(&mut self, mut state: State, max_rows: usize, cells: &mut [Cells]) -> Result<(usize, State), Stop> {
        let (mut n, mut n_bytes_in_all) = (0, 0);
        while n < max_rows && n_bytes_in_all < BATCH_BYTES {
            match state {
                State::Idle => {
                    self.connection.fetch(i32::try_from(max_rows - n).unwrap_or(i32::MAX))?;
                    state = State::Fetching;
                }
                State::Fetching => match self.connection.next()? {
                    Next::Row { n_values, n_bytes } => {
                        self.read_row(n_values, n_bytes, cells)?;
                        n += 1;
                        n_bytes_in_all += n_bytes;
                        self.n_rows += 1;
                    }
                    Next::Suspended => state = State::Idle,
                    Next::End => state = State::Done,
                },
                State::Done => break,
                State::Broken => return Err(Failure::Refused("it failed before".to_owned()).into()),
            }
        }
        Ok((n, state))
    }

    fn read_row(&mut self, n_values: usize, n_bytes: usize, cells: &mut [Cells]) -> Result<(), Stop> {
        if n_values != cells.len() {
            return Err(Failure::Protocol("a row has not as many values as there are columns").into());
        }
        if n_bytes > MAX_ROW_BYTES {
            // The sizes of its values come one by one: the first that is too large is to be named.
            self.find_large(n_values, n_bytes)?;
            return Err(Failure::Protocol("a row holds more than 256 MiB").into());
        }
        let mut n_left = n_bytes;
        for (column, (kind, cells)) in self.kinds.iter().zip(cells).enumerate() {
            match self.connection.value(&mut self.buffer, &mut n_left, kind.max_bytes(MAX_CELL_BYTES))? {
                None => cells.push_null(),
                Some(Ok(())) => {
                    let pushed = cells.push(kind, &self.buffer);
                    pushed.ok_or(Failure::Protocol("a value is none of its column's type"))?;
                }
                Some(Err(n_bytes)) => return Err(Stop::TooLarge { column, n_bytes }),
            }
        }
        if n_left > 0 {
            return Err(Failure::Protocol("a row is longer than its values").into());
        }
        Ok(())
    }

    /// Ends with the first value of a row that is too large, if there is one.
    fn find_large(&mut self, n_values: usize, n_bytes: usize) -> Result<(), Stop> {
        let mut n_left = n_bytes;
        for column in 0..n_values {
            let max_bytes = self.kinds[column].max_bytes(MAX_CELL_BYTES);
            if let Some(Err(n_bytes)) = self.connection.value(&mut self.buffer, &mut n_left, max_bytes)? {
                return Err(Stop::TooLarge { column, n_bytes });
            }
        }
        Ok(())
    }
}

/// Why no more rows are read.
enum Stop {
    Failed(Failure),
    TooLarge { column: usize, n_bytes: usize },
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// How to read a table.
struct Table {
    sql: String,
    is_ordered: bool,
}

/// A table by its name on the search path, or by its schema's and its own with a dot between; `None` if there is none.
fn table(connection: &mut Connection, name: &str) -> Result<Option<Table>, Failure> {
    let (schema, bare) = name.split_once('.').unwrap_or(("", name));
    let find = format!(
        "SELECT c.oid, n.nspname, c.relname {TABLES} AND (c.relname::text = $1 AND pg_catalog.pg_table_is_visible(c.oid) \
         OR n.nspname::text = $2 AND c.relname::text = $3) ORDER BY c.relname::text = $1 DESC LIMIT 1"
    );
    let Some([id, schema, bare]) = first(connection.rows(&find, &[name, schema, bare])?) else { return Ok(None) };
    // Of an index, the columns that are not part of the key come last.
    let key = "SELECT a.attname FROM pg_catalog.pg_index i \
         CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(number, position) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
         WHERE i.indrelid = $1::oid AND i.indisprimary AND k.position <= i.indnkeyatts ORDER BY k.position";
    let order: Vec<String> =
        connection.rows(key, &[&id])?.into_iter().filter_map(|row| Some(identifier(row.first()?))).collect();
    let mut sql = format!("SELECT * FROM {}.{}", identifier(&schema), identifier(&bare));
    if !order.is_empty() {
        sql.extend([" ORDER BY ", &order.join(", ")]);
    }
    Ok(Some(Table { sql, is_ordered: !order.is_empty() }))
}

fn first<const N: usize>(rows: Vec<Vec<String>>) -> Option<[String; N]> {
    rows.into_iter().next()?.try_into().ok()
}

/// Names of tables, sorted, with their schema where it is needed.
fn tables(connection: &mut Connection) -> Result<Vec<String>, Failure> {
    let sql = format!(
        "SELECT CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN c.relname::text \
         ELSE n.nspname::text || '.' || c.relname::text END AS name {TABLES} \
         AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
         AND pg_catalog.has_table_privilege(c.oid, 'SELECT') ORDER BY name LIMIT 1000"
    );
    Ok(connection.rows(&sql, &[])?.into_iter().flatten().collect())
}

/// What the types of columns mean. Those that not every server has are looked up: arrays matter, the rest is text.
fn kinds(connection: &mut Connection, columns: &[Column]) -> Result<Vec<Kind>, Failure> {
    let mut unknown: Vec<String> =
        columns.iter().filter(|c| Kind::of_type(c.type_id).is_none()).map(|c| c.type_id.to_string()).collect();
    let mut arrays = BTreeMap::new();
    if !unknown.is_empty() {
        unknown.sort_unstable();
        unknown.dedup();
        // Elements may be of a domain, which means what its base type does.
        let find = "SELECT t.oid, CASE WHEN e.typtype = 'd' THEN e.typbasetype ELSE e.oid END, ascii(e.typdelim::text) \
             FROM pg_catalog.pg_type t JOIN pg_catalog.pg_type e ON e.oid = t.typelem \
             WHERE t.oid = ANY ($1::oid[]) AND t.typcategory = 'A'";
        for row in connection.rows(find, &[&format!("{{{}}}", unknown.join(","))])? {
            let numbers: Option<Vec<u32>> = row.iter().map(|text| text.parse().ok()).collect();
            let Some(&[id, element, delimiter]) = numbers.as_deref() else {
                return Err(Failure::Protocol("its catalogue of types is not PostgreSQL's"));
            };
            let element = Box::new(Kind::of_type(element).unwrap_or(Kind::Text));
            arrays.insert(id, Kind::Array { element, delimiter: u8::try_from(delimiter).unwrap_or(b',') });
        }
    }
    let kind = |column: &Column| {
        Kind::of_type(column.type_id).or_else(|| arrays.get(&column.type_id).cloned()).unwrap_or(Kind::Text)
    };
    Ok(columns.iter().map(kind).collect())
}
