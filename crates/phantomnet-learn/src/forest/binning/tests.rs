use std::sync::Arc;

use super::*;
use crate::rng::Rng;
use phantomnet_model::{Classes, Dictionary, FeatureSchema, Matrix};
use proptest::prelude::*;
use rstest::rstest;

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

#[rstest]
#[case(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 4, &[2.5, 4.5, 6.5])]
#[case(&[1.0, 2.0, 3.0], 2, &[2.5])]
// More bins than values.
#[case(&[1.0, 2.0, 3.0], 9, &[1.5, 2.5])]
// Six zeros fill the first bin; the two others share what is left.
#[case(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0], 4, &[0.5, 1.5])]
// The fives fill a bin by themselves: the one before them ends early ...
#[case(&[1.0, 5.0, 5.0, 5.0, 5.0, 5.0, 9.0, 10.0], 4, &[3.0, 7.0, 9.5])]
// ... or on time.
#[case(&[1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 9.0, 10.0], 4, &[3.5, 7.0, 9.5])]
#[case(&[-INF, 1.0, INF], 3, &[-INF, 1.0])]
#[case(&[-INF, -INF, INF, INF], 2, &[-INF])]
#[case(&[f32::MIN, f32::MAX], 2, &[0.0])]
#[case(&[3.0, 3.0], 2, &[])]
#[case(&[3.0], 255, &[])]
#[case(&[], 255, &[])]
fn quantiles_by_hand(#[case] sorted: &[f32], #[case] max_bins: usize, #[case] cuts: &[f32]) {
    assert_eq!(quantile_cuts(sorted, max_bins), cuts);
}

#[rstest]
#[case(&[3.0, 1.0, 3.0, 2.0], 3, Some(&[1.0, 2.0, 3.0][..]))]
#[case(&[3.0, 1.0, 3.0, 2.0], 2, None)]
#[case(&[0.0, -0.0, NAN, 0.0], 1, Some(&[0.0][..]))]
#[case(&[INF, 1e-45, -INF, NAN, -1e-45], 4, Some(&[-INF, -1e-45, 1e-45, INF][..]))]
#[case(&[NAN, -NAN], 1, Some(&[][..]))]
fn distinct_values_by_hand(#[case] column: &[f32], #[case] max: usize, #[case] expected: Option<&[f32]>) {
    let rows: Vec<u32> = (0..column.len() as u32).collect();
    let found = distinct(column, &rows, max);
    assert_eq!(found.as_deref(), expected);
    assert!(found.is_none_or(|values| values.iter().all(|x| x.to_bits() != (-0.0_f32).to_bits())));
}

#[rstest]
#[case(1.0, 2.0, 1.5)]
#[case(-1.0, 1.0, 0.0)]
#[case(f32::MIN, f32::MAX, 0.0)]
#[case(2e38, 3e38, 2.5e38)]
// No number lies between, and the middle would be rounded up or down.
#[case(1.0, 1.0 + f32::EPSILON, 1.0)]
#[case(1.0 + f32::EPSILON, 1.0 + 2.0 * f32::EPSILON, 1.0 + f32::EPSILON)]
#[case(0.0, 1e-45, 0.0)]
#[case(-1e-45, 0.0, -1e-45)]
#[case(5.0, INF, 5.0)]
#[case(-INF, 5.0, -INF)]
#[case(-INF, INF, -INF)]
fn thresholds_by_hand(#[case] lower: f32, #[case] upper: f32, #[case] expected: f32) {
    let threshold = threshold_between(lower, upper);
    assert_eq!(threshold.to_bits(), expected.to_bits(), "{threshold}");
    assert!(lower <= threshold && threshold < upper);
}

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => any::<f32>(),
        4 => (-100i16..100).prop_map(f32::from),
        1 => prop::sample::select(vec![NAN, INF, -INF, 0.0, -0.0, 1e-45, -1e-45, f32::MAX, f32::MIN]),
    ]
}

fn encode(encoder: &Encoder, column: &[f32], rows: &[u32]) -> Vec<u8> {
    let mut bins = vec![0; rows.len()];
    encoder.encode(column, rows, bins.iter_mut());
    bins
}

proptest! {
    #[test]
    fn the_bin_of_a_number_is_the_count_of_lower_thresholds(
        column in prop::collection::vec(number(), 1..700),
        others in prop::collection::vec(number(), 50),
        max_bins in prop_oneof![2usize..20, Just(254usize), Just(255usize)],
    ) {
        let rows: Vec<u32> = (0..column.len() as u32).rev().collect();
        let encoder = Encoder::of_numbers(&column, &rows, max_bins);
        let Values::Numbers { lower, upper, cuts } = &encoder.values else { panic!("{encoder:?}") };
        prop_assert!(encoder.values.n_bins() <= max_bins);
        prop_assert!(lower.len() == upper.len() && cuts.len() == upper.len().saturating_sub(1));
        prop_assert!(cuts.windows(2).all(|pair| pair[0] < pair[1]));
        let expected = |x: f32| if x.is_nan() { MISSING } else { cuts.iter().filter(|&&cut| cut < x).count() as u8 };
        let all: Vec<u32> = (0..50).collect();
        prop_assert_eq!(encode(&encoder, &others, &all), others.iter().map(|&x| expected(x)).collect::<Vec<_>>());

        let mut distinct: Vec<f32> = column.iter().copied().filter(|x| !x.is_nan()).collect();
        distinct.sort_by(f32::total_cmp);
        distinct.dedup();
        let mut n_rows_of = vec![0; 256];
        for (&row, bin) in rows.iter().zip(encode(&encoder, &column, &rows)) {
            let x = column[row as usize];
            prop_assert_eq!(bin, expected(x));
            n_rows_of[usize::from(bin)] += 1;
            if !x.is_nan() {
                let (lower, upper) = (lower[usize::from(bin)], upper[usize::from(bin)]);
                prop_assert!(lower <= x && x <= upper);
                prop_assert!(distinct.len() > max_bins || lower == upper, "few values have a bin each");
            }
        }
        let n_bins = encoder.values.n_bins();
        prop_assert!(distinct.is_empty() || n_rows_of[..n_bins].iter().all(|&n| n > 0), "no bin is empty");
    }
}

#[test]
fn bins_of_many_rows_have_about_as_many_each() {
    // More rows than quantiles are taken from; the square makes values dense at one end.
    let mut rng = Rng::new(1);
    let column: Vec<f32> = (0..300_000).map(|_| (rng.below(1 << 20) as f32).powi(2)).collect();
    let rows: Vec<u32> = (0..300_000).collect();
    let encoder = Encoder::of_numbers(&column, &rows, 100);
    let mut n_rows_of = vec![0_u32; 100];
    encode(&encoder, &column, &rows).into_iter().for_each(|bin| n_rows_of[usize::from(bin)] += 1);
    // 3,000 expected; a bin has 2,000 of the sample, whose standard deviation is about 2 %.
    assert!(n_rows_of.iter().all(|&n| n.abs_diff(3000) < 400), "{n_rows_of:?}");
}

#[test]
fn rows_and_columns_have_the_same_bins() {
    let dictionary = Dictionary::from_values(["icmp", "tcp", "udp"].map(String::from).to_vec()).unwrap();
    let kinds = [FeatureKind::Number, FeatureKind::Category { dictionary }, FeatureKind::Boolean];
    let features = kinds.into_iter().enumerate().map(|(j, kind)| Feature { name: format!("x{j}"), kind }).collect();
    // Codes 1 to 3 hold none, half and all of class 1. Row 6 is not trained on.
    let columns = vec![
        vec![5.0, NAN, -0.0, 5.0, 0.0, 7.5, -3.0],
        vec![2.0, 3.0, 1.0, 2.0, NAN, 1.0, 0.0],
        vec![1.0, 0.0, 1.0, NAN, 1.0, 1.0, 1.0],
    ];
    let labels = vec![1, 1, 0, 0, 1, 0, 0];
    let classes: Vec<u16> = labels.iter().take(6).map(|&label| label as u16).collect();
    let matrix = Matrix::new(7, columns).unwrap();
    let schema = Arc::new(FeatureSchema::new(features));
    let data = Dataset::new(schema, Arc::new(Classes::boolean()), matrix, labels).unwrap();
    let rows = [0, 1, 2, 3, 4, 5];
    let binned = Binned::new(&data, &rows, &classes, &[1.0, 1.0], 255, || true).unwrap();
    let values = vec![0.0, 5.0, 7.5];
    let cuts = vec![2.5, 6.25];
    assert_eq!(binned.values[0], Values::Numbers { lower: values.clone(), upper: values, cuts });
    let Values::Codes(codes) = &binned.values[1] else { panic!("{:?}", binned.values[1]) };
    let place = |code: u8| codes.iter().position(|&other| other == code).unwrap() as u8;
    assert_eq!((codes.len(), place(2)), (3, 1), "{codes:?}");
    let expected =
        [[1, 1, 1], [MISSING, place(3), 0], [0, place(1), 1], [1, 1, MISSING], [0, MISSING, 1], [2, place(1), 1]];
    for (i, row) in expected.iter().enumerate() {
        assert_eq!(binned.rows().row(i), row);
    }
    let Bins::Columns { bins, n_rows: 6 } = binned.for_node(6) else { panic!("the root reads columns") };
    assert_eq!(bins, (0..3).flat_map(|j| expected.map(|row| row[j])).collect::<Vec<_>>());
    assert!(Binned::new(&data, &rows, &classes, &[1.0, 1.0], 255, || false).is_none(), "nobody wants it");
}
