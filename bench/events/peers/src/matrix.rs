//! Batches of the query's result as f32 columns, labels and category codes.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type};

use crate::Result;

/// The columns of the matrix, in the order of the query; the last is that of category codes.
const N_COLUMNS: usize = 6;
const PROTOCOL: usize = N_COLUMNS - 1;

/// What was read so far.
#[derive(Default)]
pub struct Columns {
    pub matrix: [Vec<f32>; N_COLUMNS],
    pub labels: Vec<bool>,
    /// Values of the category column in the order they were met; codes are indices into it until [`joined`](Self::joined).
    protocols: Vec<String>,
}

impl Columns {
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        for (column, array) in self.matrix[..PROTOCOL].iter_mut().zip(batch.columns()) {
            let array = array.as_primitive::<Float32Type>();
            if array.null_count() == 0 {
                column.extend_from_slice(array.values());
            } else {
                column.extend(array.iter().map(|x| x.unwrap_or(f32::NAN)));
            }
        }
        self.push_protocols(batch.column(PROTOCOL))?;
        self.labels.extend(batch.column(N_COLUMNS).as_boolean().iter().map(|label| label == Some(true)));
        Ok(())
    }

    fn push_protocols(&mut self, array: &ArrayRef) -> Result<()> {
        let texts = cast(array, &DataType::Utf8View)?;
        for text in texts.as_string_view() {
            let code = match text {
                None => f32::NAN,
                Some(text) => match self.protocols.iter().position(|known| known == text) {
                    Some(code) => code as f32,
                    None => {
                        self.protocols.push(text.to_owned());
                        (self.protocols.len() - 1) as f32
                    }
                },
            };
            self.matrix[PROTOCOL].push(code);
        }
        Ok(())
    }

    /// All partitions after each other, category codes from 1 on in string order.
    pub fn joined(parts: Vec<Self>) -> Self {
        let mut protocols: Vec<String> = parts.iter().flat_map(|part| part.protocols.iter().cloned()).collect();
        protocols.sort_unstable();
        protocols.dedup();
        let mut whole = Self { protocols, ..Self::default() };
        for mut part in parts {
            let codes: Vec<f32> = part
                .protocols
                .iter()
                .map(|value| whole.protocols.binary_search(value).map_or(f32::NAN, |i| (i + 1) as f32))
                .collect();
            for code in part.matrix[PROTOCOL].iter_mut().filter(|code| !code.is_nan()) {
                *code = codes[*code as usize];
            }
            for (column, more) in whole.matrix.iter_mut().zip(&mut part.matrix) {
                append(column, more);
            }
            append(&mut whole.labels, &mut part.labels);
        }
        whole
    }
}

/// Moves `more` to the end; the first one is taken as it is.
fn append<T>(column: &mut Vec<T>, more: &mut Vec<T>) {
    if column.is_empty() {
        std::mem::swap(column, more);
    } else {
        column.append(more);
    }
}
