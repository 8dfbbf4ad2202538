//! A large table of bytes that is read here and there.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// Bytes in pages as large as the system has: where most reads go to another page, finding the page takes as long as the
/// read. At 10 M rows of 32 features a fit takes half the time of one on pages of 4 KiB.
#[derive(Debug)]
pub(super) enum Bytes {
    Mapped(MmapMut),
    /// Where the system gives no pages of its own.
    Owned(Vec<u8>),
}

impl Bytes {
    /// So many zero bytes.
    pub(super) fn zero(n: usize) -> Self {
        /// Below, a large page would mostly be empty.
        const MIN_MAPPED: usize = 4 << 20;

        match MmapMut::map_anon(n) {
            Ok(mapped) if n >= MIN_MAPPED => {
                // Pages of the common size do as well, only slower.
                #[cfg(target_os = "linux")]
                mapped.advise(memmap2::Advice::HugePage).ok();
                Self::Mapped(mapped)
            }
            _ => Self::Owned(vec![0; n]),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}
