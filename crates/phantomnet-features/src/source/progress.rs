//! How far the reading of files has come.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of files as they are on the disk, compressed or not; databases do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadProgress {
    /// Bytes read in this pass.
    pub n_read: u64,
    /// Bytes of all files.
    pub n_bytes: u64,
}

/// Counts the bytes that readers of the same options have read.
#[derive(Debug, Clone, Default)]
pub struct ByteCounter(Arc<AtomicU64>);

/// What has been counted is no option.
impl PartialEq for ByteCounter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl ByteCounter {
    pub(crate) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn count<R>(&self, inner: R) -> Counted<R> {
        Counted { inner, counter: self.clone() }
    }
}

/// A reader whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Counted<R> {
    inner: R,
    counter: ByteCounter,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.counter.0.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
