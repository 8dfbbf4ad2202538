//! Logistic regression, fitted by linfa's L-BFGS.

use linfa::ParamGuard;
use linfa::traits::Fit as _;
use linfa_logistic::{LogisticRegression as TwoClass, MultiLogisticRegression as ManyClass};
use ndarray::{Array1, Array2, Axis, s};
use phantomnet_model::{Dataset, Encoding, FeatureKind, Linear};

use crate::{Fit, FitContext, LearnError, Learner};

/// Intercept of a class without a training row: no logit of another class is as low, so its probability is 0.
const NEVER: f64 = -1e30;

/// A linear model of the log odds: the baseline that shows what a forest adds.
///
/// Numbers are standardised by the mean and standard deviation of their finite training values, categories are one-hot,
/// missing values count as the mean or as no category. Two classes give one vector of weights, more give one a class.
///
/// Minimises the sum of the rows' log losses plus `|weights|² / (2 c)`, intercepts free, as scikit-learn's
/// `LogisticRegression(C=c)` on a standardised matrix.
///
/// Limits: the encoded matrix takes 8 bytes a row and term, a category having a term for each of its codes; a fit
/// cannot be stopped between its iterations; results are the same for any number of threads, but may differ in the last
/// digits between machines, whose exponentials and products round differently.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticRegression {
    /// Inverse of the L2 penalty: smaller values pull weights to 0. From 1e-9 to 1e9; default 1. scikit-learn: `C`.
    pub c: f64,
    /// Most iterations of L-BFGS; a fit that would need more has a warning. At least 1; default 100.
    pub max_iter: u64,
    /// Length of the gradient, divided by the number of rows, at which the fit has converged. Above 0 and at most 1; default
    /// 1e-4.
    pub tol: f64,
}

impl Default for LogisticRegression {
    fn default() -> Self {
        Self { c: 1.0, max_iter: 100, tol: 1e-4 }
    }
}

impl Learner for LogisticRegression {
    fn name(&self) -> &str {
        "logistic_regression"
    }

    fn params(&self) -> Vec<(String, String)> {
        vec![
            ("c".to_owned(), self.c.to_string()),
            ("penalty".to_owned(), "l2".to_owned()),
            ("max_iter".to_owned(), self.max_iter.to_string()),
            ("tol".to_owned(), self.tol.to_string()),
        ]
    }

    fn check(&self) -> Result<(), LearnError> {
        let check = |valid: bool, name, expected: &str, got: String| match valid {
            true => Ok(()),
            false => Err(LearnError::Param { name, expected: expected.to_owned(), got }),
        };
        check((1e-9..=1e9).contains(&self.c), "c", "from 1e-9 to 1e9", self.c.to_string())?;
        check(self.max_iter >= 1, "max_iter", "at least 1", self.max_iter.to_string())?;
        check(self.tol > 0.0 && self.tol <= 1.0, "tol", "above 0 and at most 1", self.tol.to_string())
    }

    fn fit(&self, data: &Dataset, rows: &[u32], cx: &mut FitContext<'_>) -> Result<Fit, LearnError> {
        self.check()?;
        let counts = cx.class_counts(data, rows)?;
        // Sums of f64 depend on the order of rows: sorted, they do not depend on the caller's.
        let mut rows = rows.to_vec();
        rows.sort_unstable();

        let encodings: Vec<Encoding> = (data.schema().features().iter().enumerate())
            .map(|(j, feature)| encoding(&feature.kind, data.column(j), &rows))
            .collect();
        let problem = Problem {
            x: encode(data, &rows, &encodings),
            labels: rows.iter().map(|&row| data.labels()[row as usize]).collect(),
            alpha: 1.0 / self.c,
        };
        cx.check_stop()?;
        let solution = if counts.len() == 2 { self.solve_two(&problem)? } else { self.solve_many(&problem)? };
        cx.check_stop()?;

        let gradient = problem.gradient_norm(&solution) / rows.len() as f64;
        if !gradient.is_finite() {
            return Err(LearnError::NotFinite { learner: self.name().to_owned() });
        }
        let mut warnings = Vec::new();
        if gradient > self.tol {
            warnings.push(format!(
                "logistic regression did not converge in {} iterations: its gradient is {gradient:.1e}, `tol` is {:.1e}",
                self.max_iter, self.tol
            ));
        }
        let (weights, intercepts) = solution.over_all_classes(counts.len());
        let model = Linear::new(encodings, weights, intercepts).map_err(LearnError::Model)?;
        Ok(Fit { model: Box::new(model), importances: None, warnings })
    }
}

impl LogisticRegression {
    /// Two classes, of which the first has no weights.
    fn solve_two(&self, problem: &Problem) -> Result<Solution, LearnError> {
        let params = TwoClass::default()
            .alpha(problem.alpha)
            .max_iterations(self.max_iter)
            .gradient_tolerance(self.tol * problem.labels.len() as f64);
        let data = linfa::DatasetBase::new(problem.x.view(), problem.labels.view());
        let fitted = params.check().and_then(|valid| valid.fit(&data)).map_err(|error| self.failed(error))?;
        // linfa takes the class with more rows as its positive one.
        let sign = if fitted.labels().pos.class == 1 { 1.0 } else { -1.0 };
        let mut weights = Array2::zeros((problem.x.ncols(), 2));
        weights.column_mut(1).assign(&(fitted.params() * sign));
        let intercepts = Array1::from_vec(vec![0.0, sign * fitted.intercept()]);
        Ok(Solution { classes: vec![0, 1], weights, intercepts, n_fixed: 1 })
    }

    /// More classes, of which some may have no row.
    fn solve_many(&self, problem: &Problem) -> Result<Solution, LearnError> {
        let params = ManyClass::default()
            .alpha(problem.alpha)
            .max_iterations(self.max_iter)
            .gradient_tolerance(self.tol * problem.labels.len() as f64);
        let data = linfa::DatasetBase::new(problem.x.view(), problem.labels.view());
        let fitted = params.check().and_then(|valid| valid.fit(&data)).map_err(|error| self.failed(error))?;
        Ok(Solution {
            classes: fitted.classes().to_vec(),
            weights: fitted.params().to_owned(),
            intercepts: fitted.intercept().to_owned(),
            n_fixed: 0,
        })
    }

    fn failed(&self, error: linfa_logistic::error::Error) -> LearnError {
        LearnError::Fit { learner: self.name().to_owned(), source: Box::new(error) }
    }
}

/// How a feature enters, by its training rows.
fn encoding(kind: &FeatureKind, column: &[f32], rows: &[u32]) -> Encoding {
    if let FeatureKind::Category { dictionary } = kind {
        return Encoding::Category { n_codes: dictionary.n_codes() };
    }
    let values = || rows.iter().map(|&row| f64::from(column[row as usize])).filter(|x| x.is_finite());
    let n = values().count() as f64;
    let Some(first) = values().next() else {
        return Encoding::Number { mean: 0.0, scale: 1.0 };
    };
    // Rounding would give a constant feature a tiny deviation, and so noise of size 1.
    if values().all(|x| x == first) {
        return Encoding::Number { mean: first, scale: 1.0 };
    }
    let mean = values().sum::<f64>() / n;
    let variance = values().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    Encoding::Number { mean, scale: variance.sqrt() }
}

/// The encoded rows: rows × terms.
fn encode(data: &Dataset, rows: &[u32], encodings: &[Encoding]) -> Array2<f64> {
    let mut x = Array2::zeros((rows.len(), Encoding::total(encodings)));
    let mut row_values = vec![0.0; data.n_features()];
    let mut terms = vec![0.0; x.ncols()];
    for (&row, mut encoded) in rows.iter().zip(x.rows_mut()) {
        data.matrix().copy_row(row as usize, &mut row_values);
        Encoding::encode_row(encodings, &row_values, &mut terms);
        encoded.iter_mut().zip(&terms).for_each(|(to, from)| *to = *from);
    }
    x
}

/// What is minimised.
struct Problem {
    /// Rows × terms.
    x: Array2<f64>,
    labels: Array1<u32>,
    /// Strength of the L2 penalty, `1 / c`.
    alpha: f64,
}

/// Where the solver ended.
struct Solution {
    /// Classes that occur, ascending; the columns below.
    classes: Vec<u32>,
    /// Terms × classes.
    weights: Array2<f64>,
    intercepts: Array1<f64>,
    /// Leading classes whose weights are not free.
    n_fixed: usize,
}

impl Problem {
    /// Length of the gradient at a solution. linfa does not tell whether it converged, and its own sums lose rows whose
    /// logits lie far below the largest of all rows, so this is computed anew, row by row.
    fn gradient_norm(&self, solution: &Solution) -> f64 {
        let mut difference = self.x.dot(&solution.weights) + &solution.intercepts;
        for (mut row, label) in difference.rows_mut().into_iter().zip(&self.labels) {
            let max = row.fold(f64::NEG_INFINITY, |max, &logit| max.max(logit));
            row.mapv_inplace(|logit| (logit - max).exp());
            let sum = row.sum();
            row /= sum;
            for (p, class) in row.iter_mut().zip(&solution.classes) {
                *p -= f64::from(u8::from(class == label));
            }
        }
        let free = s![.., solution.n_fixed..];
        let difference = difference.slice(free);
        let weights = self.x.t().dot(&difference) + solution.weights.slice(free).to_owned() * self.alpha;
        let squares = |x: f64| x * x;
        (weights.mapv(squares).sum() + difference.sum_axis(Axis(0)).mapv(squares).sum()).sqrt()
    }
}

impl Solution {
    /// Weights (terms × classes, row-major) and intercepts, with classes put in that have no training row.
    fn over_all_classes(&self, n_classes: usize) -> (Vec<f64>, Vec<f64>) {
        let mut weights = Array2::zeros((self.weights.nrows(), n_classes));
        let mut intercepts = vec![NEVER; n_classes];
        for (column, &class) in self.classes.iter().enumerate() {
            weights.column_mut(class as usize).assign(&self.weights.column(column));
            intercepts[class as usize] = self.intercepts[column];
        }
        (weights.iter().copied().collect(), intercepts)
    }
}
