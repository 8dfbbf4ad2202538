//! Sixteen paths a register: one gather fetches their nodes, one byte permutation their ranks.
#![allow(unsafe_code, reason = "vector instructions: 0.6 us a row of NSL-KDD, portable code twice that")]

use std::arch::x86_64::{
    __m512i, __mmask16, _CMP_LT_OQ, _mm512_add_epi32, _mm512_and_si512, _mm512_cmp_ps_mask, _mm512_cmpgt_epu32_mask,
    _mm512_cmpneq_epi32_mask, _mm512_i32gather_epi32, _mm512_load_si512, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_mask_add_epi32, _mm512_mask_cmpeq_epi32_mask, _mm512_mask_i32gather_epi32, _mm512_maskz_permutex2var_epi8,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512, _mm512_srli_epi32, _mm512_storeu_si512,
    _mm512_test_epi32_mask,
};

use super::{JOBS, Job, LANES};
use crate::forest::narrow::{LEAF, Word};
use crate::forest::slots::{MISSING, Ranks, Slots};

/// Whether the processor has what this file uses: Intel's since Ice Lake, AMD's since Zen 4.
pub(super) fn is_detected() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("popcnt")
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,popcnt")]
pub(super) fn rank(slots: &Slots, x: &[f32], ranks: &mut Ranks) {
    slots.rank(x, ranks, |block, x| {
        // SAFETY: a block is 16 numbers.
        let block = unsafe { _mm512_loadu_ps(block.as_ptr()) };
        _mm512_cmp_ps_mask::<_CMP_LT_OQ>(block, _mm512_set1_ps(x)).count_ones()
    });
}

/// # Safety
/// That of [`super::find_leaves`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
pub(super) unsafe fn find_leaves(words: &[Word], jobs: &[Job<'_>], leaves: &mut [[u32; LANES]; JOBS]) {
    // The number of jobs is a constant of the walk: their state is then in registers.
    // SAFETY: as the caller's; each walk is given as many jobs as it takes.
    unsafe {
        match jobs {
            [] => {}
            [_] => walk::<1>(words, jobs, leaves),
            [_, _] => walk::<2>(words, jobs, leaves),
            [_, _, _] => walk::<3>(words, jobs, leaves),
            [_, _, _, _] => walk::<4>(words, jobs, leaves),
            [_, _, _, _, _] => walk::<5>(words, jobs, leaves),
            [_, _, _, _, _, _] => walk::<6>(words, jobs, leaves),
            [_, _, _, _, _, _, _] => walk::<7>(words, jobs, leaves),
            _ => walk::<8>(words, jobs, leaves),
        }
    }
}

/// # Safety
/// That of [`super::find_leaves`]; there are at least `N` jobs.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")]
unsafe fn walk<const N: usize>(words: &[Word], jobs: &[Job<'_>], leaves: &mut [[u32; LANES]; JOBS]) {
    let nodes = words.as_ptr().cast::<i32>();
    let mut roots = [_mm512_setzero_si512(); N];
    let mut at = [_mm512_setzero_si512(); N];
    for ((job, root), at) in jobs.iter().zip(&mut roots).zip(&mut at) {
        // SAFETY: a group has 16 roots, and each is the index of a word.
        unsafe {
            *root = _mm512_loadu_si512(job.roots.as_ptr().cast());
            *at = _mm512_i32gather_epi32::<4>(*root, nodes);
        }
    }
    loop {
        let mut walking = 0;
        for k in 0..N {
            let open = open_lanes(at[k]);
            walking |= open;
            // SAFETY: the caller's promise on `words`, and `open` are not leaves.
            at[k] = unsafe { step(nodes, at[k], roots[k], open, jobs[k].ranks) };
        }
        if walking == 0 {
            break;
        }
    }
    for (at, leaves) in at.iter().zip(leaves) {
        // SAFETY: `leaves` are 16 numbers of 32 bits.
        unsafe { _mm512_storeu_si512(leaves.as_mut_ptr().cast(), _mm512_srli_epi32::<8>(*at)) };
    }
}

/// The lanes that have not reached a leaf.
#[inline]
#[target_feature(enable = "avx512f")]
fn open_lanes(at: __m512i) -> __mmask16 {
    let leaf = _mm512_set1_epi32(LEAF as i32);
    _mm512_cmpneq_epi32_mask(_mm512_and_si512(at, leaf), leaf)
}

/// The words that follow `at` in the `open` lanes.
///
/// # Safety
/// `nodes` is the first word of a forest whose trees have `roots`, and `at` are words of these trees, no leaves where `open`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn step(nodes: *const i32, at: __m512i, roots: __m512i, open: __mmask16, ranks: &Ranks) -> __m512i {
    // The lowest byte of each lane; its lowest seven bits choose one of 128 ranks.
    const LOWEST: u64 = 0x1111_1111_1111_1111;
    // SAFETY: `Ranks` is 128 bytes, aligned to 64.
    let (low, high) = unsafe {
        let first = ranks.0.as_ptr();
        (_mm512_load_si512(first.cast()), _mm512_load_si512(first.add(64).cast()))
    };
    let rank = _mm512_maskz_permutex2var_epi8(LOWEST, low, at, high);
    let cut = _mm512_and_si512(_mm512_srli_epi32::<8>(at), _mm512_set1_epi32(255));
    let missing_left = _mm512_test_epi32_mask(at, _mm512_set1_epi32(128));
    let missing_goes_left = _mm512_mask_cmpeq_epi32_mask(missing_left, rank, _mm512_set1_epi32(i32::from(MISSING)));
    let right = _mm512_cmpgt_epu32_mask(rank, cut) & !missing_goes_left;
    // Twice the pair: shifted by 15 instead of 16, without the bit that came along.
    let children = _mm512_and_si512(_mm512_srli_epi32::<15>(at), _mm512_set1_epi32(!1));
    let left = _mm512_add_epi32(roots, children);
    let next = _mm512_mask_add_epi32(left, right, left, _mm512_set1_epi32(1));
    // SAFETY: a node's children are words of its tree; other lanes are not read.
    unsafe { _mm512_mask_i32gather_epi32::<4>(at, open, next, nodes) }
}
