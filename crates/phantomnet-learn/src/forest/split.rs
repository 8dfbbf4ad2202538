//! The best split of a node by one feature.
//!
//! The Gini impurity of a node with class weights `w_c` and sum `w` is `1 − Σ (w_c/w)²`. The impurity that a split takes
//! away, times `w`, is `P(left) + P(right) − P(node)` with the *purity* `P = Σ w_c² / w`; so the best split is the one with
//! the largest *score* `P(left) + P(right)`.
//!
//! Numbers and categories go through the same scan: each prefix of a feature's groups, which are in order of rank, is tried
//! as the left child, with the missing values left and then right. Last, all groups against the missing values. So the
//! split found is the best threshold of a number, and of a category the best cut of its codes in
//! [`code_order`](super::code_order). At two classes, and in a node that holds the training rows as they are, that is the
//! best of all subsets (Fisher 1958; Breiman et al., *Classification and Regression Trees*, 1984, section 4.2); elsewhere a
//! subset may take more impurity away here, and say less of other rows.

use phantomnet_model::{CategorySet, Test};

use super::groups::Groups;
use super::ranks::{MISSING, RankedColumn, Values, threshold_between};

/// How a node divides its rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    pub(super) feature: u32,
    /// Last rank of the prefix.
    last: u32,
    /// Whether the prefix is the left child.
    prefix_left: bool,
    /// The test of the model's node.
    pub(super) test: Test,
    pub(super) missing_left: bool,
    /// `P(left) + P(right)`.
    pub(super) score: f64,
}

impl Split {
    /// Whether a row of this rank goes left.
    pub(super) fn goes_left(&self, rank: u32) -> bool {
        match rank {
            MISSING => self.missing_left,
            _ => (rank <= self.last) == self.prefix_left,
        }
    }

    /// Whether this split is to be taken instead of another of the same node: by score, then the lower feature.
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        self.score > other.score || (self.score == other.score && self.feature < other.feature)
    }
}

/// Class weights of a tally: their sum `w`.
fn weight(tally: &[u32], class_weights: &[f64]) -> f64 {
    tally[1..].iter().zip(class_weights).map(|(&n, w)| f64::from(n) * w).sum()
}

/// `Σ w_c² / w` of a tally that is not empty.
pub(super) fn purity(tally: &[u32], class_weights: &[f64]) -> f64 {
    let (mut sum, mut squares) = (0.0, 0.0);
    for (&n, w) in tally[1..].iter().zip(class_weights) {
        let class = f64::from(n) * w;
        sum += class;
        squares += class * class;
    }
    squares / sum
}

/// The first groups as the left child.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Prefix {
    len: usize,
    missing_left: bool,
    score: f64,
}

/// Chooses splits; its buffers are kept from node to node.
#[derive(Debug)]
pub(super) struct Splitter<'a> {
    class_weights: &'a [f64],
    min_samples_leaf: u32,
    left: Vec<u32>,
    left_and_missing: Vec<u32>,
    right: Vec<u32>,
}

impl<'a> Splitter<'a> {
    /// A splitter for nodes whose classes weigh `class_weights` and whose children need so many rows each.
    pub(super) fn new(class_weights: &'a [f64], min_samples_leaf: u32) -> Self {
        let tally = vec![0; 1 + class_weights.len()];
        Self { class_weights, min_samples_leaf, left: tally.clone(), left_and_missing: tally.clone(), right: tally }
    }

    /// The best split by one feature. Of equal scores the shorter prefix, which is the lower threshold, is taken, then the
    /// one with missing values in it.
    ///
    /// - `groups`: the node's rows by the ranks of `column`.
    /// - `node`: tally of the node, the sum over `groups`.
    ///
    /// `None` when no split leaves `min_samples_leaf` rows on both sides. A split that takes no impurity away counts: the
    /// next level may (exclusive or). O(groups · classes).
    pub(super) fn best(&mut self, feature: u32, column: &RankedColumn, groups: &Groups, node: &[u32]) -> Option<Split> {
        let prefix = self.best_prefix(groups, node)?;
        let ranks = groups.ranks();
        let (last, prefix_left, test, missing_left) = if prefix.len == ranks.len() {
            // An unseen category is not missing, so this threshold says the right thing of categories too.
            (MISSING - 1, true, Test::AtMost(f32::INFINITY), false)
        } else {
            let (left, right) = self.child_weights(groups, node, prefix);
            let (last, next) = (ranks[prefix.len - 1], ranks[prefix.len]);
            match &column.values {
                Values::Numbers(distinct) => {
                    let test = Test::AtMost(threshold_between(distinct[last as usize], distinct[next as usize]));
                    (last, true, test, if groups.has_missing() { prefix.missing_left } else { left >= right })
                }
                Values::Codes(codes) => {
                    // Codes that the node has not met are shared out half-way, as values between two numbers are.
                    let last = last + (next - last) / 2;
                    let (first_codes, other_codes) = codes.split_at(last as usize + 1);
                    // The lighter child is the set, so that codes no training row has go to the heavier one.
                    let prefix_left = left <= right;
                    let mut set = CategorySet::default();
                    (if prefix_left { first_codes } else { other_codes }).iter().for_each(|&code| set.insert(code));
                    let missing_left =
                        if groups.has_missing() { prefix.missing_left == prefix_left } else { left == right };
                    (last, prefix_left, Test::In(set), missing_left)
                }
            }
        };
        Some(Split { feature, last, prefix_left, test, missing_left, score: prefix.score })
    }

    fn best_prefix(&mut self, groups: &Groups, node: &[u32]) -> Option<Prefix> {
        let (class_weights, min_samples_leaf) = (self.class_weights, self.min_samples_leaf);
        let right = &mut self.right;
        let mut best: Option<Prefix> = None;
        let mut consider = |left: &[u32], len, missing_left| {
            for ((right, node), left) in right.iter_mut().zip(node).zip(left) {
                *right = node - left;
            }
            if left[0] < min_samples_leaf || right[0] < min_samples_leaf {
                return;
            }
            let score = purity(left, class_weights) + purity(right, class_weights);
            if best.is_none_or(|best| score > best.score) {
                best = Some(Prefix { len, missing_left, score });
            }
        };
        self.left.fill(0);
        let n_groups = groups.ranks().len();
        for len in 1..=n_groups {
            add(&mut self.left, groups.tally(len - 1));
            if groups.has_missing() && len < n_groups {
                self.left_and_missing.copy_from_slice(groups.missing());
                add(&mut self.left_and_missing, &self.left);
                consider(&self.left_and_missing, len, true);
            }
            if groups.has_missing() || len < n_groups {
                consider(&self.left, len, false);
            }
        }
        best
    }

    /// Weights of the children of a prefix, the missing values counted where they go.
    fn child_weights(&mut self, groups: &Groups, node: &[u32], prefix: Prefix) -> (f64, f64) {
        self.left.fill(0);
        for group in 0..prefix.len {
            add(&mut self.left, groups.tally(group));
        }
        if prefix.missing_left {
            add(&mut self.left, groups.missing());
        }
        for ((right, node), left) in self.right.iter_mut().zip(node).zip(&self.left) {
            *right = node - left;
        }
        (weight(&self.left, self.class_weights), weight(&self.right, self.class_weights))
    }
}

fn add(tally: &mut [u32], other: &[u32]) {
    for (n, other) in tally.iter_mut().zip(other) {
        *n += other;
    }
}

#[cfg(test)]
mod tests;
