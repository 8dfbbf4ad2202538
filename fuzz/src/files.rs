//! Invariants of whole files: [`read_events`] and [`EventReader`].

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use phantomnet_features::{
    Evaluated, EventReader, EventSchema, Events, Expression, FeatureSet, FeatureValues, Format, LabelValues, Origin,
    Place, Program, ReadOptions, into_matrix, learn_classes, learn_schema, raw_lines, read_events, read_rows,
    to_labels,
};
use tempfile::NamedTempFile;

use crate::assert_printable;
use crate::stream::check_accounts;

/// A file of these bytes, in memory where that can be.
pub fn file(bytes: &[u8], suffix: &str) -> (NamedTempFile, [String; 1]) {
    let dir = Path::new("/dev/shm");
    let dir = if dir.is_dir() { dir.to_owned() } else { std::env::temp_dir() };
    let file = tempfile::Builder::new().suffix(suffix).tempfile_in(dir).expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("a file");
    let path = file.path().to_str().expect("a name of letters").to_owned();
    (file, [path])
}

/// Reads a file of `bytes` and checks what must hold for any bytes: neither threads nor the size of blocks change what is read,
/// nothing is lost or comes twice, what is evaluated while it is read is what is evaluated once all is read, and rows that are
/// read again are the same.
pub fn check_file(bytes: &[u8], options: &ReadOptions) {
    let (_file, paths) = file(bytes, ".log");
    let plain = ReadOptions { threads: NonZeroUsize::new(1), block_bytes: 1 << 20, ..options.clone() };
    let (whole, blocks) = (read_events(&paths, &plain), read_events(&paths, options));
    let whole = match (whole, blocks) {
        (Ok(whole), Ok(blocks)) => {
            assert_same_origin(&whole.origin, &blocks.origin);
            assert_eq!(whole.origin.warnings, blocks.origin.warnings);
            assert_eq!(whole.batch, blocks.batch, "blocks or threads change what is read");
            assert_eq!(places(&whole.origin), places(&blocks.origin));
            check_origin(bytes, &whole);
            Ok(whole)
        }
        (whole, blocks) => {
            let (whole, blocks) = (whole.map_err(|e| e.to_string()), blocks.map_err(|e| e.to_string()));
            assert_eq!(whole.as_ref().err(), blocks.as_ref().err(), "blocks or threads change what is read");
            whole
        }
    };
    check_evaluated(&paths, options, &whole);
}

fn places(origin: &Origin) -> Vec<Place> {
    origin.places.iter().collect()
}

fn assert_same_origin(a: &Origin, b: &Origin) {
    assert_eq!((&a.files, &a.rejected, &a.fingerprint), (&b.files, &b.rejected, &b.fingerprint));
}

fn check_origin(bytes: &[u8], events: &Events) {
    let Events { batch, origin } = events;
    let file = &origin.files[0];
    assert_eq!((batch.num_rows(), batch.num_rows() as u64), (origin.places.len(), file.n_rows));
    assert_eq!((origin.rejected.n, origin.rejected.kept.len() as u64), (file.n_rejected, file.n_rejected));
    assert_eq!(batch.schema(), origin.schema.arrow());
    for rejected in &origin.rejected.kept {
        assert_printable(&rejected.excerpt);
        assert_printable(&rejected.reason);
    }
    let rows: Vec<usize> = (0..batch.num_rows()).collect();
    let lines = raw_lines(origin, &rows).expect("what was read can be read again");
    // Compressed by chance, or of columns.
    if file.format == Format::Parquet || file.n_bytes != bytes.len() as u64 {
        return;
    }
    let mut records = BTreeMap::new();
    let read = origin.places.iter().zip(&lines).map(|(place, line)| (place, Ok(line.as_str())));
    let rejected = origin.rejected.kept.iter().map(|rejected| (rejected.place, Err(rejected.reason.as_str())));
    for (place, outcome) in read.chain(rejected) {
        assert!(records.insert(place.offset, outcome).is_none(), "byte {} comes twice", place.offset);
    }
    // Ends of lines are CR where there is no LF.
    let terminator = if !bytes.contains(&b'\n') && bytes.contains(&b'\r') { b'\r' } else { b'\n' };
    check_accounts(bytes, terminator, &file.layout, &records);
}

/// A label that is missing on some events, and features of every type, of the first and the last column.
fn program(schema: &EventSchema) -> Option<Program> {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let (a, b) = (quoted(&schema.columns().first()?.0), quoted(&schema.columns().last()?.0));
    let schema = schema.arrow();
    let features = [
        ("a", a.clone()),
        ("b", b.clone()),
        ("length", format!("payload_length(concat({a}, {b}))")),
        ("is_missing", format!("{b} IS NULL")),
    ];
    Some(Program {
        label: Expression::compile("label", &format!("nullif(concat({a}), '1')"), &schema).ok()?,
        weight: Some(Expression::compile("weight", &format!("payload_length(concat({b}))"), &schema).ok()?),
        features: FeatureSet::compile(features, &schema).ok()?,
    })
}

fn check_evaluated(paths: &[String], options: &ReadOptions, whole: &Result<Events, String>) {
    let mut reader = match EventReader::open(paths, options) {
        Ok(reader) => reader,
        Err(error) => return assert_eq!(Some(&error.to_string()), whole.as_ref().err()),
    };
    let guessed = program(&reader.schema());
    let surveyed = reader.survey(&mut |_| ()).map_err(|e| e.to_string());
    assert_eq!(surveyed.as_ref().err(), whole.as_ref().err());
    if let (Ok(summary), Ok(whole)) = (surveyed, whole) {
        assert_eq!(reader.schema(), whole.origin.schema);
        assert_eq!(summary.n_rows, whole.batch.num_rows() as u64);
        for (column, array) in summary.columns.iter().zip(whole.batch.columns()) {
            assert_eq!(column.n_missing, array.null_count() as u64, "{}", column.name);
        }
        assert_eq!(summary.origin.warnings, whole.origin.warnings);
    }
    let Some(program) = guessed.or_else(|| program(&reader.schema())) else { return };
    let reader = EventReader::open(paths, options).expect("it was opened before");
    match (reader.evaluate(&program, &mut |_| ()), whole) {
        (Ok(found), Ok(whole)) => assert_same_values(found, &program, whole),
        (found, whole) => assert_eq!(found.map_err(|e| e.to_string()).err().as_ref(), whole.as_ref().err()),
    }
}

fn assert_same_values(found: Evaluated, program: &Program, whole: &Events) {
    assert_same_origin(&found.origin, &whole.origin);
    let arrow = whole.origin.schema.arrow();
    let compile = |e: &Expression| Expression::compile(&e.name, &e.sql, &arrow).expect("it compiled while reading");
    let features = program.features.expressions().iter().map(|e| (&e.name, &e.sql));
    let features = FeatureSet::compile(features, &arrow).expect("it compiled while reading");
    let label = compile(&program.label).evaluate(&whole.batch).expect("it was evaluated while reading");
    let rows: Vec<u32> = (0..label.len() as u32).filter(|&row| label.is_valid(row as usize)).collect();
    assert_eq!((found.n_rows(), found.n_unlabelled()), (rows.len(), (label.len() - rows.len()) as u64));
    let expected: Vec<Place> = whole.origin.places.clone().take(&rows).iter().collect();
    assert_eq!(places(&found.origin), expected);
    let batch = take_record_batch(&whole.batch, &UInt32Array::from(rows.clone())).expect("rows that there are");
    for (name, n_missing) in &found.n_missing {
        let column = batch.column_by_name(name).expect("a column of the program");
        assert_eq!(*n_missing, column.null_count() as u64, "{name}");
    }
    if rows.is_empty() {
        return;
    }
    let labels = LabelValues::of(&compile(&program.label).evaluate(&batch).expect("it was evaluated while reading"));
    let classes = learn_classes(&program.label, &labels, None).expect("few classes");
    assert_eq!(learn_classes(&found.program.label, &found.labels, None).as_ref().ok(), Some(&classes));
    assert_eq!(to_labels(&found.labels, &classes).ok(), to_labels(&labels, &classes).ok());
    let values = features.values(&batch).expect("they were evaluated while reading");
    assert_eq!(bits(&found.program.features, found.features), bits(&features, values));
    let weight = program.weight.as_ref().map(|weight| {
        let array = compile(weight).evaluate(&batch).expect("it was evaluated while reading");
        FeatureValues::of("weight", &array).expect("a number")
    });
    assert_eq!(format!("{:?}", found.weights), format!("{weight:?}"));
    check_read_again(&found.origin, &batch);
}

/// A matrix of features, bit by bit.
fn bits(features: &FeatureSet, values: Vec<FeatureValues>) -> Vec<Vec<u32>> {
    let rows: Vec<u32> = (0..values[0].len() as u32).collect();
    let schema = learn_schema(features, &values, &rows).expect("as many values as features");
    let matrix = into_matrix(values, &schema).expect("values of the schema's kinds");
    (0..schema.len()).map(|j| matrix.column(j).iter().map(|x| x.to_bits()).collect()).collect()
}

/// Rows that are read again, from the last to the first, are the rows of `batch`.
fn check_read_again(origin: &Origin, batch: &RecordBatch) {
    let rows: Vec<usize> = (0..batch.num_rows()).rev().chain([0]).collect();
    let again = read_rows(origin, &rows).expect("what was read can be read again");
    let rows = UInt32Array::from(rows.iter().map(|&row| row as u32).collect::<Vec<_>>());
    let batch = take_record_batch(batch, &rows).expect("rows that there are");
    for (column, name) in again.columns().iter().zip(origin.schema.names()) {
        assert_eq!(Some(column), batch.column_by_name(name), "{name}");
    }
}
