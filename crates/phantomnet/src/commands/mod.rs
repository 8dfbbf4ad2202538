//! One command a file: resolve the flags, do the work, say what came of it.

mod artifacts;
mod bar;
mod compare;
pub(crate) mod convert;
pub(crate) mod evaluate;
pub(crate) mod inspect;
pub(crate) mod latency;
mod load_test;
pub(crate) mod models;
pub(crate) mod predict;
mod predict_output;
pub(crate) mod presets;
mod promote;
pub(crate) mod runs;
mod show_run;
pub(crate) mod train;

use phantomnet_learn::metrics::MetricMap;

use crate::failure::Failure;
use crate::pipeline::gate::Gate;
use crate::terminal;

/// Metrics of the summary tables.
const SHOWN: [&str; 9] = [
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "pr_auc",
    "log_loss",
    "false_alarms_per_1000",
];

/// `0.8864 [0.7605, 0.9505]`, the interval where there is one.
fn with_interval(metrics: &MetricMap, key: &str) -> String {
    let value = metrics.get(key).map_or_else(String::new, figure);
    match (metrics.get(&format!("{key}.lo")), metrics.get(&format!("{key}.hi"))) {
        (Some(lo), Some(hi)) if lo.is_finite() && hi.is_finite() => format!("{value} [{}, {}]", figure(lo), figure(hi)),
        _ => value,
    }
}

/// A figure for people: four decimals, or fewer for large ones.
fn figure(value: f64) -> String {
    match value.abs() {
        v if v.is_nan() => "not defined".into(),
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.4}"),
    }
}

/// A line for each condition.
fn say_gate(gate: &Gate) {
    for c in &gate.conditions {
        let (sign, verdict) = (if c.at_least { ">=" } else { "<=" }, if c.passed { "met" } else { "NOT MET" });
        let interval = c.interval.filter(|(lo, hi)| lo.is_finite() && hi.is_finite());
        let interval = interval.map_or_else(String::new, |(lo, hi)| format!(" [{}, {}]", figure(lo), figure(hi)));
        terminal::say(&format!("  gate {} {sign} {}: {}{interval}: {verdict}", c.metric, c.bound, figure(c.value)));
    }
}

/// Writes a text that the user asked for, such as a table, to stdout.
///
/// # Errors
/// When stdout cannot be written.
fn print_data(text: &str) -> Result<(), Failure> {
    terminal::print(format!("{text}\n").as_bytes())
}
