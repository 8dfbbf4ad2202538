//! Metrics by fold of the cross-validation.

use super::{left_out, short};
use crate::Picture;
use crate::chart::frame::{Axis, Entry, Frame, HEIGHT, Mark, not_defined};
use crate::chart::scale::{Scale, is_drawable};
use crate::drawing::color::{N_SERIES, Role};
use crate::drawing::{Anchor, Stroke, Text};
use crate::number::metric;

/// One metric over the folds of the cross-validation.
#[derive(Debug, Clone, Default)]
pub struct FoldMetric {
    /// Key of the metric.
    pub metric: String,
    /// Its value on each fold, in their order; NaN where it is not defined.
    pub values: Vec<f64>,
    /// Its value on the hold-out.
    pub holdout: Option<f64>,
}

/// Every fold as a dot, their mean as a line, the hold-out as a dash; the first seven metrics, on one common axis.
pub fn metric_by_fold(metrics: &[FoldMetric]) -> Picture {
    const NAME: &str = "metric_by_fold";
    const TITLE: &str = "Metrics by fold";
    let drawn: Vec<&FoldMetric> =
        metrics.iter().filter(|m| m.values.iter().any(|&v| is_drawable(v))).take(N_SERIES).collect();
    let values = || drawn.iter().flat_map(|m| m.values.iter().chain(&m.holdout)).copied().filter(|&v| is_drawable(v));
    if drawn.is_empty() {
        return not_defined(NAME, TITLE, "no fold has a metric that is defined");
    }
    let n_left_out = drawn.iter().flat_map(|m| &m.values).filter(|&&v| !is_drawable(v)).count();
    let said: Vec<String> =
        drawn.iter().map(|m| format!("{} mean {}", short(&m.metric), metric(mean(&m.values)))).collect();
    let description = format!("Metrics by fold of the cross-validation: {}.", said.join("; "));
    let mut frame = Frame::new(NAME, TITLE, "", description, HEIGHT);
    frame.footnote(&left_out(n_left_out, "values"));
    let mut entries = vec![
        Entry { mark: Mark::Dot, role: Role::Series(0), label: "one fold".to_owned() },
        Entry { mark: Mark::Line, role: Role::Foreground, label: "mean of the folds".to_owned() },
    ];
    if drawn.iter().any(|m| m.holdout.is_some_and(is_drawable)) {
        entries.push(Entry { mark: Mark::Dashed, role: Role::Foreground, label: "hold-out".to_owned() });
    }
    frame.legend_rows(&entries);

    let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let margin = (high - low) * 0.06;
    // Metrics that end at one get no room above it that they could never reach.
    let ceiling = if high <= 1.0 { (high + margin).min(1.0) } else { high + margin };
    let floor = if low >= 0.0 { (low - margin).max(0.0) } else { low - margin };
    let y_axis = Axis::new("value of the metric", Scale::around(floor, ceiling), 6);
    let n = drawn.len() as f64;
    let x_axis = Axis { title: "metric".to_owned(), scale: Scale::Linear { low: 0.0, high: n }, ticks: Vec::new() };
    let plot = frame.axes(&x_axis, &y_axis);
    for (i, fold_metric) in drawn.iter().enumerate() {
        let (from, to) = (plot.x(i as f64 + 0.14), plot.x(i as f64 + 0.86));
        let n_folds = fold_metric.values.len() as f32;
        for (fold, &value) in fold_metric.values.iter().enumerate().filter(|(_, v)| is_drawable(**v)) {
            let x = from + (to - from) * (fold as f32 + 0.5) / n_folds;
            frame.picture.circle((x, plot.y(value)), 4.5, Role::Series(i));
        }
        let mean = mean(&fold_metric.values);
        frame.picture.line((from, plot.y(mean)), (to, plot.y(mean)), Stroke::solid(Role::Foreground, 2.2));
        if let Some(holdout) = fold_metric.holdout.filter(|&v| is_drawable(v)) {
            let y = plot.y(holdout);
            frame.picture.line((from, y), (to, y), Stroke::dashed(Role::Foreground, 1.6));
        }
        let label = format!("{} {}", fold_metric.metric, metric(mean));
        let width = plot.x(1.0) - plot.x(0.0);
        let (name_room, label_y) = (width - 8.0, plot.bottom + 17.0);
        let middle = (from + to) / 2.0;
        if n <= 3.0 {
            frame.picture.text(Text::new((middle, label_y), label, 12.0).anchor(Anchor::Middle).within(name_room));
        } else {
            let name = Text::new((middle, label_y), fold_metric.metric.as_str(), 11.5);
            frame.picture.text(name.anchor(Anchor::Middle).within(name_room));
        }
    }
    frame.picture
}

/// Mean of the values that can be drawn; there is at least one.
fn mean(values: &[f64]) -> f64 {
    let (sum, n) = values.iter().filter(|v| is_drawable(**v)).fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    sum / n
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folds(metric: &str, values: &[f64]) -> FoldMetric {
        FoldMetric { metric: metric.to_owned(), values: values.to_vec(), holdout: Some(0.9) }
    }

    #[test]
    fn folds_without_a_value_are_counted_not_averaged() {
        let picture = metric_by_fold(&[folds("accuracy", &[0.8, 0.9, f64::NAN])]);
        assert_eq!(picture.description(), "Metrics by fold of the cross-validation: accuracy mean 0.850.");
        let svg = picture.to_svg();
        assert!(svg.contains("values left out because they are not finite numbers: 1"));
        // Two folds and the mark in the legend.
        assert_eq!(svg.matches("<circle").count(), 3);
    }

    #[test]
    fn without_folds_there_is_no_picture() {
        for metrics in [vec![], vec![folds("f1", &[])], vec![folds("f1", &[f64::NAN, f64::INFINITY])]] {
            assert!(metric_by_fold(&metrics).description().starts_with("Not defined"));
        }
    }
}
