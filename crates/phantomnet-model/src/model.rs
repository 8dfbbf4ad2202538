//! What every fitted classifier can do.

use std::num::NonZeroUsize;

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

    /// Whether [`to_onnx`](Self::to_onnx) gives anything, without the work. If not, the model can be judged and tracked, but
    /// not saved.
    fn has_onnx(&self) -> bool;

    /// The computation as ONNX operators: from the tensor [`onnx::INPUT`] (float32, `[N, n_features]`) to
    /// [`onnx::PROBABILITIES`] (float32, `[N, n_classes]`) and [`onnx::LABEL`] (string, `[N]`, one of `class_names`).
    /// `None` if the model cannot be written as ONNX.
    fn to_onnx(&self, class_names: &[String]) -> Option<onnx::Fragment>;

    /// Writes the class probabilities of the given rows of `matrix` to `out` (`rows.len() × n_classes`, row-major).
    fn predict_into(&self, matrix: &Matrix, rows: &[u32], out: &mut [f32]) {
        predict_each(self, matrix, rows, out);
    }

    /// Class probabilities of the given rows of `matrix`, in their order.
    fn predict(&self, matrix: &Matrix, rows: &[u32]) -> Probabilities {
        let mut values = vec![0.0; rows.len() * self.n_classes()];
        self.predict_into(matrix, rows, &mut values);
        Probabilities::new(self.n_classes(), values)
    }

    /// Number of trees; 0 for a model that is not made of trees.
    fn n_trees(&self) -> usize {
        0
    }

    /// Class probabilities of the given rows by the first trees alone, once for each number in `n_trees` (ascending, from 1 to as many
    /// as there are); `None` for a model that is not made of trees. All trees give what [`predict`](Self::predict) gives.
    fn predict_by_trees(&self, _matrix: &Matrix, _rows: &[u32], _n_trees: &[usize]) -> Option<Vec<Probabilities>> {
        None
    }

    /// [`predict`](Self::predict) by up to `n_threads` threads, which end before it returns. The same bits for any number.
    fn predict_parallel(&self, matrix: &Matrix, rows: &[u32], n_threads: NonZeroUsize) -> Probabilities {
        let n_classes = self.n_classes();
        let mut values = vec![0.0; rows.len() * n_classes];
        let n_rows = rows.len().div_ceil(n_threads.get()).max(MIN_THREAD_ROWS);
        let mut parts = rows.chunks(n_rows).zip(values.chunks_mut(n_rows * n_classes));
        // The calling thread takes the first part.
        let own = parts.next();
        std::thread::scope(|scope| {
            for (rows, out) in parts {
                scope.spawn(move || self.predict_into(matrix, rows, out));
            }
            if let Some((rows, out)) = own {
                self.predict_into(matrix, rows, out);
            }
        });
        Probabilities::new(n_classes, values)
    }
}

/// Fewest rows worth a thread: a forest takes longer for them than a thread takes to start.
const MIN_THREAD_ROWS: usize = 512;

/// [`Model::predict_into`] row by row.
pub(crate) fn predict_each<M: Model + ?Sized>(model: &M, matrix: &Matrix, rows: &[u32], out: &mut [f32]) {
    let mut x = vec![0.0; model.n_features()];
    for (&row, out) in rows.iter().zip(out.chunks_exact_mut(model.n_classes())) {
        matrix.copy_row(row as usize, &mut x);
        model.predict_row(&x, out);
    }
}
