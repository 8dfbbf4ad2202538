//! The arrows of ARCHITECTURE.md, read from the manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

/// Crates of ours that each crate may depend on.
const ARROWS: [(&str, &[&str]); 7] = [
    ("phantomnet-model", &[]),
    ("phantomnet-track", &[]),
    ("phantomnet-report", &[]),
    ("phantomnet-learn", &["phantomnet-model"]),
    ("phantomnet-features", &["phantomnet-model"]),
    ("phantomnet-score", &["phantomnet-features", "phantomnet-model"]),
    (
        "phantomnet",
        &[
            "phantomnet-features",
            "phantomnet-learn",
            "phantomnet-model",
            "phantomnet-report",
            "phantomnet-score",
            "phantomnet-track",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Dependencies of each crate in the workspace, tests left out.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        let manifest: Table = fs::read_to_string(path.join("Cargo.toml")).unwrap().parse().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let of =
            |key: &str| manifest.get(key).and_then(|d| d.as_table()).map(|t| t.keys().cloned().collect::<Vec<_>>());
        let all = ["dependencies", "build-dependencies"].iter().filter_map(|k| of(k)).flatten();
        found.insert(name, all.collect());
    }
    found
}

#[test]
fn crates_depend_only_downward() {
    let found = dependencies();
    let expected: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    for (name, allowed) in ARROWS {
        for dependency in found[name].iter().filter(|d| d.starts_with("phantomnet")) {
            assert!(allowed.contains(&dependency.as_str()), "`{name}` must not depend on `{dependency}`");
        }
    }
}

#[test]
fn only_features_names_the_query_engine() {
    for (name, dependencies) in dependencies() {
        let engine = dependencies.iter().find(|d| d.starts_with("datafusion"));
        assert!(engine.is_none() || name == "phantomnet-features", "`{name}` depends on `{engine:?}`");
    }
}

/// The whole closure, from the lock file: what a crate of ours links through others counts too.
#[test]
fn model_and_learn_link_no_query_engine_and_score_no_learner() {
    let lock: Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap().to_owned();
        let own = package.get("dependencies").and_then(|d| d.as_array()).into_iter().flatten();
        let names = own.map(|d| d.as_str().unwrap().split(' ').next().unwrap().to_owned());
        edges.entry(name).or_default().extend(names);
    }
    // The lock file lists test dependencies of our crates too; theirs are read from the manifests instead.
    edges.extend(dependencies());
    let closure = |start: &str| {
        let mut reached = BTreeSet::new();
        let mut open = vec![start.to_owned()];
        while let Some(name) = open.pop() {
            for next in edges.get(&name).into_iter().flatten() {
                if reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    };
    for (name, barred) in [
        ("phantomnet-model", "datafusion"),
        ("phantomnet-learn", "datafusion"),
        ("phantomnet-track", "datafusion"),
        ("phantomnet-report", "datafusion"),
        ("phantomnet-score", "phantomnet-learn"),
        ("phantomnet-score", "rayon"),
    ] {
        let found = closure(name).into_iter().find(|d| d.starts_with(barred));
        assert_eq!(found, None, "`{name}` links it");
    }
    assert!(closure("phantomnet-features").iter().any(|d| d.starts_with("datafusion")), "the check sees the engine");
}
