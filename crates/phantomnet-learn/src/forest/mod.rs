//! Forests of classification trees.
//!
//! Steps: the training rows are binned once (`binning`, categories by `code_order`); each tree draws its samples (`bag`) and
//! is grown node by node (`grower`); a node counts its rows by the bins of the features that it draws (`candidates`,
//! `histogram`, `tally`; `counts`, where it draws all), puts the bins that occur in order (`groups`), takes the best cut (`split`, `criterion`) and divides
//! its rows (`partition`).
//!
//! Limits: 2³⁰ rows, 4096 classes, 255 bins a feature. Memory beside the forest itself: a byte a row and feature for the
//! bins, and 20 bytes a row for the samples of each thread.

mod bag;
mod binning;
mod bytes;
mod candidates;
mod code_order;
mod counts;
mod criterion;
mod fit;
mod groups;
mod grower;
mod histogram;
mod max_features;
#[cfg(any(test, feature = "exact"))]
mod naive;
mod oob;
mod params;
mod partition;
mod split;
mod tally;
#[cfg(test)]
mod tests;

pub use criterion::Criterion;
pub use max_features::MaxFeatures;
pub use oob::OutOfBag;
pub use params::{CategoryOrder, ForestKind, ForestLearner, MaxSamples};

use phantomnet_model::{Dataset, Forest};

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

    fn check_data(&self, data: &Dataset, rows: &[u32]) -> Result<(), LearnError> {
        self.check_for(data, rows.len())
    }

    fn fit(&self, data: &Dataset, rows: &[u32], cx: &mut FitContext<'_>) -> Result<Fit, LearnError> {
        self.fit_forest(data, rows, None, cx).map(Fit::from)
    }
}

impl ForestLearner {
    /// Keeps the trees of a forest and grows more, up to `n_estimators` in all (scikit-learn: `warm_start`).
    ///
    /// With the data and hyperparameters that `kept` was learned with, this gives the forest that would have been learned at
    /// once, but for the rounding of leaf shares to whole units. Importances and the out-of-bag judgement are of the new
    /// trees.
    ///
    /// - `kept`: knows the same features, in the same order and with the same dictionaries, and the same classes; only their
    ///   numbers can be checked here.
    ///
    /// # Errors
    /// As [`fit`](Learner::fit); [`LearnError::Kept`] if the number of features or classes is another one, and
    /// [`LearnError::Param`] if `n_estimators` is less than the trees of `kept`.
    pub fn fit_more(
        &self,
        kept: &Forest,
        data: &Dataset,
        rows: &[u32],
        cx: &mut FitContext<'_>,
    ) -> Result<Fit, LearnError> {
        self.fit_forest(data, rows, Some(kept), cx).map(Fit::from)
    }
}

impl From<fit::Fitted> for Fit {
    fn from(fitted: fit::Fitted) -> Self {
        let importances = Some(fitted.importances);
        Self { model: Box::new(fitted.forest), importances, oob: fitted.oob, warnings: Vec::new() }
    }
}
