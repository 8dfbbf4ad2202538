//! `phantomnet evaluate`

use std::process::ExitCode;

use phantomnet_features::{Events, Expression, read_events_as, to_labels};
use phantomnet_model::Probabilities;
use phantomnet_score::Scorer;
use serde_json::json;

use super::{SHOWN, figure, say_gate, with_interval};
use crate::cli::EvaluateArgs;
use crate::config::Config;
use crate::failure::{Failure, visible};
use crate::pipeline::data::{expression_failure, keep_labelled, read_options, source_failure};
use crate::pipeline::latency::{columns_of, score_failure};
use crate::pipeline::{Judgement, gate, judge_probabilities};
use crate::terminal;

pub(crate) fn run(args: &EvaluateArgs) -> Result<ExitCode, Failure> {
    let scorer = Scorer::load(&args.model).map_err(score_failure)?;
    let config = args.common.config.resolve(Vec::new())?;
    let events =
        read_events_as(&args.data, &read_options(&config)?, scorer.labelled_schema()).map_err(source_failure)?;
    let n_rejected = events.rejected.n;
    let mut warnings = events.warnings.clone();
    let label = &scorer.bundle().pipeline.label;
    let expression =
        Expression::compile(&label.name, &label.expr, &events.batch.schema()).map_err(expression_failure)?;
    if let Some(column) = expression.columns().iter().find(|c| events.absent.contains(c)) {
        return Err(Failure::data(format!("the label reads column `{column}`, which the data do not have"))
            .hint("evaluate needs labelled events, and `data.columns` for files without a header"));
    }
    let array = expression.evaluate(&events.batch).map_err(expression_failure)?;
    let labels = to_labels(&array, &label.classes).map_err(expression_failure)?;
    let (events, labels, n_unlabelled) = keep_labelled(events, labels)?;
    if n_unlabelled > 0 {
        warnings.push(format!("{n_unlabelled} events have no label and are left out"));
    }
    let judgement = judge(&config, &scorer, &events, &labels)?;
    // Conditions on latency and folds are the training run's; those on metrics are judged here too.
    let of_training =
        |key: &str| ["latency_", "cv_", "oob_", "rows_per_second"].iter().any(|prefix| key.starts_with(prefix));
    let bounds = config.gate.iter().filter(|(key, _)| !of_training(key)).map(|(k, v)| (k.clone(), *v)).collect();
    let gate = gate::judge(&bounds, &judgement.metrics)?;
    for warning in &warnings {
        terminal::warn(warning);
    }
    if args.common.json {
        let confusion: Vec<&[u64]> = (0..label.classes.len()).map(|c| judgement.evaluation.confusion.row(c)).collect();
        terminal::print_json(&json!({
            "model": args.model,
            "model_kind": scorer.bundle().pipeline.model.kind,
            "n_rows": labels.len(),
            "n_rejected": n_rejected,
            "n_unlabelled": n_unlabelled,
            "classes": label.classes.names,
            "metrics": judgement.metrics,
            "confusion_matrix": confusion,
            "gate": gate,
            "warnings": warnings,
        }))?;
    } else {
        summarize(&scorer, &judgement, labels.len(), n_rejected);
        say_gate(&gate);
    }
    Ok(if gate.passed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn judge(config: &Config, scorer: &Scorer, events: &Events, labels: &[u32]) -> Result<Judgement, Failure> {
    if labels.is_empty() {
        return Err(Failure::data("no event has a label").hint("check the label's columns with `phantomnet inspect`"));
    }
    let label = &scorer.bundle().pipeline.label;
    let scores = scorer.score(&columns_of(&events.batch, scorer)?).map_err(score_failure)?;
    let total = label.train_counts.iter().map(|&n| n as f64).sum::<f64>().max(1.0);
    let shares: Vec<f32> = label.train_counts.iter().map(|&n| (n as f64 / total) as f32).collect();
    let baseline = Probabilities::new(label.classes.len(), shares.repeat(labels.len()));
    let mut config = config.clone();
    config.evaluate.decision_threshold = scorer.bundle().pipeline.decision_threshold;
    judge_probabilities(&config, labels, scores.probabilities, &baseline, &label.classes)
}

fn summarize(scorer: &Scorer, judgement: &Judgement, n_rows: usize, n_rejected: u64) {
    let metrics = &judgement.metrics;
    let kind = &scorer.bundle().pipeline.model.kind;
    terminal::say(&format!("\n{} on {n_rows} events, {n_rejected} lines rejected", visible(kind)));
    let mut rows = vec![["", "value [95 % interval]", "majority"].map(String::from).to_vec()];
    for key in SHOWN.iter().filter(|k| metrics.get(k).is_some()) {
        let baseline = metrics.get(&format!("baseline_{key}")).map_or_else(String::new, figure);
        rows.push(vec![(*key).to_owned(), with_interval(metrics, key), baseline]);
    }
    terminal::say(terminal::table(&rows).trim_end());
    let names = &scorer.bundle().pipeline.label.classes.names;
    terminal::say("\n  rows are true classes, columns predicted ones");
    let confusion = &judgement.evaluation.confusion;
    let cell = |name: &String| visible(name);
    let mut rows = vec![std::iter::once(String::new()).chain(names.iter().map(cell)).collect::<Vec<_>>()];
    for (c, name) in names.iter().enumerate() {
        rows.push(std::iter::once(cell(name)).chain(confusion.row(c).iter().map(u64::to_string)).collect());
    }
    terminal::say(terminal::table(&rows).trim_end());
}
