//! The function that logistic regression minimises, and its gradient.

use phantomnet_model::{Dataset, Encoding};

/// Encoded rows, as the terms of each that are not 0: most terms of a category are.
#[derive(Debug)]
pub(super) struct EncodedRows {
    n_terms: usize,
    /// Index and value of each term, row after row.
    terms: Vec<(u32, f64)>,
    /// Where each row's terms end.
    ends: Vec<usize>,
}

impl EncodedRows {
    /// Encodes `rows`.
    pub(super) fn new(data: &Dataset, rows: &[u32], encodings: &[Encoding]) -> Self {
        let n_terms = Encoding::total(encodings);
        let mut encoded = Self { n_terms, terms: Vec::new(), ends: Vec::with_capacity(rows.len()) };
        let mut values = vec![0.0; data.n_features()];
        let mut terms = vec![0.0; n_terms];
        for &row in rows {
            data.matrix().copy_row(row as usize, &mut values);
            Encoding::encode_row(encodings, &values, &mut terms);
            let not_zero = (0..).zip(&terms).filter(|&(_, &x)| x != 0.0);
            encoded.terms.extend(not_zero.map(|(term, &x)| (term, x)));
            encoded.ends.push(encoded.terms.len());
        }
        encoded
    }

    fn iter(&self) -> impl Iterator<Item = &[(u32, f64)]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.terms[start..end])
    }
}

/// The penalised log loss of some rows, divided by their weight.
///
/// Params are the weights of the *free* classes, `n_terms × n_free`, term-major, then their intercepts.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) rows: EncodedRows,
    /// Class of each row.
    pub(super) labels: Vec<usize>,
    /// What a row of each class weighs; as many as there are classes.
    pub(super) class_weights: Vec<f64>,
    /// Leading classes whose logit is always 0.
    pub(super) n_fixed: usize,
    /// Strength of the L2 penalty, `1 / c`.
    pub(super) alpha: f64,
}

impl Loss {
    fn n_free(&self) -> usize {
        self.class_weights.len() - self.n_fixed
    }

    /// Number of params.
    pub(super) fn n_params(&self) -> usize {
        (self.rows.n_terms + 1) * self.n_free()
    }

    /// The loss at `params`; its gradient goes to `gradient`, which is zero.
    ///
    /// With row weights `w_i` that sum to `w`: `(Σ w_i · −ln p_i + alpha / 2 · |weights|²) / w`, where `p_i` is the softmax
    /// of the row's logits at its class. O(values · classes).
    pub(super) fn evaluate(&self, params: &[f64], mut gradient: Option<&mut [f64]>) -> f64 {
        let n_free = self.n_free();
        let (weights, intercepts) = params.split_at(self.rows.n_terms * n_free);
        let mut logits = vec![0.0; self.class_weights.len()];
        let (mut loss, mut total) = (0.0, 0.0);
        for (row, &label) in self.rows.iter().zip(&self.labels) {
            let free = &mut logits[self.n_fixed..];
            free.copy_from_slice(intercepts);
            for &(term, x) in row {
                let weights = &weights[term as usize * n_free..][..n_free];
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

            if let Some(gradient) = &mut gradient {
                let (of_weights, of_intercepts) = gradient.split_at_mut(weights.len());
                let errors = &mut logits;
                errors.iter_mut().for_each(|p| *p *= row_weight / sum);
                errors[label] -= row_weight;
                let errors = &errors[self.n_fixed..];
                for &(term, x) in row {
                    let of_term = &mut of_weights[term as usize * n_free..][..n_free];
                    of_term.iter_mut().zip(errors).for_each(|(g, error)| *g += x * error);
                }
                of_intercepts.iter_mut().zip(errors).for_each(|(g, error)| *g += error);
            }
        }
        if let Some(gradient) = gradient {
            for (g, weight) in gradient.iter_mut().zip(weights) {
                *g += self.alpha * weight;
            }
            gradient.iter_mut().for_each(|g| *g /= total);
        }
        let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
        (loss + self.alpha / 2.0 * squares) / total
    }
}
