//! What holds of every tree.

use super::*;
use crate::rng::Rng;
use phantomnet_model::leaf_probabilities;
use proptest::prelude::*;

/// A learner whose single tree sees every row and feature.
fn kinds() -> [ForestLearner; 3] {
    let one = |kind| ForestLearner { n_estimators: 1, bootstrap: false, max_features: MaxFeatures::All, ..kind };
    [ForestLearner::decision_tree(), one(ForestLearner::random_forest()), one(ForestLearner::extra_trees())]
}

fn odd_number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => (0u8..12).prop_map(f32::from),
        2 => any::<f32>(),
        1 => prop::sample::select(vec![NAN, INF, -INF, -0.0, f32::MAX, f32::MIN, 1e-45]),
    ]
}

fn odd_rows(n: std::ops::Range<usize>) -> impl Strategy<Value = Dataset> {
    let rows = prop::collection::vec((odd_number(), odd_number(), (0u8..4).prop_map(f32::from), 0u32..3), n);
    rows.prop_filter_map("two classes", |rows| {
        let labels: Vec<u32> = rows.iter().map(|row| row.3).collect();
        let columns = vec![
            rows.iter().map(|row| row.0).collect(),
            rows.iter().map(|row| row.1).collect(),
            rows.iter().map(|row| row.2).collect(),
        ];
        labels.iter().any(|&label| label != labels[0]).then(|| numbers(columns, labels))
    })
}

/// Classes of some rows.
fn class_counts(data: &Dataset, rows: &[u32]) -> Vec<f64> {
    data.class_counts(rows).iter().map(|&n| n as f64).collect()
}

/// Walks the training rows through a tree. No node is empty or too small, both children of a node have all its rows, and a leaf
/// has the shares of the rows that reach it: so the tree divides rows as its grower did.
fn check_rows(tree: &Tree, data: &Dataset, min_samples_leaf: usize) -> Result<(), TestCaseError> {
    let of_nodes = rows_of_nodes(tree, data, &all_rows(data));
    for (i, (node, rows)) in tree.nodes().iter().zip(&of_nodes).enumerate() {
        prop_assert!(i == 0 || rows.len() >= min_samples_leaf, "{} rows in {node:?}", rows.len());
        match *node {
            Node::Split { left, right, .. } => {
                let counts = |node: u32| class_counts(data, &of_nodes[node as usize]);
                let sums: Vec<f64> = counts(left).iter().zip(counts(right)).map(|(left, right)| left + right).collect();
                prop_assert_eq!(sums, class_counts(data, rows));
            }
            Node::Leaf(leaf) => {
                let mut expected = Vec::new();
                leaf_probabilities(&class_counts(data, rows), PROBABILITY_UNITS, &mut expected);
                prop_assert_eq!(tree.leaf(leaf, expected.len()), expected);
            }
        }
    }
    Ok(())
}

/// A tree whose thresholds do not matter.
fn without_thresholds(tree: &Tree) -> Tree {
    let without = |node: &Node| match *node {
        Node::Split { feature, missing_left, left, .. } => split(feature, 0.0, missing_left, left),
        leaf => leaf,
    };
    let n_leaves = tree.nodes().len() as u32 / 2 + 1;
    let leaves = (0..n_leaves).flat_map(|leaf| tree.leaf(leaf, 2).to_vec()).collect();
    Tree::new(tree.nodes().iter().map(without).collect(), leaves)
}

proptest! {
    #[test]
    fn leaves_are_the_shares_of_their_rows(
        data in odd_rows(2..80),
        max_bins in prop_oneof![2usize..8, Just(254usize)],
        min_samples_leaf in 1usize..4,
        max_leaf_nodes in prop_oneof![Just(None), (2usize..9).prop_map(Some)],
    ) {
        for kind in kinds() {
            let learner = ForestLearner { max_bins, min_samples_leaf, max_leaf_nodes, ..kind };
            let tree = grow_tree(&learner, &data);
            check_rows(&tree, &data, min_samples_leaf)?;
            let n_leaves = tree.nodes().iter().filter(|node| matches!(node, Node::Leaf(_))).count();
            prop_assert!(n_leaves <= max_leaf_nodes.unwrap_or(usize::MAX));
        }
    }

    #[test]
    fn an_unlimited_tree_knows_its_training_rows(
        rows in prop::collection::btree_map((any::<i8>(), prop::option::of(0u8..4)), 0u32..2, 2..60),
    ) {
        let x0: Vec<f32> = rows.keys().map(|key| f32::from(key.0)).collect();
        let x1: Vec<f32> = rows.keys().map(|key| key.1.map_or(NAN, f32::from)).collect();
        let labels: Vec<u32> = rows.values().copied().collect();
        prop_assume!(labels.contains(&0) && labels.contains(&1));
        let data = numbers(vec![x0, x1], labels.clone());
        for learner in kinds() {
            let fit = learner.fit(&data, &all_rows(&data), &mut context(1)).unwrap();
            let probabilities = fit.model.predict(data.matrix(), &all_rows(&data));
            prop_assert!((0..).zip(&labels).all(|(i, &label)| probabilities.row(i)[label as usize] == 1.0));
        }
    }

    #[test]
    fn a_row_given_twice_counts_twice(
        rows in prop::collection::vec((0u8..6, 0u8..6, 0u32..2, 1usize..4), 2..40),
    ) {
        // The dataset that holds the repetitions, the one whose rows are given again and again, and the one that weighs them.
        let build = |repeat: bool| {
            let rows = || rows.iter().flat_map(|row| std::iter::repeat_n(row, if repeat { row.3 } else { 1 }));
            let columns = vec![rows().map(|row| f32::from(row.0)).collect(), rows().map(|row| f32::from(row.1)).collect()];
            numbers(columns, rows().map(|row| row.2).collect())
        };
        let (long, short) = (build(true), build(false));
        prop_assume!(short.labels().contains(&0) && short.labels().contains(&1));
        let repeated = (0u32..).zip(&rows).flat_map(|(i, row)| std::iter::repeat_n(i, row.3));
        let mut repeated: Vec<u32> = repeated.collect();
        repeated.reverse();
        let weighted = short.clone().with_weights(rows.iter().map(|row| row.3 as f32).collect()).unwrap();
        for kind in [ForestLearner::decision_tree(), ForestLearner::random_forest(), ForestLearner::extra_trees()] {
            let learner = ForestLearner { n_estimators: if kind.bootstrap { 3 } else { 1 }, seed: 5, ..kind };
            let expected = grow(&learner, &long);
            prop_assert_eq!(grow_on(&learner, &short, &repeated), expected.clone());
            if !learner.bootstrap {
                prop_assert_eq!(grow(&learner, &weighted), expected);
            }
        }
    }

    #[test]
    fn a_constant_feature_changes_nothing(data in odd_rows(2..60), constant in odd_number(), first in any::<bool>()) {
        let mut columns: Vec<Vec<f32>> = (0..data.n_features()).map(|j| data.column(j).to_vec()).collect();
        columns.insert(if first { 0 } else { columns.len() }, vec![constant; data.n_rows()]);
        let more = numbers(columns, data.labels().to_vec());
        for learner in kinds() {
            // A feature's number decides where extra trees cut it.
            if first && learner.kind == ForestKind::ExtraTrees {
                continue;
            }
            let (tree, mut expected) = (grow_tree(&learner, &more), grow_tree(&learner, &data).nodes().to_vec());
            for node in &mut expected {
                if let Node::Split { feature, .. } = node {
                    *feature += u32::from(first);
                }
            }
            prop_assert_eq!(tree.nodes(), expected);
        }
    }

    #[test]
    fn only_the_order_of_a_number_matters(
        rows in prop::collection::vec((prop::option::of(0i8..40), prop::option::of(-20i8..20), 0u32..2), 2..80),
        max_bins in prop_oneof![2usize..8, Just(254usize)],
    ) {
        let labels: Vec<u32> = rows.iter().map(|row| row.2).collect();
        prop_assume!(labels.contains(&0) && labels.contains(&1));
        let build = |f: fn(f32) -> f32| {
            let value = |x: Option<i8>| x.map_or(NAN, |x| f(x.into()));
            let columns = vec![
                rows.iter().map(|row| value(row.0)).collect(),
                rows.iter().map(|row| value(row.1)).collect(),
            ];
            numbers(columns, labels.clone())
        };
        let plain = build(|x| x);
        let bent = [build(|x| x * 1e-40), build(|x| (x * 2.0).exp()), build(|x| x * x * x * 1e33)];
        for kind in [ForestLearner::random_forest(), ForestLearner::decision_tree()] {
            let n_estimators = if kind.bootstrap { 3 } else { 1 };
            let learner = ForestLearner { max_bins, n_estimators, ..kind };
            let (expected, importances) = grow(&learner, &plain);
            for data in &bent {
                let (trees, of_bent) = grow(&learner, data);
                prop_assert_eq!(&of_bent, &importances);
                for (tree, expected) in trees.iter().zip(&expected) {
                    prop_assert_eq!(without_thresholds(tree), without_thresholds(expected));
                }
            }
        }
    }
}

#[test]
fn rows_that_are_all_alike_make_a_leaf() {
    for value in [0.0, -0.0, NAN, INF, f32::MAX, 1e-45] {
        let data = numbers(vec![vec![value; 5]; 2], vec![0, 1, 1, 0, 1]);
        for learner in kinds() {
            let tree = grow_tree(&learner, &data);
            assert_eq!(tree.nodes(), [Node::Leaf(0)], "{value}");
            check_rows(&tree, &data, 1).unwrap();
        }
    }
}

#[test]
fn many_values_cost_little() {
    // 5,000 values in 254 bins: at each class border a bin of 20 rows may hold both classes, and nothing else is wrong.
    let mut rng = Rng::new(2);
    let x: Vec<f32> = (0..5_000).map(|_| rng.below(1 << 24) as f32).collect();
    let labels: Vec<u32> = x.iter().map(|&x| (x / 3e6) as u32 % 2).collect();
    let data = numbers(vec![x], labels.clone());
    let (fast, exact) = (
        ForestLearner::decision_tree().fit(&data, &all_rows(&data), &mut context(1)).unwrap(),
        ForestLearner::decision_tree().fit_exact(&data, &all_rows(&data), &mut context(1)).unwrap(),
    );
    let n_wrong = |fit: &Fit| {
        let probabilities = fit.model.predict(data.matrix(), &all_rows(&data));
        (0..labels.len()).filter(|&i| probabilities.argmax(i) as u32 != labels[i]).count()
    };
    assert_eq!(n_wrong(&exact), 0);
    assert!(n_wrong(&fast) <= 5 * 10, "{}", n_wrong(&fast));
}
