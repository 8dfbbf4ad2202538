//! From a file to the text in it: decompressed, decoded, measured and recognized.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;

use memchr::memchr;
use sha2::{Digest, Sha256};

use crate::source::error::SourceError;
use crate::source::path::{Named, by_name};
use crate::source::utf16::Utf16;
use crate::source::zeek::is_zeek;
use crate::source::{Format, ReadOptions};

/// What is looked at to recognize a file.
const HEAD_BYTES: usize = 64 * 1024;

const BUFFER_BYTES: usize = 256 * 1024;

/// The text of a file: its beginning, which has been looked at, and the rest.
pub(crate) type Text = Chain<Cursor<Vec<u8>>, BufReader<Content>>;

/// A file that is open for reading.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) text: Text,
    pub(crate) format: Format,
    /// LF, or CR where a file has no LF.
    pub(crate) terminator: u8,
}

impl Opened {
    /// Opens a file; compression is recognized by its magic bytes, whatever the name says.
    pub(crate) fn new(path: &Path, options: &ReadOptions) -> Result<Self, SourceError> {
        let open = |source| SourceError::Open { path: path.to_path_buf(), source };
        // Looked at before it is opened: opening a pipe waits for its writer, and a file is read more than once.
        let metadata = path.metadata().map_err(open)?;
        if metadata.is_dir() {
            return Err(open(io::ErrorKind::IsADirectory.into()));
        }
        if !metadata.is_file() {
            return Err(SourceError::Unsupported {
                path: path.to_path_buf(),
                what: "no regular file",
                advice: "copy it to a file first; `phantomnet predict MODEL -` reads from a pipe",
            });
        }
        let file = File::open(path).map_err(open)?;
        let (content, is_compressed) = Content::new(file, options.max_file_bytes).map_err(open)?;
        let mut rest = BufReader::with_capacity(BUFFER_BYTES, content);
        let head = read_head(&mut rest, HEAD_BYTES);
        let format = options.format.unwrap_or_else(|| format_of(path, &head));
        if format == Format::Parquet && is_compressed {
            return Err(SourceError::Unsupported {
                path: path.to_path_buf(),
                what: "a compressed Parquet file",
                advice: "decompress it; Parquet is compressed inside",
            });
        }
        let bare_cr = memchr(b'\n', &head).is_none() && memchr(b'\r', &head).is_some();
        let terminator = if bare_cr { b'\r' } else { b'\n' };
        Ok(Self { text: Cursor::new(head).chain(rest), format, terminator })
    }
}

/// Size and SHA-256 of what has been read of a text.
pub(crate) fn measure(text: Text) -> (u64, [u8; 32]) {
    let (_, rest) = text.into_inner();
    match rest.into_inner() {
        Content::Plain(metered) => metered.measure(),
        Content::Utf16(decoder) => decoder.into_inner().measure(),
    }
}

/// Format of text by its beginning: Zeek's header, JSON objects, else delimited by tabs if the first line has any, by `|` if it has some
/// and no comma, else by commas.
pub(crate) fn sniff(head: &[u8]) -> Format {
    if head.starts_with(b"PAR1") {
        return Format::Parquet;
    }
    if is_zeek(head) {
        return Format::Zeek;
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let line = head.split(|&b| b == b'\n' || b == b'\r').next().unwrap_or_default();
    match line.first() {
        Some(b'{' | b'[') => Format::JsonLines,
        _ if line.contains(&b'\t') => Format::Tsv,
        _ if line.contains(&b'|') && !line.contains(&b',') => Format::Psv,
        _ => Format::Csv,
    }
}

fn format_of(path: &Path, head: &[u8]) -> Format {
    match by_name(path) {
        Named::Known(format) if !head.starts_with(b"PAR1") && !is_zeek(head) => format,
        _ => sniff(head),
    }
}

/// Up to `n_bytes`; what an error cuts short is kept, since the error comes again with the next read.
fn read_head(reader: &mut impl BufRead, n_bytes: usize) -> Vec<u8> {
    let mut head = Vec::new();
    while head.len() < n_bytes {
        match reader.fill_buf() {
            Ok([]) | Err(_) => break,
            Ok(chunk) => {
                let n_taken = chunk.len().min(n_bytes - head.len());
                head.extend_from_slice(&chunk[..n_taken]);
                reader.consume(n_taken);
            }
        }
    }
    head
}

/// The decompressed content of a file as UTF-8.
#[derive(Debug)]
pub(crate) enum Content {
    Plain(Metered),
    Utf16(Utf16<Metered>),
}

impl Content {
    fn new(mut file: File, max_bytes: u64) -> io::Result<(Self, bool)> {
        let mut magic = Vec::new();
        file.by_ref().take(4).read_to_end(&mut magic)?;
        let is_gzip = magic.starts_with(b"\x1f\x8b");
        let is_bzip2 = magic.starts_with(b"BZh");
        let is_zstd = magic.starts_with(b"\x28\xb5\x2f\xfd");
        let utf16 = magic.get(..2).map(|mark| (mark == b"\xff\xfe", mark == b"\xfe\xff"));
        let raw = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(magic).chain(file));
        let inner: Box<dyn Read + Send> = if is_gzip {
            Box::new(flate2::bufread::MultiGzDecoder::new(raw))
        } else if is_bzip2 {
            Box::new(bzip2::bufread::MultiBzDecoder::new(raw))
        } else if is_zstd {
            Box::new(zstd::stream::read::Decoder::with_buffer(raw)?)
        } else {
            Box::new(raw)
        };
        let metered = Metered { inner, sha: Sha256::new(), n_bytes: 0, max_bytes, failed: None };
        let content = match utf16 {
            Some((true, _)) => Self::Utf16(Utf16::new(metered, u16::from_le_bytes)),
            Some((_, true)) => Self::Utf16(Utf16::new(metered, u16::from_be_bytes)),
            _ => Self::Plain(metered),
        };
        Ok((content, is_gzip || is_zstd || is_bzip2))
    }
}

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(metered) => metered.read(buf),
            Self::Utf16(decoder) => decoder.read(buf),
        }
    }
}

/// Counts and digests what is read, and stops at a limit: a small compressed file may hold terabytes.
pub(crate) struct Metered {
    inner: Box<dyn Read + Send>,
    sha: Sha256,
    n_bytes: u64,
    max_bytes: u64,
    /// A broken stream stays broken, so that looking ahead does not hide the error from the reader.
    failed: Option<(io::ErrorKind, String)>,
}

impl std::fmt::Debug for Metered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metered").field("n_bytes", &self.n_bytes).finish_non_exhaustive()
    }
}

impl Metered {
    fn measure(self) -> (u64, [u8; 32]) {
        (self.n_bytes, self.sha.finalize().into())
    }
}

impl Read for Metered {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some((kind, text)) = &self.failed {
            return Err(io::Error::new(*kind, text.clone()));
        }
        let result = match self.inner.read(buf) {
            Ok(n) if self.n_bytes + n as u64 > self.max_bytes => {
                let text = format!("more than {} bytes when decompressed", self.max_bytes);
                Err(io::Error::new(io::ErrorKind::FileTooLarge, text))
            }
            result => result,
        };
        match &result {
            Ok(n) => {
                self.n_bytes += *n as u64;
                self.sha.update(&buf[..*n]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.failed = Some((error.kind(), error.to_string())),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"{\"a\":1}", Format::JsonLines)]
    #[case(b"\xef\xbb\xbf\n [", Format::JsonLines)]
    #[case(b"a\tb,c\n", Format::Tsv)]
    #[case(b"a,b\nc\td", Format::Csv)]
    #[case(b"a|b\n1,5|2", Format::Psv)]
    #[case(b"a|b,c\n", Format::Csv)]
    #[case(b"", Format::Csv)]
    #[case(b"PAR1\x15", Format::Parquet)]
    #[case(b"#separator \\x09\n", Format::Zeek)]
    fn formats_by_their_beginning(#[case] head: &[u8], #[case] expected: Format) {
        assert_eq!(sniff(head), expected);
    }
}
