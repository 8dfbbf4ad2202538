use std::sync::Arc;

use super::*;
use crate::forest::bag::Sample;
use crate::forest::binning::Binned;
use crate::forest::criterion::Gini;
use crate::forest::histogram::Histograms;
use phantomnet_model::{Classes, Dataset, Dictionary, Feature, FeatureKind, FeatureSchema, Matrix};
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

fn binned(kind: &FeatureKind, rows: &[Row], class_weights: &[f64]) -> Binned {
    let schema = FeatureSchema::new(vec![Feature { name: "x".to_owned(), kind: kind.clone() }]);
    let names = (0..class_weights.len()).map(|class| class.to_string()).collect();
    let matrix = Matrix::new(rows.len(), vec![rows.iter().map(|row| row.0).collect()]).unwrap();
    let labels: Vec<u32> = rows.iter().map(|row| row.1).collect();
    let classes: Vec<u16> = labels.iter().map(|&label| label as u16).collect();
    let data = Dataset::new(Arc::new(schema), Arc::new(Classes { names, positive: None }), matrix, labels).unwrap();
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    Binned::new(&data, &all, &classes, class_weights, 255, || true).unwrap()
}

/// The codes in the order that they are cut in; `None` of a number.
fn order_of(binned: &Binned) -> Option<CodeOrder> {
    match &binned.values[0] {
        Values::Numbers { .. } => None,
        Values::Codes(codes) => Some(CodeOrder::new((0..codes.len() as u8).collect())),
    }
}

/// The best split of a node that holds the first `n` training rows, and its score.
fn best_of_node(
    binned: &Binned,
    rows: &[Row],
    n: usize,
    class_weights: &[f64],
    min_samples_leaf: u32,
) -> Option<(Split, f64)> {
    let layout = Layout::new(class_weights.len(), min_samples_leaf > 1);
    let samples = (0u32..).zip(&rows[..n]).map(|(row, &(_, class, count))| Sample::new(row, class, count.into()));
    let samples: Vec<Sample> = samples.collect();
    let mut node = vec![0; layout.n_words];
    for sample in &samples {
        node[sample.word()] += sample.add();
        if let Some((word, add)) = layout.of_row() {
            node[word] += add;
        }
    }
    let order = order_of(binned);
    let (mut histograms, mut groups) = (Histograms::new(layout), Groups::new(layout));
    histograms.fill(binned.for_node(n), &samples, &[0]);
    groups.take(&mut histograms, 0, &binned.values[0], order.as_ref());
    let cut = Cutter::new(layout, min_samples_leaf).best(&groups, &node, &Gini { layout, class_weights })?;
    let (mut prefix, mut rest) = (vec![0; layout.n_words], node);
    let best = BestCut::new(0, cut, &groups, &mut prefix);
    subtract(&mut rest, &prefix);
    let weight = |tally: &[u64]| layout.weights(tally, class_weights).sum();
    Some((best.split(&binned.values[0], order.as_ref(), (weight(&prefix), weight(&rest))), cut.score))
}

/// The best split of a node that holds all training rows.
fn best(kind: &FeatureKind, rows: &[Row], class_weights: &[f64], min_samples_leaf: u32) -> Option<(Split, f64)> {
    best_of_node(&binned(kind, rows, class_weights), rows, rows.len(), class_weights, min_samples_leaf)
}

fn set(codes: &[u8]) -> Test {
    let mut set = CategorySet::default();
    codes.iter().for_each(|&code| set.insert(code));
    Test::In(set)
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
    let (split, found) = best(&FeatureKind::Number, rows, &[1.0, 1.0], min_samples_leaf).unwrap();
    assert_eq!((split.test, split.missing_left, found), (Test::AtMost(threshold), missing_left, score));
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
    let (split, _) = best(&category(4), rows, &[1.0, 1.0], 1).unwrap();
    assert_eq!((split.test, split.missing_left), (set(codes), missing_left));
}

#[test]
fn missing_against_all_categories_is_no_set() {
    let (split, _) = best(&category(4), &[(0.0, 0, 1), (2.0, 0, 1), (NAN, 1, 5)], &[1.0, 1.0], 1).unwrap();
    assert_eq!((split.test, split.missing_left), (Test::AtMost(INF), false));
}

#[rstest]
// At 2.5: (9 + 1) / 4 on either side = 5; at 1.5: 1 + (16 + 9) / 7 = 4.57. Equal weights: missing left.
#[case(1.0, 2.5, true)]
// At 2.5: 9.01 / 3.1 + 1.09 / 1.3 = 3.74; at 1.5: 0.1 + 16.09 / 4.3 = 3.84. Right is heavier.
#[case(0.1, 1.5, false)]
fn class_weights_change_the_split(#[case] weight_of_1: f64, #[case] threshold: f32, #[case] missing_left: bool) {
    let rows = [(1.0, 1, 1), (2.0, 0, 3), (3.0, 1, 3), (3.0, 0, 1)];
    let (split, _) = best(&FeatureKind::Number, &rows, &[1.0, weight_of_1], 1).unwrap();
    assert_eq!((split.test, split.missing_left), (Test::AtMost(threshold), missing_left));
}

#[rstest]
#[case(&[1.0, 2.0, 4.0], 0.0, 1.0)]
#[case(&[1.0, 2.0, 4.0], 1.5, 1.0)]
#[case(&[1.0, 2.0, 4.0], 1.6, 2.0)]
#[case(&[1.0, 2.0, 4.0], 9.0, 4.0)]
#[case(&[-INF, 2.0], -INF, -INF)]
#[case(&[-INF, 2.0], 1.0, 2.0)]
#[case(&[f32::MIN, f32::MAX], 1e38, f32::MAX)]
// As f32 both distances are 1.
#[case(&[-1e-9, 2.0], 1.0, 2.0)]
fn the_nearest_by_hand(#[case] sorted: &[f32], #[case] x: f32, #[case] expected: f32) {
    assert_eq!(nearest(sorted, x), expected);
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

/// The split found must take away the most there is.
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
        let split = best(&FeatureKind::Number, &rows, &class_weights, min_samples_leaf).map(|(split, _)| split);
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
        let split = best(&category(6), &rows, &class_weights, 1).map(|(split, _)| split);
        check_optimal(&rows, &class_weights, 1, split, most)?;
    }

    #[test]
    fn categories_are_cut_best_in_their_order(
        rows in rows_of(prop_oneof![7 => (0u8..8).prop_map(f32::from), 1 => Just(NAN)], 3),
        share in 0.1f64..1.0,
        class_weights in prop::array::uniform3(0.1f64..10.0),
        min_samples_leaf in 1u32..4,
    ) {
        let binned = binned(&category(8), &rows, &class_weights);
        let Values::Codes(codes) = &binned.values[0] else { panic!("{:?}", binned.values) };
        let n = (rows.len() as f64 * share).ceil() as usize;
        let node = &rows[..n];
        let tests = (1..=codes.len()).map(|len| move |x: f32| codes[..len].contains(&(x as u8)));
        let most = naive::best_gain(node, &class_weights, min_samples_leaf, tests);
        let split = best_of_node(&binned, &rows, n, &class_weights, min_samples_leaf).map(|(split, _)| split);
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
        if let Some((split, _)) = best(&kind, &rows, &class_weights, 1) {
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
        rows in rows_of(prop_oneof![4 => any::<f32>(), 1 => (0u8..4).prop_map(f32::from), 1 => Just(NAN)], 2),
        codes in rows_of(prop_oneof![6 => (0u8..7).prop_map(f32::from), 1 => Just(NAN)], 2),
    ) {
        for (kind, rows) in [(FeatureKind::Number, rows), (category(7), codes)] {
            let binned = binned(&kind, &rows, &[1.0, 1.0]);
            let Some((split, _)) = best(&kind, &rows, &[1.0, 1.0], 1) else { continue };
            let order = order_of(&binned);
            for (i, &(x, ..)) in rows.iter().enumerate() {
                let bin = binned.rows().row(i)[0];
                let by_test = if x.is_nan() { split.missing_left } else { holds(split.test, x) };
                let rank = order.as_ref().map_or(bin, |order| order.places[usize::from(bin)]);
                prop_assert_eq!(split.goes_left(rank), by_test);
                if order.is_none() {
                    let (shift, last) = split.shifted_last();
                    prop_assert_eq!(bin.wrapping_add(shift) <= last, by_test);
                }
            }
        }
    }
}
