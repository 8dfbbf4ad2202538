//! What every store must do. A store's tests are made by `store_contract!(open)`, where `open` gives a store and a guard that
//! keeps its place alive. The store may hold what others put there: the checks give names of their own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use phantomnet_track::{
    BOOT_ID_TAG, DatasetInput, Error, HOST_TAG, Metric, MetricPoint, ModelRef, ModelStatus, NewLoggedModel, NewRun,
    PID_TAG, Param, RunInfo, RunQuery, RunStatus, Store, Tag,
};

/// Makes a test of each check below.
macro_rules! store_contract {
    ($(#[$attribute:meta])* $open:path) => {
        $crate::store_contract::store_contract! { $(#[$attribute])* $open:
            experiments_are_selected_by_name, experiment_names_are_checked, a_run_starts_and_ends,
            a_run_needs_an_experiment, params_never_change, tags_are_replaced, a_failed_batch_leaves_nothing,
            keys_and_values_are_checked, latest_is_by_step_then_time_then_value, repeated_points_are_one,
            nan_and_infinities_are_kept_as_mlflow_does, inputs_keep_their_first_context, artifacts_are_written_and_read,
            artifact_paths_stay_inside, a_model_becomes_ready, an_unfinished_model_fails_with_its_run,
            runs_are_listed_by_start, runs_are_filtered_and_ordered, a_deleted_run_comes_back, a_run_is_found_by_id_prefix_and_name, unknown_ids_are_named,
            stale_runs_of_this_host_are_closed,
            a_model_is_registered_in_versions, an_alias_means_one_version, registered_models_are_tagged_and_described,
            a_deleted_version_keeps_its_number, a_model_is_found_by_every_uri,
            a_model_may_lie_among_the_artifacts_of_its_run, decisions_are_recorded_in_a_chain, creating_once_creates_once,
            runs_are_copied_here_and_back,
        }
    };
    ($(#[$attribute:meta])* $open:path: $($check:ident),* $(,)?) => {
        $crate::store_contract::store_contract! { @tests [$(#[$attribute])*] $open: $($check),* }
    };
    (@tests $attributes:tt $open:path: $($check:ident),*) => {
        $( $crate::store_contract::store_contract! { @test $attributes $open: $check } )*
    };
    (@test [$(#[$attribute:meta])*] $open:path: $check:ident) => {
            #[test]
            $(#[$attribute])*
            fn $check() {
                let (_place, mut store) = $open();
                $crate::store_contract::$check(store.as_mut());
            }
    };
}
pub(crate) use store_contract;

pub(crate) use crate::registry_contract::*;
pub(crate) use crate::transfer_contract::*;

/// The name with what no other name of this store ends in.
pub(crate) fn unique(name: &str) -> String {
    static N: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("{name} {}-{}", now.as_nanos(), N.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn new_run(name: &str, start_time_ms: i64) -> NewRun {
    NewRun { name: name.into(), user: "ana".into(), start_time_ms, tags: vec![] }
}

pub(crate) fn start(store: &mut dyn Store) -> RunInfo {
    let experiment = store.experiment("exp").expect("experiment");
    store.create_run(&experiment.id, new_run("first", 1000)).expect("run")
}

fn write_file(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("parent")).expect("folder");
    std::fs::write(path, content).expect("file");
}

pub(crate) fn experiments_are_selected_by_name(store: &mut dyn Store) {
    let (name, other_name) = (unique("über/exp & 1"), unique("other"));
    let first = store.experiment(&name).expect("created");
    let again = store.experiment(&name).expect("selected");
    let other = store.experiment(&other_name).expect("created");
    assert_eq!(first, again);
    assert_ne!(first.id, other.id);
    assert!(first.artifact_location.ends_with(&first.id), "{}", first.artifact_location);
    let mut listed = store.experiments().expect("list");
    assert_eq!((listed[0].id.as_str(), listed[0].name.as_str()), ("0", "Default"));
    listed.retain(|experiment| [&name, &other_name].contains(&&experiment.name));
    assert_eq!(listed, [first, other]);
}

pub(crate) fn experiment_names_are_checked(store: &mut dyn Store) {
    for name in ["", &"x".repeat(257)] {
        assert!(matches!(store.experiment(name), Err(Error::Invalid { what: "experiment name", .. })));
    }
    store.experiment(&"x".repeat(256)).expect("longest");
}

pub(crate) fn a_run_starts_and_ends(store: &mut dyn Store) {
    let started = start(store);
    assert_eq!(started.status, RunStatus::Running);
    assert_eq!(started.end_time_ms, None);
    assert_eq!(store.run(&started.id).expect("found").info, started);

    let not_final = store.end_run(&started.id, RunStatus::Running, 1500).expect_err("not an end");
    assert_eq!(not_final.to_string(), "final status `RUNNING` is not valid: expected FINISHED, FAILED or KILLED");
    for status in [RunStatus::Killed, RunStatus::Failed, RunStatus::Finished] {
        store.end_run(&started.id, status, 2000).expect("ended");
        let run = store.run(&started.id).expect("found");
        assert_eq!((run.info.status, run.info.end_time_ms), (status, Some(2000)));
        assert_eq!(run.tags["mlflow.runName"], "first");
        assert_eq!(run.tags["mlflow.user"], "ana");
    }
}

pub(crate) fn a_run_needs_an_experiment(store: &mut dyn Store) {
    for id in ["987654321", "", "x"] {
        let error = store.create_run(id, new_run("r", 1)).expect_err("no such experiment");
        assert_eq!(error.to_string(), format!("there is no experiment with id `{id}`"));
    }
}

pub(crate) fn params_never_change(store: &mut dyn Store) {
    let run = start(store);
    let param = Param::new("max_depth", "8");
    store.log_batch(&run.id, &[], &[param.clone(), param.clone()], &[]).expect("logged");
    store.log_batch(&run.id, &[], &[param], &[]).expect("the same again");
    let changed = store.log_batch(&run.id, &[], &[Param::new("max_depth", "9")], &[]).expect_err("another value");
    assert_eq!(changed.to_string(), "param `max_depth` is `8` already and cannot become `9`");
    let twice = [Param::new("seed", "1"), Param::new("seed", "2")];
    assert!(matches!(store.log_batch(&run.id, &[], &twice, &[]), Err(Error::ParamChanged { .. })));
    let params = store.run(&run.id).expect("found").params;
    assert_eq!(params, BTreeMap::from([("max_depth".to_owned(), "8".to_owned())]));
}

pub(crate) fn tags_are_replaced(store: &mut dyn Store) {
    let run = start(store);
    store.log_batch(&run.id, &[], &[], &[Tag::new("gate", "open"), Tag::new("gate", "passed")]).expect("logged");
    assert_eq!(store.run(&run.id).expect("found").tags["gate"], "passed");
    store.log_batch(&run.id, &[], &[], &[Tag::new("gate", "failed")]).expect("logged");
    assert_eq!(store.run(&run.id).expect("found").tags["gate"], "failed");
}

pub(crate) fn a_failed_batch_leaves_nothing(store: &mut dyn Store) {
    let run = start(store);
    store.log_batch(&run.id, &[], &[Param::new("p", "1")], &[]).expect("logged");
    let before = store.run(&run.id).expect("found");
    let metric = Metric::new("accuracy", 0.5, 1, 0);
    store
        .log_batch(&run.id, std::slice::from_ref(&metric), &[Param::new("p", "2")], &[Tag::new("t", "x")])
        .expect_err("param changed");
    let of_unknown = metric.of_model(ModelRef { model_id: "m-0".into(), dataset_name: None, dataset_digest: None });
    let error = store.log_batch(&run.id, &[of_unknown], &[], &[]).expect_err("no such model");
    assert_eq!(error.to_string(), "there is no logged model `m-0`");
    assert_eq!(store.run(&run.id).expect("found"), before);
}

pub(crate) fn keys_and_values_are_checked(store: &mut dyn Store) {
    let run = start(store);
    for key in ["", "recall@5", "f1(macro)", "/a", "a//b", "../a", "a\nb", &"k".repeat(251)] {
        for (metrics, params, tags) in [
            (vec![Metric::new(key, 1.0, 1, 0)], vec![], vec![]),
            (vec![], vec![Param::new(key, "v")], vec![]),
            (vec![], vec![], vec![Tag::new(key, "v")]),
        ] {
            assert!(matches!(store.log_batch(&run.id, &metrics, &params, &tags), Err(Error::Invalid { .. })), "{key}");
        }
    }
    let half = ModelRef { model_id: "m-0".into(), dataset_name: Some("train".into()), dataset_digest: None };
    let metric = Metric::new("m", 1.0, 1, 0).of_model(half);
    let error = store.log_batch(&run.id, &[metric], &[], &[]).expect_err("half a dataset");
    assert!(matches!(error, Error::Invalid { what: "dataset of a metric", .. }), "{error}");
    let param = Param::new("p", "x".repeat(6001));
    assert!(matches!(store.log_batch(&run.id, &[], &[param], &[]), Err(Error::ValueTooLong { .. })));
    let tag = Tag::new("t", "x".repeat(8001));
    assert!(matches!(store.log_batch(&run.id, &[], &[], &[tag]), Err(Error::ValueTooLong { .. })));
    let (param, tag) = (Param::new("p", "ü".repeat(6000)), Tag::new("t", "ü".repeat(8000)));
    let metric = Metric::new("a b/ü-1.2:3_", 1.0, 1, 0);
    store.log_batch(&run.id, &[metric], &[param], &[tag]).expect("all just possible");
}

pub(crate) fn latest_is_by_step_then_time_then_value(store: &mut dyn Store) {
    let run = start(store);
    // (value, time, step) and the value that is the latest from then on.
    let points = [
        (0.5, 100, 1, 0.5),
        (0.9, 900, 0, 0.5), // later, but of a lower step
        (0.4, 50, 2, 0.4),  // earlier, but of a higher step
        (0.3, 60, 2, 0.3),
        (0.2, 60, 2, 0.3), // same step and time, lower value
        (0.6, 60, 2, 0.6),
    ];
    for (value, timestamp_ms, step, latest) in points {
        store.log_batch(&run.id, &[Metric::new("loss", value, timestamp_ms, step)], &[], &[]).expect("logged");
        assert_eq!(store.run(&run.id).expect("found").metrics["loss"].value, latest);
    }
    let history = store.metric_history(&run.id, "loss").expect("history");
    let values: Vec<_> = history.iter().map(|point| (point.step, point.timestamp_ms, point.value)).collect();
    assert_eq!(values, [(0, 900, 0.9), (1, 100, 0.5), (2, 50, 0.4), (2, 60, 0.2), (2, 60, 0.3), (2, 60, 0.6)]);
    assert_eq!(store.metric_history(&run.id, "unknown").expect("history"), []);
}

pub(crate) fn repeated_points_are_one(store: &mut dyn Store) {
    let run = start(store);
    let metrics = [Metric::new("f1", 0.5, 1, 0), Metric::new("f1", 0.5, 1, 0), Metric::new("nan", f64::NAN, 1, 0)];
    for _ in 0..2 {
        store.log_batch(&run.id, &metrics, &[], &[]).expect("logged");
    }
    let expected = MetricPoint { value: 0.5, timestamp_ms: 1, step: 0 };
    assert_eq!(store.metric_history(&run.id, "f1").expect("history"), [expected]);
    assert_eq!(store.metric_history(&run.id, "nan").expect("history").len(), 1);
}

pub(crate) fn nan_and_infinities_are_kept_as_mlflow_does(store: &mut dyn Store) {
    let run = start(store);
    let metrics = [
        Metric::new("nan", f64::NAN, 1, 0),
        Metric::new("inf", f64::INFINITY, 1, 0),
        Metric::new("ninf", f64::NEG_INFINITY, 1, 0),
        Metric::new("tiny", -5e-324, 1, -3),
    ];
    store.log_batch(&run.id, &metrics, &[], &[]).expect("logged");
    let latest = store.run(&run.id).expect("found").metrics;
    assert!(latest["nan"].value.is_nan());
    assert!(store.metric_history(&run.id, "nan").expect("history")[0].value.is_nan());
    assert_eq!(latest["inf"].value, f64::MAX);
    assert_eq!(latest["ninf"].value, f64::MIN);
    assert_eq!((latest["tiny"].value, latest["tiny"].step), (-5e-324, -3));
}

pub(crate) fn inputs_keep_their_first_context(store: &mut dyn Store) {
    let run = start(store);
    let training = DatasetInput {
        name: "train".into(),
        digest: "efc670cd".into(),
        source_type: "local".into(),
        source: r#"{"uri": "train.csv"}"#.into(),
        schema: Some(r#"{"mlflow_colspec": []}"#.into()),
        profile: None,
        context: Some("training".into()),
    };
    let holdout = DatasetInput { name: "holdout".into(), context: None, ..training.clone() };
    store.log_inputs(&run.id, &[training.clone(), holdout.clone()]).expect("logged");
    store.log_inputs(&run.id, &[DatasetInput { context: Some("eval".into()), ..training.clone() }]).expect("again");
    assert_eq!(store.run(&run.id).expect("found").inputs, [holdout, training.clone()]);

    let second = start(store);
    store.log_inputs(&second.id, std::slice::from_ref(&training)).expect("the same data in another run");
    assert_eq!(store.run(&second.id).expect("found").inputs, std::slice::from_ref(&training));
    let long = DatasetInput { digest: "d".repeat(37), ..training };
    assert!(matches!(store.log_inputs(&run.id, &[long]), Err(Error::Invalid { what: "dataset digest", .. })));
}

pub(crate) fn artifacts_are_written_and_read(store: &mut dyn Store) {
    let folder = tempfile::tempdir().expect("folder");
    write_file(folder.path(), "roc.svg", "<svg/>");
    let run = start(store);
    assert_eq!(store.list_artifacts(&run.id, None).expect("none yet"), []);
    store.log_artifact(&run.id, "plots/roc.svg", &folder.path().join("roc.svg")).expect("copied");
    store.log_artifact_bytes(&run.id, "empty.txt", b"").expect("written");
    store.log_artifact_bytes(&run.id, "config.toml", b"seed = 1").expect("written");
    store.log_artifact_bytes(&run.id, "config.toml", b"seed = 2").expect("replaced");

    let listed = |store: &mut dyn Store, folder| -> Vec<(String, bool, u64)> {
        let entries = store.list_artifacts(&run.id, folder).expect("listed");
        entries.into_iter().map(|entry| (entry.path, entry.is_dir, entry.n_bytes)).collect()
    };
    assert_eq!(
        listed(store, None),
        [("config.toml".into(), false, 8), ("empty.txt".into(), false, 0), ("plots".into(), true, 0)]
    );
    assert_eq!(listed(store, Some("plots")), [("plots/roc.svg".into(), false, 6)]);
    assert_eq!(listed(store, Some("unknown")), []);

    assert_eq!(store.read_artifact(&run.id, "config.toml", 8).expect("read"), b"seed = 2");
    let error = store.read_artifact(&run.id, "config.toml", 7).expect_err("too large");
    assert_eq!(error.to_string(), "artifact `config.toml` is larger than 7 bytes");
    for path in ["unknown.txt", "plots", "config.toml/x"] {
        assert!(matches!(store.read_artifact(&run.id, path, 9), Err(Error::ArtifactNotFound { .. })), "{path}");
    }
    let target = folder.path().join("got");
    for (path, content) in [("config.toml", "seed = 2"), ("plots/roc.svg", "<svg/>"), ("empty.txt", "")] {
        store.download_artifact(&run.id, path, &target, 8).expect("downloaded");
        assert_eq!(std::fs::read_to_string(&target).expect("file"), content);
    }
    let too_large = store.download_artifact(&run.id, "config.toml", &target, 7);
    assert!(matches!(too_large, Err(Error::ArtifactTooLarge { max_bytes: 7, .. })), "{too_large:?}");
    for path in ["unknown.txt", "plots"] {
        let missing = store.download_artifact(&run.id, path, &target, 9);
        assert!(matches!(missing, Err(Error::ArtifactNotFound { .. })), "{path}");
    }
    assert_eq!(std::fs::read_to_string(&target).expect("the file before is left"), "");
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 2, "no part of a file is left");
    assert!(matches!(store.log_artifact(&run.id, "x", &folder.path().join("none")), Err(Error::Io { .. })));
    assert!(store.log_artifact(&run.id, "x", folder.path()).is_err());
    assert_eq!(listed(store, None).len(), 3);
}

pub(crate) fn artifact_paths_stay_inside(store: &mut dyn Store) {
    let run = start(store);
    for path in ["", "../x", "a/../../x", "/tmp/x", "a\\..\\x", "a/", "./x", "a\0"] {
        for result in [
            store.log_artifact_bytes(&run.id, path, b"x"),
            store.read_artifact(&run.id, path, 9).map(drop),
            store.download_artifact(&run.id, path, Path::new("nowhere"), 9),
            store.list_artifacts(&run.id, Some(path)).map(drop),
        ] {
            assert!(matches!(result, Err(Error::Invalid { what: "artifact path", .. })), "{path}");
        }
    }
}

/// A dataset that a run read to train.
pub(crate) fn training_data() -> DatasetInput {
    DatasetInput {
        name: "train".into(),
        digest: "abc".into(),
        source_type: "local".into(),
        source: "{}".into(),
        schema: None,
        profile: None,
        context: Some("training".into()),
    }
}

pub(crate) fn new_model(run: &RunInfo) -> NewLoggedModel {
    NewLoggedModel {
        name: "forest".into(),
        model_type: None,
        source_run_id: run.id.clone(),
        step: 0,
        params: vec![Param::new("n_estimators", "300"), Param::new("format", "onnx")],
        tags: vec![Tag::new("stage", "test")],
    }
}

pub(crate) fn a_model_becomes_ready(store: &mut dyn Store) {
    let folder = tempfile::tempdir().expect("folder");
    write_file(folder.path(), "MLmodel", "flavors: {}");
    write_file(folder.path(), "data/model.onnx", "onnx");
    let run = start(store);
    let params = [Param::new("n_estimators", "200"), Param::new("seed", "7")];
    let tags = [Tag::new("mlflow.source.name", "phantomnet"), Tag::new("private", "x")];
    store.log_batch(&run.id, &[], &params, &tags).expect("logged");

    let mut model = store.create_logged_model(new_model(&run)).expect("created");
    // A store may add tags of its own.
    model.tags.remove("phantomnet.request_id");
    assert!(model.id.starts_with("m-") && model.id.len() == 34, "{}", model.id);
    assert_eq!(model.status, ModelStatus::Pending);
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    assert_eq!(model.params, pairs(&[("n_estimators", "300"), ("format", "onnx"), ("seed", "7")]));
    let tags = [("mlflow.user", "ana"), ("mlflow.source.name", "phantomnet"), ("stage", "test")];
    assert_eq!(model.tags, pairs(&tags));
    assert_eq!(store.run(&run.id).expect("found").models, BTreeMap::from([(model.id.clone(), 0)]));

    store.log_model_artifacts(&model.id, folder.path()).expect("copied");
    let judged = ModelRef {
        model_id: model.id.clone(),
        dataset_name: Some("holdout".into()),
        dataset_digest: Some("abc".into()),
    };
    let metrics = [
        Metric::new("accuracy", 0.9, 5, 0).of_model(judged.clone()),
        Metric::new("roc_auc", f64::NAN, 5, 0).of_model(judged),
    ];
    store.log_batch(&run.id, &metrics, &[], &[]).expect("logged");
    assert_eq!(store.run(&run.id).expect("found").metrics["accuracy"].value, 0.9);
    store.finalize_logged_model(&model.id, ModelStatus::Ready).expect("ready");
    store.end_run(&run.id, RunStatus::Finished, 2000).expect("ended");
    assert_eq!(store.logged_model(&model.id).expect("found").status, ModelStatus::Ready);

    let slash = NewLoggedModel { name: "a/b".into(), ..new_model(&run) };
    assert!(matches!(store.create_logged_model(slash), Err(Error::Invalid { what: "model name", .. })));
}

pub(crate) fn an_unfinished_model_fails_with_its_run(store: &mut dyn Store) {
    let (run, other) = (start(store), start(store));
    let model = store.create_logged_model(new_model(&run)).expect("created");
    let untouched = store.create_logged_model(new_model(&other)).expect("created");
    store.end_run(&run.id, RunStatus::Failed, 2000).expect("ended");
    assert_eq!(store.logged_model(&model.id).expect("found").status, ModelStatus::UploadFailed);
    assert_eq!(store.logged_model(&untouched.id).expect("found").status, ModelStatus::Pending);
}

pub(crate) fn runs_are_listed_by_start(store: &mut dyn Store) {
    let mut experiment = |name: &str| store.experiment(&unique(name)).expect("created");
    let (a, b) = (experiment("a"), experiment("b"));
    let both = || RunQuery {
        experiment_ids: vec![a.id.clone(), b.id.clone()],
        status: None,
        max_results: 100,
        ..RunQuery::default()
    };
    for (experiment, name, start_time_ms) in [(&a, "a1", 100), (&b, "b1", 300), (&a, "a2", 200)] {
        let run = store.create_run(&experiment.id, new_run(name, start_time_ms)).expect("run");
        store.log_batch(&run.id, &[Metric::new("m", start_time_ms as f64, 1, 0)], &[], &[]).expect("logged");
        if name == "a1" {
            store.end_run(&run.id, RunStatus::Finished, 999).expect("ended");
        }
    }
    let names = |store: &mut dyn Store, query: &RunQuery| -> Vec<String> {
        let runs = store.runs(query).expect("listed");
        assert!(runs.iter().all(|run| run.metrics["m"].value == run.info.start_time_ms as f64));
        runs.into_iter().map(|run| run.info.name).collect()
    };
    assert_eq!(names(store, &both()), ["b1", "a2", "a1"]);
    assert_eq!(names(store, &RunQuery { max_results: 2, ..both() }), ["b1", "a2"]);
    assert_eq!(names(store, &RunQuery { experiment_ids: vec![a.id.clone()], ..both() }), ["a2", "a1"]);
    assert_eq!(names(store, &RunQuery { experiment_ids: vec!["987654321".into(), "x".into()], ..both() }), [""; 0]);
    assert_eq!(names(store, &RunQuery { status: Some(RunStatus::Finished), ..both() }), ["a1"]);
    let all = RunQuery { experiment_ids: vec![], status: None, max_results: 10_000, ..RunQuery::default() };
    let mut listed = store.runs(&all).expect("listed");
    listed.retain(|run| [&a.id, &b.id].contains(&&run.info.experiment_id));
    assert_eq!(listed.len(), 3);
}

pub(crate) fn runs_are_filtered_and_ordered(store: &mut dyn Store) {
    let experiment = store.experiment(&unique("filtered")).expect("created");
    for (name, start_time_ms, accuracy, kind) in [
        ("alpha", 100, Some(0.5), Some("forest")),
        ("beta", 200, Some(0.9), Some("For%est")),
        ("gamma [*]", 300, Some(f64::NAN), None),
        ("Delta_x", 400, None, Some("it's")),
    ] {
        let run = store.create_run(&experiment.id, new_run(name, start_time_ms)).expect("run");
        let metrics: Vec<Metric> = accuracy.map(|value| Metric::new("log loss", value, 1, 0)).into_iter().collect();
        let params: Vec<Param> = kind.map(|kind| Param::new("model.kind", kind)).into_iter().collect();
        store.log_batch(&run.id, &metrics, &params, &[Tag::new("gate", name)]).expect("logged");
        if start_time_ms > 250 {
            store.end_run(&run.id, RunStatus::Finished, start_time_ms + 5).expect("ended");
        }
    }
    let mut names = |filter: &str, order_by: &[&str]| -> Vec<String> {
        let query = RunQuery {
            experiment_ids: vec![experiment.id.clone()],
            filter: filter.parse().expect("a filter"),
            order_by: order_by.iter().map(|order| order.parse().expect("an order")).collect(),
            max_results: 10,
            ..RunQuery::default()
        };
        store.runs(&query).expect("listed").into_iter().map(|run| run.info.name).collect()
    };
    for (filter, expected) in [
        ("metrics.`log loss` >= 0.5", vec!["beta", "alpha"]),
        ("metrics.`log loss` > 0.5", vec!["beta"]),
        ("metrics.`log loss` != 0.5 AND start_time < 250", vec!["beta"]),
        ("metrics.unknown > 0", vec![]),
        ("params.`model.kind` = 'forest'", vec!["alpha"]),
        ("params.`model.kind` != 'forest'", vec!["Delta_x", "beta"]),
        ("params.`model.kind` LIKE 'for%'", vec!["alpha"]),
        ("params.`model.kind` ILIKE 'for%'", vec!["beta", "alpha"]),
        ("params.`model.kind` = \"it's\"", vec!["Delta_x"]),
        ("tags.gate = 'gamma [*]' AND status = 'FINISHED'", vec!["gamma [*]"]),
        ("run_name LIKE '%[*]'", vec!["gamma [*]"]),
        ("attributes.end_time >= 400", vec!["Delta_x"]),
    ] {
        assert_eq!(names(filter, &[]), expected, "{filter}");
    }
    assert_eq!(names("", &["start_time ASC"]), ["alpha", "beta", "gamma [*]", "Delta_x"]);
    assert_eq!(names("", &["tags.gate"]), ["Delta_x", "alpha", "beta", "gamma [*]"]);
    // What has no value, or NaN, comes last.
    assert_eq!(names("", &["metrics.`log loss` DESC"])[..2], ["beta", "alpha"]);
    assert_eq!(names("", &["metrics.`log loss`"])[..2], ["alpha", "beta"]);
    assert_eq!(names("start_time > 150", &["params.`model.kind` DESC"]), ["Delta_x", "beta", "gamma [*]"]);
}

pub(crate) fn a_deleted_run_comes_back(store: &mut dyn Store) {
    let experiment = store.experiment(&unique("deleted")).expect("created");
    let run = store.create_run(&experiment.id, new_run("r", 1)).expect("run");
    store.log_batch(&run.id, &[Metric::new("m", 1.0, 1, 0)], &[Param::new("p", "1")], &[]).expect("logged");
    let before = store.run(&run.id).expect("found");
    let query = RunQuery { experiment_ids: vec![experiment.id], status: None, max_results: 10, ..RunQuery::default() };
    for _ in 0..2 {
        store.delete_run(&run.id).expect("deleted");
    }
    assert!(matches!(store.run(&run.id), Err(Error::RunDeleted { .. })));
    assert!(matches!(store.log_batch(&run.id, &[], &[], &[Tag::new("t", "x")]), Err(Error::RunDeleted { .. })));
    assert_eq!(store.runs(&query).expect("listed"), []);
    for _ in 0..2 {
        store.restore_run(&run.id).expect("restored");
    }
    assert_eq!(store.run(&run.id).expect("found"), before);
    assert_eq!(store.runs(&query).expect("listed"), [before]);
    for result in [store.delete_run("r"), store.restore_run(&"0".repeat(32))] {
        assert!(matches!(result, Err(Error::RunNotFound { .. })));
    }
}

pub(crate) fn a_run_is_found_by_id_prefix_and_name(store: &mut dyn Store) {
    let experiment = store.experiment("exp").expect("experiment");
    let (twin, single) = (unique("it's a \"twin\" [50%_*?]"), unique("single"));
    let mut ids = Vec::new();
    for name in [&twin, &twin, &single] {
        ids.push(store.create_run(&experiment.id, new_run(name, 1)).expect("run").id);
    }
    assert_eq!(store.run(&ids[0]).expect("by id").info.id, ids[0]);
    assert_eq!(store.run(&ids[1][..31]).expect("by prefix").info.id, ids[1]);
    assert_eq!(store.run(&single).expect("by name").info.id, ids[2]);
    match store.run(&twin) {
        Err(Error::RunAmbiguous { n_runs: 2, mut candidates, .. }) => {
            candidates.sort();
            let mut twins = ids[..2].to_vec();
            twins.sort();
            assert_eq!(candidates, twins);
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn unknown_ids_are_named(store: &mut dyn Store) {
    let missing = "0".repeat(32);
    let expected = format!("there is no run `{missing}`");
    let results = [
        store.run(&missing).map(drop),
        store.log_batch(&missing, &[], &[], &[]),
        store.log_inputs(&missing, &[]),
        store.end_run(&missing, RunStatus::Finished, 1),
        store.log_artifact_bytes(&missing, "x", b""),
        store.list_artifacts(&missing, None).map(drop),
        store.metric_history(&missing, "x").map(drop),
    ];
    for result in results {
        assert_eq!(result.expect_err("no such run").to_string(), expected);
    }
    assert!(matches!(store.run(""), Err(Error::RunNotFound { .. })));
    for result in [
        store.logged_model("m-1").map(drop),
        store.finalize_logged_model("m-1", ModelStatus::Ready),
        store.log_model_artifacts("m-1", Path::new(".")),
    ] {
        assert_eq!(result.expect_err("no such model").to_string(), "there is no logged model `m-1`");
    }
}

pub(crate) fn stale_runs_of_this_host_are_closed(store: &mut dyn Store) {
    let experiment = store.experiment("exp").expect("experiment");
    let mut started = |name: &str, tags: &[(&str, &str)]| {
        let tags = tags.iter().map(|&(key, value)| Tag::new(key, value)).collect();
        store.create_run(&experiment.id, NewRun { tags, ..new_run(name, 1000) }).expect("run").id
    };
    let here = unique("it's [here]");
    let ours = |pid, boot| [(HOST_TAG, here.as_str()), (PID_TAG, pid), (BOOT_ID_TAG, boot)];
    let dead = started("dead", &ours("11", "now"));
    let rebooted = started("rebooted", &ours("22", "before"));
    let ended = started("ended", &ours("11", "now"));
    let alive = started("alive", &ours("22", "now"));
    let elsewhere = started("elsewhere", &[(HOST_TAG, "there"), (PID_TAG, "11"), (BOOT_ID_TAG, "now")]);
    let foreign = started("foreign", &[]);
    let garbled = started("garbled", &ours("11x", "now"));
    store.log_batch(&dead, &[Metric::new("m", 1.0, 5000, 0)], &[], &[]).expect("logged");
    let dead_info = store.run(&dead).expect("found").info;
    let model = store.create_logged_model(new_model(&dead_info)).expect("created");
    store.end_run(&ended, RunStatus::Finished, 1001).expect("ended");

    let mut closed = store.close_stale_runs(&here, "now", &|pid| pid == 22).expect("closed");
    closed.sort();
    let mut expected = vec![dead.clone(), rebooted.clone()];
    expected.sort();
    assert_eq!(closed, expected);
    let mut end = |id: &str| {
        let info = store.run(id).expect("found").info;
        (info.status, info.end_time_ms)
    };
    assert_eq!(end(&dead), (RunStatus::Killed, Some(5000)));
    assert_eq!(end(&rebooted), (RunStatus::Killed, Some(1000)));
    assert_eq!(end(&ended), (RunStatus::Finished, Some(1001)));
    for id in [&alive, &elsewhere, &foreign, &garbled] {
        assert_eq!(end(id), (RunStatus::Running, None));
    }
    assert_eq!(store.logged_model(&model.id).expect("found").status, ModelStatus::UploadFailed);
    assert_eq!(store.close_stale_runs(&here, "now", &|pid| pid == 22).expect("again"), [""; 0]);
}
