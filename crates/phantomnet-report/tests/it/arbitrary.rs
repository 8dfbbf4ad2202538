//! Arbitrary values never panic, and every picture is well-formed SVG and a PNG that decodes.

use phantomnet_report::*;
use proptest::prelude::*;

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..=1.0_f64,
        1 => any::<f64>(),
        1 => prop_oneof![
            Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(0.0), Just(-0.0), Just(f64::MAX),
            Just(f64::MIN), Just(f64::MIN_POSITIVE), Just(5e-324), Just(1e15), Just(-1e15)
        ],
    ]
}

fn numbers() -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![
        4 => prop::collection::vec(number(), 0..40),
        1 => (number(), 0..200_usize).prop_map(|(value, n)| vec![value; n]),
    ]
}

fn points() -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((number(), number()), 0..40)
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z]{1,12}", Just("W".repeat(3000)), Just(String::new())]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0..100_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn check(picture: &Picture) -> Result<(), TestCaseError> {
    let svg = picture.to_svg();
    let document = roxmltree::Document::parse(&svg);
    prop_assert!(document.is_ok(), "{:?}: {svg}", document.err());
    prop_assert!(!svg.contains("NaN") || svg.contains("not defined"), "{svg}");
    let bytes = picture.to_png(0.5).expect("drawn");
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("fits")];
    reader.next_frame(&mut pixels).expect("a frame");
    prop_assert_eq!(reader.info().width, 360);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn curves(items in prop::collection::vec((name(), points(), number(), number()), 0..10)) {
        let roc_curves: Vec<RocCurve> = items
            .iter()
            .map(|(class, points, auc, x)| RocCurve {
                class: class.clone(),
                points: points.clone(),
                auc: *auc,
                interval: Some((*x, *auc)),
                at_threshold: Some((*x, *auc)),
            })
            .collect();
        check(&roc(&roc_curves))?;
        let pr_curves: Vec<PrCurve> = items
            .into_iter()
            .map(|(class, points, average_precision, base_rate)| PrCurve {
                class,
                points,
                average_precision,
                interval: None,
                base_rate,
                at_threshold: None,
            })
            .collect();
        check(&precision_recall(&pr_curves))?;
    }

    #[test]
    fn matrices(
        classes in prop::collection::vec(name(), 0..30),
        counts in prop::collection::vec(prop::collection::vec(count(), 0..30), 0..30),
    ) {
        check(&confusion_matrix(&ConfusionMatrix { classes, counts }))?;
    }

    #[test]
    fn scores(classes in prop::collection::vec((name(), numbers()), 0..10), positive in name(), t in number()) {
        let classes = classes.into_iter().map(|(class, scores)| ClassScores { class, scores }).collect();
        check(&score_distribution(&ScoreDistribution { positive, classes, decision_threshold: Some(t) }))?;
    }

    #[test]
    fn bins(bins in prop::collection::vec((number(), count(), count()), 0..30), positive in name(), b in number()) {
        let bins = bins
            .into_iter()
            .map(|(mean_score, n, n_positive)| ReliabilityBin { mean_score, n, n_positive })
            .collect();
        check(&reliability(&Reliability { positive, bins, brier: Some(b) }))?;
    }

    #[test]
    fn importances(measure in name(), features in prop::collection::vec((name(), number()), 0..40)) {
        let features: Vec<FeatureImportance> =
            features.into_iter().map(|(feature, importance)| FeatureImportance { feature, importance }).collect();
        check(&feature_importance(&measure, &features))?;
    }

    #[test]
    fn folds(metrics in prop::collection::vec((name(), numbers(), prop::option::of(number())), 0..10)) {
        let metrics: Vec<FoldMetric> =
            metrics.into_iter().map(|(metric, values, holdout)| FoldMetric { metric, values, holdout }).collect();
        check(&metric_by_fold(&metrics))?;
    }

    #[test]
    fn latencies(micros in numbers(), percentiles in prop::collection::vec((name(), number()), 0..9)) {
        check(&latency_histogram(&LatencySamples { micros, percentiles }))?;
    }

    #[test]
    fn tables(values in prop::collection::vec(number(), 8), n in count(), folds in numbers(), text in name()) {
        let mut report = crate::hostile::report_of(&text);
        let estimate = Estimate { value: values[0], interval: Some((values[1], values[2])) };
        report.headline[0].estimate = estimate;
        report.headline[0].baseline = Some(values[3]);
        report.rates[0].per_1000 = estimate;
        report.cross_validation[0].folds = folds;
        report.timings[0].1 = values[4];
        report.latency = Some(LatencyTable {
            percentiles_us: vec![(text, values[5])],
            rows_per_second: Some(values[6]),
        });
        report.features[0].missing_share = Some(values[7]);
        let data = report.data.as_mut().expect("there is one");
        (data.n_rows, data.n_rejected, data.balance[0].1) = (n, n, n);
        let page = render_report(&report);
        prop_assert!(page.ends_with("</html>"));
    }
}
