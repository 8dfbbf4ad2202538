//! The columns and classes of a data set, from its about.json.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use phantomnet_model::{Classes, Dataset, Dictionary, Feature, FeatureKind, FeatureSchema, Matrix};
use serde_json::Value;

use crate::npy::Array;

/// What about.json says. Columns without a number of category codes are plain numbers.
pub struct Contract {
    classes: Arc<Classes>,
    /// Codes of each category column.
    n_codes: serde_json::Map<String, Value>,
}

impl Contract {
    /// With `ordinal`, category codes are plain numbers too.
    pub fn read(path: &Path, ordinal: bool) -> Result<Self, Box<dyn Error>> {
        let about: Value = serde_json::from_slice(&fs::read(path)?)?;
        let names: Option<Vec<String>> = about["classes"]
            .as_array()
            .and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        let names = names.ok_or("about.json: expected names in `classes`")?;
        let categories = about["categories"].as_object().ok_or("about.json: expected an object in `categories`")?;
        let n_codes = if ordinal { serde_json::Map::new() } else { categories.clone() };
        let positive = (names.len() == 2).then_some(1);
        Ok(Self { classes: Arc::new(Classes { names, positive }), n_codes })
    }

    fn n_codes(&self, column: usize) -> Option<u64> {
        self.n_codes.get(&column.to_string()).and_then(Value::as_u64)
    }

    /// Row-major rows as columns. Codes move up by one: 0 is the unseen value, which the file has as -1.
    pub fn matrix(&self, rows: &Array<f32>) -> Result<Matrix, Box<dyn Error>> {
        let mut columns: Vec<Vec<f32>> = (0..rows.n_columns).map(|_| Vec::with_capacity(rows.n_rows)).collect();
        // Blocks of rows, so that each cache line of the rows is read once.
        for block in rows.values.chunks(64 * rows.n_columns) {
            for (j, column) in columns.iter_mut().enumerate() {
                let moved = if self.n_codes(j).is_some() { 1.0 } else { 0.0 };
                column.extend(block[j..].iter().step_by(rows.n_columns).map(|x| x + moved));
            }
        }
        Ok(Matrix::new(rows.n_rows, columns)?)
    }

    pub fn dataset(&self, rows: &Array<f32>, labels: &Array<i32>) -> Result<Dataset, Box<dyn Error>> {
        let kind = |column| -> Result<FeatureKind, Box<dyn Error>> {
            let Some(n_codes) = self.n_codes(column) else { return Ok(FeatureKind::Number) };
            let values = (0..n_codes).map(|code| format!("v{code:03}")).collect();
            let dictionary = Dictionary::from_values(values).ok_or("about.json: too many categories")?;
            Ok(FeatureKind::Category { dictionary })
        };
        let features: Result<Vec<Feature>, Box<dyn Error>> =
            (0..rows.n_columns).map(|j| Ok(Feature { name: format!("f{j}"), kind: kind(j)? })).collect();
        let labels = labels.values.iter().map(|&label| u32::try_from(label)).collect::<Result<_, _>>()?;
        let schema = Arc::new(FeatureSchema::new(features?));
        Ok(Dataset::new(schema, Arc::clone(&self.classes), self.matrix(rows)?, labels)?)
    }
}
