//! A kill at any moment leaves a sound file with every run that had ended.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use phantomnet_track::{Metric, Param, RunQuery, RunStatus, open};
use rusqlite::Connection;

use crate::sqlite::uri;
use crate::store_contract::new_run;

const FOLDER: &str = "PHANTOMNET_TRACK_TEST_FOLDER";

/// Not a test of its own: the process that gets killed. Writes runs for ever and prints the id of each that has ended.
#[test]
#[ignore = "started by the other tests of this file"]
fn writer() {
    let folder = std::env::var_os(FOLDER).expect("started by another test");
    let mut store = open(&uri(folder.as_ref())).expect("opens");
    let experiment = store.experiment("exp").expect("created or selected");
    loop {
        let run = store.create_run(&experiment.id, new_run("r", 1)).expect("run");
        for step in 0..5 {
            let metric = Metric::new("m", step as f64, 1, step);
            store.log_batch(&run.id, &[metric], &[Param::new(format!("p{step}"), "x")], &[]).expect("logged");
        }
        store.log_artifact_bytes(&run.id, "a.txt", &[b'x'; 10_000]).expect("written");
        store.end_run(&run.id, RunStatus::Finished, 2).expect("ended");
        println!("\nended {}", run.id);
    }
}

fn start_writer(folder: &std::path::Path) -> std::process::Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "kill::writer", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started")
}

#[test]
fn ended_runs_survive_kills() {
    let folder = tempfile::tempdir().expect("folder");
    let mut ended = Vec::new();
    for round in 0..20_u64 {
        let mut children = [start_writer(folder.path()), start_writer(folder.path())];
        let outputs = children.each_mut().map(|child| BufReader::new(child.stdout.take().expect("piped")));
        // The first rounds fall into the creation of the file, later ones anywhere.
        thread::sleep(Duration::from_micros(round * 7919));
        for child in &mut children {
            child.kill().expect("killed");
            child.wait().expect("gone");
        }
        for output in outputs {
            let lines = output.lines().map_while(Result::ok);
            ended.extend(
                lines.filter_map(|line| Some(line.strip_prefix("ended ")?.to_owned()).filter(|id| id.len() == 32)),
            );
        }

        let mut store = open(&uri(folder.path())).expect("opens");
        let query = RunQuery {
            experiment_ids: vec![],
            status: Some(RunStatus::Finished),
            max_results: 50_000,
            ..RunQuery::default()
        };
        let runs = store.runs(&query).expect("listed");
        for run in &runs {
            assert_eq!((run.metrics["m"].step, run.params.len()), (4, 5));
        }
        let found: std::collections::BTreeSet<_> = runs.iter().map(|run| &run.info.id).collect();
        for id in &ended {
            assert!(found.contains(id), "run {id} was lost");
            assert_eq!(store.read_artifact(id, "a.txt", 10_000).expect("artifact").len(), 10_000);
        }
        drop(store);
        let database = Connection::open(folder.path().join("mlflow.db")).expect("opens");
        let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
        assert_eq!(check, "ok");
        let violations: i64 =
            database.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).expect("checked");
        assert_eq!(violations, 0);
    }
    assert!(!ended.is_empty(), "no run ever ended, so nothing was tested");
}
