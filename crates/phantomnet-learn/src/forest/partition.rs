//! Where the rows of nodes are: who goes left, and copies that stay in the cache.

use super::bag::Sample;
use super::binning::{Bins, Rows};
use super::groups::CodeOrder;
use super::split::Split;

/// Writes the samples that go left to the front of `to` and the others, in reverse, to its back; gives the number of the
/// former. Their rows keep running one way, so that memory is read in order.
pub(super) fn divide(
    bins: Bins<'_>,
    from: &[Sample],
    to: &mut [Sample],
    split: &Split,
    order: Option<&CodeOrder>,
) -> usize {
    match order {
        Some(order) => {
            let goes_left: [bool; 256] = std::array::from_fn(|bin| split.goes_left(order.places[bin]));
            divide_by(bins, from, to, split.feature as usize, |bin| goes_left[usize::from(bin)])
        }
        None => {
            let (shift, last) = split.shifted_last();
            divide_by(bins, from, to, split.feature as usize, |bin| bin.wrapping_add(shift) <= last)
        }
    }
}

fn divide_by(
    bins: Bins<'_>,
    from: &[Sample],
    to: &mut [Sample],
    feature: usize,
    goes_left: impl Fn(u8) -> bool,
) -> usize {
    match bins {
        Bins::Columns { bins, n_rows } => {
            let column = &bins[feature * n_rows..][..n_rows];
            write_both(from, to, |row| goes_left(column[row]))
        }
        Bins::Rows(rows) => write_both(from, to, |row| goes_left(rows.row(row)[feature])),
    }
}

#[inline]
fn write_both(from: &[Sample], to: &mut [Sample], goes_left: impl Fn(usize) -> bool) -> usize {
    let (mut left, mut right) = (0, from.len());
    for &sample in from {
        let goes_left = goes_left(sample.row());
        // Both are written, one of them to stay: there is nothing to predict.
        to[left] = sample;
        to[right - 1] = sample;
        left += usize::from(goes_left);
        right -= usize::from(!goes_left);
    }
    left
}

/// Rows of a node, copied together, so that they lie close while its subtree is grown. One copy for each of [`COPY_BYTES`].
#[derive(Debug, Default)]
pub(super) struct Copies([Vec<u8>; COPY_BYTES.len()]);

/// Bytes of rows that are worth copying. The last two fit into a processor's second cache and into its first; those before
/// them keep the rows of a node so dense that most are fetched before they are asked for. At 4 M rows of 32 features they
/// save a fifth of the time of a fit.
const COPY_BYTES: [usize; 5] = [30 << 20, 10 << 20, 3 << 20, 768 << 10, 24 << 10];

/// How many times as many bytes all training rows have, at least: rows less dense than that are.
const MIN_SPREAD: usize = 4;

/// Rows that are worth it. A handful is read no more often than it would be copied.
const MIN_COPY_ROWS: usize = 32;

impl Copies {
    /// The rows of a copy, counted from 1.
    pub(super) fn rows(&self, copy: usize, n_features: usize) -> Rows<'_> {
        Rows { bins: &self.0[copy - 1], n_features }
    }

    /// Copies the rows of a node, if it is the first on its path that is small enough, and gives its new copy.
    ///
    /// - `rows`: the training rows.
    /// - `copy`: the copy that the rows are in, 0 for none.
    pub(super) fn copy(&mut self, rows: Rows<'_>, copy: usize, samples: &mut [Sample]) -> usize {
        let (n_bytes, n_training_bytes) = (samples.len() * rows.n_features, rows.bins.len());
        let is_worth = |&i: &usize| n_bytes <= COPY_BYTES[i] && n_training_bytes / MIN_SPREAD >= COPY_BYTES[i];
        let smallest = (copy..COPY_BYTES.len()).rev().find(is_worth);
        let Some(smallest) = smallest.filter(|_| samples.len() >= MIN_COPY_ROWS) else { return copy };
        let (before, after) = self.0.split_at_mut(smallest);
        let from = if copy == 0 { rows } else { Rows { bins: &before[copy - 1], ..rows } };
        let to = &mut after[0];
        to.clear();
        for (row, sample) in samples.iter_mut().enumerate() {
            to.extend_from_slice(from.row(sample.row()));
            *sample = sample.at(row);
        }
        smallest + 1
    }
}
