//! Label values to classes.

use phantomnet_model::Classes;

use crate::values::{LabelKind, LabelValues, MISSING};
use crate::{Expression, ExpressionError};

/// Most classes a label may have: past it, the expression is likely to give an address or a payload.
pub const MAX_CLASSES: usize = 100;

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
pub fn learn_classes(
    label: &Expression,
    values: &LabelValues,
    positive: Option<&str>,
) -> Result<Classes, ExpressionError> {
    let name = &label.name;
    if let LabelKind::Other(got) = &values.kind {
        return Err(ExpressionError::LabelType { name: name.clone(), got: got.clone() });
    }
    if values.codes.iter().all(|&code| code == MISSING) {
        return Err(ExpressionError::NoLabel { name: name.clone(), n_rows: values.n_missing as usize });
    }
    let mut names = values.distinct.clone();
    match values.kind {
        LabelKind::Integer => {
            names.sort_by_key(|n| n.parse::<i64>().unwrap_or_default());
            if names.iter().all(|n| n == "0" || n == "1") {
                names = Classes::boolean().names;
            }
        }
        LabelKind::Text => names.sort(),
        LabelKind::Boolean | LabelKind::Null | LabelKind::Other(_) => {}
    }
    if names.len() > MAX_CLASSES {
        names.truncate(3);
        return Err(ExpressionError::TooManyClasses { name: name.clone(), limit: MAX_CLASSES, examples: names });
    }
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
pub fn to_labels(values: &LabelValues, classes: &Classes) -> Result<Vec<Option<u32>>, ExpressionError> {
    let known = classes_of(values, classes)?;
    let label = |(row, &code): (usize, &u32)| match code {
        MISSING => Ok(None),
        code => class(values, &known, classes, row, code).map(Some),
    };
    values.codes.iter().enumerate().map(label).collect()
}

/// Class index of every label value that is not NULL, in the memory of the values.
///
/// # Errors
/// As [`to_labels`].
pub fn into_labels(mut values: LabelValues, classes: &Classes) -> Result<Vec<u32>, ExpressionError> {
    let known = classes_of(&values, classes)?;
    values.drop_missing();
    let mut labels = std::mem::take(&mut values.codes);
    for (row, label) in labels.iter_mut().enumerate() {
        *label = class(&values, &known, classes, row, *label)?;
    }
    Ok(labels)
}

/// The class of each different value.
fn classes_of(values: &LabelValues, classes: &Classes) -> Result<Vec<Option<u32>>, ExpressionError> {
    if let LabelKind::Other(got) = &values.kind {
        return Err(unknown_class(0, &format!("of type {got}"), classes));
    }
    let is_boolean = classes.names == Classes::boolean().names;
    let class_of = |value: &String| match (value.as_str(), &values.kind) {
        ("0", LabelKind::Integer) if is_boolean => Some(0),
        ("1", LabelKind::Integer) if is_boolean => Some(1),
        (value, _) => classes.names.iter().position(|class| class == value).map(|class| class as u32),
    };
    Ok(values.distinct.iter().map(class_of).collect())
}

fn class(
    values: &LabelValues,
    known: &[Option<u32>],
    classes: &Classes,
    row: usize,
    code: u32,
) -> Result<u32, ExpressionError> {
    known.get(code as usize).copied().flatten().ok_or_else(|| {
        // There are more values than classes, so that one of those that are told apart is unknown, and comes before.
        let value = values.distinct.get(code as usize).map_or("one of many others", String::as_str);
        unknown_class(row, value, classes)
    })
}

fn unknown_class(row: usize, value: &str, classes: &Classes) -> ExpressionError {
    ExpressionError::UnknownClass { row, value: value.to_owned(), classes: classes.names.clone() }
}
