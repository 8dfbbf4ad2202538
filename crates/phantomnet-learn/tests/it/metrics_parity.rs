//! Metrics against scikit-learn's over the cases of `testdata/parity/metrics`, and intervals against scipy and a plain
//! bootstrap.

use phantomnet_learn::intervals::{IntervalOptions, intervals, wilson};
use phantomnet_learn::metrics::{MetricOptions, ZeroDivision, calibration_bins, evaluate, pr_curve, roc_curve};
use phantomnet_learn::rng::Rng;
use serde_json::Value;
use std::path::PathBuf;

fn lines(file: &str) -> Vec<Value> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../testdata/parity/metrics", file].iter().collect();
    let text = std::fs::read_to_string(path).expect("the goldens are in the repository");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// A golden number; NaN is written as text.
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().into_iter().flatten().map(number).collect()
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 || found.is_nan() && expected.is_nan()
}

struct Case {
    labels: Vec<u32>,
    probs: Vec<f32>,
    classes: Vec<String>,
    positive: Option<usize>,
    opts: MetricOptions,
}

impl Case {
    fn new(json: &Value) -> Self {
        let labels: Vec<u32> = numbers(&json["y"]).iter().map(|&y| y as u32).collect();
        let q = number(&json["q"]);
        let probs: Vec<f32> = numbers(&json["p"]).iter().map(|&p| (p / q) as f32).collect();
        Self {
            classes: (0..probs.len() / labels.len()).map(|class| class.to_string()).collect(),
            labels,
            probs,
            positive: json["pos"].as_u64().map(|class| class as usize),
            opts: MetricOptions {
                zero_division: match json["zd"].as_u64() {
                    Some(0) => ZeroDivision::Zero,
                    Some(_) => ZeroDivision::One,
                    None => ZeroDivision::Nan,
                },
                decision_threshold: json["t"].as_f64(),
            },
        }
    }

    fn is_of(&self, class: usize) -> Vec<bool> {
        self.labels.iter().map(|&label| label as usize == class).collect()
    }

    fn scores(&self, class: usize) -> Vec<f32> {
        self.probs.chunks(self.classes.len()).map(|row| row[class]).collect()
    }
}

#[test]
fn metrics_equal_those_of_scikit_learn() {
    let lines = lines("cases.jsonl");
    let (head, cases) = lines.split_first().unwrap();
    assert!(cases.len() >= 2_000);
    for (i, json) in cases.iter().enumerate() {
        let case = Case::new(json);
        let found = evaluate(&case.labels, &case.probs, &case.classes, case.positive, case.opts).unwrap();

        let confusion: Vec<f64> =
            (0..case.classes.len()).flat_map(|class| found.confusion.row(class)).map(|&count| count as f64).collect();
        assert_eq!(confusion, numbers(&json["m"]), "confusion matrix of case {i}");

        let keys = head["keys"][case.classes.len().to_string()].as_array().unwrap();
        let values = numbers(&json["v"]);
        assert_eq!(keys.len(), values.len());
        for (key, expected) in keys.iter().zip(values) {
            let key = key.as_str().unwrap();
            let value = found.metrics.get(key).unwrap();
            assert!(close(value, expected), "{key} of case {i}: {value}, not {expected}\n{json}");
        }
        // What scikit-learn has no function for follows from what it has.
        assert_eq!(found.metrics.get("n_rows"), Some(case.labels.len() as f64));
    }
}

#[test]
fn calibration_equals_that_of_scikit_learn() {
    let mut n_cases = 0;
    for json in &lines("cases.jsonl")[1..] {
        let case = Case::new(json);
        let Some(positive) = case.positive else { continue };
        let bins = calibration_bins(&case.is_of(positive), &case.scores(positive), 5);
        let (shares, means) = (numbers(&json["cal"][0]), numbers(&json["cal"][1]));
        assert_eq!(bins.len(), shares.len(), "{json}");
        for (bin, (share, mean)) in bins.iter().zip(shares.into_iter().zip(means)) {
            assert!(close(bin.positive_share, share) && close(bin.mean_score, mean), "{json}");
        }
        n_cases += 1;
    }
    assert!(n_cases > 1_000);
}

#[test]
fn areas_are_those_under_the_curves() {
    for json in &lines("cases.jsonl")[1..] {
        let case = Case::new(json);
        let Some(positive) = case.positive else { continue };
        let found = evaluate(&case.labels, &case.probs, &case.classes, case.positive, case.opts).unwrap();
        let (is_positive, scores) = (case.is_of(positive), case.scores(positive));
        let roc_auc: f64 = roc_curve(&is_positive, &scores)
            .windows(2)
            .map(|pair| (pair[1].0 - pair[0].0) * (pair[1].1 + pair[0].1) / 2.0)
            .sum();
        assert!(close(found.metrics.get("roc_auc").unwrap(), roc_auc), "{json}");
        let pr_auc: f64 =
            pr_curve(&is_positive, &scores).windows(2).map(|pair| (pair[1].0 - pair[0].0) * pair[1].1).sum();
        assert!(close(found.metrics.get("pr_auc").unwrap(), pr_auc), "{json}");
    }
}

#[test]
fn wilson_intervals_equal_those_of_scipy() {
    let goldens = lines("wilson.jsonl");
    assert!(goldens.len() > 40);
    for golden in goldens {
        let (k, n) = (golden[0].as_u64().unwrap(), golden[1].as_u64().unwrap());
        let (lo, hi) = wilson(k, n);
        assert!(close(lo, number(&golden[2])) && close(hi, number(&golden[3])), "{k} of {n}: {lo} {hi}");
    }
}

/// Rows as a fairly good model would score them, two in five of them attacks; scores in steps of 1/64.
fn scored_rows(n_rows: usize, seed: u64) -> (Vec<u32>, Vec<f32>) {
    let mut rng = Rng::new(seed);
    (0..n_rows)
        .map(|_| {
            let label = u32::from(rng.below(5) < 2);
            (label, (rng.below(45) + 19 * u64::from(label)) as f32 / 64.0)
        })
        .unzip()
}

fn two_classes() -> [String; 2] {
    ["normal".to_owned(), "attack".to_owned()]
}

fn probs(scores: &[f32]) -> Vec<f32> {
    scores.iter().flat_map(|&score| [1.0 - score, score]).collect()
}

#[test]
fn bootstrap_intervals_agree_with_a_plain_bootstrap() {
    let (labels, scores) = scored_rows(200, 1);
    let opts = MetricOptions::default();
    let interval_opts = IntervalOptions { n_resamples: 4_000, seed: 3 };
    let found = intervals(&labels, &probs(&scores), &two_classes(), Some(1), opts, interval_opts).unwrap();

    // The plain way: draw rows, judge them as if they had been given.
    let mut rng = Rng::new(99);
    let resampled: Vec<_> = (0..4_000)
        .map(|_| {
            let drawn: Vec<usize> = (0..200).map(|_| rng.below(200) as usize).collect();
            let labels: Vec<u32> = drawn.iter().map(|&i| labels[i]).collect();
            let scores: Vec<f32> = drawn.iter().map(|&i| scores[i]).collect();
            evaluate(&labels, &probs(&scores), &two_classes(), Some(1), opts).unwrap().metrics
        })
        .collect();
    for key in ["roc_auc", "pr_auc", "log_loss", "brier", "f1", "mcc", "balanced_accuracy", "f1_macro"] {
        let mut values: Vec<f64> = resampled.iter().map(|metrics| metrics.get(key).unwrap()).collect();
        values.sort_by(f64::total_cmp);
        let (lo, hi) = (found.get(&format!("{key}.lo")).unwrap(), found.get(&format!("{key}.hi")).unwrap());
        // The ends of two bootstraps of 4,000 differ by some 3 % of the width.
        let slack = 0.12 * (hi - lo);
        assert!(hi > lo, "{key}");
        assert!((lo - values[100]).abs() < slack && (hi - values[3_899]).abs() < slack, "{key}: {lo} {hi}");
    }
}

#[test]
fn shares_of_rows_have_wilson_intervals() {
    let scores = [0.125, 0.25, 0.75, 0.875, 0.75];
    let found = intervals(
        &[0, 0, 0, 1, 1],
        &probs(&scores),
        &two_classes(),
        Some(1),
        MetricOptions::default(),
        IntervalOptions { n_resamples: 0, seed: 0 },
    )
    .unwrap();
    let per_1000 = |(lo, hi): (f64, f64)| (1_000.0 * lo, 1_000.0 * hi);
    let expected = [
        ("accuracy", wilson(4, 5)),
        ("precision", wilson(2, 3)),
        ("recall", wilson(2, 2)),
        ("false_positive_rate", wilson(1, 3)),
        ("false_alarms_per_1000", per_1000(wilson(1, 5))),
        ("missed_per_1000", per_1000(wilson(0, 5))),
        ("recall_weighted", wilson(4, 5)),
        ("precision.normal", wilson(2, 2)),
        ("recall.normal", wilson(2, 3)),
        ("recall.attack", wilson(2, 2)),
    ];
    for (key, (lo, hi)) in expected {
        assert_eq!(found.get(&format!("{key}.lo")), Some(lo), "{key}");
        assert_eq!(found.get(&format!("{key}.hi")), Some(hi), "{key}");
    }
    assert_eq!(found.get("tp.lo"), None);
    // Without resamples the bootstrap knows nothing.
    assert!(found.get("roc_auc.lo").unwrap().is_nan());
}

#[test]
fn means_over_many_classes_are_bootstrapped() {
    let labels = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2];
    let probs: Vec<f32> = labels
        .iter()
        .enumerate()
        .flat_map(|(i, &label)| {
            let guess = if i % 4 == 0 { (label + 1) % 3 } else { label };
            (0..3).map(move |class| if class == guess { 0.5 } else { 0.25 })
        })
        .collect();
    let classes = ["a", "b", "c"].map(str::to_owned);
    let found =
        intervals(&labels, &probs, &classes, None, MetricOptions::default(), IntervalOptions::default()).unwrap();
    let end = |key: &str| found.get(key).unwrap();
    assert!(end("recall.lo") > 0.3 && end("recall.hi") < 1.0 + 1e-12 && end("recall.lo") < end("recall.hi"));
    assert_eq!((end("recall.a.lo"), end("recall.a.hi")), wilson(3, 4));
    assert!(end("roc_auc.a.lo") < end("roc_auc.a.hi"));
}

#[test]
fn intervals_depend_on_the_seed_alone() {
    let (labels, scores) = scored_rows(60, 2);
    let run = |n_threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let opts = IntervalOptions { n_resamples: 300, seed };
        pool.install(|| intervals(&labels, &probs(&scores), &two_classes(), Some(1), MetricOptions::default(), opts))
            .unwrap()
    };
    assert_eq!(run(1, 7), run(2, 7));
    assert_eq!(run(1, 7), run(8, 7));
    assert_ne!(run(1, 7), run(1, 8));
}

#[test]
fn undefined_resamples_are_left_out_until_they_are_the_majority() {
    let interval = |labels: &[u32], scores: &[f32]| {
        let opts = IntervalOptions::default();
        intervals(labels, &probs(scores), &two_classes(), Some(1), MetricOptions::default(), opts)
            .unwrap()
            .get("roc_auc.lo")
            .unwrap()
    };
    // One attack in five rows is missing from a third of the resamples; in the others it beats none of them at worst.
    let scores = [0.125, 0.25, 0.375, 0.5, 0.75];
    assert_eq!(interval(&[0, 0, 1, 0, 0], &scores), 0.0);
    assert!(interval(&[0, 0, 0, 0, 1], &scores).is_nan(), "1 in every resample that has it: no interval");
    assert!(interval(&[0, 0, 0, 0, 0], &scores).is_nan());
}
