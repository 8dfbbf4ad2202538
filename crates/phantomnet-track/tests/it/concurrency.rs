//! Several writers on one file.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use phantomnet_track::history::{self, Action, record};
use phantomnet_track::{Error, Metric, Param, RunQuery, RunStatus, open};
use rusqlite::{Connection, TransactionBehavior};

use crate::registry_contract::{decision, model, version_of};
use crate::sqlite::uri;
use crate::store_contract::new_run;

/// Opens a store of its own in each of `n` threads at the same moment.
fn all_at_once(n: usize, uri: &str, work: impl Fn(usize, Box<dyn phantomnet_track::Store>) + Sync) {
    let barrier = Barrier::new(n);
    thread::scope(|scope| {
        for i in 0..n {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(i, open(uri).expect("opens"));
            });
        }
    });
}

#[test]
fn creating_one_file_at_once() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().expect("folder");
        let uri = uri(folder.path());
        all_at_once(6, &uri, |i, mut store| {
            let experiment = store.experiment("exp").expect("created or selected");
            store.create_run(&experiment.id, new_run(&format!("r{i}"), 1)).expect("run");
        });
        let mut store = open(&uri).expect("opens");
        assert_eq!(store.experiments().expect("list").len(), 2);
        let query = RunQuery { experiment_ids: vec![], status: None, max_results: 99, ..RunQuery::default() };
        assert_eq!(store.runs(&query).expect("listed").len(), 6);
    }
}

#[test]
fn two_writers_lose_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let uri = uri(folder.path());
    all_at_once(2, &uri, |i, mut store| {
        let experiment = store.experiment("exp").expect("created or selected");
        let run = store.create_run(&experiment.id, new_run(&format!("r{i}"), 1)).expect("run");
        for step in 0..200 {
            let param = Param::new(format!("p{step}"), i.to_string());
            store.log_batch(&run.id, &[Metric::new("loss", step as f64, step, step)], &[param], &[]).expect("logged");
        }
        store.end_run(&run.id, RunStatus::Finished, 2).expect("ended");
    });
    let mut store = open(&uri).expect("opens");
    for i in 0..2 {
        let run = store.run(&format!("r{i}")).expect("found");
        assert_eq!(run.params.len(), 200);
        assert!(run.params.values().all(|value| *value == i.to_string()));
        assert_eq!(run.metrics["loss"].value, 199.0);
        assert_eq!(store.metric_history(&run.info.id, "loss").expect("history").len(), 200);
    }
}

#[test]
fn a_writer_waits_for_another_program() {
    let folder = tempfile::tempdir().expect("folder");
    let uri = uri(folder.path());
    let mut store = open(&uri).expect("opens");
    let mut other = Connection::open(folder.path().join("mlflow.db")).expect("opens");
    let (locked, wait_until_locked) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let held = other.transaction_with_behavior(TransactionBehavior::Immediate).expect("held");
            locked.send(()).expect("told");
            thread::sleep(Duration::from_millis(300));
            held.commit().expect("released");
        });
        wait_until_locked.recv().expect("locked");
        store.experiment("exp").expect("waited");
    });
}

#[test]
fn nothing_stays_open_between_calls() {
    let folder = tempfile::tempdir().expect("folder");
    let mut store = open(&uri(folder.path())).expect("opens");
    let experiment = store.experiment("exp").expect("created");
    let run = store.create_run(&experiment.id, new_run("r", 1)).expect("run");
    store.log_batch(&run.id, &[Metric::new("m", 1.0, 1, 0)], &[Param::new("p", "1")], &[]).expect("logged");
    store.run("r").expect("found");
    store.run("none").expect_err("not found");
    store.log_batch(&run.id, &[], &[Param::new("p", "2")], &[]).expect_err("changed");
    assert!(!has_reader(folder.path()), "a transaction or statement was left open");

    let mut reader = Connection::open(folder.path().join("mlflow.db")).expect("opens");
    let reading = reader.transaction().expect("begun");
    let _: i64 = reading.query_row("SELECT count(*) FROM runs", [], |row| row.get(0)).expect("counted");
    store.experiment("more").expect("created");
    assert!(has_reader(folder.path()), "the check itself would notice");
}

/// Whether any connection is inside a transaction: the log cannot be emptied under it.
fn has_reader(folder: &std::path::Path) -> bool {
    let other = Connection::open(folder.join("mlflow.db")).expect("opens");
    other.busy_timeout(Duration::ZERO).expect("no waiting");
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).expect("asked")
}

/// A store has no call that would keep two programs from writing the same entry.
#[test]
fn decisions_made_at_once_form_one_chain() {
    let folder = tempfile::tempdir().expect("folder");
    let uri = uri(folder.path());
    let mut store = open(&uri).expect("opens");
    let model = model(store.as_mut());
    store.create_model_version(version_of("ssh", &model)).expect("registered");
    all_at_once(4, &uri, |_, mut store| {
        for _ in 0..5 {
            record(store.as_mut(), "ssh", decision(Action::Reject, 1, None), 1000).expect("recorded");
        }
    });
    let history = history::history(store.as_mut(), "ssh").expect("read");
    assert_eq!((history.entries.len(), history.problems), (20, vec![]));

    // Of promotions of other versions at once one wins; the others are told that the champion is another now.
    store.create_model_version(version_of("ftp", &model)).expect("registered");
    let n_promoted = AtomicUsize::new(0);
    all_at_once(4, &uri, |_, mut store| {
        match record(store.as_mut(), "ftp", decision(Action::Promote, 1, None), 1000) {
            Ok(_) => drop(n_promoted.fetch_add(1, Ordering::Relaxed)),
            Err(error) => assert!(matches!(error, Error::ChampionChanged { .. }), "{error}"),
        }
    });
    assert_eq!(n_promoted.into_inner(), 1);
    assert_eq!(history::verify(store.as_mut(), "ftp", &[]).expect("read").problems, Vec::<String>::new());
}
