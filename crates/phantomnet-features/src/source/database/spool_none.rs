//! No rows of databases, where the feature is not there.

use std::path::Path;

use crate::source::database::DatabaseSource;
use crate::source::error::SourceError;

/// Rows that there are none of.
#[derive(Debug)]
pub(crate) struct Spool {
    pub(crate) n_bytes: u64,
    pub(crate) digest: [u8; 32],
    pub(crate) n_lossy: u64,
    pub(crate) warning: Option<String>,
}

impl Spool {
    pub(crate) fn fill(_: &DatabaseSource) -> Result<Self, SourceError> {
        Err(SourceError::DatabaseFeature)
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = (u64, &Path)> {
        std::iter::empty()
    }
}
