//! One record taken apart: its cells, and the names that its columns go by.

use std::collections::HashMap;

use crate::source::cell::Kind;

/// Most columns that a table may have; a bound on what hostile keys can cost.
pub(crate) const MAX_COLUMNS: usize = 10_000;

/// The cells of one record. They point into the source where it has them as they are; buffers are used again for the next record.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// Texts that do not stand in the source as they are, one after another.
    pub(crate) scratch: String,
    /// In the order of the record.
    pub(crate) cells: Vec<Cell>,
    /// The record with U+FFFD for what is not UTF-8. Cells that point into the source point into this instead, if it is not empty.
    pub(crate) mended: String,
}

/// A value of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    /// Index of its column.
    pub(crate) column: usize,
    pub(crate) kind: Kind,
    /// Whether it is in the scratch.
    is_copy: bool,
    start: usize,
    end: usize,
}

impl Row {
    pub(crate) fn clear(&mut self) {
        self.scratch.clear();
        self.cells.clear();
        self.mended.clear();
    }

    /// Adds a cell that stands in the source.
    pub(crate) fn push(&mut self, column: usize, kind: Kind, start: usize, end: usize) {
        self.cells.push(Cell { column, kind, is_copy: false, start, end });
    }

    /// Adds a cell of the scratch's text from `start` to the end.
    pub(crate) fn close_cell(&mut self, column: usize, kind: Kind, start: usize) {
        self.cells.push(Cell { column, kind, is_copy: true, start, end: self.scratch.len() });
    }

    /// Text of a cell of a record of `source`; none for NULL.
    ///
    /// # Panics
    /// When the record is not UTF-8 and has not been mended, which no record of a decoder is.
    pub(crate) fn text<'a>(&'a self, cell: &Cell, source: Source<'a>) -> &'a str {
        let text = match (cell.is_copy, self.mended.is_empty()) {
            (true, _) => &self.scratch,
            (false, false) => &self.mended,
            (false, true) => match source.text {
                Some(text) => text,
                None => {
                    return std::str::from_utf8(&source.bytes[cell.start..cell.end])
                        .expect("records are checked to be UTF-8, and cells end where characters do");
                }
            },
        };
        &text[cell.start..cell.end]
    }

    /// Bytes of a cell of a record of `source`; none for NULL.
    pub(crate) fn bytes<'a>(&'a self, cell: &Cell, source: &'a [u8]) -> &'a [u8] {
        let base = match (cell.is_copy, self.mended.is_empty()) {
            (true, _) => self.scratch.as_bytes(),
            (false, true) => source,
            (false, false) => self.mended.as_bytes(),
        };
        &base[cell.start..cell.end]
    }
}

/// The text that records are taken from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) bytes: &'a [u8],
    /// The same, if it is UTF-8 throughout: then it need not be checked once more for each cell.
    text: Option<&'a str>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, text: simdutf8::basic::from_utf8(bytes).ok() }
    }

    /// Some text, of which only the records that are taken from it are checked.
    pub(crate) fn unchecked(bytes: &'a [u8]) -> Self {
        Self { bytes, text: None }
    }

    pub(crate) fn is_utf8(self) -> bool {
        self.text.is_some()
    }
}

/// Appends bytes with U+FFFD for what is not UTF-8.
pub(crate) fn push_lossy(out: &mut String, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => out.push_str(text),
        Err(_) => out.push_str(&String::from_utf8_lossy(bytes)),
    }
}

/// Column names in order of first appearance.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    names: Vec<String>,
    // Looked up, never iterated: hash order plays no part.
    index: HashMap<String, usize>,
    open: bool,
    /// Whether a name was left out because there are [`MAX_COLUMNS`].
    pub(crate) overflowed: bool,
}

impl Names {
    /// Starts with these names; others are added when `open`, else unknown.
    pub(crate) fn new(names: Vec<String>, open: bool) -> Self {
        let index = names.iter().cloned().zip(0..).collect();
        Self { names, index, open, overflowed: false }
    }

    pub(crate) fn as_slice(&self) -> &[String] {
        &self.names
    }

    /// Whether names are added.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Index of a name that is known.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Index of a name; `None` when it is unknown and none can be added.
    pub(crate) fn id(&mut self, name: &str) -> Option<usize> {
        if let Some(&id) = self.index.get(name) {
            return Some(id);
        }
        if !self.open {
            return None;
        }
        let id = self.names.len();
        if id >= MAX_COLUMNS {
            self.overflowed = true;
            return None;
        }
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), id);
        Some(id)
    }
}
