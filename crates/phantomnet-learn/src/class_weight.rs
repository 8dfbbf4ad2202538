//! What the rows of a class weigh in a fit.

use std::collections::BTreeMap;
use std::fmt;

use crate::LearnError;
use crate::error::printable;

/// What a row of each class weighs.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ClassWeight {
    /// Every row weighs 1.
    #[default]
    None,
    /// Every class weighs the same in all: rows / (classes × rows of the class), over the classes that occur.
    Balanced,
    /// As `Balanced`, but counted anew among the rows that each tree draws. Forests only.
    BalancedSubsample,
    /// By class name, from 1e-6 to 1e6; a class not named weighs 1.
    Map(BTreeMap<String, f64>),
}

impl ClassWeight {
    pub(crate) fn check(&self) -> Result<(), LearnError> {
        let Self::Map(weights) = self else { return Ok(()) };
        match weights.values().find(|weight| !(1e-6..=1e6).contains(*weight)) {
            None => Ok(()),
            Some(weight) => Err(LearnError::Param {
                name: "class_weight",
                expected: "from 1e-6 to 1e6".to_owned(),
                got: weight.to_string(),
            }),
        }
    }

    /// Weights that make all classes with a row weigh the same, and all rows together as much as they are.
    pub(crate) fn balanced(counts: &[u64]) -> Vec<f64> {
        let n_rows = counts.iter().sum::<u64>() as f64;
        let n_classes = counts.iter().filter(|&&n| n > 0).count() as f64;
        // A class without a row has no weight to speak of.
        counts.iter().map(|&n| if n == 0 { 1.0 } else { n_rows / (n_classes * n as f64) }).collect()
    }

    /// The weight of each class, given the training rows of each.
    pub(crate) fn resolve(&self, classes: &[String], counts: &[u64]) -> Result<Vec<f64>, LearnError> {
        match self {
            Self::None => Ok(vec![1.0; classes.len()]),
            Self::Balanced => Ok(Self::balanced(counts)),
            // A forest weighs each tree's rows by their own counts; this is for what it does before.
            Self::BalancedSubsample => Ok(vec![1.0; classes.len()]),
            Self::Map(weights) => {
                if let Some(unknown) = weights.keys().find(|name| !classes.contains(name)) {
                    let known: Vec<String> =
                        classes.iter().take(20).map(|name| format!("`{}`", printable(name))).collect();
                    return Err(LearnError::Param {
                        name: "class_weight",
                        expected: format!("by classes among {}", known.join(", ")),
                        got: format!("`{}`", printable(unknown)),
                    });
                }
                Ok(classes.iter().map(|name| weights.get(name).copied().unwrap_or(1.0)).collect())
            }
        }
    }
}

impl fmt::Display for ClassWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Balanced => f.write_str("balanced"),
            Self::BalancedSubsample => f.write_str("balanced_subsample"),
            Self::Map(weights) => {
                let entries: Vec<String> =
                    weights.iter().map(|(name, weight)| format!("{}: {weight}", printable(name))).collect();
                write!(f, "{{{}}}", entries.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_weights_by_hand() {
        let classes = ["a", "b", "c"].map(String::from);
        // 8 rows, 2 classes that occur: 8 / (2 · 6) and 8 / (2 · 2).
        let weights = ClassWeight::Balanced.resolve(&classes, &[6, 0, 2]).unwrap();
        assert_eq!(weights, [8.0 / 12.0, 1.0, 2.0]);
    }

    #[test]
    fn weights_by_name() {
        let classes = ["a", "b"].map(String::from);
        let map = |name: &str, weight| ClassWeight::Map(BTreeMap::from([(name.to_owned(), weight)]));
        assert_eq!(map("b", 3.0).resolve(&classes, &[1, 1]).unwrap(), [1.0, 3.0]);
        let error = map("\u{1b}x", 3.0).resolve(&classes, &[1, 1]).unwrap_err().to_string();
        assert_eq!(error, "`class_weight` must be by classes among `a`, `b`, got `\\u{1b}x`");
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(map("a", bad).check().is_err(), "{bad}");
        }
        assert_eq!(map("b", 3.0).to_string(), "{b: 3}");
    }
}
