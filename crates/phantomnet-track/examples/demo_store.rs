//! What does a tracking store of this crate hold after a small training run?
//!
//! `cargo run -p phantomnet-track --example demo_store -- FOLDER` writes `FOLDER/mlflow.db` and the artifacts beside it, and
//! prints what other programs added to the file. `tools/interop/check_store.py` reads it with MLflow.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use phantomnet_track::{
    ActiveRun, DatasetInput, Metric, ModelRef, ModelStatus, NewLoggedModel, NewRun, Param, RunQuery, Tag, open,
};

const START_MS: i64 = 1_700_000_000_000;

fn end_ms() -> i64 {
    START_MS + 5000
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("usage: demo_store FOLDER")?.into();
    fs::create_dir_all(&folder)?;
    let uri = format!("sqlite:///{}/mlflow.db", folder.canonicalize()?.display());
    if folder.join("mlflow.db").exists() { show(&uri) } else { write(&uri, &folder) }
}

fn write(uri: &str, folder: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let mut store = open(uri)?;
    let experiment = store.experiment("demo")?;
    let new_run = |name: &str| NewRun {
        name: name.into(),
        user: "ana".into(),
        start_time_ms: START_MS,
        tags: vec![Tag::new("mlflow.source.name", "phantomnet"), Tag::new("mlflow.source.type", "LOCAL")],
    };

    let mut run = ActiveRun::start(store, &experiment.id, new_run("good"), end_ms)?;
    let id = run.info().id.clone();
    let store = run.store();
    let folds = [(0, 0.8), (1, 0.81), (2, 0.82), (3, 0.83), (4, 0.84)]
        .map(|(fold, accuracy)| Metric::new("cv/accuracy", accuracy, START_MS + fold, fold));
    let metrics: Vec<_> = folds
        .into_iter()
        .chain([
            Metric::new("undefined", f64::NAN, START_MS, 0),
            Metric::new("unbounded", f64::INFINITY, START_MS, 0),
            Metric::new("unbounded_below", f64::NEG_INFINITY, START_MS, 0),
        ])
        .collect();
    let params = [Param::new("n_estimators", "200"), Param::new("max_depth", "none")];
    store.log_batch(&id, &metrics, &params, &[Tag::new("gate", "passed")])?;
    store.log_inputs(
        &id,
        &[DatasetInput {
            name: "events".into(),
            digest: "efc670cd".into(),
            source_type: "local".into(),
            source: r#"{"uri": "events.csv"}"#.into(),
            schema: Some(
                r#"{"mlflow_colspec": [{"type": "double", "name": "payload_length", "required": true}]}"#.into(),
            ),
            profile: Some(r#"{"num_rows": 220, "num_elements": 220}"#.into()),
            context: Some("training".into()),
        }],
    )?;
    store.log_artifact_bytes(&id, "config.toml", b"seed = 7\n")?;
    store.log_artifact_bytes(&id, "plots/roc.svg", br#"<svg xmlns="http://www.w3.org/2000/svg"/>"#)?;

    let files = folder.join("model");
    fs::create_dir_all(files.join("data"))?;
    fs::write(files.join("MLmodel"), "flavors: {}\n")?;
    fs::write(files.join("data/notes.txt"), "none\n")?;
    let model = store.create_logged_model(NewLoggedModel {
        name: "forest".into(),
        model_type: Some("random_forest".into()),
        source_run_id: id.clone(),
        step: 0,
        params: vec![Param::new("format", "onnx")],
        tags: vec![Tag::new("stage", "demo")],
    })?;
    store.log_model_artifacts(&model.id, &files)?;
    let judged = ModelRef {
        model_id: model.id.clone(),
        dataset_name: Some("events".into()),
        dataset_digest: Some("efc670cd".into()),
    };
    store.log_batch(&id, &[Metric::new("accuracy", 0.8864, START_MS, 0).of_model(judged)], &[], &[])?;
    store.finalize_logged_model(&model.id, ModelStatus::Ready)?;
    run.finish()?;

    ActiveRun::start(open(uri)?, &experiment.id, new_run("bad"), end_ms)?
        .fail("fold 3 of 5 has no row of class `attack`")?;
    ActiveRun::start(open(uri)?, &experiment.id, new_run("stopped"), end_ms)?.kill()?;
    Ok(())
}

fn show(uri: &str) -> Result<(), Box<dyn Error>> {
    use std::io::Write;
    let mut store = open(uri)?;
    let mut out = std::io::stdout().lock();
    for run in
        store.runs(&RunQuery { experiment_ids: vec![], status: None, max_results: 100, ..RunQuery::default() })?
    {
        writeln!(out, "run {} {} {} {:?}", run.info.name, run.info.status, run.info.user, run.params)?;
        for (key, point) in &run.metrics {
            let history = store.metric_history(&run.info.id, key)?;
            writeln!(out, "  metric {key} {} step {} of {} points", point.value, point.step, history.len())?;
        }
        for input in &run.inputs {
            let context = input.context.as_deref().unwrap_or_default();
            writeln!(out, "  input {} {} {context}", input.name, input.digest)?;
        }
        for artifact in store.list_artifacts(&run.info.id, None)? {
            writeln!(out, "  artifact {} {}", artifact.path, artifact.n_bytes)?;
        }
        for model_id in run.models.keys() {
            let model = store.logged_model(model_id)?;
            writeln!(out, "  model {} {:?} {:?}", model.name, model.status, model.params)?;
        }
    }
    Ok(())
}
