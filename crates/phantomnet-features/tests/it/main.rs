//! Expressions, functions and labels through the public face of the crate.

// Clippy knows test functions, not the functions they share.
#![allow(clippy::unwrap_used)]

mod aliases;
mod expressions;
mod functions;
mod presets;
mod slt;
mod source;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};

/// A batch of named columns, all nullable.
fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}
