//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use toml::Value;

use crate::config::{self, Config, layers::Layer, layers::parse_value};
use crate::failure::Failure;

/// Turns event logs into trained, honestly evaluated, tracked and deployable attack classifiers.
#[derive(Debug, Parser)]
#[command(name = "phantomnet", version)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// From event logs to a tracked, evaluated, saved model
    Train(TrainArgs),
    /// Metrics of a saved model on other labelled data
    Evaluate(EvaluateArgs),
    /// Events in, the same events with score and verdict out
    Predict(PredictArgs),
    /// Time from one raw line to its verdict, and rows per second in batches
    Latency(LatencyArgs),
    /// What is in the data: columns, types, missing values, rejected lines, label balance, leaks
    Inspect(InspectArgs),
    /// Tracked runs
    #[command(subcommand)]
    Runs(RunsCommand),
}

/// Flags of every command that reads a configuration.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// Configuration file [default: phantomnet.toml, if it exists]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Any configuration key, such as model.n_estimators=200; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_set)]
    pub set: Vec<(String, Value)>,
}

/// Flags of every command that reads a configuration and ends with one answer.
#[derive(Debug, Args)]
pub struct CommonArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub config: ConfigArgs,
    /// Print one JSON document to standard output, and nothing else
    #[arg(long)]
    pub json: bool,
}

/// Flags of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Files, folders or globs of events, instead of data.paths
    #[arg(value_name = "DATA")]
    pub data: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub common: CommonArgs,
    /// Tracking store, such as sqlite:///mlflow.db
    #[arg(long, value_name = "URI")]
    pub tracking_uri: Option<String>,
    /// Experiment of the run
    #[arg(long, value_name = "NAME")]
    pub experiment: Option<String>,
    /// Name of the run
    #[arg(long, value_name = "NAME")]
    pub run_name: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub seed: Option<i64>,
    /// Threads for training; 0 is one per core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..=512))]
    pub threads: Option<i64>,
    /// Folder for the model, the report and the other artifacts
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<String>,
}

/// Flags of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Model folder
    pub model: PathBuf,
    /// Files, folders or globs of labelled events
    #[arg(required = true)]
    pub data: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub common: CommonArgs,
}

/// Formats that `predict` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// Flags of `predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Model folder
    pub model: PathBuf,
    /// Files, folders or globs of events; `-` or nothing is standard input
    pub data: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub config: ConfigArgs,
    /// Format of the output [default: from the name of --output, else jsonl]
    #[arg(short, long, value_enum)]
    pub format: Option<OutputFormat>,
    /// File to write instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Add the probability of every class
    #[arg(long)]
    pub probabilities: bool,
}

/// Flags of `latency`.
#[derive(Debug, Args)]
pub struct LatencyArgs {
    /// Model folder
    pub model: PathBuf,
    /// Files, folders or globs of events [default: the golden events of the model]
    pub data: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub common: CommonArgs,
}

/// Flags of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Files, folders or globs of events [default: data.paths]
    pub data: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub common: CommonArgs,
}

/// Flags of every command on runs.
#[derive(Debug, Args)]
pub struct StoreArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub common: CommonArgs,
    /// Tracking store, such as sqlite:///mlflow.db
    #[arg(long, value_name = "URI")]
    pub tracking_uri: Option<String>,
}

/// `runs ...`
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Runs, the latest first
    List {
        /// Only runs of this experiment [default: all]
        #[arg(long, value_name = "NAME")]
        experiment: Option<String>,
        /// Only runs that meet conditions, as MLflow writes them: "metrics.f1 > 0.9 AND params.`model.kind` = 'random_forest'"
        #[arg(long, value_name = "CONDITIONS")]
        filter: Option<String>,
        /// By what runs are ordered, such as "metrics.f1 DESC"; may be repeated
        #[arg(long, value_name = "FIELD")]
        order_by: Vec<String>,
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// One run: params, metrics, artifacts
    Show {
        /// Run id, the beginning of one, or a run name
        run: String,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Deletes runs; their files stay, and they can be restored
    Delete {
        /// Run ids, beginnings of ids, or run names
        #[arg(required = true)]
        runs: Vec<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Restores deleted runs
    Restore {
        /// Full run ids
        #[arg(required = true)]
        runs: Vec<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Sends the runs that a tracking server could not take, exactly once
    Push {
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        common: CommonArgs,
    },
    /// Params that differ and metrics side by side
    Compare {
        /// Run ids, beginnings of ids, or run names
        #[arg(required = true, num_args = 2..)]
        runs: Vec<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
}

fn parse_set(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as model.n_estimators=200")?;
    if key.trim().is_empty() {
        return Err("expected KEY=VALUE, such as model.n_estimators=200".into());
    }
    Ok((key.trim().to_owned(), parse_value(value.trim())))
}

impl ConfigArgs {
    /// The resolved configuration; `flags` are those of the command, put over `--set`.
    ///
    /// # Errors
    /// What [`Config::resolve`] and [`Layer`] refuse.
    pub fn resolve(&self, flags: Vec<(&str, Option<Value>)>) -> Result<Config, Failure> {
        let default = PathBuf::from(config::DEFAULT_FILE);
        let path = self.config.clone().or_else(|| default.is_file().then_some(default));
        let file = path.map(|p| Layer::file(&p)).transpose()?;
        let mut all = self.set.clone();
        all.extend(flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        Config::resolve(Layer::environment(|name| std::env::var(name).ok()), file, Layer::flags(all)?)
    }
}

/// A list of paths as a configuration value; none if it is empty.
fn paths(data: &[String]) -> Option<Value> {
    (!data.is_empty()).then(|| Value::Array(data.iter().cloned().map(Value::String).collect()))
}

impl TrainArgs {
    /// The configuration that these flags resolve to.
    ///
    /// # Errors
    /// As [`ConfigArgs::resolve`].
    pub fn resolve(&self) -> Result<Config, Failure> {
        let text = |v: &Option<String>| v.clone().map(Value::String);
        // One seed for everything, also where the file gives the learner or the folds their own.
        let seed = self.seed.map(Value::Integer);
        self.common.config.resolve(vec![
            ("data.paths", paths(&self.data)),
            ("tracking.uri", text(&self.tracking_uri)),
            ("tracking.experiment", text(&self.experiment)),
            ("tracking.run_name", text(&self.run_name)),
            ("output.dir", text(&self.output)),
            ("deployment.threads", self.threads.map(Value::Integer)),
            ("holdout.seed", seed.clone()),
            ("cv.seed", seed.clone()),
            ("model.seed", seed),
        ])
    }
}

impl InspectArgs {
    /// The configuration that these flags resolve to.
    ///
    /// # Errors
    /// As [`ConfigArgs::resolve`].
    pub fn resolve(&self) -> Result<Config, Failure> {
        self.common.config.resolve(vec![("data.paths", paths(&self.data))])
    }
}

impl StoreArgs {
    /// The configuration that these flags resolve to.
    ///
    /// # Errors
    /// As [`ConfigArgs::resolve`].
    pub fn resolve(&self) -> Result<Config, Failure> {
        self.common.config.resolve(vec![("tracking.uri", self.tracking_uri.clone().map(Value::String))])
    }
}
