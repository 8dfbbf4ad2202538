//! The trained model as a folder.

use std::collections::BTreeMap;

use phantomnet_features::{ColumnType, read_rows, row_as_json};
use phantomnet_learn::Learner;
use phantomnet_model::{Bundle, Column, FORMAT, FeatureSpec, Golden, LabelSpec, Model, ModelSpec, Pipeline};

use super::data::{Labelled, source_failure};
use crate::config::Config;
use crate::failure::Failure;

/// Golden events of each class.
const GOLDEN_PER_CLASS: usize = 4;
/// Events of each class that golden events are taken from.
const CANDIDATES_PER_CLASS: usize = 4 * GOLDEN_PER_CLASS;
/// Golden events in all.
const MAX_GOLDEN: usize = 20;
/// Longest golden event, in bytes of JSON: they are examples, not an archive.
const MAX_GOLDEN_BYTES: usize = 64 * 1024;

/// Joins model, pipeline and golden events.
///
/// # Errors
/// Of kind data when the golden events cannot be read again.
pub(super) fn bundle(
    config: &Config,
    learner: &dyn Learner,
    labelled: &Labelled,
    model: Box<dyn Model>,
) -> Result<Bundle, Failure> {
    let data = &labelled.dataset;
    let expressions = labelled.features.expressions();
    let read_by_features: Vec<&String> = expressions.iter().flat_map(|e| e.columns()).collect();
    let columns = |wanted: &dyn Fn(&String) -> bool| -> Vec<Column> {
        let all = labelled.origin.schema.columns().iter();
        all.filter(|(name, _)| wanted(name))
            .map(|(name, t)| Column { name: name.clone(), column_type: t.name().to_owned() })
            .collect()
    };
    let mut event_columns = columns(&|name| read_by_features.contains(&name));
    event_columns.extend(columns(&|name| labelled.label.columns().contains(name) && !read_by_features.contains(&name)));
    let counts = data.class_counts(&labelled.holdout.train);
    let pipeline = Pipeline {
        format: FORMAT,
        phantomnet_version: env!("CARGO_PKG_VERSION").to_owned(),
        decision_threshold: config.evaluate.decision_threshold,
        model: ModelSpec {
            kind: learner.name().to_owned(),
            params: learner.params().into_iter().collect::<BTreeMap<_, _>>(),
        },
        label: LabelSpec {
            name: labelled.label.name.clone(),
            expr: labelled.label.sql.clone(),
            classes: data.classes().as_ref().clone(),
            train_counts: counts,
        },
        columns: event_columns,
        features: expressions
            .iter()
            .zip(data.schema().features())
            .map(|(e, feature)| FeatureSpec { expr: e.sql.clone(), feature: feature.clone() })
            .collect(),
    };
    let golden = golden(labelled, &pipeline, model.as_ref())?;
    Ok(Bundle {
        golden,
        pipeline,
        model,
        data_fingerprint: labelled.origin.fingerprint.clone(),
        seed: config.holdout.seed,
        config: config.model_part(),
    })
}

/// A few hold-out events of each class, with what the model must say of them.
fn golden(labelled: &Labelled, pipeline: &Pipeline, model: &dyn Model) -> Result<Vec<Golden>, Failure> {
    let data = &labelled.dataset;
    let rows = first_of_each_class(labelled);
    let events = read_rows(&labelled.origin, &rows).map_err(source_failure)?;
    let mut taken = vec![0; data.classes().len()];
    let mut golden = Vec::new();
    for (i, &row) in rows.iter().enumerate() {
        let class = data.labels()[row] as usize;
        if taken[class] == GOLDEN_PER_CLASS || golden.len() == MAX_GOLDEN {
            continue;
        }
        let mut event = row_as_json(&events, i);
        event.retain(|name, _| pipeline.columns.iter().any(|c| c.name == *name));
        // JSON has no infinities, so such an event would not come back as it was.
        let is_number =
            |name: &str| pipeline.columns.iter().any(|c| c.name == name && c.column_type == ColumnType::Number.name());
        if event.iter().any(|(name, value)| is_number(name) && !value.is_number() && !value.is_null()) {
            continue;
        }
        if serde_json::to_string(&event).map_or(true, |text| text.len() > MAX_GOLDEN_BYTES) {
            continue;
        }
        let mut features = vec![0.0; data.n_features()];
        data.matrix().copy_row(row, &mut features);
        let mut probabilities = vec![0.0; data.classes().len()];
        model.predict_row(&features, &mut probabilities);
        golden.push(Golden { event, features, probabilities });
        taken[class] += 1;
    }
    Ok(golden)
}

/// The first hold-out rows of each class, in their order: enough that some may be unfit for golden events.
fn first_of_each_class(labelled: &Labelled) -> Vec<usize> {
    let data = &labelled.dataset;
    let mut n_seen = vec![0; data.classes().len()];
    let mut rows = Vec::new();
    for &row in &labelled.holdout.test {
        let n = &mut n_seen[data.labels()[row as usize] as usize];
        if *n < CANDIDATES_PER_CLASS {
            *n += 1;
            rows.push(row as usize);
        }
    }
    rows
}
