//! The ranks of a row, eight thresholds a register.
#![allow(unsafe_code, reason = "vector instructions: see the bench `predict`")]

use std::arch::x86_64::{_CMP_LT_OQ, _mm256_cmp_ps, _mm256_loadu_ps, _mm256_movemask_ps, _mm256_set1_ps};

use crate::forest::slots::{Ranks, Slots};

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
