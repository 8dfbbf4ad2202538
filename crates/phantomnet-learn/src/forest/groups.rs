//! The bins of one feature that occur in a node, in the order that they are split in.

use super::binning::{MISSING, Values};
use super::histogram::Histograms;
use super::tally::Layout;

/// The order in which a tree splits the codes of a category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CodeOrder {
    /// The bin at each place.
    pub(super) bins: Vec<u8>,
    /// The place of each bin; of missing values, [`MISSING`].
    pub(super) places: [u8; 256],
}

impl CodeOrder {
    /// The order that gives each place its bin.
    pub(super) fn new(bins: Vec<u8>) -> Self {
        let mut places = [MISSING; 256];
        for (place, &bin) in (0..=u8::MAX).zip(&bins) {
            places[usize::from(bin)] = place;
        }
        Self { bins, places }
    }
}

/// Tallies by *rank*: the bin of a number, the place of a category's code in its order. Kept from node to node to spare
/// allocations.
#[derive(Debug)]
pub(super) struct Groups {
    n_words: usize,
    /// Ranks that occur, ascending.
    pub(super) ranks: Vec<u8>,
    /// A tally for each of `ranks`.
    tallies: Vec<u64>,
    missing: Vec<u64>,
    /// Whether a value is missing.
    pub(super) has_missing: bool,
}

impl Groups {
    /// No row yet.
    pub(super) fn new(layout: Layout) -> Self {
        let n_words = layout.n_words;
        Self { n_words, ranks: Vec::new(), tallies: Vec::new(), missing: vec![0; n_words], has_missing: false }
    }

    /// Tally of the group at a place of `ranks`.
    #[inline]
    pub(super) fn tally(&self, group: usize) -> &[u64] {
        &self.tallies[group * self.n_words..][..self.n_words]
    }

    /// Tally of the rows whose value is missing.
    pub(super) fn missing(&self) -> &[u64] {
        &self.missing
    }

    /// Takes the counters of a slot, and leaves them zero.
    pub(super) fn take(
        &mut self,
        histograms: &mut Histograms,
        slot: usize,
        values: &Values,
        order: Option<&CodeOrder>,
    ) {
        self.ranks.clear();
        self.tallies.clear();
        match histograms.occupied {
            Some(occupied) => {
                for (i, mut bits) in (0_u8..).zip(occupied[slot]) {
                    while bits != 0 {
                        self.ranks.push(64 * i + bits.trailing_zeros() as u8);
                        bits &= bits - 1;
                    }
                }
                if self.ranks.last() == Some(&MISSING) {
                    self.ranks.pop();
                }
                if let Some(order) = order {
                    self.ranks.iter_mut().for_each(|bin| *bin = order.places[usize::from(*bin)]);
                    self.ranks.sort_unstable();
                }
            }
            None => self.ranks.extend((0..values.n_bins()).map(|rank| rank as u8)),
        }
        let bin_at = |rank: u8| order.map_or(rank, |order| order.bins[usize::from(rank)]);
        let planes = &mut histograms.planes[slot * self.n_words..][..self.n_words];
        if let [plane] = planes {
            let tallies = &mut self.tallies;
            self.ranks.retain(|&rank| {
                let tally = std::mem::take(&mut plane[usize::from(bin_at(rank))]);
                if tally != 0 {
                    tallies.push(tally);
                }
                tally != 0
            });
        } else {
            let tallies = &mut self.tallies;
            self.ranks.retain(|&rank| {
                let start = tallies.len();
                tallies.extend(planes.iter_mut().map(|plane| std::mem::take(&mut plane[usize::from(bin_at(rank))])));
                let occurs = tallies[start..].iter().any(|&word| word != 0);
                if !occurs {
                    tallies.truncate(start);
                }
                occurs
            });
        }
        for (word, plane) in self.missing.iter_mut().zip(planes) {
            *word = std::mem::take(&mut plane[usize::from(MISSING)]);
        }
        self.has_missing = self.missing.iter().any(|&word| word != 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_codes_as_there_are_bins_have_a_place_each() {
        let order = CodeOrder::new((0..MISSING).rev().collect());
        assert_eq!((order.places[254], order.places[0], order.places[255]), (0, 254, MISSING));
    }
}
