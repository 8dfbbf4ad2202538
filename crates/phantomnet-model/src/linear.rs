//! A linear classifier over standardised numbers and one-hot categories.

use crate::{Model, ModelError, onnx};

/// Standardised numbers are clipped to this many standard deviations, so that infinities give finite logits.
pub(crate) const CLIP: f64 = 1e4;

/// Largest weight and intercept.
const MAX_WEIGHT: f64 = 1e100;

/// How one feature enters the linear combination.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Encoding {
    /// `(x − mean) / scale`, clipped to ±10⁴; a missing value gives 0, that is the mean.
    Number {
        /// Training mean over the values that are not missing.
        mean: f64,
        /// Training standard deviation, 1 where it is 0. Positive.
        scale: f64,
    },
    /// One term per code, 1 for the code of the row and 0 for others; a missing value gives 0 everywhere.
    Category {
        /// Number of codes.
        n_codes: usize,
    },
}

impl Encoding {
    /// Number of terms of this feature.
    pub fn n_terms(&self) -> usize {
        match *self {
            Self::Number { .. } => 1,
            Self::Category { n_codes } => n_codes,
        }
    }

    /// Number of terms of all features.
    pub fn total(encodings: &[Self]) -> usize {
        encodings.iter().map(Self::n_terms).sum()
    }

    /// Calls `f` with index and value of each term of `value` that may not be 0: one at most.
    pub fn for_each_term(&self, value: f32, mut f: impl FnMut(usize, f64)) {
        if value.is_nan() {
            return;
        }
        match *self {
            Self::Number { mean, scale } => f(0, ((f64::from(value) - mean) / scale).clamp(-CLIP, CLIP)),
            Self::Category { n_codes } => {
                // What is negative, or no whole number, is not the same on its way back.
                let code = value as usize;
                if code < n_codes && code as f32 == value {
                    f(code, 1.0);
                }
            }
        }
    }
}

/// A multinomial linear model: probabilities are the softmax of `encoded row · weights + intercepts`, in f64.
/// With two classes the first has zero weights, which makes it logistic regression.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    encodings: Vec<Encoding>,
    /// `n_terms × n_classes`, row-major.
    weights: Vec<f64>,
    intercepts: Vec<f64>,
}

impl Linear {
    /// Checks and joins the parts: `weights` is `Encoding::total(&encodings) × n_classes`, row-major.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when lengths disagree, [`ModelError::Value`] when a number is not finite or a scale not positive.
    pub fn new(encodings: Vec<Encoding>, weights: Vec<f64>, intercepts: Vec<f64>) -> Result<Self, ModelError> {
        let bad = |what: &str, expected: &str, got: String| {
            Err(ModelError::Value { what: what.into(), expected: expected.into(), got })
        };
        if intercepts.len() < 2 {
            return bad("linear model", "at least two classes", intercepts.len().to_string());
        }
        let expected = Encoding::total(&encodings).saturating_mul(intercepts.len());
        if weights.len() != expected {
            return Err(ModelError::Shape { what: "weights".into(), expected, got: weights.len() });
        }
        // Far above any fit, and far enough below the largest f64 that no sum of terms overflows.
        if let Some(w) = weights.iter().chain(&intercepts).find(|w| w.is_nan() || w.abs() > MAX_WEIGHT) {
            return bad("weight of a linear model", "a number of at most 1e100", w.to_string());
        }
        for encoding in &encodings {
            if let Encoding::Number { mean, scale } = *encoding
                && !(mean.is_finite() && scale.is_finite() && scale > 0.0)
            {
                return bad("standardisation", "a finite mean and a positive scale", format!("{mean}, {scale}"));
            }
        }
        Ok(Self { encodings, weights, intercepts })
    }

    /// One per class.
    pub(crate) fn intercepts(&self) -> &[f64] {
        &self.intercepts
    }

    /// For each feature its index, encoding and weights (`n_terms × n_classes`).
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (usize, &Encoding, &[f64])> {
        let mut at = 0;
        self.encodings.iter().enumerate().map(move |(j, encoding)| {
            let len = encoding.n_terms() * self.intercepts.len();
            at += len;
            (j, encoding, &self.weights[at - len..at])
        })
    }

    /// Logit of one class.
    fn logit(&self, x: &[f32], class: usize) -> f64 {
        let n_classes = self.intercepts.len();
        let mut sum = self.intercepts[class];
        for (j, encoding, weights) in self.blocks() {
            encoding.for_each_term(x[j], |term, value| sum += value * weights[term * n_classes + class]);
        }
        sum
    }
}

impl Model for Linear {
    fn n_features(&self) -> usize {
        self.encodings.len()
    }

    fn n_classes(&self) -> usize {
        self.intercepts.len()
    }

    fn predict_row(&self, x: &[f32], out: &mut [f32]) {
        // Logits are computed anew instead of kept, since `out` is too narrow for f64 and nothing is allocated here.
        let max = (0..out.len()).map(|c| self.logit(x, c)).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = (0..out.len()).map(|c| (self.logit(x, c) - max).exp()).sum();
        for (class, p) in out.iter_mut().enumerate() {
            *p = ((self.logit(x, class) - max).exp() / sum) as f32;
        }
    }

    fn has_onnx(&self) -> bool {
        true
    }

    fn to_onnx(&self, class_names: &[String]) -> Option<onnx::Fragment> {
        Some(onnx::linear::fragment(self, class_names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Linear {
        let encodings = vec![Encoding::Number { mean: 2.0, scale: 4.0 }, Encoding::Category { n_codes: 3 }];
        // Terms: number, code 0, code 1, code 2; class 0 has zero weights.
        Linear::new(encodings, vec![0.0, 0.5, 0.0, -1.0, 0.0, 0.25, 0.0, 3.0], vec![0.0, 0.125]).unwrap()
    }

    /// The terms of a row, those that are 0 included.
    fn encoded(encodings: &[Encoding], x: &[f32]) -> Vec<f64> {
        let mut out = vec![0.0; Encoding::total(encodings)];
        let mut at = 0;
        for (encoding, &value) in encodings.iter().zip(x) {
            encoding.for_each_term(value, |term, weight| out[at + term] = weight);
            at += encoding.n_terms();
        }
        out
    }

    #[test]
    fn two_classes_are_a_sigmoid() {
        let model = model();
        // (6 - 2) / 4 = 1; 0.5 + 0.25 + 0.125 = 0.875 for code 1.
        for (x, logit) in [
            ([6.0, 1.0], 0.875),
            ([f32::NAN, 2.0], 3.125),
            ([2.0, f32::NAN], 0.125),
            ([2.0, 7.0], 0.125),
            ([f32::INFINITY, f32::NAN], 0.5 * CLIP + 0.125),
        ] {
            let mut p = [0.0; 2];
            model.predict_row(&x, &mut p);
            let expected = 1.0 / (1.0 + f64::exp(-logit));
            assert!((f64::from(p[1]) - expected).abs() < 1e-7, "{x:?}: {p:?} instead of {expected}");
            assert!((p[0] + p[1] - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn rows_are_encoded_feature_by_feature() {
        assert_eq!(encoded(&model().encodings, &[10.0, 2.0]), [2.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn malformed_parts_are_refused() {
        let number = |mean, scale| vec![Encoding::Number { mean, scale }];
        assert!(Linear::new(number(0.0, 1.0), vec![0.0, 1.0], vec![0.0, 0.0]).is_ok());
        assert!(Linear::new(number(0.0, 0.0), vec![0.0, 1.0], vec![0.0, 0.0]).is_err());
        assert!(Linear::new(number(f64::NAN, 1.0), vec![0.0, 1.0], vec![0.0, 0.0]).is_err());
        for weight in [f64::INFINITY, f64::NAN, -1.7e308] {
            assert!(Linear::new(number(0.0, 1.0), vec![0.0, weight], vec![0.0, 0.0]).is_err(), "{weight}");
        }
        assert!(Linear::new(number(0.0, 1.0), vec![0.0], vec![0.0, 0.0]).is_err());
        assert!(Linear::new(vec![Encoding::Category { n_codes: usize::MAX }], vec![], vec![0.0, 0.0]).is_err());
    }
}
