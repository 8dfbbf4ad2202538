//! What can be wrong with a model, its input or its files.

use std::path::PathBuf;

/// A violated input contract, or a model folder that cannot be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Two lengths that must agree do not.
    #[error("{what}: expected length {expected}, got {got}")]
    Shape {
        /// The thing measured.
        what: String,
        /// Its required length.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// A value outside its range.
    #[error("{what}: expected {expected}, got `{got}`")]
    Value {
        /// The place of the value.
        what: String,
        /// The range.
        expected: String,
        /// The value.
        got: String,
    },
    /// A file of a model folder that cannot be read or written.
    #[error("cannot access `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file of a model folder whose content is not what our writer makes.
    #[error("`{}` is not a valid part of a model: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A model folder written by a newer version.
    #[error("model format {found} is newer than this build reads (up to {supported})")]
    TooNew {
        /// Format of the folder.
        found: u32,
        /// Newest format this build reads.
        supported: u32,
    },
}
