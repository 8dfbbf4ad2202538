//! Trees of forests that do not fit [`narrow`](super::narrow): twelve bytes a node, and any number of thresholds, category
//! sets, features and nodes.
//!
//! Nodes stand as in [`Tree::arrangement`]: the root, then pairs of siblings, so that one index leads to both.

use std::collections::HashMap;

use super::shares::{LeafNumbers, LeafTable, probability};
use super::tree::category_code;
use super::{CategorySet, Node, Test, Tree};

/// Most nodes of a forest and one more than the largest feature.
pub(super) const MAX_NODES: usize = 1 << 31;
pub(super) const MAX_FEATURES: usize = 1 << 29;

const LEAF: u32 = 1 << 31;
const IS_SET: u32 = 1 << 30;
const MISSING_LEFT: u32 = 1 << 29;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WideNode {
    /// [`LEAF`], [`IS_SET`], [`MISSING_LEFT`], and the feature below them.
    pub(super) test: u32,
    /// Bits of the threshold, index of the set, or number of the leaf.
    pub(super) value: u32,
    /// The left child, before the right one; a leaf's own place. Counted over all trees.
    pub(super) left: u32,
}

impl WideNode {
    pub(super) fn is_leaf(self) -> bool {
        self.test & LEAF != 0
    }

    /// Whether a leaf has nothing but its number.
    pub(super) fn is_plain_leaf(self) -> bool {
        self.test == LEAF
    }

    pub(super) fn is_set(self) -> bool {
        self.test & IS_SET != 0
    }

    pub(super) fn feature(self) -> u32 {
        self.test & (MISSING_LEFT - 1)
    }

    fn missing_left(self) -> bool {
        self.test & MISSING_LEFT != 0
    }

    pub(super) fn threshold(self) -> f32 {
        f32::from_bits(self.value)
    }
}

/// Paths walked at once, and levels between two looks whether all have ended: measured on a forest of NSL-KDD.
const LANES: usize = 10;
const LEVELS: usize = 3;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wide {
    pub(super) nodes: Vec<WideNode>,
    /// First node of each tree.
    pub(super) roots: Vec<u32>,
    /// The different category sets, in the order of the nodes that first ask for them.
    pub(super) sets: Vec<CategorySet>,
}

impl Wide {
    /// The trees in this form, at most [`MAX_NODES`] nodes and [`MAX_FEATURES`] features.
    pub(super) fn new(n_classes: usize, trees: &[Tree]) -> (Self, LeafTable) {
        let mut leaves = LeafNumbers::new(n_classes);
        let mut numbers = HashMap::new();
        let mut wide = Self { nodes: Vec::new(), roots: Vec::new(), sets: Vec::new() };
        for tree in trees {
            let root = wide.nodes.len() as u32;
            wide.roots.push(root);
            let order = tree.arrangement();
            let mut place = vec![0; order.len()];
            for (at, &node) in (root..).zip(&order) {
                place[node as usize] = at;
            }
            for (at, &node) in (root..).zip(&order) {
                wide.nodes.push(match tree.nodes()[node as usize] {
                    Node::Leaf(leaf) => {
                        let value = leaves.number(tree.leaf(leaf, n_classes));
                        WideNode { test: LEAF, value, left: at }
                    }
                    Node::Split { feature, test, missing_left, left, .. } => {
                        let (kind, value) = match test {
                            // 0 and -0 are one threshold.
                            Test::AtMost(t) => (0, (t + 0.0).to_bits()),
                            Test::In(set) => {
                                let next = numbers.len() as u32;
                                (IS_SET, *numbers.entry(set).or_insert(next))
                            }
                        };
                        if value as usize == wide.sets.len()
                            && let Test::In(set) = test
                        {
                            wide.sets.push(set);
                        }
                        let missing = if missing_left { MISSING_LEFT } else { 0 };
                        WideNode { test: feature | kind | missing, value, left: place[left as usize] }
                    }
                });
            }
        }
        (wide, leaves.into_table())
    }

    pub(super) fn n_trees(&self) -> usize {
        self.roots.len()
    }

    /// The places of tree `i` among the nodes.
    pub(super) fn range(&self, i: usize) -> std::ops::Range<usize> {
        let end = self.roots.get(i + 1).map_or(self.nodes.len(), |&root| root as usize);
        self.roots[i] as usize..end
    }

    /// The nodes of tree `i` with their leaves.
    pub(super) fn tree(&self, i: usize, leaves: &LeafTable) -> Tree {
        let mut shares = Vec::new();
        let mut n_leaves = 0;
        let range = self.range(i);
        let root = range.start as u32;
        let nodes = self.nodes[range].iter().map(|node| {
            if node.is_leaf() {
                shares.extend(leaves.units(node.value).iter().map(|&units| probability(units)));
                n_leaves += 1;
                return Node::Leaf(n_leaves - 1);
            }
            let test =
                if node.is_set() { Test::In(self.sets[node.value as usize]) } else { Test::AtMost(node.threshold()) };
            let left = node.left - root;
            Node::Split { feature: node.feature(), test, missing_left: node.missing_left(), left, right: left + 1 }
        });
        let nodes = nodes.collect();
        Tree::new(nodes, shares)
    }

    /// Adds what every tree hands to the row `x`, except for the first of two classes.
    pub(super) fn add_row(&self, leaves: &LeafTable, x: &[f32], out: &mut [f32]) {
        for roots in self.roots.chunks(LANES) {
            // Lanes without a tree walk the last one again.
            let mut at = [roots[roots.len() - 1]; LANES];
            at[..roots.len()].copy_from_slice(roots);
            loop {
                let before = at;
                for _ in 0..LEVELS {
                    for at in &mut at {
                        *at = self.next(*at, x);
                    }
                }
                if at == before {
                    break;
                }
            }
            let reached = at.map(|at| self.nodes[at as usize].value);
            leaves.add(&reached[..roots.len()], out);
        }
    }

    /// The node after `at` for the row `x`; a leaf itself.
    #[inline(always)]
    fn next(&self, at: u32, x: &[f32]) -> u32 {
        let node = self.nodes[at as usize];
        // A leaf's feature is 0, and what is found there does not matter.
        let value = x[node.feature() as usize];
        let holds = if node.is_set() {
            category_code(value).is_some_and(|code| self.sets[node.value as usize].contains(code))
        } else {
            value <= node.threshold()
        };
        let goes_left = holds | (value.is_nan() & node.missing_left()) | node.is_leaf();
        node.left + u32::from(!goes_left)
    }
}
