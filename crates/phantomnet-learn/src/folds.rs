//! Which rows a model learns from and which judge it.
//!
//! A *hold-out* is the part of the rows kept for the final judgement. A *fold* is one division of the rest into training
//! and validation rows; in k-fold cross-validation every row validates once a repeat. *Stratified* means that each class
//! keeps its share on both sides. Rows are named by their number in the dataset and always come back sorted.

use std::sync::Arc;

use crate::rng::Rng;

/// Streams of their own, so that a run with one seed for everything does not tie the folds to the trees.
const HOLDOUT_STREAM: u64 = u64::from_be_bytes(*b"hold-out");
const K_FOLD_STREAM: u64 = u64::from_be_bytes(*b"k-folds.");

/// Why rows cannot be divided as asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// Nothing to divide.
    #[error("there is no row to divide")]
    NoRows,
    /// Every row has the same class, so nothing can be learned or judged.
    #[error("all {rows} rows are of class `{class}`; two classes at least are needed")]
    OneClass {
        /// The only class, escaped.
        class: String,
        /// Its rows.
        rows: usize,
    },
    /// A class cannot be in every fold.
    #[error("class `{class}` has fewer rows ({rows}) than there are folds ({n_folds})")]
    ClassSmallerThanFolds {
        /// The class, escaped.
        class: String,
        /// Its rows.
        rows: usize,
        /// Folds asked for.
        n_folds: usize,
    },
    /// A class cannot be on both sides of the hold-out.
    #[error("class `{class}` has 1 row; the hold-out and the rest need one each")]
    ClassOfOneRow {
        /// The class, escaped.
        class: String,
    },
    /// One side of the hold-out has fewer rows than there are classes.
    #[error(
        "`test_size` {test_size} keeps {n_test} of {n_rows} rows for the hold-out; {n_classes} classes need at least \
         {n_classes} rows on either side"
    )]
    SideSmallerThanClasses {
        /// Share asked for.
        test_size: f64,
        /// Rows that share comes to.
        n_test: usize,
        /// All rows.
        n_rows: usize,
        /// Classes that occur.
        n_classes: usize,
    },
    /// The share of the hold-out is not a share.
    #[error("`test_size` must lie between 0 and 1, both excluded, got {got}")]
    TestSize {
        /// Value given.
        got: f64,
    },
    /// Too few folds to validate on rows that were not learned from.
    #[error("`n_folds` must be at least 2, got {got}")]
    FoldCount {
        /// Value given.
        got: usize,
    },
    /// No repeat at all.
    #[error("`n_repeats` must be at least 1, got 0")]
    RepeatCount,
    /// A label that names no class.
    #[error("row {row} has label {label}, but there are {n_classes} classes")]
    LabelOutOfRange {
        /// Row number.
        row: usize,
        /// Its label.
        label: u32,
        /// Classes named.
        n_classes: usize,
    },
    /// A row to divide that the dataset does not have.
    #[error("row {row} does not exist, the dataset has {n_rows} rows")]
    RowOutOfRange {
        /// Row number.
        row: u32,
        /// Rows of the dataset.
        n_rows: usize,
    },
    /// A row given twice could be learned from and judged by at once.
    #[error("row {row} is given more than once")]
    DuplicateRow {
        /// Row number.
        row: u32,
    },
    /// Row numbers are 32 bits wide.
    #[error("{n_rows} rows are more than a row number can count (4294967295)")]
    TooManyRows {
        /// Rows given.
        n_rows: usize,
    },
}

impl FoldError {
    /// What to do about it, where the message alone does not say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::ClassSmallerThanFolds { .. } => Some("use fewer folds, or merge or leave out the rare class"),
            Self::ClassOfOneRow { .. } => Some("merge or leave out the rare class"),
            Self::SideSmallerThanClasses { .. } => Some("use more rows, or a `test_size` nearer to 0.5"),
            Self::OneClass { .. } => Some("check the label expression against the data"),
            _ => None,
        }
    }
}

/// The rows kept for the final judgement, and the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdout {
    /// Rows to learn from, ascending; folds of them share them.
    pub train: Arc<[u32]>,
    /// Rows to judge by, ascending.
    pub test: Vec<u32>,
}

/// One division of rows into those learned from and those that validate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Which shuffle of the rows this fold belongs to, from 0.
    pub repeat: usize,
    /// Which fold of its repeat, from 0.
    pub fold: usize,
    /// Rows to validate on, ascending.
    pub validation: Vec<u32>,
    /// All rows that were divided, ascending. Folds share them: of many millions of rows, what each learns from would take
    /// more memory than the matrix.
    rows: Arc<[u32]>,
}

impl Fold {
    /// A fold that learns from all of `rows` but those that validate; both ascending, `validation` within `rows`.
    pub fn new(repeat: usize, fold: usize, rows: Arc<[u32]>, validation: Vec<u32>) -> Self {
        Self { repeat, fold, validation, rows }
    }

    /// Rows to learn from, ascending.
    pub fn train(&self) -> Vec<u32> {
        let mut train = Vec::with_capacity(self.rows.len().saturating_sub(self.validation.len()));
        let mut validation = self.validation.iter().peekable();
        train.extend(self.rows.iter().filter(|row| validation.next_if_eq(row).is_none()));
        train
    }
}

/// Keeps `ceil(test_size · n)` rows for the final judgement, each class in its share.
///
/// A class gets its exact share of the hold-out rounded by the largest remainder (ties to the lower class), but at least
/// one row and at most all but one, so that both sides know every class. Classes without a row are left out of account.
///
/// - `labels`: class of each row, an index into `classes`.
/// - `test_size`: in (0, 1).
///
/// # Errors
/// When the labels or `test_size` are out of range, one class only occurs, a class has a single row, or one side would
/// have fewer rows than there are classes. Nothing is ever divided otherwise than asked.
pub fn stratified_holdout(labels: &[u32], classes: &[String], test_size: f64, seed: u64) -> Result<Holdout, FoldError> {
    if !(test_size > 0.0 && test_size < 1.0) {
        return Err(FoldError::TestSize { got: test_size });
    }
    if labels.len() > u32::MAX as usize {
        return Err(FoldError::TooManyRows { n_rows: labels.len() });
    }
    let mut by_class = rows_by_class(labels, classes, 0..labels.len() as u32)?;

    if let Some(class) = by_class.iter().position(|rows| rows.len() == 1) {
        return Err(FoldError::ClassOfOneRow { class: printable(&classes[class]) });
    }
    let n_rows = labels.len();
    let n_test = (test_size * n_rows as f64).ceil() as usize;
    let n_classes = by_class.iter().filter(|rows| !rows.is_empty()).count();
    if n_test < n_classes || n_rows - n_test < n_classes {
        return Err(FoldError::SideSmallerThanClasses { test_size, n_test, n_rows, n_classes });
    }

    let counts: Vec<usize> = by_class.iter().map(Vec::len).collect();
    let shares = holdout_shares(&counts, n_test);
    let mut rng = Rng::new(seed).fork(HOLDOUT_STREAM);
    let (mut train, mut test) = (Vec::with_capacity(n_rows - n_test), Vec::with_capacity(n_test));
    for (rows, share) in by_class.iter_mut().zip(shares) {
        rng.shuffle(rows);
        test.extend_from_slice(&rows[..share]);
        train.extend_from_slice(&rows[share..]);
    }
    train.sort_unstable();
    test.sort_unstable();
    Ok(Holdout { train: train.into(), test })
}

/// Divides rows into `n_folds` folds with equal shares of each class, `n_repeats` times.
///
/// Within a repeat every row validates in exactly one fold; the rows of a class in any two folds differ by at most one,
/// and so do the sizes of the folds. The folds depend on the set of `rows`, not on their order. A class without a row
/// among `rows` is left out of account, not an error.
///
/// - `labels`: class of each row of the dataset, an index into `classes`.
/// - `rows`: the rows to divide, each once. They are not copied where they are shared, as those of a [`Holdout`], and ascend.
///
/// Returns the folds of the first repeat, then those of the second, and so on.
///
/// # Errors
/// When a number is out of range, a row does not exist or comes twice, one class only occurs, or a class has fewer rows
/// than there are folds.
pub fn stratified_k_fold(
    labels: &[u32],
    classes: &[String],
    rows: impl Into<Arc<[u32]>>,
    n_folds: usize,
    n_repeats: usize,
    seed: u64,
) -> Result<Vec<Fold>, FoldError> {
    if n_folds < 2 {
        return Err(FoldError::FoldCount { got: n_folds });
    }
    if n_repeats == 0 {
        return Err(FoldError::RepeatCount);
    }
    let mut rows: Arc<[u32]> = rows.into();
    if !rows.is_sorted() {
        Arc::make_mut(&mut rows).sort_unstable();
    }
    if let Some(pair) = rows.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(FoldError::DuplicateRow { row: pair[0] });
    }
    let by_class = rows_by_class(labels, classes, rows.iter().copied())?;
    let smallest = by_class.iter().zip(classes).find(|(rows, _)| (1..n_folds).contains(&rows.len()));
    if let Some((rows, class)) = smallest {
        return Err(FoldError::ClassSmallerThanFolds { class: printable(class), rows: rows.len(), n_folds });
    }

    let rng = Rng::new(seed).fork(K_FOLD_STREAM);
    let mut folds = Vec::new();
    for repeat in 0..n_repeats {
        let dealt = deal(&by_class, n_folds, &mut rng.fork(repeat as u64));
        for (fold, validation) in dealt.into_iter().enumerate() {
            folds.push(Fold::new(repeat, fold, Arc::clone(&rows), validation));
        }
    }
    Ok(folds)
}

/// The rows of each class, in the order given. Refuses rows that cannot be stratified at all.
fn rows_by_class(
    labels: &[u32],
    classes: &[String],
    rows: impl Iterator<Item = u32>,
) -> Result<Vec<Vec<u32>>, FoldError> {
    let mut by_class = vec![Vec::new(); classes.len()];
    for row in rows {
        let &label = labels.get(row as usize).ok_or(FoldError::RowOutOfRange { row, n_rows: labels.len() })?;
        by_class
            .get_mut(label as usize)
            .ok_or(FoldError::LabelOutOfRange { row: row as usize, label, n_classes: classes.len() })?
            .push(row);
    }
    let mut present = (0..classes.len()).filter(|&class| !by_class[class].is_empty());
    match (present.next(), present.next()) {
        (None, _) => Err(FoldError::NoRows),
        (Some(class), None) => {
            Err(FoldError::OneClass { class: printable(&classes[class]), rows: by_class[class].len() })
        }
        _ => Ok(by_class),
    }
}

/// Hold-out rows of each class: the share nearest to exact, by largest remainder, within `1..rows`.
///
/// `n_test` must leave at least one row a class on either side.
fn holdout_shares(counts: &[usize], n_test: usize) -> Vec<usize> {
    let n_rows: usize = counts.iter().sum();
    let exact = |class: usize| counts[class] as u128 * n_test as u128;
    // By how much a class is short of its exact share, in units of 1 / n_rows of a row.
    let short = |class: usize, share: usize| exact(class) as i128 - (share as u128 * n_rows as u128) as i128;

    let mut shares: Vec<usize> = (0..counts.len())
        .map(|class| match counts[class] {
            0 => 0,
            count => ((exact(class) / n_rows as u128) as usize).clamp(1, count - 1),
        })
        .collect();
    let mut given: usize = shares.iter().sum();
    while given < n_test {
        let class = (0..counts.len())
            .filter(|&class| shares[class] + 1 < counts[class])
            .max_by_key(|&class| (short(class, shares[class]), std::cmp::Reverse(class)))
            .expect("the sides have room for n_test rows");
        shares[class] += 1;
        given += 1;
    }
    while given > n_test {
        let class = (0..counts.len())
            .filter(|&class| shares[class] > 1)
            .min_by_key(|&class| (short(class, shares[class]), class))
            .expect("n_test holds a row of every class");
        shares[class] -= 1;
        given -= 1;
    }
    shares
}

/// Deals the shuffled rows of each class to folds, the remainder of a class to the folds that are smallest so far.
fn deal(by_class: &[Vec<u32>], n_folds: usize, rng: &mut Rng) -> Vec<Vec<u32>> {
    let mut folds: Vec<Vec<u32>> = vec![Vec::new(); n_folds];
    for rows in by_class {
        let mut rows = rows.clone();
        rng.shuffle(&mut rows);
        let mut smallest_first: Vec<usize> = (0..n_folds).collect();
        smallest_first.sort_by_key(|&fold| folds[fold].len());
        let n_larger = rows.len() % n_folds;
        let mut rest = rows.as_slice();
        for (rank, fold) in smallest_first.into_iter().enumerate() {
            let share = rows.len() / n_folds + usize::from(rank < n_larger);
            let (mine, others) = rest.split_at(share);
            folds[fold].extend_from_slice(mine);
            rest = others;
        }
    }
    for fold in &mut folds {
        fold.sort_unstable();
    }
    folds
}

/// A class name fit for a message: class names are values of attacker-made events.
fn printable(class: &str) -> String {
    class.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    // 44 of 220 at one fifth each: exact.
    #[case(&[110, 110], 44, &[22, 22])]
    // Exact shares 1.4, 0.6: the remainder of 0.6 is larger.
    #[case(&[7, 3], 2, &[1, 1])]
    // Exact shares 2.5, 2.5: the tie goes to the lower class.
    #[case(&[5, 5], 5, &[3, 2])]
    // Exact shares 9.8, 0.2: the small class is raised to one row, at the cost of the large.
    #[case(&[98, 2], 10, &[9, 1])]
    // Exact shares 88.2, 1.8: the small class keeps a row to learn from.
    #[case(&[98, 2], 90, &[89, 1])]
    // Exact shares 2.86, 0.57, 0.57 and an absent class.
    #[case(&[10, 2, 0, 2], 4, &[2, 1, 0, 1])]
    fn holdout_shares_by_hand(#[case] counts: &[usize], #[case] n_test: usize, #[case] shares: &[usize]) {
        assert_eq!(holdout_shares(counts, n_test), shares);
    }

    #[test]
    fn the_remainder_goes_to_the_smallest_folds() {
        // Four rows of one class make fold 0 the larger; the extra row of the next class must go to fold 1 or 2.
        let by_class = [vec![0, 1, 2, 3], vec![4, 5, 6, 7]];
        let folds = deal(&by_class, 3, &mut Rng::new(0));
        let sizes: Vec<usize> = folds.iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 3, 2]);
    }

    #[test]
    fn names_of_classes_are_escaped_and_cut() {
        assert_eq!(printable("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
        assert_eq!(printable(&"x".repeat(1_000)).len(), 80);
    }
}
