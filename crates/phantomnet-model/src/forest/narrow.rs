//! Trees in four bytes a node.
//!
//! A node is a [`Word`] over the slots of [`slots`](super::slots): comparing two bytes decides it, whatever the feature's
//! kind. Siblings are neighbours, so that one index leads to both: the left one at `2 × pair`, the right one after it. Trees
//! stand one after another, each beginning with its root and an unused word. Behind them are a single leaf that hands out
//! nothing, which lanes without a tree walk through, and [`Word::WAIT`].

use super::shares::{LeafNumbers, LeafTable, NO_LEAF, probability};
use super::slots::{Cuts, MAX_SLOTS, Ranks, SlotIndex, Slots};
use super::walk::{self, Engine, Group, JOBS, Job, LANES};
use super::{Node, Test, Tree};
use crate::Matrix;

/// A node: bits 0 to 6 are the slot; 7 whether a missing value goes left; 8 to 15 the cut; 16 to 31 the pair of the children,
/// counted from the tree's root. Slot 127 is a leaf, whose number is in bits 8 to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u32);

/// The slot of a leaf.
pub(super) const LEAF: u32 = MAX_SLOTS as u32;

/// Most pairs of a tree, and leaves of a forest.
const MAX_PAIRS: usize = 1 << 16;
const MAX_LEAVES: usize = 1 << 24;

/// Words behind the last tree: one that hands out nothing, and [`Word::WAIT`].
const N_MORE: usize = 2;

/// Most words of a forest: vector registers hold signed indices.
const MAX_WORDS: usize = i32::MAX as usize;

impl Word {
    /// A node that leads to itself if it is a root: no rank is above its cut.
    pub(super) const WAIT: Self = Self(255 << 8);

    fn split(slot: usize, missing_left: bool, cut: usize, pair: usize) -> Self {
        Self(slot as u32 | u32::from(missing_left) << 7 | (cut as u32) << 8 | (pair as u32) << 16)
    }

    fn leaf(number: u32) -> Self {
        Self(number << 8 | LEAF)
    }

    #[inline(always)]
    pub(super) fn slot(self) -> u32 {
        self.0 & 127
    }

    #[inline(always)]
    pub(super) fn is_leaf(self) -> bool {
        self.slot() == LEAF
    }

    pub(super) fn leaf_number(self) -> u32 {
        self.0 >> 8
    }

    pub(super) fn missing_left(self) -> bool {
        self.0 & 128 != 0
    }

    pub(super) fn cut(self) -> u32 {
        self.0 >> 8 & 255
    }

    /// First word of the children, counted from the root.
    #[inline(always)]
    pub(super) fn children(self) -> u32 {
        (self.0 >> 16) * 2
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Narrow {
    slots: Slots,
    /// Children lie within their tree and behind their parent; slots, cuts and leaves exist. The walks rely on it.
    words: Vec<Word>,
    /// First word of each tree; the tree without leaves at the end, often enough for whole groups of [`LANES`].
    roots: Vec<u32>,
    n_trees: usize,
}

/// Rows that a batch holds at once. Their ranks are 256 KiB, which leaves room in the second cache for the nodes of a group of
/// large trees: those of noisy data are walked in 2/3 of the time that blocks of 128 rows take.
const BLOCK_ROWS: usize = 2048;

impl Narrow {
    /// The trees in this form. `None` if they do not fit: too many slots, pairs, leaves or words.
    pub(super) fn new(n_features: usize, n_classes: usize, trees: &[Tree]) -> Option<(Self, LeafTable)> {
        let n_words: usize = trees.iter().map(|tree| tree.nodes().len() + 1).sum();
        if trees.iter().any(|tree| tree.nodes().len().div_ceil(2) > MAX_PAIRS) {
            return None;
        }
        let slots = Slots::of(n_features, trees)?;
        let index = SlotIndex::new(&slots, n_features);
        let mut words = Vec::with_capacity(n_words + N_MORE);
        let mut roots = Vec::with_capacity(trees.len().next_multiple_of(LANES));
        let mut leaves = LeafNumbers::new(n_classes);
        for tree in trees {
            let root = words.len();
            roots.push(root as u32);
            let order = tree.arrangement();
            let mut place = vec![0; order.len()];
            for (at, &node) in (1_usize..).zip(&order[1..]) {
                place[node as usize] = at + 1;
            }
            for (i, &node) in order.iter().enumerate() {
                words.push(match tree.nodes()[node as usize] {
                    Node::Leaf(leaf) => Word::leaf(leaves.number(tree.leaf(leaf, n_classes))),
                    Node::Split { feature, test, missing_left, left, .. } => {
                        let (slot, cut) = index.find(feature, &test)?;
                        Word::split(slot, missing_left, cut, place[left as usize] / 2)
                    }
                });
                if i == 0 {
                    words.push(Word::leaf(NO_LEAF));
                }
            }
        }
        let leaves = leaves.into_table();
        if leaves.len() > MAX_LEAVES {
            return None;
        }
        Some((Self::assemble(slots, words, roots)?, leaves))
    }

    /// Joins checked parts: adds the tree without leaves and fills the last group with it. `None` if the words are too many.
    pub(super) fn assemble(slots: Slots, mut words: Vec<Word>, mut roots: Vec<u32>) -> Option<Self> {
        if words.len() > MAX_WORDS - N_MORE {
            return None;
        }
        let n_trees = roots.len();
        roots.resize(n_trees.next_multiple_of(LANES), words.len() as u32);
        words.extend([Word::leaf(NO_LEAF), Word::WAIT]);
        Some(Self { slots, words, roots, n_trees })
    }

    pub(super) fn n_trees(&self) -> usize {
        self.n_trees
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The words of tree `i`, the unused one after the root included.
    pub(super) fn words(&self, i: usize) -> &[Word] {
        let end = if i + 1 < self.n_trees { self.roots[i + 1] as usize } else { self.words.len() - N_MORE };
        &self.words[self.roots[i] as usize..end]
    }

    /// The nodes of tree `i`, and the number in `leaves` of each of its leaves.
    pub(super) fn tree(&self, i: usize, leaves: &LeafTable) -> Tree {
        let slots: Vec<_> = self.slots.iter().collect();
        let mut shares = Vec::new();
        let mut n_leaves = 0;
        let words = self.words(i);
        let nodes = words[..1].iter().chain(&words[2..]).map(|&word| {
            if word.is_leaf() {
                shares.extend(leaves.units(word.leaf_number()).iter().map(|&units| probability(units)));
                n_leaves += 1;
                return Node::Leaf(n_leaves - 1);
            }
            let (feature, cuts) = slots[word.slot() as usize];
            let test = match cuts {
                Cuts::Thresholds(cuts) => Test::AtMost(cuts[word.cut() as usize]),
                Cuts::Sets(sets) => Test::In(sets[word.cut() as usize]),
            };
            // Nodes are listed without the unused word.
            let left = word.children() - 1;
            Node::Split { feature, test, missing_left: word.missing_left(), left, right: left + 1 }
        });
        let nodes = nodes.collect();
        Tree::new(nodes, shares)
    }

    fn groups(&self) -> &[Group] {
        self.roots.as_chunks().0
    }

    /// The leaves that jobs on this forest's groups end in.
    #[allow(unsafe_code, reason = "the walk relies on what `words` promises")]
    fn find_leaves(&self, engine: Engine, jobs: &[Job<'_>], reached: &mut [[u32; LANES]; JOBS]) {
        // SAFETY: `new` and the reader of `forest.bin` leave no index that leads out of `words`, and jobs hold groups of `roots`.
        unsafe { walk::find_leaves(engine, &self.words, jobs, reached) }
    }

    /// Adds what every tree hands to the row `x`, except for the first of two classes.
    pub(super) fn add_row(&self, engine: Engine, leaves: &LeafTable, x: &[f32], out: &mut [f32]) {
        let mut ranks = Ranks::NONE;
        engine.rank(&self.slots, x, &mut ranks);
        let mut reached = [[NO_LEAF; LANES]; JOBS];
        for groups in self.groups().chunks(JOBS) {
            let mut jobs = [Job { roots: &groups[0], ranks: &ranks }; JOBS];
            for (job, roots) in jobs.iter_mut().zip(groups) {
                job.roots = roots;
            }
            self.find_leaves(engine, &jobs[..groups.len()], &mut reached);
            leaves.add(reached[..groups.len()].as_flattened(), out);
        }
    }

    /// Adds what every tree hands to some rows of `matrix`, except for the first of two classes: a block of rows through a group of trees
    /// after the other, so that a group's nodes are read from memory once a block.
    pub(super) fn add_rows(&self, engine: Engine, leaves: &LeafTable, matrix: &Matrix, rows: &[u32], out: &mut [f32]) {
        if rows.is_empty() {
            return;
        }
        let n_classes = out.len() / rows.len();
        let mut x = vec![0.0; matrix.n_features()];
        let mut ranks = vec![Ranks::NONE; rows.len().min(BLOCK_ROWS)];
        let mut reached = [[NO_LEAF; LANES]; JOBS];
        for (rows, out) in rows.chunks(BLOCK_ROWS).zip(out.chunks_mut(BLOCK_ROWS * n_classes)) {
            for (&row, ranks) in rows.iter().zip(&mut ranks) {
                matrix.copy_row(row as usize, &mut x);
                engine.rank(&self.slots, &x, ranks);
            }
            for roots in self.groups() {
                for (ranks, out) in ranks[..rows.len()].chunks(JOBS).zip(out.chunks_mut(JOBS * n_classes)) {
                    let mut jobs = [Job { roots, ranks: &ranks[0] }; JOBS];
                    for (job, ranks) in jobs.iter_mut().zip(ranks) {
                        job.ranks = ranks;
                    }
                    self.find_leaves(engine, &jobs[..ranks.len()], &mut reached);
                    for (reached, out) in reached.iter().zip(out.chunks_exact_mut(n_classes)) {
                        leaves.add(reached, out);
                    }
                }
            }
        }
    }
}
