//! Writes the seeds that are no text: models, to be written again when the format of the model folder changes, and Parquet.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Int64Array, RecordBatch, StringArray, StructArray, TimestampMillisecondArray,
    UInt64Array,
};
use libfuzzer_sys as _;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
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
    fs::create_dir_all(seeds.join("parquet"))?;
    for (name, batch) in [("flat", flat()?), ("nested", nested()?)] {
        for (codec, compression) in [("plain", Compression::UNCOMPRESSED), ("snappy", Compression::SNAPPY)] {
            let bytes = parquet_file(&batch, compression)?;
            fs::write(seeds.join("parquet").join(format!("{name}_{codec}.parquet")), bytes)?;
        }
    }
    Ok(())
}

fn parquet_file(batch: &RecordBatch, compression: Compression) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties))?;
    writer.write(batch)?;
    writer.close()?;
    Ok(bytes)
}

fn flat() -> Result<RecordBatch, Box<dyn std::error::Error>> {
    let columns: [(&str, ArrayRef); 2] = [
        ("n", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
        ("text", Arc::new(StringArray::from(vec!["x", "", "x"]))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn nested() -> Result<RecordBatch, Box<dyn std::error::Error>> {
    let mut list = ListBuilder::new(Int32Builder::new());
    list.append_value([Some(1), None]);
    list.append_null();
    let n: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 8]));
    let flag: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None]));
    let inner = StructArray::try_from(vec![("n", n), ("flag", flag)])?;
    let columns: [(&str, ArrayRef); 4] = [
        ("at", Arc::new(TimestampMillisecondArray::from(vec![0, 1500]).with_timezone("UTC"))),
        ("x", Arc::new(Float32Array::from(vec![0.5, f32::NAN]))),
        ("list", Arc::new(list.finish())),
        ("inner", Arc::new(inner)),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
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
