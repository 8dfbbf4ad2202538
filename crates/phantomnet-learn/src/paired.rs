//! How much better one model is than another on the same rows, and how far chance in the choice of the rows could be behind it.
//!
//! Both models are judged on the same resamples, so what makes a resample easy or hard for both cancels out: the interval of
//! the difference is narrower than the intervals of the two values would suggest. What holds of
//! [`intervals`](crate::intervals) holds here, too: neither tomorrow's attacks nor the likeness of one attacker's events
//! are in it.

use rayon::prelude::*;

use crate::intervals::{IntervalOptions, draw, percentiles};
use crate::metrics::{Judged, MetricError, MetricOptions, class_keys, higher_is_better};
use crate::rng::Rng;

/// A stream of its own, beside that of the intervals.
const STREAM: u64 = u64::from_be_bytes(*b"paired  ");

/// A model's predictions of the rows judged.
#[derive(Debug, Clone, Copy)]
pub struct Predictions<'a> {
    /// Class probabilities, row by row.
    pub probs: &'a [f32],
    /// The model's own decision threshold, and what 0/0 is.
    pub opts: MetricOptions,
}

/// How much better the second model is by one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Gain {
    /// The metric.
    pub key: String,
    /// Its value for the first model.
    pub first: f64,
    /// Its value for the second model.
    pub second: f64,
    /// `second - first` where more is better, `first - second` where less is: above 0 the second model is better.
    pub gain: f64,
    /// Lower end of the 95 % interval of the gain; NaN without resamples, or where the metric is NaN on most of them.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
    /// Share of resamples on which the second model is not better, one-sided and never 0: (1 + k) / (1 + n). Source:
    /// Davison and Hinkley, *Bootstrap Methods and their Application* (1997), section 4.4. NaN where `lo` is.
    pub p_not_better: f64,
}

/// Compares two models on the same rows by every metric of which it is known which direction is good, in the order of
/// [`evaluate`](crate::metrics::evaluate).
///
/// The result does not depend on the number of threads. O(`n_resamples` · C · n).
///
/// # Errors
/// As `evaluate`, for either model.
pub fn paired_gains(
    labels: &[u32],
    first: Predictions<'_>,
    second: Predictions<'_>,
    classes: &[String],
    positive: Option<usize>,
    opts: IntervalOptions,
) -> Result<Vec<Gain>, MetricError> {
    let judged = |model: Predictions<'_>| Judged::new(labels, model.probs, classes.len(), positive, model.opts);
    let (first, second) = (judged(first)?, judged(second)?);
    let class_keys = class_keys(classes);
    let all = vec![1; labels.len()];
    let mut keys = Vec::new();
    first.tally(&all).for_each_metric(|key, _| keys.push(key.render(&class_keys)));
    let signs: Vec<f64> = keys
        .iter()
        .map(|key| match higher_is_better(key) {
            Some(true) => 1.0,
            Some(false) => -1.0,
            None => 0.0,
        })
        .collect();
    let values = |judged: &Judged, counts: &[u8]| {
        let mut values = Vec::with_capacity(keys.len());
        judged.tally(counts).for_each_metric(|_, value| values.push(value));
        values
    };
    let gains = |counts: &[u8]| -> Vec<f64> {
        let pairs = values(&first, counts).into_iter().zip(values(&second, counts));
        // Nothing has no sign.
        pairs.zip(&signs).map(|((first, second), sign)| sign * (second - first) + 0.0).collect()
    };
    let rng = Rng::new(opts.seed).fork(STREAM);
    let resampled: Vec<Vec<f64>> = (0..opts.n_resamples)
        .into_par_iter()
        .map_init(
            || vec![0_u8; labels.len()],
            |counts, b| {
                draw(&mut rng.fork(b as u64), counts);
                gains(counts)
            },
        )
        .collect();

    let (of_first, of_second, of_both) = (values(&first, &all), values(&second, &all), gains(&all));
    let described = keys.into_iter().enumerate().filter(|(i, _)| signs[*i] != 0.0).map(|(i, key)| {
        let gains: Vec<f64> = resampled.iter().map(|gains| gains[i]).collect();
        let counted: Vec<f64> = gains.iter().copied().filter(|gain| !gain.is_nan()).collect();
        let n_not_better = counted.iter().filter(|&&gain| gain <= 0.0).count();
        // Two models may be alike on every resample: that, unlike a metric of one, is certain.
        let (lo, hi) = match counted.as_slice() {
            [only, rest @ ..] if rest.iter().all(|gain| gain == only) && 2 * counted.len() >= gains.len() => {
                (*only, *only)
            }
            _ => percentiles(gains),
        };
        let p_not_better = if lo.is_nan() { f64::NAN } else { (1 + n_not_better) as f64 / (1 + counted.len()) as f64 };
        Gain { key, first: of_first[i], second: of_second[i], gain: of_both[i], lo, hi, p_not_better }
    });
    Ok(described.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compared(labels: &[u32], first: &[f32], second: &[f32], n_resamples: usize) -> Vec<Gain> {
        let probs = |scores: &[f32]| scores.iter().flat_map(|&p| [1.0 - p, p]).collect::<Vec<f32>>();
        let (first, second) = (probs(first), probs(second));
        let opts = MetricOptions { decision_threshold: Some(0.5), ..MetricOptions::default() };
        let classes = ["benign".to_owned(), "attack".to_owned()];
        let [first, second] = [&first, &second].map(|probs| Predictions { probs, opts });
        paired_gains(labels, first, second, &classes, Some(1), IntervalOptions { n_resamples, seed: 7 })
            .expect("comparable")
    }

    fn of<'a>(gains: &'a [Gain], key: &str) -> &'a Gain {
        gains.iter().find(|gain| gain.key == key).expect("compared")
    }

    #[test]
    fn gains_by_hand() {
        // The second model has one false alarm less, of two harmless events: accuracy 3/4 to 4/4.
        let gains = compared(&[0, 0, 1, 1], &[0.9, 0.1, 0.8, 0.7], &[0.2, 0.1, 0.8, 0.7], 500);
        let accuracy = of(&gains, "accuracy");
        assert_eq!((accuracy.first, accuracy.second, accuracy.gain), (0.75, 1.0, 0.25));
        // Less of it is better, and the gain says so.
        let alarms = of(&gains, "false_positive_rate");
        assert_eq!((alarms.first, alarms.second, alarms.gain), (0.5, 0.0, 0.5));
        assert!(of(&gains, "recall.attack").gain == 0.0 && gains.iter().all(|gain| gain.key != "n_rows"));
        // A resample without that event, (3/4)^4 of them, shows no gain.
        assert!((accuracy.p_not_better - 0.3164).abs() < 0.06, "{}", accuracy.p_not_better);
        assert!(accuracy.lo == 0.0 && accuracy.hi >= 0.5, "{accuracy:?}");
    }

    #[test]
    fn a_model_is_as_good_as_itself() {
        let scores = [0.1, 0.9, 0.4, 0.8, 0.3];
        let gains = compared(&[0, 1, 1, 1, 0], &scores, &scores, 100);
        for gain in gains.iter().filter(|gain| !gain.gain.is_nan()) {
            assert_eq!((gain.gain, gain.lo, gain.hi), (0.0, 0.0, 0.0), "{}", gain.key);
            assert_eq!(gain.p_not_better, 1.0);
        }
        assert!(of(&compared(&[0, 1], &[0.1, 0.9], &[0.1, 0.9], 0), "f1").lo.is_nan(), "without resamples");
    }

    proptest! {
        #[test]
        fn swapping_the_models_mirrors_the_gains(
            rows in prop::collection::vec((0_u32..2, 0_u8..=4, 0_u8..=4), 2..40),
        ) {
            let labels: Vec<u32> = rows.iter().map(|row| row.0).collect();
            let [first, second] = [|row: &(u32, u8, u8)| row.1, |row: &(u32, u8, u8)| row.2]
                .map(|score| rows.iter().map(|row| f32::from(score(row)) / 4.0).collect::<Vec<f32>>());
            let gains = compared(&labels, &first, &second, 60);
            let mirrored = compared(&labels, &second, &first, 60);
            for (gain, mirror) in gains.iter().zip(&mirrored) {
                prop_assert!(gain.gain.is_nan() || gain.gain == -mirror.gain);
                prop_assert!(gain.lo.is_nan() == mirror.hi.is_nan());
                prop_assert!(gain.lo.is_nan() || (gain.lo + mirror.hi).abs() < 1e-12, "{gain:?} {mirror:?}");
                prop_assert!(gain.lo.is_nan() || gain.lo <= gain.hi);
            }
        }
    }
}
