//! Class weights of a node's rows by bin, for a few features at a time.

use super::bag::Sample;
use super::binning::{Bins, Rows};
use super::tally::Layout;

/// Features that are counted together. The rows of a node are fetched once for all of them, and the counters of several
/// features keep the processor busy where the next row falls into the same bin.
pub(super) const N_SLOTS: usize = 8;

/// Bins of a feature, the one of missing values included.
pub(super) const N_BINS: usize = 256;

/// A counter for each bin; kept from node to node, all zero in between.
#[derive(Debug)]
pub(super) struct Histograms {
    pub(super) layout: Layout,
    /// Slot after slot, and in a slot word after word of the tallies, so that a bin needs no multiplication.
    pub(super) planes: Vec<[u64; N_BINS]>,
    /// For each slot, a bit for each bin that occurs; only if the rows were few.
    pub(super) occupied: Option<[[u64; N_BINS / 64]; N_SLOTS]>,
}

impl Histograms {
    /// Where rows are fewer than this, the bins that occur are noted, since it would take longer to look for them.
    const FEW_ROWS: usize = 512;

    pub(super) fn new(layout: Layout) -> Self {
        Self { layout, planes: vec![[0; N_BINS]; N_SLOTS * layout.n_words], occupied: None }
    }

    /// Counts `samples` by their bins of `features`, 1 to [`N_SLOTS`] of them; feature `i` goes to slot `i`.
    pub(super) fn fill(&mut self, bins: Bins<'_>, samples: &[Sample], features: &[u32]) {
        match features.len() {
            1 => self.fill_slots::<1>(bins, samples, features),
            2 => self.fill_slots::<2>(bins, samples, features),
            3 => self.fill_slots::<3>(bins, samples, features),
            4 => self.fill_slots::<4>(bins, samples, features),
            5 => self.fill_slots::<5>(bins, samples, features),
            6 => self.fill_slots::<6>(bins, samples, features),
            7 => self.fill_slots::<7>(bins, samples, features),
            _ => self.fill_slots::<N_SLOTS>(bins, samples, features),
        }
    }

    fn fill_slots<const N: usize>(&mut self, bins: Bins<'_>, samples: &[Sample], features: &[u32]) {
        let features: [usize; N] = std::array::from_fn(|slot| features[slot] as usize);
        match bins {
            Bins::Columns { bins, n_rows } => {
                let columns = std::array::from_fn(|slot| &bins[features[slot] * n_rows..][..n_rows]);
                self.accumulate::<N>(samples, &FromColumns::<N>(columns));
            }
            Bins::Rows(rows) => {
                assert!(
                    features.iter().all(|&feature| feature < rows.n_features),
                    "a row has the bins of all features"
                );
                self.accumulate::<N>(samples, &FromRows::<N> { rows, features });
            }
        }
    }

    fn accumulate<const N: usize>(&mut self, samples: &[Sample], source: &impl Source) {
        match (self.layout.n_words == 1, samples.len() < Self::FEW_ROWS) {
            (true, true) => self.count::<N, true, true>(samples, source),
            (true, false) => self.count::<N, true, false>(samples, source),
            (false, true) => self.count::<N, false, true>(samples, source),
            (false, false) => self.count::<N, false, false>(samples, source),
        }
    }

    /// The loop that training spends most of its time in.
    ///
    /// - `NARROW`: a tally is one word.
    /// - `MARK`: note which bins occur.
    fn count<const N: usize, const NARROW: bool, const MARK: bool>(
        &mut self,
        samples: &[Sample],
        source: &impl Source,
    ) {
        let n_words = if NARROW { 1 } else { self.layout.n_words };
        let of_row = if NARROW { None } else { self.layout.of_row() };
        let planes = &mut self.planes[..N * n_words];
        let mut occupied = [[0; N_BINS / 64]; N_SLOTS];
        for &sample in samples {
            let row = source.row(sample.row());
            let (word, add) = (if NARROW { 0 } else { sample.word() }, sample.add());
            for slot in 0..N {
                let bin = source.bin(row, slot);
                planes[slot * n_words + word][usize::from(bin)] += add;
                if let Some((word, add)) = of_row {
                    planes[slot * n_words + word][usize::from(bin)] += add;
                }
                if MARK {
                    occupied[slot][usize::from(bin >> 6)] |= 1 << (bin & 63);
                }
            }
        }
        self.occupied = MARK.then_some(occupied);
    }
}

/// The bins of a few features.
trait Source {
    /// A row that was found.
    type Row: Copy;

    fn row(&self, i: usize) -> Self::Row;

    fn bin(&self, row: Self::Row, slot: usize) -> u8;
}

struct FromRows<'a, const N: usize> {
    rows: Rows<'a>,
    features: [usize; N],
}

impl<'a, const N: usize> Source for FromRows<'a, N> {
    type Row = &'a [u8];

    #[inline(always)]
    fn row(&self, i: usize) -> &'a [u8] {
        self.rows.row(i)
    }

    #[inline(always)]
    fn bin(&self, row: &'a [u8], slot: usize) -> u8 {
        row[self.features[slot]]
    }
}

struct FromColumns<'a, const N: usize>([&'a [u8]; N]);

impl<const N: usize> Source for FromColumns<'_, N> {
    type Row = usize;

    #[inline(always)]
    fn row(&self, i: usize) -> usize {
        i
    }

    #[inline(always)]
    fn bin(&self, row: usize, slot: usize) -> u8 {
        self.0[slot][row]
    }
}
