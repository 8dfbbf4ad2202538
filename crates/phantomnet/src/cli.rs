//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use toml::Value;

use crate::config::{self, Config, layers::Layer, layers::parse_value};
use crate::failure::Failure;
use crate::pipeline::model_source::{ModelSource, model_source};

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
    /// Events written as typed Parquet with a row number, the form that is read fastest
    Convert(ConvertArgs),
    /// Presets: what the fields of a sensor's log mean
    #[command(subcommand)]
    Presets(PresetsCommand),
    /// Tracked runs
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Registered models: versions, the champion and how it came to be
    #[command(subcommand)]
    Models(ModelsCommand),
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

/// The model that a command uses, and where it is looked for.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// Model folder, or models:/NAME/3, models:/NAME@champion, models:/m-..., runs:/RUN/model in the tracking store
    pub model: String,
    /// Tracking store, such as sqlite:///mlflow.db
    #[arg(long, value_name = "URI")]
    pub tracking_uri: Option<String>,
}

/// Flags of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Files, folders or globs of events, or `-` for standard input, instead of data.paths
    #[arg(value_name = "DATA")]
    pub data: Vec<String>,
    /// Sensor whose log the data are: a name of `phantomnet presets list`, or a .toml file of your own
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
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
    /// Registered model of which the model becomes the next version, if the gate is met
    #[arg(long, value_name = "NAME")]
    pub register: Option<String>,
}

/// Flags of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub model: ModelArgs,
    /// Files, folders or globs of labelled events, or `-` for standard input
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
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub model: ModelArgs,
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
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub model: ModelArgs,
    /// Files, folders or globs of events [default: the golden events of the model]
    pub data: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub common: CommonArgs,
}

/// Flags of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Files, folders or globs of events, or `-` for standard input [default: data.paths]
    pub data: Vec<String>,
    /// Sensor whose log the data are: a name of `phantomnet presets list`, or a .toml file of your own
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub common: CommonArgs,
}

/// Flags of `convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// Files, folders, globs or databases of events, or `-` for standard input, and last the Parquet file to write
    #[arg(required = true, num_args = 2.., value_names = ["DATA", "OUT.parquet"])]
    pub paths: Vec<String>,
    /// Sensor whose log the data are: a name of `phantomnet presets list`, or a .toml file of your own
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub common: CommonArgs,
}

/// `presets ...`
#[derive(Debug, Subcommand)]
pub enum PresetsCommand {
    /// The presets of the program
    List {
        /// Print one JSON document to standard output, and nothing else
        #[arg(long)]
        json: bool,
    },
    /// A preset as TOML, to read or to copy and change
    Show {
        /// Name of a preset, or a .toml file to check
        name: String,
    },
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
    /// Artifacts of a run
    #[command(subcommand)]
    Artifacts(ArtifactsCommand),
    /// One run: params, metrics with their course, artifacts
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
    /// Copies runs, with the runs below them and their models, from another tracking store; copying again makes no second copy
    Pull {
        /// Run ids, beginnings of ids, run names, or versions such as models:/NAME/3, which are registered here, too
        #[arg(required = true)]
        runs: Vec<String>,
        /// The store to copy from
        #[arg(long, value_name = "URI")]
        from: String,
        /// Experiment of the copies [default: that of each run]
        #[arg(long, value_name = "NAME")]
        experiment: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Params that differ, metrics side by side, and what the runs after the first gain over it
    Compare {
        /// Run ids, beginnings of ids, or run names
        #[arg(required = true, num_args = 2..)]
        runs: Vec<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
}

/// `runs artifacts ...`
#[derive(Debug, Subcommand)]
pub enum ArtifactsCommand {
    /// What lies in the run's artifacts, or in a folder of them
    List {
        /// Run id, the beginning of one, or a run name
        run: String,
        /// Folder
        path: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Copies a file, or a folder with all in it
    Get {
        /// Run id, the beginning of one, or a run name
        run: String,
        /// File or folder
        path: String,
        /// Where it goes [default: its name, in the working directory]; `-` prints a file
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
}

/// `models ...`
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Registered models
    List {
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// A registered model with its versions, or one model
    Show {
        /// NAME, or a model such as models:/NAME/3, models:/NAME@champion, models:/m-..., runs:/RUN/model
        model: String,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Makes a model the next version of a registered model
    Register {
        /// Model folder, or models:/m-..., models:/NAME/3, runs:/RUN/model in the tracking store
        model: String,
        /// Name of the registered model, made if it does not exist
        name: String,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        notes: NotesArgs,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Changes description, tags and aliases
    Edit {
        /// NAME, or a version such as models:/NAME/3
        model: String,
        /// Alias to take away
        #[arg(long, value_name = "ALIAS")]
        remove_alias: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        notes: NotesArgs,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Judges a challenger beside the champion, and makes it the champion if it meets the conditions of [promotion]
    Promote {
        /// NAME for its challenger, or a version such as models:/NAME/3
        model: String,
        /// Files, folders or globs of labelled events that no model has learned from, or `-` for standard input [default: promotion.data]
        data: Vec<String>,
        /// Promote in spite of what is found, which --reason must justify
        #[arg(long, requires = "reason")]
        force: bool,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Makes the champion before this one the champion again
    Rollback {
        /// Name of the registered model
        name: String,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Deletes a version, or a registered model with its history; files and runs stay
    Delete {
        /// NAME, or a version such as models:/NAME/3
        model: String,
        /// Delete the champion, or a registered model with all of its versions, too
        #[arg(long)]
        force: bool,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Copies the files of a model to a new folder
    Download {
        /// models:/NAME/3, models:/NAME@champion, models:/m-..., runs:/RUN/model
        model: String,
        /// The folder
        folder: PathBuf,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Which version judged when, on whose word and on what evidence
    History {
        /// Name of the registered model
        name: String,
        /// Check that nothing was changed, taken out or left unrecorded; exit status 3 if something was
        #[arg(long)]
        verify: bool,
        /// Hash of an entry, kept elsewhere, that must be there; may be repeated
        #[arg(long = "head", value_name = "HASH", requires = "verify")]
        heads: Vec<String>,
        /// Only which version was the champion at a time: 2026-11-25 for its end, or 2026-11-25T16:30:00Z
        #[arg(long, value_name = "TIME", conflicts_with = "verify", value_parser = parse_time)]
        at: Option<i64>,
        #[command(flatten)]
        #[allow(missing_docs, reason = "documented on the type")]
        store: StoreArgs,
    },
    /// Scores events as fast as it can, or at a rate, for some time: events a second and their latency
    LoadTest(LoadTestArgs),
}

/// What is written beside a version, or a registered model.
#[derive(Debug, Args)]
pub struct NotesArgs {
    /// Alias of the version [default when it is registered: challenger; empty for none]
    #[arg(long, value_name = "ALIAS")]
    pub alias: Option<String>,
    /// What is to be known of it
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
    pub tags: Vec<(String, String)>,
}

/// Flags of `models load-test`.
#[derive(Debug, Args)]
pub struct LoadTestArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub model: ModelArgs,
    /// Files, folders or globs of events [default: the golden events of the model]
    pub data: Vec<String>,
    /// Seconds it takes
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Threads, each with a scorer of its own; 0 is one per core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=512))]
    pub threads: u64,
    /// Events a second in all, at even distances, whatever the scorer has got done [default: as fast as it can]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub rate: Option<u64>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "documented on the type")]
    pub common: CommonArgs,
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or("expected KEY=VALUE".into())
}

/// Milliseconds since 1970 of a time, or of the last moment of a day.
fn parse_time(text: &str) -> Result<i64, String> {
    let expected = || "expected a day such as 2026-11-25, or a time such as 2026-11-25T16:30:00Z".to_owned();
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    let day: chrono::NaiveDate = text.parse().map_err(|_| expected())?;
    let next = day.succ_opt().ok_or_else(expected)?;
    Ok(next.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis() - 1)
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
            ("data.preset", text(&self.preset)),
            ("tracking.uri", text(&self.tracking_uri)),
            ("tracking.experiment", text(&self.experiment)),
            ("tracking.run_name", text(&self.run_name)),
            ("output.dir", text(&self.output)),
            ("registry.name", text(&self.register)),
            ("deployment.threads", self.threads.map(Value::Integer)),
            ("holdout.seed", seed.clone()),
            ("cv.seed", seed.clone()),
            ("model.seed", seed),
        ])
    }
}

impl ModelArgs {
    /// The configuration that these flags and `config` resolve to, and the model.
    ///
    /// # Errors
    /// As [`ConfigArgs::resolve`] and [`model_source`].
    pub fn open(&self, config: &ConfigArgs) -> Result<(Config, ModelSource), Failure> {
        let config = config.resolve(vec![("tracking.uri", self.tracking_uri.clone().map(Value::String))])?;
        let source = model_source(&self.model, &config.tracking)?;
        Ok((config, source))
    }
}

impl InspectArgs {
    /// The configuration that these flags resolve to.
    ///
    /// # Errors
    /// As [`ConfigArgs::resolve`].
    pub fn resolve(&self) -> Result<Config, Failure> {
        self.common
            .config
            .resolve(vec![("data.paths", paths(&self.data)), ("data.preset", self.preset.clone().map(Value::String))])
    }
}

impl ConvertArgs {
    /// The configuration that these flags resolve to, and the file to write.
    ///
    /// # Errors
    /// As [`ConfigArgs::resolve`].
    pub fn resolve(&self) -> Result<(Config, PathBuf), Failure> {
        let (out, data) = self.paths.split_last().ok_or_else(|| Failure::config("nothing is named to convert"))?;
        let preset = self.preset.clone().map(Value::String);
        let config = self.common.config.resolve(vec![("data.paths", paths(data)), ("data.preset", preset)])?;
        Ok((config, PathBuf::from(out)))
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
