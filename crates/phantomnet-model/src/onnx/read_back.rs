//! What was written, read again and scored: an export is what was trained, or it is an error.

use super::{Contents, parse};
use crate::{Classes, FeatureSchema, Forest, Matrix, Model, Node, Test};

/// Most rows made up for the comparison. A forest with more thresholds on a feature than half of this has them sampled evenly.
const MAX_ROWS: usize = 1 << 14;

/// Reads `bytes` that were written for `model` and compares both, bit for bit, on the `golden` rows and on made-up ones: both
/// sides of every threshold, every category code that a set names, and missing values. Gives the forest, if it is one.
///
/// A graph of another crate's making cannot be read, and is taken as it is.
///
/// # Errors
/// Where the two differ.
pub(crate) fn read_back(
    model: &dyn Model,
    bytes: &[u8],
    schema: &FeatureSchema,
    classes: &Classes,
    golden: &[&[f32]],
) -> Result<Option<Forest>, String> {
    match parse(bytes, schema, classes)? {
        Contents::Forest(forest) => {
            compare(model, &forest, &rows(values_of(&forest), golden))?;
            Ok(Some(forest))
        }
        Contents::Linear(linear) => {
            compare(model, &linear, &rows(vec![plain_values(); schema.len()], golden))?;
            Ok(None)
        }
        Contents::Foreign(_) => Ok(None),
    }
}

fn compare(model: &dyn Model, back: &dyn Model, rows: &Matrix) -> Result<(), String> {
    if (model.n_features(), model.n_classes()) != (back.n_features(), back.n_classes()) {
        return Err("it has other features or classes".into());
    }
    let all: Vec<u32> = (0..rows.n_rows() as u32).collect();
    let (expected, got) = (model.predict(rows, &all), back.predict(rows, &all));
    let differs = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits();
    match expected.values().iter().zip(got.values()).position(differs) {
        None => Ok(()),
        Some(at) => {
            let i = at / model.n_classes();
            let mut x = vec![0.0; rows.n_features()];
            rows.copy_row(i, &mut x);
            Err(format!("it gives {:?} for {x:?}, the model {:?}", got.row(i), expected.row(i)))
        }
    }
}

/// Values that every feature takes.
fn plain_values() -> Vec<f32> {
    vec![f32::NAN, f32::NEG_INFINITY, f32::INFINITY, 0.0, 1.0, -1.0, 0.5]
}

/// For each feature the values that decide something.
fn values_of(forest: &Forest) -> Vec<Vec<f32>> {
    let mut values = vec![plain_values(); forest.n_features()];
    for tree in forest.trees() {
        for node in tree.nodes() {
            if let Node::Split { feature, test, .. } = node {
                let values = &mut values[*feature as usize];
                match test {
                    Test::AtMost(threshold) => values.extend([*threshold, threshold.next_up()]),
                    Test::In(set) => values.extend(set.codes().map(f32::from)),
                }
            }
        }
    }
    for values in &mut values {
        values.sort_unstable_by(f32::total_cmp);
        values.dedup_by_key(|v| v.to_bits());
    }
    values
}

/// Rows in which every feature takes each of its values, as far as [`MAX_ROWS`] allow, and the golden ones behind them.
fn rows(values: Vec<Vec<f32>>, golden: &[&[f32]]) -> Matrix {
    let n_rows = values.iter().map(Vec::len).max().unwrap_or(1).min(MAX_ROWS);
    let columns = values.iter().enumerate().map(|(j, values)| {
        // Features are out of step, so that their small values do not always meet.
        let made_up = (0..n_rows).map(|i| match values.len() {
            n if n <= n_rows => values[(i + 31 * j) % n],
            n => values[i * n / n_rows],
        });
        made_up.chain(golden.iter().map(|row| row.get(j).copied().unwrap_or(f32::NAN))).collect()
    });
    Matrix::new(n_rows + golden.len(), columns.collect()).expect("columns of equal length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PROBABILITY_UNITS, Tree, leaf_probabilities, onnx};

    fn forest(threshold: f32, missing_left: bool) -> Forest {
        let mut leaves = Vec::new();
        leaf_probabilities(&[1.0, 0.0], PROBABILITY_UNITS, &mut leaves);
        leaf_probabilities(&[0.0, 1.0], PROBABILITY_UNITS, &mut leaves);
        let split = Node::Split { feature: 0, test: Test::AtMost(threshold), missing_left, left: 1, right: 2 };
        Forest::new(1, 2, vec![Tree::new(vec![split, Node::Leaf(0), Node::Leaf(1)], leaves)]).unwrap()
    }

    #[test]
    fn an_export_that_differs_in_anything_is_noticed() {
        let (schema, classes) = (FeatureSchema::numbers(&["a"]), Classes::boolean());
        let model = forest(2.5, true);
        let back = |exported: &Forest| {
            let bytes = onnx::write(exported, &schema, &classes).unwrap();
            read_back(&model, &bytes, &schema, &classes, &[])
        };
        assert_eq!(back(&model), Ok(Some(forest(2.5, true))));
        for other in [forest(2.5_f32.next_up(), true), forest(2.5_f32.next_down(), true), forest(2.5, false)] {
            let error = back(&other).unwrap_err();
            assert!(error.starts_with("it gives ["), "{error}");
        }
    }
}
