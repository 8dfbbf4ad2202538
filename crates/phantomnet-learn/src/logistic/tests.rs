use std::num::NonZeroUsize;
use std::sync::Arc;

use super::*;
use phantomnet_model::{Classes, Dictionary, FeatureSchema, Matrix, Model};
use proptest::prelude::*;
use rstest::rstest;

const X0: [f32; 10] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0];
const X1: [f32; 10] = [5.0, 3.0, 8.0, 1.0, 9.0, 2.0, 7.0, 4.0, 6.0, 0.0];
const TWO: [u32; 10] = [0, 0, 1, 0, 0, 1, 1, 0, 1, 1];
const THREE: [u32; 10] = [0, 1, 0, 2, 0, 2, 1, 2, 1, 2];

fn dataset(columns: Vec<Vec<f32>>, labels: &[u32], n_classes: usize) -> Dataset {
    let names: Vec<String> = (0..columns.len()).map(|j| format!("x{j}")).collect();
    let classes = Classes {
        names: (0..n_classes).map(|c| format!("class {c}")).collect(),
        positive: (n_classes == 2).then_some(1),
    };
    let matrix = Matrix::new(labels.len(), columns).unwrap();
    let schema = Arc::new(FeatureSchema::numbers(&names));
    Dataset::new(schema, Arc::new(classes), matrix, labels.to_vec()).unwrap()
}

fn fit(learner: &LogisticRegression, data: &Dataset) -> (Linear, Vec<String>) {
    let rows: Vec<u32> = (0..data.n_rows() as u32).collect();
    let mut cx = FitContext::new(NonZeroUsize::MIN);
    learner.fit_linear(data, &rows, &mut cx).unwrap()
}

/// Weights and intercepts of scikit-learn 1.9.1, `LogisticRegression(C=c, class_weight=..., tol=1e-12, max_iter=10000)`
/// on the table above after `StandardScaler`.
#[rstest]
#[case(1.0, ClassWeight::None, &TWO, &[0.0, 0.813801, 0.0, 0.163801], &[0.0, -0.005815])]
#[case(10.0, ClassWeight::None, &TWO, &[0.0, 1.250549, 0.0, 0.309926], &[0.0, -0.023126])]
#[case(
    1.0, ClassWeight::None, &THREE,
    &[-0.763007, 0.225458, 0.537548, 0.933114, 0.157119, -1.090233], &[-0.414632, 0.244791, 0.169840]
)]
#[case(
    10.0, ClassWeight::Balanced, &THREE,
    &[-2.137836, 0.375909, 1.761927, 2.930818, 0.177372, -3.108189], &[-1.465165, 1.328799, 0.136366]
)]
fn weights_agree_with_scikit_learn(
    #[case] c: f64,
    #[case] class_weight: ClassWeight,
    #[case] labels: &[u32],
    #[case] weights: &[f64],
    #[case] intercepts: &[f64],
) {
    let n_classes = intercepts.len();
    let data = dataset(vec![X0.to_vec(), X1.to_vec()], labels, n_classes);
    let learner = LogisticRegression { c, class_weight, tol: 1e-8, ..LogisticRegression::default() };
    let (model, warnings) = fit(&learner, &data);
    assert_eq!(warnings, [""; 0]);
    let expected = Linear::new(
        vec![
            Encoding::Number { mean: 5.5, scale: 8.25_f64.sqrt() },
            Encoding::Number { mean: 4.5, scale: 8.25_f64.sqrt() },
        ],
        weights.to_vec(),
        intercepts.to_vec(),
    )
    .unwrap();
    let rows: Vec<u32> = (0..10).collect();
    let (ours, theirs) = (model.predict(data.matrix(), &rows), expected.predict(data.matrix(), &rows));
    for (a, b) in ours.values().iter().zip(theirs.values()) {
        assert!((a - b).abs() < 2e-6, "{a} instead of {b}\n{model:?}\n{expected:?}");
    }
}

#[test]
fn rows_far_away_count() {
    // One row lies so far out that the logits of all others are 0 beside its own.
    let mut x = vec![0.0; 41];
    x[40] = 1e9;
    (0..40).for_each(|i| x[i] = (i % 4) as f32 / 100.0);
    let noise: Vec<f32> = (0..41).map(|i| (i * 7 % 5) as f32).collect();
    let labels: Vec<u32> = (0..41).map(|i| i % 3).collect();
    let (_, warnings) = fit(&LogisticRegression::default(), &dataset(vec![x, noise], &labels, 3));
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn a_fit_that_does_not_converge_says_so() {
    let data = dataset(vec![X0.to_vec(), X1.to_vec()], &TWO, 2);
    let learner = LogisticRegression { max_iter: 1, tol: 1e-6, ..LogisticRegression::default() };
    let (_, warnings) = fit(&learner, &data);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("logistic regression did not converge: after 1 iterations"), "{warnings:?}");
}

#[rstest]
#[case(&[1.0, 3.0, f32::NAN, f32::INFINITY], 2.0, 1.0)]
#[case(&[0.1, 0.1, 0.1], f64::from(0.1_f32), 1.0)]
#[case(&[f32::NAN, f32::NEG_INFINITY], 0.0, 1.0)]
#[case(&[0.0, 0.0, 0.0, 4.0], 1.0, 3.0_f64.sqrt())]
fn numbers_are_standardised(#[case] column: &[f32], #[case] mean: f64, #[case] scale: f64) {
    let rows: Vec<u32> = (0..column.len() as u32).collect();
    assert_eq!(encoding(&FeatureKind::Number, column, &rows), Encoding::Number { mean, scale });
}

#[test]
fn categories_have_a_term_for_each_code() {
    let dictionary = Dictionary::from_values(vec!["a".into(), "b".into()]).unwrap();
    let kind = FeatureKind::Category { dictionary };
    assert_eq!(encoding(&kind, &[1.0], &[0]), Encoding::Category { n_codes: 3 });
}

#[rstest]
#[case(LogisticRegression { c: 0.0, ..Default::default() }, "`c` must be from 1e-9 to 1e9, got 0")]
#[case(LogisticRegression { c: f64::NAN, ..Default::default() }, "`c` must be from 1e-9 to 1e9, got NaN")]
#[case(LogisticRegression { max_iter: 0, ..Default::default() }, "`max_iter` must be at least 1, got 0")]
#[case(LogisticRegression { tol: 0.0, ..Default::default() }, "`tol` must be above 0 and at most 1, got 0")]
fn wrong_params_are_named(#[case] learner: LogisticRegression, #[case] message: &str) {
    assert_eq!(learner.check().unwrap_err().to_string(), message);
}

proptest! {
    #[test]
    fn the_gradient_is_the_slope_of_the_loss(
        params in prop::collection::vec(-2.0f64..2.0, 9),
        n_classes in 2usize..=3,
        alpha in 0.0f64..2.0,
    ) {
        let labels = if n_classes == 2 { TWO } else { THREE };
        let data = dataset(vec![X0.to_vec(), X1.to_vec()], &labels, n_classes);
        let rows: Vec<u32> = (0..10).collect();
        let encodings: Vec<Encoding> =
            (0..2).map(|j| encoding(&FeatureKind::Number, data.column(j), &rows)).collect();
        let present: Vec<usize> = (0..n_classes).collect();
        let class_weights = vec![1.0, 3.0, 0.5][..n_classes].to_vec();
        let loss = Loss::new(&data, &rows, &encodings, &present, class_weights, alpha);
        let mut params = params;
        params.truncate(loss.n_params());
        let mut gradient = vec![0.0; params.len()];
        loss.evaluate(&params, &mut gradient);
        for (i, slope) in gradient.iter().enumerate() {
            let at = |step: f64| {
                let mut params = params.clone();
                params[i] += step;
                loss.evaluate(&params, &mut vec![0.0; params.len()])
            };
            prop_assert!((slope - (at(1e-5) - at(-1e-5)) / 2e-5).abs() < 1e-7);
        }
    }
}
