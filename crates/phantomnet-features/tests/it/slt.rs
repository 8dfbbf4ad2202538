//! Runs `tests/slt/*.slt`: expressions over a few events, with the values or the error they must give.
//!
//! A file has blocks separated by blank lines; `#` starts a comment line. `UPDATE_SLT=1` writes what comes out into the
//! files, to be read before it is committed.
//!
//! ```text
//! columns data:text port:integer      name:type, type one of text integer number boolean null
//! row ["GET /", 80]                   a JSON array, null for NULL
//!
//! eval payload_length(data)           then the type of the result and a line for each row
//! Int64
//! 5
//!
//! fail payload_length(dat)            then the message, and the hint if there is one
//! expression `it` reads unknown column `dat`; columns are `data`, `port`
//! hint: did you mean "data"? …
//! ```

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, NullArray, RecordBatch, StringArray};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, Schema};
use phantomnet_features::{Expression, ExpressionError};
use serde_json::Value;

#[test]
fn slt_files() {
    let complete = std::env::var_os("UPDATE_SLT").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut n_checks, mut failures) = (0, Vec::new());
    for file in files {
        let mut events = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let text = fs::read_to_string(&file).unwrap();
        let mut completed = Vec::new();
        for block in text.trim_end().split("\n\n") {
            let (comments, lines): (Vec<&str>, Vec<&str>) = block.lines().partition(|line| line.starts_with('#'));
            let Some((head, expected)) = lines.split_first() else {
                completed.push(block.to_owned());
                continue;
            };
            let (verb, rest) = head.split_once(' ').unwrap();
            if verb == "columns" {
                events = read_events(rest, expected);
                completed.push(block.to_owned());
                continue;
            }
            n_checks += 1;
            let result = Expression::compile("it", rest, &events.schema()).and_then(|e| e.evaluate(&events));
            let got = match (verb, result) {
                ("eval", Ok(values)) => render(&values),
                ("fail", Err(error)) => message(&error),
                (_, result) => vec![format!("{result:?}")],
            };
            if got != expected {
                failures.push(format!("{file:?}: {head}\n  expected {expected:#?}\n  got {got:#?}"));
            }
            let head = [comments, vec![head]].concat().join("\n");
            completed.push(std::iter::once(head).chain(got).collect::<Vec<_>>().join("\n"));
        }
        if complete {
            fs::write(&file, completed.join("\n\n") + "\n").unwrap();
        }
    }
    assert!(n_checks > 0, "no check was found");
    assert!(complete || failures.is_empty(), "{} of {n_checks} failed\n{}", failures.len(), failures.join("\n"));
}

fn read_events(columns: &str, rows: &[&str]) -> RecordBatch {
    let rows: Vec<Vec<Value>> =
        rows.iter().map(|row| serde_json::from_str(row.strip_prefix("row ").unwrap()).unwrap()).collect();
    let columns = columns.split_whitespace().enumerate().map(|(j, column)| {
        let (name, kind) = column.split_once(':').unwrap();
        let cells = rows.iter().map(|row| &row[j]);
        let array: ArrayRef = match kind {
            "text" => Arc::new(cells.map(Value::as_str).collect::<StringArray>()),
            "integer" => Arc::new(cells.map(Value::as_i64).collect::<Int64Array>()),
            "number" => Arc::new(cells.map(Value::as_f64).collect::<Float64Array>()),
            "boolean" => Arc::new(cells.map(Value::as_bool).collect::<BooleanArray>()),
            "null" => Arc::new(NullArray::new(rows.len())),
            other => panic!("unknown type `{other}`"),
        };
        (name, array)
    });
    super::batch(columns.collect())
}

fn render(values: &ArrayRef) -> Vec<String> {
    let cells = (0..values.len()).map(|row| match values.data_type() {
        _ if values.logical_nulls().is_some_and(|nulls| nulls.is_null(row)) => "NULL".to_owned(),
        DataType::Utf8 | DataType::Utf8View => format!("{:?}", array_value_to_string(values, row).unwrap()),
        _ => array_value_to_string(values, row).unwrap(),
    });
    std::iter::once(values.data_type().to_string()).chain(cells).collect()
}

fn message(error: &ExpressionError) -> Vec<String> {
    let hint = error.hint().map(|hint| format!("hint: {hint}"));
    std::iter::once(error.to_string()).chain(hint).collect()
}
