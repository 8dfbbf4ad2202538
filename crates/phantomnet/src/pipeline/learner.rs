//! The learner that a configuration names.

use std::collections::BTreeMap;

use phantomnet_learn::metrics::ZeroDivision;
use phantomnet_learn::{
    CategoryOrder, ClassWeight, Criterion, ForestKind, ForestLearner, Learner, LogisticRegression, Majority,
    MaxFeatures, MaxSamples,
};
use toml::{Table, Value};

use crate::config::Config;
use crate::config::keys::{LEARNERS, find, number};
use crate::failure::{Failure, nearest};

/// Makes the learner of `[model]` and checks its hyperparameters.
///
/// # Errors
/// Of kind config, naming the key and what was expected.
pub fn learner(config: &Config) -> Result<Box<dyn Learner>, Failure> {
    let table = &config.model;
    let learner: Box<dyn Learner> = match config.model_kind() {
        "logistic_regression" => {
            let default = LogisticRegression::default();
            Box::new(LogisticRegression {
                c: table.get("c").and_then(number).unwrap_or(default.c),
                class_weight: class_weight(table, false)?,
                max_iter: table.get("max_iter").and_then(Value::as_integer).map_or(default.max_iter, |i| i as u64),
                ..default
            })
        }
        "majority" => Box::new(Majority),
        _ => Box::new(forest(config)?),
    };
    learner.check().map_err(|e| Failure::config(format!("[model]: {e}")))?;
    Ok(learner)
}

/// The forest of `[model]`.
///
/// # Errors
/// Of kind config, naming the key and what was expected.
pub(super) fn forest(config: &Config) -> Result<ForestLearner, Failure> {
    let table = &config.model;
    let default = match config.model_kind() {
        "random_forest" => ForestLearner::random_forest(),
        "extra_trees" => ForestLearner::extra_trees(),
        "decision_tree" => ForestLearner::decision_tree(),
        other => {
            let failure = Failure::config(format!("`model.kind`: unknown learner `{other}`"));
            return Err(failure.maybe_hint(did_you_mean(other, LEARNERS)));
        }
    };
    let count = |name: &str| table.get(name).and_then(Value::as_integer).map(|i| i as usize);
    let flag = |name: &str| table.get(name).and_then(Value::as_bool);
    let word = |name: &str| table.get(name).and_then(Value::as_str);
    Ok(ForestLearner {
        n_estimators: count("n_estimators").unwrap_or(default.n_estimators),
        criterion: match word("criterion") {
            Some("entropy") => Criterion::Entropy,
            Some("log_loss") => Criterion::LogLoss,
            _ => Criterion::Gini,
        },
        max_depth: count("max_depth"),
        max_features: max_features(table)?.unwrap_or(default.max_features),
        min_samples_split: count("min_samples_split").unwrap_or(default.min_samples_split),
        min_samples_leaf: count("min_samples_leaf").unwrap_or(default.min_samples_leaf),
        max_leaf_nodes: count("max_leaf_nodes"),
        min_impurity_decrease: table.get("min_impurity_decrease").and_then(number).unwrap_or(0.0),
        class_weight: class_weight(table, default.kind != ForestKind::DecisionTree)?,
        bootstrap: flag("bootstrap").unwrap_or(default.bootstrap),
        max_samples: max_samples(table)?,
        oob_score: flag("oob_score").unwrap_or(default.oob_score),
        max_bins: count("max_bins").unwrap_or(default.max_bins),
        category_order: match word("category_order") {
            Some("target") => CategoryOrder::Target,
            Some("blurred") => CategoryOrder::Blurred,
            _ => default.category_order,
        },
        seed: config.model_seed(),
        ..default
    })
}

fn max_features(table: &Table) -> Result<Option<MaxFeatures>, Failure> {
    table.get("max_features").map_or(Ok(None), |value| {
        Ok(Some(match value {
            Value::String(word) if word == "sqrt" => MaxFeatures::Sqrt,
            Value::String(word) if word == "log2" => MaxFeatures::Log2,
            Value::String(word) if word == "all" => MaxFeatures::All,
            Value::Integer(n) if *n >= 1 => MaxFeatures::Count(*n as usize),
            Value::Float(share) => MaxFeatures::Fraction(*share),
            other => return Err(wrong("model.max_features", other, &["sqrt", "log2", "all"])),
        }))
    })
}

fn max_samples(table: &Table) -> Result<MaxSamples, Failure> {
    match table.get("max_samples") {
        None => Ok(MaxSamples::All),
        Some(Value::Integer(n)) if *n >= 1 => Ok(MaxSamples::Count(*n as usize)),
        Some(Value::Float(share)) => Ok(MaxSamples::Fraction(*share)),
        Some(other) => Err(wrong("model.max_samples", other, &[])),
    }
}

/// - `has_samples`: whether the learner draws rows, in which they can be balanced.
fn class_weight(table: &Table, has_samples: bool) -> Result<ClassWeight, Failure> {
    const PATH: &str = "model.class_weight";
    match table.get("class_weight") {
        None => Ok(ClassWeight::None),
        Some(Value::String(word)) if word == "balanced" => Ok(ClassWeight::Balanced),
        Some(Value::String(word)) if word == "balanced_subsample" && has_samples => Ok(ClassWeight::BalancedSubsample),
        Some(Value::String(word)) if word == "balanced_subsample" => Err(Failure::config(format!(
            "`{PATH}` = `{word}` is for `random_forest` and `extra_trees`, which draw rows"
        ))
        .hint("`balanced` gives all classes the same weight")),
        Some(value @ Value::Table(weights)) => weights
            .iter()
            .map(|(class, weight)| Some((class.clone(), number(weight)?)))
            .collect::<Option<BTreeMap<_, _>>>()
            .map(ClassWeight::Map)
            .ok_or_else(|| wrong(PATH, value, &[])),
        Some(other) => Err(wrong(PATH, other, &["balanced", "balanced_subsample"])),
    }
}

/// A value that is not what the table of keys expects.
fn wrong(path: &str, value: &Value, words: &[&'static str]) -> Failure {
    let expected = find(path).map(|key| key.kind.expected()).unwrap_or_default();
    let near = value.as_str().and_then(|word| did_you_mean(word, words));
    Failure::config(format!("`{path}` must be {expected}, got `{value}`")).maybe_hint(near)
}

fn did_you_mean(word: &str, words: &[&'static str]) -> Option<String> {
    nearest(word, words.iter().copied()).map(|near| format!("did you mean `{near}`?"))
}

/// The value of undefined precision, recall and F1.
///
/// # Errors
/// Of kind config.
pub(super) fn zero_division(value: &Value) -> Result<ZeroDivision, Failure> {
    match (number(value), value.as_str()) {
        (Some(0.0), _) => Ok(ZeroDivision::Zero),
        (Some(1.0), _) => Ok(ZeroDivision::One),
        (Some(v), _) if v.is_nan() => Ok(ZeroDivision::Nan),
        (None, Some("nan")) => Ok(ZeroDivision::Nan),
        _ => Err(Failure::config(format!("`evaluate.zero_division` must be 0, 1 or `nan`, got `{value}`"))),
    }
}
