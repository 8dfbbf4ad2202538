//! `phantomnet presets`

use std::process::ExitCode;

use phantomnet_features::Preset;
use serde_json::{Map, Value, json};

use super::print_data;
use crate::cli::PresetsCommand;
use crate::config::preset::open;
use crate::failure::Failure;
use crate::terminal;

pub(crate) fn run(command: &PresetsCommand) -> Result<ExitCode, Failure> {
    match command {
        PresetsCommand::List { json: true } => {
            terminal::print_json(&Preset::builtin().iter().map(document).collect())?;
        }
        PresetsCommand::List { json: false } => print_data(list().trim_end())?,
        PresetsCommand::Show { name } => print_data(open(name)?.text().trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list() -> String {
    let width = Preset::builtin().iter().map(|preset| preset.name().len()).max().unwrap_or(0);
    let line = |preset: &Preset| format!("{:width$}  {}\n", preset.name(), preset.title());
    Preset::builtin().iter().map(line).collect()
}

fn document(preset: &Preset) -> Value {
    let table = |pairs: &[(String, String)]| -> Map<String, Value> {
        pairs.iter().map(|(name, sql)| (name.clone(), json!(sql))).collect()
    };
    let label = preset.label().map(|l| json!({"name": l.name, "expr": l.expr, "positive": l.positive}));
    json!({
        "name": preset.name(),
        "title": preset.title(),
        "source": preset.source(),
        "format": preset.format(),
        "group": preset.group(),
        "fields": preset.fields(),
        "observed": table(preset.observed()),
        "claimed": table(preset.claimed()),
        "label": label,
        "features": table(preset.features()),
    })
}
