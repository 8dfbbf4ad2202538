//! Feature values to a feature matrix.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;
use phantomnet_model::{Feature, FeatureKind, FeatureSchema, Matrix};

use crate::error::quoted;
use crate::{ExpressionError, FeatureSet, FeatureValues};

/// Learns how the values of features become numbers: the kind of each from its type, the dictionaries of text features
/// from `train_rows` alone, so that the rows held out stay unseen.
///
/// Integers, floats and decimals are numbers, booleans are booleans, texts are categories. A feature that is NULL
/// throughout (its column is empty in all files) is a number that is always missing.
///
/// # Errors
/// [`ExpressionError::FeatureCount`] when there are not as many values as features.
///
/// # Panics
/// When a row lies outside the values.
pub fn learn_schema(
    features: &FeatureSet,
    values: &[FeatureValues],
    train_rows: &[u32],
) -> Result<FeatureSchema, ExpressionError> {
    check_count(features.expressions().len(), values.len())?;
    let learned = features.expressions().iter().zip(values);
    let feature = |(expression, values): (&crate::Expression, &FeatureValues)| Feature {
        name: expression.name.clone(),
        kind: values.learn_kind(train_rows),
    };
    Ok(FeatureSchema::new(learned.map(feature).collect()))
}

/// The matrix of kept values under a learned schema, as [`to_matrix`] makes it of arrays.
///
/// # Errors
/// As [`to_matrix`].
///
/// # Panics
/// When the values are not equally long, as those of the same events are.
pub fn into_matrix(values: Vec<FeatureValues>, schema: &FeatureSchema) -> Result<Matrix, ExpressionError> {
    check_count(schema.len(), values.len())?;
    let n_rows = values.first().map_or(0, FeatureValues::len);
    let columns = schema.features().iter().zip(values).map(|(feature, values)| values.into_column(feature));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(Matrix::new(n_rows, columns).expect("values of the same events are equally long"))
}

/// Encodes feature values by a learned schema.
///
/// Numbers are rounded to f32: integers are exact up to 2^24 = 16,777,216 only, and what exceeds the range of f32
/// becomes infinite. Raw clocks and long counters therefore make poor features; differences and ratios keep their
/// digits. NULL and NaN become NaN.
///
/// # Errors
/// [`ExpressionError::FeatureCount`] when there are not as many arrays as features, [`ExpressionError::FeatureChanged`]
/// when one has not the type of its kind.
///
/// # Panics
/// When the arrays are not equally long, as those of one batch are.
pub fn to_matrix(arrays: &[ArrayRef], schema: &FeatureSchema) -> Result<Matrix, ExpressionError> {
    check_count(schema.len(), arrays.len())?;
    let n_rows = arrays.first().map_or(0, |array| array.len());
    let columns = schema.features().iter().zip(arrays).map(|(feature, array)| encode(feature, array));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(Matrix::new(n_rows, columns).expect("arrays of one batch are equally long"))
}

fn check_count(expected: usize, got: usize) -> Result<(), ExpressionError> {
    if got == expected { Ok(()) } else { Err(ExpressionError::FeatureCount { expected, got }) }
}

pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The same values as `to`, NULL where one has no counterpart.
pub(crate) fn cast_to(name: &str, array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ExpressionError> {
    cast(array, to).map_err(|e| ExpressionError::Evaluate { name: name.to_owned(), reason: quoted(&e.to_string()) })
}

/// Numbers of any width as a matrix has them.
pub(crate) fn numbers(name: &str, array: &ArrayRef) -> Result<Vec<f32>, ExpressionError> {
    let mut numbers: Vec<f32> = match array.data_type() {
        // What most features are, rounded as a cast rounds it.
        DataType::Int64 => array.as_primitive::<Int64Type>().values().iter().map(|&x| x as f32).collect(),
        DataType::Float64 => array.as_primitive::<Float64Type>().values().iter().map(|&x| x as f32).collect(),
        _ => {
            let numbers = cast_to(name, array, &DataType::Float32)?;
            return Ok(numbers.as_primitive::<Float32Type>().iter().map(|x| x.unwrap_or(f32::NAN)).collect());
        }
    };
    if let Some(nulls) = array.nulls() {
        for (number, is_valid) in numbers.iter_mut().zip(nulls) {
            if !is_valid {
                *number = f32::NAN;
            }
        }
    }
    Ok(numbers)
}

pub(crate) fn booleans(array: &ArrayRef) -> Vec<f32> {
    if array.null_count() == 0 {
        return array.as_boolean().values().iter().map(|b| f32::from(u8::from(b))).collect();
    }
    array.as_boolean().iter().map(|b| b.map_or(f32::NAN, |b| f32::from(u8::from(b)))).collect()
}

fn encode(feature: &Feature, array: &ArrayRef) -> Result<Vec<f32>, ExpressionError> {
    let name = feature.name.as_str();
    Ok(match (&feature.kind, array.data_type()) {
        (_, DataType::Null) => vec![f32::NAN; array.len()],
        (FeatureKind::Number, number) if number.is_numeric() => numbers(name, array)?,
        (FeatureKind::Boolean, DataType::Boolean) => booleans(array),
        (FeatureKind::Category { dictionary }, text) if is_text(text) => {
            let texts = cast_to(name, array, &DataType::Utf8View)?;
            texts.as_string_view().iter().map(|text| dictionary.encode(text)).collect()
        }
        (kind, other) => {
            let (name, got) = (name.to_owned(), other.clone());
            return Err(ExpressionError::FeatureChanged { name, expected: kind.name(), got });
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow_array::{
        BooleanArray, Decimal128Array, Float64Array, Int64Array, LargeStringArray, NullArray, StringArray,
    };
    use phantomnet_model::{Dictionary, UNSEEN};
    use rstest::rstest;

    const NAN: f32 = f32::NAN;

    fn bits(column: &[f32]) -> Vec<u32> {
        column.iter().map(|x| x.to_bits()).collect()
    }

    #[rstest]
    #[case(Arc::new(Int64Array::from(vec![Some(16_777_217), Some(-3), None])), [16_777_216.0, -3.0, NAN])]
    #[case(Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1e300), Some(0.1)])), [NAN, f32::INFINITY, 0.1])]
    #[case(Arc::new(Decimal128Array::from(vec![Some(125), None, Some(-50)]).with_precision_and_scale(5, 2).unwrap()), [1.25, NAN, -0.5])]
    #[case(Arc::new(NullArray::new(3)), [NAN, NAN, NAN])]
    fn numbers_are_rounded_and_null_is_nan(#[case] array: ArrayRef, #[case] expected: [f32; 3]) {
        let matrix = to_matrix(&[array], &FeatureSchema::numbers(&["x"])).unwrap();
        assert_eq!(bits(matrix.column(0)), bits(&expected));
    }

    #[test]
    fn booleans_and_texts_are_coded() {
        let dictionary = Dictionary::from_values(vec!["tcp".into(), "udp".into()]).unwrap();
        let schema = FeatureSchema::new(vec![
            Feature { name: "b".into(), kind: FeatureKind::Boolean },
            Feature { name: "s".into(), kind: FeatureKind::Category { dictionary: dictionary.clone() } },
            Feature { name: "l".into(), kind: FeatureKind::Category { dictionary } },
        ]);
        let arrays: [ArrayRef; 3] = [
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            Arc::new(StringArray::from(vec![Some("udp"), Some("sctp"), None])),
            Arc::new(LargeStringArray::from(vec![Some("tcp"), Some(""), None])),
        ];
        let matrix = to_matrix(&arrays, &schema).unwrap();
        assert_eq!(bits(matrix.column(0)), bits(&[1.0, NAN, 0.0]));
        assert_eq!(bits(matrix.column(1)), bits(&[2.0, UNSEEN, NAN]));
        assert_eq!(bits(matrix.column(2)), bits(&[1.0, UNSEEN, NAN]));
    }

    #[test]
    fn another_type_or_count_than_in_training_is_refused() {
        let schema = FeatureSchema::numbers(&["x"]);
        let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
        let error = to_matrix(&[Arc::clone(&text)], &schema).unwrap_err();
        assert_eq!(error.to_string(), "feature `x` was a number in training, got Utf8");
        assert!(matches!(to_matrix(&[Arc::clone(&text), text], &schema), Err(ExpressionError::FeatureCount { .. })));
    }
}
