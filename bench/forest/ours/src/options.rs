//! The command line.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use phantomnet_learn::ForestLearner;

const USAGE: &str = "phantomnet-forest-bench DATA_FOLDER PROBABILITIES_NPY [--learner NAME] [--trees N] [--depth N] [--max-bins N] \
                     [--threads N] [--seed N] [--seconds S] [--train-only] [--ordinal]";

/// What is to be trained, on what, and whether scoring is timed too.
pub struct Options {
    pub data: PathBuf,
    /// Where the probabilities of the test rows go.
    pub probabilities: PathBuf,
    pub threads: NonZeroUsize,
    pub train_only: bool,
    /// Category codes are plain numbers.
    pub ordinal: bool,
    /// Bounds each timed loop of scoring.
    pub seconds: f64,
    learner: String,
    trees: usize,
    /// `None` is no limit, 0 on the command line.
    depth: Option<usize>,
    max_bins: Option<usize>,
    seed: u64,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let (Some(data), Some(probabilities)) = (args.next(), args.next()) else { return Err(USAGE.into()) };
        let mut options = Self {
            data: data.into(),
            probabilities: probabilities.into(),
            threads: NonZeroUsize::MIN,
            train_only: false,
            ordinal: false,
            seconds: 1.0,
            learner: "random_forest".to_owned(),
            trees: 100,
            depth: None,
            max_bins: None,
            seed: 0,
        };
        while let Some(flag) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{flag} needs a value; {USAGE}"));
            match flag.as_str() {
                "--train-only" => options.train_only = true,
                "--ordinal" => options.ordinal = true,
                "--learner" => options.learner = value()?,
                "--trees" => options.trees = value()?.parse()?,
                "--depth" => options.depth = Some(value()?.parse()?).filter(|&depth| depth > 0),
                "--max-bins" => options.max_bins = Some(value()?.parse()?),
                "--threads" => options.threads = value()?.parse()?,
                "--seed" => options.seed = value()?.parse()?,
                "--seconds" => options.seconds = value()?.parse()?,
                _ => return Err(format!("unknown option {flag}; {USAGE}").into()),
            }
        }
        Ok(options)
    }

    pub fn learner(&self) -> Result<ForestLearner, Box<dyn Error>> {
        let kind = match self.learner.as_str() {
            "random_forest" => ForestLearner::random_forest(),
            "extra_trees" => ForestLearner::extra_trees(),
            "decision_tree" => ForestLearner::decision_tree(),
            other => {
                return Err(format!("expected random_forest, extra_trees or decision_tree, got {other}").into());
            }
        };
        Ok(ForestLearner {
            n_estimators: if self.learner == "decision_tree" { 1 } else { self.trees },
            max_depth: self.depth,
            max_bins: self.max_bins.unwrap_or(kind.max_bins),
            seed: self.seed,
            ..kind
        })
    }
}
