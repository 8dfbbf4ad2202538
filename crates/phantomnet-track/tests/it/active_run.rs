//! Every way out of a program closes its run.

use phantomnet_track::{ActiveRun, ERROR_TAG, ModelStatus, Run, RunStatus, open};
use rstest::rstest;

use crate::sqlite::uri;
use crate::store_contract::{new_model, new_run};

fn at_9000() -> i64 {
    9000
}

/// The run, and the status of a model it left pending, after `end`.
fn after(end: impl FnOnce(ActiveRun)) -> (Run, ModelStatus) {
    let folder = tempfile::tempdir().expect("folder");
    let mut store = open(&uri(folder.path())).expect("opens");
    let experiment = store.experiment("exp").expect("created");
    let mut run = ActiveRun::start(store, &experiment.id, new_run("r", 1000), at_9000).expect("started");
    let info = run.info().clone();
    let model = run.store().create_logged_model(new_model(&info)).expect("created");
    end(run);
    let mut store = open(&uri(folder.path())).expect("opens");
    (store.run(&info.id).expect("found"), store.logged_model(&model.id).expect("found").status)
}

#[rstest]
#[case(|run: ActiveRun| run.finish().expect("ended"), RunStatus::Finished)]
#[case(|run: ActiveRun| run.kill().expect("ended"), RunStatus::Killed)]
#[case(drop, RunStatus::Failed)]
fn a_run_ends_once(#[case] end: fn(ActiveRun), #[case] status: RunStatus) {
    let (run, model_status) = after(end);
    assert_eq!((run.info.status, run.info.end_time_ms), (status, Some(9000)));
    assert_eq!(run.tags.get(ERROR_TAG), None);
    assert_eq!(model_status, ModelStatus::UploadFailed);
}

#[test]
fn a_failure_is_recorded() {
    let (run, _) = after(|run| run.fail(&format!("fold 3 has no row\n{}", "x".repeat(9000))).expect("ended"));
    assert_eq!((run.info.status, run.info.end_time_ms), (RunStatus::Failed, Some(9000)));
    assert!(run.tags[ERROR_TAG].starts_with("fold 3 has no row\nxxx"));
    assert!(run.tags[ERROR_TAG].ends_with("… [cut, 9018 characters in all]"));
}

#[test]
fn a_panic_fails_the_run() {
    let (run, _) = after(|run| {
        let thread = std::thread::spawn(move || {
            let _run = run;
            panic!("a bug");
        });
        thread.join().expect_err("panicked");
    });
    assert_eq!(run.info.status, RunStatus::Failed);
}
