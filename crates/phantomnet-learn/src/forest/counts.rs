//! Tallies by bin of every feature of a node, for trees whose nodes look at all of them.
//!
//! What the children of a node count adds up to what the node has counted. So only the rows of the smaller child are read:
//! the larger one has its parent's counts less those. Sums are of whole numbers, and nothing is lost to the difference.

use super::bag::Sample;
use super::binning::Bins;
use super::candidates::FeatureSet;
use super::histogram::{Histograms, N_BINS, N_SLOTS};
use super::tally::Layout;

/// A counter for each bin of each feature; those of features that are constant in the node hold anything.
#[derive(Debug)]
pub(super) struct Counts {
    /// Feature after feature, and in a feature word after word of the tallies.
    planes: Vec<[u64; N_BINS]>,
}

/// Samples that a node has for each word of a tally, at least, to keep its counts: they take no more memory than the bins of
/// its rows, and the difference takes less time than counting again.
const MIN_SAMPLES: usize = if cfg!(test) { 3 } else { 2048 };

impl Counts {
    /// Whether a node of so many samples, and its descendants while they are large enough, count all features.
    pub(super) fn are_kept(layout: Layout, n_samples: usize) -> bool {
        n_samples >= MIN_SAMPLES * layout.n_words
    }

    /// Counts the samples of a node by all features but those that are `constant` in it.
    ///
    /// - `histograms`: where to count, all zero before and after.
    ///
    /// Incomplete once nobody wants it.
    pub(super) fn of(
        bins: Bins<'_>,
        samples: &[Sample],
        constant: &FeatureSet,
        histograms: &mut Histograms,
        is_wanted: impl Fn() -> bool,
    ) -> Self {
        let n_words = histograms.layout.n_words;
        let features: Vec<u32> = constant.others().collect();
        let mut planes = vec![[0; N_BINS]; constant.n_features() * n_words];
        for features in features.chunks(N_SLOTS) {
            if !is_wanted() {
                break;
            }
            histograms.fill(bins, samples, features);
            let counted = histograms.planes.chunks_exact_mut(n_words);
            for (&feature, counted) in features.iter().zip(counted) {
                planes[feature as usize * n_words..][..n_words].swap_with_slice(counted);
            }
        }
        Self { planes }
    }

    /// Takes a part of the node's samples away.
    pub(super) fn subtract(&mut self, part: &Self) {
        let words = self.planes.as_flattened_mut().iter_mut();
        words.zip(part.planes.as_flattened()).for_each(|(word, part)| *word = word.wrapping_sub(*part));
    }

    /// Copies the counters of a feature to a slot.
    pub(super) fn load(&self, feature: u32, histograms: &mut Histograms, slot: usize) {
        let n_words = histograms.layout.n_words;
        let of_feature = &self.planes[feature as usize * n_words..][..n_words];
        histograms.planes[slot * n_words..][..n_words].copy_from_slice(of_feature);
        histograms.occupied = None;
    }
}
