//! The baseline that every other model is compared with.

use phantomnet_model::{Dataset, Forest, Node, Tree, leaf_probabilities, tree_units};

use crate::{Fit, FitContext, LearnError, Learner};

/// Gives every row the class shares of the training rows, whatever its features say.
///
/// Its accuracy is the share of the most frequent class. scikit-learn: `DummyClassifier(strategy="prior")`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Majority;

impl Learner for Majority {
    fn name(&self) -> &str {
        "majority"
    }

    fn params(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn check(&self) -> Result<(), LearnError> {
        Ok(())
    }

    fn fit(&self, data: &Dataset, rows: &[u32], cx: &mut FitContext<'_>) -> Result<Fit, LearnError> {
        let counts: Vec<f64> = cx.class_counts(data, rows)?.iter().map(|&n| n as f64).collect();
        let mut leaf = Vec::with_capacity(counts.len());
        leaf_probabilities(&counts, tree_units(0, 1), &mut leaf);
        let tree = Tree::new(vec![Node::Leaf(0)], leaf);
        let forest = Forest::new(data.n_features(), counts.len(), vec![tree]).map_err(LearnError::Model)?;
        Ok(Fit { model: Box::new(forest), importances: None, oob: None, warnings: Vec::new() })
    }
}
