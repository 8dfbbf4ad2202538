//! Artifacts in a real object store, whose bucket the environment gives, asked directly and through a proxy that fails in every way it
//! can. The contract on a server whose artifacts are there is in `rest`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use phantomnet_track::{Error, S3Options, ServerOptions, Store, open_with};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::http_server::serve;
use crate::rest::through_a_bad_proxy::{pass, random};
use crate::sqlite::uri;
use crate::store_contract::{new_model, start, store_contract, unique};

/// `tools/interop/check_s3.py` starts a store and runs the tests of this file on it: `s3://bucket/path`. How to reach it is in the
/// variables that MLflow's client reads.
const BUCKET: &str = "PHANTOMNET_TRACK_TEST_S3";

/// An embedded store whose experiments have their artifacts below a location.
pub(crate) fn embedded(location: &str, options: ServerOptions) -> (TempDir, Box<dyn Store>) {
    let folder = tempfile::tempdir().expect("folder");
    let store = open_with(&uri(folder.path()), options).expect("opens");
    let database = Connection::open(folder.path().join("mlflow.db")).expect("opens");
    let moved = format!("UPDATE experiments SET artifact_location = '{location}/' || experiment_id");
    let only = "WHERE experiment_id = NEW.experiment_id AND artifact_location NOT LIKE 's3:%'";
    database
        .execute_batch(&format!(
            "{moved};
             CREATE TRIGGER inserted AFTER INSERT ON experiments BEGIN {moved} {only}; END;
             CREATE TRIGGER updated AFTER UPDATE OF artifact_location ON experiments BEGIN {moved} {only}; END;"
        ))
        .expect("moved");
    (folder, store)
}

fn bucket() -> String {
    let bucket = std::env::var(BUCKET);
    let bucket = bucket.unwrap_or_else(|_| panic!("{BUCKET} is not set; `tools/interop/check_s3.py` runs these tests"));
    format!("{bucket}/{}", unique("db 100%").replace(' ', "-"))
}

fn options() -> ServerOptions {
    ServerOptions::from_variables("", |name| std::env::var(name).ok()).expect("valid variables")
}

fn fresh() -> (TempDir, Box<dyn Store>) {
    embedded(&bucket(), options())
}

/// What the contract says of files.
macro_rules! files_contract {
    ($open:path) => {
        store_contract! {
            #[ignore = "needs an object store: see tools/interop/check_s3.py"]
            $open:
            artifacts_are_written_and_read, artifact_paths_stay_inside, a_run_starts_and_ends, unknown_ids_are_named,
            a_model_becomes_ready, an_unfinished_model_fails_with_its_run, a_model_is_found_by_every_uri,
            a_model_may_lie_among_the_artifacts_of_its_run,
        }
    };
}

files_contract!(fresh);

/// Through a proxy that fails half of the time.
fn through_a_proxy() -> (TempDir, Box<dyn Store>) {
    static N: AtomicU64 = AtomicU64::new(1);
    let options = options();
    let endpoint = options.s3.endpoint.clone().expect("an endpoint");
    let upstream = endpoint.strip_prefix("http://").expect("http").to_owned();
    let seed = N.fetch_add(1, Ordering::Relaxed) << 32;
    let (uri, _) = serve(move |n, request| pass(&upstream, request, random(seed + n as u64)));
    let options = ServerOptions {
        max_retries: 30,
        backoff_factor: 0.0,
        backoff_jitter: 0.01,
        max_wait_for_first_answer: Duration::from_secs(60),
        s3: S3Options { endpoint: Some(uri), ..options.s3 },
        ..options
    };
    embedded(&bucket(), options)
}

mod through_a_bad_proxy {
    use super::*;

    files_contract!(through_a_proxy);

    #[test]
    #[ignore = "needs an object store: see tools/interop/check_s3.py"]
    fn large_files_go_in_parts_and_come_in_ranges() {
        check_large_files(through_a_proxy());
    }
}

#[test]
#[ignore = "needs an object store: see tools/interop/check_s3.py"]
fn large_files_go_in_parts_and_come_in_ranges() {
    check_large_files(fresh());
}

fn check_large_files((folder, mut store): (TempDir, Box<dyn Store>)) {
    const PART: usize = 16 << 20;
    let run = start(store.as_mut());
    for n_bytes in [PART - 1, PART, PART + 1, 2 * PART + 12_345] {
        let content: Vec<u8> = (0..n_bytes as u32).map(|i| (i % 251) as u8 ^ (i >> 20) as u8).collect();
        let (source, target) = (folder.path().join("large"), folder.path().join("got"));
        std::fs::write(&source, &content).expect("written");
        store.log_artifact(&run.id, "large.bin", &source).expect("sent");
        let listed = store.list_artifacts(&run.id, None).expect("listed");
        assert_eq!(listed.iter().map(|file| file.n_bytes).collect::<Vec<_>>(), [n_bytes as u64]);
        store.download_artifact(&run.id, "large.bin", &target, n_bytes as u64).expect("got");
        assert!(std::fs::read(&target).expect("file") == content);
        assert!(store.read_artifact(&run.id, "large.bin", n_bytes as u64).expect("got") == content);
        let too_large = store.download_artifact(&run.id, "large.bin", &target, n_bytes as u64 - 1);
        assert!(matches!(too_large, Err(Error::ArtifactTooLarge { .. })), "{too_large:?}");
    }
}

#[test]
#[ignore = "needs an object store: see tools/interop/check_s3.py"]
fn names_are_kept_as_they_are() {
    let (folder, mut store) = fresh();
    let run = start(store.as_mut());
    let names = ["a b", "ü/漢字/🦀", "50%", "a%20b", "a+b=c&d", "it's (\"[*]\");:@,!$~^{}|<>`", "dir/50% off/x"];
    for (i, name) in names.iter().enumerate() {
        store.log_artifact_bytes(&run.id, name, format!("{i}").as_bytes()).expect("written");
    }
    for (i, name) in names.iter().enumerate() {
        assert_eq!(store.read_artifact(&run.id, name, 9).expect("read"), format!("{i}").as_bytes(), "{name}");
        let parent = name.rsplit_once('/').map(|(parent, _)| parent);
        let listed = store.list_artifacts(&run.id, parent).expect("listed");
        assert!(listed.iter().any(|file| file.path == *name && file.n_bytes == 1), "{name}: {listed:?}");
    }
    let target = folder.path().join("all");
    store.download_folder(&run.artifact_uri, &target, 99).expect("downloaded");
    for (i, name) in names.iter().enumerate() {
        assert_eq!(std::fs::read(target.join(name)).expect("file"), format!("{i}").as_bytes(), "{name}");
    }
}

#[test]
#[ignore = "needs an object store: see tools/interop/check_s3.py"]
fn more_files_than_a_page_are_listed() {
    let (folder, mut store) = fresh();
    let files = folder.path().join("files");
    std::fs::create_dir(&files).expect("folder");
    for i in 0..1005 {
        std::fs::write(files.join(format!("{i:04}")), b"x").expect("written");
    }
    let run = start(store.as_mut());
    let model = store.create_logged_model(new_model(&run)).expect("created");
    store.log_model_artifacts(&model.id, &files).expect("sent");
    assert_eq!(store.local_folder(&model.artifact_location).expect("known"), None);
    let target = folder.path().join("got");
    store.download_folder(&model.artifact_location, &target, 1005).expect("got");
    assert_eq!(std::fs::read_dir(&target).expect("folder").count(), 1005);
    let too_large = store.download_folder(&model.artifact_location, &target, 1004);
    assert!(matches!(too_large, Err(Error::ArtifactTooLarge { max_bytes: 1004, .. })), "{too_large:?}");
}

#[test]
#[ignore = "needs an object store: see tools/interop/check_s3.py"]
fn a_bucket_that_is_not_there_is_named() {
    let (_folder, mut store) = embedded("s3://no-such-bucket-here/x", options());
    let run = start(store.as_mut());
    for error in [
        store.log_artifact_bytes(&run.id, "a", b"x").expect_err("no bucket"),
        store.list_artifacts(&run.id, None).expect_err("no bucket"),
        store.read_artifact(&run.id, "a", 9).expect_err("no bucket"),
    ] {
        let (message, hint) = (error.to_string(), error.hint().unwrap_or_default());
        assert!(message.contains("no-such-bucket-here") && message.contains("NoSuchBucket"), "{message}");
        assert!(hint.starts_with("create the bucket") && !error.is_outage(), "{hint}");
    }
}
