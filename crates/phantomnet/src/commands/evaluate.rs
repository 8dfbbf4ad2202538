//! `phantomnet evaluate`

use std::process::ExitCode;

use phantomnet_score::Scorer;
use serde_json::json;

use super::bar::reading;
use super::{SHOWN, figure, say_gate, with_interval};
use crate::cli::EvaluateArgs;
use crate::failure::{Failure, visible};
use crate::pipeline::evaluation::{LabelledEvents, judge_model, judged_bounds, probabilities, read_labelled};
use crate::pipeline::latency::score_failure;
use crate::pipeline::{Judgement, gate};
use crate::terminal;

pub(crate) fn run(args: &EvaluateArgs) -> Result<ExitCode, Failure> {
    let (mut config, source) = args.model.open(&args.common.config)?;
    let scorer = Scorer::load(source.path()).map_err(score_failure)?;
    config.data.paths = args.data.clone();
    let config = config.with_standard_input()?;
    let events = reading(|tell| read_labelled(&config, &scorer, tell))?;
    let probabilities = probabilities(&scorer, &events);
    let LabelledEvents { origin, labels, n_unlabelled, warnings, .. } = events;
    let n_rejected = origin.rejected.n;
    let label = &scorer.bundle().pipeline.label;
    let judgement = judge_model(&config, &scorer, &labels, probabilities)?;
    let gate = gate::judge(&judged_bounds(&config), &judgement.metrics)?;
    for warning in &warnings {
        terminal::warn(warning);
    }
    if args.common.json {
        let confusion: Vec<&[u64]> = (0..label.classes.len()).map(|c| judgement.evaluation.confusion.row(c)).collect();
        terminal::print_json(&json!({
            "model": args.model.model,
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
