//! Why columns have the types they have, for people.

use arrow_array::StringArray;
use arrow_array::cast::AsArray;

use crate::events::{ColumnType, Events, Place, SourceFile};
use crate::source::ReadOptions;
use crate::source::cell::{self, Kind};
use crate::source::excerpt::visible;

/// A column of text beside numbers is told of in a warning if at most this share of its values is no number.
const FEW: f64 = 0.01;

/// Why a column is of its type, in words; `place` tells where a value is.
pub(crate) fn why<P: Copy>(
    column_type: ColumnType,
    is_given: bool,
    n_valid: u64,
    mixture: &Mixture<P>,
    place: impl FnOnce(P) -> String,
) -> String {
    match column_type {
        _ if is_given => "given".to_owned(),
        _ if n_valid == 0 => "no value".to_owned(),
        ColumnType::Integer => "every value is a whole number".to_owned(),
        ColumnType::Number => "every value is a number".to_owned(),
        ColumnType::Boolean => "every value is true or false".to_owned(),
        ColumnType::Text if mixture.n_numbers == 0 => "values are text".to_owned(),
        ColumnType::Text if mixture.n_others == 0 => {
            "values look like numbers, but are text in JSON or begin with 0".to_owned()
        }
        ColumnType::Text if mixture.n_numbers > mixture.n_others => mixture.in_words(place),
        ColumnType::Text => "values are text".to_owned(),
    }
}

/// A sentence for each column that would be one of numbers but for a few of its values.
pub(crate) fn nearly_numbers(events: &Events) -> Vec<String> {
    let columns = events.origin.schema.columns().iter().zip(events.batch.columns());
    columns
        .filter(|((name, column_type), _)| is_guessed_text(name, *column_type, &events.origin.options))
        .filter_map(|((name, _), array)| {
            let mixture = Mixture::of(array.as_string());
            mixture.nearly_numbers(name, |row| place_in_words(&events.origin.files, events.origin.places.get(row)))
        })
        .collect()
}

/// Whether somebody has said what type a column is of.
pub(crate) fn is_given(name: &str, options: &ReadOptions) -> bool {
    options.types.contains_key(name) || options.expected.contains_key(name)
}

/// Whether a column is of text, and nobody has said so.
pub(crate) fn is_guessed_text(name: &str, column_type: ColumnType, options: &ReadOptions) -> bool {
    column_type == ColumnType::Text && !is_given(name, options)
}

/// File and line.
pub(crate) fn place_in_words(files: &[SourceFile], place: Place) -> String {
    format!("{}:{}", files[place.file as usize].path.display(), place.line)
}

/// How many values of a column look like numbers, and how many do not.
#[derive(Debug, Clone)]
pub(crate) struct Mixture<P = usize> {
    n_numbers: u64,
    n_others: u64,
    /// The first that does not, and where it is.
    first_other: Option<(P, String)>,
}

impl<P> Default for Mixture<P> {
    fn default() -> Self {
        Self { n_numbers: 0, n_others: 0, first_other: None }
    }
}

impl Mixture {
    pub(crate) fn of(texts: &StringArray) -> Self {
        let mut mixture = Self::default();
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
}

impl<P: Copy> Mixture<P> {
    /// Adds what is known of further values of the column.
    pub(crate) fn join<Q: Copy>(&mut self, more: &Mixture<Q>, place: impl FnOnce(Q) -> P) {
        self.n_numbers += more.n_numbers;
        self.n_others += more.n_others;
        if let (None, Some((at, text))) = (&self.first_other, &more.first_other) {
            self.first_other = Some((place(*at), text.clone()));
        }
    }

    /// Whether there are more words than numbers.
    pub(crate) fn is_mostly_words(&self) -> bool {
        self.n_others > self.n_numbers
    }

    /// A sentence if the column would be one of numbers but for a few of its values; `place` tells where one is.
    pub(crate) fn nearly_numbers(&self, name: &str, place: impl FnOnce(P) -> String) -> Option<String> {
        let few = self.n_numbers > 0 && self.n_others as f64 <= FEW * self.n_numbers as f64;
        (few && self.n_others > 0).then(|| {
            let (name, words) = (visible(name, 60), self.in_words(place));
            format!("column `{name}` is text, since {words}; with a type in `data.types` those would be missing")
        })
    }

    fn in_words(&self, place: impl FnOnce(P) -> String) -> String {
        let total = self.n_numbers + self.n_others;
        let Some((at, text)) = &self.first_other else { return String::new() };
        format!("{} of {total} values are no numbers, the first `{text}` at {}", self.n_others, place(*at))
    }
}
