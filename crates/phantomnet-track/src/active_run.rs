//! A run that is closed on every way out.

use crate::entities::{NewRun, RunInfo, RunStatus, Tag};
use crate::error::Result;
use crate::limits::clip_tag;
use crate::store::Store;

/// Tag of the text of the error that ended a run.
pub const ERROR_TAG: &str = "phantomnet.error";

/// A run in progress together with its store.
///
/// One of [`finish`](Self::finish), [`fail`](Self::fail) and [`kill`](Self::kill) ends it; if none is reached, dropping it
/// sets it FAILED. In every case a model of the run that is still pending becomes
/// [`UploadFailed`](crate::ModelStatus::UploadFailed).
pub struct ActiveRun {
    store: Box<dyn Store>,
    info: RunInfo,
    now_ms: fn() -> i64,
    is_open: bool,
}

impl ActiveRun {
    /// Starts a run. `now_ms` is the clock its end is read from.
    ///
    /// # Errors
    /// Those of [`Store::create_run`].
    pub fn start(mut store: Box<dyn Store>, experiment_id: &str, run: NewRun, now_ms: fn() -> i64) -> Result<Self> {
        let info = store.create_run(experiment_id, run)?;
        Ok(Self { store, info, now_ms, is_open: true })
    }

    /// The run as it was created.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// The store, to log to.
    pub fn store(&mut self) -> &mut dyn Store {
        self.store.as_mut()
    }

    /// Ends the run FINISHED.
    ///
    /// # Errors
    /// Those of [`Store::end_run`].
    pub fn finish(mut self) -> Result<()> {
        self.end(RunStatus::Finished)
    }

    /// Ends the run FAILED and records the error's text in the tag [`ERROR_TAG`], cut to a tag's length.
    ///
    /// # Errors
    /// Those of [`Store::end_run`] and [`Store::log_batch`]; the run is ended even if the text cannot be recorded.
    pub fn fail(mut self, error: &str) -> Result<()> {
        let recorded = self.store.log_batch(&self.info.id, &[], &[], &[Tag::new(ERROR_TAG, clip_tag(error))]);
        self.end(RunStatus::Failed).and(recorded)
    }

    /// Ends the run KILLED: a signal asked the program to stop.
    ///
    /// # Errors
    /// Those of [`Store::end_run`].
    pub fn kill(mut self) -> Result<()> {
        self.end(RunStatus::Killed)
    }

    fn end(&mut self, status: RunStatus) -> Result<()> {
        let end_time_ms = (self.now_ms)().max(self.info.start_time_ms);
        self.store.end_run(&self.info.id, status, end_time_ms)?;
        self.is_open = false;
        Ok(())
    }
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        if self.is_open {
            // Nobody is left to tell of a failure here; the next start closes the run as a stale one.
            let _ = self.end(RunStatus::Failed);
        }
    }
}
