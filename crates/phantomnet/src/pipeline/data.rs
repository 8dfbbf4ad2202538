//! From files to a labelled feature matrix with its hold-out.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow_array::RecordBatch;
use phantomnet_features::{
    ColumnSummary, ColumnType, Encoding, Evaluated, EventReader, EventSchema, Expression, ExpressionError, FeatureSet,
    FeatureValues, Format, Origin, Preset, Program, ROW_ID, ReadOptions, ReadProgress, Selection, SourceError, Summary,
    Variables, into_labels, into_matrix, is_column_name, learn_classes, learn_schema, overlaps, recognize,
};
use phantomnet_learn::folds::{FoldError, Holdout, stratified_holdout};
use phantomnet_model::{Classes, Dataset, FeatureSchema};

use super::warm_start::WarmStart;
use crate::config::{Config, keys::FORESTS};
use crate::failure::{Failure, Kind, nearest};

/// Key of the events' weight.
const WEIGHT: &str = "label.weight";

/// Events with their labels and features.
#[derive(Debug)]
pub struct Labelled {
    /// Where the events come from, without those that have no label.
    pub origin: Origin,
    /// Events on which each column is missing.
    pub n_missing: Vec<(String, u64)>,
    /// The label's expression.
    pub label: Expression,
    /// The features' expressions.
    pub features: FeatureSet,
    /// Matrix and labels, a row an event.
    pub dataset: Dataset,
    /// Rows to learn from and rows to judge by.
    pub holdout: Holdout,
    /// Events left out because their label is NULL.
    pub n_unlabelled: u64,
    /// What the user should know, a sentence each.
    pub warnings: Vec<String>,
}

/// A reader's error as the program reports it.
pub fn source_failure(error: SourceError) -> Failure {
    let hint = error.hint();
    let kind = match error {
        SourceError::Expression(error) => return expression_failure(error),
        SourceError::DatabaseOpen { .. } | SourceError::DatabaseRead { .. } | SourceError::Write { .. } => {
            Kind::Environment
        }
        SourceError::DatabaseUrl { .. }
        | SourceError::DatabaseTable { .. }
        | SourceError::DatabaseSelection { .. }
        | SourceError::DatabaseQuery { .. }
        | SourceError::DatabaseFeature => Kind::Config,
        _ => Kind::Data,
    };
    Failure::of(kind, error).maybe_hint(hint)
}

/// An expression's error as the program reports it: a wrong expression is configuration, a value it fails on is data.
pub fn expression_failure(error: ExpressionError) -> Failure {
    let hint = error.hint();
    let kind = if error.is_about_data() { Kind::Data } else { Kind::Config };
    Failure::of(kind, error).maybe_hint(hint)
}

/// A division of rows that is not possible.
pub fn fold_failure(error: FoldError) -> Failure {
    let hint = error.hint().map(str::to_owned);
    Failure::of(Kind::Data, error).maybe_hint(hint)
}

/// How the configuration says to read events.
///
/// # Errors
/// Of kind config for an unknown type or format.
pub fn read_options(config: &Config) -> Result<ReadOptions, Failure> {
    let mut types = BTreeMap::new();
    for (column, name) in &config.data.types {
        let column_type = ColumnType::from_name(name).ok_or_else(|| {
            Failure::config(format!(
                "`data.types.{column}` must be `integer`, `number`, `boolean` or `text`, got `{name}`"
            ))
            .maybe_hint(nearest(name, ["integer", "number", "boolean", "text"]).map(|n| format!("did you mean `{n}`?")))
        })?;
        types.insert(column.clone(), column_type);
    }
    let (table, query) = (config.data.table.clone(), config.data.query.clone());
    // What PostgreSQL's own clients read of the environment.
    let variables =
        std::env::vars().filter(|(name, _)| name.starts_with("PG") || matches!(name.as_str(), "HOME" | "USER"));
    Ok(ReadOptions {
        expected: config.fields(),
        selection: table.map(Selection::Table).or(query.map(Selection::Query)),
        variables: Variables(variables.collect()),
        standard_input: config.standard_input.clone(),
        encoding: config.data.encoding.as_deref().and_then(Encoding::from_name),
        reject_misfits: config.data.misfits == "reject",
        max_line_bytes: config.data.max_record_bytes as usize,
        threads: NonZeroUsize::new(config.deployment.threads),
        format: config.data.format.as_deref().and_then(Format::from_name),
        columns: config.data.columns.clone(),
        types,
        max_rejected: config.data.max_rejected,
        ..ReadOptions::default()
    })
}

/// Reads the events that the configuration names, and computes label, weight and features of each; `tell` is told how far that
/// has come.
///
/// # Errors
/// Of kind data; of kind config for expressions that are wrong or leak.
pub fn evaluate(config: &Config, tell: &mut dyn FnMut(ReadProgress)) -> Result<Evaluated, Failure> {
    let options = read_options(config)?;
    let mut reader = EventReader::open(&paths(config), &options).map_err(source_failure)?;
    // Default features are made of all columns; and what is wrong with an expression is only certain once those are known.
    let guessed = if config.features.is_empty() { None } else { program(config, &reader.schema(), None).ok() };
    let program = match guessed {
        Some(program) => program,
        None => {
            let summary = reader.survey(tell).map_err(source_failure)?;
            program(config, &summary.origin.schema, Some(&summary))?
        }
    };
    let looks_like_data = header_looks_like_data(&reader.schema());
    let other = other_preset(config, &reader);
    let looks_like_other =
        other.map(|(named, other)| format!("the data look like those of preset `{other}`, not of `{named}`"));
    let mut evaluated = reader.evaluate(&program, tell).map_err(source_failure)?;
    if let (Some(found), Some((_, other)), 0) = (&looks_like_other, other, evaluated.n_rows()) {
        let (label, n) = (&config.label.name, evaluated.n_unlabelled());
        let text = format!("label `{label}` has no value on any of {n} events: {found}");
        return Err(Failure::data(text).hint(format!("--preset {other}")));
    }
    // Types may have turned out to be others.
    evaluated.program.weight.as_ref().map_or(Ok(()), check_weight)?;
    evaluated.origin.warnings.extend(looks_like_other.into_iter().chain(looks_like_data));
    Ok(evaluated)
}

/// The preset that is named, and the one that the events look like, where that is another.
fn other_preset(config: &Config, reader: &EventReader<'_>) -> Option<(&'static str, &'static str)> {
    let named = Preset::find(config.data.preset.as_deref()?)?;
    let columns: Vec<&str> = reader.first_columns().iter().map(String::as_str).collect();
    let sample = |column: &str| reader.first_texts(column).to_vec();
    if named.recognizes(&columns, &sample) {
        return None;
    }
    Some((named.name(), recognize(&columns, &sample)?.name()))
}

/// The configured expressions over the columns that are known, of all of which there may be a summary.
fn program(config: &Config, schema: &EventSchema, summary: Option<&Summary>) -> Result<Program, Failure> {
    let label = label_expression(config, schema)?;
    let weight = weight_expression(config, schema)?;
    let columns = summary.map_or(&[][..], |summary| &summary.columns);
    let specs = feature_expressions(config, columns, &label, weight.as_ref())?;
    if specs.is_empty() {
        return Err(Failure::config("there is no feature: the label reads every column")
            .hint("name features in [features], such as payload_length = \"payload_length(data)\""));
    }
    let features = FeatureSet::compile(specs, &schema.arrow()).map_err(expression_failure)?;
    if let Some(overlap) = overlaps(&label, &features).first()
        && !config.label.allow_overlap
    {
        return Err(Failure::config(overlap.to_string())
            .hint("drop the feature, or set `label.allow_overlap = true` if the overlap is intended"));
    }
    Ok(Program { label, weight, features })
}

pub(super) fn paths(config: &Config) -> Vec<String> {
    config.data.paths.iter().map(|path| config.as_given(path)).collect()
}

/// A warning where half of the columns' names cannot be some: a file without header has lost its first event to them.
pub(crate) fn header_looks_like_data(schema: &EventSchema) -> Option<String> {
    let n_others = schema.names().filter(|name| !is_column_name(name)).count();
    (2 * n_others >= schema.columns().len()).then(|| {
        "the header looks like an event, which is lost: name the columns in `data.columns` if there is none".into()
    })
}

/// The expression of the events' weight, if the configuration has one.
///
/// # Errors
/// Of kind config when it is wrong or gives no numbers.
pub fn weight_expression(config: &Config, schema: &EventSchema) -> Result<Option<Expression>, Failure> {
    let Some(sql) = config.label.weight.as_deref().filter(|sql| !sql.trim().is_empty()) else { return Ok(None) };
    let sql = expanded(config, WEIGHT, sql)?;
    let expression = Expression::compile(WEIGHT, &sql, &schema.arrow()).map_err(expression_failure)?;
    check_weight(&expression)?;
    Ok(Some(expression))
}

fn check_weight(expression: &Expression) -> Result<(), Failure> {
    if expression.data_type().is_numeric() {
        return Ok(());
    }
    let text = format!("`{WEIGHT}` is of type {}; a weight is a number", expression.data_type());
    Err(Failure::config(text).hint("weigh by cases: CASE WHEN ... THEN 2 ELSE 1 END"))
}

/// The label's expression over the columns of the events.
///
/// # Errors
/// Of kind config when there is none, or it is wrong.
pub fn label_expression(config: &Config, schema: &EventSchema) -> Result<Expression, Failure> {
    let sql = expanded(config, &config.label.name, config.label_expr()?)?;
    Expression::compile(&config.label.name, &sql, &schema.arrow()).map_err(expression_failure)
}

/// An expression with common columns replaced by what they stand for. A model keeps this, so that scoring knows nothing of presets.
fn expanded(config: &Config, name: &str, sql: &str) -> Result<String, Failure> {
    config.aliases()?.expand(name, sql).map_err(expression_failure)
}

/// The configured features, or the default ones: every column of a summary that neither label nor weight reads, row numbers apart.
pub fn feature_expressions(
    config: &Config,
    columns: &[ColumnSummary],
    label: &Expression,
    weight: Option<&Expression>,
) -> Result<Vec<(String, String)>, Failure> {
    if !config.features.is_empty() {
        let aliases = config.aliases()?;
        let expand = |(name, sql): (String, String)| {
            let sql = aliases.expand(&name, &sql).map_err(expression_failure)?;
            Ok((name, sql))
        };
        return config.features().into_iter().map(expand).collect();
    }
    let mut features = Vec::new();
    for ColumnSummary { name, column_type, has_few_values, .. } in columns {
        let is_read = |expression: &Expression| expression.columns().contains(name);
        // The row number that `convert` writes tells of the order of the log.
        if is_read(label) || weight.is_some_and(is_read) || config.data.ignore.contains(name) || name == ROW_ID {
            continue;
        }
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        if *column_type != ColumnType::Text || *has_few_values {
            features.push((name.clone(), quoted));
        } else {
            features.push((format!("{name}_length"), format!("payload_length({quoted})")));
            features.push((format!("{name}_entropy"), format!("shannon_entropy({quoted})")));
        }
    }
    Ok(features)
}

/// Makes classes of the labels, keeps a hold-out, and makes a matrix of the features; dictionaries are those of the forest that
/// is kept, else learned from the training rows alone.
///
/// # Errors
/// Of kind config for expressions that a kept forest does not know; of kind data for labels that nothing can be learned from,
/// and weights that are none.
pub(super) fn prepare(config: &Config, evaluated: Evaluated, kept: Option<&WarmStart>) -> Result<Labelled, Failure> {
    let n_unlabelled = evaluated.n_unlabelled();
    let Evaluated { origin, program, labels, features: values, weights, n_missing } = evaluated;
    let Program { label, features, .. } = program;
    let mut warnings = origin.warnings.clone();
    warnings.extend(overlaps(&label, &features).iter().map(|overlap| format!("possible leak: {overlap}")));
    let classes = learn_classes(&label, &labels, config.label.positive.as_deref()).map_err(expression_failure)?;
    if let [only] = classes.names.as_slice() {
        return Err(one_class(only, origin.places.len()));
    }
    if let Some(kept) = kept {
        warnings.extend(kept.check_events(config, &origin, &label, &classes)?);
    }
    let labels = into_labels(labels, &classes).map_err(expression_failure)?;
    if n_unlabelled > 0 {
        warnings.push(format!("{n_unlabelled} events have no label (`{}` is NULL) and are left out", label.sql));
    }
    let classes = Arc::new(classes);
    let holdout = stratified_holdout(&labels, &classes.names, config.holdout.test_size, config.holdout.seed)
        .map_err(fold_failure)?;
    let learned = learn_schema(&features, &values, &holdout.train).map_err(expression_failure)?;
    let schema = kept.map_or(Ok(learned.clone()), |kept| kept.schema(&features, &learned))?;
    let matrix = into_matrix(values, &schema).map_err(expression_failure)?;
    let mut dataset =
        Dataset::new(Arc::new(schema), classes, matrix, labels).map_err(|e| Failure::of(Kind::Data, e))?;
    if let Some(weights) = weights {
        let weights = checked_weights(config, weights, &origin, &dataset, &holdout.train)?;
        dataset = dataset.with_weights(weights).map_err(|e| Failure::of(Kind::Data, e))?;
    }
    Ok(Labelled { origin, n_missing, label, features, dataset, holdout, n_unlabelled, warnings })
}

/// What each event weighs in a fit.
fn checked_weights(
    config: &Config,
    weights: FeatureValues,
    origin: &Origin,
    data: &Dataset,
    train: &[u32],
) -> Result<Vec<f32>, Failure> {
    if !FORESTS.contains(&config.model_kind()) {
        let text = format!("`{WEIGHT}` is for forests; `{}` weighs all events alike", config.model_kind());
        return Err(Failure::config(text).hint("leave it out, or `--set label.weight=''`"));
    }
    // As a feature, so that numbers of any width become floats and missing ones NaN.
    let matrix = into_matrix(vec![weights], &FeatureSchema::numbers(&[WEIGHT])).map_err(expression_failure)?;
    let weights = matrix.column(0);
    let bad = |w: &f32| !(w.is_finite() && *w >= 0.0);
    if let Some(i) = weights.iter().position(bad) {
        let place = origin.places.get(i);
        let path = origin.files[place.file as usize].path.display();
        let got = if weights[i].is_nan() { "missing".to_owned() } else { weights[i].to_string() };
        let n_bad = weights.iter().filter(|w| bad(w)).count();
        return Err(Failure::data(format!(
            "`{WEIGHT}` must be a number from 0 on, got {got} at {path}:{}; so on {n_bad} of {} events",
            place.line,
            weights.len()
        ))
        .hint("a missing weight of 1: coalesce(x, 1); none below 0: greatest(x, 0)"));
    }
    let classes = data.classes();
    let weighs = |class: usize, row: u32| data.labels()[row as usize] as usize == class && weights[row as usize] > 0.0;
    if let Some(class) = (0..classes.len()).find(|&class| !train.iter().any(|&row| weighs(class, row))) {
        let text = format!("`{WEIGHT}` is 0 on every event of class `{}` to learn from", classes.names[class]);
        return Err(Failure::data(text).hint("an event whose label is NULL is left out"));
    }
    Ok(weights.to_vec())
}

/// Features that tell nothing: missing or the same on every training row.
pub(crate) fn useless_features(labelled: &Labelled) -> Vec<String> {
    let data = &labelled.dataset;
    let names = data.schema().features().iter().map(|f| &f.name);
    let verdict = |(j, name): (usize, &String)| {
        let mut known = labelled.holdout.train.iter().map(|&r| data.column(j)[r as usize]).filter(|x| !x.is_nan());
        let Some(first) = known.next() else {
            return Some(format!("feature `{name}` is missing on every training event"));
        };
        let has_missing = labelled.holdout.train.iter().any(|&r| data.column(j)[r as usize].is_nan());
        (!has_missing && known.all(|x| x == first))
            .then(|| format!("feature `{name}` is the same on every training event"))
    };
    names.enumerate().filter_map(verdict).collect()
}

/// What is said when nothing can be told apart.
pub fn one_class(class: &str, n_rows: usize) -> Failure {
    Failure::data(format!("all {n_rows} events have the label `{class}`: there is nothing to tell apart"))
        .hint("check `label.expr` against the data with `phantomnet inspect`")
}

/// Some rows of a batch.
///
/// # Errors
/// When the engine cannot, which valid rows do not make it do.
pub fn take(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, Failure> {
    let index = arrow_array::UInt32Array::from(rows.to_vec());
    arrow_select::take::take_record_batch(batch, &index).map_err(|e| Failure::of(Kind::Data, e))
}

/// Events of each class.
pub fn balance(labels: &[u32], classes: &Classes) -> Vec<(String, u64)> {
    let mut counts = vec![0; classes.len()];
    for &label in labels {
        counts[label as usize] += 1;
    }
    classes.names.iter().cloned().zip(counts).collect()
}
