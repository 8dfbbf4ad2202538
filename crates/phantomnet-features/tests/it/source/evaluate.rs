//! Expressions evaluated while events are read.

use arrow_array::{Array, UInt32Array};
use phantomnet_features::{
    Evaluated, EventReader, Expression, FeatureSet, FeatureValues, LabelValues, Program, into_matrix, learn_classes,
    learn_schema, to_labels,
};
use proptest::prelude::*;

use super::*;

const LABEL: &str = "nullif(concat(a), '1')";
const FEATURES: [(&str, &str); 4] =
    [("a", "a"), ("b", "b"), ("length", "payload_length(concat(a, b))"), ("is_missing", "b IS NULL")];

fn program(schema: &EventSchema, label: &str, features: &[(&str, &str)]) -> Option<Program> {
    Some(Program {
        label: Expression::compile("label", label, &schema.arrow()).ok()?,
        weight: Some(Expression::compile("weight", "payload_length(concat(b))", &schema.arrow()).ok()?),
        features: FeatureSet::compile(features.iter().copied(), &schema.arrow()).ok()?,
    })
}

fn matrix_bits(features: &FeatureSet, values: Vec<FeatureValues>) -> Vec<Vec<u32>> {
    let rows: Vec<u32> = (0..values[0].len() as u32).collect();
    let schema = learn_schema(features, &values, &rows).unwrap();
    let n = schema.len();
    let matrix = into_matrix(values, &schema).unwrap();
    (0..n).map(|j| matrix.column(j).iter().map(|x| x.to_bits()).collect()).collect()
}

/// What is evaluated while it is read is what is evaluated once all is read.
fn check(paths: &[String], options: &ReadOptions) {
    let whole = read_events(paths, options);
    let mut reader = match (EventReader::open(paths, options), &whole) {
        (Ok(reader), _) => reader,
        (Err(error), Err(expected)) => return assert_eq!(error.to_string(), expected.to_string()),
        (Err(error), Ok(_)) => panic!("{error}"),
    };
    let guessed = program(&reader.schema(), LABEL, &FEATURES);
    if guessed.is_none() {
        let surveyed = reader.survey(&mut |_| ());
        assert_eq!(surveyed.as_ref().err().map(ToString::to_string), whole.as_ref().err().map(ToString::to_string));
    }
    let Some(guessed) = guessed.or_else(|| program(&reader.schema(), LABEL, &FEATURES)) else { return };
    let found = reader.evaluate(&guessed, &mut |_| ());
    let Ok(whole) = whole else {
        return assert_eq!(found.unwrap_err().to_string(), whole.unwrap_err().to_string());
    };
    let Some(expected) = program(&whole.origin.schema, LABEL, &FEATURES) else {
        return assert!(matches!(found.unwrap_err(), SourceError::Expression(_)));
    };
    let labels = expected.label.evaluate(&whole.batch).unwrap();
    let rows: Vec<u32> = (0..labels.len() as u32).filter(|&row| labels.is_valid(row as usize)).collect();
    let batch = arrow_select::take::take_record_batch(&whole.batch, &UInt32Array::from(rows.clone())).unwrap();
    let found = found.unwrap();

    let places = |of: &phantomnet_features::Places| of.iter().collect::<Vec<_>>();
    assert_eq!(places(&found.origin.places), places(&whole.origin.places.clone().take(&rows)));
    assert_eq!((found.n_rows(), found.n_unlabelled()), (rows.len(), (labels.len() - rows.len()) as u64));
    assert_eq!(found.origin.files, whole.origin.files);
    assert_eq!(found.origin.rejected, whole.origin.rejected);
    assert_eq!(found.origin.fingerprint, whole.origin.fingerprint);
    for (name, n_missing) in &found.n_missing {
        assert_eq!(*n_missing, batch.column_by_name(name).unwrap().null_count() as u64, "{name}");
    }
    if rows.is_empty() {
        return;
    }
    let expected_labels = LabelValues::of(&expected.label.evaluate(&batch).unwrap());
    let classes = learn_classes(&expected.label, &expected_labels, None).unwrap();
    assert_eq!(learn_classes(&found.program.label, &found.labels, None).unwrap(), classes);
    assert_eq!(to_labels(&found.labels, &classes).unwrap(), to_labels(&expected_labels, &classes).unwrap());
    let values = expected.features.values(&batch).unwrap();
    assert_eq!(matrix_bits(&found.program.features, found.features), matrix_bits(&expected.features, values));
    let weight = expected.weight.unwrap();
    let weights = FeatureValues::of("weight", &weight.evaluate(&batch).unwrap()).unwrap();
    assert_eq!(format!("{:?}", found.weights.unwrap()), format!("{weights:?}"));

    let again: Vec<usize> = (0..rows.len()).rev().chain([0]).collect();
    let read_again = read_rows(&found.origin, &again).unwrap();
    let again = UInt32Array::from(again.iter().map(|&row| row as u32).collect::<Vec<_>>());
    let batch = arrow_select::take::take_record_batch(&batch, &again).unwrap();
    for (column, (name, _)) in read_again.columns().iter().zip(found.origin.schema.columns()) {
        assert_eq!(column, batch.column_by_name(name).unwrap(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn blocks_threads_and_guesses_change_nothing(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "a,b\n", "1,x\n", "2,\"y\nz\"\n", "3\n", "\"", "\r\n", "4,\"\"\"\n", "0.5,007\n", "a,\n", "{\"a\":1}\n",
                "{\"a\":", "{\"b\":{\"c\":[1,\n2]}}", "{\"b\":\"x\",\"a\":2.5}\n", "{\"b\":7,\"a\":2}\n", "]", "},\n",
                "\u{e9}\n", "true,1\n", "xxxxxxxxxxxxxxxxxxxxxxxxxx", "7,8\n", "7,8\n", "9,\n",
            ]),
            0..30,
        ),
        begun in proptest::sample::select(vec!["a,b\n5,6\n", "{\"a\":5,\"b\":\"6\"}\n", ""]),
        block_bytes in 1_usize..40,
        threads in 1_usize..4,
    ) {
        let format = if begun.starts_with('{') { Format::JsonLines } else { Format::Csv };
        let content = format!("{begun}{}", pieces.concat());
        let files = Files::new(&[("a.log", content.as_bytes())]);
        let options = ReadOptions {
            format: Some(format),
            max_rejected: 1.0,
            block_bytes,
            threads: std::num::NonZeroUsize::new(threads),
            ..ReadOptions::default()
        };
        check(&[files.path("a.log")], &options);
    }
}

/// Beyond what types are guessed from.
fn late(begin: &str, n: usize, end: &str) -> Files {
    Files::new(&[("a.json", format!("{}{end}", begin.repeat(n)).as_bytes())])
}

#[test]
fn types_that_show_late_count_from_the_beginning() {
    for end in ["{\"a\":0.5,\"b\":3}\n", "{\"a\":\"x\",\"b\":3}\n", "{\"a\":{\"c\":1},\"b\":3}\n", "{\"a\":true}"] {
        let files = late("{\"a\":1,\"b\":null}\n{\"a\":2}\n", 50_000, end);
        check(&[files.path("a.json")], &ReadOptions::default());
    }
}

#[test]
fn a_column_that_comes_late_is_found_by_a_survey() {
    let files = late("{\"a\":1}\n{\"a\":2}\n", 80_000, "{\"a\":\"1\",\"b\":\"z\"}\n");
    let options = ReadOptions::default();
    let reader = EventReader::open(&[files.path("a.json")], &options).unwrap();
    assert!(program(&reader.schema(), LABEL, &FEATURES).is_none());
    check(&[files.path("a.json")], &options);
}

#[test]
fn columnar_files_and_databases_are_evaluated_alike() {
    let files = Files::new(&[("a.json", b"{\"a\":1,\"b\":\"x\"}\n{\"a\":3}\n{\"a\":4,\"b\":\"7\"}\n")]);
    let (json, parquet) = (files.path("a.json"), files.path("a.parquet"));
    convert_events(std::slice::from_ref(&json), &ReadOptions::default(), Path::new(&parquet), &mut |_| ()).unwrap();
    let database = files.path("a.db");
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (5, NULL), (0.5, '7')")
        .unwrap();
    let database = format!("sqlite:///{database}?table=t");
    for paths in [vec![parquet.clone()], vec![database.clone()], vec![database, json, parquet]] {
        check(&paths, &ReadOptions::default());
    }
}

fn evaluate(content: &str, label: &str, feature: &str) -> Result<Evaluated, SourceError> {
    let files = Files::new(&[("a.csv", content.as_bytes())]);
    let (paths, options) = ([files.path("a.csv")], ReadOptions::default());
    let reader = EventReader::open(&paths, &options)?;
    let program = program(&reader.schema(), label, &[("f", feature)]).unwrap();
    reader.evaluate(&program, &mut |_| ())
}

#[test]
fn an_event_on_which_an_expression_fails_is_an_error() {
    let content = format!("a,b\n{}0,1\n", "1,x\n".repeat(600_000));
    let error = evaluate(&content, "a > 0", "10 / a").unwrap_err().to_string();
    assert_eq!(error, "expression `f` fails on an event: Divide by zero error");
    // Not on an event without a label.
    let evaluated = evaluate(&content, "nullif(a, 0) > 0", "10 / a").unwrap();
    assert_eq!((evaluated.n_rows(), evaluated.n_unlabelled()), (600_000, 1));
}

#[test]
fn a_column_that_is_nearly_one_of_numbers_is_told_of() {
    let content = format!("a,b\n{}none,1\n", "1,2\n".repeat(400_000));
    let warnings = evaluate(&content, "a = '1'", "b").unwrap().origin.warnings;
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.contains("1 of 400001 values are no numbers, the first `none` at "), "{warning}");
    assert!(warning.contains("a.csv:400002;"), "{warning}");
}

/// Rows far apart are read again without what is between them, if the file is as it is, and through it, if it is compressed.
#[test]
fn rows_far_apart_are_read_again() {
    let content: String = (0..400_000).map(|i| format!("{i},\u{e9}{i}\n")).collect();
    let content = format!("\u{feff}a,b\n{content}");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    let files = Files::new(&[("a.csv", content.as_bytes()), ("b.csv", &encoder.finish().unwrap())]);
    let events = files.read(&["a.csv", "b.csv"], &ReadOptions::default()).unwrap();
    let rows = [799_999, 3, 200_000, 399_999, 400_000, 650_000, 0];
    let found = read_rows(&events.origin, &rows).unwrap();
    let index = UInt32Array::from(rows.map(|row| row as u32).to_vec());
    assert_eq!(found, arrow_select::take::take_record_batch(&events.batch, &index).unwrap());
    assert_eq!(raw_lines(&events.origin, &rows[..2]).unwrap(), ["399999,\u{e9}399999", "3,\u{e9}3"]);
}

#[test]
fn columns_with_few_values_are_known_after_a_survey() {
    let content = format!("a,b,c\n{}", (0..100).map(|i| format!("k{},v{i},1\n", i % 3)).collect::<String>());
    let files = Files::new(&[("a.csv", content.as_bytes())]);
    let (paths, options) = ([files.path("a.csv")], ReadOptions::default());
    let mut reader = EventReader::open(&paths, &options).unwrap();
    let columns = reader.survey(&mut |_| ()).unwrap().columns;
    let few: Vec<bool> = columns.iter().map(|column| column.has_few_values).collect();
    assert_eq!(few, [true, false, false]);
}
