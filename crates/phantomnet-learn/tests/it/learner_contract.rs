//! What every learner promises, checked on each of ours.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use phantomnet_learn::folds::{Fold, stratified_k_fold};
use phantomnet_learn::rng::Rng;
use phantomnet_learn::{
    ClassWeight, CvOptions, Fit, FitContext, ForestLearner, LearnError, Learner, LogisticRegression, Majority,
    MaxFeatures, Progress, cross_validate,
};
use phantomnet_model::{
    Classes, Dataset, Dictionary, Feature, FeatureKind, FeatureSchema, Matrix, Probabilities, UNSEEN,
};

const NAN: f32 = f32::NAN;

fn learners() -> Vec<Box<dyn Learner>> {
    let forest = ForestLearner { n_estimators: 12, seed: 7, ..ForestLearner::random_forest() };
    vec![
        Box::new(Majority),
        Box::new(LogisticRegression::default()),
        Box::new(forest.clone()),
        Box::new(ForestLearner {
            bootstrap: false,
            max_features: MaxFeatures::All,
            class_weight: ClassWeight::Balanced,
            min_samples_leaf: 3,
            max_depth: Some(4),
            ..forest
        }),
        Box::new(ForestLearner { n_estimators: 12, seed: 7, ..ForestLearner::extra_trees() }),
        Box::new(ForestLearner::decision_tree()),
    ]
}

/// Rows with a number that tells the class, noise, a boolean, a category that tells the class, and a constant; one value in
/// ten missing, some infinite.
fn dataset(n_rows: usize, n_classes: u32, seed: u64) -> Dataset {
    let mut rng = Rng::new(seed);
    let labels: Vec<u32> = (0..n_rows as u32).map(|i| i % n_classes).collect();
    let mut column = |value: &dyn Fn(u32, u64) -> f32| -> Vec<f32> {
        let draw = |label: &u32| if rng.below(10) == 0 { NAN } else { value(*label, rng.below(100)) };
        labels.iter().map(draw).collect()
    };
    let columns = vec![
        column(&|label, noise| label as f32 * 20.0 + noise as f32),
        column(&|_, noise| match noise {
            0 => f32::INFINITY,
            1 => f32::NEG_INFINITY,
            _ => noise as f32,
        }),
        column(&|_, noise| (noise % 2) as f32),
        column(&|label, noise| 1.0 + ((label + u32::from(noise < 30)) % 3) as f32),
        vec![4.0; n_rows],
    ];
    let dictionary = Dictionary::from_values(["icmp", "tcp", "udp"].map(String::from).to_vec()).unwrap();
    let kinds = [
        FeatureKind::Number,
        FeatureKind::Number,
        FeatureKind::Boolean,
        FeatureKind::Category { dictionary },
        FeatureKind::Number,
    ];
    let features = kinds.into_iter().enumerate().map(|(j, kind)| Feature { name: format!("x{j}"), kind }).collect();
    let classes = match n_classes {
        2 => Classes::boolean(),
        n => Classes { names: (0..n).map(|c| format!("class {c}")).collect(), positive: None },
    };
    let matrix = Matrix::new(n_rows, columns).unwrap();
    Dataset::new(Arc::new(FeatureSchema::new(features)), Arc::new(classes), matrix, labels).unwrap()
}

fn context(n_threads: usize) -> FitContext<'static> {
    FitContext::new(NonZeroUsize::new(n_threads).unwrap())
}

fn all_rows(data: &Dataset) -> Vec<u32> {
    (0..data.n_rows() as u32).collect()
}

fn fit(learner: &dyn Learner, data: &Dataset, rows: &[u32], n_threads: usize) -> Fit {
    learner.fit(data, rows, &mut context(n_threads)).unwrap()
}

/// Everything that can be seen of a fit, to the bit.
fn bits(fit: &Fit, data: &Dataset) -> (Vec<u32>, Option<Vec<u64>>, Vec<String>, String) {
    let probabilities = fit.model.predict(data.matrix(), &all_rows(data));
    let importances = fit.importances.as_ref().map(|x| x.iter().map(|x| x.to_bits()).collect());
    let values = probabilities.values().iter().map(|p| p.to_bits()).collect();
    (values, importances, fit.warnings.clone(), format!("{:?}", fit.model))
}

fn check_probabilities(probabilities: &Probabilities) {
    for i in 0..probabilities.n_rows() {
        let row = probabilities.row(i);
        assert!(row.iter().all(|p| (0.0..=1.0).contains(p)), "{row:?}");
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{row:?}");
    }
}

#[test]
fn threads_and_row_order_do_not_matter() {
    for n_classes in [2, 4] {
        let data = dataset(300, n_classes, 1);
        let rows: Vec<u32> = all_rows(&data).into_iter().filter(|row| row % 4 != 0).collect();
        let mut shuffled = rows.clone();
        Rng::new(9).shuffle(&mut shuffled);
        for learner in learners() {
            let expected = bits(&fit(&*learner, &data, &rows, 1), &data);
            for n_threads in [1, 2, 8] {
                let again = bits(&fit(&*learner, &data, &shuffled, n_threads), &data);
                assert!(again == expected, "{} on {n_threads} threads", learner.name());
            }
        }
    }
}

/// Few trees on many rows: subtrees are grown by threads of their own.
#[test]
fn threads_inside_a_tree_do_not_matter() {
    let data = dataset(40_000, 2, 12);
    let rows = all_rows(&data);
    let deep = ForestLearner { n_estimators: 2, seed: 3, ..ForestLearner::random_forest() };
    for learner in [ForestLearner::decision_tree(), deep] {
        let expected = bits(&fit(&learner, &data, &rows, 1), &data);
        for n_threads in [2, 8] {
            assert!(bits(&fit(&learner, &data, &rows, n_threads), &data) == expected, "{} threads", n_threads);
        }
    }
}

#[test]
fn seeds_matter() {
    let data = dataset(200, 2, 1);
    let rows = all_rows(&data);
    for kind in [ForestLearner::random_forest(), ForestLearner::extra_trees()] {
        let of_seed = |seed| {
            let forest = ForestLearner { seed, n_estimators: 3, ..kind.clone() };
            // Their trees: without a bootstrap, all say the same of the training rows.
            bits(&fit(&forest, &data, &rows, 1), &data).3
        };
        assert_ne!(of_seed(0), of_seed(1));
    }
}

#[test]
fn the_scale_of_weights_does_not_matter_to_a_forest() {
    let data = dataset(150, 3, 14);
    // Powers of two, so that the halves are exact.
    let weights: Vec<f32> = (0..150).map(|i| [1.0, 2.0, 8.0][i % 3]).collect();
    let forest = ForestLearner { n_estimators: 5, ..ForestLearner::random_forest() };
    let of_scale = |scale: f32| {
        let data = data.clone().with_weights(weights.iter().map(|w| w * scale).collect()).unwrap();
        bits(&fit(&forest, &data, &all_rows(&data), 1), &data).0
    };
    assert_eq!(of_scale(1.0), of_scale(2.0));
}

#[test]
fn other_rows_are_not_looked_at() {
    let data = dataset(120, 2, 2);
    let rows: Vec<u32> = (0..60).collect();
    let columns = (0..data.n_features()).map(|j| {
        let (seen, hidden) = data.column(j).split_at(60);
        let other = if j < 2 { -77.0 } else { 1.0 };
        seen.iter().copied().chain(hidden.iter().map(|_| other)).collect()
    });
    let matrix = Matrix::new(120, columns.collect()).unwrap();
    let labels = data.labels()[..60].iter().copied().chain([0; 60]).collect();
    let altered = Dataset::new(data.schema().clone(), data.classes().clone(), matrix, labels).unwrap();
    for learner in learners() {
        let expected = bits(&fit(&*learner, &data, &rows, 1), &data);
        assert!(bits(&fit(&*learner, &altered, &rows, 1), &data) == expected, "{}", learner.name());
    }
}

#[test]
fn probabilities_are_probabilities_whatever_the_row() {
    let train = dataset(200, 3, 3);
    let odd = [NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, f32::MAX, f32::MIN_POSITIVE, -1.0];
    let strange: Vec<Vec<f32>> = odd.iter().map(|&x| vec![x, x, NAN, UNSEEN, x]).collect();
    let columns = (0..5).map(|j| strange.iter().map(|row| row[j]).collect()).collect();
    let strange = Matrix::new(odd.len(), columns).unwrap();
    for learner in learners() {
        let fit = fit(&*learner, &train, &all_rows(&train), 1);
        assert_eq!((fit.model.n_features(), fit.model.n_classes()), (5, 3));
        check_probabilities(&fit.model.predict(train.matrix(), &all_rows(&train)));
        check_probabilities(&fit.model.predict(&strange, &(0..odd.len() as u32).collect::<Vec<_>>()));
        if let Some(importances) = &fit.importances {
            assert!((importances.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            assert!(importances.iter().all(|x| (0.0..=1.0).contains(x)));
            assert_eq!(importances[4], 0.0, "a constant feature is of no use");
        }
    }
}

#[test]
fn what_tells_the_classes_apart_is_learned() {
    let data = dataset(600, 2, 4);
    let (train, test): (Vec<u32>, Vec<u32>) = all_rows(&data).iter().partition(|&&row| row < 400);
    for learner in learners() {
        let fit = fit(&*learner, &data, &train, 2);
        let probabilities = fit.model.predict(data.matrix(), &test);
        let right = (0..).zip(&test).filter(|&(i, &row)| probabilities.argmax(i) as u32 == data.labels()[row as usize]);
        let accuracy = right.count() as f64 / test.len() as f64;
        let expected = if learner.name() == "majority" { 0.5..=0.5 } else { 0.65..=1.0 };
        assert!(expected.contains(&accuracy), "{}: {accuracy}", learner.name());
    }
}

#[test]
fn one_row_of_each_class_is_enough() {
    for n_classes in [2, 3] {
        let data = dataset(n_classes as usize, n_classes, 5);
        for learner in learners() {
            check_probabilities(
                &fit(&*learner, &data, &all_rows(&data), 1).model.predict(data.matrix(), &all_rows(&data)),
            );
        }
    }
}

#[test]
fn a_class_without_a_training_row_is_never_predicted() {
    let data = dataset(90, 3, 6);
    let rows: Vec<u32> = all_rows(&data).into_iter().filter(|&row| data.labels()[row as usize] != 1).collect();
    for learner in learners() {
        let probabilities = fit(&*learner, &data, &rows, 1).model.predict(data.matrix(), &all_rows(&data));
        check_probabilities(&probabilities);
        assert!((0..90).all(|i| probabilities.row(i)[1] == 0.0), "{}", learner.name());
    }
}

#[test]
fn constant_features_give_the_class_shares() {
    let labels = vec![0, 0, 0, 1];
    let matrix = Matrix::new(4, vec![vec![0.1; 4], vec![NAN; 4]]).unwrap();
    let schema = FeatureSchema::numbers(&["x", "y"]);
    let data = Dataset::new(Arc::new(schema), Arc::new(Classes::boolean()), matrix, labels).unwrap();
    for learner in learners() {
        // A bootstrap sample has other shares, a weighted tree other weights.
        if learner.name() == "random_forest" {
            continue;
        }
        let probabilities = fit(&*learner, &data, &[0, 1, 2, 3], 1).model.predict(data.matrix(), &[0]);
        assert!((probabilities.row(0)[0] - 0.75).abs() < 1e-3, "{}: {probabilities:?}", learner.name());
    }
}

#[test]
fn rows_that_cannot_be_learned_from_are_refused() {
    let data = dataset(20, 2, 7);
    let no_features = Dataset::new(
        Arc::new(FeatureSchema::default()),
        data.classes().clone(),
        Matrix::new(20, vec![]).unwrap(),
        data.labels().to_vec(),
    );
    let no_features = no_features.unwrap();
    for learner in learners() {
        let message = |data: &Dataset, rows: &[u32]| learner.fit(data, rows, &mut context(1)).unwrap_err().to_string();
        assert_eq!(message(&data, &[]), "there is no row to learn from");
        assert_eq!(message(&no_features, &[0, 1]), "there is no feature to learn from");
        assert_eq!(message(&data, &[0, 20]), "row 20 does not exist, the dataset has 20 rows");
        assert_eq!(
            message(&data, &[0, 2, 4]),
            "only class `benign` occurs in the 3 training rows; two classes at least are needed"
        );
    }
}

#[test]
fn the_stop_flag_is_heeded() {
    let data = dataset(50, 2, 8);
    let stop = AtomicBool::new(true);
    for learner in learners() {
        let mut cx = context(2).stop_flag(&stop);
        let result = learner.fit(&data, &all_rows(&data), &mut cx);
        assert!(matches!(result, Err(LearnError::Stopped)), "{}", learner.name());
    }
}

#[test]
fn a_forest_stops_in_the_middle() {
    let data = dataset(50, 2, 8);
    let forest = ForestLearner { n_estimators: 5_000, ..ForestLearner::random_forest() };

    let mut seen = 0;
    let mut cx = context(2).on_progress(|progress| match progress {
        Progress::Trees { done: 10, total: 5_000 } => ControlFlow::Break(()),
        _ => {
            seen += 1;
            ControlFlow::Continue(())
        }
    });
    assert!(forest.fit(&data, &all_rows(&data), &mut cx).unwrap_err().is_stopped());
    drop(cx);
    assert_eq!(seen, 9);

    let stop = AtomicBool::new(false);
    let mut cx = context(2).stop_flag(&stop).on_progress(|_| {
        stop.store(true, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    assert!(forest.fit(&data, &all_rows(&data), &mut cx).unwrap_err().is_stopped());
}

#[test]
fn a_tree_stops_in_the_middle() {
    let data = dataset(400_000, 2, 15);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            stop.store(true, Ordering::Relaxed);
        });
        let mut cx = context(2).stop_flag(&stop);
        let error = ForestLearner::decision_tree().fit(&data, &all_rows(&data), &mut cx).unwrap_err();
        assert!(error.is_stopped());
    });
}

#[test]
fn a_forest_tells_of_each_tree() {
    let data = dataset(60, 2, 16);
    for learner in [ForestLearner::random_forest(), ForestLearner::extra_trees(), ForestLearner::decision_tree()] {
        let mut told = Vec::new();
        let mut cx = context(2).on_progress(|progress| {
            told.push(progress);
            ControlFlow::Continue(())
        });
        learner.fit(&data, &all_rows(&data), &mut cx).unwrap();
        drop(cx);
        let total = learner.n_estimators;
        assert_eq!(told, (1..=total).map(|done| Progress::Trees { done, total }).collect::<Vec<_>>());
    }
}

#[test]
fn params_are_named_once_and_valid() {
    for learner in learners() {
        learner.check().unwrap();
        let params = learner.params();
        let mut names: Vec<&String> = params.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), params.len());
        assert!(params.iter().all(|(_, value)| !value.is_empty()));
    }
}

fn folds_of(data: &Dataset) -> Vec<Fold> {
    stratified_k_fold(data.labels(), &data.classes().names, all_rows(data), 5, 2, 0).unwrap()
}

#[test]
fn cross_validation_judges_every_fold() {
    for n_classes in [2, 3] {
        let data = dataset(150, n_classes, 9);
        let folds = folds_of(&data);
        let opts = CvOptions { keep_probabilities: true, ..CvOptions::default() };
        for learner in learners() {
            let mut told = Vec::new();
            let mut cx = context(2).on_progress(|progress| {
                if let Progress::Folds { done, total } = progress {
                    told.push((done, total));
                }
                ControlFlow::Continue(())
            });
            let result = cross_validate(&*learner, &data, &folds, opts, &mut cx).unwrap();
            drop(cx);
            assert_eq!(told, (1..=10).map(|done| (done, 10)).collect::<Vec<_>>());
            let places: Vec<(usize, usize)> = result.folds.iter().map(|fold| (fold.repeat, fold.fold)).collect();
            assert_eq!(places, (0..10).map(|i| (i / 5, i % 5)).collect::<Vec<_>>());
            for (fold, judged) in folds.iter().zip(&result.folds) {
                assert_eq!((judged.n_train, judged.n_validation), (120, 30));
                let fitted = fit(&*learner, &data, &fold.train(), 1);
                let expected = fitted.model.predict(data.matrix(), &fold.validation);
                assert_eq!(judged.probabilities.as_ref(), Some(&expected));
            }
            let accuracies: Vec<f64> = result.folds.iter().map(|fold| fold.metrics.get("accuracy").unwrap()).collect();
            let mean = accuracies.iter().sum::<f64>() / 10.0;
            assert!((result.summary.get("cv_accuracy_mean").unwrap() - mean).abs() < 1e-12);
            assert!(result.summary.get("cv_log_loss_std").unwrap().is_finite());
            assert_eq!(result.summary.get("cv_n_rows_mean"), None);
        }
    }
}

#[test]
fn cross_validation_names_the_fold_that_failed() {
    let data = dataset(40, 2, 10);
    let mut folds = folds_of(&data);
    let validation = std::mem::take(&mut folds[6].validation);
    let is_left = |row: &u32| data.labels()[*row as usize] == 1 || validation.contains(row);
    let rows: Vec<u32> = (0..40).filter(is_left).collect();
    folds[6] = Fold::new(1, 1, rows.into(), validation);
    let error = cross_validate(&Majority, &data, &folds, CvOptions::default(), &mut context(1)).unwrap_err();
    assert_eq!(error.to_string(), "fold 2 of repeat 2 failed");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "only class `attack` occurs in the 16 training rows; two classes at least are needed");
    assert!(error.hint().is_some());

    let error = cross_validate(&Majority, &data, &[], CvOptions::default(), &mut context(1)).unwrap_err();
    assert_eq!(error.to_string(), "there is no fold to cross-validate on");
}

#[test]
fn cross_validation_stops_between_folds() {
    let data = dataset(40, 2, 11);
    let mut cx = context(1).on_progress(|progress| match progress {
        Progress::Folds { done: 3, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let error = cross_validate(&Majority, &data, &folds_of(&data), CvOptions::default(), &mut cx).unwrap_err();
    assert!(error.is_stopped());
}
