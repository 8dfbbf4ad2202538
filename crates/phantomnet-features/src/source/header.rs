//! The layout of a source: for delimited text, what its header says.

use std::io::{self, BufRead};

use crate::source::Format;
use crate::source::delimited::column_names;
use crate::source::excerpt::visible;
use crate::source::parser::{Layout, header_fields};
use crate::source::records::{Next, Records};
use crate::source::row::MAX_COLUMNS;
use crate::source::zeek;

/// Repeated column names that are told one by one.
const SHOWN_REPEATED: usize = 5;

/// Why a source has no layout.
#[derive(Debug)]
pub(crate) enum NoLayout {
    /// There is nothing in it.
    Empty,
    /// Its header is broken.
    Header(String),
    Io(io::Error),
}

impl From<io::Error> for NoLayout {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the header, unless the names are given or the format has none, and makes `records` ready for what follows.
/// Names that had to be changed are told in `warnings`.
pub(crate) fn read_layout<R: BufRead>(
    records: &mut Records<R>,
    format: Format,
    columns: Option<&[String]>,
    warnings: &mut Vec<String>,
) -> Result<Layout, NoLayout> {
    if records.peek()?.is_empty() {
        return Err(NoLayout::Empty);
    }
    if format == Format::Zeek {
        return zeek::read_header(records).map(Layout::Zeek);
    }
    let Some(delimiter) = format.delimiter() else {
        return Ok(Layout::JsonLines);
    };
    records.set_quoting(Some(delimiter));
    let header = match columns {
        Some(columns) => columns.to_vec(),
        None => match records.next(true)? {
            Next::Record { bytes, .. } => header_fields(bytes, delimiter),
            Next::Broken { why, .. } => return Err(NoLayout::Header(why.reason(&[]))),
            Next::Pending | Next::End => return Err(NoLayout::Empty),
        },
    };
    if header.len() > MAX_COLUMNS {
        return Err(NoLayout::Header(format!("it has {} columns; at most {MAX_COLUMNS} are read", header.len())));
    }
    let fields: Vec<&str> = header.iter().map(String::as_str).collect();
    let (header, renamed) = column_names(&fields);
    for (name, new) in renamed.iter().take(SHOWN_REPEATED) {
        let (name, new) = (visible(name, 60), visible(new, 60));
        warnings.push(format!("the header has more than one column `{name}`; one of them is read as `{new}`"));
    }
    if let Some(n) = renamed.len().checked_sub(SHOWN_REPEATED).filter(|&n| n > 0) {
        warnings.push(format!("{n} more columns of the header repeat a name"));
    }
    Ok(Layout::Delimited { delimiter, header })
}
