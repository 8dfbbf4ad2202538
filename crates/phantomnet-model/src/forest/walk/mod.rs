//! From roots to leaves, by portable code or by AVX-512.
//!
//! A path is a chain of dependent loads, each of which waits for the second cache or worse; only many paths at a time keep
//! the machine busy. So a *job* walks a group of trees, and up to [`JOBS`] jobs are walked at once: the groups of one row, or
//! one group for several rows.
//!
//! AVX2 ranks the features of a row but does not walk: its gathers of eight nodes and eight ranks a step took 1.3 times
//! as long as portable code on Zen 3, which reads three numbers a cycle by plain loads.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::narrow::Word;
use super::slots::{Ranks, Slots, count_below};

/// Trees of a group.
pub(super) const LANES: usize = 16;

/// Most jobs at once: 128 paths take as many loads in flight as a core can have.
pub(super) const JOBS: usize = 8;

/// The roots of a group of trees.
pub(super) type Group = [u32; LANES];

/// A group of trees for one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) roots: &'a Group,
    pub(super) ranks: &'a Ranks,
}

/// The instructions that a walk uses. There is no value that names some this processor lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Engine(Instructions);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Engine {
    /// All that this machine can run.
    #[cfg(test)]
    pub(super) fn available() -> Vec<Self> {
        let mut engines = vec![Self(Instructions::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            engines.extend(avx2::is_detected().then_some(Self(Instructions::Avx2)));
            engines.extend(avx512::is_detected().then_some(Self(Instructions::Avx512)));
        }
        engines
    }

    /// The fastest that this machine can run. The standard library asks the processor once.
    #[inline]
    pub(super) fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if avx512::is_detected() {
                return Self(Instructions::Avx512);
            }
            if avx2::is_detected() {
                return Self(Instructions::Avx2);
            }
        }
        Self(Instructions::Portable)
    }

    /// [`Slots::rank`], compiled for these instructions.
    #[allow(unsafe_code, reason = "code for some processors only; the ranking itself is safe")]
    pub(super) fn rank(self, slots: &Slots, x: &[f32], ranks: &mut Ranks) {
        match self.0 {
            Instructions::Portable => slots.rank(x, ranks, count_below),
            // SAFETY: the processor has been asked.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { avx2::rank(slots, x, ranks) },
            // SAFETY: the processor has been asked.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { avx512::rank(slots, x, ranks) },
        }
    }
}

/// Writes the leaf numbers that each of at most [`JOBS`] jobs ends in.
///
/// # Safety
/// The words are those of a [`Narrow`](super::narrow::Narrow), fewer than 2³¹, and roots are indices of its roots.
#[allow(unsafe_code, reason = "walks read words without asking whether they exist")]
pub(super) unsafe fn find_leaves(engine: Engine, words: &[Word], jobs: &[Job<'_>], leaves: &mut [[u32; LANES]; JOBS]) {
    match engine.0 {
        // SAFETY: the caller's promise.
        Instructions::Portable => unsafe { portable::find_leaves(words, jobs, leaves) },
        // SAFETY: the caller's promise.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => unsafe { portable::find_leaves(words, jobs, leaves) },
        // SAFETY: the processor has been asked; else the caller's promise.
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => unsafe { avx512::find_leaves(words, jobs, leaves) },
    }
}
