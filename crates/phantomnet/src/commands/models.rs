//! `phantomnet models`: what is registered, and changes to it that decide nothing.

use std::path::Path;
use std::process::ExitCode;

use phantomnet_track::history::{self, Action, CHAMPION};
use phantomnet_track::{ModelUri, ModelVersion, RegisteredModel, Store, Tag, find_model};
use serde_json::{Value, json};

use super::{SHOWN, figure, load_test, print_data, promote, with_interval};
use crate::cli::{ModelsCommand, NotesArgs, StoreArgs};
use crate::failure::{Failure, visible};
use crate::pipeline::model_source::download;
use crate::pipeline::registration::{Registration, register};
use crate::pipeline::{decisions, open_existing_store, track_failure};
use crate::terminal;

/// Metrics in the list of versions, as far as their runs have them.
const LISTED: [&str; 3] = ["accuracy", "f1", "roc_auc"];
/// What tags of the history begin with; `models history` shows them.
const HISTORY_PREFIX: &str = "phantomnet.history";

pub(crate) fn run(command: &ModelsCommand) -> Result<ExitCode, Failure> {
    match command {
        ModelsCommand::List { store } => list(store),
        ModelsCommand::Show { model, store } => show(model, store),
        ModelsCommand::Register { model, name, notes, store } => register_model(model, name, notes, store),
        ModelsCommand::Edit { model, remove_alias, notes, store } => {
            edit_model(model, remove_alias.as_deref(), notes, store)
        }
        ModelsCommand::Promote { model, data, force, reason, store } => {
            let reason = reason.as_deref().unwrap_or_default();
            return promote::promote(model, data, *force, reason, store);
        }
        ModelsCommand::Rollback { name, reason, store } => {
            promote::rollback(name, reason.as_deref().unwrap_or_default(), store)
        }
        ModelsCommand::Delete { model, force, reason, store } => {
            delete(model, *force, reason.as_deref().unwrap_or_default(), store)
        }
        ModelsCommand::Download { model, folder, store } => download_model(model, folder, store),
        ModelsCommand::History { name, verify, heads, at, store } => match at {
            Some(time_ms) => promote::champion_at(name, *time_ms, store),
            None => return promote::history(name, *verify, heads, store),
        },
        ModelsCommand::LoadTest(args) => load_test::run(args),
    }?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn open(args: &StoreArgs) -> Result<Box<dyn Store>, Failure> {
    open_existing_store(&args.resolve()?.tracking.uri)
}

/// `NAME`, or the version that a model URI names.
pub(super) enum Named {
    Model(String),
    Version(ModelVersion),
}

/// What a text names in the registry.
///
/// # Errors
/// Of kind config for a URI of a model that is no version.
pub(super) fn named(store: &mut dyn Store, model: &str) -> Result<Named, Failure> {
    if !ModelUri::is_meant(model) {
        return Ok(Named::Model(model.to_owned()));
    }
    let uri: ModelUri = model.parse().map_err(track_failure)?;
    let version = find_model(store, &uri).map_err(track_failure)?.version;
    version.map(Named::Version).ok_or_else(|| {
        Failure::config(format!("`{model}` is no version of a registered model"))
            .hint("`phantomnet models register` makes one of it; versions are named `models:/NAME/3`")
    })
}

/// A time as people read it: in UTC, to the second.
pub(super) fn time(time_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(time_ms)
        .map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

fn list(args: &StoreArgs) -> Result<(), Failure> {
    let models = open(args)?.registered_models().map_err(track_failure)?;
    if args.common.json {
        return terminal::print_json(&models.iter().map(model_document).collect());
    }
    let mut rows = vec![["name", "champion", "challenger", "changed (UTC)", "description"].map(String::from).to_vec()];
    for model in &models {
        let alias = |alias: &str| model.aliases.get(alias).map_or_else(String::new, u32::to_string);
        rows.push(vec![
            visible(&model.name),
            alias(CHAMPION),
            alias(history::CHALLENGER),
            time(model.last_updated_ms),
            visible(&model.description),
        ]);
    }
    print_data(terminal::table(&rows).trim_end())
}

fn show(model: &str, args: &StoreArgs) -> Result<(), Failure> {
    let mut store = open(args)?;
    if !ModelUri::is_meant(model) {
        return show_registered(store.as_mut(), model, args);
    }
    let uri: ModelUri = model.parse().map_err(track_failure)?;
    let found = find_model(store.as_mut(), &uri).map_err(track_failure)?;
    let mut document = json!({"location": found.location});
    if let Some(version) = &found.version {
        document["version"] = version_document(version);
    }
    if let Some(logged) = &found.logged {
        document["model_id"] = json!(logged.id);
        document["model_name"] = json!(logged.name);
        document["params"] = json!(logged.params);
    }
    let run_id = found.version.as_ref().and_then(|v| v.run_id.clone());
    let run_id = run_id.or_else(|| found.logged.as_ref().and_then(|model| model.source_run_id.clone()));
    let run = run_id.and_then(|id| store.run(&id).ok());
    if let Some(run) = &run {
        document["run_id"] = json!(run.info.id);
        document["run_name"] = json!(run.info.name);
        document["metrics"] = run.metrics.iter().map(|(key, point)| (key.clone(), json!(point.value))).collect();
    }
    if args.common.json {
        return terminal::print_json(&document);
    }
    let mut rows = Vec::new();
    let mut row = |key: &str, value: &str| rows.push([visible(key), visible(value)]);
    if let Some(version) = &found.version {
        row("version", &format!("{} of {}", version.version, version.name));
        row("aliases", &version.aliases.join(", "));
        row("registered (UTC)", &time(version.creation_time_ms));
        row("description", &version.description);
        shown_tags(&version.tags).for_each(|(key, value)| row(&format!("tag {key}"), value));
    }
    if let Some(logged) = &found.logged {
        row("model", &logged.id);
    }
    row("files", &found.location);
    if let Some(run) = &run {
        row("run", &format!("{} ({})", run.info.name, run.info.id));
        let metrics = run.metrics.iter().map(|(key, point)| (key.clone(), point.value)).collect();
        for key in SHOWN.iter().filter(|key| run.metrics.contains_key(**key)) {
            row(key, &with_interval(&metrics, key));
        }
    }
    let width = rows.iter().map(|row| row[0].chars().count()).max().unwrap_or(0);
    let lines = rows.iter().map(|row| format!("  {:width$}  {}", row[0], row[1]).trim_end().to_owned());
    print_data(&lines.collect::<Vec<_>>().join("\n"))
}

fn shown_tags(tags: &std::collections::BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    tags.iter().filter(|(key, _)| !key.starts_with(HISTORY_PREFIX) && *key != "phantomnet.request_id")
}

fn show_registered(store: &mut dyn Store, name: &str, args: &StoreArgs) -> Result<(), Failure> {
    let model = store.registered_model(name).map_err(track_failure)?;
    let versions = store.model_versions(name).map_err(track_failure)?;
    let mut metrics_of = |version: &ModelVersion| {
        let run = version.run_id.as_ref().and_then(|id| store.run(id).ok());
        run.map(|run| run.metrics).unwrap_or_default()
    };
    if args.common.json {
        let mut document = model_document(&model);
        document["versions"] = versions.iter().map(version_document).collect();
        return terminal::print_json(&document);
    }
    let mut text = format!("{}\n", visible(&model.name));
    if !model.description.is_empty() {
        text += &format!("{}\n", visible(&model.description));
    }
    for (key, value) in shown_tags(&model.tags) {
        text += &format!("  {}: {}\n", visible(key), visible(value));
    }
    let head = ["version", "aliases", "registered (UTC)"].iter().chain(&LISTED).chain(&["run"]);
    let mut rows = vec![head.map(|cell| (*cell).to_owned()).collect::<Vec<_>>()];
    for version in versions.iter().rev() {
        let metrics = metrics_of(version);
        let mut row = vec![version.version.to_string(), version.aliases.join(" "), time(version.creation_time_ms)];
        row.extend(LISTED.iter().map(|key| metrics.get(*key).map_or_else(String::new, |m| figure(m.value))));
        row.push(version.run_id.as_deref().unwrap_or_default().chars().take(8).collect());
        rows.push(row.iter().map(|cell| visible(cell)).collect());
    }
    print_data((text + &terminal::table(&rows)).trim_end())
}

fn model_document(model: &RegisteredModel) -> Value {
    let tags: serde_json::Map<String, Value> = model
        .tags
        .iter()
        .filter(|(key, _)| !key.starts_with(HISTORY_PREFIX))
        .map(|(k, v)| (k.clone(), json!(v)))
        .collect();
    json!({
        "name": model.name,
        "description": model.description,
        "creation_time_ms": model.creation_time_ms,
        "last_updated_ms": model.last_updated_ms,
        "tags": tags,
        "aliases": model.aliases,
    })
}

pub(super) fn version_document(version: &ModelVersion) -> Value {
    json!({
        "name": version.name,
        "version": version.version,
        "source": version.source,
        "run_id": version.run_id,
        "model_id": version.model_id(),
        "description": version.description,
        "creation_time_ms": version.creation_time_ms,
        "tags": version.tags,
        "aliases": version.aliases,
    })
}

/// The champion is judged, or named with a reason; anything else would leave a gap in the history.
fn refuse_champion(alias: Option<&str>) -> Result<(), Failure> {
    if alias == Some(CHAMPION) {
        let failure = Failure::config("the champion is not named by an alias alone");
        return Err(
            failure.hint("use `phantomnet models promote`, with --force and --reason for one that is not judged")
        );
    }
    Ok(())
}

fn register_model(model: &str, name: &str, notes: &NotesArgs, args: &StoreArgs) -> Result<(), Failure> {
    refuse_champion(notes.alias.as_deref())?;
    let config = args.resolve()?;
    let alias = notes.alias.clone().unwrap_or(config.registry.alias.clone());
    let tags: Vec<Tag> = notes.tags.iter().map(|(key, value)| Tag::new(key, value)).collect();
    let description = notes.description.as_deref().unwrap_or_default();
    let registration = Registration { name, alias: &alias, description, tags: &tags };
    let version = register(&config, model, &registration)?;
    if args.common.json {
        return terminal::print_json(&version_document(&version));
    }
    terminal::say(&format!("version {} of {}{}", version.version, visible(name), in_words(&version.aliases)));
    Ok(())
}

fn in_words(aliases: &[String]) -> String {
    if aliases.is_empty() { String::new() } else { format!(", {}", visible(&aliases.join(", "))) }
}

fn edit_model(model: &str, remove_alias: Option<&str>, notes: &NotesArgs, args: &StoreArgs) -> Result<(), Failure> {
    refuse_champion(notes.alias.as_deref())?;
    refuse_champion(remove_alias)?;
    let mut store = open(args)?;
    let named = named(store.as_mut(), model)?;
    let (name, version) = match &named {
        Named::Model(name) => (name.as_str(), None),
        Named::Version(version) => (version.name.as_str(), Some(version.version)),
    };
    if let Some(alias) = &notes.alias {
        let version = version.ok_or_else(|| {
            Failure::config("--alias names a version").hint(format!("which one: `models:/{name}/1`, for example"))
        })?;
        store.set_alias(name, alias, version).map_err(track_failure)?;
    }
    if let Some(alias) = remove_alias {
        store.delete_alias(name, alias).map_err(track_failure)?;
    }
    if let Some(description) = &notes.description {
        store.describe_model(name, version, description).map_err(track_failure)?;
    }
    for (key, value) in &notes.tags {
        let tag = Tag::new(key, value);
        match version {
            Some(version) => store.tag_model_version(name, version, &tag),
            None => store.tag_registered_model(name, &tag),
        }
        .map_err(track_failure)?;
    }
    if args.common.json {
        let document = match version {
            Some(version) => version_document(&store.model_version(name, version).map_err(track_failure)?),
            None => model_document(&store.registered_model(name).map_err(track_failure)?),
        };
        return terminal::print_json(&document);
    }
    Ok(())
}

fn delete(model: &str, force: bool, reason: &str, args: &StoreArgs) -> Result<(), Failure> {
    let mut store = open(args)?;
    let deleted = match named(store.as_mut(), model)? {
        Named::Model(name) => {
            let n_versions = store.model_versions(&name).map_err(track_failure)?.len();
            if !force {
                return Err(Failure::config(format!(
                    "`{name}` has {n_versions} versions and a history, which go with it"
                ))
                .hint(format!("`models:/{name}/1` names one version; --force deletes all")));
            }
            store.delete_registered_model(&name).map_err(track_failure)?;
            terminal::say(&format!("deleted {} with {n_versions} versions", visible(&name)));
            json!({"name": name, "version": null})
        }
        Named::Version(version) => {
            let is_champion = version.aliases.iter().any(|alias| alias == CHAMPION);
            if is_champion && !force {
                return Err(Failure::config(format!(
                    "version {} is the champion of `{}`",
                    version.version, version.name
                ))
                .hint("`phantomnet models rollback` restores the one before it; --force deletes it"));
            }
            let (name, number) = (version.name.clone(), version.version);
            let champion = decisions::champion(store.as_mut(), &name)?;
            let after = champion.filter(|champion| *champion != number);
            let decision = decisions::decision(Action::Delete, &version, (champion, after), reason);
            decisions::record(store.as_mut(), &name, decision)?;
            store.delete_model_version(&name, number).map_err(track_failure)?;
            terminal::say(&format!("deleted version {number} of {}", visible(&name)));
            json!({"name": name, "version": number})
        }
    };
    if args.common.json { terminal::print_json(&deleted) } else { Ok(()) }
}

fn download_model(model: &str, folder: &Path, args: &StoreArgs) -> Result<(), Failure> {
    let mut store = open(args)?;
    let uri: ModelUri = model.parse().map_err(track_failure)?;
    let found = find_model(store.as_mut(), &uri).map_err(track_failure)?;
    download(store.as_mut(), &found.location, folder)?;
    if args.common.json {
        return terminal::print_json(&json!({"model": model, "folder": folder, "location": found.location}));
    }
    terminal::say(&format!("{} is in {}", visible(model), folder.display()));
    Ok(())
}
