//! SQL expressions of a configuration or a model folder, compiled and evaluated.
#![no_main]

use std::sync::{Arc, LazyLock};

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use libfuzzer_sys::fuzz_target;
use phantomnet_features::Expression;
use phantomnet_fuzz::{SCHEMA, assert_printable};

static ARROW: LazyLock<SchemaRef> = LazyLock::new(|| SCHEMA.arrow());

/// NULL, the usual, and the ends of every range.
static EVENTS: LazyLock<RecordBatch> = LazyLock::new(|| {
    let id: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(7), Some(i64::MIN), Some(i64::MAX)]));
    let numbers = [None, Some(0.5), Some(f64::NEG_INFINITY), Some(f64::MAX)];
    let texts = [None, Some("7"), Some(""), Some("é\u{0}\u{202e}' OR 1=1 -- \u{1f600}")];
    let columns = vec![
        Arc::clone(&id),
        Arc::new(Float64Array::from(numbers.to_vec())),
        Arc::new(BooleanArray::from(vec![None, Some(true), Some(false), Some(true)])),
        Arc::new(StringArray::from(texts.to_vec())),
        id,
    ];
    RecordBatch::try_new(Arc::clone(&ARROW), columns).expect("columns of the schema")
});

fuzz_target!(|sql: &str| {
    let expression = match Expression::compile("feature", sql, &ARROW) {
        Ok(expression) => expression,
        Err(error) => return assert_printable(&error.to_string()),
    };
    assert!(expression.columns().iter().all(|name| ARROW.index_of(name).is_ok()), "{:?}", expression.columns());
    match expression.evaluate(&EVENTS) {
        Ok(values) => {
            assert_eq!((values.len(), values.data_type()), (EVENTS.num_rows(), expression.data_type()));
            // An event alone may be refused where its batch was not, but never gets another value.
            for row in 0..EVENTS.num_rows() {
                if let Ok(value) = expression.evaluate(&EVENTS.slice(row, 1)) {
                    assert_eq!(value.to_data(), values.slice(row, 1).to_data(), "row {row}");
                }
            }
        }
        Err(error) => assert_printable(&error.to_string()),
    }
});
