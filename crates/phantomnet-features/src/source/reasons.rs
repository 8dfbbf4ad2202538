//! Why columns have the types they have, for people.

use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray};

use crate::events::{ColumnType, Events};
use crate::source::cell::{self, Kind};
use crate::source::excerpt::visible;

/// A column of text beside numbers is told of in a warning if at most this share of its values is no number.
const FEW: f64 = 0.01;

/// For each column of `events` why it is of its type, in words.
pub fn type_reasons(events: &Events) -> Vec<String> {
    let columns = events.origin.schema.columns().iter().zip(events.batch.columns());
    columns
        .map(|((name, column_type), array)| {
            let given = events.origin.options.types.get(name).or_else(|| events.origin.options.expected.get(name));
            match (given, column_type) {
                (Some(_), _) => "given".to_owned(),
                _ if array.null_count() == array.len() => "no value".to_owned(),
                (_, ColumnType::Integer) => "every value is a whole number".to_owned(),
                (_, ColumnType::Number) => "every value is a number".to_owned(),
                (_, ColumnType::Boolean) => "every value is true or false".to_owned(),
                (_, ColumnType::Text) => match Mixture::of(array.as_string()) {
                    Mixture { n_numbers: 0, .. } => "values are text".to_owned(),
                    Mixture { first_other: None, .. } => {
                        "values look like numbers, but are text in JSON or begin with 0".to_owned()
                    }
                    mixture if mixture.n_numbers > mixture.n_others => mixture.in_words(events),
                    _ => "values are text".to_owned(),
                },
            }
        })
        .collect()
}

/// A sentence for each column that would be one of numbers but for a few of its values.
pub(crate) fn nearly_numbers(events: &Events) -> Vec<String> {
    let columns = events.origin.schema.columns().iter().zip(events.batch.columns());
    columns
        .filter(|((_, column_type), _)| *column_type == ColumnType::Text)
        .filter_map(|((name, _), array)| {
            if events.origin.options.types.contains_key(name) || events.origin.options.expected.contains_key(name) {
                return None;
            }
            let mixture = Mixture::of(array.as_string());
            let few = mixture.n_numbers > 0 && mixture.n_others as f64 <= FEW * mixture.n_numbers as f64;
            (few && mixture.n_others > 0).then(|| {
                let (name, words) = (visible(name, 60), mixture.in_words(events));
                format!("column `{name}` is text, since {words}; with a type in `data.types` those would be missing")
            })
        })
        .collect()
}

/// How many values of a column look like numbers, and how many do not.
struct Mixture {
    n_numbers: u64,
    n_others: u64,
    /// The first that does not.
    first_other: Option<(usize, String)>,
}

impl Mixture {
    fn of(texts: &StringArray) -> Self {
        let mut mixture = Self { n_numbers: 0, n_others: 0, first_other: None };
        for (row, text) in texts.iter().enumerate() {
            let Some(text) = text else { continue };
            if matches!(cell::spelled(text.as_bytes()), Kind::Integer | Kind::Number) {
                mixture.n_numbers += 1;
            } else {
                mixture.n_others += 1;
                mixture.first_other.get_or_insert_with(|| (row, visible(text, 40)));
            }
        }
        mixture
    }

    fn in_words(&self, events: &Events) -> String {
        let total = self.n_numbers + self.n_others;
        let Some((row, text)) = &self.first_other else { return String::new() };
        let place = events.origin.places.get(*row);
        let file = events.origin.files[place.file as usize].path.display();
        format!("{} of {total} values are no numbers, the first `{text}` at {file}:{}", self.n_others, place.line)
    }
}
