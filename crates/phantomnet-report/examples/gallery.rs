//! What do the pictures and the report look like?
//!
//! Draws all of them on made-up values into a folder: `cargo run --example gallery -- FOLDER`.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use phantomnet_report::*;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: gallery FOLDER")?);
    std::fs::create_dir_all(&folder)?;

    let mut random = Random(7);
    let binary = two_classes(&mut random);
    for round in ["first", "second", "third"] {
        let clock = Instant::now();
        let pngs: Vec<Vec<u8>> = binary.iter().map(|picture| picture.to_png(1.5)).collect::<Result<_, _>>()?;
        let (n, n_bytes) = (pngs.len(), pngs.iter().map(Vec::len).sum::<usize>());
        println!("{round} round: {n} PNGs, {n_bytes} bytes, in {:.1} ms", clock.elapsed().as_secs_f64() * 1e3);
    }
    let clock = Instant::now();
    let svg_bytes: usize = binary.iter().map(|picture| picture.to_svg().len()).sum();
    println!("{} SVGs, {svg_bytes} bytes, in {:.1} ms", binary.len(), clock.elapsed().as_secs_f64() * 1e3);

    for (kind, pictures) in [("two", &binary), ("many", &many_classes(&mut random)), ("corner", &corner_cases())] {
        for (i, picture) in pictures.iter().enumerate() {
            let name = format!("{kind}_{i}_{}", picture.name());
            std::fs::write(folder.join(format!("{name}.svg")), picture.to_svg())?;
            std::fs::write(folder.join(format!("{name}.png")), picture.to_png(1.5)?)?;
        }
    }
    let clock = Instant::now();
    let page = render_report(&report(binary));
    println!("report of {} bytes in {:.1} ms", page.len(), clock.elapsed().as_secs_f64() * 1e3);
    std::fs::write(folder.join("report.html"), page)?;
    Ok(())
}

/// SplitMix64: enough to make values up.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Between 0 and 1, more often near `peak` for a larger `sharpness`.
    fn near(&mut self, peak: f64, sharpness: i32) -> f64 {
        let step = self.unit().powi(sharpness);
        if self.unit() < peak { peak * (1.0 - step) } else { peak + (1.0 - peak) * step }
    }
}

fn curve(bend: f64) -> Vec<(f64, f64)> {
    (0..=200).map(|i| f64::from(i) / 200.0).map(|x| (x, x.powf(bend))).collect()
}

fn two_classes(random: &mut Random) -> Vec<Picture> {
    let roc_curve = RocCurve {
        class: "attack".into(),
        points: curve(0.12),
        auc: 0.893,
        interval: Some((0.812, 0.957)),
        at_threshold: Some((0.125, 0.78)),
    };
    let pr_curve = PrCurve {
        class: "attack".into(),
        points: curve(1.0).into_iter().map(|(x, _)| (x, 1.0 - 0.36 * x.powi(3))).collect(),
        average_precision: 0.941,
        interval: Some((0.87, 0.98)),
        base_rate: 0.636,
        at_threshold: Some((0.89, 0.926)),
    };
    let scores = |random: &mut Random, peak, n| (0..n).map(|_| random.near(peak, 3)).collect();
    let bins = (0..10)
        .map(|i| {
            let n = 8 + 9 * (i as i64 - 5).unsigned_abs();
            ReliabilityBin { mean_score: 0.05 + 0.1 * i as f64, n, n_positive: (n * (i * i + 9) / 100).min(n) }
        })
        .collect();
    vec![
        roc(&[roc_curve]),
        precision_recall(&[pr_curve]),
        confusion_matrix(&ConfusionMatrix {
            classes: vec!["benign".into(), "attack".into()],
            counts: vec![vec![14, 2], vec![3, 25]],
        }),
        score_distribution(&ScoreDistribution {
            positive: "attack".into(),
            classes: vec![
                ClassScores { class: "benign".into(), scores: scores(random, 0.12, 160) },
                ClassScores { class: "attack".into(), scores: scores(random, 0.88, 280) },
            ],
            decision_threshold: Some(0.5),
        }),
        reliability(&Reliability { positive: "attack".into(), bins, brier: Some(0.087) }),
        feature_importance("share of the Gini decrease", &importances(random, 9)),
        metric_by_fold(&fold_metrics(random)),
        latency_histogram(&LatencySamples {
            micros: (0..2000).map(|_| 2.2 / (1.0 - random.unit()).powf(0.35)).collect(),
            percentiles: vec![("p50".into(), 2.81), ("p99".into(), 11.2), ("p99.9".into(), 25.0)],
        }),
    ]
}

fn importances(random: &mut Random, n: usize) -> Vec<FeatureImportance> {
    let names = ["payload_entropy", "payload_length", "digit_ratio", "special_ratio", "token_count", "dst_port"];
    (0..n)
        .map(|i| FeatureImportance {
            feature: names.get(i).map_or_else(|| format!("n_requests_per_minute_of_source_{i}"), |n| (*n).to_owned()),
            importance: random.unit() * 0.4 / (i + 1) as f64,
        })
        .collect()
}

fn fold_metrics(random: &mut Random) -> Vec<FoldMetric> {
    [("accuracy", 0.868), ("balanced_accuracy", 0.84), ("f1", 0.87), ("roc_auc", 0.91), ("pr_auc", 0.93)]
        .map(|(name, mean)| FoldMetric {
            metric: name.into(),
            values: (0..5).map(|_| (mean + (random.unit() - 0.5) * 0.12_f64).min(1.0)).collect(),
            holdout: Some(mean + 0.012),
        })
        .to_vec()
}

fn many_classes(random: &mut Random) -> Vec<Picture> {
    let names = ["normal", "dos", "probe", "remote to local", "user to root, with a name that is far too long to show"];
    let curves: Vec<RocCurve> = names
        .iter()
        .zip([0.05, 0.1, 0.2, 0.35, 0.6])
        .map(|(name, bend)| RocCurve {
            class: (*name).into(),
            points: curve(bend),
            auc: 1.0 / (1.0 + bend),
            ..RocCurve::default()
        })
        .collect();
    let pr_curves: Vec<PrCurve> = names
        .iter()
        .zip([0.5, 0.3, 0.12, 0.06, 0.01])
        .map(|(name, rate)| PrCurve {
            class: (*name).into(),
            points: curve(4.0).into_iter().map(|(x, y)| (x, 1.0 - (1.0 - rate) * y)).collect(),
            average_precision: 0.5 + rate,
            base_rate: rate,
            ..PrCurve::default()
        })
        .collect();
    let n = 23;
    let matrix = |n: usize, random: &mut Random| ConfusionMatrix {
        classes: (0..n).map(|i| names.get(i).map_or_else(|| format!("family {i}"), |name| (*name).into())).collect(),
        counts: (0..n)
            .map(|i| {
                let size = 40_000.0 / (i * i + 1) as f64;
                (0..n).map(|j| (size * random.unit().powi(if i == j { 1 } else { 12 })) as u64).collect()
            })
            .collect(),
    };
    let scores = |random: &mut Random, peak, n| (0..n).map(|_| random.near(peak, 4)).collect();
    vec![
        roc(&curves),
        precision_recall(&pr_curves),
        confusion_matrix(&matrix(n, random)),
        score_distribution(&ScoreDistribution {
            positive: "dos".into(),
            classes: names
                .iter()
                .zip([40_000, 300, 2000, 12, 40])
                .enumerate()
                .map(|(i, (name, n))| ClassScores {
                    class: (*name).into(),
                    scores: scores(random, if i == 1 { 0.95 } else { 0.02 + 0.1 * i as f64 }, n),
                })
                .collect(),
            decision_threshold: Some(0.97),
        }),
        feature_importance("mean decrease of accuracy when permuted", &importances(random, 41)),
    ]
}

fn corner_cases() -> Vec<Picture> {
    vec![
        confusion_matrix(&ConfusionMatrix {
            classes: ["normal", "dos", "probe", "remote to local", "user to root"].map(Into::into).to_vec(),
            counts: (0..5_u64)
                .map(|i| (0..5).map(|j| if i == j { 9000 - 2000 * i } else { i * j * 31 }).collect())
                .collect(),
        }),
        roc(&[]),
        latency_histogram(&LatencySamples::default()),
        reliability(&Reliability {
            positive: "attack".into(),
            bins: vec![ReliabilityBin { mean_score: 0.4, n: 1, n_positive: 1 }],
            brier: None,
        }),
        latency_histogram(&LatencySamples { micros: vec![3.0], percentiles: vec![("p50".into(), 3.0)] }),
    ]
}

fn estimate(value: f64, low: f64, high: f64) -> Estimate {
    Estimate { value, interval: Some((low, high)) }
}

fn report(pictures: Vec<Picture>) -> Report {
    let metric = |name: &str, estimate, baseline| Metric {
        name: name.into(),
        estimate,
        baseline: Some(baseline),
        higher_is_better: Some(true),
    };
    let headline = vec![
        metric("accuracy", estimate(0.886, 0.760, 0.950), 0.636),
        metric("roc_auc", estimate(0.893, 0.812, 0.957), 0.5),
        metric("f1", estimate(0.909, 0.825, 0.971), 0.778),
        metric("recall.attack", estimate(0.893, 0.728, 0.963), 1.0),
        metric("balanced_accuracy", estimate(0.884, 0.774, 0.965), 0.5),
    ];
    Report {
        title: "week6-baseline".into(),
        summary: Some("A random forest of 200 trees on 2 features tells attack from benign in 220 honeypot events.".into()),
        synthetic: true,
        gate: Some(Gate {
            passed: true,
            conditions: vec![
                Condition {
                    metric: "accuracy".into(),
                    required: 0.85,
                    at_least: true,
                    measured: estimate(0.886, 0.760, 0.950),
                    met: true,
                },
                Condition {
                    metric: "latency_p99_ms".into(),
                    required: 100.0,
                    at_least: false,
                    measured: Estimate { value: 0.0112, interval: None },
                    met: true,
                },
            ],
        }),
        n_holdout: Some(44),
        metrics: [&headline[..], &headline[..]].concat(),
        headline,
        rates: vec![
            Rate { name: "false alarms per 1,000 events".into(), per_1000: estimate(45.5, 12.6, 151.3) },
            Rate { name: "missed attacks per 1,000 events".into(), per_1000: estimate(68.2, 23.5, 182.3) },
        ],
        warnings: vec!["3 of 220 rows miss `data`; they reach the model as missing values.".into()],
        pictures,
        classes: ["benign", "attack"]
            .map(|class| ClassResult {
                class: class.into(),
                precision: estimate(0.926, 0.766, 0.979),
                recall: estimate(0.893, 0.728, 0.963),
                f1: estimate(0.909, 0.825, 0.971),
                support: 28,
            })
            .to_vec(),
        cross_validation: ["accuracy", "f1", "roc_auc"]
            .map(|name| CrossValidated {
                metric: name.into(),
                mean: 0.868,
                std: 0.041,
                folds: vec![0.886, 0.909, 0.818, 0.841, 0.886],
            })
            .to_vec(),
        worst_errors: vec![
            WrongRow {
                score: 0.981,
                true_class: "benign".into(),
                predicted_class: "attack".into(),
                file: "data/week6.csv".into(),
                line: Some(113),
                raw: "2025-10-04T08:12:44Z,http,203.0.113.9,GET /<script>alert(1)</script>?q=\u{1b}[31m\u{202e}exe.fdp HTTP/1.1"
                    .into(),
            },
            WrongRow {
                score: 0.034,
                true_class: "attack".into(),
                predicted_class: "benign".into(),
                file: "data/week6.csv".into(),
                line: Some(57),
                raw: format!("2025-10-04T09:01:10Z,ssh,198.51.100.23,command,{}", "A".repeat(600)),
            },
        ],
        data: Some(DataSummary {
            files: vec![InputFile { path: "data/week6.csv".into(), n_rows: Some(220), n_bytes: Some(31_482) }],
            n_rows: 220,
            n_rejected: 2,
            rejected: vec![
                RejectedLine { file: "data/week6.csv".into(), line: 17, reason: "7 fields, the header has 6".into() },
                RejectedLine { file: "data/week6.csv".into(), line: 90, reason: "quote is never closed".into() },
            ],
            missing: vec![
                MissingColumn { column: "data".into(), n_missing: 3 },
                MissingColumn { column: "username".into(), n_missing: 181 },
            ],
            label: "is_attack".into(),
            balance: vec![("attack".into(), 140), ("benign".into(), 80)],
            fingerprint: Some("sha256:5a0d6d1a0f2fd4c1e8b1c9a0e3b54c6f7782a1d0".into()),
        }),
        features: vec![
            Feature {
                name: "payload_length".into(),
                expression: "payload_length(data)".into(),
                kind: "number".into(),
                importance: Some(0.61),
                missing_share: Some(3.0 / 220.0),
            },
            Feature {
                name: "payload_entropy".into(),
                expression: "shannon_entropy(data)".into(),
                kind: "number".into(),
                importance: Some(0.39),
                missing_share: Some(3.0 / 220.0),
            },
        ],
        latency: Some(LatencyTable {
            percentiles_us: [("p50", 2.81), ("p90", 5.02), ("p99", 11.2), ("p99.9", 25.0)]
                .map(|(name, us)| (name.into(), us))
                .to_vec(),
            rows_per_second: Some(1_382_004.0),
        }),
        timings: [("read", 0.0021), ("features", 0.0018), ("fit", 0.012), ("cross_validate", 0.055), ("total", 0.09)]
            .map(|(stage, seconds)| (stage.into(), seconds))
            .to_vec(),
        configuration: Some(
            "[data]\npaths = [\"data/week6.csv\"]\n\n[label]\nname = \"is_attack\"\nexpr = \"event IN ('command', 'connect')\"\n\n\
             [model]\nkind = \"random_forest\"\nn_estimators = 200\n"
                .into(),
        ),
        commands: vec![
            "git checkout 1f3c9ab".into(),
            "cargo run --release -- train data/week6.csv --config phantomnet.toml --seed 42".into(),
        ],
        provenance: Provenance {
            version: "0.1.0".into(),
            run_id: Some("0d8e5c1be9a94f4a8f6a3d7d2b1c9e42".into()),
            experiment: Some("PhantomNet-ML".into()),
            tracking_uri: Some("sqlite:///mlflow.db".into()),
            started: Some("2026-11-23 06:40:12 UTC".into()),
            seed: Some(42),
            git_commit: Some("1f3c9ab".into()),
        },
    }
}
