//! Encodings by name, and text in single bytes read as UTF-8.

use std::io::{self, Read};

/// How the characters of a text are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    Utf8,
    /// UTF-16 whose byte order mark tells the order.
    Utf16,
    /// UTF-16, low bytes first.
    Utf16Le,
    /// UTF-16, high bytes first.
    Utf16Be,
    /// ISO-8859-1: bytes are code points.
    Latin1,
    /// Latin-1 with punctuation and letters in place of the control characters 0x80 to 0x9F.
    Windows1252,
}

impl Encoding {
    /// The encoding of a name in any case, also with `_` or nothing for `-`.
    pub fn from_name(name: &str) -> Option<Self> {
        let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect();
        match plain.as_str() {
            "utf8" | "ascii" | "usascii" => Some(Self::Utf8),
            "utf16" => Some(Self::Utf16),
            "utf16le" => Some(Self::Utf16Le),
            "utf16be" => Some(Self::Utf16Be),
            "latin1" | "iso88591" => Some(Self::Latin1),
            "windows1252" | "cp1252" => Some(Self::Windows1252),
            _ => None,
        }
    }
}

/// Decodes text whose characters are single bytes; no byte is lost.
#[derive(Debug)]
pub(crate) struct Latin1<R> {
    inner: R,
    character: fn(u8) -> char,
    decoded: Vec<u8>,
    given: usize,
}

impl<R: Read> Latin1<R> {
    /// `character` is `char::from` for Latin-1, or [`windows_1252`].
    pub(crate) fn new(inner: R, character: fn(u8) -> char) -> Self {
        Self { inner, character, decoded: Vec::new(), given: 0 }
    }

    pub(crate) fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Latin1<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.given == self.decoded.len() {
            let mut raw = [0; 8192];
            let n_bytes = self.inner.read(&mut raw)?;
            let text: String = raw[..n_bytes].iter().map(|&byte| (self.character)(byte)).collect();
            self.decoded = text.into_bytes();
            self.given = 0;
        }
        let n_bytes = (&self.decoded[self.given..]).read(buf)?;
        self.given += n_bytes;
        Ok(n_bytes)
    }
}

/// The character of a byte in windows-1252. Bytes without one are control characters, as in browsers.
///
/// Source: <https://encoding.spec.whatwg.org/index-windows-1252.txt>.
pub(crate) fn windows_1252(byte: u8) -> char {
    const FROM_0X80: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => FROM_0X80[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// Whether the beginning of a text is Latin-1, not UTF-8 with a few bad bytes.
///
/// It has bytes above 0x7F and no sequence of them is UTF-8, none is one of the control characters that Latin-1 has
/// at 0x80 to 0x9F, none stands beside another control character, and three of four stand beside a letter or a digit: binary payloads in
/// a log, and text in other alphabets, do not look so. Text with the punctuation of windows-1252 is therefore not recognized;
/// such a file needs the name of its encoding.
pub(crate) fn is_latin1(head: &[u8]) -> bool {
    let mut n_high = 0_usize;
    let mut n_in_words = 0_usize;
    let mut at = 0;
    for chunk in head.utf8_chunks() {
        if !chunk.valid().is_ascii() {
            return false;
        }
        at += chunk.valid().len();
        let broken = chunk.invalid();
        let is_cut = at + broken.len() == head.len() && str::from_utf8(broken).is_err_and(|e| e.error_len().is_none());
        if is_cut {
            break;
        }
        for i in at..at + broken.len() {
            let before = i.checked_sub(1).and_then(|i| head.get(i));
            let mut beside = before.into_iter().chain(head.get(i + 1));
            let is_control = |b: &u8| b.is_ascii_control() && !matches!(b, b'\t' | b'\n' | b'\r');
            if head[i] < 0xa0 || beside.clone().any(is_control) {
                return false;
            }
            n_high += 1;
            n_in_words += usize::from(beside.any(u8::is_ascii_alphanumeric));
        }
        at += broken.len();
    }
    n_high > 0 && n_in_words * 4 >= n_high * 3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_byte_is_a_character() {
        let bytes: Vec<u8> = (0..=255).cycle().take(20_000).collect();
        let mut text = String::new();
        Latin1::new(&bytes[..], char::from).read_to_string(&mut text).unwrap();
        assert!(text.chars().map(u32::from).eq(bytes.iter().map(|&byte| u32::from(byte))));
    }

    #[test]
    fn small_reads_give_the_same_text() {
        let mut decoder = Latin1::new(&b"na\xefve \x80"[..], windows_1252);
        let mut text = Vec::new();
        let mut byte = [0];
        while decoder.read(&mut byte).unwrap() == 1 {
            text.push(byte[0]);
        }
        assert_eq!(String::from_utf8(text).unwrap(), "naïve €");
        assert!(decoder.into_inner().is_empty());
    }

    #[rstest]
    #[case(0x80, '€')]
    #[case(0x81, '\u{81}')]
    #[case(0x8e, 'Ž')]
    #[case(0x93, '“')]
    #[case(0x99, '™')]
    #[case(0x9f, 'Ÿ')]
    #[case(0xe9, 'é')]
    fn characters_of_windows_1252(#[case] byte: u8, #[case] expected: char) {
        assert_eq!(windows_1252(byte), expected);
    }

    #[rstest]
    #[case("latin-1", Some(Encoding::Latin1))]
    #[case("ISO_8859-1", Some(Encoding::Latin1))]
    #[case("utf-8", Some(Encoding::Utf8))]
    #[case("UTF8", Some(Encoding::Utf8))]
    #[case("utf-16", Some(Encoding::Utf16))]
    #[case("utf-16le", Some(Encoding::Utf16Le))]
    #[case("UTF-16BE", Some(Encoding::Utf16Be))]
    #[case("windows-1252", Some(Encoding::Windows1252))]
    #[case("koi8-r", None)]
    #[case("", None)]
    fn encodings_by_name(#[case] name: &str, #[case] expected: Option<Encoding>) {
        assert_eq!(Encoding::from_name(name), expected);
    }

    #[rstest]
    #[case::spanish(b"nombre=jam\xf3n+ib\xe9rico&b1=a\xf1adir\n", true)]
    #[case::alone_among_words(b"d\xe9j\xe0 \xe0 la cr\xe9\xe9e", true)]
    #[case::degrees(b"25\xb0C", true)]
    #[case::ascii(b"plain", false)]
    #[case::empty(b"", false)]
    #[case::utf8("jamón".as_bytes(), false)]
    #[case::utf8_with_a_bad_byte(b"jam\xc3\xb3n ib\xe9rico", false)]
    #[case::utf8_that_is_cut(b"jam\xc3", false)]
    #[case::cut_after_latin1(b"jam\xf3n ib\xe9", true)]
    #[case::windows_1252(b"it\x92s", false)]
    #[case::byte_alone(b"root,\xff,1\n", false)]
    #[case::bytes_of_a_payload(b"{\"data\":\"\xff\xfb\xfe\xf0\xf1x\"}", false)]
    #[case::beside_a_control_character(b"a\xe9\x01b\xe9c", false)]
    #[case::cyrillic_in_koi8(b"\xf0\xd2\xc9\xd7\xc5\xd4 \xcd\xc9\xd2\n", false)]
    #[case::utf16(b"\xff\xfea\0b\0", false)]
    fn latin1_by_its_beginning(#[case] head: &[u8], #[case] expected: bool) {
        assert_eq!(is_latin1(head), expected);
    }

    proptest! {
        #[test]
        fn text_that_is_utf8_is_never_latin1(text in "\\PC{0,40}", n_cut in 0_usize..4) {
            let bytes = &text.as_bytes()[..text.len().saturating_sub(n_cut)];
            prop_assert!(!is_latin1(bytes));
        }

        #[test]
        fn any_bytes_are_decoded_to_as_many_characters(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut text = String::new();
            Latin1::new(&bytes[..], windows_1252).read_to_string(&mut text).unwrap();
            prop_assert_eq!(text.chars().count(), bytes.len());
            is_latin1(&bytes);
        }
    }
}
