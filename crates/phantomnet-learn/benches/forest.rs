//! How long forests take to learn, from whole fits alone, so that the engine stays free to change: `stump` is mostly the
//! binning and one pass of the histograms over all rows, `level` adds ten levels of large nodes, `deep` the many small ones.
//!
//! The data are seeded noise with a signal, of which most numbers have far more values than bins.
#![allow(missing_docs, reason = "the macros of criterion")]

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use phantomnet_learn::rng::Rng;
use phantomnet_learn::{FitContext, ForestLearner, Learner, MaxFeatures};
use phantomnet_model::{Classes, Dataset, FeatureSchema, Matrix};

const N_FEATURES: usize = 32;

fn dataset(n_rows: usize) -> Dataset {
    let mut rng = Rng::new(1);
    let mut column = |j: usize| -> Vec<f32> {
        // Each fourth feature has few values.
        let n_values = if j.is_multiple_of(4) { 20 } else { 1 << 20 };
        (0..n_rows).map(|_| rng.below(n_values) as f32 / n_values as f32).collect()
    };
    let columns: Vec<Vec<f32>> = (0..N_FEATURES).map(&mut column).collect();
    let label = |i: usize| u32::from(columns[0][i] + columns[1][i] * columns[2][i] + noise(i) > 1.1);
    let labels = (0..n_rows).map(label).collect();
    let names: Vec<String> = (0..N_FEATURES).map(|j| format!("x{j}")).collect();
    let schema = Arc::new(FeatureSchema::numbers(&names));
    let matrix = Matrix::new(n_rows, columns).expect("columns of one length");
    Dataset::new(schema, Arc::new(Classes::boolean()), matrix, labels).expect("labels of two classes")
}

/// Up to half, so that trees grow deep.
fn noise(i: usize) -> f32 {
    Rng::new(2).fork(i as u64).below(1000) as f32 / 2000.0
}

fn learners() -> [(&'static str, ForestLearner); 3] {
    let tree = ForestLearner { max_features: MaxFeatures::All, ..ForestLearner::decision_tree() };
    [
        ("stump", ForestLearner { max_depth: Some(1), ..tree.clone() }),
        ("level", ForestLearner { max_depth: Some(10), ..tree }),
        ("deep", ForestLearner { n_estimators: 10, ..ForestLearner::random_forest() }),
    ]
}

fn fit(c: &mut Criterion) {
    for (size, n_rows) in [("10k", 10_000), ("100k", 100_000)] {
        let data = dataset(n_rows);
        let rows: Vec<u32> = (0..n_rows as u32).collect();
        let mut group = c.benchmark_group(format!("fit/{size}-rows/{N_FEATURES}-features"));
        group.throughput(Throughput::Elements(n_rows as u64)).sample_size(10);
        for (name, learner) in learners() {
            for n_threads in [NonZeroUsize::MIN, NonZeroUsize::MIN.saturating_add(1)] {
                group.bench_function(BenchmarkId::new(name, format!("{n_threads}-threads")), |b| {
                    b.iter(|| {
                        let mut cx = FitContext::new(n_threads);
                        black_box(learner.fit(&data, &rows, &mut cx).expect("two classes and some rows"))
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, fit);
criterion_main!(benches);
