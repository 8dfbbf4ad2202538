use std::fs;
use std::path::Path;

use phantomnet_model::{
    Bundle, Classes, Column, Dictionary, Feature, FeatureKind, FeatureSpec, Forest, Golden, LabelSpec, Limits, Model,
    ModelError, ModelSpec, Node, PROBABILITY_UNITS, Pipeline, Test, Tree, leaf_probabilities,
};

fn forest(threshold: f32) -> Forest {
    let mut leaves = Vec::new();
    leaf_probabilities(&[9.0, 1.0], PROBABILITY_UNITS, &mut leaves);
    leaf_probabilities(&[1.0, 2.0], PROBABILITY_UNITS, &mut leaves);
    let split = Node::Split { feature: 0, test: Test::AtMost(threshold), missing_left: true, left: 1, right: 2 };
    Forest::new(2, 2, vec![Tree::new(vec![split, Node::Leaf(0), Node::Leaf(1)], leaves)]).unwrap()
}

fn bundle() -> Bundle {
    let model = forest(3.5);
    let golden = [[1.0, 1.0], [f32::NAN, 0.0], [f32::INFINITY, f32::NAN], [0.1, 2.0]].map(|features| {
        let mut probabilities = vec![0.0; 2];
        model.predict_row(&features, &mut probabilities);
        let event = serde_json::json!({"data": "' OR 1=1 -- <script>\u{7}", "port": 22, "proto": null});
        Golden { event: event.as_object().unwrap().clone(), features: features.to_vec(), probabilities }
    });
    let dictionary = Dictionary::from_values(vec!["tcp".into(), "udp \"x\"\n".into()]).unwrap();
    let spec =
        |name: &str, expr: &str, kind| FeatureSpec { expr: expr.into(), feature: Feature { name: name.into(), kind } };
    Bundle {
        pipeline: Pipeline {
            format: phantomnet_model::FORMAT,
            phantomnet_version: "0.1.0".into(),
            decision_threshold: 0.5,
            model: ModelSpec { kind: "random_forest".into(), params: [("seed".into(), "1".into())].into() },
            label: LabelSpec {
                name: "is_attack".into(),
                expr: "event = 'x'".into(),
                classes: Classes::boolean(),
                train_counts: vec![7, 3],
            },
            columns: vec![Column { name: "data".into(), column_type: "text".into() }],
            features: vec![
                spec("n", "payload_length(data)", FeatureKind::Number),
                spec("proto", "proto", FeatureKind::Category { dictionary }),
            ],
        },
        model: Box::new(model),
        golden: golden.into(),
        data_fingerprint: "ab".repeat(32),
        seed: 42,
        config: serde_json::json!({"model": {"kind": "random_forest"}}),
    }
}

fn load(dir: &Path) -> Result<Bundle, ModelError> {
    Bundle::load(dir, Limits::default())
}

#[test]
fn a_saved_model_is_loaded_and_gives_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let (first, second) = (root.path().join("a"), root.path().join("b"));
    bundle().save(&first).unwrap();
    let loaded = load(&first).unwrap();
    assert_eq!(loaded.pipeline, bundle().pipeline);
    assert_eq!(loaded.golden.len(), 4);
    assert!(loaded.golden[1].features[0].is_nan() && loaded.golden[2].features[0] == f32::INFINITY);
    loaded.save(&second).unwrap();
    for entry in fs::read_dir(&first).unwrap() {
        let name = entry.unwrap().file_name();
        let same = fs::read(first.join(&name)).unwrap() == fs::read(second.join(&name)).unwrap();
        assert!(same, "{name:?} differs after a round trip");
    }
}

#[test]
fn saving_replaces_a_model_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    bundle().save(&dir).unwrap();
    bundle().save(&dir).unwrap();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing is left beside the model");
    let precious = root.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("thesis.tex"), "…").unwrap();
    assert!(bundle().save(&precious).is_err());
    assert!(precious.join("thesis.tex").exists());
}

#[test]
fn every_file_is_checked() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    let names =
        ["model.onnx", "forest.bin", "pipeline.toml", "golden.jsonl", "manifest.json", "MLmodel", "requirements.txt"];
    for name in names {
        bundle().save(&dir).unwrap();
        let path = dir.join(name);
        let original = fs::read(&path).unwrap();
        let mut altered = original.clone();
        let at = altered.len() / 2;
        altered[at] ^= 4;
        for bytes in [&original[..original.len() / 2], &[], &altered] {
            fs::write(&path, bytes).unwrap();
            let error = Bundle::verify(&dir, Limits::default()).expect_err(name).to_string();
            assert!(!error.contains('\n'), "{error}");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(load(&dir), Err(ModelError::Io { .. })), "{name}");
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn an_altered_export_is_noticed_by_who_asks() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    bundle().save(&dir).unwrap();
    assert!(Bundle::verify(&dir, Limits::default()).is_ok());
    let path = dir.join("model.onnx");
    let original = fs::read(&path).unwrap();
    let mut altered = original.clone();
    let at = altered.len() / 2;
    altered[at] ^= 4;
    fs::write(&path, &altered).unwrap();
    assert!(load(&dir).is_ok(), "scoring does not read it");
    assert!(Bundle::verify(&dir, Limits::default()).unwrap_err().to_string().contains("sha256"));
    // Its size and its being there are looked at by everybody.
    fs::write(&path, &original[1..]).unwrap();
    assert!(matches!(load(&dir), Err(ModelError::Corrupt { .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(load(&dir), Err(ModelError::Io { .. })));
}

/// Rewrites the manifest without some files, as an earlier version or somebody else would have.
fn unlist(dir: &Path, names: &[&str]) {
    let path = dir.join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["files"].as_object_mut().unwrap().retain(|name, _| !names.contains(&name.as_str()));
    fs::write(&path, manifest.to_string()).unwrap();
}

#[test]
fn folders_without_the_quick_form_are_loaded_from_onnx() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    bundle().save(&dir).unwrap();
    let quick = load(&dir).unwrap();
    fs::remove_file(dir.join("forest.bin")).unwrap();
    assert!(matches!(load(&dir), Err(ModelError::Io { .. })), "it is listed");
    unlist(&dir, &["forest.bin"]);
    let slow = load(&dir).unwrap();
    assert_eq!(format!("{:?}", slow.model), format!("{:?}", quick.model));
}

#[test]
fn a_quick_form_of_another_forest_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (dir, other) = (root.path().join("a"), root.path().join("b"));
    bundle().save(&dir).unwrap();
    // The same golden probabilities, another threshold.
    Bundle { model: Box::new(forest(3.75)), ..bundle() }.save(&other).unwrap();
    let read = |dir: &Path, name: &str| fs::read(dir.join(name)).unwrap();
    let manifest = |dir: &Path| serde_json::from_slice::<serde_json::Value>(&read(dir, "manifest.json")).unwrap();
    let mut mixed = manifest(&dir);
    mixed["files"]["forest.bin"] = manifest(&other)["files"]["forest.bin"].clone();
    fs::write(dir.join("manifest.json"), mixed.to_string()).unwrap();
    fs::write(dir.join("forest.bin"), read(&other, "forest.bin")).unwrap();
    let error = Bundle::verify(&dir, Limits::default()).unwrap_err().to_string();
    assert!(error.ends_with("it does not hold the forest of `forest.bin`"), "{error}");
}

#[test]
fn oversized_files_are_refused_before_they_are_read() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    bundle().save(&dir).unwrap();
    // Sparse: takes no disk, but would take memory.
    fs::OpenOptions::new().write(true).open(dir.join("manifest.json")).unwrap().set_len(1 << 40).unwrap();
    let error = load(&dir).unwrap_err().to_string();
    assert!(error.contains("more than the limit"), "{error}");
}

#[test]
fn a_newer_format_is_named() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("model");
    bundle().save(&dir).unwrap();
    fs::write(dir.join("manifest.json"), r#"{"format": 7, "unheard_of": {}}"#).unwrap();
    assert!(matches!(load(&dir), Err(ModelError::TooNew { found: 7, .. })));
}
