//! Values of expressions in the smallest form in which they can be kept for all events: 4 bytes an event.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;
use indexmap::IndexSet;
use phantomnet_model::{Dictionary, Feature, FeatureKind};

use crate::ExpressionError;
use crate::matrix::{booleans, cast_to, is_text, numbers};

/// Code of a value that is missing.
pub(crate) const MISSING: u32 = u32::MAX;

/// Values of a feature, before it is known how those that are texts become numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureValues(Kept);

#[derive(Debug, Clone, PartialEq)]
enum Kept {
    /// So many NULLs of no type.
    Null(usize),
    /// As in the matrix.
    Number(Vec<f32>),
    Boolean(Vec<f32>),
    Text(Coded),
}

impl Default for FeatureValues {
    fn default() -> Self {
        Self(Kept::Null(0))
    }
}

impl FeatureValues {
    /// The values of an array that feature `name` gave.
    ///
    /// # Errors
    /// [`ExpressionError::FeatureType`] for times, durations, lists and structs.
    pub fn of(name: &str, array: &ArrayRef) -> Result<Self, ExpressionError> {
        Ok(Self(match array.data_type() {
            DataType::Null => Kept::Null(array.len()),
            DataType::Boolean => Kept::Boolean(booleans(array)),
            number if number.is_numeric() => Kept::Number(numbers(name, array)?),
            DataType::Utf8 => Kept::Text(Coded::of(array.as_string::<i32>().iter())),
            text if is_text(text) => {
                let texts = cast_to(name, array, &DataType::Utf8View)?;
                Kept::Text(Coded::of(texts.as_string_view().iter()))
            }
            other => return Err(ExpressionError::FeatureType { name: name.to_owned(), got: other.clone() }),
        }))
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kept::Null(n) => *n,
            Kept::Number(values) | Kept::Boolean(values) => values.len(),
            Kept::Text(coded) => coded.codes.len(),
        }
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the values of the same feature on further events.
    ///
    /// # Panics
    /// When those are of another type, which one expression never gives.
    pub(crate) fn append(&mut self, more: Self) {
        match (&mut self.0, more.0) {
            (Kept::Null(n), Kept::Null(more)) => *n += more,
            (Kept::Number(values), Kept::Number(more)) | (Kept::Boolean(values), Kept::Boolean(more)) => {
                values.extend_from_slice(&more);
            }
            (Kept::Text(coded), Kept::Text(more)) => coded.append(&more),
            (mine, more) => panic!("an expression gave {more:?} after {mine:?}"),
        }
    }

    /// The kind of a feature with such values; the dictionary of texts is learned from `train_rows` alone.
    ///
    /// # Panics
    /// When a row lies outside.
    pub(crate) fn learn_kind(&self, train_rows: &[u32]) -> FeatureKind {
        match &self.0 {
            Kept::Null(_) | Kept::Number(_) => FeatureKind::Number,
            Kept::Boolean(_) => FeatureKind::Boolean,
            Kept::Text(coded) => FeatureKind::Category { dictionary: coded.learn_dictionary(train_rows) },
        }
    }

    /// The column of a matrix that these values are under a learned schema.
    ///
    /// # Errors
    /// [`ExpressionError::FeatureChanged`] when they are not of the feature's kind.
    pub(crate) fn into_column(self, feature: &Feature) -> Result<Vec<f32>, ExpressionError> {
        let got = match (self.0, &feature.kind) {
            (Kept::Null(n), _) => return Ok(vec![f32::NAN; n]),
            (Kept::Number(values), FeatureKind::Number) | (Kept::Boolean(values), FeatureKind::Boolean) => {
                return Ok(values);
            }
            (Kept::Text(coded), FeatureKind::Category { dictionary }) => return Ok(coded.encode(dictionary)),
            (Kept::Number(_), _) => DataType::Float64,
            (Kept::Boolean(_), _) => DataType::Boolean,
            (Kept::Text(_), _) => DataType::Utf8,
        };
        let (name, expected) = (feature.name.clone(), feature.kind.name());
        Err(ExpressionError::FeatureChanged { name, expected, got })
    }
}

/// Texts, each kept once: codes count up in the order in which values first came.
#[derive(Debug, Clone, Default, PartialEq)]
struct Coded {
    codes: Vec<u32>,
    // Looked up, and iterated in the order of insertion: hash order plays no part.
    distinct: IndexSet<String, foldhash::fast::RandomState>,
}

impl Coded {
    fn of<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Self {
        let mut coded = Self { codes: Vec::with_capacity(texts.size_hint().0), distinct: IndexSet::default() };
        let mut last: Option<(&str, u32)> = None;
        for text in texts {
            let code = match (text, last) {
                (None, _) => MISSING,
                // Neighbours are often alike.
                (Some(text), Some((same, code))) if text == same => code,
                (Some(text), _) => {
                    let code = coded.code(text);
                    last = Some((text, code));
                    code
                }
            };
            coded.codes.push(code);
        }
        coded
    }

    fn code(&mut self, text: &str) -> u32 {
        let known = self.distinct.get_index_of(text);
        known.unwrap_or_else(|| self.distinct.insert_full(text.to_owned()).0) as u32
    }

    fn append(&mut self, more: &Self) {
        let codes: Vec<u32> = more.distinct.iter().map(|text| self.code(text)).collect();
        self.codes.extend(more.codes.iter().map(|&code| if code == MISSING { MISSING } else { codes[code as usize] }));
    }

    fn learn_dictionary(&self, rows: &[u32]) -> Dictionary {
        let mut counts = vec![0_u64; self.distinct.len()];
        for &row in rows {
            let code = self.codes[row as usize];
            if code != MISSING {
                counts[code as usize] += 1;
            }
        }
        Dictionary::of_counts(self.distinct.iter().map(String::as_str).zip(counts).filter(|&(_, n)| n > 0))
    }

    fn encode(self, dictionary: &Dictionary) -> Vec<f32> {
        let numbers: Vec<f32> = self.distinct.iter().map(|text| dictionary.encode(Some(text))).collect();
        self.codes.into_iter().map(|code| if code == MISSING { f32::NAN } else { numbers[code as usize] }).collect()
    }
}

/// Values of a label, as many different ones as tell whether they are classes.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelValues {
    pub(crate) kind: LabelKind,
    /// Of each event the index of its value in `distinct`, or [`MISSING`], or [`LabelValues::OTHER`].
    pub(crate) codes: Vec<u32>,
    /// In the order in which they first came: integers in decimal, the class names of booleans.
    pub(crate) distinct: Vec<String>,
    /// NULLs that came, those among them that were left out since.
    pub(crate) n_missing: u64,
}

/// What a label's values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LabelKind {
    Null,
    Boolean,
    Integer,
    Text,
    /// A type that is none of a label.
    Other(DataType),
}

impl LabelValues {
    /// Code of values beyond those that are told apart.
    pub(crate) const OTHER: u32 = u32::MAX - 1;
    /// One more than a label may have.
    const MAX_DISTINCT: usize = crate::MAX_CLASSES + 1;

    /// The values of an array that a label gave. An unsigned 64-bit integer is no label: no event column has it.
    pub fn of(array: &ArrayRef) -> Self {
        let (kind, codes, distinct) = match array.data_type() {
            DataType::Null => (LabelKind::Null, vec![MISSING; array.len()], Vec::new()),
            DataType::Boolean => {
                let booleans = array.as_boolean();
                let codes = match booleans.null_count() {
                    0 => booleans.values().iter().map(u32::from).collect(),
                    _ => booleans.iter().map(|b| b.map_or(MISSING, u32::from)).collect(),
                };
                (LabelKind::Boolean, codes, phantomnet_model::Classes::boolean().names)
            }
            integer if integer.is_integer() && integer != &DataType::UInt64 => {
                let integers = cast(array, &DataType::Int64).unwrap_or_else(|_| ArrayRef::clone(array));
                let (codes, distinct) = coded(integers.as_primitive::<arrow_array::types::Int64Type>().iter());
                (LabelKind::Integer, codes, distinct.iter().map(i64::to_string).collect())
            }
            text if is_text(text) => {
                let texts = cast(array, &DataType::Utf8View).unwrap_or_else(|_| ArrayRef::clone(array));
                let (codes, distinct) = coded(texts.as_string_view().iter());
                (LabelKind::Text, codes, distinct.into_iter().map(str::to_owned).collect())
            }
            other => (LabelKind::Other(other.clone()), vec![MISSING; array.len()], Vec::new()),
        };
        let n_missing = codes.iter().filter(|&&code| code == MISSING).count() as u64;
        Self { kind, codes, distinct, n_missing }
    }

    /// Events that have no value, those among them that were left out.
    pub fn n_missing(&self) -> u64 {
        self.n_missing
    }

    /// Leaves out the events without a value; the rows that stay, unless all do.
    pub(crate) fn drop_missing(&mut self) -> Option<Vec<u32>> {
        if self.codes.iter().all(|&code| code != MISSING) {
            return None;
        }
        let rows = (0..self.codes.len() as u32).filter(|&row| self.codes[row as usize] != MISSING).collect();
        self.codes.retain(|&code| code != MISSING);
        Some(rows)
    }

    /// Adds the values of the same label on further events.
    pub(crate) fn append(&mut self, more: &Self) {
        if self.kind == LabelKind::Null {
            self.kind = more.kind.clone();
        }
        let codes: Vec<u32> = more.distinct.iter().map(|value| self.code(value)).collect();
        let code = |&code: &u32| codes.get(code as usize).copied().unwrap_or(code);
        self.codes.extend(more.codes.iter().map(code));
        self.n_missing += more.n_missing;
    }

    fn code(&mut self, value: &str) -> u32 {
        if let Some(known) = self.distinct.iter().position(|known| known == value) {
            return known as u32;
        }
        if self.distinct.len() == Self::MAX_DISTINCT {
            return Self::OTHER;
        }
        self.distinct.push(value.to_owned());
        self.distinct.len() as u32 - 1
    }
}

impl Default for LabelValues {
    fn default() -> Self {
        Self { kind: LabelKind::Null, codes: Vec::new(), distinct: Vec::new(), n_missing: 0 }
    }
}

/// Codes of values, and the first different ones.
fn coded<T: Copy + Eq + std::hash::Hash>(values: impl Iterator<Item = Option<T>>) -> (Vec<u32>, Vec<T>) {
    // Looked up, never iterated: hash order plays no part.
    let mut known = HashMap::new();
    let mut distinct = Vec::new();
    let mut last: Option<(T, u32)> = None;
    let codes = values.map(|value| match (value, last) {
        (None, _) => MISSING,
        (Some(value), Some((same, code))) if value == same => code,
        (Some(value), _) => {
            let code = match known.get(&value) {
                Some(&code) => code,
                None if distinct.len() == LabelValues::MAX_DISTINCT => LabelValues::OTHER,
                None => {
                    distinct.push(value);
                    known.insert(value, distinct.len() as u32 - 1);
                    distinct.len() as u32 - 1
                }
            };
            last = Some((value, code));
            code
        }
    });
    (codes.collect(), distinct)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow_array::{BooleanArray, Float64Array, Int64Array, NullArray, StringArray};
    use phantomnet_model::FeatureSchema;
    use proptest::prelude::*;

    use crate::{into_matrix, to_matrix};

    fn bits(column: &[f32]) -> Vec<u32> {
        column.iter().map(|x| x.to_bits()).collect()
    }

    /// An array of one of the types that features have.
    fn array() -> impl Strategy<Value = ArrayRef> {
        let cells = |n| prop::collection::vec(prop::option::of(0..n), 0..40);
        prop_oneof![
            cells(9_i64).prop_map(|cells| Arc::new(Int64Array::from(cells)) as ArrayRef),
            cells(4_i64).prop_map(|cells| {
                Arc::new(cells.iter().map(|x| x.map(|x| x as f64 / 3.0)).collect::<Float64Array>()) as ArrayRef
            }),
            cells(2_i64).prop_map(|cells| {
                Arc::new(cells.iter().map(|x| x.map(|x| x == 1)).collect::<BooleanArray>()) as ArrayRef
            }),
            cells(6_i64).prop_map(|cells| {
                Arc::new(cells.iter().map(|x| x.map(|x| format!("v{x}"))).collect::<StringArray>()) as ArrayRef
            }),
            (0_usize..9).prop_map(|n| Arc::new(NullArray::new(n)) as ArrayRef),
        ]
    }

    proptest! {
        #[test]
        fn values_kept_in_pieces_give_the_matrix_of_the_whole(array in array(), at in 0.0..1.0_f64) {
            let at = (array.len() as f64 * at) as usize;
            let of = |array: &ArrayRef| FeatureValues::of("x", array).unwrap();
            let mut pieces = of(&array.slice(0, at));
            pieces.append(of(&array.slice(at, array.len() - at)));
            let rows: Vec<u32> = (0..array.len() as u32).step_by(2).collect();
            let feature = Feature { name: "x".into(), kind: pieces.learn_kind(&rows) };
            if let FeatureKind::Category { dictionary } = &feature.kind {
                let texts = array.as_string::<i32>();
                let seen = rows.iter().map(|&row| texts.is_valid(row as usize).then(|| texts.value(row as usize)));
                prop_assert_eq!(dictionary, &Dictionary::learn(seen));
            }
            let schema = FeatureSchema::new(vec![feature]);
            let whole = to_matrix(&[array], &schema).unwrap();
            let joined = into_matrix(vec![pieces], &schema).unwrap();
            prop_assert_eq!(bits(joined.column(0)), bits(whole.column(0)));
        }

        #[test]
        fn a_label_kept_in_pieces_is_that_of_the_whole(
            values in prop::collection::vec(prop::option::of(0..120_i64), 0..300), at in 0.0..1.0_f64,
        ) {
            let array: ArrayRef = Arc::new(Int64Array::from(values));
            let at = (array.len() as f64 * at) as usize;
            let mut pieces = LabelValues::of(&array.slice(0, at));
            pieces.append(&LabelValues::of(&array.slice(at, array.len() - at)));
            let whole = LabelValues::of(&array);
            prop_assert_eq!((&pieces.distinct, pieces.n_missing), (&whole.distinct, whole.n_missing));
            // Past that it is no label, whatever the codes.
            prop_assert!(whole.distinct.len() > crate::MAX_CLASSES || pieces == whole);
        }
    }

    #[test]
    fn events_without_a_label_are_left_out_and_counted() {
        let mut values = LabelValues::of(&(Arc::new(StringArray::from(vec![Some("b"), None, Some("a")])) as ArrayRef));
        assert_eq!(values.drop_missing(), Some(vec![0, 2]));
        assert_eq!((values.codes.as_slice(), values.n_missing), ([0, 1].as_slice(), 1));
        assert_eq!(values.drop_missing(), None);
        let label = crate::Expression::compile("l", "1", &arrow_schema::Schema::empty().into()).unwrap();
        let classes = crate::learn_classes(&label, &values, None).unwrap();
        assert_eq!(crate::into_labels(values, &classes), Ok(vec![1, 0]));
    }

    #[test]
    fn a_kept_feature_of_another_kind_is_refused() {
        let values = FeatureValues::of("x", &(Arc::new(BooleanArray::from(vec![true])) as ArrayRef)).unwrap();
        let error = into_matrix(vec![values], &FeatureSchema::numbers(&["x"])).unwrap_err();
        assert_eq!(error.to_string(), "feature `x` was a number in training, got Boolean");
    }
}
