//! Runs and models copied between stores; part of the contract in `store_contract`.

use std::path::Path;

use phantomnet_track::{
    COPIED_RUN_TAG, CopyOptions, Error, Metric, ModelRef, ModelStatus, NewModelVersion, NewRun, PARENT_RUN_TAG, Param,
    REQUEST_TAG, Run, RunInfo, RunQuery, RunStatus, Store, Tag, copy_run, copy_version, open,
};

use crate::store_contract::{new_model, new_run, start, training_data, unique};

pub(crate) fn creating_once_creates_once(store: &mut dyn Store) {
    let run = start(store);
    let (experiment, key) = (run.experiment_id.clone(), unique("key"));
    let first = store.create_run_once(&experiment, new_run("once", 1000), &key).expect("created");
    let again = store.create_run_once(&experiment, new_run("twice", 2000), &key).expect("found");
    assert_eq!((&again.id, again.name.as_str(), again.start_time_ms), (&first.id, "once", 1000));
    assert_ne!(store.create_run_once(&experiment, new_run("other", 1), &unique("key")).expect("created").id, first.id);
    assert_eq!(store.run(&first.id).expect("found").tags[REQUEST_TAG], key);

    let model = store.create_logged_model_once(new_model(&run), &key).expect("created");
    assert_eq!(store.create_logged_model_once(new_model(&run), &key).expect("found").id, model.id);
    let version =
        NewModelVersion { name: unique("once"), model_id: model.id, description: String::new(), tags: vec![] };
    let first = store.create_model_version_once(version.clone(), &key).expect("registered");
    assert_eq!(store.create_model_version_once(version.clone(), &key).expect("found").version, first.version);
    assert_eq!(store.model_versions(&version.name).expect("listed").len(), 1);
    for key in ["", "a'b", "a%b"] {
        let refused = store.create_run_once(&experiment, new_run("x", 1), key);
        assert!(matches!(refused, Err(Error::Invalid { what: "key", .. })), "{key}");
    }
}

pub(crate) fn runs_are_copied_here_and_back(store: &mut dyn Store) {
    let folder = tempfile::tempdir().expect("folder");
    let embedded = |name: &str| {
        std::fs::create_dir(folder.path().join(name)).expect("folder");
        open(&format!("sqlite:///{}/{name}/mlflow.db", folder.path().display())).expect("opens")
    };
    let (mut origin, mut back) = (embedded("origin"), embedded("back"));
    let name = unique("search");
    let parent = log_a_search(origin.as_mut(), &name, folder.path());
    let options = |scratch: &'static str| {
        // Not removed in between: what a copy that was interrupted left there does no harm.
        CopyOptions { experiment: None, scratch: Box::leak(folder.path().join(scratch).into_boxed_path()) }
    };
    let copied = copy_run(origin.as_mut(), &parent.id, store, options("there")).expect("copied");
    assert_eq!(copied.len(), 3);
    let again = copy_run(origin.as_mut(), &parent.id, store, options("there")).expect("copied again");
    assert_eq!(again, copied);
    check_search(store, &name, &copied[0].id);
    let run = store.run(&copied[0].id).expect("found");
    assert_eq!(run.tags[COPIED_RUN_TAG], parent.id);
    assert!(!run.tags.contains_key("phantomnet.pid"), "the copy runs nowhere");

    let version = NewModelVersion {
        name: unique("copied"),
        model_id: run.models.keys().next().expect("a model").clone(),
        description: "by hand".into(),
        tags: vec![Tag::new("team", "blue")],
    };
    let version = store.create_model_version(version).expect("registered");
    for _ in 0..2 {
        let copy = copy_version(store, &version, back.as_mut(), options("back")).expect("copied back");
        assert_eq!((copy.name.as_str(), copy.version, copy.description.as_str()), (&*version.name, 1, "by hand"));
        assert_eq!((copy.tags["team"].as_str(), copy.run_id.as_deref() == Some(&*run.info.id)), ("blue", false));
    }
    let experiment = back.experiment(&name).expect("experiment");
    let all = RunQuery { experiment_ids: vec![experiment.id], max_results: 99, ..RunQuery::default() };
    let runs = back.runs(&all).expect("listed");
    assert_eq!(runs.len(), 3);
    let parent = runs.iter().find(|run| run.info.name == name).expect("the parent");
    check_search(back.as_mut(), &name, &parent.info.id);

    let open = start(store);
    let refused = copy_run(store, &open.id, back.as_mut(), options("open"));
    assert!(matches!(refused, Err(Error::Invalid { what: "run to copy", .. })), "{refused:?}");
}

/// A run with two below it, one of them failed, and everything that runs can have.
fn log_a_search(store: &mut dyn Store, name: &str, folder: &Path) -> RunInfo {
    let experiment = store.experiment(name).expect("experiment");
    let tags = vec![Tag::new("gate", "passed"), Tag::new("phantomnet.pid", "7")];
    let parent = store.create_run(&experiment.id, NewRun { tags, ..new_run(name, 1000) }).expect("run");
    let files = folder.join("files");
    std::fs::create_dir(&files).expect("folder");
    std::fs::write(files.join("MLmodel"), "flavors: {}").expect("file");
    store.log_batch(&parent.id, &[], &[Param::new("seed", "7")], &[]).expect("logged");
    store.log_inputs(&parent.id, &[training_data()]).expect("logged");
    for step in 0..3 {
        store
            .log_batch(&parent.id, &[Metric::new("loss", 1.0 / step as f64, 2000 + step, step)], &[], &[])
            .expect("logged");
    }
    store.log_artifact_bytes(&parent.id, "plots/roc curve.svg", b"<svg/>").expect("written");
    let model = store.create_logged_model(new_model(&parent)).expect("model");
    store.log_model_artifacts(&model.id, &files).expect("copied");
    let judged =
        ModelRef { model_id: model.id.clone(), dataset_name: Some("train".into()), dataset_digest: Some("abc".into()) };
    store.log_batch(&parent.id, &[Metric::new("f1", 0.9, 3000, 0).of_model(judged)], &[], &[]).expect("logged");
    store.finalize_logged_model(&model.id, ModelStatus::Ready).expect("ready");
    for (i, status) in [(1, RunStatus::Finished), (2, RunStatus::Failed)] {
        let tags = vec![Tag::new(PARENT_RUN_TAG, &parent.id)];
        let child = NewRun { tags, ..new_run(&format!("{name} {i}"), 1000 + i) };
        let child = store.create_run(&experiment.id, child).expect("run");
        store.log_batch(&child.id, &[Metric::new("f1", 0.1 * i as f64, 2000, 0)], &[], &[]).expect("logged");
        store.end_run(&child.id, status, 3000 + i).expect("ended");
    }
    store.end_run(&parent.id, RunStatus::Finished, 4000).expect("ended");
    parent
}

fn check_search(store: &mut dyn Store, name: &str, id: &str) {
    let run: Run = store.run(id).expect("found");
    let info = &run.info;
    assert_eq!((info.name.as_str(), info.user.as_str(), info.status), (name, "ana", RunStatus::Finished));
    assert_eq!((info.start_time_ms, info.end_time_ms), (1000, Some(4000)));
    assert_eq!((run.params["seed"].as_str(), run.tags["gate"].as_str()), ("7", "passed"));
    assert_eq!((run.inputs[0].digest.as_str(), run.inputs[0].context.as_deref()), ("abc", Some("training")));
    let history = store.metric_history(id, "loss").expect("history");
    let points: Vec<_> = history.iter().map(|point| (point.step, point.timestamp_ms, point.value)).collect();
    assert_eq!(points, [(0, 2000, f64::MAX), (1, 2001, 1.0), (2, 2002, 0.5)]);
    assert_eq!(store.read_artifact(id, "plots/roc curve.svg", 99).expect("artifact"), b"<svg/>");
    let [model_id] = run.models.keys().collect::<Vec<_>>()[..] else { panic!("one model, not {:?}", run.models) };
    let model = store.logged_model(model_id).expect("model");
    assert_eq!((model.status, model.name.as_str(), model.params["seed"].as_str()), (ModelStatus::Ready, "forest", "7"));
    let judged =
        ModelRef { model_id: model_id.clone(), dataset_name: Some("train".into()), dataset_digest: Some("abc".into()) };
    assert_eq!(model.metrics, [Metric::new("f1", 0.9, 3000, 0).of_model(judged)]);
    let target = tempfile::tempdir().expect("folder");
    store.download_folder(&model.artifact_location, target.path(), 99).expect("downloaded");
    assert_eq!(std::fs::read(target.path().join("MLmodel")).expect("file"), b"flavors: {}");

    for (i, status) in [(1, RunStatus::Finished), (2, RunStatus::Failed)] {
        let child = store.run(&format!("{name} {i}")).expect("found");
        assert_eq!((child.tags[PARENT_RUN_TAG].as_str(), child.info.status), (id, status));
        assert_eq!(
            (child.metrics["f1"].value, child.info.end_time_ms),
            (0.1 * f64::from(i), Some(3000 + i64::from(i)))
        );
    }
}
