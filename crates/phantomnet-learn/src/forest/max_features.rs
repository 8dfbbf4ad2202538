//! How many features a node of a tree chooses from.

use std::fmt;

use crate::LearnError;

/// How many features a node chooses from.
///
/// As in scikit-learn, a feature that is constant in the node counts, but a node goes on drawing until it has a split or no
/// feature is left.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum MaxFeatures {
    /// The square root of their number, rounded down, at least 1.
    #[default]
    Sqrt,
    /// The binary logarithm of their number, rounded down, at least 1.
    Log2,
    /// All.
    All,
    /// So many, from 1 to their number.
    Count(usize),
    /// This share of them, above 0 and at most 1, rounded down, at least 1.
    Fraction(f64),
}

impl MaxFeatures {
    pub(super) fn check(self) -> Result<(), LearnError> {
        let (expected, got) = match self {
            Self::Count(0) => ("at least 1", "0".to_owned()),
            Self::Fraction(share) if !(share > 0.0 && share <= 1.0) => ("above 0 and at most 1", share.to_string()),
            _ => return Ok(()),
        };
        Err(LearnError::Param { name: "max_features", expected: expected.to_owned(), got })
    }

    /// The number for a schema of `n_features`.
    pub(super) fn resolve(self, n_features: usize) -> Result<usize, LearnError> {
        let n = match self {
            Self::Sqrt => n_features.isqrt(),
            Self::Log2 => n_features.checked_ilog2().unwrap_or(0) as usize,
            Self::All => n_features,
            Self::Fraction(share) => (share * n_features as f64) as usize,
            Self::Count(n) if n <= n_features => n,
            Self::Count(n) => {
                let expected = format!("at most the number of features, {n_features}");
                return Err(LearnError::Param { name: "max_features", expected, got: n.to_string() });
            }
        };
        Ok(n.max(1))
    }
}

impl fmt::Display for MaxFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqrt => f.write_str("sqrt"),
            Self::Log2 => f.write_str("log2"),
            Self::All => f.write_str("all"),
            Self::Count(n) => write!(f, "{n}"),
            // As Debug, so that 1.0 is not taken for one feature.
            Self::Fraction(share) => write!(f, "{share:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(MaxFeatures::Sqrt, 41, 6)]
    #[case(MaxFeatures::Sqrt, 1, 1)]
    #[case(MaxFeatures::Log2, 41, 5)]
    #[case(MaxFeatures::Log2, 1, 1)]
    #[case(MaxFeatures::All, 7, 7)]
    #[case(MaxFeatures::Count(3), 3, 3)]
    #[case(MaxFeatures::Fraction(0.5), 7, 3)]
    #[case(MaxFeatures::Fraction(0.01), 7, 1)]
    #[case(MaxFeatures::Fraction(1.0), 7, 7)]
    fn max_features_by_hand(#[case] max_features: MaxFeatures, #[case] n_features: usize, #[case] expected: usize) {
        assert_eq!(max_features.resolve(n_features).unwrap(), expected);
    }

    #[test]
    fn more_features_than_there_are_is_an_error() {
        let error = MaxFeatures::Count(4).resolve(3).unwrap_err().to_string();
        assert_eq!(error, "`max_features` must be at most the number of features, 3, got 4");
    }
}
