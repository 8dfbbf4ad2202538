//! Whole evaluations by hand, and what is refused.

use super::*;
use rstest::rstest;

fn names(n_classes: usize) -> Vec<String> {
    (0..n_classes).map(|class| format!("c{class}")).collect()
}

/// Two classes, `normal` and `attack`, from the scores of `attack`.
fn judge(labels: &[u32], scores: &[f32], opts: MetricOptions) -> Evaluation {
    let probs: Vec<f32> = scores.iter().flat_map(|&score| [1.0 - score, score]).collect();
    let classes = ["normal".to_owned(), "attack".to_owned()];
    evaluate(labels, &probs, &classes, Some(1), opts).unwrap()
}

#[test]
fn two_classes_by_hand() {
    let found = judge(&[0, 0, 0, 1, 1], &[0.0, 0.25, 0.75, 0.75, 1.0], MetricOptions::default());
    assert_eq!(found.predicted, [0, 0, 1, 1, 1]);
    assert_eq!(found.confusion.row(0), [2, 1]);
    assert_eq!(found.confusion.row(1), [0, 2]);
    // 6 pairs: 5 in order, 1 tied. Precisions: 1/1 at score 1, 2/3 at score 0.75.
    // Costs −ln p: 0, −ln 0.75, −ln 0.25, −ln 0.75, 0. Squared errors: 0, 1/16, 9/16, 1/16, 0.
    let expected = [
        ("n_rows", 5.0),
        ("accuracy", 0.8),
        ("balanced_accuracy", (2.0 / 3.0 + 1.0) / 2.0),
        ("precision", 2.0 / 3.0),
        ("recall", 1.0),
        ("f1", 0.8),
        ("roc_auc", 5.5 / 6.0),
        ("pr_auc", (1.0 + 2.0 / 3.0) / 2.0),
        ("log_loss", (2.0 * (4.0f64 / 3.0).ln() + 4.0f64.ln()) / 5.0),
        ("brier", 11.0 / 16.0 / 5.0),
        ("mcc", (2.0 * 2.0) / 36f64.sqrt()),
        ("false_positive_rate", 1.0 / 3.0),
        ("false_alarms_per_1000", 200.0),
        ("missed_per_1000", 0.0),
        ("tp", 2.0),
        ("fp", 1.0),
        ("tn", 2.0),
        ("fn", 0.0),
        ("precision_macro", (1.0 + 2.0 / 3.0) / 2.0),
        ("recall_macro", (2.0 / 3.0 + 1.0) / 2.0),
        ("f1_macro", 0.8),
        ("precision_weighted", 0.6 + 0.4 * 2.0 / 3.0),
        ("recall_weighted", 0.8),
        ("f1_weighted", 0.8),
        ("precision_micro", 0.8),
        ("recall_micro", 0.8),
        ("f1_micro", 0.8),
        ("precision.normal", 1.0),
        ("recall.normal", 2.0 / 3.0),
        ("f1.normal", 0.8),
        ("support.normal", 3.0),
        ("precision.attack", 2.0 / 3.0),
        ("recall.attack", 1.0),
        ("f1.attack", 0.8),
        ("support.attack", 2.0),
    ];
    let keys: Vec<&str> = found.metrics.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, expected.map(|(key, _)| key));
    for ((key, value), (_, expected)) in found.metrics.iter().zip(expected) {
        assert!((value - expected).abs() < 1e-12, "{key}: {value}, not {expected}");
    }
}

#[rstest]
#[case(None, &[0, 0, 1])]
#[case(Some(0.5), &[0, 0, 1])]
#[case(Some(0.25), &[0, 1, 1])]
#[case(Some(0.249), &[1, 1, 1])]
#[case(Some(0.75), &[0, 0, 0])]
#[case(Some(-1.0), &[1, 1, 1])]
fn a_score_above_the_decision_threshold_is_flagged(#[case] decision_threshold: Option<f64>, #[case] predicted: &[u32]) {
    let opts = MetricOptions { decision_threshold, ..MetricOptions::default() };
    assert_eq!(judge(&[0, 1, 1], &[0.25, 0.5, 0.75], opts).predicted, predicted);
}

#[test]
fn the_first_class_may_be_the_positive_one() {
    let classes = ["attack".to_owned(), "normal".to_owned()];
    let probs = [0.75, 0.25, 0.25, 0.75, 0.625, 0.375];
    let opts = MetricOptions::default();
    let found = evaluate(&[0, 0, 1], &probs, &classes, Some(0), opts).unwrap();
    let metric = |key| found.metrics.get(key).unwrap();
    assert_eq!((metric("tp"), metric("fp"), metric("tn"), metric("fn")), (1.0, 1.0, 0.0, 1.0));
    assert_eq!(metric("roc_auc"), 0.5);
    assert_eq!(metric("precision"), 0.5);
}

#[test]
fn many_classes_by_hand() {
    let probs = [
        0.5, 0.25, 0.25, // right
        0.25, 0.5, 0.25, // right
        0.5, 0.25, 0.25, // taken for class 0
        0.0, 0.0, 1.0, // right
    ];
    let opts = MetricOptions::default();
    let found = evaluate(&[0, 1, 1, 2], &probs, &names(3), None, opts).unwrap();
    let expected = [
        ("accuracy", 0.75),
        ("recall", (1.0 + 0.5 + 1.0) / 3.0),
        ("precision", (0.5 + 1.0 + 1.0) / 3.0),
        ("precision_weighted", (0.5 + 2.0 + 1.0) / 4.0),
        // Against the rest: class 0 has pairs 1, ½, 1; class 1 has 1 and 1, ½ and 1; class 2 has 1, 1, 1.
        ("roc_auc", (2.5 / 3.0 + 3.5 / 4.0 + 1.0) / 3.0),
        ("roc_auc_weighted", (2.5 / 3.0 + 2.0 * 3.5 / 4.0 + 1.0) / 4.0),
        ("roc_auc.c1", 3.5 / 4.0),
        // Precisions at the positives: class 0 ½; class 1 1 and ⅔; class 2 1.
        ("pr_auc", (0.5 + 5.0 / 6.0 + 1.0) / 3.0),
        ("log_loss", (2.0 * 2f64.ln() + 4f64.ln()) / 4.0),
        ("brier", (0.375 + 0.375 + 0.875) / 4.0),
        ("support.c1", 2.0),
    ];
    for (key, expected) in expected {
        let value = found.metrics.get(key).unwrap();
        assert!((value - expected).abs() < 1e-12, "{key}: {value}, not {expected}");
    }
    for key in ["tp", "false_positive_rate", "missed_per_1000"] {
        assert_eq!(found.metrics.get(key), None);
    }
}

#[rstest]
#[case(ZeroDivision::Zero, 0.0)]
#[case(ZeroDivision::One, 1.0)]
#[case(ZeroDivision::Nan, f64::NAN)]
fn no_positive_row_and_no_alarm(#[case] zero_division: ZeroDivision, #[case] expected: f64) {
    let opts = MetricOptions { zero_division, ..MetricOptions::default() };
    let found = judge(&[0, 0], &[0.125, 0.25], opts);
    for key in ["precision", "recall", "f1"] {
        let value = found.metrics.get(key).unwrap();
        assert!(value == expected || value.is_nan() && expected.is_nan(), "{key}: {value}");
    }
    assert!(found.metrics.get("roc_auc").unwrap().is_nan());
    assert_eq!(found.metrics.get("pr_auc"), Some(0.0));
    assert_eq!(found.metrics.get("false_positive_rate"), Some(0.0));
    assert_eq!(found.metrics.get("accuracy"), Some(1.0));
    let without_negative = judge(&[1], &[0.75], opts);
    assert!(without_negative.metrics.get("false_positive_rate").unwrap().is_nan());
}

#[rstest]
#[case(&[], &[], 2, Some(1), None, "there is no row to judge")]
#[case(&[0], &[1.0], 1, None, None, "between 2 and 1000 classes can be judged, got 1")]
#[case(&[0], &[1.0, 0.0, 0.0], 2, Some(1), None, "the probabilities must be 1 × 2 (rows × classes) = 2, got 3")]
#[case(&[2], &[0.5, 0.5], 2, Some(1), None, "row 0 has label 2, but there are 2 classes")]
#[case(&[0], &[0.5, 0.5], 2, None, None,
    "two classes need a positive class 0 or 1 and more classes none, got None for 2 classes")]
#[case(&[0], &[0.5, 0.5], 2, Some(2), None,
    "two classes need a positive class 0 or 1 and more classes none, got Some(2) for 2 classes")]
#[case(&[0], &[0.5, 0.5, 0.0], 3, None, Some(0.5),
    "a decision threshold is a number and needs two classes, got 0.5 for 3 classes")]
#[case(&[0], &[0.5, 0.5], 2, Some(1), Some(f64::NAN),
    "a decision threshold is a number and needs two classes, got NaN for 2 classes")]
#[case(&[0], &[f32::NAN, 0.5], 2, Some(1), None,
    "the probabilities of row 0 must lie in 0..=1 and add up to 1, got NaN for class 0 and NaN in all")]
#[case(&[0, 0], &[1.0, 0.0, -0.5, 1.5], 2, Some(1), None,
    "the probabilities of row 1 must lie in 0..=1 and add up to 1, got -0.5 for class 0 and 1 in all")]
#[case(&[0], &[0.5, 0.25], 2, Some(1), None,
    "the probabilities of row 0 must lie in 0..=1 and add up to 1, got 0.25 for class 1 and 0.75 in all")]
fn what_does_not_fit_is_refused(
    #[case] labels: &[u32],
    #[case] probs: &[f32],
    #[case] n_classes: usize,
    #[case] positive: Option<usize>,
    #[case] decision_threshold: Option<f64>,
    #[case] message: &str,
) {
    let opts = MetricOptions { decision_threshold, ..MetricOptions::default() };
    let error = evaluate(labels, probs, &names(n_classes), positive, opts).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn every_key_is_in_the_catalog() {
    let two = judge(&[0, 1], &[0.25, 0.75], MetricOptions::default());
    let probs = [1.0, 0.0, 0.0].repeat(2);
    let many = evaluate(&[0, 1], &probs, &names(3), None, MetricOptions::default()).unwrap();
    let keys: Vec<&str> = (two.metrics.iter().chain(many.metrics.iter())).map(|(key, _)| key).collect();
    for key in &keys {
        assert!(MetricInfo::of(key).is_some(), "{key}");
    }
    for info in METRICS {
        let made = keys.iter().any(|key| key.split('.').next() == Some(info.key));
        assert!(made, "{} is never made", info.key);
    }
}

/// The table of `docs/metrics.md` as it follows from [`METRICS`].
fn documented_table() -> String {
    let mut table = String::from("| key | says | better | 95 % interval |\n|---|---|---|---|\n");
    for info in METRICS {
        let better = match info.higher_is_better {
            Some(true) => "higher",
            Some(false) => "lower",
            None => "–",
        };
        let interval = match info.interval {
            IntervalMethod::None => "–",
            IntervalMethod::Wilson => "Wilson",
            IntervalMethod::Bootstrap => "bootstrap",
            IntervalMethod::ByClassCount => "Wilson; macro: bootstrap",
        };
        table += &format!("| `{}` | {} | {better} | {interval} |\n", info.key, info.description);
    }
    table
}

#[test]
fn the_documented_table_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let docs = std::fs::read_to_string(path).unwrap();
    let table = documented_table();
    assert!(docs.contains(&table), "docs/metrics.md should hold this table:\n{table}");
}
