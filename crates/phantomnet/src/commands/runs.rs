//! `phantomnet runs`

use std::process::ExitCode;

use phantomnet_track::{
    CopyOptions, ModelUri, PushedEntry, Run, RunInfo, RunQuery, Store, copy_run, copy_version, find_model,
};
use serde_json::{Value, json};

use super::{artifacts, compare, figure, print_data, show_run};
use crate::cli::{CommonArgs, RunsCommand, StoreArgs};
use crate::failure::{Failure, Kind, nearest, visible};
use crate::pipeline::{self, open_existing_store, open_or_create_store, track_failure};
use crate::terminal;

/// Metrics in the list, as far as a run has them.
const LISTED: [&str; 4] = ["accuracy", "f1", "roc_auc", "latency_p50_us"];
/// Digits of a run id that are shown, and enough to name it.
const ID_DIGITS: usize = 8;

pub(crate) fn run(command: &RunsCommand) -> Result<ExitCode, Failure> {
    match command {
        RunsCommand::Delete { runs, store } => delete(runs, store),
        RunsCommand::Restore { runs, store } => restore(runs, store),
        RunsCommand::Push { common } => return push(common),
        RunsCommand::List { experiment, filter, order_by, limit, store } => {
            let filter = filter.as_deref().unwrap_or_default().parse().map_err(track_failure)?;
            let order_by = order_by.iter().map(|o| o.parse().map_err(track_failure)).collect::<Result<_, _>>()?;
            let query = RunQuery { filter, order_by, max_results: *limit, ..RunQuery::default() };
            list(experiment.as_deref(), query, store)
        }
        RunsCommand::Pull { runs, from, experiment, store } => pull(runs, from, experiment.as_deref(), store),
        RunsCommand::Artifacts(command) => artifacts::run(command),
        RunsCommand::Show { run, store } => show_run::run(run, store),
        RunsCommand::Compare { runs, store } => compare::run(runs, store),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn delete(runs: &[String], args: &StoreArgs) -> Result<(), Failure> {
    let mut store = open(args)?;
    // All of them are found before the first is deleted.
    let found = runs.iter().map(|run| store.run(run).map_err(track_failure)).collect::<Result<Vec<_>, _>>()?;
    for run in &found {
        store.delete_run(&run.info.id).map_err(track_failure)?;
        terminal::say(&format!("deleted {} ({})", visible(&run.info.name), run.info.id));
    }
    print_ids(found.iter().map(|run| run.info.id.as_str()), args)
}

fn restore(runs: &[String], args: &StoreArgs) -> Result<(), Failure> {
    let mut store = open(args)?;
    for run in runs {
        store.restore_run(run).map_err(track_failure)?;
        terminal::say(&format!("restored {}", visible(run)));
    }
    print_ids(runs.iter().map(String::as_str), args)
}

fn print_ids<'a>(ids: impl Iterator<Item = &'a str>, args: &StoreArgs) -> Result<(), Failure> {
    if args.common.json { terminal::print_json(&ids.map(Value::from).collect()) } else { Ok(()) }
}

fn push(common: &CommonArgs) -> Result<ExitCode, Failure> {
    let outbox = common.config.resolve(Vec::new())?.tracking.outbox;
    let pushed = pipeline::push(&outbox, None)?;
    let is_whole = pushed.iter().all(|entry| entry.runs.is_ok());
    if common.json {
        let documents: Vec<Value> = pushed.iter().map(pushed_document).collect();
        terminal::print_json(&Value::Array(documents))?;
    } else if pushed.is_empty() {
        terminal::say(&format!("nothing to send in {}", visible(&outbox)));
    }
    pushed.iter().for_each(say_pushed);
    Ok(if is_whole { ExitCode::SUCCESS } else { Kind::Environment.exit_code() })
}

/// Says which runs of an entry were sent, or why none.
pub(super) fn say_pushed(entry: &PushedEntry) {
    match &entry.runs {
        Ok(runs) => runs.iter().for_each(|run| {
            terminal::say(&format!("sent {} ({}) to {}", visible(&run.name), run.id, visible(&entry.uri)));
        }),
        Err(error) => terminal::warn(&format!("`{}` is still to be sent: {error}", entry.folder.display())),
    }
}

fn pushed_document(entry: &PushedEntry) -> Value {
    let runs = entry.runs.as_ref().map_or_else(
        |_| Vec::new(),
        |runs| {
            let document =
                |run: &RunInfo| json!({"run_id": run.id, "run_name": run.name, "status": run.status.as_str()});
            runs.iter().map(document).collect()
        },
    );
    json!({
        "folder": entry.folder,
        "tracking_uri": entry.uri,
        "runs": runs,
        "error": entry.runs.as_ref().err().map(ToString::to_string),
    })
}

fn pull(names: &[String], from: &str, experiment: Option<&str>, args: &StoreArgs) -> Result<(), Failure> {
    let mut source = open_existing_store(from)?;
    let mut target = open_or_create_store(&args.resolve()?.tracking.uri)?;
    let scratch = tempfile::Builder::new()
        .prefix("phantomnet-pull-")
        .tempdir()
        .map_err(|e| Failure::environment("cannot make a folder for files on their way").caused_by(e))?;
    let options = CopyOptions { experiment, scratch: scratch.path() };
    let mut documents = Vec::new();
    for name in names {
        let document = if ModelUri::is_meant(name) {
            let uri = name.parse().map_err(track_failure)?;
            let found = find_model(source.as_mut(), &uri).map_err(track_failure)?;
            let version = found.version.ok_or_else(|| {
                Failure::config(format!("`{name}` is no version of a registered model"))
                    .hint("name its run: models come with the runs that made them")
            })?;
            let copy = copy_version(source.as_mut(), &version, target.as_mut(), options).map_err(track_failure)?;
            terminal::say(&format!("{} is version {} of {} here", visible(name), copy.version, visible(&copy.name)));
            json!({"from": name, "run_id": copy.run_id, "name": copy.name, "version": copy.version})
        } else {
            let copies = copy_run(source.as_mut(), name, target.as_mut(), options).map_err(track_failure)?;
            for copy in &copies {
                terminal::say(&format!("copied {} ({})", visible(&copy.name), copy.id));
            }
            let ids: Vec<&str> = copies.iter().map(|copy| copy.id.as_str()).collect();
            json!({"from": name, "run_id": ids.first(), "run_ids": ids})
        };
        documents.push(document);
    }
    if args.common.json { terminal::print_json(&Value::Array(documents)) } else { Ok(()) }
}

pub(super) fn open(args: &StoreArgs) -> Result<Box<dyn Store>, Failure> {
    open_existing_store(&args.resolve()?.tracking.uri)
}

fn list(experiment: Option<&str>, query: RunQuery, args: &StoreArgs) -> Result<(), Failure> {
    let mut store = open(args)?;
    let experiments = store.experiments().map_err(track_failure)?;
    let experiment_ids = match experiment {
        None => Vec::new(),
        Some(name) => {
            let found = experiments.iter().find(|e| e.name == name).ok_or_else(|| {
                let near = nearest(name, experiments.iter().map(|e| e.name.as_str()));
                Failure::config(format!("there is no experiment `{name}`"))
                    .maybe_hint(near.map(|n| format!("did you mean `{n}`?")))
            })?;
            vec![found.id.clone()]
        }
    };
    let query = RunQuery { experiment_ids, ..query };
    let runs = store.runs(&query).map_err(track_failure)?;
    let name_of = |id: &str| experiments.iter().find(|e| e.id == id).map_or("", |e| e.name.as_str());
    if args.common.json {
        let documents: Vec<Value> = runs.iter().map(|r| document(r, name_of(&r.info.experiment_id))).collect();
        return terminal::print_json(&Value::Array(documents));
    }
    let mut rows = vec![
        ["run", "name", "experiment", "status"].iter().chain(&LISTED).map(|s| (*s).to_owned()).collect::<Vec<_>>(),
    ];
    for run in &runs {
        let mut row = vec![
            run.info.id.chars().take(ID_DIGITS).collect(),
            visible(&run.info.name),
            visible(name_of(&run.info.experiment_id)),
            run.info.status.to_string(),
        ];
        row.extend(LISTED.iter().map(|k| run.metrics.get(*k).map_or_else(String::new, |m| figure(m.value))));
        rows.push(row);
    }
    print_data(terminal::table(&rows).trim_end())
}

pub(super) fn document(run: &Run, experiment: &str) -> Value {
    let metrics: serde_json::Map<String, Value> =
        run.metrics.iter().map(|(k, m)| (k.clone(), json!(m.value))).collect();
    json!({
        "run_id": run.info.id,
        "run_name": run.info.name,
        "experiment": experiment,
        "status": run.info.status.to_string(),
        "user": run.info.user,
        "start_time_ms": run.info.start_time_ms,
        "end_time_ms": run.info.end_time_ms,
        "artifact_uri": run.info.artifact_uri,
        "params": run.params,
        "metrics": metrics,
        "tags": run.tags,
    })
}
