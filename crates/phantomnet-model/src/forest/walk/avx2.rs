//! Eight paths a register: one gather fetches their nodes, another their ranks.
#![allow(unsafe_code, reason = "vector instructions: 1.1 us a row of NSL-KDD, portable code 2.3")]

use std::arch::x86_64::{
    __m256i, _CMP_LT_OQ, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_cmp_ps, _mm256_cmpeq_epi32,
    _mm256_cmpgt_epi32, _mm256_i32gather_epi32, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_mask_i32gather_epi32,
    _mm256_movemask_ps, _mm256_or_si256, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_si256, _mm256_slli_epi32,
    _mm256_srli_epi32, _mm256_srlv_epi32, _mm256_storeu_si256, _mm256_sub_epi32, _mm256_testz_si256,
};

use super::{JOBS, Job, LANES};
use crate::forest::narrow::{LEAF, Word};
use crate::forest::slots::{MISSING, Ranks, Slots};

/// Registers that a group of trees takes.
const HALVES: usize = LANES / 8;

pub(super) fn is_detected() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt")
}

#[target_feature(enable = "avx2,popcnt")]
pub(super) fn rank(slots: &Slots, x: &[f32], ranks: &mut Ranks) {
    slots.rank(x, ranks, |block, x| {
        let x = _mm256_set1_ps(x);
        // SAFETY: a block is twice 8 numbers.
        let (low, high) = unsafe { (_mm256_loadu_ps(block.as_ptr()), _mm256_loadu_ps(block[8..].as_ptr())) };
        let [low, high] = [low, high].map(|half| _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(half, x)));
        (low | high << 8).count_ones()
    });
}

/// # Safety
/// That of [`super::find_leaves`].
#[target_feature(enable = "avx2")]
pub(super) unsafe fn find_leaves(words: &[Word], jobs: &[Job<'_>], leaves: &mut [[u32; LANES]; JOBS]) {
    // Four groups at a time: more gain nothing, since they no longer fit the registers.
    for (jobs, leaves) in jobs.chunks(4).zip(leaves.chunks_mut(4)) {
        // SAFETY: as the caller's; each walk is given as many jobs as it takes.
        unsafe {
            match jobs {
                [] => {}
                [_] => walk::<1>(words, jobs, leaves),
                [_, _] => walk::<2>(words, jobs, leaves),
                [_, _, _] => walk::<3>(words, jobs, leaves),
                _ => walk::<4>(words, jobs, leaves),
            }
        }
    }
}

/// # Safety
/// That of [`super::find_leaves`]; there are at least `N` jobs.
#[target_feature(enable = "avx2")]
unsafe fn walk<const N: usize>(words: &[Word], jobs: &[Job<'_>], leaves: &mut [[u32; LANES]]) {
    let nodes = words.as_ptr().cast::<i32>();
    let mut roots = [[_mm256_setzero_si256(); HALVES]; N];
    let mut at = [[_mm256_setzero_si256(); HALVES]; N];
    for ((job, roots), at) in jobs.iter().zip(&mut roots).zip(&mut at) {
        for (half, (root, at)) in roots.iter_mut().zip(at).enumerate() {
            // SAFETY: a group has 16 roots, and each is the index of a word.
            unsafe {
                *root = _mm256_loadu_si256(job.roots[half * 8..].as_ptr().cast());
                *at = _mm256_i32gather_epi32::<4>(nodes, *root);
            }
        }
    }
    loop {
        let mut walking = _mm256_setzero_si256();
        for k in 0..N {
            for half in 0..HALVES {
                let open = open_lanes(at[k][half]);
                walking = _mm256_or_si256(walking, open);
                // SAFETY: the caller's promise on `words`, and `open` are not leaves.
                at[k][half] = unsafe { step(nodes, at[k][half], roots[k][half], open, jobs[k].ranks) };
            }
        }
        if _mm256_testz_si256(walking, walking) == 1 {
            break;
        }
    }
    for (at, leaves) in at.iter().zip(leaves) {
        for (half, at) in at.iter().enumerate() {
            // SAFETY: half of `leaves` are eight numbers of 32 bits.
            unsafe { _mm256_storeu_si256(leaves[half * 8..].as_mut_ptr().cast(), _mm256_srli_epi32::<8>(*at)) };
        }
    }
}

/// All bits of the lanes that have not reached a leaf.
#[inline]
#[target_feature(enable = "avx2")]
fn open_lanes(at: __m256i) -> __m256i {
    let leaf = _mm256_set1_epi32(LEAF as i32);
    let is_leaf = _mm256_cmpeq_epi32(_mm256_and_si256(at, leaf), leaf);
    _mm256_andnot_si256(is_leaf, _mm256_set1_epi32(-1))
}

/// The words that follow `at` in the `open` lanes.
///
/// # Safety
/// `nodes` is the first word of a forest whose trees have `roots`, and `at` are words of these trees, no leaves where `open`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn step(nodes: *const i32, at: __m256i, roots: __m256i, open: __m256i, ranks: &Ranks) -> __m256i {
    let byte = _mm256_set1_epi32(255);
    // Four bytes a lane, of which the lowest is the rank. Aligned, so that none lies behind the last: a shift by the place in
    // the four puts it lowest.
    let slot = _mm256_and_si256(at, _mm256_set1_epi32(LEAF as i32));
    // SAFETY: `Ranks` is 128 bytes, and slots are below 128.
    let four = unsafe { _mm256_i32gather_epi32::<4>(ranks.0.as_ptr().cast(), _mm256_srli_epi32::<2>(slot)) };
    let place = _mm256_and_si256(_mm256_slli_epi32::<3>(slot), _mm256_set1_epi32(24));
    let around = _mm256_srlv_epi32(four, place);
    let rank = _mm256_and_si256(around, byte);
    let cut = _mm256_and_si256(_mm256_srli_epi32::<8>(at), byte);
    let bit = _mm256_and_si256(_mm256_srli_epi32::<7>(at), _mm256_set1_epi32(1));
    let missing = _mm256_cmpeq_epi32(rank, _mm256_set1_epi32(i32::from(MISSING)));
    let missing_goes_left = _mm256_and_si256(missing, _mm256_sub_epi32(_mm256_setzero_si256(), bit));
    let right = _mm256_andnot_si256(missing_goes_left, _mm256_cmpgt_epi32(rank, cut));
    // Twice the pair: shifted by 15 instead of 16, without the bit that came along.
    let children = _mm256_and_si256(_mm256_srli_epi32::<15>(at), _mm256_set1_epi32(!1));
    // All bits set are -1.
    let next = _mm256_sub_epi32(_mm256_add_epi32(roots, children), right);
    // SAFETY: a node's children are words of its tree; other lanes are not read.
    unsafe { _mm256_mask_i32gather_epi32::<4>(at, nodes, next, open) }
}
