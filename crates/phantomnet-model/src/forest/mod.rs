//! A forest of classification trees.
//!
//! Vocabulary: a *node* tests one feature; rows that pass go *left*, others *right*; a *leaf* holds the tree's share
//! of each class probability. The probability of a class is the sum of its shares over all trees.
//!
//! Shares are multiples of 2⁻²⁴ and the shares of one row sum to exactly 1 over trees and classes
//! ([`tree_units`], [`leaf_probabilities`]). So every partial sum is exact in f32: trees can be added in any order, by any
//! number of threads, here or in ONNX Runtime, and give the same bits.
//!
//! Learners hand over [`Tree`]s; a [`Forest`] keeps them in one of two compact forms, from which they can be listed again:
//!
//! | | bytes a node | for |
//! |---|---|---|
//! | [`narrow`] | 4 | up to 127 [`slots`] (a feature of up to 253 thresholds is one) and 131,071 nodes a tree |
//! | [`wide`] | 12 | all others |
//!
//! Which one is a matter of the trees alone, not of the machine. How narrow trees are walked is one of the machine: see [`walk`].

mod file;
mod narrow;
mod shares;
mod slots;
mod tree;
mod walk;
mod wide;

pub use shares::{PROBABILITY_UNITS, leaf_probabilities, tree_units};
pub use tree::{CategorySet, Node, Test, Tree};

use crate::{Matrix, Model, ModelError, Probabilities, onnx};
use narrow::Narrow;
use shares::LeafTable;
use walk::Engine;
use wide::Wide;

/// Most trees a forest can have: beyond, a tree's share would be too coarse (1,677 units at this limit).
pub const MAX_TREES: usize = 10_000;

/// A checked forest.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    n_features: usize,
    n_classes: usize,
    leaves: LeafTable,
    form: Form,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Narrow(Narrow),
    Wide(Wide),
}

impl Forest {
    /// Checks the trees and joins them.
    ///
    /// # Errors
    /// [`ModelError::Value`] when there is no tree or more than [`MAX_TREES`], an index is out of range, a child does not follow its
    /// parent or has another one, or the shares do not sum to 1.
    pub fn new(n_features: usize, n_classes: usize, trees: Vec<Tree>) -> Result<Self, ModelError> {
        check(n_features, n_classes, &trees)?;
        let (form, leaves) = match Narrow::new(n_features, n_classes, &trees) {
            Some((narrow, leaves)) => (Form::Narrow(narrow), leaves),
            None => {
                let (wide, leaves) = Wide::new(n_classes, &trees);
                (Form::Wide(wide), leaves)
            }
        };
        Ok(Self { n_features, n_classes, leaves, form })
    }

    /// Number of trees.
    pub fn n_trees(&self) -> usize {
        match &self.form {
            Form::Narrow(narrow) => narrow.n_trees(),
            Form::Wide(wide) => wide.n_trees(),
        }
    }

    /// Lists tree `i`: the root, then pairs of siblings, depth first; a leaf of its own for each leaf node.
    ///
    /// # Panics
    /// If there is no tree `i`.
    pub fn tree(&self, i: usize) -> Tree {
        match &self.form {
            Form::Narrow(narrow) => narrow.tree(i, &self.leaves),
            Form::Wide(wide) => wide.tree(i, &self.leaves),
        }
    }

    /// Lists the trees, one after the other.
    pub fn trees(&self) -> impl ExactSizeIterator<Item = Tree> + '_ {
        (0..self.n_trees()).map(|i| self.tree(i))
    }

    fn predict_row_with(&self, engine: Engine, x: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        match &self.form {
            Form::Narrow(narrow) => narrow.add_row(engine, &self.leaves, x, out),
            Form::Wide(wide) => wide.add_row(&self.leaves, x, out),
        }
        shares::complete(out);
    }

    fn predict_into_with(&self, engine: Engine, matrix: &Matrix, rows: &[u32], out: &mut [f32]) {
        match &self.form {
            Form::Narrow(narrow) => {
                out.fill(0.0);
                narrow.add_rows(engine, &self.leaves, matrix, rows, out);
                out.chunks_exact_mut(self.n_classes).for_each(shares::complete);
            }
            Form::Wide(_) => crate::model::predict_each(self, matrix, rows, out),
        }
    }
}

fn check(n_features: usize, n_classes: usize, trees: &[Tree]) -> Result<(), ModelError> {
    let bad =
        |what: String, expected: &str, got: String| Err(ModelError::Value { what, expected: expected.to_owned(), got });
    if n_classes < 2 {
        return bad("forest".into(), "at least two classes", n_classes.to_string());
    }
    if n_features > wide::MAX_FEATURES {
        return bad("forest".into(), "at most 2^29 features", n_features.to_string());
    }
    if trees.is_empty() || trees.len() > MAX_TREES {
        return bad("forest".into(), &format!("1 to {MAX_TREES} trees"), trees.len().to_string());
    }
    let n_nodes: usize = trees.iter().map(|tree| tree.nodes().len()).sum();
    if n_nodes > wide::MAX_NODES {
        return bad("forest".into(), "at most 2^31 nodes", n_nodes.to_string());
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
    Ok(())
}

impl Model for Forest {
    fn n_features(&self) -> usize {
        self.n_features
    }

    fn n_classes(&self) -> usize {
        self.n_classes
    }

    fn predict_row(&self, x: &[f32], out: &mut [f32]) {
        self.predict_row_with(Engine::fastest(), x, out);
    }

    fn predict_into(&self, matrix: &Matrix, rows: &[u32], out: &mut [f32]) {
        self.predict_into_with(Engine::fastest(), matrix, rows, out);
    }

    fn n_trees(&self) -> usize {
        self.n_trees()
    }

    fn predict_by_trees(&self, matrix: &Matrix, rows: &[u32], n_trees: &[usize]) -> Option<Vec<Probabilities>> {
        let mut sums = vec![0.0_f32; rows.len() * self.n_classes];
        let mut x = vec![0.0; self.n_features];
        let mut parts = Vec::with_capacity(n_trees.len());
        for (i, tree) in self.trees().enumerate() {
            for (&row, sums) in rows.iter().zip(sums.chunks_exact_mut(self.n_classes)) {
                matrix.copy_row(row as usize, &mut x);
                let leaf = tree.leaf(tree.leaf_of(&x), self.n_classes);
                // Multiples of 2^-24 up to 1: exact.
                sums.iter_mut().zip(leaf).for_each(|(sum, share)| *sum += share);
            }
            for _ in n_trees.iter().filter(|&&n| n == i + 1) {
                let mut values = sums.clone();
                for row in values.chunks_exact_mut(self.n_classes) {
                    let sum: f32 = row.iter().sum();
                    row.iter_mut().for_each(|value| *value /= sum);
                }
                parts.push(Probabilities::new(self.n_classes, values));
            }
        }
        Some(parts)
    }

    fn has_onnx(&self) -> bool {
        true
    }

    fn to_onnx(&self, class_names: &[String]) -> Option<onnx::Fragment> {
        Some(onnx::forest::fragment(self.n_classes, self.trees(), class_names))
    }
}

#[cfg(test)]
mod tests;
