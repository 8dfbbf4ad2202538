//! The gate: conditions that the final metrics must meet.

use std::collections::BTreeMap;

use phantomnet_learn::metrics::{MetricMap, higher_is_better};
use phantomnet_model::Probabilities;
use serde::Serialize;
use toml::Value;

use super::data::Labelled;
use super::judge::{judge_probabilities, labels_of, oob_metrics};
use super::latency::Latency;
use crate::config::{Config, Evaluate};
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
            let judged = metric.strip_prefix("oob_").unwrap_or(metric);
            let at_least = higher_is_better(judged).unwrap_or(!metric.starts_with("latency_"));
            let passed = if at_least { value >= bound } else { value <= bound };
            let interval = metrics.get(&format!("{metric}.lo")).zip(metrics.get(&format!("{metric}.hi")));
            Ok(Condition { metric: metric.clone(), at_least, bound, value, interval, passed })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(Gate { passed: conditions.iter().all(|c| c.passed), conditions })
}

/// Tells of a condition on a metric that the run will not have, before the work.
///
/// # Errors
/// Of kind config, as [`judge`].
pub(super) fn check(config: &Config, labelled: &Labelled) -> Result<(), Failure> {
    let data = &labelled.dataset;
    let labels = labels_of(data, &labelled.holdout.test);
    let n_classes = data.classes().len();
    let even = vec![1.0 / n_classes as f32; labels.len() * n_classes];
    let even = Probabilities::new(n_classes, even);
    let quick = Config { evaluate: Evaluate { n_bootstrap: 0, ..config.evaluate.clone() }, ..config.clone() };
    let mut metrics = judge_probabilities(&quick, &labels, even.clone(), even, data.classes())?.metrics;
    let has_oob = config.model.get("oob_score").and_then(Value::as_bool).unwrap_or(false);
    if config.cv.n_folds > 0 {
        let folds: Vec<String> = metrics.iter().map(|(k, _)| k.to_owned()).collect();
        metrics.extend(folds.iter().flat_map(|k| [format!("cv_{k}_mean"), format!("cv_{k}_std")]).map(|k| (k, 0.0)));
    }
    if has_oob {
        metrics.extend(oob_metrics(data.classes()).iter().map(|key| (format!("oob_{key}"), 0.0)));
    }
    let latency = Latency { micros: vec![0.0], rows_per_second: Some(0.0) };
    metrics.extend(latency.metrics().iter().map(|(k, v)| (k.to_owned(), v)));
    judge(&config.gate, &metrics).map(|_| ())
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
            ("oob_log_loss", 0.3),
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
            ("oob_log_loss", 0.4, true),
            ("oob_log_loss", 0.2, false),
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
