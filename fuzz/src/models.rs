//! Small models of every kind, with the contract they are read under.

use phantomnet_features::ColumnType;
use phantomnet_model::{
    Bundle, CategorySet, Classes, Column, Dictionary, Encoding, Feature, FeatureKind, FeatureSchema, FeatureSpec,
    Forest, Golden, LabelSpec, Linear, Model, ModelSpec, Node, PROBABILITY_UNITS, Pipeline, Test, Tree,
    leaf_probabilities,
};

use crate::SCHEMA;

/// A number and a category of three codes.
pub fn schema() -> FeatureSchema {
    let dictionary = Dictionary::from_values(vec!["tcp".into(), "udp".into()]).expect("sorted");
    FeatureSchema::new(vec![
        Feature { name: "length".into(), kind: FeatureKind::Number },
        Feature { name: "proto".into(), kind: FeatureKind::Category { dictionary } },
    ])
}

/// Two trees: a category test over a threshold, and a root that is a leaf.
pub fn forest() -> Forest {
    let mut set = CategorySet::default();
    set.insert(1);
    set.insert(2);
    let units = PROBABILITY_UNITS / 2;
    let mut leaves = Vec::new();
    for weights in [[3.0, 1.0], [0.0, 2.0], [1.0, 1.0]] {
        leaf_probabilities(&weights, units, &mut leaves);
    }
    let split = |feature, test, missing_left, left, right| Node::Split { feature, test, missing_left, left, right };
    let nodes = vec![
        split(1, Test::In(set), true, 1, 2),
        Node::Leaf(0),
        split(0, Test::AtMost(0.5), false, 3, 4),
        Node::Leaf(1),
        Node::Leaf(2),
    ];
    let root = Tree::new(vec![Node::Leaf(0)], leaves[..2].to_vec());
    Forest::new(2, 2, vec![Tree::new(nodes, leaves), root]).expect("well-formed")
}

/// Logistic regression on the features of [`schema`].
pub fn linear() -> Linear {
    let encodings = vec![Encoding::Number { mean: 2.0, scale: 4.0 }, Encoding::Category { n_codes: 3 }];
    let weights = vec![0.0, 0.5, 0.0, -1.0, 0.0, 0.25, 0.0, 3.0];
    Linear::new(encodings, weights, vec![0.0, 0.125]).expect("well-formed")
}

/// A model folder around [`forest`] with two golden events.
pub fn bundle() -> Bundle {
    let model = forest();
    let expressions = ["payload_length(data)", "CASE WHEN \"src.port\" = 53 THEN 'udp' ELSE 'tcp' END"];
    let events = [
        (serde_json::json!({"data": "' OR 1=1 -- ", "src.port": 53}), [12.0, 2.0]),
        (serde_json::json!({"data": null, "src.port": 80}), [f32::NAN, 1.0]),
    ];
    let golden = events.map(|(event, features)| {
        let mut probabilities = vec![0.0; 2];
        model.predict_row(&features, &mut probabilities);
        Golden { event: event.as_object().expect("an object").clone(), features: features.to_vec(), probabilities }
    });
    let column = |(name, column_type): &(String, ColumnType)| Column {
        name: name.clone(),
        column_type: column_type.name().to_owned(),
    };
    let spec = |(feature, expr): (&Feature, &str)| FeatureSpec { expr: expr.into(), feature: feature.clone() };
    let features = schema().features().iter().zip(expressions).map(spec).collect();
    Bundle {
        pipeline: Pipeline {
            format: phantomnet_model::FORMAT,
            phantomnet_version: "0.1.0".into(),
            decision_threshold: 0.5,
            model: ModelSpec { kind: "random_forest".into(), params: [("seed".into(), "1".into())].into() },
            label: LabelSpec {
                name: "is_attack".into(),
                expr: "flag".into(),
                classes: Classes::boolean(),
                train_counts: vec![7, 3],
            },
            columns: SCHEMA.columns().iter().map(column).collect(),
            features,
        },
        model: Box::new(model),
        golden: golden.into(),
        data_fingerprint: "ab".repeat(32),
        seed: 42,
        config: serde_json::json!({"model": {"kind": "random_forest"}}),
    }
}

/// Fails unless a model gives probabilities for any row, and the same twice.
pub fn check_predictions(model: &dyn Model) {
    check_same_predictions(model, model);
}

/// Fails unless two models give the same probabilities for any row.
pub fn check_same_predictions(a: &dyn Model, b: &dyn Model) {
    let values = [f32::NAN, 0.0, 1.0, 0.5, -1.0, 255.0, 256.0, f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY];
    let (mut first, mut second) = (vec![f32::NAN; a.n_classes()], vec![0.0; b.n_classes()]);
    for i in 0..values.len() * values.len() {
        let x: Vec<f32> =
            (0..a.n_features()).map(|j| values[i / values.len().pow(j as u32 % 2) % values.len()]).collect();
        a.predict_row(&x, &mut first);
        b.predict_row(&x, &mut second);
        assert!(first.iter().all(|p| (0.0..=1.0).contains(p)), "{first:?} for {x:?}");
        assert_eq!(first, second, "{x:?}");
        assert!((first.iter().sum::<f32>() - 1.0).abs() < 1e-3, "{first:?} for {x:?}");
    }
}
