//! Bzip2, of which a block is given once its checksum has been verified.
//!
//! The readers of the `bzip2` crate give a damaged block up to where its end is met, and throw away what the call that meets a damage
//! has decompressed of sound ones before.

use std::io::{self, BufRead, ErrorKind, Read};

use bzip2::{Decompress, Error, Status};

use crate::source::gzip::skip_zeros;

/// Bytes that there is room for at least when a block is taken.
const PIECE_BYTES: usize = 64 * 1024;

/// The text of all streams, one after the other.
pub(crate) struct Bzip2<R> {
    inner: R,
    /// Of the stream at hand; `None` before the first and between two.
    stream: Option<Decompress>,
    has_begun: bool,
    /// The text of a block, and how much of it has been given.
    block: Vec<u8>,
    n_given: usize,
}

impl<R: BufRead> Bzip2<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, stream: None, has_begun: false, block: Vec::new(), n_given: 0 }
    }

    /// Takes the next block, or none at the end.
    fn next_block(&mut self) -> io::Result<()> {
        self.block.clear();
        self.n_given = 0;
        while self.block.is_empty() {
            if self.stream.is_none() {
                if self.has_begun && !skip_zeros(&mut self.inner)? {
                    return Ok(());
                }
                self.has_begun = true;
            }
            let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
            let input = self.inner.fill_buf()?;
            let is_end = input.is_empty();
            let before = stream.total_in();
            // Without room for text it stops where it has read a block.
            let status = stream.decompress(input, &mut []);
            let n_taken = (stream.total_in() - before) as usize;
            self.inner.consume(n_taken);
            if status.map_err(damage)? == Status::StreamEnd {
                self.stream = None;
                continue;
            }
            // Without more to read it stops where it has given the block.
            loop {
                self.block.reserve(PIECE_BYTES);
                if let Err(error) = stream.decompress_vec(&[], &mut self.block) {
                    self.block.clear();
                    return Err(damage(error));
                }
                if self.block.len() < self.block.capacity() {
                    break;
                }
            }
            if is_end && self.block.is_empty() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

fn damage(error: Error) -> io::Error {
    let what = match error {
        Error::DataMagic => "invalid bzip2 header",
        _ => "corrupt bzip2 block",
    };
    io::Error::new(ErrorKind::InvalidInput, what)
}

impl<R: BufRead> Read for Bzip2<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.n_given == self.block.len() {
            self.next_block()?;
        }
        let n = buf.len().min(self.block.len() - self.n_given);
        buf[..n].copy_from_slice(&self.block[self.n_given..self.n_given + n]);
        self.n_given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};
    use std::sync::LazyLock;

    use bzip2::Compression;
    use bzip2::write::BzEncoder;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::source::gzip::tests::{damaged, log, read_by};

    fn bzip2(text: &[u8]) -> Vec<u8> {
        let mut encoder = BzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], capacity: usize, piece: usize) -> (Vec<u8>, Option<String>) {
        read_by(Bzip2::new(BufReader::with_capacity(capacity, bytes)), piece)
    }

    #[test]
    fn streams_and_padding() {
        // Runs make a block of 100 kB the text of megabytes.
        let runs = vec![b'x'; 3_000_000];
        let bytes = [bzip2(b"one\n"), bzip2(b""), vec![0; 300], bzip2(&runs), bzip2(&log(50_000)), vec![0; 5000]];
        let expected = [b"one\n", &runs[..], &log(50_000)].concat();
        for (capacity, piece) in [(1, 5000), (7, 1 << 16), (1 << 18, 3)] {
            assert!(read(&bytes.concat(), capacity, piece) == (expected.clone(), None), "{capacity} {piece}");
        }
    }

    #[rstest]
    #[case::of_no_stream(&[bzip2(b"one\n"), b"more of it".to_vec()].concat(), "one\n", "invalid bzip2 header")]
    #[case::cut(&bzip2(b"one\n")[..20], "", "unexpected end of file")]
    #[case::cut_at_the_end(&bzip2(b"one\n")[..40], "one\n", "unexpected end of file")]
    #[case::only_magic(b"BZh", "", "unexpected end of file")]
    fn damages_are_named(#[case] bytes: &[u8], #[case] text: &str, #[case] expected: &str) {
        assert_eq!(read(bytes, 64, 64), (text.as_bytes().to_vec(), Some(expected.to_owned())));
    }

    /// The checksum of a block is bytes 10 to 14.
    #[test]
    fn nothing_is_given_of_a_block_whose_checksum_fails() {
        let mut second = bzip2(&log(5000));
        second[10] ^= 1;
        let bytes = [bzip2(b"one\n"), second].concat();
        assert_eq!(read(&bytes, 64, 64), (b"one\n".to_vec(), Some("corrupt bzip2 block".into())));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn what_comes_before_a_damage_is_given(
            at in any::<prop::sample::Index>(), byte in 1u8.., is_cut: bool, capacity in 1usize..5000, piece in 1usize..70_000,
        ) {
            static WHOLE: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| (log(20_000), bzip2(&log(20_000))));
            let (text, whole) = &*WHOLE;
            let at = at.index(whole.len());
            let bytes = damaged(whole, at, byte, is_cut);
            let (given, error) = read(&bytes, capacity, piece);
            prop_assert!(error.is_some());
            prop_assert!(text.starts_with(&given));
            // Blocks are 100 kB.
            let n_blocks = text.len().div_ceil(100_000);
            let n_whole = at * n_blocks / whole.len();
            prop_assert!(given.len() + 200_000 >= n_whole * 100_000, "{} of {n_whole} blocks", given.len());
        }
    }
}
