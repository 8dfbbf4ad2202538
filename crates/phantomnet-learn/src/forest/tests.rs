//! Whole fits: by hand, against the naive forest, against scikit-learn, and what holds of all of them.

mod histogram;
mod oob;
mod parity;
mod properties;
mod twin;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::*;
use crate::ClassWeight;
use crate::rng::Rng;
use phantomnet_model::{Classes, FeatureSchema, Matrix, Node, PROBABILITY_UNITS, Test, Tree};
use rstest::rstest;

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

fn classes(n: usize) -> Classes {
    match n {
        2 => Classes::boolean(),
        n => Classes { names: (0..n).map(|class| format!("class {class}")).collect(), positive: None },
    }
}

/// Columns of numbers, and a label a row.
fn numbers(columns: Vec<Vec<f32>>, labels: Vec<u32>) -> Dataset {
    let names: Vec<String> = (0..columns.len()).map(|j| format!("x{j}")).collect();
    let n_classes = labels.iter().max().map_or(2, |&max| (max as usize + 1).max(2));
    let matrix = Matrix::new(labels.len(), columns).unwrap();
    Dataset::new(Arc::new(FeatureSchema::numbers(&names)), Arc::new(classes(n_classes)), matrix, labels).unwrap()
}

fn context(n_threads: usize) -> FitContext<'static> {
    FitContext::new(NonZeroUsize::new(n_threads).unwrap())
}

fn all_rows(data: &Dataset) -> Vec<u32> {
    (0..data.n_rows() as u32).collect()
}

/// The trees that a learner grows on rows of a dataset, and the importances of its features.
fn grow_on(learner: &ForestLearner, data: &Dataset, rows: &[u32]) -> (Vec<Tree>, Vec<f64>) {
    let fitted = learner.fit_forest(data, rows, None, &mut context(1)).unwrap();
    (fitted.forest.trees().collect(), fitted.importances)
}

fn grow(learner: &ForestLearner, data: &Dataset) -> (Vec<Tree>, Vec<f64>) {
    grow_on(learner, data, &all_rows(data))
}

fn grow_tree(learner: &ForestLearner, data: &Dataset) -> Tree {
    grow(learner, data).0.swap_remove(0)
}

/// The rows that reach each node of a tree.
fn rows_of_nodes(tree: &Tree, data: &Dataset, rows: &[u32]) -> Vec<Vec<u32>> {
    let mut of_nodes = vec![Vec::new(); tree.nodes().len()];
    of_nodes[0] = rows.to_vec();
    for (i, node) in tree.nodes().iter().enumerate() {
        if let Node::Split { feature, test, missing_left, left, right } = *node {
            let goes_left = |&row: &u32| match (data.column(feature as usize)[row as usize], test) {
                (x, _) if x.is_nan() => missing_left,
                (x, Test::AtMost(threshold)) => x <= threshold,
                (x, Test::In(set)) => set.contains(x as u8),
            };
            (of_nodes[left as usize], of_nodes[right as usize]) = of_nodes[i].clone().into_iter().partition(goes_left);
        }
    }
    of_nodes
}

fn split(feature: u32, threshold: f32, missing_left: bool, left: u32) -> Node {
    Node::Split { feature, test: Test::AtMost(threshold), missing_left, left, right: left + 1 }
}

#[test]
fn exclusive_or_by_hand() {
    let data = numbers(vec![vec![0.0, 0.0, 1.0, 1.0], vec![0.0, 1.0, 0.0, 1.0]], vec![0, 1, 1, 0]);
    let (trees, importances) = grow(&ForestLearner::decision_tree(), &data);
    let nodes = [
        // Neither feature takes anything away at the root: the lower one is taken.
        split(0, 0.5, true, 1),
        split(1, 0.5, true, 3),
        split(1, 0.5, true, 5),
        Node::Leaf(0),
        Node::Leaf(1),
        Node::Leaf(2),
        Node::Leaf(3),
    ];
    assert_eq!(trees[0].nodes(), nodes);
    let leaves: Vec<&[f32]> = (0..4).map(|leaf| trees[0].leaf(leaf, 2)).collect();
    assert_eq!(leaves, [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]);
    assert_eq!(importances, [0.0, 1.0]);
}

#[test]
fn importances_by_hand() {
    // Root: 8 rows, 4 + 4, w · Gini = 8 - (16 + 16) / 8 = 4. x0 parts 4 + 1 from 0 + 3, leaving
    // 5 - (16 + 1) / 5 = 1.6: it takes 2.4. Then x1 takes the 1.6. Shares 0.6 and 0.4.
    let x0 = vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let x1 = vec![0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
    let data = numbers(vec![x0, x1], vec![0, 0, 0, 0, 1, 1, 1, 1]);
    let (_, importances) = grow(&ForestLearner::decision_tree(), &data);
    assert!((importances[0] - 0.6).abs() < 1e-12, "{importances:?}");
    assert!((importances[1] - 0.4).abs() < 1e-12, "{importances:?}");
}

#[test]
fn a_threshold_stands_between_two_values_of_the_training_rows() {
    // x1 parts class 0 at the root: purity 8 + (16 + 16) / 8 = 12, where x0 has 4 + (64 + 16) / 12 at most. In its other child
    // x0 is 0 or 10. Their middle is 5; of 2, 5.5 and 8.5, which lie between values of the training rows, 5.5 is nearest.
    let x0 = [0.0, 4.0, 7.0, 10.0].iter().flat_map(|&x| [x; 4]).collect();
    let x1 = [1.0, 0.0, 0.0, 1.0].iter().flat_map(|&x| [x; 4]).collect();
    let labels = [1, 0, 0, 2].iter().flat_map(|&label| [label; 4]).collect();
    let tree = grow_tree(&ForestLearner::decision_tree(), &numbers(vec![x0, x1], labels));
    assert_eq!(
        tree.nodes(),
        [split(1, 0.5, true, 1), Node::Leaf(0), split(0, 5.5, true, 3), Node::Leaf(1), Node::Leaf(2)]
    );
}

#[rstest]
#[case(ForestLearner { max_depth: Some(1), ..ForestLearner::decision_tree() }, 3)]
#[case(ForestLearner { max_depth: Some(2), ..ForestLearner::decision_tree() }, 7)]
#[case(ForestLearner { min_samples_split: 9, ..ForestLearner::decision_tree() }, 1)]
#[case(ForestLearner { min_samples_split: 8, ..ForestLearner::decision_tree() }, 3)]
#[case(ForestLearner { min_samples_leaf: 5, ..ForestLearner::decision_tree() }, 1)]
#[case(ForestLearner { min_samples_leaf: 4, ..ForestLearner::decision_tree() }, 3)]
#[case(ForestLearner { max_leaf_nodes: Some(2), ..ForestLearner::decision_tree() }, 3)]
#[case(ForestLearner { max_leaf_nodes: Some(7), ..ForestLearner::decision_tree() }, 13)]
// Only the last level takes impurity away: a quarter of the rows, whose Gini impurity is a half, at each node.
#[case(ForestLearner { min_impurity_decrease: 0.125, ..ForestLearner::decision_tree() }, 1)]
#[case(ForestLearner::decision_tree(), 15)]
fn limits_hold(#[case] learner: ForestLearner, #[case] n_nodes: usize) {
    // Eight rows, labels such that halving is best at no level but no worse than any other: the parity of three bits.
    let bit = |k: u32| (0..8u32).map(|i| (i >> k & 1) as f32).collect::<Vec<_>>();
    let labels = (0..8u32).map(|i| i.count_ones() % 2).collect();
    let data = numbers(vec![bit(2), bit(1), bit(0)], labels);
    assert_eq!(grow_tree(&learner, &data).nodes().len(), n_nodes);
}

#[rstest]
#[case(0.166, 3)]
#[case(0.167, 1)]
fn the_least_decrease_is_in_parts_of_the_rows(#[case] min_impurity_decrease: f64, #[case] n_nodes: usize) {
    // Two of each class. Cutting the first off leaves 3 rows of impurity 4/9: 1/2 - 3/4 · 4/9 = 1/6.
    let data = numbers(vec![vec![0.0, 1.0, 1.0, 1.0]], vec![0, 0, 1, 1]);
    let learner = ForestLearner { min_impurity_decrease, ..ForestLearner::decision_tree() };
    assert_eq!(grow_tree(&learner, &data).nodes().len(), n_nodes);
}

#[test]
fn most_impurity_goes_first_where_leaves_are_few() {
    // x0 parts 8 rows of class 0 and 2 of class 1 from 6 of class 0 and 6 of class 1. Then x1 would take 2·8·2/10 = 3.2 away on the
    // left and 2·6·6/12 = 6 on the right.
    let x0 = (0..22).map(|i| f32::from(i >= 10_u8)).collect();
    let labels: Vec<u32> = (0..22).map(|i| u32::from((8..10).contains(&i) || i >= 16)).collect();
    let mut x1: Vec<f32> = labels.iter().map(|&label| label as f32 * 2.0).collect();
    // x1 alone must not tell the classes apart at the root.
    x1[10..].iter_mut().for_each(|x| *x = 2.0 - *x);
    let tree = grow_tree(
        &ForestLearner { max_leaf_nodes: Some(3), ..ForestLearner::decision_tree() },
        &numbers(vec![x0, x1], labels),
    );
    assert_eq!(tree.nodes()[0], split(0, 0.5, false, 1));
    assert_eq!(tree.nodes()[2], split(1, 1.0, true, 3), "{tree:?}");
    assert_eq!(tree.nodes().len(), 5);
}

#[test]
fn class_weights_enter_the_leaves() {
    // One leaf with two rows of class 0 and one of class 1; balanced, both classes weigh the same.
    let data = numbers(vec![vec![1.0, 1.0, 1.0]], vec![0, 0, 1]);
    let share = |class_weight| {
        let (trees, importances) = grow(&ForestLearner { class_weight, ..ForestLearner::decision_tree() }, &data);
        assert_eq!(importances, [0.0], "no split, no importance");
        trees[0].leaf(0, 2)[0] * PROBABILITY_UNITS as f32
    };
    assert_eq!(share(ClassWeight::None), (2.0 / 3.0 * f64::from(PROBABILITY_UNITS)).round() as f32);
    for balanced in [ClassWeight::Balanced, ClassWeight::BalancedSubsample] {
        assert_eq!(share(balanced), PROBABILITY_UNITS as f32 / 2.0);
    }
    let map = ClassWeight::Map(BTreeMap::from([("attack".to_owned(), 6.0)]));
    assert_eq!(share(map), PROBABILITY_UNITS as f32 / 4.0);
}

#[test]
fn rows_without_weight_are_not_there() {
    // With 30 such rows to one that weighs, many a bootstrap would draw no other.
    let n = 32;
    let labels: Vec<u32> = (0..n).map(|i| i % 2).collect();
    let data = numbers(vec![(0..n).map(|i| i as f32).collect()], labels);
    let weights = (0..n).map(|i| f32::from(u8::from(i < 2))).collect();
    let weighted = data.clone().with_weights(weights).unwrap();
    let learner = ForestLearner { n_estimators: 20, oob_score: true, ..ForestLearner::random_forest() };
    assert_eq!(grow(&learner, &weighted), grow_on(&learner, &data, &[0, 1]));

    let refused = |weights: Vec<f32>| {
        let weighted = data.clone().with_weights(weights).unwrap();
        learner.fit(&weighted, &all_rows(&weighted), &mut context(1)).unwrap_err().to_string()
    };
    assert_eq!(refused(vec![0.0; 32]), "there is no row to learn from");
    let one_class = (0..n).map(|i| (i % 2) as f32).collect();
    assert_eq!(
        refused(one_class),
        "only class `attack` occurs in the 16 training rows; two classes at least are needed"
    );
}

#[test]
fn noise_is_not_preferred() {
    let mut rng = Rng::new(3);
    let mut noise = || (0..400).map(|_| rng.below(1000) as f32).collect::<Vec<_>>();
    let columns: Vec<Vec<f32>> = (0..6).map(|_| noise()).collect();
    let labels = columns[4].iter().map(|&x| u32::from(x > 300.0)).collect();
    let data = numbers(columns, labels);
    let (_, importances) = grow(&ForestLearner { max_depth: Some(1), ..ForestLearner::decision_tree() }, &data);
    assert_eq!(importances, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    for learner in [ForestLearner::random_forest(), ForestLearner::extra_trees()] {
        let (_, importances) = grow(&learner, &data);
        assert!(importances[4] > 0.4 && importances.iter().all(|&x| x <= importances[4]), "{importances:?}");
        assert!((importances.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}

#[test]
fn a_tree_may_be_very_deep() {
    // Each of 200 values is best cut off alone, from one end; so is each of ten more features in turn.
    let n = 2_000_u32;
    let labels: Vec<u32> = (0..n).map(|i| i % 2).collect();
    let column = |j: u32| (0..n).map(|i| i.saturating_sub(200 * j).min(200) as f32).collect();
    let data = numbers((0..10).map(column).collect(), labels.clone());
    let (trees, _) = grow(&ForestLearner::decision_tree(), &data);
    let nodes = trees[0].nodes();
    let mut depth = vec![0; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        if let Node::Split { left, right, .. } = *node {
            depth[left as usize] = depth[i] + 1;
            depth[right as usize] = depth[i] + 1;
        }
    }
    assert!(depth.iter().max() > Some(&900), "{:?}", depth.iter().max());
    let of_nodes = rows_of_nodes(&trees[0], &data, &all_rows(&data));
    for (node, rows) in nodes.iter().zip(of_nodes) {
        if let Node::Leaf(leaf) = node {
            assert!(rows.iter().all(|&row| trees[0].leaf(*leaf, 2)[labels[row as usize] as usize] == 1.0));
        }
    }
}

#[test]
fn a_node_draws_until_it_has_a_split() {
    // 49 constant features and one that tells: sqrt gives 7 draws, which would mostly see none.
    let mut columns = vec![vec![0.0; 4]; 50];
    columns[31] = vec![0.0, 0.0, 1.0, 1.0];
    let data = numbers(columns, vec![0, 0, 1, 1]);
    for kind in [ForestLearner::random_forest(), ForestLearner::extra_trees()] {
        let (trees, importances) = grow(&ForestLearner { bootstrap: false, n_estimators: 20, ..kind }, &data);
        assert!(trees.iter().all(|tree| tree.nodes().len() == 3));
        assert_eq!(importances[31], 1.0);
    }
}

#[test]
fn extra_trees_cut_anywhere_between_the_ends() {
    // Values 0 to 100, of which the lower fifth is class 0: a cut is even between 0 and 100.
    let data = numbers(vec![(0..=100).map(|i| i as f32).collect()], (0..=100).map(|i| u32::from(i >= 20)).collect());
    let learner = ForestLearner { n_estimators: 2000, max_depth: Some(1), ..ForestLearner::extra_trees() };
    let mut counts = [0_u32; 10];
    for tree in grow(&learner, &data).0 {
        let Node::Split { test: Test::AtMost(threshold), .. } = tree.nodes()[0] else { panic!("{tree:?}") };
        counts[(threshold / 10.0) as usize] += 1;
    }
    // 200 expected of each, standard deviation 13.4.
    assert!(counts.iter().all(|&n| n.abs_diff(200) < 70), "{counts:?}");
}

#[test]
fn more_trees_on_a_kept_forest_are_those_of_the_larger_forest() {
    let mut rng = Rng::new(8);
    let mut column = || (0..120).map(|_| rng.below(50) as f32).collect::<Vec<_>>();
    let data = numbers(vec![column(), column(), column()], (0..120).map(|i| i % 3).collect());
    let forest = |n_estimators| ForestLearner { n_estimators, ..ForestLearner::random_forest() };
    let fitted = forest(5).fit_forest(&data, &all_rows(&data), None, &mut context(1)).unwrap();
    let more = forest(12).fit_forest(&data, &all_rows(&data), Some(&fitted.forest), &mut context(2)).unwrap();
    let (at_once, _) = grow(&forest(12), &data);
    assert_eq!(more.forest.n_trees(), 12);
    for (i, (a, b)) in more.forest.trees().zip(&at_once).enumerate() {
        assert_eq!(a.nodes(), b.nodes(), "tree {i}");
        for leaf in a.nodes().iter().filter_map(|node| if let Node::Leaf(leaf) = node { Some(*leaf) } else { None }) {
            let units =
                |tree: &Tree| tree.leaf(leaf, 3).iter().map(|s| s * PROBABILITY_UNITS as f32).collect::<Vec<_>>();
            let difference = units(&a).into_iter().zip(units(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Rounded once among 2^24 / 5 units, then again.
            assert!(if i < 5 { difference <= 2.0 } else { difference == 0.0 }, "tree {i}: {difference}");
        }
    }

    let refused = |learner: ForestLearner, data: &Dataset| {
        learner.fit_more(&fitted.forest, data, &all_rows(data), &mut context(1)).unwrap_err().to_string()
    };
    assert_eq!(
        refused(forest(4), &data),
        "`n_estimators` must be at least the 5 trees of the forest to be kept, got 4"
    );
    let other = numbers(vec![vec![0.0, 1.0, 2.0]], vec![0, 1, 2]);
    assert_eq!(refused(forest(6), &other), "the forest to be kept has 3 features, the data have 1");
    let other = numbers(vec![vec![0.0, 1.0]; 3], vec![0, 1]);
    assert_eq!(refused(forest(6), &other), "the forest to be kept has 3 classes, the data have 2");
}

#[rstest]
#[case(ForestLearner { n_estimators: 0, ..ForestLearner::random_forest() }, "`n_estimators` must be in 1..=10000, got 0")]
#[case(
    ForestLearner { n_estimators: 10_001, ..ForestLearner::extra_trees() },
    "`n_estimators` must be in 1..=10000, got 10001"
)]
#[case(
    ForestLearner { n_estimators: 2, ..ForestLearner::decision_tree() },
    "`n_estimators` must be 1 for a decision tree, got 2"
)]
#[case(ForestLearner { max_depth: Some(0), ..ForestLearner::decision_tree() }, "`max_depth` must be at least 1, got 0")]
#[case(
    ForestLearner { min_samples_split: 1, ..ForestLearner::decision_tree() },
    "`min_samples_split` must be at least 2, got 1"
)]
#[case(
    ForestLearner { min_samples_leaf: 0, ..ForestLearner::decision_tree() },
    "`min_samples_leaf` must be at least 1, got 0"
)]
#[case(
    ForestLearner { max_leaf_nodes: Some(1), ..ForestLearner::decision_tree() },
    "`max_leaf_nodes` must be at least 2, got 1"
)]
#[case(
    ForestLearner { min_impurity_decrease: -0.5, ..ForestLearner::decision_tree() },
    "`min_impurity_decrease` must be a number not below 0, got -0.5"
)]
#[case(
    ForestLearner { min_impurity_decrease: f64::NAN, ..ForestLearner::decision_tree() },
    "`min_impurity_decrease` must be a number not below 0, got NaN"
)]
#[case(ForestLearner { max_bins: 1, ..ForestLearner::decision_tree() }, "`max_bins` must be in 2..=255, got 1")]
#[case(ForestLearner { max_bins: 256, ..ForestLearner::decision_tree() }, "`max_bins` must be in 2..=255, got 256")]
#[case(
    ForestLearner { max_features: MaxFeatures::Count(0), ..ForestLearner::decision_tree() },
    "`max_features` must be at least 1, got 0"
)]
#[case(
    ForestLearner { max_features: MaxFeatures::Count(2), ..ForestLearner::decision_tree() },
    "`max_features` must be at most the number of features, 1, got 2"
)]
#[case(
    ForestLearner { max_features: MaxFeatures::Fraction(1.5), ..ForestLearner::decision_tree() },
    "`max_features` must be above 0 and at most 1, got 1.5"
)]
#[case(
    ForestLearner { max_features: MaxFeatures::Fraction(f64::NAN), ..ForestLearner::decision_tree() },
    "`max_features` must be above 0 and at most 1, got NaN"
)]
#[case(
    ForestLearner { max_samples: MaxSamples::Count(0), ..ForestLearner::random_forest() },
    "`max_samples` must be at least 1, got 0"
)]
#[case(
    ForestLearner { max_samples: MaxSamples::Count(3), ..ForestLearner::random_forest() },
    "`max_samples` must be at most the number of training rows, 2, got 3"
)]
#[case(
    ForestLearner { max_samples: MaxSamples::Fraction(0.0), ..ForestLearner::random_forest() },
    "`max_samples` must be above 0 and at most 1, got 0"
)]
#[case(
    ForestLearner { max_samples: MaxSamples::Count(1), ..ForestLearner::extra_trees() },
    "`max_samples` must be all without `bootstrap`, got 1"
)]
#[case(
    ForestLearner { oob_score: true, ..ForestLearner::extra_trees() },
    "`oob_score` must be false without `bootstrap`, when every tree sees every row, got true"
)]
#[case(
    ForestLearner {
        class_weight: ClassWeight::Map(BTreeMap::from([("odd".to_owned(), 2.0)])),
        ..ForestLearner::random_forest()
    },
    "`class_weight` must be by classes among `benign`, `attack`, got `odd`"
)]
fn wrong_params_are_named(#[case] learner: ForestLearner, #[case] message: &str) {
    let data = numbers(vec![vec![0.0, 1.0]], vec![0, 1]);
    let checked = learner.check().and_then(|()| learner.check_data(&data, &[0, 1])).unwrap_err();
    assert_eq!(checked.to_string(), message);
    assert_eq!(learner.fit(&data, &[0, 1], &mut context(1)).unwrap_err().to_string(), message);
    assert_eq!(learner.fit_exact(&data, &[0, 1], &mut context(1)).unwrap_err().to_string(), message);
}

#[test]
fn more_classes_than_samples_can_name_are_refused() {
    let n = 4097;
    let data = numbers(vec![(0..n).map(|i| i as f32).collect()], (0..n).collect());
    let error = ForestLearner::random_forest().fit(&data, &all_rows(&data), &mut context(1)).unwrap_err();
    assert_eq!(error.to_string(), "4097 classes are more than the 4096 that a forest can tell apart");
}
