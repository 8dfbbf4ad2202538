//! The headers of a Parquet file's pages, looked over before the library reads them.
//!
//! The library passes over a list of booleans without reading: 6 bytes keep it busy for a second. It takes the fields it knows for what
//! they should be, whatever their type says, so that such a list may hide in one. And it makes room for as many bytes as a page
//! says to have when it is decompressed.
//!
//! Source: Apache Parquet, `parquet.thrift` (PageHeader).

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::compact::{Compact, FALSE, I32, STRUCT, TRUE};

/// Bytes of a page when it is decompressed. Writers make pages of 1 MB.
const MAX_PAGE_BYTES: i64 = 1 << 29;

/// Bytes of a header, which may hold the least and the greatest value of its page.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// What most headers fit in.
const USUAL_BYTES: u64 = 4096;

/// A file whose pages are read by their headers.
pub(super) struct Paged {
    file: File,
    n_bytes: u64,
}

impl Paged {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let n_bytes = file.metadata()?.len();
        Ok(Self { file, n_bytes })
    }
}

impl Length for Paged {
    fn len(&self) -> u64 {
        self.n_bytes
    }
}

impl ChunkReader for Paged {
    type T = Header;

    /// The header at a place: nothing else is read by this.
    fn get_read(&self, start: u64) -> Result<Header> {
        Ok(Header { file: self.file.try_clone()?, start, bytes: None })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.n_bytes) {
            return Err(ParquetError::EOF(format!("a page ends {length} bytes after byte {start}, beyond the file")));
        }
        self.file.get_bytes(start, length)
    }
}

/// A header, read when it is asked for: the library opens one at each page, also where it has read that before.
pub(super) struct Header {
    file: File,
    start: u64,
    bytes: Option<Cursor<Vec<u8>>>,
}

impl Read for Header {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_none() {
            self.file.seek(SeekFrom::Start(self.start))?;
            self.bytes = Some(Cursor::new(read_header(&mut self.file)?));
        }
        self.bytes.as_mut().map_or(Ok(0), |bytes| bytes.read(buf))
    }
}

/// The bytes of the header that a text begins with.
fn read_header(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("the header of a page {what}"));
    let (mut bytes, mut limit) = (Vec::new(), USUAL_BYTES);
    loop {
        let n_asked = limit - bytes.len() as u64;
        let n_read = from.take(n_asked).read_to_end(&mut bytes)? as u64;
        let mut rest = Compact::of(&bytes);
        match page_bytes(&mut rest) {
            Some(n) if n > MAX_PAGE_BYTES => return Err(broken(&format!("says that it has {n} bytes"))),
            Some(_) => {
                let n_bytes = bytes.len() - rest.rest().len();
                bytes.truncate(n_bytes);
                return Ok(bytes);
            }
            None if n_read < n_asked || limit >= MAX_HEADER_BYTES => return Err(broken("is broken")),
            None => limit *= 64,
        }
    }
}

/// Passes over a header; how many bytes its page has when it is decompressed. `None` where a field is not of the type that it should be.
fn page_bytes(header: &mut Compact<'_>) -> Option<i64> {
    const UNCOMPRESSED: i64 = 2;
    let (mut id, mut n_bytes) = (0, 0);
    while let Some(kind) = header.field(&mut id)? {
        match (id, kind) {
            (UNCOMPRESSED, I32) => n_bytes = header.integer()?,
            (1..=4, I32) => header.skip(kind)?,
            (5..=8, STRUCT) => {
                // Of data, of an index (empty), of a dictionary, of data in version 2: numbers, one boolean, statistics.
                let (n_numbers, boolean, statistics) = [(4, 0, 5), (0, 0, 0), (2, 3, 0), (6, 7, 8)][id as usize - 5];
                let mut id = 0;
                while let Some(kind) = header.field(&mut id)? {
                    let is_known = (1..=n_numbers).contains(&id) || id == boolean || id == statistics;
                    let is_expected = match kind {
                        I32 => (1..=n_numbers).contains(&id),
                        TRUE | FALSE => id == boolean,
                        STRUCT => id == statistics,
                        _ => false,
                    };
                    if is_known && !is_expected {
                        return None;
                    }
                    header.skip(kind)?;
                }
            }
            (1..=8, _) => return None,
            _ => header.skip(kind)?,
        }
    }
    Some(n_bytes)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Of a page of data: its type, 70 and 60 bytes, two values, three encodings.
    const DATA: &[u8] = &[0x15, 0, 0x15, 140, 1, 0x15, 120, 0x2c, 0x15, 4, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];

    fn read(bytes: &[u8]) -> std::result::Result<Vec<u8>, String> {
        read_header(&mut &bytes[..]).map_err(|error| error.to_string())
    }

    #[test]
    fn headers_are_read_to_their_ends() {
        assert_eq!(page_bytes(&mut Compact::of(DATA)), Some(70));
        assert_eq!(read(&[DATA, b"the page"].concat()).unwrap(), DATA);
        // With a checksum, statistics with a greatest value of 1 MB, and a field that is not known yet.
        let greatest = [&[0x1c, 0x18, 0x80, 0x80, 0x40][..], &[b'x'; 1 << 20], &[0, 0]].concat();
        let long =
            [&DATA[..7], &[0x15, 1], &[0x1c, 0x15, 4, 0x15, 0, 0x15, 6, 0x15, 6], &greatest, &[0x79, 0x25, 1, 2, 0]];
        let long = long.concat();
        assert_eq!(page_bytes(&mut Compact::of(&long)), Some(70));
        assert!(read(&[&long, &b"the page"[..]].concat()).unwrap() == long);
        // Of a page in version 2 and of a dictionary, with their booleans.
        let second =
            [0x15, 6, 0x15, 2, 0x15, 2, 0x5c, 0x15, 2, 0x15, 0, 0x15, 2, 0x15, 0, 0x15, 0, 0x15, 0, 0x11, 0, 0];
        let dictionary = [0x15, 4, 0x15, 2, 0x15, 2, 0x4c, 0x15, 2, 0x15, 0, 0x12, 0, 0];
        assert_eq!((read(&second).unwrap(), read(&dictionary).unwrap()), (second.to_vec(), dictionary.to_vec()));
    }

    #[rstest]
    #[case::cut(&DATA[..9])]
    // A field that is not known, with 2 billion booleans.
    #[case::booleans(&[0x15, 0, 0x15, 2, 0x15, 2, 0x99, 0xf1, 0xff, 0xff, 0xff, 0xff, 7, 0])]
    // In place of the type, of a number of values, of statistics.
    #[case::other_type(&[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 7, 0])]
    #[case::other_type_within(&[0x15, 0, 0x15, 2, 0x15, 2, 0x2c, 0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 7, 0, 0])]
    #[case::no_statistics(&[0x15, 0, 0x15, 2, 0x15, 2, 0x2c, 0x5b, 0xff, 0xff, 0xff, 0xff, 7, 0x11, 0, 0])]
    #[case::number_as_boolean(&[0x15, 4, 0x15, 2, 0x15, 2, 0x4c, 0x15, 2, 0x11, 0, 0])]
    fn what_the_library_would_misread_is_refused(#[case] bytes: &[u8]) {
        assert_eq!(read(bytes).unwrap_err(), "the header of a page is broken");
    }

    #[test]
    fn what_a_page_may_take_is_bounded() {
        // 2^30 in zigzag.
        let bytes = [0x15, 0, 0x15, 0x80, 0x80, 0x80, 0x80, 8, 0];
        assert_eq!(read(&bytes).unwrap_err(), "the header of a page says that it has 1073741824 bytes");
        let endless =
            [&DATA[..7], &[0x1c, 0x15, 4, 0x1c, 0x18, 0xff, 0xff, 0xff, 0x7f], &vec![b'x'; 17 << 20]].concat();
        assert_eq!(read(&endless).unwrap_err(), "the header of a page is broken");
        let paged = Paged { file: tempfile::tempfile().unwrap(), n_bytes: 100 };
        for (start, length) in [(90, 11), (u64::MAX, 1)] {
            assert!(paged.get_bytes(start, length).unwrap_err().to_string().contains("beyond the file"));
        }
    }
}
