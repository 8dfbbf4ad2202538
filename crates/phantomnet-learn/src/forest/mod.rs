//! Random forest of classification trees with exact splits.
//!
//! Steps: the columns of the training rows are ranked once (`ranks`, categories by `code_order`); each tree draws a
//! bootstrap sample and is grown node by node (`grower`); a node groups its rows by the ranks of the features it draws
//! (`groups`) and takes the best split (`split`). Source: Breiman, *Random Forests* (2001).
//!
//! Limits: every distinct value is a possible threshold, so a node costs time in proportion to its rows for each feature
//! drawn; ranks take 4 bytes a training row and feature.

mod code_order;
mod groups;
mod grower;
mod max_features;
mod ranks;
mod split;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use phantomnet_model::{Dataset, Forest, MAX_TREES, Tree, tree_units};
use rayon::prelude::*;

pub use max_features::MaxFeatures;

use crate::rng::Rng;
use crate::{ClassWeight, Fit, FitContext, LearnError, Learner, Progress};
use grower::{Grower, Grown, normalise};
use ranks::RankedColumn;

/// A forest of trees, each grown on a bootstrap sample with a random choice of features at each node (Gini criterion).
///
/// A class probability is the mean of the trees' leaf shares. Numbers are split at midpoints between neighbouring values
/// (`x <= threshold` goes left). Categories are split likewise, in an order of their codes that is learned once from all
/// training rows: by the share of a class, with more than two classes by the shares' first principal component (Wright and
/// König, PeerJ 7:e6339, 2019). A code that training met and a node did not falls where its place in that order says, half
/// of those between two neighbours on either side.
///
/// Missing values are tried on either side of each split, and by themselves against all others. Of equally good splits the
/// lower feature is taken, then the lower threshold. Missing values, where a node did not meet any in training, go to its
/// heavier child; so do category codes, the unseen one included, that no training row has.
///
/// Names and defaults are those of scikit-learn's `RandomForestClassifier`; differences are told at the fields. Unlike
/// there, a tree's leaves and impurities know `class_weight` (in scikit-learn 1.9 it changes what the bootstrap draws).
#[derive(Debug, Clone, PartialEq)]
pub struct RandomForest {
    /// Trees. More make probabilities finer and results steadier, at proportional cost. 1 to 10,000; default 100.
    pub n_estimators: usize,
    /// Most splits between root and leaf. Fewer give smaller, smoother trees. At least 1; default `None`, no limit.
    pub max_depth: Option<usize>,
    /// Features that a node chooses from. Fewer make trees more different and each one worse. Default
    /// [`MaxFeatures::Sqrt`].
    pub max_features: MaxFeatures,
    /// Rows a node needs to be split; rows drawn more than once count once. At least 2; default 2.
    pub min_samples_split: usize,
    /// Rows each child of a split needs; rows drawn more than once count once. Larger values smooth probabilities. At
    /// least 1; default 1.
    pub min_samples_leaf: usize,
    /// What a row of each class weighs in impurities and leaves. Default [`ClassWeight::None`].
    pub class_weight: ClassWeight,
    /// Whether each tree learns from as many rows drawn with replacement, or from all. Default true.
    pub bootstrap: bool,
    /// Where the random choices start. scikit-learn: `random_state`. Default 0.
    pub seed: u64,
}

impl Default for RandomForest {
    fn default() -> Self {
        Self {
            n_estimators: 100,
            max_depth: None,
            max_features: MaxFeatures::Sqrt,
            min_samples_split: 2,
            min_samples_leaf: 1,
            class_weight: ClassWeight::None,
            bootstrap: true,
            seed: 0,
        }
    }
}

impl Learner for RandomForest {
    fn name(&self) -> &str {
        "random_forest"
    }

    fn params(&self) -> Vec<(String, String)> {
        let param = |name: &str, value: String| (name.to_owned(), value);
        vec![
            param("n_estimators", self.n_estimators.to_string()),
            param("criterion", "gini".to_owned()),
            param("max_depth", self.max_depth.map_or_else(|| "none".to_owned(), |depth| depth.to_string())),
            param("max_features", self.max_features.to_string()),
            param("min_samples_split", self.min_samples_split.to_string()),
            param("min_samples_leaf", self.min_samples_leaf.to_string()),
            param("class_weight", self.class_weight.to_string()),
            param("bootstrap", self.bootstrap.to_string()),
            param("seed", self.seed.to_string()),
        ]
    }

    fn check(&self) -> Result<(), LearnError> {
        let check = |valid: bool, name, expected: &str, got: usize| match valid {
            true => Ok(()),
            false => Err(LearnError::Param { name, expected: expected.to_owned(), got: got.to_string() }),
        };
        let n_estimators = self.n_estimators;
        check((1..=MAX_TREES).contains(&n_estimators), "n_estimators", &format!("in 1..={MAX_TREES}"), n_estimators)?;
        check(self.max_depth != Some(0), "max_depth", "at least 1", 0)?;
        check(self.min_samples_split >= 2, "min_samples_split", "at least 2", self.min_samples_split)?;
        check(self.min_samples_leaf >= 1, "min_samples_leaf", "at least 1", self.min_samples_leaf)?;
        self.max_features.check()?;
        self.class_weight.check()
    }

    fn fit(&self, data: &Dataset, rows: &[u32], cx: &mut FitContext<'_>) -> Result<Fit, LearnError> {
        let (forest, importances) = self.fit_forest(data, rows, cx)?;
        Ok(Fit { model: Box::new(forest), importances: Some(importances), warnings: Vec::new() })
    }
}

impl RandomForest {
    /// The forest itself, and the importance of each feature: the mean over the trees of the share of impurity that its
    /// splits took away.
    fn fit_forest(
        &self,
        data: &Dataset,
        rows: &[u32],
        cx: &mut FitContext<'_>,
    ) -> Result<(Forest, Vec<f64>), LearnError> {
        self.check()?;
        let class_counts = cx.class_counts(data, rows)?;
        let n_features = data.n_features();
        let max_features = self.max_features.resolve(n_features)?;
        let class_weights = self.class_weight.resolve(&data.classes().names, &class_counts)?;

        // The bootstrap draws places among the rows: sorted, they do not depend on the caller's order.
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        let classes: Vec<u32> = rows.iter().map(|&row| data.labels()[row as usize]).collect();
        let pool = thread_pool(cx.n_threads(), self.n_estimators)?;
        let features = data.schema().features();
        let columns: Vec<RankedColumn> = pool.install(|| {
            (features.par_iter().enumerate())
                .map(|(j, feature)| RankedColumn::new(&feature.kind, data.column(j), &rows, &classes, &class_weights))
                .collect()
        });
        cx.check_stop()?;

        // A node never has more rows than fit in 32 bits, so a larger limit means the same.
        let rows_limit = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let grower = Grower {
            columns: &columns,
            classes: &classes,
            class_weights: &class_weights,
            bootstrap: self.bootstrap,
            max_features,
            max_depth: self.max_depth.unwrap_or(usize::MAX),
            min_samples_split: rows_limit(self.min_samples_split),
            min_samples_leaf: rows_limit(self.min_samples_leaf),
        };
        let (trees, importances) = self.grow_trees(&grower, &pool, cx)?;
        let forest = Forest::new(n_features, class_weights.len(), trees).map_err(LearnError::Model)?;
        Ok((forest, importances))
    }

    /// Grows all trees and gives them in order, with the mean of their importances.
    fn grow_trees(
        &self,
        grower: &Grower<'_>,
        pool: &rayon::ThreadPool,
        cx: &mut FitContext<'_>,
    ) -> Result<(Vec<Tree>, Vec<f64>), LearnError> {
        let total = self.n_estimators;
        let rng = Rng::new(self.seed);
        let (stop, is_abandoned) = (cx.stop(), AtomicBool::new(false));
        let is_wanted = || {
            let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
            !is_set(&is_abandoned) && !stop.is_some_and(is_set)
        };
        let grow = |tree: usize| grower.grow(rng.fork(tree as u64), tree_units(tree, total), is_wanted);

        let mut grown: Vec<Option<Grown>> = Vec::new();
        grown.resize_with(total, || None);
        let (sender, receiver) = mpsc::channel();
        // The trees grow in the pool while this thread, which alone may call back, waits for them.
        pool.in_place_scope(|scope| {
            for tree in 0..total {
                let (sender, grow) = (sender.clone(), &grow);
                scope.spawn(move |_| {
                    // Nobody listens once the fit is abandoned.
                    sender.send((tree, grow(tree))).ok();
                });
            }
            drop(sender);
            for (done, (tree, result)) in (1..).zip(&receiver) {
                grown[tree] = result;
                cx.report(Progress::Trees { done, total })
                    .inspect_err(|_| is_abandoned.store(true, Ordering::Relaxed))?;
            }
            Ok(())
        })?;

        let mut trees = Vec::with_capacity(total);
        let mut importances = vec![0.0; grower.columns.len()];
        for grown in grown {
            let Grown { tree, importances: of_tree } = grown.ok_or(LearnError::Stopped)?;
            importances.iter_mut().zip(of_tree).for_each(|(sum, x)| *sum += x);
            trees.push(tree);
        }
        normalise(&mut importances);
        Ok((trees, importances))
    }
}

/// Threads of this fit alone: a program's global pool is its own affair. No more than there are trees to share out.
fn thread_pool(n_threads: NonZeroUsize, n_trees: usize) -> Result<rayon::ThreadPool, LearnError> {
    let n_threads = n_threads.get().min(n_trees);
    rayon::ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .thread_name(|i| format!("forest-{i}"))
        .build()
        .map_err(|source| LearnError::Threads { n_threads, source })
}

#[cfg(test)]
mod tests;
