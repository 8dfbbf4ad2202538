//! Words for people go to stderr, data to stdout.

use std::io::{ErrorKind, IsTerminal, Write};

use crate::failure::{Failure, visible};

/// Writes a line to stderr. A closed stderr is nobody's problem.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a warning to stderr.
pub(crate) fn warn(text: &str) {
    say(&format!("warning: {}", visible(text)));
}

/// Prints the one JSON document of a `--json` command.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(format!("{value:#}\n").as_bytes())
}

/// Writes what the user asked for to stdout. A reader that has had enough, such as `head`, is nobody's problem.
///
/// # Errors
/// When stdout cannot be written.
pub(crate) fn print(data: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(data).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::environment("cannot write to standard output").caused_by(e))
        }
        _ => Ok(()),
    }
}

/// Whether stderr is a terminal, where progress may be drawn.
pub(crate) fn is_interactive() -> bool {
    std::io::stderr().is_terminal()
}

/// Rows of cells as aligned columns: the first to the left, the others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..n_columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[c].saturating_sub(cell.chars().count()));
            line.push_str(&if c == 0 { format!("  {cell}{pad}") } else { format!("  {pad}{cell}") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
