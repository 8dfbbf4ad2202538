//! From a file to the text in it: decompressed, decoded, measured and recognized.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::{memchr, memchr_iter, memchr2, memrchr};

use crate::source::bzip2::Bzip2;
use crate::source::database::{DatabaseSource, Spool};
use crate::source::error::SourceError;
use crate::source::foreign::{refuse_foreign, unmarked_utf16};
use crate::source::gzip::Gzip;
use crate::source::latin1::{Encoding, Latin1, is_latin1, windows_1252};
use crate::source::layout::{Layout, NoLayout, Wanted, read_layout, terminator_of, without_mark};
use crate::source::parquet;
use crate::source::path::{Named, by_name};
use crate::source::sniff::{self, sniff_wanted};
use crate::source::utf16::Utf16;
use crate::source::zeek::is_zeek;
use crate::source::zstd::Zstd;
use crate::source::{Format, ReadOptions};

/// What is looked at to recognize a file, and to guess the types of its columns.
const HEAD_BYTES: usize = 1 << 20;

const BUFFER_BYTES: usize = 256 * 1024;

/// Bytes that decompressors are asked for at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// What the beginning of a file tells.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    /// LF, or CR where a file has no LF.
    pub(crate) terminator: u8,
    /// What its bytes are, where that is not told by a mark.
    pub(crate) encoding: Option<Encoding>,
    /// How records are laid out; `None` for a file without content.
    layout: Option<Layout>,
    /// Whether records are those of a list in a document.
    pub(crate) is_in_list: bool,
    /// Bytes and lines before the first record.
    pub(crate) start: u64,
    pub(crate) start_line: u64,
    /// Whole lines from there on.
    pub(crate) lines: Vec<u8>,
    /// Whether that is all there is.
    pub(crate) is_all: bool,
    /// Names that had to be changed, for people.
    pub(crate) warnings: Vec<String>,
    /// The rows, of a database.
    pub(crate) spool: Option<Arc<Spool>>,
}

impl Head {
    /// Opens a file and looks at its beginning; compression is recognized by its magic bytes, whatever the name says. Which columns are
    /// `wanted`, is for [`read_layout`].
    pub(crate) fn read(path: &Path, options: &ReadOptions, wanted: Wanted<'_>) -> Result<Self, SourceError> {
        let mut warnings = Vec::new();
        let mut encoding = options.encoding;
        let mut content = Content::open(path, options, encoding)?;
        let (mut text, mut is_all) = content.beginning();
        if content.is_compressed && matches!(Compression::of(&text), Some(Compression::Gzip | Compression::Zstd)) {
            let (what, advice) =
                ("a file that is compressed twice", "decompress it once, or pipe it in as `zcat FILE`");
            return Err(SourceError::Unsupported { path: path.to_path_buf(), what, advice });
        }
        refuse_foreign(path, &text, options)?;
        if encoding.is_none()
            && let Some(found) = unmarked_utf16(&text[..text.len().min(sniff::HEAD_BYTES)])
        {
            encoding = Some(found);
            warnings.push("it is read as UTF-16, since every other byte is 0; `encoding` says otherwise".into());
            content = Content::open(path, options, encoding)?;
            (text, is_all) = content.beginning();
        }
        let format = options.format.unwrap_or_else(|| format_of(path, &text, options, wanted));
        // JSON and Zeek are UTF-8 by their definition; what else there is in them is an attacker's.
        let may_be_latin1 = !matches!(format, Format::JsonLines | Format::Zeek | Format::Parquet);
        if encoding.is_none() && may_be_latin1 && is_latin1(&text[..text.len().min(sniff::HEAD_BYTES)]) {
            encoding = Some(Encoding::Latin1);
            warnings.push("it is read as Latin-1, since its bytes are none of UTF-8; `encoding` says otherwise".into());
            content = Content::open(path, options, encoding)?;
            (text, is_all) = content.beginning();
        }
        let mark = text.len() - without_mark(&text).len();
        if format == Format::Parquet && content.is_compressed {
            return Err(SourceError::Unsupported {
                path: path.to_path_buf(),
                what: "a compressed Parquet file",
                advice: "decompress it; Parquet is compressed inside",
            });
        }
        let terminator = terminator_of(&text);
        let mut head = Self {
            path: path.to_path_buf(),
            format,
            terminator,
            encoding,
            layout: None,
            is_in_list: false,
            start: 0,
            start_line: 0,
            lines: Vec::new(),
            is_all,
            warnings,
            spool: None,
        };
        if format == Format::Parquet {
            head.warnings.extend(parquet::warnings(options.file_of(path)));
            return Ok(head);
        }
        let header = |reason| SourceError::Header { path: path.to_path_buf(), reason };
        // What a damaged file does not give will not come.
        let has_ended = text.len() < HEAD_BYTES;
        match read_layout(&text[mark..], has_ended, format, terminator, options, wanted) {
            Ok(begun) => {
                head.start = (mark + begun.start) as u64;
                head.is_in_list = begun.is_in_list();
                if matches!(begun.layout, Layout::Lines { .. }) {
                    head.format = Format::Lines;
                }
                head.layout = Some(begun.layout);
                head.warnings.extend(begun.warnings);
            }
            Err(NoLayout::Empty) => {}
            Err(NoLayout::Header(reason)) => return Err(header(reason)),
            Err(NoLayout::Pending) => return Err(header(format!("it does not end within {HEAD_BYTES} bytes"))),
        }
        head.start_line = memchr_iter(terminator, &text[..head.start as usize]).count() as u64;
        if !is_all {
            text.truncate(memrchr(terminator, &text).map_or(0, |end| end + 1));
        }
        text.drain(..(head.start as usize).min(text.len()));
        head.lines = text;
        Ok(head)
    }

    /// Reads the rows of a database.
    pub(crate) fn database(source: &DatabaseSource) -> Result<Self, SourceError> {
        Ok(Self {
            path: source.display().into(),
            format: Format::Database,
            terminator: b'\n',
            encoding: None,
            layout: None,
            is_in_list: false,
            start: 0,
            start_line: 0,
            lines: Vec::new(),
            is_all: true,
            warnings: Vec::new(),
            spool: Some(Arc::new(Spool::fill(source)?)),
        })
    }

    /// The files that rows come from as columns, and the rows before each.
    pub(crate) fn columnar_files<'a>(&'a self, options: &'a ReadOptions) -> Vec<(u64, &'a Path)> {
        match &self.spool {
            Some(spool) => spool.pieces().collect(),
            None => vec![(0, options.file_of(&self.path))],
        }
    }

    /// Whether rows come as columns, not as a text.
    pub(crate) fn is_columnar(&self) -> bool {
        matches!(self.format, Format::Parquet | Format::Database)
    }

    /// Whether there is nothing in the file.
    pub(crate) fn is_empty(&self) -> bool {
        self.layout.is_none() && !self.is_columnar()
    }

    /// How records are laid out; for Parquet as [`raw_lines`](crate::raw_lines) gives them.
    pub(crate) fn layout(&self) -> &Layout {
        self.layout.as_ref().unwrap_or(&Layout::JsonLines)
    }
}

fn format_of(path: &Path, head: &[u8], options: &ReadOptions, wanted: Wanted<'_>) -> Format {
    let head = without_mark(head);
    let told = || sniff_wanted(head, options.columns.as_deref(), wanted.is_known);
    match by_name(path) {
        // Named by many whatever is between the columns.
        Named::Known(Format::Csv) if !head.starts_with(b"PAR1") && !is_zeek(head) => {
            let first = head.split(|&b| b == b'\n' || b == b'\r').next().unwrap_or_default();
            let is_other = memchr2(b'\t', b'|', first).is_some() && memchr(b',', first).is_none();
            Some(told()).filter(|told| is_other && matches!(told, Format::Tsv | Format::Psv)).unwrap_or(Format::Csv)
        }
        Named::Known(format) if !head.starts_with(b"PAR1") && !is_zeek(head) => format,
        _ => told(),
    }
}

/// What compressed files begin with.
const GZIP: &[u8] = &[0x1f, 0x8b];
const BZIP2: &[u8] = b"BZh";
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// After a first byte of `0x50..=0x5f`.
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];
/// Byte order marks.
const UTF16_LE: &[u8] = &[0xff, 0xfe];
const UTF16_BE: &[u8] = &[0xfe, 0xff];

/// How a file is compressed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Compression {
    Gzip,
    Bzip2,
    Zstd,
}

impl Compression {
    /// By the first 4 bytes.
    pub(crate) fn of(magic: &[u8]) -> Option<Self> {
        let kinds = [(GZIP, Self::Gzip), (BZIP2, Self::Bzip2), (ZSTD, Self::Zstd)];
        // What other programs have to say comes before the text in some, such as those of pzstd.
        let is_skippable = matches!(magic, [0x50..=0x5f, rest @ ..] if rest.starts_with(ZSTD_SKIPPABLE));
        let by_magic = kinds.into_iter().find(|(begins, _)| magic.starts_with(begins)).map(|(_, kind)| kind);
        by_magic.or(is_skippable.then_some(Self::Zstd))
    }
}

/// Whether more bytes are needed to know if some are compressed, or begin with a byte order mark.
pub(crate) fn is_undecided(magic: &[u8]) -> bool {
    let may_be_skippable =
        matches!(magic, [0x50..=0x5f, rest @ ..] if ZSTD_SKIPPABLE.starts_with(rest) && rest.len() < 3);
    let magics = [GZIP, BZIP2, ZSTD, UTF16_LE, UTF16_BE];
    may_be_skippable || magics.iter().any(|whole| whole.len() > magic.len() && whole.starts_with(magic))
}

/// The encoding that a byte order mark of UTF-16 says.
pub(crate) fn utf16_mark(magic: &[u8]) -> Option<Encoding> {
    let marks = [(UTF16_LE, Encoding::Utf16Le), (UTF16_BE, Encoding::Utf16Be)];
    marks.into_iter().find(|(mark, _)| magic.starts_with(mark)).map(|(_, encoding)| encoding)
}

/// The decompressed content of a file as UTF-8.
#[derive(Debug)]
pub(crate) struct Content {
    text: Encoded,
    is_compressed: bool,
}

#[derive(Debug)]
enum Encoded {
    Plain(Metered),
    Utf16(Utf16<Metered>),
    Latin1(Latin1<Metered>),
}

impl Content {
    /// Opens a file.
    pub(crate) fn open(path: &Path, options: &ReadOptions, encoding: Option<Encoding>) -> Result<Self, SourceError> {
        let open = |source| SourceError::Open { path: path.to_path_buf(), source };
        let file = options.file_of(path);
        // Looked at before it is opened: opening a pipe waits for its writer, and a file is read more than once.
        let metadata = file.metadata().map_err(open)?;
        if metadata.is_dir() {
            return Err(open(io::ErrorKind::IsADirectory.into()));
        }
        if !metadata.is_file() {
            return Err(SourceError::Unsupported {
                path: path.to_path_buf(),
                what: "no regular file",
                advice: "copy it to a file first, or pipe it in and name `-`",
            });
        }
        Self::new(options.counter.count(File::open(file).map_err(open)?), options.max_file_bytes, encoding)
            .map_err(open)
    }

    /// The content of what is not a file.
    pub(crate) fn new(
        mut raw: impl Read + Send + 'static,
        max_bytes: u64,
        encoding: Option<Encoding>,
    ) -> io::Result<Self> {
        let mut magic = Vec::new();
        raw.by_ref().take(4).read_to_end(&mut magic)?;
        let compression = Compression::of(&magic);
        let mut utf16 = utf16_mark(&magic);
        let raw = Cursor::new(magic).chain(raw);
        let inner: Box<dyn Read + Send> = match compression {
            None => Box::new(raw),
            Some(compression) => {
                let raw = BufReader::with_capacity(BUFFER_BYTES, raw);
                let decompressed: Box<dyn Read + Send> = match compression {
                    Compression::Gzip => Box::new(Gzip::new(raw)),
                    Compression::Bzip2 => Box::new(Bzip2::new(raw)),
                    Compression::Zstd => Box::new(Zstd::new(raw)?),
                };
                let mut pieces = Pieces::of(decompressed);
                utf16 = utf16_mark(pieces.beginning());
                Box::new(pieces)
            }
        };
        let metered = Metered { inner, digest: blake3::Hasher::new(), n_bytes: 0, max_bytes, failed: None };
        let text = match (encoding, utf16) {
            (Some(Encoding::Latin1), _) => Encoded::Latin1(Latin1::new(metered, char::from)),
            (Some(Encoding::Windows1252), _) => Encoded::Latin1(Latin1::new(metered, windows_1252)),
            (Some(Encoding::Utf8), _) => Encoded::Plain(metered),
            (Some(Encoding::Utf16Be), _) | (_, Some(Encoding::Utf16Be)) => {
                Encoded::Utf16(Utf16::new(metered, u16::from_be_bytes))
            }
            (Some(Encoding::Utf16 | Encoding::Utf16Le), _) | (_, Some(_)) => {
                Encoded::Utf16(Utf16::new(metered, u16::from_le_bytes))
            }
            (None, None) => Encoded::Plain(metered),
        };
        Ok(Self { text, is_compressed: compression.is_some() })
    }

    /// The same from a byte of the text on, where that can be had without reading what is before: of a file that is neither
    /// compressed nor decoded.
    pub(crate) fn open_at(
        path: &Path,
        options: &ReadOptions,
        encoding: Option<Encoding>,
        offset: u64,
    ) -> Result<Option<Self>, SourceError> {
        let open = |source| SourceError::Open { path: path.to_path_buf(), source };
        let mut content = Self::open(path, options, encoding)?;
        let Encoded::Plain(metered) = &mut content.text else { return Ok(None) };
        if content.is_compressed {
            return Ok(None);
        }
        let mut file = File::open(options.file_of(path)).map_err(open)?;
        file.seek(SeekFrom::Start(offset)).map_err(open)?;
        metered.inner = Box::new(file);
        Ok(Some(content))
    }

    /// The beginning, and whether that is all. What cannot be read here is found again when the file is read.
    fn beginning(&mut self) -> (Vec<u8>, bool) {
        let mut text = Vec::new();
        let is_read = self.take(HEAD_BYTES as u64).read_to_end(&mut text).is_ok();
        let is_all = is_read && text.len() < HEAD_BYTES;
        (text, is_all)
    }

    /// Size and BLAKE3 of what has been read, before it was made UTF-8.
    pub(crate) fn measure(self) -> (u64, [u8; 32]) {
        match self.text {
            Encoded::Plain(metered) => metered.measure(),
            Encoded::Utf16(decoder) => decoder.into_inner().measure(),
            Encoded::Latin1(decoder) => decoder.into_inner().measure(),
        }
    }
}

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.text {
            Encoded::Plain(metered) => metered.read(buf),
            Encoded::Utf16(decoder) => decoder.read(buf),
            Encoded::Latin1(decoder) => decoder.read(buf),
        }
    }
}

/// Asks a decompressor for as many bytes each time, whatever it is asked for itself: what a broken file gives before its error
/// depends on that.
struct Pieces<R> {
    inner: R,
    piece: Vec<u8>,
    /// What of the piece has not been given yet.
    rest: Range<usize>,
    /// Why there was no first piece, until that is asked for.
    failed: Option<io::Error>,
}

impl<R: Read> Pieces<R> {
    fn of(inner: R) -> Self {
        Self { inner, piece: vec![0; PIECE_BYTES], rest: 0..0, failed: None }
    }

    /// The first piece; nothing if it cannot be had.
    fn beginning(&mut self) -> &[u8] {
        match self.inner.read(&mut self.piece) {
            Ok(n) => self.rest = 0..n,
            Err(error) => self.failed = Some(error),
        }
        &self.piece[self.rest.clone()]
    }
}

impl<R: Read> Read for Pieces<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.rest.is_empty() && !buf.is_empty() {
            self.rest = 0..self.inner.read(&mut self.piece)?;
        }
        let n = self.rest.len().min(buf.len());
        buf[..n].copy_from_slice(&self.piece[self.rest.start..self.rest.start + n]);
        self.rest.start += n;
        Ok(n)
    }
}

/// Counts and digests what is read, and stops at a limit: a small compressed file may hold terabytes.
pub(crate) struct Metered {
    inner: Box<dyn Read + Send>,
    digest: blake3::Hasher,
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
        (self.n_bytes, self.digest.finalize().into())
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
                self.digest.update(&buf[..*n]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.failed = Some((error.kind(), error.to_string())),
        }
        result
    }
}
