//! What the rows of a node, a bin or a child weigh, class by class.
//!
//! A *tally* is a slice of words with two classes a word: the even class in the low half, the odd one in the high half. So
//! the two classes of most forests are added with one instruction. A last half counts rows where a limit asks for them. All
//! sums are of integers below 2³², so that no result depends on the order of rows, and halves never run into each other.

/// Where a tally keeps what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) n_classes: usize,
    /// Words of a tally.
    pub(super) n_words: usize,
    /// Whether rows are counted beside the weights of the classes.
    pub(super) counts_rows: bool,
}

impl Layout {
    pub(super) fn new(n_classes: usize, counts_rows: bool) -> Self {
        Self { n_classes, n_words: (n_classes + usize::from(counts_rows)).div_ceil(2), counts_rows }
    }

    /// The word that counts rows, and what a row adds to it.
    pub(super) fn of_row(&self) -> Option<(usize, u64)> {
        self.counts_rows.then(|| (self.n_classes / 2, 1 << (32 * (self.n_classes % 2))))
    }

    /// Rows of a tally; only if they are counted.
    pub(super) fn n_rows(&self, tally: &[u64]) -> u32 {
        half(tally, self.n_classes)
    }

    /// Whether fewer than two classes weigh anything.
    pub(super) fn is_pure(&self, tally: &[u64]) -> bool {
        (0..self.n_classes).filter(|&class| half(tally, class) > 0).count() < 2
    }

    /// Class weights of a tally.
    pub(super) fn weights<'a>(
        &self,
        tally: &'a [u64],
        class_weights: &'a [f64],
    ) -> impl Iterator<Item = f64> + Clone + 'a {
        (0..self.n_classes).zip(class_weights).map(move |(class, weight)| f64::from(half(tally, class)) * weight)
    }
}

/// The half-word numbered `i`.
#[inline]
pub(super) fn half(tally: &[u64], i: usize) -> u32 {
    (tally[i / 2] >> (32 * (i % 2))) as u32
}

/// Adds `other` to `tally`.
#[inline]
pub(super) fn add(tally: &mut [u64], other: &[u64]) {
    tally.iter_mut().zip(other).for_each(|(word, other)| *word += other);
}

/// Takes `other`, which is part of it, from `tally`.
#[inline]
pub(super) fn subtract(tally: &mut [u64], other: &[u64]) {
    tally.iter_mut().zip(other).for_each(|(word, other)| *word -= other);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_by_hand() {
        // Classes 0 to 2 weigh 5, 7 and 2; three rows.
        let layout = Layout::new(3, true);
        let tally = [7 << 32 | 5, 3 << 32 | 2];
        assert_eq!(layout.n_words, 2);
        assert_eq!((0..3).map(|class| half(&tally, class)).collect::<Vec<_>>(), [5, 7, 2]);
        assert_eq!(layout.n_rows(&tally), 3);
        assert_eq!(layout.of_row(), Some((1, 1 << 32)));
        assert_eq!(layout.weights(&tally, &[1.0, 2.0, 0.5]).collect::<Vec<_>>(), [5.0, 14.0, 1.0]);
        assert!(!layout.is_pure(&tally));
        // Rows are no class.
        assert!(layout.is_pure(&[0, 1 << 32 | 9]));
    }

    #[test]
    fn an_even_number_of_classes_counts_rows_in_a_word_of_their_own() {
        assert_eq!(Layout::new(2, true).of_row(), Some((1, 1)));
        assert_eq!((Layout::new(2, false).n_words, Layout::new(2, true).n_words), (1, 2));
    }

    #[test]
    fn differences_undo_sums_to_the_last_unit() {
        let most = u64::MAX;
        let mut tally = [most - (1 << 32 | 1), 4];
        add(&mut tally, &[1 << 32 | 1, 3]);
        assert_eq!(tally, [most, 7]);
        subtract(&mut tally, &[most, 7]);
        assert_eq!(tally, [0, 0]);
    }
}
