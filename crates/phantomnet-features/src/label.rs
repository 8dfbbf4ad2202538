//! Label values to classes.

use std::collections::BTreeSet;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;
use phantomnet_model::Classes;

use crate::matrix::is_text;
use crate::{Expression, ExpressionError};

/// Most classes a label may have: past it, the expression is likely to give an address or a payload.
pub const MAX_CLASSES: usize = 100;

/// A label's values, whatever their width.
enum Values {
    Booleans(ArrayRef),
    Integers(ArrayRef),
    Texts(ArrayRef),
}

/// Learns the classes of a label from its values.
///
/// A boolean label, and an integer one that is 0 or 1 throughout, has the classes of [`Classes::boolean`]. Otherwise the
/// classes are the distinct values, integers in numeric order, texts in string order. Of two classes the positive one
/// is `positive`, by default the later. NULL is no class.
///
/// # Errors
/// [`ExpressionError::LabelType`] for floats, times and nested types, [`ExpressionError::NoLabel`] when every value is
/// NULL, [`ExpressionError::TooManyClasses`] above [`MAX_CLASSES`], [`ExpressionError::UnknownPositive`] and
/// [`ExpressionError::PositiveOfMany`] when `positive` is not one of two classes.
pub fn learn_classes(label: &Expression, array: &ArrayRef, positive: Option<&str>) -> Result<Classes, ExpressionError> {
    let name = &label.name;
    if array.logical_null_count() == array.len() {
        return Err(ExpressionError::NoLabel { name: name.clone(), n_rows: array.len() });
    }
    let names = match values(array) {
        Some(Values::Booleans(_)) => Classes::boolean().names,
        Some(Values::Integers(integers)) => {
            let distinct = distinct(name, integers.as_primitive::<Int64Type>().iter())?;
            if distinct.iter().all(|n| (0..=1).contains(n)) {
                Classes::boolean().names
            } else {
                distinct.iter().map(i64::to_string).collect()
            }
        }
        Some(Values::Texts(texts)) => {
            distinct(name, texts.as_string_view().iter())?.into_iter().map(str::to_owned).collect()
        }
        None => return Err(ExpressionError::LabelType { name: name.clone(), got: array.data_type().clone() }),
    };
    let positive = match (positive, names.len()) {
        (None, 2) => Some(1),
        (None, _) => None,
        (Some(asked), n) => match names.iter().position(|class| class == asked) {
            Some(i) if n == 2 => Some(i),
            Some(_) => return Err(ExpressionError::PositiveOfMany { name: name.clone(), classes: names }),
            None => {
                let (name, positive) = (name.clone(), asked.to_owned());
                return Err(ExpressionError::UnknownPositive { name, positive, classes: names });
            }
        },
    };
    Ok(Classes { names, positive })
}

/// Class index of every label value, `None` for NULL.
///
/// # Errors
/// [`ExpressionError::UnknownClass`] at the first value that is none of `classes`: the label may well have values that
/// training did not meet, and what to do with their rows is the caller's choice. A value whose type has no classes is
/// reported the same way.
pub fn to_labels(array: &ArrayRef, classes: &Classes) -> Result<Vec<Option<u32>>, ExpressionError> {
    let index = |row: usize, value: &str| match classes.names.iter().position(|class| class == value) {
        Some(i) => Ok(Some(i as u32)),
        None => Err(unknown_class(row, value, classes)),
    };
    let boolean = Classes::boolean().names;
    let is_boolean = classes.names == boolean;
    match values(array) {
        Some(Values::Booleans(booleans)) => booleans
            .as_boolean()
            .iter()
            .enumerate()
            .map(|(row, value)| value.map_or(Ok(None), |b| index(row, &boolean[usize::from(b)])))
            .collect(),
        Some(Values::Integers(integers)) => integers
            .as_primitive::<Int64Type>()
            .iter()
            .enumerate()
            .map(|(row, value)| match value {
                None => Ok(None),
                Some(n @ 0..=1) if is_boolean => Ok(Some(n as u32)),
                Some(n) => index(row, &n.to_string()),
            })
            .collect(),
        Some(Values::Texts(texts)) => texts
            .as_string_view()
            .iter()
            .enumerate()
            .map(|(row, value)| value.map_or(Ok(None), |text| index(row, text)))
            .collect(),
        None if array.data_type() == &DataType::Null => Ok(vec![None; array.len()]),
        None => Err(unknown_class(0, &format!("of type {}", array.data_type()), classes)),
    }
}

fn unknown_class(row: usize, value: &str, classes: &Classes) -> ExpressionError {
    ExpressionError::UnknownClass { row, value: value.to_owned(), classes: classes.names.clone() }
}

/// `None` for types that are no label. An unsigned 64-bit integer is none: no event column has it.
fn values(array: &ArrayRef) -> Option<Values> {
    match array.data_type() {
        DataType::Boolean => Some(Values::Booleans(ArrayRef::clone(array))),
        DataType::UInt64 => None,
        integer if integer.is_integer() => cast(array, &DataType::Int64).ok().map(Values::Integers),
        text if is_text(text) => cast(array, &DataType::Utf8View).ok().map(Values::Texts),
        _ => None,
    }
}

fn distinct<T: Ord + ToString>(
    name: &str,
    values: impl Iterator<Item = Option<T>>,
) -> Result<BTreeSet<T>, ExpressionError> {
    let mut distinct = BTreeSet::new();
    for value in values.flatten() {
        distinct.insert(value);
        if distinct.len() > MAX_CLASSES {
            let examples = distinct.iter().take(3).map(T::to_string).collect();
            return Err(ExpressionError::TooManyClasses { name: name.to_owned(), limit: MAX_CLASSES, examples });
        }
    }
    Ok(distinct)
}
