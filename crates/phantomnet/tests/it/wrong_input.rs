//! Wrong input: one line that says what is wrong, a hint, the right exit status, and nothing left behind.

use std::fs;

use rstest::rstest;

use crate::program::Workplace;

#[rstest]
#[case::missing_file(&["absent.csv"], 3, "absent.csv")]
#[case::empty_file(&["empty.csv"], 3, "empty.csv")]
#[case::header_only(&["header.csv"], 3, "header.csv")]
#[case::no_match(&["nothing/*.csv"], 3, "nothing/*.csv")]
#[case::preset_of_other_data(&["params.csv", "--preset", "suricata"], 3, "look like those of preset `http_params`, not of `suricata`")]
#[case::unknown_column_in_label(&["events.csv", "--set", "label.expr=evnt = 'x'"], 2, "`evnt`")]
#[case::unknown_column_in_feature(&["events.csv", "--set", "features.x=payload_length(dat)"], 2, "`dat`")]
#[case::unknown_function(&["events.csv", "--set", "features.x=payload_lenght(data)"], 2, "payload_lenght")]
#[case::syntax(&["events.csv", "--set", "features.x=1 +"], 2, "`x`")]
#[case::one_class(&["events.csv", "--set", "label.expr=port > 0"], 3, "attack")]
#[case::no_label(&["events.csv", "--set", "label.expr=''"], 2, "label.expr")]
#[case::leak(&["events.csv", "--set", "features.x=payload_length(event)"], 2, "`payload_length(event)`")]
#[case::unknown_key(&["events.csv", "--set", "model.n_estimator=3"], 2, "model.n_estimators")]
#[case::unknown_section(&["events.csv", "--set", "modle.kind=majority"], 2, "modle")]
#[case::wrong_type(&["events.csv", "--set", "cv.n_folds=many"], 2, "`cv.n_folds`")]
#[case::out_of_range(&["events.csv", "--set", "holdout.test_size=1.5"], 2, "`holdout.test_size`")]
#[case::setting_of_another_learner(&["events.csv", "--set", "model.c=2.0"], 2, "`model.c` is no setting of learner `random_forest`, but of `logistic_regression`")]
#[case::mistyped_learner(&["events.csv", "--set", "model.kind=random_forrest"], 2, "did you mean `random_forest`?")]
#[case::mistyped_word(&["events.csv", "--set", "model.criterion=ginni"], 2, "did you mean `gini`?")]
#[case::mistyped_max_features(&["events.csv", "--set", "model.max_features=sqr"], 2, "did you mean `sqrt`?")]
#[case::mistyped_class_weight(&["events.csv", "--set", "model.class_weight=balance"], 2, "did you mean `balanced`?")]
#[case::share_above_one(&["events.csv", "--set", "model.max_samples=1.5"], 2, "`max_samples` must be above 0 and at most 1, got 1.5")]
#[case::negative_count(&["events.csv", "--set", "model.max_samples=-3"], 2, "`model.max_samples` must be a whole number or a share up to 1.0, got `-3`")]
#[case::one_leaf(&["events.csv", "--set", "model.max_leaf_nodes=1"], 2, "`model.max_leaf_nodes` must be a whole number from 2 on")]
#[case::negative_decrease(&["events.csv", "--set", "model.min_impurity_decrease=-0.1"], 2, "must be a number from 0 on")]
#[case::endless_decrease(&["events.csv", "--set", "model.min_impurity_decrease=inf"], 2, "must be a number from 0 on")]
#[case::oob_without_bootstrap(&["events.csv", "--set", "model.oob_score=true", "--set", "model.bootstrap=false"], 2, "`oob_score`")]
#[case::no_samples_to_balance(&["events.csv", "--set", "model={kind='decision_tree', class_weight='balanced_subsample'}"], 2, "`random_forest` and `extra_trees`")]
#[case::gate_without_oob(&["events.csv", "--set", "gate.oob_accuracy=0.5"], 2, "`gate.oob_accuracy` is no metric of this run")]
#[case::too_many_features(&["events.csv", "--set", "model.max_features=3"], 2, "`max_features` must be at most the number of features, 2, got 3")]
#[case::unknown_class(&["events.csv", "--set", "model.class_weight={nobody = 2.0}"], 2, "`benign`, `attack`, got `nobody`")]
#[case::more_samples_than_rows(&["events.csv", "--set", "model.max_samples=160"], 2, "at most the number of training rows, 159, got 160")]
#[case::more_samples_than_rows_of_a_fold(&["events.csv", "--set", "model.max_samples=150"], 2, "fold 1 of repeat 1 failed: `max_samples` must be")]
#[case::weight_that_is_text(&["events.csv", "--set", "label.weight=event"], 2, "`label.weight` is of type")]
#[case::unknown_column_in_weight(&["events.csv", "--set", "label.weight=prt"], 2, "`prt`")]
#[case::negative_weight(&["events.csv", "--set", "label.weight=port - 21"], 3, "got -1 at events.csv:2; so on 67 of 199 events")]
#[case::missing_weight(&["events.csv", "--set", "label.weight=nullif(port, 21)"], 3, "got missing at events.csv:3")]
#[case::weights_of_nothing(&["events.csv", "--set", "label.weight=0"], 3, "0 on every event of class `benign` to learn from")]
#[case::weight_without_effect(&["events.csv", "--set", "label.weight=1", "--set", "model.kind=majority"], 2, "`label.weight` is for forests")]
#[case::too_many_folds(&["events.csv", "--set", "cv.n_folds=500"], 3, "fold")]
#[case::unknown_gate(&["events.csv", "--set", "gate.acuracy=0.5"], 2, "gate.accuracy")]
#[case::unknown_flag(&["events.csv", "--experimnt", "x"], 2, "--experiment")]
#[case::bad_store(&["events.csv", "--tracking-uri", "ftp://x"], 2, "ftp://x")]
#[case::password_in_store(&["events.csv", "--tracking-uri", "https://ana:pass@host"], 2, "MLFLOW_TRACKING_PASSWORD")]
#[case::query_in_store(&["events.csv", "--tracking-uri", "https://host?x=1"], 2, "no `?`")]
#[case::corrupt_store(&["events.csv", "--tracking-uri", "sqlite:///corrupt.db"], 4, "corrupt.db")]
#[case::unwritable_output(&["events.csv", "--output", "/proc/nowhere"], 4, "/proc/nowhere")]
#[case::file_as_output(&["events.csv", "--output", "events.csv"], 4, "events.csv")]
fn train_refuses(#[case] args: &[&str], #[case] status: i32, #[case] named: &str) {
    let w = Workplace::new();
    w.write("empty.csv", "");
    w.write("params.csv", "payload,length,attack_type,label\nx,1,norm,norm\n<script>,8,xss,anom\n");
    w.write("header.csv", "event,source_ip,port,data\n");
    w.write("corrupt.db", "this is not a database, whatever its name says; it is long enough to be looked at");
    let before = w.entries();
    let args: Vec<&str> = ["train"].iter().chain(args).copied().collect();
    let (code, stderr) = w.fails(&args);
    assert_eq!(code, status, "{stderr}");
    assert!(stderr.contains(named), "does not name `{named}`: {stderr}");
    let errors = stderr.lines().filter(|l| l.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{stderr}");
    assert!(stderr.contains("\nhint: ") || stderr.contains("similar argument"), "{stderr}");
    assert_eq!(w.entries(), before, "left behind");
}

#[test]
fn too_many_rejected_lines_stop_the_run() {
    let w = Workplace::new();
    let text = fs::read_to_string(w.path("events.csv")).unwrap();
    w.write("bad.csv", &text.replace("banner,", "banner,surplus,"));
    let (code, stderr) = w.fails(&["train", "bad.csv"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("max_rejected") && stderr.contains("bad.csv"), "{stderr}");
    w.json(&["train", "bad.csv", "--json", "--set", "data.max_rejected=0.9"]);
}

#[test]
fn an_intended_overlap_is_a_warning_that_the_run_keeps() {
    let w = Workplace::new();
    let args = ["train", "events.csv", "--json", "--run-name", "leaky", "--set", "features.x=payload_length(event)"];
    let run = w.json(&[&args[..], &["--set", "label.allow_overlap=true"]].concat());
    assert!(run["warnings"].to_string().contains("possible leak"), "{run}");
    let shown = w.json(&["runs", "show", "leaky", "--json"]);
    assert!(shown["tags"]["phantomnet.warnings"].as_str().unwrap().contains("payload_length(event)"));
}

#[rstest]
#[case::missing("absent", None)]
#[case::not_a_model("nothing", None)]
#[case::truncated("phantomnet-out/model", Some(("model.onnx", 100)))]
#[case::emptied("phantomnet-out/model", Some(("golden.jsonl", 0)))]
fn a_model_that_cannot_be_trusted_is_refused(#[case] model: &str, #[case] cut: Option<(&str, u64)>) {
    let w = Workplace::new();
    fs::create_dir(w.path("nothing")).unwrap();
    w.json(&["train", "events.csv", "--json"]);
    if let Some((file, len)) = cut {
        let path = w.path("phantomnet-out/model").join(file);
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
    }
    for command in ["predict", "evaluate", "latency"] {
        let (code, stderr) = w.fails(&[command, model, "events.csv"]);
        assert_eq!(code, 3, "{command}: {stderr}");
        assert!(stderr.contains("\nhint: "), "{stderr}");
    }
}

#[test]
fn a_folder_that_is_no_model_is_never_replaced() {
    let w = Workplace::new();
    fs::create_dir_all(w.path("phantomnet-out/model")).unwrap();
    fs::write(w.path("phantomnet-out/model/thesis.tex"), "precious").unwrap();
    let (code, stderr) = w.fails(&["train", "events.csv"]);
    assert_eq!(code, 4, "{stderr}");
    assert!(w.path("phantomnet-out/model/thesis.tex").exists());
}

/// As in `phantomnet inspect events.csv --json | head -1`.
#[rstest]
#[case::document(&["inspect", "events.csv", "--json"])]
#[case::text(&["presets", "list"])]
fn a_reader_that_has_had_enough_is_no_error(#[case] args: &[&str]) {
    let w = Workplace::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = w.command(args).stdout(writer).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !stderr.contains("error"), "{stderr}");
}
