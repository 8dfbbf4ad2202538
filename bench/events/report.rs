//! What a reader prints of its matrix, as measure.py does.

use serde_json::json;

/// A line of JSON: the seconds from the path to the matrix, and the checksum of work.py.
pub fn line(read_s: f64, matrix: &[&[f32]], labels: &[bool]) -> String {
    let sum = |column: &[f32], row: &dyn Fn(usize) -> bool| -> f64 {
        column.iter().enumerate().filter(|(i, x)| !x.is_nan() && row(*i)).map(|(_, x)| f64::from(*x)).sum()
    };
    let missing = |column: &&[f32]| column.iter().filter(|x| x.is_nan()).count();
    json!({
        "read_s": read_s,
        "checksum": {
            "rows": labels.len(),
            "positive": labels.iter().filter(|&&positive| positive).count(),
            "missing": matrix.iter().map(missing).collect::<Vec<_>>(),
            "sums": matrix.iter().map(|column| sum(column, &|_| true)).collect::<Vec<_>>(),
            "sums_positive": matrix.iter().map(|column| sum(column, &|i| labels[i])).collect::<Vec<_>>(),
        },
    })
    .to_string()
}
