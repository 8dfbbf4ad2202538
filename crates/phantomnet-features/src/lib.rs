//! Events in, feature matrix out: readers, SQL expressions and functions.
//!
//! An [`Expression`] is one SQL expression over the columns of an event, planned once and evaluated on any number of
//! rows by the query engine; a [`FeatureSet`] holds those of a model in their order. [`learn_schema`] and
//! [`learn_classes`] fix, on training rows, how their values become numbers and classes; [`to_matrix`] and
//! [`to_labels`] apply that, then and at scoring. [`overlaps`] is the guard against a feature that reads what the label
//! is made of. Our own SQL functions are in [`functions`]. A [`Preset`] knows the fields of a sensor's log; its common
//! columns are [`Aliases`] that expressions read.

mod error;
mod events;
mod expression;
mod feature_set;
pub mod functions;
mod label;
mod leak;
mod matrix;
mod places;
mod preset;
mod source;
mod values;

pub use error::ExpressionError;
pub use events::{
    ColumnType, EventSchema, Events, Origin, Place, Places, Rejected, RejectedLine, SourceFile, row_as_json,
};
pub use expression::{Aliases, Expression};
pub use feature_set::FeatureSet;
pub use label::{MAX_CLASSES, into_labels, learn_classes, to_labels};
pub use leak::{Overlap, overlaps};
pub use matrix::{into_matrix, learn_schema, to_matrix};
pub use preset::{MAX_PRESET_BYTES, Preset, PresetError, PresetLabel, recognize};
pub use source::{
    ByteCounter, ColumnSummary, Converted, DatabaseSource, Encoding, Evaluated, EventReader, EventStream, Format,
    Layout, LineDecoder, Program, ROW_ID, RawBatch, ReadOptions, ReadProgress, Reason, Selection, SourceError,
    StandardInput, Summary, Variables, ZeekLayout, convert_events, expand_paths, is_column_name, plain_text, raw_lines,
    read_events, read_events_as, read_rows,
};
pub use values::{FeatureValues, LabelValues};
