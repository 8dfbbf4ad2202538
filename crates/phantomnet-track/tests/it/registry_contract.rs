//! What the registry of every store must do; part of the contract in `store_contract`.

use std::path::Path;

use phantomnet_track::history::{Action, CHAMPION, Decision, Evidence, record, verify};
use phantomnet_track::{Error, LoggedModel, ModelUri, NewModelVersion, Store, Tag, find_model};

use crate::store_contract::{new_model, start, unique};

pub(crate) fn model(store: &mut dyn Store) -> LoggedModel {
    let run = start(store);
    store.create_logged_model(new_model(&run)).expect("model")
}

pub(crate) fn version_of(name: &str, model: &LoggedModel) -> NewModelVersion {
    NewModelVersion {
        name: name.to_owned(),
        model_id: model.id.clone(),
        description: "first try".into(),
        tags: vec![Tag::new("gate", "open"), Tag::new("gate", "passed")],
    }
}

fn found(store: &mut dyn Store, uri: &str) -> Result<phantomnet_track::FoundModel, Error> {
    find_model(store, &uri.parse::<ModelUri>().expect("valid"))
}

pub(crate) fn a_model_is_registered_in_versions(store: &mut dyn Store) {
    let name = unique("ssh's brute & force");
    assert!(matches!(store.registered_model(&name), Err(Error::RegisteredModelNotFound { name: n }) if n == name));
    assert!(matches!(store.model_versions(&name), Err(Error::RegisteredModelNotFound { .. })));
    let (first, second) = (model(store), model(store));
    let version = store.create_model_version(version_of(&name, &first)).expect("registered");
    assert_eq!((version.name.as_str(), version.version, version.model_id()), (name.as_str(), 1, Some(&*first.id)));
    assert_eq!((version.run_id, version.description.as_str()), (first.source_run_id.clone(), "first try"));
    assert_eq!((version.tags["gate"].as_str(), version.aliases.len()), ("passed", 0));
    // Another number where something on the way had it repeated.
    let next = store.create_model_version(version_of(&name, &second)).expect("registered").version;
    assert!(next >= 2);

    let versions = store.model_versions(&name).expect("listed");
    assert_eq!(
        versions.iter().map(|v| (v.version, v.model_id())).collect::<Vec<_>>(),
        [(1, Some(&*first.id)), (2, Some(&*second.id))]
    );
    assert_eq!(versions[0], store.model_version(&name, 1).expect("found"));
    assert!(versions[0].creation_time_ms > 1_600_000_000_000);
    assert!(matches!(store.model_version(&name, 99), Err(Error::ModelVersionNotFound { version: 99, .. })));
    assert_eq!(store.model_version_location(&name, next).expect("found"), second.artifact_location);
    let listed = store.registered_models().expect("listed");
    let listed: Vec<_> = listed.iter().filter(|model| model.name == name).collect();
    assert_eq!(listed, [&store.registered_model(&name).expect("found")]);
    let said = &store.logged_model(&second.id).expect("found").tags["mlflow.modelVersions"];
    assert!(
        said.contains(&format!("\"name\": \"{name}\"")) || said.contains(&format!("\"name\":\"{name}\"")),
        "{said}"
    );

    let unknown =
        NewModelVersion { model_id: "m-00000000000000000000000000000000".into(), ..version_of(&name, &first) };
    assert!(matches!(store.create_model_version(unknown), Err(Error::ModelNotFound { .. })));
    let invalid = NewModelVersion { name: "a/b".into(), ..version_of(&name, &first) };
    assert!(matches!(store.create_model_version(invalid), Err(Error::Invalid { what: "registered model name", .. })));
    let long = NewModelVersion { description: "x".repeat(5001), ..version_of(&name, &first) };
    assert!(matches!(store.create_model_version(long), Err(Error::Invalid { what: "description", .. })));
    assert_eq!(store.model_versions(&name).expect("listed").len(), 2);
}

pub(crate) fn an_alias_means_one_version(store: &mut dyn Store) {
    let name = unique("aliased");
    let model = model(store);
    store.create_model_version(version_of(&name, &model)).expect("registered");
    let second = store.create_model_version(version_of(&name, &model)).expect("registered").version;
    store.set_alias(&name, "champion", 1).expect("set");
    store.set_alias(&name, "champion", second).expect("moved");
    store.set_alias(&name, "champion", second).expect("again");
    store.set_alias(&name, "challenger", 1).expect("set");
    let aliases = store.registered_model(&name).expect("found").aliases;
    assert_eq!(aliases, [("challenger".to_owned(), 1), ("champion".to_owned(), second)].into());
    let versions = store.model_versions(&name).expect("listed");
    assert_eq!(versions.iter().map(|v| v.aliases.join(" ")).collect::<Vec<_>>(), ["challenger", "champion"]);
    assert_eq!(store.model_version(&name, second).expect("found").aliases, ["champion"]);

    assert!(matches!(store.set_alias(&name, "champion", 99), Err(Error::ModelVersionNotFound { version: 99, .. })));
    assert!(matches!(store.set_alias("nobody", "champion", 1), Err(Error::RegisteredModelNotFound { .. })));
    assert!(matches!(store.set_alias(&name, "latest", 1), Err(Error::Invalid { what: "alias", .. })));
    store.delete_alias(&name, "challenger").expect("deleted");
    store.delete_alias(&name, "challenger").expect("again");
    assert!(matches!(store.delete_alias("nobody", "champion"), Err(Error::RegisteredModelNotFound { .. })));
    assert_eq!(store.registered_model(&name).expect("found").aliases.len(), 1);
}

pub(crate) fn registered_models_are_tagged_and_described(store: &mut dyn Store) {
    let name = unique("described");
    let model = model(store);
    store.create_model_version(version_of(&name, &model)).expect("registered");
    for value in ["a", "über"] {
        store.tag_registered_model(&name, &Tag::new("team", value)).expect("tagged");
        store.tag_model_version(&name, 1, &Tag::new("team", value)).expect("tagged");
    }
    store.tag_registered_model(&name, &Tag::new("gone", "soon")).expect("tagged");
    store.untag_registered_model(&name, "gone").expect("deleted");
    store.untag_registered_model(&name, "gone").expect("again");
    store.describe_model(&name, None, "what it is for").expect("described");
    store.describe_model(&name, Some(1), "what is new").expect("described");
    let registered = store.registered_model(&name).expect("found");
    assert_eq!(
        (registered.description.as_str(), &registered.tags),
        ("what it is for", &[("team".to_owned(), "über".to_owned())].into())
    );
    let version = store.model_version(&name, 1).expect("found");
    assert_eq!((version.description.as_str(), version.tags["team"].as_str()), ("what is new", "über"));

    let long = Tag::new("k", "x".repeat(5001));
    assert!(matches!(store.tag_registered_model(&name, &long), Err(Error::ValueTooLong { .. })));
    assert!(matches!(store.tag_model_version(&name, 1, &long), Err(Error::ValueTooLong { .. })));
    let whole = Tag::new("k", "x".repeat(5000));
    store.tag_registered_model(&name, &whole).expect("tagged");
    assert_eq!(store.registered_model(&name).expect("found").tags["k"].len(), 5000);
    assert!(matches!(store.tag_model_version(&name, 7, &whole), Err(Error::ModelVersionNotFound { .. })));
    assert!(matches!(store.describe_model(&name, Some(7), ""), Err(Error::ModelVersionNotFound { .. })));
    assert!(matches!(store.tag_registered_model("nobody", &whole), Err(Error::RegisteredModelNotFound { .. })));
}

pub(crate) fn a_deleted_version_keeps_its_number(store: &mut dyn Store) {
    let name = unique("deleted");
    let model = model(store);
    let register =
        |store: &mut dyn Store| store.create_model_version(version_of(&name, &model)).expect("registered").version;
    let (first, second) = (register(store), register(store));
    store.set_alias(&name, "champion", second).expect("set");
    store.delete_model_version(&name, second).expect("deleted");
    assert!(matches!(store.delete_model_version(&name, second), Err(Error::ModelVersionNotFound { .. })));
    assert!(store.registered_model(&name).expect("found").aliases.is_empty());
    let third = register(store);
    // What something on the way repeated has had a number, too.
    assert!(first == 1 && second > first && third > second);
    let numbers: Vec<u32> = store.model_versions(&name).expect("listed").iter().map(|v| v.version).collect();
    assert_eq!(numbers, [first, third]);

    store.delete_registered_model(&name).expect("deleted");
    assert!(matches!(store.delete_registered_model(&name), Err(Error::RegisteredModelNotFound { .. })));
    assert!(store.registered_models().expect("listed").iter().all(|model| model.name != name));
    store.logged_model(&model.id).expect("the model itself is still there");
    assert_eq!(store.create_model_version(version_of(&name, &model)).expect("registered").version, 1);
}

pub(crate) fn a_model_is_found_by_every_uri(store: &mut dyn Store) {
    let files = tempfile::tempdir().expect("folder");
    std::fs::write(files.path().join("MLmodel"), "flavors: {}").expect("file");
    std::fs::create_dir(files.path().join("sub dir")).expect("folder");
    // In ASCII: servers of 3.10 fail to read files of other names.
    std::fs::write(files.path().join("sub dir/b.bin"), [0, 159, 255]).expect("file");
    std::fs::write(files.path().join("empty"), "").expect("file");
    let name = unique("found@home");
    let logged = model(store);
    store.log_model_artifacts(&logged.id, files.path()).expect("files");
    store.create_model_version(version_of(&name, &logged)).expect("registered");
    let other = model(store);
    let last = store.create_model_version(version_of(&name, &other)).expect("registered").version;
    store.set_alias(&name, "champion", 1).expect("set");
    let run_id = logged.source_run_id.as_deref().expect("run");
    for uri in [
        format!("models:/{}", logged.id),
        format!("models:/{name}/1"),
        format!("models:/{name}@champion"),
        format!("runs:/{run_id}/{}", logged.name),
    ] {
        let found = found(store, &uri).expect("found");
        assert_eq!(found.location, logged.artifact_location, "{uri}");
        assert_eq!(found.logged.as_ref().map(|model| &model.id), Some(&logged.id), "{uri}");
        assert_eq!(found.version.is_some(), uri.contains(&name), "{uri}");
        let target = tempfile::tempdir().expect("folder");
        store.download_folder(&found.location, &target.path().join("new/model"), 99).expect("downloaded");
        check_files(&target.path().join("new/model"));
        if let Some(folder) = store.local_folder(&found.location).expect("known") {
            check_files(&folder);
        }
    }
    assert_eq!(found(store, &format!("models:/{name}/latest")).expect("found").version.map(|v| v.version), Some(last));
    let target = tempfile::tempdir().expect("folder");
    let too_large = store.download_folder(&logged.artifact_location, target.path(), 13);
    assert!(matches!(too_large, Err(Error::ArtifactTooLarge { .. })), "{too_large:?}");
    let nothing = store.download_folder(&other.artifact_location, target.path(), 99);
    assert!(matches!(nothing, Err(Error::NoFiles { .. })), "{nothing:?}");

    let error = |store: &mut dyn Store, uri: &str| found(store, uri).expect_err("not there");
    assert!(matches!(error(store, &format!("models:/{name}/99")), Error::ModelVersionNotFound { version: 99, .. }));
    assert!(matches!(error(store, &format!("models:/{name}@x")), Error::AliasNotFound { alias, .. } if alias == "x"));
    assert!(matches!(error(store, "models:/nobody/1"), Error::RegisteredModelNotFound { .. }));
    assert!(matches!(error(store, "models:/m-00000000000000000000000000000000"), Error::ModelNotFound { .. }));
    assert!(matches!(error(store, &format!("runs:/{run_id}/other")), Error::ModelNotFound { .. }));
    assert!(matches!(error(store, "runs:/00000000000000000000000000000000/model"), Error::RunNotFound { .. }));
}

/// What the files of a model among a run's artifacts are to releases before logged models.
pub(crate) fn a_model_may_lie_among_the_artifacts_of_its_run(store: &mut dyn Store) {
    let run = start(store);
    store.log_artifact_bytes(&run.id, "old/model/MLmodel", b"flavors: {}").expect("written");
    let found = found(store, &format!("runs:/{}/old/model", run.id)).expect("found");
    assert_eq!((found.logged, found.version), (None, None));
    let target = tempfile::tempdir().expect("folder");
    store.download_folder(&found.location, target.path(), 99).expect("downloaded");
    assert_eq!(std::fs::read(target.path().join("MLmodel")).expect("file"), b"flavors: {}");
}

pub(crate) fn decisions_are_recorded_in_a_chain(store: &mut dyn Store) {
    let name = unique("judged");
    let model = model(store);
    let versions: Vec<u32> =
        (0..3).map(|_| store.create_model_version(version_of(&name, &model)).expect("registered").version).collect();
    let champion = |store: &mut dyn Store| store.registered_model(&name).expect("found").aliases.get(CHAMPION).copied();
    let first = record(store, &name, decision(Action::Promote, versions[0], None), 5000).expect("recorded");
    assert_eq!((first.number, first.time_ms, champion(store)), (1, 5000, Some(versions[0])));
    record(store, &name, decision(Action::Reject, versions[1], Some(versions[0])), 6000).expect("recorded");
    assert_eq!(champion(store), Some(versions[0]));
    // The clock went back; the history does not.
    let third =
        record(store, &name, decision(Action::Promote, versions[2], Some(versions[0])), 4000).expect("recorded");
    assert_eq!((third.number, third.time_ms, champion(store)), (3, 6000, Some(versions[2])));
    let late = record(store, &name, decision(Action::Promote, versions[1], Some(versions[0])), 7000);
    assert!(matches!(late, Err(Error::ChampionChanged { .. })), "{late:?}");

    let whole = verify(store, &name, &[first.hash.clone(), third.hash.clone()]).expect("read");
    assert_eq!((whole.problems.len(), whole.entries.len()), (0, 3), "{:?}", whole.problems);
    assert_eq!(whole.entries[0], first);
    assert_eq!(whole.champion_before(Some(versions[2]), &versions), Some(versions[0]));
    let problems = |store: &mut dyn Store, heads: &[String]| verify(store, &name, heads).expect("read").problems;
    assert_eq!(problems(store, &["00".into()]), ["entry `00` is not in the history"]);

    store.set_alias(&name, CHAMPION, versions[1]).expect("set");
    assert!(problems(store, &[])[0].starts_with("the champion is version"), "{:?}", problems(store, &[]));
    store.set_alias(&name, CHAMPION, versions[2]).expect("set");
    assert!(problems(store, &[]).is_empty());
    let tags = store.registered_model(&name).expect("found").tags;
    let (last, text) = tags.iter().rfind(|(key, _)| key.starts_with("phantomnet.history.")).expect("an entry");
    store.tag_registered_model(&name, &Tag::new(last, text.replace("ana", "eve"))).expect("changed");
    assert!(problems(store, &[]).iter().any(|problem| problem.contains("entry 3, tag")), "{:?}", problems(store, &[]));
    // The end cut off, and the champion made to fit.
    store.untag_registered_model(&name, last).expect("deleted");
    store.set_alias(&name, CHAMPION, versions[0]).expect("set");
    let cut_off = format!("version {} speaks of entry `{}`, which is not in the history", versions[2], third.hash);
    assert_eq!(problems(store, &[]), [cut_off]);
    store.delete_model_version(&name, versions[1]).expect("deleted");
    let deleted = format!("version {}, of entry 2, was deleted, unrecorded", versions[1]);
    assert!(problems(store, &[]).contains(&deleted), "{:?}", problems(store, &[]));
}

pub(crate) fn decision(action: Action, version: u32, previous: Option<u32>) -> Decision {
    Decision {
        action,
        version,
        previous,
        champion: if action == Action::Promote { Some(version) } else { previous },
        model_id: None,
        manifest_sha256: None,
        user: "ana".into(),
        host: "lab".into(),
        reason: "über".into(),
        forced: false,
        data: Some(("abc".into(), 44)),
        evidence: vec![Evidence { name: "f1".into(), passed: true, figures: "0.9 -> 0.95".into() }],
    }
}

fn check_files(folder: &Path) {
    assert_eq!(std::fs::read(folder.join("MLmodel")).expect("file"), b"flavors: {}");
    assert_eq!(std::fs::read(folder.join("sub dir/b.bin")).expect("file"), [0, 159, 255]);
    assert_eq!(std::fs::read(folder.join("empty")).expect("file"), b"");
}
