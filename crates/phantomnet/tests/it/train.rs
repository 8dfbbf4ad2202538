//! The main job, from events to a model that scores.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use crate::program::{Workplace, entries, events};

fn metric(document: &Value, key: &str) -> f64 {
    document["metrics"][key].as_f64().unwrap_or_else(|| panic!("no metric `{key}`"))
}

#[test]
fn a_run_leaves_a_model_a_report_and_a_record() {
    let w = Workplace::new();
    let run = w.json(&["train", "events.csv", "--json", "--run-name", "first"]);
    assert_eq!(run["status"], "FINISHED");
    assert_eq!((run["n_rows"].as_u64(), run["n_rejected"].as_u64()), (Some(199), Some(1)));
    assert_eq!(run["tracking_uri"], "sqlite:///mlflow.db");
    assert!(metric(&run, "accuracy") > metric(&run, "baseline_accuracy"));
    assert!(metric(&run, "accuracy.lo") <= metric(&run, "accuracy"));
    for stage in ["read", "features", "fit", "cross_validate", "evaluate", "track", "total"] {
        assert!(run["timings"][stage].as_f64().unwrap() >= 0.0, "{stage}");
    }
    let out = w.path("phantomnet-out");
    let expected =
        ["config.toml", "metrics.json", "model", "plots", "predictions.csv", "rejected.jsonl", "report.html"];
    assert_eq!(entries(&out).into_iter().filter(|n| n != ".phantomnet").collect::<Vec<_>>(), expected);
    assert_eq!(entries(&out.join("plots")).len(), 16, "eight pictures, each as SVG and PNG");
    let rejected = fs::read_to_string(out.join("rejected.jsonl")).unwrap();
    let rejected: Value = serde_json::from_str(rejected.lines().next().unwrap()).unwrap();
    assert_eq!((&rejected["file"], &rejected["line"]), (&"events.csv".into(), &51.into()));
    let (text, offset) = (fs::read_to_string(w.path("events.csv")).unwrap(), rejected["offset"].as_u64().unwrap());
    assert!(text[offset as usize..].starts_with(rejected["excerpt"].as_str().unwrap()), "{rejected}");
    assert_eq!(fs::read_to_string(out.join("predictions.csv")).unwrap().lines().count(), 1 + 40);

    let shown = w.json(&["runs", "show", "first", "--json"]);
    assert_eq!(shown["metrics"]["accuracy"], run["metrics"]["accuracy"]);
    assert_eq!(shown["params"]["n_estimators"], "20");
    assert_eq!(shown["tags"]["phantomnet.gate"], "none");
    let listed = w.json(&["runs", "list", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
}

#[test]
fn a_run_is_deleted_and_restored() {
    let w = Workplace::new();
    let run = w.json(&["train", "events.csv", "--json", "--run-name", "first"]);
    let id = run["run_id"].as_str().unwrap();
    let (code, stderr) = w.fails(&["runs", "delete", "first", "second"]);
    assert!(code == 2 && stderr.contains("there is no run `second`"), "{stderr}");
    assert_eq!(w.json(&["runs", "list", "--json"]).as_array().unwrap().len(), 1, "nothing was deleted");
    assert_eq!(w.json(&["runs", "delete", "first", "--json"]), serde_json::json!([id]));
    assert_eq!(w.json(&["runs", "list", "--json"]), serde_json::json!([]));
    let (_, stderr) = w.fails(&["runs", "show", id]);
    assert!(stderr.contains(&format!("`phantomnet runs restore {id}`")), "{stderr}");
    assert_eq!(w.json(&["runs", "restore", id, "--json"]), serde_json::json!([id]));
    assert_eq!(w.json(&["runs", "show", "first", "--json"])["run_id"], id);
}

#[test]
fn runs_are_filtered_and_ordered() {
    let w = Workplace::new();
    for (name, n_trees) in [("few", "model.n_estimators=2"), ("many", "model.n_estimators=9")] {
        w.json(&["train", "events.csv", "--json", "--run-name", name, "--set", n_trees]);
    }
    let names = |args: &[&str]| -> Vec<String> {
        let listed = w.json(&[&["runs", "list", "--json"], args].concat());
        listed.as_array().unwrap().iter().map(|run| run["run_name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["--filter", "params.n_estimators = '2' AND metrics.accuracy > 0"]), ["few"]);
    assert_eq!(names(&["--filter", "metrics.accuracy > 1"]), [""; 0]);
    assert_eq!(names(&["--order-by", "params.n_estimators"]), ["few", "many"]);
    assert_eq!(names(&["--order-by", "run_name DESC"]), ["many", "few"]);
    let (code, stderr) = w.fails(&["runs", "list", "--filter", "metrics.accuracy > high"]);
    assert!(code == 2 && stderr.contains("expected a number at `high`"), "{stderr}");
}

#[test]
fn a_run_is_kept_while_its_server_is_away() {
    let w = Workplace::new();
    // Nothing listens on the port of discarding.
    let server = "http://127.0.0.1:9";
    let args = ["train", "events.csv", "--json", "--tracking-uri", server, "--run-name", "kept"];
    let run = w.json(&args);
    assert_eq!((&run["status"], &run["tracking_uri"]), (&"FINISHED".into(), &server.into()));
    let folder = run["kept_in"].as_str().unwrap();
    let kept = w.json(&["runs", "show", "kept", "--json", "--tracking-uri", &format!("sqlite:///{folder}/mlflow.db")]);
    assert_eq!(kept["metrics"]["accuracy"], run["metrics"]["accuracy"]);
    assert_eq!(kept["run_id"], run["run_id"]);

    let output = w.run(&["runs", "push", "--json"]);
    assert_eq!(output.status.code(), Some(4));
    let pushed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((pushed[0]["folder"].as_str(), &pushed[0]["tracking_uri"]), (Some(folder), &server.into()));
    assert!(pushed[0]["error"].as_str().unwrap().contains("cannot be reached"), "{pushed}");
    assert_eq!(w.json(&["runs", "push", "--json", "--set", "tracking.outbox=other"]), Value::Array(Vec::new()));

    // Nothing is kept of what goes to the embedded store.
    let run = w.json(&["train", "events.csv", "--json"]);
    assert!(run["kept_in"].is_null());
    assert_eq!(entries(&w.path("phantomnet-outbox")).len(), 1);
}

#[test]
fn the_same_seed_gives_the_same_bytes_for_any_number_of_threads() {
    let w = Workplace::new();
    let folders = ["1", "2", "8"].map(|threads| {
        let out = format!("out-{threads}");
        w.json(&["train", "events.csv", "--json", "--threads", threads, "--output", &out]);
        w.path(&out)
    });
    for name in entries(&folders[0].join("model")) {
        let bytes = folders.each_ref().map(|f| fs::read(f.join("model").join(&name)).unwrap());
        assert!(bytes[0] == bytes[1] && bytes[0] == bytes[2], "model/{name} depends on the number of threads");
    }
    w.json(&["train", "events.csv", "--json", "--seed", "7", "--output", "out-7"]);
    let [a, b] = [&folders[0], &w.path("out-7")].map(|f| fs::read(f.join("model/model.onnx")).unwrap());
    assert!(a != b, "another seed gives another forest");
}

#[rstest]
#[case::logistic_regression("logistic_regression")]
#[case::majority("majority")]
fn other_learners_take_the_same_way(#[case] kind: &str) {
    let w = Workplace::new();
    w.write("phantomnet.toml", &crate::program::CONFIG.replace("n_estimators = 20", &format!("kind = \"{kind}\"")));
    let run = w.json(&["train", "events.csv", "--json"]);
    assert_eq!(run["params"]["model.kind"], kind);
    let judged = w.json(&["evaluate", "phantomnet-out/model", "events.csv", "--json"]);
    assert_eq!(judged["n_rows"], 199);
}

#[test]
fn a_gate_that_is_not_met_is_exit_status_1_and_a_tag() {
    let w = Workplace::new();
    let output = w.run(&["train", "events.csv", "--json", "--set", "gate.accuracy=1.5", "--run-name", "gated"]);
    assert_eq!(output.status.code(), Some(1));
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run["gate"]["passed"], false);
    assert_eq!(run["gate"]["conditions"][0]["metric"], "accuracy");
    let shown = w.json(&["runs", "show", "gated", "--json"]);
    assert_eq!((&shown["tags"]["phantomnet.gate"], &shown["status"]), (&"failed".into(), &"FINISHED".into()));
}

#[test]
fn several_classes_come_from_a_text_label() {
    let w = Workplace::new();
    let run = w.json(&["train", "events.csv", "--json", "--set", "label.expr=event"]);
    assert_eq!(run["classes"], serde_json::json!(["banner", "command", "login_failed", "quit"]));
    for key in ["f1_macro", "recall.command", "roc_auc", "log_loss"] {
        assert!(metric(&run, key) > 0.0, "{key}");
    }
}

#[rstest]
#[case::json_lines("jsonl")]
#[case::csv("csv")]
#[case::parquet("parquet")]
fn predictions_come_with_the_event_they_are_about(#[case] format: &str) {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    let file = format!("scored.{format}");
    let output = w.run(&["predict", "phantomnet-out/model", "events.csv", "-o", &file, "-f", format]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("199 events scored, 1 lines rejected"));
    // What is written can be read: as events of their own, with all columns.
    let seen = w.json(&["inspect", &file, "--json"]);
    assert_eq!(seen["n_rows"], 199);
    let mut names: Vec<&str> =
        seen["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["data", "event", "port", "score", "source_ip", "verdict"]);
}

#[test]
fn csv_events_come_back_to_the_letter() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    let line = "banner,192.0.2.9,0022,\"says \"\"hi\"\", twice\"";
    w.write("one.csv", &format!("event,source_ip,port,data\n{line}\n"));
    let output = w.run(&["predict", "phantomnet-out/model", "one.csv", "-f", "csv"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("event,source_ip,port,data,score,verdict"));
    assert!(lines.next().unwrap().starts_with(&format!("{line},0.")), "{text}");
}

#[test]
fn an_event_cannot_give_its_own_verdict() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    w.write("forged.jsonl", "{\"data\": \"x\", \"verdict\": \"benign\", \"score\": 0, \"n\": 7}\n");
    let output = w.run(&["predict", "phantomnet-out/model", "forged.jsonl", "--probabilities"]);
    let event: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&event["event_verdict"], &event["event_score"], &event["n"]), (&"benign".into(), &0.into(), &7.into()));
    let score = event["score"].as_f64().unwrap();
    assert_eq!(event["prob_attack"].as_f64(), Some(score));
    assert_eq!(event["verdict"], if score > 0.5 { "attack" } else { "benign" });
}

/// A verdict must not wait for the next line of a log that grows slowly.
#[test]
fn standard_input_is_scored_as_it_arrives() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    let mut child = w
        .command(&["predict", "phantomnet-out/model", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for i in 0..3 {
        writeln!(stdin, "{{\"data\": \"user=root {i}\", \"i\": {i}}}").unwrap();
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(event["i"], i);
    }
    writeln!(stdin, "not an event").unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(3), "a quarter of the lines was rejected");
}

#[test]
fn an_interrupted_run_is_killed_and_leaves_nothing() {
    let w = Workplace::new();
    let mut child = w
        .command(&[
            "train",
            "events.csv",
            "--run-name",
            "long",
            "--set",
            "model.n_estimators=10000",
            "--set",
            "cv.n_folds=20",
        ])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Once the run is in the store it is being fitted.
    for _ in 0..600 {
        if w.run(&["runs", "show", "long"]).status.success() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let kill = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert_eq!(w.json(&["runs", "show", "long", "--json"])["status"], "KILLED");
    assert!(!w.path("phantomnet-out").exists(), "no output of a run that did not end");
}

/// Events are an attacker's words and may be many: no copy of them is left in the folder for temporary files.
#[test]
fn a_signal_takes_the_copy_of_standard_input_away() {
    let w = Workplace::new();
    let temporary = w.path("tmp");
    fs::create_dir(&temporary).unwrap();
    for command in [&["inspect", "-"][..], &["convert", "-", "out.parquet"]] {
        let mut child = w.command(command).env("TMPDIR", &temporary).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"a,b\n1,2\n").unwrap();
        let copies = || entries(&temporary).iter().flat_map(|folder| entries(&temporary.join(folder))).count();
        while copies() == 0 {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            std::thread::sleep(Duration::from_millis(10));
        }
        let kill = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(kill.success());
        assert_eq!(child.wait().unwrap().code(), None);
        assert!(entries(&temporary).is_empty(), "{:?} is left", entries(&temporary));
    }
}

/// In an array, in a document and by a pipe alike.
#[test]
fn scored_events_of_documents_keep_their_shape() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    let event = r#"{"event":"command","data":"id","seen":{"by":["a",{"b":1}]}}"#;
    w.write("array.json", &format!("[\n  {event},\n  {event}\n]\n"));
    w.write("document.json", &format!("{{\n\"n\": 2,\n\"events\": [{event}, {event}]}}\n"));
    let piped = fs::File::open(w.path("document.json")).unwrap();
    let predict = |args: &[&str]| w.command(&[&["predict", "phantomnet-out/model"], args].concat());
    for mut command in [predict(&["array.json"]), predict(&["document.json"])] {
        let output = command.output().unwrap();
        let (text, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert_eq!(text.lines().count(), 2, "{stderr}");
        assert!(text.lines().all(|line| line.starts_with(event.trim_end_matches('}'))), "{text}");
    }
    let output = predict(&["-"]).stdin(piped).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2);
}

#[test]
fn columns_that_come_up_late_are_told_of() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    w.write("a.csv", "event,data\nlogin,x\n");
    w.write("b.csv", "data,extra\nlogin,y\n");
    let output = w.command(&["predict", "phantomnet-out/model", "a.csv", "b.csv", "-f", "csv"]).output().unwrap();
    let (found, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(found.starts_with("event,data,score,verdict\n") && found.lines().count() == 3, "{found}");
    assert!(told.contains("`extra` came up after the columns of the CSV were written"), "{told}");
    let output = w.command(&["predict", "phantomnet-out/model", "a.csv", "-f", "csv"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!told.contains("came up after"), "{told}");
}

/// Standard input beside files, under its name in the system, and a pipe with a name.
#[test]
fn pipes_are_scored_beside_files() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    w.write("two.csv", "event,data\ncommand,id\nlogin,x\n");
    let predict = |args: &[&str]| {
        let mut command = w.command(&[&["predict", "phantomnet-out/model"], args].concat());
        let output = command.stdin(fs::File::open(w.path("two.csv")).unwrap()).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (alone, _) = predict(&["-"]);
    assert_eq!(alone.lines().count(), 2);
    assert_eq!(predict(&["two.csv", "-"]).0, alone.repeat(2));
    let made = std::process::Command::new("mkfifo").arg(w.path("pipe")).status().unwrap();
    assert!(made.success());
    let writer = std::thread::spawn({
        let pipe = w.path("pipe");
        move || fs::write(pipe, "event,data\ncommand,id\nlogin,x\nlogin\n")
    });
    let (found, told) = predict(&["pipe"]);
    writer.join().unwrap().unwrap();
    assert_eq!(found, alone);
    assert!(told.contains("pipe:4: expected 2 fields, got 1"), "{told}");
}

#[test]
fn many_files_are_told_of_together() {
    let w = Workplace::new();
    fs::create_dir(w.path("many")).unwrap();
    for i in 0..25 {
        w.write(&format!("many/{i:02}.csv"), "a,b\n1,2\n3\n");
    }
    let shown = String::from_utf8(w.run(&["inspect", "many"]).stderr).unwrap();
    assert_eq!(shown.matches(".csv: csv, 1 events").count(), 20, "{shown}");
    assert!(shown.contains("... and 5 more files: 5 events, 5 lines rejected, 50 bytes; "), "{shown}");
}

/// Both write to another name until the file is whole.
#[test]
fn a_signal_takes_a_file_that_is_not_whole_away() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    for command in
        [&["predict", "phantomnet-out/model", "-", "-o", "out.csv"][..], &["convert", "pipe.csv", "out.parquet"]]
    {
        w.write("pipe.csv", &events(200_000));
        let before = w.entries();
        let mut child = w.command(command).stdin(Stdio::piped()).spawn().unwrap();
        // Open until the child has ended, so that it does not end by itself.
        let _stdin = child.stdin.take();
        let is_begun = || w.entries().iter().any(|name| name.starts_with(".out."));
        while !is_begun() {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(kill.success());
        assert_eq!(child.wait().unwrap().code(), None);
        assert_eq!(w.entries(), before);
    }
}

#[test]
fn two_runs_at_once_both_land() {
    let w = Workplace::new();
    w.write("more.csv", &events(400));
    let children: Vec<_> = ["events.csv", "more.csv"]
        .iter()
        .map(|data| w.command(&["train", data, "--json"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let listed = w.json(&["runs", "list", "--json"]);
    assert_eq!(listed.as_array().unwrap().iter().filter(|r| r["status"] == "FINISHED").count(), 2);
}

#[test]
fn latency_is_measured_on_raw_lines() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    for args in [
        &["latency", "phantomnet-out/model", "events.csv", "--json"][..],
        &["latency", "phantomnet-out/model", "--json"],
    ] {
        let seen = w.json(args);
        let p = |key: &str| seen[key].as_f64().unwrap();
        assert!(p("latency_p50_us") > 0.0 && p("latency_p50_us") <= p("latency_p99_us"), "{seen}");
    }
}

#[test]
fn runs_are_compared_side_by_side() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json", "--run-name", "small"]);
    w.json(&["train", "events.csv", "--json", "--run-name", "large", "--set", "model.n_estimators=40"]);
    let runs = w.json(&["runs", "compare", "small", "large", "--json"]);
    assert_eq!(runs[0]["params"], serde_json::json!({"n_estimators": "20"}), "only what differs");
    assert_eq!(runs[1]["params"]["n_estimators"], "40");
    assert!(runs[1]["metrics"]["accuracy"].is_number());
}

#[test]
fn predict_ends_with_its_reader() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    let mut child = w
        .command(&["predict", "phantomnet-out/model", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    drop(child.stdout.take());
    // Ends when the program does and the pipe breaks.
    while writeln!(stdin, "{{\"data\": \"x\"}}").is_ok() {}
    child.wait().unwrap();
}

#[test]
fn events_without_any_column_of_the_model_are_refused() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    w.write("other.csv", "a,b\n1,2\n");
    for command in ["predict", "latency", "evaluate"] {
        let (code, stderr) = w.fails(&[command, "phantomnet-out/model", "other.csv"]);
        assert!(code == 3 && stderr.contains("data.columns"), "{command}: {stderr}");
    }
}

/// Another version of a sensor may call a field otherwise: objects without it are no errors each, but all of them are told.
#[test]
fn columns_without_a_value_are_told_of_many_events() {
    let w = Workplace::new();
    let features = "features={n = \"payload_length(data)\", m = \"port\", u = \"payload_length(source_ip)\"}";
    w.json(&["train", "events.csv", "--set", features, "--json"]);
    let told = |content: &str, name: &str| {
        w.write(name, content);
        let output = w.command(&["predict", "phantomnet-out/model", name]).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let objects = |n: usize| "{\"data\":\"root\"}\n".repeat(n);
    let expected = "no event had a value in `source_ip`, `port`, which the model reads";
    assert!(told(&objects(100), "many.jsonl").contains(expected));
    assert!(!told(&objects(99), "few.jsonl").contains("which the model reads"));
    let told = told(&format!("data,source_ip\n{}", "root,\n".repeat(100)), "many.csv");
    assert!(told.contains("column `port` is not there and counts as missing"), "{told}");
    assert!(told.contains("no event had a value in `source_ip`, which the model reads"), "{told}");
}

/// Rows of a log are often in the order of their classes.
#[test]
fn the_row_number_of_converted_events_is_no_default_feature() {
    let w = Workplace::new();
    w.run(&["convert", "events.csv", "events.parquet"]);
    w.json(&["train", "events.parquet", "--set", "features={}", "--json"]);
    let pipeline = fs::read_to_string(w.path("phantomnet-out/model/pipeline.toml")).unwrap();
    assert!(pipeline.contains("data_length") && !pipeline.contains("row_id"), "{pipeline}");
}

#[test]
fn a_header_that_looks_like_an_event_is_told() {
    let w = Workplace::new();
    w.write("headerless.csv", "1.2.3.4,22,tcp\n1.2.3.5,23,udp\n1.2.3.6,24,tcp\n");
    for args in [&["convert", "headerless.csv", "out.parquet", "--json"][..], &["inspect", "headerless.csv", "--json"]]
    {
        let warnings = w.json(args)["warnings"].to_string();
        assert!(warnings.contains("the header looks like an event, which is lost"), "{args:?} {warnings}");
    }
}

/// A sensor writes a field when it has something to say in it.
#[test]
fn events_are_judged_that_lack_one_of_the_labels_fields() {
    let w = Workplace::new();
    let label = "label.expr=event IN ('login_failed', 'command') OR alert IS NOT NULL";
    w.json(&["train", "events.csv", "--set", label, "--set", "data.fields.alert=\"text\"", "--json"]);
    let judged = w.json(&["evaluate", "phantomnet-out/model", "events.csv", "--json"]);
    assert_eq!(judged["n_rows"], 199);
    assert!(judged["warnings"].to_string().contains("column `alert` is not in the data"), "{judged}");
    w.write("unlabelled.csv", "data\nroot\n");
    let (status, said) = w.fails(&["evaluate", "phantomnet-out/model", "unlabelled.csv"]);
    assert!(status == 3 && said.contains("which the data do not have"), "{status}: {said}");
}

#[test]
fn evaluate_judges_the_gate_on_what_it_measures() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json"]);
    let args = ["evaluate", "phantomnet-out/model", "events.csv", "--json", "--set", "gate.latency_p99_ms=0"];
    assert_eq!(w.json(&args)["gate"]["passed"], true, "latency is the training run's");
    let output = w.run(&[&args[..], &["--set", "gate.accuracy=1.5"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let (code, _) = w.fails(&["evaluate", "phantomnet-out/model", "events.csv", "--set", "gate.acuracy=0.5"]);
    assert_eq!(code, 2);
}

#[test]
fn another_learner_is_one_flag_away_from_a_configured_one() {
    let w = Workplace::new();
    for kind in ["logistic_regression", "majority"] {
        let run = w.json(&["train", "events.csv", "--json", "--seed", "3", "--set", &format!("model.kind={kind}")]);
        assert_eq!(run["params"]["model.kind"], kind);
    }
}

/// A pipe is read once, and what is shown of its events is read again.
#[test]
fn standard_input_is_read_as_a_file_is() {
    let workplace = Workplace::new();
    let temporary = workplace.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let piped = |args: &[&str]| {
        let mut command = workplace.command(args);
        command.env("TMPDIR", &temporary).stdin(fs::File::open(workplace.path("events.csv")).unwrap());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    };
    piped(&["train", "-", "--output", "piped"]);
    workplace.json(&["train", "events.csv", "--output", "file", "--json"]);
    let read = |name: &str| fs::read_to_string(workplace.path(name)).unwrap();
    assert_eq!(read("piped/predictions.csv").replace("\n-,", "\nevents.csv,"), read("file/predictions.csv"));
    assert_eq!(read("piped/rejected.jsonl").replace("\"-\"", "\"events.csv\""), read("file/rejected.jsonl"));
    let golden = |run: &str| read(&format!("{run}/model/golden.jsonl"));
    assert_eq!(golden("piped"), golden("file"));
    let inspected = String::from_utf8(piped(&["inspect", "-"]).stderr).unwrap();
    assert!(inspected.starts_with("-: csv, 199 events, 1 lines rejected"), "{inspected}");
    piped(&["convert", "-", "out.parquet"]);
    let n_rows = |name: &str| workplace.json(&["inspect", name, "--json"])["n_rows"].clone();
    assert_eq!(n_rows("out.parquet"), 199);
    let judged = String::from_utf8(piped(&["evaluate", "piped/model", "-", "--json"]).stdout).unwrap();
    let judged: serde_json::Value = serde_json::from_str(&judged).unwrap();
    assert_eq!(judged, workplace.json(&["evaluate", "piped/model", "events.csv", "--json"]));
    assert!(entries(&temporary).is_empty(), "copies are left");
    let (status, said) = workplace.fails(&["latency", "piped/model", "-"]);
    assert!(status == 3 && said.contains("write standard input to a file"), "{status}: {said}");
}
