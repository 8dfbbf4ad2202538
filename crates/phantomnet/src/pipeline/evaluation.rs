//! A saved model on labelled events.

use phantomnet_features::{Events, Expression, LabelValues, read_events_as, to_labels};
use phantomnet_model::Probabilities;
use phantomnet_score::Scorer;

use super::data::{expression_failure, keep_labelled, read_options, source_failure};
use super::judge::{Judgement, judge_probabilities};
use super::latency::{columns_of, score_failure};
use crate::config::Config;
use crate::failure::Failure;

/// Events with the labels that a model's own label expression gives them.
#[derive(Debug)]
pub struct LabelledEvents {
    /// Those that have a label.
    pub events: Events,
    /// Class of each.
    pub labels: Vec<u32>,
    /// How many have none, and are left out.
    pub n_unlabelled: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Reads events as a model reads them, and labels them.
///
/// # Errors
/// Of kind data for events that cannot be read or have no label.
pub fn read_labelled(config: &Config, scorer: &Scorer, paths: &[String]) -> Result<LabelledEvents, Failure> {
    let paths: Vec<String> = paths.iter().map(|path| config.as_given(path)).collect();
    let events = read_events_as(&paths, &read_options(config)?, scorer.labelled_schema()).map_err(source_failure)?;
    let mut warnings = events.origin.warnings.clone();
    let label = &scorer.bundle().pipeline.label;
    let expression =
        Expression::compile(&label.name, &label.expr, &events.batch.schema()).map_err(expression_failure)?;
    if let Some(column) = expression.columns().iter().find(|c| events.origin.absent.contains(c)) {
        return Err(Failure::data(format!("the label reads column `{column}`, which the data do not have"))
            .hint("labelled events are needed, and `data.columns` for files without a header"));
    }
    let array = expression.evaluate(&events.batch).map_err(expression_failure)?;
    let labels = to_labels(&LabelValues::of(&array), &label.classes).map_err(expression_failure)?;
    let (events, labels, n_unlabelled) = keep_labelled(events, labels)?;
    if n_unlabelled > 0 {
        warnings.push(format!("{n_unlabelled} events have no label and are left out"));
    }
    if labels.is_empty() {
        return Err(Failure::data("no event has a label").hint("check the label's columns with `phantomnet inspect`"));
    }
    Ok(LabelledEvents { events, labels, n_unlabelled, warnings })
}

/// Class probabilities that a model gives to events it has read.
///
/// # Errors
/// Of kind data.
pub fn probabilities(scorer: &Scorer, events: &Events) -> Result<Probabilities, Failure> {
    Ok(scorer.score(&columns_of(&events.batch, scorer)?).map_err(score_failure)?.probabilities)
}

/// Judges a model by its probabilities, beside the shares of the classes in its training.
///
/// # Errors
/// Of kind data, or of kind config when the configuration is wrong.
pub fn judge_model(
    config: &Config,
    scorer: &Scorer,
    labels: &[u32],
    probabilities: Probabilities,
) -> Result<Judgement, Failure> {
    let label = &scorer.bundle().pipeline.label;
    let total = label.train_counts.iter().map(|&n| n as f64).sum::<f64>().max(1.0);
    let shares: Vec<f32> = label.train_counts.iter().map(|&n| (n as f64 / total) as f32).collect();
    let baseline = Probabilities::new(label.classes.len(), shares.repeat(labels.len()));
    let mut config = config.clone();
    config.evaluate.decision_threshold = scorer.bundle().pipeline.decision_threshold;
    judge_probabilities(&config, labels, probabilities, &baseline, &label.classes)
}

/// Conditions of the gate on metrics that a judgement has: those on latency, folds and out-of-bag rows are the training's.
pub fn judged_bounds(config: &Config) -> std::collections::BTreeMap<String, f64> {
    let of_training =
        |key: &str| ["latency_", "cv_", "oob_", "rows_per_second"].iter().any(|prefix| key.starts_with(prefix));
    config.gate.iter().filter(|(key, _)| !of_training(key)).map(|(key, bound)| (key.clone(), *bound)).collect()
}
