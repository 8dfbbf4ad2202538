//! Temporary files, which go when the process ends, by a signal too: those in one folder of the process, and those that are to be
//! renamed to what they are once they are whole.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tempfile::TempDir;

use crate::failure::Failure;
use crate::signals::StopSignal;

/// Files of the process that are not whole yet.
static PARTIAL: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn partial_files() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    PARTIAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folder that holds all temporary files of the process, copies of events among them; dropped, it is removed.
#[derive(Debug)]
pub struct TemporaryFolder {
    _folder: TempDir,
}

impl TemporaryFolder {
    /// Makes it, for the rest of the process. `None` where that is not possible: what needs a temporary file will say why.
    pub fn of_process() -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("phantomnet-").tempdir().ok()?;
        let path = folder.path().to_owned();
        let mut signals = Signals::new([SIGINT, SIGTERM]).ok()?;
        tempfile::env::override_temp_dir(&path).ok()?;
        std::thread::spawn(move || {
            for signal in signals.forever() {
                // What stops by itself takes its files with it.
                if !StopSignal::is_armed() {
                    // That not all of it could be removed keeps nobody from ending.
                    let _ = std::fs::remove_dir_all(&path);
                    for partial in &*partial_files() {
                        let _ = std::fs::remove_file(partial);
                    }
                    let _ = emulate_default_handler(signal);
                }
            }
        });
        Some(Self { _folder: folder })
    }
}

/// A file that gets its name once it is whole; dropped before, it is removed.
#[derive(Debug)]
pub(crate) struct PartialFile {
    partial: PathBuf,
    path: PathBuf,
}

impl PartialFile {
    /// For a file of this path, beside it under a name of its own. The file is made by who writes it.
    pub(crate) fn new(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!(".{name}.partial-{}", std::process::id()));
        partial_files().insert(partial.clone());
        Self { partial, path: path.to_owned() }
    }

    /// Where to write.
    pub(crate) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Gives the file its name, in place of one that has it.
    ///
    /// # Errors
    /// When the system cannot.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        std::fs::rename(&self.partial, &self.path).map_err(|e| Failure::of_writing(&self.path, e))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // Not there where it was finished, or never made.
        let _ = std::fs::remove_file(&self.partial);
        partial_files().remove(&self.partial);
    }
}
