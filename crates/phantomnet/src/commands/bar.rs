//! What a terminal shows while the program works.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use phantomnet_features::ReadProgress;
use phantomnet_learn::Progress;

use crate::pipeline::{Event, Stage};
use crate::terminal;

/// How much of the files has been read, how fast, and the time left.
const BY_BYTES: &str = "{msg:16} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta:>4}";

/// Does work that reads events, with a bar of how far that has come.
pub(super) fn reading<T>(work: impl FnOnce(&mut dyn FnMut(ReadProgress)) -> T) -> T {
    let mut bar = Bar::new(0);
    let done = work(&mut |progress| bar.show(Event::Reading(progress)));
    bar.finish();
    done
}

/// The bar of a terminal: a stage, how much of it is done, and the time left.
pub(super) struct Bar {
    bar: ProgressBar,
    work: Work,
}

impl Bar {
    pub(super) fn new(n_folds: usize) -> Self {
        let bar = if terminal::is_interactive() {
            ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10))
        } else {
            ProgressBar::hidden()
        };
        let bar = Self { bar, work: Work { n_folds, stage: Stage::Read, n_folds_done: 0 } };
        bar.draw_as("{msg}");
        // Trees end in bursts, as many as there are threads; the time left goes on between them.
        if !bar.bar.is_hidden() {
            bar.bar.enable_steady_tick(Duration::from_millis(200));
        }
        bar
    }

    pub(super) fn show(&mut self, event: Event) {
        match event {
            Event::Stage(stage) => {
                self.work = Work { stage, n_folds_done: 0, ..self.work };
                self.draw_as("{msg}");
                self.bar.set_length(0);
                self.bar.set_message(match stage {
                    Stage::Read => "reading events",
                    Stage::Features => "features",
                    Stage::CrossValidate => "cross-validation",
                    Stage::Fit => "final fit",
                    Stage::Evaluate => "evaluation",
                    Stage::Track => "recording",
                });
                self.bar.reset();
            }
            Event::Reading(ReadProgress { n_read, n_bytes }) => {
                if self.bar.length() != Some(n_bytes) || self.bar.position() > n_read {
                    self.bar.reset();
                    self.draw_as(BY_BYTES);
                    self.bar.set_length(n_bytes);
                }
                self.bar.set_position(n_read);
            }
            Event::Progress(progress) => {
                let Some((done, total)) = self.work.done(progress) else { return };
                if self.bar.position() == 0 {
                    self.draw_as("{msg:16} {wide_bar} {percent:>3} % {eta:>4}");
                    self.bar.set_length(total);
                }
                self.bar.set_position(done);
            }
        }
    }

    /// Takes it off the terminal.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn draw_as(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }
}

/// How far a stage has come, over all its fits: the time left is of the stage.
struct Work {
    n_folds: usize,
    stage: Stage,
    n_folds_done: usize,
}

impl Work {
    /// Parts of the stage that are done, and parts in all.
    fn done(&mut self, progress: Progress) -> Option<(u64, u64)> {
        /// Parts that a fit is divided into.
        const FIT: usize = 1000;

        let n_fits = if self.stage == Stage::CrossValidate { self.n_folds } else { 1 };
        let done = match progress {
            Progress::Trees { done, total } => self.n_folds_done * FIT + done * FIT / total.max(1),
            Progress::Folds { done, .. } => {
                self.n_folds_done = done;
                done * FIT
            }
            _ => return None,
        };
        Some((done as u64, (n_fits * FIT) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_counts_the_trees_of_all_folds() {
        let mut work = Work { n_folds: 5, stage: Stage::CrossValidate, n_folds_done: 0 };
        let trees = |done| Progress::Trees { done, total: 8 };
        assert_eq!(work.done(trees(4)), Some((500, 5000)));
        assert_eq!(work.done(trees(8)), Some((1000, 5000)));
        assert_eq!(work.done(Progress::Folds { done: 1, total: 5 }), Some((1000, 5000)));
        assert_eq!(work.done(trees(1)), Some((1125, 5000)));
        let mut work = Work { n_folds: 5, stage: Stage::Fit, n_folds_done: 0 };
        assert_eq!(work.done(trees(4)), Some((500, 1000)));
    }
}
