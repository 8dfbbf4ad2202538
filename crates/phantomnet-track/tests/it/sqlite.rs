//! What is particular to the embedded store: its file, and what it does with files that others made.

use std::fs;
use std::path::Path;

use phantomnet_track::{Error, Metric, ModelRef, RunQuery, Store, open, open_existing};
use rstest::rstest;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::store_contract::{new_model, new_run, start, store_contract};

pub(crate) fn uri(folder: &Path) -> String {
    format!("sqlite:///{}/mlflow.db", folder.display())
}

pub(crate) fn fresh() -> (TempDir, Box<dyn Store>) {
    let folder = tempfile::tempdir().expect("folder");
    let store = open(&uri(folder.path())).expect("opens");
    (folder, store)
}

store_contract!(fresh);

/// The contract on a file that a later MLflow has migrated: the real thing, by which the environment says where it is.
mod migrated {
    use super::*;

    fn copy_of_migrated() -> (TempDir, Box<dyn Store>) {
        let variable = "PHANTOMNET_TRACK_TEST_DATABASE";
        let database = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set; see scripts/test"));
        let folder = tempfile::tempdir().expect("folder");
        std::fs::copy(database, folder.path().join("mlflow.db")).expect("copied");
        let store = open(&uri(folder.path())).expect("opens");
        (folder, store)
    }

    store_contract!(
        #[ignore = "needs a database that MLflow has migrated: see scripts/test"]
        copy_of_migrated
    );
}

fn database(folder: &TempDir) -> Connection {
    Connection::open(folder.path().join("mlflow.db")).expect("opens")
}

fn one<T: rusqlite::types::FromSql>(folder: &TempDir, sql: &str) -> T {
    database(folder).query_row(sql, [], |row| row.get(0)).expect("one row")
}

fn refusal(folder: &TempDir) -> Error {
    open(&uri(folder.path())).err().expect("refused")
}

#[test]
fn a_new_file_has_the_base_revision() {
    let (folder, store) = fresh();
    drop(store);
    assert_eq!(one::<String>(&folder, "SELECT version_num FROM alembic_version"), "bf29a5ff90ea");
    // 34 tables, `alembic_version` among them, and 34 indexes that have a definition.
    assert_eq!(one::<i64>(&folder, "SELECT count(*) FROM sqlite_master WHERE type = 'table'"), 34);
    assert_eq!(one::<i64>(&folder, "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"), 34);
    assert_eq!(one::<String>(&folder, "SELECT name FROM experiments WHERE experiment_id = 0"), "Default");
    assert_eq!(one::<String>(&folder, "PRAGMA journal_mode"), "wal");
    assert_eq!(one::<String>(&folder, "PRAGMA integrity_check"), "ok");
}

#[test]
fn an_empty_file_is_filled_and_a_second_open_keeps_it() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("mlflow.db"), b"").expect("empty file");
    let id = start(open(&uri(folder.path())).expect("filled").as_mut()).id;
    assert_eq!(open_existing(&uri(folder.path())).expect("opens").run(&id).expect("found").info.id, id);
}

#[test]
fn looking_creates_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let error = open_existing(&uri(folder.path())).err().expect("nothing there");
    assert!(matches!(error, Error::StoreMissing { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 0);
}

#[test]
fn locations_are_absolute() {
    let (folder, mut store) = fresh();
    let run = start(store.as_mut());
    let root = folder.path().canonicalize().expect("folder");
    assert_eq!(run.artifact_uri, format!("{}/mlruns/1/{}/artifacts", root.display(), run.id));
    let model = store.create_logged_model(new_model(&run)).expect("created");
    assert_eq!(model.artifact_location, format!("{}/mlruns/1/models/{}/artifacts", root.display(), model.id));
}

#[test]
fn no_partial_file_is_left_among_artifacts() {
    let (folder, mut store) = fresh();
    let run = start(store.as_mut());
    store.log_artifact_bytes(&run.id, "a/b.txt", b"x").expect("written");
    // A folder of that name is in the way.
    store.log_artifact_bytes(&run.id, "a", b"x").expect_err("cannot replace a folder");
    let names: Vec<_> = fs::read_dir(folder.path().join("mlruns/1").join(&run.id))
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(names, ["artifacts"]);
}

#[test]
fn model_metrics_are_rows_of_the_model_but_for_nan() {
    let (folder, mut store) = fresh();
    let run = start(store.as_mut());
    let model = store.create_logged_model(new_model(&run)).expect("created");
    let judged = ModelRef { model_id: model.id, dataset_name: Some("d".into()), dataset_digest: Some("e".into()) };
    let metrics = [
        Metric::new("accuracy", 0.9, 5, 0).of_model(judged.clone()),
        Metric::new("roc_auc", f64::NAN, 5, 0).of_model(judged),
        Metric::new("loss", 1.0, 5, 0),
    ];
    for _ in 0..2 {
        store.log_batch(&run.id, &metrics, &[], &[]).expect("logged");
    }
    let rows =
        "SELECT group_concat(metric_name || ' ' || metric_value || ' ' || dataset_name) FROM logged_model_metrics";
    assert_eq!(one::<String>(&folder, rows), "accuracy 0.9 d");
    assert_eq!(one::<i64>(&folder, "SELECT count(*) FROM latest_metrics"), 3);
}

#[rstest]
#[case(b"hello, this is a text file\n".as_slice())]
#[case(b"hello".as_slice())]
#[case([0_u8; 4096].as_slice())]
fn a_file_of_another_kind_is_refused_and_kept(#[case] content: &[u8]) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("mlflow.db");
    fs::write(&path, content).expect("written");
    let error = refusal(&folder);
    assert!(matches!(error, Error::NotADatabase { .. }), "{error:?}");
    assert!(error.to_string().ends_with("mlflow.db` is not a SQLite database"), "{error}");
    assert_eq!(fs::read(&path).expect("still there"), content);
}

#[test]
fn a_damaged_file_is_called_damaged() {
    let (folder, mut store) = fresh();
    for _ in 0..50 {
        start(store.as_mut());
    }
    drop(store);
    let path = folder.path().join("mlflow.db");
    let mut bytes = fs::read(&path).expect("database");
    let middle = bytes.len() / 8;
    bytes[200..middle].fill(0xa5);
    fs::write(&path, bytes).expect("damaged");
    let error = refusal(&folder);
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains(".recover")));
}

#[test]
fn a_truncated_file_gives_an_error() {
    let (folder, store) = fresh();
    drop(store);
    let path = folder.path().join("mlflow.db");
    let bytes = fs::read(&path).expect("database");
    // Ends inside the header, the first page, and later ones.
    for n_bytes in [50, 1000, 5000, bytes.len() / 2, bytes.len() - 4096] {
        fs::write(&path, &bytes[..n_bytes]).expect("truncated");
        let result = open(&uri(folder.path())).and_then(|mut store| {
            let run = store.experiment("x").and_then(|experiment| store.create_run(&experiment.id, new_run("r", 1)))?;
            store.run(&run.id)
        });
        match result {
            Err(Error::Corrupt { .. } | Error::NotADatabase { .. }) => {}
            other => panic!("{n_bytes} bytes: {other:?}"),
        }
    }
}

#[rstest]
#[case("DROP TABLE logged_model_tags", "table `logged_model_tags` is missing")]
#[case("DROP TABLE tags; CREATE TABLE tags (key TEXT)", "column `value` of table `tags` is missing")]
#[case(
    "DROP TABLE tags; CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT, shard INTEGER NOT NULL)",
    "column `shard` of table `tags` needs a value that this build does not know"
)]
fn an_unfit_schema_is_refused_by_name(#[case] change: &str, #[case] problem: &str) {
    let (folder, store) = fresh();
    drop(store);
    database(&folder).execute_batch(change).expect("changed");
    let error = refusal(&folder);
    let path = folder.path().canonicalize().expect("folder").join("mlflow.db");
    assert_eq!(error.to_string(), format!("database `{}` cannot be used for tracking: {problem}", path.display()));
    let hint = error.hint().expect("a hint");
    assert!(hint.contains(&format!("mlflow db upgrade sqlite:///{}", path.display())), "{hint}");
}

#[test]
fn a_database_of_another_program_is_refused_and_kept() {
    let folder = tempfile::tempdir().expect("folder");
    database(&folder).execute_batch("CREATE TABLE orders (id INTEGER)").expect("created");
    assert!(refusal(&folder).to_string().ends_with("table `experiments` is missing"));
    assert_eq!(one::<i64>(&folder, "SELECT count(*) FROM sqlite_master"), 1);
    assert_eq!(one::<String>(&folder, "PRAGMA journal_mode"), "delete");
}

#[test]
fn a_file_of_a_newer_revision_is_used_as_it_is() {
    let (folder, store) = fresh();
    drop(store);
    // What a later MLflow makes of the tables we write: experiments in workspaces, names unique in each.
    database(&folder)
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             UPDATE alembic_version SET version_num = 'ffffffffffff';
             CREATE TABLE e (experiment_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(256) NOT NULL,
                 artifact_location VARCHAR(256), lifecycle_stage VARCHAR(32), creation_time BIGINT,
                 last_update_time BIGINT, workspace VARCHAR(63) DEFAULT 'default' NOT NULL, UNIQUE (workspace, name));
             INSERT INTO e SELECT *, 'default' FROM experiments;
             DROP TABLE experiments;
             ALTER TABLE e RENAME TO experiments;
             INSERT INTO experiments (experiment_id, name, lifecycle_stage, workspace) VALUES (5, 'exp', 'active', 'b');",
        )
        .expect("migrated");
    let mut store = open(&uri(folder.path())).expect("accepted");
    let run = start(store.as_mut());
    assert_eq!(run.experiment_id, "6", "`exp` of the other workspace is another experiment");
    assert_eq!(store.run("first").expect("found").info, run);
    let names: Vec<_> = store.experiments().expect("list").into_iter().map(|experiment| experiment.name).collect();
    assert_eq!(names, ["Default", "exp"]);
    assert_eq!(one::<String>(&folder, "SELECT version_num FROM alembic_version"), "ffffffffffff");
}

#[test]
fn a_migration_while_the_store_is_open_is_noticed() {
    let (folder, mut store) = fresh();
    start(store.as_mut());
    database(&folder)
        .execute_batch(
            "ALTER TABLE experiments ADD COLUMN workspace VARCHAR(63) DEFAULT 'default' NOT NULL;
             UPDATE experiments SET workspace = 'b' WHERE experiment_id = 0;",
        )
        .expect("migrated");
    start(store.as_mut());
    assert_eq!(store.experiments().expect("list").len(), 1);
}

#[test]
fn what_is_deleted_is_named_with_the_way_back() {
    let (folder, mut store) = fresh();
    let run = start(store.as_mut());
    database(&folder).execute_batch("UPDATE runs SET lifecycle_stage = 'deleted'").expect("deleted");
    for result in [store.run(&run.id).map(drop), store.log_batch(&run.id, &[], &[], &[])] {
        let error = result.expect_err("deleted");
        assert_eq!(error.to_string(), format!("run `{}` is deleted", run.id));
        assert_eq!(error.hint(), Some(format!("restore it with `mlflow runs restore --run-id {}`", run.id)));
    }
    assert!(matches!(store.run("first"), Err(Error::RunNotFound { .. })));
    let query = RunQuery { experiment_ids: vec![], status: None, max_results: 9, ..RunQuery::default() };
    assert_eq!(store.runs(&query).expect("listed"), []);

    database(&folder).execute_batch("UPDATE experiments SET lifecycle_stage = 'deleted'").expect("deleted");
    for error in [store.experiment("exp").map(drop), store.create_run("1", new_run("r", 1)).map(drop)] {
        let error = error.expect_err("deleted");
        assert_eq!(error.to_string(), "experiment `exp` (id 1) is deleted");
        assert!(error.hint().is_some_and(|hint| hint.contains("mlflow experiments restore --experiment-id 1")));
    }
}

#[test]
fn artifact_locations_of_other_kinds() {
    let (folder, mut store) = fresh();
    let elsewhere = tempfile::tempdir().expect("folder");
    let locations = [
        format!("file://{}/my%20artifacts/", elsewhere.path().display()),
        "s3:/bucket/1".to_owned(),
        "mlflow-artifacts:/1".to_owned(),
        "relative/1".to_owned(),
    ];
    for (i, location) in locations.iter().enumerate() {
        let experiment = store.experiment(&format!("exp{i}")).expect("created");
        database(&folder)
            .execute(
                "UPDATE experiments SET artifact_location = ?1 WHERE experiment_id = ?2",
                [location, &experiment.id],
            )
            .expect("moved");
        let run = store.create_run(&experiment.id, new_run("r", 1)).expect("run");
        let written = store.log_artifact_bytes(&run.id, "a.txt", b"x");
        if i == 0 {
            written.expect("a local folder");
            assert!(elsewhere.path().join("my artifacts").join(&run.id).join("artifacts/a.txt").is_file());
        } else {
            let error = written.expect_err("not local");
            assert!(matches!(error, Error::ArtifactLocation { .. }), "{error}");
            assert!(error.to_string().contains(location.as_str()), "{error}");
        }
    }
}

#[cfg(not(feature = "s3"))]
#[test]
fn a_build_without_object_stores_says_so() {
    let (_folder, mut store) = fresh();
    let error = store.local_folder("s3://bucket/1").expect_err("not built");
    assert!(matches!(error, Error::ArtifactLocation { .. }), "{error}");
    assert!(error.hint().unwrap_or_default().contains("feature `s3`"), "{error:?}");
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_not_copied_into_a_model() {
    let (folder, mut store) = fresh();
    let run = start(store.as_mut());
    let model = store.create_logged_model(new_model(&run)).expect("created");
    let files = tempfile::tempdir().expect("folder");
    std::os::unix::fs::symlink(folder.path(), files.path().join("link")).expect("linked");
    let error = store.log_model_artifacts(&model.id, files.path()).expect_err("refused");
    assert!(error.to_string().ends_with("link` is not valid: expected a file or folder"), "{error}");
}

#[test]
fn places_that_cannot_be_written() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("file"), b"x").expect("written");
    let missing = open(&format!("sqlite:///{}/none/mlflow.db", folder.path().display())).err().expect("refused");
    assert!(missing.to_string().starts_with("cannot open folder `"), "{missing}");
    let under_file = open(&format!("sqlite:///{}/file/mlflow.db", folder.path().display())).err().expect("refused");
    assert!(matches!(under_file, Error::Io { .. } | Error::Database { .. }), "{under_file:?}");
    let is_folder = open(&format!("sqlite:///{}", folder.path().display())).err().expect("refused");
    assert!(is_folder.to_string().ends_with("cannot open"), "{is_folder}");
}

/// Permissions do not stop the superuser, but nobody creates files in `/proc`.
#[cfg(target_os = "linux")]
#[test]
fn a_read_only_folder_is_named() {
    let error = open("sqlite:////proc/mlflow.db").err().expect("refused");
    assert_eq!(error.to_string(), "tracking database `/proc/mlflow.db`: cannot open");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(cause.contains("unable to open database file"), "{cause}");
}

#[test]
fn a_page_and_all_of_ten_thousand_runs() {
    let (folder, mut store) = fresh();
    store.experiment("exp").expect("created");
    database(&folder)
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO runs (run_uuid, name, status, start_time, lifecycle_stage, artifact_uri, experiment_id)
             SELECT printf('%032x', i), 'run' || i, 'FINISHED', i, 'active', '', 1 FROM n;
             INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid)
             SELECT 'm' || k.value, start_time, 0, 0, 0, run_uuid FROM runs, json_each('[0,1,2,3,4]') k;
             INSERT INTO params (key, value, run_uuid) SELECT 'p', name, run_uuid FROM runs;",
        )
        .expect("filled");
    let query = RunQuery { experiment_ids: vec![], status: None, max_results: 20, ..RunQuery::default() };
    let page = store.runs(&query).expect("listed");
    assert_eq!(page.len(), 20);
    assert_eq!(page[0].info.name, "run10000");
    assert_eq!(page[19].metrics["m4"].value, 9981.0);
    let all = store.runs(&RunQuery { max_results: 10_000, ..query }).expect("listed");
    assert_eq!(all.len(), 10_000);
    assert!(all.iter().all(|run| run.metrics.len() == 5 && run.params["p"] == run.info.name));
}
