//! Why a learner cannot be fitted or judged.

use phantomnet_model::ModelError;

use crate::metrics::MetricError;

/// Wrong params, rows that nothing can be learned from, or a fit that was given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// A hyperparameter outside its range.
    #[error("`{name}` must be {expected}, got {got}")]
    Param {
        /// Hyperparameter.
        name: &'static str,
        /// Its range.
        expected: String,
        /// Value given, escaped if it is text.
        got: String,
    },
    /// Nothing to learn from.
    #[error("there is no row to learn from")]
    NoRows,
    /// Nothing to tell the classes apart by.
    #[error("there is no feature to learn from")]
    NoFeatures,
    /// Every training row has the same class.
    #[error("only class `{class}` occurs in the {n_rows} training rows; two classes at least are needed")]
    OneClass {
        /// The only class, escaped.
        class: String,
        /// Training rows.
        n_rows: usize,
    },
    /// A training row that the dataset does not have.
    #[error("row {row} does not exist, the dataset has {n_rows} rows")]
    RowOutOfRange {
        /// Row number.
        row: u32,
        /// Rows of the dataset.
        n_rows: usize,
    },
    /// More rows than are counted in 32 bits.
    #[error("{n_rows} training rows are more than the {max} that a fit can take")]
    TooManyRows {
        /// Rows given.
        n_rows: usize,
        /// Most that can be taken.
        max: usize,
    },
    /// More classes than a forest can tell apart.
    #[error("{n_classes} classes are more than the {max} that a forest can tell apart")]
    TooManyClasses {
        /// Classes of the dataset.
        n_classes: usize,
        /// Most that can be told apart.
        max: usize,
    },
    /// A forest that more trees cannot be added to.
    #[error("the forest to be kept has {kept} {what}, the data have {got}")]
    Kept {
        /// What there is another number of.
        what: &'static str,
        /// Their number in the forest.
        kept: usize,
        /// Their number in the data.
        got: usize,
    },
    /// The caller asked to stop, by the flag or the progress callback.
    #[error("the fit was stopped")]
    Stopped,
    /// No threads to fit with.
    #[error("cannot start {n_threads} threads")]
    Threads {
        /// Threads asked for.
        n_threads: usize,
        /// The system's reason.
        #[source]
        source: rayon::ThreadPoolBuildError,
    },
    /// A fit that diverged.
    #[error("`{learner}` found weights that are not finite numbers")]
    NotFinite {
        /// Name of the learner.
        learner: String,
    },
    /// A learner's own failure, for learners of other crates too.
    #[error("`{learner}` cannot be fitted")]
    Fit {
        /// Name of the learner.
        learner: String,
        /// Its reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A model whose parts do not fit together or do not fit the data it was learned from.
    #[error("the fitted model is not valid")]
    Model(#[source] ModelError),
    /// Predictions that cannot be judged.
    #[error("the predictions cannot be judged")]
    Metric(#[source] MetricError),
    /// Nothing to validate on.
    #[error("there is no fold to cross-validate on")]
    NoFolds,
    /// What went wrong in one fold of a cross-validation.
    #[error("fold {fold} of repeat {repeat} failed")]
    Fold {
        /// Fold of its repeat, from 1.
        fold: usize,
        /// Repeat, from 1.
        repeat: usize,
        /// What went wrong.
        #[source]
        source: Box<LearnError>,
    },
}

impl LearnError {
    /// What to do about it, where the message alone does not say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OneClass { .. } => Some("check the label expression against the data"),
            Self::NotFinite { .. } => Some("try a smaller `c`, or another learner"),
            Self::Fold { source, .. } => source.hint(),
            _ => None,
        }
    }

    /// Whether the caller asked for this, in a fold or outside.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::Stopped => true,
            Self::Fold { source, .. } => source.is_stopped(),
            _ => false,
        }
    }
}

/// A name fit for a message: class names are values of attacker-made events.
pub(crate) fn printable(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}
