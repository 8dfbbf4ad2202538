//! Events: log records as one typed table, each row knowing the line it came from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::source::{Encoding, Format, Layout, ReadOptions, SourceError, Spool};

pub use crate::places::{Place, Places};
pub use crate::source::row_as_json;

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// 64-bit signed integers.
    Integer,
    /// 64-bit floating point numbers, infinities included; NaN is missing.
    Number,
    /// `true` or `false`.
    Boolean,
    /// UTF-8 text.
    Text,
}

impl ColumnType {
    /// The Arrow type that holds such cells.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Text => DataType::Utf8,
        }
    }

    /// Its name in configurations and models: `integer`, `number`, `boolean` or `text`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Text => "text",
        }
    }

    /// The type of a [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Integer, Self::Number, Self::Boolean, Self::Text].into_iter().find(|t| t.name() == name)
    }
}

impl std::fmt::Display for ColumnType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Names and types of an event's columns, in order; a model keeps the one it was trained under.
///
/// Serialized as a list of `{ name, type }`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<NamedColumn>", into = "Vec<NamedColumn>")]
pub struct EventSchema {
    columns: Vec<(String, ColumnType)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedColumn {
    name: String,
    #[serde(rename = "type")]
    column_type: ColumnType,
}

impl EventSchema {
    /// A schema of these columns.
    ///
    /// # Errors
    /// `DuplicateColumn` when a name comes twice.
    pub fn new(columns: Vec<(String, ColumnType)>) -> Result<Self, SourceError> {
        let mut seen = std::collections::HashSet::new();
        for (name, _) in &columns {
            if !seen.insert(name) {
                return Err(SourceError::DuplicateColumn { column: name.clone() });
            }
        }
        Ok(Self { columns })
    }

    /// Name and type of each column.
    pub fn columns(&self) -> &[(String, ColumnType)] {
        &self.columns
    }

    /// The column names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// The same as an Arrow schema; every field is nullable.
    pub fn arrow(&self) -> SchemaRef {
        let fields: Vec<Field> =
            self.columns.iter().map(|(name, column_type)| Field::new(name, column_type.data_type(), true)).collect();
        Arc::new(Schema::new(fields))
    }
}

impl TryFrom<Vec<NamedColumn>> for EventSchema {
    type Error = SourceError;

    fn try_from(columns: Vec<NamedColumn>) -> Result<Self, SourceError> {
        Self::new(columns.into_iter().map(|c| (c.name, c.column_type)).collect())
    }
}

impl From<EventSchema> for Vec<NamedColumn> {
    fn from(schema: EventSchema) -> Self {
        let named = |(name, column_type)| NamedColumn { name, column_type };
        schema.columns.into_iter().map(named).collect()
    }
}

/// A record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedLine {
    /// Where it starts.
    pub place: Place,
    /// Why it could not be read.
    pub reason: String,
    /// Its first 256 bytes, unprintable characters escaped.
    pub excerpt: String,
}

/// The records that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many there are.
    pub n: u64,
    /// The first 100,000 of them.
    pub kept: Vec<RejectedLine>,
    /// How many there are by reason, numbers in it written as `N`; at most 1,000 reasons, all others together as `other`.
    pub by_reason: BTreeMap<String, u64>,
}

impl Rejected {
    /// Rejected records that are kept; of the others only the number is known.
    const MAX_KEPT: usize = 100_000;
    /// Reasons that are told apart.
    const MAX_REASONS: usize = 1_000;

    pub(crate) fn add(&mut self, line: RejectedLine) {
        self.n += 1;
        let mut reason = reason_class(&line.reason);
        if self.by_reason.len() >= Self::MAX_REASONS && !self.by_reason.contains_key(&reason) {
            "other".clone_into(&mut reason);
        }
        *self.by_reason.entry(reason).or_default() += 1;
        if self.kept.len() < Self::MAX_KEPT {
            self.kept.push(line);
        }
    }
}

/// A reason without the numbers in which one record differs from the next.
fn reason_class(reason: &str) -> String {
    let mut class = String::new();
    let mut in_number = false;
    for c in reason.chars() {
        let is_digit = c.is_ascii_digit();
        if !is_digit {
            class.push(c);
        } else if !in_number {
            class.push('N');
        }
        in_number = is_digit;
    }
    class
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The file, as it was named or found.
    pub path: PathBuf,
    /// The format it was read as.
    pub format: Format,
    /// How its records are laid out, as [`raw_lines`](crate::raw_lines) gives them; JSON for Parquet.
    pub layout: Layout,
    pub(crate) terminator: u8,
    pub(crate) encoding: Option<Encoding>,
    /// Its size, decompressed.
    pub n_bytes: u64,
    /// Events read from it.
    pub n_rows: u64,
    /// Records in it that could not be read.
    pub n_rejected: u64,
}

/// All events of some files.
#[derive(Debug, Clone)]
pub struct Events {
    /// One row an event, in file order; column types as in the schema of `origin`.
    pub batch: RecordBatch,
    /// Where they come from; as many places as rows.
    pub origin: Origin,
}

/// Where events come from, and what is known of their columns: all about them but their values.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Names and types of the columns.
    pub schema: EventSchema,
    /// Where each row comes from.
    pub places: Places,
    /// The files in the order they were read.
    pub files: Vec<SourceFile>,
    /// The records that could not be read.
    pub rejected: Rejected,
    /// BLAKE3, in hexadecimal, over the length (8 bytes, little-endian) and the BLAKE3 of each file's decompressed
    /// content, in file order. Names of files play no part.
    pub fingerprint: String,
    /// Columns with cells that do not parse under their type and are NULL therefore, with the number of such cells.
    pub unparsed: Vec<(String, u64)>,
    /// Columns of a given schema that no file holds; all their values are NULL.
    pub absent: Vec<String>,
    /// What a person should know about the reading, one sentence each.
    pub warnings: Vec<String>,
    /// The options they were read under.
    pub options: ReadOptions,
    /// Of each file the rows that are kept of it, where it is a database.
    pub(crate) spools: Vec<Option<Arc<Spool>>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> EventSchema {
        let columns = [("b", ColumnType::Text), ("a", ColumnType::Integer)];
        EventSchema::new(columns.map(|(n, t)| (n.to_owned(), t)).to_vec()).unwrap()
    }

    #[test]
    fn a_schema_survives_serialization_in_order() {
        let text = serde_json::to_string(&schema()).unwrap();
        assert_eq!(text, r#"[{"name":"b","type":"text"},{"name":"a","type":"integer"}]"#);
        assert_eq!(serde_json::from_str::<EventSchema>(&text).unwrap(), schema());
    }

    #[test]
    fn a_name_that_comes_twice_is_refused() {
        let text = r#"[{"name":"b","type":"text"},{"name":"b","type":"number"}]"#;
        let error = serde_json::from_str::<EventSchema>(text).unwrap_err().to_string();
        assert!(error.starts_with("column `b` is named twice"), "{error}");
    }

    #[test]
    fn arrow_fields_are_nullable_and_in_order() {
        let arrow = schema().arrow();
        assert_eq!(arrow.field(0), &Field::new("b", DataType::Utf8, true));
        assert_eq!(arrow.field(1), &Field::new("a", DataType::Int64, true));
    }
}
