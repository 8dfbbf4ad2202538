//! The pictures of a run.

use phantomnet_learn::CrossValidation;
use phantomnet_learn::metrics::{calibration_bins, pr_curve, roc_curve};
use phantomnet_model::{Classes, Probabilities};
use phantomnet_report::{
    ClassScores, ConfusionMatrix, FeatureImportance, FoldMetric, LatencySamples, Picture, PrCurve, Reliability,
    ReliabilityBin, RocCurve, ScoreDistribution, confusion_matrix, feature_importance, latency_histogram,
    metric_by_fold, precision_recall, reliability, roc, score_distribution,
};

use super::judge::Judgement;
use super::latency::Latency;

/// Bins of the reliability picture.
const N_BINS: usize = 10;
/// Most points of a curve; beyond, a picture shows no more.
const MAX_POINTS: usize = 1000;
/// Most curves in one picture.
const MAX_CURVES: usize = 8;
/// Metrics shown by fold.
const BY_FOLD: [&str; 3] = ["accuracy", "f1", "roc_auc"];

/// What the pictures show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    /// The classes.
    pub classes: &'a Classes,
    /// True class of each hold-out row.
    pub labels: &'a [u32],
    /// What the model is worth.
    pub judgement: &'a Judgement,
    /// Score above which an event is flagged.
    pub decision_threshold: f64,
    /// Features with their importances.
    pub importances: &'a [(String, f64)],
    /// The folds.
    pub cross_validation: Option<&'a CrossValidation>,
    /// The latency.
    pub latency: Option<&'a Latency>,
}

/// All pictures that the run has values for.
pub(super) fn pictures(shown: &Shown<'_>) -> Vec<Picture> {
    let mut pictures = vec![confusion(shown)];
    let curves = curve_classes(shown.classes);
    pictures.push(roc(&curves.iter().map(|&c| roc_of(shown, c)).collect::<Vec<_>>()));
    pictures.push(precision_recall(&curves.iter().map(|&c| pr_of(shown, c)).collect::<Vec<_>>()));
    pictures.push(scores(shown));
    pictures.push(calibration(shown));
    if !shown.importances.is_empty() {
        let importances: Vec<FeatureImportance> = shown
            .importances
            .iter()
            .map(|(feature, importance)| FeatureImportance { feature: feature.clone(), importance: *importance })
            .collect();
        pictures.push(feature_importance("mean decrease in impurity", &importances));
    }
    if let Some(cv) = shown.cross_validation {
        pictures.push(by_fold(shown, cv));
    }
    if let Some(latency) = shown.latency {
        let percentiles = [("p50", 0.5), ("p99", 0.99)];
        pictures.push(latency_histogram(&LatencySamples {
            micros: latency.micros.clone(),
            percentiles: percentiles.map(|(name, q)| (name.to_owned(), latency.percentile(q))).to_vec(),
        }));
    }
    pictures
}

/// Two classes have one curve, that of the positive class; more have one each, as far as they can be told apart.
fn curve_classes(classes: &Classes) -> Vec<usize> {
    classes.positive.map_or_else(|| (0..classes.len().min(MAX_CURVES)).collect(), |p| vec![p])
}

fn one_vs_rest(shown: &Shown<'_>, class: usize) -> (Vec<bool>, Vec<f32>) {
    let probabilities = &shown.judgement.probabilities;
    let is_class = shown.labels.iter().map(|&l| l as usize == class).collect();
    (is_class, column(probabilities, class))
}

fn column(probabilities: &Probabilities, class: usize) -> Vec<f32> {
    (0..probabilities.n_rows()).map(|i| probabilities.row(i)[class]).collect()
}

fn interval(shown: &Shown<'_>, key: &str) -> Option<(f64, f64)> {
    let metrics = &shown.judgement.metrics;
    metrics.get(&format!("{key}.lo")).zip(metrics.get(&format!("{key}.hi")))
}

fn metric(shown: &Shown<'_>, key: &str) -> f64 {
    shown.judgement.metrics.get(key).unwrap_or(f64::NAN)
}

fn roc_of(shown: &Shown<'_>, class: usize) -> RocCurve {
    let (is_class, scores) = one_vs_rest(shown, class);
    let points = roc_curve(&is_class, &scores);
    let two = shown.classes.positive.is_some();
    let auc = if two { metric(shown, "roc_auc") } else { trapezoids(&points) };
    RocCurve {
        class: shown.classes.names[class].clone(),
        auc,
        interval: two.then(|| interval(shown, "roc_auc")).flatten(),
        at_threshold: two.then(|| (metric(shown, "false_positive_rate"), metric(shown, "recall"))),
        points: thinned(points),
    }
}

fn pr_of(shown: &Shown<'_>, class: usize) -> PrCurve {
    let (is_class, scores) = one_vs_rest(shown, class);
    let points = pr_curve(&is_class, &scores);
    let two = shown.classes.positive.is_some();
    let n_class = is_class.iter().filter(|&&b| b).count();
    let average_precision = if two { metric(shown, "pr_auc") } else { steps(&points) };
    PrCurve {
        class: shown.classes.names[class].clone(),
        average_precision,
        interval: two.then(|| interval(shown, "pr_auc")).flatten(),
        base_rate: n_class as f64 / is_class.len().max(1) as f64,
        at_threshold: two.then(|| (metric(shown, "recall"), metric(shown, "precision"))),
        points: thinned(points),
    }
}

/// Area under points by trapezoids, x ascending.
fn trapezoids(points: &[(f64, f64)]) -> f64 {
    if points.is_empty() {
        return f64::NAN;
    }
    points.windows(2).map(|w| (w[1].0 - w[0].0) * (w[1].1 + w[0].1) / 2.0).sum()
}

/// Area under a step function through (recall, precision) points: average precision.
fn steps(points: &[(f64, f64)]) -> f64 {
    if points.is_empty() {
        return f64::NAN;
    }
    points.windows(2).map(|w| (w[1].0 - w[0].0) * if w[1].0 > w[0].0 { w[1].1 } else { w[0].1 }).sum::<f64>().abs()
}

fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(MAX_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points.into_iter().enumerate().filter(|(i, _)| i % step == 0 || *i == last).map(|(_, p)| p).collect()
}

fn confusion(shown: &Shown<'_>) -> Picture {
    let confusion = &shown.judgement.evaluation.confusion;
    let counts = (0..confusion.n_classes()).map(|c| confusion.row(c).to_vec()).collect();
    confusion_matrix(&ConfusionMatrix { classes: shown.classes.names.clone(), counts })
}

/// The class whose scores are shown: the positive one, or with many classes the predicted one's confidence.
fn shown_scores(shown: &Shown<'_>) -> (String, Vec<f32>, Vec<bool>) {
    let p = &shown.judgement.probabilities;
    match shown.classes.positive {
        Some(positive) => {
            let (is_class, scores) = one_vs_rest(shown, positive);
            (shown.classes.names[positive].clone(), scores, is_class)
        }
        None => {
            let top: Vec<usize> = (0..p.n_rows()).map(|i| p.argmax(i)).collect();
            let scores = top.iter().enumerate().map(|(i, &c)| p.row(i)[c]).collect();
            let right = top.iter().zip(shown.labels).map(|(&c, &l)| c == l as usize).collect();
            ("predicted class".into(), scores, right)
        }
    }
}

fn scores(shown: &Shown<'_>) -> Picture {
    let (positive, scores, _) = shown_scores(shown);
    let of_class = |class: usize| ClassScores {
        class: shown.classes.names[class].clone(),
        scores: shown
            .labels
            .iter()
            .zip(&scores)
            .filter(|(l, _)| **l as usize == class)
            .map(|(_, &s)| f64::from(s))
            .collect(),
    };
    score_distribution(&ScoreDistribution {
        positive,
        classes: (0..shown.classes.len()).map(of_class).collect(),
        decision_threshold: shown.classes.positive.map(|_| shown.decision_threshold),
    })
}

fn calibration(shown: &Shown<'_>) -> Picture {
    let (positive, scores, is_positive) = shown_scores(shown);
    let bins = calibration_bins(&is_positive, &scores, N_BINS)
        .into_iter()
        .map(|b| ReliabilityBin {
            mean_score: b.mean_score,
            n: b.n_rows,
            n_positive: (b.positive_share * b.n_rows as f64).round() as u64,
        })
        .collect();
    let brier = shown.classes.positive.map(|_| metric(shown, "brier"));
    reliability(&Reliability { positive, bins, brier })
}

fn by_fold(shown: &Shown<'_>, cv: &CrossValidation) -> Picture {
    let fold_metric = |&key: &&str| FoldMetric {
        metric: key.to_owned(),
        values: cv.folds.iter().map(|f| f.metrics.get(key).unwrap_or(f64::NAN)).collect(),
        holdout: shown.judgement.metrics.get(key),
    };
    metric_by_fold(&BY_FOLD.iter().map(fold_metric).collect::<Vec<_>>())
}
