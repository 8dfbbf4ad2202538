//! What every fitted classifier can do.

use crate::{Matrix, onnx};

/// Class probabilities of some rows, row-major: `n_rows × n_classes`, each row summing to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Probabilities {
    n_classes: usize,
    values: Vec<f32>,
}

impl Probabilities {
    /// Wraps row-major `values`, whose length is a multiple of `n_classes`, itself at least 1.
    pub fn new(n_classes: usize, values: Vec<f32>) -> Self {
        debug_assert!(n_classes > 0 && values.len().is_multiple_of(n_classes));
        Self { n_classes, values }
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.values.len() / self.n_classes
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Probabilities of row `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.n_classes..(i + 1) * self.n_classes]
    }

    /// The most probable class of row `i`; ties go to the lower index.
    pub fn argmax(&self, i: usize) -> usize {
        argmax(self.row(i))
    }
}

/// The index of the largest probability of a row; ties go to the lower index.
pub fn argmax(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best })
}

/// A fitted classifier: rows of features in, class probabilities out.
///
/// Pure and immutable: the same row gives the same bits, alone or in a batch, on any thread. Implement it to bring
/// a model of another crate; everything downstream (metrics, tracking, the model folder) takes `dyn Model`.
pub trait Model: Send + Sync + std::fmt::Debug {
    /// Length of a row.
    fn n_features(&self) -> usize;

    /// Number of classes, at least 2.
    fn n_classes(&self) -> usize;

    /// Writes the class probabilities of the row `x` (`n_features` long, NaN is missing) to `out` (`n_classes` long).
    /// Takes no lock and starts no thread; ours do not allocate.
    fn predict_row(&self, x: &[f32], out: &mut [f32]);

    /// The computation as ONNX operators: from the tensor [`onnx::INPUT`] (float32, `[N, n_features]`) to
    /// [`onnx::PROBABILITIES`] (float32, `[N, n_classes]`) and [`onnx::LABEL`] (string, `[N]`, one of `class_names`).
    /// `None` if the model cannot be written as ONNX; it can then be judged and tracked, but not saved.
    fn to_onnx(&self, class_names: &[String]) -> Option<onnx::Fragment>;

    /// Class probabilities of the given rows of `matrix`, in their order.
    fn predict(&self, matrix: &Matrix, rows: &[u32]) -> Probabilities {
        let n_classes = self.n_classes();
        let mut values = vec![0.0; rows.len() * n_classes];
        let mut x = vec![0.0; self.n_features()];
        for (&row, out) in rows.iter().zip(values.chunks_exact_mut(n_classes)) {
            matrix.copy_row(row as usize, &mut x);
            self.predict_row(&x, out);
        }
        Probabilities::new(n_classes, values)
    }
}
