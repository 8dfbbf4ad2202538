//! `phantomnet inspect`

use std::process::ExitCode;

use arrow_array::cast::AsArray;
use phantomnet_features::{
    Events, FeatureSet, LabelValues, Preset, learn_classes, overlaps, recognize, to_labels, type_reasons,
};
use serde_json::{Value, json};

use crate::cli::InspectArgs;
use crate::config::Config;
use crate::failure::{Failure, visible};
use crate::pipeline::data::{
    balance, expression_failure, feature_expressions, has_few_values, label_expression, missing, read,
    weight_expression,
};
use crate::terminal;

/// Rejected lines shown to people.
const SHOWN_REJECTED: usize = 10;
/// Values of a column by which a sensor is recognized.
const SAMPLED: usize = 1000;

pub(crate) fn run(args: &InspectArgs) -> Result<ExitCode, Failure> {
    // The data are looked at whatever is wrong with them; that is what this command is for.
    let mut config = args.resolve()?.with_standard_input()?;
    config.data.max_rejected = 1.0;
    let events = read(&config)?;
    // A configuration made for other data must not keep anyone from looking at these.
    let label = if config.label.expr.trim().is_empty() { None } else { Some(inspect_label(&config, &events)) };
    let label = match label.transpose() {
        Ok(label) => label,
        Err(failure) => {
            terminal::warn(&format!("the label cannot be shown: {failure}"));
            None
        }
    };
    let missing = missing(&events.batch);
    if args.common.json {
        terminal::print_json(&document(&events, &missing, label.as_ref()))?;
    } else {
        show(&events, &missing, label.as_ref());
    }
    Ok(ExitCode::SUCCESS)
}

struct LabelView {
    name: String,
    balance: Vec<(String, u64)>,
    n_unlabelled: usize,
    leaks: Vec<String>,
}

fn inspect_label(config: &Config, events: &Events) -> Result<LabelView, Failure> {
    let schema = &events.origin.schema;
    let label = label_expression(config, schema)?;
    let weight = weight_expression(config, schema).unwrap_or_else(|error| {
        terminal::warn(&format!("the weight cannot be used: {error}"));
        None
    });
    let has_few = |column: &str| has_few_values(events, column);
    let specs = feature_expressions(config, schema, &has_few, &label, weight.as_ref())?;
    let leaks = match FeatureSet::compile(specs, &schema.arrow()) {
        Ok(features) => overlaps(&label, &features).iter().map(ToString::to_string).collect(),
        Err(error) => {
            terminal::warn(&format!("leaks cannot be looked for: {error}"));
            Vec::new()
        }
    };
    let values = LabelValues::of(&label.evaluate(&events.batch).map_err(expression_failure)?);
    let classes = learn_classes(&label, &values, config.label.positive.as_deref()).map_err(expression_failure)?;
    let labels = to_labels(&values, &classes).map_err(expression_failure)?;
    let known: Vec<u32> = labels.iter().flatten().copied().collect();
    Ok(LabelView {
        name: label.name.clone(),
        balance: balance(&known, &classes),
        n_unlabelled: labels.len() - known.len(),
        leaks,
    })
}

/// The preset of the sensor that such events come from.
fn preset_for(events: &Events) -> Option<&'static Preset> {
    let columns: Vec<&str> = events.origin.schema.names().collect();
    let sample = |name: &str| -> Vec<String> {
        let column = events.batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        column.map_or_else(Vec::new, |texts| texts.iter().flatten().take(SAMPLED).map(str::to_owned).collect())
    };
    recognize(&columns, &sample)
}

fn document(events: &Events, missing: &[(String, u64)], label: Option<&LabelView>) -> Value {
    let columns: Vec<Value> = events
        .origin
        .schema
        .columns()
        .iter()
        .zip(missing)
        .zip(type_reasons(events))
        .map(|(((name, t), (_, n)), why)| json!({"name": name, "type": t.name(), "why": why, "n_missing": n}))
        .collect();
    let rejected: Vec<Value> = events
        .origin.rejected
        .kept
        .iter()
        .map(|r| {
            let file = &events.origin.files[r.place.file as usize].path;
            json!({"file": file, "line": r.place.line, "offset": r.place.offset, "reason": r.reason, "excerpt": r.excerpt})
        })
        .collect();
    let files: Vec<Value> = events
        .origin.files
        .iter()
        .map(|f| {
            json!({
                "path": f.path, "format": f.format, "n_bytes": f.n_bytes, "n_rows": f.n_rows, "n_rejected": f.n_rejected,
            })
        })
        .collect();
    let label = label.map(|l| {
        let balance: serde_json::Map<String, Value> = l.balance.iter().map(|(c, n)| (c.clone(), json!(n))).collect();
        json!({"name": l.name, "balance": balance, "n_unlabelled": l.n_unlabelled, "leaks": l.leaks})
    });
    json!({
        "n_rows": events.batch.num_rows(),
        "n_rejected": events.origin.rejected.n,
        "n_rejected_by_reason": events.origin.rejected.by_reason,
        "preset": preset_for(events).map(Preset::name),
        "files": files,
        "columns": columns,
        "rejected": rejected,
        "label": label,
        "fingerprint": events.origin.fingerprint,
        "warnings": events.origin.warnings,
    })
}

fn show(events: &Events, missing: &[(String, u64)], label: Option<&LabelView>) {
    let n_rows = events.batch.num_rows();
    for file in &events.origin.files {
        let path = visible(&file.path.display().to_string());
        let format = serde_json::to_value(file.format).unwrap_or_default();
        let format = format.as_str().unwrap_or_default().replace('_', " ");
        terminal::say(&format!(
            "{path}: {format}, {} events, {} lines rejected, {} bytes",
            file.n_rows, file.n_rejected, file.n_bytes
        ));
    }
    if let Some(preset) = preset_for(events) {
        terminal::say(&format!("looks like {}: --preset {}", preset.title(), preset.name()));
    }
    let mut rows = vec![["column", "type", "missing", "", "why this type"].map(String::from).to_vec()];
    for (((name, t), (_, n)), why) in events.origin.schema.columns().iter().zip(missing).zip(type_reasons(events)) {
        let share = format!("{:.1} %", 100.0 * *n as f64 / n_rows.max(1) as f64);
        rows.push(vec![visible(name), t.name().to_owned(), n.to_string(), share, visible(&why)]);
    }
    terminal::say(terminal::table(&rows).trim_end());
    if let Some(label) = label {
        terminal::say(&format!("label {}", visible(&label.name)));
        let total: u64 = label.balance.iter().map(|(_, n)| n).sum();
        let share = |n: u64| format!("{:.1} %", 100.0 * n as f64 / total.max(1) as f64);
        let mut rows: Vec<Vec<String>> =
            label.balance.iter().map(|(c, n)| vec![visible(c), n.to_string(), share(*n)]).collect();
        if label.n_unlabelled > 0 {
            rows.push(vec!["(no label)".into(), label.n_unlabelled.to_string()]);
        }
        terminal::say(terminal::table(&rows).trim_end());
        label.leaks.iter().for_each(|l| terminal::warn(&format!("possible leak: {l}")));
    }
    let mut reasons: Vec<(&String, &u64)> = events.origin.rejected.by_reason.iter().collect();
    reasons.sort_by_key(|(reason, n)| (std::cmp::Reverse(**n), *reason));
    for (reason, n) in reasons.iter().take(SHOWN_REJECTED) {
        terminal::say(&format!("{n} rejected: {}", visible(reason)));
    }
    for r in events.origin.rejected.kept.iter().take(SHOWN_REJECTED) {
        let file = visible(&events.origin.files[r.place.file as usize].path.display().to_string());
        terminal::say(&format!("rejected {file}:{}: {}: {}", r.place.line, visible(&r.reason), visible(&r.excerpt)));
    }
    if events.origin.rejected.n as usize > SHOWN_REJECTED {
        terminal::say(&format!(
            "... and {} more; --json shows them",
            events.origin.rejected.n as usize - SHOWN_REJECTED
        ));
    }
    events.origin.warnings.iter().for_each(|w| terminal::warn(w));
}
