//! A look at events before anything is learned from them.

use phantomnet_features::{
    Evaluated, EventReader, FeatureSet, Preset, Program, ReadProgress, Summary, into_labels, learn_classes, overlaps,
    recognize,
};

use super::data::{
    balance, expression_failure, feature_expressions, header_looks_like_data, label_expression, paths, read_options,
    source_failure, weight_expression,
};
use crate::config::Config;
use crate::failure::Failure;

/// What can be known of the events that the configuration names, and the label of each if it is computed.
#[derive(Debug)]
pub struct Inspected {
    /// What is known of the columns.
    pub summary: Summary,
    /// The preset of the sensor that such events come from.
    pub preset: Option<&'static Preset>,
    /// The label.
    pub label: Option<Result<InspectedLabel, Failure>>,
}

/// What is known of a label.
#[derive(Debug)]
pub struct InspectedLabel {
    /// Its name.
    pub name: String,
    /// Events of each class.
    pub balance: Vec<(String, u64)>,
    /// Events without one.
    pub n_unlabelled: u64,
    /// Columns that features share with it.
    pub leaks: Vec<String>,
    /// What is wrong with weight and features.
    pub warnings: Vec<String>,
}

/// Looks at the events that the configuration names, in two passes if it has a label; `tell` is told how far each has come.
///
/// # Errors
/// Of kind data.
pub fn inspect(config: &Config, tell: &mut dyn FnMut(ReadProgress)) -> Result<Inspected, Failure> {
    let options = read_options(config)?;
    let mut reader = EventReader::open(&paths(config), &options).map_err(source_failure)?;
    let mut summary = reader.survey(tell).map_err(source_failure)?;
    summary.origin.warnings.extend(header_looks_like_data(&summary.origin.schema));
    // A preset that is named does not make its own fields a sign of itself.
    let is_there =
        |name: &&str| !options.expected.contains_key(*name) || reader.first_columns().iter().any(|n| n == name);
    let columns: Vec<&str> = summary.origin.schema.names().filter(is_there).collect();
    let preset = recognize(&columns, &|column| reader.first_texts(column).to_vec());
    let label = (!config.label.expr.trim().is_empty()).then(|| inspect_label(config, reader, &summary, tell));
    Ok(Inspected { summary, preset, label })
}

fn inspect_label(
    config: &Config,
    reader: EventReader<'_>,
    summary: &Summary,
    tell: &mut dyn FnMut(ReadProgress),
) -> Result<InspectedLabel, Failure> {
    let schema = &summary.origin.schema;
    let label = label_expression(config, schema)?;
    let mut warnings = Vec::new();
    let weight = weight_expression(config, schema).unwrap_or_else(|error| {
        warnings.push(format!("the weight cannot be used: {error}"));
        None
    });
    let specs = feature_expressions(config, &summary.columns, &label, weight.as_ref())?;
    let leaks = match FeatureSet::compile(specs, &schema.arrow()) {
        Ok(features) => overlaps(&label, &features).iter().map(ToString::to_string).collect(),
        Err(error) => {
            warnings.push(format!("leaks cannot be looked for: {error}"));
            Vec::new()
        }
    };
    // Only the label is computed: a feature that fails on some event must not keep anyone from seeing it.
    let features = FeatureSet::compile([("none", "0")], &schema.arrow()).map_err(expression_failure)?;
    let program = Program { label, weight: None, features };
    let Evaluated { program, labels, .. } = reader.evaluate(&program, tell).map_err(source_failure)?;
    let n_unlabelled = labels.n_missing();
    let classes =
        learn_classes(&program.label, &labels, config.label.positive.as_deref()).map_err(expression_failure)?;
    let labels = into_labels(labels, &classes).map_err(expression_failure)?;
    let balance = balance(&labels, &classes);
    Ok(InspectedLabel { name: program.label.name, balance, n_unlabelled, leaks, warnings })
}
