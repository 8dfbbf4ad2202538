//! The configuration: one TOML file, flags over it, environment and defaults below.

pub mod keys;
pub mod layers;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::failure::Failure;
use layers::{Layer, merge};

/// File that is read when no other is named and it exists.
pub const DEFAULT_FILE: &str = "phantomnet.toml";

/// The resolved configuration. Keys and defaults: [`keys::KEYS`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Events.
    pub data: Data,
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
    /// Where the run is recorded.
    pub tracking: Tracking,
    /// Where files go.
    pub output: Output,
    /// What changes only the cost.
    pub deployment: Deployment,
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
    pub columns: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, String>,
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

/// `[tracking]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "documented in the table of keys")]
pub struct Tracking {
    pub uri: String,
    pub experiment: String,
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

impl Config {
    /// Resolves the configuration: `flags` over `file` over `environment` over defaults.
    ///
    /// # Errors
    /// A [`Failure`] of kind config that names key, value and what was expected.
    pub fn resolve(environment: Layer, file: Option<Layer>, flags: Layer) -> Result<Self, Failure> {
        // The mark speaks of the files it stands beside; other files are not those.
        let other_files = flags.gives("data.paths") && !flags.gives("data.synthetic");
        let layers = [Some(Layer::defaults()?), Some(environment), file, Some(flags)];
        let mut merged = merge(layers.into_iter().flatten());
        if other_files && let Some(Value::Table(data)) = merged.get_mut("data") {
            data.insert("synthetic".into(), Value::Boolean(false));
        }
        let mut config: Self = merged.try_into().map_err(|e: toml::de::Error| {
            Failure::config(format!("configuration: {}", e.message().replace('\n', ", ")))
        })?;
        config.keep_only_params_of_the_learner()?;
        Ok(config)
    }

    /// Defaults of other learners' hyperparameters say nothing; values that were given for another learner are an error,
    /// which is told by their differing from the default.
    fn keep_only_params_of_the_learner(&mut self) -> Result<(), Failure> {
        let kind = self.model.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let belongs = |doc: &str| !doc.starts_with('`') || doc.starts_with(&format!("`{kind}`"));
        for key in keys::KEYS {
            let Some(name) = key.path.strip_prefix("model.") else { continue };
            if belongs(key.doc) {
                continue;
            }
            let Some(value) = self.model.remove(name) else { continue };
            if key.default.is_empty() || value != layers::parse_value(key.default) {
                let valid: Vec<&str> = keys::KEYS
                    .iter()
                    .filter(|k| belongs(k.doc) && k.path.starts_with("model."))
                    .map(|k| k.path)
                    .collect();
                return Err(Failure::config(format!("`{}` is no setting of learner `{kind}`", key.path))
                    .hint(format!("its settings are `{}`", valid.join("`, `"))));
            }
        }
        Ok(())
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

    /// The part that shapes the model, which is all but tracking, output and deployment.
    pub fn model_part(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Some(sections) = value.as_object_mut() {
            for section in ["tracking", "output", "deployment"] {
                sections.remove(section);
            }
        }
        value
    }
}
