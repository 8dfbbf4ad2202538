//! One tree, as learners hand it over and as it is listed for export.

use super::PROBABILITY_UNITS;

/// Category codes 0..=255 as a bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub struct CategorySet([u64; 4]);

impl CategorySet {
    /// Adds a code.
    pub fn insert(&mut self, code: u8) {
        self.0[usize::from(code >> 6)] |= 1 << (code & 63);
    }

    /// Whether the set holds a code.
    pub fn contains(&self, code: u8) -> bool {
        self.0[usize::from(code >> 6)] >> (code & 63) & 1 == 1
    }

    /// Whether every code of this set is also in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).all(|(a, b)| a & !b == 0)
    }

    /// The codes, ascending.
    pub fn codes(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=255).filter(|&c| self.contains(c))
    }

    /// Number of codes.
    pub fn len(&self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether there is no code.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The four words, codes 0 to 63 first.
    pub(super) fn words(&self) -> [u64; 4] {
        self.0
    }

    pub(super) fn from_words(words: [u64; 4]) -> Self {
        Self(words)
    }
}

/// What a node asks of a value that is not missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Test {
    /// `x <= threshold`; the threshold is not NaN.
    AtMost(f32),
    /// The category code is in the set. A code that is not a whole number from 0 to 255 is in no set.
    In(CategorySet),
}

impl Test {
    /// Whether the test holds for a value that is not NaN.
    pub(super) fn holds(&self, value: f32) -> bool {
        match self {
            Self::AtMost(threshold) => value <= *threshold,
            Self::In(set) => category_code(value).is_some_and(|code| set.contains(code)),
        }
    }
}

/// The category code that a value stands for, if it is one.
pub(super) fn category_code(value: f32) -> Option<u8> {
    ((0.0..=255.0).contains(&value) && value.fract() == 0.0).then_some(value as u8)
}

/// A node of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node {
    /// Sends a row left if the test holds, right otherwise.
    Split {
        /// Index of the feature.
        feature: u32,
        /// The test.
        test: Test,
        /// Where a missing value goes.
        missing_left: bool,
        /// Index of the left child, greater than this node's own.
        left: u32,
        /// Index of the right child, greater than this node's own.
        right: u32,
    },
    /// The end of a path: index of the leaf in the tree's leaf values.
    Leaf(u32),
}

/// One tree: nodes with the root first, children after their parent.
///
/// This is the form to build and to read. A [`Forest`](super::Forest) keeps its trees in a smaller one and lists them as
/// `Tree`s when asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    nodes: Vec<Node>,
    /// `n_leaves × n_classes` shares, leaf-major.
    leaves: Vec<f32>,
}

impl Tree {
    /// A tree of `nodes` and leaf-major `leaves`. Checked when it joins a [`Forest`](super::Forest).
    pub fn new(nodes: Vec<Node>, leaves: Vec<f32>) -> Self {
        Self { nodes, leaves }
    }

    /// The nodes, root first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Shares of leaf `i`, one per class.
    pub fn leaf(&self, i: u32, n_classes: usize) -> &[f32] {
        &self.leaves[i as usize * n_classes..][..n_classes]
    }

    /// The leaf that `x` reaches: the reference that every fast path must equal.
    pub fn leaf_of(&self, x: &[f32]) -> u32 {
        let mut at = 0;
        loop {
            match &self.nodes[at as usize] {
                Node::Leaf(leaf) => return *leaf,
                Node::Split { feature, test, missing_left, left, right } => {
                    let value = x[*feature as usize];
                    let goes_left = if value.is_nan() { *missing_left } else { test.holds(value) };
                    at = if goes_left { *left } else { *right };
                }
            }
        }
    }

    /// Checks indices and shares; gives the units that each leaf sums to, the same for all leaves of a tree.
    pub(super) fn check(&self, n_features: usize, n_classes: usize) -> Result<u32, String> {
        let n_leaves = self.leaves.len() / n_classes;
        if self.nodes.is_empty() || n_leaves == 0 || !self.leaves.len().is_multiple_of(n_classes) {
            return Err(format!("{} nodes and {} leaf values", self.nodes.len(), self.leaves.len()));
        }
        let mut is_child = vec![false; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            match *node {
                Node::Leaf(leaf) if (leaf as usize) < n_leaves => {}
                Node::Leaf(leaf) => return Err(format!("node {i}: leaf {leaf} of {n_leaves}")),
                Node::Split { feature, test, left, right, .. } => {
                    if feature as usize >= n_features {
                        return Err(format!("node {i}: feature {feature} of {n_features}"));
                    }
                    if matches!(test, Test::AtMost(t) if t.is_nan()) {
                        return Err(format!("node {i}: threshold is not a number"));
                    }
                    for child in [left as usize, right as usize] {
                        if child <= i || child >= self.nodes.len() {
                            return Err(format!("node {i}: children {left} and {right} of {} nodes", self.nodes.len()));
                        }
                        // Else a few nodes could be a tree of any size.
                        if std::mem::replace(&mut is_child[child], true) {
                            return Err(format!("node {child} has two parents"));
                        }
                    }
                }
            }
        }
        if let Some(orphan) = is_child.iter().skip(1).position(|is_child| !is_child) {
            return Err(format!("node {} has no parent", orphan + 1));
        }
        let mut total = None;
        for leaf in self.leaves.chunks_exact(n_classes) {
            let mut sum = 0.0_f64;
            for &share in leaf {
                let units = f64::from(share) * f64::from(PROBABILITY_UNITS);
                if !(0.0..=f64::from(PROBABILITY_UNITS)).contains(&units) || units.fract() != 0.0 {
                    return Err(format!("leaf share {share} is not a multiple of 2^-24 from 0 to 1"));
                }
                sum += units;
            }
            if *total.get_or_insert(sum) != sum {
                return Err("leaves of one tree have different sums".into());
            }
        }
        match total {
            Some(t) if t <= f64::from(PROBABILITY_UNITS) => Ok(t as u32),
            _ => Err("leaf shares sum to more than 1".into()),
        }
    }

    /// The nodes in the order in which a forest keeps them: the root, then pairs of siblings, depth first. A row's path so
    /// moves through few cache lines: with pairs in breadth-first order NSL-KDD takes 1.1 and noisy data 1.5 times as long.
    ///
    /// Of a checked tree.
    pub(super) fn arrangement(&self) -> Vec<u32> {
        let mut order = Vec::with_capacity(self.nodes.len());
        order.push(0);
        let mut open = vec![0];
        while let Some(i) = open.pop() {
            if let Node::Split { left, right, .. } = self.nodes[i as usize] {
                order.extend([left, right]);
                open.extend([right, left]);
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_take_whole_codes_only() {
        let mut set = CategorySet::default();
        for code in [0, 63, 64, 255] {
            set.insert(code);
        }
        assert_eq!(set.codes().collect::<Vec<_>>(), [0, 63, 64, 255]);
        assert_eq!(set.len(), 4);
        let test = Test::In(set);
        for (value, expected) in [(0.0, true), (64.0, true), (1.0, false), (63.5, false), (-1.0, false), (1e9, false)] {
            assert_eq!(test.holds(value), expected, "{value}");
        }
    }

    #[test]
    fn subsets_are_told_by_all_words() {
        let set = |codes: &[u8]| {
            let mut set = CategorySet::default();
            codes.iter().for_each(|&c| set.insert(c));
            set
        };
        for (a, b, expected) in [(&[][..], &[][..], true), (&[200], &[3, 200], true), (&[3, 200], &[200], false)] {
            assert_eq!(set(a).is_subset(&set(b)), expected, "{a:?} in {b:?}");
        }
    }

    #[test]
    fn siblings_are_kept_together_and_children_after_parents() {
        let split = |left, right| Node::Split { feature: 0, test: Test::AtMost(0.0), missing_left: false, left, right };
        // 0 -> (4, 1), 1 -> (3, 2), 4 -> (6, 5)
        let nodes =
            vec![split(4, 1), split(3, 2), Node::Leaf(0), Node::Leaf(0), split(6, 5), Node::Leaf(0), Node::Leaf(0)];
        assert_eq!(Tree::new(nodes, vec![0.5, 0.5]).arrangement(), [0, 4, 1, 6, 5, 3, 2]);
    }
}
