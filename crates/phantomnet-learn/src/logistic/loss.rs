//! The function that logistic regression minimises, and its gradient.

use phantomnet_model::{Dataset, Encoding};

/// Rows that are encoded at a time, a feature after another, which is faster than a row after another.
const BLOCK: usize = 256;

/// The penalised log loss of some rows, divided by their weight.
///
/// Rows are encoded each time they are looked at: that takes a tenth of the time, and to keep them would take 16 bytes a value. Params
/// are the weights of the *free* classes, `n_terms × n_free`, term-major, then their intercepts.
#[derive(Debug)]
pub(super) struct Loss<'a> {
    data: &'a Dataset,
    rows: &'a [u32],
    /// Of each feature its first term, how it is encoded, and its values.
    features: Vec<(usize, Encoding, &'a [f32])>,
    n_terms: usize,
    /// What each class of the data is called here: of those that have a row, its number.
    classes: Vec<usize>,
    /// What a row of each such class weighs.
    class_weights: Vec<f64>,
    /// Leading classes whose logit is always 0.
    pub(super) n_fixed: usize,
    /// Strength of the L2 penalty, `1 / c`.
    alpha: f64,
}

impl<'a> Loss<'a> {
    /// Of the classes of `data`, those that are `present` in `rows`, with the weight of each; an encoding for each feature.
    pub(super) fn new(
        data: &'a Dataset,
        rows: &'a [u32],
        encodings: &[Encoding],
        present: &[usize],
        class_weights: Vec<f64>,
        alpha: f64,
    ) -> Self {
        let mut n_terms = 0;
        let features = encodings.iter().enumerate().map(|(j, encoding)| {
            n_terms += encoding.n_terms();
            (n_terms - encoding.n_terms(), *encoding, data.column(j))
        });
        let features = features.filter(|(_, encoding, _)| encoding.n_terms() > 0).collect();
        let n_classes = data.classes().len();
        let classes = (0..n_classes).map(|class| present.partition_point(|&other| other < class)).collect();
        // With two classes the first one's logit stays 0, as its weights would say the same once more.
        let n_fixed = usize::from(n_classes == 2);
        Self { data, rows, features, n_terms, classes, class_weights, n_fixed, alpha }
    }

    fn n_free(&self) -> usize {
        self.class_weights.len() - self.n_fixed
    }

    /// Number of params.
    pub(super) fn n_params(&self) -> usize {
        (self.n_terms + 1) * self.n_free()
    }

    /// Terms of rows, one for each feature, row after row; where a value has none, it is one of value 0.
    fn encode(&self, rows: &[u32], terms: &mut [(usize, f64)]) {
        let n_features = self.features.len();
        for (j, &(first, encoding, column)) in self.features.iter().enumerate() {
            for (row, term) in rows.iter().zip(terms[j..].iter_mut().step_by(n_features)) {
                *term = (first, 0.0);
                encoding.for_each_term(column[*row as usize], |at, x| *term = (first + at, x));
            }
        }
    }

    /// The loss at `params`; its gradient goes to `gradient`, which is zero.
    ///
    /// With row weights `w_i` that sum to `w`: `(Σ w_i · −ln p_i + alpha / 2 · |weights|²) / w`, where `p_i` is the softmax
    /// of the row's logits at its class. O(values · classes).
    pub(super) fn evaluate(&self, params: &[f64], gradient: &mut [f64]) -> f64 {
        let n_free = self.n_free();
        let (weights, intercepts) = params.split_at(self.n_terms * n_free);
        let mut logits = vec![0.0; self.class_weights.len()];
        let (mut loss, mut total) = (0.0, 0.0);
        let n_features = self.features.len();
        let mut terms = vec![(0, 0.0); BLOCK * n_features];
        for rows in self.rows.chunks(BLOCK) {
            self.encode(rows, &mut terms);
            for (i, &row) in rows.iter().enumerate() {
                let terms = &terms[i * n_features..][..n_features];
                let label = self.classes[self.data.labels()[row as usize] as usize];
                let free = &mut logits[self.n_fixed..];
                free.copy_from_slice(intercepts);
                for &(term, x) in terms {
                    let weights = &weights[term * n_free..][..n_free];
                    free.iter_mut().zip(weights).for_each(|(logit, weight)| *logit += x * weight);
                }
                logits[..self.n_fixed].fill(0.0);

                // Relative to the row's largest logit, so that no exponential overflows and one is 1.
                let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let of_label = logits[label] - max;
                let mut sum = 0.0;
                for logit in &mut logits {
                    *logit = (*logit - max).exp();
                    sum += *logit;
                }
                let row_weight = self.class_weights[label];
                loss += row_weight * (sum.ln() - of_label);
                total += row_weight;

                let (of_weights, of_intercepts) = gradient.split_at_mut(weights.len());
                let errors = &mut logits;
                errors.iter_mut().for_each(|p| *p *= row_weight / sum);
                errors[label] -= row_weight;
                let errors = &errors[self.n_fixed..];
                for &(term, x) in terms {
                    let of_term = &mut of_weights[term * n_free..][..n_free];
                    of_term.iter_mut().zip(errors).for_each(|(g, error)| *g += x * error);
                }
                of_intercepts.iter_mut().zip(errors).for_each(|(g, error)| *g += error);
            }
        }
        for (g, weight) in gradient.iter_mut().zip(weights) {
            *g += self.alpha * weight;
        }
        gradient.iter_mut().for_each(|g| *g /= total);
        let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
        (loss + self.alpha / 2.0 * squares) / total
    }
}
