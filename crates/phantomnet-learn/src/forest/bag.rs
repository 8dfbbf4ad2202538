//! The training rows that a tree learns from, and how much each weighs.
//!
//! A row drawn several times is one *sample* with a larger weight, never a copy.

use phantomnet_model::Dataset;

use crate::rng::Rng;

/// A training row in a tree: row (30 bits), class (12 bits), weight (22 bits), from low to high. One word, so that moving it
/// from node to node is one move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample(u64);

/// Most classes.
pub(super) const MAX_CLASSES: usize = 1 << Sample::CLASS_BITS;
/// Most that a sample weighs.
const MAX_WEIGHT: u64 = (1 << (64 - Sample::ROW_BITS - Sample::CLASS_BITS)) - 1;

impl Sample {
    const ROW_BITS: u32 = 30;
    const CLASS_BITS: u32 = 12;
    /// Nothing, to fill buffers with.
    pub(super) const NONE: Self = Self(0);

    /// A sample; each part is below its limit.
    pub(super) fn new(row: u32, class: u32, weight: u64) -> Self {
        debug_assert!(row >> Self::ROW_BITS == 0 && (class as usize) < MAX_CLASSES && weight <= MAX_WEIGHT);
        Self(u64::from(row) | u64::from(class) << Self::ROW_BITS | weight << (Self::ROW_BITS + Self::CLASS_BITS))
    }

    /// Position among the rows that the node reads.
    #[inline]
    pub(super) fn row(self) -> usize {
        (self.0 & ((1 << Self::ROW_BITS) - 1)) as usize
    }

    /// The same sample at another position.
    #[inline]
    pub(super) fn at(self, row: usize) -> Self {
        Self(self.0 >> Self::ROW_BITS << Self::ROW_BITS | row as u64)
    }

    /// Class of the row.
    #[inline]
    pub(super) fn class(self) -> u32 {
        (self.0 >> Self::ROW_BITS) as u32 & ((1 << Self::CLASS_BITS) - 1)
    }

    /// The word of a tally that counts the class; see [`tally`](super::tally).
    #[inline]
    pub(super) fn word(self) -> usize {
        (self.class() / 2) as usize
    }

    /// What the sample adds to that word.
    #[inline]
    pub(super) fn add(self) -> u64 {
        (self.0 >> (Self::ROW_BITS + Self::CLASS_BITS)) << (32 * (self.class() % 2))
    }
}

/// How the samples of trees are drawn.
#[derive(Debug)]
pub(super) struct Bag<'a> {
    /// Class of each training row.
    pub(super) classes: &'a [u16],
    /// Weight of each training row in whole units; `None` where each weighs 1.
    pub(super) weights: Option<Vec<u32>>,
    /// Rows to draw with replacement; `None` takes each row once.
    pub(super) n_drawn: Option<usize>,
}

impl Bag<'_> {
    /// Bytes that a tree's counts and samples, the latter twice, take, about: not all of what is drawn with replacement is drawn
    /// at all, a share of 1 - exp(-drawn / rows).
    pub(super) fn n_bytes(&self) -> usize {
        let n_rows = self.classes.len();
        let share = self.n_drawn.map_or(1.0, |n_drawn| 1.0 - (-(n_drawn as f64) / n_rows.max(1) as f64).exp());
        n_rows + 2 * size_of::<Sample>() * (share * n_rows as f64) as usize
    }

    /// How often each row is in the tree that starts with `rng`; the draws come first in its stream. `None` once nobody wants
    /// them.
    ///
    /// - `counts`: one for each training row, whatever they were.
    pub(super) fn counts(&self, rng: &mut Rng, counts: &mut [u8], is_wanted: impl Fn() -> bool) -> Option<()> {
        /// Draws between two looks at `is_wanted`, some milliseconds.
        const N_BETWEEN: usize = 1 << 18;

        let n_rows = self.classes.len();
        counts.fill(u8::from(self.n_drawn.is_none()));
        let mut n_left = self.n_drawn.unwrap_or(0);
        while n_left > 0 {
            for _ in 0..n_left.min(N_BETWEEN) {
                let count = &mut counts[rng.below(n_rows as u64) as usize];
                // There are at most as many draws as rows, and 256! is a number of 507 digits: nobody will see a row that was
                // drawn so often.
                *count = count.saturating_add(1);
            }
            n_left -= n_left.min(N_BETWEEN);
            is_wanted().then_some(())?;
        }
        Some(())
    }

    /// The samples of `counts`, in the order of the rows. Rows that weigh nothing are left out.
    pub(super) fn samples(&self, counts: &[u8], samples: &mut Vec<Sample>) {
        samples.clear();
        // The next tree has some more or some less.
        let n_samples = counts.iter().filter(|&&n| n > 0).count();
        if samples.capacity() < n_samples {
            samples.reserve_exact(n_samples + n_samples / 64);
        }
        let drawn = (0_u32..).zip(counts).filter(|&(_, &n)| n > 0);
        let class = |row: u32| u32::from(self.classes[row as usize]);
        let Some(weights) = &self.weights else {
            samples.extend(drawn.map(|(row, &n)| Sample::new(row, class(row), n.into())));
            return;
        };
        let weight = |row: u32| u64::from(weights[row as usize]) * u64::from(counts[row as usize]);
        let sum: u64 = drawn.clone().map(|(row, _)| weight(row)).sum();
        // A tally has 32 bits a class.
        let shift = (u64::BITS - sum.leading_zeros()).saturating_sub(u32::BITS - 1);
        samples.extend(
            drawn
                .map(|(row, _)| (row, weight(row)))
                .filter(|&(_, weight)| weight > 0)
                .map(|(row, weight)| Sample::new(row, class(row), (weight >> shift).clamp(1, MAX_WEIGHT))),
        );
    }
}

/// Those of `rows` that weigh anything, ascending. The others are as if they were not there: a bootstrap that drew nothing else
/// would have nothing to learn from. Rows that do not exist stay, to be refused.
pub(super) fn rows_with_weight(data: &Dataset, rows: &[u32]) -> Vec<u32> {
    let mut rows = rows.to_vec();
    if let Some(weights) = data.weights() {
        rows.retain(|&row| weights.get(row as usize).is_none_or(|&weight| weight > 0.0));
    }
    rows.sort_unstable();
    rows
}

/// Row weights in whole units: the weights themselves if they are small whole numbers, else multiples of a unit so small that
/// rounding to it matters to no one.
pub(super) fn whole_units(weights: &[f32]) -> Vec<u32> {
    /// Leaves room for a row that is drawn 64 times.
    const MAX: f64 = 65_535.0;
    /// Leaves room for a bag that weighs eight times as much as the rows.
    const MAX_SUM: f64 = (1_u32 << 28) as f64;

    let (mut max, mut sum, mut are_whole) = (0.0_f64, 0.0_f64, true);
    for &weight in weights {
        let weight = f64::from(weight);
        max = max.max(weight);
        sum += weight;
        are_whole &= weight.fract() == 0.0;
    }
    let scale = if are_whole && max <= MAX && sum <= MAX_SUM { 1.0 } else { (MAX / max).min(MAX_SUM / sum) };
    let units = |&weight: &f32| if weight > 0.0 { (f64::from(weight) * scale).round().max(1.0) as u32 } else { 0 };
    weights.iter().map(units).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_sample_keeps_its_parts() {
        let sample = Sample::new((1 << 30) - 1, 4095, MAX_WEIGHT);
        assert_eq!((sample.row(), sample.class(), sample.word()), ((1 << 30) - 1, 4095, 2047));
        assert_eq!(sample.add(), MAX_WEIGHT << 32);
        let moved = sample.at(3);
        assert_eq!((moved.row(), moved.class(), moved.add()), (3, 4095, MAX_WEIGHT << 32));
        assert_eq!(Sample::new(5, 2, 7).add(), 7);
        assert_eq!(Sample::new(5, 2, 7).word(), 1);
    }

    #[test]
    fn the_bootstrap_draws_as_many_rows_with_replacement() {
        let classes: Vec<u16> = (0..1000).map(|i| i % 2).collect();
        let bag = Bag { classes: &classes, weights: None, n_drawn: Some(1000) };
        let (mut counts, mut samples) = ([7; 1000], Vec::new());
        assert_eq!(bag.counts(&mut Rng::new(1), &mut counts, || false), None);
        bag.counts(&mut Rng::new(1), &mut counts, || true).unwrap();
        bag.samples(&counts, &mut samples);
        assert_eq!(samples.iter().map(|s| s.add() >> (32 * (s.class() % 2))).sum::<u64>(), 1000);
        // 1000 · (1 - 1/e) = 632 are drawn at all, standard deviation 9.8.
        assert!(samples.len().abs_diff(632) < 50, "{}", samples.len());
        assert!(samples.iter().all(|s| s.class() as usize == s.row() % 2));
    }

    #[rstest]
    #[case(&[1.0, 0.0, 3.0], &[1, 0, 3])]
    #[case(&[0.5, 1.0, 0.0], &[32_768, 65_535, 0])]
    // The lightest row still counts.
    #[case(&[1e-9, 1.0], &[1, 65_535])]
    #[case(&[131_070.0, 2.0], &[65_535, 1])]
    fn weights_in_units_by_hand(#[case] weights: &[f32], #[case] units: &[u32]) {
        assert_eq!(whole_units(weights), units);
    }

    #[test]
    fn a_bag_never_outweighs_its_tallies() {
        let classes = vec![0; 1 << 12];
        // Each weight is the largest, and every row is drawn 64 times: 2^34 units.
        let bag = Bag { classes: &classes, weights: Some(vec![65_535; 1 << 12]), n_drawn: None };
        let mut samples = Vec::new();
        bag.samples(&[64; 1 << 12], &mut samples);
        assert!(samples.iter().map(|s| s.add()).sum::<u64>() <= u64::from(u32::MAX));
    }
}
