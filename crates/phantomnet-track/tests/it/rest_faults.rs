//! What the store on a server makes of answers that are late, wrong, cut short or none at all.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use phantomnet_track::{
    Credentials, Error, Metric, NewRun, Param, Registry, RestStore, Result, ServerOptions, Store, Tag, open_with,
};
use rstest::rstest;

use crate::http_server::{Request, answer, json, serve};
use crate::store_contract::new_run;

const EXPERIMENT: &str = r#"{"experiment": {"experiment_id": "7", "name": "exp", "lifecycle_stage": "active"}}"#;
const RUN: &str = r#"{"run": {"info": {"run_id": "0123456789abcdef0123456789abcdef", "status": "RUNNING",
    "experiment_id": "7", "artifact_uri": "mlflow-artifacts:/7/x/artifacts", "lifecycle_stage": "active"}}}"#;
const RUN_ID: &str = "0123456789abcdef0123456789abcdef";

/// Patience that a test has.
fn hasty() -> ServerOptions {
    ServerOptions { backoff_factor: 0.001, backoff_jitter: 0.001, ..ServerOptions::default() }
}

fn store(uri: &str) -> RestStore {
    RestStore::new(uri, hasty()).expect("valid")
}

/// What looking up an experiment comes to when every request is answered by this.
fn looked_up(bytes: Vec<u8>) -> Result<phantomnet_track::Experiment> {
    let (uri, _) = serve(move |_, _| Some(bytes.clone()));
    store(&uri).experiment("exp")
}

fn error_of(bytes: Vec<u8>) -> (Error, String, String) {
    let error = looked_up(bytes).expect_err("no success");
    let (message, hint) = (error.to_string(), error.hint().unwrap_or_default());
    (error, message, hint)
}

#[test]
fn refusals_say_what_to_do() {
    let html = |status: &str| answer(status, &["Content-Type: text/html"], "<html>\u{1b}[31m");
    let (error, message, hint) = error_of(html("401 UNAUTHORIZED"));
    assert!(matches!(error, Error::Unauthenticated { .. }) && hint.contains("MLFLOW_TRACKING_PASSWORD"), "{message}");

    let text = answer("403 FORBIDDEN", &["Content-Type: text/plain"], "Invalid Host header");
    let (error, message, hint) = error_of(text);
    assert!(matches!(error, Error::HostRejected { .. }) && hint.contains("--allowed-hosts"), "{message}");
    assert!(message.ends_with("(HTTP 403): Invalid Host header"), "{message}");

    let (error, message, _) =
        error_of(json("403 FORBIDDEN", r#"{"error_code": "PERMISSION_DENIED", "message": "no"}"#));
    assert!(matches!(error, Error::Forbidden { .. }) && message.ends_with("to look up an experiment (HTTP 403): no"));

    for page in [html("404 NOT FOUND"), html("200 OK"), answer("200 OK", &[], "{}")] {
        let (error, message, hint) = error_of(page);
        assert!(matches!(error, Error::NotMlflow { .. }) && hint.contains("tracking URI"), "{message}");
        assert!(!message.contains('\u{1b}') && !message.contains("<html>"), "{message}");
    }
    let (error, message, hint) = error_of(answer("308 MOVED", &["Location: https://elsewhere/x"], ""));
    assert!(matches!(error, Error::Moved { .. }) && hint.contains("`https://elsewhere/x`"), "{message}");

    let (error, message, _) =
        error_of(json("400 BAD REQUEST", r#"{"error_code": "BAD_REQUEST", "message": "\u001b[31m"}"#));
    assert!(matches!(error, Error::Refused { ref code, .. } if code == "BAD_REQUEST"), "{message}");
    assert!(message.ends_with("BAD_REQUEST: \\u{1b}[31m"), "{message}");
}

#[rstest]
#[case("408 X")]
#[case("429 X")]
#[case("500 X")]
#[case("502 X")]
#[case("503 X")]
#[case("504 X")]
fn outages_are_waited_for_and_then_told(#[case] status: &'static str) {
    let (uri, seen) = serve(|n, _| Some(if n < 3 { answer("503 X", &[], "busy") } else { json("200 OK", EXPERIMENT) }));
    assert_eq!(store(&uri).experiment("exp").expect("after three tries").id, "7");
    assert_eq!(seen.lock().expect("no panic").len(), 4);

    let (uri, seen) = serve(move |_, _| Some(answer(status, &["Content-Type: text/plain"], "busy")));
    let error = store(&uri).experiment("exp").expect_err("never");
    let code: u16 = status[..3].parse().expect("digits");
    assert!(matches!(error, Error::Unavailable { status, n_attempts: 8, .. } if status == code), "{error}");
    assert!(error.to_string().ends_with(&format!("tried 8 times: HTTP {code}: busy")), "{error}");
    assert_eq!(seen.lock().expect("no panic").len(), 8);
}

#[rstest]
#[case("400 X")]
#[case("404 X")]
#[case("409 X")]
#[case("413 X")]
#[case("501 X")]
fn what_will_not_change_is_asked_once(#[case] status: &'static str) {
    let (uri, seen) = serve(move |_, _| Some(json(status, r#"{"error_code": "X", "message": ""}"#)));
    store(&uri).experiment("exp").expect_err("refused");
    assert_eq!(seen.lock().expect("no panic").len(), 1);
}

#[test]
fn a_server_may_say_how_long_to_wait() {
    let (uri, _) =
        serve(|n, _| Some(if n == 0 { answer("429 X", &["Retry-After: 1"], "") } else { json("200 OK", EXPERIMENT) }));
    let started = Instant::now();
    store(&uri).experiment("exp").expect("the second time");
    assert!(started.elapsed() >= Duration::from_secs(1));
    // More than there is time for is not waited.
    let (uri, seen) = serve(|_, _| Some(answer("429 X", &["Retry-After: 100000000"], "")));
    let options = ServerOptions { max_wait: Duration::from_secs(100), ..hasty() };
    RestStore::new(&uri, options).expect("valid").experiment("exp").expect_err("too long");
    assert_eq!(seen.lock().expect("no panic").len(), 1);
}

#[test]
fn an_answer_cut_short_is_asked_for_again() {
    let whole = json("200 OK", EXPERIMENT);
    let cuts = [0, 20, whole.len() - 60, whole.len() - 1];
    let (uri, seen) = serve(move |n, _| {
        let n_bytes = cuts.get(n).copied().unwrap_or(whole.len());
        Some(whole[..n_bytes].to_vec())
    });
    assert_eq!(store(&uri).experiment("exp").expect("whole in the end").name, "exp");
    assert_eq!(seen.lock().expect("no panic").len(), 5);
}

#[test]
fn a_refusal_cut_short_is_asked_for_again() {
    let refusal = json("404 NOT FOUND", r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}"#);
    let (uri, seen) = serve(move |n, _| {
        let n_bytes = if n == 0 { refusal.len() - 20 } else { refusal.len() };
        Some(refusal[..n_bytes].to_vec())
    });
    assert!(matches!(store(&uri).metric_history(RUN_ID, "m"), Err(Error::RunNotFound { .. })));
    assert_eq!(seen.lock().expect("no panic").len(), 2);
}

#[test]
fn silence_ends() {
    let (uri, _) = serve(|_, _| {
        std::thread::sleep(Duration::from_secs(60));
        None
    });
    let options = ServerOptions { timeout: Duration::from_millis(200), max_retries: 1, ..hasty() };
    let started = Instant::now();
    let error = RestStore::new(&uri, options).expect("valid").experiment("exp").expect_err("no answer");
    assert!(matches!(error, Error::Unreachable { n_attempts: 2, .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_answer_that_drips_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let uri = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(std::io::Result::ok) {
            std::thread::spawn(move || {
                let _ = stream.write_all(&answer("200 OK", &["Content-Type: application/json"], EXPERIMENT)[..60]);
                while stream.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
    });
    let second = Duration::from_secs(1);
    let options = ServerOptions { timeout: second, max_wait: second, max_retries: 0, ..hasty() };
    let started = Instant::now();
    let error = RestStore::new(&uri, options).expect("valid").experiment("exp").expect_err("no end");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_endless_answer_is_not_read_to_its_end() {
    let (uri, _) = serve(|_, _| {
        let mut bytes = answer("200 OK", &["Content-Type: application/json"], "");
        let text = String::from_utf8(bytes).expect("text").replace("Content-Length: 0", "Content-Length: 99000000000");
        bytes = text.into_bytes();
        bytes.resize(70 << 20, b' ');
        Some(bytes)
    });
    let options = ServerOptions { max_retries: 0, ..hasty() };
    let error = RestStore::new(&uri, options).expect("valid").experiment("exp").expect_err("too long");
    assert!(matches!(error, Error::NotMlflow { .. }), "{error}");
}

#[test]
fn credentials_are_sent_and_never_shown() {
    for (credentials, expected) in [
        (Credentials::Basic { user: "ana".into(), password: "pässword".into() }, "Basic YW5hOnDDpHNzd29yZA=="),
        (Credentials::Bearer("token-1".into()), "Bearer token-1"),
    ] {
        let (uri, seen) = serve(|_, _| Some(answer("401 X", &[], "")));
        let options = ServerOptions { credentials: Some(credentials), ..hasty() };
        let error = open_with(&uri, options).expect("valid").experiment("exp").expect_err("refused");
        assert_eq!(seen.lock().expect("no panic")[0].header("Authorization"), Some(expected));
        let shown = format!("{error} {error:?} {:?}", error.hint());
        assert!(!shown.contains("pässword") && !shown.contains("YW5h") && !shown.contains("token-1"), "{shown}");
    }
    let options = ServerOptions { credentials: Some(Credentials::Bearer("secret\n".into())), ..hasty() };
    let error = open_with("http://127.0.0.1:9", options).expect("valid").experiment("exp").expect_err("no header");
    assert!(matches!(error, Error::ServerOption { .. }) && !format!("{error:?}").contains("secret"), "{error}");
}

/// A run whose creation succeeds, with the answer lost, is found again; one that was created twice remains once.
#[test]
fn a_run_is_created_once() {
    let (uri, seen) = serve(|_, request| match request.line.as_str() {
        "POST /api/2.0/mlflow/runs/create" => None,
        "POST /api/2.0/mlflow/runs/search" => {
            let run = &RUN[r#"{"run": "#.len()..RUN.len() - 1];
            let twin = run.replace(RUN_ID, "ffffffffffffffffffffffffffffffff");
            Some(json("200 OK", &format!("{{\"runs\": [{run}, {twin}]}}")))
        }
        _ => Some(json("200 OK", "{}")),
    });
    let tags = vec![Tag::new("mlflow.runName", "loses")];
    let info = store(&uri).create_run("7", NewRun { tags, ..new_run("first", 5) }).expect("found again");
    assert_eq!(info.id, RUN_ID);
    let seen = seen.lock().expect("no panic");
    let lines: Vec<&str> = seen.iter().map(|request| request.line.rsplit_once('/').expect("a path").1).collect();
    assert_eq!(lines, ["create", "search", "search", "delete"]);
    let created: serde_json::Value = serde_json::from_slice(&seen[0].body).expect("JSON");
    let tags: Vec<(&str, &str)> = created["tags"]
        .as_array()
        .expect("tags")
        .iter()
        .map(|tag| (tag["key"].as_str().expect("key"), tag["value"].as_str().expect("value")))
        .collect();
    assert!(tags.contains(&("mlflow.runName", "first")) && tags.len() == 3, "{tags:?}");
    let deleted: serde_json::Value = serde_json::from_slice(&seen[3].body).expect("JSON");
    assert_eq!(deleted["run_id"], "f".repeat(32));
}

#[test]
fn batches_stay_within_the_limits_of_a_server() {
    let (uri, seen) = serve(|_, _| Some(json("200 OK", RUN)));
    let metrics: Vec<Metric> = (0..2500).map(|step| Metric::new("loss", f64::NAN, 1, step)).collect();
    let params: Vec<Param> = (0..250).map(|i| Param::new(format!("p{i}"), "5")).collect();
    let tags: Vec<Tag> = (0..150).map(|i| Tag::new(format!("t{i}"), "\u{1}".repeat(8000))).collect();
    store(&uri).log_batch(RUN_ID, &metrics, &params, &tags).expect("logged");
    let count = |request: &Request| -> [usize; 4] {
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        let n = |key: &str| body[key].as_array().expect("a list").len();
        [n("metrics"), n("params"), n("tags"), request.body.len()]
    };
    let seen = seen.lock().expect("no panic");
    let counts: Vec<[usize; 4]> = seen.iter().filter(|r| r.line.ends_with("log-batch")).map(count).collect();
    let sum = |i: usize| counts.iter().map(|count| count[i]).sum::<usize>();
    assert_eq!((sum(0), sum(1), sum(2)), (2500, 250, 150));
    for [metrics, params, tags, n_bytes] in counts {
        assert!(metrics + params + tags <= 1000 && params <= 100 && tags <= 100 && n_bytes < 1_000_000);
    }
    // Params, of which alone a server refuses any, go first; numbers that JSON does not have go as text, params too.
    let first = String::from_utf8(seen[1].body.clone()).expect("text");
    assert!(first.contains(r#"{"key":"p0","value":"5"}"#), "{first}");
    let text = String::from_utf8(seen[4].body.clone()).expect("text");
    assert!(text.contains(r#""value":"NaN""#), "{text}");
}

#[test]
fn a_file_that_is_sent_again_is_whole() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("model.bin");
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(&path, &content).expect("written");
    let (uri, seen) = serve(|n, _| match n {
        0 => Some(json("200 OK", RUN)),
        1 => Some(answer("502 X", &[], "")),
        2 => None,
        _ => Some(answer("200 OK", &[], "")),
    });
    store(&uri).log_artifact(RUN_ID, "a b/möd#el.bin".replace('#', "").as_str(), &path).expect("sent");
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.len(), 4);
    for request in &seen[1..] {
        assert_eq!(request.line, "PUT /api/2.0/mlflow-artifacts/artifacts/7/x/artifacts/a%20b/m%C3%B6del.bin");
        assert_eq!(request.header("Content-Length"), Some("3000000"));
        assert_eq!(request.header("Content-Type"), Some("application/octet-stream"));
        assert!(request.body == content);
    }
}

#[test]
fn a_server_that_serves_no_artifacts_says_so_at_once() {
    let (uri, seen) = serve(|n, _| {
        let detail = r#"{"detail": "Artifact serving is disabled. Start the server with --serve-artifacts"}"#;
        Some(if n == 0 { json("200 OK", RUN) } else { json("503 X", detail) })
    });
    let error = store(&uri).log_artifact_bytes(RUN_ID, "a", b"x").expect_err("disabled");
    assert!(error.to_string().contains("Artifact serving is disabled"), "{error}");
    assert_eq!(seen.lock().expect("no panic").len(), 2);
}

#[test]
fn an_answer_that_is_for_ever_the_same_page_ends() {
    let (uri, _) = serve(|_, _| Some(json("200 OK", r#"{"experiments": [], "runs": [], "next_page_token": "again"}"#)));
    assert_eq!(store(&uri).experiments().expect("none"), []);
}

/// A proxy that asks for credentials, and then passes everything on.
#[test]
fn a_proxy_is_gone_through() {
    let (server, seen) = serve(|_, _| Some(json("200 OK", EXPERIMENT)));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(std::io::Result::ok) {
            let mut head = BufReader::new(&stream).lines().map_while(std::io::Result::ok);
            let target = head.next().expect("a line").split(' ').nth(1).expect("a target").to_owned();
            // To the end of the head, which may come in pieces: the rest of it is nothing for the server.
            let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
            if !head.iter().any(|line| line.ends_with("Basic YW5hOmh1bnRlcjI=")) {
                let _ = (&stream).write_all(&answer("407 Proxy Authentication Required", &[], ""));
                continue;
            }
            let upstream = TcpStream::connect(target).expect("connected");
            (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("written");
            let (mut from, mut to) = (stream.try_clone().expect("cloned"), upstream.try_clone().expect("cloned"));
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let _ = std::io::copy(&mut &upstream, &mut &stream);
        }
    });
    let through = |proxy: String| ServerOptions { proxy: Some(proxy), max_retries: 0, ..hasty() };
    let mut store = RestStore::new(&server, through(format!("http://ana:hunter2@{proxy}"))).expect("valid");
    assert_eq!(store.experiment("exp").expect("through the proxy").id, "7");
    assert_eq!(seen.lock().expect("no panic").len(), 1);

    let mut store = RestStore::new(&server, through(format!("http://ana:wrong-word@{proxy}"))).expect("valid");
    let error = store.experiment("exp").expect_err("refused by the proxy");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("407") && !format!("{error:?}").contains("wrong-word"), "{error}");
    let error = RestStore::new(&server, through("ftp://ana:wrong-word@host".into())).err().expect("no such proxy");
    assert!(matches!(error, Error::ServerOption { .. }) && !format!("{error:?}").contains("wrong-word"), "{error}");
}

/// Downloads from a server that answers every listing with `files` and every file with `content`; gives what is in the folder then.
fn downloaded(files: &'static str, content: &'static str, max_bytes: u64) -> (Result<()>, Vec<String>) {
    let (uri, _) = serve(move |_, request| {
        let is_listing = request.line.contains("mlflow-artifacts/artifacts?path=");
        Some(if is_listing { json("200 OK", files) } else { answer("200 OK", &["Content-Type: x/y"], content) })
    });
    let folder = tempfile::tempdir().expect("folder");
    let result =
        store(&uri).download_folder("mlflow-artifacts:/1/models/m/artifacts", &folder.path().join("a/b"), max_bytes);
    let mut found = Vec::new();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(path) = folders.pop() {
        for entry in std::fs::read_dir(path).expect("folder").map(|entry| entry.expect("entry").path()) {
            if entry.is_dir() { folders.push(entry) } else { found.push(entry.display().to_string()) }
        }
    }
    (result, found)
}

#[rstest]
#[case(r#"{"files": [{"path": "../../x"}]}"#)]
#[case(r#"{"files": [{"path": "/etc/x"}]}"#)]
#[case(r#"{"files": [{"path": "a\\..\\x"}]}"#)]
#[case(r#"{"files": [{"path": ""}]}"#)]
#[case(r#"{"files": [{"path": "a", "is_dir": true}]}"#)]
fn a_server_cannot_write_where_it_likes(#[case] files: &'static str) {
    let (result, found) = downloaded(files, "x", 99);
    assert!(matches!(result, Err(Error::Invalid { .. })), "{result:?}");
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn no_more_is_taken_from_a_server_than_was_asked_for() {
    // It says that the file is small.
    let (result, found) = downloaded(r#"{"files": [{"path": "a", "file_size": 1}]}"#, "0123456789", 9);
    assert!(matches!(result, Err(Error::ArtifactTooLarge { max_bytes: 9, .. })), "{result:?}");
    assert!(found.is_empty(), "no part of it is left: {found:?}");
    let (result, found) = downloaded(r#"{"files": [{"path": "a"}, {"path": "b"}]}"#, "01234", 10);
    assert!(result.is_ok() && found.len() == 2, "{result:?}");
    let (result, _) = downloaded(r#"{"files": [{"path": "a"}, {"path": "b"}]}"#, "01234", 9);
    assert!(matches!(result, Err(Error::ArtifactTooLarge { max_bytes: 9, .. })), "{result:?}");
    let (result, _) = downloaded("{}", "", 9);
    assert!(matches!(result, Err(Error::NoFiles { .. })), "{result:?}");
}

#[test]
fn a_list_without_an_end_is_left() {
    let page = r#"{"registered_models": [{"name": "a"}], "next_page_token": "b"}"#;
    let (uri, requests) = serve(move |_, _| Some(json("200 OK", page)));
    let error = store(&uri).registered_models().expect_err("no end");
    assert!(matches!(error, Error::NotMlflow { .. }) && error.to_string().contains("2000 pages"), "{error}");
    drop(requests);
}

#[test]
fn what_a_registry_does_not_say_is_empty() {
    let model = r#"{"registered_model": {"name": "a", "aliases": [{"alias": "x", "version": "one"}, {"alias": "y", "version": "2"}]}}"#;
    let (uri, _) = serve(move |_, _| Some(json("200 OK", model)));
    let model = store(&uri).registered_model("a").expect("answered");
    assert_eq!((model.aliases, model.creation_time_ms), ([("y".to_owned(), 2)].into(), 0));
}
