//! `phantomnet runs`

use std::collections::BTreeSet;
use std::process::ExitCode;

use phantomnet_learn::metrics::MetricMap;
use phantomnet_track::{PushedEntry, Run, RunInfo, RunQuery, Store};
use serde_json::{Value, json};

use super::{figure, print_data, with_interval};
use crate::cli::{CommonArgs, RunsCommand, StoreArgs};
use crate::failure::{Failure, Kind, nearest, visible};
use crate::pipeline::{self, open_existing_store, track_failure};
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
        RunsCommand::Show { run, store } => show(run, store),
        RunsCommand::Compare { runs, store } => compare(runs, store),
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

fn open(args: &StoreArgs) -> Result<Box<dyn Store>, Failure> {
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

fn show(run: &str, args: &StoreArgs) -> Result<(), Failure> {
    let mut store = open(args)?;
    let run = store.run(run).map_err(track_failure)?;
    let experiments = store.experiments().map_err(track_failure)?;
    let experiment = experiments.iter().find(|e| e.id == run.info.experiment_id).map_or("", |e| e.name.as_str());
    let artifacts = store.list_artifacts(&run.info.id, None).map_err(track_failure)?;
    if args.common.json {
        let mut document = document(&run, experiment);
        document["artifacts"] = artifacts.iter().map(|a| Value::from(a.path.clone())).collect();
        document["model_ids"] = json!(run.model_ids);
        return terminal::print_json(&document);
    }
    let mut text = format!("{} ({})\n", visible(&run.info.name), run.info.id);
    let duration = run
        .info
        .end_time_ms
        .map_or_else(String::new, |end| format!(", {:.2} s", (end - run.info.start_time_ms) as f64 / 1000.0));
    text.push_str(&format!(
        "{} in {}, by {}{duration}\n",
        run.info.status,
        visible(experiment),
        visible(&run.info.user)
    ));
    let pairs = |title: &str, pairs: Vec<Vec<String>>| {
        if pairs.is_empty() { String::new() } else { format!("\n{title}\n{}", terminal::table(&pairs)) }
    };
    text += &pairs("params", run.params.iter().map(|(k, v)| vec![visible(k), visible(v)]).collect());
    let plain = |key: &str| !key.ends_with(".lo") && !key.ends_with(".hi");
    let metrics: MetricMap = run.metrics.iter().map(|(key, m)| (key.clone(), m.value)).collect();
    let metric = |key: &str| with_interval(&metrics, key);
    text += &pairs("metrics", run.metrics.keys().filter(|k| plain(k)).map(|k| vec![visible(k), metric(k)]).collect());
    text += &pairs("tags", run.tags.iter().map(|(k, v)| vec![visible(k), visible(v)]).collect());
    text += &pairs("artifacts", artifacts.iter().map(|a| vec![visible(&a.path)]).collect());
    print_data(text.trim_end())
}

fn compare(names: &[String], args: &StoreArgs) -> Result<(), Failure> {
    let mut store = open(args)?;
    let runs: Vec<Run> = names.iter().map(|n| store.run(n).map_err(track_failure)).collect::<Result<_, _>>()?;
    let param_keys: BTreeSet<&String> = runs.iter().flat_map(|r| r.params.keys()).collect();
    let differs = |key: &&&String| runs.iter().any(|r| r.params.get(**key) != runs[0].params.get(**key));
    let params: Vec<&String> = param_keys.iter().filter(differs).copied().collect();
    let metrics: BTreeSet<&String> = runs.iter().flat_map(|r| r.metrics.keys()).collect();
    if args.common.json {
        let column = |r: &Run| {
            let of = |keys: &mut dyn Iterator<Item = &String>, get: &dyn Fn(&str) -> Value| -> Value {
                Value::Object(keys.map(|k| (k.clone(), get(k))).collect())
            };
            json!({
                "run_id": r.info.id,
                "run_name": r.info.name,
                "params": of(&mut params.iter().copied(), &|k| r.params.get(k).map_or(Value::Null, |v| json!(v))),
                "metrics": of(&mut metrics.iter().copied(), &|k| r.metrics.get(k).map_or(Value::Null, |m| json!(m.value))),
            })
        };
        return terminal::print_json(&Value::Array(runs.iter().map(column).collect()));
    }
    let head = |title: &str| {
        std::iter::once(title.to_owned()).chain(runs.iter().map(|r| visible(&r.info.name))).collect::<Vec<_>>()
    };
    let mut rows = vec![head("params that differ")];
    for key in params {
        let cell = |r: &Run| r.params.get(key).map_or_else(String::new, |v| visible(v));
        rows.push(std::iter::once(visible(key)).chain(runs.iter().map(cell)).collect());
    }
    rows.push(head("metrics"));
    for key in metrics.iter().filter(|k| !k.ends_with(".lo") && !k.ends_with(".hi")) {
        let cell = |r: &Run| r.metrics.get(*key).map_or_else(String::new, |m| figure(m.value));
        rows.push(std::iter::once(visible(key)).chain(runs.iter().map(cell)).collect());
    }
    print_data(terminal::table(&rows).trim_end())
}

fn document(run: &Run, experiment: &str) -> Value {
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
