//! Writes the seeds that are made of models: run it when the format of the model folder changes.

use std::fs;
use std::path::Path;

use libfuzzer_sys as _;
use phantomnet_fuzz::models;
use phantomnet_model::{Classes, Model, onnx};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let models: [(&str, &dyn Model); 2] = [("forest.onnx", &models::forest()), ("linear.onnx", &models::linear())];
    for (name, model) in models {
        let bytes = onnx::write(model, &models::schema(), &Classes::boolean()).ok_or("no ONNX form")?;
        fs::create_dir_all(seeds.join("onnx"))?;
        fs::write(seeds.join("onnx").join(name), bytes)?;
    }
    fs::create_dir_all(seeds.join("forest"))?;
    fs::write(seeds.join("forest").join("narrow.bin"), models::forest().to_bytes())?;
    fs::write(seeds.join("forest").join("wide.bin"), wide_forest())?;
    let root = tempfile::tempdir()?;
    let dir = root.path().join("model");
    models::bundle().save(&dir)?;
    let text = |name: &str| fs::read_to_string(dir.join(name));
    let mut manifest: serde_json::Value = serde_json::from_str(&text("manifest.json")?)?;
    // Only the files that the target writes.
    let files = manifest["files"].as_object_mut().ok_or("no files")?;
    files.retain(|name, _| ["pipeline.toml", "golden.jsonl", "model.onnx", "forest.bin"].contains(&name.as_str()));
    let texts = [text("pipeline.toml")?, text("golden.jsonl")?, serde_json::to_string_pretty(&manifest)?];
    fs::create_dir_all(seeds.join("model_folder"))?;
    fs::write(seeds.join("model_folder").join("forest.txt"), texts.join("---\n"))?;
    Ok(())
}

/// A stump by hand: a forest that is wide for a reason is no small seed.
fn wide_forest() -> Vec<u8> {
    let half = 1 << 23;
    let header = [1, 12, 2, 2, 1, 2];
    let leaves = [half, half, 2 * half, 0];
    let leaf: u32 = 1 << 31;
    let trees = [0, 3, 1, 2.5_f32.to_bits(), 1, leaf, 1, 1, leaf, 2, 2];
    let numbers = header.into_iter().chain(leaves).chain(trees);
    b"PNFOREST".iter().copied().chain(numbers.flat_map(u32::to_le_bytes)).collect()
}
