//! Judging a learner on rows it has not learned from.

use phantomnet_model::{Dataset, Probabilities};

use crate::folds::Fold;
use crate::metrics::{MetricMap, MetricOptions, evaluate, higher_is_better};
use crate::{FitContext, LearnError, Learner, Progress};

/// What a cross-validation leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CvOptions {
    /// How each fold is judged.
    pub metrics: MetricOptions,
    /// Whether to keep the probabilities of the validation rows.
    pub keep_probabilities: bool,
}

/// A learner judged once for each fold.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossValidation {
    /// One a fold, in the order of the folds.
    pub folds: Vec<FoldResult>,
    /// For each metric that has a better direction and that all folds share, `cv_accuracy_mean` and `cv_accuracy_std`:
    /// mean and population standard deviation over the folds, NaN if a fold's value is.
    pub summary: MetricMap,
}

/// One fold judged.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldResult {
    /// Repeat of the fold, from 0.
    pub repeat: usize,
    /// Number of the fold in its repeat, from 0.
    pub fold: usize,
    /// Rows learned from.
    pub n_train: usize,
    /// Rows judged by.
    pub n_validation: usize,
    /// Metrics of the validation rows.
    pub metrics: MetricMap,
    /// What the learner warned of.
    pub warnings: Vec<String>,
    /// Class probabilities of the validation rows in the fold's order, if they were to be kept.
    pub probabilities: Option<Probabilities>,
}

/// Fits `learner` on the training rows of each fold and judges it by the validation rows.
///
/// Folds are worked on one after another, each fit with all threads of `cx`; progress is told of the fits and of the folds.
///
/// # Errors
/// [`LearnError::NoFolds`] without a fold; [`LearnError::Fold`], naming the fold, for whatever goes wrong in one.
pub fn cross_validate(
    learner: &dyn Learner,
    data: &Dataset,
    folds: &[Fold],
    opts: CvOptions,
    cx: &mut FitContext<'_>,
) -> Result<CrossValidation, LearnError> {
    learner.check()?;
    if folds.is_empty() {
        return Err(LearnError::NoFolds);
    }
    let mut results = Vec::with_capacity(folds.len());
    for fold in folds {
        let in_fold =
            |source| LearnError::Fold { fold: fold.fold + 1, repeat: fold.repeat + 1, source: Box::new(source) };
        results.push(judge(learner, data, fold, opts, cx).map_err(in_fold)?);
        cx.report(Progress::Folds { done: results.len(), total: folds.len() })?;
    }
    let summary = summarise(&results);
    Ok(CrossValidation { folds: results, summary })
}

fn judge(
    learner: &dyn Learner,
    data: &Dataset,
    fold: &Fold,
    opts: CvOptions,
    cx: &mut FitContext<'_>,
) -> Result<FoldResult, LearnError> {
    let n_rows = data.n_rows();
    if let Some(&row) = fold.validation.iter().find(|&&row| row as usize >= n_rows) {
        return Err(LearnError::RowOutOfRange { row, n_rows });
    }
    let train = fold.train();
    let fit = learner.fit(data, &train, cx)?;
    let probabilities = fit.model.predict(data.matrix(), &fold.validation);
    let labels: Vec<u32> = fold.validation.iter().map(|&row| data.labels()[row as usize]).collect();
    let classes = data.classes();
    let evaluation = evaluate(&labels, probabilities.values(), &classes.names, classes.positive, opts.metrics)
        .map_err(LearnError::Metric)?;
    Ok(FoldResult {
        repeat: fold.repeat,
        fold: fold.fold,
        n_train: train.len(),
        n_validation: fold.validation.len(),
        metrics: evaluation.metrics,
        warnings: fit.warnings,
        probabilities: opts.keep_probabilities.then_some(probabilities),
    })
}

fn summarise(folds: &[FoldResult]) -> MetricMap {
    let mut summary = MetricMap::new();
    let Some(first) = folds.first() else { return summary };
    for (key, _) in first.metrics.iter().filter(|(key, _)| higher_is_better(key).is_some()) {
        let values: Option<Vec<f64>> = folds.iter().map(|fold| fold.metrics.get(key)).collect();
        if let Some(values) = values {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            summary.insert(format!("cv_{key}_mean"), mean);
            summary.insert(format!("cv_{key}_std"), variance.sqrt());
        }
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_by_hand() {
        let fold = |accuracy: f64, roc_auc: f64| FoldResult {
            repeat: 0,
            fold: 0,
            n_train: 3,
            n_validation: 1,
            metrics: [("n_rows", 1.0), ("accuracy", accuracy), ("roc_auc", roc_auc)]
                .map(|(key, value)| (key.to_owned(), value))
                .into_iter()
                .collect(),
            warnings: Vec::new(),
            probabilities: None,
        };
        // Mean 0.7; deviations -0.2, 0.2, so the population standard deviation is 0.2.
        let summary = summarise(&[fold(0.5, 1.0), fold(0.9, f64::NAN)]);
        let keys: Vec<&str> = summary.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["cv_accuracy_mean", "cv_accuracy_std", "cv_roc_auc_mean", "cv_roc_auc_std"]);
        assert!((summary.get("cv_accuracy_mean").unwrap() - 0.7).abs() < 1e-15);
        assert!((summary.get("cv_accuracy_std").unwrap() - 0.2).abs() < 1e-15);
        assert!(summary.get("cv_roc_auc_mean").unwrap().is_nan());
    }
}
