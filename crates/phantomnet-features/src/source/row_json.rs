//! Rows as JSON.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_cast::display::array_value_to_string;
use arrow_schema::{ArrowError, DataType};
use serde_json::{Map, Number, Value};

/// A row as a JSON object in column order; a missing value is `null`, and infinities, which JSON lacks, are the texts
/// `inf` and `-inf`.
///
/// # Panics
/// When the batch has no such row.
pub fn row_as_json(batch: &RecordBatch, row: usize) -> Map<String, Value> {
    let schema = batch.schema();
    let names = schema.fields().iter().map(|field| field.name().clone());
    names.zip(batch.columns().iter().map(|column| value_as_json(column, row))).collect()
}

/// A cell as JSON: lists as arrays, structs and maps as objects, bytes as text, other types as their usual text.
pub(crate) fn value_as_json(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) || array.data_type() == &DataType::Null {
        return Value::Null;
    }
    let elements = |list: &ArrayRef| (0..list.len()).map(|i| value_as_json(list, i)).collect();
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Binary => String::from_utf8_lossy(array.as_binary::<i32>().value(row)).into(),
        DataType::LargeBinary => String::from_utf8_lossy(array.as_binary::<i64>().value(row)).into(),
        DataType::List(_) => Value::Array(elements(&array.as_list::<i32>().value(row))),
        DataType::LargeList(_) => Value::Array(elements(&array.as_list::<i64>().value(row))),
        DataType::FixedSizeList(_, _) => Value::Array(elements(&array.as_fixed_size_list().value(row))),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter();
            let values = columns.map(|column| value_as_json(column, row));
            Value::Object(fields.iter().map(|field| field.name().clone()).zip(values).collect())
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let entry = |i| (text(keys, i), value_as_json(values, i));
            Value::Object((0..entries.len()).map(entry).collect())
        }
        data_type if data_type.is_numeric() => {
            let spelled = text(array, row);
            let integer = spelled.parse::<i64>().map(Value::from).or_else(|_| spelled.parse::<u64>().map(Value::from));
            integer.unwrap_or_else(|_| spelled.parse().map_or(Value::String(spelled), number))
        }
        _ => text(array, row).into(),
    }
}

fn number(x: f64) -> Value {
    match Number::from_f64(x) {
        Some(x) => Value::Number(x),
        None if x.is_nan() => Value::Null,
        None => x.to_string().into(),
    }
}

/// The usual text of a cell; empty for the few types that have none.
fn text(array: &ArrayRef, row: usize) -> String {
    let zoned = matches!(array.data_type(), DataType::Timestamp(_, Some(_)));
    let text = if zoned {
        in_utc(&array.slice(row, 1)).and_then(|cell| array_value_to_string(&cell, 0))
    } else {
        array_value_to_string(array, row)
    };
    text.unwrap_or_default()
}

/// Instants of any time zone in UTC, since names of zones need a database that is not linked.
pub(crate) fn in_utc(timestamps: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let DataType::Timestamp(unit, _) = timestamps.data_type() else {
        return Ok(Arc::clone(timestamps));
    };
    cast(&cast(timestamps, &DataType::Int64)?, &DataType::Timestamp(*unit, Some("+00:00".into())))
}
