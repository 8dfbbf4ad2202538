//! What every division of rows must hold.

use std::sync::Arc;

use phantomnet_learn::folds::{FoldError, stratified_holdout, stratified_k_fold};
use proptest::prelude::*;
use rstest::rstest;

fn names(n_classes: usize) -> Vec<String> {
    (0..n_classes).map(|class| format!("c{class}")).collect()
}

fn counts(labels: &[u32], rows: &[u32]) -> Vec<usize> {
    let mut counts = vec![0; 5];
    for &row in rows {
        counts[labels[row as usize] as usize] += 1;
    }
    counts
}

fn sorted_union(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut all = [a, b].concat();
    all.sort_unstable();
    all
}

/// Labels of up to five classes, each absent or with 7 rows at least.
fn labels() -> impl Strategy<Value = Vec<u32>> {
    let count = prop_oneof![1 => Just(0usize), 4 => 7usize..40];
    prop::collection::vec(count, 5)
        .prop_filter("two classes", |counts| counts.iter().filter(|&&n| n > 0).count() > 1)
        .prop_flat_map(|counts| {
            let labels: Vec<u32> = (0u32..).zip(counts).flat_map(|(class, n)| std::iter::repeat_n(class, n)).collect();
            Just(labels).prop_shuffle()
        })
}

proptest! {
    #[test]
    fn folds_cover_the_rows_evenly(
        labels in labels(), n_folds in 2usize..7, n_repeats in 1usize..4, seed: u64,
    ) {
        let rows: Vec<u32> = (0..labels.len() as u32).collect();
        let folds = stratified_k_fold(&labels, &names(5), rows.as_slice(), n_folds, n_repeats, seed).unwrap();
        prop_assert_eq!(folds.len(), n_folds * n_repeats);
        for (repeat, folds) in folds.chunks(n_folds).enumerate() {
            let mut validated = Vec::new();
            for (i, fold) in folds.iter().enumerate() {
                prop_assert_eq!((fold.repeat, fold.fold), (repeat, i));
                prop_assert!(fold.train().is_sorted() && fold.validation.is_sorted());
                prop_assert_eq!(sorted_union(&fold.train(), &fold.validation), rows.clone());
                validated.extend_from_slice(&fold.validation);
            }
            validated.sort_unstable();
            prop_assert_eq!(&validated, &rows);
            for (a, b) in folds.iter().flat_map(|a| folds.iter().map(move |b| (a, b))) {
                prop_assert!(a.validation.len().abs_diff(b.validation.len()) <= 1);
                let pairs = counts(&labels, &a.validation).into_iter().zip(counts(&labels, &b.validation));
                for (a, b) in pairs {
                    prop_assert!(a.abs_diff(b) <= 1);
                }
            }
        }
    }

    #[test]
    fn folds_of_some_rows_hold_those_alone(labels in labels(), seed: u64) {
        let holdout = stratified_holdout(&labels, &names(5), 0.3, seed).unwrap();
        let mut backwards = holdout.train.to_vec();
        backwards.reverse();
        let folds = stratified_k_fold(&labels, &names(5), Arc::clone(&holdout.train), 2, 1, seed).unwrap();
        prop_assert_eq!(&sorted_union(&folds[0].validation, &folds[1].validation), &*holdout.train);
        prop_assert_eq!(&folds[0].train(), &folds[1].validation);
        prop_assert_eq!(&folds, &stratified_k_fold(&labels, &names(5), backwards, 2, 1, seed).unwrap());
    }

    #[test]
    fn the_holdout_is_a_fair_share(labels in labels(), test_size in 0.35f64..0.65, seed: u64) {
        let holdout = stratified_holdout(&labels, &names(5), test_size, seed).unwrap();
        let rows: Vec<u32> = (0..labels.len() as u32).collect();
        prop_assert!(holdout.train.is_sorted() && holdout.test.is_sorted());
        prop_assert_eq!(sorted_union(&holdout.train, &holdout.test), rows.clone());
        let n_test = (test_size * labels.len() as f64).ceil();
        prop_assert_eq!(holdout.test.len() as f64, n_test);
        // Classes of 7 rows and more are far from the limits of one row, so each share is within a row of exact.
        for (all, test) in counts(&labels, &rows).into_iter().zip(counts(&labels, &holdout.test)) {
            let exact = all as f64 * n_test / labels.len() as f64;
            prop_assert!((test as f64 - exact).abs() < 1.0);
        }
    }

    #[test]
    fn any_labels_give_a_division_or_an_error(
        labels in prop::collection::vec(0u32..4, 0..12), test_size in -0.5f64..1.5, n_folds in 0usize..6, seed: u64,
    ) {
        if let Ok(holdout) = stratified_holdout(&labels, &names(3), test_size, seed) {
            for side in [&holdout.train[..], &holdout.test] {
                let all = counts(&labels, &sorted_union(&holdout.train, &holdout.test));
                let on_side = counts(&labels, side);
                prop_assert!(all.iter().zip(&on_side).all(|(&all, &here)| all == 0 || here > 0));
            }
        }
        let rows: Vec<u32> = (0..labels.len() as u32).collect();
        if let Ok(folds) = stratified_k_fold(&labels, &names(3), rows.as_slice(), n_folds, 1, seed) {
            prop_assert!(folds.iter().all(|fold| !fold.validation.is_empty()));
        }
    }
}

#[test]
fn the_seed_decides() {
    let labels: Vec<u32> = (0..220).map(|row| row % 2).collect();
    let rows: Vec<u32> = (0..220).collect();
    let holdout = |seed| stratified_holdout(&labels, &names(2), 0.2, seed).unwrap();
    assert_eq!(holdout(42).test.len(), 44);
    assert_eq!(holdout(42), holdout(42));
    assert_ne!(holdout(42), holdout(43));
    let folds = |seed| stratified_k_fold(&labels, &names(2), rows.as_slice(), 5, 2, seed).unwrap();
    assert_eq!(folds(42), folds(42));
    assert_ne!(folds(42), folds(43));
    let repeats = folds(42);
    assert_ne!(repeats[0].validation, repeats[5].validation);
}

#[test]
fn every_row_is_held_out_equally_often() {
    let labels: Vec<u32> = (0..10).map(|row| u32::from(row < 4)).collect();
    let mut held_out = [0u32; 10];
    for seed in 0..2_000 {
        for row in stratified_holdout(&labels, &names(2), 0.5, seed).unwrap().test {
            held_out[row as usize] += 1;
        }
    }
    // 1,000 expected of each, standard deviation 22.
    assert!(held_out.iter().all(|&n| n.abs_diff(1_000) < 110), "{held_out:?}");
}

#[rstest]
#[case(&[], 0.2, "there is no row to divide", None)]
#[case(&[1, 1, 1], 0.2, "all 3 rows are of class `c1`; two classes at least are needed",
    Some("check the label expression against the data"))]
#[case(&[0, 0, 0, 1], 0.5, "class `c1` has 1 row; the hold-out and the rest need one each",
    Some("merge or leave out the rare class"))]
#[case(&[0, 0, 0, 1, 1], 0.2,
    "`test_size` 0.2 keeps 1 of 5 rows for the hold-out; 2 classes need at least 2 rows on either side",
    Some("use more rows, or a `test_size` nearer to 0.5"))]
#[case(&[0, 1], 0.0, "`test_size` must lie between 0 and 1, both excluded, got 0", None)]
#[case(&[0, 1], f64::NAN, "`test_size` must lie between 0 and 1, both excluded, got NaN", None)]
#[case(&[0, 9], 0.5, "row 1 has label 9, but there are 2 classes", None)]
fn no_holdout(#[case] labels: &[u32], #[case] test_size: f64, #[case] message: &str, #[case] hint: Option<&str>) {
    let error = stratified_holdout(labels, &names(2), test_size, 0).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert_eq!(error.hint(), hint);
}

#[rstest]
#[case(&[], 5, 1, "there is no row to divide")]
#[case(&[0, 1, 2], 2, 1, "all 3 rows are of class `c0`; two classes at least are needed")]
#[case(&[0, 1, 2, 3, 4], 3, 1, "class `c1` has fewer rows (2) than there are folds (3)")]
#[case(&[0, 1, 3, 4], 1, 1, "`n_folds` must be at least 2, got 1")]
#[case(&[0, 1, 3, 4], 2, 0, "`n_repeats` must be at least 1, got 0")]
#[case(&[0, 1, 3, 5], 2, 1, "row 5 does not exist, the dataset has 5 rows")]
#[case(&[0, 1, 3, 1], 2, 1, "row 1 is given more than once")]
fn no_folds(#[case] rows: &[u32], #[case] n_folds: usize, #[case] n_repeats: usize, #[case] message: &str) {
    let labels = [0, 0, 0, 1, 1];
    let error = stratified_k_fold(&labels, &names(2), rows, n_folds, n_repeats, 0).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn names_of_classes_are_escaped_in_messages() {
    let classes = ["a".to_owned(), "\u{1b}[2J".to_owned()];
    let error = stratified_k_fold(&[0, 0, 0, 1], &classes, [0, 1, 2, 3], 3, 1, 0).unwrap_err();
    assert!(matches!(error, FoldError::ClassSmallerThanFolds { rows: 1, n_folds: 3, .. }));
    assert_eq!(error.to_string(), "class `\\u{1b}[2J` has fewer rows (1) than there are folds (3)");
}
