//! The part of `onnx.proto` (ONNX 1.12, IR version 8) that our models use, by field number.

use prost::Message;

pub(crate) const ML_DOMAIN: &str = "ai.onnx.ml";
pub(crate) const FLOAT: i32 = 1;
pub(crate) const INT64: i32 = 7;
pub(crate) const STRING: i32 = 8;
pub(crate) const DOUBLE: i32 = 11;

const ATTRIBUTE_INT: i32 = 2;
const ATTRIBUTE_STRING: i32 = 3;
const ATTRIBUTE_FLOATS: i32 = 6;
const ATTRIBUTE_INTS: i32 = 7;
const ATTRIBUTE_STRINGS: i32 = 8;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ModelProto {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OperatorSetIdProto {
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    #[prost(string, tag = "7")]
    pub domain: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, tag = "3")]
    pub i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub s: Vec<u8>,
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    #[prost(int32, tag = "20")]
    pub r#type: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValueInfoProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TypeProto {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// `dim_value` and `dim_param` are a oneof in the standard.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DimensionProto {
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}

impl NodeProto {
    pub(crate) fn new(op: &str, domain: &str, input: &[&str], output: &[&str], attribute: Vec<AttributeProto>) -> Self {
        let owned = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
        Self {
            input: owned(input),
            output: owned(output),
            name: String::new(),
            op_type: op.to_owned(),
            attribute,
            domain: domain.to_owned(),
        }
    }

    pub(crate) fn attribute(&self, name: &str) -> Result<&AttributeProto, String> {
        let mut found = self.attribute.iter().filter(|a| a.name == name);
        match (found.next(), found.next()) {
            (Some(a), None) => Ok(a),
            (None, _) => Err(format!("no attribute `{name}`")),
            _ => Err(format!("attribute `{name}` is given twice")),
        }
    }
}

impl AttributeProto {
    fn named(name: &str, r#type: i32) -> Self {
        Self { name: name.to_owned(), r#type, ..Self::default() }
    }

    pub(crate) fn int(name: &str, i: i64) -> Self {
        Self { i, ..Self::named(name, ATTRIBUTE_INT) }
    }

    pub(crate) fn string(name: &str, s: &str) -> Self {
        Self { s: s.as_bytes().to_vec(), ..Self::named(name, ATTRIBUTE_STRING) }
    }

    pub(crate) fn ints(name: &str, ints: Vec<i64>) -> Self {
        Self { ints, ..Self::named(name, ATTRIBUTE_INTS) }
    }

    pub(crate) fn floats(name: &str, floats: Vec<f32>) -> Self {
        Self { floats, ..Self::named(name, ATTRIBUTE_FLOATS) }
    }

    pub(crate) fn strings(name: &str, strings: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let strings = strings.into_iter().map(|s| s.as_ref().to_vec()).collect();
        Self { strings, ..Self::named(name, ATTRIBUTE_STRINGS) }
    }
}

impl TensorProto {
    fn named(name: &str, data_type: i32, shape: &[usize]) -> Self {
        let dims = shape.iter().map(|&d| d as i64).collect();
        Self { dims, data_type, name: name.to_owned(), ..Self::default() }
    }

    pub(crate) fn doubles(name: &str, shape: &[usize], values: &[f64]) -> Self {
        Self { double_data: values.to_vec(), ..Self::named(name, DOUBLE, shape) }
    }

    pub(crate) fn ints(name: &str, shape: &[usize], values: &[i64]) -> Self {
        Self { int64_data: values.to_vec(), ..Self::named(name, INT64, shape) }
    }

    pub(crate) fn strings(name: &str, values: &[String]) -> Self {
        let string_data = values.iter().map(|v| v.as_bytes().to_vec()).collect();
        Self { string_data, ..Self::named(name, STRING, &[values.len()]) }
    }
}

impl ValueInfoProto {
    /// A tensor of `elem_type`; `None` is the dimension of the batch.
    pub(crate) fn tensor(name: &str, elem_type: i32, shape: &[Option<i64>]) -> Self {
        let dim = |d: &Option<i64>| DimensionProto { dim_value: *d, dim_param: d.is_none().then(|| "N".to_owned()) };
        let shape = TensorShapeProto { dim: shape.iter().map(dim).collect() };
        let tensor_type = Some(TensorTypeProto { elem_type, shape: Some(shape) });
        Self { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
    }
}
