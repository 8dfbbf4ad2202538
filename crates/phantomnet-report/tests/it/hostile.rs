//! No string from outside reaches a picture or the page unescaped.

use phantomnet_report::*;
use rstest::rstest;

/// A report in which every string is `text`, pictures included.
pub(crate) fn report_of(text: &str) -> Report {
    let t = || text.to_owned();
    let estimate = Estimate { value: 0.5, interval: Some((0.4, 0.6)) };
    let metric = Metric { name: t(), estimate, baseline: Some(0.4), higher_is_better: Some(true) };
    Report {
        title: t(),
        summary: Some(t()),
        synthetic: true,
        gate: Some(Gate {
            passed: false,
            conditions: vec![Condition { metric: t(), required: 0.45, at_least: true, measured: estimate, met: true }],
        }),
        n_holdout: Some(10),
        headline: vec![metric.clone()],
        rates: vec![Rate { name: t(), per_1000: estimate }],
        warnings: vec![t()],
        pictures: pictures_of(text),
        classes: vec![ClassResult { class: t(), support: 3, ..ClassResult::default() }],
        cross_validation: vec![CrossValidated { metric: t(), mean: 0.5, std: 0.1, folds: vec![0.4, 0.6] }],
        worst_errors: vec![WrongRow {
            score: 0.9,
            true_class: t(),
            predicted_class: t(),
            file: t(),
            line: Some(3),
            raw: t(),
        }],
        data: Some(DataSummary {
            files: vec![InputFile { path: t(), n_rows: Some(1), n_bytes: None }],
            n_rows: 10,
            n_rejected: 2,
            rejected: vec![RejectedLine { file: t(), line: 1, reason: t() }],
            missing: vec![MissingColumn { column: t(), n_missing: 1 }],
            label: t(),
            balance: vec![(t(), 5)],
            fingerprint: Some(t()),
        }),
        features: vec![Feature {
            name: t(),
            expression: t(),
            kind: t(),
            importance: Some(0.1),
            missing_share: Some(0.2),
        }],
        latency: Some(LatencyTable { percentiles_us: vec![(t(), 3.0)], rows_per_second: Some(1e6) }),
        metrics: vec![metric],
        timings: vec![(t(), 0.1)],
        configuration: Some(t()),
        commands: vec![t()],
        provenance: Provenance {
            version: t(),
            run_id: Some(t()),
            experiment: Some(t()),
            tracking_uri: Some(t()),
            started: Some(t()),
            seed: Some(1),
            git_commit: Some(t()),
        },
    }
}

fn pictures_of(text: &str) -> Vec<Picture> {
    let t = || text.to_owned();
    let points = vec![(0.0, 0.0), (0.2, 0.7), (1.0, 1.0)];
    vec![
        roc(&[RocCurve { class: t(), points: points.clone(), auc: 0.75, ..RocCurve::default() }]),
        precision_recall(&[PrCurve { class: t(), points, average_precision: 0.75, ..PrCurve::default() }]),
        confusion_matrix(&ConfusionMatrix { classes: vec![t(), t()], counts: vec![vec![3, 1], vec![0, 2]] }),
        score_distribution(&ScoreDistribution {
            positive: t(),
            classes: vec![ClassScores { class: t(), scores: vec![0.2, 0.7] }],
            decision_threshold: Some(0.5),
        }),
        reliability(&Reliability {
            positive: t(),
            bins: vec![ReliabilityBin { mean_score: 0.3, n: 4, n_positive: 1 }],
            brier: None,
        }),
        feature_importance(text, &[FeatureImportance { feature: t(), importance: 0.3 }]),
        metric_by_fold(&[FoldMetric { metric: t(), values: vec![0.3, 0.4], holdout: None }]),
        latency_histogram(&LatencySamples { micros: vec![2.0, 3.0], percentiles: vec![(t(), 2.5)] }),
    ]
}

#[rstest]
#[case("<script>alert(1)</script>")]
#[case("</title></style></pre><script>alert(1)</script>")]
#[case("\"><img src=x onerror=alert(1)>")]
#[case("' onmouseover='alert(1)")]
#[case("--><svg onload=alert(1)>")]
#[case("]]><!ENTITY x SYSTEM 'file:///etc/passwd'>&x;")]
fn markup_in_any_string_stays_text(#[case] payload: &str) {
    let clean = render_report(&report_of("x"));
    let page = render_report(&report_of(payload));
    // Whatever the strings are, the page has the same elements and attributes.
    assert_eq!(skeleton(&page), skeleton(&clean));
    for forbidden in ["<script", "<img", "onerror=alert(1)>", "onmouseover='", "<svg onload", "<!ENTITY"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for picture in pictures_of(payload) {
        let svg = picture.to_svg();
        let document = roxmltree::Document::parse(&svg).expect("well-formed");
        assert!(document.descendants().all(|node| node.tag_name().name() != "script"));
    }
}

/// Tags and attribute names of a page in order, without any value: what a browser would build.
fn skeleton(page: &str) -> Vec<String> {
    let mut tags = Vec::new();
    for piece in page.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("a closed tag");
        // Every second piece between double quotes is a value; a value holds no double quote, or the count would differ.
        let names: Vec<&str> = tag.split('"').step_by(2).collect();
        tags.push(names.concat());
    }
    tags
}

#[rstest]
#[case("a\u{202e}b", "a\\u{202e}b")]
#[case("a\u{1b}[2Jb", "a\\x1b[2Jb")]
#[case("a\u{0}b", "a\\x00b")]
#[case("a\u{200b}b", "a\\u{200b}b")]
fn characters_that_cannot_be_seen_are_shown(#[case] raw: &str, #[case] shown: &str) {
    let page = render_report(&report_of(raw));
    assert!(page.contains(shown));
    let hidden: Vec<char> = page.chars().filter(|c| raw.contains(*c) && !c.is_ascii_graphic()).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

#[test]
fn long_strings_are_cut() {
    let page = render_report(&report_of(&"A".repeat(1_000_000)));
    // The configuration keeps 100,000 characters; no single other string may fill the page.
    assert!(page.len() < 200_000, "{}", page.len());
    let raw = page.split("<pre>").nth(1).and_then(|rest| rest.split("</pre>").next()).expect("a raw line");
    assert_eq!(raw, format!("{}…", "A".repeat(300)));
}
