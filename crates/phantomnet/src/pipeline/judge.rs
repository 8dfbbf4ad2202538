//! Cross-validation, the final fit, and what the model is worth on the hold-out.

use std::sync::Arc;

use phantomnet_learn::folds::{Fold, stratified_k_fold};
use phantomnet_learn::intervals::{IntervalOptions, intervals};
use phantomnet_learn::metrics::{Evaluation, MetricError, MetricMap, MetricOptions, evaluate};
use phantomnet_learn::{
    CrossValidation, CvOptions, Fit, FitContext, LearnError, Learner, Majority, OutOfBag, Progress, cross_validate,
};
use phantomnet_model::{Classes, Dataset, Probabilities};

use super::data::{Labelled, fold_failure};
use super::learner::zero_division;
use super::warm_start::WarmStart;
use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::signals::StopSignal;

/// Metrics of which the baseline's value is kept beside the model's.
const COMPARED: [&str; 8] =
    ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss"];

/// A model judged on rows it has not seen.
#[derive(Debug)]
pub struct Judgement {
    /// Confusion matrix, predicted classes and metrics without intervals.
    pub evaluation: Evaluation,
    /// Class probabilities of the judged rows.
    pub probabilities: Probabilities,
    /// Metrics with their intervals.
    pub metrics: MetricMap,
    /// Metrics of the majority baseline on the same rows.
    pub baseline: MetricMap,
}

/// A learner's error as the program reports it.
pub(super) fn learn_failure(error: LearnError, stop: &StopSignal) -> Failure {
    if error.is_stopped() {
        return stop.failure();
    }
    let hint = error.hint().map(str::to_owned);
    Failure::of(kind_of(&error), error).maybe_hint(hint)
}

fn kind_of(error: &LearnError) -> Kind {
    match error {
        LearnError::Param { .. } => Kind::Config,
        LearnError::Threads { .. } => Kind::Environment,
        LearnError::Fold { source, .. } => kind_of(source),
        _ => Kind::Data,
    }
}

/// Predictions that cannot be judged.
pub fn metric_failure(error: MetricError) -> Failure {
    Failure::of(Kind::Data, error)
}

/// How the configuration says to judge.
///
/// # Errors
/// Of kind config.
pub(super) fn metric_options(config: &Config, classes: &Classes) -> Result<MetricOptions, Failure> {
    Ok(MetricOptions {
        zero_division: zero_division(&config.evaluate.zero_division)?,
        decision_threshold: classes.positive.map(|_| config.evaluate.decision_threshold),
    })
}

/// How a fit runs: threads, stop flag, progress.
pub(super) fn context<'a>(
    config: &Config,
    stop: &'a StopSignal,
    progress: &'a mut dyn FnMut(Progress),
) -> FitContext<'a> {
    FitContext::new(config.n_threads()).stop_flag(stop.flag()).on_progress(move |p| {
        progress(p);
        std::ops::ControlFlow::Continue(())
    })
}

/// Folds of the training rows; none if the configuration asks for none.
///
/// # Errors
/// When the rows cannot be divided so.
pub(super) fn folds(config: &Config, labelled: &Labelled) -> Result<Vec<Fold>, Failure> {
    if config.cv.n_folds == 0 {
        return Ok(Vec::new());
    }
    let data = &labelled.dataset;
    let (n_folds, n_repeats) = (config.cv.n_folds, config.cv.n_repeats);
    let names = &data.classes().names;
    stratified_k_fold(data.labels(), names, Arc::clone(&labelled.holdout.train), n_folds, n_repeats, config.cv_seed())
        .map_err(fold_failure)
}

/// Judges the learner on folds; `None` without a fold.
///
/// # Errors
/// When a fit fails.
pub(super) fn run_cross_validation(
    config: &Config,
    learner: &dyn Learner,
    labelled: &Labelled,
    folds: &[Fold],
    stop: &StopSignal,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<CrossValidation>, Failure> {
    if folds.is_empty() {
        return Ok(None);
    }
    let data = &labelled.dataset;
    let opts = CvOptions { metrics: metric_options(config, data.classes())?, keep_probabilities: false };
    let mut cx = context(config, stop, progress);
    cross_validate(learner, data, folds, opts, &mut cx).map(Some).map_err(|e| learn_failure(e, stop))
}

/// Fits the learner on the training rows, or grows more of the forest that is kept.
///
/// # Errors
/// When the fit fails.
pub(super) fn fit(
    config: &Config,
    learner: &dyn Learner,
    kept: Option<&WarmStart>,
    labelled: &Labelled,
    stop: &StopSignal,
    progress: &mut dyn FnMut(Progress),
) -> Result<Fit, Failure> {
    let mut cx = context(config, stop, progress);
    let (data, rows) = (&labelled.dataset, &labelled.holdout.train);
    let fit = match kept {
        Some(kept) => kept.fit(data, rows, &mut cx),
        None => learner.fit(data, rows, &mut cx),
    };
    fit.map_err(|e| learn_failure(e, stop))
}

/// Checks what only a fit could see otherwise, before the run is started: hyperparameters that do not go with the data.
///
/// # Errors
/// Of kind config, naming the fold if only its rows are too few.
pub(super) fn check_learner(learner: &dyn Learner, labelled: &Labelled, folds: &[Fold]) -> Result<(), Failure> {
    let data = &labelled.dataset;
    let failure = |error: LearnError| Failure::of(kind_of(&error), error);
    learner.check_data(data, &labelled.holdout.train).map_err(failure)?;
    for fold in folds {
        learner.check_data(data, &fold.train()).map_err(|source| {
            failure(LearnError::Fold { fold: fold.fold + 1, repeat: fold.repeat + 1, source: Box::new(source) })
        })?;
    }
    Ok(())
}

/// Metrics of the training rows by the trees that have not drawn them; none if there is no such row.
///
/// # Errors
/// When the configuration is wrong.
pub(super) fn judge_out_of_bag(config: &Config, oob: &OutOfBag, data: &Dataset) -> Result<MetricMap, Failure> {
    if oob.rows.is_empty() {
        return Ok(MetricMap::new());
    }
    let classes = data.classes();
    let opts = metric_options(config, classes)?;
    let labels = labels_of(data, &oob.rows);
    let evaluation = evaluate(&labels, oob.probabilities.values(), &classes.names, classes.positive, opts)
        .map_err(metric_failure)?;
    let of = |&key: &&str| Some((format!("oob_{key}"), evaluation.metrics.get(key)?));
    Ok(oob_metrics(classes).iter().filter_map(of).collect())
}

/// Metrics that are also taken out of bag.
pub(super) fn oob_metrics(classes: &Classes) -> &'static [&'static str] {
    if classes.len() == 2 { &["accuracy", "log_loss", "roc_auc"] } else { &["accuracy", "log_loss"] }
}

/// Judges the fitted model, and the majority baseline, on the hold-out.
///
/// # Errors
/// When there is nothing to judge, or the configuration is wrong.
pub(super) fn judge(config: &Config, fit: &Fit, labelled: &Labelled, stop: &StopSignal) -> Result<Judgement, Failure> {
    let data = &labelled.dataset;
    let rows = &labelled.holdout.test;
    let majority = Majority
        .fit(data, &labelled.holdout.train, &mut FitContext::new(config.n_threads()))
        .map_err(|e| learn_failure(e, stop))?;
    let labels = labels_of(data, rows);
    let baseline = majority.model.predict(data.matrix(), rows);
    judge_probabilities(config, &labels, fit.model.predict(data.matrix(), rows), baseline, data.classes())
}

/// Judges probabilities beside those of the baseline.
///
/// # Errors
/// As [`judge`].
pub fn judge_probabilities(
    config: &Config,
    labels: &[u32],
    probabilities: Probabilities,
    baseline: Probabilities,
    classes: &Classes,
) -> Result<Judgement, Failure> {
    let opts = metric_options(config, classes)?;
    let of_baseline = evaluate(labels, baseline.values(), &classes.names, classes.positive, opts);
    // Not held beside what the intervals are made of.
    drop(baseline);
    let baseline = of_baseline.map_err(metric_failure)?.metrics;
    let evaluation =
        evaluate(labels, probabilities.values(), &classes.names, classes.positive, opts).map_err(metric_failure)?;
    let interval_opts = IntervalOptions { n_resamples: config.evaluate.n_bootstrap, seed: config.holdout.seed };
    let ends = intervals(labels, probabilities.values(), &classes.names, classes.positive, opts, interval_opts)
        .map_err(metric_failure)?;
    let mut metrics = MetricMap::new();
    for (key, value) in evaluation.metrics.iter() {
        metrics.insert(key, value);
        for end in [format!("{key}.lo"), format!("{key}.hi")] {
            if let Some(value) = ends.get(&end) {
                metrics.insert(end, value);
            }
        }
    }
    for key in COMPARED {
        if let Some(value) = baseline.get(key) {
            metrics.insert(format!("baseline_{key}"), value);
        }
    }
    Ok(Judgement { evaluation, probabilities, metrics, baseline })
}

/// Labels of some rows.
pub fn labels_of(data: &Dataset, rows: &[u32]) -> Vec<u32> {
    rows.iter().map(|&r| data.labels()[r as usize]).collect()
}
