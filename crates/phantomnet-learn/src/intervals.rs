//! 95 % intervals of metrics: how far a figure could be off because the rows judged are few.
//!
//! Shares of rows (accuracy, one class's recall or precision) have Wilson's score interval, the others the percentile
//! bootstrap: all metrics are computed again on rows drawn with replacement, and the middle 95 % of the values is the
//! interval. Both speak of chance in the choice of rows alone. Neither knows that tomorrow's attacks differ from today's,
//! nor that events of one attacker are alike; and where every resample gives the same value (no mistake in the rows
//! judged), the bootstrap has nothing to show and there is no interval (NaN).

use crate::metrics::{
    ConfusionMatrix, IntervalMethod, Judged, Key, MetricError, MetricInfo, MetricMap, MetricOptions, class_keys,
};
use crate::rng::Rng;
use rayon::prelude::*;

/// A stream of its own, so that a run with one seed for everything does not tie the resamples to the trees.
const STREAM: u64 = u64::from_be_bytes(*b"resample");

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// How the bootstrap is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntervalOptions {
    /// Resamples; 1,000 by default. With 0 the bootstrap is left out and its intervals are NaN.
    pub n_resamples: usize,
    /// Decides the resamples.
    pub seed: u64,
}

impl Default for IntervalOptions {
    fn default() -> Self {
        Self { n_resamples: 1_000, seed: 42 }
    }
}

/// The ends of the 95 % interval of each metric that has one, as `accuracy.lo` and `accuracy.hi`.
///
/// Takes what [`evaluate`](crate::metrics::evaluate) takes. A resample on which a metric is NaN is left out; where more
/// than half are, both ends are NaN, and so they are for a share of no rows. The result does not depend on the number of
/// threads. O(`n_resamples` · C · n).
///
/// # Errors
/// As `evaluate`.
pub fn intervals(
    labels: &[u32],
    probs: &[f32],
    classes: &[String],
    positive: Option<usize>,
    opts: MetricOptions,
    interval_opts: IntervalOptions,
) -> Result<MetricMap, MetricError> {
    let judged = Judged::new(labels, probs, classes.len(), positive, opts)?;
    let tally = judged.tally(&vec![1; judged.n_rows()]);
    let mut methods = Vec::new();
    tally.for_each_metric(|key, _| {
        methods.push((key, method(key, positive.is_some())));
    });
    let mut resampled = resample(&judged, &methods, interval_opts).into_iter();

    let class_keys = class_keys(classes);
    let mut ends = Vec::new();
    for (key, method) in methods {
        let (lo, hi) = match method {
            Method::None => continue,
            Method::Share => share_interval(key, &tally.confusion, judged.positive()),
            Method::Bootstrap => resampled.next().map_or((f64::NAN, f64::NAN), percentiles),
        };
        let key = key.render(&class_keys);
        ends.push((format!("{key}.lo"), lo));
        ends.push((format!("{key}.hi"), hi));
    }
    Ok(ends.into_iter().collect())
}

/// Wilson's 95 % score interval of a share, `(lo, hi)`; NaN for `trials` 0.
///
/// Source: Wilson, *Probable Inference, the Law of Succession, and Statistical Inference* (1927), without continuity
/// correction.
#[must_use]
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    let n = trials as f64;
    let p = successes as f64 / n;
    let denominator = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / denominator;
    let half = Z / denominator * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At the ends the formula gives 0 and 1 but for rounding.
    let lo = if successes == 0 && trials > 0 { 0.0 } else { centre - half };
    let hi = if successes == trials && trials > 0 { 1.0 } else { centre + half };
    (lo, hi)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    None,
    Share,
    Bootstrap,
}

fn method(key: Key, two_classes: bool) -> Method {
    let of_one_class = key.class.is_some() || two_classes;
    match MetricInfo::of(key.base).map(|info| info.interval) {
        None | Some(IntervalMethod::None) => Method::None,
        Some(IntervalMethod::Wilson) => Method::Share,
        Some(IntervalMethod::ByClassCount) if of_one_class => Method::Share,
        Some(IntervalMethod::ByClassCount | IntervalMethod::Bootstrap) => Method::Bootstrap,
    }
}

/// Wilson's interval of a metric that is a share of rows.
fn share_interval(key: Key, confusion: &ConfusionMatrix, positive: Option<usize>) -> (f64, f64) {
    let all = confusion.total();
    let per_1000 = |(lo, hi): (f64, f64)| (1_000.0 * lo, 1_000.0 * hi);
    let errors = |positive: usize| {
        let negative = 1 - positive;
        let false_positives = confusion.count(negative, positive);
        let missed = confusion.count(positive, negative);
        (false_positives, missed, confusion.support(negative))
    };
    match (key.base, key.class.or(positive), positive) {
        ("precision", Some(class), _) => wilson(confusion.count(class, class), confusion.predicted(class)),
        ("recall", Some(class), _) => wilson(confusion.count(class, class), confusion.support(class)),
        ("false_positive_rate", _, Some(positive)) => {
            let (false_positives, _, negatives) = errors(positive);
            wilson(false_positives, negatives)
        }
        ("false_alarms_per_1000", _, Some(positive)) => per_1000(wilson(errors(positive).0, all)),
        ("missed_per_1000", _, Some(positive)) => per_1000(wilson(errors(positive).1, all)),
        // Accuracy, and the averages that equal it.
        _ => wilson(confusion.correct(), all),
    }
}

/// The values of each bootstrapped metric over the resamples, in the order of `methods`.
fn resample(judged: &Judged, methods: &[(Key, Method)], opts: IntervalOptions) -> Vec<Vec<f64>> {
    let rng = Rng::new(opts.seed).fork(STREAM);
    let n_rows = judged.n_rows();
    let by_resample: Vec<Vec<f64>> = (0..opts.n_resamples)
        .into_par_iter()
        .map_init(
            || vec![0u8; n_rows],
            |counts, b| {
                draw(&mut rng.fork(b as u64), counts);
                let tally = judged.tally(counts);
                let mut values = Vec::new();
                let mut methods = methods.iter();
                tally.for_each_metric(|_, value| {
                    if let Some((_, Method::Bootstrap)) = methods.next() {
                        values.push(value);
                    }
                });
                values
            },
        )
        .collect();
    let n_metrics = by_resample.first().map_or(0, Vec::len);
    (0..n_metrics).map(|metric| by_resample.iter().map(|values| values[metric]).collect()).collect()
}

/// Draws as many rows as there are, with replacement: how often each is drawn.
pub(crate) fn draw(rng: &mut Rng, counts: &mut [u8]) {
    counts.fill(0);
    for _ in 0..counts.len() {
        // A row is drawn 256 times with a probability below 1e-500.
        let count = &mut counts[rng.below(counts.len() as u64) as usize];
        *count = count.saturating_add(1);
    }
}

/// The 2.5 % and 97.5 % points of the values that are not NaN; NaN when more than half are, or when both points are one.
pub(crate) fn percentiles(mut values: Vec<f64>) -> (f64, f64) {
    let all = values.len();
    values.retain(|value| !value.is_nan());
    if values.is_empty() || 2 * values.len() < all {
        return (f64::NAN, f64::NAN);
    }
    values.sort_unstable_by(f64::total_cmp);
    // Linear between the two nearest values, as numpy's percentile.
    let at = |share: f64| {
        let position = share * (values.len() - 1) as f64;
        let below = position.floor() as usize;
        let above = (below + 1).min(values.len() - 1);
        values[below] + (position - below as f64) * (values[above] - values[below])
    };
    let ends = (at(0.025), at(0.975));
    // A point would say that the figure is certain; what it means is that resampling has nothing to show.
    if ends.0 == ends.1 { (f64::NAN, f64::NAN) } else { ends }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    // The first version's hold-out: 0.8864 of 44 rows.
    #[case(39, 44, 0.760_2, 0.950_5)]
    #[case(0, 10, 0.0, 0.277_5)]
    #[case(10, 10, 0.722_5, 1.0)]
    #[case(1, 2, 0.094_5, 0.905_5)]
    fn wilson_from_published_tables(#[case] successes: u64, #[case] trials: u64, #[case] lo: f64, #[case] hi: f64) {
        let found = wilson(successes, trials);
        assert!((found.0 - lo).abs() < 5e-5 && (found.1 - hi).abs() < 5e-5, "{found:?}");
    }

    #[test]
    fn wilson_of_nothing_is_nan() {
        let (lo, hi) = wilson(0, 0);
        assert!(lo.is_nan() && hi.is_nan());
    }

    #[test]
    fn percentiles_by_hand() {
        // 41 values 0..=40: the points lie at 1 and 39.
        let values = (0..=40).rev().map(f64::from).collect();
        assert_eq!(percentiles(values), (1.0, 39.0));
        // Between 0 and 10 at 0.25 and 9.75.
        assert_eq!(percentiles(vec![10.0, 0.0]), (0.25, 9.75));
        assert_eq!(percentiles(vec![0.0, f64::NAN, 10.0]), (0.25, 9.75));
        assert!(percentiles(vec![3.0, 3.0]).0.is_nan(), "no interval is a point");
        assert!(percentiles(vec![3.0, f64::NAN, f64::NAN]).0.is_nan());
        assert!(percentiles(vec![]).1.is_nan());
    }
}
