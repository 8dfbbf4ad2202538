//! What cannot be sent is kept, and arrives once.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use phantomnet_track::{
    Error, Metric, ModelRef, ModelStatus, NewModelVersion, OutboxStore, Param, Run, RunQuery, RunStatus, ServerOptions,
    Store, Tag, open, push_outbox,
};

use crate::http_server::{answer, json, serve};
use crate::rest::through_a_bad_proxy::{forwarded, random};
use crate::rest::{options, server, server_uri};
use crate::store_contract::{new_model, new_run, training_data, unique};

const FOLDER: &str = "PHANTOMNET_TRACK_TEST_FOLDER";
const EXPERIMENT: &str = "PHANTOMNET_TRACK_TEST_EXPERIMENT";

/// Nothing listens on the port of discarding.
const NOWHERE: &str = "http://127.0.0.1:9";

fn hasty(uri: &str) -> ServerOptions {
    let options = options(uri);
    ServerOptions { max_retries: 2, backoff_factor: 0.0, backoff_jitter: 0.01, ..options }
}

fn entries(outbox: &Path) -> usize {
    std::fs::read_dir(outbox).map_or(0, Iterator::count)
}

/// A run with everything that a run can have.
fn log_a_run(store: &mut dyn Store, experiment: &str, name: &str, files: &Path) {
    let experiment = store.experiment(experiment).expect("experiment");
    let run = store.create_run(&experiment.id, new_run(name, 1000)).expect("run");
    let params = [Param::new("seed", "7"), Param::new("depth", "3")];
    store.log_batch(&run.id, &[], &params, &[Tag::new("gate", "open")]).expect("logged");
    store.log_inputs(&run.id, &[training_data()]).expect("logged");
    for step in 0..5 {
        let metrics = [Metric::new("loss", 1.0 / (step + 1) as f64, 2000 + step, step)];
        store.log_batch(&run.id, &metrics, &[], &[]).expect("logged");
    }
    store.log_artifact_bytes(&run.id, "plots/roc.svg", b"<svg/>").expect("written");
    let model = store.create_logged_model(new_model(&run)).expect("created");
    store.log_model_artifacts(&model.id, files).expect("copied");
    let judged =
        ModelRef { model_id: model.id.clone(), dataset_name: Some("train".into()), dataset_digest: Some("abc".into()) };
    let metrics = [
        Metric::new("accuracy", 0.9, 3000, 0).of_model(judged.clone()),
        Metric::new("roc_auc", f64::NAN, 3000, 0).of_model(judged),
    ];
    store.log_batch(&run.id, &metrics, &[], &[Tag::new("gate", "passed")]).expect("logged");
    store.finalize_logged_model(&model.id, ModelStatus::Ready).expect("ready");
    let version = NewModelVersion {
        name: name.to_owned(),
        model_id: model.id,
        description: "nightly".into(),
        tags: vec![Tag::new("gate", "passed")],
    };
    let version = store.create_model_version(version).expect("registered");
    store.set_alias(name, "challenger", version.version).expect("set");
    store.end_run(&run.id, RunStatus::Finished, 4000).expect("ended");
}

/// The one run of this name, whole.
fn check_arrived(store: &mut dyn Store, name: &str) {
    let run = store.run(name).expect("exactly one run of this name");
    let info = &run.info;
    assert_eq!((info.status, info.start_time_ms, info.end_time_ms), (RunStatus::Finished, 1000, Some(4000)), "{name}");
    let params: BTreeMap<&str, &str> = run.params.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(params, BTreeMap::from([("depth", "3"), ("seed", "7")]));
    assert_eq!((run.tags["gate"].as_str(), run.tags["mlflow.runName"].as_str()), ("passed", name));
    assert_eq!((run.inputs.len(), run.inputs[0].context.as_deref()), (1, Some("training")));
    let history = store.metric_history(&info.id, "loss").expect("history");
    let points: Vec<_> = history.iter().map(|point| (point.step, point.timestamp_ms, point.value)).collect();
    let expected: Vec<_> = (0..5).map(|step| (step, 2000 + step, 1.0 / (step + 1) as f64)).collect();
    assert_eq!(points, expected);
    assert_eq!(run.metrics["accuracy"].value, 0.9);
    assert_eq!(store.metric_history(&info.id, "roc_auc").expect("history").len(), 1);
    assert_eq!(store.read_artifact(&info.id, "plots/roc.svg", 99).expect("artifact"), b"<svg/>");
    let [model_id] = run.models.keys().collect::<Vec<_>>()[..] else { panic!("one model, not {:?}", run.models) };
    let model = store.logged_model(model_id).expect("model");
    assert_eq!((model.status, model.params["seed"].as_str()), (ModelStatus::Ready, "7"));
    let versions = store.model_versions(name).expect("registered");
    let [version] = versions.as_slice() else { panic!("one version, not {versions:?}") };
    assert_eq!((version.model_id(), version.description.as_str()), (Some(model_id.as_str()), "nightly"));
    assert_eq!((version.tags["gate"].as_str(), version.aliases.join(" ")), ("passed", "challenger".to_owned()));
}

fn push(outbox: &Path, uri: Option<&str>) -> Vec<phantomnet_track::PushedEntry> {
    push_outbox(outbox, uri, &|uri| Ok(hasty(uri))).expect("the outbox can be read")
}

#[test]
fn a_run_goes_on_without_its_server() {
    let folder = tempfile::tempdir().expect("folder");
    let outbox = folder.path().join("outbox");
    let files = folder.path().join("model");
    std::fs::create_dir(&files).expect("folder");
    std::fs::write(files.join("MLmodel"), "x").expect("file");
    assert!(push(&outbox, None).is_empty());

    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let on_away = move |error: &Error, folder: &Path| {
        telling.lock().expect("no panic").push((error.to_string(), folder.to_owned()));
    };
    let mut store = OutboxStore::new(NOWHERE, hasty(NOWHERE), &outbox, Box::new(on_away)).expect("opened");
    log_a_run(&mut store, "exp", "kept", &files);
    let [(why, entry)] = told.lock().expect("no panic").clone().try_into().expect("told once");
    assert!(why.contains("cannot be reached"), "{why}");

    // Nobody else sends what is in use.
    assert!(push(&outbox, None).is_empty());
    drop(store);
    let mut kept = open(&format!("sqlite:///{}/mlflow.db", entry.display())).expect("opens");
    check_arrived(kept.as_mut(), "kept");

    assert!(push(&outbox, Some("http://127.0.0.1:10")).is_empty());
    let [pushed] = push(&outbox, Some("http://127.0.0.1:9/")).try_into().expect("one entry");
    assert!(matches!(pushed.runs, Err(Error::Unreachable { .. })) && pushed.folder == entry);
    assert_eq!((entries(&outbox), pushed.uri.as_str()), (1, NOWHERE));
}

#[test]
fn nothing_is_kept_of_a_run_that_never_began() {
    let folder = tempfile::tempdir().expect("folder");
    let (uri, _) = serve(|_, _| Some(answer("401 X", &[], "")));
    let mut store = OutboxStore::new(&uri, hasty(&uri), folder.path(), Box::new(|_, _| {})).expect("opened");
    assert_eq!(entries(folder.path()), 1);
    assert!(matches!(store.experiment("exp"), Err(Error::Unauthenticated { .. })));
    drop(store);
    assert_eq!(entries(folder.path()), 0);
}

/// Ending is safe to repeat, and a run may follow another: an entry stays until the store that writes to it is gone.
#[test]
fn an_entry_outlives_its_runs() {
    let folder = tempfile::tempdir().expect("folder");
    let (uri, _) = serve(|n, request| {
        let id = request.line.split_once("run_id=").map_or_else(|| format!("{n:032x}"), |(_, id)| id.to_owned());
        Some(match request.line.as_str() {
            line if line.contains("get-by-name") => {
                json("200 OK", r#"{"experiment": {"experiment_id": "7", "name": "exp"}}"#)
            }
            line if line.contains("runs/create") || line.contains("runs/get") => {
                json("200 OK", &format!(r#"{{"run": {{"info": {{"run_id": "{id}", "status": "RUNNING"}}}}}}"#))
            }
            _ => json("200 OK", "{}"),
        })
    });
    let mut store = OutboxStore::new(&uri, hasty(&uri), folder.path(), Box::new(|_, _| {})).expect("opened");
    let experiment = store.experiment("exp").expect("experiment");
    for name in ["first", "second"] {
        let run = store.create_run(&experiment.id, new_run(name, 1000)).expect("run");
        for _ in 0..2 {
            store.end_run(&run.id, RunStatus::Finished, 2000).expect("ended");
        }
        assert_eq!(entries(folder.path()), 1);
    }
    drop(store);
    assert_eq!(entries(folder.path()), 0);
}

#[test]
fn a_server_that_forgets_the_run_does_not_end_it() {
    let folder = tempfile::tempdir().expect("folder");
    let (outbox, files) = (folder.path().join("outbox"), folder.path().join("model"));
    std::fs::create_dir(&files).expect("folder");
    let (uri, _) = serve(|n, _| {
        let run = r#"{"run": {"info": {"run_id": "0123456789abcdef0123456789abcdef", "status": "RUNNING"}}}"#;
        Some(match n {
            0 => json("200 OK", r#"{"experiment": {"experiment_id": "7", "name": "exp"}}"#),
            1 => json("200 OK", run),
            2 => json("200 OK", "{}"),
            _ => json("404 NOT FOUND", r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}"#),
        })
    });
    let mut store = OutboxStore::new(&uri, hasty(&uri), &outbox, Box::new(|_, _| {})).expect("opened");
    log_a_run(&mut store, "exp", "kept", &files);
    drop(store);
    assert_eq!(entries(&outbox), 1);
}

/// The server goes away at each possible moment of a run, and again at some moment of every attempt to send it.
#[test]
#[ignore = "needs a tracking server: see scripts/test"]
fn a_hundred_runs_arrive_once() {
    let folder = tempfile::tempdir().expect("folder");
    let outbox = folder.path().join("outbox");
    let files = folder.path().join("model");
    std::fs::create_dir(&files).expect("folder");
    std::fs::write(files.join("MLmodel"), "x").expect("file");
    let (_, mut direct) = server();
    let experiment = unique("outbox");

    // Requests that still pass; the last one is lost on the way back.
    let left = Arc::new(AtomicI64::new(0));
    let upstream = server_uri().strip_prefix("http://").expect("http").to_owned();
    let passing = Arc::clone(&left);
    let (uri, _) = serve(move |_, request| match passing.fetch_sub(1, Ordering::Relaxed) {
        ..=0 => None,
        1 => {
            forwarded(&upstream, request);
            None
        }
        _ => forwarded(&upstream, request),
    });
    let mut n_kept = 0;
    for i in 0..100 {
        left.store(i64::from(i) / 4, Ordering::Relaxed);
        let name = format!("{experiment}, run {i}");
        let mut store = OutboxStore::new(&uri, hasty(&uri), &outbox, Box::new(|_, _| {})).expect("opened");
        log_a_run(&mut store, &experiment, &name, &files);
        drop(store);
        n_kept += usize::from(entries(&outbox) == 1);
        for attempt in 0.. {
            left.store((random(i as u64 * 100 + attempt) % 40) as i64 * (1 + attempt as i64), Ordering::Relaxed);
            push(&outbox, None);
            if entries(&outbox) == 0 {
                break;
            }
            assert!(attempt < 50, "{name} is never sent");
        }
        left.store(0, Ordering::Relaxed);
        check_arrived(direct.as_mut(), &name);
    }
    assert!(n_kept > 80, "only {n_kept} runs missed the server at all");
    assert_eq!(all_of(direct.as_mut(), &experiment).len(), 100);
}

fn all_of(store: &mut dyn Store, experiment: &str) -> Vec<Run> {
    let experiment = store.experiment(experiment).expect("experiment");
    store
        .runs(&RunQuery {
            experiment_ids: vec![experiment.id],
            status: None,
            max_results: 10_000,
            ..RunQuery::default()
        })
        .expect("listed")
}

/// Not a test of its own: the process that gets killed. Logs runs for ever and prints the name of each that has ended.
#[test]
#[ignore = "started by the other tests of this file"]
fn writer() {
    let (Ok(folder), Ok(experiment)) = (std::env::var(FOLDER), std::env::var(EXPERIMENT)) else { return };
    static N: AtomicUsize = AtomicUsize::new(0);
    let (folder, uri) = (Path::new(&folder), server_uri());
    loop {
        let name = format!("{experiment} {} {}", std::process::id(), N.fetch_add(1, Ordering::Relaxed));
        let outbox = folder.join("outbox");
        let mut store = OutboxStore::new(&uri, hasty(&uri), &outbox, Box::new(|_, _| {})).expect("opened");
        log_a_run(&mut store, &experiment, &name, &folder.join("model"));
        println!("\nended {name}");
    }
}

/// Not a test of its own: the process that sends, and gets killed.
#[test]
#[ignore = "started by the other tests of this file"]
fn pusher() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    push(&Path::new(&folder).join("outbox"), None);
}

fn start(test: &str, folder: &Path, experiment: &str) -> std::process::Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(EXPERIMENT, experiment)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started")
}

#[test]
#[ignore = "needs a tracking server: see scripts/test"]
fn kills_lose_and_double_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::create_dir(folder.path().join("model")).expect("folder");
    std::fs::write(folder.path().join("model/MLmodel"), "x").expect("file");
    let outbox = folder.path().join("outbox");
    let (_, mut direct) = server();
    let experiment = unique("killed");
    let mut ended = Vec::new();
    for round in 0..20_u64 {
        let mut writer = start("outbox::writer", folder.path(), &experiment);
        let output = BufReader::new(writer.stdout.take().expect("piped"));
        std::thread::sleep(Duration::from_millis(50 + random(round) % 1200));
        writer.kill().expect("killed");
        writer.wait().expect("gone");
        ended.extend(output.lines().map_while(Result::ok).filter_map(|l| l.strip_prefix("ended ").map(str::to_owned)));
        let mut pusher = start("outbox::pusher", folder.path(), &experiment);
        std::thread::sleep(Duration::from_millis(random(round + 1000) % 900));
        pusher.kill().expect("killed");
        pusher.wait().expect("gone");
    }
    for pushed in push(&outbox, None) {
        pushed.runs.expect("sent");
    }
    let runs = all_of(direct.as_mut(), &experiment);
    let mut names: Vec<&str> = runs.iter().map(|run| run.info.name.as_str()).collect();
    names.sort_unstable();
    let n_runs = names.len();
    names.dedup();
    assert_eq!(names.len(), n_runs, "some run is there twice");
    for run in &runs {
        assert!(run.info.status.is_final(), "{} is {}", run.info.name, run.info.status);
    }
    assert!(!ended.is_empty() && runs.iter().any(|run| run.info.status == RunStatus::Killed), "nothing was tested");
    for name in &ended {
        check_arrived(direct.as_mut(), name);
    }
}
