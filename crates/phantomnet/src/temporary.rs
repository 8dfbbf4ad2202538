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

/// A file that gets its name once it is whole; dropped before, it is removed. What is no file, such as a pipe or `/dev/stdout`, is written
/// to as it is.
#[derive(Debug)]
pub(crate) struct PartialFile {
    partial: PathBuf,
    path: PathBuf,
}

impl PartialFile {
    /// For a file of this path, beside it under a name of its own. The file is made by who writes it.
    pub(crate) fn new(path: &Path) -> Self {
        if path.metadata().is_ok_and(|found| !found.is_file()) {
            return Self { partial: path.to_owned(), path: path.to_owned() };
        }
        // A link stays one: what it leads to is written.
        let target = path.is_symlink().then(|| path.canonicalize().ok()).flatten();
        let path = target.as_deref().unwrap_or(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!(".{name}.partial-{}", std::process::id()));
        partial_files().insert(partial.clone());
        Self { partial, path: path.to_owned() }
    }

    /// Where to write.
    pub(crate) fn partial(&self) -> &Path {
        &self.partial
    }

    fn is_in_place(&self) -> bool {
        self.partial == self.path
    }

    /// Gives the file its name, in place of one that has it, and that one's permissions.
    ///
    /// # Errors
    /// When the system cannot.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        if self.is_in_place() {
            return Ok(());
        }
        let keep_permissions = || match self.path.metadata() {
            Ok(before) => std::fs::set_permissions(&self.partial, before.permissions()),
            Err(_) => Ok(()),
        };
        keep_permissions()
            .and_then(|()| std::fs::rename(&self.partial, &self.path))
            .map_err(|e| Failure::of_writing(&self.path, e))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if self.is_in_place() {
            return;
        }
        // Not there where it was finished, or never made.
        let _ = std::fs::remove_file(&self.partial);
        partial_files().remove(&self.partial);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    #[test]
    fn links_and_permissions_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&file, &link).unwrap();
        let partial = PartialFile::new(&link);
        fs::write(partial.partial(), "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        partial.finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_no_file_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        let partial = PartialFile::new(&pipe);
        fs::write(partial.partial(), "new").unwrap();
        partial.finish().unwrap();
        drop(PartialFile::new(&pipe));
        assert_eq!(reader.join().unwrap(), "new");
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
    }
}
