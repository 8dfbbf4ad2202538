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
    let root = tempfile::tempdir()?;
    let dir = root.path().join("model");
    models::bundle().save(&dir)?;
    let texts = ["pipeline.toml", "golden.jsonl", "manifest.json"].map(|name| fs::read_to_string(dir.join(name)));
    let texts = texts.into_iter().collect::<Result<Vec<_>, _>>()?;
    fs::create_dir_all(seeds.join("model_folder"))?;
    fs::write(seeds.join("model_folder").join("forest.txt"), texts.join("\n---\n"))?;
    Ok(())
}
