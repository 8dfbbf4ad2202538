//! `phantomnet runs show`

use std::collections::BTreeMap;

use phantomnet_learn::metrics::MetricMap;
use phantomnet_track::{MetricPoint, Run, Store, is_server};
use serde_json::{Value, json};

use super::runs::{document, open};
use super::{figure, print_data, with_interval};
use crate::cli::StoreArgs;
use crate::failure::{Failure, visible};
use crate::pipeline::track_failure;
use crate::terminal;

/// Metrics whose course is read at most: on a server, each takes a request.
const MAX_COURSES: usize = 60;
/// Characters of a chart at most.
const MAX_CHART_CHARS: usize = 40;

pub(super) fn run(name: &str, args: &StoreArgs) -> Result<(), Failure> {
    let mut store = open(args)?;
    let run = store.run(name).map_err(track_failure)?;
    let experiments = store.experiments().map_err(track_failure)?;
    let experiment = experiments.iter().find(|e| e.id == run.info.experiment_id).map_or("", |e| e.name.as_str());
    let artifacts = store.list_artifacts(&run.info.id, None).map_err(track_failure)?;
    let courses = courses(store.as_mut(), &run)?;
    if args.common.json {
        let mut document = document(&run, experiment);
        document["artifacts"] = artifacts.iter().map(|a| Value::from(a.path.clone())).collect();
        document["model_ids"] = json!(run.models.keys().collect::<Vec<_>>());
        let points = |points: &Vec<MetricPoint>| {
            points.iter().map(|p| json!({"step": p.step, "timestamp_ms": p.timestamp_ms, "value": p.value})).collect()
        };
        document["histories"] =
            Value::Object(courses.iter().map(|(key, course)| (key.clone(), points(course))).collect());
        return terminal::print_json(&document);
    }
    let mut text = format!("{} ({})\n", visible(&run.info.name), run.info.id);
    let duration = run
        .info
        .end_time_ms
        .map_or_else(String::new, |end| format!(", {:.2} s", (end - run.info.start_time_ms) as f64 / 1000.0));
    text.push_str(&format!(
        "{} in {}, by {}{duration}\n",
        run.info.status,
        visible(experiment),
        visible(&run.info.user)
    ));
    text += &link(store.uri(), &run);
    let pairs = |title: &str, pairs: Vec<Vec<String>>| {
        if pairs.is_empty() { String::new() } else { format!("\n{title}\n{}", terminal::table(&pairs)) }
    };
    text += &pairs("params", run.params.iter().map(|(k, v)| vec![visible(k), visible(v)]).collect());
    let plain = |key: &str| !key.ends_with(".lo") && !key.ends_with(".hi");
    let metrics: MetricMap = run.metrics.iter().map(|(key, m)| (key.clone(), m.value)).collect();
    let single = run.metrics.keys().filter(|key| plain(key) && !courses.contains_key(*key));
    text += &pairs("metrics", single.map(|key| vec![visible(key), with_interval(&metrics, key)]).collect());
    text += &pairs("metrics by step", courses.iter().map(|(key, course)| course_row(key, course)).collect());
    text += &pairs("tags", run.tags.iter().map(|(k, v)| vec![visible(k), visible(v)]).collect());
    text += &pairs("artifacts", artifacts.iter().map(|a| vec![visible(&a.path)]).collect());
    text += &pairs("models", run.models.keys().map(|id| vec![visible(&format!("models:/{id}"))]).collect());
    print_data(text.trim_end())
}

/// Where MLflow's own page of the run is.
fn link(uri: &str, run: &Run) -> String {
    let page = format!(
        "#/experiments/{}/runs/{}?workflowType=machine_learning",
        visible(&run.info.experiment_id),
        visible(&run.info.id)
    );
    if is_server(uri) { format!("{}/{page}\n", visible(uri.trim_end_matches('/'))) } else { String::new() }
}

/// All points of the metrics that have more than one.
fn courses(store: &mut dyn Store, run: &Run) -> Result<BTreeMap<String, Vec<MetricPoint>>, Failure> {
    let mut courses = BTreeMap::new();
    for (key, _) in run.metrics.iter().filter(|(_, last)| last.step > 0).take(MAX_COURSES) {
        let points = store.metric_history(&run.info.id, key).map_err(track_failure)?;
        if points.len() > 1 {
            courses.insert(key.clone(), points);
        }
    }
    Ok(courses)
}

fn course_row(key: &str, course: &[MetricPoint]) -> Vec<String> {
    let values: Vec<f64> = course.iter().map(|point| point.value).collect();
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (lo, hi) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let last = values.last().copied().unwrap_or(f64::NAN);
    let range = if lo <= hi { format!("{} to {}", figure(lo), figure(hi)) } else { String::new() };
    vec![visible(key), chart(&values), figure(last), range, format!("{} steps", values.len())]
}

/// A bar a step, of eight heights between the least and the greatest value; of many steps, the mean of some. A value that is no
/// number leaves a gap.
fn chart(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let n_bars = values.len().min(MAX_CHART_CHARS);
    let means: Vec<f64> = (0..n_bars)
        .map(|i| {
            let part = &values[i * values.len() / n_bars..(i + 1) * values.len() / n_bars];
            let finite: Vec<f64> = part.iter().copied().filter(|value| value.is_finite()).collect();
            finite.iter().sum::<f64>() / finite.len() as f64
        })
        .collect();
    let lo = means.iter().copied().fold(f64::INFINITY, f64::min);
    let hi = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: &f64| {
        if value.is_nan() {
            return ' ';
        }
        let share = if hi > lo { (value - lo) / (hi - lo) } else { 0.5 };
        BARS[((share * 8.0) as usize).min(7)]
    };
    means.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_have_a_bar_a_step() {
        assert_eq!(chart(&[0.0, 0.5, 1.0]), "▁▅█");
        assert_eq!(chart(&[2.0, 2.0]), "▅▅");
        assert_eq!(chart(&[0.0, f64::NAN, 7.0, f64::INFINITY]), "▁ █ ");
        assert_eq!(chart(&[]), "");
        let rising: Vec<f64> = (0..1000).map(f64::from).collect();
        let chart = chart(&rising);
        assert_eq!((chart.chars().count(), chart.chars().next(), chart.chars().last()), (40, Some('▁'), Some('█')));
    }
}
