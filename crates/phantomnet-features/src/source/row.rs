//! One record taken apart: its cells, and the names that its columns go by.

use std::collections::HashMap;

use crate::source::cell::Kind;

/// Most columns that a table may have; a bound on what hostile keys can cost.
pub(crate) const MAX_COLUMNS: usize = 10_000;

/// The cells of one record in buffers that are used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// The text of all cells, one after another.
    pub(crate) text: String,
    /// In the order of the record.
    pub(crate) cells: Vec<Cell>,
}

/// A value of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    /// Index into [`Names`].
    pub(crate) column: usize,
    pub(crate) kind: Kind,
    start: usize,
    end: usize,
}

impl Row {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
    }

    /// Adds a cell of the text from `start` to the end.
    pub(crate) fn close_cell(&mut self, column: usize, kind: Kind, start: usize) {
        self.cells.push(Cell { column, kind, start, end: self.text.len() });
    }

    /// Text of a cell; empty for NULL.
    pub(crate) fn text_of(&self, cell: &Cell) -> &str {
        &self.text[cell.start..cell.end]
    }
}

/// Column names in order of first appearance.
#[derive(Debug)]
pub(crate) struct Names {
    names: Vec<String>,
    // Looked up, never iterated: hash order plays no part.
    index: HashMap<String, usize>,
    open: bool,
}

/// A record that would have more columns than a table may.
#[derive(Debug)]
pub(crate) struct TooManyColumns;

impl Names {
    /// Starts with these names; others are added when `open`, else unknown.
    pub(crate) fn new(names: Vec<String>, open: bool) -> Self {
        let index = names.iter().cloned().zip(0..).collect();
        Self { names, index, open }
    }

    pub(crate) fn as_slice(&self) -> &[String] {
        &self.names
    }

    /// Index of a name; `None` when it is unknown and none can be added.
    pub(crate) fn id(&mut self, name: &str) -> Result<Option<usize>, TooManyColumns> {
        if let Some(&id) = self.index.get(name) {
            return Ok(Some(id));
        }
        if !self.open {
            return Ok(None);
        }
        let id = self.names.len();
        if id >= MAX_COLUMNS {
            return Err(TooManyColumns);
        }
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), id);
        Ok(Some(id))
    }

    /// Forgets all but the first `len` names, as if a rejected record had not been seen.
    pub(crate) fn truncate(&mut self, len: usize) {
        for name in self.names.drain(len..) {
            self.index.remove(&name);
        }
    }
}
