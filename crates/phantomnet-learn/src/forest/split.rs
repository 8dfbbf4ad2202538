//! The best split of a node by one feature, and what comes of it.
//!
//! Numbers and categories go through the same scan: each prefix of a feature's groups, which are in order of rank, is tried
//! as the left child, with the missing values left and then right. Last, all groups against the missing values. So the
//! split found is the best threshold of a number that parts two bins, and of a category the best cut of its codes in the
//! tree's order. With two classes, in the order of the class's share, and in a node that holds the training rows as they
//! are, that is the best of all subsets (Fisher 1958; Breiman et al., *Classification and Regression Trees*, 1984, section
//! 4.2).

use phantomnet_model::{CategorySet, Test};

use super::binning::{MISSING, Values, threshold_between};
use super::criterion::Score;
use super::groups::{CodeOrder, Groups};
use super::tally::{Layout, add, subtract};
use crate::rng::SplitMix;

/// Which groups make the left child.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    /// Number of groups.
    pub(super) len: usize,
    /// Whether the missing values go with them.
    pub(super) with_missing: bool,
    pub(super) score: f64,
    /// Where among the values to cut, if that is not half-way between two groups.
    pub(super) at: Option<f32>,
}

/// Finds cuts; its buffers are kept from node to node.
#[derive(Debug)]
pub(super) struct Cutter {
    layout: Layout,
    /// Rows that a child needs.
    min_samples_leaf: u32,
    left: Vec<u64>,
    left_and_missing: Vec<u64>,
    right: Vec<u64>,
}

impl Cutter {
    pub(super) fn new(layout: Layout, min_samples_leaf: u32) -> Self {
        let tally = vec![0; layout.n_words];
        Self { layout, min_samples_leaf, left: tally.clone(), left_and_missing: tally.clone(), right: tally }
    }

    /// The best cut. Of equal scores the shorter prefix, which is the lower threshold, is taken, then the one with missing
    /// values in it.
    ///
    /// - `node`: tally of the node, the sum over `groups`.
    ///
    /// `None` when no cut leaves `min_samples_leaf` rows on both sides. A cut that takes no impurity away counts: the next
    /// level may (exclusive or). O(groups · classes).
    pub(super) fn best<S: Score>(&mut self, groups: &Groups, node: &[u64], score: &S) -> Option<Cut> {
        if self.layout.n_words == 1 && !groups.has_missing {
            return best_of_one_word(groups, node[0], score);
        }
        let n_groups = groups.ranks.len();
        let mut best = None;
        self.left.fill(0);
        for len in 1..=n_groups {
            add(&mut self.left, groups.tally(len - 1));
            self.consider(groups, node, len, score, &mut best);
        }
        best
    }

    /// A cut drawn at random: numbers anywhere between the smallest and the largest of the node, categories between any two
    /// places. Missing values go where that is better; if there is nothing else to part, they are parted from the rest.
    pub(super) fn random<S: Score>(
        &mut self,
        groups: &Groups,
        values: &Values,
        node: &[u64],
        score: &S,
        rng: &mut SplitMix,
    ) -> Option<Cut> {
        let n_groups = groups.ranks.len();
        let (len, at) = if n_groups < 2 { (n_groups, None) } else { draw(groups, values, rng) };
        self.left.fill(0);
        (0..len).for_each(|group| add(&mut self.left, groups.tally(group)));
        let mut best = None;
        if len > 0 {
            self.consider(groups, node, len, score, &mut best);
        }
        best.map(|cut| Cut { at, ..cut })
    }

    /// Tries the first `len` groups, whose tally is `self.left`, without and with the missing values.
    fn consider<S: Score>(&mut self, groups: &Groups, node: &[u64], len: usize, score: &S, best: &mut Option<Cut>) {
        let is_all = len == groups.ranks.len();
        if groups.has_missing && !is_all {
            self.left_and_missing.copy_from_slice(groups.missing());
            add(&mut self.left_and_missing, &self.left);
            let cut = Cut { len, with_missing: true, score: 0.0, at: None };
            keep_better(
                self.layout,
                self.min_samples_leaf,
                &self.left_and_missing,
                &mut self.right,
                node,
                score,
                cut,
                best,
            );
        }
        if groups.has_missing || !is_all {
            let cut = Cut { len, with_missing: false, score: 0.0, at: None };
            keep_better(self.layout, self.min_samples_leaf, &self.left, &mut self.right, node, score, cut, best);
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "the buffers of one caller, which cannot lend itself twice")]
fn keep_better<S: Score>(
    layout: Layout,
    min_samples_leaf: u32,
    left: &[u64],
    right: &mut [u64],
    node: &[u64],
    score: &S,
    cut: Cut,
    best: &mut Option<Cut>,
) {
    right.copy_from_slice(node);
    subtract(right, left);
    if layout.counts_rows && layout.n_rows(left).min(layout.n_rows(right)) < min_samples_leaf {
        return;
    }
    let score = score.score(left, right);
    if best.is_none_or(|best| score > best.score) {
        *best = Some(Cut { score, ..cut });
    }
}

/// The same for two classes, no limit of rows and no missing value: most of all cuts.
fn best_of_one_word<S: Score>(groups: &Groups, node: u64, score: &S) -> Option<Cut> {
    let (mut left, mut best_len, mut best_score) = (0, 0, f64::NEG_INFINITY);
    for len in 1..groups.ranks.len() {
        left += groups.tally(len - 1)[0];
        let score = score.score(&[left], &[node - left]);
        if score > best_score {
            (best_len, best_score) = (len, score);
        }
    }
    (best_len > 0).then_some(Cut { len: best_len, with_missing: false, score: best_score, at: None })
}

/// A random number of the groups, which are at least two, and for a number the threshold drawn.
fn draw(groups: &Groups, values: &Values, rng: &mut SplitMix) -> (usize, Option<f32>) {
    let n_groups = groups.ranks.len();
    let any = |rng: &mut SplitMix| (1 + rng.below(n_groups as u64 - 1) as usize, None);
    let Values::Numbers { lower, upper, .. } = values else { return any(rng) };
    let bounds = |group: usize| {
        let bin = usize::from(groups.ranks[group]);
        (f64::from(lower[bin]), f64::from(upper[bin]))
    };
    // The outer bounds of a number cut at quantiles are infinite; so may values be.
    let (first, last) = (bounds(0), bounds(n_groups - 1));
    let from = if first.0.is_finite() { first.0 } else { first.1 };
    let to = if last.1.is_finite() { last.1 } else { last.0 };
    if !(from.is_finite() && to.is_finite() && from < to) {
        return any(rng);
    }
    let at = (from + rng.unit() * (to - from)) as f32;
    let len = (1..n_groups).rev().find(|&len| bounds(len - 1).0 <= f64::from(at)).unwrap_or(1);
    (len, Some(at))
}

/// How a node divides its rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    pub(super) feature: u32,
    /// The test of the model's node.
    pub(super) test: Test,
    pub(super) missing_left: bool,
    /// Last rank of the prefix.
    last: u8,
    /// Whether the prefix is the left child.
    pub(super) prefix_left: bool,
}

impl Split {
    /// Whether rows of this rank go left.
    #[inline]
    pub(super) fn goes_left(&self, rank: u8) -> bool {
        if rank == MISSING { self.missing_left } else { (rank <= self.last) == self.prefix_left }
    }
}

impl Split {
    /// Of a split by a number, whose prefix is the left child: a row goes left if its bin plus the first is, modulo 256, at most
    /// the second. So one comparison does for missing values, too.
    pub(super) fn shifted_last(&self) -> (u8, u8) {
        debug_assert!(self.prefix_left && self.last < MISSING);
        let shift = u8::from(self.missing_left);
        (shift, self.last + shift)
    }
}

/// The best cut of a node so far, with what is needed to make a split of it.
#[derive(Debug)]
pub(super) struct BestCut {
    pub(super) feature: u32,
    pub(super) cut: Cut,
    has_missing: bool,
    /// Last rank of the prefix, and first rank after it if there is one.
    ranks: (u8, Option<u8>),
}

impl BestCut {
    /// Notes a cut, and the tally of its prefix (with the missing values if they go with it) in `prefix`.
    pub(super) fn new(feature: u32, cut: Cut, groups: &Groups, prefix: &mut [u64]) -> Self {
        prefix.fill(0);
        (0..cut.len).for_each(|group| add(prefix, groups.tally(group)));
        if cut.with_missing {
            add(prefix, groups.missing());
        }
        let ranks = (groups.ranks[cut.len - 1], groups.ranks.get(cut.len).copied());
        Self { feature, cut, has_missing: groups.has_missing, ranks }
    }

    /// The split. The threshold of a number is the one between two bins that is nearest to the place drawn or, if none was, to
    /// the middle between the node's values on either side, so that a forest never has more thresholds of a feature than that has bins: what makes it small and
    /// quick to walk. Missing values, where the node has none, go to the heavier child; so do codes that no training row has.
    ///
    /// - `weights`: of the prefix and of the rest.
    pub(super) fn split(&self, values: &Values, order: Option<&CodeOrder>, weights: (f64, f64)) -> Split {
        let (feature, with_missing) = (self.feature, self.cut.with_missing);
        let (last, Some(next)) = self.ranks else {
            // An unseen category is not missing, so this threshold says the right thing of categories too.
            let test = Test::AtMost(f32::INFINITY);
            return Split { feature, test, missing_left: false, last: MISSING - 1, prefix_left: true };
        };
        match (values, order) {
            (Values::Numbers { lower, upper, cuts }, _) => {
                let (from, to) = (upper[usize::from(last)], lower[usize::from(next)]);
                let at = self.cut.at.unwrap_or_else(|| threshold_between(from, to));
                let threshold = nearest(&cuts[usize::from(last)..usize::from(next)], at);
                let missing_left = if self.has_missing { with_missing } else { weights.0 >= weights.1 };
                Split { feature, test: Test::AtMost(threshold), missing_left, last, prefix_left: true }
            }
            (Values::Codes(_), order) => {
                // Codes that the node has not met are shared out half-way, as values between two numbers are.
                let last = last + (next - last) / 2;
                let n_bins = values.n_bins();
                // The lighter child is the set, so that codes no training row has go to the heavier one.
                let prefix_left = weights.0 <= weights.1;
                let in_set = if prefix_left { 0..usize::from(last) + 1 } else { usize::from(last) + 1..n_bins };
                let mut set = CategorySet::default();
                for place in in_set {
                    let bin = order.map_or(place as u8, |order| order.bins[place]);
                    values.codes_of(bin).iter().for_each(|&code| set.insert(code));
                }
                let missing_left = if self.has_missing { with_missing == prefix_left } else { weights.0 == weights.1 };
                Split { feature, test: Test::In(set), missing_left, last, prefix_left }
            }
        }
    }
}

/// Of ascending numbers, which there are, the one nearest to `x`; of two the lower.
fn nearest(sorted: &[f32], x: f32) -> f32 {
    let above = sorted.partition_point(|&cut| cut < x);
    // As f32 they would be rounded.
    let distance = |cut: f32| (f64::from(cut) - f64::from(x)).abs();
    match (above.checked_sub(1).map(|below| sorted[below]), sorted.get(above)) {
        (Some(below), Some(&above)) if distance(below) <= distance(above) => below,
        (Some(below), None) => below,
        (_, Some(&above)) => above,
        (None, None) => x,
    }
}

#[cfg(test)]
mod tests;
