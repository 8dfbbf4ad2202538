//! How good are our learners on a table of numbers, and how long do they take?
//!
//! `fit_csv LEARNER TRAIN.csv TEST.csv OUT.csv SEED THREADS [PARAM=VALUE...]` fits `random_forest`, `extra_trees`,
//! `decision_tree` or `logistic` and writes the class probabilities of the test rows. Tables have no header; the label, a class
//! number, is the last column; an empty field is missing. `tools/parity/forest_check.py` compares the probabilities with
//! scikit-learn's.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program, not a library")]

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use phantomnet_learn::{ClassWeight, Criterion, FitContext, ForestLearner, Learner, LogisticRegression, MaxFeatures};
use phantomnet_model::{Classes, Dataset, FeatureSchema, Matrix};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [learner, train, test, out, seed, n_threads, params @ ..] = args.as_slice() else {
        return Err("usage: fit_csv LEARNER TRAIN.csv TEST.csv OUT.csv SEED THREADS [PARAM=VALUE...]".into());
    };
    let learner = learner_of(learner, seed.parse()?, params)?;
    let (train, test) = (read(train)?, read(test)?);
    let n_classes = 1 + train.1.iter().chain(&test.1).copied().max().unwrap_or(1) as usize;
    let names: Vec<String> = (0..train.0.len()).map(|j| format!("x{j}")).collect();
    let classes =
        Classes { names: (0..n_classes).map(|c| format!("{c:03}")).collect(), positive: (n_classes == 2).then_some(1) };
    let n_rows = train.1.len();
    let data = Dataset::new(
        Arc::new(FeatureSchema::numbers(&names)),
        Arc::new(classes),
        Matrix::new(n_rows, train.0)?,
        train.1,
    )?;

    let rows: Vec<u32> = (0..n_rows as u32).collect();
    let mut cx = FitContext::new(n_threads.parse::<NonZeroUsize>()?);
    let start = Instant::now();
    let fit = learner.fit(&data, &rows, &mut cx)?;
    let fit_s = start.elapsed().as_secs_f64();

    let n_test = test.1.len();
    let rows: Vec<u32> = (0..n_test as u32).collect();
    let probabilities = fit.model.predict(&Matrix::new(n_test, test.0)?, &rows);
    let mut text = String::new();
    for i in 0..n_test {
        let row: Vec<String> = probabilities.row(i).iter().map(f32::to_string).collect();
        text.push_str(&row.join(","));
        text.push('\n');
    }
    std::fs::write(out, text)?;
    println!("{fit_s:.3}");
    fit.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    Ok(())
}

fn learner_of(name: &str, seed: u64, params: &[String]) -> Result<Box<dyn Learner>, Box<dyn Error>> {
    let params = params.iter().map(|param| param.split_once('=').ok_or("a param is NAME=VALUE"));
    let params = params.collect::<Result<Vec<_>, _>>()?;
    let forest = match name {
        "random_forest" => ForestLearner::random_forest(),
        "extra_trees" => ForestLearner::extra_trees(),
        "decision_tree" => ForestLearner::decision_tree(),
        "logistic" => return logistic_of(&params),
        _ => {
            let known = "`random_forest`, `extra_trees`, `decision_tree`, `logistic`";
            return Err(format!("unknown learner `{name}`; learners are {known}").into());
        }
    };
    forest_of(ForestLearner { seed, ..forest }, &params)
}

fn forest_of(mut forest: ForestLearner, params: &[(&str, &str)]) -> Result<Box<dyn Learner>, Box<dyn Error>> {
    for &(name, value) in params {
        match name {
            "n_estimators" => forest.n_estimators = value.parse()?,
            "criterion" => forest.criterion = criterion_of(value)?,
            "max_depth" => forest.max_depth = Some(value.parse()?),
            "max_features" => forest.max_features = MaxFeatures::Count(value.parse()?),
            "min_samples_split" => forest.min_samples_split = value.parse()?,
            "min_samples_leaf" => forest.min_samples_leaf = value.parse()?,
            "max_leaf_nodes" => forest.max_leaf_nodes = Some(value.parse()?),
            "min_impurity_decrease" => forest.min_impurity_decrease = value.parse()?,
            "class_weight" if value == "balanced" => forest.class_weight = ClassWeight::Balanced,
            "class_weight" if value == "balanced_subsample" => forest.class_weight = ClassWeight::BalancedSubsample,
            "bootstrap" => forest.bootstrap = value.parse()?,
            "max_bins" => forest.max_bins = value.parse()?,
            _ => return Err(format!("unknown param `{name}={value}` of a forest").into()),
        }
    }
    Ok(Box::new(forest))
}

fn criterion_of(value: &str) -> Result<Criterion, String> {
    let all = [Criterion::Gini, Criterion::Entropy, Criterion::LogLoss];
    all.into_iter().find(|criterion| criterion.to_string() == value).ok_or(format!("unknown criterion `{value}`"))
}

fn logistic_of(params: &[(&str, &str)]) -> Result<Box<dyn Learner>, Box<dyn Error>> {
    let mut logistic = LogisticRegression::default();
    for &(name, value) in params {
        match name {
            "c" => logistic.c = value.parse()?,
            "tol" => logistic.tol = value.parse()?,
            "max_iter" => logistic.max_iter = value.parse()?,
            _ => return Err(format!("unknown param `{name}={value}` of logistic regression").into()),
        }
    }
    Ok(Box::new(logistic))
}

/// Feature columns and labels.
type Table = (Vec<Vec<f32>>, Vec<u32>);

fn read(path: &str) -> Result<Table, Box<dyn Error>> {
    let (mut columns, mut labels) = (Vec::new(), Vec::new());
    for (i, line) in std::fs::read_to_string(path)?.lines().enumerate() {
        let fields: Vec<&str> = line.split(',').collect();
        let (label, values) = fields.split_last().ok_or("empty line")?;
        columns.resize_with(values.len().max(columns.len()), Vec::new);
        if columns.len() != values.len() {
            return Err(format!("line {}: expected {} features, got {}", i + 1, columns.len(), values.len()).into());
        }
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(if value.is_empty() { f32::NAN } else { value.parse()? });
        }
        labels.push(label.parse()?);
    }
    Ok((columns, labels))
}
