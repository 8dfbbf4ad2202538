//! Every configuration key: its place, type, default and meaning.
//!
//! One table, from which unknown keys are refused, values are checked and `docs/reference/configuration.md` is made.

use phantomnet_model::MAX_TREES;

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Text.
    Text,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number in a closed range.
    Integer(i64, i64),
    /// A number in a range; the flags say whether the lower and the upper end belong to it.
    Number(f64, f64, bool, bool),
    /// A list of texts.
    Texts,
    /// A table from names to texts.
    TextTable,
    /// A table from names to numbers.
    NumberTable,
    /// Several forms, checked by the learner: a number, a word or a table.
    Any(&'static str),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted path, such as `holdout.test_size`.
    pub path: &'static str,
    /// Its values.
    pub kind: Kind,
    /// Default as it would be written in TOML, of a random forest where learners differ; empty where the key is absent by
    /// default.
    pub default: &'static str,
    /// Effect, unit and counterpart elsewhere.
    pub doc: &'static str,
}

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default, doc }
}

const BIG: i64 = i64::MAX;

/// Names of the learners behind `model.kind`.
pub const LEARNERS: &[&str] = &["random_forest", "extra_trees", "decision_tree", "logistic_regression", "majority"];
/// Those that grow trees.
pub const FORESTS: &[&str] = &["random_forest", "extra_trees", "decision_tree"];
/// Those that grow many.
const FORESTS_OF_MANY: &[&str] = &["random_forest", "extra_trees"];

/// All keys, in the order of the reference page.
pub const KEYS: &[Key] = &[
    key(
        "data.paths",
        Kind::Texts,
        r#"["data/*.csv"]"#,
        "Files, folders and globs of events: separated by commas, tabs or `|`, JSON, Zeek logs, raw HTTP requests, one payload a line, Parquet, plain or .gz or .zst or .bz2; also `postgres://` and `sqlite:///` URLs of databases. Relative to the working directory. Files named on the command line replace them.",
    ),
    key(
        "data.format",
        Kind::Word(&["csv", "tsv", "psv", "jsonl", "zeek", "http", "lines", "parquet"]),
        "",
        "Format of all files; otherwise each is told by its name and first bytes.",
    ),
    key(
        "data.preset",
        Kind::Text,
        "",
        "Sensor whose log the data are: a name of `phantomnet presets list`, or a file ending in `.toml`. It gives `data.format`, `data.fields`, `columns`, label and features (`docs/reference/presets.md`); what the configuration says itself counts before it.",
    ),
    key("data.columns", Kind::Texts, "", "Column names, in order, for files of separated values without a header."),
    key(
        "data.types",
        Kind::TextTable,
        "",
        "Column types that are not to be inferred: `integer`, `number`, `boolean` or `text` by column name.",
    ),
    key(
        "data.fields",
        Kind::TextTable,
        "",
        "Columns that the data may lack, with their type as in `data.types`, which counts before this: where they do, all values are missing. Those of the preset are added.",
    ),
    key(
        "data.misfits",
        Kind::Word(&["missing", "reject"]),
        r#""missing""#,
        "What becomes of a value that is not of the type given for its column: it is missing and counted, or its record is rejected.",
    ),
    key(
        "data.encoding",
        Kind::Word(&["utf-8", "utf-16", "utf-16le", "utf-16be", "latin-1", "windows-1252"]),
        "",
        "How characters are written as bytes. Otherwise UTF-8, or UTF-16 by its byte order mark, or Latin-1 for separated values, lines and requests that look like it.",
    ),
    key(
        "data.table",
        Kind::Text,
        "",
        "Table that is read of databases (`postgres://...`, `sqlite:///...` in `data.paths`) whose URL names none by `?table=`.",
    ),
    key("data.query", Kind::Text, "", "Query that is read of databases instead of a table."),
    key(
        "data.max_record_bytes",
        Kind::Integer(1, 1 << 30),
        "16777216",
        "Bytes of the longest record; longer ones are rejected without being held.",
    ),
    key(
        "data.max_rejected",
        Kind::Number(0.0, 1.0, true, true),
        "0.01",
        "Share of lines that may be unreadable before the run stops with exit status 3.",
    ),
    key(
        "data.ignore",
        Kind::Texts,
        "[]",
        "Columns that default features are not made of. Expressions may still name them.",
    ),
    key(
        "data.synthetic",
        Kind::Bool,
        "false",
        "Marks the data as made up; shown wherever results are. Files named on the command line reset it.",
    ),
    key(
        "columns",
        Kind::TextTable,
        "",
        "Common columns: name = SQL expression over the columns of the data, no other common one. Label, weight and features read them as if they were columns of the data, and before one of the same name. Those of the preset are added.",
    ),
    key("label.name", Kind::Text, r#""label""#, "Name of the label in reports and runs."),
    key(
        "label.expr",
        Kind::Text,
        "",
        "Required. SQL expression over the event's columns. Boolean (or 0 and 1): `true` is class `attack`, `false` is `benign`. Text or integers: each value is a class. Events where it is NULL have no label and are left out.",
    ),
    key(
        "label.positive",
        Kind::Text,
        "",
        "With two classes named by text: the one whose probability is the score. By default the later in order.",
    ),
    key(
        "label.weight",
        Kind::Text,
        "",
        "SQL expression over the event's columns: what the event weighs in training. A number from 0 on: 2 counts as two such events, 0 not at all; none may be missing. Forests only. It is no feature: the leak guard does not look at it, and default features leave out the columns it reads. Metrics count every event once.",
    ),
    key(
        "label.allow_overlap",
        Kind::Bool,
        "false",
        "Turns the leak guard's error, a feature that reads a column of the label, into a warning that the run records.",
    ),
    key(
        "features",
        Kind::TextTable,
        "",
        "Features: name = SQL expression over the event's columns. Numbers, booleans, and text as categories. An empty expression leaves out a feature of the preset. Without this table every column that the label does not read is used, the row number of `convert` apart: numbers and booleans as they are, text of few values as categories, other text by `payload_length` and `shannon_entropy`.",
    ),
    key(
        "holdout.kind",
        Kind::Word(&["stratified"]),
        r#""stratified""#,
        "How rows are kept for the final judgement: the same class shares on both sides.",
    ),
    key(
        "holdout.test_size",
        Kind::Number(0.0, 1.0, false, false),
        "0.2",
        "Share of rows kept for the final judgement.",
    ),
    key(
        "holdout.seed",
        Kind::Integer(0, BIG),
        "42",
        "Seed of everything random: hold-out, folds, learner and bootstrap, unless they have one of their own.",
    ),
    key(
        "cv.n_folds",
        Kind::Integer(0, 1000),
        "5",
        "Folds of the stratified cross-validation over the training rows, at least 2; 0 leaves it out.",
    ),
    key("cv.n_repeats", Kind::Integer(1, 1000), "1", "Times the cross-validation is repeated with other folds."),
    key("cv.seed", Kind::Integer(0, BIG), "", "Seed of the folds; by default that of the hold-out."),
    key("model.kind", Kind::Word(LEARNERS), r#""random_forest""#, "The learner."),
    key(
        "model.n_estimators",
        Kind::Integer(1, MAX_TREES as i64),
        "100",
        "Trees. More make probabilities finer and results steadier, at proportional cost.",
    ),
    key("model.criterion", Kind::Word(&["gini", "entropy", "log_loss"]), r#""gini""#, "What makes a node pure."),
    key(
        "model.max_depth",
        Kind::Integer(1, 1_000_000),
        "",
        "Most splits between root and leaf; no limit by default. Fewer give smaller, smoother trees.",
    ),
    key(
        "model.max_features",
        Kind::Any("`sqrt`, `log2`, `all`, a whole number or a share up to 1.0"),
        r#""sqrt""#,
        "Features that a node chooses from. Fewer make trees more different and each one worse.",
    ),
    key("model.min_samples_split", Kind::Integer(2, BIG), "2", "Rows a node needs to be split."),
    key(
        "model.min_samples_leaf",
        Kind::Integer(1, BIG),
        "1",
        "Rows each side of a split must keep. Larger values smooth probabilities.",
    ),
    key(
        "model.max_leaf_nodes",
        Kind::Integer(2, BIG),
        "",
        "Most leaves of a tree, which is then grown where most impurity is taken away first; no limit by default.",
    ),
    key(
        "model.min_impurity_decrease",
        Kind::Number(0.0, f64::INFINITY, true, false),
        "0.0",
        "Impurity that a split takes away at least, in parts of the tree's rows.",
    ),
    key(
        "model.class_weight",
        Kind::Any("`balanced`, `balanced_subsample` or a table from class names to weights"),
        "",
        "Weight of each class; equal by default. `balanced`: all classes weigh the same. `balanced_subsample` (`random_forest`, `extra_trees`): so in the rows that each tree draws.",
    ),
    key(
        "model.bootstrap",
        Kind::Bool,
        "true",
        "Whether each tree learns from rows drawn with replacement, or from all.",
    ),
    key(
        "model.max_samples",
        Kind::Any("a whole number or a share up to 1.0"),
        "",
        "Rows that a bootstrap draws; as many as there are by default.",
    ),
    key(
        "model.oob_score",
        Kind::Bool,
        "false",
        "Whether to judge each training row by the trees that have not drawn it, which needs `bootstrap`: metrics `oob_accuracy`, `oob_log_loss` and, of two classes, `oob_roc_auc`.",
    ),
    key(
        "model.max_bins",
        Kind::Integer(2, 255),
        "254",
        "Bins of a number with more distinct values; with fewer values it is split exactly.",
    ),
    key(
        "model.category_order",
        Kind::Word(&["target", "blurred"]),
        r#""blurred""#,
        "In which order the values of a category are cut: by their share of attacks, or by an order near it that each tree draws. No counterpart in scikit-learn.",
    ),
    key(
        "model.warm_start",
        Kind::Text,
        "",
        "Model of an earlier run, as a folder or `models:/NAME@champion` and the like, whose trees are kept; more are grown up to `n_estimators` in all. Learner, label and features must be the same, and the folder's categories are used. The folds are judged by forests grown anew: the kept trees have seen their events.",
    ),
    key(
        "model.c",
        Kind::Number(0.0, f64::INFINITY, false, false),
        "1.0",
        "Inverse strength of the L2 penalty. scikit-learn: `C`.",
    ),
    key("model.max_iter", Kind::Integer(1, 1_000_000), "100", "Iterations of the optimiser."),
    key(
        "model.seed",
        Kind::Integer(0, BIG),
        "",
        "Seed of the learner; by default that of the hold-out. scikit-learn: `random_state`.",
    ),
    key(
        "evaluate.decision_threshold",
        Kind::Number(0.0, 1.0, true, true),
        "0.5",
        "Two classes: score above which an event is flagged.",
    ),
    key(
        "evaluate.zero_division",
        Kind::Any("0, 1 or `nan`"),
        "0",
        "Value of precision, recall and F1 where they are 0/0. scikit-learn: `zero_division`.",
    ),
    key(
        "evaluate.n_bootstrap",
        Kind::Integer(0, 1_000_000),
        "1000",
        "Resamples behind the intervals of metrics that are no proportions; 0 leaves those intervals out.",
    ),
    key(
        "gate",
        Kind::NumberTable,
        "",
        "Conditions on the final metrics: name = bound. Metrics where more is better must reach it, others must not exceed it. Not met: exit status 1, and the run is tagged. Latency in `_us` or `_ms`.",
    ),
    key(
        "promotion.data",
        Kind::Texts,
        "",
        "Labelled events that no model has learned from, on which `phantomnet models promote` judges challenger and champion. Events named on the command line replace them.",
    ),
    key(
        "promotion.metric",
        Kind::Text,
        r#""f1""#,
        "The metric by which the challenger must not be worse than the champion: any of which it is known whether more or less is better.",
    ),
    key(
        "promotion.min_gain",
        Kind::Number(-1.0, 1.0, true, true),
        "0.0",
        "What the 95 % interval of the challenger's gain in that metric, by a paired bootstrap, must not go below. Below 0 allows for chance: with -0.01 a challenger may be promoted that is not shown to be worse by more than 0.01.",
    ),
    key(
        "promotion.n_bootstrap",
        Kind::Integer(100, 1_000_000),
        "2000",
        "Resamples of that bootstrap; its seed is that of the hold-out.",
    ),
    key(
        "promotion.max_false_positive_rate",
        Kind::Number(0.0, 1.0, true, true),
        "",
        "Two classes: share of harmless events that the challenger may flag; no limit by default.",
    ),
    key(
        "promotion.max_latency_p99_ms",
        Kind::Number(0.0, f64::INFINITY, false, false),
        "",
        "Time from raw line to verdict that 99 % of the events must not exceed, measured on this machine; no limit by default.",
    ),
    key(
        "promotion.max_latency_ratio",
        Kind::Number(0.0, f64::INFINITY, false, false),
        "2.0",
        "How many times the champion's median time from raw line to verdict the challenger may take, both measured on this machine.",
    ),
    key(
        "registry.name",
        Kind::Text,
        "",
        "Registered model of which `phantomnet train` makes its model the next version, if the gate is met; none by default.",
    ),
    key(
        "registry.alias",
        Kind::Text,
        r#""challenger""#,
        "Alias that the new version gets; empty for none. `champion` is for `phantomnet models promote` to give.",
    ),
    key(
        "tracking.uri",
        Kind::Text,
        r#""sqlite:///mlflow.db""#,
        "Tracking store. `sqlite:///relative/path.db` or `sqlite:////absolute/path.db`, with artifacts beside it in `mlruns`; `http://host:port` or `https://host` for an MLflow server, with the credentials of `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or of `MLFLOW_TRACKING_TOKEN`. Environment: `MLFLOW_TRACKING_URI`.",
    ),
    key(
        "tracking.experiment",
        Kind::Text,
        r#""PhantomNet-ML""#,
        "Experiment, made if it does not exist. Environment: `MLFLOW_EXPERIMENT_NAME`.",
    ),
    key(
        "tracking.outbox",
        Kind::Text,
        r#""phantomnet-outbox""#,
        "Folder that keeps the runs that a tracking server could not take. The next run sends them, or `phantomnet runs push`.",
    ),
    key(
        "tracking.fold_runs",
        Kind::Bool,
        "false",
        "Whether each fold of the cross-validation is a run of its own below the run, with its metrics. They are metrics of the run by step in any case.",
    ),
    key(
        "tracking.system_metrics",
        Kind::Bool,
        "false",
        "Whether the run records what the machine did meanwhile: processors, memory, disk, network, as `system/...`. Environment: `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING`.",
    ),
    key(
        "tracking.system_metrics_interval",
        Kind::Number(0.2, 86_400.0, true, true),
        "10.0",
        "Seconds between two samples. Environment: `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL`.",
    ),
    key("tracking.run_name", Kind::Text, "", "Name of the run; a random one by default."),
    key(
        "output.dir",
        Kind::Text,
        r#""phantomnet-out""#,
        "Folder for the model, the report and the other artifacts, besides the tracking store. What an earlier run left there is replaced.",
    ),
    key(
        "deployment.threads",
        Kind::Integer(0, 512),
        "0",
        "Threads for training; 0 is one per core. Never changes a result.",
    ),
];

impl Key {
    /// The learners that a hyperparameter belongs to; empty for keys that are there whatever the learner.
    pub fn learners(&self) -> &'static [&'static str] {
        let Some(name) = self.path.strip_prefix("model.") else { return &[] };
        match name {
            "n_estimators" | "bootstrap" | "max_samples" | "oob_score" | "warm_start" => FORESTS_OF_MANY,
            "criterion"
            | "max_depth"
            | "max_features"
            | "min_samples_split"
            | "min_samples_leaf"
            | "max_leaf_nodes"
            | "min_impurity_decrease"
            | "max_bins"
            | "category_order"
            | "seed" => FORESTS,
            "class_weight" => &["random_forest", "extra_trees", "decision_tree", "logistic_regression"],
            "c" | "max_iter" => &["logistic_regression"],
            _ => &[],
        }
    }

    /// Whether it says something to a learner.
    pub fn is_of(&self, learner: &str) -> bool {
        self.learners().is_empty() || self.learners().contains(&learner)
    }

    /// The default for a learner, as `default`.
    pub fn default_of(&self, learner: &str) -> &'static str {
        match (self.path, learner) {
            ("model.bootstrap", "extra_trees") => "false",
            ("model.max_features", "decision_tree") => r#""all""#,
            ("model.category_order", "decision_tree") => r#""target""#,
            _ => self.default,
        }
    }
}

/// The key at a path, also one inside a free table such as `features.x`.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| {
        k.path == path
            || matches!(k.kind, Kind::TextTable | Kind::NumberTable | Kind::Any(_))
                && path.strip_prefix(k.path).is_some_and(|rest| rest.starts_with('.'))
    })
}

/// Whether a path is a section, that is, the beginning of some key's path.
pub fn is_section(path: &str) -> bool {
    KEYS.iter().any(|k| k.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

impl Kind {
    /// What a value must be, in words.
    pub fn expected(&self) -> String {
        match *self {
            Self::Text => "text".into(),
            Self::Word(words) => {
                let words: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
                words.join(" or ")
            }
            Self::Bool => "`true` or `false`".into(),
            Self::Integer(lo, BIG) => format!("a whole number from {lo} on"),
            Self::Integer(lo, hi) => format!("a whole number from {lo} to {hi}"),
            Self::Number(lo, hi, closed_lo, closed_hi) => {
                let (a, b) = (if closed_lo { "from" } else { "above" }, if closed_hi { "up to" } else { "below" });
                match (hi.is_infinite(), closed_lo) {
                    (true, true) => format!("a number from {lo} on"),
                    (true, false) => format!("a number above {lo}"),
                    (false, _) => format!("a number {a} {lo} and {b} {hi}"),
                }
            }
            Self::Texts => "a list of texts".into(),
            Self::TextTable => "a table of texts".into(),
            Self::NumberTable => "a table of finite numbers".into(),
            Self::Any(words) => words.into(),
        }
    }

    /// Whether a value is of this kind and in its range.
    pub fn admits(&self, value: &toml::Value) -> bool {
        match *self {
            Self::Text => value.is_str(),
            Self::Word(words) => value.as_str().is_some_and(|v| words.contains(&v)),
            Self::Bool => value.is_bool(),
            Self::Integer(lo, hi) => value.as_integer().is_some_and(|v| (lo..=hi).contains(&v)),
            Self::Number(lo, hi, closed_lo, closed_hi) => number(value).is_some_and(|v| {
                let above = if closed_lo { v >= lo } else { v > lo };
                let below = if closed_hi { v <= hi } else { v < hi };
                above && below
            }),
            Self::Texts => value.as_array().is_some_and(|a| a.iter().all(toml::Value::is_str)),
            Self::TextTable => value.as_table().is_some_and(|t| t.values().all(toml::Value::is_str)),
            Self::NumberTable => {
                value.as_table().is_some_and(|t| t.values().all(|v| number(v).is_some_and(f64::is_finite)))
            }
            Self::Any(_) => !value.is_array() && !value.is_datetime(),
        }
    }
}

/// A TOML number of either type.
pub fn number(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|i| i as f64))
}
