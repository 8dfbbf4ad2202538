//! The expressions of a model's features, in their order.

use std::collections::BTreeSet;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;

use crate::{Expression, ExpressionError, FeatureValues};

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

    /// Values of every feature for the events of `batch`.
    ///
    /// # Errors
    /// The first error of [`Expression::evaluate`].
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>, ExpressionError> {
        self.expressions.iter().map(|expression| expression.evaluate(batch)).collect()
    }

    /// As [`evaluate`](Self::evaluate), in the form in which values are kept.
    ///
    /// # Errors
    /// The first error of [`Expression::evaluate`], or of [`FeatureValues::of`].
    pub fn values(&self, batch: &RecordBatch) -> Result<Vec<FeatureValues>, ExpressionError> {
        let value = |e: &Expression| FeatureValues::of(&e.name, &e.evaluate(batch)?);
        self.expressions.iter().map(value).collect()
    }
}
