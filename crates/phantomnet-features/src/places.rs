//! Where rows come from.

/// Where a record starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index into [`Origin::files`].
    pub file: u32,
    /// Physical line, from 1; for Parquet the row, from 1.
    pub line: u64,
    /// Byte, from 0, of the file's text, decompressed and as UTF-8; 0 for Parquet.
    pub offset: u64,
}

impl Place {
    /// The place of a row from where its part starts.
    pub(crate) fn plus(self, (line, offset): (u32, u32)) -> Self {
        Self { file: self.file, line: self.line + u64::from(line), offset: self.offset + u64::from(offset) }
    }
}

/// Where each of some rows comes from, in 4 bytes a row where each begins on the line after the row before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    parts: Vec<PlacesPart>,
    /// Of each row as it was read, the offset from that of its part.
    offsets: Vec<u32>,
    /// Rows that begin elsewhere than on the line after the row before, or the first line of their part.
    leaps: Vec<Leap>,
    /// The rows that are left, where some were taken out.
    kept: Option<Vec<u32>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PlacesPart {
    first_row: u32,
    /// What lines and offsets of its rows are added to.
    base: Place,
}

/// A row and the line of its part on which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leap {
    row: u32,
    line: u32,
}

impl Places {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.kept.as_ref().map_or(self.offsets.len(), Vec::len)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Place of a row.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn get(&self, row: usize) -> Place {
        let row = self.kept.as_ref().map_or(row as u32, |kept| kept[row]);
        let part = &self.parts[self.parts.partition_point(|part| part.first_row <= row) - 1];
        let leap = self.leaps[..self.leaps.partition_point(|leap| leap.row <= row)].last();
        let start = Leap { row: part.first_row, line: 0 };
        let leap = leap.filter(|leap| leap.row >= part.first_row).unwrap_or(&start);
        part.base.plus((leap.line + (row - leap.row), self.offsets[row as usize]))
    }

    /// Places of all rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = Place> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// Those of some rows, in the order of `rows`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn take(mut self, rows: &[u32]) -> Self {
        self.kept = Some(match &self.kept {
            Some(kept) => rows.iter().map(|&row| kept[row as usize]).collect(),
            None => rows.to_vec(),
        });
        self
    }

    /// Appends rows whose lines and offsets are given from those of `base`.
    pub(crate) fn push_part(&mut self, base: Place, starts: &[(u32, u32)]) {
        let first_row = self.offsets.len() as u32;
        self.parts.push(PlacesPart { first_row, base });
        let mut next = 0;
        for (row, &(line, _)) in (first_row..).zip(starts) {
            if line != next {
                self.leaps.push(Leap { row, line });
            }
            next = line + 1;
        }
        self.offsets.extend(starts.iter().map(|&(_, offset)| offset));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_that_follow_each_other_take_no_room() {
        let mut places = Places::default();
        for part in 0..3 {
            let base = Place { file: 0, line: 1 + 4 * part, offset: 40 * part };
            places.push_part(base, &[(0, 0), (1, 10), (2, 20), (3, 30)]);
        }
        assert_eq!(places.get(9), Place { file: 0, line: 10, offset: 90 });
        assert!(places.leaps.is_empty());
    }

    proptest! {
        #[test]
        fn a_row_is_where_it_was_put(
            parts in prop::collection::vec(prop::collection::vec((0_u32..6, 0_u32..100), 0..6), 0..6),
            taken in prop::collection::vec(0_usize..36, 0..9),
        ) {
            let (mut places, mut expected) = (Places::default(), Vec::new());
            for (file, starts) in (0..).zip(&parts) {
                let base = Place { file, line: 1 + 7 * u64::from(file), offset: 1000 };
                places.push_part(base, starts);
                expected.extend(starts.iter().map(|&start| base.plus(start)));
            }
            prop_assert_eq!(places.iter().collect::<Vec<_>>(), expected.clone());
            let taken: Vec<u32> = taken.into_iter().filter(|&row| row < expected.len()).map(|row| row as u32).collect();
            let places: Vec<Place> = places.take(&taken).iter().collect();
            prop_assert_eq!(places, taken.iter().map(|&row| expected[row as usize]).collect::<Vec<_>>());
        }
    }
}
