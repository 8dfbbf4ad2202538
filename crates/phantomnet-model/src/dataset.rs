//! Feature matrix and labels: what learners read and models score.

use std::sync::Arc;

use crate::{Classes, FeatureKind, FeatureSchema, ModelError};

/// Feature columns of some rows, without labels.
///
/// Column-major: learners read a feature at a time. Values are f32, NaN is missing; categories hold
/// the codes of their [`Dictionary`](crate::Dictionary), booleans 0.0 and 1.0.
#[derive(Debug, Clone)]
pub struct Matrix {
    n_rows: usize,
    columns: Vec<Vec<f32>>,
}

impl Matrix {
    /// A matrix of `columns`, each `n_rows` long.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when a column has another length.
    pub fn new(n_rows: usize, columns: Vec<Vec<f32>>) -> Result<Self, ModelError> {
        for (j, column) in columns.iter().enumerate() {
            if column.len() != n_rows {
                return Err(ModelError::Shape { what: format!("column {j}"), expected: n_rows, got: column.len() });
            }
        }
        Ok(Self { n_rows, columns })
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.columns.len()
    }

    /// Feature `j` of all rows.
    pub fn column(&self, j: usize) -> &[f32] {
        &self.columns[j]
    }

    /// Copies row `i` into `out`, which is `n_features` long.
    pub fn copy_row(&self, i: usize, out: &mut [f32]) {
        for (value, column) in out.iter_mut().zip(&self.columns) {
            *value = column[i];
        }
    }
}

/// A labelled matrix with the contract its columns follow.
#[derive(Debug, Clone)]
pub struct Dataset {
    schema: Arc<FeatureSchema>,
    classes: Arc<Classes>,
    matrix: Matrix,
    labels: Vec<u32>,
    weights: Option<Vec<f32>>,
}

impl Dataset {
    /// Joins matrix and labels; `labels[i]` is an index into `classes`.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when lengths disagree, [`ModelError::Value`] when a label is no class index,
    /// a category code lies outside its dictionary or a boolean is neither 0, 1 nor missing.
    pub fn new(
        schema: Arc<FeatureSchema>,
        classes: Arc<Classes>,
        matrix: Matrix,
        labels: Vec<u32>,
    ) -> Result<Self, ModelError> {
        if matrix.n_features() != schema.len() {
            let (expected, got) = (schema.len(), matrix.n_features());
            return Err(ModelError::Shape { what: "feature matrix".into(), expected, got });
        }
        if labels.len() != matrix.n_rows() {
            let (expected, got) = (matrix.n_rows(), labels.len());
            return Err(ModelError::Shape { what: "labels".into(), expected, got });
        }
        if let Some(i) = labels.iter().position(|&l| l as usize >= classes.len()) {
            return Err(ModelError::Value {
                what: format!("label of row {i}"),
                expected: format!("a class index below {}", classes.len()),
                got: labels[i].to_string(),
            });
        }
        for (j, feature) in schema.features().iter().enumerate() {
            check_column(&feature.name, &feature.kind, matrix.column(j))?;
        }
        Ok(Self { schema, classes, matrix, labels, weights: None })
    }

    /// The same rows with a weight each: a row of weight 2 counts in a fit as if it were there twice, one of weight 0 not at
    /// all.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when there are more or fewer weights than rows, [`ModelError::Value`] when one is negative or not
    /// finite.
    pub fn with_weights(self, weights: Vec<f32>) -> Result<Self, ModelError> {
        if weights.len() != self.n_rows() {
            let (expected, got) = (self.n_rows(), weights.len());
            return Err(ModelError::Shape { what: "weights".into(), expected, got });
        }
        if let Some(i) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
            return Err(ModelError::Value {
                what: format!("weight of row {i}"),
                expected: "a finite number not below 0".into(),
                got: weights[i].to_string(),
            });
        }
        Ok(Self { weights: Some(weights), ..self })
    }

    /// The contract of the columns.
    pub fn schema(&self) -> &Arc<FeatureSchema> {
        &self.schema
    }

    /// The classes that labels index.
    pub fn classes(&self) -> &Arc<Classes> {
        &self.classes
    }

    /// The feature matrix.
    pub fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// Class index of each row.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Weight of each row; `None` when each weighs 1.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.matrix.n_rows()
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.matrix.n_features()
    }

    /// Feature `j` of all rows.
    pub fn column(&self, j: usize) -> &[f32] {
        self.matrix.column(j)
    }

    /// Rows of each class among `rows`.
    pub fn class_counts(&self, rows: &[u32]) -> Vec<u64> {
        let mut counts = vec![0; self.classes.len()];
        for &r in rows {
            counts[self.labels[r as usize] as usize] += 1;
        }
        counts
    }
}

fn check_column(name: &str, kind: &FeatureKind, column: &[f32]) -> Result<(), ModelError> {
    let n_codes = match kind {
        FeatureKind::Number => return Ok(()),
        FeatureKind::Boolean => 2,
        FeatureKind::Category { dictionary } => dictionary.n_codes(),
    };
    let valid = |x: f32| x.is_nan() || (x >= 0.0 && x.fract() == 0.0 && (x as usize) < n_codes);
    match column.iter().position(|&x| !valid(x)) {
        None => Ok(()),
        Some(i) => Err(ModelError::Value {
            what: format!("{} feature `{name}`, row {i}", kind.name()),
            expected: format!("a whole number from 0 to {} or missing", n_codes - 1),
            got: column[i].to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dictionary, Feature};

    fn one_column(kind: FeatureKind, values: Vec<f32>, labels: Vec<u32>) -> Result<Dataset, ModelError> {
        let schema = FeatureSchema::new(vec![Feature { name: "x".into(), kind }]);
        let matrix = Matrix::new(values.len(), vec![values])?;
        Dataset::new(Arc::new(schema), Arc::new(Classes::boolean()), matrix, labels)
    }

    #[test]
    fn rejects_what_breaks_the_contract() {
        let category = || FeatureKind::Category { dictionary: Dictionary::from_values(vec!["a".into()]).unwrap() };
        assert!(one_column(FeatureKind::Number, vec![f32::INFINITY, f32::NAN], vec![0, 1]).is_ok());
        assert!(one_column(FeatureKind::Number, vec![1.0], vec![2]).is_err());
        assert!(one_column(FeatureKind::Number, vec![1.0], vec![]).is_err());
        assert!(one_column(FeatureKind::Boolean, vec![0.5], vec![0]).is_err());
        assert!(one_column(category(), vec![1.0, 0.0, f32::NAN], vec![0, 0, 0]).is_ok());
        let two = || one_column(FeatureKind::Number, vec![1.0, 2.0], vec![0, 1]).unwrap();
        assert_eq!(two().with_weights(vec![0.0, 2.5]).unwrap().weights(), Some([0.0, 2.5].as_slice()));
        for weights in [vec![1.0], vec![1.0, -1.0], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0]] {
            assert!(two().with_weights(weights).is_err());
        }
        let error = one_column(category(), vec![2.0], vec![0]).unwrap_err().to_string();
        assert_eq!(error, "category feature `x`, row 0: expected a whole number from 0 to 1 or missing, got `2`");
    }
}
