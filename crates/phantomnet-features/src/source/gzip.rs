//! Gzip, of which all that comes before a damage is given.
//!
//! The readers of `flate2` throw away what the call that meets a damage has decompressed before: up to a buffer of sound records.
//!
//! Source: RFC 1952.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;

/// Flags of a header.
const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// The text of all members, one after the other.
pub(crate) struct Gzip<R> {
    inner: R,
    inflate: Decompress,
    crc: Crc,
    state: State,
    /// The damage after what was given last.
    damage: Option<io::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a member, the first or another.
    Header {
        is_first: bool,
    },
    Body,
    Trailer,
    End,
}

impl<R: BufRead> Gzip<R> {
    pub(crate) fn new(inner: R) -> Self {
        let state = State::Header { is_first: true };
        Self { inner, inflate: Decompress::new(false), crc: Crc::new(), state, damage: None }
    }

    fn exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes).map_err(|error| match error.kind() {
            // Without its own words.
            ErrorKind::UnexpectedEof => ErrorKind::UnexpectedEof.into(),
            _ => error,
        })
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.exact(&mut byte)?;
        Ok(byte[0])
    }

    fn header(&mut self) -> io::Result<()> {
        let mut fixed = [0; 10];
        self.exact(&mut fixed)?;
        let [magic @ .., method, flags, _, _, _, _, _, _] = fixed;
        if magic != MAGIC || method != DEFLATE || flags & RESERVED != 0 {
            return Err(io::Error::new(ErrorKind::InvalidInput, "invalid gzip header"));
        }
        if flags & EXTRA != 0 {
            let length = u16::from_le_bytes([self.byte()?, self.byte()?]);
            for _ in 0..length {
                self.byte()?;
            }
        }
        for text in [NAME, COMMENT] {
            while flags & text != 0 && self.byte()? != 0 {}
        }
        if flags & HEADER_CRC != 0 {
            self.exact(&mut [0; 2])?;
        }
        Ok(())
    }

    fn trailer(&mut self) -> io::Result<()> {
        let mut trailer = [0; 8];
        self.exact(&mut trailer)?;
        let [crc @ .., a, b, c, d] = trailer;
        if u32::from_le_bytes(crc) != self.crc.sum() || u32::from_le_bytes([a, b, c, d]) != self.crc.amount() {
            let what = "corrupt gzip stream does not have a matching checksum";
            return Err(io::Error::new(ErrorKind::InvalidInput, what));
        }
        self.inflate.reset(false);
        self.crc.reset();
        Ok(())
    }

    /// More of a member's text; 0 bytes at its end.
    fn body(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = self.inner.fill_buf()?;
            let is_end = input.is_empty();
            let (n_in, n_out) = (self.inflate.total_in(), self.inflate.total_out());
            let flush = if is_end { FlushDecompress::Finish } else { FlushDecompress::None };
            let status = self.inflate.decompress(input, buf, flush);
            let n_taken = (self.inflate.total_in() - n_in) as usize;
            let n = (self.inflate.total_out() - n_out) as usize;
            self.inner.consume(n_taken);
            self.crc.update(&buf[..n]);
            let damage = match status {
                Ok(Status::StreamEnd) => {
                    self.state = State::Trailer;
                    return Ok(n);
                }
                Ok(_) if n > 0 => return Ok(n),
                Ok(_) if is_end => ErrorKind::UnexpectedEof.into(),
                Ok(_) if n_taken > 0 => continue,
                Ok(_) | Err(_) => io::Error::new(ErrorKind::InvalidInput, "corrupt deflate stream"),
            };
            if n == 0 {
                return Err(damage);
            }
            self.damage = Some(damage);
            return Ok(n);
        }
    }
}

/// Passes over zeros, with which files are filled up; whether something follows.
pub(crate) fn skip_zeros(inner: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let seen = inner.fill_buf()?;
        let n_zeros = seen.iter().take_while(|&&byte| byte == 0).count();
        let (is_end, is_more) = (seen.is_empty(), n_zeros < seen.len());
        inner.consume(n_zeros);
        if is_end || is_more {
            return Ok(is_more);
        }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if let Some(damage) = self.damage.take() {
            return Err(damage);
        }
        loop {
            match self.state {
                State::Header { is_first } => {
                    if !is_first && !skip_zeros(&mut self.inner)? {
                        self.state = State::End;
                        continue;
                    }
                    self.header()?;
                    self.state = State::Body;
                }
                State::Body => {
                    let n = self.body(buf)?;
                    if n > 0 {
                        return Ok(n);
                    }
                }
                State::Trailer => {
                    self.trailer()?;
                    self.state = State::Header { is_first: false };
                }
                State::End => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{BufReader, Write};

    use flate2::write::GzEncoder;
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// What is read, asked for `piece` bytes at a time, and how it ends.
    pub(crate) fn read_by(mut reader: impl Read, piece: usize) -> (Vec<u8>, Option<String>) {
        let (mut text, mut buf) = (Vec::new(), vec![0; piece]);
        loop {
            match reader.read(&mut buf) {
                Ok(0) => return (text, None),
                Ok(n) => text.extend(&buf[..n]),
                Err(error) => return (text, Some(error.to_string())),
            }
        }
    }

    fn read(bytes: &[u8], capacity: usize, piece: usize) -> (Vec<u8>, Option<String>) {
        read_by(Gzip::new(BufReader::with_capacity(capacity, bytes)), piece)
    }

    /// What is left of some bytes that are cut off at a place, or in which bits of the one there have changed.
    pub(crate) fn damaged(whole: &[u8], at: usize, byte: u8, is_cut: bool) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        if is_cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= byte;
        }
        bytes
    }

    pub(crate) fn log(n: usize) -> Vec<u8> {
        (0..n)
            .flat_map(|i| format!("{{\"a\":{i},\"b\":\"{}\"}}\n", i.wrapping_mul(2_654_435_761) % 9973).into_bytes())
            .collect()
    }

    #[test]
    fn members_headers_and_padding() {
        let mut named =
            GzBuilder::new().filename("a.json").comment("c").extra([1, 2, 3]).write(Vec::new(), Compression::fast());
        named.write_all(b"two\n").unwrap();
        let bytes = [gzip(b"one\n"), named.finish().unwrap(), gzip(b""), vec![0; 300], gzip(b"three\n"), vec![0; 5000]];
        for capacity in [1, 7, 1 << 16] {
            assert_eq!(read(&bytes.concat(), capacity, 3), (b"one\ntwo\nthree\n".to_vec(), None));
        }
    }

    #[test]
    fn damages_are_named() {
        let whole = gzip(b"one\n");
        let mut sum = whole.clone();
        let n = sum.len();
        sum[n - 6] ^= 1;
        let named = |bytes: &[u8]| read(bytes, 64, 64).1.unwrap();
        assert_eq!(named(&sum), "corrupt gzip stream does not have a matching checksum");
        assert_eq!(named(&[&whole[..], b"more of it"].concat()), "invalid gzip header");
        assert_eq!(named(&whole[..5]), "unexpected end of file");
        assert_eq!(named(&whole[..n - 9]), "unexpected end of file");
        assert_eq!(read(&sum, 64, 64).0, b"one\n");
    }

    /// The naive twin: the text up to where a decompressor that takes byte by byte meets the damage.
    fn byte_by_byte(bytes: &[u8]) -> Vec<u8> {
        let mut inflate = Decompress::new(false);
        let mut text = Vec::new();
        for byte in &bytes[10..] {
            let mut buf = [0; 1 << 12];
            let before = inflate.total_out();
            let status = inflate.decompress(std::slice::from_ref(byte), &mut buf, FlushDecompress::None);
            text.extend(&buf[..(inflate.total_out() - before) as usize]);
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                break;
            }
        }
        text
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_comes_before_a_damage_is_given(
            n in 1usize..3000, at in any::<prop::sample::Index>(), byte: u8, is_cut: bool, capacity in 1usize..5000, piece in 1usize..70_000,
        ) {
            let whole = gzip(&log(n));
            let bytes = damaged(&whole, 10 + at.index(whole.len() - 18), byte, is_cut);
            let (text, _) = read(&bytes, capacity, piece);
            let expected = byte_by_byte(&bytes);
            // Output may lag behind the input within the twin's last step.
            prop_assert!(text.starts_with(&expected) || expected.starts_with(&text));
            prop_assert!(text.len() + 300 >= expected.len(), "{} of {}", text.len(), expected.len());
            prop_assert_eq!(&read(&bytes, 1 << 18, 1 << 16).0, &text);
        }
    }
}
