//! Readers of event logs: separated values, JSON, Zeek, raw requests, lines and Parquet, plain or compressed, tolerant of what
//! honeypots write.
//!
//! A file passes through these steps, each a module: `path` (which files), `open` (decompress, decode) with `sniff`, `foreign` and
//! `layout` (recognize), `blocks` (cut at line ends), `scan` (blocks in parallel, joined in order), `decode` with `delimited`, `json`, `zeek` and
//! `http` (records and cells), `columns` (types), `table` (columns by name) and `tally` (what else to tell), then `read` (one table) or `evaluate` (expressions, block
//! by block). `plans` keeps what is believed of the types, and has all read again where that does not hold. `text` takes records off
//! what arrives bit by bit instead, for `stream`. What cannot be read is rejected record by record, counted and kept.
//!
//! Limits: `read` holds its table in memory, of which a text column holds at most 2 GiB.

mod blocks;
mod broken;
mod bzip2;
mod cell;
mod columns;
mod convert;
#[cfg_attr(not(feature = "databases"), allow(dead_code, reason = "errors of databases that cannot come"))]
mod database;
mod decode;
mod decoder;
mod delimited;
mod error;
mod evaluate;
mod excerpt;
mod foreign;
mod groups;
mod gzip;
mod http;
mod json;
mod latin1;
mod layout;
mod open;
mod parquet;
mod path;
mod plans;
mod progress;
mod raw;
mod read;
mod reasons;
mod row;
mod row_json;
mod scan;
mod sniff;
mod standard_input;
mod stream;
mod survey;
mod table;
mod tally;
mod text;
mod utf16;
mod zeek;
mod zstd;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::events::ColumnType;

pub use convert::{Converted, ROW_ID, convert_events};
pub(crate) use database::Spool;
pub use database::{DatabaseSource, Selection, Variables};
pub use decoder::{LineDecoder, Reason};
pub use error::SourceError;
pub use evaluate::{Evaluated, EventReader, Program};
pub use latin1::Encoding;
pub use layout::Layout;
pub use path::expand_paths;
pub use progress::{ByteCounter, ReadProgress};
pub use raw::{raw_lines, read_rows};
pub use read::{read_events, read_events_as};
pub use row_json::row_as_json;
pub use sniff::is_column_name;
pub use standard_input::StandardInput;
pub use stream::{EventStream, RawBatch, plain_text};
pub use survey::{ColumnSummary, Summary};
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
    /// JSON objects: one a line, several on one, spread over lines, in an array or in an object around that.
    #[serde(alias = "json", alias = "jsonl", alias = "ndjson")]
    JsonLines,
    /// Zeek's own format, with a header of lines that begin with `#`.
    Zeek,
    /// Apache Parquet.
    Parquet,
    /// One payload a line.
    Lines,
    /// Raw HTTP/1.x requests with blank lines in between.
    Http,
    /// Rows of a database. No name in configurations: its URL tells.
    Database,
}

impl Format {
    /// The format of a name in configurations: `csv`, `tsv`, `psv`, `jsonl`, `zeek`, `parquet`, `lines` or `http`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "psv" => Some(Self::Psv),
            "jsonl" => Some(Self::JsonLines),
            "zeek" => Some(Self::Zeek),
            "parquet" => Some(Self::Parquet),
            "lines" => Some(Self::Lines),
            "http" => Some(Self::Http),
            _ => None,
        }
    }

    /// What stands between fields; `None` for formats without.
    pub(crate) fn delimiter(self) -> Option<u8> {
        match self {
            Self::Csv => Some(b','),
            Self::Tsv => Some(b'\t'),
            Self::Psv => Some(b'|'),
            Self::JsonLines | Self::Zeek | Self::Parquet | Self::Lines | Self::Http | Self::Database => None,
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
    /// Types of columns that there are even if no file holds them, all NULL then. `types` count first.
    pub expected: BTreeMap<String, ColumnType>,
    /// Table or query of databases whose URL names none.
    pub selection: Option<Selection>,
    /// Variables of the environment that complete the URLs of databases.
    pub variables: Variables,
    /// What the path `-` stands for.
    pub standard_input: Option<StandardInput>,
    /// What the bytes of files are. Default: UTF-8, or UTF-16 by its mark, or Latin-1 where they look like it.
    pub encoding: Option<Encoding>,
    /// Whether a cell that is not of the type given for its column rejects the record. Default: it is NULL and counted.
    pub reject_misfits: bool,
    /// Bytes of the longest record; default 16 MiB. Longer ones are rejected without being held.
    pub max_line_bytes: usize,
    /// Bytes of the largest file, decompressed; default 64 GiB.
    pub max_file_bytes: u64,
    /// Threads that read and take apart; default one per core. The outcome does not depend on it.
    pub threads: Option<NonZeroUsize>,
    /// Bytes that are taken apart at a time; default 4 MiB. The outcome does not depend on it.
    pub block_bytes: usize,
    /// Counts what has been read, for [`ReadProgress`].
    pub counter: ByteCounter,
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
            expected: BTreeMap::new(),
            selection: None,
            variables: Variables::default(),
            standard_input: None,
            encoding: None,
            reject_misfits: false,
            threads: None,
            block_bytes: 4 << 20,
            max_line_bytes: 16 << 20,
            max_file_bytes: 64 << 30,
            counter: ByteCounter::default(),
            keep_extra: false,
        }
    }
}

impl ReadOptions {
    /// Where the content of a path is.
    pub(crate) fn file_of<'a>(&'a self, path: &'a Path) -> &'a Path {
        match &self.standard_input {
            Some(input) if path == Path::new(standard_input::STANDARD_INPUT) => input.path(),
            _ => path,
        }
    }
}
