//! The rows of a node by the rank of one feature: what a split is chosen from.
//!
//! A *tally* is a slice of `1 + n_classes` counts: how many rows, then how many of each class, bootstrap repetitions
//! included. All sums are of integers, so no result depends on the order of rows.

use super::ranks::{MISSING, RankedColumn};

/// A training row in a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Position in the ranked columns.
    pub(super) row: u32,
    /// Class of the row.
    pub(super) class: u32,
    /// How often the bootstrap drew it, at least once.
    pub(super) count: u32,
}

impl Sample {
    fn add_to(self, tally: &mut [u32]) {
        tally[0] += 1;
        tally[1 + self.class as usize] += self.count;
    }
}

/// Adds `samples` up in `tally`, which is zero.
pub(super) fn tally_of(samples: &[Sample], tally: &mut [u32]) {
    for sample in samples {
        sample.add_to(tally);
    }
}

/// Tallies by rank. Kept from node to node to spare allocations.
#[derive(Debug)]
pub(super) struct Groups {
    stride: usize,
    /// Ranks that occur, ascending.
    ranks: Vec<u32>,
    /// A tally for each of `ranks`.
    tallies: Vec<u32>,
    missing: Vec<u32>,
    /// A tally for every rank of the feature.
    by_rank: Vec<u32>,
    sorted: Vec<(u32, Sample)>,
}

impl Groups {
    /// No row yet.
    pub(super) fn new(n_classes: usize) -> Self {
        let stride = 1 + n_classes;
        Self {
            stride,
            ranks: Vec::new(),
            tallies: Vec::new(),
            missing: vec![0; stride],
            by_rank: Vec::new(),
            sorted: Vec::new(),
        }
    }

    /// Groups `samples` by their rank in `column`.
    ///
    /// Counts into an array when the feature has few ranks for so many rows, sorts otherwise; both give the same groups.
    pub(super) fn fill(&mut self, column: &RankedColumn, samples: &[Sample]) {
        self.ranks.clear();
        self.tallies.clear();
        self.missing.fill(0);
        if column.n_ranks() <= 2 * samples.len() {
            self.count(column, samples);
        } else {
            self.sort(column, samples);
        }
    }

    fn count(&mut self, column: &RankedColumn, samples: &[Sample]) {
        let stride = self.stride;
        self.by_rank.clear();
        self.by_rank.resize(column.n_ranks() * stride, 0);
        for sample in samples {
            match column.ranks[sample.row as usize] {
                MISSING => sample.add_to(&mut self.missing),
                rank => sample.add_to(&mut self.by_rank[rank as usize * stride..][..stride]),
            }
        }
        for (rank, tally) in self.by_rank.chunks_exact(stride).enumerate() {
            if tally[0] > 0 {
                self.ranks.push(rank as u32);
                self.tallies.extend_from_slice(tally);
            }
        }
    }

    fn sort(&mut self, column: &RankedColumn, samples: &[Sample]) {
        self.sorted.clear();
        for &sample in samples {
            match column.ranks[sample.row as usize] {
                MISSING => sample.add_to(&mut self.missing),
                rank => self.sorted.push((rank, sample)),
            }
        }
        self.sorted.sort_unstable_by_key(|&(rank, _)| rank);
        for same_rank in self.sorted.chunk_by(|a, b| a.0 == b.0) {
            let start = self.tallies.len();
            self.ranks.push(same_rank[0].0);
            self.tallies.resize(start + self.stride, 0);
            for (_, sample) in same_rank {
                sample.add_to(&mut self.tallies[start..]);
            }
        }
    }

    /// Ranks that occur, ascending. The place of a rank here is its *group*.
    pub(super) fn ranks(&self) -> &[u32] {
        &self.ranks
    }

    /// Tally of a group.
    pub(super) fn tally(&self, group: usize) -> &[u32] {
        &self.tallies[group * self.stride..][..self.stride]
    }

    /// Tally of the rows whose value is missing.
    pub(super) fn missing(&self) -> &[u32] {
        &self.missing
    }

    /// Whether a value is missing.
    pub(super) fn has_missing(&self) -> bool {
        self.missing[0] > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phantomnet_model::FeatureKind;
    use proptest::prelude::*;

    #[test]
    fn groups_by_hand() {
        let column = [5.0, f32::NAN, 5.0, 1.0];
        let column = RankedColumn::new(&FeatureKind::Number, &column, &[0, 1, 2, 3], &[0; 4], &[1.0]);
        let sample = |row, class, count| Sample { row, class, count };
        let samples = [sample(0, 1, 2), sample(1, 0, 1), sample(2, 0, 3), sample(3, 1, 1)];
        let mut groups = Groups::new(2);
        groups.fill(&column, &samples);
        assert_eq!(groups.ranks(), [0, 1]);
        assert_eq!(groups.tally(0), [1, 0, 1]);
        assert_eq!(groups.tally(1), [2, 3, 2]);
        assert_eq!(groups.missing(), [1, 1, 0]);
    }

    proptest! {
        #[test]
        fn counting_and_sorting_agree(rows in prop::collection::vec((0u8..20, 0u32..3, 1u32..4), 1..60)) {
            // Value 0 stands for missing.
            let values: Vec<f32> =
                rows.iter().map(|&(v, ..)| if v == 0 { f32::NAN } else { f32::from(v) }).collect();
            let all: Vec<u32> = (0..rows.len() as u32).collect();
            let column = RankedColumn::new(&FeatureKind::Number, &values, &all, &vec![0; all.len()], &[1.0]);
            let samples: Vec<Sample> =
                all.iter().zip(&rows).map(|(&row, &(_, class, count))| Sample { row, class, count }).collect();
            let (mut counted, mut sorted) = (Groups::new(3), Groups::new(3));
            counted.count(&column, &samples);
            sorted.sort(&column, &samples);
            prop_assert_eq!(&counted.ranks, &sorted.ranks);
            prop_assert_eq!(&counted.tallies, &sorted.tallies);
            prop_assert_eq!(&counted.missing, &sorted.missing);
        }
    }
}
