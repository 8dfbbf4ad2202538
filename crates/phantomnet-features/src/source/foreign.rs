//! Files that are neither text nor Parquet, told by how they begin.

use std::path::Path;

use crate::source::latin1::Encoding;
use crate::source::sniff::sniff;
use crate::source::{Format, ReadOptions, SourceError};

/// A format that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Foreign {
    /// Bytes that such files hold, and where.
    magic: &'static [u8],
    at: usize,
    /// Its name, with its article.
    what: &'static str,
    /// What to do instead.
    advice: &'static str,
}

const CAPTURE: &str =
    "make events of its packets with Zeek (`zeek -r FILE LogAscii::use_json=T`) or Suricata (`suricata -r FILE`)";
const OTHER_COMPRESSION: &str =
    "read are gzip, Zstandard and bzip2; others by standard input: `xz -dc FILE | phantomnet ... -`";
const ARCHIVE: &str = "unpack it, and name the files or their folder";
const TABLE: &str = "write it as Parquet";

const fn foreign(magic: &'static [u8], what: &'static str, advice: &'static str) -> Foreign {
    Foreign { magic, at: 0, what, advice }
}

/// Sources: the `magic` database of `file`, and the formats' own documents.
const FOREIGN: &[Foreign] = &[
    foreign(b"SQLite format 3\0", "an SQLite database", "name it as a URL: sqlite:///FILE?table=NAME"),
    foreign(b"\xd4\xc3\xb2\xa1", "a packet capture", CAPTURE),
    foreign(b"\xa1\xb2\xc3\xd4", "a packet capture", CAPTURE),
    foreign(b"\x4d\x3c\xb2\xa1", "a packet capture", CAPTURE),
    foreign(b"\xa1\xb2\x3c\x4d", "a packet capture", CAPTURE),
    foreign(b"\x0a\x0d\x0d\x0a", "a packet capture", CAPTURE),
    foreign(b"\xfd7zXZ\0", "compressed by xz", OTHER_COMPRESSION),
    foreign(b"\x04\x22\x4d\x18", "compressed by LZ4", OTHER_COMPRESSION),
    foreign(b"\xff\x06\0\0sNaPpY", "compressed by Snappy", OTHER_COMPRESSION),
    foreign(b"PK\x03\x04", "a ZIP archive or a workbook", ARCHIVE),
    foreign(b"7z\xbc\xaf\x27\x1c", "a 7z archive", ARCHIVE),
    foreign(b"Rar!\x1a\x07", "a RAR archive", ARCHIVE),
    Foreign { magic: b"ustar", at: 257, what: "a tar archive", advice: ARCHIVE },
    foreign(b"ElfFile\0", "a Windows event log", "write it as JSON or CSV, for example with `evtx_dump -o jsonl FILE`"),
    foreign(b"LPKSHHRH", "a journal of systemd", "write it as JSON lines: `journalctl --file FILE -o json`"),
    foreign(b"Obj\x01", "an Avro file", TABLE),
    foreign(b"ORC", "an ORC file", TABLE),
    foreign(b"ARROW1\0\0", "an Arrow file", TABLE),
    foreign(b"\x89HDF\r\n\x1a\n", "an HDF5 file", TABLE),
    foreign(b"\x7fELF", "a program", "name files of events"),
    foreign(b"%PDF-", "a PDF document", "name files of events"),
    foreign(b"\x89PNG\r\n\x1a\n", "a picture", "name files of events"),
    foreign(b"\xff\xd8\xff", "a picture", "name files of events"),
    foreign(b"GIF89a", "a picture", "name files of events"),
];

/// Bytes that are looked at to tell text from other data, at least and at most.
const TOLD_BY: std::ops::Range<usize> = 64..4096;

/// The format that is not read, of a file that begins so. Short magic words of letters count only if binary bytes follow.
fn foreign_format(head: &[u8]) -> Option<&'static Foreign> {
    let is_binary = || head.iter().take(512).any(|&b| b == 0);
    FOREIGN.iter().find(|format| {
        let begins = head.get(format.at..).is_some_and(|head| head.starts_with(format.magic));
        begins && (format.magic.iter().any(|b| !b.is_ascii_graphic() && *b != b' ') || is_binary())
    })
}

/// Whether some bytes are no text, though payloads in it may hold any byte: they are not UTF-8, and more than one in 16 is a control
/// character, of which random bytes have one in 10.
fn is_binary(head: &[u8]) -> bool {
    let head = &head[..head.len().min(TOLD_BY.end)];
    let is_control = |byte: &&u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b);
    head.len() >= TOLD_BY.start
        && head.iter().filter(is_control).count() * 16 > head.len()
        && String::from_utf8_lossy(head).chars().filter(|&c| c == char::REPLACEMENT_CHARACTER).count() > 1
        && matches!(sniff(head), Format::Csv | Format::Tsv | Format::Psv | Format::Lines)
}

/// Whether a file is Weka's: lines of CSV below their declarations, which would be events.
fn is_arff(head: &[u8]) -> bool {
    let head = head[..head.len().min(TOLD_BY.end)].to_ascii_lowercase();
    let mut lines = head.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    lines.find(|line| !line.starts_with(b"%")).is_some_and(|line| line.starts_with(b"@relation"))
        && lines.any(|line| line.starts_with(b"@attribute"))
}

/// Makes sure that what begins so is text or Parquet, unless its format is given.
pub(crate) fn refuse_foreign(path: &Path, head: &[u8], options: &ReadOptions) -> Result<(), SourceError> {
    if options.format.is_some() {
        return Ok(());
    }
    let refuse = |what, advice| Err(SourceError::Unsupported { path: path.to_path_buf(), what, advice });
    match foreign_format(head) {
        Some(Foreign { what, advice, .. }) => refuse(what, advice),
        None if is_arff(head) => {
            refuse("an ARFF file", "keep what is below `@data`, and name its columns in `columns`")
        }
        None if is_binary(head) => refuse("no text", "name files of events, or say with `format` what it is"),
        None => Ok(()),
    }
}

/// The encoding of UTF-16 without a byte order mark: of the first units, none is NUL and nine of ten have a NUL on the same side.
pub(crate) fn unmarked_utf16(head: &[u8]) -> Option<Encoding> {
    let (units, _) = head.as_chunks::<2>();
    if units.len() < 8 || units.contains(&[0, 0]) {
        return None;
    }
    let n_ascii = |side: usize| units.iter().filter(|unit| unit[side] == 0).count();
    let is_most = |n: usize| n * 10 >= units.len() * 9;
    [(1, Encoding::Utf16Le), (0, Encoding::Utf16Be)]
        .into_iter()
        .find(|(side, _)| is_most(n_ascii(*side)))
        .map(|(_, e)| e)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"SQLite format 3\0\x10", Some("an SQLite database"))]
    #[case(b"\xd4\xc3\xb2\xa1\x02\0\x04\0", Some("a packet capture"))]
    #[case(b"PK\x03\x04\x14\0", Some("a ZIP archive or a workbook"))]
    #[case(b"\x7fELF\x02\x01", Some("a program"))]
    #[case(b"ORC\x08\0\0", Some("an ORC file"))]
    #[case(b"ORC,1\n", None)]
    #[case(b"%PDF-1.5 in an upload\n", None)]
    #[case(b"a,b\n1,2\n", None)]
    #[case(b"", None)]
    fn formats_that_are_not_read(#[case] head: &[u8], #[case] expected: Option<&str>) {
        assert_eq!(foreign_format(head).map(|format| format.what), expected);
    }

    #[rstest]
    #[case("% NSL-KDD\n@relation 'KDDTrain'\n@attribute 'duration' real\n@data\n0,tcp\n", true)]
    #[case("@RELATION x\n\n@ATTRIBUTE y NUMERIC\n", true)]
    #[case("@relation of a payload\n<script>\n", false)]
    #[case("a,b\n@relation,@attribute\n", false)]
    fn arff_is_known_by_its_declarations(#[case] head: &str, #[case] expected: bool) {
        assert_eq!(is_arff(head.as_bytes()), expected);
    }

    #[test]
    fn text_is_told_from_other_data() {
        let random = |seed: u64| {
            (0..500).scan(seed, |x, _| {
                *x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                Some((*x >> 56) as u8)
            })
        };
        for seed in 0..100 {
            let bytes: Vec<u8> = random(seed).collect();
            assert!(is_binary(&bytes), "{seed}");
            assert!(!is_binary(&bytes[..60]));
            // A payload in a line of text, and one in JSON.
            let csv = [b"time,user,payload\n", &b"12:30,root,cat /etc/passwd\n".repeat(40)[..], &bytes[..100]].concat();
            assert!(!is_binary(&csv));
            assert!(!is_binary(&[b"{\"payload\":\"", &bytes[..], b"\"}\n"].concat()));
        }
        let latin1: Vec<u8> = "caf\u{e9};na\u{ef}ve\n".repeat(20).chars().map(|c| c as u8).collect();
        assert!(!is_binary(&latin1));
        assert!(!is_binary(&[0; 500]));
    }

    #[test]
    fn a_tar_archive_says_so_behind_its_first_name() {
        let mut head = vec![0; 512];
        head[..5].copy_from_slice(b"a.csv");
        head[257..262].copy_from_slice(b"ustar");
        assert_eq!(foreign_format(&head).map(|format| format.what), Some("a tar archive"));
    }

    #[rstest]
    #[case(&b"a\0,\0b\0\n\0c\0,\0d\0\n\0"[..], Some(Encoding::Utf16Le))]
    #[case(b"\0a\0,\0b\0\n\0c\0,\0d\0\n", Some(Encoding::Utf16Be))]
    #[case(b"a,b\n1,2\n3,4\n5,6\n7,8\n", None)]
    #[case(b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", None)]
    #[case(b"a\0", None)]
    fn utf16_without_a_mark(#[case] head: &[u8], #[case] expected: Option<Encoding>) {
        assert_eq!(unmarked_utf16(head), expected);
    }
}
