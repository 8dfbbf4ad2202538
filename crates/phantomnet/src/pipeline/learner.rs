//! The learner that a configuration names.

use std::collections::BTreeMap;

use phantomnet_learn::metrics::ZeroDivision;
use phantomnet_learn::{ClassWeight, ForestLearner, Learner, LogisticRegression, Majority, MaxFeatures};
use toml::{Table, Value};

use crate::config::{Config, keys::number};
use crate::failure::Failure;

/// Makes the learner of `[model]` and checks its hyperparameters.
///
/// # Errors
/// Of kind config, naming the key and what was expected.
pub fn learner(config: &Config) -> Result<Box<dyn Learner>, Failure> {
    let table = &config.model;
    let kind = table.get("kind").and_then(Value::as_str).unwrap_or_default();
    let learner: Box<dyn Learner> = match kind {
        "random_forest" => Box::new(random_forest(table, config.model_seed())?),
        "logistic_regression" => {
            let default = LogisticRegression::default();
            Box::new(LogisticRegression {
                c: table.get("c").and_then(number).unwrap_or(default.c),
                class_weight: table.get("class_weight").map_or(Ok(ClassWeight::None), class_weight)?,
                max_iter: table.get("max_iter").and_then(Value::as_integer).map_or(default.max_iter, |i| i as u64),
                ..default
            })
        }
        "majority" => Box::new(Majority),
        other => return Err(Failure::config(format!("`model.kind`: unknown learner `{other}`"))),
    };
    learner.check().map_err(|e| Failure::config(format!("[model]: {e}")))?;
    Ok(learner)
}

fn random_forest(table: &Table, seed: u64) -> Result<ForestLearner, Failure> {
    let default = ForestLearner::random_forest();
    let count = |name: &str| table.get(name).and_then(Value::as_integer).map(|i| i as usize);
    Ok(ForestLearner {
        n_estimators: count("n_estimators").unwrap_or(default.n_estimators),
        max_depth: count("max_depth"),
        max_features: table.get("max_features").map_or(Ok(default.max_features), max_features)?,
        min_samples_split: count("min_samples_split").unwrap_or(default.min_samples_split),
        min_samples_leaf: count("min_samples_leaf").unwrap_or(default.min_samples_leaf),
        class_weight: table.get("class_weight").map_or(Ok(default.class_weight), class_weight)?,
        bootstrap: table.get("bootstrap").and_then(Value::as_bool).unwrap_or(default.bootstrap),
        seed,
        ..default
    })
}

fn max_features(value: &Value) -> Result<MaxFeatures, Failure> {
    match value {
        Value::String(word) if word == "sqrt" => Ok(MaxFeatures::Sqrt),
        Value::String(word) if word == "log2" => Ok(MaxFeatures::Log2),
        Value::String(word) if word == "all" => Ok(MaxFeatures::All),
        Value::Integer(n) if *n >= 1 => Ok(MaxFeatures::Count(*n as usize)),
        Value::Float(share) => Ok(MaxFeatures::Fraction(*share)),
        other => Err(Failure::config(format!(
            "`model.max_features` must be `sqrt`, `log2`, `all`, a whole number from 1 on or a share above 0, got `{other}`"
        ))),
    }
}

fn class_weight(value: &Value) -> Result<ClassWeight, Failure> {
    let wrong = || {
        Failure::config(format!(
            "`model.class_weight` must be `balanced` or a table from class names to weights, got `{value}`"
        ))
    };
    match value {
        Value::String(word) if word == "balanced" => Ok(ClassWeight::Balanced),
        Value::Table(table) => {
            let weights: Option<BTreeMap<String, f64>> =
                table.iter().map(|(class, v)| Some((class.clone(), number(v)?))).collect();
            weights.map(ClassWeight::Map).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
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
