//! Do other runtimes give the very probabilities that ours gives?
//!
//! `random_forests FOLDER [N]` fits N random forests (default 60) on random tables and writes, for forest `i`,
//! `i.onnx`, `i.rows` (float32, little-endian, rows × features) and `i.probabilities` (float32, rows × classes), and for
//! all `forests.json`: what each is, its classes and the label of each row. `tools/interop/check_forests.py` runs them
//! in ONNX Runtime. The same N gives the same files.
//!
//! Rows hold what training rows hold, and what a stranger may send: values beyond the training range, at and beside
//! thresholds, missing where training lacked nothing, and codes that training did not meet.

#![expect(clippy::print_stdout, reason = "a program, not a library")]

use std::collections::BTreeMap;
use std::error::Error;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use phantomnet_learn::rng::Rng;
use phantomnet_learn::{
    CategoryOrder, ClassWeight, Criterion, FitContext, ForestKind, ForestLearner, Learner, MaxFeatures, MaxSamples,
};
use phantomnet_model::{
    Classes, Dataset, Dictionary, Feature, FeatureKind, FeatureSchema, MAX_CATEGORIES, Matrix, UNSEEN, onnx,
};
use serde_json::{Value, json};

const TEST_ROWS: usize = 400;
const KINDS: [ForestKind; 3] = [ForestKind::RandomForest, ForestKind::ExtraTrees, ForestKind::DecisionTree];

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (folder, n) = match args.as_slice() {
        [folder] => (folder, 60),
        [folder, n] => (folder, n.parse()?),
        _ => return Err("usage: random_forests FOLDER [N]".into()),
    };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    let seeds = Rng::new(0);
    let forests = (0..n).map(|i| write(folder, i, &mut seeds.fork(i as u64))).collect::<Result<Vec<_>, _>>()?;
    std::fs::write(folder.join("forests.json"), serde_json::to_string(&forests)?)?;
    println!("wrote {n} forests to {}", folder.display());
    Ok(())
}

/// Fits forest `i`, writes its files and gives its entry in `forests.json`.
fn write(folder: &Path, i: usize, rng: &mut Rng) -> Result<Value, Box<dyn Error>> {
    let n_classes = 2 + below(rng, 6);
    let names: Vec<String> = (0..n_classes).map(|c| format!("class {c}")).collect();
    let classes = Classes { names, positive: (n_classes == 2).then_some(1) };
    let n_rows = 40 + below(rng, 360);
    let columns: Vec<Column> = (0..1 + below(rng, 8)).map(|_| Column::random(n_rows, rng)).collect();
    let data = dataset(&columns, classes, rng)?;
    let learner = learner(KINDS[i % KINDS.len()], &data.classes().names, rng);

    let rows: Vec<u32> = (0..n_rows as u32).collect();
    let model = learner.fit(&data, &rows, &mut FitContext::new(NonZeroUsize::MIN))?.model;
    let test = Matrix::new(TEST_ROWS, columns.iter().map(|column| column.test_values(rng)).collect())?;
    let rows: Vec<u32> = (0..TEST_ROWS as u32).collect();
    let probabilities = model.predict(&test, &rows);
    let mut features = vec![0.0; TEST_ROWS * columns.len()];
    for (i, row) in features.chunks_exact_mut(columns.len()).enumerate() {
        test.copy_row(i, row);
    }

    let bytes = onnx::write(&*model, data.schema(), data.classes()).ok_or("a forest without ONNX")?;
    std::fs::write(folder.join(format!("{i}.onnx")), bytes)?;
    std::fs::write(folder.join(format!("{i}.rows")), little_endian(&features))?;
    std::fs::write(folder.join(format!("{i}.probabilities")), little_endian(probabilities.values()))?;
    let labels: Vec<&str> = (0..TEST_ROWS).map(|i| data.classes().names[probabilities.argmax(i)].as_str()).collect();
    let params: BTreeMap<String, String> = learner.params().into_iter().collect();
    Ok(json!({
        "learner": learner.name(), "params": params, "classes": data.classes().names,
        "features": data.schema().features().iter().map(|feature| feature.kind.name()).collect::<Vec<_>>(),
        "labels": labels,
    }))
}

fn learner(kind: ForestKind, classes: &[String], rng: &mut Rng) -> ForestLearner {
    let mut learner = match kind {
        ForestKind::RandomForest => ForestLearner::random_forest(),
        ForestKind::ExtraTrees => ForestLearner::extra_trees(),
        ForestKind::DecisionTree => ForestLearner::decision_tree(),
    };
    if kind != ForestKind::DecisionTree {
        // ONNX Runtime goes through more than 80 trees in another way.
        learner.n_estimators = if below(rng, 8) == 0 { 100 } else { 1 + below(rng, 40) };
        learner.bootstrap = learner.bootstrap != (below(rng, 4) == 0);
    }
    if learner.bootstrap && below(rng, 3) == 0 {
        learner.max_samples = MaxSamples::Fraction(0.5);
    }
    learner.criterion = pick(rng, &[Criterion::Gini, Criterion::Entropy, Criterion::LogLoss]);
    learner.max_depth = pick(rng, &[None, None, Some(1), Some(4), Some(9)]);
    learner.max_leaf_nodes = pick(rng, &[None, None, Some(2), Some(30)]);
    learner.max_features = pick(
        rng,
        &[learner.max_features, MaxFeatures::All, MaxFeatures::Log2, MaxFeatures::Count(1), MaxFeatures::Fraction(0.7)],
    );
    learner.min_samples_leaf = pick(rng, &[1, 1, 1, 5]);
    learner.max_bins = pick(rng, &[learner.max_bins, 2, 16, 255]);
    learner.category_order = pick(rng, &[CategoryOrder::Target, CategoryOrder::Blurred]);
    learner.class_weight = match below(rng, 4) {
        0 => ClassWeight::None,
        1 => ClassWeight::Balanced,
        2 => ClassWeight::BalancedSubsample,
        _ => ClassWeight::Map(BTreeMap::from([(classes[0].clone(), 3.7), (classes[1].clone(), 1e-3)])),
    };
    learner.seed = rng.next_u64();
    learner
}

/// Training rows of these columns. Half of the labels follow from the first feature, the others from nothing.
fn dataset(columns: &[Column], classes: Classes, rng: &mut Rng) -> Result<Dataset, Box<dyn Error>> {
    let n_classes = classes.len();
    let features =
        columns.iter().enumerate().map(|(j, column)| Feature { name: format!("x{j}"), kind: column.kind.clone() });
    let schema = FeatureSchema::new(features.collect());
    let label = |(i, x): (usize, &f32)| match i {
        // Two classes at least occur.
        0 | 1 => i as u32,
        _ if below(rng, 2) == 0 => (x.to_bits() >> 19) % n_classes as u32,
        _ => below(rng, n_classes) as u32,
    };
    let labels: Vec<u32> = columns[0].values.iter().enumerate().map(label).collect();
    let n_rows = labels.len();
    let matrix = Matrix::new(n_rows, columns.iter().map(|column| column.values.clone()).collect())?;
    let data = Dataset::new(Arc::new(schema), Arc::new(classes), matrix, labels)?;
    if below(rng, 3) > 0 {
        return Ok(data);
    }
    Ok(data.with_weights((0..n_rows).map(|_| pick(rng, &[0.5, 1.0, 3.25])).collect())?)
}

/// A feature and its training values.
struct Column {
    kind: FeatureKind,
    values: Vec<f32>,
}

impl Column {
    fn random(n_rows: usize, rng: &mut Rng) -> Self {
        let (kind, mut values): (_, Vec<f32>) = match below(rng, 6) {
            0 => (FeatureKind::Boolean, (0..n_rows).map(|_| below(rng, 2) as f32).collect()),
            1 | 2 => {
                let n = pick(rng, &[1, 3, 30, 33, 120, MAX_CATEGORIES]);
                let dictionary = Dictionary::from_values((0..n).map(|v| format!("value {v:03}")).collect());
                // Of some dictionaries, training meets a part only, and of some the unseen value too.
                let (first, n_met) = (below(rng, 2), n.div_ceil(1 + below(rng, 3)));
                let values = (0..n_rows).map(|_| (first + below(rng, n_met)).min(n) as f32).collect();
                (FeatureKind::Category { dictionary: dictionary.unwrap_or_default() }, values)
            }
            _ => {
                let style = below(rng, NUMBER_STYLES);
                (FeatureKind::Number, (0..n_rows).map(|_| number(style, rng)).collect())
            }
        };
        let n_missing_of_10 = pick(rng, &[0, 0, 1, 5]);
        for value in &mut values {
            if below(rng, 10) < n_missing_of_10 {
                *value = f32::NAN;
            }
        }
        Self { kind, values }
    }

    fn test_values(&self, rng: &mut Rng) -> Vec<f32> {
        let mut met: Vec<f32> = self.values.iter().copied().filter(|x| !x.is_nan()).collect();
        met.sort_unstable_by(f32::total_cmp);
        met.dedup();
        (0..TEST_ROWS).map(|_| self.test_value(&met, rng)).collect()
    }

    /// `met`: the distinct training values, in order.
    fn test_value(&self, met: &[f32], rng: &mut Rng) -> f32 {
        const STRANGE: [f32; 10] = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            -0.0,
            0.0,
            f32::MAX,
            f32::MIN,
            f32::from_bits(1),
            -f32::MIN_POSITIVE,
            0.5,
        ];
        let at = below(rng, self.values.len());
        match (below(rng, 8), &self.kind) {
            (0, _) => f32::NAN,
            (1, _) => pick(rng, &STRANGE),
            (2, FeatureKind::Category { .. }) => pick(rng, &[UNSEEN, 255.0, 256.0, 300.0, -1.0, 2.5, 1e9]),
            (_, FeatureKind::Category { dictionary }) => below(rng, dictionary.n_codes()) as f32,
            (2..=5, FeatureKind::Number) if met.len() > 1 => {
                // Where thresholds are.
                let i = below(rng, met.len() - 1);
                let middle = ((f64::from(met[i]) + f64::from(met[i + 1])) / 2.0) as f32;
                pick(rng, &[middle, middle.next_up(), middle.next_down(), met[i].next_up(), met[i].next_down()])
            }
            _ => self.values[at],
        }
    }
}

const NUMBER_STYLES: usize = 5;

fn number(style: usize, rng: &mut Rng) -> f32 {
    let unit = (rng.next_u64() >> 40) as f32 / (1 << 24) as f32;
    match style {
        0 => below(rng, 7) as f32 - 3.0,
        1 => unit,
        // Neighbours, between which a threshold has no room.
        2 => f32::from_bits(1.0_f32.to_bits() + below(rng, 40) as u32),
        // Of any size, zeros and denormal numbers included.
        3 => {
            let value = f32::from_bits((rng.next_u64() >> 32) as u32);
            if value.is_nan() { 0.0 } else { value }
        }
        _ => pick(rng, &[f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -0.0, 0.0, f32::from_bits(1), unit]),
    }
}

fn below(rng: &mut Rng, n: usize) -> usize {
    rng.below(n as u64) as usize
}

fn pick<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[below(rng, choices.len())]
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
