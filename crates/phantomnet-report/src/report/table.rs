//! Tables that a screen reader can follow and a phone can scroll.

use crate::markup::Markup;
use crate::visible::one_line;

/// Rows a table shows; of more, it says how many.
const MAX_ROWS: usize = 200;
/// Characters of a cell that are shown.
const CELL_CHARS: usize = 300;

/// A column: its heading, and whether it holds numbers, which stand at the right.
pub(super) type Column = (&'static str, bool);

/// What stands in a cell.
pub(super) enum Cell {
    Text(String),
    /// A name, path or expression, in the type of code.
    Code(String),
    Built(Markup),
}

/// A table whose first cell of each row names the row.
pub(super) fn table(m: &mut Markup, caption: &str, columns: &[Column], rows: impl ExactSizeIterator<Item = Vec<Cell>>) {
    let n_hidden = rows.len().saturating_sub(MAX_ROWS);
    m.tag("div", &[("class", "scroll"), ("tabindex", "0"), ("role", "region"), ("aria-label", caption)], |m| {
        m.tag("table", &[], |m| {
            m.leaf("caption", &[], caption);
            m.tag("thead", &[], |m| {
                m.tag("tr", &[], |m| {
                    for &(heading, numeric) in columns {
                        m.leaf("th", &[("scope", "col"), ("class", class(numeric))], heading);
                    }
                });
            });
            m.tag("tbody", &[], |m| {
                for row in rows.take(MAX_ROWS) {
                    m.tag("tr", &[], |m| cells(m, columns, row));
                }
            });
        });
    });
    if n_hidden > 0 {
        m.leaf("p", &[("class", "note")], &format!("{n_hidden} more rows are not shown."));
    }
}

fn cells(m: &mut Markup, columns: &[Column], row: Vec<Cell>) {
    for (i, (cell, &(_, numeric))) in row.into_iter().zip(columns).enumerate() {
        let inside = |m: &mut Markup| match cell {
            Cell::Text(text) => m.text(&one_line(&text, CELL_CHARS)),
            Cell::Code(code) => m.leaf("code", &[], &one_line(&code, CELL_CHARS)),
            Cell::Built(markup) => m.append(&markup),
        };
        if i == 0 {
            m.tag("th", &[("scope", "row"), ("class", class(numeric))], inside);
        } else {
            m.tag("td", &[("class", class(numeric))], inside);
        }
    }
}

fn class(numeric: bool) -> &'static str {
    if numeric { "n" } else { "" }
}
