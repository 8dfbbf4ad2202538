//! The main job, from event logs to a tracked, evaluated, saved model.
//!
//! [`train`] reads like the recipe: read, label and compute features, keep a hold-out, cross-validate, fit, judge,
//! measure latency, save, record. The other modules are its steps.

mod by_tree;
pub mod data;
pub(crate) mod decisions;
pub mod evaluation;
mod files;
pub mod gate;
pub mod inspection;
mod judge;
pub mod latency;
mod learner;
pub mod load_test;
pub(crate) mod machine;
mod model_folder;
pub mod model_source;
mod page;
mod pictures;
pub mod predictions;
pub mod promotion;
mod record;
pub mod registration;
mod store;
mod system_metrics;
mod warm_start;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use phantomnet_features::{ReadProgress, read_rows};
use phantomnet_learn::folds::Fold;
use phantomnet_learn::metrics::MetricMap;
use phantomnet_learn::{Fit, Learner, Progress};
use phantomnet_model::ModelError;
use phantomnet_score::Scorer;
use serde::Serialize;

pub use files::{push_record, rejected_jsonl};
pub use judge::{Judgement, judge_probabilities, labels_of, metric_failure};
pub use learner::learner;
pub use store::{open_existing_store, open_or_create_store, push, track_failure};

use crate::config::Config;
use crate::failure::{Failure, Kind};
use crate::signals::StopSignal;
use data::Labelled;
use files::{Staging, write_pictures, write_predictions};
use gate::Gate;
use latency::{Effort, Latency};
use page::Page;
use record::Recorder;
use warm_start::WarmStart;

/// Hold-out rows whose latency is measured at most.
const LATENCY_ROWS: usize = 500;
/// How long `train` measures latency; the command of that name takes its time.
const LATENCY_EFFORT: Effort = Effort { samples: 1000, time: Duration::from_millis(10) };

/// A stage of the work, for progress and timings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading events.
    Read,
    /// Label, features, hold-out.
    Features,
    /// Cross-validation.
    CrossValidate,
    /// The final fit.
    Fit,
    /// Metrics, latency, pictures, report.
    Evaluate,
    /// The tracking store.
    Track,
}

impl Stage {
    /// Its name in `timings`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Features => "features",
            Self::CrossValidate => "cross_validate",
            Self::Fit => "fit",
            Self::Evaluate => "evaluate",
            Self::Track => "track",
        }
    }
}

/// What a caller is told while the work goes on.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    /// A stage begins.
    Stage(Stage),
    /// How much of the files has been read.
    Reading(ReadProgress),
    /// The learner's own progress in it.
    Progress(Progress),
}

/// Seconds by stage.
#[derive(Debug, Clone)]
pub struct Timings {
    begin: Instant,
    stages: Vec<(Stage, Duration)>,
}

impl Timings {
    fn start() -> Self {
        Self { begin: Instant::now(), stages: Vec::new() }
    }

    /// Runs a part of a stage and adds its time.
    fn time<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.add(stage, start.elapsed());
        result
    }

    fn add(&mut self, stage: Stage, elapsed: Duration) {
        match self.stages.iter_mut().find(|(s, _)| *s == stage) {
            Some((_, sum)) => *sum += elapsed,
            None => self.stages.push((stage, elapsed)),
        }
    }

    /// Stages in order of their beginning, and the total so far.
    pub fn seconds(&self) -> Vec<(String, f64)> {
        let stages = self.stages.iter().map(|(s, d)| (s.name().to_owned(), d.as_secs_f64()));
        stages.chain([("total".to_owned(), self.begin.elapsed().as_secs_f64())]).collect()
    }
}

/// The version of a registered model that a model became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registered {
    /// Name of the registered model.
    pub name: String,
    /// Number of the version; none while the run is kept, for the server has not given it yet.
    pub version: Option<u32>,
    /// Its alias; empty for none.
    pub alias: String,
}

/// What `train` leaves behind.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Id of the run.
    pub run_id: String,
    /// Name of the run.
    pub run_name: String,
    /// Experiment.
    pub experiment: String,
    /// Id of the experiment.
    pub experiment_id: String,
    /// Tracking store.
    pub tracking_uri: String,
    /// Folder that keeps the run until it can be sent; none if the tracking store has it.
    pub kept_in: Option<PathBuf>,
    /// `FINISHED`.
    pub status: &'static str,
    /// The model folder; none if the learner's model cannot be written as ONNX.
    pub model: Option<PathBuf>,
    /// Id of the logged model.
    pub model_id: Option<String>,
    /// The version of a registered model that it became.
    pub registered: Option<Registered>,
    /// The output folder.
    pub output: PathBuf,
    /// Events with a label.
    pub n_rows: u64,
    /// Lines that could not be read.
    pub n_rejected: u64,
    /// Rows learned from.
    pub n_train: u64,
    /// Rows judged by.
    pub n_holdout: u64,
    /// Whether the data are marked as made up.
    pub synthetic_data: bool,
    /// Classes in label order.
    pub classes: Vec<String>,
    /// Everything that was set, by the names the run records.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Final metrics with intervals.
    pub metrics: MetricMap,
    /// Seconds by stage.
    pub timings: serde_json::Map<String, serde_json::Value>,
    /// The gate.
    pub gate: Gate,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Trains, judges, saves and records a model.
///
/// `learner` is usually [`learner`]`(&config)`; one of another crate goes through the very same steps. `observe` is told of
/// stages and progress. A failure before the run is started leaves nothing behind; one after it leaves a run that is
/// FAILED, or KILLED if `stop` was raised, and no partial file.
///
/// # Errors
/// A [`Failure`], whose kind says whose fault it is.
pub fn train(
    config: &Config,
    learner: &dyn Learner,
    stop: &StopSignal,
    observe: &mut dyn FnMut(Event),
) -> Result<Outcome, Failure> {
    let mut timings = Timings::start();
    observe(Event::Stage(Stage::Read));
    let kept = WarmStart::load(config, learner)?;
    let evaluated = timings.time(Stage::Read, || data::evaluate(config, &mut |p| observe(Event::Reading(p))))?;
    stop.check()?;
    observe(Event::Stage(Stage::Features));
    let labelled = timings.time(Stage::Features, || data::prepare(config, evaluated, kept.as_ref()))?;
    stop.check()?;
    let folds = judge::folds(config, &labelled)?;
    judge::check_learner(learner, &labelled, &folds)?;
    gate::check(config, &labelled)?;
    registration::check(&config.registry)?;
    let staging = Staging::new(Path::new(&config.output.dir))?;
    // Until here there is nothing to close, and a signal ends the process at once.
    stop.arm()?;
    let commit = record::git_commit();
    let mut recorder = timings.time(Stage::Track, || Recorder::start(config, learner, &labelled, commit.as_deref()))?;
    let kept = kept.as_ref();
    let job = Job { config, learner, kept, labelled: &labelled, commit: commit.as_deref(), stop };
    match job.run(folds, staging, &mut recorder, timings, observe) {
        Ok(mut outcome) => {
            outcome.kept_in = recorder.finish()?;
            if outcome.kept_in.is_some()
                && let Some(registered) = &mut outcome.registered
            {
                registered.version = None;
            }
            Ok(outcome)
        }
        Err(failure) => {
            recorder.abandon(&failure);
            Err(failure)
        }
    }
}

/// The part of the work that a run records.
struct Job<'a> {
    config: &'a Config,
    learner: &'a dyn Learner,
    /// The forest of which more is grown.
    kept: Option<&'a WarmStart>,
    labelled: &'a Labelled,
    commit: Option<&'a str>,
    stop: &'a StopSignal,
}

impl Job<'_> {
    fn run(
        &self,
        folds: Vec<Fold>,
        staging: Staging,
        recorder: &mut Recorder,
        mut timings: Timings,
        observe: &mut dyn FnMut(Event),
    ) -> Result<Outcome, Failure> {
        let (config, labelled) = (self.config, self.labelled);
        observe(Event::Stage(Stage::CrossValidate));
        let cv = timings.time(Stage::CrossValidate, || {
            judge::run_cross_validation(config, self.learner, labelled, &folds, self.stop, &mut |p| {
                observe(Event::Progress(p))
            })
        })?;
        // Their rows are not held beside the last fit, which takes most.
        drop(folds);
        observe(Event::Stage(Stage::Fit));
        let fit = timings.time(Stage::Fit, || {
            judge::fit(config, self.learner, self.kept, labelled, self.stop, &mut |p| observe(Event::Progress(p)))
        })?;
        self.stop.check()?;

        observe(Event::Stage(Stage::Evaluate));
        let mut warnings = labelled.warnings.clone();
        warnings.extend(fit.warnings.iter().cloned());
        warnings.extend(data::useless_features(labelled));
        let start = Instant::now();
        let judgement = judge::judge(config, &fit, labelled, self.stop)?;
        if judgement.evaluation.confusion.correct() == judgement.evaluation.confusion.total() {
            warnings
                .push("every held-out event is predicted right: make sure that no feature gives the label away".into());
        }
        let by_tree = by_tree::judge_by_tree(config, fit.model.as_ref(), labelled)?;
        let oob = fit.oob.as_ref().map(|oob| judge::judge_out_of_bag(config, oob, &labelled.dataset)).transpose()?;
        if let Some(oob) = &fit.oob {
            warnings.extend(never_out_of_bag(oob.rows.len(), labelled.holdout.train.len()));
        }
        let Fit { model, importances, .. } = fit;
        let savable = model.has_onnx();
        let scorer = self.save(&staging, model, savable)?;
        if !savable {
            warnings.push(format!(
                "model of `{}` has no ONNX form: it is judged and tracked, but not saved",
                self.learner.name()
            ));
        }
        warnings.extend(slow_expressions(&scorer));
        let latency = self.latency(&scorer)?;
        let mut metrics = judgement.metrics.clone();
        metrics.extend(oob.into_iter().flatten());
        if let Some(cv) = &cv {
            metrics.extend(cv.summary.iter().map(|(k, v)| (k.to_owned(), v)));
        }
        metrics.extend(latency.metrics().iter().map(|(k, v)| (k.to_owned(), v)));
        let gate = gate::judge(&config.gate, &metrics)?;
        timings.add(Stage::Evaluate, start.elapsed());

        let learner_params = self.learner.params();
        let page = Page {
            run_name: recorder.name(),
            run_id: recorder.id(),
            git_commit: self.commit,
            learner: (self.learner.name(), &learner_params),
            config,
            labelled,
            cross_validation: cv.as_ref(),
            judgement: &judgement,
            metrics: &metrics,
            importances: importances.as_deref(),
            latency: Some(&latency),
            gate: &gate,
            warnings: &warnings,
            timings: &timings,
        };
        let start = Instant::now();
        self.write_files(&staging, &page)?;
        timings.add(Stage::Evaluate, start.elapsed());
        self.stop.check()?;

        observe(Event::Stage(Stage::Track));
        let start = Instant::now();
        // In this order, which MLflow's page keeps: what the model is worth, then the folds.
        let folder = savable.then(|| staging.path("model"));
        let model_id = recorder.model(&metrics, folder.as_deref())?;
        if let Some(cv) = &cv {
            recorder.folds(cv)?;
        }
        recorder.by_tree(&by_tree)?;
        for path in staging.artifacts() {
            recorder.artifact(&path, &staging.path(&path))?;
        }
        let verdict = match (gate.conditions.is_empty(), gate.passed) {
            (true, _) => "none",
            (false, true) => "passed",
            (false, false) => "failed",
        };
        let registered = match (&config.registry.name, &model_id) {
            (Some(name), Some(id)) if gate.passed => {
                Some(recorder.register(name, &config.registry.alias, id, verdict)?)
            }
            (Some(name), _) => {
                let why = if gate.passed { "it cannot be saved" } else { "the gate is not met" };
                warnings.push(format!("the model is no version of `{name}`: {why}"));
                None
            }
            (None, _) => None,
        };
        let mut tags = vec![("phantomnet.gate", verdict.to_owned())];
        if !warnings.is_empty() {
            tags.push(("phantomnet.warnings", warnings.join("\n")));
        }
        recorder.tags(&tags)?;
        timings.add(Stage::Track, start.elapsed());

        let outcome = Outcome {
            run_id: recorder.id().to_owned(),
            run_name: recorder.name().to_owned(),
            experiment: config.tracking.experiment.clone(),
            experiment_id: recorder.experiment_id().to_owned(),
            tracking_uri: config.tracking.uri.clone(),
            kept_in: None,
            status: "FINISHED",
            model: savable.then(|| staging.published("model")),
            model_id,
            registered,
            output: PathBuf::from(&config.output.dir),
            n_rows: labelled.dataset.n_rows() as u64,
            n_rejected: labelled.origin.rejected.n,
            n_train: labelled.holdout.train.len() as u64,
            n_holdout: labelled.holdout.test.len() as u64,
            synthetic_data: config.data.synthetic,
            classes: labelled.dataset.classes().names.clone(),
            params: record::params(config, self.learner).into_iter().map(|p| (p.key, p.value.into())).collect(),
            metrics,
            timings: timings.seconds().into_iter().map(|(k, v)| (k, v.into())).collect(),
            gate,
            warnings,
        };
        staging.publish()?;
        Ok(outcome)
    }

    /// Saves the model and loads it again as a user would, which checks its golden events. A model that cannot be saved is
    /// scored from memory.
    fn save(
        &self,
        staging: &Staging,
        model: Box<dyn phantomnet_model::Model>,
        savable: bool,
    ) -> Result<Scorer, Failure> {
        let bundle = model_folder::bundle(self.config, self.learner, self.labelled, model)?;
        if !savable {
            return Scorer::new(bundle).map_err(latency::score_failure);
        }
        let folder = staging.path("model");
        bundle.save(&folder).map_err(save_failure)?;
        Scorer::load(&folder).map_err(latency::score_failure)
    }

    fn latency(&self, scorer: &Scorer) -> Result<Latency, Failure> {
        let rows: Vec<u32> = self.labelled.holdout.test.iter().copied().take(LATENCY_ROWS).collect();
        let raw = latency::raw_lines(&self.labelled.origin, &rows)?;
        let rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
        let batch = read_rows(&self.labelled.origin, &rows).map_err(data::source_failure)?;
        let batch = latency::columns_of(&batch, scorer)?;
        latency::measure(scorer, &raw, Some(&batch), LATENCY_EFFORT)
    }

    fn write_files(&self, staging: &Staging, page: &Page<'_>) -> Result<(), Failure> {
        let labelled = self.labelled;
        let labels = labels_of(&labelled.dataset, &labelled.holdout.test);
        let features = labelled.features.expressions().iter().map(|e| e.name.clone());
        let importances: Vec<(String, f64)> =
            features.zip(page.importances.unwrap_or_default().iter().copied()).collect();
        let pictures = pictures::pictures(&pictures::Shown {
            classes: labelled.dataset.classes(),
            labels: &labels,
            judgement: page.judgement,
            decision_threshold: self.config.evaluate.decision_threshold,
            importances: &importances,
            cross_validation: page.cross_validation,
            latency: page.latency,
        });
        write_pictures(staging, &pictures)?;
        staging.write("report.html", page.render(pictures).as_bytes())?;
        write_predictions(staging, "predictions.csv", labelled, page.judgement)?;
        staging.write("config.toml", self.config.to_toml().as_bytes())?;
        let metrics = serde_json::to_string_pretty(page.metrics).unwrap_or_default();
        staging.write("metrics.json", metrics.as_bytes())?;
        if labelled.origin.rejected.n > 0 {
            let origin = &labelled.origin;
            staging.write("rejected.jsonl", &rejected_jsonl(&origin.files, &origin.rejected))?;
        }
        Ok(())
    }
}

/// A warning where the trees are too few for the out-of-bag metrics to be of every training event.
fn never_out_of_bag(n_judged: usize, n_train: usize) -> Option<String> {
    (n_judged < n_train).then(|| {
        let n = n_train - n_judged;
        format!(
            "{n} of {n_train} training events were drawn by every tree and are in no out-of-bag metric: grow more trees"
        )
    })
}

/// A model folder that cannot be written.
fn save_failure(error: ModelError) -> Failure {
    match error {
        ModelError::Io { path, source } => Failure::of_writing(&path, source),
        other => Failure::of(Kind::Environment, other),
    }
}

/// A warning for each feature whose expression is slow on single events.
pub fn slow_expressions(scorer: &Scorer) -> Vec<String> {
    let slow = scorer.features().expressions().iter().filter(|e| !e.slow_functions().is_empty());
    slow.map(|e| {
        let functions = e.slow_functions().join("`, `");
        format!(
            "feature `{}` uses `{functions}`, which compiles its pattern for every event: tens of microseconds each",
            e.name
        )
    })
    .collect()
}
