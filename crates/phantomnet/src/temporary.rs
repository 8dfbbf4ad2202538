//! Temporary files: in one folder of the process, which goes with it, when a signal ends it too.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tempfile::TempDir;

use crate::signals::StopSignal;

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
                // What stops by itself takes the folder with it.
                if !StopSignal::is_armed() {
                    // That not all of it could be removed keeps nobody from ending.
                    let _ = std::fs::remove_dir_all(&path);
                    let _ = emulate_default_handler(signal);
                }
            }
        });
        Some(Self { _folder: folder })
    }
}
