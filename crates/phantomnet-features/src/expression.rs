//! One SQL expression over the columns of an event.
//!
//! Compiling goes through three steps, a file each: [`syntax`] reads the text and bounds it, [`resolve`] finds columns
//! and functions by name, [`plan`] lets the query engine type, simplify and plan it. Nothing of that is left to do when
//! an event is evaluated.

mod aliases;
mod plan;
mod registry;
mod resolve;
mod syntax;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use datafusion_physical_expr::PhysicalExpr;

use crate::ExpressionError;
use crate::error::{quoted, reason};

pub use aliases::Aliases;
pub(crate) use registry::engine_functions;

/// Stack of the thread that plans, in bytes.
const PLANNING_STACK: usize = 64 << 20;

/// A feature's or label's SQL expression, compiled for events of one schema.
///
/// Column names keep their case, quoted or not; a name with dots (`attack.payload.length`, from nested JSON) may be
/// written without quotes, one with blanks is written `"Flow Bytes/s"`. Function names are read in any case.
///
/// Comparisons between text and numbers follow the query engine: with a text column, `port = 22` compares the port as
/// a number and fails on an event whose port is not one.
///
/// The expression sees one event: no subquery, aggregate, window or placeholder. Its value is the same at any time and
/// place: `now()`, `random()` and their like are refused.
#[derive(Debug, Clone)]
pub struct Expression {
    /// The feature's or label's name.
    pub name: String,
    /// The expression as the user wrote it.
    pub sql: String,
    schema: SchemaRef,
    inputs: Vec<usize>,
    columns: Vec<String>,
    slow_functions: Vec<String>,
    data_type: DataType,
    physical: Arc<dyn PhysicalExpr>,
}

impl Expression {
    /// Compiles `sql` for events of `schema`, any of whose columns may hold NULL.
    ///
    /// # Errors
    /// What the text is or asks for: [`ExpressionError::Syntax`], [`ExpressionError::TooLong`],
    /// [`ExpressionError::TooDeep`], [`ExpressionError::NotAllowed`], [`ExpressionError::UnknownColumn`],
    /// [`ExpressionError::UnknownFunction`], [`ExpressionError::NotReproducible`], and [`ExpressionError::Plan`] when
    /// types do not fit.
    pub fn compile(name: &str, sql: &str, schema: &SchemaRef) -> Result<Self, ExpressionError> {
        let planned = with_deep_stack(|| {
            let parsed = syntax::parse(name, sql)?;
            plan::plan(name, resolve::resolve(name, parsed, schema)?, schema)
        })
        .map_err(|e| ExpressionError::Plan { name: name.to_owned(), reason: quoted(&e.to_string()) })??;
        let inputs = planned.columns.iter().filter_map(|c| schema.index_of(c).ok()).collect();
        Ok(Self {
            name: name.to_owned(),
            sql: sql.to_owned(),
            schema: Arc::clone(schema),
            inputs,
            columns: planned.columns,
            slow_functions: planned.slow_functions,
            data_type: planned.data_type,
            physical: planned.physical,
        })
    }

    /// Columns of the event that the expression names, sorted; also those that do not change its value, as in `x = x`.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Type of its values.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Regular expression functions and operators it uses, sorted: each compiles its pattern at every evaluation, some
    /// 30 µs an event where other functions take less than one.
    pub fn slow_functions(&self) -> Vec<&str> {
        self.slow_functions.iter().map(String::as_str).collect()
    }

    /// Its value for every event of `batch`, in order.
    ///
    /// # Errors
    /// [`ExpressionError::Evaluate`] when it fails on some event: an integer divided by zero (write `nullif(b, 0)` or
    /// `CASE`; `AND` guards a division only sometimes, because both sides may be computed for a whole batch), a cast of
    /// a text that is no number. [`ExpressionError::ColumnChanged`] when a column it reads is not where it was, or of
    /// another type.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, ExpressionError> {
        self.check_inputs(batch)?;
        self.physical
            .evaluate(batch)
            .and_then(|value| value.into_array(batch.num_rows()))
            .map_err(|e| ExpressionError::Evaluate { name: self.name.clone(), reason: reason(&e) })
    }

    /// The plan finds columns by position, so each must be where it was when the plan was made.
    fn check_inputs(&self, batch: &RecordBatch) -> Result<(), ExpressionError> {
        let given = batch.schema_ref();
        if Arc::ptr_eq(given, &self.schema) {
            return Ok(());
        }
        for &i in &self.inputs {
            let expected = self.schema.field(i);
            let got = match given.fields().get(i) {
                Some(field) if field.name() != expected.name() => format!("column `{}`", quoted(field.name())),
                Some(field) if field.data_type() != expected.data_type() => field.data_type().to_string(),
                Some(_) => continue,
                None => "no column".to_owned(),
            };
            return Err(ExpressionError::ColumnChanged {
                name: self.name.clone(),
                column: expected.name().clone(),
                expected: expected.data_type().clone(),
                got,
            });
        }
        Ok(())
    }
}

/// Runs `work` where it may recurse as deeply as [`syntax`] lets an expression be.
///
/// The engine's planner takes some 60 KiB a level where it is not optimised: 130 terms of an `OR` would exhaust a main
/// thread of 8 MiB, 35 another thread. Only the pages touched take memory.
///
/// # Errors
/// When the system gives no thread.
fn with_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PLANNING_STACK).spawn_scoped(scope, work)?;
        thread.join().map_err(|panic| std::panic::resume_unwind(panic))
    })
}
