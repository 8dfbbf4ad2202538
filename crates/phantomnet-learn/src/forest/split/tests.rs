use super::*;
use crate::forest::groups::{Sample, tally_of};
use phantomnet_model::{Dictionary, FeatureKind};
use proptest::prelude::*;
use rstest::rstest;

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

/// A row: value, class, times drawn.
type Row = (f32, u32, u32);

fn category(n_codes: usize) -> FeatureKind {
    let values = (1..n_codes).map(|i| format!("{i:03}")).collect();
    FeatureKind::Category { dictionary: Dictionary::from_values(values).unwrap() }
}

fn ranked(kind: &FeatureKind, rows: &[Row], class_weights: &[f64]) -> RankedColumn {
    let values: Vec<f32> = rows.iter().map(|row| row.0).collect();
    let classes: Vec<u32> = rows.iter().map(|row| row.1).collect();
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    RankedColumn::new(kind, &values, &all, &classes, class_weights)
}

/// The best split of a node that holds all training rows.
fn best(kind: &FeatureKind, rows: &[Row], class_weights: &[f64], min_samples_leaf: u32) -> Option<Split> {
    best_of_node(&ranked(kind, rows, class_weights), rows, rows.len(), class_weights, min_samples_leaf)
}

/// The best split of a node that holds the first `n` training rows.
fn best_of_node(
    column: &RankedColumn,
    rows: &[Row],
    n: usize,
    class_weights: &[f64],
    min_samples_leaf: u32,
) -> Option<Split> {
    let samples: Vec<Sample> =
        (0u32..).zip(&rows[..n]).map(|(row, &(_, class, count))| Sample { row, class, count }).collect();
    let mut node = vec![0; 1 + class_weights.len()];
    tally_of(&samples, &mut node);
    let mut groups = Groups::new(class_weights.len());
    groups.fill(column, &samples);
    Splitter::new(class_weights, min_samples_leaf).best(0, column, &groups, &node)
}

fn set(codes: &[u8]) -> Test {
    let mut set = CategorySet::default();
    codes.iter().for_each(|&code| set.insert(code));
    Test::In(set)
}

#[rstest]
// Gini 1 - (9 + 1) / 16 = 0.375, so P = 4 · (1 - 0.375).
#[case(&[4, 3, 1], &[1.0, 1.0], 2.5)]
// Weights 3 and 2: (9 + 4) / 5.
#[case(&[4, 3, 1], &[1.0, 2.0], 2.6)]
#[case(&[2, 0, 2], &[1.0, 1.0], 2.0)]
#[case(&[3, 1, 1, 1], &[1.0; 3], 1.0)]
fn purity_by_hand(#[case] tally: &[u32], #[case] class_weights: &[f64], #[case] expected: f64) {
    assert_eq!(purity(tally, class_weights), expected);
}

#[rstest]
// Pure children: 2 + 2.
#[case(&[(1.0, 0, 1), (2.0, 0, 1), (3.0, 1, 1), (4.0, 1, 1)], 1, 2.5, true, 4.0)]
// Both thresholds give 1 + (1 + 1) / 2; the lower is taken. Right is heavier.
#[case(&[(1.0, 0, 1), (2.0, 1, 1), (3.0, 0, 1)], 1, 1.5, false, 2.0)]
// A row drawn three times: 3 + 1. Left is heavier.
#[case(&[(1.0, 0, 3), (2.0, 1, 1)], 1, 1.5, true, 4.0)]
// The pure child would have one row, which counts once however often it was drawn: (1 + 9) / 4 + 1.
#[case(&[(1.0, 0, 3), (2.0, 1, 1), (3.0, 1, 1), (4.0, 0, 1)], 2, 2.5, true, 3.5)]
// Missing rows side with their class: right.
#[case(&[(1.0, 0, 1), (2.0, 1, 1), (NAN, 1, 1)], 1, 1.5, false, 3.0)]
// And left.
#[case(&[(1.0, 0, 1), (2.0, 1, 1), (NAN, 0, 1)], 1, 1.5, true, 3.0)]
// Missing against the rest.
#[case(&[(1.0, 0, 1), (2.0, 0, 1), (NAN, 1, 1)], 1, INF, false, 3.0)]
// ... even if there is one value alone, be it infinite.
#[case(&[(INF, 0, 1), (NAN, 1, 1)], 1, INF, false, 2.0)]
#[case(&[(-INF, 0, 1), (INF, 1, 1)], 1, -INF, true, 2.0)]
#[case(&[(5.0, 0, 1), (INF, 1, 1)], 1, 5.0, true, 2.0)]
// Nothing is gained, but a split is a split: (1 + 1) / 2 twice.
#[case(&[(1.0, 0, 1), (1.0, 1, 1), (2.0, 0, 1), (2.0, 1, 1)], 1, 1.5, true, 2.0)]
fn numbers_by_hand(
    #[case] rows: &[Row],
    #[case] min_samples_leaf: u32,
    #[case] threshold: f32,
    #[case] missing_left: bool,
    #[case] score: f64,
) {
    let split = best(&FeatureKind::Number, rows, &[1.0, 1.0], min_samples_leaf).unwrap();
    assert_eq!((split.test, split.missing_left, split.score), (Test::AtMost(threshold), missing_left, score));
}

#[rstest]
#[case(&[(1.0, 0, 1), (1.0, 1, 1)], 1)]
#[case(&[(NAN, 0, 1), (NAN, 1, 1)], 1)]
#[case(&[(0.0, 0, 1), (-0.0, 1, 1)], 1)]
#[case(&[(1.0, 0, 9), (2.0, 1, 9), (3.0, 0, 9)], 2)]
fn no_split(#[case] rows: &[Row], #[case] min_samples_leaf: u32) {
    assert_eq!(best(&FeatureKind::Number, rows, &[1.0, 1.0], min_samples_leaf), None);
}

#[rstest]
// Code 2 is pure and lighter; codes 1 and 3 are alike.
#[case(&[(1.0, 0, 2), (2.0, 1, 1), (3.0, 0, 1)], &[2], false)]
// No order of the codes would do for numbers: 1 and 3 against 0 and 2, the lighter side in the set.
#[case(&[(0.0, 0, 2), (1.0, 1, 1), (2.0, 0, 2), (3.0, 1, 1)], &[1, 3], false)]
// Equal weights: the first codes are the set, which have less of the class whose shares vary most (of equal ones the lower);
// unmet missing values go to it.
#[case(&[(0.0, 0, 1), (1.0, 1, 1)], &[1], true)]
// Missing rows go with their class: 1 + 2 drawn of class 1 against 4 of class 0.
#[case(&[(0.0, 0, 4), (1.0, 1, 1), (NAN, 1, 2)], &[1], true)]
#[case(&[(0.0, 0, 4), (1.0, 1, 1), (NAN, 0, 2)], &[1], false)]
fn categories_by_hand(#[case] rows: &[Row], #[case] codes: &[u8], #[case] missing_left: bool) {
    let split = best(&category(4), rows, &[1.0, 1.0], 1).unwrap();
    assert_eq!((split.test, split.missing_left), (set(codes), missing_left));
}

#[test]
fn missing_against_all_categories_is_no_set() {
    let split = best(&category(4), &[(0.0, 0, 1), (2.0, 0, 1), (NAN, 1, 5)], &[1.0, 1.0], 1).unwrap();
    assert_eq!((split.test, split.missing_left), (Test::AtMost(INF), false));
}

#[rstest]
// At 2.5: (9 + 1) / 4 on either side = 5; at 1.5: 1 + (16 + 9) / 7 = 4.57. Equal weights: missing left.
#[case(1.0, 2.5, true)]
// At 2.5: 9.01 / 3.1 + 1.09 / 1.3 = 3.74; at 1.5: 0.1 + 16.09 / 4.3 = 3.84. Right is heavier.
#[case(0.1, 1.5, false)]
fn class_weights_change_the_split(#[case] weight_of_1: f64, #[case] threshold: f32, #[case] missing_left: bool) {
    let rows = [(1.0, 1, 1), (2.0, 0, 3), (3.0, 1, 3), (3.0, 0, 1)];
    let split = best(&FeatureKind::Number, &rows, &[1.0, weight_of_1], 1).unwrap();
    assert_eq!((split.test, split.missing_left), (Test::AtMost(threshold), missing_left));
}

/// Every division of the rows that a test can make, judged by the impurity it takes away.
mod naive {
    use super::*;

    fn impurity(rows: &[&Row], class_weights: &[f64]) -> (f64, f64) {
        let by_class: Vec<f64> = (0u32..)
            .zip(class_weights)
            .map(|(c, w)| rows.iter().filter(|row| row.1 == c).map(|row| f64::from(row.2) * w).sum())
            .collect();
        let sum: f64 = by_class.iter().sum();
        (sum, 1.0 - by_class.iter().map(|w| (w / sum).powi(2)).sum::<f64>())
    }

    /// Impurity taken away, times the node's weight; `None` if a child is too small.
    pub(super) fn gain(
        rows: &[Row],
        class_weights: &[f64],
        min_samples_leaf: u32,
        goes_left: impl Fn(f32) -> bool,
    ) -> Option<f64> {
        let (left, right): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| goes_left(row.0));
        if left.len().min(right.len()) < min_samples_leaf as usize {
            return None;
        }
        let [node, left, right] =
            [rows.iter().collect(), left, right].map(|rows: Vec<&Row>| impurity(&rows, class_weights));
        Some(node.0 * node.1 - left.0 * left.1 - right.0 * right.1)
    }

    /// The most that any of `tests` takes away, missing values on either side.
    pub(super) fn best_gain<T: Fn(f32) -> bool>(
        rows: &[Row],
        class_weights: &[f64],
        min_samples_leaf: u32,
        tests: impl Iterator<Item = T>,
    ) -> Option<f64> {
        let gains = tests.flat_map(|test| {
            [true, false].map(|missing_left| {
                gain(rows, class_weights, min_samples_leaf, |x| if x.is_nan() { missing_left } else { test(x) })
            })
        });
        gains.flatten().max_by(f64::total_cmp)
    }
}

fn holds(test: Test, x: f32) -> bool {
    match test {
        Test::AtMost(threshold) => x <= threshold,
        Test::In(set) => set.contains(x as u8),
    }
}

/// The split found must take away what it says, and that must be the most there is.
fn check_optimal(
    rows: &[Row],
    class_weights: &[f64],
    min_samples_leaf: u32,
    split: Option<Split>,
    most: Option<f64>,
) -> Result<(), TestCaseError> {
    let found = split.and_then(|split| {
        let goes_left = |x: f32| if x.is_nan() { split.missing_left } else { holds(split.test, x) };
        naive::gain(rows, class_weights, min_samples_leaf, goes_left)
    });
    prop_assert_eq!(split.is_some(), found.is_some());
    prop_assert_eq!(found.is_some(), most.is_some());
    if let (Some(found), Some(most)) = (found, most) {
        prop_assert!((found - most).abs() < 1e-9, "found {found}, the most is {most}, {split:?}");
    }
    Ok(())
}

fn rows_of(values: impl Strategy<Value = f32>, n_classes: u32) -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((values, 0..n_classes, 1u32..4), 1..24)
}

proptest! {
    #[test]
    fn numbers_are_split_best(
        rows in rows_of(prop_oneof![
            6 => (0u8..8).prop_map(f32::from),
            1 => Just(NAN),
            1 => Just(INF),
            1 => Just(-INF),
            2 => any::<f32>(),
        ], 3),
        class_weights in prop::array::uniform3(0.1f64..10.0),
        min_samples_leaf in 1u32..4,
    ) {
        let thresholds = rows.iter().map(|row| row.0).filter(|x| !x.is_nan()).chain([INF]);
        let tests = thresholds.map(|threshold| move |x: f32| x <= threshold);
        let most = naive::best_gain(&rows, &class_weights, min_samples_leaf, tests);
        let split = best(&FeatureKind::Number, &rows, &class_weights, min_samples_leaf);
        check_optimal(&rows, &class_weights, min_samples_leaf, split, most)?;
    }

    #[test]
    fn two_classes_get_the_best_of_all_subsets_of_the_training_rows(
        mut rows in rows_of(prop_oneof![7 => (0u8..6).prop_map(f32::from), 1 => Just(NAN)], 2),
        class_weights in prop::array::uniform2(0.1f64..10.0),
    ) {
        // Each row drawn once: the node has the shares that the codes are ordered by.
        rows.iter_mut().for_each(|row| row.2 = 1);
        let tests = (0u8..64).map(|subset| move |x: f32| subset >> (x as u8) & 1 == 1);
        let most = naive::best_gain(&rows, &class_weights, 1, tests);
        let split = best(&category(6), &rows, &class_weights, 1);
        check_optimal(&rows, &class_weights, 1, split, most)?;
    }

    #[test]
    fn categories_are_cut_best_in_their_order(
        rows in rows_of(prop_oneof![7 => (0u8..8).prop_map(f32::from), 1 => Just(NAN)], 3),
        share in 0.1f64..1.0,
        class_weights in prop::array::uniform3(0.1f64..10.0),
        min_samples_leaf in 1u32..4,
    ) {
        let column = ranked(&category(8), &rows, &class_weights);
        let Values::Codes(codes) = &column.values else { panic!("{:?}", column.values) };
        let n = (rows.len() as f64 * share).ceil() as usize;
        let node = &rows[..n];
        let tests = (1..=codes.len()).map(|len| move |x: f32| codes[..len].contains(&(x as u8)));
        let most = naive::best_gain(node, &class_weights, min_samples_leaf, tests);
        let split = best_of_node(&column, &rows, n, &class_weights, min_samples_leaf);
        check_optimal(node, &class_weights, min_samples_leaf, split, most)?;

        if let Some(Split { test: Test::In(set), .. }) = split {
            // One cut of the order: what the node has not met is on the side of the nearer code it has met.
            let is_met = |code: u8| node.iter().any(|row| row.0 == f32::from(code));
            let sides: Vec<bool> = codes.iter().map(|&code| set.contains(code)).collect();
            prop_assert_eq!(sides.windows(2).filter(|pair| pair[0] != pair[1]).count(), 1);
            for (place, &code) in codes.iter().enumerate() {
                let met = (0..codes.len()).filter(|&other| is_met(codes[other]));
                let nearest = met.min_by_key(|&other| other.abs_diff(place));
                prop_assert!(is_met(code) || nearest.is_some_and(|nearest| sides[nearest] == sides[place]));
            }
        }
    }

    #[test]
    fn values_that_training_lacks_go_to_the_heavier_child(
        rows in rows_of((1u8..6).prop_map(f32::from), 3),
        is_category in any::<bool>(),
    ) {
        let kind = if is_category { category(6) } else { FeatureKind::Number };
        let class_weights = [1.0, 2.0, 0.5];
        if let Some(split) = best(&kind, &rows, &class_weights, 1) {
            let weight_where = |goes_left: bool| -> f64 {
                let rows = rows.iter().filter(|row| holds(split.test, row.0) == goes_left);
                rows.map(|row| f64::from(row.2) * class_weights[row.1 as usize]).sum()
            };
            let (left, right) = (weight_where(true), weight_where(false));
            prop_assert_eq!(split.missing_left, left >= right);
            if is_category {
                prop_assert!(left <= right);
                prop_assert!(!holds(split.test, 0.0), "the unseen code is in no set");
            }
        }
    }

    #[test]
    fn ranks_and_test_agree(
        rows in rows_of(prop_oneof![4 => any::<f32>(), 1 => (0u8..4).prop_map(f32::from)], 2),
    ) {
        let values: Vec<f32> = rows.iter().map(|row| row.0).collect();
        let column = ranked(&FeatureKind::Number, &rows, &[1.0, 1.0]);
        if let Some(split) = best(&FeatureKind::Number, &rows, &[1.0, 1.0], 1) {
            for (&x, &rank) in values.iter().zip(&column.ranks) {
                let by_test = if x.is_nan() { split.missing_left } else { holds(split.test, x) };
                prop_assert_eq!(split.goes_left(rank), by_test);
            }
        }
    }
}
