//! Grows one tree, node by node, from the root.

use phantomnet_model::{Node, PROBABILITY_UNITS, Tree, leaf_probabilities};

use super::bag::Sample;
use super::binning::{Binned, Bins, Rows};
use super::criterion::{Criterion, Entropy, Gini, TwoClassGini};
use super::groups::{CodeOrder, Groups};
use super::histogram::{Histograms, N_SLOTS};
use super::split::{BestCut, Cutter, Split};
use super::tally::{Layout, add, subtract};
use crate::rng::SplitMix;

/// What is asked of every tree of a forest.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) criterion: Criterion,
    /// Whether a feature is cut at random, or where it is best.
    pub(super) random_cuts: bool,
    /// Features to draw for a node, at least 1.
    pub(super) max_features: usize,
    /// Deepest node that is split, the root at 0, plus 1.
    pub(super) max_depth: usize,
    /// Rows that a node needs to be split.
    pub(super) min_samples_split: usize,
    /// Rows that a child needs.
    pub(super) min_samples_leaf: usize,
    /// Most leaves.
    pub(super) max_leaf_nodes: usize,
    /// Share of the tree's weight times impurity that a split takes away at least.
    pub(super) min_impurity_decrease: f64,
}

/// What a tree learns from.
#[derive(Debug)]
pub(super) struct Grower<'a> {
    pub(super) limits: &'a Limits,
    pub(super) layout: Layout,
    /// Features of the training rows.
    pub(super) binned: &'a Binned,
    /// Order of each category's codes in this tree; `None` for numbers.
    pub(super) orders: &'a [Option<CodeOrder>],
    /// Weight of each class.
    pub(super) class_weights: &'a [f64],
    /// Probability that each leaf shares out among the classes.
    pub(super) units: u32,
}

/// A tree and what it says of the features.
#[derive(Debug)]
pub(super) struct Grown {
    pub(super) nodes: Vec<Node>,
    /// `n_leaves × n_classes` shares.
    pub(super) leaves: Vec<f32>,
    /// Feature of each split and the weight times impurity that it took away, in the order of the nodes.
    pub(super) decreases: Vec<(u32, f64)>,
}

impl Grown {
    /// The tree alone.
    pub(super) fn into_tree(self) -> Tree {
        Tree::new(self.nodes, self.leaves)
    }
}

/// A node that is not split yet. Its tally and the bits of its constant features lie on a stack of their own.
#[derive(Debug, Clone, Copy)]
struct Pending {
    node: u32,
    depth: u32,
    start: usize,
    end: usize,
    /// Seed of the node's random choices: depends on the tree and the path to the node alone.
    key: u64,
    /// Which of the two buffers its samples are in.
    buffer: usize,
    /// Where its rows are: 0 for the training rows, then the copies.
    copy: usize,
}

/// What a thread needs to grow trees, kept from tree to tree to spare allocations.
#[derive(Debug)]
pub(super) struct Workshop {
    /// The samples of the tree, in the order of the nodes. A node's children are written to the other buffer.
    pub(super) samples: [Vec<Sample>; 2],
    /// Rows of a small node, copied together so that they stay in the cache while its subtree is grown.
    copies: [Vec<u8>; 2],
    features: Vec<u32>,
    drawn: Vec<(u32, u32)>,
    histograms: Histograms,
    groups: Groups,
    cutter: Cutter,
    stack: Vec<Pending>,
    /// Tally and constant features of each pending node.
    words: Vec<u64>,
    node: Vec<u64>,
    constant: Vec<u64>,
    prefix: Vec<u64>,
}

/// Bytes of rows that are worth copying: such that they fit into a processor's second cache, and into its first.
const COPY_BYTES: [usize; 2] = [768 << 10, 24 << 10];

impl Workshop {
    pub(super) fn new(n_features: usize, layout: Layout, min_samples_leaf: usize) -> Self {
        let tally = vec![0; layout.n_words];
        Self {
            samples: [Vec::new(), Vec::new()],
            copies: [Vec::new(), Vec::new()],
            features: (0..n_features as u32).collect(),
            drawn: Vec::new(),
            histograms: Histograms::new(layout),
            groups: Groups::new(layout),
            cutter: Cutter::new(layout, u32::try_from(min_samples_leaf).unwrap_or(u32::MAX)),
            stack: Vec::new(),
            words: Vec::new(),
            node: tally.clone(),
            constant: vec![0; n_features.div_ceil(64)],
            prefix: tally,
        }
    }
}

impl Grower<'_> {
    /// Grows the tree of `workshop.samples[0]`. `None` once `is_wanted` says no.
    ///
    /// Nodes are split until they are pure or a limit is reached, depth first, on an explicit stack: a tree may be as deep
    /// as it has rows.
    pub(super) fn grow(&self, key: u64, workshop: &mut Workshop, is_wanted: impl Fn() -> bool) -> Option<Grown> {
        let mut grown = Grown { nodes: vec![Node::Leaf(0)], leaves: Vec::new(), decreases: Vec::new() };
        let n_samples = workshop.samples[0].len();
        workshop.samples[1].resize(n_samples, Sample::NONE);
        workshop.node.fill(0);
        for sample in &workshop.samples[0] {
            workshop.node[sample.word()] += sample.add();
            if let Some((word, add)) = self.layout.of_row() {
                workshop.node[word] += add;
            }
        }
        let root_weight: f64 = self.layout.weights(&workshop.node, self.class_weights).sum();
        let min_decrease = self.limits.min_impurity_decrease * root_weight;
        workshop.constant.fill(0);
        workshop.stack.clear();
        workshop.words.clear();
        let root = Pending { node: 0, depth: 0, start: 0, end: n_samples, key, buffer: 0, copy: 0 };
        if self.may_split(root.depth, n_samples, &workshop.node) {
            push(root, &workshop.node, &workshop.constant, &mut workshop.stack, &mut workshop.words);
        } else {
            self.push_leaf(0, &workshop.node, &mut grown);
        }

        while let Some(pending) = workshop.stack.pop() {
            if !is_wanted() {
                return None;
            }
            pop(&mut workshop.words, &mut workshop.node, &mut workshop.constant);
            let pending = self.copy_rows(pending, workshop);
            let Some(best) = self.best_cut(&pending, workshop) else {
                self.push_leaf(pending.node, &workshop.node, &mut grown);
                continue;
            };
            subtract(&mut workshop.node, &workshop.prefix);
            let (prefix, rest) = (&workshop.prefix, &workshop.node);
            let decrease = self.limits.criterion.decrease(self.layout, self.class_weights, prefix, rest);
            if decrease < min_decrease {
                add(&mut workshop.node, &workshop.prefix);
                self.push_leaf(pending.node, &workshop.node, &mut grown);
                continue;
            }
            let weight = |tally| self.layout.weights(tally, self.class_weights).sum::<f64>();
            let feature = best.feature as usize;
            let split =
                best.split(&self.binned.values[feature], self.orders[feature].as_ref(), (weight(prefix), weight(rest)));
            grown.decreases.push((split.feature, decrease));
            self.split(&pending, &split, workshop, &mut grown);
        }
        Some(grown)
    }

    /// Whether a node of so many rows is to be split, as far as that can be told without looking at them.
    fn may_split(&self, depth: u32, n_rows: usize, tally: &[u64]) -> bool {
        let limits = self.limits;
        (depth as usize) < limits.max_depth
            && n_rows >= limits.min_samples_split
            && n_rows / 2 >= limits.min_samples_leaf
            && !self.layout.is_pure(tally)
    }

    /// Copies the rows of a node together, if that node is the first on its path that is small enough for a cache.
    fn copy_rows(&self, pending: Pending, workshop: &mut Workshop) -> Pending {
        let n_features = self.binned.values.len();
        let n_bytes = (pending.end - pending.start) * n_features;
        let Some(copy) = (pending.copy..COPY_BYTES.len()).rev().find(|&copy| n_bytes <= COPY_BYTES[copy]) else {
            return pending;
        };
        // A handful of rows is read no more often than it would be copied.
        if pending.end - pending.start < 32 {
            return pending;
        }
        let (first, second) = workshop.copies.split_at_mut(1);
        let (from, to) = match (copy, pending.copy) {
            (0, _) => (self.binned.rows(), &mut first[0]),
            (_, 0) => (self.binned.rows(), &mut second[0]),
            _ => (Rows { bins: &first[0], n_features }, &mut second[0]),
        };
        to.clear();
        for (row, sample) in workshop.samples[pending.buffer][pending.start..pending.end].iter_mut().enumerate() {
            to.extend_from_slice(from.row(sample.row()));
            *sample = sample.at(row);
        }
        Pending { copy: copy + 1, ..pending }
    }

    /// Where a node reads the bins of its rows.
    fn bins<'b>(&'b self, pending: &Pending, copies: &'b [Vec<u8>; 2]) -> Bins<'b> {
        match pending.copy {
            0 => self.binned.for_node(pending.end - pending.start),
            copy => Bins::Rows(Rows { bins: &copies[copy - 1], n_features: self.binned.values.len() }),
        }
    }

    /// The best cut among `max_features` features drawn without replacement, or more until there is one at all. Leaves the
    /// tally of its prefix in `workshop.prefix`.
    ///
    /// A feature that is constant in the node, which its children are told, counts as drawn.
    fn best_cut(&self, pending: &Pending, workshop: &mut Workshop) -> Option<BestCut> {
        let mut rng = SplitMix::new(pending.key);
        let n_features = workshop.features.len();
        let mut best: Option<BestCut> = None;
        let mut n_drawn = 0;
        workshop.drawn.clear();
        while n_drawn < n_features && (n_drawn < self.limits.max_features || best.is_none()) {
            // Beyond `max_features` one at a time, since one is enough.
            let until = if n_drawn < self.limits.max_features { self.limits.max_features } else { n_drawn + 1 };
            let (mut slots, mut n_slots) = ([0; N_SLOTS], 0);
            while n_drawn < until && n_slots < N_SLOTS {
                let other = n_drawn + rng.below((n_features - n_drawn) as u64) as usize;
                workshop.features.swap(n_drawn, other);
                workshop.drawn.push((n_drawn as u32, other as u32));
                let feature = workshop.features[n_drawn];
                n_drawn += 1;
                if workshop.constant[feature as usize / 64] >> (feature % 64) & 1 == 0 {
                    slots[n_slots] = feature;
                    n_slots += 1;
                }
            }
            if n_slots == 0 {
                continue;
            }
            let samples = &workshop.samples[pending.buffer][pending.start..pending.end];
            let bins = self.bins(pending, &workshop.copies);
            workshop.histograms.fill(bins, samples, &slots[..n_slots]);
            for (slot, &feature) in slots[..n_slots].iter().enumerate() {
                self.consider(feature, slot, workshop, &mut rng, &mut best);
            }
        }
        // The next node draws from the same order, so that its choice depends on its key alone.
        for &(i, j) in workshop.drawn.iter().rev() {
            workshop.features.swap(i as usize, j as usize);
        }
        best
    }

    /// Cuts the feature that was counted in a slot, and keeps the cut if it is better: by score, then the lower feature.
    fn consider(
        &self,
        feature: u32,
        slot: usize,
        workshop: &mut Workshop,
        rng: &mut SplitMix,
        best: &mut Option<BestCut>,
    ) {
        let (values, order) = (&self.binned.values[feature as usize], self.orders[feature as usize].as_ref());
        let groups = &mut workshop.groups;
        groups.take(&mut workshop.histograms, slot, values, order);
        if groups.ranks.len() + usize::from(groups.has_missing) < 2 {
            workshop.constant[feature as usize / 64] |= 1 << (feature % 64);
            return;
        }
        let (layout, class_weights) = (self.layout, self.class_weights);
        let (cutter, node) = (&mut workshop.cutter, &workshop.node);
        macro_rules! cut {
            ($score:expr) => {
                match self.limits.random_cuts {
                    true => cutter.random(groups, values, node, &$score, rng),
                    false => cutter.best(groups, node, &$score),
                }
            };
        }
        let cut = match self.limits.criterion {
            Criterion::Gini if layout.n_classes == 2 => cut!(TwoClassGini { class_weights }),
            Criterion::Gini => cut!(Gini { layout, class_weights }),
            Criterion::Entropy | Criterion::LogLoss => cut!(Entropy { layout, class_weights }),
        };
        let is_better = |cut: &super::split::Cut| {
            best.as_ref().is_none_or(|best| {
                cut.score > best.cut.score || (cut.score == best.cut.score && feature < best.feature)
            })
        };
        if let Some(cut) = cut.filter(is_better) {
            *best = Some(BestCut::new(feature, cut, groups, &mut workshop.prefix));
        }
    }

    /// Makes a split of a node, divides its rows, and queues its children or makes leaves of them.
    ///
    /// `workshop.prefix` and `workshop.node` hold the tallies of the split's prefix and of the rest.
    fn split(&self, pending: &Pending, split: &Split, workshop: &mut Workshop, grown: &mut Grown) {
        let bins = self.bins(pending, &workshop.copies);
        let [first, second] = &mut workshop.samples;
        let (from, to) = if pending.buffer == 0 { (first, second) } else { (second, first) };
        let (from, to) = (&from[pending.start..pending.end], &mut to[pending.start..pending.end]);
        let feature = split.feature as usize;
        let n_left = match &self.orders[feature] {
            Some(order) => {
                let sides: [bool; 256] = std::array::from_fn(|bin| split.goes_left(order.places[bin]));
                divide(bins, from, to, feature, |bin| sides[usize::from(bin)])
            }
            None => {
                let (shift, last) = split.shifted_last();
                divide(bins, from, to, feature, |bin| bin.wrapping_add(shift) <= last)
            }
        };

        let middle = pending.start + n_left;
        let (left, right) = (grown.nodes.len() as u32, grown.nodes.len() as u32 + 1);
        grown.nodes[pending.node as usize] =
            Node::Split { feature: split.feature, test: split.test, missing_left: split.missing_left, left, right };
        grown.nodes.extend([Node::Leaf(0); 2]);
        let [left_key, right_key] = SplitMix::children(pending.key);
        let (depth, buffer, copy) = (pending.depth + 1, 1 - pending.buffer, pending.copy);
        let left = Pending { node: left, depth, start: pending.start, end: middle, key: left_key, buffer, copy };
        let right = Pending { node: right, depth, start: middle, end: pending.end, key: right_key, buffer, copy };
        let tallies = match split.prefix_left {
            true => [&workshop.prefix, &workshop.node],
            false => [&workshop.node, &workshop.prefix],
        };
        // Leaves are numbered from left to right, but the left child is to be on top of the stack.
        let may_split = [(left, tallies[0]), (right, tallies[1])].map(|(child, tally)| {
            let may_split = self.may_split(child.depth, child.end - child.start, tally);
            if !may_split {
                self.push_leaf(child.node, tally, grown);
            }
            may_split
        });
        for (child, tally, may_split) in [(right, tallies[1], may_split[1]), (left, tallies[0], may_split[0])] {
            if may_split {
                push(child, tally, &workshop.constant, &mut workshop.stack, &mut workshop.words);
            }
        }
    }

    fn push_leaf(&self, node: u32, tally: &[u64], grown: &mut Grown) {
        let n_classes = self.layout.n_classes;
        grown.nodes[node as usize] = Node::Leaf((grown.leaves.len() / n_classes) as u32);
        if self.layout.is_pure(tally) {
            let share = self.units as f32 / PROBABILITY_UNITS as f32;
            let weighs = |class| super::tally::half(tally, class) > 0;
            grown.leaves.extend((0..n_classes).map(|class| if weighs(class) { share } else { 0.0 }));
        } else {
            let weights: Vec<f64> = self.layout.weights(tally, self.class_weights).collect();
            leaf_probabilities(&weights, self.units, &mut grown.leaves);
        }
    }
}

fn push(pending: Pending, tally: &[u64], constant: &[u64], stack: &mut Vec<Pending>, words: &mut Vec<u64>) {
    stack.push(pending);
    words.extend_from_slice(tally);
    words.extend_from_slice(constant);
}

fn pop(words: &mut Vec<u64>, tally: &mut [u64], constant: &mut [u64]) {
    let start_of_constant = words.len() - constant.len();
    constant.copy_from_slice(&words[start_of_constant..]);
    let start = start_of_constant - tally.len();
    tally.copy_from_slice(&words[start..start_of_constant]);
    words.truncate(start);
}

/// [`partition`], wherever the bins are.
fn divide(bins: Bins<'_>, from: &[Sample], to: &mut [Sample], feature: usize, goes_left: impl Fn(u8) -> bool) -> usize {
    match bins {
        Bins::Columns { bins, n_rows } => {
            let column = &bins[feature * n_rows..][..n_rows];
            partition(from, to, |row| goes_left(column[row]))
        }
        Bins::Rows(rows) => partition(from, to, |row| goes_left(rows.row(row)[feature])),
    }
}

/// Writes the samples that go left to the front of `to` and the others, in reverse, to its back; gives the number of the
/// former. Their rows keep running one way, so that memory is read in order.
#[inline]
fn partition(from: &[Sample], to: &mut [Sample], goes_left: impl Fn(usize) -> bool) -> usize {
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
