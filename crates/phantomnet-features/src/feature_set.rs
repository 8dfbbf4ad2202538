//! The expressions of a model's features, in their order.

use std::collections::BTreeSet;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use crate::{Expression, ExpressionError};

/// Fewer rows are worked on by one thread.
const PARALLEL_ROWS: usize = 100_000;

/// Feature expressions in the user's order, which is that of the matrix columns; at least one.
#[derive(Debug, Clone)]
pub struct FeatureSet {
    expressions: Vec<Expression>,
}

impl FeatureSet {
    /// Compiles pairs of name and SQL for events of `schema`.
    ///
    /// # Errors
    /// [`ExpressionError::NoFeature`] when there is none, [`ExpressionError::DuplicateFeature`] when two share a name,
    /// else the first error of [`Expression::compile`].
    pub fn compile<N: AsRef<str>, S: AsRef<str>>(
        features: impl IntoIterator<Item = (N, S)>,
        schema: &SchemaRef,
    ) -> Result<Self, ExpressionError> {
        let mut names = BTreeSet::new();
        let mut expressions = Vec::new();
        for (name, sql) in features {
            if !names.insert(name.as_ref().to_owned()) {
                return Err(ExpressionError::DuplicateFeature { name: name.as_ref().to_owned() });
            }
            expressions.push(Expression::compile(name.as_ref(), sql.as_ref(), schema)?);
        }
        if expressions.is_empty() {
            return Err(ExpressionError::NoFeature);
        }
        Ok(Self { expressions })
    }

    /// The expressions in matrix order.
    pub fn expressions(&self) -> &[Expression] {
        &self.expressions
    }

    /// As [`evaluate`](Self::evaluate), with the rows shared out among threads; the outcome does not depend on how many there are.
    ///
    /// # Errors
    /// That of [`evaluate`](Self::evaluate).
    pub fn evaluate_by(&self, batch: &RecordBatch, n_threads: usize) -> Result<Vec<ArrayRef>, ExpressionError> {
        let n_rows = batch.num_rows();
        if n_threads <= 1 || n_rows < PARALLEL_ROWS {
            return self.evaluate(batch);
        }
        let share = n_rows.div_ceil(n_threads);
        let parts: Vec<Result<Vec<ArrayRef>, ExpressionError>> = std::thread::scope(|scope| {
            let slice = |start: usize| batch.slice(start, share.min(n_rows - start));
            let threads: Vec<_> =
                (0..n_rows).step_by(share).map(|start| scope.spawn(move || self.evaluate(&slice(start)))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect()
        });
        let Ok(parts) = parts.into_iter().collect::<Result<Vec<_>, _>>() else {
            // Of several errors that one which any number of threads finds.
            return self.evaluate(batch);
        };
        let joined = (0..self.expressions.len()).map(|j| {
            let arrays: Vec<&dyn Array> = parts.iter().map(|part| part[j].as_ref()).collect();
            arrow_select::concat::concat(&arrays).map_err(|e| ExpressionError::Evaluate {
                name: self.expressions[j].name.clone(),
                reason: crate::error::quoted(&e.to_string()),
            })
        });
        joined.collect()
    }

    /// Values of every feature for the events of `batch`.
    ///
    /// # Errors
    /// The first error of [`Expression::evaluate`].
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, ExpressionError> {
        self.expressions.iter().map(|expression| expression.evaluate(batch)).collect()
    }
}
