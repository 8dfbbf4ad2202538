//! Trees and forests of scikit-learn, from `testdata/parity/forest`.

use super::*;
use serde_json::Value;
use std::path::PathBuf;

fn read(file: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../testdata/parity/forest", file].iter().collect();
    std::fs::read_to_string(path).expect("the goldens are in the repository")
}

/// The numbers of a list; null is NaN.
fn list(json: &Value) -> Vec<f64> {
    json.as_array().into_iter().flatten().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

fn table(json: &Value) -> Dataset {
    let columns = json["x"].as_array().into_iter().flatten();
    let columns = columns.map(|column| list(column).into_iter().map(|x| x as f32).collect());
    numbers(columns.collect(), list(&json["y"]).into_iter().map(|y| y as u32).collect())
}

/// A tree of scikit-learn and the rows of each of its nodes.
struct Golden {
    feature: Vec<f64>,
    threshold: Vec<f64>,
    children: Vec<[f64; 2]>,
    shares: Vec<Vec<f64>>,
    rows: Vec<Vec<u32>>,
}

impl Golden {
    fn new(json: &Value) -> Self {
        let children: Vec<[f64; 2]> =
            list(&json["left"]).into_iter().zip(list(&json["right"])).map(|(left, right)| [left, right]).collect();
        let mut rows = vec![Vec::new(); children.len()];
        for (row, leaf) in (0..).zip(list(&json["leaf"])) {
            rows[leaf as usize].push(row);
        }
        // Children follow their parent.
        for node in (0..children.len()).rev().filter(|&node| children[node][0] > 0.0) {
            let [left, right] = children[node].map(|child| rows[child as usize].clone());
            rows[node] = [left, right].concat();
            rows[node].sort_unstable();
        }
        let shares = json["shares"].as_array().into_iter().flatten().map(list).collect();
        Self { feature: list(&json["feature"]), threshold: list(&json["threshold"]), children, shares, rows }
    }
}

fn learner(params: &Value) -> ForestLearner {
    let number = |name: &str| params[name].as_u64().map(|n| n as usize);
    let class_weight = |weights: &Value| {
        let weights = list(weights);
        let names = classes(weights.len().max(2)).names;
        ClassWeight::Map(names.into_iter().zip(weights).collect())
    };
    ForestLearner {
        criterion: if params["criterion"] == "gini" { Criterion::Gini } else { Criterion::Entropy },
        max_depth: number("max_depth"),
        min_samples_split: number("min_samples_split").unwrap_or(2),
        min_samples_leaf: number("min_samples_leaf").unwrap_or(1),
        max_leaf_nodes: number("max_leaf_nodes"),
        class_weight: Some(&params["class_weight"]).filter(|w| !w.is_null()).map_or(ClassWeight::None, class_weight),
        ..ForestLearner::decision_tree()
    }
}

/// Checks node `ours` of a tree, which is node `theirs` of the golden, and all below.
fn check(tree: &Tree, of_nodes: &[Vec<u32>], ours: u32, golden: &Golden, theirs: usize, data: &Dataset) {
    let rows = &of_nodes[ours as usize];
    assert_eq!(rows, &golden.rows[theirs], "rows of node {theirs}");
    match tree.nodes()[ours as usize] {
        Node::Leaf(leaf) => {
            assert!(golden.feature[theirs] < 0.0, "node {theirs} is no leaf");
            for (share, expected) in tree.leaf(leaf, data.classes().len()).iter().zip(&golden.shares[theirs]) {
                assert!((f64::from(*share) - expected).abs() < 1e-6, "share {share}, not {expected}, in node {theirs}");
            }
        }
        Node::Split { feature, test, left, right, .. } => {
            assert_eq!(f64::from(feature), golden.feature[theirs], "feature of node {theirs}");
            let [mut their_left, mut their_right] = golden.children[theirs].map(|child| child as usize);
            let Test::AtMost(threshold) = test else { panic!("{test:?}") };
            let expected = golden.threshold[theirs] as f32;
            if threshold == INF {
                // Missing values alone are on one side: scikit-learn may have them on either.
                if of_nodes[left as usize] != golden.rows[their_left] {
                    (their_left, their_right) = (their_right, their_left);
                }
            } else {
                // Half-way between two values of the node there, of the training rows here.
                let column = data.column(feature as usize);
                let of_node: Vec<f32> = rows.iter().map(|&row| column[row as usize]).collect();
                let below = of_node.iter().copied().filter(|&x| x <= threshold).fold(-INF, f32::max);
                let above = of_node.iter().copied().filter(|&x| x > threshold).fold(INF, f32::min);
                assert!(below < expected && expected < above, "{below} {expected} {above}");
                if !column.iter().any(|&x| below < x && x < above) {
                    assert_eq!(threshold, expected, "node {theirs}");
                }
            }
            check(tree, of_nodes, left, golden, their_left, data);
            check(tree, of_nodes, right, golden, their_right, data);
        }
    }
}

#[test]
fn decision_trees_are_those_of_scikit_learn() {
    let text = read("trees.jsonl");
    let mut n_trees = 0;
    for line in text.lines().skip(1) {
        let json: Value = serde_json::from_str(line).expect("each line is JSON");
        let data = table(&json);
        let data = match json["w"].is_null() {
            true => data,
            false => data.with_weights(list(&json["w"]).into_iter().map(|w| w as f32).collect()).unwrap(),
        };
        let tree = grow_tree(&learner(&json["params"]), &data);
        let of_nodes = rows_of_nodes(&tree, &data, &all_rows(&data));
        check(&tree, &of_nodes, 0, &Golden::new(&json), 0, &data);
        n_trees += 1;
    }
    assert_eq!(n_trees, 300);
}

#[test]
fn out_of_bag_accuracy_is_that_of_scikit_learn() {
    let json: Value = serde_json::from_str(&read("oob.json")).expect("JSON");
    let data = table(&json);
    let ours: Vec<f64> = (0..20)
        .map(|seed| {
            let learner = ForestLearner { oob_score: true, seed, ..ForestLearner::random_forest() };
            let fit = learner.fit(&data, &all_rows(&data), &mut context(2)).unwrap();
            fit.oob.unwrap().accuracy
        })
        .collect();
    let theirs = list(&json["accuracies"]);
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let variance = |x: &[f64]| x.iter().map(|a| (a - mean(x)).powi(2)).sum::<f64>() / (x.len() - 1) as f64;
    let error = ((variance(&ours) + variance(&theirs)) / 20.0).sqrt();
    let difference = mean(&ours) - mean(&theirs);
    assert!(difference.abs() < 4.0 * error, "{} and {}, standard error {error}", mean(&ours), mean(&theirs));
}
