//! The columns of blocks, and of all blocks together.

use std::collections::{BTreeSet, HashMap};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{Array, ArrayRef, new_empty_array, new_null_array};
use arrow_schema::DataType;

use crate::events::ColumnType;
use crate::source::SourceError;
use crate::source::cell::Kinds;
use crate::source::columns::{Columns, Finished, Plan, convert, kinds_of};
use crate::source::plans::{Given, Guess};
use crate::source::row::{MAX_COLUMNS, Names, Row, Source};
use crate::source::scan::Visit;

/// Fewer rows are joined by one thread.
const PARALLEL_ROWS: usize = 100_000;
/// Gathers records into columns.
pub(crate) struct Table<'a> {
    pub(crate) names: &'a Names,
    pub(crate) given: &'a Given,
    pub(crate) guess: &'a Guess,
    /// Whether a cell that is not of its given type rejects the record.
    pub(crate) strict: bool,
}

impl Table<'_> {
    fn plan(&self, name: &str) -> Plan {
        let guessed = || Plan { column_type: self.guess.types.get(name).copied(), given: false };
        self.given.plan(name).unwrap_or_else(guessed)
    }
}

/// Columns of a block.
pub(crate) struct Gathered {
    pub(crate) columns: Vec<(String, Plan, Finished)>,
    pub(crate) n_rows: usize,
    objects: Vec<String>,
    overflowed: bool,
}

impl Gathered {
    /// The cells of a column, which mostly is at `i`.
    pub(crate) fn array(&self, i: usize, name: &str) -> Option<&ArrayRef> {
        let is_it = |(found, _, _): &&(String, Plan, Finished)| found == name;
        let column = self.columns.get(i).filter(is_it).or_else(|| self.columns.iter().find(is_it));
        column.map(|(_, _, column)| &column.array)
    }

    /// Keeps what is known of the cells, and not the cells. Parts without cells are like parts of a fitting type.
    pub(crate) fn forget_cells(&mut self) {
        for (_, _, column) in &mut self.columns {
            column.array = new_empty_array(column.array.data_type());
        }
    }
}

/// Most cells of a part, those that no record has included: a bound on what hostile keys can cost.
const MAX_CELLS: usize = 1 << 23;

/// Makes something of the columns of each block, in the thread that took it apart.
pub(crate) struct Then<'a, F> {
    pub(crate) table: Table<'a>,
    pub(crate) then: F,
}

impl<O: Send, F: Fn(Gathered) -> O + Sync> Visit for Then<'_, F> {
    type Sink = Columns;
    type Out = O;

    fn names(&self) -> Names {
        self.table.names()
    }

    fn mixed(&self) -> &[String] {
        self.table.mixed()
    }

    fn sink(&self) -> Columns {
        self.table.sink()
    }

    fn push(&self, sink: &mut Columns, row: &Row, source: Source<'_>, names: &Names) -> Result<(), String> {
        self.table.push(sink, row, source, names)
    }

    fn is_full(&self, sink: &Columns, names: &Names) -> bool {
        self.table.is_full(sink, names)
    }

    fn finish(&self, sink: Columns, names: &Names, objects: Vec<String>) -> O {
        (self.then)(self.table.finish(sink, names, objects))
    }

    fn arrays(&self, columns: Vec<(String, ArrayRef)>, n_rows: usize) -> O {
        (self.then)(self.table.arrays(columns, n_rows))
    }
}

impl Visit for Table<'_> {
    type Sink = Columns;
    type Out = Gathered;

    fn names(&self) -> Names {
        self.names.clone()
    }

    fn mixed(&self) -> &[String] {
        &self.guess.mixed
    }

    fn sink(&self) -> Columns {
        Columns::default()
    }

    fn push(&self, sink: &mut Columns, row: &Row, source: Source<'_>, names: &Names) -> Result<(), String> {
        let names = names.as_slice();
        let plan = |column: usize| self.plan(&names[column]);
        sink.push(row, source, plan, self.strict).map_err(|misfit| misfit.reason(names, plan))
    }

    fn is_full(&self, sink: &Columns, names: &Names) -> bool {
        sink.n_rows() * names.as_slice().len() >= MAX_CELLS
    }

    fn finish(&self, sink: Columns, names: &Names, objects: Vec<String>) -> Gathered {
        let (known, n_rows) = (names.as_slice(), sink.n_rows());
        let columns = sink.finish(known.len(), |column| self.plan(&known[column]));
        let columns = known.iter().zip(columns).map(|(name, column)| (name.clone(), self.plan(name), column));
        Gathered { columns: columns.collect(), n_rows, objects, overflowed: names.overflowed }
    }

    fn arrays(&self, columns: Vec<(String, ArrayRef)>, n_rows: usize) -> Gathered {
        let mut names = self.names.clone();
        let mut found: Vec<Option<Finished>> = Vec::new();
        // Of columns of one name the last counts.
        for (name, array) in columns {
            let Some(id) = names.id(&name) else { continue };
            found.resize_with(found.len().max(id + 1), || None);
            found[id] = Some(Finished { kinds: kinds_of(&array), array, n_unparsed: 0, is_present: true });
        }
        found.resize_with(names.as_slice().len(), || None);
        let columns = names.as_slice().iter().zip(found).map(|(name, column)| {
            let plan = self.plan(name);
            let absent = || {
                let column_type = plan.column_type.unwrap_or(ColumnType::Text);
                let array = new_null_array(&column_type.data_type(), n_rows);
                Finished { array, kinds: Kinds::default(), n_unparsed: 0, is_present: false }
            };
            let mut column = column.unwrap_or_else(absent);
            if let Some(column_type) = plan.column_type {
                column.array = convert(&column.array, column_type, &mut column.n_unparsed);
            }
            (name.clone(), plan, column)
        });
        Gathered { columns: columns.collect(), n_rows, objects: Vec::new(), overflowed: names.overflowed }
    }
}

/// Columns of several blocks, by name, in the order in which they first came.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    pub(crate) columns: Vec<JoinedColumn>,
    // Looked up, never iterated: hash order plays no part.
    index: HashMap<String, usize>,
    pub(crate) objects: BTreeSet<String>,
    pub(crate) n_rows: usize,
    pub(crate) overflowed: bool,
}

#[derive(Debug)]
pub(crate) struct JoinedColumn {
    pub(crate) name: String,
    pub(crate) is_given: bool,
    pub(crate) is_present: bool,
    pub(crate) kinds: Kinds,
    /// Whether a guessed type does not keep a cell of some part.
    pub(crate) has_misfits: bool,
    pub(crate) n_unparsed: u64,
    /// Parts that have cells, and the row at which each starts.
    pub(crate) parts: Vec<(usize, ArrayRef)>,
    column_type: Option<ColumnType>,
}

impl Joined {
    pub(crate) fn add(&mut self, (gathered, n_rows): (Gathered, usize)) {
        self.overflowed |= gathered.overflowed;
        self.objects.extend(gathered.objects);
        let start = self.n_rows;
        for (name, plan, column) in gathered.columns {
            let Some(joined) = self.column_mut(&name, plan) else { continue };
            let part_type = column.kinds.column_type().data_type();
            let widened = part_type != *column.array.data_type()
                && !(part_type == DataType::Int64 && column.array.data_type() == &DataType::Float64)
                && column.array.data_type() != &DataType::Utf8;
            joined.has_misfits |= !plan.given && !column.kinds.is_empty() && widened;
            joined.is_present |= column.is_present;
            joined.kinds.join(column.kinds);
            joined.n_unparsed += column.n_unparsed;
            joined.column_type = if plan.given { plan.column_type } else { joined.column_type };
            // A part without cells stands for its type, where cells were let go.
            if column.array.null_count() < n_rows && (n_rows == column.array.len() || !column.kinds.is_empty())
                || joined.is_given
            {
                joined.parts.push((start, column.array));
            }
        }
        self.n_rows += n_rows;
    }

    fn column_mut(&mut self, name: &str, plan: Plan) -> Option<&mut JoinedColumn> {
        let i = match self.index.get(name) {
            Some(&known) => known,
            None if self.columns.len() >= MAX_COLUMNS => {
                self.overflowed = true;
                return None;
            }
            None => {
                self.columns.push(JoinedColumn {
                    name: name.to_owned(),
                    is_given: plan.given,
                    is_present: false,
                    kinds: Kinds::default(),
                    has_misfits: false,
                    n_unparsed: 0,
                    parts: Vec::new(),
                    column_type: plan.column_type.filter(|_| plan.given),
                });
                self.index.insert(name.to_owned(), self.columns.len() - 1);
                self.columns.len() - 1
            }
        };
        Some(&mut self.columns[i])
    }

    /// The column of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&JoinedColumn> {
        self.index.get(name).map(|&i| &self.columns[i])
    }

    /// Makes sure that there is a column, if only of NULL.
    pub(crate) fn expect(&mut self, name: &str, column_type: ColumnType) {
        let plan = Plan { column_type: Some(column_type), given: false };
        if let Some(column) = self.column_mut(name, plan)
            && column.kinds.is_empty()
        {
            column.column_type.get_or_insert(column_type);
        }
    }
}

impl JoinedColumn {
    pub(crate) fn column_type(&self) -> ColumnType {
        self.column_type.unwrap_or_else(|| self.kinds.column_type())
    }

    /// The cells of all rows under the column's type.
    fn array(&self, n_rows: usize) -> Result<ArrayRef, SourceError> {
        let column_type = self.column_type();
        let nulls = |n| new_null_array(&column_type.data_type(), n);
        let mut parts: Vec<ArrayRef> = Vec::new();
        let mut n = 0;
        for (start, part) in &self.parts {
            if *start > n {
                parts.push(nulls(start - n));
            }
            parts.push(convert(part, column_type, &mut 0));
            n = start + part.len();
        }
        if n < n_rows {
            parts.push(nulls(n_rows - n));
        }
        Ok(match parts.as_slice() {
            [] => nulls(0),
            [one] => Arc::clone(one),
            many => {
                let many: Vec<&dyn Array> = many.iter().map(AsRef::as_ref).collect();
                // Offsets of text are the only thing that can overflow here.
                arrow_select::concat::concat(&many)
                    .map_err(|_| SourceError::ColumnFull { column: self.name.clone() })?
            }
        })
    }
}

/// The cells of all columns. Threads take one column after another: most of the work is in the few that hold text.
pub(crate) fn arrays_of(
    columns: &[JoinedColumn],
    n_rows: usize,
    n_threads: usize,
) -> Result<Vec<ArrayRef>, SourceError> {
    if n_threads == 1 || n_rows < PARALLEL_ROWS {
        return columns.iter().map(|column| column.array(n_rows)).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(column) = columns.get(i) else { return done };
            done.push((i, column.array(n_rows)));
        }
    };
    let mut arrays: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..n_threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    arrays.sort_by_key(|(i, _)| *i);
    arrays.into_iter().map(|(_, array)| array).collect()
}
