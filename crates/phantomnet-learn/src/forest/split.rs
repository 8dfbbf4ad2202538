//! The best split of a node by one feature.
//!
//! The Gini impurity of a node with class weights `w_c` and sum `w` is `1 − Σ (w_c/w)²`. The impurity that a split takes
//! away, times `w`, is `P(left) + P(right) − P(node)` with the *purity* `P = Σ w_c² / w`; so the best split is the one with
//! the largest *score* `P(left) + P(right)`.
//!
//! Numbers and categories go through the same scan: the groups of a feature are put in an order, and each prefix of it
//! is tried as the left child, with the missing values left and then right. Last, all groups against the missing values.
//! Numbers are ordered by value. Categories are ordered by the share of the node's most frequent class, which contains the
//! best of all subsets when the node has two classes (Fisher 1958; Breiman et al., *Classification and Regression Trees*,
//! 1984, section 4.2) and is a good guess with more.

use phantomnet_model::{CategorySet, Test};

use super::groups::Groups;
use super::ranks::{MISSING, RankedColumn, Values, threshold_between};

/// How a node divides its rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    pub(super) feature: u32,
    cut: Cut,
    pub(super) missing_left: bool,
    /// `P(left) + P(right)`.
    pub(super) score: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    /// Ranks up to `rank`, which are the values up to `threshold`.
    AtMost {
        rank: u32,
        threshold: f32,
    },
    In(CategorySet),
}

impl Split {
    /// Whether a row of this rank goes left.
    pub(super) fn goes_left(&self, rank: u32) -> bool {
        match (rank, &self.cut) {
            (MISSING, _) => self.missing_left,
            (_, Cut::AtMost { rank: last, .. }) => rank <= *last,
            (_, Cut::In(set)) => set.contains(rank as u8),
        }
    }

    /// The test of the model's node.
    pub(super) fn test(&self) -> Test {
        match self.cut {
            Cut::AtMost { threshold, .. } => Test::AtMost(threshold),
            Cut::In(set) => Test::In(set),
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

/// The first groups of an order as the left child.
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
    order: Vec<u32>,
    left: Vec<u32>,
    left_and_missing: Vec<u32>,
    right: Vec<u32>,
}

impl<'a> Splitter<'a> {
    /// A splitter for nodes whose classes weigh `class_weights` and whose children need so many rows each.
    pub(super) fn new(class_weights: &'a [f64], min_samples_leaf: u32) -> Self {
        let tally = vec![0; 1 + class_weights.len()];
        Self {
            class_weights,
            min_samples_leaf,
            order: Vec::new(),
            left: tally.clone(),
            left_and_missing: tally.clone(),
            right: tally,
        }
    }

    /// The best split by one feature. Of equal scores the shorter prefix, which is the lower threshold, is taken, then the
    /// one with missing values left.
    ///
    /// - `groups`: the node's rows by the ranks of `column`.
    /// - `node`: tally of the node, the sum over `groups`.
    ///
    /// `None` when no split leaves `min_samples_leaf` rows on both sides. A split that takes no impurity away counts: the
    /// next level may (exclusive or). O(groups · classes), and for categories the time to sort them.
    pub(super) fn best(&mut self, feature: u32, column: &RankedColumn, groups: &Groups, node: &[u32]) -> Option<Split> {
        self.order.clear();
        self.order.extend(0..groups.ranks().len() as u32);
        if let Values::Codes(_) = column.values {
            self.order_categories(groups, node);
        }
        let prefix = self.best_prefix(groups, node)?;
        let (cut, missing_left) = match &column.values {
            // An unseen category is not missing, so this threshold says the right thing of categories too.
            _ if prefix.len == self.order.len() => (Cut::AtMost { rank: MISSING - 1, threshold: f32::INFINITY }, false),
            Values::Numbers(distinct) => self.cut_numbers(distinct, groups, node, prefix),
            Values::Codes(_) => self.cut_categories(groups, node, prefix),
        };
        Some(Split { feature, cut, missing_left, score: prefix.score })
    }

    /// Orders the groups by the share of the node's most frequent class, ties by code.
    fn order_categories(&mut self, groups: &Groups, node: &[u32]) {
        let class_weights = self.class_weights;
        let weight_in_node = |class: usize| f64::from(node[1 + class]) * class_weights[class];
        let most_frequent =
            (1..class_weights.len()).fold(0, |best, c| if weight_in_node(c) > weight_in_node(best) { c } else { best });
        let share = |group: u32| {
            let tally = groups.tally(group as usize);
            f64::from(tally[1 + most_frequent]) * class_weights[most_frequent] / weight(tally, class_weights)
        };
        self.order.sort_by(|&a, &b| share(a).total_cmp(&share(b)));
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
        for (i, &group) in self.order.iter().enumerate() {
            add(&mut self.left, groups.tally(group as usize));
            let len = i + 1;
            if groups.has_missing() && len < self.order.len() {
                self.left_and_missing.copy_from_slice(groups.missing());
                add(&mut self.left_and_missing, &self.left);
                consider(&self.left_and_missing, len, true);
            }
            if groups.has_missing() || len < self.order.len() {
                consider(&self.left, len, false);
            }
        }
        best
    }

    /// Weights of the children of a prefix, the missing values counted where they go.
    fn child_weights(&mut self, groups: &Groups, node: &[u32], prefix: Prefix) -> (f64, f64) {
        self.left.fill(0);
        for &group in &self.order[..prefix.len] {
            add(&mut self.left, groups.tally(group as usize));
        }
        if prefix.missing_left {
            add(&mut self.left, groups.missing());
        }
        for ((right, node), left) in self.right.iter_mut().zip(node).zip(&self.left) {
            *right = node - left;
        }
        (weight(&self.left, self.class_weights), weight(&self.right, self.class_weights))
    }

    /// Values up to a threshold go left. Missing values, where the node has none, go to the heavier child.
    fn cut_numbers(&mut self, distinct: &[f32], groups: &Groups, node: &[u32], prefix: Prefix) -> (Cut, bool) {
        let (left, right) = self.child_weights(groups, node, prefix);
        let ranks = groups.ranks();
        let (last, next) = (ranks[prefix.len - 1], ranks[prefix.len]);
        let threshold = threshold_between(distinct[last as usize], distinct[next as usize]);
        let missing_left = if groups.has_missing() { prefix.missing_left } else { left >= right };
        (Cut::AtMost { rank: last, threshold }, missing_left)
    }

    /// The codes of the lighter child go left, so that codes the node has not met go to the heavier child.
    fn cut_categories(&mut self, groups: &Groups, node: &[u32], prefix: Prefix) -> (Cut, bool) {
        let (left, right) = self.child_weights(groups, node, prefix);
        let (lighter, missing_left) = if left <= right {
            (&self.order[..prefix.len], prefix.missing_left)
        } else {
            (&self.order[prefix.len..], !prefix.missing_left)
        };
        let mut set = CategorySet::default();
        for &group in lighter {
            set.insert(groups.ranks()[group as usize] as u8);
        }
        (Cut::In(set), if groups.has_missing() { missing_left } else { left == right })
    }
}

fn add(tally: &mut [u32], other: &[u32]) {
    for (n, other) in tally.iter_mut().zip(other) {
        *n += other;
    }
}

#[cfg(test)]
mod tests;
