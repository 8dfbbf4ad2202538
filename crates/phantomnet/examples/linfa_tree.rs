//! How do I bring a learner of another crate, and have it cross-validated, judged, tracked and saved like ours?
//!
//! Implement `Learner`. Here linfa's decision tree, whose nodes fit into our `Forest`, so that the model is saved as ONNX
//! and `phantomnet predict` scores with it. A model of another shape implements `Model` itself.
//!
//! ```sh
//! cargo run --release --example linfa_tree -- data/sample_events.csv
//! ```

#![allow(clippy::print_stderr, reason = "an example speaks for itself")]

use std::process::ExitCode;

use linfa::traits::Fit as _;
use linfa_trees::{DecisionTree, TreeNode};
use ndarray::{Array1, Array2};
use phantomnet::failure::{Failure, render};
use phantomnet::{cli, pipeline, signals::StopSignal};
use phantomnet_learn::{Fit, FitContext, LearnError, Learner};
use phantomnet_model::{Dataset, Forest, Node, Test, Tree, leaf_probabilities, tree_units};

/// linfa's tree takes no missing values: they become less than every other value.
const MISSING: f32 = f32::MIN;

/// One decision tree (Gini), by linfa.
#[derive(Debug)]
struct LinfaTree {
    max_depth: usize,
}

impl Learner for LinfaTree {
    fn name(&self) -> &str {
        "linfa_tree"
    }

    fn params(&self) -> Vec<(String, String)> {
        vec![("max_depth".into(), self.max_depth.to_string())]
    }

    fn check(&self) -> Result<(), LearnError> {
        Ok(())
    }

    fn fit(&self, data: &Dataset, rows: &[u32], cx: &mut FitContext<'_>) -> Result<Fit, LearnError> {
        let n_classes = cx.class_counts(data, rows)?.len();
        let value = |(i, j): (usize, usize)| {
            let x = data.column(j)[rows[i] as usize];
            if x.is_nan() { MISSING } else { x }
        };
        let records = Array2::from_shape_fn((rows.len(), data.n_features()), value);
        let labels: Array1<usize> = rows.iter().map(|&r| data.labels()[r as usize] as usize).collect();
        let tree = DecisionTree::params()
            .max_depth(Some(self.max_depth))
            .fit(&linfa::Dataset::new(records, labels))
            .map_err(|e| LearnError::Fit { learner: self.name().to_owned(), source: Box::new(e) })?;

        let (mut nodes, mut leaves) = (Vec::new(), Vec::new());
        copy(tree.root_node(), n_classes, &mut nodes, &mut leaves);
        let forest =
            Forest::new(data.n_features(), n_classes, vec![Tree::new(nodes, leaves)]).map_err(LearnError::Model)?;
        let importances = tree.feature_importance().into_iter().map(f64::from).collect();
        Ok(Fit { model: Box::new(forest), importances: Some(importances), oob: None, warnings: Vec::new() })
    }
}

/// Copies a linfa node and those below it; gives its index.
fn copy(node: &TreeNode<f32, usize>, n_classes: usize, nodes: &mut Vec<Node>, leaves: &mut Vec<f32>) -> u32 {
    let index = nodes.len();
    let leaf = (leaves.len() / n_classes) as u32;
    nodes.push(Node::Leaf(leaf));
    if let [Some(left), Some(right)] = node.children()[..] {
        let (feature, value, _) = node.split();
        let left = copy(left, n_classes, nodes, leaves);
        let right = copy(right, n_classes, nodes, leaves);
        // linfa sends `x < value` left, we `x <= threshold`; a missing value, the least of all, goes left.
        let test = Test::AtMost(value.next_down());
        nodes[index] = Node::Split { feature: feature as u32, test, missing_left: true, left, right };
    } else {
        let class = node.prediction().unwrap_or(0);
        let weights: Vec<f64> = (0..n_classes).map(|c| f64::from(u8::from(c == class))).collect();
        leaf_probabilities(&weights, tree_units(0, 1), leaves);
    }
    index as u32
}

fn main() -> ExitCode {
    match run() {
        Ok(outcome) => {
            let accuracy = outcome.metrics.get("cv_accuracy_mean").unwrap_or(f64::NAN);
            eprintln!("run {} ({}): cross-validated accuracy {accuracy:.4}", outcome.run_name, outcome.run_id);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{}", render(&failure));
            failure.kind.exit_code()
        }
    }
}

fn run() -> Result<pipeline::Outcome, Failure> {
    // The flags and the configuration of `phantomnet train`, whose `[model]` this learner has no use for.
    let args = <cli::TrainArgs as clap::FromArgMatches>::from_arg_matches(
        &<cli::TrainArgs as clap::Args>::augment_args(clap::Command::new("linfa_tree")).get_matches(),
    );
    let config = args.map_err(|e| Failure::config(e.to_string()))?.resolve()?;
    pipeline::train(&config, &LinfaTree { max_depth: 8 }, &StopSignal::of_user(), &mut |_| {})
}
