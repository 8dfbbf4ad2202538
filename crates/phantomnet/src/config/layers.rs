//! Where configuration comes from: the environment, then the preset, the file and the flags, each over the last, and
//! defaults for what none of them gives.

use std::path::Path;

use phantomnet_features::Preset;
use toml::{Table, Value};

use super::keys::{self, KEYS, Kind};
use crate::failure::{Failure, nearest};

/// A layer of configuration, checked against the keys.
#[derive(Debug, Default)]
pub struct Layer {
    table: Table,
    /// Single keys set over the table, in order; `features.x` leaves the other features as they are.
    single: Vec<(String, Value)>,
}

impl Layer {
    /// The variables that MLflow's own clients honour too. `get` gives a variable's value.
    pub fn environment(get: impl Fn(&str) -> Option<String>) -> Self {
        let mut table = Table::new();
        let variables = [("MLFLOW_TRACKING_URI", "tracking.uri"), ("MLFLOW_EXPERIMENT_NAME", "tracking.experiment")];
        for (variable, path) in variables {
            if let Some(value) = get(variable).filter(|v| !v.is_empty()) {
                set(&mut table, path, Value::String(value));
            }
        }
        let is_true = |text: String| ["true", "1"].contains(&text.to_ascii_lowercase().as_str());
        if let Some(value) = get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING").filter(|v| !v.is_empty()) {
            set(&mut table, "tracking.system_metrics", Value::Boolean(is_true(value)));
        }
        // Out of range or no number: left to the default, as MLflow's own client would not start with it either.
        let interval = get("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL").and_then(|text| text.parse::<f64>().ok());
        let key = "tracking.system_metrics_interval";
        if let Some(value) = interval.map(Value::Float).filter(|v| keys::find(key).is_some_and(|k| k.kind.admits(v))) {
            set(&mut table, key, value);
        }
        Self { table, ..Self::default() }
    }

    /// What a preset proposes: format, features and, if it is asked for, the label. Its fields and common columns join those
    /// of the other layers instead, so they are no part of this one.
    pub fn preset(preset: &Preset, with_label: bool) -> Self {
        let text = |text: &str| Value::String(text.to_owned());
        let mut table = Table::new();
        if let Some(format) = preset.format() {
            set(&mut table, "data.format", text(format));
        }
        if let Some(label) = preset.label().filter(|_| with_label) {
            set(&mut table, "label.name", text(&label.name));
            set(&mut table, "label.expr", text(label.expr.trim()));
            if let Some(positive) = &label.positive {
                set(&mut table, "label.positive", text(positive));
            }
        }
        if !preset.features().is_empty() {
            let features = preset.features().iter().map(|(name, sql)| (name.clone(), text(sql.trim())));
            set(&mut table, "features", Value::Table(features.collect()));
        }
        Self { table, ..Self::default() }
    }

    /// A configuration file.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or has a key or value that is not known.
    pub fn file(path: &Path) -> Result<Self, Failure> {
        let source = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Failure::config(format!("cannot read configuration `{source}`")).caused_by(e))?;
        Self::parse(&text, &source)
    }

    fn parse(text: &str, source: &str) -> Result<Self, Failure> {
        let table: Table = text.parse().map_err(|e: toml::de::Error| {
            let before = &text[..e.span().map_or(0, |s| s.start.min(text.len()))];
            let line = before.matches('\n').count() + 1;
            Failure::config(format!("`{source}` line {line}: {}", e.message().replace('\n', ", ")))
        })?;
        check(&table, "", source)?;
        Ok(Self { table, ..Self::default() })
    }

    /// Flags, as dotted paths and values.
    ///
    /// # Errors
    /// When a key or a value is not known.
    pub fn flags(flags: Vec<(String, Value)>) -> Result<Self, Failure> {
        let flags: Vec<(String, Value)> = flags.into_iter().flat_map(each_key).map(as_text).collect();
        for (path, value) in &flags {
            let parent = path.rsplit_once('.').map_or("", |(p, _)| p);
            if keys::find(path).is_none() && !keys::is_section(path) {
                return Err(unknown(path, parent, "the command line"));
            }
            let mut alone = Table::new();
            place(&mut alone, path, value.clone());
            check(&alone, "", "the command line")?;
        }
        Ok(Self { single: flags, ..Self::default() })
    }

    /// Whether this layer gives the key, or something in it.
    pub fn gives(&self, path: &str) -> bool {
        let inside = |p: &str| p == path || p.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        get(&self.table, path).is_some() || self.single.iter().any(|(p, _)| inside(p))
    }

    /// The value of a key in this layer.
    fn value(&self, path: &str) -> Option<&Value> {
        let single = self.single.iter().rev().find(|(p, _)| p == path).map(|(_, v)| v);
        single.or_else(|| get(&self.table, path))
    }

    /// The text that this layer gives a key.
    pub fn text(&self, path: &str) -> Option<String> {
        self.value(path)?.as_str().map(str::to_owned)
    }

    /// The `data.paths` of this layer.
    pub fn paths(&self) -> Option<Vec<String>> {
        let list = self.value("data.paths")?.as_array()?;
        list.iter().map(|v| v.as_str().map(str::to_owned)).collect()
    }
}

/// Puts the layers over each other, the last on top. Lists and free tables of a file are replaced whole, so that a file can
/// leave a default away.
pub fn merge(layers: impl IntoIterator<Item = Layer>) -> Table {
    let mut merged = Table::new();
    for layer in layers {
        for key in KEYS {
            if let Some(value) = get(&layer.table, key.path) {
                set(&mut merged, key.path, value.clone());
            }
        }
        for (path, value) in layer.single {
            place(&mut merged, &path, value);
        }
    }
    merged
}

/// Adds the defaults of the keys that the learner has and `table` does not give.
pub fn add_defaults(table: &mut Table, learner: &str) {
    for key in KEYS.iter().filter(|k| k.is_of(learner)) {
        let default = key.default_of(learner);
        if !default.is_empty() && get(table, key.path).is_none() {
            set(table, key.path, parse_value(default));
        }
    }
}

/// The value of a `--set key=value`: TOML if it is that, text otherwise.
pub fn parse_value(text: &str) -> Value {
    format!("v = {text}")
        .parse::<Table>()
        .ok()
        .filter(|t| t.len() == 1)
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A whole section as one flag is its keys one by one, so that others keep their values.
fn each_key((path, value): (String, Value)) -> Vec<(String, Value)> {
    match value {
        Value::Table(section) if keys::is_section(&path) => {
            section.into_iter().map(|(name, value)| (format!("{path}.{name}"), value)).collect()
        }
        value => vec![(path, value)],
    }
}

/// A number or the like for a key that takes text is that text: `tracking.run_name=2024`.
fn as_text((path, value): (String, Value)) -> (String, Value) {
    let is_text = keys::find(&path).is_some_and(|key| match key.kind {
        Kind::Text | Kind::Word(_) => true,
        Kind::TextTable => path != key.path,
        _ => false,
    });
    let plain = is_text && !value.is_str() && !value.is_table() && !value.is_array();
    (path, if plain { Value::String(value.to_string()) } else { value })
}

/// The value at a dotted path.
pub fn get<'t>(table: &'t Table, path: &str) -> Option<&'t Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((head, rest)) => get(table.get(head)?.as_table()?, rest),
    }
}

fn set(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

/// As [`set`], but what follows a free table is one name, dots and all: `gate.recall.attack`.
fn place(table: &mut Table, path: &str, value: Value) {
    let inside = keys::find(path).and_then(|key| Some((key.path, path.strip_prefix(key.path)?.strip_prefix('.')?)));
    let Some((free, name)) = inside else { return set(table, path, value) };
    let mut inner = get(table, free).and_then(Value::as_table).cloned().unwrap_or_default();
    inner.insert(name.to_owned(), value);
    set(table, free, Value::Table(inner));
}

fn check(table: &Table, prefix: &str, source: &str) -> Result<(), Failure> {
    for (name, value) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match (keys::find(&path), value) {
            (Some(key), value) if key.kind.admits(value) => {}
            (Some(key), value) => {
                let got = if matches!(key.kind, Kind::Texts | Kind::TextTable | Kind::NumberTable) {
                    value.type_str().to_owned()
                } else {
                    value.to_string()
                };
                let text = format!("`{path}` must be {}, got `{got}` (in {source})", key.kind.expected());
                let near = match (key.kind, value.as_str()) {
                    (Kind::Word(words), Some(word)) => nearest(word, words.iter().copied()),
                    _ => None,
                };
                return Err(Failure::config(text).maybe_hint(near.map(|near| format!("did you mean `{near}`?"))));
            }
            (None, Value::Table(inner)) if keys::is_section(&path) => check(inner, &path, source)?,
            (None, _) if keys::is_section(&path) => {
                return Err(Failure::config(format!("`{path}` must be a table (in {source})")));
            }
            (None, _) => return Err(unknown(&path, prefix, source)),
        }
    }
    Ok(())
}

fn unknown(path: &str, section: &str, source: &str) -> Failure {
    let failure = Failure::config(format!("unknown key `{path}` (in {source})"));
    let mut candidates: Vec<&str> = KEYS.iter().map(|k| k.path).collect();
    candidates.extend(KEYS.iter().filter_map(|k| k.path.split_once('.').map(|(s, _)| s)));
    if let Some(near) = nearest(path, candidates) {
        return failure.hint(format!("did you mean `{near}`?"));
    }
    let section: Vec<&str> =
        KEYS.iter().map(|k| k.path).filter(|p| p.rsplit_once('.').map_or("", |(s, _)| s) == section).collect();
    if section.is_empty() { failure } else { failure.hint(format!("valid keys are `{}`", section.join("`, `"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(file: &str, flags: &[&str]) -> Table {
        let flags = flags.iter().map(|f| f.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), parse_value(v)));
        let mut table = merge([Layer::parse(file, "file").unwrap(), Layer::flags(flags.collect()).unwrap()]);
        add_defaults(&mut table, "random_forest");
        table
    }

    #[test]
    fn defaults_are_those_of_the_learner_and_never_over_what_is_given() {
        let defaults = |given: &str, learner: &str| {
            let mut table = merge([Layer::parse(given, "file").unwrap()]);
            add_defaults(&mut table, learner);
            ["bootstrap", "max_features", "category_order", "n_estimators"]
                .map(|name| get(&table, &format!("model.{name}")).map(ToString::to_string).unwrap_or_default())
        };
        assert_eq!(defaults("", "random_forest"), ["true", "\"sqrt\"", "\"blurred\"", "100"]);
        assert_eq!(defaults("", "extra_trees"), ["false", "\"sqrt\"", "\"blurred\"", "100"]);
        assert_eq!(defaults("", "decision_tree"), ["", "\"all\"", "\"target\"", ""]);
        assert_eq!(defaults("[model]\nbootstrap = true", "extra_trees"), ["true", "\"sqrt\"", "\"blurred\"", "100"]);
    }

    #[test]
    fn later_layers_win_and_single_keys_leave_the_others() {
        let file = "[features]\na = 'x'\nb = 'y'\n[cv]\nn_folds = 3";
        let table = merged(
            file,
            &["features.b=payload_length(data)", "gate={accuracy = 0.9}", "gate.recall.attack=0.5", "cv.n_repeats=2"],
        );
        assert_eq!(get(&table, "features.a"), Some(&Value::String("x".into())));
        assert_eq!(get(&table, "features.b"), Some(&Value::String("payload_length(data)".into())));
        assert_eq!(get(&table, "cv.n_folds"), Some(&Value::Integer(3)));
        assert_eq!(get(&table, "cv.n_repeats"), Some(&Value::Integer(2)));
        assert_eq!(get(&table, "gate.accuracy"), Some(&Value::Float(0.9)));
        assert_eq!(get(&table, "gate").and_then(|g| g.get("recall.attack")), Some(&Value::Float(0.5)));
        assert_eq!(get(&table, "holdout.seed"), Some(&Value::Integer(42)));
        let table = merged(file, &["features={c = 'z'}"]);
        assert_eq!(get(&table, "features").and_then(Value::as_table).map(Table::len), Some(1));
    }

    #[test]
    fn values_are_toml_or_else_text() {
        assert_eq!(parse_value("3"), Value::Integer(3));
        assert_eq!(parse_value("'3'"), Value::String("3".into()));
        assert_eq!(parse_value("event IN ('a')"), Value::String("event IN ('a')".into()));
        assert_eq!(parse_value("1\nevil = 2"), Value::String("1\nevil = 2".into()));
    }

    #[test]
    fn mistakes_name_place_value_and_expectation() {
        let error = |text: &str| Layer::parse(text, "f.toml").unwrap_err().to_string();
        assert_eq!(
            error("[cv]\nn_folds = 'x'"),
            "`cv.n_folds` must be a whole number from 0 to 1000, got `\"x\"` (in f.toml)"
        );
        assert_eq!(error("[cv]\nfolds = 3"), "unknown key `cv.folds` (in f.toml)");
        assert_eq!(error("cv = 3"), "`cv` must be a table (in f.toml)");
        assert!(error("[cv]\nn_folds = = 3").starts_with("`f.toml` line 2: "));
    }
}
