//! Feature columns as bytes: what the grower reads instead of values.
//!
//! A *bin* is a run of neighbouring values of a number, or one code of a category; the bin [`MISSING`] holds the missing
//! values. A number with no more distinct values than bins has one value a bin, so that splits between bins are exact;
//! others are cut at quantiles. A category has a bin for each code that occurs, in [`code_order`].
//!
//! Bins are stored row by row: a node reads the few features that it draws from rows that lie far apart, so that one
//! cache line serves them all, and the rows of a small node can be copied together.

use phantomnet_model::{Dataset, Feature, FeatureKind};
use rayon::prelude::*;

use super::bytes::Bytes;
use super::code_order::code_order;
use crate::rng::Rng;

/// Bin of missing values.
pub(super) const MISSING: u8 = u8::MAX;

/// Most bins of a feature, the one of missing values not counted.
pub(super) const MAX_BINS: usize = MISSING as usize;

/// Rows from which the quantiles of a number are taken. The error of a quantile is 0.1 % of the rows, a fourth of a bin.
const N_SAMPLED: usize = 200_000;

/// What the bins of a feature stand for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// Smallest and largest number of each bin, ascending, and the thresholds between the bins. Of a number that was cut at
    /// quantiles, `lower` is the bound that all values of the bin are greater than.
    Numbers { lower: Vec<f32>, upper: Vec<f32>, cuts: Vec<f32> },
    /// The codes that occur, in the order of their bins; all from [`MAX_BINS`]` - 1` on share the last bin.
    Codes(Vec<u8>),
}

impl Values {
    /// Number of bins, the one of missing values not counted.
    pub(super) fn n_bins(&self) -> usize {
        match self {
            Self::Numbers { upper, .. } => upper.len(),
            Self::Codes(codes) => codes.len().min(MAX_BINS),
        }
    }

    /// Codes of a bin; none for a number.
    pub(super) fn codes_of(&self, bin: u8) -> &[u8] {
        match self {
            Self::Numbers { .. } => &[],
            Self::Codes(codes) => {
                let bin = usize::from(bin);
                let end = if bin + 1 == MAX_BINS { codes.len() } else { bin + 1 };
                &codes[bin..end]
            }
        }
    }
}

/// Where a node reads the bins of its rows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bins<'a> {
    /// Row after row, for nodes whose rows lie far apart: one cache line serves all features of a row.
    Rows(Rows<'a>),
    /// Feature after feature, for nodes that have a good part of all rows: nothing is fetched that is not read.
    Columns {
        /// `n_features × n_rows` bins.
        bins: &'a [u8],
        n_rows: usize,
    },
}

/// Bins row after row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// `n_rows × n_features` bins.
    pub(super) bins: &'a [u8],
    /// Bins of a row, at least 1.
    pub(super) n_features: usize,
}

impl<'a> Rows<'a> {
    /// Bins of row `i`.
    #[inline]
    pub(super) fn row(self, i: usize) -> &'a [u8] {
        &self.bins[i * self.n_features..][..self.n_features]
    }
}

/// The training rows in bins.
#[derive(Debug)]
pub(super) struct Binned {
    n_rows: usize,
    rows: Bytes,
    /// The same, feature after feature; none if it would take more than [`MAX_COLUMN_BYTES`].
    columns: Option<Bytes>,
    /// Meaning of the bins of each feature.
    pub(super) values: Vec<Values>,
}

/// Most bytes that bins may take to be kept twice.
const MAX_COLUMN_BYTES: usize = 32 << 20;

/// Rows that one thread bins at a time: their bytes stay in its cache while it goes through the columns.
const ROWS_PER_BLOCK: usize = 4096;

impl Binned {
    /// Bins the given `rows` of `data` on the current thread pool.
    ///
    /// - `classes`: class of each of `rows`, which with `class_weights` orders the codes of categories.
    /// - `max_bins`: 2 to [`MAX_BINS`]; of numbers only, a code always has a bin of its own.
    ///
    /// `None` once nobody wants it.
    pub(super) fn new(
        data: &Dataset,
        rows: &[u32],
        classes: &[u16],
        class_weights: &[f64],
        max_bins: usize,
        is_wanted: impl Fn() -> bool + Sync,
    ) -> Option<Self> {
        let features = data.schema().features();
        let (n_rows, n_features) = (rows.len(), features.len());
        let learn = |(j, feature): (usize, &Feature)| {
            is_wanted().then_some(())?;
            Some(match &feature.kind {
                FeatureKind::Category { dictionary } => {
                    let column = data.column(j);
                    let code = |x: f32| (!x.is_nan()).then_some(x as u8);
                    let weight = |row: u32| data.weights().map_or(1.0, |weights| weights[row as usize]);
                    let of_rows = rows.iter().zip(classes);
                    let of_rows = of_rows.map(|(&row, &class)| (code(column[row as usize]), class, weight(row)));
                    Encoder::of_codes(code_order(dictionary.n_codes(), of_rows, class_weights))
                }
                FeatureKind::Number | FeatureKind::Boolean => Encoder::of_numbers(data.column(j), rows, max_bins),
            })
        };
        let encoders = features.par_iter().enumerate().map(learn).collect::<Option<Vec<Encoder>>>()?;

        let mut bins = Bytes::zero(n_rows * n_features);
        let blocks = bins.par_chunks_mut(ROWS_PER_BLOCK * n_features).zip(rows.par_chunks(ROWS_PER_BLOCK));
        blocks.try_for_each(|(bins, rows)| {
            for (j, encoder) in encoders.iter().enumerate() {
                let of_feature = bins[j..].iter_mut().step_by(n_features);
                encoder.encode(data.column(j), rows, of_feature);
            }
            is_wanted().then_some(())
        })?;
        let columns = (bins.len() <= MAX_COLUMN_BYTES).then(|| {
            let mut columns = Bytes::zero(bins.len());
            columns.par_chunks_mut(n_rows).enumerate().for_each(|(j, column)| {
                column.iter_mut().zip(bins[j..].iter().step_by(n_features)).for_each(|(to, &from)| *to = from);
            });
            columns
        });
        let values = encoders.into_iter().map(|encoder| encoder.values).collect();
        Some(Self { n_rows, rows: bins, columns, values })
    }

    /// The bins row after row.
    pub(super) fn rows(&self) -> Rows<'_> {
        Rows { bins: &self.rows, n_features: self.values.len() }
    }

    /// Where a node of so many samples reads best.
    pub(super) fn for_node(&self, n_samples: usize) -> Bins<'_> {
        /// Rows of a cache line of a column, of which that many are read at least; measured on forests of 40 features.
        const DENSE: usize = 16;
        match &self.columns {
            Some(bins) if n_samples >= self.n_rows / DENSE => Bins::Columns { bins, n_rows: self.n_rows },
            _ => Bins::Rows(self.rows()),
        }
    }
}

/// How values of a feature become bins.
#[derive(Debug)]
struct Encoder {
    values: Values,
    table: Table,
}

#[derive(Debug)]
enum Table {
    /// Ascending thresholds: the bin of `x` is the number of those below `x`. Filled up with infinity.
    Cuts { cuts: Box<[[f32; 16]; 16]>, every_16th: [f32; 16] },
    /// Bin of each code.
    Codes(Box<[u8; 256]>),
}

impl Encoder {
    fn of_codes(codes: Vec<u8>) -> Self {
        let mut table = Box::new([MISSING; 256]);
        for (bin, &code) in codes.iter().enumerate() {
            table[usize::from(code)] = bin.min(MAX_BINS - 1) as u8;
        }
        Self { values: Values::Codes(codes), table: Table::Codes(table) }
    }

    fn of_numbers(column: &[f32], rows: &[u32], max_bins: usize) -> Self {
        let (lower, upper, cuts) = match distinct(column, rows, max_bins) {
            Some(values) => {
                let cuts = values.windows(2).map(|pair| threshold_between(pair[0], pair[1])).collect();
                (values.clone(), values, cuts)
            }
            None => {
                let cuts = quantile_cuts(&sample(column, rows), max_bins);
                let lower = [f32::NEG_INFINITY].iter().chain(&cuts).copied().collect();
                let upper = cuts.iter().chain(&[f32::INFINITY]).copied().collect();
                (lower, upper, cuts)
            }
        };
        let mut padded = Box::new([[f32::INFINITY; 16]; 16]);
        padded.as_flattened_mut()[..cuts.len()].copy_from_slice(&cuts);
        let every_16th = padded.map(|block| block[15]);
        Self { values: Values::Numbers { lower, upper, cuts }, table: Table::Cuts { cuts: padded, every_16th } }
    }

    fn encode<'a>(&self, column: &[f32], rows: &[u32], bins: impl Iterator<Item = &'a mut u8>) {
        let values = rows.iter().map(|&row| column[row as usize]);
        match &self.table {
            Table::Codes(table) => values.zip(bins).for_each(|(x, bin)| {
                *bin = if x.is_nan() { MISSING } else { table[usize::from(x as u8)] };
            }),
            Table::Cuts { cuts, every_16th } => values.zip(bins).for_each(|(x, bin)| {
                // Two rounds of sixteen comparisons that do not wait for each other: no branch to predict.
                let below = |cuts: &[f32; 16]| cuts.iter().map(|&cut| u32::from(cut < x)).sum::<u32>();
                let block = below(every_16th) & 15;
                *bin = if x.is_nan() { MISSING } else { (16 * block + below(&cuts[block as usize])) as u8 };
            }),
        }
    }
}

/// The distinct numbers of a column, ascending, if there are at most `max`. The two zeros are one; missing is none.
fn distinct(column: &[f32], rows: &[u32], max: usize) -> Option<Vec<f32>> {
    /// Four times as many as there can be values, so that a probe is short.
    const N_SLOTS: usize = 1024;
    /// The bits of a NaN, which no value has.
    const EMPTY: u32 = u32::MAX;

    let mut slots = [EMPTY; N_SLOTS];
    let mut values = Vec::with_capacity(max + 1);
    let mut last = EMPTY;
    for &row in rows {
        // Makes the negative zero positive.
        let x = column[row as usize] + 0.0;
        let bits = x.to_bits();
        if bits == last || x.is_nan() {
            continue;
        }
        last = bits;
        let mut slot = (bits.wrapping_mul(0x9e37_79b1) >> 22) as usize;
        while slots[slot] != bits {
            if slots[slot] == EMPTY {
                if values.len() == max {
                    return None;
                }
                slots[slot] = bits;
                values.push(x);
                break;
            }
            slot = (slot + 1) % N_SLOTS;
        }
    }
    values.sort_unstable_by(f32::total_cmp);
    Some(values)
}

/// Values of a column that are not missing, ascending: of all rows, or of one row drawn from each of [`N_SAMPLED`] runs of
/// rows.
fn sample(column: &[f32], rows: &[u32]) -> Vec<f32> {
    let mut rng = Rng::new(0);
    let of_row = |i: usize| column[rows[i] as usize];
    let mut values: Vec<f32> = if rows.len() <= N_SAMPLED {
        (0..rows.len()).map(of_row).collect()
    } else {
        let start = |run: usize| (run as u128 * rows.len() as u128 / N_SAMPLED as u128) as usize;
        let draw = |run: usize| start(run) + rng.below((start(run + 1) - start(run)) as u64) as usize;
        (0..N_SAMPLED).map(draw).map(of_row).collect()
    };
    values.retain(|x| !x.is_nan());
    values.sort_unstable_by(f32::total_cmp);
    values
}

/// Thresholds that part `sorted` values into at most `max_bins` bins of about as many rows each. A value that fills a bin by
/// itself gets one.
fn quantile_cuts(sorted: &[f32], max_bins: usize) -> Vec<f32> {
    let mut cuts = Vec::with_capacity(max_bins - 1);
    let mut start = 0;
    while cuts.len() + 1 < max_bins {
        let n_left = sorted.len() - start;
        let wanted = n_left.div_ceil(max_bins - cuts.len());
        if wanted == 0 {
            break;
        }
        let value = sorted[start + wanted - 1];
        let first = start + sorted[start..].partition_point(|&x| x < value);
        let past = first + sorted[first..].partition_point(|&x| x <= value);
        let end = if first > start && past - first >= wanted { first } else { past };
        if end == sorted.len() {
            break;
        }
        cuts.push(threshold_between(sorted[end - 1], sorted[end]));
        start = end;
    }
    cuts
}

/// A threshold between two neighbouring values: their midpoint, such that `lower <= threshold < upper`.
///
/// Falls back to `lower` where the midpoint is not finite or rounds up to `upper`, or the two are the same.
pub(super) fn threshold_between(lower: f32, upper: f32) -> f32 {
    let middle = ((f64::from(lower) + f64::from(upper)) / 2.0) as f32;
    if middle.is_finite() && middle < upper { middle } else { lower }
}

#[cfg(test)]
mod tests;
