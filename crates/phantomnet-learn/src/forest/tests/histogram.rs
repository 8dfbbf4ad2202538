//! Histograms against plain counts.

use super::super::bag::Sample;
use super::super::binning::{Bins, MISSING, Rows, Values};
use super::super::groups::{CodeOrder, Groups};
use super::super::histogram::{Histograms, N_SLOTS};
use super::super::tally::{Layout, half};
use super::*;

const N_ROWS: usize = 700;
const N_FEATURES: usize = 11;
/// Some features have few bins, so that many rows fall into one.
const N_BINS: [u64; N_FEATURES] = [255, 2, 255, 1, 40, 255, 3, 200, 255, 7, 255];

struct Table {
    rows: Vec<u8>,
    columns: Vec<u8>,
    samples: Vec<Sample>,
}

impl Table {
    /// One bin in ten is that of missing values.
    fn new(n_classes: u64, n_samples: usize) -> Self {
        let mut rng = Rng::new(n_classes);
        let mut rows = Vec::new();
        for _ in 0..N_ROWS {
            rows.extend(N_BINS.map(|n| if rng.below(10) == 0 { MISSING } else { rng.below(n) as u8 }));
        }
        let columns = (0..N_FEATURES).flat_map(|j| rows[j..].iter().step_by(N_FEATURES).copied()).collect();
        let samples = (0..n_samples)
            .map(|_| Sample::new(rng.below(N_ROWS as u64) as u32, rng.below(n_classes) as u32, 1 + rng.below(1000)));
        let samples = samples.collect();
        Self { rows, columns, samples }
    }

    /// Weight of each class and number of rows, of the samples in one bin of a feature.
    fn count(&self, feature: usize, bin: u8, n_classes: usize) -> Vec<u32> {
        let mut counts = vec![0; n_classes + 1];
        for sample in self.samples.iter().filter(|sample| self.rows[sample.row() * N_FEATURES + feature] == bin) {
            counts[sample.class() as usize] += (sample.add() >> (32 * (sample.class() % 2))) as u32;
            counts[n_classes] += 1;
        }
        counts
    }
}

/// An order of codes that puts the highest bin first.
fn reversed(n_bins: usize) -> CodeOrder {
    CodeOrder::new((0..n_bins).rev().map(|bin| bin as u8).collect())
}

#[rstest]
fn groups_have_the_counts_of_their_rows(
    #[values(2, 3, 5)] n_classes: usize,
    #[values(false, true)] counts_rows: bool,
    // Below 512 the bins that occur are marked.
    #[values(1, 60, 511, 512, 2000)] n_samples: usize,
    #[values(false, true)] by_columns: bool,
) {
    let layout = Layout::new(n_classes, counts_rows);
    let table = Table::new(n_classes as u64, n_samples);
    let bins = match by_columns {
        true => Bins::Columns { bins: &table.columns, n_rows: N_ROWS },
        false => Bins::Rows(Rows { bins: &table.rows, n_features: N_FEATURES }),
    };
    let mut histograms = Histograms::new(layout);
    let mut groups = Groups::new(layout);
    let features: Vec<u32> = [5, 1, 3, 10, 0, 9, 6, 2].to_vec();
    for n in 1..=N_SLOTS {
        histograms.fill(bins, &table.samples, &features[..n]);
        for (slot, &feature) in features[..n].iter().enumerate() {
            let feature = feature as usize;
            let n_bins = N_BINS[feature] as usize;
            // Odd slots are cut as categories are.
            let order = (slot % 2 == 1).then(|| reversed(n_bins));
            let values = match &order {
                Some(_) => Values::Codes((0..n_bins).map(|bin| bin as u8).collect()),
                None => {
                    let values: Vec<f32> = (0..n_bins).map(|bin| bin as f32).collect();
                    Values::Numbers { lower: values.clone(), upper: values, cuts: Vec::new() }
                }
            };
            groups.take(&mut histograms, slot, &values, order.as_ref());
            let tally = |tally: &[u64]| -> Vec<u32> {
                (0..n_classes + usize::from(counts_rows)).map(|i| half(tally, i)).collect()
            };
            let expected = |bin: u8| {
                let mut counts = table.count(feature, bin, n_classes);
                counts.truncate(n_classes + usize::from(counts_rows));
                counts
            };
            let bin_at = |rank: u8| order.as_ref().map_or(rank, |order| order.bins[usize::from(rank)]);
            let occurs = |&rank: &u8| expected(bin_at(rank)).iter().any(|&n| n > 0);
            let ranks: Vec<u8> = (0..n_bins).map(|rank| rank as u8).filter(occurs).collect();
            assert_eq!(groups.ranks, ranks, "slot {slot} of {n}");
            for (group, &rank) in ranks.iter().enumerate() {
                assert_eq!(tally(groups.tally(group)), expected(bin_at(rank)), "rank {rank} of slot {slot}");
            }
            assert_eq!(tally(groups.missing()), expected(MISSING));
            assert_eq!(groups.has_missing, expected(MISSING).iter().any(|&n| n > 0));
        }
        assert!(histograms.planes.iter().flatten().all(|&counter| counter == 0), "the next node starts from zero");
    }
}

#[test]
fn a_parent_has_the_counts_of_its_children() {
    let table = Table::new(3, 900);
    let bins = Bins::Rows(Rows { bins: &table.rows, n_features: N_FEATURES });
    let count = |samples: &[Sample]| {
        let mut histograms = Histograms::new(Layout::new(3, true));
        histograms.fill(bins, samples, &[4, 7]);
        histograms.planes.into_flattened()
    };
    let (left, right) = table.samples.split_at(250);
    let sums: Vec<u64> = count(left).iter().zip(count(right)).map(|(left, right)| left + right).collect();
    assert_eq!(sums, count(&table.samples));
}
