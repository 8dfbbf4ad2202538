//! Zstandard, of which all that comes before a damage is given.
//!
//! The readers of the `zstd` crate throw away what the call that meets a damage has decompressed before: mostly it is the checksum at the
//! end that tells of one, and up to a buffer of records before that would be lost.

use std::io::{self, BufRead, ErrorKind, Read};

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use crate::source::gzip::skip_zeros;

/// The text of all frames, one after the other.
pub(crate) struct Zstd<R> {
    inner: R,
    decoder: Decoder<'static>,
    /// Whether a frame has ended, and another has not begun.
    is_between: bool,
    has_begun: bool,
}

impl<R: BufRead> Zstd<R> {
    pub(crate) fn new(inner: R) -> io::Result<Self> {
        Ok(Self { inner, decoder: Decoder::new()?, is_between: true, has_begun: false })
    }
}

/// Decompresses some input: how much of it was taken, how much text came of it, and how much more is expected.
fn run(decoder: &mut Decoder<'_>, input: &[u8], text: &mut [u8]) -> io::Result<(usize, usize, usize)> {
    let (mut input, mut text) = (InBuffer::around(input), OutBuffer::around(text));
    let n_expected = decoder.run(&mut input, &mut text)?;
    Ok((input.pos(), text.pos(), n_expected))
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.is_between {
                // Without more to read it stops where it has given what it has.
                let (_, n, _) = run(&mut self.decoder, &[], buf)?;
                if n > 0 {
                    return Ok(n);
                }
            } else if self.has_begun && !skip_zeros(&mut self.inner)? {
                return Ok(0);
            }
            let input = self.inner.fill_buf()?;
            if input.is_empty() {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "incomplete frame"));
            }
            // Without room for text it stops where it has read a block.
            let (n, _, n_expected) = run(&mut self.decoder, input, &mut [])?;
            self.inner.consume(n);
            self.has_begun = true;
            self.is_between = n_expected == 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use proptest::prelude::*;
    use rstest::rstest;
    use zstd::stream::write::Encoder;

    use super::*;
    use crate::source::gzip::tests::{damaged, log, read_by};

    fn zstd(text: &[u8], has_checksum: bool) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(has_checksum).unwrap();
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], capacity: usize, piece: usize) -> (Vec<u8>, Option<String>) {
        read_by(Zstd::new(BufReader::with_capacity(capacity, bytes)).unwrap(), piece)
    }

    #[test]
    fn frames_and_padding() {
        let runs = vec![b'x'; 3_000_000];
        let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"hello"].concat();
        let frames = [zstd(b"one\n", true), zstd(b"", false), zstd(&runs, false), zstd(&log(9000), true)];
        let [one, empty, long, last] = frames;
        let bytes = [&skippable, &one, &empty, &vec![0; 300], &long, &skippable, &last, &vec![0; 5000]];
        let bytes = bytes.map(Vec::as_slice).concat();
        let expected = [b"one\n", &runs[..], &log(9000)].concat();
        for (capacity, piece) in [(1, 5000), (7, 1 << 16), (1 << 18, 3), (1 << 18, 1 << 22)] {
            assert!(read(&bytes, capacity, piece) == (expected.clone(), None), "{capacity} {piece}");
        }
    }

    #[rstest]
    #[case::of_no_frame(&[zstd(b"one\n", false), b"more of it".to_vec()].concat(), "one\n", "Unknown frame descriptor")]
    #[case::cut(&zstd(b"one\n", true)[..9], "", "incomplete frame")]
    #[case::cut_checksum(&zstd(b"one\n", true)[..15], "one\n", "incomplete frame")]
    #[case::only_magic(&zstd(b"one\n", true)[..4], "", "incomplete frame")]
    fn damages_are_named(#[case] bytes: &[u8], #[case] text: &str, #[case] expected: &str) {
        assert_eq!(read(bytes, 64, 64), (text.as_bytes().to_vec(), Some(expected.to_owned())));
    }

    #[test]
    fn what_comes_before_a_wrong_checksum_is_given() {
        let mut bytes = zstd(&log(9000), true);
        *bytes.last_mut().unwrap() ^= 1;
        let (text, error) = read(&bytes, 1 << 18, 1 << 16);
        assert!(text == log(9000));
        assert_eq!(error.unwrap(), "Restored data doesn't match checksum");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pieces_change_nothing(
            n in 1usize..20_000, at in any::<prop::sample::Index>(), byte: u8, is_cut: bool, has_checksum: bool,
            capacity in 1usize..5000, piece in 1usize..70_000,
        ) {
            let whole = zstd(&log(n), has_checksum);
            let bytes = damaged(&whole, at.index(whole.len()), byte, is_cut);
            let (text, error) = read(&bytes, capacity, piece);
            prop_assert_eq!(error.is_none(), (!is_cut && byte == 0) || (!has_checksum && error.is_none()));
            prop_assert!(!is_cut || log(n).starts_with(&text));
            prop_assert!((text, error) == read(&bytes, 1 << 18, 1 << 16));
        }
    }
}
