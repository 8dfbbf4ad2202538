//! A saved model on labelled events.

use phantomnet_features::{EventReader, Expression, Origin, Program, ReadProgress, into_labels, into_matrix};
use phantomnet_model::{Matrix, Probabilities};
use phantomnet_score::Scorer;

use super::data::{expression_failure, paths, read_options, source_failure};
use super::judge::{Judgement, judge_probabilities};
use crate::config::Config;
use crate::failure::Failure;

/// Events with the labels that a model's own label expression gives them, and its features.
#[derive(Debug)]
pub struct LabelledEvents {
    /// Where those come from that have a label.
    pub origin: Origin,
    /// Class of each.
    pub labels: Vec<u32>,
    /// Features of each, as the model takes them.
    pub matrix: Matrix,
    /// How many have no label, and are left out.
    pub n_unlabelled: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Reads the events of `data.paths` as a model reads them, labels them and computes its features, holding no column; `tell` is told
/// how far that has come.
///
/// # Errors
/// Of kind data for events that cannot be read or have no label.
pub fn read_labelled(
    config: &Config,
    scorer: &Scorer,
    tell: &mut dyn FnMut(ReadProgress),
) -> Result<LabelledEvents, Failure> {
    let options = read_options(config)?;
    let (pipeline, schema) = (&scorer.bundle().pipeline, scorer.labelled_schema());
    let (label, arrow) = (&pipeline.label, schema.arrow());
    let program = Program {
        label: Expression::compile(&label.name, &label.expr, &arrow).map_err(expression_failure)?,
        weight: None,
        features: scorer.features().clone(),
    };
    let reader = EventReader::open_as(&paths(config), &options, schema).map_err(source_failure)?;
    let evaluated = reader.evaluate(&program, tell).map_err(source_failure)?;
    let mut warnings = evaluated.origin.warnings.clone();
    // A log may lack fields, which a warning tells; without any of them it says nothing of the label.
    let read = program.label.columns();
    if let Some(column) = read.first().filter(|_| read.iter().all(|column| evaluated.origin.absent.contains(column))) {
        return Err(Failure::data(format!("the label reads column `{column}`, which the data do not have"))
            .hint("labelled events are needed, and `data.columns` for files without a header"));
    }
    let n_unlabelled = evaluated.n_unlabelled();
    if n_unlabelled > 0 {
        warnings.push(format!("{n_unlabelled} events have no label and are left out"));
    }
    let labels = into_labels(evaluated.labels, &label.classes).map_err(expression_failure)?;
    if labels.is_empty() {
        return Err(Failure::data("no event has a label").hint("check the label's columns with `phantomnet inspect`"));
    }
    let matrix = into_matrix(evaluated.features, &pipeline.schema()).map_err(expression_failure)?;
    Ok(LabelledEvents { origin: evaluated.origin, labels, matrix, n_unlabelled, warnings })
}

/// Class probabilities that a model gives to events it has read.
pub fn probabilities(scorer: &Scorer, events: &LabelledEvents) -> Probabilities {
    let rows: Vec<u32> = (0..events.matrix.n_rows() as u32).collect();
    scorer.bundle().model.predict(&events.matrix, &rows)
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
    judge_probabilities(&config, labels, probabilities, baseline, &label.classes)
}

/// Conditions of the gate on metrics that a judgement has: those on latency, folds and out-of-bag rows are the training's.
pub fn judged_bounds(config: &Config) -> std::collections::BTreeMap<String, f64> {
    let of_training =
        |key: &str| ["latency_", "cv_", "oob_", "rows_per_second"].iter().any(|prefix| key.starts_with(prefix));
    config.gate.iter().filter(|(key, _)| !of_training(key)).map(|(key, bound)| (key.clone(), *bound)).collect()
}
