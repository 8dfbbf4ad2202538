//! Several paths in registers; one that has reached its leaf makes room for the next tree.
#![allow(unsafe_code, reason = "an eighth of the time went into asking whether children exist")]

use super::{JOBS, Job, LANES};
use crate::forest::narrow::Word;
use crate::forest::slots::{MISSING, Ranks};

/// Paths walked at once: with 4 the loads wait for one another, with 12 the state no longer fits the registers.
const PATHS: usize = 8;

/// The ranks of a row by the lowest byte of a [`Word`]. The half of the words that send a missing value left has rank 0 for it, which
/// goes left at any cut; the other half keeps [`MISSING`], which goes right.
type RankOf = [u8; 256];

fn rank_of(ranks: &Ranks) -> RankOf {
    let mut of = [0; 256];
    let (right, left) = of.split_at_mut(128);
    right.copy_from_slice(&ranks.0);
    for (left, &rank) in left.iter_mut().zip(&ranks.0) {
        *left = if rank == MISSING { 0 } else { rank };
    }
    of
}

/// # Safety
/// That of [`super::find_leaves`].
pub(super) unsafe fn find_leaves(words: &[Word], jobs: &[Job<'_>], leaves: &mut [[u32; LANES]; JOBS]) {
    let mut ranks = [[0; 256]; JOBS];
    for (of, job) in ranks.iter_mut().zip(jobs) {
        *of = rank_of(job.ranks);
    }
    let leaves = leaves.as_flattened_mut();
    let n_trees = jobs.len() * LANES;
    if n_trees == 0 {
        return;
    }
    let wait = words.len() as u32 - 1;
    // The tree that each path is in, as a place in `leaves`; its root, and the ranks of its row.
    let mut tree: [usize; PATHS] = std::array::from_fn(|k| k);
    let mut root = tree.map(|tree| jobs[tree / LANES].roots[tree % LANES]);
    let mut rank = tree.map(|tree| &ranks[tree / LANES]);
    let mut at = root.map(|root| words[root as usize]);
    let mut next = PATHS;
    let mut n_open = n_trees;
    loop {
        // Unrolled by hand, so that no path is chosen at run time. The branch is guessed wrong once a tree; walking all without
        // branches until the last has reached its leaf is 1.7 times as many steps on NSL-KDD, and worse for lopsided trees.
        macro_rules! step {
            ($($k:literal)*) => {$(
                if at[$k].is_leaf() {
                    leaves[tree[$k]] = at[$k].leaf_number();
                    n_open -= 1;
                    if n_open == 0 {
                        return;
                    }
                    tree[$k] = next;
                    root[$k] = wait;
                    if next < n_trees {
                        root[$k] = jobs[next / LANES].roots[next % LANES];
                        rank[$k] = &ranks[next / LANES];
                        next += 1;
                    }
                    at[$k] = words[root[$k] as usize];
                } else {
                    let is_right = rank[$k][usize::from(at[$k].0 as u8)] > (at[$k].0 >> 8) as u8;
                    let child = root[$k] + at[$k].children() + u32::from(is_right);
                    // SAFETY: the caller's promise: a node's children are words of its tree.
                    at[$k] = unsafe { *words.get_unchecked(child as usize) };
                }
            )*};
        }
        step!(0 1 2 3 4 5 6 7);
    }
}
