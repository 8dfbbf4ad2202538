//! The pages of a Parquet file, looked over before the library decodes them.
//!
//! The library makes room for as many values as a page says that it has, and for all that the lists of a batch have: 50 bytes can say
//! 2 billion. What is refused here is more than writers make.
//!
//! Source: Apache Parquet, `README.md` (Data Pages) and `Encodings.md` (RLE/bit-packing hybrid, delta encodings).

use std::sync::Arc;

use arrow_schema::{DataType, Schema};
use parquet::arrow::array_reader::RowGroups;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::BATCH_ROWS;
use super::compact::Compact;
use super::header::Paged;

/// Values of a page, and of the lists of a column in [`BATCH_ROWS`] rows: 4,096 a row.
const MAX_VALUES: u64 = 1 << 25;

/// Bytes of a value of fixed length, for which there is room where it is missing too.
const MAX_FIXED_BYTES: usize = 1 << 16;

/// Refuses columns of which each row, even a missing one, takes more than [`MAX_FIXED_BYTES`].
pub(super) fn check_widths(parquet: &SchemaDescriptor, arrow: &Schema) -> Result<()> {
    fn width(data_type: &DataType) -> usize {
        let length = |n: i32| usize::try_from(n).unwrap_or(usize::MAX);
        match data_type {
            DataType::FixedSizeBinary(n) => length(*n),
            DataType::FixedSizeList(item, n) => length(*n).saturating_mul(width(item.data_type())),
            DataType::Struct(fields) => fields.iter().map(|f| width(f.data_type())).max().unwrap_or(0),
            DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => width(item.data_type()),
            _ => size_of::<u64>(),
        }
    }
    let of_bytes = parquet.columns().iter().filter(|c| c.physical_type() == Type::FIXED_LEN_BYTE_ARRAY);
    let of_bytes = of_bytes.map(|c| (c.path().string(), usize::try_from(c.type_length()).unwrap_or(usize::MAX)));
    let others = arrow.fields().iter().map(|f| (f.name().clone(), width(f.data_type())));
    match of_bytes.chain(others).find(|&(_, width)| width > MAX_FIXED_BYTES) {
        Some((name, _)) => Err(refused(format!("each value of `{name}` takes more than {MAX_FIXED_BYTES} bytes"))),
        None => Ok(()),
    }
}

fn refused(what: String) -> ParquetError {
    ParquetError::General(what)
}

/// All row groups of a file.
pub(super) struct Checked {
    pub(super) file: Arc<Paged>,
    pub(super) metadata: Arc<ParquetMetaData>,
}

impl RowGroups for Checked {
    fn num_rows(&self) -> usize {
        self.row_groups().map(|group| group.num_rows().max(0) as usize).sum()
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let (file, metadata) = (Arc::clone(&self.file), Arc::clone(&self.metadata));
        Ok(Box::new(Chunks { file, metadata, column, group: 0 }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.metadata.row_groups().iter())
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// What the row groups of a file have of a column.
struct Chunks {
    file: Arc<Paged>,
    metadata: Arc<ParquetMetaData>,
    column: usize,
    /// The next one.
    group: usize,
}

impl Iterator for Chunks {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.metadata.row_groups().get(self.group)?;
        self.group += 1;
        let chunk = group.column(self.column);
        let unread = match chunk.compression() {
            // The library would decompress it without a limit.
            Compression::BROTLI(_) => Some("Brotli"),
            Compression::LZO => Some("LZO"),
            _ => None,
        };
        if let Some(codec) = unread {
            let column = chunk.column_path().string();
            return Some(Err(refused(format!("`{column}` is compressed by {codec}, which is not read; Zstandard is"))));
        }
        let n_rows = group.num_rows().max(0) as usize;
        let pages = SerializedPageReader::new(Arc::clone(&self.file), chunk, n_rows, None);
        let check = Check::of(chunk.column_descr());
        Some(pages.map(|pages| Box::new(Pages { pages, check }) as _))
    }
}

impl PageIterator for Chunks {}

/// The pages of a column in a row group.
struct Pages {
    pages: SerializedPageReader<Paged>,
    check: Check,
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.iter().try_for_each(|page| self.check.page(page))?;
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

/// What the pages of a column may say.
struct Check {
    /// Bits of a level of repetition, 0 where there are no lists, and of one of definition.
    repetition_bits: u32,
    definition_bits: u32,
    /// Bytes that a value of a dictionary takes at least.
    value_bytes: usize,
    /// Rows since there were [`BATCH_ROWS`], and values of their lists.
    n_rows: u64,
    n_values: u64,
}

impl Check {
    fn of(column: &ColumnDescriptor) -> Self {
        let bits = |max_level: i16| i16::BITS - max_level.leading_zeros();
        let value_bytes = match column.physical_type() {
            Type::BOOLEAN => 1,
            // A length at least, of text.
            Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            Type::FIXED_LEN_BYTE_ARRAY => usize::try_from(column.type_length()).unwrap_or(0).max(1),
        };
        let (repetition_bits, definition_bits) = (bits(column.max_rep_level()), bits(column.max_def_level()));
        Self { repetition_bits, definition_bits, value_bytes, n_rows: 0, n_values: 0 }
    }

    fn page(&mut self, page: &Page) -> Result<()> {
        let n_values = u64::from(page.num_values());
        let n_lengths = match page.encoding() {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
            Encoding::DELTA_BYTE_ARRAY => 2,
            _ => 0,
        };
        let limit = match page {
            Page::DictionaryPage { buf, .. } => (buf.len() / self.value_bytes) as u64,
            _ if n_lengths > 0 => MAX_VALUES,
            _ => u64::MAX,
        };
        if n_values > limit {
            return Err(refused(format!("a page says that it has {n_values} values, where {limit} may be")));
        }
        let broken = || refused("a page ends amid what it has to say".into());
        let Some((repetition, values)) = self.parts(page).ok_or_else(broken)? else { return Ok(()) };
        if self.repetition_bits > 0 {
            self.lists(repetition, n_values).ok_or_else(broken)?;
            if self.n_values > MAX_VALUES {
                return Err(refused(format!("lists have more than {MAX_VALUES} values in {BATCH_ROWS} rows")));
            }
        }
        let mut lengths = Compact::of(values);
        for _ in 0..n_lengths {
            if pass_lengths(&mut lengths, n_values).ok_or_else(broken)? > n_values {
                return Err(refused(format!("a page of {n_values} values has the lengths of more")));
            }
        }
        Ok(())
    }

    /// The levels of repetition and the values of a page of data; no levels where they are packed in bits, of which each takes one.
    fn parts<'a>(&self, page: &'a Page) -> Option<Option<(&'a [u8], &'a [u8])>> {
        match page {
            Page::DictionaryPage { .. } => Some(None),
            Page::DataPage { buf, num_values, def_level_encoding, rep_level_encoding, .. } => {
                let levels = |encoding: Encoding, bits: u32, buf: &'a [u8]| match encoding {
                    _ if bits == 0 => Some((&buf[..0], buf)),
                    Encoding::RLE => {
                        let (length, rest) = buf.split_first_chunk()?;
                        rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
                    }
                    _ => {
                        let n_bytes = (u64::from(*num_values) * u64::from(bits)).div_ceil(8);
                        Some((&buf[..0], buf.get(usize::try_from(n_bytes).ok()?..)?))
                    }
                };
                let (repetition, rest) = levels(*rep_level_encoding, self.repetition_bits, buf)?;
                let (_, values) = levels(*def_level_encoding, self.definition_bits, rest)?;
                Some(Some((repetition, values)))
            }
            Page::DataPageV2 { buf, rep_levels_byte_len, def_levels_byte_len, .. } => {
                let (repetition, rest) = buf.split_at_checked(usize::try_from(*rep_levels_byte_len).ok()?)?;
                Some(Some((repetition, rest.get(usize::try_from(*def_levels_byte_len).ok()?..)?)))
            }
        }
    }

    /// Counts rows and values in levels of repetition, of which 0 begins a row, up to a number of values or more than may be.
    fn lists(&mut self, levels: &[u8], n_values: u64) -> Option<()> {
        let bits = u64::from(self.repetition_bits);
        let mut levels = Compact::of(levels);
        let mut left = n_values;
        while left > 0 && !levels.rest().is_empty() && self.n_values <= MAX_VALUES {
            let header = levels.unsigned()?;
            if header & 1 == 0 {
                let n = left.min(header >> 1);
                let begins_rows = levels.rest().first() == Some(&0) && (bits <= 8 || levels.rest().get(1) == Some(&0));
                levels.pass(bits.div_ceil(8))?;
                self.count(n, begins_rows);
                left -= n;
                continue;
            }
            let n_bytes = (header >> 1).checked_mul(bits)?;
            let packed = levels.rest();
            // The last ones may be cut, and are filled up.
            levels.pass(n_bytes.min(packed.len() as u64))?;
            let packed = &packed[..packed.len() - levels.rest().len()];
            let n = left.min(packed.len() as u64 * 8 / bits);
            for level in 0..n {
                let is_set = |bit: u64| packed[(bit / 8) as usize] >> (bit % 8) & 1 == 1;
                self.count(1, !(level * bits..(level + 1) * bits).any(is_set));
            }
            left -= n;
        }
        Some(())
    }

    fn count(&mut self, n: u64, begins_rows: bool) {
        if begins_rows {
            self.n_rows += n;
            if self.n_rows >= BATCH_ROWS as u64 {
                (self.n_rows, self.n_values) = (0, 0);
            }
        } else {
            self.n_values += n;
        }
    }
}

/// Passes over numbers of the delta encoding, in no more than it takes for `limit`; how many they say to be.
fn pass_lengths(numbers: &mut Compact<'_>, limit: u64) -> Option<u64> {
    let (block, n_parts, n) = (numbers.unsigned()?, numbers.unsigned()?, numbers.unsigned()?);
    numbers.integer()?;
    let part = block.checked_div(n_parts).filter(|&part| part > 0)?;
    // The first is in the header.
    let mut left = if n > limit { 0 } else { n.saturating_sub(1) };
    while left > 0 {
        numbers.integer()?;
        let widths = numbers.rest();
        numbers.pass(n_parts)?;
        for &width in &widths[..n_parts as usize] {
            if left == 0 {
                break;
            }
            numbers.pass(part.checked_mul(u64::from(width))?.div_ceil(8))?;
            left = left.saturating_sub(part);
        }
    }
    Some(n)
}

#[cfg(test)]
mod tests {
    use parquet::schema::parser::parse_message_type;
    use rstest::rstest;

    use super::*;

    fn check(column: &str) -> Check {
        let schema = parse_message_type(&format!("message m {{ {column}; }}")).unwrap();
        Check::of(&SchemaDescriptor::new(Arc::new(schema)).column(0))
    }

    fn page(n_values: u32, encoding: Encoding, bytes: &[u8]) -> Page {
        Page::DataPage {
            buf: bytes.to_vec().into(),
            num_values: n_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        }
    }

    /// A page of lists in version 2, of which nothing but the levels of repetition is there.
    fn lists(n_values: u32, levels: &[u8]) -> Page {
        Page::DataPageV2 {
            buf: levels.to_vec().into(),
            num_values: n_values,
            encoding: Encoding::PLAIN,
            num_nulls: 0,
            num_rows: 1,
            def_levels_byte_len: 0,
            rep_levels_byte_len: levels.len() as u32,
            is_compressed: false,
            statistics: None,
        }
    }

    fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value > 0x7f {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    /// Runs of a level each.
    fn runs(runs: &[(u64, u8)]) -> Vec<u8> {
        runs.iter().flat_map(|&(n, level)| [varint(n << 1), vec![level]].concat()).collect()
    }

    #[rstest]
    #[case("required int32 a", 40, 10)]
    #[case("required int64 a", 40, 5)]
    #[case("required binary a", 40, 10)]
    #[case("required fixed_len_byte_array(5) a", 40, 8)]
    #[case("required boolean a", 40, 40)]
    fn dictionaries_hold_what_they_say(#[case] column: &str, #[case] n_bytes: usize, #[case] limit: u32) {
        let dictionary = |num_values| Page::DictionaryPage {
            buf: vec![0; n_bytes].into(),
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        assert!(check(column).page(&dictionary(limit)).is_ok());
        let error = check(column).page(&dictionary(limit + 1)).unwrap_err().to_string();
        assert!(error.contains(&format!("{} values, where {limit} may be", limit + 1)), "{error}");
    }

    #[test]
    fn lists_are_counted_by_rows() {
        let n_most = MAX_VALUES as u32;
        // A row is a level 0 and the 1s after it.
        let counted = |pages: &[(u32, &[u8])]| {
            let mut check = check("repeated int32 a");
            pages.iter().try_for_each(|&(n, levels)| check.page(&lists(n, levels)))?;
            Ok::<_, ParquetError>((check.n_rows, check.n_values))
        };
        assert_eq!(counted(&[(6, &runs(&[(1, 0), (5, 1)]))]).unwrap(), (1, 5));
        // What the levels have beyond the page is no value of it.
        assert_eq!(counted(&[(4, &runs(&[(1, 0), (5, 1)]))]).unwrap(), (1, 3));
        // Packed: 0b0101_1110 and 0b01, the lowest bit first.
        assert_eq!(counted(&[(10, &[0b101, 0b0101_1110, 0b01])]).unwrap(), (4, 6));
        assert_eq!(counted(&[(n_most, &runs(&[(1, 0), (MAX_VALUES, 1)]))]).unwrap(), (1, MAX_VALUES - 1));
        // A row goes on in the next page.
        let (first, next) = (runs(&[(1, 0), (MAX_VALUES, 1)]), runs(&[(9, 1)]));
        assert_eq!(counted(&[(n_most, &first), (1, &next)]).unwrap().1, MAX_VALUES);
        let error = counted(&[(n_most, &first), (2, &next)]).unwrap_err().to_string();
        assert!(error.contains("more than 33554432 values in 8192 rows"), "{error}");
        assert!(counted(&[(u32::MAX, &runs(&[(1, 0), (1 << 40, 1)]))]).is_err());
        // Many rows may have as many each time.
        let full = runs(&[(8191, 0), (MAX_VALUES, 1), (1, 0)]);
        assert_eq!(counted(&[(8192 + n_most, &full), (8192 + n_most, &full)]).unwrap(), (0, 0));
        for broken in [&[0xff; 11][..], &[2]] {
            assert!(counted(&[(9, broken)]).unwrap_err().to_string().contains("ends amid"));
        }
    }

    /// A header (block, parts, values, first), then per block the least delta, the width of each part, and its bits.
    #[rstest]
    #[case::header_only(&[0x80, 1, 4, 1, 6], 1, Some((1, 0)))]
    #[case::of_no_width(&[0x80, 1, 4, 100, 6, 2, 0, 0, 0, 0, 9], 100, Some((100, 1)))]
    // 33 values after the first: the second part is there, the third and fourth are not.
    #[case::parts_left_out(&[&[0x80, 1, 4, 34, 6, 2, 1, 2, 7, 7][..], &[0; 12], &[9]].concat(), 34, Some((34, 1)))]
    #[case::more_than_said(&[0x80, 1, 4, 101, 6], 100, Some((101, 0)))]
    #[case::cut(&[0x80, 1, 4, 100, 6, 2, 1], 100, None)]
    #[case::no_parts(&[0x80, 1, 0, 100, 6], 100, None)]
    #[case::wide(&[0x80, 1, 1, 100, 6, 2, 200], 100, None)]
    fn lengths_by_hand(#[case] bytes: &[u8], #[case] limit: u64, #[case] expected: Option<(u64, usize)>) {
        let mut numbers = Compact::of(bytes);
        let passed = pass_lengths(&mut numbers, limit);
        assert_eq!(passed.map(|n| (n, numbers.rest().len())), expected);
    }

    #[test]
    fn lengths_are_no_more_than_values() {
        let text = |n_values, n_lengths: u64| {
            let lengths = [vec![0x80, 1, 4], varint(n_lengths), vec![0]].concat();
            check("required binary a").page(&page(n_values, Encoding::DELTA_LENGTH_BYTE_ARRAY, &lengths))
        };
        assert!(text(1, 1).is_ok());
        let error = text(8, 1 << 31).unwrap_err().to_string();
        assert!(error.contains("a page of 8 values has the lengths of more"), "{error}");
        let error = text(1 << 31, 1 << 31).unwrap_err().to_string();
        assert!(error.contains("2147483648 values, where 33554432 may be"), "{error}");
    }

    #[test]
    fn values_of_a_great_fixed_length_are_refused() {
        let error = |column: &str, arrow: DataType| {
            let schema = parse_message_type(&format!("message m {{ {column}; }}")).unwrap();
            let arrow = Schema::new(vec![arrow_schema::Field::new("a", arrow, true)]);
            check_widths(&SchemaDescriptor::new(Arc::new(schema)), &arrow).err().map(|error| error.to_string())
        };
        let list = |n, item| DataType::new_fixed_size_list(item, n, true);
        assert_eq!(error("required fixed_len_byte_array(65536) a", DataType::FixedSizeBinary(65_536)), None);
        assert_eq!(error("repeated int64 a", list(8192, DataType::Int64)), None);
        let expected = Some("Parquet error: each value of `a` takes more than 65536 bytes".to_owned());
        assert_eq!(error("required fixed_len_byte_array(65537) a", DataType::Utf8), expected);
        assert_eq!(error("repeated int64 a", list(8193, DataType::Int64)), expected);
        assert_eq!(error("repeated int64 a", list(1 << 20, list(1 << 20, DataType::Int64))), expected);
    }
}
