//! `phantomnet inspect`

use std::process::ExitCode;

use phantomnet_features::{Preset, SourceFile, Summary};
use serde_json::{Value, json};

use super::bar::reading;
use crate::cli::InspectArgs;
use crate::failure::{Failure, visible};
use crate::pipeline::inspection::{Inspected, InspectedLabel, inspect};
use crate::terminal;

/// Rejected lines shown to people.
const SHOWN_REJECTED: usize = 10;

/// Files shown to people one by one.
const SHOWN_FILES: usize = 20;

pub(crate) fn run(args: &InspectArgs) -> Result<ExitCode, Failure> {
    // The data are looked at whatever is wrong with them; that is what this command is for.
    let mut config = args.resolve()?.with_standard_input()?;
    config.data.max_rejected = 1.0;
    let Inspected { summary, preset, label } = reading(|tell| inspect(&config, tell))?;
    // A configuration made for other data must not keep anyone from looking at these.
    let label = match label.transpose() {
        Ok(label) => label,
        Err(failure) => {
            terminal::warn(&format!("the label cannot be shown: {failure}"));
            None
        }
    };
    label.iter().flat_map(|label| &label.warnings).for_each(|warning| terminal::warn(warning));
    if args.common.json {
        terminal::print_json(&document(&summary, preset, label.as_ref()))?;
    } else {
        show(&summary, preset, label.as_ref());
    }
    Ok(ExitCode::SUCCESS)
}

fn document(summary: &Summary, preset: Option<&Preset>, label: Option<&InspectedLabel>) -> Value {
    let origin = &summary.origin;
    let columns: Vec<Value> = summary
        .columns
        .iter()
        .map(|c| json!({"name": c.name, "type": c.column_type.name(), "why": c.why, "n_missing": c.n_missing}))
        .collect();
    let rejected: Vec<Value> = origin
        .rejected
        .kept
        .iter()
        .map(|r| {
            let file = &origin.files[r.place.file as usize].path;
            json!({"file": file, "line": r.place.line, "offset": r.place.offset, "reason": r.reason, "excerpt": r.excerpt})
        })
        .collect();
    let files: Vec<Value> = origin
        .files
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
        "n_rows": summary.n_rows,
        "n_rejected": origin.rejected.n,
        "n_rejected_by_reason": origin.rejected.by_reason,
        "preset": preset.map(Preset::name),
        "files": files,
        "columns": columns,
        "rejected": rejected,
        "label": label,
        "fingerprint": origin.fingerprint,
        "warnings": origin.warnings,
    })
}

fn show(summary: &Summary, preset: Option<&Preset>, label: Option<&InspectedLabel>) {
    let (origin, n_rows) = (&summary.origin, summary.n_rows);
    let (shown, more) = origin.files.split_at(origin.files.len().min(SHOWN_FILES));
    for file in shown {
        let path = visible(&file.path.display().to_string());
        let format = serde_json::to_value(file.format).unwrap_or_default();
        let format = format.as_str().unwrap_or_default().replace('_', " ");
        terminal::say(&format!(
            "{path}: {format}, {} events, {} lines rejected, {} bytes",
            file.n_rows, file.n_rejected, file.n_bytes
        ));
    }
    if !more.is_empty() {
        let sum = |of: fn(&SourceFile) -> u64| more.iter().map(of).sum::<u64>();
        let (n_rows, n_rejected, n_bytes) = (sum(|f| f.n_rows), sum(|f| f.n_rejected), sum(|f| f.n_bytes));
        terminal::say(&format!(
            "... and {} more files: {n_rows} events, {n_rejected} lines rejected, {n_bytes} bytes; --json shows them",
            more.len()
        ));
    }
    if let Some(preset) = preset {
        terminal::say(&format!("looks like {}: --preset {}", preset.title(), preset.name()));
    }
    let mut rows = vec![["column", "type", "missing", "", "why this type"].map(String::from).to_vec()];
    for c in &summary.columns {
        let share = format!("{:.1} %", 100.0 * c.n_missing as f64 / n_rows.max(1) as f64);
        let (name, why) = (visible(&c.name), visible(&c.why));
        rows.push(vec![name, c.column_type.name().to_owned(), c.n_missing.to_string(), share, why]);
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
    let mut reasons: Vec<(&String, &u64)> = origin.rejected.by_reason.iter().collect();
    reasons.sort_by_key(|(reason, n)| (std::cmp::Reverse(**n), *reason));
    for (reason, n) in reasons.iter().take(SHOWN_REJECTED) {
        terminal::say(&format!("{n} rejected: {}", visible(reason)));
    }
    for r in origin.rejected.kept.iter().take(SHOWN_REJECTED) {
        let file = visible(&origin.files[r.place.file as usize].path.display().to_string());
        terminal::say(&format!("rejected {file}:{}: {}: {}", r.place.line, visible(&r.reason), visible(&r.excerpt)));
    }
    if origin.rejected.n as usize > SHOWN_REJECTED {
        terminal::say(&format!("... and {} more; --json shows them", origin.rejected.n as usize - SHOWN_REJECTED));
    }
    origin.warnings.iter().for_each(|w| terminal::warn(w));
}
