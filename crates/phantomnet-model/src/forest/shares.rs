//! What leaves hand out, in whole units so that sums are exact.

use std::collections::HashMap;

/// Number of parts a probability of 1 is cut into: 2²⁴, the integers that f32 holds exactly.
pub const PROBABILITY_UNITS: u32 = 1 << 24;

/// Units (2⁻²⁴) of probability that tree `i` of `n_trees` hands out: equal up to one, summing to 2²⁴.
pub fn tree_units(i: usize, n_trees: usize) -> u32 {
    let n = n_trees as u32;
    PROBABILITY_UNITS / n + u32::from((i as u32) < PROBABILITY_UNITS % n)
}

/// Shares of a leaf: `units` handed out in proportion to the class weights (finite, not negative, sum > 0) by largest
/// remainder, ties to the lower class. At most half a unit off per class when there are two.
pub fn leaf_probabilities(weights: &[f64], units: u32, out: &mut Vec<f32>) {
    let sum: f64 = weights.iter().sum();
    let exact = |w: f64| w / sum * f64::from(units);
    let mut shares: Vec<u32> = weights.iter().map(|&w| exact(w).floor() as u32).collect();
    let mut left = units.saturating_sub(shares.iter().sum());
    let mut order: Vec<usize> = (0..weights.len()).filter(|&c| weights[c] > 0.0).collect();
    order.sort_by(|&a, &b| exact(weights[b]).fract().total_cmp(&exact(weights[a]).fract()).then(a.cmp(&b)));
    for &c in order.iter().cycle() {
        if left == 0 {
            break;
        }
        shares[c] += 1;
        left -= 1;
    }
    out.extend(shares.iter().map(|&s| probability(s)));
}

/// The probability of so many units. Exact.
pub(super) fn probability(units: u32) -> f32 {
    units as f32 / PROBABILITY_UNITS as f32
}

/// The different leaves of a forest: most leaves of deep trees are pure, so that there are far fewer than leaf nodes
/// (24 for 47,600 in a forest of NSL-KDD).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeafTable {
    n_classes: usize,
    /// `n_leaves × n_classes` units, leaf-major. Leaf 0 hands out nothing: it is what a lane without a tree ends in.
    ///
    /// More than two classes take as many [`CHUNK`]s as they need, filled up with zeros.
    units: Vec<u32>,
}

/// No leaf at all.
pub(super) const NO_LEAF: u32 = 0;

/// Classes that are summed at once: a vector register.
const CHUNK: usize = 8;

/// Places that a leaf takes.
fn stride(n_classes: usize) -> usize {
    if n_classes == 2 { 2 } else { n_classes.next_multiple_of(CHUNK) }
}

impl LeafTable {
    /// A table of leaf-major `units`, not checked; [`NO_LEAF`] comes before them.
    pub(super) fn new(n_classes: usize, units: &[u32]) -> Self {
        let stride = stride(n_classes);
        let mut padded = vec![0; stride];
        for leaf in units.chunks_exact(n_classes) {
            padded.extend(leaf);
            padded.resize(padded.len().next_multiple_of(stride), 0);
        }
        Self { n_classes, units: padded }
    }

    pub(super) fn len(&self) -> usize {
        self.units.len() / stride(self.n_classes)
    }

    /// Units of a leaf, one per class.
    pub(super) fn units(&self, leaf: u32) -> &[u32] {
        &self.units[leaf as usize * stride(self.n_classes)..][..self.n_classes]
    }

    /// Adds the shares of `leaves` to `out`, except the first of two classes, which [`complete`] knows from the second.
    ///
    /// In integers up to the end: a chain of float additions would take longer than the loads.
    pub(super) fn add(&self, leaves: &[u32], out: &mut [f32]) {
        if let [_, second] = out {
            let (rows, _) = self.units.as_chunks::<2>();
            *second += probability(leaves.iter().map(|&leaf| rows[leaf as usize][1]).sum());
            return;
        }
        let (rows, _) = self.units.as_chunks::<CHUNK>();
        let n_chunks = stride(self.n_classes) / CHUNK;
        for (chunk, out) in out.chunks_mut(CHUNK).enumerate() {
            let mut sums = [0; CHUNK];
            for &leaf in leaves {
                for (sum, unit) in sums.iter_mut().zip(rows[leaf as usize * n_chunks + chunk]) {
                    *sum += unit;
                }
            }
            for (p, sum) in out.iter_mut().zip(sums) {
                *p += probability(sum);
            }
        }
    }
}

/// Ends the additions of [`LeafTable::add`]: sets the first of two classes.
pub(super) fn complete(out: &mut [f32]) {
    if let [first, second] = out {
        *first = 1.0 - *second;
    }
}

/// Numbers equal leaves once.
#[derive(Debug)]
pub(super) struct LeafNumbers {
    n_classes: usize,
    units: Vec<u32>,
    numbers: HashMap<Vec<u32>, u32>,
}

impl LeafNumbers {
    pub(super) fn new(n_classes: usize) -> Self {
        Self { n_classes, units: Vec::new(), numbers: HashMap::new() }
    }

    /// The number of the leaf with these shares, which are whole units.
    pub(super) fn number(&mut self, shares: &[f32]) -> u32 {
        let units: Vec<u32> = shares.iter().map(|&s| (s * PROBABILITY_UNITS as f32) as u32).collect();
        let next = NO_LEAF + 1 + self.numbers.len() as u32;
        *self.numbers.entry(units).or_insert_with_key(|units| {
            self.units.extend(units);
            next
        })
    }

    pub(super) fn into_table(self) -> LeafTable {
        LeafTable::new(self.n_classes, &self.units)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders_go_to_the_largest_fraction_then_the_lower_class() {
        let mut out = Vec::new();
        // 10 units over thirds: 3.33 each, the one left goes to class 0.
        leaf_probabilities(&[1.0, 1.0, 1.0], 10, &mut out);
        // 10 units over 0.25, 0.75: 2.5 and 7.5, the one left goes to class 0.
        leaf_probabilities(&[1.0, 3.0], 10, &mut out);
        let units: Vec<f32> = out.iter().map(|s| s * PROBABILITY_UNITS as f32).collect();
        assert_eq!(units, [4.0, 3.0, 3.0, 3.0, 7.0]);
    }

    #[test]
    fn equal_leaves_are_kept_once() {
        let mut numbers = LeafNumbers::new(3);
        assert_eq!(numbers.number(&[0.25, 0.0, 0.0]), 1);
        assert_eq!(numbers.number(&[0.0, 0.125, 0.125]), 2);
        assert_eq!(numbers.number(&[0.25, 0.0, 0.0]), 1);
        let table = numbers.into_table();
        assert_eq!(table.len(), 3);
        let mut out = [0.0; 3];
        table.add(&[1, 2, NO_LEAF], &mut out);
        table.add(&[2], &mut out);
        assert_eq!(out, [0.25, 0.25, 0.25]);
    }
}
