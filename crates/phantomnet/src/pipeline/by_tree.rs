//! What a forest is worth by its first trees alone: whether more trees would help.

use phantomnet_learn::metrics::evaluate;
use phantomnet_model::Model;

use super::data::Labelled;
use super::judge::{labels_of, metric_failure, metric_options};
use crate::config::Config;
use crate::failure::Failure;

/// Numbers of trees that are judged at most.
const MAX_POINTS: usize = 25;
/// Held-out rows that they are judged by at most: a curve needs no more, and the trees are walked one by one.
const MAX_ROWS: usize = 2_000;
/// Metrics that are kept.
const KEPT: [&str; 2] = ["accuracy", "log_loss"];

/// A number of trees, and the metrics of so many.
pub(super) type Point = (usize, Vec<(&'static str, f64)>);

/// Judges the first trees of a forest on the hold-out, in even steps up to all of them; nothing for a model without trees.
///
/// # Errors
/// When the configuration is wrong.
pub(super) fn judge_by_tree(config: &Config, model: &dyn Model, labelled: &Labelled) -> Result<Vec<Point>, Failure> {
    let (data, held_out) = (&labelled.dataset, &labelled.holdout.test);
    let rows: Vec<u32> = held_out.iter().copied().step_by(held_out.len().div_ceil(MAX_ROWS).max(1)).collect();
    let steps = steps(model.n_trees());
    let Some(parts) = model.predict_by_trees(data.matrix(), &rows, &steps) else { return Ok(Vec::new()) };
    let (labels, classes) = (labels_of(data, &rows), data.classes());
    let opts = metric_options(config, classes)?;
    let judged = |(n, part): (usize, phantomnet_model::Probabilities)| {
        let evaluation =
            evaluate(&labels, part.values(), &classes.names, classes.positive, opts).map_err(metric_failure)?;
        Ok((n, KEPT.iter().filter_map(|&key| Some((key, evaluation.metrics.get(key)?))).collect()))
    };
    steps.into_iter().zip(parts).map(judged).collect()
}

/// Numbers of trees, the last of them all.
fn steps(n_trees: usize) -> Vec<usize> {
    let n_points = n_trees.min(MAX_POINTS);
    (1..=n_points).map(|i| i * n_trees / n_points).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_even_and_end_with_all_trees() {
        assert_eq!(steps(3), [1, 2, 3]);
        assert_eq!(steps(0), [0; 0]);
        let many = steps(1000);
        assert_eq!((many.len(), many[0], many[24]), (25, 40, 1000));
    }
}
