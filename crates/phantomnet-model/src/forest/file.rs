//! `forest.bin`: a forest as it lies in memory, for a quick start.
//!
//! The format is specified in `docs/formats/model-folder.md`. The bytes are hostile: a count is compared with the bytes that are
//! left before memory is taken, and everything that a walk relies on is checked.

use super::narrow::{Narrow, Word};
use super::shares::{LeafTable, NO_LEAF};
use super::slots::{Cuts, MAX_CUTS, MAX_SLOTS, Slots};
use super::wide::{self, Wide, WideNode};
use super::{CategorySet, Forest, Form, MAX_TREES, PROBABILITY_UNITS};

const MAGIC: &[u8; 8] = b"PNFOREST";

/// Version of the format.
const VERSION: u32 = 1;

/// Bytes of a node, which tell the form.
const NARROW: u32 = 4;
const WIDE: u32 = 12;

/// Kinds of a slot's cuts.
const THRESHOLDS: u32 = 0;
const SETS: u32 = 1;

impl Forest {
    /// The bytes of `forest.bin`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let mut put = |values: &[u32]| values.iter().for_each(|v| out.extend(v.to_le_bytes()));
        let node_bytes = match &self.form {
            Form::Narrow(_) => NARROW,
            Form::Wide(_) => WIDE,
        };
        let leaves = NO_LEAF + 1..self.leaves.len() as u32;
        put(&[VERSION, node_bytes, self.n_features as u32, self.n_classes as u32]);
        put(&[self.n_trees() as u32, leaves.len() as u32]);
        leaves.for_each(|leaf| put(self.leaves.units(leaf)));
        let set_words = |set: &CategorySet| set.words().map(|w| [w as u32, (w >> 32) as u32]);
        match &self.form {
            Form::Narrow(narrow) => {
                put(&[narrow.slots().len() as u32]);
                for (feature, cuts) in narrow.slots().iter() {
                    match cuts {
                        Cuts::Thresholds(cuts) => {
                            put(&[feature, THRESHOLDS, cuts.len() as u32]);
                            cuts.iter().for_each(|t| put(&[t.to_bits()]));
                        }
                        Cuts::Sets(sets) => {
                            put(&[feature, SETS, sets.len() as u32]);
                            sets.iter().for_each(|set| put(set_words(set).as_flattened()));
                        }
                    }
                }
                for i in 0..narrow.n_trees() {
                    put(&[narrow.words(i).len() as u32]);
                }
                for i in 0..narrow.n_trees() {
                    narrow.words(i).iter().for_each(|word| put(&[word.0]));
                }
            }
            Form::Wide(wide) => {
                put(&[wide.sets.len() as u32]);
                wide.sets.iter().for_each(|set| put(set_words(set).as_flattened()));
                for i in 0..wide.n_trees() {
                    put(&[wide.range(i).len() as u32]);
                }
                wide.nodes.iter().for_each(|node| put(&[node.test, node.value, node.left]));
            }
        }
        out
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave. Memory stays proportional to the number of bytes.
    ///
    /// # Errors
    /// The reason, when the bytes are not such a forest, or one of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let mut reader = Reader { rest: bytes };
        if reader.bytes(MAGIC.len())? != MAGIC {
            return Err("it does not begin as a forest does".into());
        }
        let [version] = reader.array()?;
        if version != VERSION {
            return Err(format!("version {version} is not one that this build reads ({VERSION})"));
        }
        let [node_bytes, n_features, n_classes, n_trees, n_leaves] = reader.array()?.map(|v| v as usize);
        if n_features > wide::MAX_FEATURES || n_classes < 2 || n_trees == 0 || n_trees > MAX_TREES || n_leaves == 0 {
            return Err(format!("{n_trees} trees, {n_features} features, {n_classes} classes and {n_leaves} leaves"));
        }
        let units = reader.numbers(n_leaves.checked_mul(n_classes).ok_or("too many leaves")?)?;
        if let Some(units) = units.iter().find(|&&units| units > PROBABILITY_UNITS) {
            return Err(format!("a leaf share of {units}/2^24"));
        }
        let leaves = LeafTable::new(n_classes, &units);
        let totals = leaf_totals(&leaves);
        let (form, sum) = match u32::try_from(node_bytes) {
            Ok(NARROW) => reader.narrow(n_features, n_trees, &totals)?,
            Ok(WIDE) => reader.wide(n_features, n_trees, &totals)?,
            _ => return Err(format!("nodes of {node_bytes} bytes")),
        };
        if !reader.rest.is_empty() {
            return Err(format!("{} bytes too many", reader.rest.len()));
        }
        if sum != u64::from(PROBABILITY_UNITS) {
            return Err(format!("leaf shares that sum to {sum}/2^24"));
        }
        Ok(Self { n_features, n_classes, leaves, form })
    }
}

/// Units of each leaf over all classes. Of [`NO_LEAF`], which no node may be, more than there are.
fn leaf_totals(leaves: &LeafTable) -> Vec<u64> {
    let total = |leaf| leaves.units(leaf).iter().map(|&units| u64::from(units)).sum();
    std::iter::once(u64::MAX).chain((NO_LEAF + 1..leaves.len() as u32).map(total)).collect()
}

/// What holds for a tree in either form: every pair of siblings stands behind its one parent, and all leaves exist and hand
/// out the same. The root is in pair 0.
///
/// Whether a node is a leaf is a coin toss, so nothing branches on it: a forest of 2.3 million nodes is checked in a third
/// of the time.
struct TreeCheck<'a> {
    totals: &'a [u64],
    n_parents: Vec<u32>,
    is_valid: bool,
    least: u64,
    most: u64,
}

impl<'a> TreeCheck<'a> {
    fn new(totals: &'a [u64], n_pairs: usize) -> Self {
        Self { totals, n_parents: vec![0; n_pairs], is_valid: true, least: u64::MAX, most: 0 }
    }

    /// Notes a node of the pair `pair`: a leaf with its number, or the parent of the pair `children` with a test that exists.
    #[inline(always)]
    fn node(&mut self, pair: usize, is_leaf: bool, leaf: u32, children: usize, is_test: bool) {
        self.is_valid &= is_leaf | (is_test & (children > pair));
        let children = if is_leaf { 0 } else { children };
        match self.n_parents.get_mut(children) {
            Some(n) => *n += 1,
            None => self.is_valid = false,
        }
        let total = self.totals.get(if is_leaf { leaf as usize } else { 0 }).copied().unwrap_or(u64::MAX);
        self.least = self.least.min(total);
        self.most = self.most.max(if is_leaf { total } else { 0 });
    }

    /// The units that the tree hands out.
    fn finish(self, t: usize) -> Result<u64, String> {
        let is_tree = self.is_valid && self.n_parents.iter().skip(1).all(|&n| n == 1);
        if is_tree && self.least == self.most && self.most <= u64::from(PROBABILITY_UNITS) {
            return Ok(self.most);
        }
        Err(format!("tree {t} is malformed"))
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (bytes, rest) = self.rest.split_at_checked(n).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u32; N], String> {
        let mut values = [0; N];
        for (value, bytes) in values.iter_mut().zip(self.bytes(N * 4)?.as_chunks().0) {
            *value = u32::from_le_bytes(*bytes);
        }
        Ok(values)
    }

    fn numbers(&mut self, n: usize) -> Result<Vec<u32>, String> {
        let bytes = self.bytes(n.checked_mul(4).ok_or("it ends too early")?)?;
        Ok(bytes.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect())
    }

    fn sets(&mut self, n: usize) -> Result<Vec<CategorySet>, String> {
        let bytes = self.bytes(n.checked_mul(32).ok_or("it ends too early")?)?;
        let words = bytes.as_chunks().0.iter().map(|&b| u64::from_le_bytes(b)).collect::<Vec<_>>();
        Ok(words.as_chunks().0.iter().map(|&words| CategorySet::from_words(words)).collect())
    }

    fn slots(&mut self, n_features: usize) -> Result<Slots, String> {
        let [n_slots] = self.array()?;
        if n_slots as usize > MAX_SLOTS {
            return Err(format!("{n_slots} slots, more than {MAX_SLOTS}"));
        }
        let mut slots = Slots::default();
        let mut last_kind = THRESHOLDS;
        for s in 0..n_slots {
            let [feature, kind, n_cuts] = self.array()?;
            if feature as usize >= n_features || n_cuts == 0 || n_cuts as usize > MAX_CUTS || kind < last_kind {
                return Err(format!("slot {s}: feature {feature}, kind {kind}, {n_cuts} cuts"));
            }
            last_kind = kind;
            match kind {
                THRESHOLDS => {
                    let cuts: Vec<f32> = self.numbers(n_cuts as usize)?.into_iter().map(f32::from_bits).collect();
                    // Negative zero is not written: it is the same threshold as zero.
                    let is_number = |t: &f32| !t.is_nan() && t.to_bits() != (-0.0_f32).to_bits();
                    if !cuts.iter().all(is_number) || !cuts.is_sorted_by(|a, b| a < b) {
                        return Err(format!("slot {s}: thresholds that do not ascend"));
                    }
                    slots.push_numbers(feature, &cuts);
                }
                SETS => {
                    let sets = self.sets(n_cuts as usize)?;
                    if !sets.is_sorted_by(|a, b| a != b && a.is_subset(b)) {
                        return Err(format!("slot {s}: sets that are not nested"));
                    }
                    slots.push_sets(feature, sets);
                }
                _ => return Err(format!("slot {s}: kind {kind}")),
            }
        }
        Ok(slots)
    }

    /// The trees, and the units that they hand out together.
    fn narrow(&mut self, n_features: usize, n_trees: usize, totals: &[u64]) -> Result<(Form, u64), String> {
        let slots = self.slots(n_features)?;
        let mut n_cuts = [0; MAX_SLOTS + 1];
        for (n_cuts, (_, cuts)) in n_cuts.iter_mut().zip(slots.iter()) {
            *n_cuts = match cuts {
                Cuts::Thresholds(cuts) => cuts.len() as u32,
                Cuts::Sets(sets) => sets.len() as u32,
            };
        }
        let sizes = self.numbers(n_trees)?;
        let n_words = sizes.iter().map(|&n| n as usize).sum();
        let words: Vec<Word> = self.numbers(n_words)?.into_iter().map(Word).collect();
        let (mut roots, mut root, mut sum) = (Vec::with_capacity(n_trees), 0, 0);
        for (t, size) in sizes.into_iter().enumerate() {
            let tree = &words[root..root + size as usize];
            if size < 2 || size % 2 != 0 || !tree[1].is_leaf() || tree[1].leaf_number() != NO_LEAF {
                return Err(format!("tree {t}: {size} words, or no root"));
            }
            let mut check = TreeCheck::new(totals, tree.len() / 2);
            for (i, word) in tree.iter().enumerate().filter(|&(i, _)| i != 1) {
                let is_test = word.cut() < n_cuts[word.slot() as usize];
                check.node(i / 2, word.is_leaf(), word.leaf_number(), word.children() as usize / 2, is_test);
            }
            sum += check.finish(t)?;
            roots.push(root as u32);
            root += size as usize;
        }
        let narrow = Narrow::assemble(slots, words, roots).ok_or_else(|| format!("{n_words} words"))?;
        Ok((Form::Narrow(narrow), sum))
    }

    /// The trees, and the units that they hand out together.
    fn wide(&mut self, n_features: usize, n_trees: usize, totals: &[u64]) -> Result<(Form, u64), String> {
        let [n_sets] = self.array()?;
        let sets = self.sets(n_sets as usize)?;
        let sizes = self.numbers(n_trees)?;
        let n_nodes: usize = sizes.iter().map(|&n| n as usize).sum();
        let numbers = self.numbers(n_nodes.checked_mul(3).ok_or("it ends too early")?)?;
        let node = |&[test, value, left]: &[u32; 3]| WideNode { test, value, left };
        let nodes: Vec<WideNode> = numbers.as_chunks().0.iter().map(node).collect();
        if n_nodes > wide::MAX_NODES {
            return Err(format!("{n_nodes} nodes"));
        }
        let (mut roots, mut root, mut sum) = (Vec::with_capacity(n_trees), 0, 0);
        for (t, size) in sizes.into_iter().enumerate() {
            let tree = &nodes[root..root + size as usize];
            if size % 2 != 1 {
                return Err(format!("tree {t}: {size} nodes"));
            }
            // With the root alone in pair 0, a left child has an odd place, and node `i` is in pair `(i + 1) / 2`.
            let mut check = TreeCheck::new(totals, tree.len().div_ceil(2));
            for (i, node) in tree.iter().enumerate() {
                let left = (node.left as usize).wrapping_sub(root);
                let is_decided = match node.is_set() {
                    true => (node.value as usize) < sets.len(),
                    false => !node.threshold().is_nan(),
                };
                let is_test = is_decided && (node.feature() as usize) < n_features && left % 2 == 1;
                if node.is_leaf() && (left != i || !node.is_plain_leaf()) {
                    return Err(format!("tree {t}, node {i}: a leaf that leads on"));
                }
                check.node(i.div_ceil(2), node.is_leaf(), node.value, left.div_ceil(2), is_test);
            }
            sum += check.finish(t)?;
            roots.push(root as u32);
            root += size as usize;
        }
        Ok((Form::Wide(Wide { nodes, roots, sets }), sum))
    }
}
