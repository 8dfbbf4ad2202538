//! Grows one tree, node by node, from the root.

use phantomnet_model::{Node, Tree, leaf_probabilities};

use super::groups::{Groups, Sample, tally_of};
use super::ranks::RankedColumn;
use super::split::{Split, Splitter, purity};
use crate::rng::Rng;

/// What all trees of a forest share.
#[derive(Debug)]
pub(super) struct Grower<'a> {
    /// Features of the training rows.
    pub(super) columns: &'a [RankedColumn],
    /// Class of each training row.
    pub(super) classes: &'a [u32],
    /// Weight of each class.
    pub(super) class_weights: &'a [f64],
    /// Whether each tree gets a bootstrap sample.
    pub(super) bootstrap: bool,
    /// Features to draw for a node, at least 1.
    pub(super) max_features: usize,
    /// Deepest node that is split, the root at 0, plus 1.
    pub(super) max_depth: usize,
    /// Rows that a node needs to be split.
    pub(super) min_samples_split: u32,
    /// Rows that a child needs.
    pub(super) min_samples_leaf: u32,
}

/// A tree and what it says of the features.
#[derive(Debug)]
pub(super) struct Grown {
    pub(super) tree: Tree,
    /// Impurity that each feature took away, summing to 1; all 0 when the tree never splits.
    pub(super) importances: Vec<f64>,
}

/// A node whose rows are `samples[start..end]`, not split yet.
struct Pending {
    node: usize,
    depth: usize,
    start: usize,
    end: usize,
}

impl Grower<'_> {
    /// Grows a tree whose leaves share `units` of probability among the classes. `None` once `is_wanted` says no.
    ///
    /// Nodes are split until they are pure or a limit is reached, depth first, on an explicit stack: a tree may be as deep
    /// as it has rows.
    pub(super) fn grow(&self, mut rng: Rng, units: u32, is_wanted: impl Fn() -> bool) -> Option<Grown> {
        let n_classes = self.class_weights.len();
        let mut samples = self.samples(&mut rng);
        let mut features: Vec<u32> = (0..self.columns.len() as u32).collect();
        let mut groups = Groups::new(n_classes);
        let mut splitter = Splitter::new(self.class_weights, self.min_samples_leaf);
        let mut tally = vec![0; 1 + n_classes];
        let mut weights = vec![0.0; n_classes];
        let mut to_right = Vec::new();

        let mut nodes = vec![Node::Leaf(0)];
        let mut leaves = Vec::new();
        let mut importances = vec![0.0; self.columns.len()];
        let mut stack = vec![Pending { node: 0, depth: 0, start: 0, end: samples.len() }];
        while let Some(Pending { node, depth, start, end }) = stack.pop() {
            if !is_wanted() {
                return None;
            }
            let samples = &mut samples[start..end];
            tally.fill(0);
            tally_of(samples, &mut tally);

            let split = if depth < self.max_depth && self.may_split(&tally) {
                self.best_split(samples, &tally, &mut features, &mut groups, &mut splitter, &mut rng)
            } else {
                None
            };
            let Some(split) = split else {
                for ((weight, &n), class_weight) in weights.iter_mut().zip(&tally[1..]).zip(self.class_weights) {
                    *weight = f64::from(n) * class_weight;
                }
                nodes[node] = Node::Leaf((leaves.len() / n_classes) as u32);
                leaf_probabilities(&weights, units, &mut leaves);
                continue;
            };

            // Rounding can make the impurity taken away by a useless split slightly negative.
            importances[split.feature as usize] += (split.score - purity(&tally, self.class_weights)).max(0.0);
            let middle = start + partition(samples, &split, &self.columns[split.feature as usize].ranks, &mut to_right);
            let (left, right) = (nodes.len(), nodes.len() + 1);
            nodes[node] = Node::Split {
                feature: split.feature,
                test: split.test,
                missing_left: split.missing_left,
                left: left as u32,
                right: right as u32,
            };
            nodes.extend([Node::Leaf(0); 2]);
            stack.push(Pending { node: right, depth: depth + 1, start: middle, end });
            stack.push(Pending { node: left, depth: depth + 1, start, end: middle });
        }
        normalise(&mut importances);
        Some(Grown { tree: Tree::new(nodes, leaves), importances })
    }

    /// The rows of a tree: all, or as many drawn with replacement.
    pub(super) fn samples(&self, rng: &mut Rng) -> Vec<Sample> {
        let n_rows = self.classes.len();
        let mut counts = vec![u32::from(!self.bootstrap); n_rows];
        if self.bootstrap {
            for _ in 0..n_rows {
                counts[rng.below(n_rows as u64) as usize] += 1;
            }
        }
        let rows = (0..).zip(self.classes).zip(counts);
        rows.filter(|&(_, count)| count > 0).map(|((row, &class), count)| Sample { row, class, count }).collect()
    }

    fn may_split(&self, tally: &[u32]) -> bool {
        let is_pure = tally[1..].iter().filter(|&&n| n > 0).count() < 2;
        !is_pure && tally[0] >= self.min_samples_split && tally[0] / 2 >= self.min_samples_leaf
    }

    /// The best split among `max_features` features drawn without replacement, or more until there is one at all.
    fn best_split(
        &self,
        samples: &[Sample],
        tally: &[u32],
        features: &mut [u32],
        groups: &mut Groups,
        splitter: &mut Splitter<'_>,
        rng: &mut Rng,
    ) -> Option<Split> {
        let mut best: Option<Split> = None;
        for drawn in 0..features.len() {
            if drawn >= self.max_features && best.is_some() {
                break;
            }
            features.swap(drawn, drawn + rng.below((features.len() - drawn) as u64) as usize);
            let feature = features[drawn];
            let column = &self.columns[feature as usize];
            groups.fill(column, samples);
            if let Some(split) = splitter.best(feature, column, groups, tally)
                && best.as_ref().is_none_or(|best| split.is_better_than(best))
            {
                best = Some(split);
            }
        }
        best
    }
}

/// Puts the rows that go left first and gives their number. Keeps the rows of either side in order, so that columns are
/// read forwards.
fn partition(samples: &mut [Sample], split: &Split, ranks: &[u32], to_right: &mut Vec<Sample>) -> usize {
    to_right.clear();
    let mut n_left = 0;
    for i in 0..samples.len() {
        let sample = samples[i];
        if split.goes_left(ranks[sample.row as usize]) {
            samples[n_left] = sample;
            n_left += 1;
        } else {
            to_right.push(sample);
        }
    }
    samples[n_left..].copy_from_slice(to_right);
    n_left
}

/// Makes shares of what is not negative; leaves all zeros alone.
pub(super) fn normalise(importances: &mut [f64]) {
    let sum: f64 = importances.iter().sum();
    if sum > 0.0 {
        importances.iter_mut().for_each(|x| *x /= sum);
    }
}
