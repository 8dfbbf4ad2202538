//! A model on disk: a folder that is an MLflow model and carries everything scoring needs.
//!
//! | file | content |
//! |---|---|
//! | `manifest.json` | size and sha256 of every other file, data fingerprint, seed, configuration |
//! | `pipeline.toml` | features, label, event columns, classes, decision threshold |
//! | `model.onnx` | the estimator |
//! | `forest.bin` | the same, if it is a forest, in a form that is loaded at once |
//! | `golden.jsonl` | a few raw events with their feature values and probabilities, re-checked at load |
//! | `MLmodel` and others | what MLflow reads; see [`mlflow`](crate::mlflow) |
//!
//! Nothing in it is code. Every byte is taken as hostile when it is read: sizes are checked before memory is taken.

mod disk;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Classes, Feature, FeatureKind, FeatureSchema, Forest, Model, ModelError, mlflow, onnx};
use disk::{check_size, hex_sha256, other_size, read_bounded, replace, sibling, write_all};

/// Version of the folder's format.
pub const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";
const PIPELINE: &str = "pipeline.toml";
const MODEL: &str = "model.onnx";
const FOREST: &str = "forest.bin";
const GOLDEN: &str = "golden.jsonl";

/// Largest files that [`Bundle::load`] reads.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of `model.onnx`, and of `forest.bin`.
    pub model_bytes: u64,
    /// Bytes of each other file.
    pub text_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { model_bytes: 1 << 30, text_bytes: 64 << 20 }
    }
}

/// A column of the raw events that an expression reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Name in the event.
    pub name: String,
    /// `integer`, `number`, `boolean` or `text`, as the event reader names them.
    #[serde(rename = "type")]
    pub column_type: String,
}

/// A feature as it is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureSpec {
    /// SQL expression over the event's columns.
    pub expr: String,
    /// Name and kind.
    #[serde(flatten)]
    pub feature: Feature,
}

/// The label as it was computed in training; needed to judge the model on other data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSpec {
    /// Name of the label.
    pub name: String,
    /// SQL expression over the event's columns.
    pub expr: String,
    /// Its values.
    pub classes: Classes,
    /// Training rows of each class: what the majority baseline predicts from.
    pub train_counts: Vec<u64>,
}

/// The learner that made the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Its name, as in the configuration.
    pub kind: String,
    /// Its resolved hyperparameters, as text.
    pub params: BTreeMap<String, String>,
}

/// How raw events become scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// Version of the folder's format.
    pub format: u32,
    /// Version of the program that wrote it.
    pub phantomnet_version: String,
    /// With two classes, the score above which an event is flagged, 0 to 1.
    pub decision_threshold: f64,
    /// The learner.
    pub model: ModelSpec,
    /// The label.
    pub label: LabelSpec,
    /// Columns that features and label read.
    pub columns: Vec<Column>,
    /// The features, in matrix order.
    pub features: Vec<FeatureSpec>,
}

impl Pipeline {
    /// The contract of the feature matrix.
    pub fn schema(&self) -> FeatureSchema {
        FeatureSchema::new(self.features.iter().map(|f| f.feature.clone()).collect())
    }
}

/// One event whose features and probabilities are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The event's columns.
    pub event: serde_json::Map<String, serde_json::Value>,
    /// Its feature values: numbers, null for missing, `"inf"` and `"-inf"`.
    #[serde(with = "json_floats")]
    pub features: Vec<f32>,
    /// Its class probabilities.
    pub probabilities: Vec<f32>,
}

/// What the folder holds and where the model comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the folder's format.
    pub format: u32,
    /// Size and hash of every other file.
    pub files: BTreeMap<String, FileEntry>,
    /// Fingerprint of the training data, as the event reader computes it.
    pub data_fingerprint: String,
    /// The seed everything random came from.
    pub seed: u64,
    /// The part of the resolved configuration that shapes the model.
    pub config: serde_json::Value,
}

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Lower-case hex.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

/// A model with its pipeline and its golden events.
#[derive(Debug)]
pub struct Bundle {
    /// How events become scores.
    pub pipeline: Pipeline,
    /// The estimator.
    pub model: Box<dyn Model>,
    /// Events whose scores are known.
    pub golden: Vec<Golden>,
    /// Fingerprint of the training data.
    pub data_fingerprint: String,
    /// The seed everything random came from.
    pub seed: u64,
    /// The part of the resolved configuration that shapes the model.
    pub config: serde_json::Value,
}

impl Bundle {
    /// Writes the folder. It appears whole or not at all; an earlier model folder at `dir` is replaced.
    ///
    /// # Errors
    /// [`ModelError::Io`]; [`ModelError::Value`] when the model has no ONNX form, or one that gives other probabilities when it is read
    /// again, or `dir` holds something that is not a model.
    pub fn save(&self, dir: &Path) -> Result<(), ModelError> {
        let files = self.files()?;
        if dir.exists() && !dir.join(MANIFEST).is_file() {
            return Err(ModelError::Value {
                what: "model folder".into(),
                expected: "a new name or an earlier model to replace".into(),
                got: dir.display().to_string(),
            });
        }
        let staging = sibling(dir, "partial");
        write_all(&staging, &files)
            .and_then(|()| replace(&staging, dir))
            .inspect_err(|_| drop(fs::remove_dir_all(&staging)))
    }

    fn files(&self) -> Result<Vec<(String, Vec<u8>)>, ModelError> {
        let schema = self.pipeline.schema();
        let classes = &self.pipeline.label.classes;
        let onnx = onnx::write(self.model.as_ref(), &schema, classes).ok_or_else(|| ModelError::Value {
            what: format!("model `{}`", self.pipeline.model.kind),
            expected: "a model that can be written as ONNX".into(),
            got: "one that cannot".into(),
        })?;
        let forest = self.read_back(&onnx).map_err(|got| ModelError::Value {
            what: MODEL.into(),
            expected: "an export that gives the probabilities of the model".into(),
            got,
        })?;
        let pipeline = toml::to_string(&self.pipeline).map_err(|e| ModelError::Value {
            what: PIPELINE.into(),
            expected: "text that TOML can hold".into(),
            got: e.to_string(),
        })?;
        let mut golden = String::new();
        for g in &self.golden {
            golden.push_str(&json(g)?);
            golden.push('\n');
        }
        let mut files = vec![
            (PIPELINE.to_owned(), pipeline.into_bytes()),
            (MODEL.to_owned(), onnx),
            (GOLDEN.to_owned(), golden.into_bytes()),
        ];
        files.extend(forest.map(|bytes| (FOREST.to_owned(), bytes)));
        files.extend(mlflow::files(&self.pipeline, &self.golden, &files));
        let entry = |bytes: &[u8]| FileEntry { sha256: hex_sha256(bytes), bytes: bytes.len() as u64 };
        let manifest = Manifest {
            format: FORMAT,
            files: files.iter().map(|(name, bytes)| (name.clone(), entry(bytes))).collect(),
            data_fingerprint: self.data_fingerprint.clone(),
            seed: self.seed,
            config: self.config.clone(),
        };
        let text = serde_json::to_string_pretty(&manifest).map_err(|e| not_json(&e))?;
        files.push((MANIFEST.to_owned(), (text + "\n").into_bytes()));
        Ok(files)
    }

    /// Checks the export against the model. Gives the bytes of `forest.bin`, checked as well, if it is a forest.
    fn read_back(&self, onnx: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let golden: Vec<&[f32]> = self.golden.iter().map(|g| g.features.as_slice()).collect();
        let (schema, classes) = (self.pipeline.schema(), &self.pipeline.label.classes);
        let Some(forest) = onnx::read_back(self.model.as_ref(), onnx, &schema, classes, &golden)? else {
            return Ok(None);
        };
        let bytes = forest.to_bytes();
        if Forest::from_bytes(&bytes)? == forest { Ok(Some(bytes)) } else { Err("another forest".into()) }
    }

    /// Reads a folder that [`save`](Self::save) wrote: checks sizes, hashes, formats, and that the model gives the golden
    /// probabilities bit for bit. That the expressions give the golden features is for the scorer to check.
    ///
    /// Where `forest.bin` stands beside `model.onnx`, only the first is read and hashed: the second takes forty times as long. Whoever
    /// relies on it too calls [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Corrupt`], [`ModelError::TooNew`].
    pub fn load(dir: &Path, limits: Limits) -> Result<Self, ModelError> {
        Self::open(dir, limits, false)
    }

    /// [`load`](Self::load), which also checks the hash of `model.onnx` and that it holds the very forest of `forest.bin`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn verify(dir: &Path, limits: Limits) -> Result<Self, ModelError> {
        Self::open(dir, limits, true)
    }

    /// SHA-256, in hex digits, of the manifest of a folder, which holds that of every other file: two models with the same are the
    /// same to the byte.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Corrupt`] if the manifest cannot be read.
    pub fn sha256(dir: &Path, limits: Limits) -> Result<String, ModelError> {
        Ok(hex_sha256(&read_bounded(&dir.join(MANIFEST), limits.text_bytes)?))
    }

    fn open(dir: &Path, limits: Limits, all: bool) -> Result<Self, ModelError> {
        let path = |name: &str| dir.join(name);
        let corrupt = |name: &str, reason: String| ModelError::Corrupt { path: path(name), reason };
        let text = read_bounded(&path(MANIFEST), limits.text_bytes)?;
        // The format first: a newer folder may have fields that this build does not know.
        let format = |v: &serde_json::Value| v.get("format").and_then(serde_json::Value::as_u64);
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|e| corrupt(MANIFEST, e.to_string()))?;
        match format(&value) {
            Some(found) if found > u64::from(FORMAT) => {
                let found = u32::try_from(found).unwrap_or(u32::MAX);
                return Err(ModelError::TooNew { found, supported: FORMAT });
            }
            Some(1) => {}
            _ => return Err(corrupt(MANIFEST, "it names no format".into())),
        }
        let manifest: Manifest = serde_json::from_value(value).map_err(|e| corrupt(MANIFEST, e.to_string()))?;
        let entry = |name: &str| {
            manifest.files.get(name).ok_or_else(|| corrupt(MANIFEST, format!("it does not list `{name}`")))
        };
        let read = |name: &str, limit: u64| -> Result<Vec<u8>, ModelError> {
            let entry = entry(name)?;
            let bytes = read_bounded(&path(name), limit)?;
            if bytes.len() as u64 != entry.bytes {
                return Err(corrupt(name, other_size(bytes.len() as u64, entry.bytes)));
            }
            if hex_sha256(&bytes) != entry.sha256 {
                return Err(corrupt(name, "its sha256 is not the one in the manifest: it was altered".into()));
            }
            Ok(bytes)
        };
        let utf8 = |name: &str| -> Result<String, ModelError> {
            String::from_utf8(read(name, limits.text_bytes)?).map_err(|_| corrupt(name, "it is not UTF-8".into()))
        };

        // Also the files that only MLflow reads: a folder is whole, or it is not the model that was trained.
        for name in manifest.files.keys() {
            if name.contains(['/', '\\']) || name == ".." {
                return Err(corrupt(
                    MANIFEST,
                    format!("`{}` is not the name of a file in the folder", name.escape_debug()),
                ));
            }
            if ![PIPELINE, MODEL, FOREST, GOLDEN].contains(&name.as_str()) {
                read(name, limits.text_bytes)?;
            }
        }
        let pipeline: Pipeline =
            toml::from_str(&utf8(PIPELINE)?).map_err(|e| corrupt(PIPELINE, e.message().to_owned()))?;
        check_pipeline(&pipeline).map_err(|reason| corrupt(PIPELINE, reason))?;
        let (schema, classes) = (pipeline.schema(), &pipeline.label.classes);
        let from_onnx = |bytes: &[u8]| onnx::read(bytes, &schema, classes).map_err(|reason| corrupt(MODEL, reason));
        let model: Box<dyn Model> = if manifest.files.contains_key(FOREST) {
            let forest = Forest::from_bytes(&read(FOREST, limits.model_bytes)?)
                .and_then(|forest| fits(forest, &schema, classes))
                .map_err(|reason| corrupt(FOREST, reason))?;
            if all {
                match onnx::parse(&read(MODEL, limits.model_bytes)?, &schema, classes) {
                    Ok(onnx::Contents::Forest(other)) if other == forest => {}
                    Ok(_) => return Err(corrupt(MODEL, format!("it does not hold the forest of `{FOREST}`"))),
                    Err(reason) => return Err(corrupt(MODEL, reason)),
                }
            } else {
                check_size(&path(MODEL), entry(MODEL)?.bytes)?;
            }
            Box::new(forest)
        } else {
            from_onnx(&read(MODEL, limits.model_bytes)?)?
        };
        let mut golden = Vec::new();
        for (i, line) in utf8(GOLDEN)?.lines().enumerate() {
            let g: Golden = serde_json::from_str(line).map_err(|e| corrupt(GOLDEN, format!("line {}: {e}", i + 1)))?;
            check_golden(&g, model.as_ref()).map_err(|e| corrupt(GOLDEN, format!("line {}: {e}", i + 1)))?;
            golden.push(g);
        }
        let Manifest { data_fingerprint, seed, config, .. } = manifest;
        Ok(Self { pipeline, model, golden, data_fingerprint, seed, config })
    }
}

fn check_pipeline(pipeline: &Pipeline) -> Result<(), String> {
    let classes = &pipeline.label.classes;
    if classes.len() < 2
        || classes.positive.is_some_and(|p| p >= 2)
        || (classes.len() == 2) != classes.positive.is_some()
    {
        return Err(format!("{} classes with positive class {:?}", classes.len(), classes.positive));
    }
    if pipeline.label.train_counts.len() != classes.len() {
        return Err(format!("{} class counts for {} classes", pipeline.label.train_counts.len(), classes.len()));
    }
    if !(0.0..=1.0).contains(&pipeline.decision_threshold) {
        return Err(format!("decision threshold {} is not in 0..=1", pipeline.decision_threshold));
    }
    for spec in &pipeline.features {
        if let FeatureKind::Category { dictionary } = &spec.feature.kind
            && crate::Dictionary::from_values(dictionary.values().to_vec()).is_none()
        {
            return Err(format!("dictionary of feature `{}` is not sorted", spec.feature.name));
        }
    }
    Ok(())
}

/// The forest, if it is one of these features and classes.
fn fits(forest: Forest, schema: &FeatureSchema, classes: &Classes) -> Result<Forest, String> {
    let (expected, got) = ((schema.len(), classes.len()), (forest.n_features(), forest.n_classes()));
    if expected == got {
        return Ok(forest);
    }
    Err(format!("it has {} features and {} classes, the pipeline {} and {}", got.0, got.1, expected.0, expected.1))
}

fn check_golden(golden: &Golden, model: &dyn Model) -> Result<(), String> {
    if golden.features.len() != model.n_features() {
        return Err(format!("{} features instead of {}", golden.features.len(), model.n_features()));
    }
    let mut p = vec![0.0; model.n_classes()];
    model.predict_row(&golden.features, &mut p);
    if p == golden.probabilities {
        Ok(())
    } else {
        Err(format!("the model gives {p:?}, recorded are {:?}", golden.probabilities))
    }
}

fn json<T: Serialize>(value: &T) -> Result<String, ModelError> {
    serde_json::to_string(value).map_err(|e| not_json(&e))
}

fn not_json(error: &serde_json::Error) -> ModelError {
    ModelError::Value {
        what: "model folder".into(),
        expected: "values that JSON can hold".into(),
        got: error.to_string(),
    }
}

/// Floats in JSON, with null for NaN and text for infinities.
mod json_floats {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Number(f32),
        Text(String),
        Missing(()),
    }

    pub(super) fn serialize<S: Serializer>(values: &[f32], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(values.iter().map(|&v| match v {
            v if v.is_nan() => serde_json::Value::Null,
            v if v.is_infinite() => serde_json::Value::from(if v > 0.0 { "inf" } else { "-inf" }),
            v => serde_json::Value::from(v),
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<f32>, D::Error> {
        let values = Vec::<Value>::deserialize(d)?;
        let value = |v: Value| match v {
            Value::Number(v) => Ok(v),
            Value::Missing(()) => Ok(f32::NAN),
            Value::Text(t) if t == "inf" => Ok(f32::INFINITY),
            Value::Text(t) if t == "-inf" => Ok(f32::NEG_INFINITY),
            Value::Text(_) => Err(D::Error::custom("expected a number, null, \"inf\" or \"-inf\"")),
        };
        values.into_iter().map(value).collect()
    }
}
