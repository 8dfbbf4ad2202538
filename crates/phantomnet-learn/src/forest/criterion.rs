//! How good a split is.
//!
//! With class weights `w_c` and sum `w`, a node's impurity is `1 − Σ (w_c/w)²` (Gini) or `−Σ w_c/w · log₂(w_c/w)` (entropy).
//! A split takes away `w·I(node) − w_l·I(left) − w_r·I(right)`. All splits of a node are compared by a *score* that grows with
//! it and is quicker to find. Source: Breiman et al., *Classification and Regression Trees* (1984), chapter 4.

use std::fmt;

use super::tally::Layout;

/// What makes a node pure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Criterion {
    /// Gini impurity: how often two rows drawn from the node differ in class.
    #[default]
    Gini,
    /// Shannon entropy of the classes, in bits.
    Entropy,
    /// The same as [`Entropy`](Self::Entropy): it makes the leaves' log loss on the training rows smallest.
    LogLoss,
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gini => "gini",
            Self::Entropy => "entropy",
            Self::LogLoss => "log_loss",
        })
    }
}

/// Scores the splits of one node.
pub(super) trait Score {
    /// Grows with the impurity that the split into `left` and `right`, neither of which is empty, takes away.
    fn score(&self, left: &[u64], right: &[u64]) -> f64;
}

/// Gini impurity with two classes: what a split takes away is `2 d² / (w·w_l·w_r)` with
/// `d = w_l(class 0) · w_r − w_r(class 0) · w_l`.
pub(super) struct TwoClassGini<'a> {
    pub(super) class_weights: &'a [f64],
}

impl Score for TwoClassGini<'_> {
    #[inline]
    fn score(&self, left: &[u64], right: &[u64]) -> f64 {
        let [w0, w1] = [self.class_weights[0], self.class_weights[1]];
        let parts = |word: u64| (f64::from(word as u32) * w0, f64::from((word >> 32) as u32) * w1);
        let ((left_0, left_1), (right_0, right_1)) = (parts(left[0]), parts(right[0]));
        // The same as the difference above, with the smaller products, so that little is lost to rounding.
        let d = left_0 * right_1 - right_0 * left_1;
        d * d / ((left_0 + left_1) * (right_0 + right_1))
    }
}

/// Gini impurity: the *purities* `Σ w_c² / w` of the children.
pub(super) struct Gini<'a> {
    pub(super) layout: Layout,
    pub(super) class_weights: &'a [f64],
}

impl Gini<'_> {
    fn purity(&self, tally: &[u64]) -> f64 {
        let (mut sum, mut squares) = (0.0, 0.0);
        for weight in self.layout.weights(tally, self.class_weights) {
            sum += weight;
            squares += weight * weight;
        }
        squares / sum
    }
}

impl Score for Gini<'_> {
    fn score(&self, left: &[u64], right: &[u64]) -> f64 {
        self.purity(left) + self.purity(right)
    }
}

/// Entropy: the *purities* `Σ w_c·log₂(w_c) − w·log₂(w)` of the children.
pub(super) struct Entropy<'a> {
    pub(super) layout: Layout,
    pub(super) class_weights: &'a [f64],
}

impl Entropy<'_> {
    fn purity(&self, tally: &[u64]) -> f64 {
        // The system's logarithm differs from machine to machine in the last bit.
        let x_log_x = |x: f64| if x > 0.0 { x * libm::log2(x) } else { 0.0 };
        let (mut sum, mut purity) = (0.0, 0.0);
        for weight in self.layout.weights(tally, self.class_weights) {
            sum += weight;
            purity += x_log_x(weight);
        }
        purity - x_log_x(sum)
    }
}

impl Score for Entropy<'_> {
    fn score(&self, left: &[u64], right: &[u64]) -> f64 {
        self.purity(left) + self.purity(right)
    }
}

impl Criterion {
    /// Impurity times weight that the split of `node` into `left` and `right` takes away; never negative.
    pub(super) fn decrease(
        self,
        layout: Layout,
        class_weights: &[f64],
        node: &[u64],
        [left, right]: [&[u64]; 2],
    ) -> f64 {
        let decrease = match self {
            Self::Gini => {
                let gini = Gini { layout, class_weights };
                gini.score(left, right) - gini.purity(node)
            }
            Self::Entropy | Self::LogLoss => {
                let entropy = Entropy { layout, class_weights };
                entropy.score(left, right) - entropy.purity(node)
            }
        };
        // Rounding can make a useless split slightly harmful.
        decrease.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn tally(weights: &[u32]) -> Vec<u64> {
        weights.chunks(2).map(|pair| u64::from(pair[0]) | u64::from(*pair.get(1).unwrap_or(&0)) << 32).collect()
    }

    #[rstest]
    // w·I = 4·(1 - (9 + 1)/16) = 1.5 for the node, 0 for the pure child, 2·(1 - 2/4) = 1 for the other.
    #[case(Criterion::Gini, &[2, 0], &[1, 1], &[1.0, 1.0], 0.5)]
    // Class 1 weighs 2: node 3 + 2 weighs 5·(1 - 13/25) = 2.4, right 1 + 2 weighs 3·(1 - 5/9) = 4/3.
    #[case(Criterion::Gini, &[2, 0], &[1, 1], &[1.0, 2.0], 2.4 - 4.0 / 3.0)]
    // Three classes, one apart: 6·(1 - 12/36) = 4 before, 4·(1 - 8/16) = 2 after.
    #[case(Criterion::Gini, &[2, 0, 0], &[0, 2, 2], &[1.0; 3], 2.0)]
    // Four rows of two classes are 4 bits; apart they are none.
    #[case(Criterion::Entropy, &[2, 0], &[0, 2], &[1.0, 1.0], 4.0)]
    #[case(Criterion::LogLoss, &[2, 0], &[0, 2], &[1.0, 1.0], 4.0)]
    // Eight rows of four classes are 16 bits; two and two are 8.
    #[case(Criterion::Entropy, &[2, 2, 0, 0], &[0, 0, 2, 2], &[1.0; 4], 8.0)]
    #[case(Criterion::Gini, &[1, 1], &[1, 1], &[1.0, 1.0], 0.0)]
    fn decreases_by_hand(
        #[case] criterion: Criterion,
        #[case] left: &[u32],
        #[case] right: &[u32],
        #[case] class_weights: &[f64],
        #[case] expected: f64,
    ) {
        let layout = Layout::new(class_weights.len(), false);
        let (left, right) = (tally(left), tally(right));
        let node: Vec<u64> = left.iter().zip(&right).map(|(a, b)| a + b).collect();
        let decrease = criterion.decrease(layout, class_weights, &node, [&left, &right]);
        assert!((decrease - expected).abs() < 1e-12, "{decrease}");
    }

    proptest! {
        #[test]
        fn two_classes_score_as_any_number_of_classes_would(
            [a, b, c, d] in prop::array::uniform4(0_u32..1000),
            class_weights in prop::array::uniform2(0.1f64..10.0),
        ) {
            prop_assume!(a + b > 0 && c + d > 0);
            let (left, right) = (tally(&[a, b]), tally(&[c, d]));
            let layout = Layout::new(2, false);
            let node = [left[0] + right[0]];
            let decrease = Criterion::Gini.decrease(layout, &class_weights, &node, [&left, &right]);
            let score = TwoClassGini { class_weights: &class_weights }.score(&left, &right);
            let weight: f64 = layout.weights(&left, &class_weights).chain(layout.weights(&right, &class_weights)).sum();
            prop_assert!((2.0 * score / weight - decrease).abs() < 1e-9 * weight, "{score} {decrease}");
        }
    }
}
