//! UTF-16 read as UTF-8.

use std::io::{self, Read};

/// Decodes UTF-16 of either byte order; what is not well formed becomes U+FFFD. The byte order mark is kept.
#[derive(Debug)]
pub(crate) struct Utf16<R> {
    inner: R,
    unit: fn([u8; 2]) -> u16,
    /// First byte of a unit that is cut by the end of a read.
    odd: Option<u8>,
    /// First half of a pair that is cut by the end of a read.
    high: Option<u16>,
    decoded: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Utf16<R> {
    pub(crate) fn new(inner: R, unit: fn([u8; 2]) -> u16) -> Self {
        Self { inner, unit, odd: None, high: None, decoded: Vec::new(), given: 0, ended: false }
    }

    pub(crate) fn into_inner(self) -> R {
        self.inner
    }

    fn refill(&mut self) -> io::Result<()> {
        let mut raw = [0; 8192];
        let n_bytes = self.inner.read(&mut raw)?;
        self.ended = n_bytes == 0;
        let mut units: Vec<u16> = self.high.take().into_iter().collect();
        for &byte in &raw[..n_bytes] {
            match self.odd.take() {
                Some(first) => units.push((self.unit)([first, byte])),
                None => self.odd = Some(byte),
            }
        }
        if !self.ended {
            self.high = units.pop_if(|unit| (0xd800..0xdc00).contains(unit));
        }
        let mut text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        if self.ended && self.odd.take().is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        self.decoded = text.into_bytes();
        self.given = 0;
        Ok(())
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.given == self.decoded.len() && !self.ended {
            self.refill()?;
        }
        let n_bytes = (&self.decoded[self.given..]).read(buf)?;
        self.given += n_bytes;
        Ok(n_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte a read.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n_bytes = buf.len().min(1);
            self.0.read(&mut buf[..n_bytes])
        }
    }

    #[test]
    fn pairs_and_broken_units_in_any_pieces() {
        let units = [0xfeff, 0x61, 0xd83d, 0xde00, 0xdc00, 0x62, 0xd83d];
        let mut bytes: Vec<u8> = units.iter().flat_map(|unit: &u16| unit.to_le_bytes()).collect();
        bytes.push(0x63);
        let expected = "\u{feff}a\u{1f600}\u{fffd}b\u{fffd}\u{fffd}";
        for slow in [false, true] {
            let inner: Box<dyn Read> = if slow { Box::new(Slow(&bytes)) } else { Box::new(&bytes[..]) };
            let mut text = String::new();
            Utf16::new(inner, u16::from_le_bytes).read_to_string(&mut text).unwrap();
            assert_eq!(text, expected);
        }
    }
}
