//! What can be wrong with a preset file.

use thiserror::Error;

use crate::ExpressionError;
use crate::error::{nearest, quoted};

/// Why a text is no preset.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PresetError {
    /// Larger than a preset can be.
    #[error("the preset has {n_bytes} bytes; at most {limit} are read")]
    TooLong {
        /// Its length.
        n_bytes: usize,
        /// The longest accepted.
        limit: usize,
    },
    /// No TOML.
    #[error("line {line} is not TOML: {}", quoted(reason))]
    Toml {
        /// Line, from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A key that presets do not have.
    #[error("unknown key `{}`", quoted(key))]
    UnknownKey {
        /// Its dotted path.
        key: String,
        /// Keys that may stand there, as dotted paths.
        valid: Vec<String>,
    },
    /// A key that every preset has.
    #[error("`{key}` is missing: {expected}")]
    Missing {
        /// Its dotted path.
        key: &'static str,
        /// What it is to be.
        expected: &'static str,
    },
    /// A value that its key does not take.
    #[error("`{}` must be {expected}, got `{}`", quoted(key), quoted(got))]
    Value {
        /// Dotted path.
        key: String,
        /// What it may be, in words.
        expected: &'static str,
        /// The value as it would be written in TOML.
        got: String,
        /// The values there are, where they are few.
        valid: Vec<String>,
    },
    /// A common column that is both observed and claimed.
    #[error("column `{}` is both in [observed] and in [claimed]", quoted(column))]
    ObservedAndClaimed {
        /// The column.
        column: String,
    },
    /// An expression that cannot be compiled over the preset's own fields.
    #[error("`{}` cannot be used", quoted(key))]
    Expression {
        /// Dotted path of the expression.
        key: String,
        /// What is wrong with it.
        #[source]
        error: ExpressionError,
    },
}

impl PresetError {
    /// What the user can do about it, where that is not in the message itself.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { key, valid } => Some(match nearest(key, valid) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("valid keys are `{}`", valid.join("`, `")),
            }),
            Self::Value { got, valid, .. } => {
                nearest(got.trim_matches('"'), valid).map(|nearest| format!("did you mean `{nearest}`?"))
            }
            Self::ObservedAndClaimed { .. } => {
                Some("observed is what the sensor saw itself, claimed what its peer said".into())
            }
            Self::Expression { error: error @ ExpressionError::UnknownColumn { column, columns, .. }, .. } => {
                Some(match nearest(column, columns) {
                    Some(_) => error.hint()?,
                    None => "an expression reads fields that [fields] lists with their type; features and label read \
                             common columns, too"
                        .into(),
                })
            }
            Self::Expression { error, .. } => error.hint(),
            _ => None,
        }
    }
}
