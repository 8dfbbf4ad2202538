//! A forest as one `TreeEnsembleClassifier`.
//!
//! A category test has no operator in `ai.onnx.ml` 3. It becomes a chain of `BRANCH_EQ` nodes, one per code, whose true branches
//! all lead to the left child (the form that LightGBM's converter introduced and ONNX Runtime accepts and folds back
//! into set membership); the false branch of the last leads to the right child.
//!
//! ONNX Runtime (1.32) does not stop folding at the end of a chain whose false branch leads to another one on the same feature:
//! it goes on while the left children seem the same to it, and of those it compares the share of the first class alone, and not
//! where missing values go. Between such chains, and in place of a chain for no code at all, stands a `BRANCH_LT` node that no
//! value passes.

use std::borrow::Borrow;

use super::proto::{AttributeProto, ML_DOMAIN, NodeProto};
use super::{Fragment, INPUT, PROBABILITIES};
use crate::{CategorySet, Node, Test, Tree};

pub(crate) const OPERATOR: &str = "TreeEnsembleClassifier";

const AT_MOST: &str = "BRANCH_LEQ";
const EQUAL: &str = "BRANCH_EQ";
const BELOW: &str = "BRANCH_LT";
const LEAF: &str = "LEAF";

/// The node columns of the operator, and the leaf columns after them.
#[derive(Default)]
struct Columns {
    tree: Vec<i64>,
    node: Vec<i64>,
    feature: Vec<i64>,
    mode: Vec<&'static str>,
    value: Vec<f32>,
    left: Vec<i64>,
    right: Vec<i64>,
    missing_left: Vec<i64>,
    leaf_tree: Vec<i64>,
    leaf_node: Vec<i64>,
    leaf_class: Vec<i64>,
    leaf_share: Vec<f32>,
}

pub(crate) fn fragment(
    n_classes: usize,
    trees: impl Iterator<Item = impl Borrow<Tree>>,
    class_names: &[String],
) -> Fragment {
    let mut columns = Columns::default();
    for (t, tree) in (0..).zip(trees) {
        columns.push_tree(t, tree.borrow(), n_classes);
    }
    let mut fragment = Fragment::default();
    fragment.push(NodeProto::new(
        OPERATOR,
        ML_DOMAIN,
        &[INPUT],
        &["class_of_trees", PROBABILITIES],
        vec![
            AttributeProto::ints("nodes_treeids", columns.tree),
            AttributeProto::ints("nodes_nodeids", columns.node),
            AttributeProto::ints("nodes_featureids", columns.feature),
            AttributeProto::strings("nodes_modes", columns.mode),
            AttributeProto::floats("nodes_values", columns.value),
            AttributeProto::ints("nodes_truenodeids", columns.left),
            AttributeProto::ints("nodes_falsenodeids", columns.right),
            AttributeProto::ints("nodes_missing_value_tracks_true", columns.missing_left),
            AttributeProto::ints("class_treeids", columns.leaf_tree),
            AttributeProto::ints("class_nodeids", columns.leaf_node),
            AttributeProto::ints("class_ids", columns.leaf_class),
            AttributeProto::floats("class_weights", columns.leaf_share),
            AttributeProto::ints("classlabels_int64s", (0..class_names.len() as i64).collect()),
            AttributeProto::string("post_transform", "NONE"),
        ],
    ));
    // The operator's own label is not used: for two classes ONNX Runtime gives the second as soon as its share is above 0.
    fragment.label_by_argmax(PROBABILITIES, class_names);
    fragment
}

impl Columns {
    fn push_tree(&mut self, t: i64, tree: &Tree, n_classes: usize) {
        // A node takes as many rows as its test needs; children refer to the first row of theirs.
        let mut first = Vec::with_capacity(tree.nodes().len());
        let mut next = 0_i64;
        for node in tree.nodes() {
            first.push(next);
            next += match *node {
                Node::Split { feature, test: Test::In(set), right, .. } => {
                    chain(&set, feature, &tree.nodes()[right as usize]).count() as i64
                }
                _ => 1,
            };
        }
        for (node, &id) in tree.nodes().iter().zip(&first) {
            match *node {
                Node::Leaf(leaf) => {
                    self.push_node([t, id, 0], LEAF, 0.0, [0, 0], false);
                    for (class, &share) in tree.leaf(leaf, n_classes).iter().enumerate() {
                        self.leaf_tree.push(t);
                        self.leaf_node.push(id);
                        self.leaf_class.push(class as i64);
                        self.leaf_share.push(share);
                    }
                }
                Node::Split { feature, test, missing_left, left, right } => {
                    let right_child = &tree.nodes()[right as usize];
                    let (left, right) = (first[left as usize], first[right as usize]);
                    let at = |id| [t, id, i64::from(feature)];
                    match test {
                        Test::AtMost(threshold) => {
                            self.push_node(at(id), AT_MOST, threshold, [left, right], missing_left);
                        }
                        Test::In(set) => {
                            let mut rows = (id..).zip(chain(&set, feature, right_child)).peekable();
                            while let Some((id, (mode, value))) = rows.next() {
                                let otherwise = rows.peek().map_or(right, |&(next, _)| next);
                                self.push_node(at(id), mode, value, [left, otherwise], missing_left);
                            }
                        }
                    }
                }
            }
        }
    }

    fn push_node(&mut self, at: [i64; 3], mode: &'static str, value: f32, children: [i64; 2], missing_left: bool) {
        let [tree, node, feature] = at;
        self.tree.push(tree);
        self.node.push(node);
        self.feature.push(feature);
        self.mode.push(mode);
        self.value.push(value);
        self.left.push(children[0]);
        self.right.push(children[1]);
        self.missing_left.push(i64::from(missing_left));
    }
}

/// The modes and values of the rows of a category test whose right child is `right`.
fn chain(set: &CategorySet, feature: u32, right: &Node) -> impl Iterator<Item = (&'static str, f32)> {
    let goes_on = matches!(right, Node::Split { feature: other, test: Test::In(_), .. } if *other == feature);
    let end = (goes_on || set.is_empty()).then_some((BELOW, f32::NEG_INFINITY));
    set.codes().map(|code| (EQUAL, f32::from(code))).chain(end)
}

/// Reads the trees of the operator that [`fragment`] wrote, as they stand in it.
pub(crate) fn read(operator: &NodeProto, class_names: &[String]) -> Result<Vec<Tree>, String> {
    let ints = |name: &str| operator.attribute(name).map(|a| a.ints.as_slice());
    let floats = |name: &str| operator.attribute(name).map(|a| a.floats.as_slice());
    let nodes = RawNodes {
        tree: ints("nodes_treeids")?,
        node: ints("nodes_nodeids")?,
        feature: ints("nodes_featureids")?,
        mode: &operator.attribute("nodes_modes")?.strings,
        value: floats("nodes_values")?,
        left: ints("nodes_truenodeids")?,
        right: ints("nodes_falsenodeids")?,
        missing_left: ints("nodes_missing_value_tracks_true")?,
    };
    let leaves = RawLeaves {
        tree: ints("class_treeids")?,
        node: ints("class_nodeids")?,
        class: ints("class_ids")?,
        share: floats("class_weights")?,
    };
    if ints("classlabels_int64s")?.len() != class_names.len() {
        return Err("its classes are not those of the pipeline".into());
    }
    if operator.attribute("post_transform")?.s != b"NONE" || operator.attribute.len() != 14 {
        return Err("its tree operator has settings that this program does not write".into());
    }
    let n = nodes.tree.len();
    let lengths = [
        nodes.node.len(),
        nodes.feature.len(),
        nodes.mode.len(),
        nodes.value.len(),
        nodes.left.len(),
        nodes.right.len(),
        nodes.missing_left.len(),
    ];
    if lengths.iter().any(|&l| l != n) {
        return Err("its node attributes have different lengths".into());
    }
    let n_shares = leaves.share.len();
    if leaves.tree.len() != n_shares || leaves.node.len() != n_shares || leaves.class.len() != n_shares {
        return Err("its leaf attributes have different lengths".into());
    }
    let (mut trees, mut row, mut share) = (Vec::new(), 0, 0);
    while row < n {
        let t = trees.len() as i64;
        let end = row + nodes.tree[row..].iter().take_while(|&&x| x == t).count();
        if end == row {
            return Err(format!("its tree ids are not 0, 1, 2, ... (row {row})"));
        }
        trees.push(nodes.read_tree(row..end, &leaves, &mut share, class_names.len())?);
        row = end;
    }
    if share != n_shares {
        return Err("it has leaf values without a leaf".into());
    }
    Ok(trees)
}

struct RawNodes<'a> {
    tree: &'a [i64],
    node: &'a [i64],
    feature: &'a [i64],
    mode: &'a [Vec<u8>],
    value: &'a [f32],
    left: &'a [i64],
    right: &'a [i64],
    missing_left: &'a [i64],
}

struct RawLeaves<'a> {
    tree: &'a [i64],
    node: &'a [i64],
    class: &'a [i64],
    share: &'a [f32],
}

/// Row that is the inside of an `BRANCH_EQ` chain, which no child may refer to.
const INSIDE: u32 = u32::MAX;

impl RawNodes<'_> {
    /// Reads the rows of one tree; `share` is the next leaf value, in the order of the leaves.
    fn read_tree(
        &self,
        rows: std::ops::Range<usize>,
        raw_leaves: &RawLeaves<'_>,
        share: &mut usize,
        n_classes: usize,
    ) -> Result<Tree, String> {
        let t = self.tree[rows.start];
        let place = |row: usize| format!("tree {t}, node {}", row - rows.start);
        // First pass: fold chains, and number the nodes that remain.
        let mut index = vec![INSIDE; rows.len()];
        let mut folded: Vec<(usize, usize)> = Vec::new();
        let mut row = rows.start;
        while row < rows.end {
            let len = if self.is(EQUAL, row) { self.chain(row, &rows) } else { 1 };
            index[row - rows.start] = folded.len() as u32;
            folded.push((row, len));
            row += len;
        }
        let child = |id: i64, row: usize| -> Result<u32, String> {
            match usize::try_from(id).ok().and_then(|id| index.get(id)) {
                Some(&i) if i != INSIDE => Ok(i),
                _ => Err(format!("{}: child {id} does not exist", place(row))),
            }
        };
        let (mut nodes, mut leaves) = (Vec::with_capacity(folded.len()), Vec::new());
        for (row, len) in folded {
            if (row..row + len).any(|r| self.node[r] != (r - rows.start) as i64) {
                return Err(format!("{}: node ids are not 0, 1, 2, ...", place(row)));
            }
            let last = row + len - 1;
            let test = match self.mode[row].as_slice() {
                m if m == LEAF.as_bytes() => {
                    let leaf = leaves.len() / n_classes;
                    for class in 0..n_classes {
                        let at = *share;
                        let expected = (t, (row - rows.start) as i64, class as i64);
                        let found = raw_leaves
                            .share
                            .get(at)
                            .map(|&value| ((raw_leaves.tree[at], raw_leaves.node[at], raw_leaves.class[at]), value));
                        match found {
                            Some((place, value)) if place == expected => leaves.push(value),
                            _ => return Err(format!("{}: its leaf values are missing or out of order", place(row))),
                        }
                        *share += 1;
                    }
                    nodes.push(Node::Leaf(leaf as u32));
                    continue;
                }
                m if m == AT_MOST.as_bytes() => Test::AtMost(self.value[row]),
                m if m == EQUAL.as_bytes() || m == BELOW.as_bytes() => Test::In(
                    self.codes(row..row + len)
                        .ok_or_else(|| format!("{}: not a category code from 0 to 255", place(row)))?,
                ),
                m => return Err(format!("{}: unknown mode `{}`", place(row), m.escape_ascii())),
            };
            let feature = u32::try_from(self.feature[row]).map_err(|_| format!("{}: negative feature", place(row)))?;
            nodes.push(Node::Split {
                feature,
                test,
                missing_left: self.missing_left[row] == 1,
                left: child(self.left[row], row)?,
                right: child(self.right[last], row)?,
            });
        }
        Ok(Tree::new(nodes, leaves))
    }

    fn is(&self, mode: &str, row: usize) -> bool {
        self.mode[row] == mode.as_bytes()
    }

    /// Length of the chain that starts with the equality at `row`.
    fn chain(&self, row: usize, rows: &std::ops::Range<usize>) -> usize {
        let continues = |r: usize| {
            r + 1 < rows.end
                && self.right[r] == (r + 1 - rows.start) as i64
                && self.is(EQUAL, r)
                && (self.is(EQUAL, r + 1) || self.is(BELOW, r + 1))
                && self.left[r + 1] == self.left[row]
                && self.feature[r + 1] == self.feature[row]
                && self.missing_left[r + 1] == self.missing_left[row]
        };
        1 + (row..rows.end).take_while(|&r| continues(r)).count()
    }

    /// The codes a chain compares with; `None` if one is no code.
    fn codes(&self, rows: std::ops::Range<usize>) -> Option<CategorySet> {
        let mut set = CategorySet::default();
        for row in rows.filter(|&row| self.is(EQUAL, row)) {
            let value = self.value[row];
            if !(0.0..=255.0).contains(&value) || value.fract() != 0.0 {
                return None;
            }
            set.insert(value as u8);
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(codes: &[u8]) -> CategorySet {
        let mut set = CategorySet::default();
        codes.iter().for_each(|&code| set.insert(code));
        set
    }

    #[test]
    fn a_chain_is_closed_before_another_on_the_same_feature() {
        let split = |feature, codes, left, right| Node::Split {
            feature,
            test: Test::In(set(codes)),
            missing_left: false,
            left,
            right,
        };
        // Right of the root feature 0 is tested again, right of that feature 1, and right of that feature 0 for no code.
        let nodes = vec![
            split(0, &[2, 40], 1, 2),
            Node::Leaf(0),
            split(0, &[3], 3, 4),
            Node::Leaf(1),
            split(1, &[3], 5, 6),
            Node::Leaf(2),
            split(0, &[], 7, 8),
            Node::Leaf(3),
            Node::Leaf(4),
        ];
        let tree = Tree::new(nodes, [1.0, 0.0].repeat(5));
        let names = ["benign".to_owned(), "attack".to_owned()];
        let fragment = fragment(2, std::iter::once(&tree), &names);
        let operator = &fragment.nodes[0];
        let modes = &operator.attribute("nodes_modes").unwrap().strings;
        let modes: Vec<&str> = modes.iter().map(|mode| str::from_utf8(mode).unwrap()).collect();
        let expected = [EQUAL, EQUAL, BELOW, LEAF, EQUAL, LEAF, EQUAL, LEAF, BELOW, LEAF, LEAF];
        assert_eq!(modes, expected);
        assert_eq!(operator.attribute("nodes_falsenodeids").unwrap().ints, [1, 2, 4, 0, 6, 0, 8, 0, 10, 0, 0]);
        assert_eq!(read(operator, &names).unwrap(), [tree]);
    }
}
