//! From files to a labelled feature matrix with its hold-out.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use phantomnet_features::{
    ColumnType, Encoding, EventSchema, Events, Expression, ExpressionError, FeatureSet, Format, ReadOptions, Selection,
    SourceError, Variables, learn_classes, learn_schema, overlaps, read_columns, read_events, to_labels, to_matrix,
};
use phantomnet_learn::folds::{FoldError, Holdout, stratified_holdout};
use phantomnet_model::{Classes, Dataset, Feature, FeatureKind, FeatureSchema};

use super::warm_start::WarmStart;
use crate::config::{Config, keys::FORESTS};
use crate::failure::{Failure, Kind, nearest};

/// A text column with at most so many values becomes a category by default.
const FEW_VALUES: usize = 64;
/// Key of the events' weight.
const WEIGHT: &str = "label.weight";

/// Events with their labels and features.
#[derive(Debug)]
pub struct Labelled {
    /// What was read, without the events that have no label.
    pub events: Events,
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
    let kind = match &error {
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

/// Reads the events that the configuration names.
///
/// # Errors
/// Of kind data.
pub fn read(config: &Config) -> Result<Events, Failure> {
    checked(read_events(&paths(config), &read_options(config)?))
}

/// Reads the columns of the events that label, weight and features read; all, where the features are not named.
///
/// # Errors
/// Of kind data.
pub fn read_for_training(config: &Config) -> Result<Events, Failure> {
    checked(read_columns(&paths(config), &read_options(config)?, |schema| columns_read(config, schema)))
}

fn paths(config: &Config) -> Vec<String> {
    config.data.paths.iter().map(|path| config.as_given(path)).collect()
}

/// The columns that the configured expressions read; `None` where they must be seen beside all columns, as default features and
/// errors must.
fn columns_read(config: &Config, schema: &EventSchema) -> Option<Vec<String>> {
    if config.features.is_empty() {
        return None;
    }
    let label = (config.label.name.clone(), config.label.expr.clone());
    let weight = config.label.weight.clone().filter(|sql| !sql.trim().is_empty()).map(|sql| (WEIGHT.to_owned(), sql));
    let aliases = config.aliases().ok()?;
    let mut columns = Vec::new();
    for (name, sql) in config.features().into_iter().chain([label]).chain(weight) {
        let sql = aliases.expand(&name, &sql).ok()?;
        columns.extend_from_slice(Expression::compile(&name, &sql, &schema.arrow()).ok()?.columns());
    }
    Some(columns)
}

fn checked(events: Result<Events, SourceError>) -> Result<Events, Failure> {
    let mut events = events.map_err(source_failure)?;
    let numbers = events.origin.schema.names().filter(|name| name.parse::<f64>().is_ok()).count();
    if 2 * numbers > events.origin.schema.columns().len() {
        events
            .origin
            .warnings
            .push("the header looks like data: name the columns in `data.columns` if the files have none".into());
    }
    Ok(events)
}

/// The expression of the events' weight, if the configuration has one.
///
/// # Errors
/// Of kind config when it is wrong or gives no numbers.
pub fn weight_expression(config: &Config, events: &Events) -> Result<Option<Expression>, Failure> {
    let Some(sql) = config.label.weight.as_deref().filter(|sql| !sql.trim().is_empty()) else { return Ok(None) };
    let sql = expanded(config, WEIGHT, sql)?;
    let expression = Expression::compile(WEIGHT, &sql, &events.batch.schema()).map_err(expression_failure)?;
    if !expression.data_type().is_numeric() {
        let text = format!("`{WEIGHT}` is of type {}; a weight is a number", expression.data_type());
        return Err(Failure::config(text).hint("weigh by cases: CASE WHEN ... THEN 2 ELSE 1 END"));
    }
    Ok(Some(expression))
}

/// The label's expression over the columns of the events.
///
/// # Errors
/// Of kind config when there is none, or it is wrong.
pub fn label_expression(config: &Config, events: &Events) -> Result<Expression, Failure> {
    let sql = expanded(config, &config.label.name, config.label_expr()?)?;
    Expression::compile(&config.label.name, &sql, &events.batch.schema()).map_err(expression_failure)
}

/// An expression with common columns replaced by what they stand for. A model keeps this, so that scoring knows nothing of presets.
fn expanded(config: &Config, name: &str, sql: &str) -> Result<String, Failure> {
    config.aliases()?.expand(name, sql).map_err(expression_failure)
}

/// The configured features, or the default ones: every column that neither label nor weight reads.
pub fn feature_expressions(
    config: &Config,
    events: &Events,
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
    for (i, (name, column_type)) in events.origin.schema.columns().iter().enumerate() {
        let is_read = |expression: &Expression| expression.columns().contains(name);
        if is_read(label) || weight.is_some_and(is_read) || config.data.ignore.contains(name) {
            continue;
        }
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        if *column_type != ColumnType::Text || has_few_values(events.batch.column(i)) {
            features.push((name.clone(), quoted));
        } else {
            features.push((format!("{name}_length"), format!("payload_length({quoted})")));
            features.push((format!("{name}_entropy"), format!("shannon_entropy({quoted})")));
        }
    }
    Ok(features)
}

fn has_few_values(column: &ArrayRef) -> bool {
    let Some(column) = column.as_any().downcast_ref::<StringArray>() else { return false };
    let mut seen = std::collections::BTreeSet::new();
    column.iter().flatten().all(|value| {
        seen.insert(value);
        seen.len() <= FEW_VALUES
    })
}

/// Labels and weighs the events, keeps a hold-out, and computes the features; dictionaries are those of the forest that is
/// kept, else learned from the training rows alone.
///
/// # Errors
/// Of kind config for expressions that are wrong or leak, or that a kept forest does not know; of kind data for labels that
/// nothing can be learned from, and weights that are none.
pub(super) fn prepare(config: &Config, events: Events, kept: Option<&WarmStart>) -> Result<Labelled, Failure> {
    let mut warnings = events.origin.warnings.clone();
    let label = label_expression(config, &events)?;
    let weight = weight_expression(config, &events)?;
    let specs = feature_expressions(config, &events, &label, weight.as_ref())?;
    if specs.is_empty() {
        return Err(Failure::config("there is no feature: the label reads every column")
            .hint("name features in [features], such as payload_length = \"payload_length(data)\""));
    }
    let features = FeatureSet::compile(specs, &events.batch.schema()).map_err(expression_failure)?;
    for overlap in overlaps(&label, &features) {
        if !config.label.allow_overlap {
            return Err(Failure::config(overlap.to_string())
                .hint("drop the feature, or set `label.allow_overlap = true` if the overlap is intended"));
        }
        warnings.push(format!("possible leak: {overlap}"));
    }

    let array = label.evaluate(&events.batch).map_err(expression_failure)?;
    let classes = learn_classes(&label, &array, config.label.positive.as_deref()).map_err(expression_failure)?;
    if let [only] = classes.names.as_slice() {
        return Err(one_class(only, array.len() - array.null_count()));
    }
    if let Some(kept) = kept {
        warnings.extend(kept.check_events(config, &events, &label, &classes)?);
    }
    let labels = to_labels(&array, &classes).map_err(expression_failure)?;
    let (events, labels, n_unlabelled) = keep_labelled(events, labels)?;
    if n_unlabelled > 0 {
        warnings.push(format!("{n_unlabelled} events have no label (`{}` is NULL) and are left out", label.sql));
    }
    let classes = Arc::new(classes);
    let holdout = stratified_holdout(&labels, &classes.names, config.holdout.test_size, config.holdout.seed)
        .map_err(fold_failure)?;
    let n_threads = config.n_threads().get();
    let arrays = features.evaluate_by(&events.batch, n_threads).map_err(expression_failure)?;
    let learned = learn_schema(&features, &arrays, &holdout.train).map_err(expression_failure)?;
    let schema = kept.map_or(Ok(learned.clone()), |kept| kept.schema(&features, &learned))?;
    let matrix = to_matrix(&arrays, &schema).map_err(expression_failure)?;
    let mut dataset =
        Dataset::new(Arc::new(schema), classes, matrix, labels).map_err(|e| Failure::of(Kind::Data, e))?;
    if let Some(weights) = weights(config, weight.as_ref(), &events, &dataset, &holdout.train)? {
        dataset = dataset.with_weights(weights).map_err(|e| Failure::of(Kind::Data, e))?;
    }
    Ok(Labelled { events, label, features, dataset, holdout, n_unlabelled, warnings })
}

/// What each event weighs in a fit; `None` if the configuration does not say.
fn weights(
    config: &Config,
    weight: Option<&Expression>,
    events: &Events,
    data: &Dataset,
    train: &[u32],
) -> Result<Option<Vec<f32>>, Failure> {
    let Some(expression) = weight else { return Ok(None) };
    if !FORESTS.contains(&config.model_kind()) {
        let text = format!("`{WEIGHT}` is for forests; `{}` weighs all events alike", config.model_kind());
        return Err(Failure::config(text).hint("leave it out, or `--set label.weight=''`"));
    }
    // As a feature, so that numbers of any width become floats and missing ones NaN.
    let feature = Feature { name: WEIGHT.to_owned(), kind: FeatureKind::Number };
    let array = expression.evaluate(&events.batch).map_err(expression_failure)?;
    let matrix = to_matrix(&[array], &FeatureSchema::new(vec![feature])).map_err(expression_failure)?;
    let weights = matrix.column(0);
    let bad = |w: &f32| !(w.is_finite() && *w >= 0.0);
    if let Some(i) = weights.iter().position(bad) {
        let place = events.origin.places.get(i);
        let path = events.origin.files[place.file as usize].path.display();
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
    Ok(Some(weights.to_vec()))
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

/// Leaves out the events without a label.
pub fn keep_labelled(mut events: Events, labels: Vec<Option<u32>>) -> Result<(Events, Vec<u32>, u64), Failure> {
    let rows: Vec<u32> = (0..labels.len() as u32).filter(|&i| labels[i as usize].is_some()).collect();
    let n_unlabelled = (labels.len() - rows.len()) as u64;
    if n_unlabelled > 0 {
        events.batch = take(&events.batch, &rows)?;
        events.origin.places = events.origin.places.take(&rows);
    }
    Ok((events, labels.into_iter().flatten().collect(), n_unlabelled))
}

/// Some rows of a batch.
///
/// # Errors
/// When the engine cannot, which valid rows do not make it do.
pub fn take(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, Failure> {
    let index = arrow_array::UInt32Array::from(rows.to_vec());
    arrow_select::take::take_record_batch(batch, &index).map_err(|e| Failure::of(Kind::Data, e))
}

/// Missing values of each column.
pub fn missing(batch: &RecordBatch) -> Vec<(String, u64)> {
    let schema = batch.schema();
    let names = schema.fields().iter().map(|f| f.name().clone());
    names.zip(batch.columns().iter().map(|c| c.null_count() as u64)).collect()
}

/// Events of each class.
pub fn balance(labels: &[u32], classes: &Classes) -> Vec<(String, u64)> {
    let mut counts = vec![0; classes.len()];
    for &label in labels {
        counts[label as usize] += 1;
    }
    classes.names.iter().cloned().zip(counts).collect()
}
