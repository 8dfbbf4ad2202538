//! How long forests take: one row, a batch, and from the bytes of a file to the first row.
//!
//! The forests are made up, of the sizes that the real ones of `docs/benchmarks.md` have: `tabular` as learned from NSL-KDD
//! (41 features, some 950 nodes a tree), `noise` as learned from labels that are half noise (32 features, some 23,000).
#![allow(missing_docs, reason = "the macros of criterion")]

use std::hint::black_box;
use std::num::NonZeroUsize;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use phantomnet_model::{Forest, Matrix, Model, Node, Test, Tree, leaf_probabilities, tree_units};

const N_TREES: usize = 100;
const N_ROWS: usize = 20_000;

/// Values of a feature are 0, 1, ... below this, as many as byte bins.
const N_VALUES: usize = 250;

struct Case {
    name: &'static str,
    n_features: usize,
    /// Rows a tree is as if grown from: it ends where less than one would be left.
    weight: f64,
}

const CASES: [Case; 2] =
    [Case { name: "tabular", n_features: 41, weight: 240.0 }, Case { name: "noise", n_features: 32, weight: 5_900.0 }];

/// SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % n as u64) as usize
    }
}

/// Cuts the values that reach a node at a random place, so that rows of uniform values reach every leaf.
fn tree(case: &Case, units: u32, numbers: &mut Numbers) -> Tree {
    let (mut nodes, mut leaves, mut n_leaves) = (vec![Node::Leaf(0)], Vec::new(), 0);
    let mut open = vec![(0, case.weight, vec![(0, N_VALUES - 1); case.n_features])];
    while let Some((node, weight, ranges)) = open.pop() {
        let feature = numbers.below(case.n_features);
        let (low, high) = ranges[feature];
        if weight < 1.0 || low == high {
            leaf_probabilities(&[numbers.below(9) as f64, 1.0], units, &mut leaves);
            nodes[node] = Node::Leaf(n_leaves);
            n_leaves += 1;
            continue;
        }
        let cut = low + numbers.below(high - low);
        let left = nodes.len();
        let (test, missing_left) = (Test::AtMost(cut as f32 + 0.5), numbers.below(2) == 0);
        nodes[node] =
            Node::Split { feature: feature as u32, test, missing_left, left: left as u32, right: left as u32 + 1 };
        nodes.extend([Node::Leaf(0); 2]);
        let share = (cut - low + 1) as f64 / (high - low + 1) as f64;
        let with = |range| {
            let mut ranges = ranges.clone();
            ranges[feature] = range;
            ranges
        };
        open.push((left, weight * share, with((low, cut))));
        open.push((left + 1, weight * (1.0 - share), with((cut + 1, high))));
    }
    Tree::new(nodes, leaves)
}

fn forest(case: &Case) -> Forest {
    let mut numbers = Numbers(1);
    let trees = (0..N_TREES).map(|i| tree(case, tree_units(i, N_TREES), &mut numbers)).collect();
    Forest::new(case.n_features, 2, trees).expect("well-formed trees")
}

fn rows(case: &Case) -> Matrix {
    let mut numbers = Numbers(2);
    let column = |_| (0..N_ROWS).map(|_| numbers.below(N_VALUES) as f32).collect();
    Matrix::new(N_ROWS, (0..case.n_features).map(column).collect()).expect("columns of equal length")
}

fn predict(c: &mut Criterion) {
    for case in &CASES {
        let (forest, matrix) = (forest(case), rows(case));
        let n_nodes: usize = forest.trees().map(|tree| tree.nodes().len()).sum();
        let id = |what: &str| BenchmarkId::new(what, format!("{}/{n_nodes}-nodes", case.name));
        let mut group = c.benchmark_group("predict");

        // Always another row: the branches and cache lines of the last one do not help.
        let mut out = [0.0; 2];
        let mut x = vec![0.0; case.n_features];
        let mut row = 0;
        group.throughput(Throughput::Elements(1));
        group.bench_function(id("row"), |b| {
            b.iter_batched(
                || {
                    row = (row + 1) % N_ROWS;
                    matrix.copy_row(row, &mut x);
                    x.clone()
                },
                |x| forest.predict_row(black_box(&x), &mut out),
                BatchSize::SmallInput,
            );
        });

        let all: Vec<u32> = (0..N_ROWS as u32).collect();
        group.throughput(Throughput::Elements(N_ROWS as u64)).sample_size(20);
        for n_threads in [1, 2].into_iter().filter_map(NonZeroUsize::new) {
            group.bench_function(id(&format!("batch-{n_threads}-threads")), |b| {
                b.iter(|| forest.predict_parallel(&matrix, black_box(&all), n_threads));
            });
        }

        let bytes = forest.to_bytes();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(id("read"), |b| b.iter(|| Forest::from_bytes(black_box(&bytes))));
        group.finish();
    }
}

criterion_group!(benches, predict);
criterion_main!(benches);
