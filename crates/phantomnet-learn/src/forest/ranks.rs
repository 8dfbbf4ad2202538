//! Feature columns as ranks: what the grower reads instead of values.
//!
//! The *rank* of a number is its place among the distinct values of its feature in the training rows, that of a category
//! the place of its code in [`code_order`]. Ranks make exact splits cheap: they are compared as integers, and where a feature has few distinct values
//! they index an array of counts. They are made once for all trees.

use phantomnet_model::FeatureKind;

use super::code_order::code_order;

/// Rank of a missing value.
pub(super) const MISSING: u32 = u32::MAX;

/// What the ranks of a feature stand for.
#[derive(Debug)]
pub(super) enum Values {
    /// The distinct numbers, ascending; the two zeros are one.
    Numbers(Vec<f32>),
    /// The codes that occur, in the order that they are split in.
    Codes(Vec<u8>),
}

/// A feature of the training rows.
#[derive(Debug)]
pub(super) struct RankedColumn {
    /// Rank of each training row, in the order of the rows.
    pub(super) ranks: Vec<u32>,
    /// Meaning of the ranks.
    pub(super) values: Values,
}

impl RankedColumn {
    /// Ranks the `rows` of a column. O(n log n) for numbers.
    ///
    /// - `classes`: class of each of `rows`, which with `class_weights` orders the codes of a category.
    pub(super) fn new(
        kind: &FeatureKind,
        column: &[f32],
        rows: &[u32],
        classes: &[u32],
        class_weights: &[f64],
    ) -> Self {
        let of_rows = rows.iter().map(|&row| column[row as usize]);
        if let FeatureKind::Category { dictionary } = kind {
            let n_codes = dictionary.n_codes();
            let code_of_rows = of_rows.map(|x| (!x.is_nan()).then_some(x as u8));
            let codes = code_order(n_codes, code_of_rows.clone().zip(classes.iter().copied()), class_weights);
            let mut rank_of = vec![MISSING; n_codes];
            for (rank, &code) in (0..).zip(&codes) {
                rank_of[usize::from(code)] = rank;
            }
            let ranks = code_of_rows.map(|code| code.map_or(MISSING, |code| rank_of[usize::from(code)])).collect();
            return Self { ranks, values: Values::Codes(codes) };
        }
        let mut distinct: Vec<f32> = of_rows.clone().filter(|x| !x.is_nan()).collect();
        distinct.sort_unstable_by(f32::total_cmp);
        distinct.dedup();
        let rank = |x: f32| match x.is_nan() {
            true => MISSING,
            false => distinct.partition_point(|&value| value < x) as u32,
        };
        Self { ranks: of_rows.map(rank).collect(), values: Values::Numbers(distinct) }
    }

    /// Number of ranks, the one of missing values not counted.
    pub(super) fn n_ranks(&self) -> usize {
        match &self.values {
            Values::Numbers(distinct) => distinct.len(),
            Values::Codes(codes) => codes.len(),
        }
    }
}

/// A threshold between two neighbouring values: their midpoint, such that `lower <= threshold < upper`.
///
/// Falls back to `lower` where the midpoint is not finite or rounds up to `upper`.
pub(super) fn threshold_between(lower: f32, upper: f32) -> f32 {
    let middle = ((f64::from(lower) + f64::from(upper)) / 2.0) as f32;
    if middle.is_finite() && middle < upper { middle } else { lower }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phantomnet_model::Dictionary;
    use proptest::prelude::*;
    use rstest::rstest;

    const INF: f32 = f32::INFINITY;

    #[rstest]
    #[case(1.0, 2.0, 1.5)]
    #[case(-1.0, 0.0, -0.5)]
    // Neighbours: no f32 lies between, the midpoint rounds to even.
    #[case(1.0, 1.0 + f32::EPSILON, 1.0)]
    #[case(1.0 + f32::EPSILON, 1.0 + 2.0 * f32::EPSILON, 1.0 + f32::EPSILON)]
    #[case(0.0, f32::from_bits(1), 0.0)]
    #[case(f32::MAX / 2.0, f32::MAX, f32::MAX * 0.75)]
    #[case(-f32::MAX, f32::MAX, 0.0)]
    #[case(f32::MAX, INF, f32::MAX)]
    #[case(-INF, 3.0, -INF)]
    #[case(-INF, INF, -INF)]
    fn thresholds_by_hand(#[case] lower: f32, #[case] upper: f32, #[case] expected: f32) {
        assert_eq!(threshold_between(lower, upper), expected);
    }

    proptest! {
        #[test]
        fn thresholds_part_any_two_numbers(a in any::<f32>(), b in any::<f32>()) {
            prop_assume!(!a.is_nan() && !b.is_nan() && a != b);
            let (lower, upper) = if a < b { (a, b) } else { (b, a) };
            let threshold = threshold_between(lower, upper);
            prop_assert!(lower <= threshold && threshold < upper);
        }
    }

    #[test]
    fn numbers_are_ranked_by_distinct_value() {
        let column = [7.0, -0.0, f32::NAN, INF, 0.0, 99.0, -INF, 7.0];
        let ranked = RankedColumn::new(&FeatureKind::Number, &column, &[0, 1, 2, 3, 4, 6, 7], &[0; 7], &[1.0]);
        assert_eq!(ranked.ranks, [2, 1, MISSING, 3, 1, 0, 2]);
        assert_eq!(ranked.n_ranks(), 4, "99 belongs to no training row");
    }

    #[test]
    fn categories_are_ranked_in_the_order_of_their_codes() {
        let dictionary = Dictionary::from_values(vec!["tcp".into(), "udp".into()]);
        let kind = FeatureKind::Category { dictionary: dictionary.unwrap() };
        let column = [2.0, f32::NAN, 0.0, 2.0, 1.0];
        let ranked = RankedColumn::new(&kind, &column, &[0, 1, 2, 3], &[0, 1, 1, 0], &[1.0, 1.0]);
        let Values::Codes(codes) = &ranked.values else { panic!("{:?}", ranked.values) };
        assert_eq!(ranked.n_ranks(), 2, "code 1 belongs to no training row");
        let codes: Vec<Option<u8>> = ranked.ranks.iter().map(|&rank| codes.get(rank as usize).copied()).collect();
        assert_eq!(codes, [Some(2), None, Some(0), Some(2)]);
        assert_eq!(ranked.ranks[1], MISSING);
    }
}
