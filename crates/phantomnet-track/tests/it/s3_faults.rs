//! What is made of an object store that is away, refuses, or answers late, wrong or in part.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use phantomnet_track::{Error, RunInfo, S3Credentials, S3Options, ServerOptions, Store};
use rstest::rstest;
use tempfile::TempDir;

use crate::http_server::{Request, answer, serve};
use crate::s3::embedded;
use crate::store_contract::start;

const PART: usize = 16 << 20;

/// Patience that a test has, and keys that no message may hold.
fn options(endpoint: &str) -> ServerOptions {
    let credentials = S3Credentials {
        access_key_id: "ID-HUNTER2".into(),
        secret_access_key: "KEY-HUNTER2".into(),
        session_token: Some("TOKEN-HUNTER2".into()),
    };
    let s3 = S3Options {
        credentials: Some(credentials),
        endpoint: Some(endpoint.to_owned()),
        region: Some("eu-west-1".into()),
        ..S3Options::default()
    };
    ServerOptions { backoff_factor: 0.001, backoff_jitter: 0.001, max_retries: 3, s3, ..ServerOptions::default() }
}

/// A run with its artifacts in an object store that answers so.
struct Case {
    _folder: TempDir,
    store: Box<dyn Store>,
    run: RunInfo,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Case {
    fn new(answers: impl Fn(usize, &Request) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let (uri, seen) = serve(answers);
        Self::with(options(&uri), seen)
    }

    fn with(options: ServerOptions, seen: Arc<Mutex<Vec<Request>>>) -> Self {
        let (folder, mut store) = embedded("s3://bucket/a b", options);
        let run = start(store.as_mut());
        Self { _folder: folder, store, run, seen }
    }

    fn put(&mut self) -> Result<(), Error> {
        self.store.log_artifact_bytes(&self.run.id, "50%/ü x.json", b"{}")
    }

    fn put_large(&mut self) -> Result<(), Error> {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), vec![7; 2 * PART + 1]).expect("written");
        self.store.log_artifact(&self.run.id, "large", file.path())
    }

    fn lines(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").iter().map(|request| request.line.clone()).collect()
    }
}

fn xml(status: &str, code: &str) -> Vec<u8> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>said &lt;so&gt;</Message></Error>");
    answer(status, &["Content-Type: application/xml"], &body)
}

fn put_done() -> Vec<u8> {
    answer("200 OK", &["ETag: \"e\""], "")
}

#[test]
fn a_request_is_signed_and_its_path_is_kept() {
    let mut case = Case::new(|_, _| Some(put_done()));
    case.put().expect("written");
    let seen = case.seen.lock().expect("no panic");
    let request = &seen[0];
    let path = format!("PUT /bucket/a%20b/1/{}/artifacts/50%25/%C3%BC%20x.json", case.run.id);
    assert_eq!((request.line.as_str(), request.body.as_slice()), (path.as_str(), b"{}".as_slice()));
    assert_eq!(request.header("Content-Type"), Some("application/json"));
    assert_eq!(request.header("x-amz-security-token"), Some("TOKEN-HUNTER2"));
    let signed = request.header("Authorization").expect("signed");
    assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=ID-HUNTER2/"), "{signed}");
    assert!(signed.contains("/eu-west-1/s3/aws4_request") && !signed.contains("KEY"), "{signed}");
}

#[rstest]
#[case("403 X", "AccessDenied", "ask the owner of the bucket")]
#[case("403 X", "InvalidAccessKeyId", "check AWS_ACCESS_KEY_ID")]
#[case("403 X", "SignatureDoesNotMatch", "check AWS_ACCESS_KEY_ID")]
#[case("400 X", "ExpiredToken", "check AWS_ACCESS_KEY_ID")]
#[case("404 X", "NoSuchBucket", "create the bucket")]
#[case("301 X", "PermanentRedirect", "set AWS_DEFAULT_REGION")]
#[case("400 X", "AuthorizationHeaderMalformed", "set AWS_DEFAULT_REGION")]
#[case("403 X", "RequestTimeTooSkewed", "set the clock")]
#[case("405 X", "MethodNotAllowed", "")]
fn refusals_say_what_to_do(#[case] status: &'static str, #[case] code: &'static str, #[case] hint: &str) {
    let mut case = Case::new(move |_, _| Some(xml(status, code)));
    let path = case.run.id.clone();
    for error in [
        case.put().expect_err("refused"),
        case.store.list_artifacts(&path, None).expect_err("refused"),
        case.store.read_artifact(&path, "a", 9).expect_err("refused"),
        case.store.download_folder("s3://bucket/x", std::path::Path::new("nowhere"), 9).expect_err("refused"),
    ] {
        assert!(matches!(error, Error::ObjectStoreRefused { .. }) && !error.is_outage(), "{error:?}");
        assert!(error.to_string().ends_with(&format!(" artifact{}: {code}: said <so>", plural(&error))), "{error}");
        assert!(error.to_string().contains("/bucket` refused to "), "{error}");
        assert!(error.hint().unwrap_or_default().starts_with(hint), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("HUNTER2"), "{error:?}");
    }
    assert_eq!(case.lines().len(), 4, "each is asked once");
}

fn plural(error: &Error) -> &'static str {
    if error.to_string().contains("to list") { "s" } else { "" }
}

#[test]
fn nobody_is_asked_without_credentials() {
    let (uri, seen) = serve(|_, _| Some(put_done()));
    let s3 = S3Options { credentials: None, ..options(&uri).s3 };
    let mut case = Case::with(ServerOptions { s3, ..options(&uri) }, seen);
    let error = case.put().expect_err("no credentials");
    assert!(error.to_string().starts_with("there are no credentials for `s3://bucket/a b/1/"), "{error}");
    assert!(error.hint().unwrap_or_default().starts_with("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
    assert!(case.lines().is_empty());
}

#[test]
fn a_store_that_is_away_is_an_outage() {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut case = Case::with(options(&endpoint), Arc::default());
    for error in [case.put().expect_err("away"), case.put_large().expect_err("away")] {
        assert!(matches!(error, Error::Unreachable { n_attempts: 4, .. }) && error.is_outage(), "{error:?}");
        let message = error.to_string();
        assert!(message.starts_with(&format!("object store `{endpoint}` cannot be reached to write")), "{message}");
        assert!(error.hint().unwrap_or_default().contains("MLFLOW_S3_ENDPOINT_URL"), "{error:?}");
    }
}

#[rstest]
#[case("503 Slow Down", "SlowDown")]
#[case("500 X", "InternalError")]
#[case("429 X", "TooManyRequests")]
#[case("400 X", "RequestTimeout")]
fn outages_are_waited_for_and_then_told(#[case] status: &'static str, #[case] code: &'static str) {
    let mut case = Case::new(move |n, _| Some(if n < 3 { xml(status, code) } else { put_done() }));
    case.put().expect("after three tries");
    assert_eq!(case.lines().len(), 4);

    let mut case = Case::new(move |_, _| Some(xml(status, code)));
    let error = case.put().expect_err("never");
    assert!(matches!(error, Error::Unavailable { n_attempts: 4, .. }) && error.is_outage(), "{error:?}");
    assert!(error.to_string().ends_with(&format!("HTTP {}: {code}: said <so>", &status[..3])), "{error}");
    assert_eq!(case.lines().len(), 4);
}

#[test]
fn silence_ends() {
    let (uri, seen) = serve(|_, _| {
        std::thread::sleep(Duration::from_secs(60));
        None
    });
    let options = ServerOptions { timeout: Duration::from_millis(200), max_retries: 1, ..options(&uri) };
    let mut case = Case::with(options, seen);
    let started = Instant::now();
    let error = case.put().expect_err("no answer");
    assert!(matches!(error, Error::Unreachable { n_attempts: 2, .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_page_is_no_object_store() {
    let html = || answer("200 OK", &["Content-Type: text/html"], "<html>");
    let mut case = Case::new(move |_, _| Some(html()));
    let run = case.run.id.clone();
    for error in [
        case.put().expect_err("a page"),
        case.store.list_artifacts(&run, None).expect_err("a page"),
        case.store.read_artifact(&run, "a", 9).expect_err("a page"),
        case.put_large().expect_err("a page"),
    ] {
        assert!(matches!(error, Error::NotAnObjectStore { .. }), "{error:?}");
        assert!(error.hint().unwrap_or_default().contains("MLFLOW_S3_ENDPOINT_URL"), "{error:?}");
    }
    let mut case = Case::new(|_, _| Some(answer("404 NOT FOUND", &["Content-Type: text/html"], "<html>")));
    let error = case.store.read_artifact(&run_of(&case), "a", 9).expect_err("a page");
    assert!(matches!(error, Error::ObjectStoreRefused { status: 404, .. }), "{error:?}");
}

fn run_of(case: &Case) -> String {
    case.run.id.clone()
}

/// The range that a request asks for, of a file of this size and version.
fn range(request: &Request, content: &[u8], version: &str) -> Vec<u8> {
    if request.header("If-Match").is_some_and(|asked| asked != version) {
        return xml("412 Precondition Failed", "PreconditionFailed");
    }
    let asked = request.header("Range").and_then(|range| range.strip_prefix("bytes=")).expect("a range");
    let (start, end) = asked.split_once('-').expect("two ends");
    let (start, end): (usize, usize) = (start.parse().expect("a number"), end.parse().expect("a number"));
    let end = (end + 1).min(content.len());
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: {}\r\nETag: {version}\r\n\
         Content-Range: bytes {start}-{}/{}\r\nLast-Modified: Wed, 12 Oct 2022 17:50:00 GMT\r\n\r\n",
        end - start,
        end - 1,
        content.len()
    );
    [head.as_bytes(), &content[start..end]].concat()
}

#[test]
fn a_file_that_is_cut_off_is_asked_for_again() {
    let content: Vec<u8> = (0..PART as u32 + 1000).map(|i| (i % 251) as u8).collect();
    let served = content.clone();
    let mut case = Case::new(move |n, request| {
        let whole = range(request, &served, "\"v1\"");
        Some(if n % 2 == 0 { whole[..whole.len() - 1 - whole.len() / 3].to_vec() } else { whole })
    });
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("got");
    case.store.download_artifact(&run_of(&case), "large", &target, 1 << 30).expect("whole in the end");
    assert!(std::fs::read(&target).expect("file") == content);
    // Two ranges, each cut off once.
    assert_eq!(case.lines().len(), 4);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_patched_together() {
    let content = vec![1; 2 * PART];
    let mut case =
        Case::new(move |n, request| Some(range(request, &content, if n == 0 { "\"v1\"" } else { "\"v2\"" })));
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("got");
    let error = case.store.download_artifact(&run_of(&case), "large", &target, 1 << 30).expect_err("changed");
    assert!(error.to_string().contains("PreconditionFailed"), "{error}");
    assert!(error.hint().unwrap_or_default().contains("replaced while it was read"), "{error:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0, "no part of a file is left");
}

/// Answers to an upload in parts until `last` answers what completes it.
fn upload(request: &Request, last: impl FnOnce() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let line = &request.line;
    match line.split_once(' ').expect("two words").0 {
        "POST" if line.contains("uploads") => Some(answer(
            "200 OK",
            &[],
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        )),
        "PUT" => Some(put_done()),
        "POST" => last(),
        "DELETE" => Some(answer("204 No Content", &[], "")),
        "HEAD" => {
            Some(format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", 2 * PART + 1).into())
        }
        _ => None,
    }
}

fn joined() -> Vec<u8> {
    answer("200 OK", &[], "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")
}

#[test]
fn an_upload_that_fails_is_aborted() {
    let mut case = Case::new(|_, request| match request.line.contains("partNumber=2") {
        true => Some(xml("403 X", "AccessDenied")),
        false => upload(request, || Some(joined())),
    });
    let error = case.put_large().expect_err("refused");
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    let lines = case.lines();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[3].starts_with("DELETE /bucket/") && lines[3].ends_with("?uploadId=u"), "{lines:?}");
}

#[test]
fn a_part_that_fails_is_sent_again() {
    let mut case = Case::new(|n, request| match n {
        2 => None,
        3 => Some(xml("503 X", "SlowDown")),
        _ => upload(request, || Some(joined())),
    });
    case.put_large().expect("sent");
    let seen = case.seen.lock().expect("no panic");
    let parts: Vec<(bool, usize)> =
        seen[1..6].iter().map(|r| (r.line.contains("partNumber=2"), r.body.len())).collect();
    assert_eq!(parts, [(false, PART), (true, PART), (true, PART), (true, PART), (false, 1)]);
}

#[test]
fn parts_whose_joining_was_not_heard_of_are_not_sent_again() {
    let mut case = Case::new(|n, request| upload(request, || (n > 4).then(|| xml("404 X", "NoSuchUpload"))));
    case.put_large().expect("it was there");
    assert!(case.lines().last().is_some_and(|line| line.starts_with("HEAD ")), "{:?}", case.lines());

    let mut case = Case::new(|_, request| upload(request, || Some(xml("404 X", "NoSuchUpload"))));
    let error = case.put_large().expect_err("somebody else has ended the upload");
    assert!(error.to_string().contains("NoSuchUpload"), "{error}");
}

#[test]
fn joining_that_fails_after_a_success_was_announced_is_tried_again() {
    let mut case =
        Case::new(|n, request| upload(request, || Some(if n < 5 { xml("200 OK", "InternalError") } else { joined() })));
    case.put_large().expect("joined");
    assert_eq!(case.lines().iter().filter(|line| line.starts_with("POST ")).count(), 3);
}
