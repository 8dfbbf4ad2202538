//! Logistic regression, fitted by argmin's L-BFGS.

mod loss;

use std::cell::{Ref, RefCell};
use std::sync::atomic::AtomicBool;

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use phantomnet_model::{Dataset, Encoding, FeatureKind, Linear};

use crate::{ClassWeight, Fit, FitContext, LearnError, Learner};
use loss::Loss;

/// Intercept of a class without a training row: no logit of another class is as low, so its probability is 0.
const NEVER: f64 = -1e30;

/// Steps that L-BFGS remembers; scikit-learn's number.
const MEMORY: usize = 10;

/// A linear model of the log odds: the baseline that shows what a forest adds.
///
/// Numbers are standardised by the mean and standard deviation of their finite training values, categories are one-hot,
/// missing values count as the mean or as no category. Two classes give one vector of weights, more give one a class.
///
/// Minimises the weighted sum of the rows' log losses plus `|weights|² / (2 c)`, intercepts free, as scikit-learn's
/// `LogisticRegression(C=c)` on a standardised matrix.
///
/// Limits: one thread; the last digits may differ between machines, whose
/// exponentials round differently.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticRegression {
    /// Inverse of the L2 penalty: smaller values pull weights to 0. From 1e-9 to 1e9; default 1. scikit-learn: `C`.
    pub c: f64,
    /// What a row of each class weighs in the loss. Default [`ClassWeight::None`].
    pub class_weight: ClassWeight,
    /// Most iterations of L-BFGS; a fit that would need more has a warning. At least 1; default 100.
    pub max_iter: u64,
    /// Length of the gradient of the mean loss at which the fit has converged. Above 0 and at most 1; default 1e-4.
    pub tol: f64,
}

impl Default for LogisticRegression {
    fn default() -> Self {
        Self { c: 1.0, class_weight: ClassWeight::None, max_iter: 100, tol: 1e-4 }
    }
}

impl Learner for LogisticRegression {
    fn name(&self) -> &str {
        "logistic_regression"
    }

    fn params(&self) -> Vec<(String, String)> {
        vec![
            ("penalty".to_owned(), "l2".to_owned()),
            ("c".to_owned(), self.c.to_string()),
            ("class_weight".to_owned(), self.class_weight.to_string()),
            ("max_iter".to_owned(), self.max_iter.to_string()),
            ("tol".to_owned(), self.tol.to_string()),
        ]
    }

    fn check(&self) -> Result<(), LearnError> {
        let check = |valid: bool, name, expected: &str, got: String| match valid {
            true => Ok(()),
            false => Err(LearnError::Param { name, expected: expected.to_owned(), got }),
        };
        let (c, max_iter, tol) = (self.c, self.max_iter, self.tol);
        check((1e-9..=1e9).contains(&c), "c", "from 1e-9 to 1e9", c.to_string())?;
        check(max_iter >= 1, "max_iter", "at least 1", max_iter.to_string())?;
        check(tol > 0.0 && tol <= 1.0, "tol", "above 0 and at most 1", tol.to_string())?;
        self.class_weight.check()
    }

    fn fit(&self, data: &Dataset, rows: &[u32], cx: &mut FitContext<'_>) -> Result<Fit, LearnError> {
        let (model, warnings) = self.fit_linear(data, rows, cx)?;
        Ok(Fit { model: Box::new(model), importances: None, oob: None, warnings })
    }
}

impl LogisticRegression {
    /// The linear model itself, and what is to be said about it.
    fn fit_linear(
        &self,
        data: &Dataset,
        rows: &[u32],
        cx: &mut FitContext<'_>,
    ) -> Result<(Linear, Vec<String>), LearnError> {
        self.check()?;
        let counts = cx.class_counts(data, rows)?;
        let class_weights = self.class_weight.resolve(&data.classes().names, &counts)?;
        // Sums of f64 depend on the order of rows: sorted, they do not depend on the caller's.
        let mut rows = rows.to_vec();
        rows.sort_unstable();

        let encodings: Vec<Encoding> = (data.schema().features().iter().enumerate())
            .map(|(j, feature)| encoding(&feature.kind, data.column(j), &rows))
            .collect();
        let present: Vec<usize> = (0..counts.len()).filter(|&class| counts[class] > 0).collect();
        let weights = present.iter().map(|&class| class_weights[class]).collect();
        let loss = Loss::new(data, &rows, &encodings, &present, weights, 1.0 / self.c);
        let (params, n_iter) = self.minimise(&loss, cx)?;

        let mut gradient = vec![0.0; params.len()];
        loss.evaluate(&params, &mut gradient);
        let length = gradient.iter().map(|x| x * x).sum::<f64>().sqrt();
        if !length.is_finite() {
            let learner = self.name().to_owned();
            return Err(LearnError::NotFinite { learner });
        }
        let mut warnings = Vec::new();
        if length > self.tol {
            warnings.push(format!(
                "logistic regression did not converge: after {n_iter} iterations (`max_iter` is {}) its gradient is {length:.1e}, \
                 above `tol`, {:.1e}",
                self.max_iter, self.tol
            ));
        }
        let (weights, intercepts) = over_all_classes(&params, &present[loss.n_fixed..], counts.len());
        let model = Linear::new(encodings, weights, intercepts).map_err(LearnError::Model)?;
        Ok((model, warnings))
    }

    /// The params with the least loss that were met, and the number of iterations.
    fn minimise(&self, loss: &Loss<'_>, cx: &FitContext<'_>) -> Result<(Vec<f64>, u64), LearnError> {
        let failed = |error: Error| LearnError::Fit { learner: self.name().to_owned(), source: error.into() };
        let start = vec![0.0; loss.n_params()];
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY).with_tolerance_grad(self.tol).map_err(failed)?;
        let problem = Stoppable { loss, stop: cx.stop(), last: RefCell::default() };
        let result = Executor::new(problem, solver)
            .configure(|state| state.param(start.clone()).max_iters(self.max_iter))
            .timer(false)
            .run();
        // Being stopped is the one reason for which the loss refuses to be computed.
        cx.check_stop()?;
        let result = result.map_err(failed)?;
        let params = result.state.get_best_param().cloned().unwrap_or(start);
        Ok((params, result.state.get_iter()))
    }
}

/// A loss that can be given up. The search for a step asks for value and gradient at each place, one after the other: both are computed
/// at once, which takes hardly longer than one.
struct Stoppable<'a> {
    loss: &'a Loss<'a>,
    stop: Option<&'a AtomicBool>,
    last: RefCell<Evaluated>,
}

/// The params that were asked for last, with their loss and its gradient.
#[derive(Default)]
struct Evaluated {
    params: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
}

impl Stoppable<'_> {
    /// Loss and gradient at some params.
    fn at(&self, params: &[f64]) -> Result<Ref<'_, Evaluated>, Error> {
        if self.last.borrow().params != params {
            if self.stop.is_some_and(|stop| stop.load(std::sync::atomic::Ordering::Relaxed)) {
                return Err(LearnError::Stopped.into());
            }
            let mut gradient = vec![0.0; params.len()];
            let loss = self.loss.evaluate(params, &mut gradient);
            self.last.replace(Evaluated { params: params.to_vec(), loss, gradient });
        }
        Ok(self.last.borrow())
    }
}

impl CostFunction for Stoppable<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, params: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.at(params)?.loss)
    }
}

impl Gradient for Stoppable<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, params: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.at(params)?.gradient.clone())
    }
}

/// How a feature enters, by its training rows.
fn encoding(kind: &FeatureKind, column: &[f32], rows: &[u32]) -> Encoding {
    if let FeatureKind::Category { dictionary } = kind {
        let n_codes = dictionary.n_codes();
        return Encoding::Category { n_codes };
    }
    let values = || {
        let values = rows.iter().map(|&row| f64::from(column[row as usize]));
        values.filter(|x| x.is_finite())
    };
    let Some(first) = values().next() else {
        return Encoding::Number { mean: 0.0, scale: 1.0 };
    };
    // Rounding would give a constant feature a tiny deviation, and so noise of size 1.
    if values().all(|x| x == first) {
        return Encoding::Number { mean: first, scale: 1.0 };
    }
    let n = values().count() as f64;
    let mean = values().sum::<f64>() / n;
    let variance = values().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    Encoding::Number { mean, scale: variance.sqrt() }
}

/// Weights (terms × classes, row-major) and intercepts of all classes, given those of the `free` ones.
fn over_all_classes(params: &[f64], free: &[usize], n_classes: usize) -> (Vec<f64>, Vec<f64>) {
    let (weights, of_free) = params.split_at(params.len() - free.len());
    // The fixed class of two has logit 0.
    let mut intercepts = vec![if n_classes == 2 { 0.0 } else { NEVER }; n_classes];
    for (&class, &intercept) in free.iter().zip(of_free) {
        intercepts[class] = intercept;
    }
    let mut all = vec![0.0; weights.len() / free.len() * n_classes];
    for (all, of_free) in all.chunks_exact_mut(n_classes).zip(weights.chunks_exact(free.len())) {
        for (&class, &weight) in free.iter().zip(of_free) {
            all[class] = weight;
        }
    }
    (all, intercepts)
}

#[cfg(test)]
mod tests;
