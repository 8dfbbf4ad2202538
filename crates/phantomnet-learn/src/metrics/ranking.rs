//! What the order of the scores is worth: ROC, precision-recall and the areas under them.
//!
//! Scores are compared as the f32 they are. Rows with equal scores form one *tie* and are flagged together, so no result
//! depends on the order of the rows.

/// Rows by descending score, sorted once and swept as often as needed.
#[derive(Debug)]
pub(super) struct Ranking {
    rows: Vec<RankedRow>,
}

/// The row in the lower half, then whether it is positive, and whether it is the last of its tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct RankedRow(u64);

impl RankedRow {
    const POSITIVE: u32 = 32;
    const LAST_OF_TIE: u32 = 33;

    fn row(self) -> u32 {
        self.0 as u32
    }

    fn positive(self) -> u32 {
        (self.0 >> Self::POSITIVE) as u32 & 1
    }

    fn is_last_of_tie(self) -> bool {
        self.0 >> Self::LAST_OF_TIE & 1 == 1
    }
}

/// Rows flagged when the decision threshold lies below a tie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flagged {
    positives: u32,
    negatives: u32,
}

/// The areas under the two curves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Areas {
    /// NaN without a positive or without a negative row.
    pub(super) roc_auc: f64,
    /// Average precision; 0 without a positive row.
    pub(super) pr_auc: f64,
}

impl Ranking {
    /// O(n log n); 8 bytes a row. At most `u32::MAX` rows.
    pub(super) fn new(scores: impl Iterator<Item = f32>, is_positive: impl Fn(usize) -> bool) -> Self {
        // First the score above the row, ascending for descending scores.
        let mut rows: Vec<RankedRow> = scores
            .zip(0u32..)
            .map(|(score, row)| RankedRow(u64::from(!ascending_bits(score)) << 32 | u64::from(row)))
            .collect();
        rows.sort_unstable();
        for i in 0..rows.len() {
            let row = rows[i].row();
            let last_of_tie = rows.get(i + 1).is_none_or(|next| next.0 >> 32 != rows[i].0 >> 32);
            rows[i] = RankedRow(
                u64::from(last_of_tie) << RankedRow::LAST_OF_TIE
                    | u64::from(is_positive(row as usize)) << RankedRow::POSITIVE
                    | u64::from(row),
            );
        }
        Self { rows }
    }

    /// Calls `at` at the end of each tie with what is flagged then; `counts` is how often a row is taken.
    ///
    /// Without a branch on the class of a row, which no processor can guess.
    #[inline]
    fn sweep(&self, counts: impl Fn(u32) -> u8, mut at: impl FnMut(Flagged)) -> Flagged {
        let mut flagged = Flagged::default();
        for ranked in &self.rows {
            let count = u32::from(counts(ranked.row()));
            let positives = count * ranked.positive();
            flagged.positives += positives;
            flagged.negatives += count - positives;
            if ranked.is_last_of_tie() {
                at(flagged);
            }
        }
        flagged
    }

    /// The areas when row `i` is taken `counts(i)` times, `u32::MAX` rows in all at most. O(n).
    pub(super) fn areas(&self, counts: impl Fn(u32) -> u8) -> Areas {
        let mut before = Flagged::default();
        let mut twice_area = 0u64;
        let mut precisions = 0.0;
        let all = self.sweep(counts, |flagged| {
            // A trapezoid of the ROC curve in whole rows: half of a tie's pairs count as ordered right.
            twice_area += u64::from(flagged.negatives - before.negatives)
                * (u64::from(flagged.positives) + u64::from(before.positives));
            let new_positives = f64::from(flagged.positives - before.positives);
            let n_flagged = f64::from(flagged.positives) + f64::from(flagged.negatives);
            precisions += new_positives * f64::from(flagged.positives) / n_flagged.max(1.0);
            before = flagged;
        });
        Areas {
            roc_auc: twice_area as f64 / 2.0 / (f64::from(all.positives) * f64::from(all.negatives)),
            pr_auc: if all.positives == 0 { 0.0 } else { precisions / f64::from(all.positives) },
        }
    }

    fn curve(&self) -> (Vec<Flagged>, Flagged) {
        let mut points = Vec::new();
        let all = self.sweep(|_| 1, |flagged| points.push(flagged));
        (points, all)
    }
}

/// Bits that are ordered as unsigned integers like the scores are as numbers; both zeros are one value.
fn ascending_bits(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn ranking(is_positive: &[bool], scores: &[f32]) -> Ranking {
    assert_eq!(is_positive.len(), scores.len(), "one score for each row");
    Ranking::new(scores.iter().copied(), |row| is_positive[row])
}

/// Points `(false positive rate, true positive rate)` of the ROC curve, from (0, 0) to (1, 1).
///
/// One point for each distinct score, which are flagged in descending order; a rate without rows to take it of is NaN.
/// O(n log n). Scores must not be NaN.
///
/// # Panics
/// When the lengths differ.
#[must_use]
pub fn roc_curve(is_positive: &[bool], scores: &[f32]) -> Vec<(f64, f64)> {
    let (points, all) = ranking(is_positive, scores).curve();
    std::iter::once(Flagged::default())
        .chain(points)
        .map(|flagged| {
            (
                f64::from(flagged.negatives) / f64::from(all.negatives),
                f64::from(flagged.positives) / f64::from(all.positives),
            )
        })
        .collect()
}

/// Points `(recall, precision)` of the precision-recall curve, recall ascending from (0, 1).
///
/// One point for each distinct score; without a positive row recall is 1 at all of them, as in scikit-learn. The curve is
/// a staircase: between two points the precision is that of the right one. O(n log n). Scores must not be NaN.
///
/// # Panics
/// When the lengths differ.
#[must_use]
pub fn pr_curve(is_positive: &[bool], scores: &[f32]) -> Vec<(f64, f64)> {
    let (points, all) = ranking(is_positive, scores).curve();
    let at = |flagged: Flagged| {
        let recall = if all.positives == 0 { 1.0 } else { f64::from(flagged.positives) / f64::from(all.positives) };
        let n_flagged = f64::from(flagged.positives) + f64::from(flagged.negatives);
        (recall, f64::from(flagged.positives) / n_flagged)
    };
    std::iter::once((0.0, 1.0)).chain(points.into_iter().map(at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    /// The share of (positive, negative) pairs in which the positive has the higher score, ties counting half.
    fn naive_roc_auc(is_positive: &[bool], scores: &[f32]) -> f64 {
        let (mut won, mut pairs) = (0.0, 0.0);
        for (i, _) in is_positive.iter().enumerate().filter(|(_, p)| **p) {
            for (j, _) in is_positive.iter().enumerate().filter(|(_, p)| !**p) {
                pairs += 1.0;
                if scores[i] > scores[j] {
                    won += 1.0;
                } else if scores[i] == scores[j] {
                    won += 0.5;
                }
            }
        }
        won / pairs
    }

    /// The mean over the positives of the precision when all rows that score at least as high are flagged.
    fn naive_pr_auc(is_positive: &[bool], scores: &[f32]) -> f64 {
        let (mut sum, mut n) = (0.0, 0.0);
        for (i, _) in is_positive.iter().enumerate().filter(|(_, p)| **p) {
            let flagged = scores.iter().filter(|&&s| s >= scores[i]).count();
            let right = (scores.iter().zip(is_positive)).filter(|&(&s, &p)| p && s >= scores[i]).count();
            sum += right as f64 / flagged as f64;
            n += 1.0;
        }
        if n == 0.0 { 0.0 } else { sum / n }
    }

    fn areas(is_positive: &[bool], scores: &[f32]) -> Areas {
        ranking(is_positive, scores).areas(|_| 1)
    }

    const T: bool = true;
    const F: bool = false;

    #[rstest]
    // One of four pairs is the wrong way round; precisions at the positives are 1/1 and 2/3.
    #[case(&[F, F, T, T], &[0.1, 0.4, 0.35, 0.8], 0.75, (1.0 + 2.0 / 3.0) / 2.0)]
    #[case(&[F, T], &[0.2, 0.9], 1.0, 1.0)]
    #[case(&[T, F], &[0.2, 0.9], 0.0, 0.5)]
    #[case(&[T, F, F, F], &[0.5, 0.5, 0.5, 0.5], 0.5, 0.25)]
    #[case(&[T, F], &[-0.0, 0.0], 0.5, 0.5)]
    #[case(&[T, T], &[0.5, 0.1], f64::NAN, 1.0)]
    #[case(&[F, F], &[0.5, 0.1], f64::NAN, 0.0)]
    fn areas_by_hand(#[case] is_positive: &[bool], #[case] scores: &[f32], #[case] roc_auc: f64, #[case] pr_auc: f64) {
        let areas = areas(is_positive, scores);
        assert_eq!(areas.pr_auc, pr_auc);
        assert!(areas.roc_auc == roc_auc || areas.roc_auc.is_nan() && roc_auc.is_nan());
    }

    #[test]
    fn neighbouring_f32_scores_are_no_tie() {
        let score = 0.3f32;
        assert_eq!(areas(&[T, F], &[score.next_up(), score]).roc_auc, 1.0);
    }

    #[test]
    fn curves_by_hand() {
        let (is_positive, scores) = ([F, F, T, T], [0.1, 0.4, 0.35, 0.8]);
        assert_eq!(roc_curve(&is_positive, &scores), [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        assert_eq!(pr_curve(&is_positive, &scores), [(0.0, 1.0), (0.5, 1.0), (0.5, 0.5), (1.0, 2.0 / 3.0), (1.0, 0.5)]);
    }

    #[test]
    fn curves_without_a_positive_row() {
        let roc = roc_curve(&[F, F], &[0.2, 0.7]);
        assert!(roc.iter().all(|point| point.1.is_nan()));
        assert_eq!(pr_curve(&[F], &[0.2]), [(0.0, 1.0), (1.0, 0.0)]);
    }

    fn rows() -> impl Strategy<Value = (Vec<bool>, Vec<f32>)> {
        let row = (any::<bool>(), 0u8..12);
        prop::collection::vec(row, 1..40)
            .prop_map(|rows| rows.into_iter().map(|(positive, step)| (positive, f32::from(step) / 11.0)).unzip())
    }

    proptest! {
        #[test]
        fn areas_equal_the_naive_ones((is_positive, scores) in rows()) {
            let areas = areas(&is_positive, &scores);
            let roc_auc = naive_roc_auc(&is_positive, &scores);
            prop_assert!((areas.roc_auc - roc_auc).abs() < 1e-12 || roc_auc.is_nan() && areas.roc_auc.is_nan());
            prop_assert!((areas.pr_auc - naive_pr_auc(&is_positive, &scores)).abs() < 1e-12);
        }

        #[test]
        fn a_row_counted_twice_is_a_row_given_twice((is_positive, scores) in rows(), seed: u64) {
            let counts: Vec<u8> = (0..scores.len()).map(|i| (seed >> (i % 60)) as u8 & 3).collect();
            let repeat = |i: usize| std::iter::repeat_n(i, counts[i] as usize);
            let taken: Vec<usize> = (0..scores.len()).flat_map(repeat).collect();
            let counted = ranking(&is_positive, &scores).areas(|row| counts[row as usize]);
            let given = areas(
                &taken.iter().map(|&i| is_positive[i]).collect::<Vec<_>>(),
                &taken.iter().map(|&i| scores[i]).collect::<Vec<_>>(),
            );
            prop_assert!((counted.roc_auc - given.roc_auc).abs() < 1e-12 || counted.roc_auc.is_nan() && given.roc_auc.is_nan());
            prop_assert!((counted.pr_auc - given.pr_auc).abs() < 1e-12);
        }

        #[test]
        fn bits_are_ordered_like_scores(a: f32, b: f32) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            let by_bits = ascending_bits(a).cmp(&ascending_bits(b));
            prop_assert_eq!(Some(by_bits), a.partial_cmp(&b));
        }
    }
}
