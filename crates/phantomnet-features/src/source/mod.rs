//! Readers of event logs: CSV, TSV, JSON lines, Zeek and Parquet, plain or compressed, tolerant of what honeypots write.
//!
//! A file passes through these steps, each a module: `path` (which files), `open` (decompress, decode, recognize),
//! `lines` (physical lines), `records` (lines joined where a quoted field spans them), `parser` with `delimited`,
//! `json` and `zeek` (cells), `table` (columns and their types). What cannot be read is rejected line by line, counted and kept.
//!
//! Limits: one table is held in memory; a text column holds at most 2 GiB; JSON that is spread over several lines
//! is refused.

mod cell;
#[cfg_attr(not(all(test, feature = "databases")), allow(dead_code, reason = "the readers of events call it next"))]
mod database;
mod decoder;
mod delimited;
mod error;
mod excerpt;
mod header;
mod json;
mod lines;
mod open;
mod parquet;
mod parser;
mod path;
mod raw;
mod read;
mod records;
mod row;
mod row_json;
mod stream;
mod table;
mod utf16;
mod zeek;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::events::ColumnType;

pub use database::{DatabaseSource, Selection};
pub use decoder::{LineDecoder, Reason};
pub use error::SourceError;
pub use parser::Layout;
pub use path::expand_paths;
pub use raw::raw_lines;
pub use read::{read_events, read_events_as};
pub use row_json::row_as_json;
pub use stream::{EventStream, RawBatch};
pub use zeek::ZeekLayout;

/// A format of event logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Fields between commas, quoted as RFC 4180 has it.
    Csv,
    /// Fields between tabs, quoted likewise.
    Tsv,
    /// Fields between `|`, quoted likewise.
    Psv,
    /// One JSON object a line, also as elements of an array.
    #[serde(alias = "json", alias = "jsonl", alias = "ndjson")]
    JsonLines,
    /// Zeek's own format, with a header of lines that begin with `#`.
    Zeek,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The format of a name in configurations: `csv`, `tsv`, `psv`, `jsonl`, `zeek` or `parquet`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "psv" => Some(Self::Psv),
            "jsonl" => Some(Self::JsonLines),
            "zeek" => Some(Self::Zeek),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// What stands between fields; `None` for formats without.
    pub(crate) fn delimiter(self) -> Option<u8> {
        match self {
            Self::Csv => Some(b','),
            Self::Tsv => Some(b'\t'),
            Self::Psv => Some(b'|'),
            Self::JsonLines | Self::Zeek | Self::Parquet => None,
        }
    }
}

/// How event logs are read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOptions {
    /// Format of all files. Default: by the extension of each, else by its first bytes.
    pub format: Option<Format>,
    /// Names of the fields of files of separated values, which then have no header. Default: the first record is the header.
    pub columns: Option<Vec<String>>,
    /// Types of columns that should not be inferred. Cells that do not parse are NULL and counted.
    pub types: BTreeMap<String, ColumnType>,
    /// Share of the records that may be rejected, 0 to 1; default 0.01.
    pub max_rejected: f64,
    /// Bytes of the longest record; default 16 MiB. Longer ones are rejected without being held.
    pub max_line_bytes: usize,
    /// Bytes of the largest file, decompressed; default 64 GiB.
    pub max_file_bytes: u64,
    /// Whether reading under a given schema keeps other columns, as text after those of the schema; default no.
    pub keep_extra: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            columns: None,
            types: BTreeMap::new(),
            max_rejected: 0.01,
            max_line_bytes: 16 << 20,
            max_file_bytes: 64 << 30,
            keep_extra: false,
        }
    }
}
