//! The engine against the naive forest, node for node and bit for bit.

use super::*;
use crate::rng::Rng;
use phantomnet_model::{Dictionary, Feature, FeatureKind, UNSEEN};
use proptest::prelude::*;

/// Grows both, and compares all that there is to see of them.
fn check(learner: &ForestLearner, data: &Dataset, rows: &[u32], n_threads: usize) -> Result<(), TestCaseError> {
    let fast = learner.fit_forest(data, rows, None, &mut context(n_threads));
    let naive = learner.grow_exact(data, rows, &mut context(n_threads));
    match (fast, naive) {
        (Ok(fast), Ok((trees, importances))) => {
            let naive = phantomnet_model::Forest::new(data.n_features(), data.classes().len(), trees).unwrap();
            for (i, (fast, naive)) in fast.forest.trees().zip(naive.trees()).enumerate() {
                prop_assert_eq!(fast, naive, "tree {}", i);
            }
            prop_assert_eq!(fast.forest.n_trees(), naive.n_trees());
            prop_assert_eq!(fast.importances, importances);
        }
        (fast, naive) => {
            let message = |error: Option<LearnError>| error.map(|error| error.to_string());
            prop_assert_eq!(message(fast.err()), message(naive.err()));
        }
    }
    Ok(())
}

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => (0u8..8).prop_map(f32::from),
        4 => (-300i16..300).prop_map(|x| f32::from(x) / 7.0),
        2 => Just(NAN),
        1 => any::<f32>(),
        2 => prop::sample::select(vec![
            INF, -INF, 0.0, -0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, -f32::MIN_POSITIVE, 1e-45, -1e-45,
        ]),
    ]
}

/// A feature and its values.
fn column(n_rows: usize) -> impl Strategy<Value = (FeatureKind, Vec<f32>)> {
    let few = prop_oneof![4 => (0u8..3).prop_map(f32::from), 1 => Just(NAN)];
    let booleans = prop_oneof![4 => (0u8..2).prop_map(f32::from), 1 => Just(NAN)];
    let codes = prop_oneof![6 => (0u8..9).prop_map(f32::from), 1 => Just(UNSEEN), 1 => Just(NAN)];
    prop_oneof![
        4 => prop::collection::vec(number(), n_rows).prop_map(|column| (FeatureKind::Number, column)),
        1 => prop::collection::vec(few, n_rows).prop_map(|column| (FeatureKind::Number, column)),
        1 => prop::collection::vec(booleans, n_rows).prop_map(|column| (FeatureKind::Boolean, column)),
        3 => prop::collection::vec(codes, n_rows).prop_map(|column| (category(9), column)),
    ]
}

fn category(n_codes: usize) -> FeatureKind {
    let values = (1..n_codes).map(|i| format!("{i:03}")).collect();
    FeatureKind::Category { dictionary: Dictionary::from_values(values).unwrap() }
}

fn dataset(columns: Vec<(FeatureKind, Vec<f32>)>, n_classes: usize, labels: Vec<u32>) -> Dataset {
    let (kinds, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let features = kinds.into_iter().enumerate().map(|(j, kind)| Feature { name: format!("x{j}"), kind }).collect();
    let matrix = Matrix::new(labels.len(), columns).unwrap();
    Dataset::new(Arc::new(FeatureSchema::new(features)), Arc::new(classes(n_classes)), matrix, labels).unwrap()
}

fn weights(n_rows: usize) -> impl Strategy<Value = Option<Vec<f32>>> {
    let whole = prop::collection::vec((0u8..5).prop_map(f32::from), n_rows);
    prop_oneof![
        3 => Just(None),
        1 => whole.prop_map(Some),
        1 => prop::collection::vec(0.0f32..3.0, n_rows).prop_map(Some),
        1 => prop::collection::vec(0.0f32..1e30, n_rows).prop_map(Some),
    ]
}

fn any_dataset() -> impl Strategy<Value = Dataset> {
    (2usize..90, 1usize..12, 2usize..5).prop_flat_map(|(n_rows, n_features, n_classes)| {
        let columns = prop::collection::vec(column(n_rows), n_features);
        let labels = prop::collection::vec(0..n_classes as u32, n_rows);
        (columns, labels, weights(n_rows)).prop_map(move |(columns, labels, weights)| {
            let data = dataset(columns, n_classes, labels);
            match weights {
                Some(weights) => data.with_weights(weights).unwrap(),
                None => data,
            }
        })
    })
}

fn class_weight() -> impl Strategy<Value = ClassWeight> {
    prop_oneof![
        2 => Just(ClassWeight::None),
        1 => Just(ClassWeight::Balanced),
        1 => Just(ClassWeight::BalancedSubsample),
    ]
}

/// Any limits on a tree.
fn limits(learner: ForestLearner) -> impl Strategy<Value = ForestLearner> {
    (
        prop::option::of(1usize..8),
        prop_oneof![4 => Just(2usize), 1 => 3usize..12],
        prop_oneof![3 => Just(1usize), 1 => 2usize..6],
        prop_oneof![2 => Just(None), 1 => (2usize..12).prop_map(Some)],
        prop_oneof![4 => Just(0.0), 1 => 0.0f64..0.2],
    )
        .prop_map(
            move |(max_depth, min_samples_split, min_samples_leaf, max_leaf_nodes, min_impurity_decrease)| {
                ForestLearner {
                    max_depth,
                    min_samples_split,
                    min_samples_leaf,
                    max_leaf_nodes,
                    min_impurity_decrease,
                    ..learner.clone()
                }
            },
        )
}

fn any_learner() -> impl Strategy<Value = ForestLearner> {
    let kinds = prop_oneof![
        Just(ForestLearner::random_forest()),
        Just(ForestLearner::extra_trees()),
        Just(ForestLearner::decision_tree()),
    ];
    let max_features = prop_oneof![Just(MaxFeatures::Sqrt), Just(MaxFeatures::All), Just(MaxFeatures::Fraction(0.6))];
    let criteria =
        prop_oneof![2 => Just(Criterion::Gini), 1 => Just(Criterion::Entropy), 1 => Just(Criterion::LogLoss)];
    let orders = prop_oneof![Just(CategoryOrder::Target), Just(CategoryOrder::Blurred)];
    let samples = prop_oneof![
        Just((true, MaxSamples::All)),
        Just((true, MaxSamples::Fraction(0.5))),
        Just((false, MaxSamples::All)),
    ];
    (kinds, max_features, criteria, orders, samples, class_weight(), 1usize..7, any::<u64>())
        .prop_map(|(kind, max_features, criterion, category_order, samples, class_weight, n_estimators, seed)| {
            let is_tree = kind.kind == ForestKind::DecisionTree;
            let (bootstrap, max_samples) = if is_tree { (false, MaxSamples::All) } else { samples };
            let n_estimators = if is_tree { 1 } else { n_estimators };
            ForestLearner {
                n_estimators,
                criterion,
                max_features,
                class_weight,
                bootstrap,
                max_samples,
                category_order,
                seed,
                ..kind
            }
        })
        .prop_flat_map(limits)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_forest_on_any_data(learner in any_learner(), data in any_dataset()) {
        check(&learner, &data, &all_rows(&data), 1)?;
    }
}

/// Rows of few values in each feature, the first two of which tell something of the class.
fn large(n_rows: u32, n_features: usize, n_values: u64, n_classes: u32) -> Dataset {
    let mut rng = Rng::new(5);
    let labels: Vec<u32> = (0..n_rows).map(|_| rng.below(n_classes.into()) as u32).collect();
    let columns = (0..n_features).map(|j| {
        let draw = |&label: &u32| match rng.below(20) {
            0 => NAN,
            _ if j < 2 => (rng.below(n_values) / 2 + u64::from(label) * n_values / 8) as f32,
            _ => rng.below(n_values) as f32,
        };
        (FeatureKind::Number, labels.iter().map(draw).collect())
    });
    dataset(columns.collect(), n_classes as usize, labels.clone())
}

#[rstest]
// Nodes that count without marks, copies of rows, and subtrees grown apart.
#[case(large(40_000, 5, 200, 2), ForestLearner { max_depth: Some(9), ..ForestLearner::decision_tree() })]
#[case(
    large(40_000, 9, 250, 3),
    ForestLearner { n_estimators: 2, max_depth: Some(7), min_samples_leaf: 20, ..ForestLearner::random_forest() }
)]
#[case(
    large(20_000, 12, 30, 2),
    ForestLearner { n_estimators: 2, max_depth: Some(12), ..ForestLearner::extra_trees() }
)]
#[case(
    large(20_000, 12, 30, 2),
    ForestLearner { n_estimators: 1, max_leaf_nodes: Some(60), ..ForestLearner::random_forest() }
)]
fn large_nodes_on_any_number_of_threads(#[case] data: Dataset, #[case] learner: ForestLearner) {
    let expected = grow(&learner, &data);
    check(&learner, &data, &all_rows(&data), 1).unwrap();
    for n_threads in [2, 8] {
        let fitted = learner.fit_forest(&data, &all_rows(&data), None, &mut context(n_threads)).unwrap();
        assert!((fitted.forest.trees().collect(), fitted.importances) == expected, "{n_threads} threads");
    }
}

#[test]
fn a_category_of_as_many_codes_as_there_can_be() {
    // All occur, the unseen one included; class by code.
    let codes: Vec<f32> = (0..2040).map(|i| (i % 255) as f32).collect();
    let labels: Vec<u32> = (0..2040_u32).map(|i| u32::from((i % 255).count_ones() > 4 || i % 37 == 0)).collect();
    let data = dataset(vec![(category(255), codes)], 2, labels);
    for learner in [ForestLearner::decision_tree(), ForestLearner { n_estimators: 3, ..ForestLearner::random_forest() }]
    {
        check(&learner, &data, &all_rows(&data), 1).unwrap();
    }
}
