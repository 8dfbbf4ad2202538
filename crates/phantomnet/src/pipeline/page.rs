//! The report page of a run.

use phantomnet_learn::CrossValidation;
use phantomnet_learn::metrics::{MetricMap, class_keys, higher_is_better};
use phantomnet_report::{
    ClassResult, Condition, CrossValidated, DataSummary, Estimate, Feature, Gate, InputFile, LatencyTable, Metric,
    MissingColumn, Picture, Provenance, Rate, RejectedLine, Report, WrongRow, render_report,
};

use super::Timings;
use super::data::{Labelled, balance};
use super::gate;
use super::judge::Judgement;
use super::latency::Latency;
use crate::config::Config;

/// Metrics that lead the page.
const HEADLINE: [&str; 7] = ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc"];
/// Wrong rows that the page shows.
const MAX_WRONG: usize = 12;
/// Rejected lines that the page shows.
const MAX_REJECTED: usize = 50;

/// What the page is made of.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// Name of the run.
    pub run_name: &'a str,
    /// Id of the run.
    pub run_id: &'a str,
    /// Commit of the work tree, if there is one.
    pub git_commit: Option<&'a str>,
    /// The learner with its hyperparameters.
    pub learner: (&'a str, &'a [(String, String)]),
    /// The resolved configuration.
    pub config: &'a Config,
    /// Data, features and hold-out.
    pub labelled: &'a Labelled,
    /// The folds.
    pub cross_validation: Option<&'a CrossValidation>,
    /// What the model is worth.
    pub judgement: &'a Judgement,
    /// All final metrics.
    pub metrics: &'a MetricMap,
    /// Importance of each feature, in schema order.
    pub importances: Option<&'a [f64]>,
    /// The latency.
    pub latency: Option<&'a Latency>,
    /// The gate.
    pub gate: &'a gate::Gate,
    /// What the user should know.
    pub warnings: &'a [String],
    /// Seconds by stage, so far.
    pub timings: &'a Timings,
}

impl Page<'_> {
    /// The page with these pictures.
    pub(super) fn render(&self, pictures: Vec<Picture>) -> String {
        let data = &self.labelled.dataset;
        let names = &data.classes().names;
        let keys = class_keys(names);
        let (learner, params) = self.learner;
        let params: Vec<String> = params.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        let summary = format!(
            "{learner} ({}) on {} events with {} features; judged on {} events that it has not seen.",
            params.join(", "),
            self.labelled.holdout.train.len(),
            data.n_features(),
            self.labelled.holdout.test.len()
        );
        let metric = |(key, value): (&str, f64)| Metric {
            name: key.to_owned(),
            estimate: Estimate { value, interval: self.interval(key) },
            baseline: self.judgement.baseline.get(key),
            higher_is_better: higher_is_better(key),
        };
        let class = |(name, key): (&String, &String)| ClassResult {
            class: name.clone(),
            precision: self.estimate(&format!("precision.{key}")),
            recall: self.estimate(&format!("recall.{key}")),
            f1: self.estimate(&format!("f1.{key}")),
            support: self.metrics.get(&format!("support.{key}")).unwrap_or(0.0) as u64,
        };
        render_report(&Report {
            title: self.run_name.to_owned(),
            summary: Some(summary),
            synthetic: self.config.data.synthetic,
            gate: (!self.gate.conditions.is_empty()).then(|| self.gate()),
            n_holdout: Some(self.labelled.holdout.test.len() as u64),
            headline: HEADLINE.iter().filter_map(|&k| Some(metric((k, self.metrics.get(k)?)))).collect(),
            rates: self.rates(),
            warnings: self.warnings.to_vec(),
            pictures,
            classes: names.iter().zip(&keys).map(class).collect(),
            cross_validation: self.cross_validated(),
            worst_errors: self.wrong_rows(),
            data: Some(self.data()),
            features: self.features(),
            latency: self.latency.map(|l| LatencyTable {
                percentiles_us: [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)]
                    .map(|(name, q)| (name.to_owned(), l.percentile(q)))
                    .to_vec(),
                rows_per_second: l.rows_per_second,
            }),
            metrics: self
                .judgement
                .evaluation
                .metrics
                .iter()
                .flat_map(|m| {
                    // Out of bag beside the hold-out's; there is no baseline for it.
                    let oob = self.metrics.get(&format!("oob_{}", m.0)).map(|value| Metric {
                        name: format!("oob_{}", m.0),
                        estimate: Estimate { value, interval: None },
                        baseline: None,
                        higher_is_better: higher_is_better(m.0),
                    });
                    std::iter::once(metric(m)).chain(oob)
                })
                .collect(),
            timings: self.timings.seconds(),
            configuration: Some(self.config.to_toml()),
            commands: vec![
                format!(
                    "phantomnet train --config config.toml --run-name {}",
                    shell_word(&format!("{}-again", self.run_name))
                ),
                format!("phantomnet runs compare {} {}", self.run_id, shell_word(&format!("{}-again", self.run_name))),
            ],
            provenance: Provenance {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                run_id: Some(self.run_id.to_owned()),
                experiment: Some(self.config.tracking.experiment.clone()),
                tracking_uri: Some(self.config.tracking.uri.clone()),
                started: None,
                seed: Some(self.config.holdout.seed),
                git_commit: self.git_commit.map(str::to_owned),
            },
        })
    }

    fn interval(&self, key: &str) -> Option<(f64, f64)> {
        self.metrics.get(&format!("{key}.lo")).zip(self.metrics.get(&format!("{key}.hi")))
    }

    fn estimate(&self, key: &str) -> Estimate {
        Estimate { value: self.metrics.get(key).unwrap_or(f64::NAN), interval: self.interval(key) }
    }

    fn gate(&self) -> Gate {
        let condition = |c: &gate::Condition| Condition {
            metric: c.metric.clone(),
            required: c.bound,
            at_least: c.at_least,
            measured: Estimate { value: c.value, interval: c.interval },
            met: c.passed,
        };
        Gate { passed: self.gate.passed, conditions: self.gate.conditions.iter().map(condition).collect() }
    }

    fn rates(&self) -> Vec<Rate> {
        let rates = [
            ("false_alarms_per_1000", "false alarms per 1,000 events"),
            ("missed_per_1000", "missed attacks per 1,000 events"),
        ];
        let rate = |(key, name): (&str, &str)| {
            self.metrics.get(key).map(|_| Rate { name: name.to_owned(), per_1000: self.estimate(key) })
        };
        rates.into_iter().filter_map(rate).collect()
    }

    fn cross_validated(&self) -> Vec<CrossValidated> {
        let Some(cv) = self.cross_validation else { return Vec::new() };
        let of = |&key: &&str| {
            Some(CrossValidated {
                metric: key.to_owned(),
                mean: cv.summary.get(&format!("cv_{key}_mean"))?,
                std: cv.summary.get(&format!("cv_{key}_std"))?,
                folds: cv.folds.iter().map(|f| f.metrics.get(key).unwrap_or(f64::NAN)).collect(),
            })
        };
        HEADLINE.iter().chain(&["log_loss", "mcc"]).filter_map(of).collect()
    }

    /// Hold-out rows that were judged wrong, the surest first.
    fn wrong_rows(&self) -> Vec<WrongRow> {
        let (data, origin) = (&self.labelled.dataset, &self.labelled.origin);
        let (p, predicted) = (&self.judgement.probabilities, &self.judgement.evaluation.predicted);
        let rows = &self.labelled.holdout.test;
        let label = |i: usize| data.labels()[rows[i] as usize];
        let mut wrong: Vec<usize> = (0..rows.len()).filter(|&i| predicted[i] != label(i)).collect();
        let sureness = |i: usize| p.row(i)[predicted[i] as usize];
        wrong.sort_by(|&a, &b| sureness(b).total_cmp(&sureness(a)).then(a.cmp(&b)));
        wrong.truncate(MAX_WRONG);
        let of_events: Vec<usize> = wrong.iter().map(|&i| rows[i] as usize).collect();
        let raw =
            phantomnet_features::raw_lines(origin, &of_events).unwrap_or_else(|_| vec![String::new(); wrong.len()]);
        let names = &data.classes().names;
        let score = |i: usize| data.classes().positive.map_or_else(|| sureness(i), |c| p.row(i)[c]);
        wrong
            .iter()
            .zip(raw)
            .map(|(&i, raw)| {
                let place = origin.places.get(rows[i] as usize);
                WrongRow {
                    score: f64::from(score(i)),
                    true_class: names[label(i) as usize].clone(),
                    predicted_class: names[predicted[i] as usize].clone(),
                    file: origin.files[place.file as usize].path.display().to_string(),
                    line: Some(place.line),
                    raw,
                }
            })
            .collect()
    }

    fn data(&self) -> DataSummary {
        let origin = &self.labelled.origin;
        let file = |f: &phantomnet_features::SourceFile| InputFile {
            path: f.path.display().to_string(),
            n_rows: Some(f.n_rows),
            n_bytes: Some(f.n_bytes),
        };
        let rejected = |r: &phantomnet_features::RejectedLine| RejectedLine {
            file: origin.files[r.place.file as usize].path.display().to_string(),
            line: r.place.line,
            reason: r.reason.clone(),
        };
        DataSummary {
            files: origin.files.iter().map(file).collect(),
            n_rows: origin.places.len() as u64,
            n_rejected: origin.rejected.n,
            rejected: origin.rejected.kept.iter().take(MAX_REJECTED).map(rejected).collect(),
            missing: self
                .labelled
                .n_missing
                .iter()
                .map(|(column, n_missing)| MissingColumn { column: column.clone(), n_missing: *n_missing })
                .collect(),
            label: format!("{} = {}", self.labelled.label.name, self.labelled.label.sql),
            balance: balance(self.labelled.dataset.labels(), self.labelled.dataset.classes()),
            fingerprint: Some(origin.fingerprint.clone()),
        }
    }

    fn features(&self) -> Vec<Feature> {
        let data = &self.labelled.dataset;
        let expressions = self.labelled.features.expressions();
        expressions
            .iter()
            .enumerate()
            .map(|(j, e)| {
                let n_missing = data.column(j).iter().filter(|v| v.is_nan()).count();
                Feature {
                    name: e.name.clone(),
                    expression: e.sql.clone(),
                    kind: data.schema().features()[j].kind.name().to_owned(),
                    importance: self.importances.map(|all| all[j]),
                    missing_share: Some(n_missing as f64 / data.n_rows().max(1) as f64),
                }
            })
            .collect()
    }
}

/// A word that a shell takes as it is.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
