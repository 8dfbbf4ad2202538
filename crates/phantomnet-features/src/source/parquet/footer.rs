//! The footer of a Parquet file, looked over before the library reads it.
//!
//! The library goes down one level of recursion for each level of the schema, without a bound: a footer of 100 kB that nests 10,000
//! groups would end the program.
//!
//! Source: Apache Parquet, `parquet.thrift`.

use std::io::{Read, Seek, SeekFrom};

use parquet::errors::ParquetError;
use parquet::file::metadata::FooterTail;

use super::compact::{Compact, I32, LIST, STRUCT};

/// Levels of a schema that are read; more than any writer makes.
const MAX_LEVELS: usize = 128;

const TAIL_BYTES: u64 = 8;

/// Refuses a file whose schema has too many levels, or whose footer is broken.
pub(super) fn check(file: &mut (impl Read + Seek)) -> Result<(), ParquetError> {
    let n_bytes = file.seek(SeekFrom::End(0))?;
    let mut tail = [0; TAIL_BYTES as usize];
    file.seek(SeekFrom::Start(n_bytes.saturating_sub(TAIL_BYTES)))?;
    file.read_exact(&mut tail).map_err(|_| broken("it is too short"))?;
    let tail = FooterTail::try_new(&tail)?;
    if tail.is_encrypted_footer() {
        return Err(broken("it is encrypted"));
    }
    let length = tail.metadata_length() as u64;
    let start = n_bytes.checked_sub(TAIL_BYTES + length).ok_or_else(|| broken("its footer is longer than the file"))?;
    file.seek(SeekFrom::Start(start))?;
    let mut footer = Vec::new();
    file.by_ref().take(length).read_to_end(&mut footer)?;
    file.rewind()?;
    levels(&footer).ok_or_else(|| broken("its footer is broken")).and_then(|n| match n {
        0..=MAX_LEVELS => Ok(()),
        _ => Err(broken("its schema has more than 128 levels")),
    })
}

fn broken(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

/// How deep the schema in a footer goes, which is no less than what the library would go down, or [`MAX_LEVELS`] + 1; `None` where it is
/// broken.
fn levels(footer: &[u8]) -> Option<usize> {
    const SCHEMA: i64 = 2;
    const CHILDREN: i64 = 5;
    let mut compact = Compact::of(footer);
    let mut deepest = 0;
    let mut id = 0;
    while let Some(kind) = compact.field(&mut id)? {
        if id != SCHEMA {
            compact.skip(kind)?;
            continue;
        }
        let (n, STRUCT) = compact.list().filter(|_| kind == LIST)? else { return None };
        // Children to come of each group around the element at hand.
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..n {
            let (mut id, mut n_children) = (0, 0);
            while let Some(kind) = compact.field(&mut id)? {
                match (id, kind) {
                    (CHILDREN, I32) => n_children = compact.integer()?,
                    (CHILDREN, _) => return None,
                    _ => compact.skip(kind)?,
                }
            }
            open.last_mut().into_iter().for_each(|left| *left -= 1);
            if n_children > 0 {
                open.push(n_children);
                deepest = deepest.max(open.len());
                if deepest > MAX_LEVELS {
                    return Some(deepest);
                }
            } else {
                while open.last() == Some(&0) {
                    open.pop();
                }
            }
        }
    }
    Some(deepest)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use rstest::rstest;

    use super::super::compact::STOP;
    use super::*;

    /// A footer with a version, and a schema of elements with so many children each.
    fn footer(children: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x15, 2, 0x19, 0xf0 | STRUCT];
        bytes.extend([children.len() as u8 & 0x7f | 0x80, (children.len() >> 7) as u8]);
        for &n in children {
            // A name of one letter, the children, the end.
            bytes.extend([0x48, 1, b'x']);
            bytes.extend((n > 0).then_some([0x15, n << 1]).into_iter().flatten());
            bytes.push(STOP);
        }
        // A number of rows, a list of no row groups.
        bytes.extend([0x16, 0, 0x19, STRUCT, STOP]);
        bytes
    }

    fn file(footer: &[u8], length: u32) -> Cursor<Vec<u8>> {
        Cursor::new([b"PAR1", footer, &length.to_le_bytes(), b"PAR1"].concat())
    }

    #[rstest]
    #[case(&[0], 0)]
    #[case(&[2, 0, 0], 1)]
    #[case(&[2, 1, 0, 1, 1, 0], 3)]
    #[case(&[1; 50], 50)]
    #[case(&[3, 1, 1, 1, 0, 0, 1, 0], 4)]
    fn levels_by_hand(#[case] children: &[u8], #[case] expected: usize) {
        assert_eq!(levels(&footer(children)), Some(expected));
    }

    #[test]
    fn schemas_without_end_are_refused() {
        let mut deep = vec![1; 127];
        deep.push(0);
        let footer_of = |children: &[u8]| footer(children);
        let within = footer_of(&deep);
        assert!(check(&mut file(&within, within.len() as u32)).is_ok());
        let beyond = footer_of(&[1; 5000]);
        let error = check(&mut file(&beyond, beyond.len() as u32)).unwrap_err().to_string();
        assert!(error.contains("more than 128 levels"), "{error}");
    }

    #[rstest]
    #[case::cut(&[0x15, 2, 0x19], "its footer is broken")]
    #[case::other_type(&[0x25, 2, 0], "its footer is broken")]
    #[case::long_list(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f], "its footer is broken")]
    #[case::levels_of_lists(&[0x99; 4000], "its footer is broken")]
    #[case::long_number(&[0xff; 40], "its footer is broken")]
    fn broken_footers(#[case] footer: &[u8], #[case] expected: &str) {
        let error = check(&mut file(footer, footer.len() as u32)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn broken_files() {
        let error = |mut file: Cursor<Vec<u8>>| check(&mut file).unwrap_err().to_string();
        assert!(error(Cursor::new(b"PAR1".to_vec())).contains("too short"));
        assert!(error(file(&[0], 4_000_000_000)).contains("longer than the file"));
        assert!(error(Cursor::new([0; 20].to_vec())).contains("Corrupt footer"));
        let mut encrypted = file(&[0], 1).into_inner();
        let n = encrypted.len();
        encrypted[n - 4..].copy_from_slice(b"PARE");
        assert!(error(Cursor::new(encrypted)).contains("encrypted"));
    }
}
