//! `phantomnet models promote`, `rollback` and `history`: who judges, and how that came to be.

use std::path::Path;
use std::process::ExitCode;

use phantomnet_model::{Bundle, Limits};
use phantomnet_track::history::{self, Action, CHALLENGER, HistoryEntry};
use phantomnet_track::{ModelUri, ModelVersion, Store, find_model};
use serde_json::{Value, json};

use super::bar::reading;
use super::models::{Named, named, open, time, version_document};
use super::print_data;
use crate::cli::StoreArgs;
use crate::failure::{Failure, Kind, visible};
use crate::pipeline::model_source::{ModelSource, fetch};
use crate::pipeline::promotion::{Promotion, judge_promotion};
use crate::pipeline::{decisions, open_existing_store, track_failure};
use crate::terminal;

fn source(store: &mut dyn Store, version: &ModelVersion) -> Result<ModelSource, Failure> {
    let uri = ModelUri::Version(version.name.clone(), version.version);
    let found = find_model(store, &uri).map_err(track_failure)?;
    fetch(store, found)
}

pub(super) fn promote(
    model: &str,
    data: &[String],
    force: bool,
    reason: &str,
    args: &StoreArgs,
) -> Result<ExitCode, Failure> {
    let mut config = args.resolve()?;
    config.data.paths = if data.is_empty() { config.promotion.data.clone().unwrap_or_default() } else { data.to_vec() };
    if config.data.paths.is_empty() && !force {
        return Err(Failure::config("there are no events to judge the challenger on")
            .hint("name labelled events that no model has learned from, here or as `promotion.data`"));
    }
    let mut store = open_existing_store(&config.tracking.uri)?;
    let challenger = match named(store.as_mut(), model)? {
        Named::Version(version) => version,
        Named::Model(name) => {
            let uri = ModelUri::Alias(name, CHALLENGER.into());
            let found = find_model(store.as_mut(), &uri).map_err(track_failure)?;
            found.version.ok_or_else(|| Failure::config(format!("`{uri}` is no version")))?
        }
    };
    let name = challenger.name.clone();
    let champion = decisions::champion(store.as_mut(), &name)?;
    if champion == Some(challenger.version) {
        return Err(Failure::config(format!("version {} is the champion of `{name}`", challenger.version)));
    }
    let challenger_source = source(store.as_mut(), &challenger)?;
    let judged = if config.data.paths.is_empty() {
        None
    } else {
        let champion =
            champion.map(|version| store.model_version(&name, version).map_err(track_failure)).transpose()?;
        let champion = champion.map(|version| source(store.as_mut(), &version)).transpose()?;
        let champion = champion.as_ref().map(ModelSource::path);
        let config = config.with_standard_input()?;
        // What cannot even be judged is promoted by force alone, which is for an emergency.
        match reading(|tell| judge_promotion(&config, champion, challenger_source.path(), tell)) {
            Err(failure) if force && failure.kind == Kind::Data => {
                terminal::warn(&failure.to_string());
                None
            }
            judged => Some(judged?),
        }
    };
    let passed = judged.as_ref().is_some_and(|promotion| promotion.passed);
    let is_promoted = passed || force;
    let action = if is_promoted { Action::Promote } else { Action::Reject };
    let after = if is_promoted { Some(challenger.version) } else { champion };
    let mut decision = decisions::decision(action, &challenger, (champion, after), reason);
    decision.forced = is_promoted && !passed;
    decision.manifest_sha256 = Bundle::sha256(challenger_source.path(), Limits::default()).ok();
    if let Some(promotion) = &judged {
        decision.data = Some((promotion.data_fingerprint.clone(), promotion.n_rows));
        decision.evidence = promotion.conditions.iter().map(|condition| condition.evidence()).collect();
    }
    let entry = decisions::record(store.as_mut(), &name, decision)?;
    if is_promoted && challenger.aliases.iter().any(|alias| alias == CHALLENGER) {
        store.delete_alias(&name, CHALLENGER).map_err(track_failure)?;
    }

    if args.common.json {
        terminal::print_json(&json!({
            "name": name,
            "version": challenger.version,
            "promoted": is_promoted,
            "forced": is_promoted && !passed,
            "previous": champion,
            "champion": after,
            "judged": judged,
            "history": entry_document(&entry),
        }))?;
    } else {
        say_decision(&entry, judged.as_ref());
    }
    Ok(if is_promoted { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn say_decision(entry: &HistoryEntry, judged: Option<&Promotion>) {
    let decision = &entry.decision;
    if let Some(promotion) = judged {
        promotion.warnings.iter().for_each(|warning| terminal::warn(warning));
        let against = decision.previous.map_or_else(String::new, |version| format!(" beside version {version}"));
        let what = format!("version {} of {}{against}", decision.version, visible(&entry.name));
        terminal::say(&format!("\n{what}, on {} events", promotion.n_rows));
        for condition in &promotion.conditions {
            let verdict = if condition.passed { "met    " } else { "NOT MET" };
            terminal::say(&format!("  {verdict}  {}: {}", condition.name, visible(&condition.figures)));
        }
    }
    let outcome = match (decision.action, decision.forced) {
        (Action::Promote, false) => "is the champion now",
        (Action::Promote, true) => "is the champion now, by force",
        _ => "is not promoted",
    };
    terminal::say(&format!("version {} {outcome}\nhistory: entry {}, {}", decision.version, entry.number, entry.hash));
}

pub(super) fn rollback(name: &str, reason: &str, args: &StoreArgs) -> Result<(), Failure> {
    let mut store = open(args)?;
    let champion = decisions::champion(store.as_mut(), name)?;
    let history = history::history(store.as_mut(), name).map_err(track_failure)?;
    history.problems.iter().for_each(|problem| terminal::warn(problem));
    let versions = store.model_versions(name).map_err(track_failure)?;
    let numbers: Vec<u32> = versions.iter().map(|version| version.version).collect();
    let before = history.champion_before(champion, &numbers).ok_or_else(|| {
        Failure::config(format!("the history of `{name}` knows no champion before this one"))
            .hint("`phantomnet models promote models:/NAME/VERSION --force --reason TEXT` names one without judging it")
    })?;
    let version = store.model_version(name, before).map_err(track_failure)?;
    let mut decision = decisions::decision(Action::Rollback, &version, (champion, Some(before)), reason);
    let promoted = history.entries.iter().rev().find(|entry| entry.decision.version == before);
    decision.manifest_sha256 = promoted.and_then(|entry| entry.decision.manifest_sha256.clone());
    let entry = decisions::record(store.as_mut(), name, decision)?;
    if args.common.json {
        return terminal::print_json(&json!({
            "name": name,
            "previous": champion,
            "champion": before,
            "version": version_document(&version),
            "history": entry_document(&entry),
        }));
    }
    terminal::say(&format!("version {before} of {} is the champion again", visible(name)));
    terminal::say(&format!("history: entry {}, {}", entry.number, entry.hash));
    Ok(())
}

pub(super) fn champion_at(name: &str, time_ms: i64, args: &StoreArgs) -> Result<(), Failure> {
    let mut store = open(args)?;
    let history = history::history(store.as_mut(), name).map_err(track_failure)?;
    history.problems.iter().for_each(|problem| terminal::warn(problem));
    let champion = history.champion_at(time_ms);
    if args.common.json {
        return terminal::print_json(&json!({"name": name, "time_ms": time_ms, "champion": champion}));
    }
    print_data(&champion.map_or_else(|| "none".to_owned(), |version| format!("models:/{}/{version}", visible(name))))
}

pub(super) fn history(name: &str, verify: bool, heads: &[String], args: &StoreArgs) -> Result<ExitCode, Failure> {
    let mut store = open(args)?;
    let mut history = if verify {
        history::verify(store.as_mut(), name, heads).map_err(track_failure)?
    } else {
        history::history(store.as_mut(), name).map_err(track_failure)?
    };
    if verify {
        history.problems.extend(altered_champion(store.as_mut(), name, &history.entries)?);
    }
    if args.common.json {
        let entries: Vec<Value> = history.entries.iter().map(entry_document).collect();
        terminal::print_json(&json!({"name": name, "entries": entries, "problems": history.problems}))?;
    } else {
        let mut rows =
            vec![["", "time (UTC)", "action", "version", "champion", "by", "hash", "why"].map(String::from).to_vec()];
        for entry in &history.entries {
            let decision = &entry.decision;
            let action = if decision.forced { "promote by force" } else { decision.action.as_str() };
            let failed: Vec<&str> = decision
                .evidence
                .iter()
                .filter(|evidence| !evidence.passed)
                .map(|evidence| evidence.name.as_str())
                .collect();
            let failed = if failed.is_empty() { String::new() } else { format!("not met: {}", failed.join(", ")) };
            let why =
                [decision.reason.as_str(), &failed].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
            rows.push(
                [
                    entry.number.to_string(),
                    time(entry.time_ms),
                    action.to_owned(),
                    decision.version.to_string(),
                    decision.champion.map_or_else(|| "none".to_owned(), |version| version.to_string()),
                    format!("{}@{}", decision.user, decision.host),
                    entry.hash.chars().take(12).collect(),
                    why.join("; "),
                ]
                .iter()
                .map(|cell| visible(cell))
                .collect(),
            );
        }
        print_data(terminal::table(&rows).trim_end())?;
        history.problems.iter().for_each(|problem| terminal::warn(problem));
        if verify && history.problems.is_empty() {
            let head = history.entries.last().map_or("none", |entry| entry.hash.as_str());
            terminal::say(&format!("the history is whole; its last entry is {head}"));
        }
    }
    Ok(if verify && !history.problems.is_empty() { Kind::Data.exit_code() } else { ExitCode::SUCCESS })
}

/// Whether the champion's files are other ones than those that were judged.
fn altered_champion(store: &mut dyn Store, name: &str, entries: &[HistoryEntry]) -> Result<Option<String>, Failure> {
    let Some(champion) = decisions::champion(store, name)? else { return Ok(None) };
    let of_champion = entries.iter().rev().find(|entry| entry.decision.champion == Some(champion));
    let Some(judged) = of_champion.and_then(|entry| entry.decision.manifest_sha256.as_deref()) else { return Ok(None) };
    let version = store.model_version(name, champion).map_err(track_failure)?;
    let source = match source(store, &version) {
        Ok(source) => source,
        Err(failure) => return Ok(Some(format!("the files of version {champion} cannot be read: {failure}"))),
    };
    Ok(altered(source.path(), judged).map(|problem| format!("the files of version {champion}: {problem}")))
}

fn altered(folder: &Path, judged: &str) -> Option<String> {
    match Bundle::sha256(folder, Limits::default()) {
        Ok(found) if found == judged => Bundle::verify(folder, Limits::default()).err().map(|error| error.to_string()),
        Ok(_) => Some("they are not those that were judged".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

fn entry_document(entry: &HistoryEntry) -> Value {
    let mut document = serde_json::to_value(entry).unwrap_or_default();
    document["hash"] = json!(entry.hash);
    document
}
