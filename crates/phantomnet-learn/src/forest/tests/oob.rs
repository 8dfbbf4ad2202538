//! The out-of-bag judgement, counted again from the bags.

use super::super::bag::Bag;
use super::*;

#[rstest]
#[case(2, MaxSamples::All)]
#[case(3, MaxSamples::Fraction(0.3))]
fn it_is_the_mean_over_the_trees_that_have_not_seen_the_row(#[case] n_classes: u32, #[case] max_samples: MaxSamples) {
    let mut rng = Rng::new(4);
    let labels: Vec<u32> = (0..150).map(|_| rng.below(n_classes.into()) as u32).collect();
    let noisy = labels.iter().map(|&label| (u64::from(label) * 20 + rng.below(40)) as f32).collect();
    let noise = labels.iter().map(|_| if rng.below(9) == 0 { NAN } else { rng.below(40) as f32 }).collect();
    let data = numbers(vec![noisy, noise], labels);
    // Few trees, so that some rows are in every bag; not all rows, so that places are not row numbers.
    let rows: Vec<u32> = (0..150).filter(|row| row % 5 != 0).collect();
    let learner =
        ForestLearner { n_estimators: 4, max_samples, oob_score: true, seed: 3, ..ForestLearner::random_forest() };
    let fitted = learner.fit_forest(&data, &rows, None, &mut context(2)).unwrap();
    let oob = fitted.oob.unwrap();

    let classes: Vec<u16> = rows.iter().map(|&row| data.labels()[row as usize] as u16).collect();
    let bag = Bag { classes: &classes, weights: None, n_drawn: learner.n_drawn(rows.len()).unwrap() };
    let n_classes = n_classes as usize;
    let mut sums = vec![vec![0.0_f64; n_classes]; rows.len()];
    for (i, tree) in fitted.forest.trees().enumerate() {
        let mut counts = vec![0; rows.len()];
        bag.counts(&mut Rng::new(3).fork(i as u64), &mut counts, || true).unwrap();
        for (place, &row) in rows.iter().enumerate().filter(|&(place, _)| counts[place] == 0) {
            let x: Vec<f32> = (0..2).map(|j| data.column(j)[row as usize]).collect();
            let leaf = tree.leaf(tree.leaf_of(&x), n_classes);
            sums[place].iter_mut().zip(leaf).for_each(|(sum, &share)| *sum += f64::from(share));
        }
    }
    let judged: Vec<usize> = (0..rows.len()).filter(|&place| sums[place].iter().sum::<f64>() > 0.0).collect();
    assert!(judged.len() < rows.len() || max_samples != MaxSamples::All, "some row is in every bag");
    assert_eq!(oob.rows, judged.iter().map(|&place| rows[place]).collect::<Vec<_>>());
    let mut n_right = 0;
    for (i, &place) in judged.iter().enumerate() {
        let sum: f64 = sums[place].iter().sum();
        for (found, expected) in oob.probabilities.row(i).iter().zip(&sums[place]) {
            assert!((f64::from(*found) - expected / sum).abs() < 1e-6);
        }
        n_right += usize::from(oob.probabilities.argmax(i) == usize::from(classes[place]));
    }
    assert_eq!(oob.accuracy, n_right as f64 / judged.len() as f64);
}
