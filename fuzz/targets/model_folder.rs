//! The text files of a model folder: `pipeline.toml`, `golden.jsonl` and `manifest.json`, one after another with a line
//! `---` between them. The manifest gets the hashes that the files have, as an attacker would see to.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use phantomnet_fuzz::models;
use phantomnet_model::{Bundle, Limits, onnx};
use phantomnet_score::Scorer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Bytes that a file may have; inputs are smaller.
const LIMITS: Limits = Limits { model_bytes: 1 << 20, text_bytes: 1 << 20 };

static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let bundle = models::bundle();
    let bytes = onnx::write(bundle.model.as_ref(), &bundle.pipeline.schema(), &bundle.pipeline.label.classes);
    bytes.expect("a forest can be written")
});

static FOREST: LazyLock<Vec<u8>> = LazyLock::new(|| models::forest().to_bytes());

fuzz_target!(|input: &[u8]| {
    let lines: Vec<&[u8]> = input.split(|&b| b == b'\n').collect();
    let mut sections = lines.split(|line| *line == b"---").map(|lines| lines.join(&b'\n'));
    let (Some(pipeline), Some(golden), Some(manifest)) = (sections.next(), sections.next(), sections.next()) else {
        return;
    };
    let root = tempfile::tempdir().expect("a temporary folder");
    let dir = root.path().join("model");
    write(&dir, &pipeline, &golden, &manifest);
    match Bundle::load(&dir, LIMITS) {
        Ok(bundle) => {
            models::check_predictions(bundle.model.as_ref());
            let copy = root.path().join("copy");
            bundle.save(&copy).expect("what was loaded can be saved");
            let again = Bundle::load(&copy, LIMITS).expect("what was saved can be loaded");
            assert_eq!(again.pipeline, bundle.pipeline);
            // The folder's own expressions may be refused.
            let _ = Scorer::new(bundle);
        }
        // Not held to be printable: names out of the folder stand in the text as they are, and whoever shows it escapes it.
        Err(error) => drop(error.to_string()),
    }
});

fn write(dir: &Path, pipeline: &[u8], golden: &[u8], manifest: &[u8]) {
    fs::create_dir_all(dir).expect("a folder");
    let mut files = vec![("pipeline.toml", pipeline), ("golden.jsonl", golden), ("model.onnx", MODEL.as_slice())];
    let manifest = match serde_json::from_slice::<Value>(manifest) {
        Ok(Value::Object(mut manifest)) => {
            if let Some(Value::Object(entries)) = manifest.get_mut("files") {
                // Folders of earlier versions have no such file, and do not list it.
                if entries.contains_key("forest.bin") {
                    files.push(("forest.bin", FOREST.as_slice()));
                }
                for &(name, bytes) in &files {
                    let sha256: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
                    entries.insert(name.to_owned(), json!({"sha256": sha256, "bytes": bytes.len()}));
                }
            }
            Value::Object(manifest).to_string().into_bytes()
        }
        _ => manifest.to_vec(),
    };
    for (name, bytes) in files.into_iter().chain([("manifest.json", manifest.as_slice())]) {
        fs::write(dir.join(name), bytes).expect("a file");
    }
}
