//! Runs in the terminal.

use std::fs;

use serde_json::json;

use crate::program::{Workplace, entries};

#[test]
fn a_run_is_shown_with_the_course_of_its_metrics() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json", "--run-name", "first", "--set", "cv.n_folds=3"]);
    let shown = String::from_utf8(w.run(&["runs", "show", "first"]).stdout).unwrap();
    let line = shown.lines().find(|line| line.trim_start().starts_with("cv_log_loss ")).unwrap();
    assert!(line.contains("3 steps") && line.chars().any(|c| "▁▂▃▄▅▆▇█".contains(c)), "{line}");
    assert!(shown.contains("\nmodels\n  models:/m-"), "{shown}");
    let document = w.json(&["runs", "show", "first", "--json"]);
    let course = document["histories"]["cv_accuracy"].as_array().unwrap();
    assert_eq!(course.iter().map(|point| point["step"].as_i64().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(course[2]["value"], document["metrics"]["cv_accuracy"]);
    // Of the forest of 20 trees: each number of trees is a step, and all of them are the model.
    let by_tree = document["histories"]["by_tree/log_loss"].as_array().unwrap();
    assert_eq!(
        by_tree.iter().map(|point| point["step"].as_i64().unwrap()).collect::<Vec<_>>(),
        (1..=20).collect::<Vec<_>>()
    );
    assert_eq!(by_tree[19]["value"], document["metrics"]["log_loss"]);
}

#[test]
fn runs_are_tested_against_each_other() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json", "--run-name", "first"]);
    w.json(&[
        "train",
        "events.csv",
        "--json",
        "--run-name",
        "stump",
        "--set",
        "features.payload_length='0'",
        "--set",
        "features.payload_digits='0'",
    ]);
    w.json(&["train", "events.csv", "--json", "--run-name", "other rows", "--seed", "7"]);
    let compared = w.json(&["runs", "compare", "first", "stump", "other rows", "--json"]);
    assert_eq!((&compared[0]["gains"], &compared[0]["not_tested"]), (&json!(null), &json!(null)));
    let gain = &compared[1]["gains"]["roc_auc"];
    let value = |run: usize| compared[run]["metrics"]["roc_auc"].as_f64().unwrap();
    assert!((gain["gain"].as_f64().unwrap() - (value(1) - value(0))).abs() < 1e-12, "{gain}");
    assert!(gain["hi"].as_f64().unwrap() < 0.0 && gain["p_not_better"] == 1.0, "{gain}");
    assert_eq!(compared[2]["not_tested"], "they hold out other events");
    assert_eq!(compared[0]["params"]["features.payload_length"], "payload_length(data)");

    let output = w.run(&["runs", "compare", "first", "stump", "other rows"]);
    let (table, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(table.contains("stump over first, on the same held-out events; above 0 is better"), "{table}");
    assert!(
        said.contains("other rows and first cannot be tested against each other: they hold out other events"),
        "{said}"
    );
}

#[test]
fn artifacts_are_listed_and_copied() {
    let w = Workplace::new();
    w.json(&["train", "events.csv", "--json", "--run-name", "first"]);
    let listed = w.json(&["runs", "artifacts", "list", "first", "--json"]);
    let paths: Vec<&str> = listed.as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"report.html") && paths.contains(&"plots"), "{paths:?}");
    w.json(&["runs", "artifacts", "get", "first", "report.html", "--json"]);
    assert_eq!(fs::read(w.path("report.html")).unwrap(), fs::read(w.path("phantomnet-out/report.html")).unwrap());
    let printed = w.run(&["runs", "artifacts", "get", "first", "plots/roc.svg", "-o", "-"]).stdout;
    assert_eq!(printed, fs::read(w.path("phantomnet-out/plots/roc.svg")).unwrap());
    w.json(&["runs", "artifacts", "get", "first", "plots/", "--output", "copy", "--json"]);
    assert_eq!(entries(&w.path("copy")), entries(&w.path("phantomnet-out/plots")));
    for (args, message) in [
        (["runs", "artifacts", "get", "first", "report.html"], "`report.html` is there already"),
        (["runs", "artifacts", "get", "first", "none.txt"], "has no artifact file `none.txt`"),
        (["runs", "artifacts", "get", "first", "../x"], "artifact path `../x` is not valid"),
        (["runs", "artifacts", "get", "second", "x"], "there is no run `second`"),
    ] {
        let (code, stderr) = w.fails(&args);
        assert!(code == 2 && stderr.contains(message), "{code}: {stderr}");
    }
}

#[test]
fn runs_and_models_are_pulled_from_another_store() {
    let w = Workplace::new();
    let trained = w.json(&["train", "events.csv", "--register", "ssh", "--json", "--run-name", "first"]);
    let here = ["--from", "sqlite:///mlflow.db", "--tracking-uri", "sqlite:///other.db", "--json"];
    let pull = |what: &str, more: &[&str]| w.json(&[&["runs", "pull", what], &here[..], more].concat());
    let pulled = pull("first", &["--experiment", "elsewhere"]);
    assert_ne!(pulled[0]["run_id"], trained["run_id"]);
    assert_eq!(pull("first", &["--experiment", "elsewhere"]), pulled, "copying again makes no second copy");
    let shown = w.json(&["runs", "show", "first", "--tracking-uri", "sqlite:///other.db", "--json"]);
    let original = w.json(&["runs", "show", "first", "--json"]);
    for same in
        ["run_name", "user", "status", "start_time_ms", "end_time_ms", "params", "metrics", "histories", "artifacts"]
    {
        assert_eq!(shown[same], original[same], "{same}");
    }
    assert_eq!(
        (&shown["experiment"], &shown["tags"]["phantomnet.copied_run_id"]),
        (&json!("elsewhere"), &trained["run_id"])
    );

    assert_eq!(pull("models:/ssh@challenger", &[])[0]["version"], 1);
    let there = w.run(&["predict", "models:/ssh/1", "events.csv", "--tracking-uri", "sqlite:///other.db"]).stdout;
    assert_eq!(there, w.run(&["predict", "models:/ssh/1", "events.csv"]).stdout);
    let (code, stderr) = w.fails(&["runs", "pull", "second", "--from", "sqlite:///mlflow.db"]);
    assert!(code == 2 && stderr.contains("there is no run `second`"), "{stderr}");
    let (code, stderr) = w.fails(&["runs", "pull", "first", "--from", "sqlite:///none.db"]);
    assert!(code == 4 && stderr.contains("there is no tracking database"), "{stderr}");
}

#[test]
fn folds_are_runs_below_their_run_and_the_machine_is_watched() {
    let w = Workplace::new();
    let mut train = w.command(&[
        "train",
        "events.csv",
        "--json",
        "--run-name",
        "parent",
        "--set",
        "cv.n_folds=3",
        "--set",
        "tracking.fold_runs=true",
    ]);
    train.env("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true").env("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2");
    let output = train.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parent: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = parent["run_id"].as_str().unwrap();
    let filter = format!("tags.`mlflow.parentRunId` = '{id}'");
    let folds = w.json(&["runs", "list", "--filter", &filter, "--json", "--order-by", "params.fold ASC"]);
    let folds = folds.as_array().unwrap();
    let names: Vec<&str> = folds.iter().map(|fold| fold["run_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["parent fold 1.1", "parent fold 1.2", "parent fold 1.3"]);
    let mean = folds.iter().map(|fold| fold["metrics"]["accuracy"].as_f64().unwrap()).sum::<f64>() / 3.0;
    assert!((mean - parent["metrics"]["cv_accuracy_mean"].as_f64().unwrap()).abs() < 1e-12);
    assert!(folds.iter().all(|fold| fold["status"] == "FINISHED"));
    let shown = w.json(&["runs", "show", id, "--json"]);
    let memory = shown["metrics"]["system/system_memory_usage_percentage"].as_f64().unwrap();
    assert!(memory > 0.0 && memory < 100.0, "{memory}");
}
