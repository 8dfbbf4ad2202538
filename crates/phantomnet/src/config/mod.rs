//! The configuration: one TOML file, flags over it; preset, environment and defaults below.

pub mod keys;
pub mod layers;
pub mod preset;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use phantomnet_features::{Aliases, ColumnType, DatabaseSource, StandardInput};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::failure::{Failure, nearest};
use crate::pipeline::data::source_failure;
use layers::{Layer, add_defaults, get, merge};

/// File that is read when no other is named and it exists.
pub const DEFAULT_FILE: &str = "phantomnet.toml";

/// The resolved configuration. Keys and defaults: [`keys::KEYS`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Events.
    pub data: Data,
    /// Common columns: name to expression over the columns of the data.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// What is to be predicted.
    pub label: Label,
    /// Name to expression, in the order of the file, which the matrix follows.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub features: Table,
    /// Rows for the final judgement.
    pub holdout: Holdout,
    /// Cross-validation.
    pub cv: Cv,
    /// Learner and hyperparameters, checked when the learner is made.
    pub model: Table,
    /// How predictions are judged.
    pub evaluate: Evaluate,
    /// Metric to bound.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gate: BTreeMap<String, f64>,
    /// What a challenger must meet.
    pub promotion: Promotion,
    /// Where the model is registered.
    pub registry: Registry,
    /// Where the run is recorded.
    pub tracking: Tracking,
    /// Where files go.
    pub output: Output,
    /// What changes only the cost.
    pub deployment: Deployment,
    /// URLs of databases as they were given, by how they are shown.
    #[serde(skip)]
    pub urls: BTreeMap<String, String>,
    /// What the path `-` stands for.
    #[serde(skip)]
    pub standard_input: Option<StandardInput>,
}

/// `[data]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented in the table of keys")]
pub struct Data {
    pub paths: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    pub misfits: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    pub max_record_bytes: u64,
    pub max_rejected: f64,
    pub ignore: Vec<String>,
    pub synthetic: bool,
}

/// `[label]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented in the table of keys")]
pub struct Label {
    pub name: String,
    #[serde(default)]
    pub expr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    pub allow_overlap: bool,
}

/// `[holdout]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented in the table of keys")]
pub struct Holdout {
    pub kind: String,
    pub test_size: f64,
    pub seed: u64,
}

/// `[cv]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented in the table of keys")]
pub struct Cv {
    pub n_folds: usize,
    pub n_repeats: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// `[evaluate]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented in the table of keys")]
pub struct Evaluate {
    pub decision_threshold: f64,
    pub zero_division: Value,
    pub n_bootstrap: usize,
}

/// `[promotion]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented in the table of keys")]
pub struct Promotion {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Vec<String>>,
    pub metric: String,
    pub min_gain: f64,
    pub n_bootstrap: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_false_positive_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_latency_p99_ms: Option<f64>,
    pub max_latency_ratio: f64,
}

/// `[registry]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented in the table of keys")]
pub struct Registry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub alias: String,
}

/// `[tracking]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented in the table of keys")]
pub struct Tracking {
    pub uri: String,
    pub experiment: String,
    pub outbox: String,
    pub fold_runs: bool,
    pub system_metrics: bool,
    pub system_metrics_interval: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_name: Option<String>,
}

/// `[output]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented in the table of keys")]
pub struct Output {
    pub dir: String,
}

/// `[deployment]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented in the table of keys")]
pub struct Deployment {
    pub threads: usize,
}

/// Whether the files named by flags are among those that the file names, so that what it says of them holds.
fn names_the_same_files(file: &Layer, flags: &Layer) -> bool {
    let files = |layer: &Layer| -> Option<Vec<std::path::PathBuf>> {
        let (found, _) = phantomnet_features::expand_paths(&layer.paths()?).ok()?;
        found.iter().map(|path| path.canonicalize().ok()).collect()
    };
    let (Some(described), Some(named)) = (files(file), files(flags)) else { return false };
    named.iter().all(|path| described.contains(path))
}

/// The type of a name that stands at `key`.
fn column_type(key: &str, name: &str) -> Result<ColumnType, Failure> {
    const NAMES: [&str; 4] = ["integer", "number", "boolean", "text"];
    ColumnType::from_name(name).ok_or_else(|| {
        Failure::config(format!("`{key}` must be `{}`, got `{name}`", NAMES.join("` or `")))
            .maybe_hint(nearest(name, NAMES).map(|near| format!("did you mean `{near}`?")))
    })
}

impl Config {
    /// Resolves the configuration: `flags` over `file` over the preset that one of them names over `environment` over
    /// defaults.
    ///
    /// # Errors
    /// A [`Failure`] of kind config that names key, value and what was expected.
    pub fn resolve(environment: Layer, file: Option<Layer>, flags: Layer) -> Result<Self, Failure> {
        // The mark speaks of the files it stands beside; other files are not those.
        let other_files = flags.gives("data.paths") && !flags.gives("data.synthetic");
        let same_files = other_files && file.as_ref().is_some_and(|f| names_the_same_files(f, &flags));
        let named = flags.text("data.preset").or_else(|| file.as_ref().and_then(|f| f.text("data.preset")));
        let preset = named.map(|name| preset::open(&name)).transpose()?;
        // A label has its name and its classes; those of the preset say nothing of another.
        let own_label = flags.gives("label.expr") || file.as_ref().is_some_and(|f| f.gives("label.expr"));
        let by_flag = flags.gives("data.preset");
        let own_label = if by_flag { flags.gives("label.expr") } else { own_label };
        let preset_layer = preset.as_deref().map(|preset| Layer::preset(preset, !own_label));
        // A preset named on the command line says more of the data at hand than a file that lies about; one that the file
        // names is what the file goes on from.
        let (above, below) = if by_flag { (preset_layer, None) } else { (None, preset_layer) };
        let layers: Vec<Layer> = [Some(environment), below, file, above, Some(flags)].into_iter().flatten().collect();
        // Hyperparameters from below the layer that chose the learner were meant for the one chosen there.
        let chosen_in = layers.iter().rposition(|l| l.gives("model.kind")).unwrap_or(0);
        let given: Vec<&'static str> = keys::KEYS
            .iter()
            .map(|k| k.path)
            .filter(|path| path.starts_with("model.") && layers[chosen_in..].iter().any(|l| l.gives(path)))
            .collect();
        let mut merged = merge(layers);
        let learner = get(&merged, "model.kind").and_then(Value::as_str).unwrap_or(keys::LEARNERS[0]).to_owned();
        add_defaults(&mut merged, &learner);
        if other_files
            && !same_files
            && let Some(Value::Table(data)) = merged.get_mut("data")
        {
            data.insert("synthetic".into(), Value::Boolean(false));
        }
        let mut config: Self = merged.try_into().map_err(|e: toml::de::Error| {
            Failure::config(format!("configuration: {}", e.message().replace('\n', ", ")))
        })?;
        // A feature of a layer below is left out by an empty expression.
        config.features.retain(|_, sql| sql.as_str().is_none_or(|sql| !sql.trim().is_empty()));
        config.keep_only_params_of_the_learner(&learner, &given)?;
        if let Some(preset) = &preset {
            config.add_columns_of(preset);
        }
        for (column, name) in &config.data.fields {
            column_type(&format!("data.fields.{column}"), name)?;
        }
        config.aliases()?;
        config.hide_passwords()?;
        if config.data.table.is_some() && config.data.query.is_some() {
            return Err(Failure::config("`data.table` and `data.query` are both given: one of them says what is read"));
        }
        if config.cv.n_folds == 1 {
            return Err(Failure::config("`cv.n_folds` must be 0 or at least 2, got `1`"));
        }
        Ok(config)
    }

    /// Leaves out what only other learners have. That is an error if it was `given` for this one.
    fn keep_only_params_of_the_learner(&mut self, learner: &str, given: &[&str]) -> Result<(), Failure> {
        let listed = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        for key in keys::KEYS.iter().filter(|k| !k.is_of(learner)) {
            let Some(name) = key.path.strip_prefix("model.") else { continue };
            // `--seed` speaks to everything random; a learner without randomness has nothing to say to it.
            if given.contains(&key.path) && name != "seed" {
                let own = keys::KEYS.iter().filter(|k| k.path.starts_with("model.") && k.is_of(learner));
                let valid: Vec<&str> = own.map(|k| k.path).collect();
                let text =
                    format!("`{}` is no setting of learner `{learner}`, but of {}", key.path, listed(key.learners()));
                return Err(Failure::config(text).hint(format!("its settings are {}", listed(&valid))));
            }
            self.model.remove(name);
        }
        Ok(())
    }

    /// Fields and common columns of the preset, unless the configuration has its own of the name.
    fn add_columns_of(&mut self, preset: &phantomnet_features::Preset) {
        for (name, column_type) in preset.fields().columns() {
            self.data.fields.entry(name.clone()).or_insert_with(|| column_type.name().to_owned());
        }
        for (name, sql) in preset.columns() {
            self.columns.entry(name.to_owned()).or_insert_with(|| sql.to_owned());
        }
    }

    /// Common columns, those of the preset and the user's own: name to expression over the columns of the data.
    pub fn columns(&self) -> &BTreeMap<String, String> {
        &self.columns
    }

    /// The common columns as names that expressions may read.
    ///
    /// # Errors
    /// A [`Failure`] of kind config when one is no SQL.
    pub fn aliases(&self) -> Result<Aliases, Failure> {
        Aliases::new(&self.columns).map_err(|error| {
            let hint = error.hint();
            Failure::config(format!("[columns]: {error}")).maybe_hint(hint)
        })
    }

    /// Takes passwords out of the URLs of databases: the configuration is shown and recorded.
    fn hide_passwords(&mut self) -> Result<(), Failure> {
        for path in self.data.paths.iter_mut().chain(self.promotion.data.iter_mut().flatten()) {
            if let Some(source) = DatabaseSource::parse(path).transpose().map_err(source_failure)? {
                let shown = source.display();
                let url = std::mem::replace(path, shown.clone());
                self.urls.insert(shown, url);
            }
        }
        Ok(())
    }

    /// With standard input copied, if one of the paths is `-`.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn with_standard_input(mut self) -> Result<Self, Failure> {
        if self.data.paths.iter().any(|path| path == "-") {
            let max_bytes = phantomnet_features::ReadOptions::default().max_file_bytes;
            let copy = StandardInput::copy(std::io::stdin().lock(), max_bytes).map_err(source_failure)?;
            self.standard_input = Some(copy);
        }
        Ok(self)
    }

    /// A path or URL of events as it was given, the password of a database included.
    pub fn as_given(&self, path: &str) -> String {
        self.urls.get(path).cloned().unwrap_or_else(|| path.to_owned())
    }

    /// Columns that the data may lack, with their types; `data.types` counts before them.
    pub fn fields(&self) -> BTreeMap<String, ColumnType> {
        let typed = |(name, word): (&String, &String)| Some((name.clone(), ColumnType::from_name(word)?));
        self.data.fields.iter().filter_map(typed).collect()
    }

    /// The label's expression.
    ///
    /// # Errors
    /// A [`Failure`] of kind config when there is none.
    pub fn label_expr(&self) -> Result<&str, Failure> {
        if self.label.expr.trim().is_empty() {
            return Err(Failure::config("`label.expr` is missing: it says which events are attacks")
                .hint("in phantomnet.toml: [label] expr = \"event IN ('login_failed', 'command')\", or -c FILE"));
        }
        Ok(&self.label.expr)
    }

    /// The features as names and expressions.
    pub fn features(&self) -> Vec<(String, String)> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        self.features.iter().map(|(name, expr)| (name.clone(), text(expr))).collect()
    }

    /// Name of the learner.
    pub fn model_kind(&self) -> &str {
        self.model.get("kind").and_then(Value::as_str).unwrap_or_default()
    }

    /// Seed of the folds.
    pub fn cv_seed(&self) -> u64 {
        self.cv.seed.unwrap_or(self.holdout.seed)
    }

    /// Seed of the learner.
    pub fn model_seed(&self) -> u64 {
        let own = self.model.get("seed").and_then(Value::as_integer);
        own.map_or(self.holdout.seed, |seed| seed.unsigned_abs())
    }

    /// Number of threads, one per core if none is set.
    pub fn n_threads(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.deployment.threads)
            .or_else(|| std::thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN)
    }

    /// The whole as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// The part that shapes the model: all but what is done with it, and where the data lie.
    pub fn model_part(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(sections) = value.as_object_mut() {
            for section in ["promotion", "registry", "tracking", "output", "deployment"] {
                sections.remove(section);
            }
            if let Some(data) = sections.get_mut("data").and_then(|d| d.as_object_mut()) {
                data.remove("paths");
            }
        }
        value
    }
}
