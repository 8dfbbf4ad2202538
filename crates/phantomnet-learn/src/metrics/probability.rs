//! How far the probabilities themselves are from the truth.

/// Cost of a row in the log loss: `−ln p`, where `p` is the probability given to the row's class.
///
/// `p` is kept within `[ε, 1 − ε]`, ε = 2⁻⁵² (that of f64), so a row costs at most 36.04. scikit-learn does the same with
/// f64 probabilities such as its forests give; handed f32 it takes the ε of f32, 2⁻²³, and so at most 15.94.
pub(super) fn row_log_loss(p: f32) -> f64 {
    -f64::from(p).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// Squared error of the positive class's probability, in `[0, 1]`.
pub(super) fn row_squared_error(score: f32, is_positive: bool) -> f64 {
    (f64::from(score) - f64::from(u8::from(is_positive))).powi(2)
}

/// Squared errors of all classes' probabilities added up, in `[0, 2]`.
pub(super) fn row_squared_errors(probabilities: &[f32], label: usize) -> f64 {
    probabilities.iter().enumerate().map(|(class, &p)| row_squared_error(p, class == label)).sum()
}

/// Rows whose scores lie close together, and how many of them are positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    /// Lower end of the scores, excluded but in the first bin.
    pub lower: f64,
    /// Upper end of the scores, included.
    pub upper: f64,
    /// Rows in the bin, at least one.
    pub n_rows: u64,
    /// Mean score of the rows.
    pub mean_score: f64,
    /// Share of the rows that are positive; equals `mean_score` where the model is calibrated.
    pub positive_share: f64,
}

/// The reliability of scores in `n_bins` bins of equal width, those without a row left out.
///
/// The bins are those of scikit-learn's `calibration_curve(strategy="uniform")`.
///
/// - `scores`: in `[0, 1]`; a score outside falls into the nearest bin.
///
/// # Panics
/// When the lengths differ.
#[must_use]
pub fn calibration_bins(is_positive: &[bool], scores: &[f32], n_bins: usize) -> Vec<CalibrationBin> {
    assert_eq!(is_positive.len(), scores.len(), "one score for each row");
    let edge = |i: usize| i as f64 * (1.0 / n_bins as f64);
    let inner_edges: Vec<f64> = (1..n_bins).map(edge).collect();
    let mut sums = vec![(0u64, 0.0, 0u64); n_bins];
    for (&score, &positive) in scores.iter().zip(is_positive) {
        let score = f64::from(score);
        if let Some((n_rows, total, positives)) = sums.get_mut(inner_edges.partition_point(|&edge| edge < score)) {
            *n_rows += 1;
            *total += score;
            *positives += u64::from(positive);
        }
    }
    sums.into_iter()
        .enumerate()
        .filter(|(_, (n_rows, ..))| *n_rows > 0)
        .map(|(i, (n_rows, total, positives))| CalibrationBin {
            lower: edge(i),
            upper: edge(i + 1),
            n_rows,
            mean_score: total / n_rows as f64,
            positive_share: positives as f64 / n_rows as f64,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(1.0, 0.0)]
    #[case(0.5, std::f64::consts::LN_2)]
    #[case(0.0, 52.0 * std::f64::consts::LN_2)]
    fn log_loss_of_a_row(#[case] p: f32, #[case] expected: f64) {
        assert!((row_log_loss(p) - expected).abs() < 1e-14);
    }

    #[test]
    fn squared_errors_of_a_row() {
        assert_eq!(row_squared_error(0.25, true), 0.5625);
        // 0.5² + 0.75² + 0.25²
        assert_eq!(row_squared_errors(&[0.5, 0.25, 0.25], 1), 0.875);
        assert_eq!(row_squared_errors(&[1.0, 0.0, 0.0], 1), 2.0);
    }

    #[test]
    fn calibration_by_hand() {
        // An inner edge belongs to the bin below it; the bin (0.25, 0.5] has no row.
        let bins = calibration_bins(&[false, true, true, true], &[0.0, 0.25, 0.75, 1.0], 4);
        let bin = |lower, n_rows, mean_score, positive_share| CalibrationBin {
            lower,
            upper: lower + 0.25,
            n_rows,
            mean_score,
            positive_share,
        };
        assert_eq!(bins, [bin(0.0, 2, 0.125, 0.5), bin(0.5, 1, 0.75, 1.0), bin(0.75, 1, 1.0, 1.0)]);
        assert!(calibration_bins(&[true], &[0.5], 0).is_empty());
    }
}
