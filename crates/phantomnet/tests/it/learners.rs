//! The learners by their hyperparameters, as a user sets them.

use std::fs;

use phantomnet_model::Forest;
use rstest::rstest;
use serde_json::Value;

use crate::program::{CONFIG, Workplace, events};

/// [`CONFIG`] without its learner.
fn without_model() -> String {
    CONFIG.split("[model]").next().unwrap().to_owned()
}

fn forest(w: &Workplace, out: &str) -> Forest {
    Forest::from_bytes(&fs::read(w.path(out).join("model/forest.bin")).unwrap()).unwrap()
}

/// `train --json` with `--set` for each setting.
fn train(w: &Workplace, out: &str, settings: &[&str]) -> Value {
    let mut args = vec!["train", "events.csv", "--json", "--output", out];
    args.extend(settings.iter().flat_map(|s| ["--set", *s]));
    w.json(&args)
}

#[rstest]
#[case::random_forest(
    "kind = 'random_forest'\nn_estimators = 7\ncriterion = 'entropy'\nmax_depth = 5\nmax_features = 0.5\nmin_samples_split = 4\n\
     min_samples_leaf = 2\nmax_leaf_nodes = 9\nmin_impurity_decrease = 0.001\nclass_weight = 'balanced_subsample'\n\
     max_samples = 0.5\nmax_bins = 16\ncategory_order = 'target'\nseed = 3"
)]
#[case::extra_trees(
    "kind = 'extra_trees'\nn_estimators = 7\ncriterion = 'log_loss'\nbootstrap = true\nmax_samples = 50\noob_score = true\n\
     max_features = 'all'"
)]
#[case::decision_tree(
    "kind = 'decision_tree'\nmax_depth = 5\nmax_leaf_nodes = 9\nmax_features = 'log2'\nclass_weight = { attack = 2.0 }"
)]
fn hyperparameters_reach_the_learner(#[case] model: &str) {
    let w = Workplace::new();
    w.write("phantomnet.toml", &format!("{}[model]\n{model}", without_model()));
    let run = w.json(&["train", "events.csv", "--json"]);
    for (name, value) in &model.parse::<toml::Table>().unwrap() {
        let recorded = run["params"][if name == "kind" { "model.kind" } else { name }].as_str().unwrap();
        let expected = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Table(_) => "{attack: 2}".to_owned(),
            other => other.to_string(),
        };
        assert_eq!(recorded, expected, "{name}");
    }
    assert_eq!(w.json(&["evaluate", "phantomnet-out/model", "events.csv", "--json"])["n_rows"], 199);
}

#[rstest]
#[case::random_forest("random_forest", Some("true"), "sqrt", "blurred")]
#[case::extra_trees("extra_trees", Some("false"), "sqrt", "blurred")]
#[case::decision_tree("decision_tree", None, "all", "target")]
fn defaults_are_those_of_the_learner(
    #[case] kind: &str,
    #[case] bootstrap: Option<&str>,
    #[case] max_features: &str,
    #[case] category_order: &str,
) {
    let w = Workplace::new();
    w.write("phantomnet.toml", &without_model());
    let run = train(&w, "out", &[&format!("model.kind={kind}"), "cv.n_folds=0"]);
    let param = |name: &str| run["params"].get(name).map(|v| v.as_str().unwrap().to_owned());
    assert_eq!(param("bootstrap").as_deref(), bootstrap);
    assert_eq!(param("n_estimators").as_deref(), bootstrap.map(|_| "100"));
    assert_eq!(param("max_features").as_deref(), Some(max_features));
    assert_eq!(param("category_order").as_deref(), Some(category_order));
    let resolved: toml::Table = fs::read_to_string(w.path("out/config.toml")).unwrap().parse().unwrap();
    assert_eq!(resolved["model"]["max_features"].as_str(), Some(max_features));
}

#[rstest]
#[case::two_classes(&[], &["oob_accuracy", "oob_log_loss", "oob_roc_auc"])]
#[case::four_classes(&["label.expr=event"], &["oob_accuracy", "oob_log_loss"])]
fn out_of_bag_metrics_are_told_recorded_and_gated(#[case] settings: &[&str], #[case] keys: &[&str]) {
    let w = Workplace::new();
    let settings = [settings, &["model.oob_score=true", "gate.oob_log_loss=9", "tracking.run_name=oob"]].concat();
    let run = train(&w, "out", &settings);
    let found: Vec<&str> =
        run["metrics"].as_object().unwrap().keys().map(String::as_str).filter(|k| k.starts_with("oob_")).collect();
    assert_eq!(found, keys);
    assert_eq!(run["gate"]["conditions"][0]["at_least"], false);
    let shown = w.json(&["runs", "show", "oob", "--json"]);
    assert_eq!(shown["metrics"]["oob_accuracy"], run["metrics"]["oob_accuracy"]);
    assert!(run["metrics"]["oob_accuracy"].as_f64().unwrap() > run["metrics"]["baseline_accuracy"].as_f64().unwrap());
    assert!(fs::read_to_string(w.path("out/report.html")).unwrap().contains("oob_accuracy"));
}

#[test]
fn too_few_trees_for_out_of_bag_metrics_are_warned_of() {
    let w = Workplace::new();
    let run = train(&w, "out", &["model.oob_score=true", "model.n_estimators=1", "cv.n_folds=0"]);
    assert!(run["warnings"].to_string().contains("in no out-of-bag metric"), "{run}");
    let output = w.run(&["train", "events.csv", "--set", "model.oob_score=true"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("out of bag"), "{text}");
}

#[test]
fn weights_shape_the_forest_and_are_no_feature() {
    let w = Workplace::new();
    train(&w, "plain", &["cv.n_folds=2"]);
    let once = train(&w, "once", &["cv.n_folds=2", "label.weight=1"]);
    assert_eq!(forest(&w, "plain"), forest(&w, "once"));
    assert_eq!(once["params"]["label.weight"], "1");
    // The label reads the same column: a weight is no feature, so that is no leak.
    train(&w, "weighted", &["cv.n_folds=2", "label.weight=CASE event WHEN 'banner' THEN 5 ELSE 0.5 END"]);
    assert_ne!(forest(&w, "plain"), forest(&w, "weighted"));
    // Scoring asks for the columns of the features alone.
    w.write("no-weight.csv", "data\nhello hello\n");
    let output = w.run(&["predict", "weighted/model", "no-weight.csv"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn columns_that_the_weight_reads_are_no_default_features() {
    let w = Workplace::new();
    w.write("phantomnet.toml", "[label]\nexpr = \"event IN ('login_failed', 'command')\"\n[cv]\nn_folds = 0");
    let features = |out: &str, settings: &[&str]| -> Vec<String> {
        train(&w, out, settings);
        let pipeline: toml::Table =
            fs::read_to_string(w.path(out).join("model/pipeline.toml")).unwrap().parse().unwrap();
        let names = pipeline["features"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap().to_owned());
        names.collect()
    };
    let all = features("all", &[]);
    let rest = features("rest", &["label.weight=port"]);
    assert!(all.contains(&"port".to_owned()), "{all:?}");
    assert_eq!(rest, all.into_iter().filter(|name| name != "port").collect::<Vec<_>>());
}

/// Settings of all runs below: a category too, for its dictionary must be kept.
const SERVICE: &str = "features.service=CASE port WHEN 20 THEN 'ftp' WHEN 21 THEN 'ssh' ELSE 'web' END";

#[test]
fn a_warm_start_keeps_the_trees_and_grows_the_others() {
    let w = Workplace::new();
    train(&w, "kept", &[SERVICE]);
    let more = [SERVICE, "model.n_estimators=30"];
    let grown = train(&w, "grown", &[&more[..], &["model.warm_start=kept/model"]].concat());
    let fresh = train(&w, "at-once", &more);
    let [kept, grown_forest, at_once] = ["kept", "grown", "at-once"].map(|out| forest(&w, out));
    assert_eq!((kept.n_trees(), grown_forest.n_trees()), (20, 30));
    for (i, tree) in grown_forest.trees().enumerate() {
        assert_eq!(tree.nodes(), at_once.tree(i).nodes(), "tree {i}");
    }
    // The kept trees have seen the rows of every fold: there they are grown anew.
    assert_eq!(grown["metrics"]["cv_log_loss_mean"], fresh["metrics"]["cv_log_loss_mean"]);
    assert_eq!((&grown["params"]["warm_start"], &grown["warnings"]), (&"kept/model".into(), &Value::Array(Vec::new())));
}

#[test]
fn a_warm_start_on_other_data_is_a_warning() {
    let w = Workplace::new();
    train(&w, "kept", &[SERVICE]);
    w.write("events.csv", &events(240));
    let run = train(&w, "grown", &[SERVICE, "model.n_estimators=30", "model.warm_start=kept/model"]);
    assert!(run["warnings"].to_string().contains("the kept trees learned from other data"), "{run}");
}

#[rstest]
#[case::fewer_trees(&["model.n_estimators=20"], 2, "above the 20 trees")]
#[case::other_learner(&["model.kind=extra_trees"], 2, "`random_forest`, of which `extra_trees` cannot grow more")]
#[case::not_a_forest(&["model.kind=decision_tree"], 2, "but of `random_forest`, `extra_trees`")]
#[case::other_holdout(&["holdout.test_size=0.3"], 2, "held out here")]
#[case::other_label(&["label.expr=event IN ('command')"], 2, "`event IN ('command')`")]
#[case::other_classes(&["label.positive=benign"], 2, "")]
#[case::other_expression(&["features.payload_length=octet_length(data)"], 2, "`payload_length = octet_length(data)` (number)")]
#[case::one_feature_more(&["features.x=port"], 2, "has 3 features, here there are 4")]
#[case::no_folder(&["model.warm_start=absent"], 3, "absent")]
#[case::another_model(&["model.warm_start=linear/model"], 2, "is of `logistic_regression`")]
fn a_warm_start_of_something_else_is_refused(#[case] settings: &[&str], #[case] status: i32, #[case] named: &str) {
    let w = Workplace::new();
    train(&w, "kept", &[SERVICE, "cv.n_folds=0"]);
    train(&w, "linear", &["model.kind=logistic_regression", "cv.n_folds=0"]);
    let before = (w.entries(), w.json(&["runs", "list", "--json"]));
    let all = [&[SERVICE, "model.n_estimators=30", "model.warm_start=kept/model"], settings].concat();
    let mut args = vec!["train", "events.csv"];
    args.extend(all.iter().flat_map(|s| ["--set", *s]));
    let (code, stderr) = w.fails(&args);
    assert_eq!(code, status, "{stderr}");
    assert!(stderr.contains(named) && stderr.contains("\nhint: "), "does not name `{named}`: {stderr}");
    assert_eq!((w.entries(), w.json(&["runs", "list", "--json"])), before, "left behind");
}
