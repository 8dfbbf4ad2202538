//! Counts of true against predicted class, and what follows from them alone.

use super::ZeroDivision;
use serde::Serialize;

/// How many rows of each true class were predicted as each class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfusionMatrix {
    n_classes: usize,
    counts: Vec<u64>,
}

/// Precision, recall and F1 of one class or averaged over classes.
#[derive(Debug, Clone, Copy)]
pub(super) struct PrecisionRecall {
    pub(super) precision: f64,
    pub(super) recall: f64,
    pub(super) f1: f64,
}

impl ConfusionMatrix {
    pub(super) fn new(n_classes: usize) -> Self {
        Self { n_classes, counts: vec![0; n_classes * n_classes] }
    }

    /// Adds rows to the cell `truth * n_classes + predicted`.
    pub(super) fn add(&mut self, cell: usize, n_rows: u64) {
        self.counts[cell] += n_rows;
    }

    /// Classes on either side.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Rows of class `truth` predicted as class `predicted`.
    ///
    /// # Panics
    /// When there is no such class.
    #[must_use]
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.row(truth)[predicted]
    }

    /// Rows of class `truth` by predicted class.
    ///
    /// # Panics
    /// When there is no such class.
    #[must_use]
    pub fn row(&self, truth: usize) -> &[u64] {
        &self.counts[truth * self.n_classes..][..self.n_classes]
    }

    /// All rows.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Rows predicted right.
    #[must_use]
    pub fn correct(&self) -> u64 {
        (0..self.n_classes).map(|class| self.count(class, class)).sum()
    }

    /// Rows of a class.
    #[must_use]
    pub fn support(&self, class: usize) -> u64 {
        self.row(class).iter().sum()
    }

    /// Rows predicted as a class.
    #[must_use]
    pub fn predicted(&self, class: usize) -> u64 {
        (0..self.n_classes).map(|truth| self.count(truth, class)).sum()
    }

    /// Mean recall over the classes that occur.
    pub(super) fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> = (0..self.n_classes)
            .filter(|&class| self.support(class) > 0)
            .map(|class| self.count(class, class) as f64 / self.support(class) as f64)
            .collect();
        recalls.iter().sum::<f64>() / recalls.len() as f64
    }

    /// Correlation of truth and prediction; 0 when either is constant.
    ///
    /// Source: Gorodkin, *Comparing two K-category assignments by a K-category correlation coefficient* (2004).
    pub(super) fn mcc(&self) -> f64 {
        let n = i128::from(self.total());
        let truth: Vec<i128> = (0..self.n_classes).map(|class| i128::from(self.support(class))).collect();
        let predicted: Vec<i128> = (0..self.n_classes).map(|class| i128::from(self.predicted(class))).collect();
        let dot = |a: &[i128], b: &[i128]| a.iter().zip(b).map(|(a, b)| a * b).sum::<i128>();
        let both = i128::from(self.correct()) * n - dot(&truth, &predicted);
        let truth = n * n - dot(&truth, &truth);
        let predicted = n * n - dot(&predicted, &predicted);
        if truth == 0 || predicted == 0 {
            return 0.0;
        }
        both as f64 / (truth as f64 * predicted as f64).sqrt()
    }

    /// Precision, recall and F1 of each class.
    pub(super) fn by_class(&self, zero_division: ZeroDivision) -> Vec<PrecisionRecall> {
        (0..self.n_classes)
            .map(|class| {
                let right = self.count(class, class);
                let support = self.support(class);
                let predicted = self.predicted(class);
                PrecisionRecall {
                    precision: zero_division.divide(right, predicted),
                    recall: zero_division.divide(right, support),
                    f1: zero_division.divide(2 * right, support + predicted),
                }
            })
            .collect()
    }

    /// Mean over the classes that occur or are predicted.
    pub(super) fn macro_average(&self, by_class: &[PrecisionRecall]) -> PrecisionRecall {
        self.average(by_class, |class| u64::from(self.support(class) + self.predicted(class) > 0))
    }

    /// Mean weighted by the rows of each class.
    pub(super) fn weighted_average(&self, by_class: &[PrecisionRecall]) -> PrecisionRecall {
        self.average(by_class, |class| self.support(class))
    }

    fn average(&self, by_class: &[PrecisionRecall], weight: impl Fn(usize) -> u64) -> PrecisionRecall {
        let candidates: Vec<(PrecisionRecall, f64)> = by_class
            .iter()
            .enumerate()
            .filter(|&(class, _)| self.support(class) + self.predicted(class) > 0)
            .map(|(class, values)| (*values, weight(class) as f64))
            .collect();
        let mean = |value: fn(&PrecisionRecall) -> f64| {
            defined_mean(candidates.iter().map(|(values, weight)| (value(values), *weight)))
        };
        PrecisionRecall {
            precision: mean(|values| values.precision),
            recall: mean(|values| values.recall),
            f1: mean(|values| values.f1),
        }
    }
}

/// Weighted mean of the values that are not NaN; their plain mean where they have no weight at all, as scikit-learn has it.
fn defined_mean(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut n, mut sum, mut weights, mut weighted) = (0.0, 0.0, 0.0, 0.0);
    for (value, weight) in values.filter(|(value, _)| !value.is_nan()) {
        n += 1.0;
        sum += value;
        weights += weight;
        weighted += value * weight;
    }
    if weights > 0.0 { weighted / weights } else { sum / n }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn matrix(rows: &[&[u64]]) -> ConfusionMatrix {
        ConfusionMatrix { n_classes: rows.len(), counts: rows.concat() }
    }

    #[test]
    fn two_classes_by_hand() {
        // Of 10 negatives 2 are flagged, of 5 positives 4.
        let confusion = matrix(&[&[8, 2], &[1, 4]]);
        assert_eq!(confusion.total(), 15);
        assert_eq!(confusion.correct(), 12);
        assert_eq!(confusion.support(1), 5);
        assert_eq!(confusion.predicted(1), 6);
        let positive = confusion.by_class(ZeroDivision::Zero)[1];
        assert_eq!(positive.precision, 4.0 / 6.0);
        assert_eq!(positive.recall, 4.0 / 5.0);
        assert_eq!(positive.f1, 8.0 / 11.0);
        assert_eq!(confusion.balanced_accuracy(), (0.8 + 0.8) / 2.0);
        // (tp·tn − fp·fn) / √((tp+fp)(tp+fn)(tn+fp)(tn+fn)) = (32 − 2) / √(6·5·10·9)
        let mcc = 30.0 / 2_700f64.sqrt();
        assert!((confusion.mcc() - mcc).abs() < 1e-15);
    }

    #[rstest]
    #[case([[3, 0], [0, 2]], 1.0)]
    #[case([[0, 3], [2, 0]], -1.0)]
    #[case([[0, 3], [0, 2]], 0.0)]
    #[case([[5, 0], [0, 0]], 0.0)]
    fn mcc_at_its_ends(#[case] rows: [[u64; 2]; 2], #[case] expected: f64) {
        assert_eq!(matrix(&[&rows[0], &rows[1]]).mcc(), expected);
    }

    #[test]
    fn averages_leave_out_a_class_that_neither_occurs_nor_is_predicted() {
        let confusion = matrix(&[&[1, 1, 0], &[0, 2, 0], &[0, 0, 0]]);
        let by_class = confusion.by_class(ZeroDivision::Zero);
        assert_eq!(by_class[2].recall, 0.0);
        assert_eq!(confusion.macro_average(&by_class).recall, 0.75);
        assert_eq!(confusion.balanced_accuracy(), 0.75);
    }

    #[test]
    fn averages_leave_out_what_is_undefined() {
        // Class 0 is never predicted: its precision is 0/0.
        let confusion = matrix(&[&[0, 2], &[0, 2]]);
        let by_class = confusion.by_class(ZeroDivision::Nan);
        assert!(by_class[0].precision.is_nan());
        assert_eq!(confusion.macro_average(&by_class).precision, 0.5);
        assert_eq!(confusion.weighted_average(&by_class).precision, 0.5);
        assert!(defined_mean([(f64::NAN, 1.0)].into_iter()).is_nan());
    }
}
