//! What makes the folder an MLflow model: `MLmodel` and the files beside it, as MLflow 3 writes them for ONNX.
//!
//! Run and model ids and times are left out: MLflow does not need them, and without them the same training gives the same bytes.

use serde_json::{Value, json};

use crate::{Golden, Pipeline, onnx};

/// Versions with which the folder is tested; environment files pin them.
const REQUIREMENTS: [&str; 5] =
    ["mlflow==3.17.2", "numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0", "pandas==3.1.1"];
const PYTHON: &str = "3.11.7";

/// The files for MLflow; `others` are the files already made, for the size that `MLmodel` states.
pub(crate) fn files(pipeline: &Pipeline, golden: &[Golden], others: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let columns: Vec<&str> = pipeline.features.iter().map(|f| f.feature.name.as_str()).collect();
    let rows: Vec<Vec<Value>> = golden.iter().map(|g| g.features.iter().map(|&x| finite(x)).collect()).collect();
    let example = json!({"columns": columns, "data": rows});
    let serving = json!({"dataframe_split": example});
    let size: usize = others.iter().map(|(_, bytes)| bytes.len()).sum();
    let texts = [
        ("MLmodel", ml_model(pipeline, &columns, size)),
        ("requirements.txt", REQUIREMENTS.map(|r| format!("{r}\n")).concat()),
        (
            "python_env.yaml",
            format!("python: {PYTHON}\nbuild_dependencies:\n- pip\ndependencies:\n- -r requirements.txt\n"),
        ),
        ("conda.yaml", conda()),
        ("input_example.json", example.to_string()),
        ("serving_input_example.json", serving.to_string()),
    ];
    texts.map(|(name, text)| (name.to_owned(), text.into_bytes())).into()
}

/// JSON has no infinities; in an example, which only shows the shape, null stands for them.
fn finite(x: f32) -> Value {
    if x.is_finite() { json!(x) } else { Value::Null }
}

fn ml_model(pipeline: &Pipeline, columns: &[&str], size: usize) -> String {
    // `double` and not `float`: a plain data frame holds float64, which MLflow refuses to narrow.
    let inputs: Vec<Value> = columns.iter().map(|c| json!({"type": "double", "name": c, "required": true})).collect();
    let mut outputs = vec![json!({"type": "string", "name": onnx::LABEL, "required": true})];
    outputs.extend(
        pipeline
            .label
            .classes
            .names
            .iter()
            .map(|c| json!({"type": "float", "name": onnx::output_name(c), "required": true})),
    );
    // JSON is YAML, and quoting is one problem less; the two schemas are JSON text inside, as MLflow expects.
    let model = json!({
        "flavors": {
            "onnx": {
                "code": null, "data": "model.onnx", "onnx_session_options": null, "onnx_version": "1.23.2",
                "providers": ["CPUExecutionProvider"],
            },
            "python_function": {
                "data": "model.onnx", "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": "mlflow.onnx", "python_version": PYTHON,
            },
        },
        "metadata": {"phantomnet": {"format": pipeline.format, "version": pipeline.phantomnet_version}},
        "mlflow_version": "3.17.2",
        "model_size_bytes": size,
        "saved_input_example_info": {
            "artifact_path": "input_example.json", "pandas_orient": "split",
            "serving_input_path": "serving_input_example.json", "type": "dataframe",
        },
        "signature": {
            "inputs": Value::from(inputs).to_string(), "outputs": Value::from(outputs).to_string(), "params": null,
        },
    });
    format!("{model:#}\n")
}

fn conda() -> String {
    let mut text = format!("channels:\n- conda-forge\ndependencies:\n- python={PYTHON}\n- pip\n- pip:\n");
    for requirement in REQUIREMENTS {
        text.push_str(&format!("  - {requirement}\n"));
    }
    text + "name: mlflow-env\n"
}
