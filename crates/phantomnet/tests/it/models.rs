//! Registered models: named, judged, promoted and rolled back.

use std::fs;

use phantomnet_track::{Tag, open};
use rstest::rstest;
use serde_json::{Value, json};

use crate::program::{Workplace, entries, events};

/// A workplace with a first version of `ssh`, and events that it has not seen.
fn workplace() -> Workplace {
    let w = Workplace::new();
    w.write("new.csv", &unseen());
    let run = w.json(&["train", "events.csv", "--register", "ssh", "--run-name", "first", "--json"]);
    assert_eq!(run["registered"], json!({"name": "ssh", "version": 1, "alias": "challenger"}));
    w
}

fn unseen() -> String {
    let all = events(600);
    let mut lines = all.lines();
    let head = lines.next().unwrap().to_owned();
    std::iter::once(head).chain(lines.skip(200).map(str::to_owned)).collect::<Vec<_>>().join("\n") + "\n"
}

/// Trains another version, with settings.
fn train(w: &Workplace, settings: &[&str]) -> Value {
    let mut args = vec!["train", "events.csv", "--register", "ssh", "--json"];
    settings.iter().for_each(|setting| args.extend(["--set", setting]));
    w.json(&args)
}

/// What `promote` prints, and whether it promoted.
fn promote(w: &Workplace, args: &[&str]) -> (Option<i32>, Value) {
    let output = w.run(&[&["models", "promote"], args, &["--json"]].concat());
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), document)
}

fn condition<'a>(document: &'a Value, name: &str) -> &'a Value {
    let conditions = document["judged"]["conditions"].as_array().unwrap();
    conditions.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("no condition {name}: {conditions:?}"))
}

fn aliases(w: &Workplace) -> Value {
    w.json(&["models", "show", "ssh", "--json"])["aliases"].clone()
}

#[test]
fn a_challenger_is_judged_promoted_and_rolled_back() {
    let w = workplace();
    assert_eq!(aliases(&w), json!({"challenger": 1}));
    let (code, first) = promote(&w, &["ssh", "new.csv"]);
    assert_eq!(
        (code, &first["promoted"], &first["previous"], &first["champion"]),
        (Some(0), &json!(true), &Value::Null, &json!(1))
    );
    assert_eq!(first["judged"]["n_rows"], 400);
    assert_eq!(aliases(&w), json!({"champion": 1}));

    // A stump is no match for it, and says so in figures.
    train(
        &w,
        &["model.n_estimators=1", "model.max_depth=1", "features.payload_length='0'", "features.payload_digits='0'"],
    );
    let (code, second) = promote(&w, &["ssh", "new.csv"]);
    assert_eq!((code, &second["promoted"], &second["champion"]), (Some(1), &json!(false), &json!(1)));
    let gain = condition(&second, "gain");
    assert!(gain["passed"] == false && gain["value"].as_f64().unwrap() < 0.0, "{gain}");
    assert_eq!(condition(&second, "signature")["passed"], true);
    assert_eq!(aliases(&w), json!({"champion": 1, "challenger": 2}));
    let accuracy =
        second["judged"]["gains"].as_array().unwrap().iter().find(|gain| gain["metric"] == "accuracy").unwrap();
    let evaluated = w.json(&["evaluate", "models:/ssh@champion", "new.csv", "--json"]);
    assert_eq!(accuracy["champion"], evaluated["metrics"]["accuracy"]);

    // The same model again is no worse.
    train(&w, &[]);
    let (code, third) = promote(&w, &["ssh", "new.csv"]);
    assert_eq!((code, condition(&third, "gain")["value"].as_f64()), (Some(0), Some(0.0)));

    let (code, stderr) = w.fails(&["models", "promote", "models:/ssh/2", "new.csv", "--force"]);
    assert!(code == 2 && stderr.contains("--reason"), "{stderr}");
    let (code, forced) = promote(&w, &["models:/ssh/2", "--force", "--reason", "fire drill"]);
    assert_eq!((code, &forced["forced"], &forced["judged"]), (Some(0), &json!(true), &Value::Null));

    let back = w.json(&["models", "rollback", "ssh", "--reason", "it was a drill", "--json"]);
    assert_eq!((&back["previous"], &back["champion"]), (&json!(2), &json!(3)));
    assert_eq!(w.json(&["models", "rollback", "ssh", "--json"])["champion"], 1);
    let (code, stderr) = w.fails(&["models", "rollback", "ssh"]);
    assert!(code == 2 && stderr.contains("knows no champion before this one"), "{stderr}");

    let history = w.json(&["models", "history", "ssh", "--verify", "--json"]);
    let entries = history["entries"].as_array().unwrap();
    let actions: Vec<&str> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["promote", "reject", "promote", "promote", "rollback", "rollback"]);
    assert_eq!(history["problems"], json!([]));
    assert_eq!(entries[0]["data"], json!([first["judged"]["data_fingerprint"], 400]));
    assert_eq!((&entries[3]["forced"], &entries[3]["reason"]), (&json!(true), &json!("fire drill")));
    let head = entries[5]["hash"].as_str().unwrap();
    w.json(&["models", "history", "ssh", "--verify", "--head", head, "--json"]);
    let at = |time: &str| w.json(&["models", "history", "ssh", "--at", time, "--json"])["champion"].clone();
    assert_eq!((at("2020-01-01"), at("2999-01-01T00:00:00Z")), (Value::Null, json!(1)));
}

#[test]
fn what_stands_against_a_challenger_is_named() {
    let w = workplace();
    let (code, seen) = promote(&w, &["ssh", "events.csv"]);
    let unseen = condition(&seen, "unseen_data");
    assert!(code == Some(1) && unseen["passed"] == false, "{unseen}");
    assert_eq!(promote(&w, &["ssh", "new.csv"]).0, Some(0));

    train(&w, &["features.port='port'"]);
    let (code, other_columns) = promote(&w, &["ssh", "new.csv"]);
    let figures = condition(&other_columns, "signature")["figures"].as_str().unwrap().to_owned();
    assert!(code == Some(1) && figures.contains("it reads column `port`"), "{figures}");

    train(&w, &["label.expr=event IN ('login_failed')"]);
    let (code, other_label) = promote(&w, &["ssh", "new.csv"]);
    let figures = condition(&other_label, "labels")["figures"].as_str().unwrap().to_owned();
    assert!(code == Some(1) && figures.contains("100 events"), "{figures}");

    train(&w, &[]);
    let limits = ["promotion.max_latency_p99_ms=1e-9", "promotion.max_false_positive_rate=0", "gate.f1=0.5"];
    let mut args = vec!["ssh", "new.csv"];
    limits.iter().for_each(|limit| args.extend(["--set", limit]));
    let (code, limited) = promote(&w, &args);
    assert_eq!(code, Some(1));
    for (name, passed) in [
        ("golden", true),
        ("signature", true),
        ("unseen_data", true),
        ("gain", true),
        ("gate.f1", true),
        ("false_positive_rate", true),
        ("latency_p99_ms", false),
    ] {
        assert_eq!(condition(&limited, name)["passed"], passed, "{name}");
    }
    assert!(condition(&limited, "latency_ratio")["value"].as_f64().unwrap() > 0.0);
    // It knows nothing, and flags everything.
    train(&w, &["evaluate.decision_threshold=0.0", "features.payload_length='0'", "features.payload_digits='0'"]);
    let budget = "promotion.max_false_positive_rate=0.001";
    let (code, alarming) = promote(&w, &["ssh", "new.csv", "--set", budget]);
    let rate = condition(&alarming, "false_positive_rate");
    assert!(code == Some(1) && rate["passed"] == false && rate["value"].as_f64().unwrap() > 0.001, "{rate}");
    let (code, stderr) = w.fails(&["models", "promote", "ssh", "new.csv", "--set", "promotion.metric=f1_makro"]);
    assert!(code == 2 && stderr.contains("did you mean `f1_macro`?"), "{stderr}");
    let (code, stderr) = w.fails(&["models", "promote", "ssh"]);
    assert!(code == 2 && stderr.contains("promotion.data"), "{stderr}");
    assert_eq!(aliases(&w)["champion"], 1);
}

#[test]
fn tampering_is_seen() {
    let w = workplace();
    assert_eq!(promote(&w, &["ssh", "new.csv"]).0, Some(0));
    let verify = |head: &[&str]| {
        let output = w.run(&[&["models", "history", "ssh", "--verify", "--json"], head].concat());
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code().unwrap(), document["problems"].to_string())
    };
    assert_eq!(verify(&[]), (0, "[]".into()));
    let (code, problems) = verify(&["--head", "00"]);
    assert!(code == 3 && problems.contains("entry `00` is not in the history"), "{problems}");

    let mut store = open(&format!("sqlite:///{}", w.path("mlflow.db").display())).unwrap();
    let tags = store.registered_model("ssh").unwrap().tags;
    let (key, text) = tags.iter().find(|(key, _)| key.starts_with("phantomnet.history.")).unwrap();
    store.tag_registered_model("ssh", &Tag::new(key, text.replace("\"champion\":1", "\"champion\":2"))).unwrap();
    let (code, problems) = verify(&[]);
    assert!(code == 3 && problems.contains("has been changed"), "{problems}");
    let shown = w.run(&["models", "history", "ssh"]);
    assert!(shown.status.success() && String::from_utf8_lossy(&shown.stderr).contains("has been changed"));
    store.tag_registered_model("ssh", &Tag::new(key, text)).unwrap();
    assert_eq!(verify(&[]), (0, "[]".into()));

    train(&w, &[]);
    for version in ["1", "2"] {
        let shown = w.json(&["models", "show", &format!("models:/ssh/{version}"), "--json"]);
        let pipeline = std::path::Path::new(shown["location"].as_str().unwrap()).join("pipeline.toml");
        fs::write(&pipeline, fs::read_to_string(&pipeline).unwrap().replace("digit_ratio", "payload_bytes")).unwrap();
    }
    let (code, problems) = verify(&[]);
    assert!(code == 3 && problems.contains("the files of version 1"), "{problems}");
    let (code, stderr) = w.fails(&["models", "promote", "ssh", "new.csv"]);
    assert!(code == 3 && stderr.contains("the champion cannot be loaded"), "{stderr}");
    w.json(&["models", "delete", "models:/ssh/1", "--force", "--json"]);
    let (code, altered) = promote(&w, &["ssh", "new.csv"]);
    assert!(code == Some(1) && condition(&altered, "golden")["passed"] == false, "{altered}");
}

#[test]
fn every_command_takes_every_name_of_a_model() {
    let w = workplace();
    let model_id = w.json(&["runs", "show", "first", "--json"])["model_ids"][0].as_str().unwrap().to_owned();
    let logged = format!("models:/{model_id}");
    let names = [logged.as_str(), "models:/ssh/1", "models:/ssh@challenger", "models:/ssh/latest", "runs:/first/model"];
    let predicted = w.run(&["predict", "phantomnet-out/model", "new.csv"]).stdout;
    let evaluated = w.json(&["evaluate", "phantomnet-out/model", "new.csv", "--json"]);
    for name in names {
        assert_eq!(w.run(&["predict", name, "new.csv"]).stdout, predicted, "{name}");
        assert_eq!(w.json(&["evaluate", name, "new.csv", "--json"])["metrics"], evaluated["metrics"], "{name}");
        assert!(w.json(&["latency", name, "--json"])["latency_p50_us"].as_f64().unwrap() > 0.0, "{name}");
    }
    let warm = w.json(&[
        "train",
        "events.csv",
        "--json",
        "--set",
        "model.warm_start=models:/ssh/1",
        "--set",
        "model.n_estimators=25",
    ]);
    assert_eq!(warm["params"]["warm_start"], "models:/ssh/1");

    let report = w.json(&[
        "models",
        "load-test",
        "models:/ssh/1",
        "new.csv",
        "--seconds",
        "1",
        "--threads",
        "2",
        "--rate",
        "1000",
        "--json",
    ]);
    let n_events = report["n_events"].as_u64().unwrap();
    assert!((500..=1002).contains(&n_events), "{report}");
    assert!(
        report["latency"]["latency_p50_us"].as_f64().unwrap() <= report["latency"]["latency_max_us"].as_f64().unwrap()
    );
}

#[rstest]
#[case(&["predict", "models:/nobody/1", "new.csv"], "there is no registered model `nobody`")]
#[case(&["evaluate", "models:/ssh/9", "new.csv"], "registered model `ssh` has no version 9")]
#[case(&["latency", "models:/ssh@prod"], "registered model `ssh` has no alias `prod`")]
#[case(&["predict", "models:/ssh", "new.csv"], "expected `models:/NAME/3`")]
#[case(&["predict", "runs:/first/other", "new.csv"], "there is no logged model `runs:/")]
#[case(&["models", "show", "nobody"], "there is no registered model `nobody`")]
#[case(&["models", "rollback", "nobody"], "there is no registered model `nobody`")]
#[case(&["models", "delete", "ssh"], "has 1 versions and a history")]
#[case(&["models", "edit", "models:/ssh/1", "--alias", "champion"], "the champion is not named by an alias alone")]
#[case(&["models", "edit", "models:/ssh/1", "--alias", "v2"], "alias `v2` is not valid")]
#[case(&["models", "register", "runs:/first/model", "a/b"], "registered model name `a/b` is not valid")]
#[case(&["models", "history", "ssh", "--at", "yesterday"], "expected a day such as 2026-11-25")]
#[case(&["train", "events.csv", "--register", "a:b"], "`registry.name` must be 1 to 256 characters")]
#[case(&["train", "events.csv", "--register", "a", "--set", "registry.alias=champion"], "cannot be `champion`")]
fn wrong_names_are_errors_of_usage(#[case] args: &[&str], #[case] message: &str) {
    let w = workplace();
    let (code, stderr) = w.fails(args);
    assert!(code == 2 && stderr.contains(message), "{code}: {stderr}");
    assert_eq!(w.json(&["runs", "list", "--json"]).as_array().unwrap().len(), 1, "nothing was trained");
}

#[test]
fn a_model_that_does_not_meet_the_gate_is_not_registered() {
    let w = workplace();
    let output = w.run(&["train", "events.csv", "--register", "ssh", "--json", "--set", "gate.latency_p99_us=1e-9"]);
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &run["registered"]), (Some(1), &Value::Null));
    assert!(run["warnings"].to_string().contains("the model is no version of `ssh`: the gate is not met"));
    assert_eq!(w.json(&["models", "show", "ssh", "--json"])["versions"].as_array().unwrap().len(), 1);
}

#[test]
fn models_are_registered_edited_downloaded_and_deleted() {
    let w = workplace();
    let version = w.json(&[
        "models",
        "register",
        "phantomnet-out/model",
        "ssh",
        "--alias",
        "",
        "--description",
        "by hand",
        "--tag",
        "team=blue",
        "--json",
    ]);
    assert_eq!(
        (&version["version"], &version["aliases"], &version["tags"]["team"]),
        (&json!(2), &json!([]), &json!("blue"))
    );
    assert_eq!(w.json(&["models", "register", "models:/ssh/1", "ftp", "--json"])["aliases"], json!(["challenger"]));
    w.json(&["models", "edit", "ssh", "--description", "logins", "--tag", "owner=ana", "--json"]);
    let edited =
        w.json(&["models", "edit", "models:/ssh/2", "--alias", "canary", "--remove-alias", "challenger", "--json"]);
    assert_eq!(edited["aliases"], json!(["canary"]));
    let listed = w.json(&["models", "list", "--json"]);
    assert_eq!(listed[1]["description"], "logins");
    assert_eq!((&listed[1]["tags"], &listed[1]["aliases"]), (&json!({"owner": "ana"}), &json!({"canary": 2})));
    let table = String::from_utf8(w.run(&["models", "list"]).stdout).unwrap();
    assert!(table.lines().count() == 3 && table.contains("logins"), "{table}");

    w.json(&["models", "download", "models:/ssh@canary", "copies/model", "--json"]);
    assert_eq!(entries(&w.path("copies/model")), entries(&w.path("phantomnet-out/model")));
    assert_eq!(entries(&w.path("copies")), ["model"], "no staging folder is left");
    let (code, stderr) = w.fails(&["models", "download", "models:/ssh@canary", "copies/model"]);
    assert!(code == 2 && stderr.contains("is there already"), "{stderr}");

    assert_eq!(promote(&w, &["models:/ssh/2", "new.csv"]).0, Some(0));
    let (code, stderr) = w.fails(&["models", "delete", "models:/ssh/2"]);
    assert!(code == 2 && stderr.contains("is the champion"), "{stderr}");
    w.json(&["models", "delete", "models:/ssh/2", "--force", "--reason", "leaked", "--json"]);
    assert_eq!(aliases(&w), json!({}));
    let history = w.json(&["models", "history", "ssh", "--verify", "--json"]);
    assert_eq!(
        (&history["entries"][1]["action"], &history["entries"][1]["champion"]),
        (&json!("delete"), &Value::Null)
    );
    w.json(&["models", "delete", "ftp", "--force", "--json"]);
    assert_eq!(w.json(&["models", "list", "--json"]).as_array().unwrap().len(), 1);
}
