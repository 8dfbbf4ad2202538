//! What the trees say of the rows that they have not seen.

use std::sync::atomic::{AtomicU32, Ordering};

use phantomnet_model::{Dataset, Node, PROBABILITY_UNITS, Probabilities, Test};

use super::grower::Grown;

/// A judgement of the training rows by the trees whose bootstrap did not draw them.
///
/// Source: Breiman, *Random Forests* (2001), section 3.1.
#[derive(Debug, Clone, PartialEq)]
pub struct OutOfBag {
    /// The rows that some tree has not seen, ascending.
    pub rows: Vec<u32>,
    /// Class probabilities of `rows`: the mean over the trees that have not seen the row.
    pub probabilities: Probabilities,
    /// Share of `rows` whose most probable class is the right one; NaN if there are none. scikit-learn: `oob_score_`.
    pub accuracy: f64,
}

/// Sums of leaf shares by row and class, in units of 2⁻²⁴: whole numbers, so that the trees may come in any order.
#[derive(Debug)]
pub(super) struct Votes {
    n_classes: usize,
    sums: Vec<AtomicU32>,
}

impl Votes {
    pub(super) fn new(n_rows: usize, n_classes: usize) -> Self {
        let mut sums = Vec::new();
        sums.resize_with(n_rows * n_classes, || AtomicU32::new(0));
        Self { n_classes, sums }
    }

    /// Adds what a tree says of the rows it has not drawn.
    pub(super) fn count(&self, grown: &Grown, data: &Dataset, rows: &[u32], counts: &[u8]) {
        for ((&row, sums), _) in
            rows.iter().zip(self.sums.chunks_exact(self.n_classes)).zip(counts).filter(|&(_, &n)| n == 0)
        {
            let leaf = leaf_of(&grown.nodes, |feature| data.column(feature as usize)[row as usize]);
            let shares = &grown.leaves[leaf as usize * self.n_classes..][..self.n_classes];
            for (sum, share) in sums.iter().zip(shares) {
                sum.fetch_add((share * PROBABILITY_UNITS as f32) as u32, Ordering::Relaxed);
            }
        }
    }

    /// Makes probabilities of the sums.
    ///
    /// - `rows`, `classes`: the training rows and their classes.
    pub(super) fn judge(self, rows: &[u32], classes: &[u16]) -> OutOfBag {
        let (mut seen, mut values, mut n_right) = (Vec::new(), Vec::new(), 0_u64);
        for ((&row, &class), sums) in rows.iter().zip(classes).zip(self.sums.chunks_exact(self.n_classes)) {
            let sums: Vec<u32> = sums.iter().map(|sum| sum.load(Ordering::Relaxed)).collect();
            let sum: u32 = sums.iter().sum();
            if sum == 0 {
                continue;
            }
            let best = (1..sums.len()).fold(0, |best, class| if sums[class] > sums[best] { class } else { best });
            n_right += u64::from(best == usize::from(class));
            seen.push(row);
            values.extend(sums.iter().map(|&n| (f64::from(n) / f64::from(sum)) as f32));
        }
        let accuracy = n_right as f64 / seen.len() as f64;
        OutOfBag { rows: seen, probabilities: Probabilities::new(self.n_classes, values), accuracy }
    }
}

/// The leaf that a row reaches.
fn leaf_of(nodes: &[Node], value: impl Fn(u32) -> f32) -> u32 {
    let mut at = 0;
    loop {
        match &nodes[at as usize] {
            Node::Leaf(leaf) => return *leaf,
            Node::Split { feature, test, missing_left, left, right } => {
                let x = value(*feature);
                let goes_left = match test {
                    _ if x.is_nan() => *missing_left,
                    Test::AtMost(threshold) => x <= *threshold,
                    Test::In(set) => set.contains(x as u8),
                };
                at = if goes_left { *left } else { *right };
            }
        }
    }
}
