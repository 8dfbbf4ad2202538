//! Every path against the naive walk, bit for bit.

use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;

fn stump(units: u32, missing_left: bool) -> Tree {
    let mut leaves = Vec::new();
    leaf_probabilities(&[3.0, 1.0], units, &mut leaves);
    leaf_probabilities(&[0.0, 2.0], units, &mut leaves);
    let split = Node::Split { feature: 0, test: Test::AtMost(1.5), missing_left, left: 1, right: 2 };
    Tree::new(vec![split, Node::Leaf(0), Node::Leaf(1)], leaves)
}

fn predict(forest: &Forest, x: f32) -> [f32; 2] {
    let mut out = [0.0; 2];
    forest.predict_row(&[x], &mut out);
    out
}

#[test]
fn equality_goes_left_and_missing_follows_its_own_direction() {
    let forest = Forest::new(1, 2, vec![stump(PROBABILITY_UNITS, false)]).unwrap();
    assert_eq!(predict(&forest, 1.5), [0.75, 0.25]);
    assert_eq!(predict(&forest, 1.6), [0.0, 1.0]);
    assert_eq!(predict(&forest, f32::NAN), [0.0, 1.0]);
    let forest = Forest::new(1, 2, vec![stump(PROBABILITY_UNITS, true)]).unwrap();
    assert_eq!(predict(&forest, f32::NAN), [0.75, 0.25]);
}

#[test]
fn the_first_trees_alone_are_a_forest_of_them() {
    let matrix = Matrix::new(3, vec![vec![0.0, 2.0, f32::NAN]]).unwrap();
    let trees = |n: usize| (0..n).map(|i| stump(tree_units(i, n), i % 2 == 0)).collect::<Vec<_>>();
    let forest = Forest::new(1, 2, trees(3)).unwrap();
    let parts = forest.predict_by_trees(&matrix, &[0, 1, 2], &[1, 2, 3]).unwrap();
    assert_eq!(parts.len(), 3);
    for (n, part) in (1..).zip(&parts) {
        let alone = Forest::new(1, 2, trees(n)).unwrap().predict(&matrix, &[0, 1, 2]);
        for (a, b) in part.values().iter().zip(alone.values()) {
            assert!((a - b).abs() < 1e-6, "{n} trees: {a} and {b}");
        }
    }
    assert_eq!(parts[2], forest.predict(&matrix, &[0, 1, 2]), "all trees are the model, bit for bit");
    assert_eq!(forest.predict_by_trees(&matrix, &[0], &[]).unwrap().len(), 0);
}

#[test]
fn shares_of_any_number_of_trees_sum_to_one_exactly() {
    for n_trees in [1, 2, 3, 7, 100, 200, 999, MAX_TREES] {
        let trees = (0..n_trees).map(|i| stump(tree_units(i, n_trees), i % 3 == 0)).collect();
        let forest = Forest::new(1, 2, trees).unwrap();
        for x in [0.0, 2.0, f32::NAN] {
            assert_eq!(predict(&forest, x).iter().sum::<f32>(), 1.0, "{n_trees} trees, x = {x}");
        }
    }
}

#[test]
fn malformed_trees_are_refused() {
    let ok = stump(PROBABILITY_UNITS, true);
    let with = |nodes: Vec<Node>, leaves: Vec<f32>| Forest::new(1, 2, vec![Tree::new(nodes, leaves)]);
    let split = |feature, threshold, left, right| Node::Split {
        feature,
        test: Test::AtMost(threshold),
        missing_left: true,
        left,
        right,
    };
    let leaves = [ok.leaf(0, 2), ok.leaf(1, 2)].concat();
    let cases = [
        (vec![], leaves.clone()),
        (vec![Node::Leaf(2)], leaves.clone()),
        (vec![split(1, 0.0, 1, 2), Node::Leaf(0), Node::Leaf(1)], leaves.clone()),
        (vec![split(0, f32::NAN, 1, 2), Node::Leaf(0), Node::Leaf(1)], leaves.clone()),
        (vec![split(0, 0.0, 0, 1), Node::Leaf(0)], leaves.clone()),
        (vec![split(0, 0.0, 1, 9), Node::Leaf(0)], leaves.clone()),
        // Two parents, the same child twice, and a node that nothing leads to.
        (vec![split(0, 0.0, 1, 2), split(0, 0.0, 2, 3), Node::Leaf(0), Node::Leaf(1)], leaves.clone()),
        (vec![split(0, 0.0, 1, 1), Node::Leaf(0)], leaves.clone()),
        (vec![Node::Leaf(0), Node::Leaf(1)], leaves.clone()),
        (vec![Node::Leaf(0)], vec![0.5, 0.4]),
        (vec![Node::Leaf(0)], vec![f32::NAN, 1.0]),
        (vec![Node::Leaf(0)], vec![2.0, -1.0]),
        (vec![Node::Leaf(0)], vec![1.0, 0.0, 0.5]),
        (vec![Node::Leaf(0)], vec![]),
    ];
    for (i, (nodes, leaves)) in cases.into_iter().enumerate() {
        assert!(with(nodes, leaves).is_err(), "case {i}");
    }
    assert!(Forest::new(1, 2, vec![]).is_err());
    assert!(Forest::new(1, 2, vec![ok.clone(), ok]).is_err(), "shares sum to 2");
}

/// Numbers from a seed (SplitMix64), so that a failing case is told by a few numbers.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % n as u64) as usize
    }

    fn value(&mut self, n_values: usize) -> f32 {
        const SPECIAL: [f32; 12] = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            0.0,
            -0.0,
            1e-45,
            -1e-45,
            f32::MIN_POSITIVE,
            f32::MAX,
            f32::MIN,
            255.0,
            256.0,
        ];
        match self.below(4) {
            0 => SPECIAL[self.below(SPECIAL.len())],
            1 => self.below(n_values) as f32 * 0.5 - 3.0,
            _ => self.below(n_values) as f32,
        }
    }
}

/// What random forests are like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    n_trees: usize,
    n_features: usize,
    n_classes: usize,
    depth: usize,
    /// Different thresholds a feature can have, about.
    n_values: usize,
    /// Features below this are tested for sets.
    n_categories: usize,
    /// Whether the sets of a feature are nested.
    nested: bool,
}

pub(super) fn trees(shape: Shape, numbers: &mut Numbers) -> Vec<Tree> {
    (0..shape.n_trees).map(|i| tree(shape, tree_units(i, shape.n_trees), numbers)).collect()
}

/// One deep path, and bushes beside it: a full tree of depth 30 would have a billion nodes.
fn tree(shape: Shape, units: u32, numbers: &mut Numbers) -> Tree {
    let (mut nodes, mut leaves, mut n_leaves) = (vec![Node::Leaf(0)], Vec::new(), 0);
    let mut open = vec![(0_usize, 0, true)];
    while let Some((node, depth, is_path)) = open.pop() {
        if depth == shape.depth || (!is_path && numbers.below(5) < 2) {
            let mut weights: Vec<f64> = (0..shape.n_classes).map(|_| numbers.below(3) as f64).collect();
            weights[numbers.below(shape.n_classes)] += 1.0;
            leaf_probabilities(&weights, units, &mut leaves);
            nodes[node] = Node::Leaf(n_leaves);
            n_leaves += 1;
            continue;
        }
        let feature = numbers.below(shape.n_features);
        let test = if feature < shape.n_categories {
            let mut set = CategorySet::default();
            let end = numbers.below(257);
            for code in (0..=255).take(end) {
                if shape.nested || numbers.below(2) == 0 {
                    set.insert(code);
                }
            }
            Test::In(set)
        } else {
            let threshold = numbers.value(shape.n_values);
            Test::AtMost(if threshold.is_nan() { 1.0 } else { threshold })
        };
        // Siblings are not always neighbours.
        let left = nodes.len();
        let [left, right] = if numbers.below(2) == 0 { [left, left + 1] } else { [left + 1, left] };
        nodes.extend([Node::Leaf(0); 2]);
        let (a, b) = (left as u32, right as u32);
        let missing_left = numbers.below(2) == 0;
        nodes[node] = Node::Split { feature: feature as u32, test, missing_left, left: a, right: b };
        let path_left = numbers.below(2) == 0;
        open.push((left, depth + 1, is_path && path_left));
        open.push((right, depth + 1, is_path && !path_left));
    }
    Tree::new(nodes, leaves)
}

/// Probabilities by the naive walk, added in f32 as ONNX Runtime does.
fn naive(trees: &[Tree], n_classes: usize, x: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; n_classes];
    for tree in trees {
        for (sum, share) in out.iter_mut().zip(tree.leaf(tree.leaf_of(x), n_classes)) {
            *sum += share;
        }
    }
    out
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Compares every engine, one row and a batch, one thread and three, with the naive walk; then the trees and the file.
fn check_paths(forest: &Forest, trees: &[Tree], n_values: usize, n_rows: usize, numbers: &mut Numbers) {
    let (n_features, n_classes) = (forest.n_features(), forest.n_classes());
    let columns: Vec<Vec<f32>> =
        (0..n_features).map(|_| (0..n_rows).map(|_| numbers.value(n_values)).collect()).collect();
    let matrix = Matrix::new(n_rows, columns).unwrap();
    // Out of order, and some of them twice.
    let rows: Vec<u32> = (0..n_rows).map(|_| numbers.below(n_rows) as u32).collect();
    let mut x = vec![0.0; n_features];
    let mut expected = Vec::new();
    for &row in &rows {
        matrix.copy_row(row as usize, &mut x);
        expected.extend(bits(&naive(trees, n_classes, &x)));
    }
    for engine in Engine::available() {
        let mut out = vec![f32::NAN; rows.len() * n_classes];
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(n_classes)) {
            matrix.copy_row(row as usize, &mut x);
            forest.predict_row_with(engine, &x, out);
        }
        assert_eq!(bits(&out), expected, "one row, {engine:?}");
        out.fill(f32::NAN);
        forest.predict_into_with(engine, &matrix, &rows, &mut out);
        assert_eq!(bits(&out), expected, "batch, {engine:?}");
    }
    let threads = NonZeroUsize::new(3).unwrap();
    assert_eq!(bits(forest.predict_parallel(&matrix, &rows, threads).values()), expected);
    let listed: Vec<Tree> = forest.trees().collect();
    for (row, expected) in rows.iter().zip(expected.chunks_exact(n_classes)) {
        matrix.copy_row(*row as usize, &mut x);
        assert_eq!(bits(&naive(&listed, n_classes, &x)), expected, "the trees as listed");
    }
    assert_eq!(Forest::from_bytes(&forest.to_bytes()).as_ref(), Ok(forest));
}

/// A forest that is kept wide although it may fit.
fn wide(n_features: usize, n_classes: usize, trees: &[Tree]) -> Forest {
    let (wide, leaves) = Wide::new(n_classes, trees);
    Forest { n_features, n_classes, leaves, form: Form::Wide(wide) }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let sizes = (1_usize..150, 1_usize..9, 2_usize..19, 0_usize..31);
    (sizes, 1_usize..400, 0_usize..4, any::<bool>()).prop_map(
        |((n_trees, n_features, n_classes, depth), n_values, n_categories, nested)| Shape {
            n_trees,
            n_features,
            n_classes,
            depth,
            n_values,
            n_categories,
            nested,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]
    #[test]
    fn every_path_equals_the_naive_walk(shape in shapes(), seed in any::<u64>(), n_rows in 1_usize..40) {
        let mut numbers = Numbers(seed);
        let trees = trees(shape, &mut numbers);
        let forest = Forest::new(shape.n_features, shape.n_classes, trees.clone()).unwrap();
        check_paths(&forest, &trees, shape.n_values, n_rows, &mut numbers);
        let wide = wide(shape.n_features, shape.n_classes, &trees);
        check_paths(&wide, &trees, shape.n_values, n_rows, &mut numbers);
        // Listing and joining again is the identity: the order of nodes is a matter of the trees alone.
        let again = Forest::new(shape.n_features, shape.n_classes, forest.trees().collect()).unwrap();
        prop_assert_eq!(again, forest);
    }
}

/// A forest of one feature and a class pair, with the thresholds 0, 1, 2, ... in one chain.
fn chain(n_thresholds: usize) -> Vec<Tree> {
    let mut leaves = Vec::new();
    leaf_probabilities(&[1.0, 0.0], PROBABILITY_UNITS, &mut leaves);
    leaf_probabilities(&[0.0, 1.0], PROBABILITY_UNITS, &mut leaves);
    let mut nodes = Vec::new();
    for i in 0..n_thresholds {
        let (test, left) = (Test::AtMost(i as f32), nodes.len() as u32 + 1);
        nodes.push(Node::Split { feature: 0, test, missing_left: false, left, right: left + 1 });
        nodes.push(Node::Leaf(i as u32 % 2));
    }
    nodes.push(Node::Leaf(0));
    vec![Tree::new(nodes, leaves)]
}

#[test]
fn the_form_follows_from_what_fits() {
    // 127 slots of 253 thresholds, each with its own pair; then one threshold too many.
    for (n_thresholds, is_narrow) in [(1, true), (253, true), (254, true), (127 * 253, true), (127 * 253 + 1, false)] {
        let trees = chain(n_thresholds);
        let forest = Forest::new(1, 2, trees.clone()).unwrap();
        assert_eq!(matches!(forest.form, Form::Narrow(_)), is_narrow, "{n_thresholds} thresholds");
        let ends = [0, 1, 252, 253, 254, n_thresholds - 1, n_thresholds];
        for x in ends.map(|i| i as f32).into_iter().chain([-1.0, f32::NAN, f32::INFINITY]) {
            for engine in Engine::available() {
                let mut out = [0.0; 2];
                forest.predict_row_with(engine, &[x], &mut out);
                assert_eq!(out, naive(&trees, 2, &[x])[..], "{n_thresholds} thresholds, x = {x}, {engine:?}");
            }
        }
    }
}

#[test]
fn sets_that_are_not_nested_take_slots_of_their_own() {
    for (n_sets, is_narrow) in [(127, true), (128, false)] {
        let mut trees = chain(n_sets);
        let nodes = trees[0].nodes().iter().copied().enumerate().map(|(i, node)| match node {
            Node::Split { feature, missing_left, left, right, .. } => {
                let mut set = CategorySet::default();
                set.insert((i / 2) as u8);
                Node::Split { feature, test: Test::In(set), missing_left, left, right }
            }
            leaf => leaf,
        });
        let nodes = nodes.collect();
        trees = vec![Tree::new(nodes, [trees[0].leaf(0, 2), trees[0].leaf(1, 2)].concat())];
        let forest = Forest::new(1, 2, trees.clone()).unwrap();
        assert_eq!(matches!(forest.form, Form::Narrow(_)), is_narrow, "{n_sets} sets");
        check_paths(&forest, &trees, 256, 50, &mut Numbers(1));
    }
}

#[test]
fn trees_too_large_for_a_short_index_are_wide() {
    // A full tree of depth 16 has 65,535 pairs and a root, which just fits; one more pair does not.
    let mut leaves = Vec::new();
    leaf_probabilities(&[1.0, 0.0], PROBABILITY_UNITS, &mut leaves);
    leaf_probabilities(&[1.0, 3.0], PROBABILITY_UNITS, &mut leaves);
    for (n_pairs, is_narrow) in [(65_535_u32, true), (65_536, false)] {
        let node = |i: u32| {
            if i < n_pairs {
                let test = Test::AtMost((i % 200) as f32);
                Node::Split {
                    feature: i % 3,
                    test,
                    missing_left: i.is_multiple_of(2),
                    left: 2 * i + 1,
                    right: 2 * i + 2,
                }
            } else {
                Node::Leaf(i % 2)
            }
        };
        let trees = vec![Tree::new((0..=2 * n_pairs).map(node).collect(), leaves.clone())];
        let forest = Forest::new(3, 2, trees.clone()).unwrap();
        assert_eq!(matches!(forest.form, Form::Narrow(_)), is_narrow, "{n_pairs} pairs");
        check_paths(&forest, &trees, 210, 30, &mut Numbers(2));
    }
}

/// Anything that passes for a forest must be one: its predictions are probabilities, and it can be written and joined again.
fn check_read(bytes: &[u8]) {
    let Ok(forest) = Forest::from_bytes(bytes) else { return };
    // The file takes no memory for features; these tests do.
    if forest.n_features() > 1000 {
        return;
    }
    let mut numbers = Numbers(3);
    let x: Vec<f32> = (0..forest.n_features()).map(|_| numbers.value(300)).collect();
    for engine in Engine::available() {
        let mut out = vec![f32::NAN; forest.n_classes()];
        forest.predict_row_with(engine, &x, &mut out);
        assert_eq!(out.iter().sum::<f32>(), 1.0);
    }
    assert_eq!(forest.to_bytes(), bytes);
    assert!(Forest::new(forest.n_features(), forest.n_classes(), forest.trees().collect()).is_ok());
}

fn small() -> Shape {
    Shape { n_trees: 3, n_features: 3, n_classes: 3, depth: 4, n_values: 9, n_categories: 1, nested: true }
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    let trees = trees(small(), &mut Numbers(4));
    for forest in [Forest::new(3, 3, trees.clone()).unwrap(), wide(3, 3, &trees)] {
        let bytes = forest.to_bytes();
        for end in 0..bytes.len() {
            assert!(Forest::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            for flip in [1, 2, 0x10, 0x80, 0xff] {
                let mut altered = bytes.clone();
                altered[at] ^= flip;
                check_read(&altered);
            }
        }
    }
}

#[test]
fn counts_beyond_the_file_are_refused_before_memory_is_taken() {
    let bytes = Forest::new(1, 2, chain(3)).unwrap().to_bytes();
    // Classes, trees, leaves and, after 2 leaves of 2 classes, the slots, the first one's cuts and the first tree's words.
    for at in [20, 24, 28, 48, 60, 76] {
        for count in [u32::MAX, i32::MAX as u32, 1 << 30] {
            let mut altered = bytes.clone();
            altered[at..at + 4].copy_from_slice(&count.to_le_bytes());
            if let Ok(forest) = Forest::from_bytes(&altered) {
                panic!("{count} at byte {at}: {forest:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn altered_files_never_panic(
        seed in any::<u64>(),
        is_wide in any::<bool>(),
        changes in proptest::collection::vec((any::<usize>(), any::<u32>()), 1..6),
    ) {
        let trees = trees(small(), &mut Numbers(seed));
        let forest = if is_wide { wide(3, 3, &trees) } else { Forest::new(3, 3, trees).unwrap() };
        let mut bytes = forest.to_bytes();
        let n_words = bytes.len() / 4;
        for (at, value) in changes {
            let at = at % n_words * 4;
            // Small numbers are what indices and counts are mistaken for.
            let value = if value % 2 == 0 { value >> 24 } else { value };
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        check_read(&bytes);
    }

    #[test]
    fn arbitrary_bytes_are_no_forest(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        check_read(&bytes);
        let mut with_header = b"PNFOREST\x01\0\0\0\x04\0\0\0".to_vec();
        with_header.extend(bytes);
        check_read(&with_header);
    }
}
