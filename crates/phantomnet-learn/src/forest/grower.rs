//! Grows one tree, node by node, from the root.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use phantomnet_model::{Node, PROBABILITY_UNITS, Tree, leaf_probabilities};

use super::bag::Sample;
use super::binning::{Binned, Bins, Values};
use super::candidates::{Candidates, FeatureSet};
use super::counts::Counts;
use super::criterion::Criterion;
use super::groups::CodeOrder;
use super::partition::{Copies, divide};
use super::split::BestCut;
use super::tally::{Layout, add, half};
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
    pub(super) max_leaf_nodes: Option<usize>,
    /// Share of the tree's weight times impurity that a split takes away at least.
    pub(super) min_impurity_decrease: f64,
}

/// What a tree learns from.
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
    /// Whether subtrees are grown by other threads, too.
    pub(super) forks: bool,
    /// Whether anybody still wants the tree.
    pub(super) is_wanted: &'a (dyn Fn() -> bool + Sync),
}

/// A tree and what it says of the features.
#[derive(Debug, Default)]
pub(super) struct Grown {
    pub(super) nodes: Vec<Node>,
    /// `n_leaves × n_classes` shares.
    pub(super) leaves: Vec<f32>,
    /// Feature of each split and the weight times impurity that it took away.
    pub(super) decreases: Vec<(u32, f64)>,
}

/// A node that is not split yet.
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

impl Pending {
    fn n_samples(&self) -> usize {
        self.end - self.start
    }
}

/// Pending nodes with the counts that they keep, the last one in first out. Their tallies and constant features lie beside
/// them.
#[derive(Debug, Default)]
struct Stack {
    pending: Vec<(Pending, Option<Counts>)>,
    words: Vec<u64>,
}

/// The samples of a subtree, in the order of its nodes, in two buffers: those of a node's children are written to the one that
/// the node's are not in. Positions of pending nodes count from the subtree's first sample.
type Samples<'s> = [&'s mut [Sample]; 2];

/// What a thread needs to grow trees, kept from tree to tree to spare allocations.
#[derive(Debug)]
pub(super) struct Workshop {
    copies: Copies,
    candidates: Candidates,
    stack: Stack,
}

impl Workshop {
    pub(super) fn new(n_features: usize, layout: Layout, min_samples_leaf: usize) -> Self {
        Self {
            copies: Copies::default(),
            candidates: Candidates::new(n_features, layout, min_samples_leaf),
            stack: Stack::default(),
        }
    }

    /// Queues the children of a node, the left one to be taken first; `prefix` and `rest` of the candidates are their tallies.
    fn push(&mut self, [left, right]: [Option<Pending>; 2], [left_counts, right_counts]: [Option<Counts>; 2]) {
        let Candidates { prefix, rest, constant, .. } = &self.candidates;
        for (child, counts, tally) in [(right, right_counts, rest), (left, left_counts, prefix)] {
            if let Some(child) = child {
                self.stack.push(child, counts, tally, constant);
            }
        }
    }
}

/// The root of a tree or of a subtree that is grown apart.
struct Root {
    depth: u32,
    key: u64,
    tally: Vec<u64>,
    constant: FeatureSet,
    counts: Option<Counts>,
    /// Weight times impurity that each split takes away at least.
    min_decrease: f64,
    /// Forks on the way from the root of the tree.
    n_forks: u32,
}

/// Samples that each of two subtrees has, at least, to be grown apart: their copies cost less than the wait for a thread.
const MIN_FORK_SAMPLES: usize = 8192;

/// Most forks from the root to a leaf: enough for any number of threads, and few enough for any thread's stack.
const MAX_FORKS: u32 = 16;

impl Grower<'_> {
    /// Grows the tree of the first of two buffers of samples; the second is as long. `None` once nobody wants it.
    pub(super) fn grow(&self, key: u64, samples: Samples<'_>, workshop: &mut Workshop) -> Option<Grown> {
        let mut tally = vec![0; self.layout.n_words];
        for sample in &*samples[0] {
            tally[sample.word()] += sample.add();
            if let Some((word, add)) = self.layout.of_row() {
                tally[word] += add;
            }
        }
        let weight: f64 = self.layout.weights(&tally, self.class_weights).sum();
        let min_decrease = self.limits.min_impurity_decrease * weight;
        let constant = FeatureSet::empty(self.orders.len());
        let root = Root { depth: 0, key, tally, constant, counts: None, min_decrease, n_forks: 0 };
        match self.limits.max_leaf_nodes {
            None => self.grow_depth_first(root, samples, workshop),
            Some(max) => self.grow_best_first(root, samples, workshop, max),
        }
    }

    /// Meaning of a feature's bins, and of a category the order of its codes.
    pub(super) fn feature(&self, feature: u32) -> (&Values, Option<&CodeOrder>) {
        (&self.binned.values[feature as usize], self.orders[feature as usize].as_ref())
    }

    /// Splits nodes until they are pure or a limit is reached, on an explicit stack: a tree may be as deep as it has rows.
    fn grow_depth_first(&self, root: Root, mut samples: Samples<'_>, workshop: &mut Workshop) -> Option<Grown> {
        let (n_forks, min_decrease) = (root.n_forks, root.min_decrease);
        let mut grown = self.start(root, samples[0].len(), workshop);
        while let Some(mut pending) = workshop.stack.pop(&mut workshop.candidates) {
            if !(self.is_wanted)() {
                return None;
            }
            let of_node = &mut samples[pending.buffer][pending.start..pending.end];
            pending.copy = workshop.copies.copy(self.binned.rows(), pending.copy, of_node);
            let Some((best, decrease)) = self.best_cut(&pending, of_node, min_decrease, workshop) else {
                self.push_leaf(pending.node, &workshop.candidates.node, &mut grown);
                continue;
            };
            let children = self.split(&pending, &best, decrease, &mut samples, workshop, &mut grown);
            let counts = self.counts_of(children, &pending, &samples, workshop);
            if let [Some(left), Some(right)] = children
                && self.forks
                && n_forks < MAX_FORKS
                // The samples of a copy mean nothing elsewhere.
                && pending.copy == 0
                && [left, right].iter().all(|child| child.n_samples() >= MIN_FORK_SAMPLES)
            {
                self.fork([left, right], counts, &mut samples, workshop, min_decrease, n_forks + 1, &mut grown)?;
            } else {
                workshop.push(children, counts);
            }
        }
        Some(grown)
    }

    /// Splits the node that takes most impurity away, again and again. Source: Shi, *Best-first decision tree learning*
    /// (2007). Of equal nodes the one that came first is split.
    fn grow_best_first(
        &self,
        root: Root,
        mut samples: Samples<'_>,
        workshop: &mut Workshop,
        max_leaf_nodes: usize,
    ) -> Option<Grown> {
        let min_decrease = root.min_decrease;
        let mut grown = self.start(root, samples[0].len(), workshop);
        let mut queue = BinaryHeap::new();
        let mut n_leaves = 1;
        loop {
            while let Some(pending) = workshop.stack.pop(&mut workshop.candidates) {
                if !(self.is_wanted)() {
                    return None;
                }
                let of_node = &samples[pending.buffer][pending.start..pending.end];
                match self.best_cut(&pending, of_node, min_decrease, workshop) {
                    None => self.push_leaf(pending.node, &workshop.candidates.node, &mut grown),
                    Some((best, decrease)) => {
                        let counts = workshop.candidates.counts.take();
                        let Candidates { prefix, rest, constant, .. } = &workshop.candidates;
                        let (prefix, rest, constant) = (prefix.clone(), rest.clone(), constant.clone());
                        queue.push(Queued { pending, best, decrease, prefix, rest, constant, counts });
                    }
                }
            }
            let Some(next) = queue.pop() else { return Some(grown) };
            let candidates = &mut workshop.candidates;
            (candidates.prefix, candidates.rest, candidates.constant) = (next.prefix, next.rest, next.constant);
            candidates.counts = next.counts;
            if n_leaves < max_leaf_nodes {
                let children = self.split(&next.pending, &next.best, next.decrease, &mut samples, workshop, &mut grown);
                let counts = self.counts_of(children, &next.pending, &samples, workshop);
                workshop.push(children, counts);
                n_leaves += 1;
            } else {
                add(&mut candidates.rest, &candidates.prefix);
                self.push_leaf(next.pending.node, &candidates.rest, &mut grown);
            }
        }
    }

    /// Makes the root a leaf or a pending node.
    fn start(&self, root: Root, n_samples: usize, workshop: &mut Workshop) -> Grown {
        let mut grown = Grown { nodes: vec![Node::Leaf(0)], ..Grown::default() };
        workshop.stack.clear();
        if self.may_split(root.depth, n_samples, &root.tally) {
            let (depth, key) = (root.depth, root.key);
            let pending = Pending { node: 0, depth, start: 0, end: n_samples, key, buffer: 0, copy: 0 };
            workshop.stack.push(pending, root.counts, &root.tally, &root.constant);
        } else {
            self.push_leaf(0, &root.tally, &mut grown);
        }
        grown
    }

    /// Whether a node of so many rows is to be split, as far as that can be told without looking at them.
    fn may_split(&self, depth: u32, n_rows: usize, tally: &[u64]) -> bool {
        let limits = self.limits;
        (depth as usize) < limits.max_depth
            && n_rows >= limits.min_samples_split
            && n_rows / 2 >= limits.min_samples_leaf
            && !self.layout.is_pure(tally)
    }

    /// Where a node of so many samples, whose rows are in `copy`, reads their bins.
    fn bins<'b>(&'b self, copy: usize, n_samples: usize, copies: &'b Copies) -> Bins<'b> {
        match copy {
            0 => self.binned.for_node(n_samples),
            copy => Bins::Rows(copies.rows(copy, self.orders.len())),
        }
    }

    /// Whether a node of so many samples counts all features at once, for its children's sake.
    pub(super) fn keeps_counts(&self, n_samples: usize) -> bool {
        self.limits.max_features == self.orders.len() && Counts::are_kept(self.layout, n_samples)
    }

    /// Counts of the children of a node, left and right, if it has kept its own and the larger child keeps them.
    fn counts_of(
        &self,
        children: [Option<Pending>; 2],
        node: &Pending,
        samples: &Samples<'_>,
        workshop: &mut Workshop,
    ) -> [Option<Counts>; 2] {
        let (Some(mut of_larger), Some(larger)) =
            (workshop.candidates.counts.take(), children.into_iter().flatten().max_by_key(Pending::n_samples))
        else {
            return [None, None];
        };
        let is_left = larger.start == node.start;
        let smaller = if is_left { larger.end..node.end } else { node.start..larger.start };
        if larger.n_samples() < smaller.len() || !self.keeps_counts(larger.n_samples()) {
            return [None, None];
        }
        let bins = self.bins(node.copy, smaller.len(), &workshop.copies);
        let n_samples = smaller.len();
        let of_smaller = workshop.candidates.count_all(self, bins, &samples[larger.buffer][smaller]);
        of_larger.subtract(&of_smaller);
        let (of_larger, of_smaller) = (Some(of_larger), self.keeps_counts(n_samples).then_some(of_smaller));
        if is_left { [of_larger, of_smaller] } else { [of_smaller, of_larger] }
    }

    /// The best cut of the node in `workshop.candidates`, if it takes enough impurity away, and how much.
    fn best_cut(
        &self,
        pending: &Pending,
        samples: &[Sample],
        min_decrease: f64,
        workshop: &mut Workshop,
    ) -> Option<(BestCut, f64)> {
        let bins = self.bins(pending.copy, pending.n_samples(), &workshop.copies);
        let candidates = &mut workshop.candidates;
        let best = candidates.best_cut(self, pending.key, bins, samples)?;
        let Candidates { node, prefix, rest, .. } = candidates;
        let decrease = self.limits.criterion.decrease(self.layout, self.class_weights, node, [prefix, rest]);
        (decrease >= min_decrease).then_some((best, decrease))
    }

    /// Makes a split of a node and divides its rows. Children that are not to be split become leaves, the others are given,
    /// left and right; `prefix` and `rest` of the candidates become the tallies of the left and the right child.
    fn split(
        &self,
        pending: &Pending,
        best: &BestCut,
        decrease: f64,
        samples: &mut Samples<'_>,
        workshop: &mut Workshop,
        grown: &mut Grown,
    ) -> [Option<Pending>; 2] {
        let Candidates { prefix, rest, .. } = &mut workshop.candidates;
        let weight = |tally: &[u64]| self.layout.weights(tally, self.class_weights).sum::<f64>();
        let (values, order) = self.feature(best.feature);
        let split = best.split(values, order, (weight(prefix), weight(rest)));
        if !split.prefix_left {
            std::mem::swap(prefix, rest);
        }

        let bins = self.bins(pending.copy, pending.n_samples(), &workshop.copies);
        let [first, second] = samples;
        let (from, to) = if pending.buffer == 0 { (first, second) } else { (second, first) };
        let (from, to) = (&from[pending.start..pending.end], &mut to[pending.start..pending.end]);
        let middle = pending.start + divide(bins, from, to, &split, order);

        let left = grown.nodes.len() as u32;
        let (feature, test, missing_left) = (split.feature, split.test, split.missing_left);
        grown.nodes[pending.node as usize] = Node::Split { feature, test, missing_left, left, right: left + 1 };
        grown.nodes.extend([Node::Leaf(0); 2]);
        grown.decreases.push((feature, decrease));
        let [left_key, right_key] = SplitMix::children(pending.key);
        let child = Pending { depth: pending.depth + 1, buffer: 1 - pending.buffer, ..*pending };
        let children = [
            (Pending { node: left, end: middle, key: left_key, ..child }, &*prefix),
            (Pending { node: left + 1, start: middle, key: right_key, ..child }, &*rest),
        ];
        children.map(|(child, tally)| {
            let may_split = self.may_split(child.depth, child.n_samples(), tally);
            if !may_split {
                self.push_leaf(child.node, tally, grown);
            }
            may_split.then_some(child)
        })
    }

    /// Grows two subtrees, one of them on another thread if one is free, and joins them to the tree as if they had been grown
    /// one after the other.
    #[expect(clippy::too_many_arguments, reason = "what a node has, and where its subtrees go")]
    fn fork(
        &self,
        [left, right]: [Pending; 2],
        [left_counts, right_counts]: [Option<Counts>; 2],
        samples: &mut Samples<'_>,
        workshop: &Workshop,
        min_decrease: f64,
        n_forks: u32,
        grown: &mut Grown,
    ) -> Option<()> {
        let Candidates { prefix, rest, constant, .. } = &workshop.candidates;
        let grow = |child: Pending, counts: Option<Counts>, tally: &[u64], [own, other]: Samples<'_>| {
            let mut workshop = Workshop::new(self.orders.len(), self.layout, self.limits.min_samples_leaf);
            let samples = if child.buffer == 0 { [own, other] } else { [other, own] };
            let (tally, constant) = (tally.to_vec(), constant.clone());
            let root = Root { depth: child.depth, key: child.key, tally, constant, counts, min_decrease, n_forks };
            self.grow_depth_first(root, samples, &mut workshop)
        };
        let [first, second] = samples;
        let (first_left, first_right) = first[left.start..right.end].split_at_mut(left.n_samples());
        let (second_left, second_right) = second[left.start..right.end].split_at_mut(left.n_samples());
        let subtrees = rayon::join(
            || grow(left, left_counts, prefix, [first_left, second_left]),
            || grow(right, right_counts, rest, [first_right, second_right]),
        );
        grown.join(left.node, subtrees.0?, self.layout.n_classes);
        grown.join(right.node, subtrees.1?, self.layout.n_classes);
        Some(())
    }

    fn push_leaf(&self, node: u32, tally: &[u64], grown: &mut Grown) {
        let n_classes = self.layout.n_classes;
        grown.nodes[node as usize] = Node::Leaf((grown.leaves.len() / n_classes) as u32);
        if self.layout.is_pure(tally) {
            let share = self.units as f32 / PROBABILITY_UNITS as f32;
            grown.leaves.extend((0..n_classes).map(|class| if half(tally, class) > 0 { share } else { 0.0 }));
        } else {
            let weights: Vec<f64> = self.layout.weights(tally, self.class_weights).collect();
            leaf_probabilities(&weights, self.units, &mut grown.leaves);
        }
    }
}

impl Grown {
    /// The tree alone.
    pub(super) fn into_tree(mut self) -> Tree {
        // The whole forest is kept like this until its last tree is grown.
        self.nodes.shrink_to_fit();
        self.leaves.shrink_to_fit();
        Tree::new(self.nodes, self.leaves)
    }

    /// Puts a subtree in the place of a node.
    fn join(&mut self, node: u32, subtree: Self, n_classes: usize) {
        let first_leaf = (self.leaves.len() / n_classes) as u32;
        // The subtree's root takes the place of the node, the rest is appended.
        let moved = self.nodes.len() as u32 - 1;
        let mut renumbered = subtree.nodes.into_iter().map(|node| match node {
            Node::Leaf(leaf) => Node::Leaf(first_leaf + leaf),
            Node::Split { feature, test, missing_left, left, right } => {
                Node::Split { feature, test, missing_left, left: moved + left, right: moved + right }
            }
        });
        if let Some(root) = renumbered.next() {
            self.nodes[node as usize] = root;
        }
        self.nodes.extend(renumbered);
        self.leaves.extend(subtree.leaves);
        self.decreases.extend(subtree.decreases);
    }
}

impl Stack {
    fn clear(&mut self) {
        self.pending.clear();
        self.words.clear();
    }

    fn push(&mut self, pending: Pending, counts: Option<Counts>, tally: &[u64], constant: &FeatureSet) {
        self.pending.push((pending, counts));
        self.words.extend_from_slice(tally);
        self.words.extend_from_slice(constant.words());
    }

    /// Takes the last node; its tally, counts and constant features become those of `candidates`.
    fn pop(&mut self, candidates: &mut Candidates) -> Option<Pending> {
        let (pending, counts) = self.pending.pop()?;
        candidates.counts = counts;
        let constant = candidates.constant.words_mut();
        let end = self.words.len() - constant.len();
        constant.copy_from_slice(&self.words[end..]);
        let start = end - candidates.node.len();
        candidates.node.copy_from_slice(&self.words[start..end]);
        self.words.truncate(start);
        Some(pending)
    }
}

/// A node whose best cut is known.
struct Queued {
    pending: Pending,
    best: BestCut,
    decrease: f64,
    prefix: Vec<u64>,
    rest: Vec<u64>,
    constant: FeatureSet,
    counts: Option<Counts>,
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> Ordering {
        self.decrease.total_cmp(&other.decrease).then(other.pending.node.cmp(&self.pending.node))
    }
}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Queued {}
