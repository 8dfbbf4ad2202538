//! What can go wrong between a model folder and a score.

use phantomnet_features::ExpressionError;
use phantomnet_model::ModelError;

/// A model that cannot be used, or an event that cannot be scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// The model folder is not valid.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An expression of the model does not compile, or fails on an event.
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    /// The columns of the model make no event schema.
    #[error("columns of the model are not valid: {reason}")]
    Columns {
        /// What is wrong.
        reason: String,
    },
    /// The expressions do not give a golden event's features: scoring would differ from training.
    #[error("golden event {line}: feature `{feature}` is `{got}`, in training it was `{expected}`")]
    Skew {
        /// Line of `golden.jsonl`.
        line: usize,
        /// The feature.
        feature: String,
        /// Its recorded value.
        expected: f32,
        /// Its value now.
        got: f32,
    },
    /// A raw line that is no event.
    #[error("line is no event: {reason}")]
    Line {
        /// What is wrong with it.
        reason: String,
    },
}

impl ScoreError {
    /// What to do about it, where something is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Expression(error) => error.hint(),
            Self::Skew { .. } => Some("train the model again with this version".into()),
            Self::Model(ModelError::TooNew { .. }) => Some("use the version that wrote it, or a newer one".into()),
            Self::Model(ModelError::Corrupt { .. }) => Some("copy the model again, or train it again".into()),
            Self::Model(ModelError::Io { .. }) => {
                Some("a model is the folder that `train` wrote, with `manifest.json` in it".into())
            }
            _ => None,
        }
    }
}
