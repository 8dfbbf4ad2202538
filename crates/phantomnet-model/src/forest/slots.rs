//! A row as one byte per *slot*.
//!
//! A *cut* is a threshold or a category set. A *slot* is a feature with up to [`MAX_CUTS`] of its cuts, each of which
//! contains the one before: thresholds ascend, sets are nested. The *rank* of a value is the number of cuts that do not hold
//! for it, so that cut `k` holds exactly if the rank is at most `k`; a missing value has the rank [`MISSING`]. A feature
//! with more cuts, or with sets that are not nested, has several slots.

use super::tree::category_code;
use super::{CategorySet, Node, Test, Tree};

/// Most slots of a forest. A number below is a node's slot; this one marks a leaf.
pub(super) const MAX_SLOTS: usize = 127;

/// Most cuts of a slot: ranks stay below [`MISSING`], and the last entry of [`Thresholds`] above all of them.
pub(super) const MAX_CUTS: usize = 253;

/// Rank of a missing value.
pub(super) const MISSING: u8 = 255;

/// A row's ranks, slot by slot. Aligned for vector registers.
#[repr(align(64))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranks(pub(super) [u8; 128]);

impl Ranks {
    pub(super) const NONE: Self = Self([0; 128]);
}

/// Sixteen blocks of ascending thresholds, infinity behind the last, and before them the largest of each block.
#[repr(align(64))]
#[derive(Debug, Clone, PartialEq)]
struct Thresholds([Block; 17]);

impl Thresholds {
    fn new(thresholds: &[f32]) -> Self {
        let mut blocks = [[f32::INFINITY; 16]; 17];
        for (i, &t) in thresholds.iter().enumerate() {
            blocks[1 + i / 16][i % 16] = t;
        }
        for b in 0..16 {
            blocks[0][b] = blocks[1 + b][15];
        }
        Self(blocks)
    }

    /// Number of thresholds below `x`, 0 for NaN; `below` counts those of a block.
    #[inline(always)]
    fn rank(&self, x: f32, below: impl Fn(&Block, f32) -> u32) -> u8 {
        let block = below(&self.0[0], x) & 15;
        (block * 16 + below(&self.0[1 + block as usize], x)) as u8
    }
}

/// Ascending thresholds.
pub(super) type Block = [f32; 16];

/// Number of thresholds of a block below `x`, 0 for NaN.
pub(super) fn count_below(block: &Block, x: f32) -> u32 {
    block.iter().map(|&t| u32::from(t < x)).sum()
}

#[derive(Debug, Clone, PartialEq)]
struct NumberSlot {
    feature: u32,
    n_cuts: u32,
    thresholds: Thresholds,
}

#[derive(Debug, Clone, PartialEq)]
struct CategorySlot {
    feature: u32,
    sets: Vec<CategorySet>,
    /// Rank of each code.
    ranks: [u8; 256],
}

/// The slots of a forest: those of thresholds first.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Slots {
    numbers: Vec<NumberSlot>,
    categories: Vec<CategorySlot>,
}

/// The cuts of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cuts<'a> {
    Thresholds(&'a [f32]),
    Sets(&'a [CategorySet]),
}

impl Slots {
    /// The slots that the tests of `trees` need, by feature and cut. `None` if they are more than [`MAX_SLOTS`].
    pub(super) fn of(n_features: usize, trees: &[Tree]) -> Option<Self> {
        let mut thresholds = vec![Vec::new(); n_features];
        let mut sets = vec![Vec::new(); n_features];
        for node in trees.iter().flat_map(Tree::nodes) {
            match *node {
                Node::Split { feature, test: Test::AtMost(t), .. } => {
                    // 0 and -0 are one threshold.
                    thresholds[feature as usize].push(t + 0.0);
                }
                Node::Split { feature, test: Test::In(set), .. } => sets[feature as usize].push(set),
                Node::Leaf(_) => {}
            }
        }
        let mut slots = Self::default();
        for (feature, mut thresholds) in (0..).zip(thresholds) {
            thresholds.sort_unstable_by(f32::total_cmp);
            thresholds.dedup();
            for cuts in thresholds.chunks(MAX_CUTS) {
                slots.push_numbers(feature, cuts);
            }
            if slots.len() > MAX_SLOTS {
                return None;
            }
        }
        for (feature, mut sets) in (0..).zip(sets) {
            sets.sort_unstable_by_key(|set| (set.len(), *set));
            sets.dedup();
            let mut chains: Vec<Vec<CategorySet>> = Vec::new();
            for set in sets {
                let fits = |chain: &Vec<CategorySet>| {
                    chain.len() < MAX_CUTS && chain.last().is_some_and(|last| last.is_subset(&set))
                };
                match chains.iter().position(fits) {
                    Some(i) => chains[i].push(set),
                    None if slots.len() + chains.len() == MAX_SLOTS => return None,
                    None => chains.push(vec![set]),
                }
            }
            for sets in chains {
                slots.push_sets(feature, sets);
            }
        }
        Some(slots)
    }

    /// Adds a slot of ascending thresholds, at most [`MAX_CUTS`]. Before any of sets.
    pub(super) fn push_numbers(&mut self, feature: u32, cuts: &[f32]) {
        let n_cuts = cuts.len() as u32;
        self.numbers.push(NumberSlot { feature, n_cuts, thresholds: Thresholds::new(cuts) });
    }

    /// Adds a slot of nested sets, at most [`MAX_CUTS`].
    pub(super) fn push_sets(&mut self, feature: u32, sets: Vec<CategorySet>) {
        let mut ranks = [sets.len() as u8; 256];
        for (code, rank) in (0..=255).zip(&mut ranks) {
            if let Some(first) = sets.iter().position(|set| set.contains(code)) {
                *rank = first as u8;
            }
        }
        self.categories.push(CategorySlot { feature, sets, ranks });
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len() + self.categories.len()
    }

    /// Feature and cuts of each slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Cuts<'_>)> {
        let numbers = self.numbers.iter().map(|s| {
            let cuts = &s.thresholds.0[1..].as_flattened()[..s.n_cuts as usize];
            (s.feature, Cuts::Thresholds(cuts))
        });
        numbers.chain(self.categories.iter().map(|s| (s.feature, Cuts::Sets(&s.sets))))
    }

    /// Writes the ranks of the row `x`; `below` is [`count_below`], in any instructions.
    #[inline(always)]
    pub(super) fn rank(&self, x: &[f32], ranks: &mut Ranks, below: impl Fn(&Block, f32) -> u32) {
        let (numbers, rest) = ranks.0.split_at_mut(self.numbers.len());
        for (slot, rank) in self.numbers.iter().zip(numbers) {
            let value = x[slot.feature as usize];
            *rank = slot.thresholds.rank(value, &below) | if value.is_nan() { MISSING } else { 0 };
        }
        for (slot, rank) in self.categories.iter().zip(rest) {
            let value = x[slot.feature as usize];
            *rank = match category_code(value) {
                Some(code) => slot.ranks[usize::from(code)],
                None if value.is_nan() => MISSING,
                None => slot.sets.len() as u8,
            };
        }
    }
}

/// Where each test of a forest is found among its slots.
pub(super) struct SlotIndex<'a> {
    slots: Vec<(u32, Cuts<'a>)>,
    /// First slot of each feature, of thresholds and of sets, and one past the last.
    first: Vec<[(usize, usize); 2]>,
}

impl<'a> SlotIndex<'a> {
    pub(super) fn new(slots: &'a Slots, n_features: usize) -> Self {
        let list: Vec<_> = slots.iter().collect();
        let mut first = vec![[(0, 0); 2]; n_features];
        for (i, (feature, cuts)) in list.iter().enumerate() {
            let range = &mut first[*feature as usize][usize::from(matches!(cuts, Cuts::Sets(_)))];
            *range = if range.1 == 0 { (i, i + 1) } else { (range.0, i + 1) };
        }
        Self { slots: list, first }
    }

    /// Slot and cut of a test, which the slots were made from.
    pub(super) fn find(&self, feature: u32, test: &Test) -> Option<(usize, usize)> {
        let is_set = matches!(test, Test::In(_));
        let (first, end) = self.first[feature as usize][usize::from(is_set)];
        (first..end).find_map(|slot| {
            let cut = match (self.slots[slot].1, test) {
                (Cuts::Thresholds(cuts), &Test::AtMost(t)) => cuts.binary_search_by(|c| c.total_cmp(&(t + 0.0))),
                (Cuts::Sets(sets), &Test::In(set)) => sets.binary_search_by_key(&(set.len(), set), |s| (s.len(), *s)),
                _ => return None,
            };
            cut.ok().map(|cut| (slot, cut))
        })
    }
}
