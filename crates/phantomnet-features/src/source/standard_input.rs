//! Standard input, which can be read once only, as a file that can be read again.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use tempfile::TempPath;

use crate::source::error::SourceError;

/// The path that stands for standard input.
pub(crate) const STANDARD_INPUT: &str = "-";

/// A copy of standard input in the temporary folder, deleted with the last clone of this.
#[derive(Debug, Clone)]
pub struct StandardInput(Arc<TempPath>);

impl StandardInput {
    /// Copies what a reader gives, at most `max_bytes`.
    ///
    /// # Errors
    /// `Read` when it cannot be read or is longer, `Write` when the copy cannot be written.
    pub fn copy(reader: impl Read, max_bytes: u64) -> Result<Self, SourceError> {
        let folder = std::env::temp_dir();
        let failed = |source: io::Error| SourceError::write(&folder, source);
        let (mut file, path) =
            tempfile::Builder::new().prefix("phantomnet-input-").tempfile().map_err(failed)?.into_parts();
        let read = |source| SourceError::Read { path: STANDARD_INPUT.into(), n_rows: 0, source };
        let n_bytes = io::copy(&mut reader.take(max_bytes.saturating_add(1)), &mut file).map_err(read)?;
        if n_bytes > max_bytes {
            let text = format!("more than {max_bytes} bytes");
            return Err(read(io::Error::new(io::ErrorKind::FileTooLarge, text)));
        }
        Ok(Self(Arc::new(path)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl PartialEq for StandardInput {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
