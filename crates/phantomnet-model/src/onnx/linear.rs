//! A linear model as plain ONNX operators, in float64 so that runtimes agree far below 1e-6.
//!
//! Numbers: gather, standardise, missing to 0, clip, multiply. Each category: compare the code with 0, 1, 2, ...
//! (a missing one equals none) and multiply. Sum, add the intercepts, softmax.

use super::proto::{AttributeProto, DOUBLE, FLOAT, GraphProto, NodeProto, TensorProto};
use super::{Fragment, INPUT, PROBABILITIES};
use crate::linear::CLIP;
use crate::{Encoding, FeatureKind, FeatureSchema, Linear, Model};

/// Our linear graphs start by widening the input.
pub(crate) const FIRST_OPERATOR: &str = "Cast";

pub(crate) fn fragment(model: &Linear, class_names: &[String]) -> Fragment {
    let n_classes = model.n_classes();
    let mut f = Fragment::default();
    let cast = |from: &str, to: &str, r#type: i32| {
        NodeProto::new("Cast", "", &[from], &[to], vec![AttributeProto::int("to", i64::from(r#type))])
    };
    let gather = |from: &str, index: &str, to: &str, axis: i64| {
        NodeProto::new("Gather", "", &[from, index], &[to], vec![AttributeProto::int("axis", axis)])
    };
    f.push(cast(INPUT, "x", DOUBLE));
    f.doubles("intercepts", &[1, n_classes], model.intercepts());
    let mut terms = vec!["intercepts".to_owned()];

    let (mut index, mut means, mut scales, mut weights) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (j, encoding, w) in model.blocks() {
        if let Encoding::Number { mean, scale } = *encoding {
            index.push(j as i64);
            means.push(mean);
            scales.push(scale);
            weights.extend_from_slice(w);
        }
    }
    if !index.is_empty() {
        let n = index.len();
        f.ints("number_index", &[n], &index)
            .doubles("mean", &[1, n], &means)
            .doubles("scale", &[1, n], &scales)
            .doubles("zero", &[1], &[0.0])
            .doubles("clip_lo", &[], &[-CLIP])
            .doubles("clip_hi", &[], &[CLIP])
            .doubles("number_weights", &[n, n_classes], &weights)
            .push(gather("x", "number_index", "numbers", 1))
            .node("Sub", &["numbers", "mean"], &["centred"])
            .node("Div", &["centred", "scale"], &["standardised"])
            .node("IsNaN", &["numbers"], &["missing"])
            .node("Clip", &["standardised", "clip_lo", "clip_hi"], &["clipped"])
            .node("Where", &["missing", "zero", "clipped"], &["encoded"])
            .node("MatMul", &["encoded", "number_weights"], &["number_term"]);
        terms.push("number_term".into());
    }
    for (j, encoding, weights) in model.blocks() {
        let Encoding::Category { n_codes } = *encoding else { continue };
        let name = |what: &str| format!("{what}_{j}");
        let codes: Vec<f64> = (0..n_codes).map(|c| c as f64).collect();
        f.ints(&name("index"), &[1], &[j as i64])
            .doubles(&name("codes"), &[1, n_codes], &codes)
            .doubles(&name("weights"), &[n_codes, n_classes], weights)
            .push(gather("x", &name("index"), &name("code"), 1))
            .node("Equal", &[&name("code"), &name("codes")], &[&name("is")])
            .push(cast(&name("is"), &name("one_hot"), DOUBLE))
            .node("MatMul", &[&name("one_hot"), &name("weights")], &[&name("term")]);
        terms.push(name("term"));
    }
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    f.node("Sum", &terms, &["logits"])
        .push(NodeProto::new("Softmax", "", &["logits"], &["p"], vec![AttributeProto::int("axis", 1)]))
        .push(cast("p", PROBABILITIES, FLOAT))
        .label_by_argmax("p", class_names);
    f
}

/// Reads the constants of the graph that [`fragment`] wrote; the caller compares the rest.
pub(crate) fn read(graph: &GraphProto, schema: &FeatureSchema, n_classes: usize) -> Result<Linear, String> {
    let constant = |name: &str| -> Result<&[f64], String> {
        let found: Option<&TensorProto> = graph.initializer.iter().find(|t| t.name == name);
        found.map(|t| t.double_data.as_slice()).ok_or_else(|| format!("no constant `{name}`"))
    };
    let is_category = |j: usize| graph.initializer.iter().any(|t| t.name == format!("codes_{j}"));
    let (mut encodings, mut weights, mut n_numbers) = (Vec::new(), Vec::new(), 0);
    for (j, feature) in schema.features().iter().enumerate() {
        if is_category(j) {
            if let FeatureKind::Category { dictionary } = &feature.kind
                && dictionary.n_codes() != constant(&format!("codes_{j}"))?.len()
            {
                return Err(format!("feature `{}` has another number of categories", feature.name));
            }
            encodings.push(Encoding::Category { n_codes: constant(&format!("codes_{j}"))?.len() });
            weights.extend_from_slice(constant(&format!("weights_{j}"))?);
        } else {
            let short = || format!("too few constants for feature `{}`", feature.name);
            let mean = *constant("mean")?.get(n_numbers).ok_or_else(short)?;
            let scale = *constant("scale")?.get(n_numbers).ok_or_else(short)?;
            let at = n_numbers * n_classes;
            weights.extend(constant("number_weights")?.get(at..at + n_classes).ok_or_else(short)?);
            encodings.push(Encoding::Number { mean, scale });
            n_numbers += 1;
        }
    }
    Linear::new(encodings, weights, constant("intercepts")?.to_vec()).map_err(|e| e.to_string())
}
