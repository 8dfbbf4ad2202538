//! Our own SQL functions: one file a function, each of one text argument.
//!
//! All of them read `Utf8`, `LargeUtf8` or `Utf8View`, give NULL for NULL and for a column that is missing throughout,
//! and refuse any other type when the expression is compiled: the characters of a number are those of its spelling,
//! which the user has to choose by a cast. A character is a Unicode scalar value.

mod digit_ratio;
mod payload_bytes;
mod payload_length;
mod shannon_entropy;
mod special_ratio;
mod token_count;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrowPrimitiveType, PrimitiveArray};
use arrow_schema::DataType;
use datafusion_common::utils::take_function_args;
use datafusion_common::{Result, ScalarValue, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// One line of the reference of functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionDoc {
    /// Name as written in SQL, in any case.
    pub name: &'static str,
    /// Call and type of the result.
    pub signature: &'static str,
    /// Definition, unit, range and the value of the empty string, in one line.
    pub description: &'static str,
}

/// All functions of ours, by name.
pub fn all() -> Vec<Arc<ScalarUDF>> {
    vec![
        digit_ratio::function().into_udf(),
        payload_bytes::function().into_udf(),
        payload_length::function().into_udf(),
        shannon_entropy::function().into_udf(),
        special_ratio::function().into_udf(),
        token_count::function().into_udf(),
    ]
}

/// What the functions of [`all`] do, in the same order.
pub fn docs() -> Vec<FunctionDoc> {
    vec![
        digit_ratio::DOC,
        payload_bytes::DOC,
        payload_length::DOC,
        shannon_entropy::DOC,
        special_ratio::DOC,
        token_count::DOC,
    ]
}

/// Names of the query engine's own functions that an expression may call, sorted, without their aliases.
pub fn engine_functions() -> Vec<String> {
    crate::expression::engine_functions()
}

/// A SQL function that measures a text.
struct TextFunction<T: ArrowPrimitiveType> {
    name: &'static str,
    measure: fn(&str) -> T::Native,
    signature: Signature,
}

impl<T: ArrowPrimitiveType> TextFunction<T> {
    fn new(doc: FunctionDoc, measure: fn(&str) -> T::Native) -> Self {
        Self { name: doc.name, measure, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn into_udf(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(self))
    }
}

// A function is told from another by its name, as in SQL; the engine compares and hashes planned expressions.
impl<T: ArrowPrimitiveType> PartialEq for TextFunction<T> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<T: ArrowPrimitiveType> Eq for TextFunction<T> {}

impl<T: ArrowPrimitiveType> Hash for TextFunction<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl<T: ArrowPrimitiveType> std::fmt::Debug for TextFunction<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<T: ArrowPrimitiveType> ScalarUDFImpl for TextFunction<T> {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [given] = take_function_args(self.name, types)?;
        match given {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(vec![given.clone()]),
            DataType::Null => Ok(vec![DataType::Utf8]),
            other => plan_err!("`{0}` reads text, got {other}; write `{0}(CAST(… AS VARCHAR))`", self.name),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(T::DATA_TYPE)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text] = take_function_args(self.name, args.args)?;
        match text {
            ColumnarValue::Scalar(scalar) => {
                let Some(text) = scalar.try_as_str() else {
                    return exec_err!("`{}` reads text, got {}", self.name, scalar.data_type());
                };
                ScalarValue::new_primitive::<T>(text.map(self.measure), &T::DATA_TYPE).map(ColumnarValue::Scalar)
            }
            ColumnarValue::Array(array) => {
                let measured: PrimitiveArray<T> = match array.data_type() {
                    DataType::Utf8 => self.measure_all(array.as_string::<i32>().iter()),
                    DataType::LargeUtf8 => self.measure_all(array.as_string::<i64>().iter()),
                    DataType::Utf8View => self.measure_all(array.as_string_view().iter()),
                    other => return exec_err!("`{}` reads text, got {other}", self.name),
                };
                Ok(ColumnarValue::Array(Arc::new(measured)))
            }
        }
    }
}

impl<T: ArrowPrimitiveType> TextFunction<T> {
    fn measure_all<'a>(&self, texts: impl Iterator<Item = Option<&'a str>>) -> PrimitiveArray<T> {
        texts.map(|text| text.map(self.measure)).collect()
    }
}

/// `part / whole`, 0 when there is no whole.
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
