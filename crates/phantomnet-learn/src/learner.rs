//! The one interface that every learner has.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use phantomnet_model::{Dataset, Model};

use crate::OutOfBag;
use crate::error::{LearnError, printable};

/// What can be fitted to labelled rows: an algorithm with its hyperparameters.
///
/// Implement it to bring an algorithm of another crate; cross-validation and tracking take `dyn Learner`. The
/// hyperparameters are the learner's own fields, set before.
pub trait Learner: Send + Sync + std::fmt::Debug {
    /// Name in configurations and runs, such as `random_forest`.
    fn name(&self) -> &str;

    /// All hyperparameters and their values, defaults included, by scikit-learn's names where it has them. What does not
    /// change the model (threads) is not among them.
    fn params(&self) -> Vec<(String, String)>;

    /// Whether each hyperparameter is in its range, as far as that can be told without data.
    ///
    /// # Errors
    /// [`LearnError::Param`] for the first that is not.
    fn check(&self) -> Result<(), LearnError>;

    /// Whether the hyperparameters go with these rows of `data`, as far as that can be told before the work begins.
    ///
    /// # Errors
    /// [`LearnError::Param`] for the first that does not.
    fn check_data(&self, data: &Dataset, rows: &[u32]) -> Result<(), LearnError> {
        let _ = (data, rows);
        Ok(())
    }

    /// Learns from the given rows of `data`; a row given twice counts twice.
    ///
    /// Looks at no other row, and the same data, rows and hyperparameters give the same model, bit for bit, whatever
    /// `cx` says about threads. For ours, the order of `rows` does not matter either.
    ///
    /// # Errors
    /// [`LearnError::Stopped`] soon after the caller asked for it; what [`check`](Self::check),
    /// [`check_data`](Self::check_data) and [`FitContext::class_counts`] refuse; what is special to the learner.
    fn fit(&self, data: &Dataset, rows: &[u32], cx: &mut FitContext<'_>) -> Result<Fit, LearnError>;
}

/// What a learner gives back.
#[derive(Debug)]
pub struct Fit {
    /// The fitted classifier.
    pub model: Box<dyn Model>,
    /// Share of each feature in what was learned, in schema order, from 0 to 1 and summing to 1 (all 0 when no feature
    /// was of any use). `None` where the learner has no such notion.
    pub importances: Option<Vec<f64>>,
    /// How good the model is on training rows that parts of it have not seen; where the learner has such a notion and was
    /// asked for it.
    pub oob: Option<OutOfBag>,
    /// What the user should know about this fit, such as "did not converge". Sentences without names from the data.
    pub warnings: Vec<String>,
}

/// How far the work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Trees of the forest being fitted.
    Trees {
        /// Trees grown.
        done: usize,
        /// Trees in all.
        total: usize,
    },
    /// Folds of the cross-validation.
    Folds {
        /// Folds judged.
        done: usize,
        /// Folds of all repeats.
        total: usize,
    },
}

/// How a fit is to be carried out: what costs time, not what changes the model.
pub struct FitContext<'a> {
    n_threads: NonZeroUsize,
    progress: Option<Box<dyn FnMut(Progress) -> ControlFlow<()> + 'a>>,
    stop: Option<&'a AtomicBool>,
}

impl<'a> FitContext<'a> {
    /// A fit on so many threads, that tells nobody and runs to its end.
    #[must_use]
    pub fn new(n_threads: NonZeroUsize) -> Self {
        Self { n_threads, progress: None, stop: None }
    }

    /// Calls `progress` on the calling thread as the work goes on; `Break` stops it.
    #[must_use]
    pub fn on_progress(mut self, progress: impl FnMut(Progress) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Stops soon after `stop` becomes true, which a signal handler or another thread may do.
    #[must_use]
    pub fn stop_flag(mut self, stop: &'a AtomicBool) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Threads that the fit may use.
    #[must_use]
    pub fn n_threads(&self) -> NonZeroUsize {
        self.n_threads
    }

    /// Tells the caller how far the work has come.
    ///
    /// # Errors
    /// [`LearnError::Stopped`] when the caller wants no more of it.
    pub fn report(&mut self, progress: Progress) -> Result<(), LearnError> {
        if let Some(callback) = &mut self.progress
            && callback(progress).is_break()
        {
            return Err(LearnError::Stopped);
        }
        self.check_stop()
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`LearnError::Stopped`] when the stop flag is set.
    pub fn check_stop(&self) -> Result<(), LearnError> {
        if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(LearnError::Stopped);
        }
        Ok(())
    }

    /// The flag itself, for worker threads.
    pub(crate) fn stop(&self) -> Option<&'a AtomicBool> {
        self.stop
    }

    /// Training rows of each class, if a classifier can be learned from them.
    ///
    /// # Errors
    /// [`LearnError::NoRows`], [`LearnError::NoFeatures`], [`LearnError::RowOutOfRange`], [`LearnError::TooManyRows`]
    /// and [`LearnError::OneClass`]; [`LearnError::Stopped`] when the work is not wanted any more.
    pub fn class_counts(&self, data: &Dataset, rows: &[u32]) -> Result<Vec<u64>, LearnError> {
        /// Leaves the highest numbers to sentinels, and node numbers of a tree (twice the rows) in 32 bits.
        const MAX_ROWS: usize = 1 << 30;

        self.check_stop()?;
        if rows.is_empty() {
            return Err(LearnError::NoRows);
        }
        if data.n_features() == 0 {
            return Err(LearnError::NoFeatures);
        }
        if rows.len() > MAX_ROWS {
            return Err(LearnError::TooManyRows { n_rows: rows.len(), max: MAX_ROWS });
        }
        let n_rows = data.n_rows();
        if let Some(&row) = rows.iter().find(|&&row| row as usize >= n_rows) {
            return Err(LearnError::RowOutOfRange { row, n_rows });
        }
        let counts = data.class_counts(rows);
        let mut present = (0..counts.len()).filter(|&class| counts[class] > 0);
        if let (Some(class), None) = (present.next(), present.next()) {
            let class = printable(&data.classes().names[class]);
            return Err(LearnError::OneClass { class, n_rows: rows.len() });
        }
        Ok(counts)
    }
}

impl std::fmt::Debug for FitContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FitContext").field("n_threads", &self.n_threads).finish_non_exhaustive()
    }
}
