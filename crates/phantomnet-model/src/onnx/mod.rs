//! Models as ONNX: what is written, and how it is read back.
//!
//! A model file has one input `X` (float32, `[N, n_features]`) and, besides the label, one output per class
//! (`prob_<class>`, float32, `[N, 1]`): the one form that MLflow's `pyfunc` turns into a proper data frame.
//! Only files of our own writer are read back ([`read`]); anything else is an error, never a guess.

pub(crate) mod forest;
pub(crate) mod linear;
pub(crate) mod proto;
mod read_back;

use prost::Message;

use crate::{Classes, FeatureSchema, Forest, Linear, Model};
pub(crate) use read_back::read_back;

use proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, ValueInfoProto,
};

/// Name of the input tensor: float32, `[N, n_features]`.
pub const INPUT: &str = "X";
/// Name of the label output: string, `[N]`.
pub const LABEL: &str = "label";
/// Name of the tensor a [`Fragment`] ends in: float32, `[N, n_classes]`.
pub const PROBABILITIES: &str = "probabilities";

const IR_VERSION: i64 = 8;
const OPSET: i64 = 13;
const OPSET_ML: i64 = 3;
const PRODUCER: &str = "phantomnet";

/// The operators and constants of one model, from [`INPUT`] to [`LABEL`] and [`PROBABILITIES`].
///
/// Built by [`Model::to_onnx`]. A model of another crate builds its own with [`Fragment::node`] and
/// [`Fragment::doubles`]; operators are those of opset 13 and `ai.onnx.ml` 3.
#[derive(Debug, Default, Clone)]
pub struct Fragment {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl Fragment {
    /// Appends an operator without attributes (default domain).
    pub fn node(&mut self, op: &str, inputs: &[&str], outputs: &[&str]) -> &mut Self {
        self.push(NodeProto::new(op, "", inputs, outputs, Vec::new()))
    }

    /// Adds a constant float64 tensor.
    pub fn doubles(&mut self, name: &str, shape: &[usize], values: &[f64]) -> &mut Self {
        self.initializers.push(TensorProto::doubles(name, shape, values));
        self
    }

    /// Adds a constant int64 tensor.
    pub fn ints(&mut self, name: &str, shape: &[usize], values: &[i64]) -> &mut Self {
        self.initializers.push(TensorProto::ints(name, shape, values));
        self
    }

    /// Makes [`LABEL`] the name of the class of the largest of `probabilities`, ties to the first.
    pub fn label_by_argmax(&mut self, probabilities: &str, class_names: &[String]) -> &mut Self {
        let attributes = vec![proto::AttributeProto::int("axis", 1), proto::AttributeProto::int("keepdims", 0)];
        self.push(NodeProto::new("ArgMax", "", &[probabilities], &["class"], attributes))
            .strings("class_names", class_names);
        let axis = vec![proto::AttributeProto::int("axis", 0)];
        self.push(NodeProto::new("Gather", "", &["class_names", "class"], &[LABEL], axis))
    }

    /// Adds a constant string vector.
    pub fn strings(&mut self, name: &str, values: &[String]) -> &mut Self {
        self.initializers.push(TensorProto::strings(name, values));
        self
    }

    pub(crate) fn push(&mut self, node: NodeProto) -> &mut Self {
        self.nodes.push(node);
        self
    }
}

/// Name of the output that holds the probability of a class.
pub fn output_name(class: &str) -> String {
    format!("prob_{class}")
}

/// The bytes of `model.onnx`. `None` if the model cannot be written as ONNX.
pub fn write(model: &dyn Model, schema: &FeatureSchema, classes: &Classes) -> Option<Vec<u8>> {
    let fragment = model.to_onnx(&classes.names)?;
    Some(assemble(fragment, schema, classes).encode_to_vec())
}

fn assemble(mut fragment: Fragment, schema: &FeatureSchema, classes: &Classes) -> ModelProto {
    let outputs: Vec<String> = classes.names.iter().map(|c| output_name(c)).collect();
    let names: Vec<&str> = outputs.iter().map(String::as_str).collect();
    fragment.ints("class_sizes", &[names.len()], &vec![1; names.len()]);
    fragment.push(NodeProto::new(
        "Split",
        "",
        &[PROBABILITIES, "class_sizes"],
        &names,
        vec![proto::AttributeProto::int("axis", 1)],
    ));
    let mut graph_outputs = vec![ValueInfoProto::tensor(LABEL, proto::STRING, &[None])];
    graph_outputs.extend(names.iter().map(|n| ValueInfoProto::tensor(n, proto::FLOAT, &[None, Some(1)])));
    ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![
            OperatorSetIdProto { domain: String::new(), version: OPSET },
            OperatorSetIdProto { domain: proto::ML_DOMAIN.into(), version: OPSET_ML },
        ],
        producer_name: PRODUCER.into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(GraphProto {
            node: fragment.nodes,
            name: PRODUCER.into(),
            initializer: fragment.initializers,
            input: vec![ValueInfoProto::tensor(INPUT, proto::FLOAT, &[None, Some(schema.len() as i64)])],
            output: graph_outputs,
        }),
        metadata_props: vec![StringStringEntryProto {
            key: "features".into(),
            value: schema.features().iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join("\n"),
        }],
    }
}

/// Reads a model that [`write`] wrote for this schema and these classes.
///
/// The bytes are hostile: everything is checked before use, and memory stays proportional to their number.
///
/// # Errors
/// The reason, when the bytes are not such a model: not ONNX, other operators than ours, other classes, malformed trees.
pub fn read(bytes: &[u8], schema: &FeatureSchema, classes: &Classes) -> Result<Box<dyn Model>, String> {
    match parse(bytes, schema, classes)? {
        Contents::Forest(forest) => Ok(Box::new(forest)),
        Contents::Linear(linear) => Ok(Box::new(linear)),
        Contents::Foreign(operator) => Err(format!(
            "operator `{}` is not one this build scores (it reads forests and linear models); use ONNX Runtime",
            operator.escape_debug()
        )),
    }
}

/// What a file holds.
pub(crate) enum Contents {
    Forest(Forest),
    Linear(Linear),
    /// A graph that begins with another operator than ours do.
    Foreign(String),
}

/// [`read`], telling the models apart.
pub(crate) fn parse(bytes: &[u8], schema: &FeatureSchema, classes: &Classes) -> Result<Contents, String> {
    let file = ModelProto::decode(bytes).map_err(|e| format!("not an ONNX file: {e}"))?;
    let graph = file.graph.as_ref().ok_or("no graph")?;
    let first = graph.node.first().ok_or("empty graph")?;
    // A graph that differs in anything from ours would be scored differently by other runtimes.
    let is_ours = |fragment| assemble(fragment, schema, classes).graph.as_ref() == Some(graph);
    let other = "the graph is not one that this program writes";
    if first.op_type == forest::OPERATOR {
        let trees = forest::read(first, &classes.names)?;
        if !is_ours(forest::fragment(classes.len(), trees.iter(), &classes.names)) {
            return Err(other.into());
        }
        let forest = Forest::new(schema.len(), classes.len(), trees).map_err(|e| e.to_string())?;
        Ok(Contents::Forest(forest))
    } else if first.op_type == linear::FIRST_OPERATOR {
        let linear = linear::read(graph, schema, classes.len())?;
        if is_ours(linear::fragment(&linear, &classes.names)) {
            Ok(Contents::Linear(linear))
        } else {
            Err(other.into())
        }
    } else {
        Ok(Contents::Foreign(first.op_type.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CategorySet, Encoding, Node, PROBABILITY_UNITS, Test, Tree, leaf_probabilities};
    use proptest::prelude::*;

    fn classes() -> Classes {
        Classes { names: vec!["benign".into(), "attack".into()], positive: Some(1) }
    }

    /// Category test at the root (missing goes left), threshold below it, and a root that is a leaf.
    fn forest(codes: &[u8]) -> Forest {
        let mut set = CategorySet::default();
        codes.iter().for_each(|&c| set.insert(c));
        let units = PROBABILITY_UNITS / 2;
        let mut leaves = Vec::new();
        leaf_probabilities(&[3.0, 1.0], units, &mut leaves);
        leaf_probabilities(&[0.0, 2.0], units, &mut leaves);
        leaf_probabilities(&[1.0, 1.0], units, &mut leaves);
        let split = |feature, test, missing_left, left, right| Node::Split { feature, test, missing_left, left, right };
        let tree = Tree::new(
            vec![
                split(0, Test::In(set), true, 1, 2),
                Node::Leaf(0),
                split(1, Test::AtMost(0.5), false, 3, 4),
                Node::Leaf(1),
                Node::Leaf(2),
            ],
            leaves.clone(),
        );
        Forest::new(2, 2, vec![tree, Tree::new(vec![Node::Leaf(0)], leaves[..2].to_vec())]).unwrap()
    }

    fn linear() -> Linear {
        let encodings = vec![Encoding::Number { mean: 2.0, scale: 4.0 }, Encoding::Category { n_codes: 3 }];
        Linear::new(encodings, vec![0.0, 0.5, 0.0, -1.0, 0.0, 0.25, 0.0, 3.0], vec![0.0, 0.125]).unwrap()
    }

    fn schema() -> FeatureSchema {
        FeatureSchema::numbers(&["a", "b"])
    }

    #[test]
    fn what_is_written_is_read_back() {
        for codes in [&[][..], &[3], &[0, 7, 255]] {
            let forest = forest(codes);
            let bytes = write(&forest, &schema(), &classes()).unwrap();
            let back = read(&bytes, &schema(), &classes()).unwrap();
            assert_eq!(format!("{back:?}"), format!("{forest:?}"));
        }
        let bytes = write(&linear(), &schema(), &classes()).unwrap();
        let back = read(&bytes, &schema(), &classes()).unwrap();
        assert_eq!(format!("{back:?}"), format!("{:?}", linear()));
    }

    #[test]
    fn another_contract_is_refused() {
        let bytes = write(&forest(&[1]), &schema(), &classes()).unwrap();
        let other_classes = Classes { names: vec!["benign".into(), "probe".into()], positive: Some(1) };
        for (schema, classes) in [(schema(), other_classes), (FeatureSchema::numbers(&["a"]), classes())] {
            assert!(read(&bytes, &schema, &classes).is_err());
        }
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_survived() {
        for model in [&forest(&[2, 9]) as &dyn Model, &linear()] {
            let bytes = write(model, &schema(), &classes()).unwrap();
            for end in 0..bytes.len() {
                // A cut can only pass where it loses nothing that scoring reads.
                if let Ok(back) = read(&bytes[..end], &schema(), &classes()) {
                    assert_eq!(format!("{back:?}"), format!("{model:?}"), "cut at {end}");
                }
            }
            for at in 0..bytes.len() {
                for flip in [1, 0x80, 0xff] {
                    let mut altered = bytes.clone();
                    altered[at] ^= flip;
                    let _ = read(&altered, &schema(), &classes());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes, &schema(), &classes());
        }
    }
}
