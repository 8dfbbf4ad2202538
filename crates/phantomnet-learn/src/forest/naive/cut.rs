//! The cut of one feature in one node.

use super::Values;
use crate::Criterion;
use crate::rng::SplitMix;

/// A row of the node: where its value stands among those of the training rows, if it is not missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) place: Option<usize>,
    pub(super) class: usize,
    pub(super) weight: u64,
}

/// Rows on one side of a cut.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Side {
    n_rows: usize,
    /// Weight of each class, before class weights.
    weights: Vec<u64>,
}

impl Side {
    fn of<'a>(n_classes: usize, values: impl Iterator<Item = &'a Value>) -> Self {
        let mut side = Self { n_rows: 0, weights: vec![0; n_classes] };
        for value in values {
            side.n_rows += 1;
            side.weights[value.class] += value.weight;
        }
        side
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let weights = self.weights.iter().zip(&other.weights).map(|(a, b)| a + b).collect();
        Self { n_rows: self.n_rows + other.n_rows, weights }
    }
}

/// By what cuts are compared.
pub(super) struct Scale {
    pub(super) criterion: Criterion,
    pub(super) class_weights: Vec<f64>,
}

impl Scale {
    pub(super) fn weights(&self, side: &Side) -> Vec<f64> {
        side.weights.iter().zip(&self.class_weights).map(|(&n, weight)| n as f64 * weight).collect()
    }

    /// Grows with the impurity that a cut takes away.
    fn score(&self, left: &Side, right: &Side) -> f64 {
        let (left, right) = (self.weights(left), self.weights(right));
        match (self.criterion, left.as_slice(), right.as_slice()) {
            // What is taken away, over twice the node's weight: another formula would round, and so break ties, otherwise.
            (Criterion::Gini, &[l0, l1], &[r0, r1]) => {
                let d = l0 * r1 - r0 * l1;
                d * d / ((l0 + l1) * (r0 + r1))
            }
            (criterion, left, right) => purity(criterion, left) + purity(criterion, right),
        }
    }
}

/// What is left of a node's weight when its weight times impurity is taken from it.
pub(super) fn purity(criterion: Criterion, weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    match criterion {
        Criterion::Gini => weights.iter().map(|w| w * w).sum::<f64>() / sum,
        Criterion::Entropy | Criterion::LogLoss => {
            let x_log_x = |x: &f64| if *x > 0.0 { x * libm::log2(*x) } else { 0.0 };
            weights.iter().map(x_log_x).sum::<f64>() - x_log_x(&sum)
        }
    }
}

/// A cut: values up to a place on one side, those after it on the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cut {
    pub(super) feature: usize,
    pub(super) score: f64,
    /// Highest place of the former.
    pub(super) last: usize,
    /// Lowest place of the latter; `None` if there are missing values alone.
    pub(super) next: Option<usize>,
    /// Where a random cut falls.
    pub(super) at: Option<f32>,
    pub(super) has_missing: bool,
    /// Whether missing values are with the former.
    pub(super) with_missing: bool,
    pub(super) left: Side,
    pub(super) right: Side,
}

/// The best cut, or the one drawn, that leaves so many rows on both sides. Of equals the lowest, then the one with the missing
/// values on its left.
pub(super) fn best_cut(
    feature: usize,
    mut values: Vec<Value>,
    scale: &Scale,
    min_samples_leaf: usize,
    draws: Option<(&Values, SplitMix)>,
) -> Option<Cut> {
    let n_classes = scale.class_weights.len();
    values.sort_by_key(|value| value.place);
    let n_missing = values.partition_point(|value| value.place.is_none());
    let (missing, present) = values.split_at(n_missing);
    let groups: Vec<&[Value]> = present.chunk_by(|a, b| a.place == b.place).collect();
    let places: Vec<usize> = present.chunk_by(|a, b| a.place == b.place).filter_map(|group| group[0].place).collect();
    let (node, of_missing) = (Side::of(n_classes, values.iter()), Side::of(n_classes, missing.iter()));
    let drawn = match draws {
        Some((values, rng)) if places.len() > 1 => Some(draw(&places, values, rng)),
        Some(_) => Some((places.len(), None)),
        None => None,
    };

    let mut best: Option<Cut> = None;
    let mut prefix = Side::of(n_classes, [].iter());
    for (i, group) in groups.iter().enumerate() {
        prefix = prefix.plus(&Side::of(n_classes, group.iter()));
        if drawn.is_some_and(|(len, _)| len != i + 1) {
            continue;
        }
        let next = places.get(i + 1).copied();
        for with_missing in [true, false] {
            if (with_missing && (missing.is_empty() || next.is_none())) || (missing.is_empty() && next.is_none()) {
                continue;
            }
            let left = if with_missing { prefix.plus(&of_missing) } else { prefix.clone() };
            let right = Side {
                n_rows: node.n_rows - left.n_rows,
                weights: node.weights.iter().zip(&left.weights).map(|(node, left)| node - left).collect(),
            };
            if left.n_rows.min(right.n_rows) < min_samples_leaf {
                continue;
            }
            let score = scale.score(&left, &right);
            if best.as_ref().is_none_or(|best| score > best.score) {
                let (last, has_missing, at) = (places[i], !missing.is_empty(), drawn.and_then(|(_, at)| at));
                best = Some(Cut { feature, score, last, next, at, has_missing, with_missing, left, right });
            }
        }
    }
    best
}

/// How many of the places, which are at least two, a random cut has on its left; and where it falls, if among finite numbers.
fn draw(places: &[usize], values: &Values, mut rng: SplitMix) -> (usize, Option<f32>) {
    if let Values::Numbers { upper, .. } = values {
        let present: Vec<f64> = places.iter().map(|&place| upper[place].into()).collect();
        let (min, max) = (present[0], present[present.len() - 1]);
        if min.is_finite() && max.is_finite() {
            let at = (min + rng.unit() * (max - min)) as f32;
            let n_below = present.iter().filter(|&&x| x <= f64::from(at)).count();
            return (n_below.clamp(1, places.len() - 1), Some(at));
        }
    }
    (1 + rng.below(places.len() as u64 - 1) as usize, None)
}
