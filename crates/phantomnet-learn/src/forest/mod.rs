//! Forests of classification trees.
//!
//! Steps: the training rows are binned once (`binning`, categories by `code_order`); each tree draws its samples (`bag`) and
//! is grown node by node (`grower`); a node counts its rows by the bins of the features that it draws (`candidates`,
//! `histogram`, `tally`), puts the bins that occur in order (`groups`), takes the best cut (`split`, `criterion`) and divides
//! its rows (`partition`).
//!
//! Limits: 2³⁰ rows, 4096 classes, 255 bins a feature. Memory beside the forest itself: a byte a row and feature for the
//! bins, and 20 bytes a row for the samples of each thread.

mod bag;
mod binning;
mod candidates;
mod code_order;
mod criterion;
mod fit;
mod groups;
mod grower;
mod histogram;
mod max_features;
mod oob;
mod params;
mod partition;
mod split;
mod tally;

pub use criterion::Criterion;
pub use max_features::MaxFeatures;
pub use oob::OutOfBag;
pub use params::{CategoryOrder, ForestKind, ForestLearner, MaxSamples};

use phantomnet_model::Dataset;

use crate::{Fit, FitContext, LearnError, Learner};

impl Learner for ForestLearner {
    fn name(&self) -> &str {
        match self.kind {
            ForestKind::RandomForest => "random_forest",
            ForestKind::ExtraTrees => "extra_trees",
            ForestKind::DecisionTree => "decision_tree",
        }
    }

    fn params(&self) -> Vec<(String, String)> {
        self.entries()
    }

    fn check(&self) -> Result<(), LearnError> {
        self.check_ranges()
    }

    fn fit(&self, data: &Dataset, rows: &[u32], cx: &mut FitContext<'_>) -> Result<Fit, LearnError> {
        let fitted = self.fit_forest(data, rows, cx)?;
        Ok(Fit {
            model: Box::new(fitted.forest),
            importances: Some(fitted.importances),
            oob: fitted.oob,
            warnings: Vec::new(),
        })
    }
}
