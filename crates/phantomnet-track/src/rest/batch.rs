//! Metrics, params and tags in calls that a server takes.

use serde_json::{Value, json};

use super::wire::pairs;
use crate::entities::{Metric, Param};

/// What a server takes in one batch.
const MAX_METRICS: usize = 1000;
const MAX_PAIRS: usize = 100;
/// Bytes of a batch, of which MLflow documents a million at most.
const MAX_BATCH_BYTES: usize = 900_000;

/// What goes into one call of log-batch.
#[derive(Default)]
pub(super) struct Batch<'a> {
    pub(super) metrics: Vec<&'a Metric>,
    pub(super) params: Vec<&'a Param>,
    pub(super) tags: Vec<(&'a str, &'a str)>,
    n_bytes: usize,
}

impl<'a> Batch<'a> {
    /// The same with only some of its metrics.
    pub(super) fn with_metrics(&self, metrics: Vec<&'a Metric>) -> Self {
        Self { metrics, params: self.params.clone(), tags: self.tags.clone(), n_bytes: self.n_bytes }
    }

    /// Whether something of `n_bytes` more fits.
    fn has_room(&self, n_bytes: usize) -> bool {
        let n = self.metrics.len() + self.params.len() + self.tags.len();
        let is_full = self.params.len() == MAX_PAIRS || self.tags.len() == MAX_PAIRS || n == MAX_METRICS;
        n == 0 || !is_full && self.n_bytes + n_bytes <= MAX_BATCH_BYTES
    }

    /// The body of the call for a run.
    pub(super) fn body(&self, run_id: &str) -> Value {
        let metrics: Vec<Value> = self.metrics.iter().map(|metric| wire_metric(run_id, metric)).collect();
        let params = pairs(self.params.iter().map(|param| (&param.key, &param.value)));
        let tags = pairs(self.tags.iter().copied());
        json!({"run_id": run_id, "metrics": metrics, "params": params, "tags": tags})
    }
}

fn wire_metric(run_id: &str, metric: &Metric) -> Value {
    // Without quotes, or in other words, the server keeps zero.
    let value = match metric.value {
        value if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        value => json!(value),
    };
    let mut wire = json!({
        "key": metric.key,
        "value": value,
        "timestamp": metric.timestamp_ms,
        "step": metric.step,
        "run_id": run_id,
    });
    if let Some(model) = metric.model.as_ref().filter(|_| !metric.value.is_nan()) {
        wire["model_id"] = json!(model.model_id);
        let of = [("dataset_name", &model.dataset_name), ("dataset_digest", &model.dataset_digest)];
        for (key, value) in of.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            wire[key] = json!(value);
        }
    }
    wire
}

/// The batches that hold all of it, each within the server's limits: params first, since only they can be refused.
pub(super) fn batches<'a>(metrics: &[&'a Metric], params: &[&'a Param], tags: &[(&'a str, &'a str)]) -> Vec<Batch<'a>> {
    /// Bytes of an entry beside its texts, at most: names of fields, numbers, ids. A text may take six bytes a character escaped.
    const OVERHEAD: usize = 300;
    fn with_room<'b, 'a>(batches: &'b mut Vec<Batch<'a>>, texts: &[&str]) -> &'b mut Batch<'a> {
        let n_bytes = OVERHEAD + 6 * texts.iter().map(|text| text.len()).sum::<usize>();
        if !batches.last().is_some_and(|batch| batch.has_room(n_bytes)) {
            batches.push(Batch::default());
        }
        let last = batches.len() - 1;
        batches[last].n_bytes += n_bytes;
        &mut batches[last]
    }
    let mut batches = Vec::new();
    for param in params {
        with_room(&mut batches, &[&param.key, &param.value]).params.push(param);
    }
    for metric in metrics {
        let of = metric.model.as_ref();
        let name = of.and_then(|model| model.dataset_name.as_deref()).unwrap_or_default();
        with_room(&mut batches, &[&metric.key, name]).metrics.push(metric);
    }
    for &(key, value) in tags {
        with_room(&mut batches, &[key, value]).tags.push((key, value));
    }
    batches
}
