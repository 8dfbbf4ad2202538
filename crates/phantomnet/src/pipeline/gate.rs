//! The gate: conditions that the final metrics must meet.

use std::collections::BTreeMap;

use phantomnet_learn::metrics::{MetricMap, higher_is_better};
use serde::Serialize;

use crate::failure::{Failure, nearest};

/// One condition, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    /// Metric key as in the configuration.
    pub metric: String,
    /// Whether the metric must reach the bound, or must not exceed it.
    pub at_least: bool,
    /// The bound.
    pub bound: f64,
    /// The value.
    pub value: f64,
    /// 95 % interval of the value, where it has one.
    pub interval: Option<(f64, f64)>,
    /// Whether the value meets the bound.
    pub passed: bool,
}

/// All conditions, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gate {
    /// Whether all are met. True without conditions.
    pub passed: bool,
    /// By metric.
    pub conditions: Vec<Condition>,
}

/// Judges the conditions. A metric that is NaN meets none.
///
/// # Errors
/// Of kind config when a condition names a metric that the run does not have.
pub fn judge(bounds: &BTreeMap<String, f64>, metrics: &MetricMap) -> Result<Gate, Failure> {
    let conditions: Vec<Condition> = bounds
        .iter()
        .map(|(metric, &bound)| {
            let value = value(metric, metrics).ok_or_else(|| unknown(metric, metrics))?;
            let at_least = higher_is_better(metric).unwrap_or(!metric.starts_with("latency_"));
            let passed = if at_least { value >= bound } else { value <= bound };
            let interval = metrics.get(&format!("{metric}.lo")).zip(metrics.get(&format!("{metric}.hi")));
            Ok(Condition { metric: metric.clone(), at_least, bound, value, interval, passed })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(Gate { passed: conditions.iter().all(|c| c.passed), conditions })
}

/// Latency is kept in microseconds; a condition may give milliseconds.
fn value(metric: &str, metrics: &MetricMap) -> Option<f64> {
    metrics.get(metric).or_else(|| {
        let micros = format!("{}_us", metric.strip_prefix("latency_")?.strip_suffix("_ms")?);
        Some(metrics.get(&format!("latency_{micros}"))? / 1000.0)
    })
}

fn unknown(metric: &str, metrics: &MetricMap) -> Failure {
    let names: Vec<&str> =
        metrics.iter().map(|(k, _)| k).filter(|k| !k.ends_with(".lo") && !k.ends_with(".hi")).collect();
    let failure = Failure::config(format!("`gate.{metric}` is no metric of this run"));
    match nearest(metric, names.iter().copied()) {
        Some(near) => failure.hint(format!("did you mean `gate.{near}`?")),
        None => failure.hint(format!("its metrics are {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(metric: &str, bound: f64) -> Result<Gate, Failure> {
        let metrics: MetricMap = [
            ("accuracy", 0.9),
            ("accuracy.lo", 0.8),
            ("accuracy.hi", 0.95),
            ("log_loss", 0.3),
            ("roc_auc", f64::NAN),
            ("latency_p99_us", 1500.0),
        ]
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect();
        judge(&[(metric.to_owned(), bound)].into(), &metrics)
    }

    #[test]
    fn bounds_are_met_or_not() {
        for (metric, bound, passed) in [
            ("accuracy", 0.9, true),
            ("accuracy", 0.91, false),
            ("log_loss", 0.3, true),
            ("log_loss", 0.29, false),
            ("roc_auc", 0.0, false),
            ("latency_p99_us", 1500.0, true),
            ("latency_p99_ms", 1.5, true),
            ("latency_p99_ms", 1.4, false),
        ] {
            assert_eq!(judged(metric, bound).unwrap().passed, passed, "{metric} against {bound}");
        }
        assert_eq!(judged("accuracy", 0.5).unwrap().conditions[0].interval, Some((0.8, 0.95)));
    }

    #[test]
    fn an_unknown_metric_is_an_error() {
        assert!(judged("acuracy", 0.5).is_err());
        assert!(judged("latency_p98_ms", 0.5).is_err());
    }
}
