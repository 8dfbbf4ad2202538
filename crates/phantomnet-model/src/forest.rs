//! A forest of classification trees.
//!
//! Vocabulary: a *node* tests one feature; rows that pass go *left*, others *right*; a *leaf* holds the tree's share
//! of each class probability. The probability of a class is the sum of its shares over all trees.
//!
//! Shares are multiples of 2⁻²⁴ and the shares of one row sum to exactly 1 over trees and classes
//! ([`tree_units`], [`leaf_probabilities`]). So every partial sum is exact in f32: trees can be added in any order, by any
//! number of threads, here or in ONNX Runtime, and give the same bits.

use crate::{Model, ModelError, onnx};

/// Number of parts a probability of 1 is cut into: 2²⁴, the integers that f32 holds exactly.
pub const PROBABILITY_UNITS: u32 = 1 << 24;

/// Most trees a forest can have: beyond, a tree's share would be too coarse (1,677 units at this limit).
pub const MAX_TREES: usize = 10_000;

/// Category codes 0..=255 as a bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CategorySet([u64; 4]);

impl CategorySet {
    /// Adds a code.
    pub fn insert(&mut self, code: u8) {
        self.0[usize::from(code >> 6)] |= 1 << (code & 63);
    }

    /// Whether the set holds a code.
    pub fn contains(&self, code: u8) -> bool {
        self.0[usize::from(code >> 6)] >> (code & 63) & 1 == 1
    }

    /// The codes, ascending.
    pub fn codes(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=255).filter(|&c| self.contains(c))
    }

    /// Number of codes.
    pub fn len(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether there is no code.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }
}

/// What a node asks of a value that is not missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Test {
    /// `x <= threshold`; the threshold is not NaN.
    AtMost(f32),
    /// The category code is in the set. A code that is not a whole number from 0 to 255 is in no set.
    In(CategorySet),
}

/// A node of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node {
    /// Sends a row left if the test holds, right otherwise.
    Split {
        /// Index of the feature.
        feature: u32,
        /// The test.
        test: Test,
        /// Where a missing value goes.
        missing_left: bool,
        /// Index of the left child, greater than this node's own.
        left: u32,
        /// Index of the right child, greater than this node's own.
        right: u32,
    },
    /// The end of a path: index of the leaf in the tree's leaf values.
    Leaf(u32),
}

/// One tree: nodes with the root first, children after their parent.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    nodes: Vec<Node>,
    /// `n_leaves × n_classes` shares, leaf-major.
    leaves: Vec<f32>,
}

impl Tree {
    /// A tree of `nodes` and leaf-major `leaves`. Checked when it joins a [`Forest`].
    pub fn new(nodes: Vec<Node>, leaves: Vec<f32>) -> Self {
        Self { nodes, leaves }
    }

    /// The nodes, root first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Shares of leaf `i`, one per class.
    pub fn leaf(&self, i: u32, n_classes: usize) -> &[f32] {
        &self.leaves[i as usize * n_classes..][..n_classes]
    }

    /// The leaf that `x` reaches.
    fn leaf_of(&self, x: &[f32]) -> u32 {
        let mut at = 0;
        loop {
            match &self.nodes[at as usize] {
                Node::Leaf(leaf) => return *leaf,
                Node::Split { feature, test, missing_left, left, right } => {
                    let value = x[*feature as usize];
                    let goes_left = if value.is_nan() { *missing_left } else { test.holds(value) };
                    at = if goes_left { *left } else { *right };
                }
            }
        }
    }

    /// Checks indices and shares; gives the units that each leaf sums to, the same for all leaves of a tree.
    fn check(&self, n_features: usize, n_classes: usize) -> Result<u32, String> {
        let n_leaves = self.leaves.len() / n_classes;
        if self.nodes.is_empty() || n_leaves == 0 || !self.leaves.len().is_multiple_of(n_classes) {
            return Err(format!("{} nodes and {} leaf values", self.nodes.len(), self.leaves.len()));
        }
        for (i, node) in self.nodes.iter().enumerate() {
            match *node {
                Node::Leaf(leaf) if (leaf as usize) < n_leaves => {}
                Node::Leaf(leaf) => return Err(format!("node {i}: leaf {leaf} of {n_leaves}")),
                Node::Split { feature, test, left, right, .. } => {
                    if feature as usize >= n_features {
                        return Err(format!("node {i}: feature {feature} of {n_features}"));
                    }
                    if matches!(test, Test::AtMost(t) if t.is_nan()) {
                        return Err(format!("node {i}: threshold is not a number"));
                    }
                    let inside = |c: u32| c as usize > i && (c as usize) < self.nodes.len();
                    if !inside(left) || !inside(right) {
                        return Err(format!("node {i}: children {left} and {right} of {} nodes", self.nodes.len()));
                    }
                }
            }
        }
        let mut total = None;
        for leaf in self.leaves.chunks_exact(n_classes) {
            let mut sum = 0.0_f64;
            for &share in leaf {
                let units = f64::from(share) * f64::from(PROBABILITY_UNITS);
                if !(0.0..=f64::from(PROBABILITY_UNITS)).contains(&units) || units.fract() != 0.0 {
                    return Err(format!("leaf share {share} is not a multiple of 2^-24 from 0 to 1"));
                }
                sum += units;
            }
            if *total.get_or_insert(sum) != sum {
                return Err("leaves of one tree have different sums".into());
            }
        }
        match total {
            Some(t) if t <= f64::from(PROBABILITY_UNITS) => Ok(t as u32),
            _ => Err("leaf shares sum to more than 1".into()),
        }
    }
}

impl Test {
    /// Whether the test holds for a value that is not NaN.
    fn holds(&self, value: f32) -> bool {
        match self {
            Self::AtMost(threshold) => value <= *threshold,
            Self::In(set) => (0.0..=255.0).contains(&value) && value.fract() == 0.0 && set.contains(value as u8),
        }
    }
}

/// A checked forest.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    n_features: usize,
    n_classes: usize,
    trees: Vec<Tree>,
}

impl Forest {
    /// Checks the trees and joins them.
    ///
    /// # Errors
    /// [`ModelError::Value`] when there is no tree or more than [`MAX_TREES`], an index is out of range, a child does not follow its
    /// parent, or the shares do not sum to 1.
    pub fn new(n_features: usize, n_classes: usize, trees: Vec<Tree>) -> Result<Self, ModelError> {
        let bad = |what: String, expected: &str, got: String| {
            Err(ModelError::Value { what, expected: expected.to_owned(), got })
        };
        if n_classes < 2 {
            return bad("forest".into(), "at least two classes", n_classes.to_string());
        }
        if trees.is_empty() || trees.len() > MAX_TREES {
            return bad("forest".into(), &format!("1 to {MAX_TREES} trees"), trees.len().to_string());
        }
        let mut sum = 0_u64;
        for (i, tree) in trees.iter().enumerate() {
            match tree.check(n_features, n_classes) {
                Ok(units) => sum += u64::from(units),
                Err(got) => return bad(format!("tree {i}"), "a well-formed tree", got),
            }
        }
        if sum != u64::from(PROBABILITY_UNITS) {
            let got = format!("{sum}/2^24");
            return bad("forest".into(), "leaf shares that sum to 1 over the trees", got);
        }
        Ok(Self { n_features, n_classes, trees })
    }

    /// The trees.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }
}

impl Model for Forest {
    fn n_features(&self) -> usize {
        self.n_features
    }

    fn n_classes(&self) -> usize {
        self.n_classes
    }

    fn predict_row(&self, x: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        for tree in &self.trees {
            let shares = tree.leaf(tree.leaf_of(x), self.n_classes);
            for (sum, share) in out.iter_mut().zip(shares) {
                *sum += share;
            }
        }
    }

    fn to_onnx(&self, class_names: &[String]) -> Option<onnx::Fragment> {
        Some(onnx::forest::fragment(self, class_names))
    }
}

/// Units (2⁻²⁴) of probability that tree `i` of `n_trees` hands out: equal up to one, summing to 2²⁴.
pub fn tree_units(i: usize, n_trees: usize) -> u32 {
    let n = n_trees as u32;
    PROBABILITY_UNITS / n + u32::from((i as u32) < PROBABILITY_UNITS % n)
}

/// Shares of a leaf: `units` handed out in proportion to the class weights (finite, not negative, sum > 0) by largest
/// remainder, ties to the lower class. At most half a unit off per class when there are two.
pub fn leaf_probabilities(weights: &[f64], units: u32, out: &mut Vec<f32>) {
    let sum: f64 = weights.iter().sum();
    let exact = |w: f64| w / sum * f64::from(units);
    let mut shares: Vec<u32> = weights.iter().map(|&w| exact(w).floor() as u32).collect();
    let mut left = units.saturating_sub(shares.iter().sum());
    let mut order: Vec<usize> = (0..weights.len()).filter(|&c| weights[c] > 0.0).collect();
    order.sort_by(|&a, &b| exact(weights[b]).fract().total_cmp(&exact(weights[a]).fract()).then(a.cmp(&b)));
    for &c in order.iter().cycle() {
        if left == 0 {
            break;
        }
        shares[c] += 1;
        left -= 1;
    }
    out.extend(shares.iter().map(|&s| s as f32 / PROBABILITY_UNITS as f32));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stump(units: u32, missing_left: bool) -> Tree {
        let mut leaves = Vec::new();
        leaf_probabilities(&[3.0, 1.0], units, &mut leaves);
        leaf_probabilities(&[0.0, 2.0], units, &mut leaves);
        let split = Node::Split { feature: 0, test: Test::AtMost(1.5), missing_left, left: 1, right: 2 };
        Tree::new(vec![split, Node::Leaf(0), Node::Leaf(1)], leaves)
    }

    fn predict(forest: &Forest, x: f32) -> [f32; 2] {
        let mut out = [0.0; 2];
        forest.predict_row(&[x], &mut out);
        out
    }

    #[test]
    fn equality_goes_left_and_missing_follows_its_own_direction() {
        let forest = Forest::new(1, 2, vec![stump(PROBABILITY_UNITS, false)]).unwrap();
        assert_eq!(predict(&forest, 1.5), [0.75, 0.25]);
        assert_eq!(predict(&forest, 1.6), [0.0, 1.0]);
        assert_eq!(predict(&forest, f32::NAN), [0.0, 1.0]);
        let forest = Forest::new(1, 2, vec![stump(PROBABILITY_UNITS, true)]).unwrap();
        assert_eq!(predict(&forest, f32::NAN), [0.75, 0.25]);
    }

    #[test]
    fn shares_of_any_number_of_trees_sum_to_one_exactly() {
        for n_trees in [1, 2, 3, 7, 100, 200, 999, MAX_TREES] {
            let trees = (0..n_trees).map(|i| stump(tree_units(i, n_trees), i % 3 == 0)).collect();
            let forest = Forest::new(1, 2, trees).unwrap();
            for x in [0.0, 2.0, f32::NAN] {
                assert_eq!(predict(&forest, x).iter().sum::<f32>(), 1.0, "{n_trees} trees, x = {x}");
            }
        }
    }

    #[test]
    fn remainders_go_to_the_largest_fraction_then_the_lower_class() {
        let mut out = Vec::new();
        // 10 units over thirds: 3.33 each, the one left goes to class 0.
        leaf_probabilities(&[1.0, 1.0, 1.0], 10, &mut out);
        // 10 units over 0.25, 0.75: 2.5 and 7.5, the one left goes to class 0.
        leaf_probabilities(&[1.0, 3.0], 10, &mut out);
        let units: Vec<f32> = out.iter().map(|s| s * PROBABILITY_UNITS as f32).collect();
        assert_eq!(units, [4.0, 3.0, 3.0, 3.0, 7.0]);
    }

    #[test]
    fn sets_take_whole_codes_only() {
        let mut set = CategorySet::default();
        for code in [0, 63, 64, 255] {
            set.insert(code);
        }
        assert_eq!(set.codes().collect::<Vec<_>>(), [0, 63, 64, 255]);
        assert_eq!(set.len(), 4);
        let test = Test::In(set);
        for (value, expected) in [(0.0, true), (64.0, true), (1.0, false), (63.5, false), (-1.0, false), (1e9, false)] {
            assert_eq!(test.holds(value), expected, "{value}");
        }
    }

    #[test]
    fn malformed_trees_are_refused() {
        let ok = stump(PROBABILITY_UNITS, true);
        let with = |nodes: Vec<Node>, leaves: Vec<f32>| Forest::new(1, 2, vec![Tree::new(nodes, leaves)]);
        let split = |feature, threshold, left, right| Node::Split {
            feature,
            test: Test::AtMost(threshold),
            missing_left: true,
            left,
            right,
        };
        let leaves = ok.leaves.clone();
        let cases = [
            (vec![], leaves.clone()),
            (vec![Node::Leaf(2)], leaves.clone()),
            (vec![split(1, 0.0, 1, 2), Node::Leaf(0), Node::Leaf(1)], leaves.clone()),
            (vec![split(0, f32::NAN, 1, 2), Node::Leaf(0), Node::Leaf(1)], leaves.clone()),
            (vec![split(0, 0.0, 0, 1), Node::Leaf(0)], leaves.clone()),
            (vec![split(0, 0.0, 1, 9), Node::Leaf(0)], leaves.clone()),
            (vec![Node::Leaf(0)], vec![0.5, 0.4]),
            (vec![Node::Leaf(0)], vec![f32::NAN, 1.0]),
            (vec![Node::Leaf(0)], vec![2.0, -1.0]),
            (vec![Node::Leaf(0)], vec![1.0, 0.0, 0.5]),
            (vec![Node::Leaf(0)], vec![]),
        ];
        for (i, (nodes, leaves)) in cases.into_iter().enumerate() {
            assert!(with(nodes, leaves).is_err(), "case {i}");
        }
        assert!(Forest::new(1, 2, vec![]).is_err());
        assert!(Forest::new(1, 2, vec![ok.clone(), ok]).is_err(), "shares sum to 2");
    }
}
