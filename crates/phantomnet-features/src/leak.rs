//! The leak guard: a feature may not read what the label is made of.

use std::fmt;

use crate::error::quoted;
use crate::{Expression, FeatureSet};

/// A column read both by the label and by a feature.
///
/// A model that sees it can compute the label instead of learning it: its score on held-out events says nothing about
/// events whose label is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// The column.
    pub column: String,
    /// Name of the feature.
    pub feature: String,
    /// Expression of the feature.
    pub feature_sql: String,
    /// Name of the label.
    pub label: String,
    /// Expression of the label.
    pub label_sql: String,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, feature, feature_sql, label, label_sql } = self;
        write!(
            f,
            "feature `{feature}` reads column `{}` that the label `{label}` is made of: `{}` and `{}`",
            quoted(column),
            quoted(feature_sql),
            quoted(label_sql)
        )
    }
}

/// Every column that a feature shares with the label, by feature in matrix order, then by column name.
///
/// Looks at the planned expressions, so aliases of a function, casts and quoting do not hide a column, and its name in
/// a string or in another column's name does not count.
pub fn overlaps(label: &Expression, features: &FeatureSet) -> Vec<Overlap> {
    let mut found = Vec::new();
    for feature in features.expressions() {
        for column in feature.columns().iter().filter(|c| label.columns().contains(c)) {
            found.push(Overlap {
                column: column.clone(),
                feature: feature.name.clone(),
                feature_sql: feature.sql.clone(),
                label: label.name.clone(),
                label_sql: label.sql.clone(),
            });
        }
    }
    found
}
