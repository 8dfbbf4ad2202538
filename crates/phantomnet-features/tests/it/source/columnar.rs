//! Parquet beside text.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int32Builder, ListBuilder, StringBuilder};
use arrow_array::*;
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::basic::Encoding;
use parquet::file::properties::{WriterProperties, WriterVersion};

use super::*;

fn write(batch: &RecordBatch) -> Vec<u8> {
    write_as(batch, None)
}

fn write_as(batch: &RecordBatch, properties: Option<WriterProperties>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), properties).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// Why a file cannot be read.
fn reason(error: &SourceError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

fn sample() -> RecordBatch {
    let mut binary = BinaryBuilder::new();
    binary.append_value(b"a\xff");
    binary.append_null();
    let mut list = ListBuilder::new(Int32Builder::new());
    list.append_value([Some(1), None]);
    list.append_null();
    let inner: ArrayRef = Arc::new(Int32Array::from(vec![7, 8]));
    let nested = StructArray::new(
        vec![Field::new("x", DataType::Int32, true)].into(),
        vec![inner],
        Some(vec![true, false].into()),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("small", Arc::new(Int8Array::from(vec![Some(-1), None]))),
        ("big", Arc::new(UInt64Array::from(vec![u64::MAX, 1]))),
        ("float", Arc::new(Float32Array::from(vec![0.5, f32::NAN]))),
        ("flag", Arc::new(BooleanArray::from(vec![true, false]))),
        ("text", Arc::new(LargeStringArray::from(vec!["x", ""]))),
        ("raw", Arc::new(binary.finish())),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![0, 1500]).with_timezone("UTC"))),
        ("list", Arc::new(list.finish())),
        ("nested", Arc::new(nested)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn columns_take_the_four_types() {
    let files = Files::new(&[("a.bin", &write(&sample()))]);
    let events = files.read(&["a.bin"], &ReadOptions::default()).unwrap();
    assert_eq!(events.origin.files[0].format, Format::Parquet);
    let expected = [
        r#"{"small":-1,"big":1.8446744073709552e+19,"float":0.5,"flag":true,"text":"x","raw":"a�","at":"1970-01-01T00:00:00Z","list":"[1,null]","nested.x":7}"#,
        r#"{"small":null,"big":1.0,"float":null,"flag":false,"text":"","raw":null,"at":"1970-01-01T00:00:01.500Z","list":null,"nested.x":null}"#,
    ];
    assert_eq!(rows(&events.batch), expected);
    let [warning] = events.origin.warnings.as_slice() else { panic!("{:?}", events.origin.warnings) };
    assert!(warning.ends_with("1 records are not UTF-8; what is not is read as U+FFFD"), "{warning}");
    assert_eq!(raw_lines(&events.origin, &[1]).unwrap(), [expected[1]]);
    assert_eq!(events.origin.places.get(1).line, 2);
}

/// As Python's `float(Decimal(...))` and `int(Decimal(...))` give them.
#[test]
fn decimals_are_the_nearest_numbers() {
    let decimals = |values: [i128; 2], precision, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap())
    };
    let batch = RecordBatch::try_from_iter([
        ("whole", decimals([1_234_567_890, -7], 10, 0)),
        ("long", decimals([12_345_678_901_234_567_890, 7], 20, 0)),
        ("part", decimals([1, 12_345_678_901_234_567_891], 20, 2)),
    ])
    .unwrap();
    let events = read("a.parquet", write(&batch)).unwrap();
    let expected = [
        r#"{"whole":1234567890,"long":1.2345678901234567e+19,"part":0.01}"#,
        r#"{"whole":-7,"long":7.0,"part":1.2345678901234568e+17}"#,
    ];
    assert_eq!(rows(&events.batch), expected);
}

#[test]
fn parquet_joins_with_text() {
    let files = Files::new(&[("a.parquet", &write(&sample())), ("b.csv", b"small,flag,float\nx,true,3\n")]);
    let events = files.read(&[""], &ReadOptions::default()).unwrap();
    let types: std::collections::BTreeMap<_, _> = types(&events).into_iter().collect();
    assert_eq!(types["small"], ColumnType::Text);
    assert_eq!(types["flag"], ColumnType::Boolean);
    assert_eq!(types["float"], ColumnType::Number);
    assert!(rows(&events.batch)[0].starts_with(r#"{"small":"-1","#));
}

#[test]
fn a_time_beyond_all_calendars_is_a_number() {
    let far = vec![Some(0), Some(i64::MAX), None];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("plain", Arc::new(TimestampMillisecondArray::from(far.clone()))),
        ("zoned", Arc::new(TimestampMillisecondArray::from(far).with_timezone("+02:00"))),
    ];
    let files = Files::new(&[("a.parquet", &write(&RecordBatch::try_from_iter(columns).unwrap()))]);
    let events = files.read(&["a.parquet"], &ReadOptions::default()).unwrap();
    let expected = [
        r#"{"plain":"1970-01-01T00:00:00","zoned":"1970-01-01T00:00:00Z"}"#,
        r#"{"plain":"9223372036854775807","zoned":"9223372036854775807"}"#,
        r#"{"plain":null,"zoned":null}"#,
    ];
    assert_eq!(rows(&events.batch), expected);
}

/// `pandas` and joins write such files; the values of one column must not stand under the name of another.
#[test]
fn columns_of_one_name_are_told_apart() {
    let integers = |values: [i64; 2]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let nested = StructArray::from(vec![
        (Arc::new(Field::new("x", DataType::Int64, true)), integers([5, 6])),
        (Arc::new(Field::new("y", DataType::Int64, true)), integers([7, 8])),
    ]);
    let columns: Vec<(&str, ArrayRef)> =
        vec![("n.y", integers([1, 2])), ("a", integers([3, 4])), ("n", Arc::new(nested)), ("a", integers([9, 10]))];
    let files = Files::new(&[("a.parquet", &write(&RecordBatch::try_from_iter(columns).unwrap()))]);
    let events = files.read(&["a.parquet"], &ReadOptions::default()).unwrap();
    let expected = [r#"{"n.y":1,"a":3,"n.x":5,"n.y_2":7,"a_2":9}"#, r#"{"n.y":2,"a":4,"n.x":6,"n.y_2":8,"a_2":10}"#];
    assert_eq!(rows(&events.batch), expected);
    let told = events.origin.warnings.join(" ");
    for name in ["n.y", "a"] {
        assert!(told.contains(&format!("more than one column `{name}`; one of them is read as `{name}_2`")), "{told}");
    }
    let some = schema(&[("a_2", ColumnType::Integer), ("n.y_2", ColumnType::Integer)]);
    let paths = [files.path("a.parquet")];
    let events = read_events_as(&paths, &ReadOptions::default(), &some).unwrap();
    assert_eq!(rows(&events.batch), [r#"{"a_2":9,"n.y_2":7}"#, r#"{"a_2":10,"n.y_2":8}"#]);
}

#[test]
fn a_compressed_parquet_file_is_refused() {
    let files = Files::new(&[("a.parquet.gz", &gzip(&write(&sample())))]);
    let error = files.read(&["a.parquet.gz"], &ReadOptions::default()).unwrap_err();
    assert_eq!(message(&error), "`a.parquet.gz` is a compressed Parquet file, which is not read");
}

/// Encodings whose pages are looked over: what is looked for must be where the library finds it.
#[test]
fn lists_and_lengths_of_deltas() {
    let n = 3000;
    let text = |row: usize| "x".repeat(row * row % 41) + &(row * 7919 % 10_007).to_string();
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..n {
        match row % 7 {
            0 => lists.append_null(),
            length => lists.append_value((0..length - 1).map(|i| (i != 3).then(|| text(row + i)))),
        }
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new((0..n).map(|row| (row % 5 > 0).then(|| text(row))).collect::<StringArray>())),
        ("list", Arc::new(lists.finish())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let expected = rows(&read("plain.parquet", write(&batch)).unwrap().batch);
    assert!(expected[11].contains(r#""list":"[\"xxxxxxxxxxxxxxxxxx"#), "{}", expected[11]);
    for encoding in [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let properties = WriterProperties::builder().set_writer_version(version).set_encoding(encoding);
            let properties = properties.set_dictionary_enabled(false).set_data_page_row_count_limit(777).build();
            let read = read("deltas.parquet", write_as(&batch, Some(properties))).unwrap();
            assert_eq!(rows(&read.batch), expected, "{encoding} {version:?}");
        }
    }
}

/// Cells of 5 MB, which are read a few at a time.
#[test]
fn large_cells_are_read_in_their_order() {
    let cells = (0..40).map(|row| format!("{row}{}", "x".repeat(5 << 20)));
    let batch =
        RecordBatch::try_from_iter([("a", Arc::new(StringArray::from_iter_values(cells)) as ArrayRef)]).unwrap();
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let read = read("a.parquet", write_as(&batch, Some(properties))).unwrap();
    assert!(read.batch.column(0).as_ref() == batch.column(0).as_ref());
}

#[test]
fn a_dictionary_that_says_it_has_more_is_refused() {
    let batch = RecordBatch::try_from_iter([("a", Arc::new(Int32Array::from_iter(0..1000)) as ArrayRef)]).unwrap();
    let mut bytes = write(&batch);
    // The header of the dictionary's page: its number of values, 2,000 in zigzag, and its encoding.
    let said = [0x15, 0xd0, 0x0f, 0x15];
    let at = bytes.windows(4).position(|window| window == said).unwrap();
    bytes[at + 2] = 0x7f;
    let error = read("a.parquet", bytes).unwrap_err();
    assert!(reason(&error).contains("has 8168 values, where 1000 may be"), "{}", reason(&error));
}

/// The library writes none, so that the file is one of Python:
/// `write_table(table({"a": ["first", "other"]}), ..., write_page_checksum=True, compression="none", use_dictionary=False,
/// write_statistics=False, store_schema=False)` of pyarrow 25.
#[test]
fn checksums_of_pages_are_verified() {
    let whole = b"PAR1\x15\x00\x150\x150\x15\xad\xb8\xbb\x07\x1c\x15\x04\x15\x00\x15\x06\
        \x15\x06\x1c\x00\x00\x00\x02\x00\x00\x00\x04\x01\x05\x00\x00\x00first\x05\x00\x00\x00\
        other\
        \x15\x04\x19,5\x00\x18\x06\
        schema\x15\x02\x00\x15\x0c%\x02\x18\x01a%\x00L\x1c\x00\x00\
        \x00\x16\x04\x19\x1c\x19\x1c&\x00\x1c\x15\x0c\x19%\x06\x00\x19\x18\x01a\x15\x00\
        \x16\x04\x16`\x16`&\x08I\x1c\x15\x00\x15\x00\x15\x02\x00<\x16\x14\x19\x06\x19&\x00\x04\
        \x00\x00\x00\x16`\x16\x04&\x08\x16`\x00( parquet-cpp\
        -arrow version 25.0.1\x19\x1c\x1c\x00\x00\x00\x82\x00\x00\x00PAR1";
    assert_eq!(rows(&read("a.parquet", whole).unwrap().batch), [r#"{"a":"first"}"#, r#"{"a":"other"}"#]);
    let mut damaged = whole.to_vec();
    let at = damaged.windows(5).position(|window| window == b"other").unwrap();
    damaged[at] ^= 1;
    let error = read("a.parquet", damaged).unwrap_err();
    assert!(reason(&error).contains("Page CRC checksum mismatch"), "{}", reason(&error));
}

#[test]
fn broken_bytes_are_errors_or_rows_but_no_panic() {
    let bytes = write(&sample());
    let files = Files::new(&[]);
    for at in (0..bytes.len()).step_by(5) {
        let mut broken = bytes.clone();
        broken[at] ^= 0x55;
        std::fs::write(files.path("a.parquet"), &broken).unwrap();
        if let Ok(events) = files.read(&["a.parquet"], &ReadOptions::default()) {
            assert_eq!(events.origin.places.len(), events.batch.num_rows());
        }
        std::fs::write(files.path("a.parquet"), &bytes[..at]).unwrap();
        assert!(files.read(&["a.parquet"], &ReadOptions::default()).is_err());
    }
}
