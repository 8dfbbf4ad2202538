//! Parquet beside text.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int32Builder, ListBuilder};
use arrow_array::*;
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;

use super::*;

fn write(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
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
