use std::sync::Arc;

use super::*;
use crate::rng::Rng;
use phantomnet_model::{Classes, FeatureSchema, Matrix, Model, Node, PROBABILITY_UNITS, Test};
use proptest::prelude::*;
use rstest::rstest;

fn dataset(columns: Vec<Vec<f32>>, labels: Vec<u32>) -> Dataset {
    let names: Vec<String> = (0..columns.len()).map(|j| format!("x{j}")).collect();
    let schema = Arc::new(FeatureSchema::numbers(&names));
    let matrix = Matrix::new(labels.len(), columns).unwrap();
    Dataset::new(schema, Arc::new(Classes::boolean()), matrix, labels).unwrap()
}

/// One tree on all rows and all features.
fn one_tree() -> RandomForest {
    RandomForest { n_estimators: 1, bootstrap: false, max_features: MaxFeatures::All, ..RandomForest::default() }
}

fn fit_rows(learner: &RandomForest, data: &Dataset, rows: &[u32]) -> (Forest, Vec<f64>) {
    let mut cx = FitContext::new(NonZeroUsize::MIN);
    learner.fit_forest(data, rows, &mut cx).unwrap()
}

fn fit(learner: &RandomForest, data: &Dataset) -> (Forest, Vec<f64>) {
    let rows: Vec<u32> = (0..data.n_rows() as u32).collect();
    fit_rows(learner, data, &rows)
}

fn split(feature: u32, threshold: f32, missing_left: bool, left: u32) -> Node {
    let test = Test::AtMost(threshold);
    Node::Split { feature, test, missing_left, left, right: left + 1 }
}

#[test]
fn exclusive_or_by_hand() {
    let data = dataset(vec![vec![0.0, 0.0, 1.0, 1.0], vec![0.0, 1.0, 0.0, 1.0]], vec![0, 1, 1, 0]);
    let (forest, importances) = fit(&one_tree(), &data);
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
    assert_eq!(forest.trees()[0].nodes(), nodes);
    let leaves: Vec<&[f32]> = (0..4).map(|leaf| forest.trees()[0].leaf(leaf, 2)).collect();
    assert_eq!(leaves, [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]);
    assert_eq!(importances, [0.0, 1.0]);
}

#[test]
fn importances_by_hand() {
    // Root: 8 rows, 4 + 4, w · Gini = 8 - (16 + 16) / 8 = 4. x0 parts 4 + 1 from 0 + 3, leaving
    // 5 - (16 + 1) / 5 = 1.6: it takes 2.4. Then x1 takes the 1.6. Shares 0.6 and 0.4.
    let x0 = vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let x1 = vec![0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
    let data = dataset(vec![x0, x1], vec![0, 0, 0, 0, 1, 1, 1, 1]);
    let (_, importances) = fit(&one_tree(), &data);
    assert!((importances[0] - 0.6).abs() < 1e-12, "{importances:?}");
    assert!((importances[1] - 0.4).abs() < 1e-12, "{importances:?}");
}

#[rstest]
#[case(RandomForest { max_depth: Some(1), ..one_tree() }, 3)]
#[case(RandomForest { max_depth: Some(2), ..one_tree() }, 7)]
#[case(RandomForest { min_samples_split: 9, ..one_tree() }, 1)]
#[case(RandomForest { min_samples_split: 8, ..one_tree() }, 3)]
#[case(RandomForest { min_samples_leaf: 5, ..one_tree() }, 1)]
#[case(RandomForest { min_samples_leaf: 4, ..one_tree() }, 3)]
#[case(one_tree(), 15)]
fn limits_hold(#[case] learner: RandomForest, #[case] n_nodes: usize) {
    // Eight rows, labels such that halving is best at no level but no worse than any other: 01100110 of x0 .. x2.
    let bit = |k: u32| (0..8u32).map(|i| (i >> k & 1) as f32).collect::<Vec<_>>();
    let labels = (0..8u32).map(|i| i.count_ones() % 2).collect();
    let data = dataset(vec![bit(2), bit(1), bit(0)], labels);
    assert_eq!(fit(&learner, &data).0.trees()[0].nodes().len(), n_nodes);
}

#[test]
fn class_weights_enter_the_leaves() {
    // One leaf with two rows of class 0 and one of class 1; balanced, both classes weigh the same.
    let data = dataset(vec![vec![1.0, 1.0, 1.0]], vec![0, 0, 1]);
    let share = |class_weight| {
        let (forest, importances) = fit(&RandomForest { class_weight, ..one_tree() }, &data);
        assert_eq!(importances, [0.0], "no split, no importance");
        forest.trees()[0].leaf(0, 2)[0] * PROBABILITY_UNITS as f32
    };
    assert_eq!(share(ClassWeight::None), (2.0 / 3.0 * f64::from(PROBABILITY_UNITS)).round() as f32);
    assert_eq!(share(ClassWeight::Balanced), PROBABILITY_UNITS as f32 / 2.0);
}

#[test]
fn noise_is_not_preferred() {
    let mut rng = Rng::new(3);
    let mut noise = || (0..400).map(|_| rng.below(1000) as f32).collect::<Vec<_>>();
    let columns: Vec<Vec<f32>> = (0..6).map(|_| noise()).collect();
    let labels = columns[4].iter().map(|&x| u32::from(x > 300.0)).collect();
    let data = dataset(columns, labels);
    let (tree, importances) = fit(&one_tree(), &data);
    assert_eq!(tree.trees()[0].nodes().len(), 3);
    assert_eq!(importances, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    let (_, importances) = fit(&RandomForest::default(), &data);
    assert!(importances[4] > 0.6, "{importances:?}");
    assert!((importances.iter().sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn a_tree_may_be_very_deep() {
    // Each row is best cut off alone, from one end.
    let n = 2_000;
    let labels: Vec<u32> = (0..n).map(|i| i % 2).collect();
    let data = dataset(vec![(0..n).map(|i| i as f32).collect()], labels.clone());
    let (forest, _) = fit(&one_tree(), &data);
    let nodes = forest.trees()[0].nodes();
    let mut depth = vec![0; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        if let Node::Split { left, right, .. } = *node {
            depth[left as usize] = depth[i] + 1;
            depth[right as usize] = depth[i] + 1;
        }
    }
    assert!(depth.iter().max() > Some(&900), "{:?}", depth.iter().max());
    let rows: Vec<u32> = (0..n).collect();
    let probabilities = forest.predict(data.matrix(), &rows);
    assert!((0..n as usize).all(|i| probabilities.argmax(i) as u32 == labels[i]));
}

#[test]
fn a_node_draws_until_it_has_a_split() {
    // 49 constant features and one that tells: sqrt gives 7 draws, which would mostly see none.
    let mut columns = vec![vec![0.0; 4]; 50];
    columns[31] = vec![0.0, 0.0, 1.0, 1.0];
    let data = dataset(columns, vec![0, 0, 1, 1]);
    let learner = RandomForest { bootstrap: false, n_estimators: 20, ..RandomForest::default() };
    let (forest, importances) = fit(&learner, &data);
    assert!(forest.trees().iter().all(|tree| tree.nodes().len() == 3));
    assert_eq!(importances[31], 1.0);
}

#[test]
fn the_bootstrap_draws_as_many_rows_with_replacement() {
    let data = dataset(vec![vec![0.0; 1000]], (0..1000).map(|i| i % 2).collect());
    let grower = Grower {
        columns: &[],
        classes: data.labels(),
        class_weights: &[1.0, 1.0],
        bootstrap: true,
        max_features: 1,
        max_depth: 1,
        min_samples_split: 2,
        min_samples_leaf: 1,
    };
    let samples = grower.samples(&mut Rng::new(1));
    assert_eq!(samples.iter().map(|sample| sample.count).sum::<u32>(), 1000);
    // 1000 · (1 - 1/e) = 632 are drawn at all, standard deviation 9.8.
    assert!(samples.len().abs_diff(632) < 50, "{}", samples.len());
    assert!(samples.iter().all(|s| s.class == s.row % 2));
}

proptest! {
    #[test]
    fn an_unlimited_tree_knows_its_training_rows(
        rows in prop::collection::btree_map((any::<i8>(), prop::option::of(0u8..4)), 0u32..2, 2..60),
    ) {
        let x0: Vec<f32> = rows.keys().map(|key| f32::from(key.0)).collect();
        let x1: Vec<f32> = rows.keys().map(|key| key.1.map_or(f32::NAN, f32::from)).collect();
        let labels: Vec<u32> = rows.values().copied().collect();
        prop_assume!(labels.contains(&0) && labels.contains(&1));
        let data = dataset(vec![x0, x1], labels.clone());
        let (forest, _) = fit(&one_tree(), &data);
        let mut p = [0.0; 2];
        for (i, &label) in labels.iter().enumerate() {
            forest.predict_row(&[data.column(0)[i], data.column(1)[i]], &mut p);
            prop_assert_eq!(p[label as usize], 1.0);
        }
    }

    #[test]
    fn a_row_given_twice_counts_twice(
        rows in prop::collection::vec((0u8..6, 0u8..6, 0u32..2, 1usize..4), 2..40),
    ) {
        // The dataset that holds the repetitions, and the one whose rows are given again and again.
        let build = |repeat: bool| {
            let rows = || rows.iter().flat_map(|row| std::iter::repeat_n(row, if repeat { row.3 } else { 1 }));
            let columns = vec![
                rows().map(|row| f32::from(row.0)).collect(),
                rows().map(|row| f32::from(row.1)).collect(),
            ];
            dataset(columns, rows().map(|row| row.2).collect())
        };
        let (long, short) = (build(true), build(false));
        prop_assume!(short.labels().contains(&0) && short.labels().contains(&1));
        let mut repeated: Vec<u32> =
            (0u32..).zip(&rows).flat_map(|(i, row)| std::iter::repeat_n(i, row.3)).collect();
        repeated.reverse();
        let learner = RandomForest { n_estimators: 3, seed: 5, ..RandomForest::default() };
        prop_assert_eq!(fit(&learner, &long), fit_rows(&learner, &short, &repeated));
    }
}

#[rstest]
#[case(RandomForest { n_estimators: 0, ..one_tree() }, "`n_estimators` must be in 1..=10000, got 0")]
#[case(RandomForest { n_estimators: 10_001, ..one_tree() }, "`n_estimators` must be in 1..=10000, got 10001")]
#[case(RandomForest { max_depth: Some(0), ..one_tree() }, "`max_depth` must be at least 1, got 0")]
#[case(RandomForest { min_samples_split: 1, ..one_tree() }, "`min_samples_split` must be at least 2, got 1")]
#[case(RandomForest { min_samples_leaf: 0, ..one_tree() }, "`min_samples_leaf` must be at least 1, got 0")]
#[case(RandomForest { max_features: MaxFeatures::Count(0), ..one_tree() }, "`max_features` must be at least 1, got 0")]
#[case(
    RandomForest { max_features: MaxFeatures::Fraction(1.5), ..one_tree() },
    "`max_features` must be above 0 and at most 1, got 1.5"
)]
#[case(
    RandomForest { max_features: MaxFeatures::Fraction(f64::NAN), ..one_tree() },
    "`max_features` must be above 0 and at most 1, got NaN"
)]
fn wrong_params_are_named(#[case] learner: RandomForest, #[case] message: &str) {
    assert_eq!(learner.check().unwrap_err().to_string(), message);
    let data = dataset(vec![vec![0.0, 1.0]], vec![0, 1]);
    let mut cx = FitContext::new(NonZeroUsize::MIN);
    assert_eq!(learner.fit(&data, &[0, 1], &mut cx).unwrap_err().to_string(), message);
}
